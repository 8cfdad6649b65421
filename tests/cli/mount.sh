# SPDX-License-Identifier: BSD-3-Clause
# occlum mount: a store as a file system of this machine, read-only.
. tests/cli/lib/instance

[ -w /dev/fuse ] || skip "/dev/fuse is not here"
[ "$(id -u)" -eq 0 ] || command -v fusermount3 >/dev/null || skip "fusermount3 is not here"
pid=
trap '[ -z "$pid" ] || kill $pid 2>/dev/null; cd /; umount -l "$work/at" 2>/dev/null
    rm -rf "$work"' EXIT

mkdir -p tree/sub/deep at
for i in $(seq 700); do echo "file $i" >"tree/sub/f-$i"; done
seq 200000 >tree/big
truncate -s 3000001 tree/holes
echo end >>tree/holes
ln -s sub/f-1 tree/link
chmod 640 tree/big
"$occlum" gen-image-key key || fail "gen-image-key"
s="$occlum store --image-key key"
$s new store || fail "new"
$s import store tree || fail "import"

: >out
"$occlum" mount --image-key key store at >out 2>err &
pid=$!
until grep -q mounted out; do
    if ! kill -0 $pid 2>/dev/null; then
        grep -Eq 'not permitted|Permission|No such device' err &&
            skip "mounting is not allowed here"
        fail "it ended: $(cat err)"
    fi
    sleep 0.05
done
diff -r tree at || fail "the contents differ"
[ "$(readlink at/link)" = sub/f-1 ] || fail "the link"
[ "$(stat -c '%a %s %h' at/big)" = "$(stat -c '%a %s %h' tree/big)" ] || fail "attributes"
[ "$(find at | wc -l)" -eq "$(find tree | wc -l)" ] || fail "names"
(echo x >at/new) 2>/dev/null && fail "it can be written"
[ ! -e at/none ] || fail "what is not there"
$s ls store >/dev/null 2>&1 || fail "others cannot look meanwhile"
$s import store tree >/dev/null 2>&1 && fail "it is written while it is mounted"
kill $pid
wait $pid || fail "the end: $(cat err)"
pid=
[ -z "$(ls at)" ] || fail "it is still mounted"

# Damage is an error of those who read it.
size=$(stat -c %s store)
for place in 5 6 7; do flip store $((size * place / 10)); done
: >out
"$occlum" mount --image-key key store at >out 2>err &
pid=$!
until grep -q mounted out; do
    if ! kill -0 $pid 2>/dev/null; then
        wait $pid
        pid=
        grep -q 'not what was written' err || fail "damaged: $(cat err)"
        exit 0 # it was the root's own block
    fi
    sleep 0.05
done
diff -r tree at >out 2>&1 && fail "nobody notices the damage"
grep -q 'Input/output error' out || fail "damaged: $(cat out)"
umount at 2>/dev/null || fusermount3 -u at || fail "umount"
wait $pid || fail "after umount: $(cat err)"
pid=
exit 0
