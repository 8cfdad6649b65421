#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# PostgreSQL: a cluster made, pgbench with eight clients, and the server killed while one
# writes: what was confirmed is there, and all adds up.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian postgresql procps
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
version=$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/')
make_instance
store
confirmed=200 sync=
[ -n "$small" ] && confirmed=20 sync=-N

sql() {
    timeout 100 psql -X -h 127.0.0.1 -p "$port" -U me -A -t -q -c "$1" postgres
}
# is WHAT SQL: must say true
is() {
    [ "$(sql "$2" 2>&1)" = t ] || fail "$side: $1: $(sql "$2" 2>&1 | head -3)"
}
bench() {
    timeout 600 "$bin/pgbench" -h 127.0.0.1 -p "$port" -U me "$@" postgres \
        >"$work/bench" 2>&1 ||
        { fail "$side: pgbench $*"; tail -5 "$work/bench"; }
    awk '$1 == "tps" { printf "%.0f", $3 }' "$work/bench"
}
# postgres does not run as root.
start() {
    server "$side" /bin/sh -c "[ -d $data/pg ] || mkdir $data/pg; as=
        [ \$(id -u) -eq 0 ] && chown 65534 $data/pg &&
            as='setpriv --reuid 65534 --regid 65534 --clear-groups'
        [ -e $data/pg/PG_VERSION ] || \$as $bin/initdb $sync -D $data/pg -A trust \
            -U me >$data/log || exit
        exec \$as $bin/postgres -D $data/pg -p $port -k /tmp -c listen_addresses=127.0.0.1"
    until_ready sql 'select 1'
}
killed() { # while a client inserts numbers
    sql 'create table k (a int)'
    seq 1000000 | sed 's/.*/insert into k values (&) returning a;/' |
        psql -X -h 127.0.0.1 -p "$port" -U me -A -t -q postgres >"$work/confirmed" 2>/dev/null &
    client=$!
    until_ready lines "$work/confirmed" $confirmed
    crash
    wait $client
    start || return
    is "lost" "select count(*) = max(a) and max(a) >= $(tail -1 "$work/confirmed") from k"
}
work_with() { # SIDE
    side=$1 port=$(free_port)
    start || return
    if [ -n "$small" ]; then
        killed
        stop_servers
        return
    fi
    bench -i -q -s 5
    rates="$(bench -c 8 -t 200) $(bench -n -S -c 8 -t 1000)"
    killed
    is "sums" 'select (select sum(abalance) from pgbench_accounts) =
        (select sum(delta) from pgbench_history)'
    is "count" "select count(*) = 1600 from pgbench_history"
    stop_servers
}
say "$name: pgbench, and killed while it writes"
by_turns 1 work_with
echo "$(tail -1 "$work/confirmed") rows were confirmed before the kill; none is lost"
[ -n "$small" ] && finish
row "8 clients, read and write" "$(middle 1)" "$(middle 3)" 0.8 /s more
row "8 clients, read" "$(middle 2)" "$(middle 4)" 0.8 /s more
finish
