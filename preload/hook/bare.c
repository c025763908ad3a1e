/* LD_PRELOAD without the launcher: WHOHOLDS_OUTPUT alone starts a session from inside the target.
 *
 * The recorder is started so that the target never notices: a clone with no exit signal (no
 * SIGCHLD, and wait() does not see it) makes a second one and ends, so the recorder is no child of
 * ours; it has a session of its own and none of our descriptors. Raw system calls only: this may
 * run at the very first malloc. If the recorder does not report within two seconds, one line on
 * stderr and the target runs untraced. */
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

enum { PATH_BYTES = 4096, ARGUMENTS = 64 };
extern struct r_debug _r_debug __attribute__((weak));

struct plan {
    char program[PATH_BYTES], output[PATH_BYTES], session[256], options[PATH_BYTES];
    char *argv[ARGUMENTS];
    char **environment;
};

/* Our own file's path, as the loader knows it. */
static const char *own_path(void) {
    for (const struct link_map *m = &_r_debug ? _r_debug.r_map : NULL; m; m = m->l_next)
        if (wh_in(&wh_process.self, (uintptr_t)m->l_ld))
            return m->l_name;
    return "";
}

/* whoholds, beside or above the folder of this library. */
static int find_program(char **environment, char *path) {
    const char *end = path + PATH_BYTES, *given = wh_environment(environment, "WHOHOLDS_RECORDER");
    if (given) {
        wh_append(path, end, given);
        return 1;
    }
    static const char *const places[] = {"../bin/whoholds", "../../bin/whoholds", "whoholds"};
    for (unsigned i = 0; i < 3; i++) {
        char *last = path;
        wh_append(path, end, own_path());
        for (char *p = path; *p; p++)
            if (*p == '/')
                last = p + 1;
        wh_append(last, end, places[i]);
        if (wh_sys4(SYS_faccessat, AT_FDCWD, path, X_OK, 0) == 0)
            return 1;
    }
    return 0;
}

/* Replaces %e by the program's name, %p by its pid, %% by %. */
static void expand(const char *pattern, char *output) {
    char exe[PATH_BYTES], *p = output;
    const char *end = output + PATH_BYTES, *name = exe;
    long n = wh_sys4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    for (const char *s = exe; *s; s++)
        name = *s == '/' ? s + 1 : name;
    *p = 0;
    for (; *pattern && p + 1 < end; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'e')
            p = wh_append(p, end, name), pattern++;
        else if (pattern[0] == '%' && pattern[1] == 'p')
            p = wh_append_number(p, end, wh_process.pid), pattern++;
        else {
            pattern += pattern[0] == '%' && pattern[1] == '%';
            *p++ = *pattern;
            *p = 0;
        }
    }
}

/* recorder --session PATH --output FILE and the words of WHOHOLDS_OPTIONS. */
static void make_arguments(struct plan *plan, char **environment) {
    static char *const fixed[] = {"recorder", "--session", NULL, "--output", NULL};
    unsigned n = 0;
    plan->argv[n++] = plan->program;
    for (unsigned i = 0; i < 5; i++)
        plan->argv[n++] = fixed[i] ? fixed[i] : i == 2 ? plan->session : plan->output;
    const char *options = wh_environment(environment, "WHOHOLDS_OPTIONS");
    wh_append(plan->options, plan->options + PATH_BYTES, options ? options : "");
    for (char *p = plan->options; *p && n < ARGUMENTS - 1;) {
        while (*p == ' ')
            *p++ = 0;
        if (*p)
            plan->argv[n++] = p;
        while (*p && *p != ' ')
            p++;
    }
    plan->argv[n] = NULL;
}

/* The environment without what would preload us into the recorder. */
static char **make_environment(char **environment, char **fresh, size_t room) {
    size_t n = 0;
    for (; *environment && n + 1 < room; environment++)
        if (!wh_starts(*environment, "LD_PRELOAD=") && !wh_starts(*environment, WH_ENV_OUTPUT "="))
            fresh[n++] = *environment;
    fresh[n] = NULL;
    return fresh;
}

/* In the second clone: never returns. */
static _Noreturn void become_recorder(struct plan *plan) {
    uint64_t none = 0;
    wh_sys0(SYS_setsid);
    wh_sys4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, sizeof none);
    long null = wh_sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        wh_sys3(SYS_dup3, null, fd, 0);
    if (wh_sys3(436 /* SYS_close_range */, 3, ~0u, 0))
        for (int fd = 3; fd < 4096; fd++)
            wh_sys1(SYS_close, fd);
    wh_sys3(SYS_execve, plan->program, plan->argv, plan->environment);
    wh_sys1(SYS_exit_group, 127);
    __builtin_unreachable();
}

static int launch(struct plan *plan) {
    int status = 0;
    long pid = wh_sys5(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0) {
        if (wh_sys5(SYS_clone, 0, 0, 0, 0, 0) == 0)
            become_recorder(plan);
        wh_sys1(SYS_exit_group, 0);
    }
    while (pid > 0 && wh_sys4(SYS_wait4, pid, &status, __WALL, NULL) == -4 /* EINTR */)
        continue;
    return pid > 0;
}

static int wait_until_up(struct wh_session *s) {
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < 2000; i++) {
        if (atomic_load(&s->recorder_pid))
            return 1;
        if (atomic_load(&s->stop))
            return 0;
        wh_sys2(SYS_nanosleep, &pause, NULL);
    }
    atomic_store(&s->stop, 1); /* too late: it shall not begin now */
    return 0;
}

const char *wh_bare_start(char **environment) {
    static char path[256]; /* outlives this call: it goes into the children's environment */
    const char *output = wh_environment(environment, WH_ENV_OUTPUT);
    struct plan *plan = wh_memory_take(sizeof *plan);
    char **fresh = wh_memory_take(8192 * sizeof *fresh);
    struct wh_session *s;
    if (!plan || !fresh)
        return NULL;
    wh_process.pid = (uint32_t)wh_sys0(SYS_getpid);
    if (!find_program(environment, plan->program)) {
        wh_say("not recording, no whoholds beside ", own_path());
        return NULL;
    }
    struct wh_session_options options = wh_session_options_default();
    options.directory = wh_environment(environment, "TMPDIR");
    if (wh_session_create(&options, path, sizeof path, &s)) {
        wh_say("not recording, no room for shared memory in /dev/shm", "");
        return NULL;
    }
    expand(output, plan->output);
    wh_append(plan->session, plan->session + sizeof plan->session, path);
    make_arguments(plan, environment);
    plan->environment = make_environment(environment, fresh, 8192);
    int up = launch(plan) && wait_until_up(s);
    char why[sizeof s->failure] = "";
    if (!up)
        wh_append(why, why + sizeof why, s->failure);
    wh_sys2(SYS_munmap, s, WH_SESSION_BYTES);
    if (up)
        return path;
    wh_sys3(SYS_unlinkat, AT_FDCWD, path, 0);
    wh_say("not recording: ", why[0] ? why : "the recorder did not start");
    return NULL;
}

/* Tells children about the session: in our own memory, as setenv would allocate. */
void wh_bare_announce(const char *path) {
    size_t n = 0;
    while (environ && environ[n])
        n++;
    char **fresh = wh_memory_take((n + 2) * sizeof *fresh);
    char *text = wh_memory_take(sizeof WH_ENV_SESSION + 1 + wh_length(path) + 1);
    if (!fresh || !text)
        return;
    const char *end = text + sizeof WH_ENV_SESSION + 1 + wh_length(path) + 1;
    wh_append(wh_append(text, end, WH_ENV_SESSION "="), end, path);
    for (size_t i = 0; i < n; i++)
        fresh[i] = environ[i];
    fresh[n] = text;
    fresh[n + 1] = NULL;
    environ = fresh;
}
