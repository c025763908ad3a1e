#!/usr/bin/env bash
# A full disk and a file size limit end the recording with one clear line; the target is unharmed and
# the file opens up to there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

check_end() { # NAME TRACE: after a run of t_threads with output in out, err, status
    check_eq 0 "$status" "$1: status of the target"
    check_eq "$expected" "$(cat "$TMP/out")" "$1: output of the target"
    [ -s "$TMP/err" ] || fail "$1: nothing was said"
    [ "$(wc -l <"$TMP/err")" -le 2 ] || fail "$1: more than a line or two: $(cat "$TMP/err")"
    if [ -e "$2" ]; then
        check_eq ok "$(q "$2" "PRAGMA integrity_check")" "$1: the file"
        [ "$(q "$2" "SELECT count(*) FROM trace WHERE key = 'truncated'")" = 1 ] || fail "$1: the file does not say that it is truncated"
    else
        fail "$1: no file"
    fi
}
expected=$("$PROGRAMS/t_threads" 2 300000)

status=0
(
    ulimit -S -f 1000 # 1000 KiB
    exec "$WHOHOLDS" record -q --force -o "$TMP/limit.db" -- "$PROGRAMS/t_threads" 2 300000
) >"$TMP/out" 2>"$TMP/err" || status=$?
check_end "file size limit" "$TMP/limit.db"

[ "$(id -u)" = 0 ] || { echo "full disk: needs root, only the limit was tested" && exit 0; }
mkdir "$TMP/small"
mount -t tmpfs -o size=1500k none "$TMP/small" 2>/dev/null || { echo "full disk: mount refused, only the limit was tested" && exit 0; }
status=0
timeout 120 "$WHOHOLDS" record -q --force -o "$TMP/small/full.db" -- "$PROGRAMS/t_threads" 2 300000 >"$TMP/out" 2>"$TMP/err" || status=$?
cp "$TMP/small/"* "$TMP/" 2>/dev/null || true
umount "$TMP/small"
check_end "full disk" "$TMP/full.db"
