/* prctl, and names of threads. A thread that names itself says so at once; one that is named by
 * another says it at its next block or at its end (thread.c), and only then is the kernel asked: a
 * program may have given up all system calls but a few. */
#include "real.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "state.h"

static void say_own_name(uintptr_t frame, uintptr_t caller) {
    struct wh_scope scope = wh_enter(frame, caller);
    if (!scope.thread)
        return;
    wh_level(frame, WH_GUARD_ENCODE);
    wh_thread_rename(scope.thread);
    wh_leave(scope);
}

WH_EXPORT int pthread_setname_np(pthread_t thread, const char *name) {
    wh_start();
    if (!wh_real.pthread_setname_np)
        return ENOSYS;
    int result = wh_real.pthread_setname_np(thread, name);
    if (result)
        return result;
    if (pthread_equal(thread, pthread_self()))
        say_own_name(WH_FRAME, WH_CALLER);
    else
        atomic_fetch_add(&wh_process.namings, 1);
    return 0;
}

/* From then on reading the time is a fault, here as in the kernel's strict sandbox. */
static void give_up_time(uintptr_t frame, uintptr_t caller) {
    struct wh_scope scope = wh_enter(frame, caller);
    if (!scope.thread)
        return;
    wh_level(frame, WH_GUARD_ENCODE);
    wh_disable("the program gave up the processor's clock");
    wh_leave(scope);
}

WH_EXPORT int prctl(int option, ...) {
    unsigned long word[4];
    va_list list;
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        word[i] = va_arg(list, unsigned long);
    va_end(list);
    wh_start();
    if ((option == PR_SET_SECCOMP && word[0] == SECCOMP_MODE_STRICT) ||
        (option == PR_SET_TSC && word[0] == PR_TSC_SIGSEGV))
        give_up_time(WH_FRAME, WH_CALLER);
    /* The first is what libseccomp says before its filter, which it installs by syscall(). */
    if (option == PR_SET_NO_NEW_PRIVS || option == PR_SET_SECCOMP)
        atomic_store(&wh_process.may_be_filtered, 1);
    if (!wh_real.prctl)
        return (int)wh_sys5(SYS_prctl, option, word[0], word[1], word[2], word[3]);
    int result = wh_real.prctl(option, word[0], word[1], word[2], word[3]);
    if (option == PR_SET_NAME && !result)
        say_own_name(WH_FRAME, WH_CALLER);
    return result;
}
