#!/usr/bin/env bash
# Sampled mode: estimates are unbiased and their 95 % intervals cover the truth, over 200 seeds of a
# known program; nothing of it looks exact; the same seed draws the same samples.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ "$(sqlite3 :memory: 'SELECT exp(0)' 2>/dev/null)" = 1.0 ] || skip "this sqlite3 has no exp()"

# shellcheck disable=SC2016 # expanded by the inner shell
timeout 200 "$WHOHOLDS" record -q --sample 8KiB --snapshot none -o "$TMP/t.db" -- sh -c '
    i=1; while [ $i -le 200 ]; do WHOHOLDS_SEED=$i "$0" "$1"; i=$((i + 1)); done' \
    "$PROGRAMS/t_sample" "$TMP/truth"
check_eq 200 "$(wc -l <"$TMP/truth")" "runs of the program"
check_eq "8192|0" "$(q "$TMP/t.db" "SELECT (SELECT value FROM trace WHERE key = 'sample_bytes'),
    (SELECT value FROM trace WHERE key = 'lost_events')")" "facts of the trace"
check_eq 0 "$(q "$TMP/t.db" "SELECT sum(unknown_frees) FROM process")" "frees without a block"

sqlite3 "$TMP/truth.db" "CREATE TABLE truth(pid, made, bytes, live, live_bytes)" \
    ".mode list" ".separator ' '" ".import $TMP/truth truth" "ATTACH '$TMP/t.db' AS t" \
    "CREATE TABLE e AS SELECT p.pid AS pid, sum(samples) AS samples,
        sum(alloc_objects) AS made, sqrt(sum(alloc_objects_error * alloc_objects_error)) AS made_error,
        sum(alloc_space) AS bytes, sqrt(sum(alloc_space_error * alloc_space_error)) AS bytes_error,
        sum(inuse_objects) AS live, sqrt(sum(inuse_objects_error * inuse_objects_error)) AS live_error,
        sum(inuse_space) AS live_bytes,
        sqrt(sum(inuse_space_error * inuse_space_error)) AS live_bytes_error
        FROM t.estimate JOIN t.process p ON p.id = process_id GROUP BY process_id"
for what in made bytes live live_bytes; do
    read -r covered mean <<<"$(q "$TMP/truth.db" "SELECT sum(abs(e.$what - t.$what) <= e.${what}_error) || ' ' ||
        CAST(round(1000 * avg(e.$what) / avg(t.$what)) AS INTEGER) FROM truth t JOIN e ON e.pid = t.pid")"
    echo "$what: $covered of 200 intervals cover the truth, mean of the estimates $mean / 1000 of it"
    check_ge 180 "$covered" "intervals of $what that cover the truth"
    # 8 KiB: an interval needs a few samples of each size; a block of 64 bytes is one in 128
    { [ "$mean" -ge 970 ] && [ "$mean" -le 1030 ]; } || fail "the estimates of $what are off: $mean / 1000"
done

# The same seed, the same samples.
for run in a b; do
    WHOHOLDS_SEED=7 timeout 60 "$WHOHOLDS" record -q --sample 16KiB -o "$TMP/$run.db" -- \
        "$PROGRAMS/t_sample" "$TMP/again"
done
check_eq "$(q "$TMP/a.db" "SELECT size_bytes, alloc_ns * 0 FROM allocation WHERE kind <> 'mmap' ORDER BY id")" \
    "$(q "$TMP/b.db" "SELECT size_bytes, alloc_ns * 0 FROM allocation WHERE kind <> 'mmap' ORDER BY id")" "samples of one seed"

# It says so, and with what margin.
"$WHOHOLDS" report "$TMP/a.db" >"$TMP/report"
grep -qi "sampled" "$TMP/report" || fail "the report does not say that it is sampled"
grep -q "95 %" "$TMP/report" || fail "the report shows no intervals"
timeout 60 "$WHOHOLDS" record -q --sample 16KiB --go-scaling -o "$TMP/go.db" -- "$PROGRAMS/t_sample" "$TMP/again"
"$WHOHOLDS" report "$TMP/go.db" | matches "Go's heap profile" || fail "--go-scaling is not said"

# Go's profile counts what its allocator rounds to: the same of a program that rounds and of one that does
# not. At rate 1 every allocation is in it, unscaled.
for rounding in "" --no-rounding; do
    # shellcheck disable=SC2086 # an option or nothing
    timeout 60 "$WHOHOLDS" record -q --force --sample 1 --go-scaling -o "$TMP/go.db" -- "$WH_BUILD/bin/whoholds-sim" \
        run retained-request-field --set keys=10 --quiet $rounding
    check_eq "10|1064960" "$(q "$TMP/go.db" "SELECT sum(inuse_objects), sum(inuse_space) FROM go_estimate e
        WHERE (SELECT creator FROM stack WHERE id = e.stack_id) = 'LinkBuffer_readBinary' AND inuse_space > 10000")" \
        "fields of 100,000 bytes in Go's profile $rounding"
done
