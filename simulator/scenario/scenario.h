/* A scenario: a model with parameters, prose, and what must be found in memory afterwards.
 *
 * Read from scenarios/NAME.scn (INI). Sections:
 *   [scenario]        name, model, title, handbook
 *   [parameter NAME]  default, min, max, unit, text; fixed = value under --fixed, else unchanged
 *   [variant NAME]    text, set = key=value ...: the same case with other parameters, with a name
 *   [describe en|zh]  symptom, pprof, holder, fix
 *   [expect NAME]     when (leaking, fixed, both), variant, at (a phase or exit), creator, stack,
 *                     holder, objects, bytes, tolerance, visible, why
 *
 * Objects and bytes are formulas over the parameters (expression.h) and hold for all of them,
 * unless the expectation names a variant ("default": no other parameters). Ownership: everything
 * belongs to the scenario. Context: one thread. */
#ifndef WH_SIM_SCENARIO_H
#define WH_SIM_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define SCENARIO_PARAMETERS_MAX 24
#define SCENARIO_EXPECT_MAX     16
#define SCENARIO_VARIANTS_MAX   8
#define SCENARIO_TEXT_MAX       2048

struct scenario_parameter {
    char name[40], unit[40], text[400];
    int64_t value, min, max;
    int64_t fixed_value;
    bool has_fixed_value;
    int line;
};

struct scenario_variant {
    char name[40], text[400];
    char set[200]; /* "key=value key=value" */
    int line;
};

enum scenario_when { SCENARIO_LEAKING = 1, SCENARIO_FIXED = 2 };

struct scenario_expect {
    char name[80];
    unsigned when;    /* bits of enum scenario_when */
    char at[40];      /* phase whose snapshot it is about; "exit" = when main returned */
    char creator[80]; /* function that a profile names */
    char stack[400];  /* its callers, leaf first, joined by " < "; empty = not checked */
    char holder[120]; /* words that the holder's path shows in this order */
    char objects[120], bytes[200]; /* formulas */
    double tolerance;              /* percent of bytes and objects; 0 = exact */
    int64_t
        visible_percent; /* of the bytes, at most, visible through the references; 0 = unchecked */
    char variant[40];    /* valid for this variant only; empty = for any parameters */
    char why[SCENARIO_TEXT_MAX]; /* where the figure comes from */
    int line;
};

struct scenario_prose {
    char symptom[SCENARIO_TEXT_MAX], pprof[SCENARIO_TEXT_MAX], holder[SCENARIO_TEXT_MAX],
        fix[SCENARIO_TEXT_MAX];
};

struct scenario {
    char path[512], name[64], model[64], title[200], handbook[200];
    struct scenario_parameter parameters[SCENARIO_PARAMETERS_MAX];
    int parameter_count;
    struct scenario_expect expect[SCENARIO_EXPECT_MAX];
    int expect_count;
    struct scenario_variant variants[SCENARIO_VARIANTS_MAX];
    int variant_count;
    struct scenario_prose english, chinese;
    bool is_fixed;
    char variant[40]; /* in use; empty once a parameter was set by hand */
};

/* Reads a file. WH_EUSAGE: the sentence begins with file:line and names the nearest valid word. */
int scenario_load(const char *path, struct scenario *ret_scenario, struct wh_error *error);
/* By name in the scenario directory, or by path when it contains a slash or ends in .scn. */
int scenario_open(const char *name, struct scenario *ret_scenario, struct wh_error *error);
/* Names of the canned scenarios, in the handbook's order; NULL-terminated, static. */
const char *const *scenario_names(void);
/* The directory of the .scn files: beside the build tree, or installed; WHOHOLDS_SCENARIOS
 * overrides. */
const char *scenario_directory(void);

/* "key=value", value with an optional suffix k, m, KiB, MiB, ... */
int scenario_set(struct scenario *s, const char *assignment, struct wh_error *error);
void scenario_use_fixed(struct scenario *s);
/* Sets a variant's parameters; "default" has none. */
int scenario_use_variant(struct scenario *s, const char *name, struct wh_error *error);
/* Is this expectation about the run as it is set up? */
bool scenario_expects(const struct scenario *s, const struct scenario_expect *e);
bool scenario_parse_value(const char *text, int64_t *ret_value);
/* The parameter's value; the loader has made sure that the model's parameters exist. */
int64_t scenario_get(const struct scenario *s, const char *name);

#endif
