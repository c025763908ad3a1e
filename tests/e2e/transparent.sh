#!/usr/bin/env bash
# A recorded program behaves as it does alone: same output, errors and exit status, on every program
# that does something hard; and what is recorded adds up.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

for program in t_edges t_libc t_early_late t_stacks t_signals t_mmap "t_threads 2 20000" "t_threads 64 500" \
    "t_threads 500 10 short" "t_exceptions 2000" "t_dl $PROGRAMS" "t_dl $PROGRAMS deepbind" "t_leak 1000"; do
    read -ra words <<<"$program"
    same "$TMP/t.db" "$PROGRAMS/${words[0]}" "${words[@]:1}"
    check_eq 0 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events of $program"
    check_eq 1 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'complete'")" "$program complete"
done

# Standard input, arguments with spaces, a working directory, the environment: all the program's own.
cd "$TMP"
printf 'a line\n' >in
# shellcheck disable=SC2016 # expanded by the recorded shell
WH_ANY=thing record "$TMP/t.db" sh -c 'cat; pwd; echo "$1|$WH_ANY|$LD_LIBRARY_PATH"' sh "two words" <in >out
check_eq "a line
$TMP
two words|thing|${LD_LIBRARY_PATH:-}" "$(cat out)" "input, directory, arguments, environment"

# A command that does not exist, and one that cannot be run.
status=0
record "$TMP/t.db" "$TMP/nothing-here" 2>err || status=$?
check_eq 127 "$status" "status for a missing command"
check_eq 1 "$(wc -l <err)" "lines on stderr for a missing command"
touch "$TMP/no-program"
status=0
record "$TMP/t.db" "$TMP/no-program" 2>err || status=$?
check_eq 126 "$status" "status for a file that is no program"

# An existing file is refused, and left alone.
echo precious >"$TMP/precious.db"
status=0
"$WHOHOLDS" record -q -o "$TMP/precious.db" -- true 2>err || status=$?
check_eq 125 "$status" "status for an existing output"
check_eq precious "$(cat "$TMP/precious.db")" "the existing file"
