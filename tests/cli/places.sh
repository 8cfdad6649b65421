#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An instance that was moved, that is read-only, that is another user's; a service that was
# killed at any moment. CROWD: programs linked at one address, at once. TIMEOUT: 240
. tests/cli/lib/instance
[ -x /bin/busybox ] || skip "busybox is not here"
trap '[ "$("$occlum" status 2>/dev/null)" = running ] && kill -9 "$(cat run/.occlum_service)"
    cd /; rm -rf "$work"' EXIT
new_instance "a place"
cp /bin/busybox image/bin/
build
"$occlum" run /bin/busybox sh -c 'echo kept >/f' || fail "run"

# Moved, with what was written; what it measures is the same.
measured=$(mrenclave)
mkdir ../wo\ anders && mv "../a place" "../wo anders/ünser" || fail "mv"
cd "../wo anders/ünser" || fail "cd"
[ "$("$occlum" run /bin/busybox cat /f)" = kept ] || fail "the moved instance"
[ "$(mrenclave)" = "$measured" ] || fail "another MRENCLAVE"

# A service that is killed, again and again; then it starts as if nothing had been.
for moment in 1 2 3 4 5; do
    "$occlum" start || fail "start $moment"
    pid=$(cat run/.occlum_service)
    "$occlum" exec /bin/busybox sh -c "i=0; while :; do i=\$((i+1)); echo \$i >/moment; done" \
        >"$work/client" 2>&1 &
    client=$!
    "$occlum" exec /bin/busybox true
    kill -9 "$pid"
    wait "$client"
    got=$?
    case $got in
    125 | 137) ;; # told by the connection, or by the program's own end
    *) cat "$work/client"; fail "the client of a killed service: $got" ;;
    esac
    tries=0 # its process may take a while to be gone
    until [ "$("$occlum" status)" = built ] || [ $tries -eq 3000 ]; do
        tries=$((tries + 1))
    done
    [ $tries -lt 3000 ] || fail "status after the kill"
done
"$occlum" start || fail "start after the kills"
[ "$("$occlum" exec /bin/busybox cat /f)" = kept ] || fail "what was kept"

# Each with its own status.
crowd=${CROWD:-40}
for i in $(seq "$crowd"); do
    "$occlum" exec /bin/busybox sh -c "exit $((i % 100))" </dev/null 2>"$work/err.$i" &
    eval "pid_$i=$!"
done
for i in $(seq "$crowd"); do
    eval "wait \$pid_$i"
    got=$?
    [ $got -eq $((i % 100)) ] || { cat "$work/err.$i"; fail "exec $i of $crowd: status $got"; }
done
"$occlum" stop || fail "stop"

# Not ours to write: as another user, or on a file system that is read-only.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$work" "$work/wo anders"
    other() {
        HOME=/ setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    }
    if other sh -c '"$1" version' - "$occlum" >/dev/null 2>&1; then # else it may not look here
        refuses 125 'run/root: what programs write .*Permission denied' \
            other "$occlum" run /bin/busybox true
        refuses 125 'Permission denied' other "$occlum" start
        refuses 1 'Permission denied' other "$occlum" build
        cp -r . "$work/theirs" && chown -R 65534:65534 "$work/theirs"
        cd "$work/theirs" || fail "cd"
        [ "$(other "$occlum" run /bin/busybox cat /f)" = kept ] || fail "another user's copy"
        other "$occlum" start || fail "another user's start"
        [ "$(other "$occlum" exec /bin/busybox echo hi)" = hi ] || fail "another user's exec"
        other "$occlum" stop || fail "another user's stop"
        cd "$work/wo anders/ünser" || fail "cd"
    fi
fi
read_only() {
    unshare -m sh -c 'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" &&
        exec "$@"' - "$@"
}
if read_only true 2>/dev/null; then
    refuses 125 'run/root: what programs write .*Read-only' \
        read_only "$occlum" run /bin/busybox true
    refuses 125 'Read-only' read_only "$occlum" start
    [ "$(read_only "$occlum" status)" = built ] || fail "status of a read-only instance"
    read_only "$occlum" package --debug "$work/p.tgz" >/dev/null || fail "package"
fi
exit 0
