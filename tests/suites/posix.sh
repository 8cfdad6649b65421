# SPDX-License-Identifier: BSD-3-Clause
# The Open POSIX test suite's conformance tests of interfaces; a case is an interface, a test a
# program. Those that set the machine's clock are left out: others work there.
suite=posix
. tests/suites/lib.sh
folder=$(source_of posixtestsuite) ||
    { echo "apt-get source posixtestsuite failed, see $work/apt.log"; exit 77; }
folder=${folder%/}
echo "${folder##*-}" >"$work/version"
cd "$folder/conformance/interfaces" || exit 1
if [ ! -e "$work/built" ]; then
    mkdir -p "$work/bin"
    grep -L 'clock_settime\|stime(\|settimeofday' -- */[0-9]*.c | xargs -n 1 -P "$(nproc)" sh -c '
        mkdir -p "$1/bin/${2%/*}"
        exec gcc -w -O1 -D_GNU_SOURCE -I../../include -I"${2%/*}" -o "$1/bin/${2%.c}" "$2" \
            -lpthread -lrt -lm 2>>"$1/gcc.log"' - "$work"
    touch "$work/built"
fi
# The same on both sides, at the same time: most of them mostly wait.
each='cd "$1"; for t in *; do timeout -k 1 '"${EACH:-20}"' "./$t" >/dev/null 2>&1; echo "$t $?"; done'
LIMIT=900
cd "$work" || exit 1
for t in ${CASES:-$(ls bin)}; do
    natively sh -c "$each" - "bin/$t" >"$work/$t.native" 2>&1 &
    inside sh -c "$each" - "$work/bin/$t" >"$work/$t.inside" 2>&1
    wait
    sed -n 's/ 0$/ 0/p' "$work/$t.native" | sort >"$work/passed"
    case_done "$t" "$(grep -c . "$work/passed")" "$(sort "$work/$t.inside" | comm -12 "$work/passed" - |
        grep -c .)"
done
