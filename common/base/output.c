/* The result's document: its beginning and end, facts, talk, and how single values are written. */
#include "base/output.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/output_internal.h"
#include "base/string.h"
#include "base/units.h"

#define PROSE_WIDTH 100 /* of paragraphs in a file or pipe */

const char *const wh_format_words[] = {"text", "json", "csv", NULL};

/* --- values -------------------------------------------------------------------------------------
 */

void wh_json_string(FILE *file, const char *s, size_t length) {
    fputc('"', file);
    while (length) {
        unsigned char c = (unsigned char)*s;
        char one[8];
        if (c == '"' || c == '\\') {
            fprintf(file, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(file, "\\u%04x", c);
        } else if (c < 0x80) {
            fputc(c, file);
        } else {
            /* One character through the cleaner: what it refuses is no UTF-8, or a control. */
            size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
            if (n > length)
                n = 1;
            wh_text_sanitize(one, sizeof one, s, n);
            if (one[0] == '?') {
                fputs("\xef\xbf\xbd", file);
                if (one[1]) /* not one character: only its first byte is spent */
                    n = 1;
            } else {
                fputs(one, file);
            }
            s += n;
            length -= n;
            continue;
        }
        s++;
        length--;
    }
    fputc('"', file);
}

void wh_csv_string(FILE *file, const char *s, size_t length) {
    int quote = memchr(s, '"', length) || memchr(s, ',', length) || memchr(s, '\n', length) ||
                memchr(s, '\r', length);
    if (quote)
        fputc('"', file);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"')
            fputs("\"\"", file);
        else if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t')
            fputc(c, file);
        else
            fputc('?', file);
    }
    if (quote)
        fputc('"', file);
}

void wh_number_text(struct wh_text *t, enum wh_column_type type, int64_t value) {
    char text[WH_UNITS_TEXT];
    switch (type) {
    case WH_COLUMN_COUNT:
        wh_text_puts(t, wh_format_count(text, value));
        break;
    case WH_COLUMN_BYTES:
        wh_text_puts(t, wh_format_bytes(text, value));
        break;
    case WH_COLUMN_NS:
        wh_text_puts(t, wh_format_ns(text, value));
        break;
    case WH_COLUMN_RATIO:
    case WH_COLUMN_SHARE:
        wh_real_text(t, type, (double)value);
        break;
    case WH_COLUMN_ADDRESS:
        wh_text_printf(t, "0x%llx", (unsigned long long)value);
        break;
    case WH_COLUMN_FLAG:
        wh_text_puts(t, value ? "yes" : "");
        break;
    case WH_COLUMN_TEXT:
    case WH_COLUMN_INTEGER:
        wh_text_printf(t, "%lld", (long long)value);
        break;
    }
}

/* Rounding may not turn a little into nothing, nor nearly all into all. */
static void share_text(struct wh_text *t, double share) {
    if (share > 0 && share < 0.001)
        wh_text_puts(t, "<0.1 %");
    else if (share >= 0.995 && share < 1)
        wh_text_printf(t, "%.1f %%", share > 0.999 ? 99.9 : share * 100);
    else
        wh_text_printf(t, "%.*f %%", fabs(share) < 0.0995 && share != 0 ? 1 : 0, share * 100);
}

void wh_real_text(struct wh_text *t, enum wh_column_type type, double value) {
    if (!isfinite(value))
        return;
    if (type == WH_COLUMN_SHARE)
        share_text(t, value);
    else if (type == WH_COLUMN_RATIO)
        wh_text_printf(t, "%.2f", value);
    else if (type == WH_COLUMN_TEXT || type == WH_COLUMN_INTEGER)
        wh_text_printf(t, "%.6g", value);
    else
        wh_number_text(t, type, (int64_t)llround(value));
}

void wh_real_raw(FILE *file, double value, const char *otherwise) {
    char text[40];
    if (!isfinite(value)) {
        fputs(otherwise, file);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, file);
}

/* --- the document -------------------------------------------------------------------------------
 */

void wh_output_init(struct wh_output *out, FILE *file, enum wh_format format) {
    const char *no_color = getenv("NO_COLOR");
    *out = (struct wh_output){.file = file, .format = format};
    out->color = format == WH_FORMAT_TEXT && isatty(fileno(file)) && !(no_color && *no_color);
}

int wh_output_finish(struct wh_output *out, struct wh_error *error) {
    wh_table_free(out);
    if (out->format == WH_FORMAT_JSON)
        fputs(out->open ? "\n}\n" : out->parts ? "\n" : "{}\n", out->file);
    if (out->failed)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (fflush(out->file) != 0 || ferror(out->file))
        return wh_fail_errno(error, "cannot write the result");
    return 0;
}

void wh_output_part(struct wh_output *out, const char *name) {
    fputs(!out->open ? "{\n  " : ",\n  ", out->file);
    out->open = 1;
    out->parts++;
    wh_json_string(out->file, name, strlen(name));
    fputs(": ", out->file);
}

void wh_output_title(struct wh_output *out, const char *title) {
    if (out->format != WH_FORMAT_TEXT)
        return;
    fprintf(out->file, "%s%s%s%s\n", out->parts ? "\n" : "", out->color ? "\033[1m" : "", title,
            out->color ? "\033[0m" : "");
    out->parts++;
}

void wh_output_say(struct wh_output *out, const char *format, ...) {
    if (out->format != WH_FORMAT_TEXT)
        return;
    va_list ap;
    va_start(ap, format);
    vfprintf(out->file, format, ap);
    va_end(ap);
    fputc('\n', out->file);
    out->parts++;
}

size_t wh_terminal_width(FILE *file) {
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    if (!isatty(fileno(file)))
        return 0;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col)
        return size.ws_col;
    long given = columns ? strtol(columns, NULL, 10) : 0;
    return given > 0 ? (size_t)given : 80;
}

/* Characters, not bytes: UTF-8 goes on in bytes 10xxxxxx. */
static size_t width_of(const char *s, size_t length) {
    size_t width = 0;
    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)s[i] & 0xc0) != 0x80;
    return width;
}

void wh_output_paragraph(struct wh_output *out, const char *text) {
    if (out->format != WH_FORMAT_TEXT)
        return;
    size_t at = 0, terminal = wh_terminal_width(out->file);
    size_t width = terminal ? terminal : PROSE_WIDTH;
    for (const char *word = text + strspn(text, " "); *word;) {
        size_t length = strcspn(word, " "), wide = width_of(word, length);
        if (at && at + 1 + wide > width) {
            fputc('\n', out->file);
            at = 0;
        }
        if (at)
            fputc(' ', out->file);
        fwrite(word, 1, length, out->file);
        at += wide + (at > 0);
        word += length;
        word += strspn(word, " ");
    }
    fputs("\n\n", out->file);
    out->parts++;
}

/* --- facts --------------------------------------------------------------------------------------
 */

#define FACT_WIDTH 20

/* Begins a fact; 1 = the value is to be written, raw, by the caller (json, csv). */
static int begin_fact(struct wh_output *out, const char *name) {
    if (out->format == WH_FORMAT_JSON) {
        wh_output_part(out, name);
        return 1;
    }
    if (out->format == WH_FORMAT_CSV) {
        if (!out->parts++)
            fputs("# facts\nname,value\n", out->file);
        wh_csv_string(out->file, name, strlen(name));
        fputc(',', out->file);
        return 1;
    }
    return 0;
}

static void say_fact(struct wh_output *out, const char *title, const char *value) {
    int n = fprintf(out->file, "%s:", title);
    fprintf(out->file, "%*s %s\n", n < FACT_WIDTH && n > 0 ? FACT_WIDTH - n : 0, "", value);
    out->parts++;
}

void wh_output_fact_text(struct wh_output *out, const char *name, const char *title,
                         const char *value) {
    if (begin_fact(out, name)) {
        if (out->format == WH_FORMAT_JSON)
            wh_json_string(out->file, value, strlen(value));
        else {
            wh_csv_string(out->file, value, strlen(value));
            fputc('\n', out->file);
        }
    } else if (title) {
        char clean[1024];
        say_fact(out, title, wh_text_sanitize(clean, sizeof clean, value, strlen(value)));
    }
}

static void say_number(struct wh_output *out, const char *title, enum wh_column_type type,
                       int is_real, int64_t integer, double real) {
    struct wh_text t = {0};
    if (is_real)
        wh_real_text(&t, type, real);
    else
        wh_number_text(&t, type, integer);
    out->failed |= t.failed;
    say_fact(out, title, t.data ? t.data : "");
    wh_text_release(&t);
}

void wh_output_fact_number(struct wh_output *out, const char *name, const char *title,
                           enum wh_column_type type, int64_t value) {
    if (begin_fact(out, name)) {
        if (out->format == WH_FORMAT_JSON && type == WH_COLUMN_FLAG)
            fputs(value ? "true" : "false", out->file);
        else
            fprintf(out->file, "%lld", (long long)value);
        if (out->format == WH_FORMAT_CSV)
            fputc('\n', out->file);
    } else if (title) {
        say_number(out, title, type, 0, value, 0);
    }
}

void wh_output_fact_real(struct wh_output *out, const char *name, const char *title,
                         enum wh_column_type type, double value) {
    if (begin_fact(out, name)) {
        wh_real_raw(out->file, value, out->format == WH_FORMAT_JSON ? "null" : "");
        if (out->format == WH_FORMAT_CSV)
            fputc('\n', out->file);
    } else if (title) {
        say_number(out, title, type, 1, 0, value);
    }
}

void wh_output_fact_null(struct wh_output *out, const char *name) {
    if (begin_fact(out, name))
        fputs(out->format == WH_FORMAT_JSON ? "null" : "\n", out->file);
}
