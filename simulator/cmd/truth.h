/* The truth about one run, in a side file: what the scenario's formulas say, and what the
 * simulator's own heap counted at each phase. Written by run --truth, read by verify and by nothing
 * else. */
#ifndef WH_SIM_CMD_TRUTH_H
#define WH_SIM_CMD_TRUTH_H

#include "scenario/scenario.h"

int truth_write(const char *path, const struct scenario *s, struct wh_error *error);

#endif
