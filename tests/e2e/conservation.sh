#!/usr/bin/env bash
# What the trace counts is what an independent counter below the tracer counts: blocks, bytes and frees
# of every process image, to the byte.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# agreement FILE TRACED: prints how many early calls were the tracer's own if the rest of the account is
# what was traced. Loading its unwinder makes the loader allocate a little before the first event can be
# recorded: the very first calls, and some more when an early constructor came between.
agreement() {
    od -An -v -td8 -w8 -N4000 "$1" | awk -v traced="$2" '
        function early(k, i) { return k == 0 ? 0 : word[6 + 3 * (k - 1) + i] }
        { word[NR] = $1 }
        END {
            split(traced, want, "|")
            last = word[2] < 110 ? word[2] : 110
            for (a = 0; a <= last; a++)
                for (b = a; b <= last; b++)
                    for (c = b; c <= last; c++) {
                        if (c == b && b > a)
                            continue
                        equal = 1
                        for (i = 0; i < 3 && equal; i++)
                            equal = word[3 + i] - early(a, i) - (early(c, i) - early(b, i)) == want[i + 1]
                        if (equal) { print a + c - b; exit 0 }
                    }
            printf "%d|%d|%d", word[3], word[4], word[5]
            exit 1
        }'
}

# compare NAME COMMAND...: records with libcounter.so under the tracer and compares image by image. A
# shell puts the counter in place, so the first image of the first process is the only uncounted one.
compare() {
    local name=$1 folder=$TMP/counter file pid n counted traced images=0 first
    shift
    rm -rf "$folder" && mkdir "$folder"
    # shellcheck disable=SC2016 # expanded by the recorded shell
    WH_COUNTER=$folder record "$TMP/t.db" sh -c 'LD_PRELOAD="$LD_PRELOAD:$0" exec "$@"' "$PROGRAMS/libcounter.so" "$@" \
        >"$TMP/out" 2>&1 </dev/null || true
    conserve "$TMP/t.db"
    first=$(q "$TMP/t.db" "SELECT pid FROM process WHERE id = 1")
    for file in "$folder"/*; do
        pid=${file##*/} n=${pid##*.} pid=${pid%.*}
        [ "$pid" != "$first" ] || n=$((n + 1))
        traced=$(q "$TMP/t.db" "WITH image AS (SELECT id FROM process WHERE pid = $pid ORDER BY id LIMIT 1 OFFSET $n)
            SELECT count(*) FILTER (WHERE NOT is_inherited), ifnull(sum(size_bytes) FILTER (WHERE NOT is_inherited), 0),
                   count(free_ns) FROM allocation WHERE kind <> 'mmap' AND process_id = (SELECT id FROM image)")
        counted=$(agreement "$file" "$traced") || fail "$name, image $n of pid $pid: blocks|bytes|frees counted $counted, traced $traced"
        echo "$name, image $n of pid $pid: $traced besides $counted calls of the tracer's own"
        images=$((images + 1))
    done
    check_ge 1 "$images" "$name: images compared"
    echo "$name: $images images agree"
}

compare leak "$PROGRAMS/t_leak" 1000
compare threads "$PROGRAMS/t_threads" 4 5000
compare edges "$PROGRAMS/t_edges"
compare libc "$PROGRAMS/t_libc"
compare early-late "$PROGRAMS/t_early_late"
compare stacks "$PROGRAMS/t_stacks"
compare dl "$PROGRAMS/t_dl" "$PROGRAMS"
compare tree "$PROGRAMS/t_tree" "$TMP/log"
# shellcheck disable=SC2016 # expanded by the recorded shell
compare shell sh -c 'for i in 1 2 3; do ls / | sort | wc -l; done; echo $(expr 1 + 2)'
if [ -x "$PYTHON" ]; then
    PYTHONMALLOC=malloc compare python "$PYTHON" -c 'import json; print(len(json.dumps(list(range(20000)))))'
fi
