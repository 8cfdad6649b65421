# SPDX-License-Identifier: BSD-3-Clause
# Inserts row after row, each in a transaction of its own, and says which is done.   rows.py FILE
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma synchronous = full")
db.execute("create table t (a integer primary key)")
for i in range(1, 1000000):
    db.execute("insert into t values (?)", (i,))
    print(i, flush=True)
