#!/usr/bin/env bash
# The installed copy: commands, library, header, pkg-config file, man pages and completion are in place and
# work from any directory.
set -euo pipefail
WH_SOURCE=${WH_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
cmake --install "$WH_BUILD" --prefix "$prefix" >"$prefix/log" || { cat "$prefix/log"; fail "cmake --install"; }
cd /
whoholds=$prefix/bin/whoholds
[[ "$("$whoholds" version)" == "whoholds "[0-9]* ]] || fail "version"
[[ -x $prefix/bin/whoholds-sim ]] || fail "whoholds-sim is not installed"
for pattern in 'libwhoholds.so' 'libwhoholds_sqlite.so' 'whoholds.pc' 'whoholds.h' 'whoholds-report.1' 'whoholds.1' 'whoholds-sim.1'; do
    [[ $(find "$prefix" -name "$pattern" | wc -l) == 1 ]] || fail "$pattern is not installed once"
done
[[ -s $prefix/share/bash-completion/completions/whoholds ]] || fail "completion"

# A program that talks to whoholds builds against the installed header alone, in C and in C++, and runs.
cat >"$prefix/user.c" <<'END'
#include <whoholds.h>
int main(void)
{
    static char block[8];
    whoholds_acquire(block, sizeof block, "pool");
    whoholds_release(block);
    whoholds_pause();
    whoholds_resume();
    whoholds_snapshot("here");
    return 0;
}
END
flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name whoholds.pc)") pkg-config --cflags whoholds)
# shellcheck disable=SC2086 # flags are words
cc -Wall -Werror $flags -o "$prefix/user_c" "$prefix/user.c"
"$prefix/user_c" || fail "C user"
# shellcheck disable=SC2086
c++ -x c++ -Wall -Werror $flags -o "$prefix/user_cc" "$prefix/user.c"
"$prefix/user_cc" || fail "C++ user"

# Recording with the installed copy, from another directory.
cd "$prefix"
"$whoholds" record -q -o "$prefix/t.db" -- "$prefix/user_c" || fail "installed record"
"$whoholds" report --format=json "$prefix/t.db" >"$prefix/report.json"
grep -q '"complete": true' "$prefix/report.json" || fail "installed report"
echo ok
