/* Declarations of the models, in the order of the handbook. Private to scenario/. */
#ifndef WH_SIM_SCENARIO_MODELS_H
#define WH_SIM_SCENARIO_MODELS_H

#include "scenario/scenario.h"

#define MODEL(id)                                                                                  \
    void model_##id(const struct scenario *s);                                                     \
    extern const char *const id##_parameters[];

MODEL(pool_reuse)
MODEL(barrier_request)
MODEL(barrier_response_nocopy)
MODEL(barrier_response_copy)
MODEL(retained_request_field)
MODEL(idle_connections)
MODEL(oversized_request)
MODEL(many_clients)
MODEL(retained_response_field)
MODEL(string_alias)
MODEL(span_cache)
MODEL(stale_slice_tail)
MODEL(peek_cache)
MODEL(goroutine_local_holder)

#undef MODEL
#endif
