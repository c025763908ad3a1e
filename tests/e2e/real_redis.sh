#!/usr/bin/env bash
# redis-server (on jemalloc, where the distribution builds it so) under redis-benchmark on a free port
# of the loopback: every request answered, the server ends as asked, nothing lost.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need redis-benchmark redis-cli

# Debian's redis-tools has the server as redis-check-rdb: the name decides what it is.
server=$(command -v redis-server || true)
if [ -z "$server" ]; then
    ln -s "$(command -v redis-check-rdb || skip "no redis-server")" "$TMP/redis-server"
    server=$TMP/redis-server
fi
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 20000))
    "$WHOHOLDS" record -q --force -o "$TMP/t.db" -- "$server" --port "$port" --bind 127.0.0.1 --save "" --appendonly no \
        --daemonize no --dir "$TMP" >"$TMP/server.log" 2>"$TMP/record.err" &
    recorder=$!
    started+=("$recorder")
    wait_for 20 redis-cli -p "$port" ping && break
    wait "$recorder" || true
done
redis-cli -p "$port" ping | matches PONG || fail "the server does not answer: $(tail -3 "$TMP/server.log" "$TMP/record.err")"
timeout 100 redis-benchmark -p "$port" -n 10000 -r 1000 -c 20 -t set,get,lpush,hset -q --csv >"$TMP/bench.csv" 2>/dev/null
check_ge 4 "$(grep -c '^"[A-Z]' "$TMP/bench.csv")" "kinds of requests measured"
check_ge 500 "$(redis-cli -p "$port" dbsize)" "keys"
redis-cli -p "$port" shutdown nosave >/dev/null 2>&1 || true
status=0
wait "$recorder" || status=$?
check_eq 0 "$status" "status of the server"
conserve "$TMP/t.db"
check_eq 0 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events"
check_ge 20000 "$(q "$TMP/t.db" "SELECT sum(alloc_objects) FROM site")" "allocations of the server"
# Its strings are held by addresses behind their headers, its lists lie side by side without a gap.
check_ge -5 "-$(q "$TMP/t.db" "SELECT count(*) FROM held WHERE state != 'held'")" "lost blocks, negative"
check_ge 10 "$(q "$TMP/t.db" "SELECT count(*) / (count(*) FILTER (WHERE strength < 3) + 1) FROM held h JOIN allocation a ON a.id = h.allocation_id
    JOIN stack s ON s.id = a.stack_id WHERE s.creator = '_sdsnewlen'")" "strings that are held for a reason, to each other one"
