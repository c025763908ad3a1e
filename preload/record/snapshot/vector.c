/* A stopped thread's vector registers: a copy of pointers in flight may be the only reference.
 *
 * The kernel shows them as the processor saves them (XSAVE, standard form): the low halves of the
 * first 16 registers where FXSAVE has them, the rest in components whose places CPUID tells. */
#include <cpuid.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "record/snapshot/frozen.h"

#define AREA_BYTES 16384u
#define LOW_AT     160u /* FXSAVE: 16 registers of 16 bytes */
#define COMPONENTS 3u

/* Bytes [at, at + size) of registers first .. first + 15 each, one after the other in the area. */
static const struct {
    unsigned number, first, at, size;
} components[COMPONENTS] = {{2, 0, 16, 16},  /* upper halves of ymm0-15 */
                            {6, 0, 32, 32},  /* upper halves of zmm0-15 */
                            {7, 16, 0, 64}}; /* zmm16-31 */

static void copy_component(const unsigned char *area, size_t bytes, unsigned which,
                           uint64_t (*vectors)[WH_VECTOR_WORDS]) {
    unsigned size, offset, c, d, each = components[which].size;
    if (!__get_cpuid_count(0xd, components[which].number, &size, &offset, &c, &d) ||
        size < 16 * each || offset < 512 || offset + 16 * each > bytes)
        return;
    for (unsigned i = 0; i < 16; i++)
        memcpy((unsigned char *)vectors[components[which].first + i] + components[which].at,
               area + offset + i * each, each);
}

uint64_t (*wh_vectors_read(pid_t tid))[WH_VECTOR_WORDS] {
    unsigned char area[AREA_BYTES];
    struct iovec io = {area, sizeof area};
    if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &io) != 0 ||
        io.iov_len < LOW_AT + 16 * 16)
        return NULL;
    uint64_t(*vectors)[WH_VECTOR_WORDS] = calloc(WH_VECTORS, sizeof *vectors);
    if (!vectors)
        return NULL;
    for (unsigned i = 0; i < 16; i++)
        memcpy(vectors[i], area + LOW_AT + i * 16, 16);
    for (unsigned i = 0; i < COMPONENTS; i++)
        copy_component(area, io.iov_len, i, vectors);
    return vectors;
}
