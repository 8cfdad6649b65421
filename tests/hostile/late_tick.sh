#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A tick that reaches a thread after its last run of the enclave ends nothing: the runtime
# comes to its end with the program's own status.
. tests/apps/lib.sh
O=${BUILD_DIR:-build}

tools/link-runtime "$O" "$TMPDIR/occlum" || exit 1
OCCLUM_KERNEL=$(cd "$O/lib" && pwd -P)/occlum-kernel.elf
export OCCLUM_KERNEL
"${CC:-gcc}" -shared -fPIC -O1 -D_GNU_SOURCE -I. -o "$TMPDIR/late.so" \
    tests/hostile/late_tick.c || exit 1
for i in 1 2 3; do
    LD_PRELOAD=$TMPDIR/late.so timeout -s KILL 60 "$TMPDIR/occlum" try --quiet /bin/sh -c \
        'sleep 0.01 & wait; exit 7' >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    got=$?
    [ $got -eq 7 ] || { echo "status $got"; cat "$TMPDIR/err"; failed=1; }
    grep -q '^[1-9].* late ticks$' "$TMPDIR/err" || { echo "no tick was late"; failed=1; }
done
exit $failed
