#!/usr/bin/env bash
# The same program gives byte-identical holder reports in every run, with and without address space
# randomisation: nothing in them depends on where the kernel put things.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need setarch

report() { # TRACE: what must not change
    "$WHOHOLDS" gap --limit=100000 --format=csv "$1"
    "$WHOHOLDS" holders --limit=100000 --format=csv "$1"
    "$WHOHOLDS" holders --paths --limit=100000 --format=csv "$1"
}
for program in containers t_leak truth_29_shared; do
    record "$TMP/first.db" "$PROGRAMS/$program" >"$TMP/out"
    report "$TMP/first.db" >"$TMP/first.csv"
    check_ge 3 "$(wc -l <"$TMP/first.csv")" "rows of the report of $program"
    record "$TMP/again.db" "$PROGRAMS/$program" >"$TMP/out"
    report "$TMP/again.db" >"$TMP/again.csv"
    diff "$TMP/first.csv" "$TMP/again.csv" || fail "$program: two runs with randomised addresses differ"
    record "$TMP/fixed.db" setarch -R "$PROGRAMS/$program" >"$TMP/out"
    q "$TMP/fixed.db" "SELECT max(id) FROM snapshot" >"$TMP/last"
    for command in "gap --limit=100000" "holders --limit=100000" "holders --paths --limit=100000"; do
        read -ra words <<<"$command"
        "$WHOHOLDS" "${words[@]}" --snapshot="$(cat "$TMP/last")" --format=csv "$TMP/fixed.db"
    done | grep -v '^snapshot_id' >"$TMP/fixed.csv"
    grep -v '^snapshot_id' "$TMP/first.csv" >"$TMP/plain.csv"
    diff "$TMP/plain.csv" "$TMP/fixed.csv" || fail "$program: addresses show in the report"
    check_eq 0 "$(q "$TMP/first.db" "SELECT count(*) FROM snapshot WHERE live_bytes <>
        held_bytes + lost_bytes + untracked_bytes OR live_bytes - untracked_bytes <>
        (SELECT sum(bytes) FROM gap WHERE gap.snapshot_id = snapshot.id)")" "snapshots of $program that do not add up"
done
