-- SPDX-License-Identifier: BSD-3-Clause
CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c TEXT);
BEGIN;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO t SELECT i, (i * 7919) % 1000003, printf('text of row %d', i) FROM n;
COMMIT;
CREATE INDEX tb ON t (b);
SELECT count(*), sum(b), max(c) FROM t WHERE b BETWEEN 1000 AND 500000;
UPDATE t SET b = b + 1 WHERE a % 3 = 0;
DELETE FROM t WHERE b % 5 = 0;
SELECT count(*), sum(b) FROM t;
SELECT x.a, y.a FROM t x JOIN t y ON y.b = x.b + 2 WHERE x.a < 100 ORDER BY 1, 2 LIMIT 5;
VACUUM;
PRAGMA integrity_check;
