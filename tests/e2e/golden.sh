#!/usr/bin/env bash
# Every report on traces written by hand, against outputs that one can read: tests/golden/cases.
set -euo pipefail
WH_SOURCE=${WH_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
command -v sqlite3 >/dev/null || exit 77
golden=$WH_SOURCE/tests/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
while read -r name rows arguments; do
    [[ -z $name || $name == \#* ]] && continue
    [[ -e $rows.db ]] || "$golden/make_trace" "$rows.db" "$golden/$rows.sql"
    words=()
    for word in $arguments; do
        word=${word//\~/ }
        [[ $word == @ ]] && word=$rows.db
        words+=("$word")
    done
    status=0
    "$WH_BUILD/bin/whoholds" "${words[@]}" >out 2>err </dev/null || status=$?
    { cat out; sed 's/^/! /' err; echo "exit $status"; } >"$name"
    if [[ ${WH_GOLDEN:-} == update ]]; then
        cp "$name" "$golden/expect/$name"
    elif ! diff -u "$golden/expect/$name" "$name"; then
        echo "^ $name: whoholds ${words[*]}"
        failed=1
    fi
done <"$golden/cases"
exit "$failed"
