/* whoholds-sim describe: a case of the handbook in plain words, its parameters, what must be found.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"
#include "scenario/scenario.h"

static const char help[] =
    "usage: whoholds-sim describe NAME|FILE.scn [--language en|zh]\n"
    "\n"
    "Symptom, what a creator profile shows, who really holds, and the fix; then the parameters\n"
    "with their units and defaults, and what must be found in memory. Both languages by default.\n";
static const char *const options_known[] = {"--language", "--help", NULL};

/* Prose keeps the lines of its file, indented. */
static void print_prose(const char *heading, const char *text) {
    printf("  %s\n    ", heading);
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n')
            fputs("    ", stdout);
    }
    puts("\n");
}

static void print_parameters(const struct scenario *s) {
    puts("Parameters (--set KEY=VALUE)");
    for (int i = 0; i < s->parameter_count; i++) {
        const struct scenario_parameter *p = &s->parameters[i];
        bool is_flag = strcmp(p->unit, "0 or 1") == 0;
        printf("  %-16s %lld%s%s", p->name, (long long)p->value, is_flag ? "" : " ",
               is_flag ? "" : p->unit);
        if (p->has_fixed_value)
            printf(", %lld with --fixed", (long long)p->fixed_value);
        putchar('\n');
        command_print_wrapped(19, 0, p->text);
    }
}

static void print_variants(const struct scenario *s) {
    if (s->variant_count)
        puts("\nVariants (--variant NAME)");
    for (int i = 0; i < s->variant_count; i++) {
        printf("  %-16s %s\n", s->variants[i].name, s->variants[i].set);
        command_print_wrapped(19, 0, s->variants[i].text);
    }
}

static void print_expectations(const struct scenario *s) {
    puts("\nWhat must be found");
    for (int i = 0; i < s->expect_count; i++) {
        const struct scenario_expect *e = &s->expect[i];
        const char *when = e->when == SCENARIO_LEAKING ? "leaking"
                           : e->when == SCENARIO_FIXED ? "fixed"
                                                       : "leaking and fixed";
        printf("  %s (%s%s%s, at %s)\n", e->name, *e->variant ? e->variant : "",
               *e->variant ? ", " : "", when, e->at);
        printf("    created by %s, held by %s\n", e->creator, e->holder);
        if (*e->objects)
            printf("    objects = %s\n", e->objects);
        printf("    bytes = %s", e->bytes);
        if (e->tolerance > 0)
            printf(", within %g %%", e->tolerance);
        putchar('\n');
        command_print_wrapped(4, printf("    because:"), e->why);
    }
}

int command_describe(int argc, char **argv) {
    const char *name = NULL, *language = "both";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return command_finish();
        }
        if (strcmp(argv[i], "--language") == 0 && i + 1 < argc &&
            (strcmp(argv[i + 1], "en") == 0 || strcmp(argv[i + 1], "zh") == 0))
            language = argv[++i];
        else if (argv[i][0] == '-' || name)
            return command_unknown(argv[i], options_known);
        else
            name = argv[i];
    }
    struct wh_error error;
    static struct scenario s;
    if (!name) {
        wh_fail(&error, WH_EUSAGE, "describe needs the name of a scenario; see whoholds-sim list");
        return command_fail(&error);
    }
    if (scenario_open(name, &s, &error))
        return command_fail(&error);
    printf("%s: %s\n%s\n\n", s.name, s.title, s.handbook);
    if (strcmp(language, "zh") != 0) {
        print_prose("Symptom", s.english.symptom);
        print_prose("What pprof shows", s.english.pprof);
        print_prose("Who really holds", s.english.holder);
        print_prose("The fix", s.english.fix);
    }
    if (strcmp(language, "en") != 0) {
        print_prose("现象", s.chinese.symptom);
        print_prose("pprof 显示", s.chinese.pprof);
        print_prose("真正的持有者", s.chinese.holder);
        print_prose("解决方案", s.chinese.fix);
    }
    print_parameters(&s);
    print_variants(&s);
    print_expectations(&s);
    return command_finish();
}
