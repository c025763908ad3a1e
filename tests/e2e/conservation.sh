#!/usr/bin/env bash
# What the trace counts is what an independent counter below the tracer counts: blocks, bytes and frees
# of every process image, to the byte.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# compare NAME COMMAND...: records with libcounter.so under the tracer and compares image by image.
compare() {
    local name=$1 folder=$TMP/counter file pid n counted traced images=0
    shift
    rm -rf "$folder" && mkdir "$folder"
    LD_PRELOAD=$PROGRAMS/libcounter.so WH_COUNTER=$folder record "$TMP/t.db" "$@" >"$TMP/out" 2>&1 </dev/null || true
    conserve "$TMP/t.db"
    for file in "$folder"/*; do
        pid=${file##*/} n=${pid##*.} pid=${pid%.*}
        counted=$(od -An -td8 -j8 -N24 "$file" | tr -s ' \n' '|')
        [ -n "$(q "$TMP/t.db" "SELECT 1 FROM process WHERE pid = $pid")" ] || continue # the launcher's own
        traced=$(q "$TMP/t.db" "WITH image AS (SELECT id FROM process WHERE pid = $pid ORDER BY id LIMIT 1 OFFSET $n)
            SELECT count(*) FILTER (WHERE NOT is_inherited), ifnull(sum(size_bytes) FILTER (WHERE NOT is_inherited), 0),
                   count(free_ns) FROM allocation WHERE kind <> 'mmap' AND process_id = (SELECT id FROM image)")
        check_eq "${counted#|}" "$traced|" "$name, image $n of pid $pid: blocks, bytes, frees"
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
