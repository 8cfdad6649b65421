#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Core files of programs inside: gdb shows all threads with the names of program and library; a
# folder of the host gets one from a debuggable enclave only.
# TIMEOUT: 120
. tests/apps/lib.sh
need gdb

compile "$TMPDIR/crashes" -g -O0 -pthread <<'END'
#include <pthread.h>
#include <unistd.h>
static int *nowhere;
static void *of_thread(void *arg)
{
    for (;;)
        pause();
    return arg;
}
static void innermost(int depth)
{
    if (depth)
        innermost(depth - 1);
    else
        *nowhere = 1;
}
int main(void)
{
    pthread_t t;
    pthread_create(&t, 0, of_thread, 0);
    usleep(50000);
    innermost(3);
    return 0;
}
END

shows() {
    grep -q -- "$1" "$TMPDIR/gdb.out" && return
    echo "gdb does not show: $1"
    tail -30 "$TMPDIR/gdb.out" | cut -c1-200
    failed=1
}

mkdir "$TMPDIR/there"
env -u TMPDIR "$OCCLUM" try --quiet --rw "$TMPDIR/there" /bin/sh -c \
    "cd $TMPDIR/there && ulimit -c unlimited && exec $TMPDIR/crashes" >"$TMPDIR/out" 2>&1
got=$?
[ $got -eq 139 ] || { echo "status $got"; cat "$TMPDIR/out"; failed=1; }
timeout -s KILL 60 gdb -q -nx -batch -iex 'set debuginfod enabled off' \
    -ex 'thread apply all bt' "$TMPDIR/crashes" "$TMPDIR/there/core" >"$TMPDIR/gdb.out" 2>&1
shows 'innermost (depth=3)'
shows 'in main ()'
shows 'of_thread'
shows 'Thread 2'

# ---- the same in an instance that keeps secrets
mkdir "$TMPDIR/instance" && cd "$TMPDIR/instance" || exit 1
"$OCCLUM" init >/dev/null || exit 1
cat >bom.yaml <<END
targets:
  - target: /bin
    copy:
      - files: [$TMPDIR/crashes, /bin/dash, /bin/ls]
END
"${OCCLUM%/*}/copy_bom" -f bom.yaml --root image >/dev/null || exit 1
for debuggable in true false; do
    sed -i "s/\"debuggable\": [a-z]*/\"debuggable\": $debuggable/" Occlum.json
    "$OCCLUM" build --reset >/dev/null 2>&1 || exit 1
    rm -f core
    "$OCCLUM" run /bin/dash -c 'ulimit -c unlimited
        cd /host && /bin/crashes; cd /tmp && /bin/crashes; ls -l /tmp/core' >out 2>&1
    grep -q '^-rw-------.* /tmp/core$' out || { echo "no core inside"; cat out; failed=1; }
    [ $debuggable = true ] && wanted=0 || wanted=1
    [ -s core ]
    [ $? -eq $wanted ] || { echo "debuggable: $debuggable"; ls -l; failed=1; }
done
exit $failed
