#!/usr/bin/env bash
# python3 with PYTHONMALLOC=malloc on a JSON workload: same output, nothing lost, sums agree; also
# through a script wrapper when that is what `python3` is here.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need "$PYTHON"

cat >"$TMP/work.py" <<'PYTHON'
import json
rows = [{"id": i, "name": "row %d" % i, "tags": ["a", "b", str(i)]} for i in range(20000)]
text = json.dumps(rows)
back = json.loads(text)
print(len(text), len(back), sum(r["id"] for r in back))
PYTHON
export PYTHONMALLOC=malloc
same "$TMP/t.db" "$PYTHON" "$TMP/work.py"
check_eq 0 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events"
check_ge 100000 "$(q "$TMP/t.db" "SELECT sum(alloc_objects) FROM site")" "allocations of a JSON workload"
check_ge 1 "$(q "$TMP/t.db" "SELECT count(*) FROM site WHERE creator LIKE '%json%' OR creator LIKE '%scan%' OR creator LIKE '%Py%'")" "creators of Python"

first=$(command -v python3)
if [ "$first" != "$PYTHON" ]; then
    same "$TMP/t.db" "$first" "$TMP/work.py"
    check_ge 100000 "$(q "$TMP/t.db" "SELECT max(n) FROM (SELECT sum(alloc_objects) AS n FROM site GROUP BY process_id)")" \
        "allocations of the python behind $first"
fi
