/* The .sql files of schema/ as embedded text: one row a file, in name order, ended by {NULL, NULL}.
 * Names are relative to schema/: "trace.sql", "rules/pool_reuse.sql". Context: any. */
#ifndef WH_SCHEMA_SQL_H
#define WH_SCHEMA_SQL_H

struct wh_sql_file {
    const char *name;
    const char *text; /* NUL-terminated */
};

extern const struct wh_sql_file wh_sql_files[];

#endif
