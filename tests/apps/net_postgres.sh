# SPDX-License-Identifier: BSD-3-Clause
# PostgreSQL inside: initdb, the server with a process for each client, pgbench outside with
# eight of them; what is committed is there and adds up.
# TIMEOUT: 240
. tests/apps/lib/server
patience=230
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -x "$bin/initdb" ] && [ -x "$bin/pgbench" ] ||
    { echo "PostgreSQL is not installed"; exit 77; }
need setpriv
port=$(free_port)
as=
[ "$(id -u)" = 0 ] && as='setpriv --reuid 65534 --regid 65534 --clear-groups'
server_start $as sh -c "$bin/initdb -D /tmp/data -A trust --no-sync -U me &&
    exec $bin/postgres -D /tmp/data -p $port -k /tmp -c fsync=off -c listen_addresses=127.0.0.1"
sql() {
    timeout 60 psql -h 127.0.0.1 -p "$port" -U me -A -t -c "$1" postgres
}
for round in 1 2 3 4 5 6 7 8; do # initdb takes its time
    answers sql 'select 6 * 7' >"$TMPDIR/waited" && break
    [ $round -lt 8 ] && failed=0
done
check 'no answer' [ "$(cat "$TMPDIR/answer")" = 42 ] || exit 1
bench() {
    timeout 100 "$bin/pgbench" -h 127.0.0.1 -p "$port" -U me "$@" postgres \
        >"$TMPDIR/bench" 2>&1 ||
        { echo "pgbench $*:"; tail -5 "$TMPDIR/bench"; failed=1; }
}
bench -i -q
bench -c 8 -t 20
check 'transactions failed' grep -q 'failed transactions: 0 ' "$TMPDIR/bench"
check 'the sums differ' [ "$(sql 'select sum(abalance) = (select sum(delta) from
    pgbench_history) and count(*) = 100000 from pgbench_accounts')" = t ]
check 'transactions are lost' [ "$(sql 'select count(*) from pgbench_history')" = 160 ]
exit $failed
