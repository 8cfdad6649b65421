# SPDX-License-Identifier: BSD-3-Clause
# Where descriptors end: the program's own limit, and the host's, which is told by another error
# and one line that says what to raise. The host's soft limit does not count.
. tests/apps/lib.sh
need python3
cat >"$TMPDIR/many.py" <<'P'
import errno, resource, socket, sys, time
if sys.argv[1] == 'own':
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
else:
    resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))
listener = socket.create_server(('127.0.0.1', 0), backlog=100)
kept = []
try:
    for i in range(int(sys.argv[2])):
        kept.append(socket.create_connection(listener.getsockname()))
        kept.append(listener.accept()[0])
except OSError as e:
    kept, failed = kept[:-20], errno.errorcode[e.errno]
    print(failed)
# What was closed can be had again, if not at once.
def again(make):
    for i in range(1500):
        try:
            return make()
        except OSError:
            time.sleep(0.02)
listener = again(lambda: socket.create_server(('127.0.0.1', 0), backlog=100))
for i in range(5):
    kept.append(again(lambda: socket.create_connection(listener.getsockname())))
    kept.append(again(listener.accept)[0])
kept[-2].send(b'still there')
print(kept[-1].recv(100).decode())
P
run() {
    (ulimit $1 && shift && try /usr/bin/python3 "$TMPDIR/many.py" "$@") \
        >"$TMPDIR/got" 2>"$TMPDIR/err" </dev/null
}
run '-n 1000' own 200
check_output() {
    printf '%s\n' "$@" | cmp -s - "$TMPDIR/got" && return
    echo "wanted: $*; got:"
    cat "$TMPDIR/got" "$TMPDIR/err"
    failed=1
}
check_output EMFILE 'still there'
[ -s "$TMPDIR/err" ] &&
    { echo 'its own limit is nothing to tell:'; cat "$TMPDIR/err"; failed=1; }
run '-n 400' host 1000
check_output ENFILE 'still there'
[ "$(grep -c 'ulimit -n' "$TMPDIR/err")" = 1 ] ||
    { echo 'no line, or several:'; cat "$TMPDIR/err"; failed=1; }
run '-S -n 200' host 300
check_output 'still there'
exit $failed
