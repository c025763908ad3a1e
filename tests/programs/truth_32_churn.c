/* A large steady structure, while threads allocate and free without pause until the very end. */
#include "truth.h"

struct node {
    struct node *left, *right;
    char load[48];
} * world;
static volatile int churned;

CREATOR struct node *make_world(int depth) {
    struct node *n = calloc(1, sizeof *n);
    if (depth) {
        n->left = make_world(depth - 1);
        n->right = make_world(depth - 1);
    }
    return n;
}

CREATOR void churn(void) {
    void *some[64];
    for (int i = 0; i < 64; i++)
        some[i] = malloc(32 + 16 * (size_t)i);
    for (int i = 0; i < 64; i++)
        free(some[i]);
}

static void *body(void *unused) {
    for (;;) {
        churn();
        churned = 1;
    }
    return unused;
}

int main(void) {
    pthread_t thread;
    world = make_world(15);
    for (int i = 0; i < 8; i++)
        pthread_create(&thread, NULL, body, NULL);
    while (!churned)
        usleep(1000);
    return 0;
}
