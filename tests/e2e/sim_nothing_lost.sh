#!/usr/bin/env bash
# None of the handbook's leaks loses a pointer: a leak checker that looks for unreachable blocks finds
# nothing in any scenario, leaking or fixed. (memcheck stands for LeakSanitizer: the same question.)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need valgrind
SIM=$WH_BUILD/bin/whoholds-sim
nm "$SIM" | matches __asan_init && skip "valgrind cannot run a sanitizer's build"

declare -A SMALL=(
    [pool-reuse]="buffers=10"
    [barrier-request]="connections=50 size=16KiB"
    [barrier-response-nocopy]="connections=50"
    [barrier-response-copy]="connections=30 size=512KiB"
    [retained-request-field]="keys=50"
    [idle-connections]="connections=200"
    [oversized-request]="connections=5 size=1MiB"
    [many-clients]="clients=20"
    [retained-response-field]="keys=50"
    [string-alias]="objects=8 size=100000 escaped=3"
    [span-cache]="requests=256"
    [stale-slice-tail]="connections=50"
    [peek-cache]="peeks=50"
    [goroutine-local-holder]="requests=50"
)

lost() { # NAME ARGUMENTS...: bytes that memcheck calls definitely or indirectly lost
    timeout 120 valgrind --leak-check=full --show-leak-kinds=definite --log-file="$TMP/valgrind" \
        "$SIM" run "$@" --io=memory --quiet >"$TMP/out" || fail "$* failed: $(tail -3 "$TMP/valgrind")"
    if grep -q "no leaks are possible" "$TMP/valgrind"; then
        echo 0
        return
    fi
    sed -n 's/.*\(definitely\|indirectly\) lost: \([0-9,]*\) bytes.*/\2/p' "$TMP/valgrind" |
        tr -d , | awk '{ sum += $1 } END { print sum + 0 }'
}

for name in "${!SMALL[@]}"; do
    sets=()
    for set in ${SMALL[$name]}; do
        sets+=(--set "$set")
    done
    check_eq 0 "$(lost "$name" "${sets[@]}")" "bytes lost by $name"
    check_eq 0 "$(lost "$name" "${sets[@]}" --fixed)" "bytes lost by $name --fixed"
done
