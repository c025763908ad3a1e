/* The smallest case that a creator profile gets wrong: parse_request() allocates every 4 KiB
 * request buffer and is innocent; sessions[] keeps one byte of each request for ever, and with it
 * the buffer. t_leak [COUNT]. A reader of the trace must find creator parse_request, holder
 * sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session {
    const char *user; /* points into the request's buffer: this is the leak */
    size_t user_bytes;
};
static struct session *sessions;
static size_t session_count;

struct request {
    char *buffer;
    const char *user;
};

__attribute__((noinline)) static struct request parse_request(int number) {
    struct request r = {.buffer = malloc(4096)};
    snprintf(r.buffer, 4096, "user-%d GET /index", number);
    r.user = r.buffer;
    return r;
}
__attribute__((noinline)) static void remember_user(const char *user) {
    sessions = realloc(sessions, (session_count + 1) * sizeof *sessions);
    sessions[session_count].user = user;
    sessions[session_count++].user_bytes = 1;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1000;
    for (int i = 0; i < count; i++) {
        struct request r = parse_request(i);
        if (i % 2)
            remember_user(r.user);
        else
            free(r.buffer);
    }
    printf("%zu sessions\n", session_count);
    return 0;
}
