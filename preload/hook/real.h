/* The functions behind ours: whatever comes next in the symbol search order (libc, or an allocator
 * that is preloaded or linked after us). Before they are known, the first few point into early.c.
 */
#ifndef WH_HOOK_REAL_H
#define WH_HOOK_REAL_H

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/types.h>

#include "hooks.h"

#define WH_DECLARE(name, result, parameters)                       result(*name) parameters;
#define WH_DECLARE_NEW(name, parameters, arguments, kind, aligned) void *(*name)parameters;
#define WH_DECLARE_DELETE(name, parameters, arguments)             void(*name) parameters;

struct wh_real {
    WH_C_HOOKS(WH_DECLARE)
    WH_NEW_HOOKS(WH_DECLARE_NEW)
    WH_DELETE_HOOKS(WH_DECLARE_DELETE)
    WH_OTHER_HOOKS(WH_DECLARE)
};
extern __attribute__((visibility("hidden"))) struct wh_real wh_real;

void wh_real_resolve(void);
/* Looks an operator up that the search order does not show (libstdc++ opened RTLD_LOCAL). */
void *wh_real_operator(const char *name);

#endif
