/* t_paths DEPTH: one block from each of 2^DEPTH stacks, freed at once: a tree of calls that
 * branches at every level, three times as many distinct frames. Prints the peak of its own resident
 * memory, KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static void branch(int depth) {
    if (!depth) {
        void *volatile p = malloc(16);
        free(p);
        return;
    }
    branch(depth - 1);
    branch(depth - 1);
    __asm__ volatile("" ::: "memory"); /* a frame, not a jump */
}

int main(int argc, char **argv) {
    branch(argc > 1 ? atoi(argv[1]) : 4);
    char line[128];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6))
            printf("%d\n", atoi(line + 6));
    return 0;
}
