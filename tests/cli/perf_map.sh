#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# --perf-map names the functions of kernel, program and libraries for perf(1), at the addresses
# that programs see; an enclave that is not debuggable gives none.
. tests/apps/lib.sh

compile "$TMPDIR/where" -O1 <<'END'
#include <stdio.h>
__attribute__((noinline)) int function_to_find(int n)
{
    return n * 3;
}
int main(void)
{
    return printf("%lx %lx\n", (unsigned long)function_to_find, (unsigned long)printf) < 0;
}
END
"$OCCLUM" try --quiet --perf-map "$TMPDIR/where" >"$TMPDIR/out" 2>&1 </dev/null &
pid=$!
wait $pid || { cat "$TMPDIR/out"; exit 1; }
map=/tmp/perf-$pid.map
[ -s "$map" ] || { echo "there is no $map"; exit 1; }
read -r own library <"$TMPDIR/out"
grep -q "^$own [0-9a-f]* function_to_find$" "$map" || { echo "not at $own"; failed=1; }
grep -q "^$library [0-9a-f]* _*printf$" "$map" ||
    { echo "printf is not at $library"; failed=1; }
grep -q ' syscall_run$' "$map" || { echo "nothing of the kernel"; failed=1; }
rm -f "$map"

mkdir "$TMPDIR/instance" && cd "$TMPDIR/instance" || exit 1
"$OCCLUM" init >/dev/null && sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json &&
    "$OCCLUM" build >/dev/null 2>&1 || exit 1
"$OCCLUM" run --perf-map /bin/where >out 2>&1 </dev/null
[ $? -eq 125 ] && grep -q 'not debuggable' out || { echo "not refused"; cat out; failed=1; }
exit $failed
