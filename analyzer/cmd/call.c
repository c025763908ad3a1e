/* What most commands begin with: opening the trace, starting the result. */
#include "command.h"

int wh_call_open(struct wh_call *call, int operand, unsigned flags, struct wh_store **ret_store) {
    struct wh_store *store;
    const char *path = call->args.operands[operand];
    int rc = wh_store_open(path, flags & ~WH_CALL_UNFINISHED, &store, &call->error);
    if (rc)
        return rc;
    if (!(flags & WH_CALL_UNFINISHED) && wh_store_get_int(store, "complete", 0) != 1 &&
        wh_store_get_int(store, "expanded", 0) != 1) {
        rc = wh_fail(&call->error, WH_EINPUT,
                     "'%s' is still being recorded, or its recorder could not finish it: "
                     "`whoholds expand` builds the tables from what is there",
                     path);
        wh_store_close(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

int wh_call_output(struct wh_call *call, struct wh_output *ret_out) {
    int format = WH_FORMAT_TEXT;
    int rc = wh_arguments_choice(&call->args, "format", wh_format_words, &format, &call->error);
    if (rc)
        return rc;
    wh_output_init(ret_out, stdout, (enum wh_format)format);
    return 0;
}
