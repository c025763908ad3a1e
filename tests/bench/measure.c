/* measure -o FILE -- COMMAND...: runs COMMAND with its standard streams and writes one JSON object
 * with what it cost. Two of them are nested around a recorder: the outer one sees the recorder, the
 * inner one the target alone, on the same monotonic clock. A recorder is a child of COMMAND with
 * COMMAND's own name; its memory and time are in no rusage that we get, so they are read from /proc
 * while it runs. */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct helper {
    long rss_kib; /* its peak RSS */
    double cpu_s; /* its user and system time */
};

static size_t read_proc(pid_t pid, const char *name, char *text, size_t size) {
    char path[80];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

/* Which program a process runs; false when that cannot be told. */
static int program_of(pid_t pid, char *path, size_t size) {
    char link[40];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(link, path, size - 1);
    path[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* Looks at the children of pid that run the same program. */
static void look(pid_t pid, struct helper *helper) {
    char program[1024], other[1024], children[40], list[4096], text[4096];
    snprintf(children, sizeof children, "task/%d/children", (int)pid);
    if (!program_of(pid, program, sizeof program) || !read_proc(pid, children, list, sizeof list))
        return;
    for (char *p = list, *end; *p; p = end) {
        pid_t child = (pid_t)strtol(p, &end, 10);
        if (end == p)
            break;
        if (!program_of(child, other, sizeof other) || strcmp(program, other) != 0)
            continue;
        read_proc(child, "status", text, sizeof text);
        char *line = strstr(text, "VmHWM:");
        long rss_kib = line ? strtol(line + 6, NULL, 10) : 0;
        helper->rss_kib = rss_kib > helper->rss_kib ? rss_kib : helper->rss_kib;
        unsigned long user = 0, system = 0;
        read_proc(child, "stat", text, sizeof text);
        line = strrchr(text, ')');
        if (line && sscanf(line + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                           &system) == 2) {
            double cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
            helper->cpu_s = cpu_s > helper->cpu_s ? cpu_s : helper->cpu_s;
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 5 || strcmp(argv[1], "-o") != 0 || strcmp(argv[3], "--") != 0) {
        fprintf(stderr, "usage: measure -o FILE -- COMMAND...\n");
        return 2;
    }
    uint64_t start_ns = now_ns();
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[4], argv + 4);
        perror(argv[4]);
        _exit(127);
    }
    if (pid < 0) {
        perror("fork");
        return 1;
    }
    /* The descriptor becomes readable at the very end; until then look at the memory now and then.
     */
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    struct helper helper = {0};
    int wait_ms = 1;
    while (poll(&end, 1, wait_ms) == 0) {
        look(pid, &helper);
        wait_ms = wait_ms < 8 ? wait_ms * 2 : wait_ms;
    }
    uint64_t end_ns = now_ns();
    struct rusage usage;
    int status;
    wait4(pid, &status, 0, &usage);
    FILE *f = fopen(argv[2], "w");
    if (!f) {
        perror(argv[2]);
        return 1;
    }
    fprintf(f,
            "{\"start_ns\": %llu, \"end_ns\": %llu, \"cpu_s\": %.6f, \"tree_rss_kib\": %ld, "
            "\"helper_cpu_s\": %.2f, \"helper_rss_kib\": %ld, \"status\": %d}\n",
            (unsigned long long)start_ns, (unsigned long long)end_ns,
            (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
            usage.ru_maxrss, helper.cpu_s, helper.rss_kib,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (fclose(f) != 0)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
