#!/usr/bin/env bash
# Names of a stripped program come from its separate debug file, found beside it by its debug link or
# under /usr/lib/debug by build-id. A program deleted or replaced since the recording is said, not guessed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need cc objcopy strip readelf

cat >"$TMP/split.c" <<'CODE'
#include <stdlib.h>
static void *keep;
static __attribute__((noinline)) void split_make(void) {
    keep = malloc(777);
}
int main(void) {
    split_make();
    return keep == NULL;
}
CODE
cd "$TMP"
cc -g -O1 -fno-builtin -o whole split.c
objcopy --only-keep-debug whole split.debug
strip -o split whole
cp split bare
objcopy --add-gnu-debuglink=split.debug split
frames() { # TRACE: "function line" of the program's own frames, innermost first
    q "$1" "SELECT group_concat(ifnull(function, '-') || ' ' || ifnull(line, '-'), ', ') FROM (SELECT * FROM stack_frame
        WHERE stack_id = (SELECT stack_id FROM allocation WHERE size_bytes = 777) AND depth < 2 ORDER BY depth)"
}
symbols() { q t.db "SELECT text FROM note WHERE kind = 'symbols'"; }

record t.db ./split
check_eq "split_make 4, main 7" "$(frames t.db)" "names by debug link"
record t.db ./bare
check_eq "- -, - -" "$(frames t.db | sed 's/[a-z]*+0x[0-9a-f]*/-/g')" "names of a stripped program without debug file"

id=$(readelf -n "$(ldd ./whole | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p')" | sed -n 's/.*Build ID: //p')
if [ -e "/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" ]; then
    check_ge 1 "$(q t.db "SELECT count(*) FROM stack_frame WHERE function LIKE '__libc_start%' AND line > 0")" "lines of libc by build-id"
else
    echo "no debug file of libc: build-id was not tried"
fi

cp split gone
record t.db sh -c './gone; rm gone'
symbols | matches "/gone' is gone" || fail "a deleted program is not said: $(symbols)"
cp split replaced
record t.db sh -c './replaced; rm replaced; objcopy --remove-section=.note.gnu.build-id whole replaced'
symbols | matches "/replaced' was replaced" || fail "a replaced program is not said: $(symbols)"
