#!/usr/bin/env bash
# What whoholds finds in a recorded scenario is the truth: creator, holder, objects and bytes, leaking
# and fixed. Scales are small here; `whoholds-sim verify` without arguments does the handbook's.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SIM=$WH_BUILD/bin/whoholds-sim

verify() { # NAME KEY=VALUE...
    local name=$1 sets=()
    shift
    for set in "$@"; do
        sets+=(--set "$set")
    done
    timeout 200 "$SIM" verify "$name" "${sets[@]}" --all >"$TMP/out" 2>&1 ||
        fail "verify $name $*: $(cat "$TMP/out")"
    grep -q ", 0 off$" "$TMP/out" || fail "verify $name printed no sum"
}

verify pool-reuse buffers=20
verify pool-reuse buffers=20 collections=2
verify barrier-request connections=200
verify barrier-request connections=300 size=1024 node_min=1024
verify barrier-response-nocopy connections=100
verify barrier-response-copy connections=40 size=1MiB
verify retained-request-field keys=50 offset=999
verify idle-connections connections=500
verify oversized-request connections=10 size=1MiB
verify many-clients clients=20 changes=250 removed=3
verify retained-response-field keys=30 timeout=1
verify string-alias objects=12 size=100000 escaped=5
verify span-cache requests=513
verify stale-slice-tail connections=100
verify peek-cache peeks=64
verify goroutine-local-holder requests=100

# A wrong truth is found: the same run measured against a formula that says one object more.
sed 's/^objects = keys$/objects = keys + 1/' "$WH_SOURCE/scenarios/retained-request-field.scn" \
    >"$TMP/wrong.scn"
if "$SIM" verify "$TMP/wrong.scn" --leaking --set keys=20 >"$TMP/out"; then
    fail "verify accepted a wrong truth"
fi
grep -q "^OFF" "$TMP/out" || fail "verify does not show the row that is off"
