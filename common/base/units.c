/* Sizes, durations and counts as people write them. */
#include "base/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *wh_format_bytes(char text[WH_UNITS_TEXT], int64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    int unit = 0;
    /* 1023.95 would be printed as 1024. */
    while ((value >= 1023.5 || value <= -1023.5) && unit < 6) {
        value /= 1024;
        unit++;
    }
    int decimals = unit > 0 && value < 99.95 && value > -99.95;
    snprintf(text, WH_UNITS_TEXT, "%.*f %s", decimals, value, units[unit]);
    return text;
}

int wh_percent(int64_t part, int64_t whole) {
    int rounded = whole > 0 ? (int)((double)part * 100 / (double)whole + 0.5) : 0;
    return rounded == 100 && part < whole ? 99 : rounded;
}

char *wh_format_count(char text[WH_UNITS_TEXT], int64_t count) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)count);
    char *out = text;
    for (int i = 0; i < n; i++) {
        if (i > 0 && digits[i - 1] != '-' && (n - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

char *wh_format_ns(char text[WH_UNITS_TEXT], int64_t ns) {
    double s = (double)ns / 1e9, magnitude = fabs(s);
    if (magnitude >= 3600)
        snprintf(text, WH_UNITS_TEXT, "%lld h %02lld min", (long long)(s / 3600),
                 llabs((long long)(s / 60)) % 60);
    else if (magnitude >= 60)
        snprintf(text, WH_UNITS_TEXT, "%lld min %02lld s", (long long)(s / 60),
                 llabs((long long)s) % 60);
    else if (magnitude >= 1)
        snprintf(text, WH_UNITS_TEXT, "%.2f s", s);
    else if (magnitude >= 1e-3)
        snprintf(text, WH_UNITS_TEXT, "%.1f ms", s * 1e3);
    else if (magnitude >= 1e-6)
        snprintf(text, WH_UNITS_TEXT, "%.1f us", s * 1e6);
    else
        snprintf(text, WH_UNITS_TEXT, "%lld ns", (long long)ns);
    return text;
}

struct unit {
    const char *name;
    double factor;
};

/* A number, then one of the units (NULL-terminated, matched exactly). */
static int parse(const char *text, const struct unit *units, int64_t *ret_value) {
    if (*text < '0' || *text > '9')
        return -1;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno || end == text || strpbrk(text, "xXpPnN") == text + 1)
        return -1;
    while (*end == ' ')
        end++;
    for (; units->name; units++)
        if (strcmp(units->name, end) == 0) {
            value *= units->factor;
            if (!(value >= 0 && value < 9.2e18))
                return -1;
            *ret_value = (int64_t)llround(value);
            return 0;
        }
    return -1;
}

int wh_parse_bytes(const char *text, int64_t *ret_bytes) {
    static const struct unit units[] = {
        {"", 1},       {"B", 1},        {"K", 1024},     {"KiB", 1024}, {"k", 1024},
        {"M", 0x1p20}, {"MiB", 0x1p20}, {"m", 0x1p20},   {"G", 0x1p30}, {"GiB", 0x1p30},
        {"g", 0x1p30}, {"T", 0x1p40},   {"TiB", 0x1p40}, {"kB", 1e3},   {"KB", 1e3},
        {"MB", 1e6},   {"GB", 1e9},     {"TB", 1e12},    {NULL, 0},
    };
    return parse(text, units, ret_bytes);
}

int wh_parse_ns(const char *text, int64_t *ret_ns) {
    static const struct unit units[] = {
        {"ns", 1},   {"us", 1e3},   {"ms", 1e6},   {"s", 1e9}, {"", 1e9},
        {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}, {NULL, 0},
    };
    return parse(text, units, ret_ns);
}

int wh_parse_int(const char *text, int64_t *ret_value) {
    char *end;
    errno = 0;
    int base = strncmp(text, "0x", 2) == 0 ? 16 : 10;
    if (*text == '\0' || strchr(" \t\n+", *text))
        return -1;
    long long value = strtoll(text, &end, base);
    if (errno || *end || end == text)
        return -1;
    *ret_value = value;
    return 0;
}
