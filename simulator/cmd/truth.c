/* The side file, see truth.h: one row a line, tab-separated. */
#include "cmd/truth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario/expression.h"
#include "scenario/world.h"

#define LINE_BYTES 4096
#define FIELDS     10

static void write_row(FILE *file, const struct truth_row *r) {
    fprintf(file, "%d\t%s\t%s\t%s\t%s\t%s\t%lld\t%lld\t%g\t%lld\n", (int)r->kind, r->name, r->at,
            r->creator, r->stack, r->holder, (long long)r->objects, (long long)r->bytes,
            r->tolerance, (long long)r->visible_percent);
}

static int expected(const struct scenario *s, const struct scenario_expect *e,
                    struct truth_row *ret_row, struct wh_error *error) {
    *ret_row = (struct truth_row){.kind = TRUTH_EXPECT,
                                  .objects = -1,
                                  .tolerance = e->tolerance,
                                  .visible_percent = e->visible_percent};
    snprintf(ret_row->name, sizeof(ret_row->name), "%s", e->name);
    snprintf(ret_row->at, sizeof(ret_row->at), "%s", e->at);
    snprintf(ret_row->creator, sizeof(ret_row->creator), "%s", e->creator);
    snprintf(ret_row->stack, sizeof(ret_row->stack), "%s", e->stack);
    snprintf(ret_row->holder, sizeof(ret_row->holder), "%s", e->holder);
    int status = 0;
    if (*e->objects)
        status = expression_evaluate(e->objects, s, &ret_row->objects, error);
    return status ? status : expression_evaluate(e->bytes, s, &ret_row->bytes, error);
}

static void write_total(FILE *file, const struct world_phase *phase, const char *at) {
    struct truth_row row = {.kind = phase->is_collected ? TRUTH_COLLECTED : TRUTH_TOTAL,
                            .objects = (int64_t)phase->live_objects,
                            .bytes = (int64_t)phase->live_bytes};
    snprintf(row.name, sizeof(row.name), "all objects");
    snprintf(row.at, sizeof(row.at), "%s", at);
    write_row(file, &row);
}

int truth_write(const char *path, const struct scenario *s, struct wh_error *error) {
    FILE *file = fopen(path, "we");
    if (!file)
        return wh_fail_errno(error, "cannot write '%s'", path);
    int count, status = 0;
    const struct world_phase *phases = world_phases(&count);
    for (int i = 0; i < count; i++) {
        if (phases[i].has_snapshot)
            write_total(file, &phases[i], phases[i].label);
        if (i == count - 1)
            write_total(file, &phases[i], "exit");
    }
    for (int i = 0; i < s->expect_count && !status; i++) {
        struct truth_row row;
        if (!scenario_expects(s, &s->expect[i]))
            continue;
        status = expected(s, &s->expect[i], &row, error);
        if (!status && row.bytes >= 0) /* below 0: says nothing about these parameters */
            write_row(file, &row);
    }
    if (fclose(file) && !status)
        status = wh_fail_errno(error, "cannot write '%s'", path);
    return status;
}

/* Splits at tabs, empty fields kept. */
static int split(char *line, char *fields[FIELDS]) {
    int n = 0;
    line[strcspn(line, "\n")] = 0;
    while (line && n < FIELDS)
        fields[n++] = strsep(&line, "\t");
    return n;
}

int truth_read(const char *path, struct truth *ret_truth, struct wh_error *error) {
    FILE *file = fopen(path, "re");
    if (!file)
        return wh_fail_errno(error, "cannot read '%s'", path);
    char line[LINE_BYTES], *f[FIELDS];
    int status = 0;
    ret_truth->count = 0;
    while (!status && fgets(line, sizeof(line), file)) {
        if (split(line, f) != FIELDS || ret_truth->count == TRUTH_ROWS_MAX) {
            status = wh_fail(error, WH_EINPUT, "'%s' is not a truth file", path);
            break;
        }
        struct truth_row *r = &ret_truth->rows[ret_truth->count++];
        r->kind = (enum truth_kind)strtol(f[0], NULL, 10);
        snprintf(r->name, sizeof(r->name), "%s", f[1]);
        snprintf(r->at, sizeof(r->at), "%s", f[2]);
        snprintf(r->creator, sizeof(r->creator), "%s", f[3]);
        snprintf(r->stack, sizeof(r->stack), "%s", f[4]);
        snprintf(r->holder, sizeof(r->holder), "%s", f[5]);
        r->objects = atoll(f[6]);
        r->bytes = atoll(f[7]);
        r->tolerance = strtod(f[8], NULL);
        r->visible_percent = atoll(f[9]);
    }
    fclose(file);
    return status;
}
