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

# A variant is recorded by itself where an expectation is its own, and only that expectation knows it.
{
    cat "$WH_SOURCE/scenarios/retained-request-field.scn"
    printf '\n[variant few]\nset = keys=7\n\n[expect seven]\nvariant = few\nat = exit\ncreator = LinkBuffer_readBinary\n'
    printf 'stack = thrift_BinaryProtocol_ReadString < echo_Request_ReadField2\nholder = cache\nobjects = 7\nbytes = 7 * 106496\nwhy = test\n'
} >"$TMP/variant.scn"
"$SIM" verify "$TMP/variant.scn" --variant few --leaking >"$TMP/out" || fail "a variant is off: $(cat "$TMP/out")"
grep -q "^ok  retained-request-field  few  *leaking exit  *7  *7 " "$TMP/out" || fail "no row of the variant: $(cat "$TMP/out")"
sed -i 's/^objects = 7/objects = 8/' "$TMP/variant.scn"
"$SIM" verify "$TMP/variant.scn" --leaking --set keys=7 >"$TMP/out" || fail "parameters set by hand are no variant"
if "$SIM" verify "$TMP/variant.scn" --variant few --leaking >"$TMP/out"; then
    fail "verify accepted a wrong variant: $(cat "$TMP/out")"
fi

# A wrong truth is found: the same run measured against a formula that says one object more.
sed 's/^objects = keys$/objects = keys + 1/' "$WH_SOURCE/scenarios/retained-request-field.scn" \
    >"$TMP/wrong.scn"
if "$SIM" verify "$TMP/wrong.scn" --leaking --set keys=20 >"$TMP/out"; then
    fail "verify accepted a wrong truth"
fi
grep -q "^OFF" "$TMP/out" || fail "verify does not show the row that is off"
