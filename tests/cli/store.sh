# SPDX-License-Identifier: BSD-3-Clause
# Stores from outside and from inside: keys, copying in and out, the check, what the file shows
# to somebody without the key, states that are too old.
# TIMEOUT: 120
. tests/cli/lib/instance

secret="a secret that nobody outside may see"
mkdir -p tree/confidential-name
for i in $(seq 200); do echo "$secret $i" >"tree/confidential-name/file-$i"; done
yes "$secret" | head -c 300000 >tree/big
ln -s confidential-name/file-1 tree/link
ln tree/big tree/hard

"$occlum" gen-image-key key || fail "gen-image-key"
grep -Eqx '([0-9a-f]{2}-){15}[0-9a-f]{2}' key || fail "the key's form"
"$occlum" gen-image-key key 2>/dev/null && fail "an old key is overwritten"
"$occlum" gen-image-key --256 other || fail "gen-image-key --256"
s="$occlum store --image-key key"
$s new store || fail "new"
$s import store tree || fail "import"
"$occlum" fsck --image-key key store >out || fail "fsck"
grep -q ' 0 problems' out || fail "fsck: $(cat out)"
$s export store / copy || fail "export"
diff -r tree copy || fail "the copy differs"
[ "$(readlink copy/link)" = confidential-name/file-1 ] || fail "the link"
$s cat store big | cmp - tree/big || fail "cat"
$s ls store / | grep -q confidential-name || fail "ls"
"$occlum" fsck --image-key other store >/dev/null 2>err && fail "another key opens it"
grep -q 'another key' err || fail "another key: $(cat err)"

# Inside, with the key: in an instance, whose programs may mount.
new_instance mounter
{
    echo 'targets:'
    echo '  - target: /bin'
    echo '    copy:'
    echo '      - files:'
    for program in sh mount umount cmp mkdir; do echo "          - $(command -v $program)"; done
} >../mounter.yaml
"$(dirname "$occlum")/copy_bom" -f ../mounter.yaml --root image >../bom.log 2>&1 ||
    { cat ../bom.log; fail "copy_bom"; }
chmod u-s image/bin/mount image/bin/umount
mkdir -p image/mnt image/host
echo '{"mount": [{"target": "/host", "type": "hostfs", "source": "..",
    "options": {"readonly": true}}]}' >Occlum.json
build
cd ..
# inside OPTIONS SCRIPT: with the store on /mnt
inside() {
    (cd mounter && "$occlum" run /bin/sh -c \
        "mount -i -t sefs -o key=$(cat ../key),$1 $work/store /mnt && $2")
}
first=$("$occlum" print root store)
inside disk_size=64M "cmp /mnt/big /host/tree/big && echo '$secret' >/mnt/new &&
    mkdir /mnt/dir && umount /mnt && [ ! -e /mnt/new ]" || fail "mounting it"
"$occlum" fsck --image-key key store >out || fail "fsck after mounting: $(cat out)"
[ "$($s cat store new)" = "$secret" ] || fail "what was written inside"
second=$("$occlum" print root store)
[ "$first" != "$second" ] || fail "the root is still $first"

# A state that is too old, in place of the new one.
cp store old
inside "root=$second" "echo more >/mnt/more && umount /mnt" || fail "the right root is refused"
third=$("$occlum" print root store)
cp old store
inside "root=$third" true >out 2>&1 && fail "an old state is mounted"
grep -q 'not the state that was required' out || fail "an old state: $(cat out)"

# Without the key there is nothing to be seen but the size.
for word in "$secret" confidential file-1 hard; do
    LC_ALL=C grep -aq "$word" store && fail "the store shows $word"
done
gzip -c store | wc -c >packed
[ "$(cat packed)" -gt "$(($(du -B1 store | cut -f1) * 8 / 10))" ] || fail "it has a pattern"

# A changed byte is found, and only what it belongs to is lost.
printf '\377' | dd of=store bs=1 seek=120000 conv=notrunc 2>/dev/null
printf '\0' | dd of=store bs=1 seek=120001 conv=notrunc 2>/dev/null
"$occlum" fsck --image-key key store >out 2>err
[ $? -eq 1 ] || fail "fsck does not see it: $(cat out)"
grep -q 'not what was written there' err || fail "fsck does not say where"

# A sealed store belongs to its enclave.
mkdir d
"$occlum" try --quiet --store "$work/d" sh -c "echo kept >$work/d/x" || fail "a sealed store"
"$occlum" try --quiet --store "$work/d" grep -qx kept "$work/d/x" || fail "it is not kept"
"$occlum" fsck --image-key key d/store 2>err && fail "a given key opens a sealed store"
grep -q 'sealed' err || fail "sealed: $(cat err)"

# In an instance.
new_instance inst
"$(dirname "$occlum")/copy_bom" -f ../mounter.yaml --root image >../bom.log 2>&1 ||
    fail "copy_bom: $(cat ../bom.log)"
cat >Occlum.json <<'JSON'
{"resource_limits": {"user_space_size": "64MB"}, "entry_points": ["/bin"], "mount": [
 {"target": "/data", "type": "sefs", "source": "run/data", "options": {"disk_size": "64MB"}}]}
JSON
build
"$occlum" run /bin/sh -c 'echo kept >/data/x' || fail "writing to an instance's store"
[ "$("$occlum" run /bin/sh -c 'read line </data/x; echo "$line"')" = kept ] ||
    fail "an instance's store lost what was written"
[ -s run/data ] || fail "no store in run/"
exit 0
