#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The same seeded file operations on this machine's file system and inside on the memory file
# system, the union over the machine's tree, an encrypted store and hostfs: the same results,
# attributes, contents and errors. hostfs has no files without names, so they are left out
# there.
# FS_RANDOM_COUNT=100000 FS_RANDOM_SEEDS='1 2 3' for the long form.
# TIMEOUT: 300
count=${FS_RANDOM_COUNT:-4000}
program=$BUILD_DIR/guest/fs_random
failed=0 skip=

# Who is not root cannot look into everything that was made.
fresh() {
    [ ! -e "$1" ] || chmod -R u+rwx "$1" && rm -rf "$1" && mkdir "$1"
}

differs() {
    diff "$TMPDIR/native.log" "$TMPDIR/$1.log" >"$TMPDIR/diff" && return
    echo "seed $seed: $1 differs from this machine (<):"
    head -20 "$TMPDIR/diff"
    failed=1
}

native() {
    fresh "$TMPDIR/native" || exit 1
    (cd "$TMPDIR/native" && "$program" "$seed" "$count" "$TMPDIR/native.log") && return
    echo "seed $seed: fails natively"
    exit 1
}

inside() {
    where=$1
    shift
    "$OCCLUM" try -q "$@" /bin/sh -c \
        "mkdir -p $where && cd $where && $program $seed $count" >"$TMPDIR/inside.log" 2>&1
    mv "$TMPDIR/inside.log" "$TMPDIR/$kind.log"
}

case $(stat -f -c %T "$TMPDIR") in
ext2/ext3 | xfs) ;;
*) skip=shift ;; # these have not all modes of fallocate
esac
for seed in ${FS_RANDOM_SEEDS:-1 2}; do
    export FS_RANDOM_SKIP="$skip"
    native
    kind=memory inside /tmp/random
    differs memory
    kind=union inside "$TMPDIR/union"
    differs union
    fresh "$TMPDIR/store" || exit 1
    kind=sefs inside "$TMPDIR/store/dir" --store "$TMPDIR/store"
    differs sefs
    export FS_RANDOM_SKIP="tmpfile $skip"
    native
    fresh "$TMPDIR/host" || exit 1
    kind=hostfs inside "$TMPDIR/host/dir" --rw "$TMPDIR/host"
    differs hostfs
done
exit $failed
