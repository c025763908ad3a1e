#!/usr/bin/env bash
# Blocks that the tracer itself served, before it knew the allocator, never reach the allocator, however
# late they are resized and freed; in a sampled recording neither, where most frees are passed on unseen.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

for options in "" "--sample 1MiB"; do
    # shellcheck disable=SC2086 # an option with its value, or nothing
    timeout 60 "$WHOHOLDS" record -q --force $options -o "$TMP/t.db" -- env \
        "LD_PRELOAD=$LIBRARY:$PROGRAMS/libearly.so" "$PROGRAMS/basic" >"$TMP/out" 2>"$TMP/err" ||
        fail "with '$options' it ended with $?: $(tail -n 2 "$TMP/err")"
    check_eq "early block: a b" "$(tail -n 1 "$TMP/out")" "what the blocks had, with '$options'"
done
