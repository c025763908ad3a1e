/* What a recorded trace says about a row of the truth: from tables held, path, stack_frame and
 * allocation alone, as anybody could ask. Context: one thread. */
#ifndef WH_SIM_CMD_MEASURE_H
#define WH_SIM_CMD_MEASURE_H

#include "cmd/truth.h"
#include "schema/store.h"

struct measure {
    int64_t objects, bytes, visible_bytes;
    char creator[120];  /* pprof's answer: largest creator among the blocks that matched */
    char holder[300];   /* whoholds' answer: their largest holder */
    int64_t lost_bytes; /* in the whole snapshot */
    bool has_blocks;    /* no: of a large snapshot the trace has the blocks' rows only on demand */
};

struct measure_trace; /* an open trace with its stacks */

int measure_open(const char *path, struct measure_trace **ret_trace, struct wh_error *error);
void measure_close(struct measure_trace *trace); /* NULL allowed */
/* WH_ENOTFOUND: there is no snapshot of that phase. */
int measure_row(struct measure_trace *trace, const struct truth_row *row, struct measure *ret,
                struct wh_error *error);

#endif
