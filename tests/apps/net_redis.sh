# SPDX-License-Identifier: BSD-3-Clause
# redis-server inside: commands, a value of a megabyte, pipelines, many clients, a snapshot by
# fork, subscriptions; an idle server uses no CPU.
# TIMEOUT: 180
. tests/apps/lib/server
patience=170
need redis-server redis-cli redis-benchmark ps
port=$(free_port)
cli="redis-cli -p $port"

server_start /usr/bin/redis-server --port "$port" --save '' --appendonly no \
    --bind 127.0.0.1 --dir /tmp
answers $cli ping || exit 1
check 'SET and GET' [ "$($cli set key value)$($cli get key)" = OKvalue ]
# An idle server sleeps: before its allocator has memory to give back, there are quiet seconds,
# which a thread that polls never has. Ticks of 10 ms.
used() {
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}
enclave=$(ps -o pid= --ppid "$server" | head -1 | tr -d ' ')
least=100
for try in $(seq 30); do
    before=$(used "$enclave")
    sleep 1
    after=$(used "$enclave")
    [ $((after - before)) -lt $least ] && least=$((after - before))
    [ $least -le 3 ] && break
done
check "idle, it used $least ticks of CPU a second" [ $least -le 3 ]
head -c 1000000 /dev/zero | tr '\0' x >"$TMPDIR/big"
$cli -x set big <"$TMPDIR/big" >/dev/null
check 'a megabyte' [ "$($cli strlen big)" = 1000000 ]
$cli --raw get big | head -c 1000000 >"$TMPDIR/got"
check 'it differs' cmp -s "$TMPDIR/got" "$TMPDIR/big"
for how in '-P 1 -n 2000' '-P 16 -n 20000' '-P 1 -c 200 -n 2000'; do
    redis-benchmark -p "$port" $how -t set,get,lpush -q >"$TMPDIR/bench" 2>&1 ||
        { echo "redis-benchmark $how fails"; tail -3 "$TMPDIR/bench"; failed=1; }
    grep -q 'Error' "$TMPDIR/bench" && { echo "$how:"; grep Error "$TMPDIR/bench"; failed=1; }
done
check 'a list' [ "$($cli llen mylist)" -ge 24000 ]
check BGSAVE [ "$($cli bgsave)" = 'Background saving started' ]
for try in $(seq 300); do
    $cli info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
    sleep 0.1
done
$cli info persistence >"$TMPDIR/got"
check 'BGSAVE failed' grep -q rdb_last_bgsave_status:ok "$TMPDIR/got"

exit $failed
