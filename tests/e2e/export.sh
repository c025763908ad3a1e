#!/usr/bin/env bash
# What other viewers get is what the trace says: collapsed stacks by creator and by holder add up to its
# totals, and pprof's format, read back by its public description, has the same stacks with all values.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need "$PYTHON"
export_of() { "$WHOHOLDS" export "$@" 2>"$TMP/notes" || fail "export $*: $(cat "$TMP/notes")"; }
total() { awk '{ sum += $NF } END { printf "%d\n", sum }'; }
refuses() { # STATUS PATTERN ARGUMENTS...
    local expected=$1 pattern=$2 status=0
    shift 2
    "$WHOHOLDS" export "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
    check_eq "$expected" "$status" "status of 'export $*': $(cat "$TMP/err")"
    matches -e "$pattern" <"$TMP/err" || fail "'export $*' says: $(cat "$TMP/err")"
}

# Reads gzip'ed pprof; "VALUE..." per kind as the first line, then the stacks as collapsed with the named value.
cat >"$TMP/read.py" <<'PY'
import collections, gzip, sys

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at

def fields(data):
    """number -> list of values: integers as they are, messages and texts as bytes."""
    at, found = 0, collections.defaultdict(list)
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            sys.exit("wire type %d" % (key & 7))
        found[key >> 3].append(value)
    return found

def numbers(values):
    """Packed or not."""
    result = []
    for value in values:
        at = 0
        while isinstance(value, bytes) and at < len(value):
            number, at = varint(value, at)
            result.append(number)
        if not isinstance(value, bytes):
            result.append(value)
    return result

def one(message, number):
    return message[number][0] if message[number] else 0

profile = fields(gzip.open(sys.argv[1]).read())
texts = [t.decode() for t in profile[6]]
assert texts[0] == "", "text 0 is empty"
kinds = [texts[one(fields(k), 1)] for k in profile[1]]
functions = {one(fields(f), 1): texts[one(fields(f), 2)] for f in profile[5]}
mappings = {one(fields(m), 1) for m in profile[3]}
locations = {}
for message in map(fields, profile[4]):
    assert one(message, 2) in mappings | {0}, "mapping"
    locations[one(message, 1)] = [functions[one(fields(line), 1)] for line in message[4]]
which = kinds.index(sys.argv[2])
sums, stacks = [0] * len(kinds), collections.Counter()
for message in map(fields, profile[2]):
    values = numbers(message[2])
    assert len(values) == len(kinds), "values"
    sums = [a + b for a, b in zip(sums, values)]
    frames = [name for location in numbers(message[1]) for name in locations[location]]
    frames = [f.replace(";", ":") for f in reversed(frames)]
    if len(sys.argv) > 3:
        label = fields(message[3][0])
        assert texts[one(label, 1)] == "process"
        frames.insert(0, texts[one(label, 2)])
    if values[which] > 0:
        stacks[";".join(frames)] += values[which]
print(*kinds)
print(*sums)
print("default", texts[one(profile, 14)], "period", one(profile, 12), "time", one(profile, 9))
for comment in numbers(profile[13]):
    print("comment", texts[comment])
print("stacks")
for stack, value in sorted(stacks.items(), key=lambda s: s[0].encode()):
    print(stack, value)
PY
same_stacks() { # TRACE VALUE [process]: pprof's and the collapsed ones
    export_of --format=pprof -o "$TMP/p.gz" "$1"
    "$PYTHON" "$TMP/read.py" "$TMP/p.gz" "$2" ${3:+"$3"} >"$TMP/read" || fail "not pprof's format: $1"
    export_of --metric="$2" "$1" >"$TMP/collapsed"
    [ -s "$TMP/collapsed" ] || fail "no stacks of $2 in $1"
    sed '1,/^stacks$/d' "$TMP/read" | diff - "$TMP/collapsed" >"$TMP/diff" ||
        fail "pprof and collapsed differ in $2 of $1: $(head "$TMP/diff")"
}

trace=$TMP/leak.db
record "$trace" "$PROGRAMS/t_leak" 2000 >/dev/null
export_of "$trace" >"$TMP/creators"
matches -x '.*;main;parse_request 4096000' <"$TMP/creators" || fail "no stack of parse_request: $(cat "$TMP/creators")"
[ ! -s "$TMP/notes" ] || fail "an exact trace has a note: $(cat "$TMP/notes")"
for metric in alloc_objects alloc_space inuse_objects inuse_space peak_objects peak_space temporary_objects; do
    check_eq "$(q "$trace" "SELECT sum($metric) FROM site")" "$(export_of --metric=$metric "$trace" | total)" "sum of $metric"
    [ $metric = temporary_objects ] || same_stacks "$trace" $metric
done
check_eq "alloc_objects alloc_space inuse_objects inuse_space peak_objects peak_space temporary_objects" "$(head -n 1 "$TMP/read")" "kinds"
check_eq "$(sqlite3 -separator ' ' "$trace" 'SELECT sum(alloc_objects), sum(alloc_space), sum(inuse_objects),
    sum(inuse_space), sum(peak_objects), sum(peak_space), sum(temporary_objects) FROM site')" "$(sed -n 2p "$TMP/read")" "sums of all kinds"
check_eq "default inuse_space period 1 time $(q "$trace" "SELECT value FROM trace WHERE key = 'start_ns'")" \
    "$(sed -n 3p "$TMP/read")" "what pprof shows first"

# who holds, as stacks
export_of --by=holder "$trace" >"$TMP/holders"
matches -xF 'sessions[*].user;[created by parse_request] 4096000' <"$TMP/holders" || fail "no holder: $(cat "$TMP/holders")"
check_eq "$(q "$trace" 'SELECT live_bytes FROM snapshot')" "$(total <"$TMP/holders")" "held bytes"
check_eq "$(q "$trace" 'SELECT live_objects FROM snapshot')" \
    "$(export_of --by=holder --metric=inuse_objects "$trace" | total)" "held blocks"
export_of --by=holder --format=pprof "$trace" >"$TMP/p.gz"
"$PYTHON" "$TMP/read.py" "$TMP/p.gz" inuse_space | sed '1,/^stacks$/d' | diff - "$TMP/holders" ||
    fail "pprof and collapsed differ by holder"

# inlined calls are lines of one place; steps of a path are frames of their own
record "$TMP/containers.db" "$PROGRAMS/truth_22_containers" >/dev/null
same_stacks "$TMP/containers.db" alloc_space
export_of --by=holder "$TMP/containers.db" >"$TMP/holders"
check_eq "$(sqlite3 "$TMP/containers.db" 'SELECT live_bytes FROM snapshot')" "$(total <"$TMP/holders")" "held in containers"
! matches ' → ' <"$TMP/holders" || fail "steps that are one frame: $(grep ' → ' "$TMP/holders")"

# processes stand apart
record "$TMP/tree.db" sh -c '/bin/ls / >/dev/null; /bin/ls /tmp >/dev/null; :'
same_stacks "$TMP/tree.db" temporary_objects process
same_stacks "$TMP/tree.db" alloc_objects process
matches -E '^ls \[[0-9]+\];' <"$TMP/collapsed" || fail "no process in front: $(head -n 3 "$TMP/collapsed")"
pid=$(sqlite3 "$TMP/tree.db" "SELECT max(pid) FROM process WHERE exe LIKE '%/ls'")
check_eq "$(sqlite3 "$TMP/tree.db" "SELECT sum(alloc_space) FROM site t JOIN process p ON p.id = t.process_id AND p.pid = $pid")" \
    "$(export_of --metric=alloc_space --process="$pid" "$TMP/tree.db" | total)" "one process"

# a sampled recording says so, and gives estimates
timeout 240 "$WHOHOLDS" record -q --sample=4KiB -o "$TMP/sampled.db" -- "$PROGRAMS/t_leak" 20000 >/dev/null
same_stacks "$TMP/sampled.db" inuse_space
matches 'sampled' <"$TMP/notes" || fail "no note of sampling: $(cat "$TMP/notes")"
matches '^comment .*sampled' <"$TMP/read" || fail "no comment of sampling: $(cat "$TMP/read")"
matches '^default inuse_space period 4096 ' <"$TMP/read" || fail "no period: $(cat "$TMP/read")"
check_eq "$(sqlite3 "$TMP/sampled.db" 'SELECT sum(CAST(inuse_space + 0.5 AS INTEGER)) FROM estimate')" "$(total <"$TMP/collapsed")" "estimates"
refuses 5 'peak_space is not known of a sampled recording' --metric=peak_space "$TMP/sampled.db"

refuses 2 'metric' --metric=inuse "$trace"
refuses 2 'has all of them' --format=pprof --metric=inuse_space "$trace"
refuses 2 'goes with --by=creator' --by=holder --process=1 "$trace"
refuses 2 'goes with --by=holder' --snapshot=1 "$trace"
refuses 5 'peak_space is not known by holder' --by=holder --metric=peak_space "$trace"
refuses 5 'snapshot' --by=holder --snapshot=nosuch "$trace"
refuses 4 "cannot write '/nonexistent/x'" -o /nonexistent/x "$trace"
refuses 4 "cannot write '/dev/full': No space" -o /dev/full "$trace"
refuses 4 "cannot write '/dev/full': No space" --format=pprof -o /dev/full "$trace"
