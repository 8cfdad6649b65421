#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run: what reaches the program, what comes back, and what is not allowed. TIMEOUT: 120
. tests/cli/lib/instance

busybox=$(command -v busybox) || skip "busybox is not here"
new_instance inst
cp "$busybox" image/bin/busybox || fail "cp"
ln -s busybox image/bin/sh
cp "$busybox" image/opt/busybox
echo "not a program" >image/bin/text
chmod 755 image/bin/text
cp image/bin/text image/bin/plain
chmod 644 image/bin/plain
echo secret >outside
build

# status WANT COMMAND...: the exit status; standard output stays in ../out.
status() {
    want=$1
    shift
    "$@" >../out 2>../err </dev/null
    got=$?
    [ $got -eq "$want" ] || { cat ../out ../err; fail "status $got, not $want: $*"; }
}
says() {
    [ "$(cat ../out)" = "$1" ] || { cat ../out ../err; fail "said that instead of \"$1\""; }
}

status 0 "$occlum" run /bin/busybox true
for n in 0 1 7 127 128 255; do
    status $n "$occlum" run /bin/sh -c "exit $n"
done
status 137 "$occlum" run /bin/sh -c 'kill -9 $$'
status 143 "$occlum" run /bin/sh -c 'kill -15 $$'
status 0 "$occlum" run /bin/busybox echo 'two words' '' '*'
says "two words  *"
status 0 "$occlum" run /bin/busybox cat /etc/greeting
says hello
status 0 "$occlum" run /bin/busybox cat /host/outside
says secret

# The environment: the default, what may be overridden, nothing else.
EXAMPLE=passed OTHER=blocked
export EXAMPLE OTHER
status 0 "$occlum" run /bin/sh -c 'echo $OCCLUM-$EXAMPLE-$OTHER'
says "yes-passed-"
TERM=a-terminal status 0 "$occlum" run /bin/sh -c 'echo $TERM $HOME ${PATH#*sbin:}'
says "a-terminal /root /usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The root, which is kept, and /tmp can be written; the image stays as it is.
status 0 "$occlum" run /bin/sh -c 'echo new >/etc/new && read -r y </etc/new && echo $y'
says new
status 0 "$occlum" run /bin/busybox cat /etc/new
says new
[ ! -e image/etc/new ] || fail "the image has changed"
status 0 "$occlum" run /bin/sh -c 'echo x >/tmp/f && read -r y </tmp/f && echo $y'
says x

status 127 "$occlum" run /bin/missing
[ -s ../err ] || fail "no message for a program that is missing"
status 126 "$occlum" run /bin/plain
status 126 "$occlum" run /opt/busybox true
refuses 125 'PROGRAM is missing, and Occlum.json has no process.command' "$occlum" run
refuses 127 'bin/busybox: not an absolute path' "$occlum" run bin/busybox

# A bit flipped in the image: a program that reads it fails, and does not see it.
head -c 300000 /dev/zero | tr '\0' 'A' >image/etc/letters
build
status 0 "$occlum" run /bin/busybox md5sum /etc/letters
cp ../out ../sum
at=$(grep -abo 'AAAAAAAAAAAAAAAA' build/rootfs.img | sed -n '3000s/:.*//p')
[ -n "$at" ] || fail "the file is not in the image"
flip build/rootfs.img "$at"
"$occlum" run /bin/busybox md5sum /etc/letters >../out 2>../err && fail "read damaged data"
grep -q 'Input/output error' ../err || { cat ../err; fail "no I/O error"; }
[ "$(cat ../out)" != "$(cat ../sum)" ] || fail "a sum in spite of it"
exit 0
