#!/usr/bin/env bash
# --snapshot=peak leaves one snapshot of every process, near its highest live bytes: programs that are too
# short to be seen at work have it from their end. It is the one that the commands show, and they say so.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

peak() { # PLAN KIB MS KEPT
    timeout 120 "$WHOHOLDS" record -q --force --snapshot "$1" -o "$TMP/t.db" -- "$PROGRAMS/t_peak" "$2" "$3" "$4"
    conserve "$TMP/t.db"
}
taken() { # reason and percent of the peak, one line each
    q "$TMP/t.db" "SELECT reason, 100 * s.live_bytes / p.peak_bytes FROM snapshot s JOIN process p ON p.id = s.process_id ORDER BY s.id"
}

# It ends at its highest, at once.
for kib in 20 1100 20000; do
    peak peak "$kib" 0 1000
    check_eq 1 "$(taken | wc -l)" "snapshots of $kib KiB that are there at the end"
    check_eq peak "$(taken | cut -d'|' -f1)" "why, $kib KiB"
    check_ge 99 "$(taken | cut -d'|' -f2)" "percent of the peak, $kib KiB"
done

# It has its highest for a while and frees nearly all of it: still one, of that time.
peak peak 8000 1500 50
check_eq 1 "$(taken | wc -l)" "snapshots of a peak in the middle"
check_ge 90 "$(taken | cut -d'|' -f2)" "percent of the peak in the middle"

# So too beside others, and it is the one to be shown; others by word or number.
peak exit,peak 8000 1500 50
check_eq "exit peak" "$(taken | cut -d'|' -f1 | sort | tr '\n' ' ' | sed 's/ $//')" "snapshots with exit,peak"
id() { q "$TMP/t.db" "SELECT id FROM snapshot WHERE reason = '$1'"; }
shown() { timeout 60 "$WHOHOLDS" gap --format=json "$@" "$TMP/t.db" | sed -n 's/.*"snapshot_id": \([0-9]*\).*/\1/p'; }
check_eq "$(id peak)" "$(shown)" "what gap shows"
check_eq "$(id peak)" "$(shown --snapshot=peak)" "what gap shows with peak"
check_eq "$(id exit)" "$(shown --snapshot=exit)" "what gap shows with exit"
check_eq "$(id exit)" "$(shown --snapshot="$(id exit)")" "what gap shows with a number"
for command in gap holders pins leaks "path --creator=peak_make" "whatif --drop=ring"; do
    read -ra words <<<"$command"
    timeout 60 "$WHOHOLDS" "${words[@]}" "$TMP/t.db" >"$TMP/out"
    grep -Eq "^Snapshot: +$(id peak) of t_peak, pid [0-9]+ \(peak, at .*, [0-9]+ % of its peak of .*; one of 2" "$TMP/out" ||
        fail "$command does not say which snapshot it shows: $(head -2 "$TMP/out")"
done
timeout 60 "$WHOHOLDS" report "$TMP/t.db" >"$TMP/out"
grep -Eq "snapshot $(id peak) of process .*\(peak, at .*, [0-9]+ % of its peak" "$TMP/out" || fail "report: $(grep snapshot "$TMP/out")"

# What a snapshot cannot show is said: most was freed before it, and how to see it.
peak exit 8000 20 50
timeout 60 "$WHOHOLDS" report "$TMP/t.db" >"$TMP/out"
grep -q 'let go of most.*--snapshot=peak.*peak of 7.9 MiB' "$TMP/out" || fail "no word of the peak: $(grep -A3 snapshot "$TMP/out")"

# A program that ends above all it had: the last one is the highest too.
peak exit,peak 20 0 1000
check_eq exit "$(taken | cut -d'|' -f1)" "a short one with exit,peak"
check_eq 1 "$(shown --snapshot=peak)" "its peak"

# Two of them compared: each is named.
peak exit,peak 8000 1500 50
timeout 60 "$WHOHOLDS" diff "$TMP/t.db" "$TMP/t.db:exit" >"$TMP/out"
grep -Eq "^Before: +$(id peak) of t_peak.*\(peak, .*FILE:SNAPSHOT" "$TMP/out" || fail "diff: $(head -2 "$TMP/out")"
grep -Eq "^After: +$(id exit) of t_peak.*\(exit, " "$TMP/out" || fail "diff: $(head -2 "$TMP/out")"
