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
    # It knows the options of 2001 only.
    printf '%s\n' '#include <unistd.h>' '#undef _POSIX_ASYNCHRONOUS_IO' \
        '#define _POSIX_ASYNCHRONOUS_IO 200112L' >"$work/options.h"
    grep -L 'clock_settime\|stime(\|settimeofday' -- */[0-9]*.c | xargs -n 1 -P "$(nproc)" sh -c '
        mkdir -p "$1/bin/${2%/*}"
        exec gcc -w -O1 -D_GNU_SOURCE -include "$1/options.h" -I../../include -I"${2%/*}" -o "$1/bin/${2%.c}" "$2" \
            -lpthread -lrt -lm 2>>"$1/gcc.log"' - "$work"
    touch "$work/built"
fi
# The same on both sides, at the same time: most of them mostly wait. What fails inside is tried
# once more, alone: some measure how long something takes.
each='cd "$1"; shift; for t in ${*:-*}; do timeout -k 1 '"${EACH:-20}"' "./$t" >/dev/null 2>&1
    echo "$t $?"; done'
LIMIT=900
cd "$work" || exit 1
for t in ${CASES:-$(ls bin)}; do
    natively sh -c "$each" - "bin/$t" >"$work/$t.native" 2>&1 &
    inside sh -c "$each" - "$work/bin/$t" >"$work/$t.inside" 2>&1
    wait
    grep ' 0$' "$work/$t.native" | sort >"$work/passed"
    again=$(sort "$work/$t.inside" | comm -23 "$work/passed" - | cut -d' ' -f1)
    # shellcheck disable=SC2086
    [ -z "$again" ] || inside sh -c "$each" - "$work/bin/$t" $again >>"$work/$t.inside" 2>&1
    case_done "$t" "$(grep -c . "$work/passed")" \
        "$(sort -u "$work/$t.inside" | comm -12 "$work/passed" - | grep -c .)"
done
