/* What a sample must still find holders of: blocks of a list, of a thread's own arena, of mappings,
 * behind nodes too small to be sampled; and blocks that are lost among them. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct node {
    struct node *next;
    char *payload;
};

struct node *list;      /* 400 payloads of 20,000 bytes */
char *table[300];       /* 300 blocks of 30,000 bytes that another thread made */
char *large[20];        /* 20 blocks of 1 MiB: mappings of the allocator */
char *volatile dropped; /* the last of 500 lost blocks of 9,000 bytes, then none */

static char *make(size_t size) {
    char *block = malloc(size);
    memset(block, 1, size);
    return block;
}

static void *in_another_thread(void *arg) {
    for (int i = 0; i < 300; i++)
        table[i] = make(30000);
    /* Whatever lies right in front of the arena is one mapping with it: here nobody's memory. */
    uintptr_t arena = (uintptr_t)table[0] & ~(uintptr_t)((64u << 20) - 1);
    syscall(SYS_mmap, arena - 65536, 65536, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    return arg;
}

static void __attribute__((noinline)) fill(void) {
    for (int i = 0; i < 400; i++) {
        struct node *n = malloc(sizeof *n);
        n->next = list;
        n->payload = make(20000);
        list = n;
    }
    for (int i = 0; i < 20; i++)
        large[i] = make(1 << 20);
    for (int i = 0; i < 500; i++)
        dropped = make(9000);
    dropped = NULL;
    for (int i = 0; i < 100; i++) /* freed again: caches of the allocator hold no one's memory */
        free(make(500));
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, in_another_thread, NULL);
    pthread_join(thread, NULL);
    fill();
    return 0;
}
