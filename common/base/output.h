/* The one way results leave a command: as text for people, JSON or CSV for programs.
 *
 *   text   titles, paragraphs and aligned tables; sizes as 412 MiB
 *   json   one object {"fact": 1, "table": [{...}, ...]}, or, when the only table has no name, one
 * array of objects; raw numbers, UTF-8 made valid csv    RFC 4180, raw numbers; named tables follow
 * each other as "# name" blocks, an unnamed one is plain
 *
 * Life: wh_output_init, facts and tables in any order, wh_output_finish: it reports what could not
 * be written. A table is begun, gets its cells row by row in column order, and is ended. Control
 * characters in texts never reach a terminal. Context: one thread. */
#ifndef WH_BASE_OUTPUT_H
#define WH_BASE_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum wh_format { WH_FORMAT_TEXT, WH_FORMAT_JSON, WH_FORMAT_CSV };

/* Words of --format in that order, NULL-terminated. */
extern const char *const wh_format_words[];

enum wh_column_type {
    WH_COLUMN_TEXT,    /* left-aligned */
    WH_COLUMN_INTEGER, /* plain: ids, lines */
    WH_COLUMN_COUNT,   /* 1,234,567 in text */
    WH_COLUMN_BYTES,   /* 412 MiB in text */
    WH_COLUMN_NS,      /* 1.50 s in text */
    WH_COLUMN_RATIO,   /* 0.93 */
    WH_COLUMN_SHARE,   /* a ratio shown as 71 % in text */
    WH_COLUMN_ADDRESS, /* 0x7f... in text */
    WH_COLUMN_FLAG,    /* yes or "" in text, true or false in json, 1 or 0 in csv */
};

struct wh_column {
    const char *name; /* key in json, head in csv */
    enum wh_column_type type;
    const char *title;  /* head in text; NULL = name */
    unsigned width_max; /* text mode cuts longer texts in the middle; 0 = never */
};

struct wh_output {
    FILE *file;
    enum wh_format format;
    int color; /* escape sequences allowed: a terminal, and NO_COLOR unset */
    int parts; /* facts and tables so far */
    int open;  /* json: which bracket stands open; private */
    struct wh_table *table;
    int failed; /* out of memory somewhere */
};

void wh_output_init(struct wh_output *out, FILE *file, enum wh_format format);

/* Ends the document and flushes. WH_ESYSTEM when anything could not be written. */
int wh_output_finish(struct wh_output *out, struct wh_error *error);

/* Text mode only: a heading, a line or paragraph of talk. Use %s only with wh_text_sanitize()d
 * texts. */
void wh_output_title(struct wh_output *out, const char *title);
void wh_output_say(struct wh_output *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Text mode only: prose, broken at words to the width of the terminal (elsewhere 100), and an empty
 * line. Sanitized text only. */
void wh_output_paragraph(struct wh_output *out, const char *text);

/* A single named value: "title: value" in text, "name": value in json, "name,value" in csv (facts
 * of csv come as the first block). title NULL = json and csv only. */
void wh_output_fact_text(struct wh_output *out, const char *name, const char *title,
                         const char *value);
void wh_output_fact_number(struct wh_output *out, const char *name, const char *title,
                           enum wh_column_type type, int64_t value);
void wh_output_fact_real(struct wh_output *out, const char *name, const char *title,
                         enum wh_column_type type, double value);
void wh_output_fact_null(struct wh_output *out, const char *name);

/* One table at a time. columns stay the caller's and must live until the end. name NULL: see above.
 */
void wh_table_begin(struct wh_output *out, const char *name, const struct wh_column *columns,
                    int column_count);
void wh_table_text(struct wh_output *out, const char *text); /* NULL = wh_table_null */
void wh_table_text_n(struct wh_output *out, const char *text, size_t length);
void wh_table_int(struct wh_output *out, int64_t value);
void wh_table_real(struct wh_output *out, double value);
void wh_table_null(struct wh_output *out);          /* empty, null */
int64_t wh_table_rows(const struct wh_output *out); /* of the open table, completed ones */
void wh_table_end(struct wh_output *out);

/* s as a JSON string with its quotes, for documents that are no tables; invalid UTF-8 is replaced.
 */
void wh_json_string(FILE *file, const char *s, size_t length);

/* A line on stderr that replaces itself, on a terminal only; at most ten a second. */
struct wh_progress {
    int active;
    int64_t last_ns;
    int shown;
};
void wh_progress_init(struct wh_progress *p, int quiet);
void wh_progress_show(struct wh_progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void wh_progress_clear(struct wh_progress *p); /* removes the line */

#endif
