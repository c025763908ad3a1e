#!/usr/bin/env bash
# heaptrack counts the same allocation calls: python3, sqlite3, cc1, call by call by size. What differs is
# heaptrack's own: the emergency pool of the C++ library that it brings (72704 bytes), and the room for
# exit handlers that its own ones overflow (1040). memalign and pvalloc, which it does not hook, are
# counted apart here; none of the three programs calls them.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need heaptrack zstd setarch

environment=(PATH="$PATH" PWD="$PWD" LANG=C.UTF-8 HOME="$TMP" PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1)

# sizes NAME COMMAND...: the requested size of every call, sorted, into theirs and ours. Without address
# space randomisation, as hash tables of addresses grow by luck, and with as many variables in the
# environment: a recorded program has two of ours.
sizes() {
    local name=$1
    shift
    env -i "${environment[@]}" MORE=than_one_byte EVEN_MORE=than_one_byte setarch -R heaptrack --raw -o "$TMP/heaptrack" "$@" >"$TMP/theirs.out" 2>&1 </dev/null || fail "heaptrack $name"
    env -i "${environment[@]}" setarch -R "$WHOHOLDS" record -q --force --materialize=all -o "$TMP/t.db" -- "$@" >"$TMP/ours.out" 2>&1 </dev/null || fail "record $name"
    zstdcat "$TMP/heaptrack.raw.zst" | sed -n 's/^+ \([0-9a-f]*\) .*/0x\1/p' | xargs printf '%d\n' | sort -n >"$TMP/theirs"
    q "$TMP/t.db" "SELECT size_bytes FROM allocation WHERE NOT is_inherited AND kind NOT IN ('mmap', 'memalign')" | sort -n >"$TMP/ours"
    check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM allocation WHERE kind = 'memalign'")" "aligned blocks of $name"
    rm "$TMP/heaptrack.raw.zst"
    diff "$TMP/theirs" "$TMP/ours" >"$TMP/differ" || true
    echo "$name: heaptrack $(wc -l <"$TMP/theirs"), whoholds $(wc -l <"$TMP/ours"), differences: $(sed -n 's/^\([<>]\) /\1/p' "$TMP/differ" | sort | uniq -c | awk '{ printf "%s x%d ", $2, $1 }')"
}
surplus() { # SIZE: how many more calls of that size heaptrack has
    echo $(($(grep -cx "$1" "$TMP/theirs" || true) - $(grep -cx "$1" "$TMP/ours" || true)))
}

cat >"$TMP/work.sql" <<'SQL'
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, v REAL);
WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000)
    INSERT INTO t SELECT n, printf('name %d', n * 7919 % 100003), n * 0.5 FROM c;
CREATE INDEX i ON t(name);
SELECT count(*), sum(v) FROM t WHERE name LIKE 'name 1%';
SQL
sizes sqlite3 sqlite3 :memory: ".read $TMP/work.sql"
check_eq "<72704" "$(sed -n 's/^\([<>]\) /\1/p' "$TMP/differ")" "calls of sqlite3 that differ"

if [ -x "$PYTHON" ]; then
    mkdir "$TMP/alone" # Python lists the folder of its program
    cat >"$TMP/alone/work.py" <<'PYTHON'
import json, os
text = json.dumps([{"id": i, "tags": [str(i), "x"]} for i in range(3000)])
print(len(json.loads(text)))
print("variables", len(os.environ))
PYTHON
    sizes python3 "$PYTHON" "$TMP/alone/work.py"
    check_eq "$(grep variables "$TMP/theirs.out")" "$(grep variables "$TMP/ours.out")" "variables"
    check_eq "$(wc -l <"$TMP/theirs")" $(($(wc -l <"$TMP/ours") + $(surplus 72704))) "calls of python3"
fi

cc1=$(gcc -print-prog-name=cc1 2>/dev/null || true)
if [ -x "$cc1" ]; then
    printf '#include <stdio.h>\nint main(int c, char **v) { while (c--) puts(v[c]); return 0; }\n' | gcc -E -x c - -o "$TMP/w.i"
    sizes cc1 "$cc1" -quiet -fpreprocessed "$TMP/w.i" -O2 -o "$TMP/w.s"
    # Tables of its collector's pages (32768) follow from where the kernel puts mappings.
    check_eq "$(wc -l <"$TMP/theirs")" \
        $(($(wc -l <"$TMP/ours") + $(surplus 72704) + $(surplus 1040) + $(surplus 32768))) "calls of cc1"
    check_eq "" "$(sed -n 's/^[<>] //p' "$TMP/differ" | grep -vxE '72704|1040|32768' || true)" "sizes of cc1 that differ"
fi
