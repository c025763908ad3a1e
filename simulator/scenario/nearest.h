/* The word of a list that was probably meant. Context: any. */
#ifndef WH_SIM_SCENARIO_NEAREST_H
#define WH_SIM_SCENARIO_NEAREST_H

/* By edit distance; the first of equals, NULL when the list is empty. */
const char *nearest(const char *word, const char *const *words, int count);

#endif
