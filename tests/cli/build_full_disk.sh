#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A disk that fills up while building: a message, the old build intact, nothing half-made.
. tests/cli/lib/instance

[ "$(id -u)" -eq 0 ] || skip "needs root, to mount a small tmpfs"
mkdir disk
mount -t tmpfs -o size=24m occlum-test disk 2>/dev/null || skip "mount is not permitted"
trap 'cd /; umount "$work/disk"; rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=0 # the folder itself will change
export SOURCE_DATE_EPOCH
new_instance disk/inst
mv image ../../image && ln -s ../../image image || fail "mv"
build
before=$(mrenclave)
head -c 30000000 /dev/urandom >image/large
refuses 1 'rootfs.img: .*No space left on device' "$occlum" build
[ "$(mrenclave)" = "$before" ] || fail "the old build changed"
[ ! -e .__occlum_build.new ] || fail "something half-made was left"
# Room for the image, not for the enclave's file behind it.
rm image/large
dd if=/dev/zero of=fill bs=4096 2>/dev/null
truncate -s -200K fill
refuses 1 'No space left on device' "$occlum" build
[ "$(mrenclave)" = "$before" ] || fail "the old build changed"
rm fill
build
[ "$(mrenclave)" = "$before" ] || fail "the same build differs"
exit 0
