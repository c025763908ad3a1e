/* SARIF writer: the document's few fixed braces around strings escaped for JSON. */
#include "analyzer/check/sarif.h"

#include <string.h>

#include "analyzer/check/check.h"
#include "base/output.h"
#include "schema/store.h"

static void text(FILE *f, const char *key, const char *value) {
    fprintf(f, "\"%s\":", key);
    wh_json_string(f, value ? value : "", value ? strlen(value) : 0);
}

static void message(FILE *f, const char *key, const char *value) {
    fprintf(f, "\"%s\":{", key);
    text(f, "text", value);
    fputc('}', f);
}

static const char *level(const char *severity) {
    return strcmp(severity, "info") == 0 ? "note" : severity;
}

static void write_rules(FILE *f, const struct wh_rules *rules) {
    fputs("\"rules\":[", f);
    for (size_t i = 0; i < rules->count; i++) {
        const struct wh_rule *r = &rules->items[i];
        fputs(i ? ",{" : "{", f);
        text(f, "id", r->name);
        fputc(',', f);
        message(f, "shortDescription", r->title);
        fputc(',', f);
        message(f, "fullDescription", r->what);
        fputc(',', f);
        message(f, "help", r->misleads);
        fputc('}', f);
    }
    fputc(']', f);
}

static void write_result(FILE *f, struct wh_query *q, const char *trace) {
    fputc('{', f);
    text(f, "ruleId", wh_query_text(q, 1));
    fputc(',', f);
    text(f, "level", level(wh_query_text(q, 0)));
    fputs(",\"message\":{\"text\":", f);
    const char *evidence = wh_query_text(q, 6), *advice = wh_query_text(q, 7);
    char both[4096];
    int n = snprintf(both, sizeof both, "%s %s", evidence, advice);
    wh_json_string(f, both, n < 0 ? 0 : (size_t)n < sizeof both ? (size_t)n : sizeof both - 1);
    fputs("},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{", f);
    text(f, "uri", trace);
    fputs("}},\"logicalLocations\":[", f);
    int any = 0;
    for (int c = 2; c <= 3; c++) {
        const char *name = wh_query_text(q, c);
        if (!name)
            continue;
        fputs(any++ ? ",{" : "{", f);
        text(f, "fullyQualifiedName", name);
        fputc(',', f);
        text(f, "kind", c == 2 ? "function" : "variable");
        fputc('}', f);
    }
    fprintf(f, "]}],\"properties\":{\"bytes\":%lld,\"objects\":%lld}}",
            (long long)wh_query_int(q, 4), (long long)wh_query_int(q, 5));
}

int wh_sarif_write(FILE *file, struct wh_query *q, const struct wh_rules *rules, const char *trace,
                   struct wh_error *error) {
    fputs("{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\","
          "\"runs\":[{\"tool\":{\"driver\":{\"name\":\"whoholds\",\"version\":\"" WH_VERSION "\",",
          file);
    write_rules(file, rules);
    fputs("}},\"results\":[", file);
    int step, n = 0;
    while ((step = wh_query_step(q, error)) > 0) {
        if (n++)
            fputc(',', file);
        write_result(file, q, trace);
    }
    fputs("]}]}\n", file);
    return step;
}
