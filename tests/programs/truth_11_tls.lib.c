/* A library with large thread-local data: loaded by dlopen, its block is allocated dynamically. */
__thread char ballast[100000];
__thread void *dynamic_slot;

void hold_in_tls(void *block) {
    ballast[0] = 1;
    dynamic_slot = block;
}
