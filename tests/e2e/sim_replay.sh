#!/usr/bin/env bash
# A recorded trace can be replayed on any allocator: the peak of live bytes is the recording's own.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need python3
SIM=$WH_BUILD/bin/whoholds-sim

timeout 60 "$WHOHOLDS" record -o "$TMP/t.db" -- "$SIM" run pool-reuse --set collections=3 --quiet
peak=$(sqlite3 "$TMP/t.db" 'SELECT peak_bytes FROM process WHERE id = 1')
timeout 60 "$SIM" replay "$TMP/t.db" --format json >"$TMP/json"
value() {
    python3 -c 'import json,sys; print(int(json.load(open(sys.argv[1]))[sys.argv[2]]))' "$TMP/json" "$1"
}
check_eq "$peak" "$(value peak_live_bytes)" "peak of live bytes"
check_eq 0 "$(value unknown_frees)" "unknown frees"
check_ge "$((peak / 2))" "$(value peak_resident_bytes)" "peak of resident bytes"
for allocator in libjemalloc.so.2 libmimalloc.so.2.0 libtcmalloc_minimal.so.4; do
    if LD_PRELOAD=$allocator "$SIM" --version 2>&1 | matches ERROR; then
        continue
    fi
    LD_PRELOAD=$allocator timeout 60 "$SIM" replay "$TMP/t.db" --format json >"$TMP/json"
    check_eq "$peak" "$(value peak_live_bytes)" "peak of live bytes with $allocator"
done
status=0
"$SIM" replay /etc/hostname 2>"$TMP/err" || status=$?
check_eq 3 "$status" "status for a file that is no trace"
