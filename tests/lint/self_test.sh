#!/usr/bin/env bash
# Shows that every lint can fail: each case plants one fault in a small clean tree and demands that
# exactly that lint finds it, after having passed the clean tree. Run by `./dev lint --self-test`
# and by ctest as lint.self_test.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SOURCE=$(cd "$HERE/../.." && pwd)
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
passed=0
failed=0
for tool in clang clang-format clang-tidy shellcheck nm; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not installed (./dev deps lint)"
        exit 77
    fi
done

# A clean tree that all lints accept.
plant() {
    rm -rf "$TMP/tree"
    mkdir -p "$TMP/tree"/{common/wire,common/base,schema,preload/hook,analyzer/report,tests/lint,build/lib}
    cd "$TMP/tree"
    cp "$SOURCE/.clang-format" "$SOURCE/.clang-tidy" .
    printf '#ifndef A_H\n#define A_H\n#include <stdint.h>\nuint32_t a(void);\n#endif\n' >common/wire/a.h
    printf '#include "wire/a.h"\n\nuint32_t a(void) {\n    return 1;\n}\n' >common/wire/a.c
    printf '#ifndef WHOHOLDS_H\n#define WHOHOLDS_H\n#endif\n' >preload/whoholds.h
    printf -- '-- One thing.\nCREATE TABLE thing(\n    id INTEGER -- its number\n);\n' >schema/content.sql
    printf '#!/usr/bin/env bash\necho ok\n' >dev
    printf '# list\nshown\n' >tests/lint/exports.txt
    echo 'int shown(void); int shown(void) { return 1; }' >"$TMP/x.c"
    gcc -shared -fPIC -nostartfiles -o build/lib/libwhoholds.so "$TMP/x.c"
    # shellcheck disable=SC2016 # a generator expression of CMake
    printf 'cmake_minimum_required(VERSION 3.25)\nproject(t C)\nset(CMAKE_EXPORT_COMPILE_COMMANDS ON)\nadd_library(a STATIC common/wire/a.c)\ntarget_include_directories(a PUBLIC common)\n%s\n' \
        'target_compile_options(a PRIVATE -Wall $<$<BOOL:${WH_WERROR}>:-Werror>)' >CMakeLists.txt
}

# check LINT WHAT: the planted tree must fail LINT.
check() {
    if TREE=$TMP/tree bash "$HERE/lint.sh" --one "$1" >"$TMP/out" 2>&1; then
        echo "FAILED  $1 did not notice: $2"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}

plant
for lint in $("$BASH" "$HERE/lint.sh" --list); do
    if ! TREE=$TMP/tree bash "$HERE/lint.sh" --one "$lint" >"$TMP/out" 2>&1; then
        echo "FAILED  $lint fails on a clean tree:"
        sed 's/^/    /' "$TMP/out"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
done

plant && printf 'uint32_t  b( void );\n' >>common/wire/a.c && check format "spaces in wrong places"
# shellcheck disable=SC2016 # meant literally
plant && printf 'cp $1 $2\n' >>dev && check shell "unquoted parameters"
plant && printf '#include "trace/x.h"\n' >preload/hook/a.c && check layers "the hook including common/trace"
plant && printf '#include <stdio.h>\n' >preload/hook/a.c && check layers "the hook including stdio"
plant && printf '#include <sqlite3.h>\n' >analyzer/report/a.c && check layers "sqlite3.h outside schema"
plant && printf '#include "schema/store.h"\n' >common/base/a.c && check layers "an arrow that points up"
plant && printf 'struct b { uint64_t c; };\n' >common/base/b.h && check headers "a header that needs another first"
plant && printf '#ifndef W\n#define W\nvoid f(int class);\n#endif\n' >preload/whoholds.h && check headers "a public header that is no C++"
plant && printf '// TODO later\n' >>common/wire/a.c && check words "a left-over marker"
plant && printf 'void f(char *a) { strcpy(a, "b"); }\n' >>common/wire/a.c && check words "an unbounded function"
plant && { for i in $(seq 801); do echo "// $i"; done >common/base/long.c; } && check size "801 lines"
plant && printf -- '-- Rows.\nCREATE TABLE t(\n    a INTEGER,\n    b INTEGER -- said\n);\n' >schema/x.sql && check sql "a column without a comment"
plant && printf 'CREATE TABLE t(\n    b INTEGER -- said\n);\n' >schema/x.sql && check sql "a table without a comment"
plant && echo 'int f(void); int f(void) { return 1; } int shown(void) { return f(); }' >"$TMP/x.c" &&
    gcc -w -shared -fPIC -nostartfiles -o build/lib/libwhoholds.so "$TMP/x.c" && check exports "a symbol too many"
plant && echo 'int f(void) { return 1; }' >"$TMP/x.c" &&
    gcc -w -shared -fPIC -nostartfiles -o build/lib/libwhoholds.so "$TMP/x.c" && check exports "a symbol missing"
plant && printf 'int f(void)\n{\n    int x;\n    return 1;\n}\n' >>common/wire/a.c && check clang "a warning"
plant && printf 'int g(int p)\n{\n    if (p);\n        return 1;\n    return 0;\n}\n' >>common/wire/a.c && check tidy "a semicolon that ends an if"
plant && rm common/wire/a.[ch] preload/whoholds.h && check headers "an empty tree"

printf 'lint self-test: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
