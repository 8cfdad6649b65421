#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# MariaDB: InnoDB under statements of four clients, and the server killed while one writes: what
# was confirmed is there.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian mariadb-server-core mariadb-client procps
version=$(debian_version mariadb-server-core)
make_instance
store
confirmed=100
[ -n "$small" ] && confirmed=10

client() {
    timeout 300 mariadb --no-defaults -h 127.0.0.1 -P "$port" -u root -N -B --unbuffered "$@"
}
sql() {
    client -e "$1"
}
is() { # WHAT WANTED SQL
    got=$(sql "$3" 2>&1 | tr '\t' ' ')
    [ "$got" = "$2" ] || fail "$side: $1: $got"
}
start() {
    options="--no-defaults --datadir=$data/my --innodb-buffer-pool-size=32M"
    server "$side" /bin/sh -c "as=; [ \$(id -u) -eq 0 ] && as=--user=root
        [ -e $data/my/ready ] || {
            mariadb-install-db $options \$as --auth-root-authentication-method=normal \
                --skip-test-db >$data/log && echo >$data/my/ready; } || exit
        exec mariadbd $options \$as --port=$port --socket=/tmp/occlum-demo-$side.sock \
            --bind-address=127.0.0.1"
    until_ready sql 'select 1'
}
fill() { # four clients at once
    sql 'create database d; use d; create table k (a int primary key) engine = innodb;
        create table t (a int primary key, who int, b text) engine = innodb'
    clients=
    for i in 1 2 3 4; do
        sql "use d; insert into t select seq * 4 + $i, $i, repeat('x', 100) from seq_1_to_$1;
            start transaction; update t set b = '' where who = $i; rollback;
            update t set b = concat(b, '$i') where who = $i and a % 3 = 0" &
        clients="$clients $!"
    done
    wait $clients
}
work_with() { # SIDE
    side=$1 port=$(free_port)
    start || return
    begin=$(now_ns)
    if [ -z "$small" ]; then
        fill 20000
        rates=$((($(now_ns) - begin) / 1000000))
        is "sums" "80000 8026667" 'select count(*), sum(length(b)) from d.t'
    else
        sql 'create database d; create table d.k (a int primary key) engine = innodb'
    fi
    seq 1000000 | sed 's/.*/insert into k values (&); select &;/' |
        client d >"$work/confirmed" 2>/dev/null &
    writer=$!
    until_ready lines "$work/confirmed" $confirmed
    crash
    wait $writer
    start || return
    is "rows" 1 "select count(*) = max(a) and max(a) >= $(tail -1 "$work/confirmed") from d.k"
    is "check" "d.k check status OK" 'check table d.k'
    [ -n "$small" ] || is "sums" "80000 8026667" 'select count(*), sum(length(b)) from d.t'
    stop_servers
}
say "$name: InnoDB, and killed while a client writes"
by_turns 1 work_with
echo "$(tail -1 "$work/confirmed") rows were confirmed before the kill; none is lost"
[ -n "$small" ] || row "4 clients fill a table" "$(middle 1)" "$(middle 2)" 1.2 ms
finish
