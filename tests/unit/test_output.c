/* Results and command lines: sizes and durations as people write them, three formats from one
 * writer, no control characters on a terminal, options that are refused with a hint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arguments.h"
#include "base/output.h"
#include "base/string.h"
#include "base/units.h"

/* --- units --------------------------------------------------------------------------------------
 */

static void values_as_people_read_them(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        const char *bytes, *count, *ns;
    } cases[] = {
        {0, "0 B", "0", "0 ns"},
        {17, "17 B", "17", "17 ns"},
        {1023, "1023 B", "1,023", "1.0 us"},
        {1024, "1.0 KiB", "1,024", "1.0 us"},
        {1536, "1.5 KiB", "1,536", "1.5 us"},
        {1048575, "1.0 MiB", "1,048,575", "1.0 ms"},
        {432013312, "412 MiB", "432,013,312", "432.0 ms"},
        {1500000000, "1.4 GiB", "1,500,000,000", "1.50 s"},
        {125000000000, "116 GiB", "125,000,000,000", "2 min 05 s"},
        {-2048, "-2.0 KiB", "-2,048", "-2.0 us"},
        {INT64_MAX, "8.0 EiB", "9,223,372,036,854,775,807", "2562047 h 47 min"},
        {INT64_MIN, "-8.0 EiB", "-9,223,372,036,854,775,808", "-2562047 h 47 min"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[WH_UNITS_TEXT];
        assert_string_equal(wh_format_bytes(text, cases[i].value), cases[i].bytes);
        assert_string_equal(wh_format_count(text, cases[i].value), cases[i].count);
        assert_string_equal(wh_format_ns(text, cases[i].value), cases[i].ns);
    }
}

static void values_as_people_write_them(void **state) {
    (void)state;
    int64_t v = -1;
    assert_int_equal(wh_parse_bytes("512KiB", &v), 0);
    assert_int_equal(v, 524288);
    assert_int_equal(wh_parse_bytes("1.5M", &v), 0);
    assert_int_equal(v, 1572864);
    assert_int_equal(wh_parse_bytes("2GB", &v), 0);
    assert_int_equal(v, 2000000000);
    assert_int_equal(wh_parse_bytes("4096", &v), 0);
    assert_int_equal(v, 4096);
    assert_int_equal(wh_parse_ns("250ms", &v), 0);
    assert_int_equal(v, 250000000);
    assert_int_equal(wh_parse_ns("10", &v), 0);
    assert_int_equal(v, 10000000000);
    assert_int_equal(wh_parse_int("-12", &v), 0);
    assert_int_equal(v, -12);
    assert_int_equal(wh_parse_int("0x7f", &v), 0);
    assert_int_equal(v, 127);
    static const char *const wrong[] = {"",     "-1",  "1X",  "KiB",        "1 2",   "0x10",
                                        "1e99", "nan", "inf", "99999999TB", " 1 K ", "1.5.2"};
    v = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (wh_parse_bytes(wrong[i], &v) == 0 || wh_parse_ns(wrong[i], &v) == 0)
            fail_msg("'%s' is no size and no duration", wrong[i]);
        assert_int_equal(v, 7);
    }
    assert_int_equal(wh_parse_int("12 ", &v), -1);
    assert_int_equal(wh_parse_int("+1", &v), -1);
    assert_int_equal(wh_parse_int("99999999999999999999", &v), -1);
}

/* --- texts --------------------------------------------------------------------------------------
 */

static void nothing_a_terminal_obeys_gets_through(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"\x1b[31mred\x07\n\t\x7f", "?[31mred????"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"c1 \xc2\x9b", "c1 ?"},
        {"bad \xff\xc3", "bad ??"},
        {"overlong \xc0\xaf", "overlong ??"},
        {"half \xed\xa0\x80", "half ???"},
        {"turned \xe2\x80\xae", "turned ?"},
        {"\xf0\x9f\x90\x98", "\xf0\x9f\x90\x98"},
    };
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(wh_text_sanitize(out, sizeof out, cases[i].in, strlen(cases[i].in)),
                            cases[i].out);
    assert_string_equal(wh_text_sanitize(out, 4, "a\xc3\xbc\xc3\xbc", 5), "a\xc3\xbc");
    assert_string_equal(wh_text_sanitize(out, 1, "abc", 3), "");
}

static void texts_and_arrays_grow(void **state) {
    (void)state;
    struct wh_text t = {0};
    for (int i = 0; i < 1000; i++)
        wh_text_printf(&t, "%d,", i);
    assert_int_equal(t.failed, 0);
    assert_int_equal(t.length, strlen(t.data));
    assert_int_equal(t.length, 10 * 2 + 90 * 3 + 900 * 4);
    wh_text_clear(&t);
    assert_string_equal(t.data, "");
    wh_text_release(&t);
    int *numbers = NULL;
    size_t room = 0;
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(wh_array_reserve(&numbers, &room, i + 1, sizeof *numbers), 0);
        numbers[i] = (int)i;
    }
    assert_int_equal(numbers[4999], 4999);
    assert_int_equal(wh_array_reserve(&numbers, &room, SIZE_MAX / 2, sizeof *numbers), -1);
    assert_int_equal(numbers[4999], 4999);
    free(numbers);
}

/* --- formats ------------------------------------------------------------------------------------
 */

static char *written;
static size_t written_bytes;

static void write_all(enum wh_format format) {
    static const struct wh_column columns[] = {
        {"objects", WH_COLUMN_COUNT, "blocks", 0}, {"bytes", WH_COLUMN_BYTES, NULL, 0},
        {"share", WH_COLUMN_SHARE, NULL, 0},       {"at", WH_COLUMN_ADDRESS, NULL, 0},
        {"hidden", WH_COLUMN_FLAG, NULL, 0},       {"name", WH_COLUMN_TEXT, NULL, 9},
    };
    free(written);
    FILE *f = open_memstream(&written, &written_bytes);
    assert_non_null(f);
    struct wh_output out;
    wh_output_init(&out, f, format);
    assert_int_equal(out.color, 0); /* no terminal */
    wh_output_fact_text(&out, "file", "trace", "a\x1b\"b");
    wh_output_fact_number(&out, "live", "live bytes", WH_COLUMN_BYTES, 2048);
    wh_output_fact_real(&out, "gap", NULL, WH_COLUMN_RATIO, 0.25);
    wh_output_fact_null(&out, "peak");
    wh_output_title(&out, "Rows");
    wh_table_begin(&out, "rows", columns, 6);
    wh_table_int(&out, 1234);
    wh_table_int(&out, 1048576);
    wh_table_real(&out, 0.5);
    wh_table_int(&out, 255);
    wh_table_int(&out, 1);
    wh_table_text(&out, "a,\"b\"\nc");
    wh_table_null(&out);
    wh_table_null(&out);
    wh_table_real(&out, 0.0 / 0.0);
    wh_table_null(&out);
    wh_table_int(&out, 0);
    wh_table_text(&out, "abcdefghijklmnop");
    wh_table_end(&out);
    assert_int_equal(wh_output_finish(&out, NULL), 0);
    fclose(f);
}

static void one_writer_three_formats(void **state) {
    (void)state;
    write_all(WH_FORMAT_TEXT);
    assert_string_equal(written, "trace:               a?\"b\n"
                                 "live bytes:          2.0 KiB\n"
                                 "\nRows\n"
                                 "blocks    bytes  share    at  hidden  name\n"
                                 " 1,234  1.0 MiB   50 %  0xff  yes     a,\"b\"?c\n"
                                 "                                      abcd\xe2\x80\xa6mnop\n");
    write_all(WH_FORMAT_JSON);
    assert_string_equal(
        written,
        "{\n  \"file\": \"a\\u001b\\\"b\",\n  \"live\": 2048,\n  \"gap\": 0.25,\n  \"peak\": "
        "null,\n"
        "  \"rows\": [\n    {\"objects\": 1234, \"bytes\": 1048576, \"share\": 0.5, \"at\": 255, "
        "\"hidden\": true, \"name\": \"a,\\\"b\\\"\\u000ac\"},\n"
        "    {\"objects\": null, \"bytes\": null, \"share\": null, \"at\": null, \"hidden\": "
        "false, "
        "\"name\": \"abcdefghijklmnop\"}\n  ]\n}\n");
    write_all(WH_FORMAT_CSV);
    assert_string_equal(written,
                        "# facts\nname,value\nfile,\"a?\"\"b\"\nlive,2048\ngap,0.25\npeak,\n"
                        "\n# rows\nobjects,bytes,share,at,hidden,name\n"
                        "1234,1048576,0.5,255,1,\"a,\"\"b\"\"\nc\"\n,,,,0,abcdefghijklmnop\n");
    free(written);
    written = NULL;
}

static void json_is_valid_whatever_the_text(void **state) {
    (void)state;
    static const struct wh_column column[] = {{"x", WH_COLUMN_TEXT, NULL, 0}};
    free(written);
    FILE *f = open_memstream(&written, &written_bytes);
    struct wh_output out;
    wh_output_init(&out, f, WH_FORMAT_JSON);
    wh_table_begin(&out, NULL, column, 1);
    wh_table_text(&out, "\xff\xc3 \xc3\xbc \xe2\x80\xae \xed\xa0\x80");
    wh_table_end(&out);
    assert_int_equal(wh_output_finish(&out, NULL), 0);
    fclose(f);
#define FFFD "\xef\xbf\xbd"
    assert_string_equal(written, "[\n    {\"x\": \"" FFFD FFFD " \xc3\xbc " FFFD " " FFFD FFFD FFFD
                                 "\"}\n]\n");
    free(written);
    written = NULL;
}

static void what_cannot_be_written_is_an_error(void **state) {
    (void)state;
    FILE *f = fopen("/dev/full", "w");
    if (!f)
        skip();
    struct wh_output out;
    struct wh_error error = {0};
    wh_output_init(&out, f, WH_FORMAT_TEXT);
    wh_output_say(&out, "hello");
    assert_int_equal(wh_output_finish(&out, &error), WH_ESYSTEM);
    assert_non_null(strstr(error.text, "No space left"));
    fclose(f);
}

static void long_tables_are_written_in_parts(void **state) {
    (void)state;
    static const struct wh_column column[] = {{"n", WH_COLUMN_COUNT, NULL, 0}};
    free(written);
    FILE *f = open_memstream(&written, &written_bytes);
    struct wh_output out;
    wh_output_init(&out, f, WH_FORMAT_TEXT);
    wh_table_begin(&out, NULL, column, 1);
    for (int i = 0; i < 10000; i++)
        wh_table_int(&out, i);
    wh_table_end(&out);
    wh_output_finish(&out, NULL);
    fclose(f);
    size_t lines = 0;
    for (const char *p = written; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 10001);
    free(written);
    written = NULL;
}

/* --- command lines ------------------------------------------------------------------------------
 */

static const struct wh_option options[] = {
    {"output", 'o', "FILE", "where", NULL},
    {"depth", 'd', "N", "how deep", "128"},
    {"force", 0, NULL, "replace", NULL},
    {"sample", 0, "SIZE", "how often", "512KiB"},
    {"every", 0, "TIME", "interval", "10s"},
    WH_OPTION_FORMAT,
    {0},
};

static int parse(struct wh_arguments *args, unsigned flags, int max, struct wh_error *error,
                 const char *line) {
    static char buffer[256];
    static char *argv[20];
    int argc = 0;
    snprintf(buffer, sizeof buffer, "%s", line);
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return wh_arguments_parse(args, options, flags, 0, max, argc, argv, error);
}

static void options_are_read_from_the_table(void **state) {
    (void)state;
    struct wh_arguments args;
    struct wh_error error = {0};
    int64_t v = 0;
    assert_int_equal(parse(&args, 0, -1, &error, "cmd a --output=x -d7 b --force -o y"), 0);
    assert_int_equal(args.operand_count, 2);
    assert_string_equal(args.operands[1], "b");
    assert_string_equal(wh_arguments_text(&args, "output"), "y");
    assert_string_equal(wh_arguments_nth(&args, "output", 0), "x");
    assert_null(wh_arguments_nth(&args, "output", 2));
    assert_true(wh_arguments_has(&args, "force"));
    assert_false(wh_arguments_has(&args, "sample"));
    assert_int_equal(wh_arguments_int(&args, "depth", 1, 9, &v, &error), 0);
    assert_int_equal(v, 7);
    assert_int_equal(wh_arguments_int(&args, "depth", 8, 9, &v, &error), WH_EUSAGE);
    assert_int_equal(wh_arguments_size(&args, "sample", &v, &error), 0);
    assert_int_equal(v, 524288);
    assert_int_equal(wh_arguments_duration(&args, "every", &v, &error), 0);
    assert_int_equal(v, 10000000000);
    int index = -1;
    assert_int_equal(wh_arguments_choice(&args, "format", wh_format_words, &index, &error), 0);
    assert_int_equal(index, WH_FORMAT_TEXT);
    wh_arguments_release(&args);

    assert_int_equal(parse(&args, WH_ARGUMENTS_REST, -1, &error, "record -d 3 prog --force -x"), 0);
    assert_int_equal(args.operand_count, 3);
    assert_false(wh_arguments_has(&args, "force"));
    wh_arguments_release(&args);
    assert_int_equal(parse(&args, WH_ARGUMENTS_REST, -1, &error, "record -- --force"), 0);
    assert_string_equal(args.operands[0], "--force");
    wh_arguments_release(&args);
    assert_int_equal(parse(&args, 0, 0, &error, "cmd --help --nonsense"), 0);
    assert_true(args.help);
    wh_arguments_release(&args);
}

static void wrong_lines_are_refused_with_a_hint(void **state) {
    (void)state;
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"cmd --ouptut=x", "did you mean '--output'"},
        {"cmd --zzzzzzzz", "no option '--zzzzzzzz'"},
        {"cmd -x", "no option '-x'"},
        {"cmd --depth", "'--depth' needs a value"},
        {"cmd -d", "'--depth' needs a value"},
        {"cmd --force=1", "takes no value"},
        {"cmd a b", "'b' is one argument too many"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wh_arguments args;
        struct wh_error error = {0};
        assert_int_equal(parse(&args, 0, 1, &error, cases[i].line), WH_EUSAGE);
        if (!strstr(error.text, cases[i].part))
            fail_msg("%s: %s", cases[i].line, error.text);
        wh_arguments_release(&args);
    }
    struct wh_arguments args;
    struct wh_error error = {0};
    int index;
    assert_int_equal(parse(&args, 0, 1, &error, "cmd --format=xml"), 0);
    assert_int_equal(wh_arguments_choice(&args, "format", wh_format_words, &index, &error),
                     WH_EUSAGE);
    assert_non_null(strstr(error.text, "text, json, csv"));
    wh_arguments_release(&args);
}

static void the_nearest_word_is_near(void **state) {
    (void)state;
    static const char *const words[] = {"record", "report", "top", "holders", "gap", NULL};
    assert_string_equal(wh_nearest_word("reprot", words), "report");
    assert_string_equal(wh_nearest_word("rec", words), "record");
    assert_string_equal(wh_nearest_word("holder", words), "holders");
    assert_string_equal(wh_nearest_word("gpa", words), "gap");
    assert_null(wh_nearest_word("xyzzy", words));
    assert_null(wh_nearest_word("q", words));
}

static void prose_is_broken_at_words(void **state) {
    (void)state;
    char text[2000] = "", line[400], all[2000] = "";
    FILE *file = tmpfile();
    struct wh_output out;
    assert_non_null(file);
    for (int i = 0; i < 60; i++)
        snprintf(text + strlen(text), 30, "%sw%d→%d", i ? " " : "", i, i * i * i);
    wh_output_init(&out, file, WH_FORMAT_TEXT);
    wh_output_paragraph(&out, text);
    rewind(file);
    for (int lines = 0; fgets(line, sizeof(line), file); lines++) {
        line[strcspn(line, "\n")] = 0;
        assert_true(strlen(line) <= 100 + 2 * 20); /* an arrow is one column, three bytes */
        snprintf(all + strlen(all), sizeof(line), "%s%s", lines && *line ? " " : "", line);
    }
    assert_string_equal(all, text);
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_as_people_read_them),
        cmocka_unit_test(values_as_people_write_them),
        cmocka_unit_test(nothing_a_terminal_obeys_gets_through),
        cmocka_unit_test(texts_and_arrays_grow),
        cmocka_unit_test(one_writer_three_formats),
        cmocka_unit_test(json_is_valid_whatever_the_text),
        cmocka_unit_test(what_cannot_be_written_is_an_error),
        cmocka_unit_test(long_tables_are_written_in_parts),
        cmocka_unit_test(options_are_read_from_the_table),
        cmocka_unit_test(wrong_lines_are_refused_with_a_hint),
        cmocka_unit_test(the_nearest_word_is_near),
        cmocka_unit_test(prose_is_broken_at_words),
    };
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
