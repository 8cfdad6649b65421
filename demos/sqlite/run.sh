#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# SQLite: the shell runs a script of speed, and eight readers and a writer share a database.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian sqlite3 procps
version=$(debian_version sqlite3)
make_instance
store
# Killed while it inserts row after row, each a transaction: what was confirmed is there.
killed() { # SIDE
    side=$1
    server "$side" /bin/python3 "$here/rows.py" "$data/rows.db"
    until_ready lines "$work/$side.server" 20
    crash
    confirmed=$(sed '/^[0-9]*$/!d; $d' "$work/$side.server" | tail -1)
    prefix=
    [ "$side" = inside ] && prefix=$inside
    left=$($prefix /bin/sqlite3 "$data/rows.db" "select max(a) >= $confirmed and
        count(*) = max(a) from t; pragma integrity_check" 2>&1 | xargs)
    [ "$left" = "1 ok" ] || fail "$side: after the kill: $left"
}
say "$name: killed while it writes"
[ -n "$small" ] || killed native
killed inside
[ $failed -eq 0 ] && echo "$confirmed rows were confirmed before the kill; none is lost"

[ -n "$small" ] && { both "WAL" "" /bin/python3 "$here/wal.py" /tmp 20; finish; }
file=/tmp/occlum-demo.db
both "script of 200,000 rows" "whole=1" \
    /bin/sh -c "rm -f $file; sqlite3 $file <$here/speed.sql; rm $file"
both "WAL, 8 readers and a writer" "write=1" /bin/python3 "$here/wal.py" /tmp 500
finish
