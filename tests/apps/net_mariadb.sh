# SPDX-License-Identifier: BSD-3-Clause
# MariaDB inside: its tables made, the server, a client outside that fills and asks InnoDB.
# TIMEOUT: 240
. tests/apps/lib/server
patience=230
need mariadbd mariadb mariadb-install-db
port=$(free_port)
# The pool reserves eight terabytes of addresses, as nothing else is said.
small="--no-defaults --datadir=/tmp/data --user=$(id -un) --innodb-buffer-pool-size=16M"
server_start /bin/sh -c "mkdir -p /tmp/data &&
    mariadb-install-db $small --auth-root-authentication-method=normal --skip-test-db \
        >/tmp/log &&
    exec mariadbd $small --port=$port --socket=/tmp/socket --bind-address=127.0.0.1"
sql() {
    timeout 60 mariadb -h 127.0.0.1 -P "$port" -u root -N -B -e "$1"
}
for round in 1 2 3 4 5 6 7 8; do
    answers sql 'select 6 * 7' >"$TMPDIR/waited" && break
    [ $round -lt 8 ] && failed=0
done
check 'no answer' [ "$(cat "$TMPDIR/answer")" = 42 ] || exit 1
sql 'create database d; use d; create table t(a int primary key, b text) engine = innodb;
    insert into t select seq, repeat("x", 100) from seq_1_to_20000; start transaction;
    delete from t where a <= 5000; rollback; delete from t where a > 19000' || failed=1
check 'the table differs' [ "$(sql 'select count(*), sum(length(b)), sum(a) from d.t' |
    tr '\t' ' ')" = '19000 1900000 180509500' ]
exit $failed
