# SPDX-License-Identifier: BSD-3-Clause
# Ten thousand idle connections (or as many as the machine's limit of descriptors allows) use no
# CPU, and one that speaks is heard at once. IDLE: another number; root raises the limit for it.
# TIMEOUT: 180
. tests/apps/lib/server
patience=170
need python3 ps
port=$(free_port)
cat >"$TMPDIR/idle.py" <<'P'
import resource, select, socket, sys
count = int(sys.argv[2])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=4000)
ready, kept = select.epoll(), {}
while len(kept) < count:
    c = listener.accept()[0]
    ready.register(c, select.EPOLLIN)
    kept[c.fileno()] = c
kept[max(kept)].send(b'all')
fd = ready.poll()[0][0]
kept[fd].send(kept[fd].recv(10))
P
cat >"$TMPDIR/clients.py" <<'P'
import resource, socket, sys, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
def dial(n):
    for i in range(600):
        try:
            return socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=100,
                                            source_address=(f'127.0.0.{1 + n // 20000}', 0))
        except ConnectionRefusedError:
            time.sleep(0.1)
def ticks():
    fields = open(f'/proc/{sys.argv[3]}/stat').read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])
kept = [dial(i) for i in range(int(sys.argv[2]))]
assert kept[-1].recv(3) == b'all'
quiet = 1000
for i in range(30): # the quietest of some seconds; half a percent of a CPU is half a tick
    before = ticks()
    time.sleep(1)
    quiet = min(quiet, ticks() - before)
    if quiet <= 1:
        break
kept[len(kept) // 2].send(b'hello')
print(quiet, kept[len(kept) // 2].recv(10).decode())
P
: "${IDLE:=10000}"
[ $IDLE -le 10000 ] || { ulimit -n $((IDLE + 1000)) 2>/dev/null; patience=900; }
limit=$(ulimit -H -n)
[ "$limit" = unlimited ] && limit=20000
count=$((limit - 500))
[ $count -ge 100 ] || { echo "a limit of $limit descriptors"; exit 77; }
[ $count -lt $IDLE ] || count=$IDLE
server_start /usr/bin/python3 "$TMPDIR/idle.py" "$port" $count
enclave=
for try in $(seq 100); do
    enclave=$(ps -o pid= --ppid "$server" | head -1 | tr -d ' ')
    [ -n "$enclave" ] && break
    sleep 0.1
done
got=$(timeout $((patience - 10)) python3 "$TMPDIR/clients.py" "$port" $count "$enclave" 2>&1)
case $got in
'0 hello' | '1 hello') ;;
*)
    echo "$count idle connections: $got"
    head -5 "$TMPDIR/server.out"
    failed=1
    ;;
esac
exit $failed
