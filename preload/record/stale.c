/* Session files that nobody will remove any more: their recorder and launcher were both killed.
 *
 * The hard thing is not to take one that lives. A recorder holds a lock on its file, which tells it
 * from a dead one also across process id namespaces that share /dev/shm; before the recorder is up,
 * the creator's pid is in the name, and only files that are minutes old count. Context: launcher.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record/recorder.h"

#define YOUNG_S 120

static bool is_dead(unsigned pid) {
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Is the open file a session of ours that nobody serves? */
static bool is_stale(int fd, unsigned creator) {
    struct stat st;
    uint64_t magic = 0;
    uint32_t recorder = 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        pread(fd, &magic, sizeof magic, offsetof(struct wh_session, magic)) != sizeof magic ||
        pread(fd, &recorder, sizeof recorder, offsetof(struct wh_session, recorder_pid)) !=
            sizeof recorder)
        return false;
    if (magic != WH_SESSION_MAGIC || flock(fd, LOCK_EX | LOCK_NB))
        return false;
    return recorder ? is_dead(recorder)
                    : is_dead(creator) && time(NULL) - st.st_ctim.tv_sec > YOUNG_S;
}

void wh_stale_remove(const char *directory) {
    DIR *d = opendir(directory);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        unsigned creator;
        int end = 0;
        if (sscanf(e->d_name, "whoholds.%u.%*[0-9a-f]%n", &creator, &end) != 1 || !end ||
            e->d_name[end])
            continue;
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (is_stale(fd, creator))
            (void)unlinkat(dirfd(d), e->d_name, 0);
        close(fd);
    }
    if (d)
        closedir(d);
}
