# SPDX-License-Identifier: BSD-3-Clause
# TIMEOUT: 120
# sqlite3 with a database of 100,000 rows on a writable host folder, and in memory.
. tests/apps/lib.sh
need sqlite3

cat >"$TMPDIR/make.sql" <<'E'
PRAGMA journal_mode;
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO t SELECT i, 'name ' || (i * 7919 % 100003), i * 0.5 FROM n;
CREATE INDEX by_name ON t (name);
E
cat >"$TMPDIR/ask.sql" <<'E'
SELECT count(*), sum(value), min(name), max(name) FROM t;
SELECT id FROM t WHERE name = 'name 77777';
BEGIN; UPDATE t SET value = value + 1 WHERE id % 10 = 0; COMMIT;
BEGIN; DELETE FROM t; ROLLBACK;
SELECT sum(value) FROM t;
PRAGMA integrity_check;
E
same sqlite3 :memory: ".read $TMPDIR/make.sql" ".read $TMPDIR/ask.sql"

mkdir -p "$TMPDIR/native" "$TMPDIR/inside"
(cd "$TMPDIR/native" && sqlite3 db ".read ../make.sql" ".read ../ask.sql") >"$TMPDIR/n.out" 2>&1
extra="--rw $TMPDIR/inside"
try sqlite3 "$TMPDIR/inside/db" ".read $TMPDIR/make.sql" ".read $TMPDIR/ask.sql" \
    >"$TMPDIR/i.out" 2>&1
cmp "$TMPDIR/n.out" "$TMPDIR/i.out" || { head -5 "$TMPDIR/i.out"; failed=1; }
# What was written inside is a database outside, and the other way round.
[ "$(sqlite3 "$TMPDIR/inside/db" 'PRAGMA integrity_check')" = ok ] ||
    { echo "the database written inside is damaged"; failed=1; }
sqlite3 "$TMPDIR/inside/db" "INSERT INTO t VALUES (200000, 'outside', 1)"
[ "$(try sqlite3 "$TMPDIR/inside/db" "SELECT name FROM t WHERE id = 200000")" = outside ] ||
    { echo "a row written outside is not seen inside"; failed=1; }
# Without --rw what is written stays inside.
extra=
rows=$(sqlite3 "$TMPDIR/inside/db" 'SELECT count(*) FROM t')
[ "$(try sqlite3 "$TMPDIR/inside/db" "DELETE FROM t; SELECT count(*) FROM t")" = 0 ] ||
    { echo "nothing was deleted on the layer over the root"; failed=1; }
[ "$(sqlite3 "$TMPDIR/inside/db" 'SELECT count(*) FROM t')" = "$rows" ] ||
    { echo "a database on the machine's tree was changed"; failed=1; }
exit $failed
