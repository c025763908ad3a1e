/* Tables of an output: json and csv stream row by row, text collects rows to align them.
 *
 * Rows are flushed every ROWS_MAX so that an endless query does not fill the memory; a later, wider
 * part of the table then only widens its own columns. */
#include <stdlib.h>
#include <string.h>

#include "base/output_internal.h"
#include "base/string.h"

#define ROWS_MAX 4096

struct wh_table {
    const char *name;
    const struct wh_column *columns;
    int column_count;
    int column;         /* of the cell to come */
    int64_t rows;       /* completed */
    int header_written; /* text */
    unsigned *widths;   /* text: characters per column */
    size_t *cells;      /* text: offset of each collected cell in texts */
    size_t cell_count, cell_room;
    struct wh_text texts; /* text: NUL-separated cells */
};

void wh_table_free(struct wh_output *out) {
    struct wh_table *t = out->table;
    if (!t)
        return;
    out->failed |= t->texts.failed;
    free(t->widths);
    free(t->cells);
    wh_text_release(&t->texts);
    free(t);
    out->table = NULL;
}

static const char *title_of(const struct wh_column *c) {
    return c->title ? c->title : c->name;
}

/* Characters on the screen, as far as one code point is one column. */
static unsigned width_of(const char *s) {
    unsigned n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void wh_table_begin(struct wh_output *out, const char *name, const struct wh_column *columns,
                    int column_count) {
    wh_table_free(out);
    struct wh_table *t = calloc(1, sizeof *t);
    if (t)
        t->widths = calloc((size_t)column_count + 1, sizeof *t->widths);
    if (!t || !t->widths) {
        free(t);
        out->failed = 1;
        return;
    }
    t->name = name;
    t->columns = columns;
    t->column_count = column_count;
    out->table = t;
    if (out->format == WH_FORMAT_TEXT) {
        for (int i = 0; i < column_count; i++)
            t->widths[i] = width_of(title_of(&columns[i]));
    } else if (out->format == WH_FORMAT_JSON) {
        if (name)
            wh_output_part(out, name);
        fputs("[", out->file);
    } else {
        if (name)
            fprintf(out->file, "%s# %s\n", out->parts ? "\n" : "", name);
        for (int i = 0; i < column_count; i++) {
            if (i)
                fputc(',', out->file);
            wh_csv_string(out->file, columns[i].name, strlen(columns[i].name));
        }
        fputc('\n', out->file);
    }
    out->parts++;
}

/* --- text ---------------------------------------------------------------------------------------
 */

static void pad(FILE *file, unsigned n) {
    fprintf(file, "%*s", (int)n, "");
}

/* Cuts the middle out of a text of more than width_max characters: of a path both ends say most. */
static void add_cut(struct wh_text *t, const char *s, unsigned width_max) {
    unsigned width = width_of(s), keep = width_max / 2;
    if (!width_max || width <= width_max) {
        wh_text_puts(t, s);
        return;
    }
    unsigned n = 0, skip_from = width_max - keep - 1, skip_to = width - keep;
    for (; *s; s++) {
        if (((unsigned char)*s & 0xc0) != 0x80) {
            if (n == skip_from)
                wh_text_puts(t, "\xe2\x80\xa6");
            n++;
        }
        if (n <= skip_from || n > skip_to)
            wh_text_add(t, s, 1);
    }
}

static void put_aligned(FILE *file, const struct wh_table *t, int column, const char *whole) {
    struct wh_text cut = {0};
    if (!t->widths[column])
        return; /* gave way */
    add_cut(&cut, whole, t->widths[column]);
    const char *text = cut.data && !cut.failed ? cut.data : "";
    unsigned width = width_of(text), room = t->widths[column];
    unsigned gap = width < room ? room - width : 0;
    int is_text =
        t->columns[column].type == WH_COLUMN_TEXT || t->columns[column].type == WH_COLUMN_FLAG;
    int is_last = column + 1 == t->column_count;
    if (!is_text || width || !is_last) { /* no blanks at the end of a line */
        if (column)
            fputs("  ", file);
        if (!is_text)
            pad(file, gap);
        fputs(text, file);
        if (is_text && !is_last)
            pad(file, gap);
    }
    wh_text_release(&cut);
}

static int is_empty(const struct wh_table *t, int column) {
    for (size_t i = (size_t)column; i < t->cell_count; i += (size_t)t->column_count)
        if (t->texts.data[t->cells[i]])
            return 0;
    return 1;
}

#define FIT_MIN 16 /* a text narrower than this says nothing any more */

/* On a terminal, columns with nothing in them and then the widest texts give way until a row fits
 * into a line. */
static void fit(struct wh_output *out, struct wh_table *t) {
    size_t room = wh_terminal_width(out->file), used = 0;
    for (int i = 0; i < t->column_count; i++)
        used += t->widths[i] + (i ? 2u : 0u);
    for (int i = 1; room && used > room && i < t->column_count; i++) {
        if (!is_empty(t, i))
            continue;
        used -= t->widths[i] + 2u;
        t->widths[i] = 0;
    }
    while (room && used > room) {
        int widest = -1;
        for (int i = 0; i < t->column_count; i++)
            if (t->columns[i].type == WH_COLUMN_TEXT && t->widths[i] > FIT_MIN &&
                (widest < 0 || t->widths[i] > t->widths[widest]))
                widest = i;
        if (widest < 0)
            return;
        t->widths[widest]--;
        used--;
    }
}

static void flush_text(struct wh_output *out) {
    struct wh_table *t = out->table;
    if (t->texts.failed)
        return;
    fit(out, t);
    if (!t->header_written) {
        t->header_written = 1;
        fputs(out->color ? "\033[4m" : "", out->file);
        for (int i = 0; i < t->column_count; i++)
            put_aligned(out->file, t, i, title_of(&t->columns[i]));
        fputs(out->color ? "\033[0m\n" : "\n", out->file);
    }
    for (size_t i = 0; i < t->cell_count; i++) {
        int column = (int)(i % (size_t)t->column_count);
        put_aligned(out->file, t, column, t->texts.data + t->cells[i]);
        if (column + 1 == t->column_count)
            fputc('\n', out->file);
    }
    t->cell_count = 0;
    wh_text_clear(&t->texts);
}

/* A cell's text is already in t->texts from `start` on. */
static void end_text_cell(struct wh_output *out, size_t start) {
    struct wh_table *t = out->table;
    wh_text_add(&t->texts, "", 1);
    if (t->texts.failed ||
        wh_array_reserve(&t->cells, &t->cell_room, t->cell_count + 1, sizeof *t->cells) != 0) {
        out->failed = 1;
        t->texts.failed = 1;
        return;
    }
    t->cells[t->cell_count++] = start;
    unsigned width = width_of(t->texts.data + start);
    if (width > t->widths[t->column])
        t->widths[t->column] = width;
}

/* --- cells --------------------------------------------------------------------------------------
 */

/* What stands before a cell's value in json and csv. */
static void begin_cell(struct wh_output *out) {
    const struct wh_table *t = out->table;
    if (out->format == WH_FORMAT_JSON) {
        if (t->column == 0)
            fprintf(out->file, "%s\n    {", t->rows ? "," : "");
        else
            fputs(", ", out->file);
        wh_json_string(out->file, t->columns[t->column].name, strlen(t->columns[t->column].name));
        fputs(": ", out->file);
    } else if (out->format == WH_FORMAT_CSV && t->column) {
        fputc(',', out->file);
    }
}

static void end_cell(struct wh_output *out) {
    struct wh_table *t = out->table;
    if (++t->column < t->column_count)
        return;
    t->column = 0;
    t->rows++;
    if (out->format == WH_FORMAT_JSON)
        fputc('}', out->file);
    else if (out->format == WH_FORMAT_CSV)
        fputc('\n', out->file);
    else if (t->rows % ROWS_MAX == 0)
        flush_text(out);
}

void wh_table_text_n(struct wh_output *out, const char *text, size_t length) {
    struct wh_table *t = out->table;
    if (!t)
        return;
    begin_cell(out);
    if (out->format == WH_FORMAT_JSON) {
        wh_json_string(out->file, text, length);
    } else if (out->format == WH_FORMAT_CSV) {
        wh_csv_string(out->file, text, length);
    } else {
        size_t start = t->texts.length;
        char *clean = malloc(length + 1);
        if (clean)
            add_cut(&t->texts, wh_text_sanitize(clean, length + 1, text, length),
                    t->columns[t->column].width_max);
        else
            out->failed = 1;
        free(clean);
        end_text_cell(out, start);
    }
    end_cell(out);
}

void wh_table_text(struct wh_output *out, const char *text) {
    if (text)
        wh_table_text_n(out, text, strlen(text));
    else
        wh_table_null(out);
}

void wh_table_int(struct wh_output *out, int64_t value) {
    struct wh_table *t = out->table;
    if (!t)
        return;
    begin_cell(out);
    enum wh_column_type type = t->columns[t->column].type;
    if (out->format == WH_FORMAT_TEXT) {
        size_t start = t->texts.length;
        wh_number_text(&t->texts, type, value);
        end_text_cell(out, start);
    } else if (out->format == WH_FORMAT_JSON && type == WH_COLUMN_FLAG) {
        fputs(value ? "true" : "false", out->file);
    } else {
        fprintf(out->file, "%lld", (long long)value);
    }
    end_cell(out);
}

void wh_table_real(struct wh_output *out, double value) {
    struct wh_table *t = out->table;
    if (!t)
        return;
    begin_cell(out);
    if (out->format == WH_FORMAT_TEXT) {
        size_t start = t->texts.length;
        wh_real_text(&t->texts, t->columns[t->column].type, value);
        end_text_cell(out, start);
    } else {
        wh_real_raw(out->file, value, out->format == WH_FORMAT_JSON ? "null" : "");
    }
    end_cell(out);
}

void wh_table_null(struct wh_output *out) {
    struct wh_table *t = out->table;
    if (!t)
        return;
    begin_cell(out);
    if (out->format == WH_FORMAT_TEXT)
        end_text_cell(out, t->texts.length);
    else if (out->format == WH_FORMAT_JSON)
        fputs("null", out->file);
    end_cell(out);
}

int64_t wh_table_rows(const struct wh_output *out) {
    return out->table ? out->table->rows : 0;
}

void wh_table_end(struct wh_output *out) {
    struct wh_table *t = out->table;
    if (!t)
        return;
    if (out->format == WH_FORMAT_TEXT && (t->cell_count || !t->header_written))
        flush_text(out);
    else if (out->format == WH_FORMAT_JSON)
        fputs(!t->rows ? "]" : t->name ? "\n  ]" : "\n]", out->file);
    wh_table_free(out);
}
