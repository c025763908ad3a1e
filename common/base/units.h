/* Sizes, durations and counts as people write them. Formatting goes into the caller's buffer and
 * returns it; parsing accepts exactly what the help texts say. Context: any. */
#ifndef WH_BASE_UNITS_H
#define WH_BASE_UNITS_H

#include <stdint.h>

#define WH_UNITS_TEXT 32 /* bytes that every formatted value fits into */

char *wh_format_bytes(char text[WH_UNITS_TEXT], int64_t bytes); /* "412 MiB", "1.5 KiB", "17 B" */
char *wh_format_count(char text[WH_UNITS_TEXT], int64_t count); /* "1,234,567" */
/* 0 to 100; nearly all is not all. */
int wh_percent(int64_t part, int64_t whole);
char *wh_format_ns(char text[WH_UNITS_TEXT], int64_t ns); /* "1.50 s", "12.0 ms", "2 min 05 s" */

/* "4096", "512KiB", "1.5M", "2GB": K M G T are 1024-based with or without iB, 1000-based with B
 * alone. 0, or -1 when the text is no size. */
int wh_parse_bytes(const char *text, int64_t *ret_bytes);

/* "250ms", "10s", "2m", "1h", "5us", "100ns"; a bare number is seconds. 0 or -1. */
int wh_parse_ns(const char *text, int64_t *ret_ns);

/* A whole decimal (or 0x) number, nothing before or after. 0 or -1. */
int wh_parse_int(const char *text, int64_t *ret_value);

#endif
