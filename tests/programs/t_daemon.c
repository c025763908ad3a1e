/* Becomes a daemon as of old: double fork, setsid, every descriptor closed, chdir to /, umask. The
 * daemon then makes 500 blocks of 200 bytes in daemon_work() and writes MARKER: t_daemon MARKER. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void *keep[500];

__attribute__((noinline)) static void daemon_work(void) {
    for (int i = 0; i < 500; i++)
        keep[i] = malloc(200);
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    if (fork() > 0)
        return 0;
    setsid();
    if (fork() > 0)
        _exit(0);
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    if (chdir("/") != 0)
        return 3;
    umask(0);
    if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
        return 4;
    daemon_work();
    char line[40];
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL, 0644);
    int n = snprintf(line, sizeof line, "%d\n", getpid());
    return write(fd, line, (size_t)n) == n ? 0 : 5;
}
