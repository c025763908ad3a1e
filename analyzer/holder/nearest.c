/* Which holder or creator somebody meant who did not quite type its name. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/holding.h"
#include "base/arguments.h"

/* words: count of them and a NULL. */
static const char *pick(const char *const *words, const char *text) {
    for (size_t i = 0; words[i] && *text; i++)
        if (strcasestr(words[i], text))
            return words[i];
    return wh_nearest_word(text, words);
}

const char *wh_holding_nearest(struct wh_holding *h, const char *text) {
    uint32_t count = 0;
    const char **words =
        calloc((size_t)h->variables.count + h->paths.row_count + 1, sizeof(*words));
    if (!words)
        return NULL;
    for (uint32_t i = 0; i < h->variables.count; i++)
        words[count++] = h->variables.items[i].name;
    for (uint32_t i = 0; i < h->paths.row_count; i++)
        words[count++] = h->paths.rows[i].holder;
    const char *found = pick(words, text);
    free(words);
    return found;
}

const char *wh_holding_nearest_creator(const struct wh_holding *h, const char *text) {
    const char **words = calloc(h->graph.blocks + 1ul, sizeof(*words));
    if (!words)
        return NULL;
    for (uint32_t b = 0; b < h->graph.blocks; b++)
        words[b] = wh_holding_creator(h, b);
    const char *found = pick(words, text);
    free(words);
    return found;
}
