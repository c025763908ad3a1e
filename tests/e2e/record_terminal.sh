#!/usr/bin/env bash
# On a terminal the command is as without us: Ctrl-C ends it (130) with a complete trace, Ctrl-Z stops
# the job and fg continues it; a signal sent to the launcher reaches the command.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need python3

cat >"$TMP/terminal.py" <<'PYTHON'
import os, pty, re, select, sys, time
mode, whoholds, trace = sys.argv[1:4]
record = [whoholds, "record", "--force", "-o", trace, "--", "sh", "-c"]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    if mode == "int":
        os.execv(whoholds, record + ["echo re''ady; sleep 60; echo after"])
    os.execvp("bash", ["bash", "--norc", "--noediting", "-i"])
seen = b""
def until(pattern, seconds=30):
    global seen
    end = time.time() + seconds
    while not re.search(pattern, seen):
        if not select.select([fd], [], [], max(0, end - time.time()))[0]:
            sys.exit("no %r in %r" % (pattern, seen[-400:]))
        try:
            data = os.read(fd, 4096)
        except OSError:
            data = b""
        if not data:
            sys.exit("ended before %r: %r" % (pattern, seen[-400:]))
        seen += data
    seen = seen[re.search(pattern, seen).end():]
def drain():
    try:
        while os.read(fd, 4096):
            pass
    except OSError:
        pass
if mode == "int":
    until(b"ready")
    os.write(fd, b"\x03")
    drain()
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
else:
    line = "%s record --force -o %s -- sh -c 'echo re''ady; read x; echo got-$x'\n" % (whoholds, trace)
    os.write(fd, line.replace("re''ady", 're"a"dy').encode())
    until(b"ready")
    os.write(fd, b"\x1a")
    until(b"Stopped")
    os.write(fd, b"fg\n")
    until(b"record")
    os.write(fd, b"hello\n")
    until(b"got-hello")
    os.write(fd, b"echo status-$?-\n")
    until(b"status-0-")
    os.write(fd, b"exit\n")
    drain()
    print("continued")
PYTHON

check_eq 130 "$(timeout 90 python3 "$TMP/terminal.py" int "$WHOHOLDS" "$TMP/int.db")" "status after Ctrl-C"
check_eq 1 "$(q "$TMP/int.db" "SELECT value FROM trace WHERE key = 'complete'")" "trace after Ctrl-C"
check_eq 2 "$(q "$TMP/int.db" "SELECT term_signal FROM process WHERE id = 1")" "signal that ended the command"
conserve "$TMP/int.db"

check_eq continued "$(timeout 90 python3 "$TMP/terminal.py" job "$WHOHOLDS" "$TMP/job.db")" "stop and continue"
check_eq 1 "$(q "$TMP/job.db" "SELECT value FROM trace WHERE key = 'complete'")" "trace after stop and continue"
check_eq 0 "$(q "$TMP/job.db" "SELECT exit_code FROM process WHERE id = 1")" "exit code after stop and continue"

# SIGTERM and SIGUSR1 to the launcher: the command handles them as it likes.
for signal in TERM USR1; do
    # shellcheck disable=SC2016 # expanded by the recorded shell
    "$WHOHOLDS" record -q --force -o "$TMP/s.db" -- bash -c 'trap "exit 23" '"$signal"'; echo >"$1"; while :; do sleep 0.05; done' bash "$TMP/up.$signal" &
    launcher=$!
    started+=("$launcher")
    wait_for 30 test -e "$TMP/up.$signal" || fail "the command did not start"
    kill -s "$signal" "$launcher"
    status=0
    wait "$launcher" || status=$?
    check_eq 23 "$status" "status of the command that handles SIG$signal"
    check_eq 1 "$(q "$TMP/s.db" "SELECT value FROM trace WHERE key = 'complete'")" "trace after SIG$signal"
done
