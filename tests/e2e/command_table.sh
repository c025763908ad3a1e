#!/usr/bin/env bash
# Every command of the table has help, a man page and completion, refuses what it does not know, and an
# unwritable result is an error.
set -euo pipefail
WH_SOURCE=${WH_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
whoholds=$WH_BUILD/bin/whoholds
man=$WH_BUILD/manual/man1
fail() { echo "FAILED: $*" >&2; exit 1; }
status() { local s=0; "$@" >/dev/null 2>&1 </dev/null || s=$?; echo "$s"; }

mapfile -t commands < <("$whoholds" help --list)
((${#commands[@]} >= 6)) || fail "too few commands: ${commands[*]}"
for command in "${commands[@]}"; do
    help=$("$whoholds" "$command" --help) || fail "$command --help"
    [[ $help == "usage: whoholds $command"* ]] || fail "$command: help begins with ${help%%$'\n'*}"
    [[ $help == *"Exit status:"* ]] || fail "$command: help does not tell its exit statuses"
    [[ $help == "$("$whoholds" help "$command")" ]] || fail "$command: help and --help differ"
    [[ -s $man/whoholds-$command.1 ]] || fail "$command has no man page"
    [[ $(status "$whoholds" "$command" --no-such-option) != 0 ]] || fail "$command takes any option"
    mapfile -t options < <(sed -nE 's/^ +(-., )?--([a-z-]+).*/\2/p' <<<"$help")
    for option in "${options[@]}"; do
        grep -qF -- "\\-\\-${option//-/\\-}" "$man/whoholds-$command.1" || fail "man page of $command: --$option"
        [[ $option == help ]] || grep -q -- "--$option " "$WH_BUILD/manual/completions/whoholds" ||
            fail "completion of $command: --$option"
    done
    grep -q "whoholds..$command (1)" "$man/whoholds.1" || fail "whoholds(1) does not name $command"
done

# The simulator's commands: their options are in its man page as --help tells them.
sim=$WH_BUILD/bin/whoholds-sim page=$WH_BUILD/manual-sim/man1/whoholds-sim.1
[[ -s $page ]] || fail "whoholds-sim has no man page"
mapfile -t commands < <("$sim" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
((${#commands[@]} >= 5)) || fail "too few commands of whoholds-sim: ${commands[*]}"
for command in "${commands[@]}"; do
    grep -qF "whoholds\\-sim $command" "$page" || fail "man page of whoholds-sim: $command"
    mapfile -t options < <("$sim" "$command" --help | grep -oE -- '--[a-z-]+' | sort -u)
    for option in "${options[@]}"; do
        grep -qF -- "${option//-/\\-}" "$page" || fail "man page of whoholds-sim: $command $option"
    done
done

[[ $(status "$whoholds") == 2 ]] || fail "no command is not a usage error"
[[ $(status "$whoholds" reprot) == 2 ]] || fail "a misspelt command is not a usage error"
hint=$("$whoholds" reprot 2>&1 || true)
[[ $hint == *"did you mean 'report'"* ]] || fail "no hint for 'reprot'"
[[ $(status "$whoholds" report) == 2 ]] || fail "report without a file"
[[ $(status "$whoholds" version extra) == 2 ]] || fail "an extra argument is ignored"
[[ $(status "$whoholds" report /nonexistent.db) == 3 ]] || fail "a missing file"
[[ $(status "$whoholds" report "$whoholds") == 3 ]] || fail "a program is no trace"
if [[ -w /dev/full ]]; then
    for words in version help "help report" "help --man"; do
        s=0
        # shellcheck disable=SC2086 # words are words
        "$whoholds" $words >/dev/full 2>/dev/null || s=$?
        [[ $s == 4 ]] || fail "whoholds $words >/dev/full exits $s"
    done
fi

if command -v man >/dev/null; then
    for page in "$man"/*.1 "$page"; do
        warnings=$(MANROFFSEQ='' LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null || true)
        [[ -z $warnings ]] || fail "$page: $warnings"
    done
fi

# The completion, as bash would call it.
# shellcheck source=/dev/null
source "$WH_BUILD/manual/completions/whoholds"
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _whoholds; echo "${COMPREPLY[*]}"; }
[[ " $(complete_line whoholds re) " == *" report "* ]] || fail "completion of 're'"
[[ $(complete_line whoholds top --met) == --metric ]] || fail "completion of 'top --met'"
[[ $(complete_line whoholds top --metric = inuse_s) == inuse_space ]] || fail "completion of a value"
[[ $(complete_line whoholds report --format j) == json ]] || fail "completion of 'report --format j'"
echo ok
