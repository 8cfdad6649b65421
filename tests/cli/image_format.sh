#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The image by other people's tools: fsck.erofs, veritysetup, and the Linux kernel, which must
# show the very tree that went in. TIMEOUT: 120
. tests/cli/lib/instance

new_instance inst
cd image || fail "cd"
: >empty
ln empty again
for n in 1 4031 4032 4033 4095 4096 4097 8192 100000; do
    head -c $n /dev/urandom >size.$n
done
mkdir big '!before-dots' deep
i=0
while [ $i -lt 600 ]; do
    echo $i >"big/a name of some length, so that blocks fill up $i"
    i=$((i + 1))
done
ln -s ../etc/hosts link
ln -s "$(head -c 4095 /dev/zero | tr '\0' x)" longlink
mkfifo fifo
chmod 4711 size.1
touch -d @-5 size.4096
touch -d @4102444800.123456789 size.4097
truncate -s 5000000 hole
mkdir -p deep/1/2/3/4/5/6/7/8/9
if [ "$(id -u)" -eq 0 ]; then
    mknod chr c 5 1
    mknod blk b 259 70000
    chown 70000:70001 size.8192
    chmod 000 size.4095
fi
command -v setfattr >/dev/null && setfattr -n user.key -v value size.100000
cd ..
build
image=build/rootfs.img

command -v fsck.erofs >/dev/null || skip "fsck.erofs is not here"
fsck.erofs "$image" >../fsck 2>&1 || { cat ../fsck; fail "fsck.erofs"; }

blocks=$(od -An -tu4 -j $((1024 + 36)) -N 4 "$image" | tr -d ' ')
root=$(dd if="$image" bs=4096 skip="$blocks" count=1 2>/dev/null | sha256sum | cut -d' ' -f1)
verify() {
    veritysetup verify --no-superblock --salt=- --format=1 --hash=sha256 \
        --data-block-size=4096 --hash-block-size=4096 --data-blocks="$blocks" \
        --hash-offset=$((blocks * 4096)) "$1" "$1" "$root" 2>&1
}
PATH=$PATH:/sbin:/usr/sbin
command -v veritysetup >/dev/null || skip "veritysetup is not here; fsck.erofs passed"
verify "$image" || fail "veritysetup"
# The root hash is part of the measured configuration.
od -An -v -tx1 build/enclave.sgxs | tr -d ' \n' | grep -q "$root" ||
    fail "the root hash is not measured"
cp "$image" ../bad.img
flip ../bad.img $((blocks * 2048))
verify ../bad.img >/dev/null && fail "veritysetup accepts a flipped bit"

[ "$(id -u)" -eq 0 ] || skip "needs root to mount; fsck.erofs and veritysetup passed"
mkdir ../mnt
mount -o loop,ro -t erofs "$image" ../mnt 2>/dev/null ||
    skip "the kernel cannot mount EROFS by loop; fsck.erofs and veritysetup passed"
trap 'cd /; umount "$work/mnt"; rm -rf "$work"' EXIT
show() {
    (cd "$1" && find . -mindepth 1 ! -type d -printf '%p %y %m %U %G %s %T@ %n %l\n' &&
        find . -mindepth 1 -type d -printf '%p %m %U %G %T@ %n\n') | sort
}
show image >../in
show ../mnt >../out
diff ../in ../out || fail "the mounted tree differs"
(cd image && find . -type f -exec sha256sum {} +) | sort >../in
(cd ../mnt && find . -type f -exec sha256sum {} +) | sort >../out
diff ../in ../out || fail "contents differ"
[ "$(wc -l <../in)" -gt 600 ] || fail "too few files were compared"
[ ../mnt/empty -ef ../mnt/again ] || fail "a hard link became two files"
if [ -e image/blk ]; then
    [ "$(stat -c '%t:%T' image/blk image/chr)" = "$(cd ../mnt && stat -c '%t:%T' blk chr)" ] ||
        fail "device numbers"
fi
if command -v getfattr >/dev/null; then
    getfattr --only-values -n user.key ../mnt/size.100000 2>&1 | grep -q '^value' ||
        fail "xattr"
fi
exit 0
