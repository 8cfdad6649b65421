#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A first stage: its /bin/init mounts the root in either way, sets what is trusted, or fails and
# stops the start; reports; the key server's demo. TIMEOUT: 240
. tests/cli/lib/instance
source=$OLDPWD
cc -static -O1 -Wall -Werror -o init "$source/tests/cli/lib/init.c" ||
    skip "cc -static does not work"
[ -x /bin/busybox ] || skip "busybox is not here"

new_instance app
cp /bin/busybox image/bin/
sed -i 's/"EXAMPLE"/"MODE", "SECRET", "OTHER"/' Occlum.json
build
one=$(mrenclave)
MODE=call "$occlum" run /bin/busybox true || fail "one stage"
mkdir -p initfs/bin initfs/newroot && cp ../init initfs/bin/init
build
[ "$(mrenclave)" != "$one" ] || fail "the first stage is not measured"

show='echo $$ $SECRET $OTHER; cat /etc/written; ls -d /newroot /bin/init; ls /mnt'
MODE=call SECRET=evil OTHER=mine "$occlum" run /bin/busybox sh -c "$show" >out 2>err
cat >want <<'END'
init: EPERM later
2 trusted mine
by init
Occlum.json
END
head -4 out | diff want - || { cat err; fail "what the second stage sees"; }
grep -q 'newroot: No such' err && grep -q 'bin/init: No such' err ||
    fail "the first stage is still there"
MODE=child "$occlum" run /bin/busybox sh -c 'echo $$; ps -o args | grep -c ini[t]' >out ||
    [ "$(cat out)" = "$(printf '2\n0')" ] || fail "a child of init: $(cat out)"
show='echo x >/f; cat /tmp/moved; grep -c " / " /proc/mounts'
MODE=move "$occlum" run /bin/busybox sh -c "$show" >out 2>err
[ "$(cat out)" = "$(printf 'moved\n1')" ] || { cat out err; fail "mount and move"; }
grep -q 'f: Read-only' err || { cat err; fail "the image is not as mounted"; }

refuses_start() { # MODE EXPRESSION: run and start both say why
    MODE=$1 "$occlum" run /bin/busybox echo ran >out 2>err
    [ $? -eq 125 ] && ! grep -q ran out || fail "$1: it runs"
    grep -q "$2" err || { cat err; fail "$1: no \"$2\""; }
    MODE=$1 "$occlum" start 2>err && fail "$1: it starts"
    grep -q "$2" err || { cat err; fail "$1: start says no \"$2\""; }
}
refuses_start fail 'no key today'
refuses_start fail 'ended with status 3: the start is given up'
refuses_start none 'has mounted no root file system'
refuses_start signal 'killed by signal 9'

MODE=call SECRET=evil "$occlum" start || fail "start"
[ "$("$occlum" exec /bin/busybox sh -c 'echo $SECRET')" = trusted ] || fail "exec"
"$occlum" stop || fail "stop"
MODE=report "$occlum" run /bin/busybox true || fail "reports"
"$occlum" run /nowhere/x 2>err; [ $? -eq 125 ] || fail "no mode"

cd "$work" || exit 1
command -v python3 >/dev/null || fail "python3 is not here; the key server is written in it"
sh "$source/demos/keyserver/run.sh" "$(dirname "$(dirname "$occlum")")" >log 2>&1 ||
    { cat log; fail "demos/keyserver"; }
exit 0
