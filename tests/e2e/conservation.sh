#!/usr/bin/env bash
# What the trace counts is what an independent counter below the tracer counts: blocks, bytes and frees
# of every process image, to the byte. The tracer's own few blocks (process.tracer_objects) count too.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

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
        counted=$(od -An -v -td8 -w24 -j8 -N24 "$file" | awk '{ print $1 "|" $2 "|" $3 }')
        traced=$("$WHOHOLDS" sql --format csv "$TMP/t.db" "WITH image AS (SELECT * FROM process WHERE pid = $pid ORDER BY id LIMIT 1 OFFSET $n)
            SELECT (count(*) FILTER (WHERE NOT is_inherited) + i.tracer_objects) || '|' ||
                   (ifnull(sum(size_bytes) FILTER (WHERE NOT is_inherited), 0) + i.tracer_bytes) || '|' ||
                   (i.tracer_frees + iif(i.is_replaced, -- an image that ends by exec has no rows for what it inherited
                        (SELECT count(*) FROM event e WHERE e.process_id = i.id AND (kind = 'free' AND size_bytes IS NULL
                            OR kind = 'realloc' AND detail <> 'mmap' AND old_address <> 0)),
                        i.unknown_frees + count(a.free_ns))) AS account
            FROM image i LEFT JOIN allocation a ON a.process_id = i.id AND a.kind <> 'mmap'" | tail -n 1)
        check_eq "$counted" "$traced" "$name, image $n of pid $pid: blocks|bytes|frees counted below the tracer"
        echo "$name, image $n of pid $pid: $traced"
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
