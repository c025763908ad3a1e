/* t_sample FILE: a known number of blocks of very different sizes, some freed, some resized, made
 * in the same order at every run. Appends "PID ALLOCATED BYTES LIVE LIVE_BYTES" to FILE; a realloc
 * counts as a new block. Allocates nothing but that. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 40000
#define KEPT   8000

static struct {
    void *block;
    size_t size;
} kept[KEPT];
static unsigned long made, made_bytes, live, live_bytes;

static void count(size_t size) {
    made++;
    made_bytes += size;
    live++;
    live_bytes += size;
}

static void uncount(size_t size) {
    live--;
    live_bytes -= size;
}

int main(int argc, char **argv) {
    unsigned seed = 1;
    if (argc != 2)
        return 2;
    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245u + 12345u;
        size_t size = (size_t)64 << (seed >> 16) % 9, k = (seed >> 12) % KEPT;
        size += (seed >> 8) % 16;
        if (!kept[k].block || i % 3 == 0) {
            if (kept[k].block)
                uncount(kept[k].size);
            free(kept[k].block);
            kept[k].block = malloc(size);
        } else {
            uncount(kept[k].size);
            kept[k].block = realloc(kept[k].block, size);
        }
        kept[k].size = size;
        count(size);
    }
    char line[128];
    int n = snprintf(line, sizeof line, "%d %lu %lu %lu %lu\n", (int)getpid(), made, made_bytes,
                     live, live_bytes);
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT, 0600);
    return write(fd, line, (size_t)n) == n ? 0 : 1;
}
