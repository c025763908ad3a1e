/* Declarations of the models, in the order of the handbook. Private to scenario/. */
#ifndef WH_SIM_SCENARIO_MODELS_H
#define WH_SIM_SCENARIO_MODELS_H

#include "scenario/scenario.h"

#define MODEL(id)                                                                                  \
    void model_##id(const struct scenario *s);                                                     \
    extern const char *const id##_parameters[];

MODEL(pool_reuse)
MODEL(barrier_request)
MODEL(oversized_request)

#undef MODEL
#endif
