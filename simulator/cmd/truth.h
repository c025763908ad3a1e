/* The truth about one run, in a side file: what the scenario's formulas say, and what the
 * simulator's own heap counted at each phase. Written by run --truth, read by verify and by nothing
 * else. */
#ifndef WH_SIM_CMD_TRUTH_H
#define WH_SIM_CMD_TRUTH_H

#include "scenario/scenario.h"

#define TRUTH_ROWS_MAX 96

enum truth_kind {
    TRUTH_EXPECT,    /* a formula of the scenario file */
    TRUTH_TOTAL,     /* all objects that were alive at a phase with a snapshot */
    TRUTH_COLLECTED, /* the same right after a collection: none of them is unreachable */
};

struct truth_row {
    enum truth_kind kind;
    char name[80], at[40], creator[80], stack[400], holder[120];
    int64_t objects; /* -1 = not said */
    int64_t bytes;
    double tolerance;        /* percent */
    int64_t visible_percent; /* 0 = not said */
};

struct truth {
    struct truth_row rows[TRUTH_ROWS_MAX];
    int count;
};

int truth_write(const char *path, const struct scenario *s, struct wh_error *error);
int truth_read(const char *path, struct truth *ret_truth, struct wh_error *error);

#endif
