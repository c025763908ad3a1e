/* The exec family: a new image finds its session by its environment, also when the program makes
 * that by hand. If LD_PRELOAD or WHOHOLDS_SESSION is missing there, the image gets a copy of the
 * environment with them; everything else is the caller's. A vfork child's memory is its parent's,
 * so the copy lies in a mapping that stays with the thread's state instead of being made anew for
 * each call. Where the image's user may not read our library, it gets an environment without us
 * instead: the loader would complain on its stderr.
 *
 * An image that no preload can reach (static, set-uid) is said in the trace. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "real.h"
#include "state.h"

enum { PATH_BYTES = 4096 };
static const char preload_name[] = "LD_PRELOAD=", session_name[] = WH_ENV_SESSION "=";

static int is_on(void) {
    struct wh_session *s = wh_process.session;
    if (!s || !wh_process.preload[0] || (atomic_load(wh_process.run) & WH_RUN_OFF) ||
        atomic_load(&s->stop))
        return 0;
    return !(s->flags & WH_SESSION_NO_CHILDREN) ||
           (uint32_t)wh_sys0(SYS_getpid) == atomic_load(&s->first_pid);
}

/* A buffer of at least `bytes` that belongs to this thread. */
static char *buffer(size_t bytes) {
    static struct {
        _Atomic uintptr_t tid;
        size_t bytes;
        char *start;
    } owners[64];
    uintptr_t tid = (uintptr_t)&wh_tls; /* a vfork child shares its parent's */
    uint32_t i = 0;
    bytes = (bytes + 65535) & ~(size_t)65535;
    for (; i < 64; i++) {
        uintptr_t expected = 0;
        if (atomic_load(&owners[i].tid) == tid ||
            atomic_compare_exchange_strong(&owners[i].tid, &expected, tid))
            break;
    }
    if (i < 64 && owners[i].bytes >= bytes)
        return owners[i].start;
    long map = wh_sys6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map < 0 && map > -4096)
        return NULL;
    if (i < 64) {
        if (owners[i].bytes)
            wh_sys2(SYS_munmap, owners[i].start, owners[i].bytes);
        owners[i].start = (char *)map;
        owners[i].bytes = bytes;
    }
    return (char *)map;
}

/* Does LD_PRELOAD's value name us? */
static int names_us(const char *value) {
    return wh_contains(value, wh_process.preload) || wh_contains(value, "libwhoholds.so");
}

/* The program gave up the rights that it was started with, and cannot `mode` the file any more. */
static int is_closed(const char *path, int mode) {
    return wh_sys4(439 /* SYS_faccessat2 */, AT_FDCWD, path, mode, AT_EACCESS) == -EACCES;
}

/* Appends the entries of LD_PRELOAD's value that are not us. */
static char *append_others(char *p, const char *end, const char *value) {
    const char *first = p;
    while (*value) {
        const char *entry = value;
        char *before = p;
        size_t bytes = 0;
        for (; value[bytes] && value[bytes] != ':' && value[bytes] != ' '; bytes++)
            ;
        value += bytes + (value[bytes] != 0);
        if (p != first)
            p = wh_append(p, end, ":");
        const char *start = p;
        for (size_t i = 0; i < bytes && p + 1 < end; i++)
            *p++ = entry[i];
        *p = 0;
        if (!bytes || names_us(start)) {
            p = before;
            *p = 0;
        }
    }
    return p;
}

/* A copy of the environment without us. */
static char *const *without_us(char *const *environment) {
    size_t n = 0, text = 1;
    for (; environment[n]; n++)
        text += wh_starts(environment[n], preload_name) ? wh_length(environment[n]) + 1 : 0;
    char **fresh = (char **)(void *)buffer((n + 1) * sizeof *fresh + text);
    if (!fresh)
        return environment;
    char *p = (char *)(fresh + n + 1), *end = p + text;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (wh_starts(environment[i], session_name))
            continue;
        if (!wh_starts(environment[i], preload_name) || !names_us(environment[i])) {
            fresh[k++] = environment[i];
            continue;
        }
        char *entry = p, *value = wh_append(p, end, preload_name);
        p = append_others(value, end, environment[i] + sizeof preload_name - 1);
        if (p != value)
            fresh[k++] = entry;
        p++;
    }
    fresh[k] = NULL;
    return fresh;
}

/* `environment`, or a copy with what is missing in it. */
static char *const *complete(char *const *environment) {
    if (!is_on() || !environment)
        return environment;
    if (is_closed(wh_process.preload, R_OK))
        return without_us(environment);
    const char *preload = NULL, *session = NULL;
    size_t n = 0;
    for (; environment[n]; n++) {
        if (wh_starts(environment[n], preload_name) && !preload)
            preload = environment[n];
        if (wh_starts(environment[n], session_name) && !session)
            session = environment[n];
    }
    int has_us = preload && names_us(preload);
    if (has_us && session)
        return environment;
    size_t text = sizeof preload_name + wh_length(wh_process.preload) + 1 +
                  (preload ? wh_length(preload) : 0) + sizeof session_name +
                  wh_length(wh_process.session_path) + 2;
    char **fresh = (char **)(void *)buffer((n + 3) * sizeof *fresh + text);
    if (!fresh)
        return environment;
    char *p = (char *)(fresh + n + 3), *end = p + text;
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if ((has_us || environment[i] != preload) && !wh_starts(environment[i], session_name))
            fresh[k++] = environment[i];
    if (!has_us) {
        fresh[k++] = p;
        p = wh_append(p, end, preload_name);
        p = wh_append(p, end, wh_process.preload);
        if (preload && preload[sizeof preload_name - 1]) {
            p = wh_append(p, end, ":");
            p = wh_append(p, end, preload + sizeof preload_name - 1);
        }
        p++;
    }
    fresh[k++] = p;
    p = wh_append(p, end, session_name);
    wh_append(p, end, wh_process.session_path);
    fresh[k] = NULL;
    return fresh;
}

/* ---- images that cannot be followed
 * ------------------------------------------------------------------ */

/* 1 = a program that ignores LD_PRELOAD. */
static int is_unreachable(const char *path) {
    struct stat status;
    _Alignas(8) char head[2048];
    if (wh_sys4(SYS_newfstatat, AT_FDCWD, path, &status, 0) || !S_ISREG(status.st_mode))
        return 0;
    if (((status.st_mode & S_ISUID) && status.st_uid != (uid_t)wh_sys0(SYS_geteuid)) ||
        ((status.st_mode & S_ISGID) && status.st_gid != (gid_t)wh_sys0(SYS_getegid)))
        return 1;
    long bytes = wh_read_file(path, head, sizeof head);
    const Elf64_Ehdr *elf = (const Elf64_Ehdr *)(const void *)head;
    if (bytes < (long)sizeof *elf || elf->e_ident[0] != 0x7f || elf->e_ident[1] != 'E' ||
        elf->e_ident[4] != ELFCLASS64)
        return 0;
    if (elf->e_phentsize != sizeof(Elf64_Phdr) || elf->e_phoff > sizeof head ||
        elf->e_phoff + (uint64_t)elf->e_phnum * sizeof(Elf64_Phdr) > (uint64_t)bytes)
        return 0;
    const Elf64_Phdr *header = (const Elf64_Phdr *)(const void *)(head + elf->e_phoff);
    for (unsigned i = 0; i < elf->e_phnum; i++)
        if (header[i].p_type == PT_INTERP)
            return 0;
    const char *name = path;
    for (const char *p = path; *p; p++)
        name = *p == '/' ? p + 1 : name;
    return !wh_starts(name, "ld-") &&
           !wh_starts(name, "ld.so"); /* the loader itself does preload */
}

/* Where execvp would find `file`. Returns 0 when it does not. */
static int search(const char *file, char *path) {
    const char *end = path + PATH_BYTES, *list = wh_environment(environ, "PATH");
    int has_slash = 0;
    for (const char *p = file; *p; p++)
        has_slash |= *p == '/';
    if (has_slash) {
        wh_append(path, end, file);
        return 1;
    }
    for (list = list ? list : "/bin:/usr/bin"; *list;) {
        char *p = path;
        while (*list && *list != ':' && p + 1 < end)
            *p++ = *list++;
        *p = 0;
        p = wh_append(p, end, p == path ? "./" : "/");
        wh_append(p, end, file);
        if (wh_sys4(SYS_faccessat, AT_FDCWD, path, X_OK, 0) == 0)
            return 1;
        list += *list == ':';
    }
    return 0;
}

static void note_unreachable(const char *file, int by_path, uintptr_t frame) {
    char path[PATH_BYTES];
    if (!is_on() || !file)
        return;
    if (by_path) {
        if (!search(file, path))
            return;
    } else
        wh_append(path, path + sizeof path, file);
    int closed =
        is_closed(wh_process.session_path, R_OK | W_OK) || is_closed(wh_process.preload, R_OK);
    if (!closed && !is_unreachable(path))
        return;
    if (closed)
        wh_append(path + wh_length(path), path + sizeof path,
                  ": its user may not open the recording");
    struct wh_scope scope = wh_enter(frame, 0);
    if (!scope.thread)
        return;
    wh_level(frame, WH_GUARD_ENCODE);
    struct wh_event e = {.kind = WH_EV_NOTE,
                         .detail = WH_NOTE_EXEC_STATIC,
                         .text = path,
                         .text_bytes = (uint32_t)wh_length(path)};
    wh_record_event(scope.thread, &e);
    wh_leave(scope);
}

/* Around an exec of this very process: until it fails, its image may be gone at any moment. */
static void mark(uint32_t exited) {
    if (is_on() && !wh_is_vforked())
        atomic_store(&wh_process.slot->exited, exited);
}

static int exec_with(int (*real)(const char *, char *const[], char *const[]), const char *path,
                     char *const argv[], char *const environment[], int by_path, uintptr_t frame) {
    note_unreachable(path, by_path, frame);
    mark(2);
    int result = real(path, argv, complete(environment));
    mark(0);
    return result;
}

WH_EXPORT int execve(const char *path, char *const argv[], char *const environment[]) {
    wh_start();
    return exec_with(wh_real.execve, path, argv, environment, 0, WH_FRAME);
}

WH_EXPORT int execv(const char *path, char *const argv[]) {
    wh_start();
    return exec_with(wh_real.execve, path, argv, environ, 0, WH_FRAME);
}

WH_EXPORT int execvpe(const char *file, char *const argv[], char *const environment[]) {
    wh_start();
    return exec_with(wh_real.execvpe, file, argv, environment, 1, WH_FRAME);
}

WH_EXPORT int execvp(const char *file, char *const argv[]) {
    wh_start();
    return exec_with(wh_real.execvpe, file, argv, environ, 1, WH_FRAME);
}

WH_EXPORT int fexecve(int fd, char *const argv[], char *const environment[]) {
    wh_start();
    mark(2);
    int result = wh_real.fexecve(fd, argv, complete(environment));
    mark(0);
    return result;
}

WH_EXPORT int execveat(int fd, const char *path, char *const argv[], char *const environment[],
                       int flags) {
    wh_start();
    mark(2);
    int result = wh_real.execveat(fd, path, argv, complete(environment), flags);
    mark(0);
    return result;
}

/* Counts the arguments of an execl call, up to and with the NULL. */
static size_t count_arguments(va_list list) {
    size_t n = 2; /* the first one and the NULL */
    while (va_arg(list, char *))
        n++;
    return n;
}

/* The arguments as an array, on the caller's stack as libc has it. */
#define GATHER(first)                                                                              \
    va_list list;                                                                                  \
    va_start(list, first);                                                                         \
    size_t n = count_arguments(list);                                                              \
    va_end(list);                                                                                  \
    char **argv = __builtin_alloca(n * sizeof *argv);                                              \
    va_start(list, first);                                                                         \
    argv[0] = (char *)(uintptr_t)first;                                                            \
    for (size_t i = 1; i < n; i++)                                                                 \
    argv[i] = va_arg(list, char *)

WH_EXPORT int execl(const char *path, const char *first, ...) {
    GATHER(first);
    va_end(list);
    return execv(path, argv);
}

WH_EXPORT int execlp(const char *file, const char *first, ...) {
    GATHER(first);
    va_end(list);
    return execvp(file, argv);
}

WH_EXPORT int execle(const char *path, const char *first, ...) {
    GATHER(first);
    char **environment = va_arg(list, char **);
    va_end(list);
    return execve(path, argv, environment);
}

WH_EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
                          const posix_spawn_file_actions_t *restrict actions,
                          const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                          char *const environment[restrict]) {
    wh_start();
    note_unreachable(path, 0, WH_FRAME);
    return wh_real.posix_spawn(pid, path, actions, attributes, argv, complete(environment));
}

WH_EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
                           const posix_spawn_file_actions_t *restrict actions,
                           const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                           char *const environment[restrict]) {
    wh_start();
    note_unreachable(file, 1, WH_FRAME);
    return wh_real.posix_spawnp(pid, file, actions, attributes, argv, complete(environment));
}
