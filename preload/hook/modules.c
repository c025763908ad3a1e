/* Which modules are mapped, without ever taking the loader's lock inside a hook.
 *
 * dlopen is not wrapped (dlopen.c says why). Instead the loader's own calls of malloc and free give
 * it away: a hook whose caller is the loader marks the modules as changed, and the next hook with
 * another caller walks the loader's list. The list is read through the kernel, so a node that
 * vanishes meanwhile is an error code and not a crash, and each node is confirmed by
 * _dl_find_object, which is lock-free. A module that a stack passes through and that the list does
 * not show (dlmopen) is found the same way by cfi.c's look-up.
 *
 * dlclose frees its link map after the unmapping and before it lets go of the loader's lock. That
 * free is our moment: the module is declared gone, and cached rules void, before anything can be
 * mapped in its place. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/uio.h>

#include "state.h"

enum { MODULES = 8192, PER_PAGE = 64, PATH = 1024, BUILD_ID = 64 };

struct module {
    _Atomic uint32_t live, announced;
    uintptr_t start, end, bias, dynamic;
    const void *map; /* the loader's link map */
    const ElfW(Phdr) * headers;
    const uint8_t *eh_frame;
    uint32_t header_count, build_id_bytes;
    uint8_t build_id[BUILD_ID];
    char path[PATH];
};

/* Pages of entries; an entry never moves. `count` entries have ever been used. */
static _Atomic(struct module *) pages[MODULES / PER_PAGE];
static _Atomic uint32_t count;
static _Atomic uint32_t busy; /* one writer at a time; who comes second goes away */
static unsigned long long loads, unloads;

extern int _dl_find_object(void *address, struct dl_find_object *result) __attribute__((weak));
extern struct r_debug _r_debug __attribute__((weak));

/* Addresses that modules had and lost again. Code found there later is other code, though its stack
 * nodes have the same addresses: its incarnation, how often the range was given up, tells them
 * apart. */
enum { RANGES = 1024 };
static struct {
    uintptr_t start, end;
    _Atomic uint32_t lost;
} ranges[RANGES];
static _Atomic uint32_t range_count, lost_elsewhere; /* the latter: unloads that found no entry */

static void lose_range(uintptr_t start, uintptr_t end) {
    uint32_t n = atomic_load(&range_count);
    for (uint32_t i = 0; i < n; i++)
        if (ranges[i].start == start && ranges[i].end == end) {
            atomic_fetch_add(&ranges[i].lost, 1);
            return;
        }
    if (n == RANGES) {
        atomic_fetch_add(&lost_elsewhere, 1);
        return;
    }
    ranges[n].start = start;
    ranges[n].end = end;
    atomic_store(&ranges[n].lost, 1);
    atomic_store_explicit(&range_count, n + 1, memory_order_release);
}

uint32_t wh_module_incarnation(uint64_t ip) {
    uint32_t lost = atomic_load(&lost_elsewhere);
    for (uint32_t i = 0, n = atomic_load_explicit(&range_count, memory_order_acquire); i < n; i++)
        if (ip - ranges[i].start < ranges[i].end - ranges[i].start)
            lost += atomic_load_explicit(&ranges[i].lost, memory_order_relaxed);
    return lost;
}

static struct module *module_at(uint32_t i) {
    return &atomic_load_explicit(&pages[i / PER_PAGE], memory_order_acquire)[i % PER_PAGE];
}

static struct module *find_live(const void *map, uintptr_t dynamic) {
    for (uint32_t i = 0, n = atomic_load_explicit(&count, memory_order_acquire); i < n; i++) {
        struct module *m = module_at(i);
        if (m->map == map && m->dynamic == dynamic && atomic_load(&m->live))
            return m;
    }
    return NULL;
}

static struct module *new_entry(void) {
    uint32_t n = atomic_load(&count);
    for (uint32_t i = 0; i < n; i++)
        if (!atomic_load(&module_at(i)->live) && !atomic_load(&module_at(i)->announced))
            return module_at(i);
    if (n == MODULES)
        return NULL;
    if (!atomic_load(&pages[n / PER_PAGE])) {
        struct module *page = wh_memory_take(PER_PAGE * sizeof *page);
        if (!page)
            return NULL;
        atomic_store_explicit(&pages[n / PER_PAGE], page, memory_order_release);
    }
    return module_at(n);
}

/* Copies memory that may vanish. Returns 0 when it is not there. */
static int copy(void *to, const void *from, size_t bytes) {
    struct iovec local = {to, bytes}, remote = {(void *)(uintptr_t)from, bytes};
    long n = wh_sys6(SYS_process_vm_readv, wh_process.pid, (long)&local, 1, (long)&remote, 1, 0);
    if (n == -38 || n == -1) { /* ENOSYS, EPERM: a filter; the list is stable nearly always */
        for (size_t i = 0; i < bytes; i++)
            ((char *)to)[i] = ((const volatile char *)from)[i];
        return 1;
    }
    return n == (long)bytes;
}

static void copy_path(char *to, const char *from) {
    /* names end anywhere in a page: never read over a page's end in one go */
    for (size_t at = 0; at < PATH - 1;) {
        size_t bytes = 64 - ((uintptr_t)(from + at) & 63);
        if (bytes > PATH - 1 - at)
            bytes = PATH - 1 - at;
        if (!copy(to + at, from + at, bytes))
            break;
        for (size_t i = 0; i < bytes; i++)
            if (!to[at + i])
                return;
        at += bytes;
    }
    to[PATH - 1] = 0;
}

static void find_headers(struct module *m, int is_main) {
    const ElfW(Ehdr) *elf = (const ElfW(Ehdr) *)m->start;
    m->headers = NULL;
    m->header_count = 0;
    if (is_main) {
        m->headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
        m->header_count = (uint32_t)getauxval(AT_PHNUM);
    } else if (elf->e_ident[0] == 0x7f && elf->e_ident[1] == 'E' && elf->e_ident[2] == 'L' &&
               elf->e_ident[3] == 'F') {
        m->headers = (const ElfW(Phdr) *)(m->start + elf->e_phoff);
        m->header_count = elf->e_phnum;
    }
}

static void read_notes(struct module *m, const ElfW(Phdr) * header) {
    uintptr_t at = m->bias + header->p_vaddr, end = at + header->p_memsz;
    while (end - at > sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        uintptr_t name = at + sizeof *note, text = name + ((note->n_namesz + 3) & ~3u);
        if (text + note->n_descsz > end)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && note->n_descsz <= BUILD_ID &&
            wh_same((const char *)name, "GNU")) {
            m->build_id_bytes = note->n_descsz;
            for (uint32_t i = 0; i < note->n_descsz; i++)
                m->build_id[i] = ((const uint8_t *)text)[i];
            return;
        }
        at = text + ((note->n_descsz + 3) & ~3u);
    }
}

/* Bounds, unwind table and build id out of the program headers. */
static void read_headers(struct module *m) {
    uintptr_t low = UINTPTR_MAX, high = 0;
    m->build_id_bytes = 0;
    for (uint32_t i = 0; i < m->header_count; i++) {
        const ElfW(Phdr) *h = &m->headers[i];
        if (h->p_type == PT_LOAD) {
            uintptr_t from = m->bias + (h->p_vaddr & ~(uintptr_t)4095);
            uintptr_t to = (m->bias + h->p_vaddr + h->p_memsz + 4095) & ~(uintptr_t)4095;
            low = from < low ? from : low;
            high = to > high ? to : high;
        } else if (h->p_type == PT_GNU_EH_FRAME && !m->eh_frame)
            m->eh_frame = (const uint8_t *)(m->bias + h->p_vaddr);
        else if (h->p_type == PT_NOTE && !m->build_id_bytes)
            read_notes(m, h);
    }
    if (high) {
        m->start = low;
        m->end = high;
    }
}

/* Adds one module; `map` is a copy of the loader's entry. */
static void add(const struct link_map *map, const void *address) {
    struct dl_find_object found = {0};
    uintptr_t dynamic = (uintptr_t)map->l_ld;
    if (&_dl_find_object &&
        (_dl_find_object((void *)dynamic, &found) || (const void *)found.dlfo_link_map != address))
        return; /* not mapped yet, or not any more */
    struct module *m = new_entry();
    if (!m)
        return;
    int is_main = wh_process.main_dynamic ? dynamic == wh_process.main_dynamic
                                          : address == (const void *)_r_debug.r_map;
    m->bias = map->l_addr;
    m->dynamic = dynamic;
    m->map = address;
    m->start = &_dl_find_object ? (uintptr_t)found.dlfo_map_start : map->l_addr;
    m->end = (uintptr_t)found.dlfo_map_end;
    m->eh_frame = found.dlfo_eh_frame;
    find_headers(m, is_main);
    read_headers(m);
    m->path[0] = 0;
    if (is_main) {
        wh_process.main_dynamic = dynamic;
        long n = wh_sys4(SYS_readlinkat, -100, "/proc/self/exe", m->path, PATH - 1);
        m->path[n > 0 ? n : 0] = 0;
    } else
        copy_path(m->path, map->l_name);
    atomic_store(&m->announced, 0);
    atomic_store_explicit(&m->live, 1, memory_order_release);
    uint32_t n = atomic_load(&count);
    if (n < MODULES && m == module_at(n))
        atomic_store_explicit(&count, n + 1, memory_order_release);
    loads++;
}

static void announce(struct wh_thread *t, struct module *m) {
    struct wh_event e = {.kind = WH_EV_MODULE,
                         .address = m->start,
                         .size = m->end - m->start,
                         .text = m->path,
                         .text_bytes = (uint32_t)wh_length(m->path),
                         .text2 = (const char *)m->build_id,
                         .text2_bytes = m->build_id_bytes,
                         .ip = m->bias};
    if (wh_record_event(t, &e))
        atomic_store(&m->announced, 1);
}

static int is_gone(const struct module *m) {
    struct dl_find_object found;
    return &_dl_find_object && (_dl_find_object((void *)m->dynamic, &found) ||
                                (const void *)found.dlfo_link_map != m->map);
}

void wh_modules_check(struct wh_thread *t) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong(&busy, &expected, 1))
        return;
    for (uint32_t i = 0, n = atomic_load(&count); i < n; i++) {
        struct module *m = module_at(i);
        if (!atomic_load(&m->live) || !is_gone(m))
            continue;
        atomic_store(&m->live, 0);
        lose_range(m->start, m->end);
        atomic_fetch_add(&wh_process.generation, 1);
        unloads++;
        struct wh_event e = {.kind = WH_EV_MODULE, .detail = 1, .address = m->start};
        if (t && atomic_load(&m->announced))
            wh_record_event(t, &e);
        atomic_store(&m->announced, 0);
    }
    atomic_store(&busy, 0);
}

void wh_modules_scan(struct wh_thread *t) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong(&busy, &expected, 1))
        return;
    const struct link_map *at = &_r_debug ? _r_debug.r_map : NULL;
    struct link_map map;
    for (uint32_t i = 0; at && i < MODULES && copy(&map, at, sizeof map); i++, at = map.l_next)
        if (!find_live(at, (uintptr_t)map.l_ld))
            add(&map, at);
    for (uint32_t i = 0, n = atomic_load(&count); t && i < n; i++)
        if (atomic_load(&module_at(i)->live) && !atomic_load(&module_at(i)->announced))
            announce(t, module_at(i));
    atomic_store(&busy, 0);
}

void wh_modules_forked(void) {
    atomic_store(&busy, 0);
}

const uint8_t *wh_modules_eh_frame(uint64_t pc) {
    struct dl_find_object found;
    if (&_dl_find_object) {
        if (_dl_find_object((void *)(uintptr_t)pc, &found))
            return NULL;
        const struct link_map *map = found.dlfo_link_map;
        uint32_t expected = 0;
        if (map && !find_live(map, (uintptr_t)map->l_ld) &&
            atomic_compare_exchange_strong(&busy, &expected, 1)) {
            add(map, map);
            atomic_store(&busy, 0);
            atomic_fetch_or(wh_process.run, WH_RUN_MODULES);
        }
        return found.dlfo_eh_frame;
    }
    for (uint32_t i = 0, n = atomic_load_explicit(&count, memory_order_acquire); i < n; i++) {
        const struct module *m = module_at(i);
        if (atomic_load(&m->live) && pc - m->start < m->end - m->start)
            return m->eh_frame;
    }
    return NULL;
}

struct wh_module_range wh_module_of(uintptr_t address) {
    for (uint32_t i = 0, n = atomic_load(&count); i < n; i++) {
        const struct module *m = module_at(i);
        if (atomic_load(&m->live) && address - m->start < m->end - m->start)
            return (struct wh_module_range){m->start, m->end - m->start};
    }
    return (struct wh_module_range){0, 0};
}

const char *wh_module_path(uintptr_t address) {
    for (uint32_t i = 0, n = atomic_load(&count); i < n; i++) {
        const struct module *m = module_at(i);
        if (atomic_load(&m->live) && address - m->start < m->end - m->start)
            return m->path;
    }
    return "";
}

int wh_modules_iterate(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data) {
    for (uint32_t i = 0, n = atomic_load_explicit(&count, memory_order_acquire); i < n; i++) {
        const struct module *m = module_at(i);
        if (!atomic_load(&m->live) || !m->headers)
            continue;
        struct dl_phdr_info info = {.dlpi_addr = m->bias,
                                    .dlpi_name = m->path,
                                    .dlpi_phdr = m->headers,
                                    .dlpi_phnum = (ElfW(Half))m->header_count,
                                    .dlpi_adds = loads,
                                    .dlpi_subs = unloads};
        int result = callback(&info, sizeof info, data);
        if (result)
            return result;
    }
    return 0;
}
