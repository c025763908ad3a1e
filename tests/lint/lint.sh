#!/usr/bin/env bash
# Lints: style, layers and promises that a compiler does not check. Called by `./dev lint`.
#
#   lint.sh [LINT...]     run all, or those named; one line each, then "N passed, N failed"
#   lint.sh --list        their names
#   lint.sh --self-test   plant one fault per lint in a small tree and demand that it is found
#
# A lint is a function lint_NAME that works on the tree $TREE, prints what is wrong and returns 1.
# The hard thing is that a lint which looks at nothing passes: hence the self-test, and hence every
# lint fails when it finds no file to look at.
set -euo pipefail
SELF=$(readlink -f "${BASH_SOURCE[0]}")
TREE=${TREE:-$(cd "$(dirname "$SELF")/../.." && pwd)}
JOBS=${JOBS:-2}
LINTS=(format shell layers headers words size sql exports clang tidy)
PRODUCT=(common schema preload analyzer simulator)

# files PATTERN...: the tree's own files whose name matches, committed or not, NUL-separated. A copy
# without git (the self-test's, a release archive) is listed by find.
files() {
    if [ -e "$TREE/.git" ]; then
        (cd "$TREE" && git ls-files -z --cached --others --exclude-standard -- "$@" | while IFS= read -r -d '' f; do
            if [ -f "$f" ]; then printf '%s\0' "$f"; fi
        done)
    else
        local pattern
        for pattern in "$@"; do
            (cd "$TREE" && find . -type f -name "${pattern##*/}" -not -path './build*' -printf '%P\0')
        done
    fi
}

none() {
    echo "no file to look at"
    return 1
}

lint_format() {
    local list out
    mapfile -d '' -t list < <(files '*.c' '*.h' '*.cpp')
    [ ${#list[@]} -gt 0 ] || none
    out=$(cd "$TREE" && clang-format --dry-run -Werror --style=file "${list[@]}" 2>&1) && return 0
    grep error: <<<"$out" | cut -d: -f1 | sort | uniq -c
    echo "run: clang-format -i FILE"
    return 1
}

lint_shell() {
    local list
    mapfile -d '' -t list < <(files '*.sh' dev .ci/run)
    [ ${#list[@]} -gt 0 ] || none
    (cd "$TREE" && shellcheck -x -P SCRIPTDIR "${list[@]}")
}

# Arrows point one way: common <- schema <- {preload/record, simulator, analyzer}; the hook sees
# common/wire alone; SQLite is schema's secret.
lint_layers() {
    local file include bad=0 list layer allowed
    mapfile -d '' -t list < <(files '*.c' '*.h')
    [ ${#list[@]} -gt 0 ] || none
    for file in "${list[@]}"; do
        case $file in
        common/wire/*) layer=wire allowed='wire' ;;
        common/base/*) layer=base allowed='base' ;;
        common/*) layer=common allowed='wire|base|trace' ;;
        preload/hook/*) layer=hook allowed='wire' ;;
        schema/*) layer=schema allowed='wire|base|trace|schema' ;;
        preload/record/*) layer=record allowed='wire|base|trace|schema|record' ;;
        analyzer/cmd/*) layer=cmd allowed='wire|base|trace|schema|record|analyzer|symbol|graph|holder|report|check|export' ;;
        analyzer/*) layer=analyzer allowed='wire|base|trace|schema|analyzer|symbol|graph|holder|report|check|export' ;;
        *) continue ;;
        esac
        while IFS= read -r include; do
            case $include in
            sqlite3.h | sqlite3ext.h)
                [ "$layer" = schema ] || { echo "$file: includes $include; only schema/ may" && bad=1; } ;;
            stdio.h | zlib.h)
                [ "$layer" != hook ] || { echo "$file: includes $include; nothing in the hook may" && bad=1; } ;;
            wire/* | base/* | trace/* | schema/* | record/* | analyzer/* | simulator/* | hook/* | symbol/* | graph/* | holder/* | preload/*)
                include=${include#preload/} include=${include#common/}
                if ! [[ ${include%%/*} =~ ^($allowed)$ ]] && ! [[ $layer = hook && $include = hook/* ]]; then
                    echo "$file: includes $include; layer '$layer' may include only $allowed"
                    bad=1
                fi ;;
            esac
        done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]+)[>"].*/\1/p' "$TREE/$file")
    done
    return $bad
}

# Every header compiles alone, with both compilers; the public one as C++ too. A flat list of X(...)
# rows says "no include guard" at its top and is expanded by others.
lint_headers() {
    local list file bad=0 compiler
    mapfile -d '' -t list < <(files '*.h')
    [ ${#list[@]} -gt 0 ] || none
    local flags=(-fsyntax-only -D_GNU_SOURCE '-DWH_VERSION="0"' -Wall -Wextra -Wundef -Werror -Wno-unused-function -Wno-attributes
        '-DWH_BINARY_DIR="."' '-DWH_SOURCE_DIR="."' -I "$TREE" -I "$TREE/common" -I "$TREE/preload" -I "$TREE/simulator" -I "$TREE/analyzer")
    for file in "${list[@]}"; do
        if head -n 5 "$TREE/$file" | grep -q 'no include guard'; then
            continue
        fi
        for compiler in gcc clang; do
            if ! echo "#include \"$TREE/$file\"" | "$compiler" -std=gnu17 "${flags[@]}" -I "$TREE/$(dirname "$file")" -x c -; then
                echo "$file: does not compile alone ($compiler)"
                bad=1
            fi
        done
        if [ "$file" = preload/whoholds.h ] && ! echo "#include \"$TREE/$file\"" | g++ -std=c++17 "${flags[@]}" -x c++ -; then
            echo "$file: does not compile as C++"
            bad=1
        fi
    done
    return $bad
}

# Left-over markers anywhere; functions without a bound in the product.
lint_words() {
    local list bad=0
    mapfile -d '' -t list < <(files '*.c' '*.h' '*.cpp' '*.sql' '*.sh' '*.md' '*.scn' '*.cmake' 'CMakeLists.txt' | grep -zv -e '^tests/lint/')
    [ ${#list[@]} -gt 0 ] || none
    if (cd "$TREE" && grep -nE '\b(TODO|FIXME|XXX|HACK|NEEDSWORK)\b' "${list[@]}"); then
        bad=1
    fi
    mapfile -d '' -t list < <(files '*.c' '*.h' | grep -zE "^($(IFS='|' && echo "${PRODUCT[*]}"))/")
    if [ ${#list[@]} -gt 0 ] && (cd "$TREE" && grep -nE '(^|[^_[:alnum:]"])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtok|alloca|tmpnam|mktemp)[[:space:]]*\(' "${list[@]}"); then
        bad=1
    fi
    return $bad
}

lint_size() {
    local list file lines bad=0
    mapfile -d '' -t list < <(files '*.c' '*.h' '*.cpp' '*.sql' '*.sh' dev)
    [ ${#list[@]} -gt 0 ] || none
    for file in "${list[@]}"; do
        lines=$(wc -l <"$TREE/$file")
        if [ "$lines" -gt 800 ]; then
            echo "$file: $lines lines; split it at the noun (at most 800)"
            bad=1
        fi
    done
    return $bad
}

# Every column of every table and view says what it is. One column a line, its comment behind it (or
# on the lines that follow); constraint lines need none.
lint_sql() {
    local list
    mapfile -d '' -t list < <(files 'schema/*.sql' | grep -zv '/rules/')
    [ ${#list[@]} -gt 0 ] || none
    (cd "$TREE" && awk '
        FNR == 1 { inside = 0 }
        /^CREATE (VIRTUAL )?TABLE / || (/^CREATE VIEW / && /\($/) {
            inside = 1; name = $3
            sub(/\(.*/, "", name)
            if (FNR == 1 || previous !~ /^--/) {
                printf "%s:%d: %s: no comment above it says what one row is\n", FILENAME, FNR, name; bad = 1
            }
            previous = $0; next
        }
        inside && /^\)/ { inside = 0 }
        inside && /^ +(PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY)[ (]/ { previous = $0; next }
        inside && /^ +[a-z_0-9]+/ && !/-- ./ {
            printf "%s:%d: %s.%s has no comment\n", FILENAME, FNR, name, $1; bad = 1
        }
        { previous = $0 }
        END { exit bad }' "${list[@]}")
}

# The library in the target exports what exports.txt lists, and nothing else.
lint_exports() {
    local library=${LIBRARY:-$TREE/build/lib/libwhoholds.so}
    if [ ! -e "$library" ]; then
        echo "$library is not built (run ./dev build)"
        return 1
    fi
    diff -u --label expected <(grep -v '^#' "$TREE/tests/lint/exports.txt" | sort) \
        --label "$library" <(nm -D --defined-only --format=posix "$library" | cut -d' ' -f1 | sed 's/@.*//' | sort -u)
}

# The other compiler's opinion, as errors. Its compile commands serve clang-tidy.
lint_clang() {
    local dir=$TREE/build-clang
    mkdir -p "$dir"
    { cmake -S "$TREE" -B "$dir" -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DWH_WERROR=ON &&
        cmake --build "$dir" -j "$JOBS"; } >"$dir/lint.log" 2>&1 || {
        grep -E -A3 'error|Error' "$dir/lint.log" | head -40
        return 1
    }
}

# clang-tidy over the product, a file again only when it, a header or the checks changed. Bounded:
# after WH_TIDY_SECONDS (240) no further file is begun, the last changed come first, and what was not
# reached is said.
lint_tidy() {
    local list database=${DATABASE:-$TREE/build-clang} common_sum tidy_until
    mapfile -d '' -t list < <(files '*.c' | grep -zE "^($(IFS='|' && echo "${PRODUCT[*]}"))/")
    [ ${#list[@]} -gt 0 ] || none
    if [ ! -e "$database/compile_commands.json" ]; then
        cmake -S "$TREE" -B "$database" -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ >/dev/null || return 1
    fi
    mkdir -p "$database/tidy"
    mapfile -d '' -t list < <(cd "$TREE" && stat --printf '%Y %n\0' "${list[@]}" | sort -z -rn | cut -z -d' ' -f2-)
    common_sum=$(cd "$TREE" && { cat .clang-tidy && files '*.h' | sort -z | xargs -0 -r cat; } | sha256sum)
    export TREE database common_sum
    tidy_until=$(($(date +%s) + ${WH_TIDY_SECONDS:-240}))
    export tidy_until
    # shellcheck disable=SC2016 # expanded by the inner shell
    printf '%s\0' "${list[@]}" | xargs -0 -n 1 -P "$JOBS" bash -c '
        cd "$TREE" || exit 1
        stamp=$database/tidy/$({ echo "$common_sum $1" && cat "$1"; } | sha256sum | cut -c1-32)
        [ ! -e "$stamp" ] || exit 0
        [ "$(date +%s)" -lt "$tidy_until" ] || { echo "not reached in time: $1"; exit 0; }
        if out=$(timeout 300 clang-tidy -p "$database" --quiet "$1" 2>&1); then
            touch "$stamp"
        else
            grep -vE "warnings? (generated|treated)|^Suppressed|^Use -" <<<"$out"
            exit 1
        fi' tidy
}

# --- running them -----------------------------------------------------------------------------------

run_lints() {
    local name out passed=0 failed=0
    for name in "$@"; do
        declare -F "lint_$name" >/dev/null || { echo "lint: no lint '$name' (--list names them)" >&2 && exit 2; }
        if out=$("$BASH" "$SELF" --one "$name" 2>&1); then
            printf 'ok      %s\n%s' "$name" "${out:+    ${out//$'\n'/$'\n'    }$'\n'}"
            passed=$((passed + 1))
        else
            printf 'FAILED  %s\n    %s\n' "$name" "${out//$'\n'/$'\n'    }"
            failed=$((failed + 1))
        fi
    done
    printf 'lint: %d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

case ${1:-} in
--list) printf '%s\n' "${LINTS[@]}" ;;
--self-test) exec "$BASH" "$(dirname "$SELF")/self_test.sh" ;;
--one) "lint_$2" ;;
*)
    if [ $# -eq 0 ]; then
        set -- "${LINTS[@]}"
    fi
    run_lints "$@"
    ;;
esac
