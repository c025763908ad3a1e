/* Edit distance (insert, delete, replace, each 1) with two rows. */
#include "scenario/nearest.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 63

static int distance(const char *a, const char *b) {
    size_t m = strnlen(a, WORD_MAX), n = strnlen(b, WORD_MAX);
    int previous[WORD_MAX + 1], row[WORD_MAX + 1];
    for (size_t j = 0; j <= n; j++)
        previous[j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int replace = previous[j - 1] + (a[i - 1] != b[j - 1]);
            int shorter = previous[j] < row[j - 1] ? previous[j] : row[j - 1];
            row[j] = replace < shorter + 1 ? replace : shorter + 1;
        }
        memcpy(previous, row, sizeof(row));
    }
    return previous[n];
}

const char *nearest(const char *word, const char *const *words, int count) {
    const char *best = NULL;
    int best_distance = 0;
    for (int i = 0; i < count; i++) {
        char beginning[WORD_MAX + 1];
        snprintf(beginning, sizeof(beginning), "%.*s", (int)strlen(word), words[i]);
        int d = distance(word, words[i]), of_beginning = distance(word, beginning) + 1;
        if (of_beginning < d) /* a long name is often given by its beginning */
            d = of_beginning;
        if (!best || d < best_distance) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}
