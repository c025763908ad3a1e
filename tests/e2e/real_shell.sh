#!/usr/bin/env bash
# A shell script whose children do the work: the trace has every one of them.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$TMP/work.sh" <<'SCRIPT'
set -e
cd "$1"
mkdir -p d && cd d
for i in 1 2 3 4 5 6 7 8 9 10; do
    expr $i \* $i >f$i
done
cat f* | sort -n | tail -1
find . -name 'f*' -exec wc -l {} + | tail -1
(ls; ls) | sort | uniq -c | wc -l
SCRIPT
same "$TMP/t.db" sh "$TMP/work.sh" "$TMP"
for program in expr:10 cat:1 sort:2 tail:2 find:1 wc:2 ls:2 uniq:1; do
    check_eq "${program#*:}" "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE exe LIKE '%/${program%:*}' AND NOT is_replaced")" \
        "processes running ${program%:*}"
done
check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE end_ns IS NULL OR (exit_code IS NOT 0 AND NOT is_replaced)")" \
    "processes without a clean end"
check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE exit_code IS NOT NULL AND NOT is_replaced AND peak_rss_bytes IS NULL")" \
    "processes without their peak RSS, short as they are"
