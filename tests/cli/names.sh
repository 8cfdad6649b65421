#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# /etc/resolv.conf, /etc/hosts and /etc/hostname: an image that has them keeps its own, else the
# host's are taken. TIMEOUT: 60
. tests/cli/lib/instance

busybox=$(command -v busybox) || skip "busybox is not here"
new_instance inst
cp "$busybox" image/bin/busybox || fail "cp"
rm -f image/etc/resolv.conf image/etc/hosts image/etc/hostname
echo "10.9.8.7 of-the-image" >image/etc/hosts
build
[ "$("$occlum" run /bin/busybox cat /etc/hosts)" = "10.9.8.7 of-the-image" ] ||
    fail "the image's /etc/hosts is gone"
for file in /etc/resolv.conf /etc/hostname; do
    [ -s "$file" ] || continue
    "$occlum" run /bin/busybox cat $file >../got 2>../err
    # What the host has may be refused, with a line that says so.
    cmp -s $file ../got || grep -q "the host's $file is not" ../err ||
        fail "the host's $file did not get in"
done
exit 0
