/* A tree of processes made in every way the system knows: t_tree LOG. Each process appends a line
 * "PID PARENT TAG" to LOG and makes 10 blocks of 1000 bytes in tree_make(), which must appear under
 * that process. Tags: root, fork (with a child of its own, fork2), _Fork, vfork (then exec),
 * spawn, execve-empty (hand-made empty environment), exec (same pid, new image). */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *log_path;
static void *keep[10];

__attribute__((noinline)) static void tree_make(const char *tag) {
    char line[200];
    for (int i = 0; i < 10; i++)
        keep[i] = malloc(1000);
    int n = snprintf(line, sizeof line, "%d %d %s\n", getpid(), getppid(), tag);
    int fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        _exit(70);
    close(fd);
}
static void reap(pid_t pid) {
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        printf("child %d: status %d\n", (int)pid, status);
        exit(71);
    }
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    log_path = argv[1];
    if (argc > 2) { /* t_tree LOG TAG: an image reached by exec */
        tree_make(argv[2]);
        return 0;
    }
    tree_make("root");
    pid_t pid = fork();
    if (pid == 0) {
        tree_make("fork");
        pid = fork();
        if (pid == 0) {
            tree_make("fork2");
            return 0;
        }
        reap(pid);
        return 0;
    }
    reap(pid);
    pid = _Fork();
    if (pid == 0) {
        tree_make("_Fork");
        _exit(0);
    }
    reap(pid);
    pid = vfork();
    if (pid == 0) {
        execl("/proc/self/exe", argv[0], log_path, "vfork", (char *)NULL);
        _exit(72);
    }
    reap(pid);
    char *spawned[] = {argv[0], (char *)log_path, (char *)"spawn", NULL};
    errno = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, spawned, environ);
    reap(errno ? -1 : pid);
    pid = fork();
    if (pid == 0) {
        char *arguments[] = {argv[0], (char *)log_path, (char *)"execve-empty", NULL};
        char *nothing[] = {NULL};
        execve("/proc/self/exe", arguments, nothing);
        _exit(73);
    }
    reap(pid);
    printf("tree done\n");
    fflush(stdout);
    execl("/proc/self/exe", argv[0], log_path, "exec", (char *)NULL);
    return 74;
}
