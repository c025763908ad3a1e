#!/usr/bin/env bash
# Pools that say so: with whoholds.h the taker of a pooled block and its pool are known, beside the block's
# creator and holder; without, everything else is the same. The header costs nothing: a C and a C++
# program that use it link and run without any library of ours, and say the same when recorded.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SIM=$WH_BUILD/bin/whoholds-sim

rows() { # TRACE: of the last snapshot's hidden rows: creator, root, acquirer, blocks, bytes
    q "$1" "SELECT creator, root, ifnull(acquirer, 'nobody'), sum(objects), sum(bytes) FROM gap
        WHERE snapshot_id = (SELECT max(id) FROM snapshot) AND bytes >= 262144 GROUP BY 1, 2, 3"
}

record "$TMP/t.db" "$SIM" run pool-reuse --quiet
check_eq "mcache_init_0_func1|B_keep|consumer_B|100|6553600" "$(rows "$TMP/t.db")" "pooled buffers that B keeps"
"$WHOHOLDS" gap "$TMP/t.db" >"$TMP/out"
grep -q "consumer_B  *B_keep" "$TMP/out" || fail "gap does not name the acquirer: $(cat "$TMP/out")"
record "$TMP/t.db" "$SIM" run pool-reuse --quiet --no-annotations
check_eq "mcache_init_0_func1|B_keep|nobody|100|6553600" "$(rows "$TMP/t.db")" "the same, unsaid"
check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM pooled")" "pooled blocks with --no-annotations"

record "$TMP/t.db" "$SIM" run oversized-request --quiet --set connections=10 --set size=1MiB
check_eq "mcache_init_0_func1|caches|given back to mcache|10|10485760" "$(rows "$TMP/t.db")" "buffers that rest in the pool"
"$WHOHOLDS" gap "$TMP/t.db" >"$TMP/out"
tr '\n' ' ' <"$TMP/out" | matches "10.0 MiB was given back to pools and not taken again" ||
    fail "gap does not say that the memory is idle: $(cat "$TMP/out")"
record "$TMP/t.db" "$SIM" run oversized-request --quiet --set connections=10 --set size=1MiB --no-annotations
check_eq "mcache_init_0_func1|caches|nobody|10|10485760" "$(rows "$TMP/t.db")" "the same, unsaid"
"$WHOHOLDS" gap "$TMP/t.db" >"$TMP/out"
if grep -q "given back" "$TMP/out"; then
    fail "gap speaks of idle memory that nobody announced: $(cat "$TMP/out")"
fi

# The header, from both languages.
cat >"$TMP/user.c" <<'EOF'
#include <stdlib.h>
#include "whoholds.h"
void *taken, *rests;
__attribute__((noinline)) static void *producer(void) { return malloc(5000); }
__attribute__((noinline)) static void taker(void *block) {
    whoholds_acquire(block, 5000, "test pool");
    taken = block;
}
int main(void) {
    void *block = producer();
    rests = producer();
    whoholds_acquire(rests, 5000, "test pool");
    whoholds_release(rests);
    taker(block);
    whoholds_snapshot("here");
    whoholds_pause();
    free(malloc(1));
    whoholds_resume();
    return 0;
}
EOF
cp "$TMP/user.c" "$TMP/user.cpp"
built=0
for compiler in "gcc -std=c17" "gcc -std=gnu99" "g++ -std=c++11" "clang -std=c17" "clang++ -std=c++20"; do
    command -v "${compiler%% *}" >/dev/null || continue
    [[ $compiler == *++* ]] && file=$TMP/user.cpp || file=$TMP/user.c
    # shellcheck disable=SC2086 # compiler and its option
    $compiler -Wall -Wextra -Wpedantic -Werror -g -O1 -I "$WH_SOURCE/preload" "$file" -o "$TMP/user" ||
        fail "whoholds.h does not build with $compiler"
    if ldd "$TMP/user" | matches whoholds; then
        fail "the header links a library"
    fi
    "$TMP/user" || fail "an unrecorded program that uses the header ends with $? ($compiler)"
    record "$TMP/t.db" "$TMP/user" || fail "a recorded one ends with $? ($compiler)"
    check_eq "given back to test pool|5000 taker|5000" "$(q "$TMP/t.db" "SELECT acquirer, sum(bytes) FROM gap
        WHERE snapshot_id = (SELECT id FROM snapshot WHERE label = 'here') AND acquirer NOT NULL
        GROUP BY 1 ORDER BY 1" | tr '\n' ' ' | sed 's/ $//')" "acquirers ($compiler)"
    check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM allocation WHERE size_bytes = 1")" "blocks of the pause"
    built=$((built + 1))
done
[ "$built" -gt 0 ] || skip "no compiler for the header"
