/* The side file, see truth.h: one line per expectation, tab-separated after the key. */
#include "cmd/truth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scenario/expression.h"
#include "scenario/world.h"

int truth_write(const char *path, const struct scenario *s, struct wh_error *error) {
    FILE *file = fopen(path, "we");
    if (!file)
        return wh_fail_errno(error, "cannot write '%s'", path);
    fprintf(file, "scenario\t%s\t%s\n", s->name, s->is_fixed ? "fixed" : "leaking");
    int count, status = 0;
    const struct world_phase *phases = world_phases(&count);
    for (int i = 0; i < count; i++)
        fprintf(file, "phase\t%s\t%llu\t%llu\n", phases[i].label,
                (unsigned long long)phases[i].live_objects,
                (unsigned long long)phases[i].live_bytes);
    unsigned when = s->is_fixed ? SCENARIO_FIXED : SCENARIO_LEAKING;
    for (int i = 0; i < s->expect_count && !status; i++) {
        const struct scenario_expect *e = &s->expect[i];
        if (!(e->when & when))
            continue;
        int64_t objects = -1, bytes = 0;
        if (*e->objects)
            status = expression_evaluate(e->objects, s, &objects, error);
        if (!status)
            status = expression_evaluate(e->bytes, s, &bytes, error);
        fprintf(file, "expect\t%s\t%s\t%s\t%s\t%s\t%lld\t%lld\t%g\n", e->name, e->at, e->creator,
                e->stack, e->holder, (long long)objects, (long long)bytes, e->tolerance);
    }
    if (fclose(file) && !status)
        status = wh_fail_errno(error, "cannot write '%s'", path);
    return status;
}
