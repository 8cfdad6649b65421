# SPDX-License-Identifier: BSD-3-Clause
# The static busybox and its applets.
. tests/apps/lib.sh

busybox=$(command -v busybox) || { echo "busybox is not installed"; exit 77; }
same "$busybox" echo hello
same "$busybox" cat /etc/passwd
same "$busybox" sed -n 's/root/ROOT/p' /etc/passwd
same "$busybox" awk -F: '{ n += $3 } END { print n, NR }' /etc/passwd
same "$busybox" grep -c root /etc/passwd
same "$busybox" sha256sum /bin/bash
same "$busybox" seq 1 1000
same "$busybox" ls -l /usr/include
same "$busybox" find /usr/include/linux -name 'i*'
same "$busybox" gzip -c /etc/services
same "$busybox" dc -e '2 10 ^ p'
same "$busybox" vi --help
same "$busybox" no-such-applet

# A hundred applets more, by a script of its shell.
extra="--rw $TMPDIR"
same "$busybox" sh tests/apps/lib/applets "$busybox" "$TMPDIR"
[ "$(grep -c "^== " "$TMPDIR/inside.out")" -ge 110 ] || { echo "no applets"; failed=1; }
exit $failed
