/* The table of models: one row each, with the parameters its file must define. */
#include "scenario/model.h"

#include <string.h>

#include "scenario/models.h"

static const struct model models[] = {
    {"pool-reuse", model_pool_reuse, pool_reuse_parameters},
    {"barrier-request", model_barrier_request, barrier_request_parameters},
    {"oversized-request", model_oversized_request, oversized_request_parameters},
};

const struct model *model_find(const char *name) {
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

int model_names(const char *names[MODELS_MAX]) {
    int count = 0;
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++)
        names[count++] = models[i].name;
    return count;
}
