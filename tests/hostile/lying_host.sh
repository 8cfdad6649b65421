#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A host that lies, hundreds of times: with results, data, completions, clocks, addresses,
# entries and pages. The enclave may stop with a word, or wait for ever for what it is not
# given; it may not fail an assertion, fault, write where it was not asked to, or let a program
# see more than an error. LIAR_SEEDS: how many of each kind.
# TIMEOUT: 280
. tests/cli/lib/instance
cd - >/dev/null || exit 1
O=${BUILD_DIR:-build}
seeds=${LIAR_SEEDS:-16}

wraps=-Wl,--wrap=hostcall_serve,--wrap=host_enter,--wrap=machine_run
mkdir -p "$work/x/bin"
# shellcheck disable=SC2046,SC2086
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -g -O1 -I. -fPIE -pie tests/hostile/liar.c \
    $(cat "$O/lib/occlum.link") \
    $wraps -o "$work/x/bin/liar" || exit 1
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -g -O1 -static -pthread tests/hostile/lied_to.c \
    -o "$work/lied_to" || exit 1
kernel=$(cd "$O/lib" && pwd -P)/occlum-kernel.elf
OCCLUM_KERNEL=$kernel
export OCCLUM_KERNEL
liar=$work/x/bin/liar

new_instance inst
cp "$work/lied_to" image/bin/
yes 0123456789 | head -c 60000 >image/bin/data
build
mkdir scratch
# Not /dev/null: a lie about descriptors changes the mode of whatever stands at 0.
: >"$work/in"
"$liar" run /bin/lied_to >"$work/out" 2>&1 <"$work/in"
[ $? -eq 0 ] || { cat "$work/out"; fail "the program fails without a lie"; }

count=0 right=0 stopped=0 hung=0 other=0 bad=0
bad_words='assertion failed|kernel exception|stack overwritten|INVARIANT|sanitizer|canary'
attempt() {
    count=$((count + 1))
    rm -f run/root # or a lie may spoil it for all that follow
    LIAR=$1 timeout -s KILL "${LIAR_TIME:-2}" "$liar" run /bin/lied_to \
        >"$work/out" 2>&1 <"$work/in"
    status=$?
    if grep -Eq "$bad_words" "$work/out"; then
        status=bad
    fi
    case $status in
    0) right=$((right + 1)) ;;
    125) stopped=$((stopped + 1)) ;;
    137) hung=$((hung + 1)) ;;
    99 | bad | 13[24569])
        bad=$((bad + 1))
        echo "LIAR=$1: status $status"
        grep -av '^round' "$work/out" | head -4 ;;
    *) other=$((other + 1)) ;;
    esac
}
all="results data rings clock waits boot maps entries pages races control all"
for kind in ${LIAR_KINDS:-$all}; do
    had="$right $stopped $hung $other $bad"
    seed=0
    while [ $seed -lt "$seeds" ]; do
        seed=$((seed + 1))
        attempt "$kind:$((seed + ${LIAR_FIRST:-0}))"
    done
    # shellcheck disable=SC2086
    set -- $had
    echo "$kind: $((right - $1)) right, $((stopped - $2)) stopped, $((hung - $3)) hung," \
        "$((other - $4)) errors, $((bad - $5)) bad"
done
[ "$bad" -eq 0 ] || fail "$bad of $count"
# Kinds that withhold nothing must not all hang, and lies must have been noticed.
[ "$stopped" -gt 10 ] && [ "$right" -gt 10 ] || fail "no variety: the liar does not lie"
exit 0
