/* Scenario files: INI through libinih, checked word by word against what exists.
 *
 * libinih does not pass line numbers, so it reads through a function that counts them. Longer
 * values go over several lines (indented), which arrive as the same key again. */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario/expression.h"
#include "scenario/model.h"
#include "scenario/nearest.h"
#include "scenario/scenario.h"

#define LINE_MAX_BYTES 190 /* libinih splits at 200 */

struct loader {
    FILE *file;
    const char *path;
    int line;
    struct scenario *scenario;
    struct wh_error *error;
    int status;
};

static int fail_at(struct loader *l, int line, const char *problem, const char *word,
                   const char *near) {
    if (!l->status)
        l->status = wh_fail(l->error, WH_EUSAGE, "%s:%d: %s '%s'%s%s%s", l->path, line, problem,
                            word, near ? "; nearest: '" : "", near ? near : "", near ? "'" : "");
    return l->status;
}

static char *read_line(char *to, int size, void *arg) {
    struct loader *l = arg;
    char *line = fgets(to, size, l->file);
    if (!line)
        return NULL;
    l->line++;
    if (strlen(line) > LINE_MAX_BYTES && !l->status)
        l->status = wh_fail(l->error, WH_EUSAGE, "%s:%d: line longer than %d bytes", l->path,
                            l->line, LINE_MAX_BYTES);
    return line;
}

/* Sets or, for the following lines of a long value, appends. */
static void put_joined(struct loader *l, char *to, size_t size, const char *value,
                       const char *between) {
    size_t used = strlen(to);
    int n = snprintf(to + used, size - used, "%s%s", used ? between : "", value);
    if (n < 0 || (size_t)n >= size - used)
        fail_at(l, l->line, "too long:", value, NULL);
}

static void put_text(struct loader *l, char *to, size_t size, const char *value) {
    put_joined(l, to, size, value, " ");
}

static void put_number(struct loader *l, int64_t *to, const char *value) {
    if (!scenario_parse_value(value, to))
        fail_at(l, l->line, "not a number:", value, NULL);
}

static bool is_one_of(struct loader *l, const char *what, const char *word,
                      const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    fail_at(l, l->line, what, word, nearest(word, words, count));
    return false;
}

#define IS_ONE_OF(l, what, word, words)                                                            \
    is_one_of(l, what, word, words, (int)(sizeof(words) / sizeof(*(words))))

static void scenario_key(struct loader *l, const char *key, const char *value) {
    static const char *const keys[] = {"name", "model", "title", "handbook"};
    struct scenario *s = l->scenario;
    if (!IS_ONE_OF(l, "unknown key", key, keys))
        return;
    if (strcmp(key, "name") == 0)
        put_text(l, s->name, sizeof(s->name), value);
    else if (strcmp(key, "model") == 0)
        put_text(l, s->model, sizeof(s->model), value);
    else if (strcmp(key, "title") == 0)
        put_text(l, s->title, sizeof(s->title), value);
    else
        put_text(l, s->handbook, sizeof(s->handbook), value);
    if (strcmp(key, "model") == 0 && !model_find(value)) {
        const char *names[MODELS_MAX];
        fail_at(l, l->line, "no model", value, nearest(value, names, model_names(names)));
    }
}

static void parameter_key(struct loader *l, const char *name, const char *key, const char *value) {
    static const char *const keys[] = {"default", "fixed", "min", "max", "unit", "text"};
    struct scenario *s = l->scenario;
    struct scenario_parameter *p = NULL;
    for (int i = 0; i < s->parameter_count; i++)
        if (strcmp(s->parameters[i].name, name) == 0)
            p = &s->parameters[i];
    if (!p) {
        if (s->parameter_count == SCENARIO_PARAMETERS_MAX) {
            fail_at(l, l->line, "too many parameters at", name, NULL);
            return;
        }
        p = &s->parameters[s->parameter_count++];
        *p = (struct scenario_parameter){.max = INT64_MAX, .line = l->line};
        put_text(l, p->name, sizeof(p->name), name);
    }
    if (!IS_ONE_OF(l, "unknown key", key, keys))
        return;
    if (strcmp(key, "default") == 0)
        put_number(l, &p->value, value);
    else if (strcmp(key, "min") == 0)
        put_number(l, &p->min, value);
    else if (strcmp(key, "max") == 0)
        put_number(l, &p->max, value);
    else if (strcmp(key, "unit") == 0)
        put_text(l, p->unit, sizeof(p->unit), value);
    else if (strcmp(key, "text") == 0)
        put_text(l, p->text, sizeof(p->text), value);
    else {
        put_number(l, &p->fixed_value, value);
        p->has_fixed_value = true;
    }
}

static void variant_key(struct loader *l, const char *name, const char *key, const char *value) {
    static const char *const keys[] = {"text", "set"};
    struct scenario *s = l->scenario;
    struct scenario_variant *v = NULL;
    for (int i = 0; i < s->variant_count; i++)
        if (strcmp(s->variants[i].name, name) == 0)
            v = &s->variants[i];
    if (!v) {
        if (s->variant_count == SCENARIO_VARIANTS_MAX) {
            fail_at(l, l->line, "too many variants at", name, NULL);
            return;
        }
        v = &s->variants[s->variant_count++];
        *v = (struct scenario_variant){.line = l->line};
        put_text(l, v->name, sizeof(v->name), name);
    }
    if (!IS_ONE_OF(l, "unknown key", key, keys))
        return;
    if (strcmp(key, "text") == 0)
        put_text(l, v->text, sizeof(v->text), value);
    else
        put_text(l, v->set, sizeof(v->set), value);
}

static void describe_key(struct loader *l, const char *language, const char *key,
                         const char *value) {
    static const char *const languages[] = {"en", "zh"};
    static const char *const keys[] = {"symptom", "pprof", "holder", "fix"};
    if (!IS_ONE_OF(l, "unknown language", language, languages) ||
        !IS_ONE_OF(l, "unknown key", key, keys))
        return;
    struct scenario_prose *prose =
        strcmp(language, "en") == 0 ? &l->scenario->english : &l->scenario->chinese;
    char *to = strcmp(key, "symptom") == 0  ? prose->symptom
               : strcmp(key, "pprof") == 0  ? prose->pprof
               : strcmp(key, "holder") == 0 ? prose->holder
                                            : prose->fix;
    put_joined(l, to, SCENARIO_TEXT_MAX, value, "\n"); /* prose keeps its lines */
}

static void expect_when(struct loader *l, struct scenario_expect *e, const char *value) {
    static const char *const words[] = {"leaking", "fixed", "both"};
    if (!IS_ONE_OF(l, "unknown value", value, words))
        return;
    e->when = strcmp(value, "leaking") == 0 ? SCENARIO_LEAKING
              : strcmp(value, "fixed") == 0 ? SCENARIO_FIXED
                                            : SCENARIO_LEAKING | SCENARIO_FIXED;
}

static void expect_key(struct loader *l, const char *name, const char *key, const char *value) {
    static const char *const keys[] = {"when",    "at",      "creator", "stack",
                                       "holder",  "objects", "bytes",   "tolerance",
                                       "visible", "variant", "why"};
    struct scenario *s = l->scenario;
    struct scenario_expect *e = NULL;
    for (int i = 0; i < s->expect_count; i++)
        if (strcmp(s->expect[i].name, name) == 0)
            e = &s->expect[i];
    if (!e) {
        if (s->expect_count == SCENARIO_EXPECT_MAX) {
            fail_at(l, l->line, "too many expectations at", name, NULL);
            return;
        }
        e = &s->expect[s->expect_count++];
        *e = (struct scenario_expect){.when = SCENARIO_LEAKING, .line = l->line};
        put_text(l, e->name, sizeof(e->name), name);
    }
    if (!IS_ONE_OF(l, "unknown key", key, keys))
        return;
    struct {
        const char *key;
        char *to;
        size_t size;
    } const texts[] = {
        {"at", e->at, sizeof(e->at)},
        {"creator", e->creator, sizeof(e->creator)},
        {"stack", e->stack, sizeof(e->stack)},
        {"holder", e->holder, sizeof(e->holder)},
        {"objects", e->objects, sizeof(e->objects)},
        {"bytes", e->bytes, sizeof(e->bytes)},
        {"variant", e->variant, sizeof(e->variant)},
        {"why", e->why, sizeof(e->why)},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strcmp(texts[i].key, key) == 0)
            put_text(l, texts[i].to, texts[i].size, value);
    if (strcmp(key, "when") == 0)
        expect_when(l, e, value);
    if (strcmp(key, "visible") == 0)
        put_number(l, &e->visible_percent, value);
    if (strcmp(key, "tolerance") == 0)
        e->tolerance = strtod(value, NULL);
}

static int on_key(void *arg, const char *section, const char *key, const char *value) {
    static const char *const kinds[] = {"scenario", "parameter", "variant", "describe", "expect"};
    struct loader *l = arg;
    char kind[32];
    size_t n = strcspn(section, " ");
    snprintf(kind, sizeof(kind), "%.*s", (int)n, section);
    const char *name = section[n] ? section + n + 1 : "";
    if (l->status || !IS_ONE_OF(l, "unknown section", kind, kinds))
        return 0;
    if (strcmp(kind, "scenario") == 0)
        scenario_key(l, key, value);
    else if (strcmp(kind, "parameter") == 0)
        parameter_key(l, name, key, value);
    else if (strcmp(kind, "variant") == 0)
        variant_key(l, name, key, value);
    else if (strcmp(kind, "describe") == 0)
        describe_key(l, name, key, value);
    else
        expect_key(l, name, key, value);
    return l->status == 0;
}

/* The model's parameters must be there, and no others. */
static void check_parameters(struct loader *l) {
    const struct scenario *s = l->scenario;
    const struct model *model = model_find(s->model);
    if (!model) {
        fail_at(l, 1, "no model given in", "[scenario]", "model = ");
        return;
    }
    int count = 0;
    for (; model->parameters[count]; count++) {
        bool is_there = false;
        for (int i = 0; i < s->parameter_count; i++)
            is_there |= strcmp(s->parameters[i].name, model->parameters[count]) == 0;
        if (!is_there)
            fail_at(l, 1, "missing section", "parameter", model->parameters[count]);
    }
    for (int i = 0; i < s->parameter_count; i++) {
        const struct scenario_parameter *p = &s->parameters[i];
        l->line = p->line;
        is_one_of(l, "the model has no parameter", p->name, model->parameters, count);
        if (p->value < p->min || p->value > p->max)
            fail_at(l, p->line, "default out of range for", p->name, NULL);
    }
}

/* Variants set parameters that exist, to values in range; expectations name variants that exist. */
static void check_variants(struct loader *l) {
    struct scenario *s = l->scenario;
    const char *names[SCENARIO_VARIANTS_MAX + 1] = {"default"};
    for (int i = 0; i < s->variant_count && !l->status; i++) {
        static struct scenario copy;
        struct wh_error inner;
        copy = *s;
        names[i + 1] = s->variants[i].name;
        if (scenario_use_variant(&copy, names[i + 1], &inner))
            fail_at(l, s->variants[i].line, inner.text, names[i + 1], NULL);
    }
    for (int i = 0; i < s->expect_count; i++) {
        l->line = s->expect[i].line;
        if (*s->expect[i].variant)
            is_one_of(l, "no variant", s->expect[i].variant, names, s->variant_count + 1);
    }
}

static void check_formulas(struct loader *l) {
    for (int i = 0; i < l->scenario->expect_count && !l->status; i++) {
        const struct scenario_expect *e = &l->scenario->expect[i];
        const char *formulas[] = {e->objects, e->bytes};
        for (int k = 0; k < 2; k++) {
            int64_t value;
            struct wh_error inner;
            if (*formulas[k] && expression_evaluate(formulas[k], l->scenario, &value, &inner))
                fail_at(l, e->line, inner.text, formulas[k], NULL);
        }
    }
}

int scenario_load(const char *path, struct scenario *ret_scenario, struct wh_error *error) {
    memset(ret_scenario, 0, sizeof(*ret_scenario));
    snprintf(ret_scenario->path, sizeof(ret_scenario->path), "%s", path);
    snprintf(ret_scenario->variant, sizeof(ret_scenario->variant), "default");
    FILE *file = fopen(path, "re");
    if (!file)
        return wh_fail(error, WH_EUSAGE, "cannot open '%s': %s", path, strerror(errno));
    struct loader l = {.file = file, .path = path, .scenario = ret_scenario, .error = error};
    int bad_line = ini_parse_stream(read_line, &l, on_key, &l);
    fclose(file);
    if (bad_line > 0 && !l.status)
        l.status =
            wh_fail(error, WH_EUSAGE, "%s:%d: neither [section] nor key = value", path, bad_line);
    if (!l.status)
        check_parameters(&l);
    if (!l.status)
        check_variants(&l);
    if (!l.status)
        check_formulas(&l);
    return l.status;
}
