/* dlopen and dlmopen are looked at, not wrapped: they search by the RPATH and in the namespace of
 * their caller, which they know by their return address. So our entry notes the flags and then
 * jumps to the real function with the caller's own return address still on the stack.
 *
 * What there is to note: a library opened with RTLD_DEEPBIND binds to libc's malloc past any
 * preload, and one in a namespace of its own has its own libc; both allocate unseen, which the
 * report must say. */
#include <dlfcn.h>

#include "real.h"
#include "state.h"

#if defined(__x86_64__)

static void say_unseen(const char *path, uintptr_t frame) {
    struct wh_scope scope = wh_enter(frame, 0);
    if (!scope.thread)
        return;
    wh_level(frame, WH_GUARD_ENCODE);
    struct wh_event e = {.kind = WH_EV_NOTE,
                         .detail = WH_NOTE_DEEPBIND,
                         .text = path,
                         .text_bytes = (uint32_t)wh_length(path)};
    if (e.text_bytes > 4096)
        e.text_bytes = 4096;
    wh_record_event(scope.thread, &e);
    wh_leave(scope);
}

/* Called by the entries below: where to jump. */
__attribute__((used, visibility("hidden"))) void *wh_dlopen_target(const char *path, int flags) {
    wh_start();
    if (path && (flags & RTLD_DEEPBIND))
        say_unseen(path, WH_FRAME);
    return (void *)(uintptr_t)wh_real.dlopen;
}

__attribute__((used, visibility("hidden"))) void *wh_dlmopen_target(Lmid_t space, const char *path,
                                                                    int flags) {
    wh_start();
    if (path && (space != LM_ID_BASE || (flags & RTLD_DEEPBIND)))
        say_unseen(path, WH_FRAME);
    return (void *)(uintptr_t)wh_real.dlmopen;
}

#define JUMP_THROUGH(name, target)                                                                 \
    __asm__(".pushsection .text\n.globl " name "\n.type " name ", @function\n" name ":\n"          \
            "\t.cfi_startproc\n"                                                                   \
            "\tpush %rdi\n\t.cfi_adjust_cfa_offset 8\n"                                            \
            "\tpush %rsi\n\t.cfi_adjust_cfa_offset 8\n"                                            \
            "\tpush %rdx\n\t.cfi_adjust_cfa_offset 8\n"                                            \
            "\tcall " target "\n"                                                                  \
            "\tpop %rdx\n\t.cfi_adjust_cfa_offset -8\n"                                            \
            "\tpop %rsi\n\t.cfi_adjust_cfa_offset -8\n"                                            \
            "\tpop %rdi\n\t.cfi_adjust_cfa_offset -8\n"                                            \
            "\tjmp *%rax\n\t.cfi_endproc\n.size " name ", .-" name "\n.popsection")

JUMP_THROUGH("dlopen", "wh_dlopen_target");
JUMP_THROUGH("dlmopen", "wh_dlmopen_target");

#endif
