#!/usr/bin/env bash
# Blocks belong to the library that was mapped when they were made: two libraries taking turns at one
# address keep their own names. RTLD_DEEPBIND, which binds past us, is said. Mappings are blocks.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

record "$TMP/t.db" "$PROGRAMS/t_dl" "$PROGRAMS" >/dev/null
conserve "$TMP/t.db"
check_eq "500|61500" "$(made "$TMP/t.db" plugin_a_make)" "blocks of plugin_a"
check_eq "500|61500" "$(made "$TMP/t.db" plugin_b_make)" "blocks of plugin_b"
check_ge 1 "$(q "$TMP/t.db" "SELECT count(*) FROM module WHERE path LIKE '%libplugin_a.so' AND unload_ns IS NOT NULL")" "unloaded modules"

record "$TMP/t.db" "$PROGRAMS/t_dl" "$PROGRAMS" deepbind >/dev/null
check_ge 1 "$(q "$TMP/t.db" "SELECT count(*) FROM note WHERE kind = 'deepbind' AND text LIKE '%libplugin_%'")" "notes on RTLD_DEEPBIND"

# A plugin brings the C++ library along: what its operators allocate is one block, not the malloc's as well.
record "$TMP/t.db" "$PROGRAMS/t_plugin" "$PROGRAMS" >/dev/null
conserve "$TMP/t.db"
check_eq "100|100000" "$(made "$TMP/t.db" load)" "blocks that the plugin made while it was loaded"
check_eq "50|100000" "$(made "$TMP/t.db" plugin_cxx_make)" "blocks of plugin_cxx"
check_eq "0|0" "$(q "$TMP/t.db" "SELECT implied_frees, unknown_frees FROM process")" "frees not seen"

expected=$("$PROGRAMS/t_mmap")
record "$TMP/t.db" "$PROGRAMS/t_mmap" >/dev/null
check_eq "$expected" "$(q "$TMP/t.db" "SELECT sum(size_bytes) FROM allocation WHERE kind = 'mmap' AND free_ns IS NULL")" "bytes mapped at the end"
