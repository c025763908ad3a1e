/* From a code address to its unwind rule, by the module's own .eh_frame: _dl_find_object gives the
 * sorted .eh_frame_hdr without a lock, a binary search the FDE, and running its program up to the
 * address the rule. Only what the fast walk can use is kept: where the caller's frame begins (CFA)
 * in terms of sp or bp, and where bp was saved. The return address is always the word below the
 * CFA. Everything else becomes WH_RULE_DEEP and goes to libunwind.
 *
 * Expressions are evaluated symbolically over "register + constant", which covers what compilers
 * emit: realigned stacks (the word at bp + n), PLT entries (depends on ip alone), the signal frame.
 */
#include "state.h"

#if defined(__x86_64__)

enum { REG_BP = 6, REG_SP = 7, REG_RA = 16, STATES = 8 };

/* How one register of the caller is found. */
enum how { SAME, AT_CFA, AT_BP, UNDEFINED, OTHER };

struct row {
    enum wh_rule_kind cfa;
    int64_t cfa_offset;
    enum how bp, ra;
    int64_t bp_offset, ra_offset;
};

struct cie {
    uint64_t code_align;
    int64_t data_align;
    uint64_t ra_register;
    uint8_t pointer_encoding, signal, augmented;
    const uint8_t *program, *end;
};

struct fde {
    uint64_t start, bytes;
    const uint8_t *program, *end;
    struct cie cie;
};

static uint64_t uleb(const uint8_t **p, const uint8_t *end) {
    uint64_t value = 0;
    for (unsigned shift = 0; *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

static int64_t sleb(const uint8_t **p, const uint8_t *end) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte = 0;
    while (*p < end) {
        byte = *(*p)++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80))
            break;
    }
    if ((byte & 0x40) && shift < 64)
        value |= ~0ull << shift;
    return (int64_t)value;
}

static uint64_t fixed(const uint8_t **p, const uint8_t *end, unsigned bytes) {
    uint64_t value = 0;
    if ((size_t)(end - *p) < bytes) {
        *p = end;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(*p)[i] << (8 * i);
    *p += bytes;
    return value;
}

/* A pointer in one of DWARF's encodings, without indirection. */
static int pointer(const uint8_t **p, const uint8_t *end, uint8_t encoding, uint64_t *ret_value) {
    uint64_t at = (uint64_t)(uintptr_t)*p, value;
    switch (encoding & 0x0f) {
    case 0x00:
    case 0x04:
    case 0x0c:
        value = fixed(p, end, 8);
        break;
    case 0x01:
        value = uleb(p, end);
        break;
    case 0x09:
        value = (uint64_t)sleb(p, end);
        break;
    case 0x02:
        value = fixed(p, end, 2);
        break;
    case 0x0a:
        value = (uint64_t)(int64_t)(int16_t)fixed(p, end, 2);
        break;
    case 0x03:
        value = fixed(p, end, 4);
        break;
    case 0x0b:
        value = (uint64_t)(int64_t)(int32_t)fixed(p, end, 4);
        break;
    default:
        return 0;
    }
    if ((encoding & 0x70) == 0x10 && value)
        value += at;
    else if (encoding & 0x70)
        return 0;
    *ret_value = value;
    return !(encoding & 0x80);
}

/* Skips a pointer of any encoding (the personality may be indirect). */
static int skip_pointer(const uint8_t **p, const uint8_t *end, uint8_t encoding) {
    uint64_t ignored;
    return pointer(p, end, encoding & 0x0f, &ignored);
}

static int parse_cie(const uint8_t *p, struct cie *c) {
    uint32_t length = (uint32_t)fixed(&p, p + 4, 4);
    if (length == 0 || length >= 0xfffffff0u)
        return 0;
    c->end = p + length;
    if (fixed(&p, c->end, 4) != 0)
        return 0;
    uint8_t version = *p++;
    if (version != 1 && version != 3)
        return 0;
    const char *augmentation = (const char *)p;
    p += wh_length(augmentation) + 1;
    c->code_align = uleb(&p, c->end);
    c->data_align = sleb(&p, c->end);
    c->ra_register = version == 1 ? *p++ : uleb(&p, c->end);
    c->augmented = *augmentation == 'z';
    if (!c->augmented) {
        c->program = p;
        return *augmentation == 0;
    }
    uint64_t bytes = uleb(&p, c->end);
    c->program = p + bytes;
    for (augmentation++; *augmentation; augmentation++) {
        if (*augmentation == 'R')
            c->pointer_encoding = *p++;
        else if (*augmentation == 'S')
            c->signal = 1;
        else if (*augmentation == 'L')
            p++;
        else if (*augmentation == 'P') {
            uint8_t encoding = *p++;
            if (!skip_pointer(&p, c->end, encoding))
                return 0;
        } else if (*augmentation != 'B')
            return 0;
    }
    return c->program <= c->end;
}

static int parse_fde(const uint8_t *p, struct fde *f) {
    uint32_t length = (uint32_t)fixed(&p, p + 4, 4);
    if (length == 0 || length >= 0xfffffff0u)
        return 0;
    f->end = p + length;
    const uint8_t *at = p;
    uint32_t back = (uint32_t)fixed(&p, f->end, 4);
    f->cie = (struct cie){0};
    if (!back || !parse_cie(at - back, &f->cie))
        return 0;
    if (!pointer(&p, f->end, f->cie.pointer_encoding, &f->start) ||
        !pointer(&p, f->end, f->cie.pointer_encoding & 0x0f, &f->bytes))
        return 0;
    if (f->cie.augmented) {
        uint64_t bytes = uleb(&p, f->end);
        p += bytes;
    }
    f->program = p;
    return p <= f->end;
}

/* Binary search in .eh_frame_hdr. 1 = found, 0 = no code there, -1 = a form that we do not read. */
static int find_fde(const uint8_t *header, uint64_t pc, struct fde *ret_fde) {
    struct pair {
        int32_t start, fde;
    };
    if (header[0] != 1 || header[2] != 0x03 || header[3] != 0x3b)
        return -1;
    const uint8_t *p = header + 4;
    if (!skip_pointer(&p, p + 16, header[1]))
        return -1;
    uint32_t count = (uint32_t)fixed(&p, p + 4, 4);
    const struct pair *table = (const struct pair *)(const void *)p;
    int64_t want = (int64_t)(pc - (uint64_t)(uintptr_t)header);
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table[middle].start <= want)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return 0;
    if (!parse_fde(header + table[low - 1].fde, ret_fde))
        return -1;
    return pc - ret_fde->start < ret_fde->bytes;
}

/* A symbolic value: a register, or the word at one, plus a constant. */
struct symbol {
    enum { CONSTANT, SP, BP, WORD_SP, WORD_BP, STRANGE } base;
    int64_t value;
};

static struct symbol combine(uint8_t op, struct symbol a, struct symbol b) {
    struct symbol strange = {STRANGE, 0};
    if (op == 0x22 && a.base == CONSTANT) /* plus: the constant goes right */
        return (struct symbol){b.base, a.value + b.value};
    if (b.base != CONSTANT)
        return strange;
    if (op == 0x22)
        return (struct symbol){a.base, a.value + b.value};
    if (a.base != CONSTANT)
        return strange;
    switch (op) {
    case 0x1a:
        return (struct symbol){CONSTANT, a.value & b.value};
    case 0x24:
        return (struct symbol){CONSTANT, (int64_t)((uint64_t)a.value << (b.value & 63))};
    case 0x2a:
        return (struct symbol){CONSTANT, a.value >= b.value};
    default:
        return strange;
    }
}

static struct symbol evaluate(const uint8_t *p, const uint8_t *end, uint64_t ip) {
    struct symbol stack[8], strange = {STRANGE, 0};
    unsigned n = 0;
    while (p < end) {
        uint8_t op = *p++;
        if (op >= 0x70 && op <= 0x8f && n < 8) { /* breg0..31 */
            int64_t offset = sleb(&p, end);
            struct symbol s = {op == 0x70 + REG_SP   ? SP
                               : op == 0x70 + REG_BP ? BP
                               : op == 0x70 + REG_RA ? CONSTANT
                                                     : STRANGE,
                               offset};
            if (s.base == CONSTANT)
                s.value += (int64_t)ip;
            stack[n++] = s;
        } else if (op >= 0x30 && op <= 0x4f && n < 8) /* lit0..31 */
            stack[n++] = (struct symbol){CONSTANT, op - 0x30};
        else if (op == 0x06 && n && stack[n - 1].base == SP) /* deref */
            stack[n - 1].base = WORD_SP;
        else if (op == 0x06 && n && stack[n - 1].base == BP)
            stack[n - 1].base = WORD_BP;
        else if (op == 0x23 && n) { /* plus_uconst */
            if (stack[n - 1].base == WORD_SP || stack[n - 1].base == WORD_BP)
                return strange;
            stack[n - 1].value += (int64_t)uleb(&p, end);
        } else if (n >= 2) {
            struct symbol s = combine(op, stack[n - 2], stack[n - 1]);
            n -= 2;
            if (s.base == WORD_SP || s.base == WORD_BP)
                return strange;
            stack[n++] = s;
        } else
            return strange;
    }
    return n ? stack[n - 1] : strange;
}

static void set_register(struct row *row, uint64_t reg, enum how how, int64_t offset) {
    if (reg == REG_BP) {
        row->bp = how;
        row->bp_offset = offset;
    } else if (reg == REG_RA) {
        row->ra = how;
        row->ra_offset = offset;
    }
}

static void set_cfa(struct row *row, uint64_t reg, int64_t offset) {
    row->cfa = reg == REG_SP ? WH_RULE_SP : reg == REG_BP ? WH_RULE_BP : WH_RULE_DEEP;
    row->cfa_offset = offset;
}

static void set_expression(struct row *row, uint64_t reg, const uint8_t *p, const uint8_t *end,
                           uint64_t ip) {
    struct symbol s = evaluate(p, end, ip);
    set_register(row, reg, s.base == BP ? AT_BP : OTHER, s.value);
}

static void set_cfa_expression(struct row *row, const uint8_t *p, const uint8_t *end, uint64_t ip) {
    struct symbol s = evaluate(p, end, ip);
    row->cfa = s.base == SP        ? WH_RULE_SP
               : s.base == BP      ? WH_RULE_BP
               : s.base == WORD_BP ? WH_RULE_BP_WORD
                                   : WH_RULE_DEEP;
    row->cfa_offset = s.value;
}

/* The rows of one program: the current one, the CIE's, and those that were remembered. */
struct machine {
    struct row row, initial, saved[STATES];
    unsigned depth;
    uint64_t location;
};

/* The opcodes whose operands are all in the stream. Returns 0 for one we do not know. */
static int extended(struct machine *m, const struct cie *c, uint8_t op, const uint8_t **p,
                    const uint8_t *end, uint64_t ip) {
    uint64_t reg, bytes;
    int64_t offset;
    switch (op) {
    case 0x00: /* nop */
        return 1;
    case 0x05: /* offset_extended */
        reg = uleb(p, end);
        offset = (int64_t)uleb(p, end);
        set_register(&m->row, reg, AT_CFA, offset * c->data_align);
        return 1;
    case 0x06: /* restore_extended */
        reg = uleb(p, end);
        if (reg == REG_BP)
            set_register(&m->row, reg, m->initial.bp, m->initial.bp_offset);
        if (reg == REG_RA)
            set_register(&m->row, reg, m->initial.ra, m->initial.ra_offset);
        return 1;
    case 0x07: /* undefined */
        set_register(&m->row, uleb(p, end), UNDEFINED, 0);
        return 1;
    case 0x08: /* same_value */
        set_register(&m->row, uleb(p, end), SAME, 0);
        return 1;
    case 0x09: /* register */
        reg = uleb(p, end);
        uleb(p, end);
        set_register(&m->row, reg, OTHER, 0);
        return 1;
    case 0x0a: /* remember_state */
        if (m->depth == STATES)
            return 0;
        m->saved[m->depth++] = m->row;
        return 1;
    case 0x0b: /* restore_state */
        if (!m->depth)
            return 0;
        m->row = m->saved[--m->depth];
        return 1;
    case 0x0c: /* def_cfa */
        reg = uleb(p, end);
        set_cfa(&m->row, reg, (int64_t)uleb(p, end));
        return 1;
    case 0x0d: /* def_cfa_register */
        set_cfa(&m->row, uleb(p, end), m->row.cfa_offset);
        return 1;
    case 0x0e: /* def_cfa_offset */
        m->row.cfa_offset = (int64_t)uleb(p, end);
        return 1;
    case 0x0f: /* def_cfa_expression */
        bytes = uleb(p, end);
        if (bytes > (uint64_t)(end - *p))
            return 0;
        set_cfa_expression(&m->row, *p, *p + bytes, ip);
        *p += bytes;
        return 1;
    case 0x10: /* expression */
    case 0x16: /* val_expression */
        reg = uleb(p, end);
        bytes = uleb(p, end);
        if (bytes > (uint64_t)(end - *p))
            return 0;
        if (op == 0x10)
            set_expression(&m->row, reg, *p, *p + bytes, ip);
        else
            set_register(&m->row, reg, OTHER, 0);
        *p += bytes;
        return 1;
    case 0x11: /* offset_extended_sf */
        reg = uleb(p, end);
        offset = sleb(p, end);
        set_register(&m->row, reg, AT_CFA, offset * c->data_align);
        return 1;
    case 0x12: /* def_cfa_sf */
        reg = uleb(p, end);
        set_cfa(&m->row, reg, sleb(p, end) * c->data_align);
        return 1;
    case 0x13: /* def_cfa_offset_sf */
        m->row.cfa_offset = sleb(p, end) * c->data_align;
        return 1;
    case 0x14: /* val_offset */
    case 0x15: /* val_offset_sf */
        reg = uleb(p, end);
        uleb(p, end);
        set_register(&m->row, reg, OTHER, 0);
        return 1;
    case 0x2e: /* GNU_args_size */
        uleb(p, end);
        return 1;
    case 0x2f: /* GNU_negative_offset_extended */
        reg = uleb(p, end);
        offset = (int64_t)uleb(p, end);
        set_register(&m->row, reg, AT_CFA, -offset * c->data_align);
        return 1;
    default:
        return 0;
    }
}

/* Runs the program while its location is at or before pc. Returns 0 when it cannot be followed. */
static int run(struct machine *m, const struct cie *c, const uint8_t *p, const uint8_t *end,
               uint64_t pc, uint64_t ip) {
    while (p < end) {
        uint8_t op = *p++;
        uint64_t forward = 0;
        uint8_t low = op & 0x3f;
        switch (op >> 6) {
        case 1:
            forward = low;
            break;
        case 2:
            set_register(&m->row, low, AT_CFA, (int64_t)uleb(&p, end) * c->data_align);
            continue;
        case 3:
            if (low == REG_BP)
                set_register(&m->row, low, m->initial.bp, m->initial.bp_offset);
            if (low == REG_RA)
                set_register(&m->row, low, m->initial.ra, m->initial.ra_offset);
            continue;
        default:
            if (op >= 0x02 && op <= 0x04)
                forward = fixed(&p, end, 1u << (op - 2));
            else if (!extended(m, c, op, &p, end, ip))
                return 0;
            else
                continue;
        }
        m->location += forward * c->code_align;
        if (m->location > pc)
            return 1;
    }
    return 1;
}

static int code_is(uint64_t ip, const uint8_t *code, unsigned bytes) {
    if ((ip & 4095) > 4096 - 32) /* never read over the end of a page */
        return 0;
    for (unsigned i = 0; i < bytes; i++)
        if (((const uint8_t *)(uintptr_t)ip)[i] != code[i])
            return 0;
    return 1;
}

/* The instructions of __restore_rt: mov $15,%rax; syscall. */
static int is_sigreturn(uint64_t ip) {
    static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    return code_is(ip, code, sizeof code);
}

/* Where makecontext lets a coroutine return to, glibc's __start_context: mov %rbx,%rsp; mov
 * (%rsp),%rdi. It has no table and nobody called it. */
static int is_context_start(uint64_t ip) {
    static const uint8_t code[] = {0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24};
    return !(ip & 15) && code_is(ip, code, sizeof code);
}

static struct wh_rule rule_of(const struct row *row) {
    struct wh_rule deep = {.kind = WH_RULE_DEEP};
    if (row->ra == UNDEFINED)
        return (struct wh_rule){.kind = WH_RULE_END};
    if (row->ra != AT_CFA || row->ra_offset != -8 || row->cfa == WH_RULE_DEEP ||
        row->cfa == WH_RULE_UNKNOWN)
        return deep;
    if (row->cfa_offset < -(1 << 22) || row->cfa_offset > 1 << 22 || (row->bp_offset & 7) ||
        row->bp_offset > 32767 * 8 || row->bp_offset < -32768 * 8)
        return deep;
    struct wh_rule rule = {.kind = (uint8_t)row->cfa, .cfa_offset = (int32_t)row->cfa_offset};
    switch (row->bp) {
    case SAME:
    case UNDEFINED: /* lost to the caller, which then cannot depend on it */
        return rule;
    case AT_CFA:
        rule.bp_kind = WH_BP_AT_CFA;
        break;
    case AT_BP:
        rule.bp_kind = WH_BP_AT_BP;
        break;
    default:
        return deep;
    }
    rule.bp_offset = (int16_t)(row->bp_offset / 8);
    return rule;
}

struct wh_rule wh_cfi_rule(uint64_t ip, int exact) {
    uint64_t pc = exact ? ip : ip - 1;
    struct wh_rule none = {.kind = WH_RULE_NONE}, deep = {.kind = WH_RULE_DEEP};
    const uint8_t *header = wh_modules_eh_frame(pc);
    if (!header)
        return none;
    struct fde f;
    int found = find_fde(header, pc, &f);
    if (found < 0)
        return deep;
    /* A return into the kernel's trampoline points at its first instruction; glibc's FDE starts one
     * byte early for the sake of unwinders that subtract 1, others have no FDE at all. */
    if ((!found || f.cie.signal) && is_sigreturn(ip))
        return (struct wh_rule){.kind = WH_RULE_SIGNAL};
    /* The loader's entry has no table either: the frame from which everything begins. */
    if (!found && (is_context_start(ip) || wh_in(&wh_process.loader, pc)))
        return (struct wh_rule){.kind = WH_RULE_END};
    if (!found)
        return none;
    if (f.cie.signal || f.cie.ra_register != REG_RA)
        return deep;
    struct machine m = {.location = f.start};
    if (!run(&m, &f.cie, f.cie.program, f.cie.end, UINT64_MAX, ip))
        return deep;
    m.initial = m.row;
    m.location = f.start;
    m.depth = 0;
    if (!run(&m, &f.cie, f.program, f.end, pc, ip))
        return deep;
    return rule_of(&m.row);
}

#else

/* Elsewhere every walk is libunwind's. */
struct wh_rule wh_cfi_rule(uint64_t ip, int exact) {
    (void)ip, (void)exact;
    return (struct wh_rule){.kind = WH_RULE_DEEP};
}
#endif
