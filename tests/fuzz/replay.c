/* main() of a fuzz entry in ordinary builds: feeds it every file of the directories given, and
 * every prefix and single-bit damage of a small file, so that corpora also work without clang. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DAMAGE_BYTES_MAX 512u

static void feed(const uint8_t *data, size_t size) {
    /* A copy of exact size, so that a read past the end is seen by a sanitizer. */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        exit(1);
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void feed_file(const char *path) {
    static uint8_t data[1u << 20];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    feed(data, size);
    size_t damaged = size < DAMAGE_BYTES_MAX ? size : DAMAGE_BYTES_MAX;
    for (size_t i = 0; i < damaged; i++) {
        feed(data, i);
        for (unsigned bit = 0; bit < 8; bit++) {
            data[i] = (uint8_t)(data[i] ^ (1u << bit));
            feed(data, size);
            data[i] = (uint8_t)(data[i] ^ (1u << bit));
        }
    }
}

int main(int argc, char **argv) {
    unsigned files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir));) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            feed_file(path);
            files++;
        }
        closedir(dir);
    }
    printf("%u files\n", files);
    return files ? 0 : 1;
}
