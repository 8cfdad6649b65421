#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# try: a program of this machine, its statuses, its surroundings, what it may write.
# TIMEOUT: 120
. tests/cli/lib/instance

busybox=$(command -v busybox) || skip "busybox is not here"
umask 022

status() {
    want=$1
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ $got -eq "$want" ] || { cat "$work/out" "$work/err"; fail "status $got, not $want: $*"; }
}
says() {
    [ "$(cat "$work/out")" = "$1" ] || {
        cat "$work/out" "$work/err"
        fail "said that instead of \"$1\""
    }
}

status 0 "$occlum" try "$busybox" true
grep -q 'untrusted' "$work/err" || fail "it does not say that the root is untrusted"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "it says more than once"
status 0 "$occlum" try --quiet "$busybox" true
[ ! -s "$work/err" ] || fail "--quiet is not quiet"
for n in 1 42 255; do
    status $n "$occlum" try -q "$busybox" sh -c "exit $n"
done
status 137 "$occlum" try -q "$busybox" sh -c 'kill -9 $$'
if command -v bash >/dev/null; then
    status 125 bash -c 'ulimit -i 0; exec "$0" try -q "$1" true' "$occlum" "$busybox"
    grep -q 'ulimit -i' "$work/err" || fail "it does not say which limit is reached"
fi
status 0 "$occlum" try -q busybox echo 'two words' '' '*'
says "two words  *"
FROM_OUTSIDE=here
export FROM_OUTSIDE
status 0 "$occlum" try -q busybox sh -c 'echo $FROM_OUTSIDE'
says here
mkdir -p "$work/dir"
cd "$work/dir" || fail "cd"
status 0 "$occlum" try -q busybox pwd
says "$work/dir"

# A folder of PATH that may not be searched holds nothing; a file that is no program is refused.
mkdir closed && chmod 0 closed && echo >"no-program"
as_user=
[ "$(id -u)" -ne 0 ] || as_user="setpriv --reuid=65534 --regid=65534 --clear-groups"
if $as_user test -x "$occlum"; then
    status 127 $as_user env PATH="$work/dir/closed:$PATH" "$occlum" try -q no-such-program
fi
status 126 env PATH="$work/dir:$PATH" "$occlum" try -q no-program
rmdir closed

# What is written to the machine's tree stays inside; --rw opens a directory of it.
echo data >file
status 0 "$occlum" try -q busybox cat file
says data
status 0 "$occlum" try -q busybox sh -c 'echo changed >file; echo x >new; cat file; rm new'
says changed
[ "$(cat file)" = data ] && [ ! -e new ] || fail "the root was written"
status 0 "$occlum" try -q --rw "$work/dir" busybox sh -c 'echo written >new'
[ "$(cat new)" = written ] || fail "--rw was not written"
status 0 "$occlum" try -q --rw "$work/dir" busybox touch "$work/beside"
[ ! -e "$work/beside" ] || fail "something beside --rw was written"

# Another root.
mkdir -p "$work/root/bin" "$work/root/etc" "$work/root/dev" "$work/root/proc" "$work/root/tmp"
mkdir "$work/root/data"
cp "$busybox" "$work/root/bin/busybox"
echo inside >"$work/root/etc/place"
status 0 "$occlum" try -q --root "$work/root" /bin/busybox cat /etc/place
says inside
status 0 "$occlum" try -q --root "$work/root" --rw "$work/root/data" /bin/busybox touch /data/x
[ -e "$work/root/data/x" ] || fail "--rw below --root"
refuses 127 'sh: No such file' "$occlum" try -q --root "$work/root" sh
exit 0
