#!/usr/bin/env bash
# Every process of a tree is in the trace, once, under the right parent, with its own blocks - by fork,
# _Fork, vfork, posix_spawn, exec with an empty environment, exec in place, a daemon that closes
# everything, a script wrapper.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

record "$TMP/t.db" "$PROGRAMS/t_tree" "$TMP/log" >"$TMP/out"
check_eq "tree done" "$(cat "$TMP/out")" "output of the tree"
conserve "$TMP/t.db"
check_eq 8 "$(wc -l <"$TMP/log")" "processes that reported themselves"
while read -r pid parent tag; do
    blocks="10|10000"
    if [ "$tag" = exec ] || [ "$tag" = root ]; then
        blocks="20|20000" # one pid, two images
    fi
    check_eq "$blocks" "$(made "$TMP/t.db" tree_make "$pid")" "blocks of $tag (pid $pid)"
    if [ "$tag" != root ] && [ "$tag" != exec ]; then
        check_eq "$parent" "$(q "$TMP/t.db" "SELECT DISTINCT b.pid FROM process a JOIN process b ON b.id = a.parent_id
            WHERE a.pid = $pid AND b.pid <> a.pid")" "parent of $tag (pid $pid)"
    fi
done <"$TMP/log"
check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE parent_id IS NULL AND id <> 1")" "processes without a parent"
root=$(head -1 "$TMP/log" | cut -d' ' -f1)
check_eq "1|0" "$(q "$TMP/t.db" "SELECT is_replaced, is_exec FROM process WHERE id = 1")" "the first image"
check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE pid = $root AND is_exec AND parent_id = 1")" "the image after exec"

# A child's inherited blocks are live in both: those of the parent at the fork.
check_eq 1 "$(q "$TMP/t.db" "SELECT inherited_objects >= 10 AND inherited_bytes >= 10000 FROM process
    WHERE pid = (SELECT $(sed -n 2p "$TMP/log" | cut -d' ' -f1))")" "inherited blocks of the forked child"

# The daemon outlives its starter; the trace is complete when it has ended.
record "$TMP/d.db" "$PROGRAMS/t_daemon" "$TMP/marker"
wait_for 20 test -s "$TMP/marker" || fail "the daemon did not finish its work"
daemon=$(cat "$TMP/marker")
complete() { [ "$(q "$TMP/d.db" "SELECT value FROM trace WHERE key = 'complete'")" = 1 ]; }
wait_for 20 complete || fail "the daemon's trace was not completed"
check_eq "500|100000" "$(made "$TMP/d.db" daemon_work "$daemon")" "blocks of the daemon"
conserve "$TMP/d.db"

# A script wrapper: the program is a grandchild behind #!, env and a shell.
cat >"$TMP/wrapper" <<SCRIPT
#!/usr/bin/env bash
/bin/true
(exec "$PROGRAMS/t_leak" 10) | cat
exit 21
SCRIPT
chmod +x "$TMP/wrapper"
same "$TMP/w.db" "$TMP/wrapper"
check_eq "10|40960" "$(made "$TMP/w.db" parse_request)" "blocks of the program behind the wrapper"
check_ge 4 "$(q "$TMP/w.db" "SELECT count(DISTINCT pid) FROM process")" "processes behind the wrapper"

# --no-children stays with the first process.
timeout 60 "$WHOHOLDS" record -q --force --no-children -o "$TMP/n.db" -- "$TMP/wrapper" >/dev/null || true
check_eq 1 "$(q "$TMP/n.db" "SELECT count(DISTINCT pid) FROM process")" "processes with --no-children"

# A tree of many: people see its largest processes, and how many they do not see; machines see all. What is
# the same little thing in each is told three times and counted.
# shellcheck disable=SC2016 # expanded by the recorded shell
timeout 60 "$WHOHOLDS" record -q --force -o "$TMP/m.db" -- bash -c 'for i in 1 2 3 4 5 6 7 8; do "$1" >"$2"; done' bash "$PROGRAMS/truth_08_cycle" "$TMP/out"
timeout 60 "$WHOHOLDS" report "$TMP/m.db" >"$TMP/report"
check_eq 5 "$(grep -c '^snapshot [0-9]' "$TMP/report")" "snapshots in the report of nine processes"
grep -q "lists the snapshots of 4 more" "$TMP/report" || fail "the others are not counted: $(grep -A8 'Creator against' "$TMP/report")"
check_eq 9 "$(timeout 60 "$WHOHOLDS" report --limit 1000 --format json "$TMP/m.db" | python3 -c 'import json, sys; print(len({row["snapshot_id"] for row in json.load(sys.stdin)["gap"]}))')" \
    "snapshots in its machine form"
timeout 60 "$WHOHOLDS" check "$TMP/m.db" >"$TMP/check" || true
infos=$(timeout 60 "$WHOHOLDS" check --format csv "$TMP/m.db" | grep -c '^info,lost,' || true)
check_ge 8 "$infos" "blocks lost in each"
check_eq 3 "$(grep -c '^info: .*(lost)$' "$TMP/check")" "told of them"
grep -q "^info: .*: $((infos - 3)) more, .* in all" "$TMP/check" || fail "the others are not counted: $(grep '^info' "$TMP/check")"

# A program is called by the name it was started with, where that is not its file's.
ln -s "$PROGRAMS/t_leak" "$TMP/request-server"
timeout 60 "$WHOHOLDS" record -q --force -o "$TMP/l.db" -- "$TMP/request-server" 10 >"$TMP/out"
timeout 60 "$WHOHOLDS" report "$TMP/l.db" | matches '^Process 1, pid .*: request-server, .*/t_leak$' || fail "the name in the report"
timeout 60 "$WHOHOLDS" gap "$TMP/l.db" | matches '^Snapshot: .* of request-server, pid' || fail "the name in gap"
