/* The launcher: what stands between the user's shell and the command, and must not be noticed.
 *
 * The command's process is forked first, so that its pid can be in the trace's name, and waits on a
 * pipe while the recorder starts. It execs with exactly the signal mask, dispositions, descriptors
 * and process group that we were given. The launcher itself blocks all signals and reads them from
 * a descriptor: what the terminal sends reaches the command by itself, what another process sends
 * to us is passed on. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/command.h"
#include "record/limit.h"
#include "record/record.h"

struct launch {
    const struct wh_launch_options *options;
    char session_path[PATH_MAX];
    struct wh_session *session;
    char *output; /* absolute */
    char library[PATH_MAX];
    char program[PATH_MAX];       /* what will be executed */
    char obstacle[PATH_MAX + 80]; /* why that cannot be recorded; empty = it can */
    sigset_t inherited_mask;
    pid_t target, recorder;
    int go[2];         /* launcher -> target: exec now */
    int exec_error[2]; /* target -> launcher: errno of a failed exec */
    int message[2];    /* recorder -> launcher */
    int control[2];    /* launcher -> recorder */
    int signals;
    char line[2048]; /* of the recorder's messages */
    size_t line_bytes;
    bool show_status, status_shown;
    bool up, failed, released; /* recorder: it began; cannot begin; need not be waited for */
    int target_status;
    bool target_ended;
    struct wh_error *error;
};

/* --- preparing
 * ------------------------------------------------------------------------------------- */

static int create_session(struct launch *l) {
    wh_stale_remove("/dev/shm");
    struct wh_file_limit limit = wh_file_limit_raise();
    int rc = wh_session_create(&l->options->session, l->session_path, sizeof l->session_path,
                               &l->session);
    wh_file_limit_restore(&limit);
    if (rc)
        return wh_fail(l->error, WH_ESYSTEM, "cannot create shared memory: %s%s", strerror(-rc),
                       rc == -EFBIG ? " (the file size limit is too low)" : "");
    return 0;
}

static int name_output(struct launch *l) {
    const char *pattern = l->options->output ? l->options->output : "whoholds.%e.%p.db";
    char directory[PATH_MAX];
    char *name = wh_output_name(pattern, l->options->argv[0], (long)l->target);
    if (!name)
        return wh_fail(l->error, WH_ESYSTEM, "out of memory");
    if (*name == '/') {
        l->output = name;
        return 0;
    }
    int n =
        getcwd(directory, sizeof directory) ? asprintf(&l->output, "%s/%s", directory, name) : -1;
    free(name);
    if (n < 0)
        l->output = NULL;
    return n < 0 ? wh_fail(l->error, WH_ESYSTEM, "cannot find the current directory") : 0;
}

/* --- the target
 * ------------------------------------------------------------------------------------ */

static void set_environment(const struct launch *l) {
    const char *before = getenv("LD_PRELOAD");
    char *preload = NULL;
    if (before && *before) {
        if (asprintf(&preload, "%s:%s", l->library, before) < 0)
            preload = NULL;
    }
    setenv("LD_PRELOAD", preload ? preload : l->library, 1);
    setenv(WH_ENV_SESSION, l->session_path, 1);
    unsetenv(WH_ENV_OUTPUT);
    free(preload);
}

/* In the target's process, until it is the command. */
static void become_command(struct launch *l) {
    char go;
    ssize_t n;
    close(l->go[1]);
    close(l->message[1]); /* held here, it would hide the recorder's end from the launcher */
    sigprocmask(SIG_SETMASK, &l->inherited_mask, NULL);
    do
        n = read(l->go[0], &go, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(WH_EXIT_RECORD);
    set_environment(l);
    execvp(l->options->argv[0], l->options->argv);
    int failure = errno;
    if (write(l->exec_error[1], &failure, sizeof failure) < 0)
        _exit(WH_EXIT_CANNOT_RUN);
    _exit(failure == ENOENT ? WH_EXIT_NO_COMMAND : WH_EXIT_CANNOT_RUN);
}

static int start_target(struct launch *l) {
    if (pipe2(l->go, O_CLOEXEC) || pipe2(l->exec_error, O_CLOEXEC) ||
        pipe2(l->message, O_CLOEXEC) || pipe2(l->control, O_CLOEXEC))
        return wh_fail_errno(l->error, "cannot make a pipe");
    l->target = fork();
    if (l->target < 0)
        return wh_fail_errno(l->error, "cannot make a process");
    if (l->target == 0)
        become_command(l);
    close(l->go[0]);
    close(l->exec_error[1]);
    l->exec_error[1] = l->go[0] = -1;
    return 0;
}

/* --- the recorder
 * ---------------------------------------------------------------------------------- */

static void become_recorder(const struct launch *l) {
    char message[16], control[16];
    const char *argv[20];
    int n = 0;
    snprintf(message, sizeof message, "%d", l->message[1]);
    snprintf(control, sizeof control, "%d", l->control[0]);
    (void)fcntl(l->message[1], F_SETFD, 0);
    (void)fcntl(l->control[0], F_SETFD, 0);
    argv[n++] = "whoholds";
    argv[n++] = "recorder";
    argv[n++] = "--session";
    argv[n++] = l->session_path;
    argv[n++] = "--output";
    argv[n++] = l->output;
    argv[n++] = "--message-fd";
    argv[n++] = message;
    argv[n++] = "--control-fd";
    argv[n++] = control;
    argv[n++] = "--materialize";
    argv[n++] = l->options->materialize;
    argv[n++] = "--snapshot";
    argv[n++] = l->options->snapshot;
    if (l->obstacle[0]) {
        argv[n++] = "--obstacle";
        argv[n++] = l->obstacle;
    }
    if (l->options->force)
        argv[n++] = "--force";
    argv[n] = NULL;
    /* Whoever preloads something into us does not mean the recorder. */
    unsetenv("LD_PRELOAD");
    execv("/proc/self/exe", (char *const *)(void *)argv);
    static const char text[] = "Ecannot start the recorder\n";
    if (write(l->message[1], text, sizeof text - 1) < 0)
        _exit(WH_EXIT_RECORD);
    _exit(WH_EXIT_RECORD);
}

static int start_recorder(struct launch *l) {
    l->recorder = fork();
    if (l->recorder < 0)
        return wh_fail_errno(l->error, "cannot make a process");
    if (l->recorder == 0)
        become_recorder(l);
    close(l->message[1]);
    close(l->control[0]);
    l->message[1] = l->control[0] = -1;
    return 0;
}

/* --- messages
 * -------------------------------------------------------------------------------------- */

static void clear_status(struct launch *l) {
    if (l->status_shown)
        fputs("\r\033[K", stderr);
    l->status_shown = false;
}

static void on_message(struct launch *l, const char *line) {
    unsigned count;
    int pid;
    switch (line[0]) {
    case WH_MESSAGE_UP:
        l->up = true;
        break;
    case WH_MESSAGE_ERROR:
        l->failed = true;
        wh_fail(l->error, WH_ESYSTEM, "%s", line + 1);
        break;
    case WH_MESSAGE_WARNING:
        clear_status(l);
        fprintf(stderr, "whoholds: %s\n", line + 1);
        break;
    case WH_MESSAGE_STATUS:
        if (l->show_status && !l->target_ended) {
            fprintf(stderr, "\r\033[Kwhoholds: %.70s", line + 1);
            l->status_shown = true;
        }
        break;
    case WH_MESSAGE_RUNNING:
        l->released = true;
        clear_status(l);
        if (!l->options->quiet && sscanf(line + 1, "%u %d", &count, &pid) == 2)
            fprintf(stderr, "whoholds: %u process%s still run%s; the recording goes on (pid %d)\n",
                    count, count == 1 ? "" : "es", count == 1 ? "s" : "", pid);
        break;
    default:
        break;
    }
}

/* Reads what the recorder said. false: it is gone. */
static bool read_messages(struct launch *l) {
    ssize_t n = read(l->message[0], l->line + l->line_bytes, sizeof l->line - 1 - l->line_bytes);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    if (n == 0)
        return false;
    l->line_bytes += (size_t)n;
    l->line[l->line_bytes] = 0;
    char *start = l->line, *end;
    while ((end = strchr(start, '\n'))) {
        *end = 0;
        on_message(l, start);
        start = end + 1;
    }
    l->line_bytes -= (size_t)(start - l->line);
    memmove(l->line, start, l->line_bytes);
    if (l->line_bytes == sizeof l->line - 1)
        l->line_bytes = 0;
    return true;
}

/* Until the recorder is up. */
static int wait_until_up(struct launch *l) {
    for (;;) {
        bool alive = read_messages(l);
        if (l->failed)
            return l->error->code;
        if (l->up)
            return 0;
        if (!alive)
            return wh_fail(l->error, WH_ESYSTEM, "the recorder ended before it began");
    }
}

/* --- waiting
 * --------------------------------------------------------------------------------------- */

static void tell_recorder(struct launch *l) {
    char line[64];
    int n = snprintf(line, sizeof line, "%d %d\n", (int)l->target, l->target_status);
    if (write(l->control[1], line, (size_t)n) < 0)
        l->released = l->released || errno == EPIPE;
}

/* The command stopped for job control: the shell must see us stopped too. */
static void stop_likewise(struct launch *l, int signal_number) {
    if (signal_number != SIGTSTP && signal_number != SIGTTIN && signal_number != SIGTTOU)
        return;
    clear_status(l);
    kill(getpid(), SIGSTOP);
    kill(l->target, SIGCONT);
}

static void reap(struct launch *l) {
    int status;
    pid_t pid;
    while (!l->target_ended && (pid = waitpid(l->target, &status, WNOHANG | WUNTRACED)) > 0) {
        if (WIFSTOPPED(status)) {
            stop_likewise(l, WSTOPSIG(status));
            continue;
        }
        l->target_status = status;
        l->target_ended = true;
        clear_status(l);
        tell_recorder(l);
    }
}

/* What arrives at us: from the terminal the command got it too; from a process it is meant for it.
 */
static void on_signal(struct launch *l) {
    struct signalfd_siginfo info;
    if (read(l->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    int number = (int)info.ssi_signo;
    if (number == SIGCHLD || number == SIGCONT || number == SIGPIPE || l->target_ended)
        return;
    bool from_terminal = info.ssi_code > 0; /* SI_KERNEL */
    bool by_terminal_only = number == SIGINT || number == SIGQUIT || number == SIGTSTP ||
                            number == SIGTTIN || number == SIGTTOU || number == SIGWINCH ||
                            number == SIGHUP;
    if (!(from_terminal && by_terminal_only))
        kill(l->target, number);
}

/* It said nothing more. Before the command's end that can only be a violent one. */
static void recorder_gone(struct launch *l) {
    if (l->target_ended || l->released)
        return;
    atomic_store(&l->session->stop, 1);
    (void)unlink(l->session_path);
    clear_status(l);
    fprintf(stderr,
            "whoholds: the recorder was ended from outside; the command runs on unrecorded, "
            "`whoholds expand` repairs what was written\n");
}

/* Until the command ended and the recorder is done or lets us go. */
static void wait_for_end(struct launch *l) {
    struct pollfd fds[2] = {{.fd = l->signals, .events = POLLIN},
                            {.fd = l->message[0], .events = POLLIN}};
    bool recorder_alive = true;
    while (!l->target_ended || (recorder_alive && !l->released)) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            on_signal(l);
        if (fds[1].revents) {
            recorder_alive = read_messages(l);
            if (!recorder_alive) {
                recorder_gone(l);
                fds[1].fd = -1;
            }
        }
        reap(l);
    }
    clear_status(l);
}

/* --- the whole
 * ------------------------------------------------------------------------------------- */

static int check_command(struct launch *l, int *ret_status) {
    const char *name = l->options->argv[0];
    int status = wh_command_find_file(name, l->program, sizeof l->program);
    if (status) {
        *ret_status = status;
        return wh_fail(l->error, WH_ENOTFOUND,
                       status == 127 ? "cannot find the command '%s'"
                                     : "cannot run '%s': permission denied",
                       name);
    }
    if (wh_library_find(l->library, sizeof l->library))
        return wh_fail(l->error, WH_ESYSTEM, "cannot find libwhoholds.so beside this program");
    const char *obstacle = wh_command_obstacle(l->program);
    if (obstacle) {
        fprintf(stderr, "whoholds: '%s' cannot be recorded: %s; its children can\n", name,
                obstacle);
        snprintf(l->obstacle, sizeof l->obstacle, "%s: %s", l->program, obstacle);
    }
    return 0;
}

/* Lets the waiting target go without a command. */
static void abandon(struct launch *l) {
    if (l->go[1] >= 0)
        close(l->go[1]);
    if (l->target > 0)
        (void)waitpid(l->target, NULL, 0);
    if (l->recorder > 0)
        (void)waitpid(l->recorder, NULL, 0);
    if (l->session) {
        atomic_store(&l->session->stop, 1);
        (void)unlink(l->session_path);
    }
}

/* Lets the command go; 0, or the status of a failed exec. */
static int release_target(struct launch *l, int *ret_status) {
    int failure;
    ssize_t n;
    if (write(l->go[1], "g", 1) != 1)
        return wh_fail_errno(l->error, "cannot start the command");
    close(l->go[1]);
    do
        n = read(l->exec_error[0], &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    close(l->exec_error[0]);
    if (n != (ssize_t)sizeof failure)
        return 0; /* the pipe closed by exec: the command runs */
    *ret_status = failure == ENOENT ? WH_EXIT_NO_COMMAND : WH_EXIT_CANNOT_RUN;
    return wh_fail(l->error, WH_ENOTFOUND, "cannot run '%s': %s", l->options->argv[0],
                   strerror(failure));
}

int wh_launch(const struct wh_launch_options *options, int *ret_status, struct wh_error *error) {
    struct launch l = {
        .options = options,
        .go = {-1, -1},
        .error = error,
        .signals = -1,
        .show_status = !options->quiet && isatty(STDERR_FILENO),
    };
    sigset_t all;
    *ret_status = WH_EXIT_RECORD;
    int rc = check_command(&l, ret_status);
    if (rc)
        return rc;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &l.inherited_mask);
    l.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    rc = create_session(&l);
    if (!rc)
        rc = start_target(&l);
    if (!rc)
        rc = name_output(&l);
    if (!rc)
        rc = start_recorder(&l);
    if (!rc)
        rc = wait_until_up(&l);
    if (rc) {
        abandon(&l);
        free(l.output);
        return rc;
    }
    rc = release_target(&l, ret_status);
    wait_for_end(&l);
    munmap(l.session, WH_SESSION_BYTES);
    free(l.output);
    if (rc)
        return rc;
    *ret_status = WIFSIGNALED(l.target_status) ? 128 + WTERMSIG(l.target_status)
                                               : WEXITSTATUS(l.target_status);
    return 0;
}
