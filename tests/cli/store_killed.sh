# SPDX-License-Identifier: BSD-3-Clause
# An enclave that is killed at any moment: what was reported durable is there at the next start.
# KILLS: how often.
# TIMEOUT: 280
top=$PWD
. tests/cli/lib/instance
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O1 -static "$top/tests/crash/synced.c" -o synced ||
    exit 1
mkdir d
kills=${KILLS:-25} had=0 moved=0
for round in $(seq "$kills"); do
    "$occlum" try --quiet --store "$work/d" "$work/synced" write "$work/d" \
        >out 2>err </dev/null &
    pid=$!
    sleep "0.$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    [ -s err ] && fail "round $round: $(cat err)"
    said=$(tail -1 out)
    # a number cut off by the kill is no report
    [ -n "$(tail -c1 out)" ] && said=$(tail -2 out | head -1)
    there=$("$occlum" try --quiet --store "$work/d" "$work/synced" check "$work/d" 2>err) ||
        fail "round $round: $(cat err)"
    [ "${said:-0}" -le "$there" ] ||
        fail "round $round: record $said was durable, $there is the last"
    [ "$there" -ge "$had" ] || fail "round $round: from $had records back to $there"
    [ "$there" -gt "$had" ] && moved=$((moved + 1))
    had=$there
done
echo "$kills kills, $moved of them with new records, $had records"
[ "$moved" -gt 0 ] || fail "nothing was ever written"
