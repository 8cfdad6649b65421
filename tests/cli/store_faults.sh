# SPDX-License-Identifier: BSD-3-Clause
# A store on a disk that fails: each call on its file in turn is refused, without room, cut
# short or slow, alone or with all that follow. Programs see errors; what was reported durable
# is there afterwards, on a disk that is whole again. FAULT_STEP=1: every call, else some.
# TIMEOUT: 280
top=$PWD
. tests/cli/lib/instance
compile() { "${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O1 "$@" || exit 1; }
compile -static "$top/tests/crash/synced.c" -o synced
compile -shared -fPIC "$top/tests/crash/faulty.c" -o faulty.so
built=$(dirname "$(dirname "$occlum")")
(cd "$top" && tools/link-runtime "$built" "$work/occlum") || fail "the runtime"
OCCLUM_KERNEL=$built/lib/occlum-kernel.elf
export OCCLUM_KERNEL
records=14
OCCLUM_RING=interp FAULTY_FILE=$work/d/store FAULTY_COUNT=$work/calls
export OCCLUM_RING FAULTY_FILE FAULTY_COUNT

# faulty KIND:N: the program, on a store with a few records; status in $status.
faulty() {
    rm -rf d
    mkdir d
    cp start d/store
    echo >calls
    FAULTY=$1 LD_PRELOAD=$work/faulty.so "$work/occlum" try --quiet --store "$work/d" \
        "$work/synced" write "$work/d" $records >out 2>err </dev/null
    status=$?
}

tried=0 failed=0 refused=0
# each_fault RECORDS: on the store `start`, which has so many.
each_fault() {
    faulty count:0
    [ "$status" -eq 0 ] && calls=$(cat calls) && [ "$calls" -gt 30 ] ||
        fail "without a fault: $(cat err)"
    for kind in eio eio+ enospc enospc+ short short+ slow; do
        n=$((1 + tried % 5))
        while [ "$n" -le "$calls" ]; do
            one_fault "$1"
            n=$((n + ${FAULT_STEP:-61}))
        done
    done
}
one_fault() {
    faulty $kind:$n
    tried=$((tried + 1))
    case $kind$status in
    *[a-z+]0) ;;
    slow* | short*) fail "$kind:$n: status $status: $(cat err)" ;;
    *[a-z+]1) failed=$((failed + 1)) ;;
    *[a-z+]125) refused=$((refused + 1)) ;;
    *) fail "$kind:$n: status $status: $(cat err)" ;;
    esac
    grep -Eq 'assertion|exception|panic|overwritten' err && fail "$kind:$n: $(cat err)"
    said=$(sed '$!d' out)
    there=$("$occlum" try --quiet --store "$work/d" "$work/synced" check "$work/d" 2>err) ||
        fail "$kind:$n: afterwards: $(cat err)"
    [ "$there" -ge "${said:-$1}" ] ||
        fail "$kind:$n: record $said was durable, $there is the last"
}

: >start
each_fault 0
mkdir -p d
: >d/store
"$occlum" try --quiet --store "$work/d" "$work/synced" write "$work/d" 3 >out 2>err ||
    fail "the first records: $(cat err)"
cp d/store start
each_fault 3
echo "$tried faults: $failed times an error, $refused times no mount"
[ "$failed" -gt 1 ] || fail "the faults are not noticed"
