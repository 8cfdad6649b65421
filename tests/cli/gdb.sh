#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# occlum gdb: one backtrace from a waiting thread's place in the kernel to the program's main(),
# with the names of both, of a program that is tried and of one in a service; it stops where a
# signal ends a program.
# TIMEOUT: 240
. tests/apps/lib.sh
need gdb

# shows TEXT: the last output of gdb has it
shows() {
    grep -q -- "$1" "$TMPDIR/gdb.out" && return
    echo "gdb does not show: $1"
    tail -40 "$TMPDIR/gdb.out" | cut -c1-200
    failed=1
}

compile "$TMPDIR/waits" -g -O0 -pthread <<'END'
#include <pthread.h>
#include <unistd.h>
static void innermost(void)
{
    for (;;)
        pause();
}
static void *of_thread(void *arg)
{
    innermost();
    return arg;
}
int main(int argc, char **argv)
{
    pthread_t t;
    char c = 'r';
    int *nothing = 0;
    if (argc > 1)
        *nothing = argc;
    pthread_create(&t, 0, of_thread, 0);
    if (write(1, &c, 1) != 1)
        return 1;
    return read(0, &c, 1) < 0;
}
END

# until FILE: it has something in it
until_written() {
    for tries in $(seq 600); do
        [ -s "$1" ] && return
        sleep 0.05
    done
    echo "the program did not begin"
    exit 1
}

# ---- attached to a program that is tried
mkfifo "$TMPDIR/in"
"$OCCLUM" try --quiet "$TMPDIR/waits" <"$TMPDIR/in" >"$TMPDIR/out" 2>&1 &
pid=$!
exec 3>"$TMPDIR/in"
until_written "$TMPDIR/out"
timeout -s KILL 100 "$OCCLUM" gdb $pid -nx -batch -ex 'occlum tasks' -ex 'occlum bt' \
    >"$TMPDIR/gdb.out" 2>&1 </dev/null
if grep -q 'ptrace: Operation not permitted' "$TMPDIR/gdb.out"; then
    echo "gdb may not trace here"
    kill $pid
    exit 77
fi
exec 3>&-
wait $pid
got=$?
[ $got -eq 0 ] || { echo "status $got after gdb has looked"; failed=1; }
shows 'sleeping  *waits'
shows 'sys_pause'
shows 'innermost'
shows 'of_thread'
shows 'in main ('

# ---- started under gdb, and ended by a signal
timeout -s KILL 100 "$OCCLUM" gdb try --quiet "$TMPDIR/waits" crash \
    >"$TMPDIR/gdb.out" 2>&1 <<'END'
tbreak run_loop
run
occlum catch
continue
backtrace
kill
quit
END
shows 'ends_program (info='
shows 'in main (argc=2'

# ---- a service
mkdir "$TMPDIR/instance" && cd "$TMPDIR/instance" || exit 1
"$OCCLUM" new --quiet . >/dev/null 2>&1 || "$OCCLUM" init >/dev/null || exit 1
cat >bom.yaml <<END
targets:
  - target: /bin
    copy:
      - files: [$TMPDIR/waits]
END
"${OCCLUM%/*}/copy_bom" -f bom.yaml --root image >/dev/null &&
    "$OCCLUM" build >/dev/null 2>&1 && "$OCCLUM" start >/dev/null || exit 1
mkfifo in
"$OCCLUM" exec /bin/waits <in >out 2>err &
client=$!
exec 3>in
until_written out
timeout -s KILL 100 "$OCCLUM" gdb -nx -batch -ex 'occlum bt' >"$TMPDIR/gdb.out" 2>&1 </dev/null
exec 3>&-
wait $client
"$OCCLUM" stop >/dev/null
shows 'innermost'
shows 'in main ('
timeout 20 "$OCCLUM" gdb >"$TMPDIR/gdb.out" 2>&1 </dev/null
[ $? -ne 0 ] || { echo "there was no service"; failed=1; }
shows 'no service runs here'
sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json
"$OCCLUM" build >/dev/null 2>&1 || exit 1
timeout 20 "$OCCLUM" gdb run /bin/waits >"$TMPDIR/gdb.out" 2>&1 </dev/null
[ $? -ne 0 ] || { echo "it was not debuggable"; failed=1; }
shows 'is not debuggable'
exit $failed
