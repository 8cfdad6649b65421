#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# SQLite: the shell runs a script of speed, and eight readers and a writer share a database.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian sqlite3
version=$(debian_version sqlite3)
make_instance
[ -n "$small" ] && { both "WAL" "" /bin/python3 "$here/wal.py" /tmp 20; finish; }
file=/tmp/occlum-demo.db
both "script of 200,000 rows" "whole=1" \
    /bin/sh -c "rm -f $file; sqlite3 $file <$here/speed.sql; rm $file"
both "WAL, 8 readers and a writer" "write=1" /bin/python3 "$here/wal.py" /tmp 500
finish
