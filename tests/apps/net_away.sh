# SPDX-License-Identifier: BSD-3-Clause
# The network goes away and comes back, in a namespace of its own: new connections fail as they
# do natively, one that was there waits and goes on, and all works again afterwards.
# TIMEOUT: 200
. tests/apps/lib.sh
need python3 unshare ip mkfifo
as=
[ "$(id -u)" = 0 ] || as=-r
unshare $as -n ip link set lo up 2>/dev/null || { echo "no network namespaces here"; exit 77; }

cat >"$TMPDIR/echo.py" <<'P'
import socket, threading
l = socket.create_server(('127.0.0.1', 7001))
print('ready', flush=True)
def serve(c):
    while data := c.recv(100):
        c.sendall(data)
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
P
cat >"$TMPDIR/client.py" <<'P'
import errno, socket, sys
def attempt(what):
    try:
        return what()
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
def fresh(patience=60):
    with socket.create_connection(('127.0.0.1', 7001), timeout=patience) as c:
        c.sendall(b'fresh')
        return c.recv(100)
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return s.sendto(b'x', ('127.0.0.1', 7001))
def say(word):
    print(word, flush=True)
    return sys.stdin.readline()
old = socket.create_connection(('127.0.0.1', 7001), timeout=60)
old.sendall(b'one')
print(old.recv(100), attempt(fresh), attempt(datagram))
say('take it away')
print(attempt(lambda: fresh(1)), attempt(datagram))
print(attempt(lambda: old.send(b'two')))
say('bring it back')
print(old.recv(100), attempt(fresh), attempt(datagram))
P
cat >"$TMPDIR/scene" <<'E'
cd "$1" && shift
ip link set lo up
/usr/bin/python3 echo.py >ready &
server=$!
until grep -q ready ready; do kill -0 $server || exit 1; sleep 0.05; done
rm -f in out && mkfifo in out
timeout 90 "$@" /usr/bin/python3 "$PWD/client.py" <in >out 2>err &
client=$!
exec 3>in
while read -r line; do
    echo "$line"
    case $line in
    'take it away') ip link set lo down; echo >&3 ;;
    'bring it back') ip link set lo up; echo >&3 ;;
    esac
done <out
wait $client
echo "status $?"
cat err
kill $server
E
unshare $as -n sh "$TMPDIR/scene" "$TMPDIR" env >"$TMPDIR/natively"
occlum=$(readlink -f "$OCCLUM")
unshare $as -n sh "$TMPDIR/scene" "$TMPDIR" env -u TMPDIR "$occlum" try --quiet \
    >"$TMPDIR/inside"
if ! grep -q 'status 0' "$TMPDIR/natively"; then
    cat "$TMPDIR/natively"
    echo "not even natively"
    exit 77
fi
if ! cmp -s "$TMPDIR/natively" "$TMPDIR/inside"; then
    diff "$TMPDIR/natively" "$TMPDIR/inside"
    failed=1
fi
exit $failed
