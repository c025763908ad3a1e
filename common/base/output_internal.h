/* Shared by output.c and table.c: writing one value in a format. Private to common/base. */
#ifndef WH_BASE_OUTPUT_INTERNAL_H
#define WH_BASE_OUTPUT_INTERNAL_H

#include "base/output.h"

struct wh_text;

void wh_csv_string(FILE *file, const char *s, size_t length);

/* A number as text mode shows it, appended to t. */
void wh_number_text(struct wh_text *t, enum wh_column_type type, int64_t value);
void wh_real_text(struct wh_text *t, enum wh_column_type type, double value);

/* A real as json and csv take it: shortest form that reads back; nothing that is no number. */
void wh_real_raw(FILE *file, double value, const char *otherwise);

/* json: opens the document's object on first use and separates from the part before. */
void wh_output_part(struct wh_output *out, const char *name);

/* Columns of the terminal that file is; 0 = it is none. */
size_t wh_terminal_width(FILE *file);

void wh_table_free(struct wh_output *out);

#endif
