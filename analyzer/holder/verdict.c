/* The paragraph above the matrix. Every number in it is a sum of rows that the reader can look up.
 */
#include "analyzer/holder/verdict.h"

#include <string.h>

#include "analyzer/holder/holding.h"
#include "analyzer/holder/runtime.h"
#include "base/units.h"

struct sums {
    int64_t live, objects, held, shared, lost, untracked, gap, unsampled;
    int is_sample;
};

struct verdict {
    struct wh_store *store;
    int64_t snapshot_id;
    struct sums s;
    struct wh_text *text;
    struct wh_error *error;
};

/* Calls for the one row of a query about the snapshot (?1). 1, 0 = there is none, < 0 = error. */
static int ask(struct verdict *v, const char *sql,
               void (*row)(struct verdict *v, const struct wh_query *q)) {
    struct wh_query *q;
    int rc = wh_query_open(v->store, sql, &q, v->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, v->snapshot_id);
    rc = wh_query_step(q, v->error);
    if (rc > 0)
        row(v, q);
    wh_query_close(q);
    return rc;
}

static const char sums_sql[] =
    "SELECT live_bytes, live_objects, held_bytes, shared_bytes, lost_bytes, untracked_bytes, "
    "gap_bytes, (SELECT sum(bytes) FROM gap WHERE snapshot_id = ?1 AND creator = "
    "'" WH_NOT_SAMPLED "') FROM snapshot WHERE id = ?1";

static void load_sums(struct verdict *v, const struct wh_query *q) {
    v->s = (struct sums){
        wh_query_int(q, 0), wh_query_int(q, 1), wh_query_int(q, 2),
        wh_query_int(q, 3), wh_query_int(q, 4), wh_query_int(q, 5),
        wh_query_int(q, 6), wh_query_int(q, 7), wh_store_get_int(v->store, "sample_bytes", 0) > 0};
}

/* Creator and root variable with most bytes; the heaviest path between them. Shared and lost rows
 * stand for themselves. What the runtime keeps for itself, less than a megabyte, comes last. */
static const char heaviest_sql[] =
    "WITH g AS (SELECT *, coalesce(root, holder) head FROM gap WHERE snapshot_id = ?1 "
    "  AND creator <> '" WH_NOT_SAMPLED "') "
    "SELECT creator, head, sum(objects), sum(bytes), max(bytes), count(*), "
    "  CAST(sum(CASE WHEN amplification IS NOT NULL THEN bytes END) AS REAL) / "
    "    max(sum(CASE WHEN amplification IS NOT NULL THEN bytes / amplification END), 1), "
    "  sum(hidden * bytes) * 2 > sum(bytes), "
    "  (SELECT holder FROM g b WHERE b.creator = g.creator AND coalesce(b.root, b.holder) = g.head "
    "   ORDER BY bytes DESC, holder LIMIT 1), max(ways) "
    "FROM g GROUP BY creator, head ORDER BY " WH_IS_RUNTIME(
        "head") " AND sum(bytes) < " WH_RUNTIME_BYTES ", sum(bytes) DESC, creator, head LIMIT 1";

/* That pair: who made it, who has it, and whether the first would lead to the second. */
static void say_row(struct verdict *v, const struct wh_query *q) {
    struct wh_text *text = v->text;
    const struct sums *s = &v->s;
    char bytes[WH_UNITS_TEXT], objects[WH_UNITS_TEXT];
    const char *creator = wh_query_text(q, 0), *head = wh_query_text(q, 1),
               *path = wh_query_text(q, 8);
    int is_lost = strcmp(head, "lost") == 0;
    wh_text_printf(
        text, "%s, %d %% of %s, in %s block%s, was created by `%s` and is ",
        wh_format_bytes(bytes, wh_query_int(q, 3)), wh_percent(wh_query_int(q, 3), s->live),
        s->is_sample ? "the sampled bytes" : "what is live",
        wh_format_count(objects, wh_query_int(q, 2)), wh_query_int(q, 2) == 1 ? "" : "s", creator);
    if (is_lost)
        wh_text_puts(text, "lost: no holder was found, nothing refers to it (or its address is "
                           "encoded: XOR, offset, handle)");
    else if (strncmp(head, "shared: ", 8) == 0)
        wh_text_printf(text, "kept by several holders at once (%s)", head + 8);
    else if (wh_query_int(q, 5) > 1 && wh_query_int(q, 4) * 10 < wh_query_int(q, 3) * 9)
        wh_text_printf(text, "held by `%s` on %lld paths (%d %% of it by `%s`)", head,
                       (long long)wh_query_int(q, 5),
                       wh_percent(wh_query_int(q, 4), wh_query_int(q, 3)), path);
    else
        wh_text_printf(text, "held by `%s`", path);
    if (is_lost)
        return;
    if (wh_query_int(q, 9) > 1)
        wh_text_printf(text, ", one of %lld ways to it", (long long)wh_query_int(q, 9));
    if (wh_query_int(q, 7))
        wh_text_printf(
            text,
            "; a creator profile alone would blame `%s`: nothing on its stack leads to that holder",
            creator);
    else if (!s->is_sample) /* there a container's creator may be unknown */
        wh_text_puts(
            text, "; the creator's stack leads to that holder, so a creator profile finds it too");
    if (wh_query_type(q, 6) != WH_CELL_NULL && wh_query_real(q, 6) >= 2)
        wh_text_printf(text, "; the references that keep it see 1 byte in %.0f of it",
                       wh_query_real(q, 6));
}

static void say_rest(struct verdict *v) {
    struct wh_text *text = v->text;
    const struct sums *s = &v->s;
    char bytes[WH_UNITS_TEXT];
    if (!s->held) {
        wh_text_puts(text, text->length ? "." : "Nothing is held.");
        return;
    }
    wh_text_printf(text,
                   "%sttribution gap %s%.2f: for %d %% of the held bytes a creator profile cannot "
                   "name the holder.",
                   text->length ? "; a" : "A", s->is_sample ? "at least " : "",
                   s->held ? (double)s->gap / (double)s->held : 0.0, wh_percent(s->gap, s->held));
    if (s->shared)
        wh_text_printf(text, " %s is shared by two or more holders.",
                       wh_format_bytes(bytes, s->shared));
    if (s->lost)
        wh_text_printf(text,
                       " For %s no holder was found: lost, or kept by an encoded pointer (XOR, "
                       "offset, handle).",
                       wh_format_bytes(bytes, s->lost));
    else
        wh_text_puts(text, " Nothing is lost: a leak checker would report no leak.");
    if (s->untracked)
        wh_text_printf(text, " %s of the live bytes is not in the image of memory.",
                       wh_format_bytes(bytes, s->untracked));
}

/* The largest holder of memory that no sample explains. */
static const char unsampled_sql[] =
    "SELECT holder, sum(bytes) FROM gap WHERE snapshot_id = ?1 AND creator = '" WH_NOT_SAMPLED
    "' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1";

static void say_unsampled(struct verdict *v, const struct wh_query *q) {
    char all[WH_UNITS_TEXT], bytes[WH_UNITS_TEXT];
    wh_text_printf(v->text,
                   " Besides, about %s that no sample explains is in use, its creators unknown: %s "
                   "of it is held by `%s`.",
                   wh_format_bytes(all, v->s.unsampled), wh_format_bytes(bytes, wh_query_int(q, 1)),
                   wh_query_text(q, 0));
}

/* What annotated pools have taken back and not given out again. Whether they still have it is not
 * said to us: the holders tell. */
static const char idle_sql[] =
    "SELECT sum(bytes), min(acquirer), count(DISTINCT acquirer) FROM gap "
    "WHERE snapshot_id = ?1 AND acquirer GLOB 'given back to *' HAVING sum(bytes) > 0";

static void say_idle(struct verdict *v, const struct wh_query *q) {
    char bytes[WH_UNITS_TEXT];
    wh_text_printf(
        v->text, " %s was %s and not taken again; a pool that dropped it since is not its holder.",
        wh_format_bytes(bytes, wh_query_int(q, 0)),
        wh_query_int(q, 2) == 1 ? wh_query_text(q, 1) : "given back to pools");
}

/* Mappings of the program's own that are most of what is live: what a runtime carves out of them is
 * not told apart, and "held by the arenas" is no answer to who holds the objects. */
static const char mapped_sql[] =
    "SELECT sum(a.size_bytes), count(*) FROM held h JOIN allocation a ON a.id = h.allocation_id "
    "WHERE h.snapshot_id = ?1 AND a.kind = 'mmap' HAVING sum(a.size_bytes) * 2 > "
    "(SELECT live_bytes FROM snapshot WHERE id = ?1)";

static void say_mapped(struct verdict *v, const struct wh_query *q) {
    char bytes[WH_UNITS_TEXT], count[WH_UNITS_TEXT];
    int64_t n = wh_query_int(q, 1);
    wh_text_printf(v->text,
                   " %s lies in %s mapping%s of the program's own, each one block here: objects "
                   "that a runtime carves out of them are not told apart (CPython's are with "
                   "PYTHONMALLOC=malloc).",
                   wh_format_bytes(bytes, wh_query_int(q, 0)), wh_format_count(count, n),
                   n == 1 ? "" : "s");
}

/* A program that tidies up before it ends has little left to ask about: where the rest was. */
static const char peak_sql[] =
    "SELECT p.peak_bytes, s.reason = 'peak', s.at_ns < p.peak_ns FROM process p "
    "JOIN snapshot s ON s.process_id = p.id WHERE s.id = ?1";

static void say_peak(struct verdict *v, const struct wh_query *q) {
    int64_t peak = wh_query_int(q, 0);
    int is_at_peak = wh_query_int(q, 1) != 0;
    char bytes[WH_UNITS_TEXT];
    if (is_at_peak && v->s.live < peak - peak / 10)
        wh_text_printf(v->text,
                       " The peak itself, %s, %s when this snapshot was taken, as near to it as "
                       "could be.",
                       wh_format_bytes(bytes, peak),
                       wh_query_int(q, 2) != 0 ? "was still to come" : "was over");
    else if (!is_at_peak && v->s.live < peak / 4)
        wh_text_printf(v->text,
                       " At its peak the process had %s: `whoholds record --snapshot=peak` shows "
                       "who held that.",
                       wh_format_bytes(bytes, peak));
}

int wh_verdict(struct wh_store *store, int64_t snapshot_id, struct wh_text *text,
               struct wh_error *error) {
    struct verdict v = {.store = store, .snapshot_id = snapshot_id, .text = text, .error = error};
    int rc = ask(&v, sums_sql, load_sums);
    if (rc == 0)
        return wh_fail(error, WH_ENOTFOUND, "there is no snapshot %lld", (long long)snapshot_id);
    int is_empty = rc > 0 && v.s.live == 0 && !v.s.unsampled;
    if (is_empty)
        wh_text_puts(text, "Nothing was live at this snapshot.");
    if (rc > 0 && !is_empty && (rc = ask(&v, heaviest_sql, say_row)) >= 0) {
        say_rest(&v);
        rc = ask(&v, idle_sql, say_idle);
        if (rc >= 0)
            rc = ask(&v, mapped_sql, say_mapped);
    }
    if (rc >= 0)
        rc = ask(&v, peak_sql, say_peak);
    if (rc >= 0 && v.s.unsampled)
        rc = ask(&v, unsampled_sql, say_unsampled);
    if (rc < 0)
        return rc;
    return text->failed ? wh_fail(error, WH_ESYSTEM, "no memory for the verdict") : 0;
}
