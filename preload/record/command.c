/* Looking at the command: search path, ELF header, interpreter. */
#include "record/command.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/string.h"

static int check_file(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == EACCES ? 126 : 127;
    if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
        return 126;
    return 0;
}

int wh_command_find_file(const char *name, char *ret_path, size_t path_size) {
    if (!*name)
        return 127;
    if (strchr(name, '/')) {
        if ((size_t)snprintf(ret_path, path_size, "%s", name) >= path_size)
            return 127;
        return check_file(ret_path);
    }
    const char *search = getenv("PATH");
    int worst = 127;
    for (const char *at = search ? search : "/bin:/usr/bin"; at; at = strchr(at, ':')) {
        if (*at == ':')
            at++;
        size_t length = strcspn(at, ":");
        int n = length ? snprintf(ret_path, path_size, "%.*s/%s", (int)length, at, name)
                       : snprintf(ret_path, path_size, "./%s", name);
        if (n < 0 || (size_t)n >= path_size)
            continue;
        int status = check_file(ret_path);
        if (status == 0)
            return 0;
        if (status == 126)
            worst = 126;
    }
    return worst;
}

/* The interpreter of a "#!" line into path. */
static bool read_interpreter(const char *head, ssize_t bytes, char *path, size_t path_size) {
    if (bytes < 3 || head[0] != '#' || head[1] != '!')
        return false;
    const char *end = head + bytes, *at = head + 2;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    size_t n = 0;
    while (at + n < end && !strchr(" \t\n", at[n]) && n + 1 < path_size)
        n++;
    memcpy(path, at, n);
    path[n] = 0;
    return n > 0;
}

/* Does the ELF file ask for a dynamic loader? */
static const char *elf_obstacle(int fd, const char *head, ssize_t bytes) {
    Elf64_Ehdr header;
    if (bytes < (ssize_t)sizeof header || memcmp(head, ELFMAG, SELFMAG) != 0)
        return NULL; /* not ours to judge: the kernel or a binfmt handler knows */
    memcpy(&header, head, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64)
        return "it is a 32-bit program";
    for (unsigned i = 0; i < header.e_phnum && i < 128; i++) {
        Elf64_Phdr segment;
        off_t at = (off_t)(header.e_phoff + (uint64_t)i * header.e_phentsize);
        if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment)
            break;
        if (segment.p_type == PT_INTERP)
            return NULL;
    }
    return "it is statically linked";
}

const char *wh_command_obstacle(const char *path) {
    char head[4096], next[PATH_MAX];
    struct stat st;
    for (int depth = 0; depth < 5; depth++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return NULL;
        ssize_t bytes = read(fd, head, sizeof head - 1);
        if (bytes < 0)
            bytes = 0;
        if (read_interpreter(head, bytes, next, sizeof next)) {
            close(fd);
            path = next;
            continue;
        }
        const char *obstacle = elf_obstacle(fd, head, bytes);
        if (!obstacle && fstat(fd, &st) == 0 &&
            (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
             ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getegid())))
            obstacle = "it runs with other privileges (setuid or setgid)";
        close(fd);
        return obstacle;
    }
    return NULL;
}

char *wh_output_name(const char *pattern, const char *program, long pid) {
    struct wh_text name = {0};
    const char *slash = strrchr(program, '/');
    for (const char *at = pattern; *at; at++) {
        if (at[0] == '%' && at[1] == 'e') {
            wh_text_puts(&name, slash ? slash + 1 : program);
            at++;
        } else if (at[0] == '%' && at[1] == 'p') {
            wh_text_printf(&name, "%ld", pid);
            at++;
        } else {
            if (at[0] == '%' && at[1] == '%')
                at++;
            wh_text_add(&name, at, 1);
        }
    }
    if (name.failed) {
        wh_text_release(&name);
        return NULL;
    }
    return name.data;
}

int wh_library_find(char *ret_path, size_t path_size) {
    static const char *const places[] = {
        "lib/libwhoholds.so",
        "lib64/libwhoholds.so",
#if defined(__x86_64__)
        "lib/x86_64-linux-gnu/libwhoholds.so",
#elif defined(__aarch64__)
        "lib/aarch64-linux-gnu/libwhoholds.so",
#endif
    };
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return -1;
    self[n] = 0;
    for (int up = 0; up < 2; up++) { /* .../bin/whoholds -> ... */
        char *slash = strrchr(self, '/');
        if (!slash)
            return -1;
        *slash = 0;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int length = snprintf(ret_path, path_size, "%s/%s", self, places[i]);
        if (length > 0 && (size_t)length < path_size && access(ret_path, R_OK) == 0)
            return 0;
    }
    return -1;
}
