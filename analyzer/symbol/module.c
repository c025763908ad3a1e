/* Modules: finding the right file for a build-id, and its ELF symbol tables.
 *
 * The hard thing is honesty: a file that was rebuilt since the recording would give wrong names, so
 * it is used only when its build-id is the recorded one. elfutils' own debuginfod client is kept
 * off by clearing DEBUGINFOD_URLS before the first file is opened. */
#include "analyzer/symbol/module_internal.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char DELETED[] = " (deleted)";

static char *debug_path;
static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_path,
};

struct wh_module *wh_module_open(const char *path, const char *build_id) {
    struct wh_module *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->path = strdup(path ? path : "");
    m->build_id = strdup(build_id ? build_id : "");
    if (m->path) {
        size_t length = strlen(m->path), tail = sizeof(DELETED) - 1;
        if (length > tail && strcmp(m->path + length - tail, DELETED) == 0)
            m->path[length - tail] = '\0';
        const char *slash = strrchr(m->path, '/');
        m->name = strdup(slash && slash[1] ? slash + 1 : m->path);
    }
    if (!m->path || !m->build_id || !m->name) {
        wh_module_free(m);
        return NULL;
    }
    return m;
}

static void unit_release(struct wh_unit *u) {
    free(u->functions);
    free(u->function_spans.items);
}

void wh_module_free(struct wh_module *m) {
    if (!m)
        return;
    wh_code_cache_free(m->code_cache);
    wh_variable_index_free(m->variables);
    wh_type_index_free(m->type_index);
    wh_type_table_free(m->type_table);
    for (size_t i = 0; i < m->unit_count; i++)
        unit_release(&m->units[i]);
    free(m->units);
    free(m->unit_spans.items);
    free(m->functions.items);
    free(m->objects.items);
    free(m->tls.items);
    if (m->dwfl)
        dwfl_end(m->dwfl);
    wh_texts_release(&m->texts);
    free(m->path);
    free(m->name);
    free(m->build_id);
    free(m->problem);
    free(m);
}

const char *wh_module_path(const struct wh_module *m) {
    return m->path;
}

const char *wh_module_name(const struct wh_module *m) {
    return m->name;
}

const char *wh_module_problem(const struct wh_module *m) {
    return m->problem;
}

/* --- the file ----------------------------------------------------------------------------------
 */

__attribute__((format(printf, 2, 3))) static void set_problem(struct wh_module *m,
                                                              const char *format, ...) {
    va_list args;
    va_start(args, format);
    free(m->problem);
    if (vasprintf(&m->problem, format, args) < 0)
        m->problem = NULL;
    va_end(args);
}

/* Build-id of an open file as lower-case hex; false = it has none or is no ELF file. */
static bool file_build_id(int fd, char *hex, size_t size) {
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    const unsigned char *bits = NULL;
    ssize_t count = elf ? dwelf_elf_gnu_build_id(elf, (const void **)&bits) : -1;
    bool ok = count > 0 && (size_t)count * 2 < size;
    for (ssize_t i = 0; ok && i < count; i++)
        snprintf(hex + 2 * i, 3, "%02x", bits[i]);
    elf_end(elf);
    return ok;
}

/* Opens a regular file for reading; -1 with *ret_why a phrase. A FIFO or device must not be opened.
 */
static int open_regular(const char *path, const char **ret_why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0) {
        *ret_why = "is gone or cannot be read";
        return -1;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        *ret_why = "is no regular file any more";
        close(fd);
        return -1;
    }
    return fd;
}

/* The separate debug file that a build-id names; -1 = none. */
static int open_by_build_id(const struct wh_module *m, char *path, size_t size) {
    const char *why;
    if (strlen(m->build_id) < 6)
        return -1;
    snprintf(path, size, "/usr/lib/debug/.build-id/%.2s/%s.debug", m->build_id, m->build_id + 2);
    return open_regular(path, &why);
}

static int choose_file(struct wh_module *m, char *path, size_t size) {
    const char *why = NULL;
    char found[136] = "";
    snprintf(path, size, "%s", m->path);
    int fd = open_regular(path, &why);
    bool has_id = fd >= 0 && file_build_id(fd, found, sizeof(found));
    if (fd >= 0 && (!m->build_id[0] || (has_id && strcasecmp(found, m->build_id) == 0)))
        return fd;
    if (fd >= 0) {
        why = "was replaced since the recording";
        close(fd);
    }
    fd = open_by_build_id(m, path, size);
    set_problem(m,
                fd >= 0 ? "'%s' %s: its names come from its separate debug file"
                        : "'%s' %s: its functions have no names",
                m->path, why);
    return fd;
}

bool wh_module_read_file(struct wh_module *m) {
    if (m->tried_file)
        return m->mod != NULL;
    m->tried_file = true;
    if (m->path[0] == '[' || !strncmp(m->name, "linux-vdso", 10) ||
        !strncmp(m->name, "linux-gate", 10))
        return false; /* the kernel's own: there is no file, and nothing is wrong */
    unsetenv("DEBUGINFOD_URLS");
    elf_version(EV_CURRENT);
    char path[4200];
    int fd = choose_file(m, path, sizeof(path));
    if (fd < 0)
        return false;
    m->dwfl = dwfl_begin(&callbacks);
    if (m->dwfl) {
        dwfl_report_begin(m->dwfl);
        m->mod = dwfl_report_elf(m->dwfl, m->name, path, fd, 0, true);
        if (m->mod)
            dwfl_report_end(m->dwfl, NULL, NULL); /* the module owns fd now */
        else
            close(fd);
    } else {
        close(fd);
    }
    if (!m->mod)
        set_problem(m, "'%s' is no readable ELF file: its functions have no names", m->path);
    return m->mod != NULL;
}

bool wh_module_is_restorer(struct wh_module *m, uint64_t address) {
    /* mov $__NR_rt_sigreturn, %rax; syscall: gdb and libgcc recognise it by its bytes as well */
    static const unsigned char code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    GElf_Addr bias;
    size_t size = 0, count = 0;
    Elf *elf = wh_module_read_file(m) ? dwfl_module_getelf(m->mod, &bias) : NULL;
    const char *raw = elf ? elf_rawfile(elf, &size) : NULL;
    if (!raw || elf_getphdrnum(elf, &count) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr phdr;
        if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD || address < phdr.p_vaddr ||
            address - phdr.p_vaddr >= phdr.p_filesz)
            continue;
        uint64_t at = phdr.p_offset + (address - phdr.p_vaddr);
        return at < size && size - at >= sizeof(code) && memcmp(raw + at, code, sizeof(code)) == 0;
    }
    return false;
}

/* --- symbol tables -------------------------------------------------------------------------------
 */

static bool table_add(struct wh_symbol_table *t, uint64_t address, uint64_t size,
                      const char *name) {
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 256;
        void *items = realloc(t->items, room * sizeof(*t->items));
        if (!items)
            return false;
        t->items = items;
        t->room = room;
    }
    t->items[t->count++] = (struct wh_module_symbol){address, size, name};
    return true;
}

static size_t underscores(const char *name) {
    return strspn(name, "_") + (strncmp(name, "__GI_", 5) == 0 ? 8u : 0u);
}

/* By address; at one address the plainest name first: sized, few underscores, short. */
static int symbol_compare(const void *a, const void *b) {
    const struct wh_module_symbol *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    if (!x->size != !y->size)
        return x->size ? -1 : 1;
    size_t ux = underscores(x->name), uy = underscores(y->name);
    if (ux != uy)
        return ux < uy ? -1 : 1;
    size_t lx = strlen(x->name), ly = strlen(y->name);
    if (lx != ly)
        return lx < ly ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void table_finish(struct wh_symbol_table *t) {
    if (!t->count)
        return;
    qsort(t->items, t->count, sizeof(*t->items), symbol_compare);
    size_t kept = 1;
    for (size_t i = 1; i < t->count; i++) {
        if (t->items[i].address != t->items[kept - 1].address)
            t->items[kept++] = t->items[i];
    }
    t->count = kept;
}

static bool section_is_code(Elf *elf, GElf_Word index) {
    GElf_Shdr shdr;
    Elf_Scn *scn = index && index < SHN_LORESERVE ? elf_getscn(elf, index) : NULL;
    return scn && gelf_getshdr(scn, &shdr) && (shdr.sh_flags & SHF_EXECINSTR);
}

static void read_symbols(struct wh_module *m) {
    if (m->tried_symbols)
        return;
    m->tried_symbols = true;
    if (!wh_module_read_file(m))
        return;
    int count = dwfl_module_getsymtab(m->mod);
    for (int i = 1; i < count; i++) {
        GElf_Sym sym;
        GElf_Addr address;
        GElf_Word section = 0;
        Elf *elf = NULL;
        const char *name = dwfl_module_getsym_info(m->mod, i, &sym, &address, &section, &elf, NULL);
        if (!name || !name[0] || section == SHN_UNDEF || !elf)
            continue;
        switch (GELF_ST_TYPE(sym.st_info)) {
        case STT_NOTYPE:
            if (name[0] == '$' || !section_is_code(elf, section))
                break;
            __attribute__((fallthrough));
        case STT_FUNC:
        case STT_GNU_IFUNC:
            table_add(&m->functions, address, sym.st_size, name);
            break;
        case STT_OBJECT:
        case STT_COMMON:
            table_add(&m->objects, address, sym.st_size, name);
            break;
        case STT_TLS:
            table_add(&m->tls, sym.st_value, sym.st_size, name);
            break;
        default:
            break;
        }
    }
    table_finish(&m->functions);
    table_finish(&m->objects);
    table_finish(&m->tls);
}

/* The item that covers an address. Unsized symbols reach to the next one, but no further than
 * `reach`. */
static bool table_find(const struct wh_symbol_table *t, uint64_t address, uint64_t reach,
                       struct wh_module_symbol *ret_symbol) {
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->items[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    /* A symbol may lie inside another (entry points, .cold parts): look a few back. */
    for (size_t back = 0; back < 8 && back < low; back++) {
        const struct wh_module_symbol *s = &t->items[low - 1 - back];
        uint64_t size = s->size ? s->size : (back ? 0 : reach);
        if (address - s->address < size) {
            *ret_symbol = *s;
            return true;
        }
    }
    return false;
}

bool wh_module_function_symbol(struct wh_module *m, uint64_t address,
                               struct wh_module_symbol *ret_symbol) {
    read_symbols(m);
    return table_find(&m->functions, address, 4096, ret_symbol);
}

bool wh_module_data_symbol(struct wh_module *m, uint64_t address,
                           struct wh_module_symbol *ret_symbol) {
    read_symbols(m);
    return table_find(&m->objects, address, 1, ret_symbol);
}

bool wh_module_tls_symbol(struct wh_module *m, uint64_t tls_offset,
                          struct wh_module_symbol *ret_symbol) {
    read_symbols(m);
    return table_find(&m->tls, tls_offset, 1, ret_symbol);
}
