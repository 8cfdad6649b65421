# SPDX-License-Identifier: BSD-3-Clause
# occlum mount --rw: the guest tests of files, on a store that this machine has mounted; what
# was written is there afterwards, and what was synced even if the server is killed.
tree=$PWD/docs programs=$(realpath "${BUILD_DIR:-build}")/guest
. tests/cli/lib/instance

[ -w /dev/fuse ] || skip "/dev/fuse is not here"
[ "$(id -u)" -eq 0 ] || command -v fusermount3 >/dev/null || skip "fusermount3 is not here"
pid=
trap '[ -z "$pid" ] || kill $pid 2>/dev/null; cd /; umount -l "$work/at" 2>/dev/null
    rm -rf "$work"' EXIT

mkdir -p at
"$occlum" gen-image-key key || fail "gen-image-key"
"$occlum" store --image-key key new store || fail "new"

# mounted OPTIONS...
mounted() {
    : >out
    "$occlum" mount --image-key key "$@" store at >out 2>err &
    pid=$!
    until grep -q mounted out; do
        if ! kill -0 $pid 2>/dev/null; then
            grep -Eq 'not permitted|Permission|No such device' err &&
                skip "mounting is not allowed here"
            fail "it ended: $(cat err)"
        fi
        sleep 0.05
    done
}
unmounted() {
    umount at 2>/dev/null || fusermount3 -u at || fail "umount"
    wait $pid || fail "after umount: $(cat err)"
    pid=
}
checked() {
    "$occlum" fsck --image-key key store >out 2>&1 || fail "fsck: $(cat out)"
}

mounted --rw
cp -a "$tree" at/tree || fail "cp"
mkdir at/tests
for t in file_rw file_dir file_meta fs_errors fs_random; do
    program=$programs/$t
    [ -x "$program" ] || continue
    TEST_DIR=$work/at/tests "$program" >out 2>&1 || fail "$t: $(tail -3 out)"
done
rm -rf at/tests || fail "rm"
unmounted
checked

mounted
diff -r "$tree" at/tree || fail "the contents differ"
[ "$(ls at)" = tree ] || fail "names: $(ls at)"
(echo x >at/new) 2>/dev/null && fail "it can be written"
unmounted

mounted --rw
echo synced >at/synced
sync at/synced || fail "sync"
i=0
while [ $i -lt 200 ]; do
    echo $i >"at/f$i"
    i=$((i + 1))
done
kill -KILL $pid
wait $pid 2>/dev/null
pid=
umount -l at 2>/dev/null || fusermount3 -u -z at || fail "umount after the kill"
checked
[ "$("$occlum" store --image-key key cat store /synced)" = synced ] || fail "what was synced"
exit 0
