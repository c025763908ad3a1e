/* whoholds expand: a row for every lifetime, from the raw events. */
#include <stdio.h>

#include "analyzer/symbol/symbol.h"
#include "base/units.h"
#include "command.h"
#include "record/expand.h"

static const struct wh_option options[] = {
    {"quiet", 'q', NULL, "print nothing but errors", NULL},
    {0},
};

static int run(struct wh_call *call) {
    struct wh_store *store;
    struct wh_progress progress;
    int64_t lifetimes = 0;
    int quiet = wh_arguments_has(&call->args, "quiet");
    int rc = wh_call_open(call, 0, WH_STORE_WRITE | WH_CALL_UNFINISHED, &store);
    if (rc)
        return rc;
    wh_progress_init(&progress, quiet);
    rc = wh_expand(store, &progress, &lifetimes, &call->error);
    wh_progress_clear(&progress);
    if (!rc)
        rc = wh_symbol_resolve(store, &call->error);
    if (!rc && !quiet) {
        char count[WH_UNITS_TEXT];
        fprintf(stderr, "whoholds: %s lifetimes in '%s'\n", wh_format_count(count, lifetimes),
                wh_store_path(store));
    }
    wh_store_close(store);
    return rc;
}

const struct wh_command wh_command_expand = {
    .name = "expand",
    .summary = "give every lifetime its row, from the raw events of a finished recording",
    .usage = "[options] FILE",
    .text =
        "A long recording keeps rows of the table `allocation` for blocks that were live at "
        "the end, at a peak or at "
        "a snapshot and adds the other lifetimes up exactly in `folded`. This command reads the "
        "raw events "
        "again and writes a row for each of them; FILE grows accordingly. `site` and "
        "`timeline` say "
        "the same before and after.\n"
        "\n"
        "It also completes a file whose recorder was killed: totals and lifetimes are built "
        "from the "
        "events that were stored, and every report says that the recording ended early.",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
