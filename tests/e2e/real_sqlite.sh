#!/usr/bin/env bash
# sqlite3 filling, indexing and grouping an in-memory table: same output, nothing lost.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$TMP/work.sql" <<'SQL'
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO t SELECT i, 'text ' || (i * 7919 % 100003), i / 3.0 FROM n;
CREATE INDEX tb ON t(b);
SELECT count(*), sum(a), max(b) FROM t;
SELECT b, count(*) FROM t GROUP BY substr(b, 1, 6) ORDER BY 1 LIMIT 3;
SQL
same "$TMP/t.db" sqlite3 -batch :memory: ".read $TMP/work.sql"
check_eq 0 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events"
check_ge 1000 "$(q "$TMP/t.db" "SELECT sum(alloc_objects) FROM site")" "allocations"
