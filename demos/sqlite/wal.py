# SPDX-License-Identifier: BSD-3-Clause
# Eight readers and a writer, each a process, over one database in WAL mode: no reader may ever
# see half a transaction.   wal.py FOLDER TRANSACTIONS
import os, sqlite3, sys, time
path, count = os.path.join(sys.argv[1], "wal-%d.db" % os.getpid()), int(sys.argv[2])
db = sqlite3.connect(path)
print(db.execute("pragma journal_mode = wal").fetchone()[0])
db.execute("create table t (a integer, b integer)")
db.execute("insert into t values (0, 0)")
db.commit()
db.close()

def read():
    db = sqlite3.connect(path, timeout=60)
    last = 0
    while last < count:
        a, b, rows = db.execute("select max(a), sum(b), count(*) from t").fetchone()
        if b != a * (a + 1) // 2 or rows != a + 1 or a < last:
            return 1
        last = a
        time.sleep(0.002)
    return 0

readers = []
for _ in range(8):
    pid = os.fork()
    if not pid:
        os._exit(read())
    readers.append(pid)
db = sqlite3.connect(path, timeout=60)
begin = time.time()
for i in range(1, count + 1):
    db.execute("insert into t values (?, ?)", (i, i))
    db.commit()
print("time write", time.time() - begin, file=sys.stderr)
print("readers", [os.waitpid(pid, 0)[1] for pid in readers],
      db.execute("pragma integrity_check").fetchone()[0],
      db.execute("select count(*), sum(b) from t").fetchone())
