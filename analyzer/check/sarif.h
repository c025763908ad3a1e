/* Findings as SARIF 2.1.0, the form that code hosts show next to a change. Context: analyzer. */
#ifndef WH_CHECK_SARIF_H
#define WH_CHECK_SARIF_H

#include <stdio.h>

#include "base/error.h"

struct wh_query;
struct wh_rules;

/* q: rows of severity, rule, creator, holder, bytes, objects, evidence, advice, ...; read to its
 * end. The location of a result is the trace: a leak has two places in the code, creator and
 * holder, and both are logical locations. */
int wh_sarif_write(FILE *file, struct wh_query *q, const struct wh_rules *rules, const char *trace,
                   struct wh_error *error);

#endif
