#!/usr/bin/env bash
# A sampled recording's snapshot still says who holds the memory: of the samples, and of what lies between
# them, whose creators nobody knows. Together they are what is really there; what is held is not called
# lost because the blocks that lead to it are no samples.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

near() { # PERCENT EXPECTED ACTUAL WHAT
    local off=$((($3 - $2) * 100))
    [ "${off#-}" -le $(($1 * $2)) ] || fail "$4: expected $2 +- $1 %, got $3"
}
held() { # TRACE ROOT [CREATOR-PATTERN]: bytes held by that root variable
    q "$1" "SELECT ifnull(sum(bytes), 0) FROM gap WHERE root = '$2' AND creator GLOB '${3:-*}'
        AND snapshot_id = (SELECT max(id) FROM snapshot)"
}

for seed in 1 2 3; do
    WHOHOLDS_SEED=$seed record "$TMP/exact.db" "$PROGRAMS/t_sample_holders"
    WHOHOLDS_SEED=$seed timeout 60 "$WHOHOLDS" record -q --force --sample 64KiB -o "$TMP/t.db" -- \
        "$PROGRAMS/t_sample_holders"
    for root in list table large; do
        near 1 "$(held "$TMP/exact.db" $root)" "$(held "$TMP/t.db" $root)" "bytes held by $root, seed $seed"
        check_ge 100000 "$(held "$TMP/t.db" $root 'make')" "of that, samples"
    done
    check_ge 100000 "$(held "$TMP/t.db" table '(not sampled)')" "of table, no samples"
    check_eq 4500000 "$(q "$TMP/exact.db" "SELECT lost_bytes FROM snapshot")" "bytes lost"
    lost=$(q "$TMP/t.db" "SELECT sum(size_bytes) FROM allocation JOIN held ON allocation_id = id WHERE state <> 'held'")
    check_eq "$lost" "$(q "$TMP/t.db" "SELECT sum(size_bytes) FROM allocation WHERE size_bytes = 9000 AND free_ns IS NULL")" \
        "lost samples, seed $seed"
    check_ge 100000 "$lost" "bytes of lost samples"
    check_eq 0 "$(q "$TMP/t.db" "SELECT untracked_bytes FROM snapshot")" "samples that are not in the image"
done
"$WHOHOLDS" gap "$TMP/t.db" >"$TMP/out"
tr '\n' ' ' <"$TMP/out" | matches "Besides, about .* that no sample explains is in use, its creators unknown" ||
    fail "gap does not speak of what is no sample: $(cat "$TMP/out")"
tr '\n' ' ' <"$TMP/out" | matches "of the sampled bytes" || fail "gap does not say that it is a sample"
conserve "$TMP/t.db"

# Another allocator's memory cannot be taken apart: it is a region as a whole, and holds what it refers to.
for library in libjemalloc.so.2 libmimalloc.so.2; do
    path=$(ldconfig -p | sed -n "s|.*$library .*=> ||p" | sed -n 1p)
    [ -n "$path" ] || continue
    timeout 60 "$WHOHOLDS" record -q --force --sample 64KiB -o "$TMP/t.db" -- env LD_PRELOAD="$path" "$PROGRAMS/t_sample_holders"
    check_ge 1000000 "$(held "$TMP/t.db" table)" "bytes held by table with $library"
    check_ge 1000000 "$(q "$TMP/t.db" "SELECT sum(size_bytes) FROM allocation JOIN held ON allocation_id = id
        WHERE size_bytes = 20000 AND state = 'held'")" "payloads of the list that are held with $library"
done
