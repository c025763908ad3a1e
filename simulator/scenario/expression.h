/* Formulas of scenario files: integers, parameters, + - * / ( ), comparison, and
 *   size(n)   bytes an object of n bytes takes        class(n)  the pool's power of two for n
 *   slots(n)  slots of a poller that has seen n events at once
 *   min(a,b)  max(a,b)  if(condition, a, b)
 * Context: any. */
#ifndef WH_SIM_SCENARIO_EXPRESSION_H
#define WH_SIM_SCENARIO_EXPRESSION_H

#include "scenario/scenario.h"

/* WH_EUSAGE names the word that is wrong, and the nearest valid one. */
int expression_evaluate(const char *text, const struct scenario *s, int64_t *ret_value,
                        struct wh_error *error);

#endif
