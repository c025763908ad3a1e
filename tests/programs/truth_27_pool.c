/* A pool of blocks: idle ones are held by its free list, the two in use by their user. */
#include "truth.h"

struct item {
    struct item *next;
    char load[1016];
};
struct {
    struct item *idle;
} pool;
struct {
    struct item *in_use[2];
} user;

CREATOR struct item *make_item(void) {
    return calloc(1, sizeof(struct item));
}

int main(void) {
    for (int i = 0; i < 10; i++) {
        struct item *item = make_item();
        item->next = pool.idle;
        pool.idle = item;
    }
    for (int i = 0; i < 2; i++) {
        user.in_use[i] = pool.idle;
        pool.idle = pool.idle->next;
        user.in_use[i]->next = NULL;
    }
    return 0;
}
