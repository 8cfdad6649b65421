#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# start, exec, ps, kill, logs, stop: what they do, their statuses, many at once, killed
# clients, a killed service. TIMEOUT: 240
. tests/cli/lib/instance

trap '[ "$("$occlum" status 2>/dev/null)" = running ] && kill -9 "$(cat run/.occlum_service)"
    cd /; rm -rf "$work"' EXIT
new_instance "inst with blank ü"
{
    echo 'targets:'
    echo '  - target: /bin'
    echo '    copy:'
    echo '      - files:'
    for program in dash true sleep cat echo pwd id tty; do
        echo "          - /bin/$program"
    done
} >../bom.yaml
"$(dirname "$occlum")/copy_bom" -f ../bom.yaml --root image >../bom.log 2>&1 ||
    { cat ../bom.log; fail "copy_bom"; }
ln -s dash image/bin/sh
cp image/bin/true image/opt/true

refuses 1 'no service runs here' "$occlum" ps
refuses 1 'no service runs here' "$occlum" kill all
refuses 1 'no service runs here' "$occlum" stop
refuses 125 'no service runs here' "$occlum" exec /bin/true
refuses 125 'not built' "$occlum" start
build

# status WANT COMMAND...: the exit status; standard output stays in ../out.
status() {
    want=$1
    shift
    "$@" >../out 2>../err
    got=$?
    [ $got -eq "$want" ] || { cat ../out ../err; fail "status $got, not $want: $*"; }
}
says() {
    [ "$(cat ../out)" = "$1" ] || { cat ../out ../err; fail "said that instead of \"$1\""; }
}

status 0 "$occlum" status
says built
status 0 "$occlum" start
status 0 "$occlum" status
says running
refuses 125 'already' "$occlum" start
[ "$(stat -c %a run/occlum.sock)" = 600 ] || fail "the socket is not its owner's alone"

# Statuses, arguments, streams.
for n in 0 1 42 255; do
    status $n "$occlum" exec /bin/sh -c "exit $n"
done
status 143 "$occlum" exec /bin/sh -c 'kill -15 $$'
status 0 "$occlum" exec /bin/echo 'two words' '' '*'
says "two words  *"
echo through | status 0 "$occlum" exec /bin/cat
says through
status 0 "$occlum" exec /bin/sh -c 'echo out; echo err >&2'
says out
grep -q '^err$' ../err || fail "no standard error"
head -c 3000000 /dev/zero >../zeros
status 0 "$occlum" exec /bin/cat <../zeros
cmp -s ../zeros ../out || fail "bytes were lost"
status 127 "$occlum" exec /bin/missing
status 126 "$occlum" exec /opt/true
grep -q entry_points ../err || fail "no word of the entry points"
status 0 "$occlum" exec -w /etc /bin/pwd
says /etc
status 125 "$occlum" exec -w /nowhere /bin/pwd
status 0 "$occlum" exec -u 1000:100 /bin/sh -c 'id -u; id -g'
says "1000
100"
EXAMPLE=passed OTHER=blocked
export EXAMPLE OTHER
status 0 "$occlum" exec /bin/sh -c 'echo $OCCLUM-$EXAMPLE-$OTHER'
says "yes-passed-"
status 0 "$occlum" exec /bin/sh -c 'cat /etc/greeting >&- ; echo $?' </dev/null
status 1 "$occlum" exec -T /bin/tty </dev/null

# What is given wrongly: one line.
refuses 125 'not an option' "$occlum" exec -x /bin/true
refuses 125 'PROGRAM is missing' "$occlum" exec -d
refuses 127 'not an absolute path' "$occlum" exec true
refuses 125 'not UID' "$occlum" exec -u me /bin/true
refuses 2 'not a signal' "$occlum" kill -s NONSENSE all
refuses 2 'not a process' "$occlum" kill 1x
refuses 1 'No such process' "$occlum" kill 4000000
refuses 2 'not an option' "$occlum" ps --xml
refuses 2 'not a number of seconds' "$occlum" stop -t soon

# ps, kill.
status 0 "$occlum" exec -d /bin/sleep 1000
pid=$(cat ../out)
status 0 "$occlum" ps
grep -Eq "^ *$pid S .*/bin/sleep 1000\$" ../out || { cat ../out; fail "ps does not show it"; }
status 0 "$occlum" ps --json
grep -q "\"pid\": $pid" ../out || { cat ../out; fail "ps --json does not show it"; }
status 0 "$occlum" kill -s KILL "$pid"
status 0 "$occlum" logs
for i in $(seq 200); do
    grep -q 'ended, wait status 9' ../out && break
    status 0 "$occlum" logs
done
grep -q 'ended, wait status 9' ../out || { cat ../out; fail "the log does not tell its end"; }

# A client's signals are its program's; a killed client leaves the service as it was.
"$occlum" exec /bin/sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.01; done' \
    >../ready &
client=$!
for i in $(seq 1000); do grep -q ready ../ready && break; sleep 0.01; done
kill -TERM $client
wait $client
[ $? -eq 9 ] || fail "SIGTERM did not reach the program"
for i in 1 2 3 4 5; do
    "$occlum" exec /bin/cat >/dev/null 2>/dev/null &
    client=$!
    kill -9 $client
    wait $client 2>/dev/null
done
status 0 "$occlum" exec /bin/echo alive
says alive
status 0 "$occlum" kill -9 all

# 200 at once.
mkdir ../many
for i in $(seq 200); do
    "$occlum" exec /bin/sh -c "sleep 0.2; echo $i; exit $((i % 100))" >../many/$i \
        2>../many/$i.err </dev/null || echo $? >../many/$i.status &
done
wait
for i in $(seq 200); do
    want=$((i % 100))
    got=$(cat ../many/$i.status 2>/dev/null || echo 0)
    [ "$got" -eq $want ] || { cat ../many/$i.err; fail "$i of many: status $got"; }
    [ "$(cat ../many/$i)" = $i ] || fail "$i of many: output"
done

# stop: TERM, and KILL for those that do not listen.
status 0 "$occlum" exec -d /bin/sh -c 'trap "" TERM; while :; do sleep 1; done'
status 0 "$occlum" stop -t 1
status 0 "$occlum" status
says built
[ ! -e run/occlum.sock ] || fail "the socket was left behind"

# A service that is killed is recognised, and another one can be started.
status 0 "$occlum" start
kill -9 "$(cat run/.occlum_service)"
for i in $(seq 500); do
    [ "$("$occlum" status)" = built ] && break
done
refuses 125 'no service runs here' "$occlum" exec /bin/true
status 0 "$occlum" start
status 0 "$occlum" exec /bin/echo again
says again

# Nonsense on the socket.
command -v python3 >/dev/null && {
    python3 - <<'END' || fail "nonsense on the socket"
import os, socket, struct
def ask(data, fds=(), end=False):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect("run/occlum.sock")
    if fds:
        socket.send_fds(s, [data], list(fds))
    else:
        s.sendall(data)
    if end:
        s.shutdown(socket.SHUT_WR)
    got = b""
    try:
        while more := s.recv(65536):
            got += more
    except ConnectionResetError:
        pass
    return got
def frame(kind, value, payload):
    return struct.pack("<IIQq", 0x4c54434f, kind, len(payload), value) + payload
head = struct.pack("<I3iIIIIHHI", 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0)
ask(b"x" * 100)
ask(struct.pack("<IIQq", 0x4c54434f, 1, 1 << 40, 0))
assert b"malformed" in ask(frame(1, 0, b"short"))
assert b"streams" in ask(frame(1, 0, head + b"/bin/true\0/\0true\0"))
r = os.open("/dev/null", os.O_RDWR)
for body in (b"", b"/bin/true", b"/bin/true\0/\0", b"bin\0/\0true\0", b"/bin/true\0/\0a\0b\0"):
    assert b"malformed" in ask(frame(1, 0, head + body), (r, r, r)), body
big = struct.pack("<I3iIIIIHHI", 0, 0, 1, 2, 0xffffffff, 0xffffffff, 0, 0, 0, 0, 0)
assert b"malformed" in ask(frame(1, 0, big + b"/bin/true\0/\0true\0"), (r, r, r))
assert b"unknown" in ask(frame(50, 0, b""))
ask(frame(2, 9, b"") * 100 + frame(3, -1, b"") * 100, end=True)
ask(frame(1, 0, head + b"/bin/true\0/\0true\0"), (r,) * 3 + (r,) * 50, end=True)
END
}
status 0 "$occlum" exec /bin/echo still
says still
status 0 "$occlum" stop
exit 0
