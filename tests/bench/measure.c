/* measure -o FILE -- COMMAND...: runs COMMAND with its standard streams and writes one JSON object
 * with what it cost. Two of them are nested around a recorder: the outer one sees the recorder, the
 * inner one the target alone, on the same monotonic clock. The recorder's own peak RSS is not in
 * any rusage (that is the largest of its whole tree), so it is read from /proc while it runs. */
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

/* VmHWM of a process in KiB, 0 when it has no memory any more. */
static long peak_rss_kib(pid_t pid) {
    char path[64], text[4096], *line;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    line = strstr(text, "VmHWM:");
    return line ? strtol(line + 6, NULL, 10) : 0;
}

/* User and system time of the process itself, without children, in seconds; readable while a
 * zombie. */
static double own_cpu_s(pid_t pid) {
    char path[64], text[1024], *p;
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    p = strrchr(text, ')');
    if (!p ||
        sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
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
    long rss_kib = 0;
    int wait_ms = 1;
    while (poll(&end, 1, wait_ms) == 0) {
        long now = peak_rss_kib(pid);
        rss_kib = now > rss_kib ? now : rss_kib;
        wait_ms = wait_ms < 8 ? wait_ms * 2 : wait_ms;
    }
    uint64_t end_ns = now_ns();
    double own_s = own_cpu_s(pid);
    struct rusage usage;
    int status;
    wait4(pid, &status, 0, &usage);
    FILE *f = fopen(argv[2], "w");
    if (!f) {
        perror(argv[2]);
        return 1;
    }
    fprintf(f,
            "{\"start_ns\": %llu, \"end_ns\": %llu, \"cpu_s\": %.6f, \"own_cpu_s\": %.2f, "
            "\"tree_rss_kib\": %ld, "
            "\"own_rss_kib\": %ld, \"status\": %d}\n",
            (unsigned long long)start_ns, (unsigned long long)end_ns,
            (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
            own_s, usage.ru_maxrss, rss_kib,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (fclose(f) != 0)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
