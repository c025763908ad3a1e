#!/usr/bin/env bash
# Ground truth: 32 programs whose holders are known by construction are recorded, and every block must
# stand under its true holder in the table gap. Prints one line a claim and the score in bytes: recall
# (of what is true, how much was found), precision (of what was said, how much is true), misheld bytes.
# tests/golden/truth/README says how the truth is written down. ONLY=NN runs one program.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# any_of COLUMN PATTERNS: an SQL condition from alternatives separated by |
any_of() {
    local column=$1 alternative condition=0
    local -a alternatives
    IFS='|' read -r -a alternatives <<<"$2"
    for alternative in "${alternatives[@]}"; do
        condition="$condition OR $column GLOB '${alternative//\'/\'\'}'"
    done
    printf '(%s)' "$condition"
}

# what the holder column must look like
holder_condition() {
    case $1 in
    held) echo "holder NOT GLOB 'lost*'" ;;
    unknowable) echo "(holder GLOB 'lost*' OR holder GLOB '*encoded*' OR holder GLOB 'no holder*')" ;;
    *) any_of holder "$1" ;;
    esac
}

# claim NUMBER TRACE LINE...: scores one block line
true_total=0 right_total=0 said_total=0 misheld_total=0 wrong=0 known_wrong=0 claims=0
claim() {
    local number=$1 trace=$2 creator='*' holder='*' bytes='*' objects='*' known='' word of right said verdict
    shift 2
    for word in "$@"; do
        case $word in
        creator=*) creator=${word#*=} ;;
        holder=*) holder=${word#*=} ;;
        bytes=*) bytes=${word#*=} ;;
        objects=*) objects=${word#*=} ;;
        known=*) known=${word#*=} ;;
        *) fail "tests/golden/truth/$number.txt: unknown word '$word'" ;;
        esac
    done
    of="FROM gap WHERE snapshot_id = (SELECT max(id) FROM snapshot WHERE process_id =
            (SELECT max(process_id) FROM snapshot)) AND $(any_of creator "$creator")"
    said=$(sqlite3 "$trace" "SELECT coalesce(sum(bytes), 0) $of")
    right=$(sqlite3 "$trace" "SELECT coalesce(sum(bytes), 0) || ' ' || coalesce(sum(objects), 0) $of
                              AND $(holder_condition "$holder")")
    local right_objects=${right#* }
    right=${right% *}
    [ "$bytes" != '*' ] || bytes=$said
    verdict=right
    if [ "$right" -ne "$bytes" ] || [ "$said" -eq 0 ] ||
        { [ "$objects" != '*' ] && [ "$right_objects" -ne "$objects" ]; }; then
        verdict=WRONG
        if [ -n "$known" ]; then
            verdict="known: ${known//_/ }"
            known_wrong=$((known_wrong + 1))
        else
            wrong=$((wrong + 1))
        fi
    fi
    claims=$((claims + 1))
    # a creator may have several claims: count each byte once
    local counted=$((right < bytes ? right : bytes))
    true_total=$((true_total + bytes)) right_total=$((right_total + counted))
    printf '%s %-24s %-28s %10s of %10s  %s\n' "$number" "$creator" "$holder" "$right" "$bytes" "$verdict"
    if [ "$verdict" = WRONG ]; then
        sqlite3 -separator '  ' "$trace" "SELECT '     instead:', holder, objects, bytes $of ORDER BY bytes DESC LIMIT 4"
    fi
}

for truth in "$WH_SOURCE"/tests/golden/truth/${ONLY:-[0-9][0-9]}.txt; do
    number=$(basename "$truth" .txt)
    program=$(sed -n 's/^program //p' "$truth")
    trace=$TMP/$number.db
    status=0
    timeout 60 "$WHOHOLDS" record -o "$trace" -- "$PROGRAMS/$program" >"$TMP/$number.out" 2>&1 || status=$?
    if [ "$status" -eq 77 ]; then
        echo "$number skipped: $program misses something on this system"
        continue
    fi
    if [ "$status" -ne 0 ] || [ "$(sqlite3 "$trace" 'SELECT count(*) FROM snapshot')" -eq 0 ]; then
        cat "$TMP/$number.out"
        echo "$number $program: no snapshot (status $status)"
        wrong=$((wrong + 1))
        continue
    fi
    creators=''
    while read -r -a words; do
        claim "$number" "$trace" "${words[@]:1}"
        for word in "${words[@]}"; do
            case $word in creator=*) creators="$creators|${word#*=}" ;; esac
        done
    done < <(grep '^block ' "$truth")
    said_total=$((said_total + $(sqlite3 "$trace" "SELECT coalesce(sum(bytes), 0) FROM gap WHERE
        snapshot_id = (SELECT max(id) FROM snapshot) AND $(any_of creator "${creators#|}")")))
    # conservation: every live byte stands somewhere
    check_eq 0 "$(sqlite3 "$trace" "SELECT count(*) FROM snapshot WHERE held_bytes IS NOT NULL AND
        live_bytes <> held_bytes + lost_bytes + coalesce(untracked_bytes, 0)")" "$program: conservation"
done
misheld_total=$((said_total - right_total))
awk -v t="$true_total" -v r="$right_total" -v s="$said_total" -v m="$misheld_total" -v c="$claims" \
    -v w="$wrong" -v k="$known_wrong" 'BEGIN {
    printf "%d claims, %d wrong, %d wrong for a known reason\n", c, w, k
    printf "recall %.4f  precision %.4f  misheld %d of %d bytes\n", t ? r / t : 0, s ? r / s : 0, m, s }'
[ "$wrong" -eq 0 ] || fail "$wrong claims are wrong"
