#!/usr/bin/env bash
# node -e: generated code, many threads and huge reservations of address space; same output.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need node

same "$TMP/t.db" node -e '
const rows = []; for (let i = 0; i < 20000; i++) rows.push({ id: i, text: "row " + i });
const back = JSON.parse(JSON.stringify(rows)); console.log(back.length, Buffer.alloc(1 << 20).length);'
check_eq 0 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events"
check_ge 4 "$(q "$TMP/t.db" "SELECT count(*) FROM thread")" "threads"
