#!/usr/bin/env bash
# LeakSanitizer's suppression files do here what they do there: same leaks left, file by file, by LeakSanitizer
# itself where it is installed. What it would refuse is said.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

program=$PROGRAMS/t_lost library=$PROGRAMS/liblost.so
record "$TMP/t.db" "$program" "$library"
check_eq "10|1000 10|2000 10|3000 10|500" "$(q "$TMP/t.db" "SELECT count(*), sum(a.size_bytes) FROM held h JOIN allocation a ON a.id = h.allocation_id
    WHERE h.state <> 'held' GROUP BY a.stack_id ORDER BY printf('%d', sum(a.size_bytes))" | sort | tr '\n' ' ' | sed 's/ $//')" "blocks and bytes that are lost"

left() { # the bytes of each leak that is left, sorted
    timeout 60 "$WHOHOLDS" leaks --format=csv --suppressions "$TMP/supp" "$TMP/t.db" >"$TMP/csv" || return 1
    sed -n 's/^\([0-9]*\),10,.*/\1/p' "$TMP/csv" | sort -n | tr '\n' ' ' | sed 's/ $//'
}
lsan=$(gcc -print-file-name=liblsan.so 2>/dev/null || true)
if ! [ -e "$lsan" ] || { LSAN_OPTIONS=exitcode=0 LD_PRELOAD=$lsan timeout 20 "$program" "$library" 2>&1 || true; } | matches fatal; then
    lsan=
fi
left_there() {
    LSAN_OPTIONS=exitcode=0:suppressions=$TMP/supp LD_PRELOAD=$lsan timeout 20 "$program" "$library" >"$TMP/lsan" 2>&1 || true
    sed -n 's/^.*leak of \([0-9]*\) byte.* in 10 object.*/\1/p' "$TMP/lsan" | sort -n | tr '\n' ' ' | sed 's/ $//'
}

# EXPECTED TEXT: with TEXT as the file these leaks are left
suppress() {
    printf '%b' "$2" >"$TMP/supp"
    check_eq "$1" "$(left)" "left with $2"
    [ -z "$lsan" ] || check_eq "$1" "$(left_there)" "left by LeakSanitizer with $2"
}
suppress "500 1000 2000 3000" ''
suppress "500 1000 2000 3000" '# leak:alpha_make\n\n   \n'
suppress "1000 2000 3000" 'leak:beta_make\n'
suppress "1000 2000 3000" 'leak:beta_make' # no end of line
suppress "1000 2000 3000" '  leak:eta_ma  \n' # a part of it; blanks around
suppress "500 1000 2000 3000" 'leak:^eta_make\n'
suppress "1000 2000 3000" 'leak:^beta_make$\n'
suppress "500 1000 2000 3000" 'leak:beta_mak$\n'
suppress "1000 2000 3000" 'leak:b*_m*e\n'
suppress "500" 'leak:alpha_make\nleak:lib_lost\n' # and what only they keep
suppress "500 1000 3000" 'leak:alpha_child\n'
suppress "500 1000 2000" 'leak:liblost.so\n'      # a module
suppress "500 1000 2000" "leak:^$library\$\n"     # by its whole path
suppress "500 1000 2000" 'leak:*/liblost*\n'
suppress "500 1000 2000" 'leak:lost.lib.c\n'      # a source file
suppress "" 'leak:t_lost.c$\n'
suppress "" 'leak:*\n'
suppress "1000 2000 3000" 'leak:beta_make\r\n'    # CRLF

# What has its own words here.
lsan=
suppress "1000 2000" '# both\r\n\r\nleak:gamma_make\r\nleak:beta_make\r\n'
suppress "1000 2000 3000" '\0357\0273\0277leak:beta_make\n'              # a byte order mark
suppress "1000 2000 3000" 'leak:^beta_make(int, char const*)\n'       # names have no parameters here
suppress "1000 2000 3000" 'race:alpha_make\nleak:beta_make\nmutex:x\n' # others' lines are not ours, and it is said
timeout 60 "$WHOHOLDS" leaks --suppressions "$TMP/supp" "$TMP/t.db" | matches "^2 suppressions for other sanitizers: not used" || fail "lines that are skipped are not said"
refuse() { # WORDS TEXT
    printf '%b' "$2" >"$TMP/supp"
    status=0
    timeout 60 "$WHOHOLDS" leaks --suppressions "$TMP/supp" "$TMP/t.db" >"$TMP/out" 2>"$TMP/err" || status=$?
    check_eq 3 "$status" "status with $2"
    grep -q "$1" "$TMP/err" || fail "$2: $(cat "$TMP/err")"
}
refuse "line 2: expected leak:PATTERN" 'leak:x\nalpha_make\n'
refuse "line 1: expected leak:PATTERN" 'leak:\n'
refuse "line 1: .*'leek'" 'leek:alpha_make\n'
status=0
"$WHOHOLDS" leaks --suppressions "$TMP" "$TMP/t.db" 2>"$TMP/err" || status=$?
check_eq 4 "$status" "status with a folder: $(cat "$TMP/err")"
