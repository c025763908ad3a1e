/* When to take snapshots, as said on the command line. */
#include <string.h>

#include "base/units.h"
#include "record/record.h"

int wh_snapshot_plan_parse(const char *text, struct wh_snapshot_plan *ret_plan,
                           struct wh_error *error) {
    struct wh_snapshot_plan plan = {0};
    while (*text) {
        char word[64];
        size_t n = strcspn(text, ",");
        int64_t ns;
        if (n >= sizeof word)
            return wh_fail(error, WH_EUSAGE, "unknown time for snapshots: '%s'", text);
        memcpy(word, text, n);
        word[n] = 0;
        if (strcmp(word, "exit") == 0)
            plan.at_exit = true;
        else if (strcmp(word, "peak") == 0)
            plan.at_peak = true;
        else if (strncmp(word, "every:", 6) == 0 && wh_parse_ns(word + 6, &ns) == 0 && ns > 0)
            plan.every_ns = (uint64_t)ns;
        else if (strcmp(word, "none") != 0)
            return wh_fail(error, WH_EUSAGE,
                           "unknown time for snapshots: '%s' (exit, peak, every:10s or none)",
                           word);
        text += n + (text[n] == ',');
    }
    *ret_plan = plan;
    return 0;
}
