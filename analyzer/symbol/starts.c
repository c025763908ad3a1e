/* Where functions begin in files without symbols.
 *
 * Stripped programs keep .eh_frame_hdr, the sorted table by which exceptions find their frame: one
 * entry a function. So calls from one nameless function can be told from those of another, and
 * grouped. */
#include <dwarf.h>
#include <string.h>

#include "analyzer/symbol/module_internal.h"

#define ENTRY_BYTES 8u /* function, FDE: both 32-bit, relative to the table's section */

static int32_t read_int32(const unsigned char *p) {
    int32_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

/* Size of a pointer in this encoding; 0 = one that linkers do not write here. */
static size_t encoded_size(unsigned char encoding) {
    switch (encoding & 0x0f) {
    case DW_EH_PE_udata2:
    case DW_EH_PE_sdata2:
        return 2;
    case DW_EH_PE_udata4:
    case DW_EH_PE_sdata4:
        return 4;
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
    case DW_EH_PE_absptr:
        return 8;
    default:
        return 0;
    }
}

static void take_table(struct wh_module *m, const unsigned char *data, size_t size,
                       uint64_t address) {
    if (size < 4 || data[0] != 1 || data[2] != DW_EH_PE_udata4 ||
        data[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4))
        return;
    size_t at = 4 + encoded_size(data[1]);
    if (at == 4 || size < at + 4)
        return;
    size_t count = (uint32_t)read_int32(data + at);
    at += 4;
    if (count > (size - at) / ENTRY_BYTES)
        return;
    m->starts = data + at;
    m->start_count = count;
    m->starts_base = address;
}

static void read_starts(struct wh_module *m) {
    GElf_Addr bias;
    size_t size = 0, count = 0;
    if (m->tried_starts)
        return;
    m->tried_starts = true;
    Elf *elf = wh_module_read_file(m) ? dwfl_module_getelf(m->mod, &bias) : NULL;
    const char *raw = elf ? elf_rawfile(elf, &size) : NULL;
    if (!raw || elf_getphdrnum(elf, &count) != 0)
        return;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr phdr;
        if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_GNU_EH_FRAME ||
            phdr.p_offset > size || phdr.p_filesz > size - phdr.p_offset)
            continue;
        take_table(m, (const unsigned char *)raw + phdr.p_offset, phdr.p_filesz, phdr.p_vaddr);
        return;
    }
}

static uint64_t start_at(const struct wh_module *m, size_t index) {
    return m->starts_base + (uint64_t)(int64_t)read_int32(m->starts + index * ENTRY_BYTES);
}

bool wh_module_function_range(struct wh_module *m, uint64_t address, uint64_t *ret_start,
                              uint64_t *ret_end) {
    read_starts(m);
    size_t low = 0, high = m->start_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (start_at(m, middle) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return false;
    *ret_start = start_at(m, low - 1);
    *ret_end = low < m->start_count ? start_at(m, low) : address + 1;
    /* No function is that long: the address lies behind the last one. */
    return address - *ret_start < (1u << 24);
}
