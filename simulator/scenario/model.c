/* The table of models: one row each, with the parameters its file must define. */
#include "scenario/model.h"

#include <string.h>

#include "scenario/models.h"

#define MODEL(name, id)                                                                            \
    { name, model_##id, id##_parameters }
static const struct model models[] = {
    MODEL("pool-reuse", pool_reuse),
    MODEL("barrier-request", barrier_request),
    MODEL("barrier-response-nocopy", barrier_response_nocopy),
    MODEL("barrier-response-copy", barrier_response_copy),
    MODEL("retained-request-field", retained_request_field),
    MODEL("idle-connections", idle_connections),
    MODEL("oversized-request", oversized_request),
    MODEL("many-clients", many_clients),
    MODEL("retained-response-field", retained_response_field),
    MODEL("string-alias", string_alias),
    MODEL("span-cache", span_cache),
    MODEL("stale-slice-tail", stale_slice_tail),
    MODEL("peek-cache", peek_cache),
    MODEL("goroutine-local-holder", goroutine_local_holder),
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
