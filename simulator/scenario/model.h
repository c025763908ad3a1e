/* The models: what a scenario file can run. One C file each, named after the model. Context: any.
 */
#ifndef WH_SIM_SCENARIO_MODEL_H
#define WH_SIM_SCENARIO_MODEL_H

#include "scenario/scenario.h"

#define MODELS_MAX 32

struct model {
    const char *name;
    void (*run)(const struct scenario *s);
    const char *const *parameters; /* names, NULL-terminated: exactly these are in the file */
};

const struct model *model_find(const char *name); /* NULL = none */
int model_names(const char *names[MODELS_MAX]);

#endif
