# SPDX-License-Identifier: BSD-3-Clause
# What programs write to an instance's root is kept, encrypted, in run/: over runs, builds and
# kills; old, foreign and damaged states are refused.
# TIMEOUT: 240
. tests/cli/lib/instance

secret="a-secret-of-the-root"
new_instance inst
cat >../inst.yaml <<'Y'
targets:
  - target: /bin
    copy:
      - files: [/bin/sh, /bin/cat, /bin/rm, /bin/mkdir, /bin/mv, /bin/sleep, /bin/sync]
Y
sqlite=$(command -v sqlite3) && sed -i "s|/bin/sleep|/bin/sleep, $sqlite|" ../inst.yaml
"$(dirname "$occlum")/copy_bom" -f ../inst.yaml --root image >../bom.log 2>&1 ||
    { cat ../bom.log; fail "copy_bom"; }
echo lower >image/etc/lower
build
run() { "$occlum" run /bin/sh -c "$1"; }
refused() {
    "$occlum" run "$@" /bin/sh -c : >../out 2>&1
    [ $? -eq 125 ] || fail "not refused: $(cat ../out)"
}

"$occlum" print root 2>../err && fail "a root before there is one"
grep -q 'nothing has been stored' ../err || fail "no root: $(cat ../err)"
run "echo $secret >/root/kept && mkdir /srv && echo x >/srv/x && rm /etc/lower &&
    echo $secret >>/etc/greeting" || fail "writing"
[ "$(run 'cat /root/kept /srv/x')" = "$secret
x" ] || fail "what was written is gone"
run '[ ! -e /etc/lower ]' || fail "what was removed is back"
LC_ALL=C grep -aq "$secret\|kept\|greeting" run/root && fail "the store shows its contents"

# Looking does not change it; writing does.
first=$("$occlum" print root) || fail "print root"
run 'cat /root/kept >/dev/null'
[ "$("$occlum" print root)" = "$first" ] || fail "reading made another state"
cp run/root ../first
"$occlum" run --require-root "$first" /bin/sh -c 'echo 2 >/root/second' || fail "it is required"
second=$("$occlum" print root)
[ "$second" != "$first" ] || fail "writing made no other state"
refused --require-root "$first"
grep -q 'not the state that was required' ../out || fail "another state: $(cat ../out)"
cp run/root ../second
cp ../first run/root
refused --require-root "$second"
"$occlum" run --require-root "$first" /bin/sh -c '[ ! -e /root/second ]' || fail "the first"
mv run/root ../away
refused --require-root "$second"
grep -q 'there is no store' ../out || fail "no store: $(cat ../out)"
[ ! -s run/root ] || fail "a new store was made in its place"
refused --require-root 12
cp ../second run/root

# Another image below, and a build that takes it all away.
echo new >image/etc/new
build
grep -q 'run/root stays' ../build.log || fail "no note: $(cat ../build.log)"
run "cat /etc/new /root/kept /etc/greeting" >../out || fail "another image"
[ "$(grep -c . ../out)" -eq 4 ] || fail "another image: $(cat ../out)"
run '[ ! -e /etc/lower ]' || fail "a whiteout is gone"
build --reset
[ ! -e run/root ] || fail "--reset left the store"
run '[ ! -e /root/kept ] && cat /etc/lower >/dev/null && echo again >/root/again' ||
    fail "after --reset"

# One at a time.
mkfifo ../go
: >../up
"$occlum" run /bin/sh -c 'echo up; cat' >../up <../go &
pid=$!
exec 3>../go
until grep -q up ../up; do kill -0 $pid || fail "no start"; sleep 0.05; done
refused
grep -q 'another enclave has it open' ../out || fail "two at once: $(cat ../out)"
"$occlum" build --reset >../out 2>&1 && fail "--reset under a running enclave"
[ -s run/root ] || fail "the store is gone"
exec 3>&-
wait $pid || fail "the first run"

# Killed: what was reported as durable is there.
if [ -n "$sqlite" ]; then
    run "sqlite3 /root/db 'create table t(n integer primary key); pragma journal_mode=wal'" \
        >../out || fail "sqlite"
    for round in 1 2; do
        : >../said
        "$occlum" run /bin/sh -c 'i=$(sqlite3 /root/db "select count(*) from t")
            while :; do i=$((i + 1))
                sqlite3 /root/db "pragma synchronous=full; insert into t values($i)" && echo $i
            done' >../said 2>../err &
        pid=$!
        until [ "$(grep -c . ../said)" -ge 5 ]; do
            kill -0 $pid || fail "it ended: $(cat ../err)"
            sleep 0.02
        done
        kill -KILL $pid
        wait $pid 2>/dev/null
        said=$(sed '$!d' ../said)
        [ -n "$(tail -c1 ../said)" ] && said=$(tail -2 ../said | head -1)
        there=$(run 'sqlite3 /root/db "pragma integrity_check; select count(*) from t"') ||
            fail "sqlite after a kill"
        [ "${there%
*}" = ok ] || fail "the data base: $there"
        [ "${there#ok
}" -ge "$said" ] || fail "row $said was durable, there are: $there"
    done
fi

# Only its signer, only its build, a damaged one.
openssl genrsa -3 -out ../other.pem 3072 2>/dev/null || fail "openssl"
build --sign-key ../other.pem
refused
grep -q 'sealed by an enclave of another signer' ../out && grep -q -- '--reset' ../out ||
    fail "another signer: $(cat ../out)"
build
run '[ -e /root/again ]' || fail "its signer"
cp run/root ../whole
layers() {
    cat >Occlum.json <<JSON
{"mount": [{"target": "/", "type": "unionfs", "options": {"layers": [
    {"target": "/", "type": "sefs", "source": "./build/mount/__ROOT", "options": {"MAC": ""}},
    {"target": "/", $1}]}}]}
JSON
}
layers '"type": "sefs", "source": "run/root", "options": {"autokey": "mrenclave"}'
build
refused
grep -q 'it is sealed to the signer' ../out || fail "a looser seal: $(cat ../out)"
build --reset
run 'echo x >/root/x' && run '[ -e /root/x ]' || fail "autokey mrenclave"
echo more >image/etc/more
build
grep -q 'this one cannot open it' ../build.log || fail "no note: $(cat ../build.log)"
refused
grep -q 'another build' ../out || fail "another build: $(cat ../out)"

layers '"type": "sefs", "source": "./run/mount/__ROOT", "options": {"disk_size": "1GB"}'
build
run 'echo x >/root/x' && run '[ -e /root/x ]' || fail "the original's place"
[ -s run/mount/__ROOT ] || fail "it lies elsewhere"
printf 'x' | dd of=run/mount/__ROOT bs=1 seek=200 conv=notrunc 2>/dev/null
flip run/mount/__ROOT 20
refused

layers '"type": "ramfs"'
build
run 'echo x >/root/x' && run '[ ! -e /root/x ]' || fail "a layer in memory"
"$occlum" print root 2>../err && fail "the state of a layer in memory"

# Under the image key, so that it can be opened from outside.
"$occlum" gen-image-key ../key || fail "gen-image-key"
layers '"type": "sefs", "source": "run/keyed", "options": {"key": "image"}'
build --image-key ../key
"$occlum" run --image-key ../key /bin/sh -c "echo $secret >/root/x" || fail "key image"
[ "$("$occlum" store --image-key ../key cat run/keyed upper/root/x)" = "$secret" ] ||
    fail "opening it from outside"
"$occlum" fsck --image-key ../key run/keyed >../out || fail "fsck: $(cat ../out)"

# A counter that nobody can set back: old states are refused, and a lost one is noticed.
layers '"type": "sefs", "source": "run/counted", "options": {"counter": "run/counter"}'
build
run 'echo 1 >/root/x' || fail "with a counter"
cp run/counted ../counted
cp run/counter ../counter
run 'echo 2 >/root/x && [ -e /root/x ]' || fail "with a counter, again"
cp run/counted ../newest
cp ../counted run/counted
refused
grep -q 'it is not the newest' ../out || fail "a rolled back store: $(cat ../out)"
mv run/counted ../away
refused
cp ../newest run/counted
cp run/counter ../newer
cp ../counter run/counter
refused
cp ../newer run/counter
[ "$(run 'cat /root/x')" = 2 ] || fail "the newest"
for round in 1 2; do
    : >../said
    "$occlum" run /bin/sh -c 'while echo x >/root/y; do mv /root/y /root/z; sync; echo; done' \
        >../said 2>/dev/null &
    pid=$!
    until [ "$(grep -c '^' ../said)" -ge 3 ]; do
        kill -0 $pid || fail "no start"
        sleep 0.02
    done
    kill -KILL $pid
    wait $pid 2>/dev/null
    run '[ -e /root/z ]' || fail "after a kill, with a counter"
done
exit 0
