#!/usr/bin/env bash
# expand gives every folded lifetime its row without changing what was known: the rows that were there
# stay as they are, sums and numbers agree, also across forks.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

check() { # NAME FOLDED-AT-LEAST COMMAND...
    local name=$1 folded=$2 rows
    shift 2
    timeout 120 "$WHOHOLDS" record -q --force --materialize=none -o "$TMP/t.db" -- "$@" >"$TMP/out" 2>&1 || true
    conserve "$TMP/t.db"
    check_eq end "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'allocation_rows'")" "$name: rows"
    check_ge "$folded" "$(q "$TMP/t.db" "SELECT ifnull(sum(objects), 0) FROM folded")" "$name: folded lifetimes"
    cp "$TMP/t.db" "$TMP/before.db"
    timeout 120 "$WHOHOLDS" expand -q "$TMP/t.db"
    conserve "$TMP/t.db"
    check_eq all "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'allocation_rows'")" "$name: rows after expand"
    check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM folded")" "$name: folded after expand"
    rows=$(q "$TMP/t.db" "ATTACH '$TMP/before.db' AS b;
        SELECT count(*) FROM (SELECT * FROM b.allocation EXCEPT SELECT * FROM main.allocation)")
    check_eq 0 "$rows" "$name: rows that expand changed"
    check_eq "$(q "$TMP/before.db" "SELECT sum(alloc_objects) FROM site")" \
        "$(q "$TMP/t.db" "SELECT count(*) FROM allocation WHERE NOT is_inherited")" "$name: rows of lifetimes"
}

check threads 1000 "$PROGRAMS/t_threads" 4 20000
check tree 0 "$PROGRAMS/t_tree" "$TMP/log"
# shellcheck disable=SC2016 # expanded by the recorded shell
check shell 1 bash -c 'for i in 1 2 3; do (echo "$i" | cat); done; x=$(ls /); echo "${#x}"'
