#!/usr/bin/env bash
# What cannot be recorded is said in one clear line and in the trace: static and setuid programs, also
# behind a script. Wrong options end with 2, an output that cannot be written with 125. A program that
# only mentions malloc is not taken for one that defines it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need cc

# refused STATUS LINES COMMAND...: the exit status, and lines on stderr.
refused() {
    local expected=$1 lines=$2 status=0
    shift 2
    "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || status=$?
    check_eq "$expected" "$status" "status of '$*'"
    check_eq "$lines" "$(wc -l <"$TMP/err")" "lines on stderr of '$*'"
}
program() { # NAME CODE FLAGS...
    printf '#include <stdlib.h>\n%s\n' "$2" >"$TMP/$1.c"
    cc -o "$TMP/$1" "$TMP/$1.c" "${@:3}"
}
note() { # KIND: the texts of the trace's notes
    q "$TMP/t.db" "SELECT text FROM note WHERE kind = '$1'"
}

if program static 'int main(void) { free(malloc(10)); return 9; }' -static 2>/dev/null; then
    refused 9 1 "$WHOHOLDS" record --force -o "$TMP/t.db" -- "$TMP/static"
    grep -q 'statically linked' "$TMP/err" || fail "why: $(cat "$TMP/err")"
    check_eq "$TMP/static: it is statically linked" "$(note exec_static)" "note of the static program"
    timeout 60 "$WHOHOLDS" report "$TMP/t.db" | matches 'statically linked' || fail "the report is silent about it"
    printf '#!%s\n' "$TMP/static" >"$TMP/script"
    chmod +x "$TMP/script"
    refused 9 1 "$WHOHOLDS" record --force -o "$TMP/t.db" -- "$TMP/script"
    check_eq 1 "$(note exec_static | wc -l)" "notes of the script of a static interpreter"
    refused 4 0 "$WHOHOLDS" record --force -o "$TMP/t.db" -- sh -c "'$TMP/static'; exit 4"
    check_eq "$TMP/static" "$(note exec_static)" "note of the static child"
fi
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1; then
    cp /bin/true "$TMP/privileged"
    chown nobody "$TMP/privileged"
    chmod 4755 "$TMP/privileged"
    refused 0 1 "$WHOHOLDS" record --force -o "$TMP/t.db" -- "$TMP/privileged"
    check_eq 1 "$(note exec_static | grep -c setuid)" "notes of the setuid program"
fi

for option in --nonsense --depth=0 --depth=x --overflow=maybe --materialize=no --snapshot=often --snapshot=every:0s --memory=-1; do
    refused 2 "$([ "$option" = --nonsense ] && echo 2 || echo 1)" "$WHOHOLDS" record "$option" --force -o "$TMP/t.db" -- true
done
refused 2 2 "$WHOHOLDS" record -o "$TMP/t.db"
refused 125 1 "$WHOHOLDS" record -o "$TMP/no/where.db" -- true
refused 125 1 "$WHOHOLDS" record -o /proc/whoholds.db -- true
echo precious >"$TMP/precious.db"
refused 125 1 "$WHOHOLDS" record -o "$TMP/precious.db" -- true
check_eq precious "$(cat "$TMP/precious.db")" "the existing file"
refused 127 1 "$WHOHOLDS" record --force -o "$TMP/t.db" -- no-such-program-anywhere
refused 126 1 "$WHOHOLDS" record --force -o "$TMP/t.db" -- "$TMP/precious.db"

# The options in force are a fact of the trace, and can be typed again.
record "$TMP/t.db" true
options() { q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'options'"; }
check_eq "--depth=128 --overflow=wait --materialize=auto --snapshot=exit --mmap-min=65536 --memory=268435456 --force" "$(options)" "default options"
"$WHOHOLDS" record -q --force -o "$TMP/t.db" --free-stacks --depth 10 --overflow drop --materialize none \
    --snapshot peak,every:2s --mmap-min 1M --memory 32M --no-children -- true
first=$(options)
read -ra words <<<"$first"
"$WHOHOLDS" record -q -o "$TMP/t.db" "${words[@]}" -- true
check_eq "$first" "$(options)" "options of a recording made with the options of another"
check_eq "--depth=10 --overflow=drop --materialize=none --snapshot=peak,every:2s --mmap-min=1048576 --memory=33554432 --free-stacks --no-children --force" \
    "$first" "all options"

# malloc's address taken at a fixed place of the program, against a malloc of its own.
program mentions 'void *(*volatile make)(size_t) = malloc;
int main(void) { void *(*volatile other)(size_t) = malloc; return !make(100) || other != make; }' -fno-pie -no-pie -O1
refused 0 0 "$WHOHOLDS" record --force -o "$TMP/t.db" -- "$TMP/mentions"
check_eq "" "$(note unhooked_module)" "notes about a program that mentions malloc"
check_ge 1 "$(q "$TMP/t.db" "SELECT count(*) FROM allocation WHERE size_bytes = 100")" "its block"
program defines 'static char room[1 << 20]; static size_t used;
void *malloc(size_t n) { used = (used + 31) & ~15ul; used += n; return used > sizeof room ? 0 : room + used - n; }
void free(void *p) { (void)p; }
int main(void) { return !malloc(100); }' -rdynamic -fno-builtin
refused 0 0 "$WHOHOLDS" record --force -o "$TMP/t.db" -- "$TMP/defines"
check_eq "$TMP/defines" "$(note unhooked_module)" "notes about a program with its own malloc"
