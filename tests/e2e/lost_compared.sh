#!/usr/bin/env bash
# What is lost, by three judges: the ground-truth programs under whoholds, LeakSanitizer and memcheck,
# against the truth (tests/golden/truth). Prints a table of lost bytes; where a judge is wrong the last
# column says why. Fails when we are wrong where the truth file knows of no reason, and so above all
# where the other two agree with the truth. ONLY=NN runs one program.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need valgrind gcc
lsan=$(gcc -print-file-name=liblsan.so)
[ -e "$lsan" ] || skip "gcc's liblsan.so is not installed"
LSAN_OPTIONS=exitcode=0 LD_PRELOAD=$lsan timeout 20 "$PROGRAMS/truth_08_cycle" >/dev/null 2>"$TMP/probe" || true
grep -q 'fatal' "$TMP/probe" && skip "LeakSanitizer cannot trace here: $(head -3 "$TMP/probe")"

# Why a judge is wrong on a program, where it is.
declare -A why=(
    [lsan_04]="tags in high bits are no pointers to it"
    [lsan_13]="anonymous mappings are not scanned"
    [lsan_15]="the whole stack above sp is a root, dead slots of live frames too"
    [lsan_16]="only aligned words are pointers (use_unaligned=0)"
    [lsan_19]="shared mappings are not scanned"
    [memcheck_04]="tags in high bits are no pointers to it"
    [memcheck_16]="only aligned words are pointers"
    [ours_17]="stale words in reused memory look like pointers: they did not reuse it, and memcheck knows what was written"
)

facts=$TMP/facts.db
sqlite3 "$facts" "CREATE TABLE lost(number, judge, bytes INTEGER, stack); CREATE TABLE ran(number, judge);
                  CREATE TABLE claim(number, program, creator, holder, bytes, known);"

# BYTES TAB ;FRAME;FRAME; a leak, from a report on stdin
leaks_of_lsan() {
    awk '/^(Direct|Indirect) leak of/ { bytes = $4; stack = ";"; open = 1; next }
         open && /^ *#[0-9]+ / { sub(/^ *#[0-9]+ 0x[0-9a-f]+ in /, ""); sub(/[( ].*/, ""); stack = stack $0 ";"; next }
         open { print bytes "\t" stack; open = 0 }'
}
lost_of_ours() { # TRACE
    q "$1" "SELECT sum(a.size_bytes) || char(9) || ';' || s.creator || ';' FROM held h
        JOIN allocation a ON a.id = h.allocation_id JOIN stack s ON s.id = a.stack_id
        WHERE h.state <> 'held' AND h.snapshot_id = (SELECT max(id) FROM snapshot) GROUP BY s.creator"
}
leaks_of_memcheck() {
    awk '/ blocks are (definitely|indirectly|possibly) lost/ {
             bytes = $2; if ($4 == "direct,") bytes = substr($3, 2)
             kind = $0; sub(/.*blocks are /, "", kind); sub(/ .*/, "", kind)
             gsub(/,/, "", bytes); stack = ";"; open = kind != "possibly"; next }
         open && / (at|by) 0x/ { sub(/^.* 0x[0-9A-F]+: /, ""); sub(/[( ].*/, ""); stack = stack $0 ";"; next }
         open { print bytes "\t" stack; open = 0 }'
}
# add NUMBER JUDGE: the judge's leaks on stdin
add() {
    local bytes stack
    while IFS=$'\t' read -r bytes stack; do
        echo "INSERT INTO lost VALUES('$1', '$2', $bytes, '${stack//\'/}');"
    done | sqlite3 "$facts"
    sqlite3 "$facts" "INSERT INTO ran VALUES('$1', '$2')"
}

# What the other two say, in $TMP/NUMBER.JUDGE; nothing is there when they could not.
others() { # NUMBER PROGRAM
    LSAN_OPTIONS=exitcode=0 LD_PRELOAD=$lsan timeout 120 "$PROGRAMS/$2" >"$TMP/said.$1" 2>&1 &&
        { cat "$TMP/said.$1"; echo; } | leaks_of_lsan >"$TMP/$1.lsan"
    timeout 240 valgrind --leak-check=full --show-leak-kinds=all --num-callers=12 --read-inline-info=no --vgdb=no \
        --log-file="$TMP/log.$1" "$PROGRAMS/$2" >/dev/null 2>&1 && leaks_of_memcheck <"$TMP/log.$1" >"$TMP/$1.memcheck"
}

# They take the time, and none of them is ours: as many at once as there are processors.
numbers=()
for truth in "$WH_SOURCE"/tests/golden/truth/${ONLY:-[0-9][0-9]}.txt; do
    number=$(basename "$truth" .txt)
    [ "$number" != 32 ] || [ -n "${ONLY:-}" ] || continue # threads that churn: minutes under memcheck
    numbers+=("$number")
    while [ "$(jobs -r | wc -l)" -ge "$(nproc)" ]; do
        wait -n || true
    done
    others "$number" "$(sed -n 's/^program //p' "$truth")" &
done
wait

for number in "${numbers[@]}"; do
    truth=$WH_SOURCE/tests/golden/truth/$number.txt
    program=$(sed -n 's/^program //p' "$truth")
    status=0
    record "$TMP/$number.db" "$PROGRAMS/$program" >/dev/null 2>&1 || status=$?
    [ "$status" -ne 77 ] || continue
    while read -r -a words; do
        creator='' holder='' bytes=0 known=''
        for word in "${words[@]:1}"; do
            case $word in
            creator=*) creator=${word#*=} ;;
            holder=*) holder=${word#*=} ;;
            bytes=*) bytes=${word#*=} ;;
            known=*) known=${word#*=} ;;
            esac
        done
        IFS='|' read -r -a names <<<"$creator"
        for name in "${names[@]}"; do # of alternatives one is the function's name here
            echo "INSERT INTO claim VALUES('$number', '$program', '$name', '$holder', '$bytes', '$known');"
            bytes=0
        done
    done < <(grep '^block ' "$truth") > >(sqlite3 "$facts")
    wait $! || true
    lost_of_ours "$TMP/$number.db" | add "$number" ours
    if [ "$number" = 17 ]; then # the same with memory that forgets: nothing is left over to be believed
        export GLIBC_TUNABLES=glibc.malloc.perturb=85:glibc.malloc.tcache_count=0
        record "$TMP/perturbed.db" "$PROGRAMS/$program" >/dev/null 2>&1
        unset GLIBC_TUNABLES
        sqlite3 "$facts" "INSERT INTO claim SELECT '17p', program || '+perturb', creator, holder, bytes, ''
                          FROM claim WHERE number = '17'"
        lost_of_ours "$TMP/perturbed.db" | add 17p ours
    fi
    for judge in lsan memcheck; do
        [ ! -e "$TMP/$number.$judge" ] || add "$number" $judge <"$TMP/$number.$judge"
    done
done

# per program: bytes lost by the truth and by each judge, of the creators that the truth speaks of
sqlite3 -separator ' ' "$facts" >"$TMP/table" <<'SQL'
WITH judge(name) AS (VALUES('ours'), ('lsan'), ('memcheck')),
said AS (SELECT c.number, j.name,
    CASE WHEN EXISTS (SELECT 1 FROM ran r WHERE r.number = c.number AND r.judge = j.name) THEN
      (SELECT coalesce(sum(bytes), 0) FROM lost l WHERE l.number = c.number AND l.judge = j.name AND EXISTS
        (SELECT 1 FROM claim d WHERE d.number = c.number AND l.stack GLOB '*;' || d.creator || ';*'
           AND (d.creator <> 'main' OR l.stack GLOB ';main;*'))) END bytes
  FROM (SELECT DISTINCT number FROM claim) c, judge j),
truth AS (SELECT number, min(program) program, max(holder = 'unknowable') unknowable, max(known <> '') known,
    sum(CASE WHEN holder GLOB 'lost*' THEN bytes ELSE 0 END) bytes FROM claim GROUP BY number)
SELECT number, program, CASE WHEN unknowable THEN '?' ELSE bytes END,
  (SELECT coalesce(bytes, '-') FROM said s WHERE s.number = t.number AND name = 'ours'),
  (SELECT coalesce(bytes, '-') FROM said s WHERE s.number = t.number AND name = 'lsan'),
  (SELECT coalesce(bytes, '-') FROM said s WHERE s.number = t.number AND name = 'memcheck'), known
FROM truth t ORDER BY number;
SQL

printf '%-24s %8s %8s %8s %8s  %s\n' program truth ours lsan memcheck 'wrong, and why'
wrong=0
declare -A right=([ours]=0 [lsan]=0 [memcheck]=0) judged=([ours]=0 [lsan]=0 [memcheck]=0)
while read -r number program truth ours by_lsan by_memcheck known; do
    declare -A said=([ours]=$ours [lsan]=$by_lsan [memcheck]=$by_memcheck)
    notes=''
    for judge in ours lsan memcheck; do
        if [ "$truth" = '?' ] || [ "${said[$judge]}" = - ]; then continue; fi
        judged[$judge]=$((judged[$judge] + 1))
        if [ "${said[$judge]}" = "$truth" ]; then
            right[$judge]=$((right[$judge] + 1))
        else
            notes="$notes${notes:+; }$judge: ${why[${judge}_$number]:-not explained}"
            if [ "$judge" = ours ] && [ "$known" = 0 ]; then wrong=$((wrong + 1)); fi
        fi
    done
    printf '%-24s %8s %8s %8s %8s  %s\n' "$program" "$truth" "$ours" "$by_lsan" "$by_memcheck" "$notes"
done <"$TMP/table"
for judge in ours lsan memcheck; do
    printf '%s right on %d of %d; ' "$judge" "${right[$judge]}" "${judged[$judge]}"
done
echo
[ "${judged[ours]}" -gt 0 ] || fail "no program was judged"
[ "$wrong" -eq 0 ] || fail "we are wrong about what is lost in $wrong programs"
