#!/usr/bin/env bash
# Who holds the bytes of real programs, as their sources say it: sqlite3's pages, python3's objects, a Rust
# program's collections, and the thread-locals of a program without any symbols. What is not installed
# is left out, and said.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# top TRACE: creator|holder|root|percent of the row of gap with most bytes, at the largest snapshot
top() {
    q "$1" "SELECT creator, holder, coalesce(root, ''), 100 * bytes / live_bytes FROM gap g JOIN snapshot s
        ON s.id = g.snapshot_id WHERE s.id = (SELECT snapshot_id FROM gap GROUP BY 1 ORDER BY sum(bytes) DESC LIMIT 1)
        ORDER BY bytes DESC, holder LIMIT 1"
}
is() { # WHAT PATTERN TEXT
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $3 == $2 ]] || fail "$1: '$3' is not '$2'"
    echo "$1: $3"
}

# An in-memory database: pages in the page cache, under the shell's handle; main's frame works on it too.
# It waits when it is full: the snapshot of the peak is taken by then.
if command -v sqlite3 >/dev/null; then
    timeout 240 "$WHOHOLDS" record -q --snapshot=peak -o "$TMP/sqlite.db" -- sqlite3 :memory: >/dev/null <<'SQL'
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) INSERT INTO t SELECT x, 'name' || x, hex(x) FROM c;
.system sleep 1
SQL
    row=$(top "$TMP/sqlite.db")
    is "sqlite3's pages" '*|9[0-9]' "$row"
    case $row in *shared:* | *lost* | *"main()"*) fail "sqlite3's pages are held by the page cache: $row" ;; esac
fi

# A module's dict of lists: the interpreter's modules, not the collector's list nor a free list of dicts.
if [ -x "$PYTHON" ]; then
    # While it collects, CPython counts in the links of its lists: not here.
    cat >"$TMP/cache.py" <<'PY'
import gc
gc.disable()
CACHE = {}
def fill():
    for i in range(3000):
        CACHE["key %d" % i] = [bytes(300 + i % 50) for _ in range(10)]
fill()
import time
time.sleep(0.5) # the snapshot of the peak is taken meanwhile
PY
    PYTHONMALLOC=malloc timeout 240 "$WHOHOLDS" record -q --snapshot=peak -o "$TMP/python.db" -- "$PYTHON" "$TMP/cache.py"
    # Debian 13 has no symbol for the function that makes bytes.
    is "python3's lists" '@(*Bytes*|python3*)|_PyRuntime*|_PyRuntime|[5-9][0-9]' "$(top "$TMP/python.db")"
    check_ge 1000 "$(q "$TMP/python.db" "SELECT count(*) FROM reference WHERE evidence = 'registry link'")" "links of the collector"
    check_eq 0 "$(q "$TMP/python.db" "SELECT count(*) FROM reference WHERE evidence = 'registry link' AND class > 1")" "strong links"

    # A class's list: its module leads to it, not the interpreter's cache of attributes, which owns nothing.
    cat >"$TMP/class.py" <<'PY'
import gc
gc.disable()
class Store:
    items = []
def fill():
    for i in range(20000):
        Store.items.append(bytes(300 + i % 50))
fill()
import time
time.sleep(0.5)
PY
    PYTHONMALLOC=malloc timeout 240 "$WHOHOLDS" record -q --snapshot=peak -o "$TMP/class.db" -- "$PYTHON" "$TMP/class.py"
    "$WHOHOLDS" gap "$TMP/class.db" | matches 'told apart' && fail "CPython's objects are told apart with PYTHONMALLOC=malloc"
    PYTHONMALLOC=pymalloc timeout 240 "$WHOHOLDS" record -q --snapshot=peak -o "$TMP/arenas.db" -- "$PYTHON" "$TMP/class.py"
    "$WHOHOLDS" gap "$TMP/arenas.db" | tr '\n' ' ' | matches 'not told apart' || fail "arenas are not called such: $("$WHOHOLDS" gap "$TMP/arenas.db")"
    "$WHOHOLDS" gap "$TMP/class.db" | matches '^Caveats' && fail "a snapshot like any other has caveats: $("$WHOHOLDS" gap "$TMP/class.db" | head -3)"
    row=$(top "$TMP/class.db")
    is "a class's list" '@(*Bytes*|python3*)|_PyRuntime*|_PyRuntime|[5-9][0-9]' "$row"
    case $row in *type_cache*) fail "a class's list is held by the cache of attributes: $row" ;; esac
fi

# What small mappings refer to is held, also where one that is a block lies beside them.
record "$TMP/pages.db" "$PROGRAMS/t_pages" >/dev/null
check_eq "3|0" "$(q "$TMP/pages.db" "SELECT sum(state = 'held'), sum(state != 'held') FROM held h JOIN allocation a ON a.id = h.allocation_id
    JOIN stack s ON s.id = a.stack_id WHERE s.creator = 'make_object'")" "objects held, not held, by mappings side by side"

# A Rust program: Vec, Box, Option, String, HashMap by their fields.
if command -v rustc >/dev/null && cat >"$TMP/held.rs" <<'RS' && rustc -g -O "$TMP/held.rs" -o "$TMP/held" 2>"$TMP/rustc"; then
use std::collections::HashMap;
struct Conn { name: String, buf: Vec<u8>, next: Option<Box<Conn>> }
static mut CONNS: Vec<Box<Conn>> = Vec::new();
static mut CACHE: Option<HashMap<String, Vec<u8>>> = None;
#[inline(never)] fn make_conn(i: usize) -> Box<Conn> {
    let inner = Box::new(Conn { name: String::from("inner"), buf: vec![2u8; 100], next: None });
    Box::new(Conn { name: format!("conn-{}", i), buf: vec![1u8; 2000], next: Some(inner) })
}
#[inline(never)] fn fill_cache(m: &mut HashMap<String, Vec<u8>>) {
    for i in 0..1000 { m.insert(format!("key-{}", i), vec![0u8; 300]); }
}
fn main() { unsafe {
    let mut m = HashMap::new();
    fill_cache(&mut m);
    CACHE = Some(m);
    for i in 0..500 { (*std::ptr::addr_of_mut!(CONNS)).push(make_conn(i)); }
    let c = std::hint::black_box(&*std::ptr::addr_of!(CONNS)); // else it is split into its fields
    std::process::exit((c[3].name.len() + c[3].buf.len() + c[3].next.is_some() as usize > 9000) as i32);
} }
RS
    record "$TMP/rust.db" "$TMP/held"
    is "Rust's buffers" 'held::make_conn|held::CONNS\[\*\]->next\*->buf|held::CONNS|*' "$(top "$TMP/rust.db")"
    check_eq 1000 "$(q "$TMP/rust.db" "SELECT sum(objects) FROM gap WHERE holder = 'held::CACHE[*].1'")" "values of the HashMap"
    check_eq 1000 "$(q "$TMP/rust.db" "SELECT sum(objects) FROM gap WHERE holder = 'held::CACHE[*].0'")" "keys of the HashMap"
else
    echo "left out: rustc"
fi

# What a service has: caches behind locks and cells made on first use, queues, ordered maps, callbacks.
if command -v rustc >/dev/null && cat >"$TMP/service.rs" <<'RS' && rustc -g -O "$TMP/service.rs" -o "$TMP/service" 2>"$TMP/rustc"; then
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, RwLock};
struct Session { user: String, body: Arc<Vec<u8>> }
static CACHE: OnceLock<Mutex<HashMap<u64, Session>>> = OnceLock::new();
static ORDER: RwLock<BTreeMap<u64, Box<[u8]>>> = RwLock::new(BTreeMap::new());
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static LOG: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| Mutex::new(Vec::new()));
static QUEUE: Mutex<VecDeque<Box<Session>>> = Mutex::new(VecDeque::new());
static CALLS: Mutex<Vec<Box<dyn Fn() -> usize + Send>>> = Mutex::new(Vec::new());
#[inline(never)] fn parse(i: u64) -> Session { Session { user: format!("user {}", i), body: Arc::new(vec![i as u8; 4096]) } }
fn main() {
    for i in 0..300 {
        CACHE.get_or_init(|| Mutex::new(HashMap::new())).lock().unwrap().insert(i, parse(i));
        ORDER.write().unwrap().insert(i, vec![0u8; 512].into_boxed_slice());
        SEEN.lock().unwrap().insert(format!("{:0>100}", i));
        LOG.lock().unwrap().push(format!("{:0>700}", i));
        QUEUE.lock().unwrap().push_back(Box::new(parse(i)));
        let captured = [i; 30];
        CALLS.lock().unwrap().push(Box::new(move || captured.iter().sum::<u64>() as usize));
    }
    let user = CACHE.get().unwrap().lock().unwrap()[&7].user.len();
    std::process::exit((user + CALLS.lock().unwrap()[3]() == 0) as i32);
}
RS
    # Spare room at the end of an array keeps what was there before: old references, unless glibc writes over it.
    MALLOC_PERTURB_=165 record "$TMP/service.db" "$TMP/service"
    for path in 'CACHE[*].1.body:600' 'CACHE[*].1.user:300' 'QUEUE[*]:300' 'QUEUE[*]->body:600' 'ORDER[*].1:300' \
        'SEEN[*].0:300' 'LOG[*]:300' 'CALLS[*]:300'; do
        check_eq "${path##*:}" "$(q "$TMP/service.db" "SELECT sum(objects) FROM gap WHERE holder = 'service::${path%:*}'")" \
            "${path%:*}: $(q "$TMP/service.db" "SELECT holder, objects FROM gap ORDER BY bytes DESC LIMIT 20")"
    done
else
    echo "left out: rustc"
fi

# Without any symbols a thread-local table is one holder a module, not one a word.
if command -v strip >/dev/null && command -v gcc >/dev/null; then
    cat >"$TMP/table.c" <<'C'
#include <pthread.h>
#include <stdlib.h>
static __thread void *table[64];
static pthread_barrier_t ready;
static void *fill(void *unused) {
    (void)unused;
    for (int i = 0; i < 64; i++)
        table[i] = calloc(1, 1000);
    pthread_barrier_wait(&ready);
    for (;;)
        pthread_barrier_wait(&ready);
}
int main(void) {
    pthread_t thread;
    pthread_barrier_init(&ready, NULL, 2);
    pthread_create(&thread, NULL, fill, NULL);
    pthread_barrier_wait(&ready);
    return table[0] != NULL;
}
C
    gcc -O1 -s -pthread -o "$TMP/table" "$TMP/table.c"
    record "$TMP/table.db" "$TMP/table"
    is "a stripped program's thread-locals" 'table+0x*|tls:table\[\*\]|tls:table|*' "$(top "$TMP/table.db")"
fi
