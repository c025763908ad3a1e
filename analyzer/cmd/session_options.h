/* The options of a recording that its processes must know: given to `record`, or by
 * WHOHOLDS_OPTIONS to the recorder that a bare preload starts. */
#ifndef WH_CMD_SESSION_OPTIONS_H
#define WH_CMD_SESSION_OPTIONS_H

#include "command.h"
#include "wire/session.h"

#define WH_SESSION_OPTIONS                                                                         \
    {"no-children", 0, NULL, "record the first process only", NULL},                               \
        {"free-stacks", 0, NULL, "take the stack of every free too", NULL},                        \
        {"depth", 0, "N", "frames kept of a stack; of a deeper one, both ends are kept", "128"},   \
        {"overflow", 0, "wait|drop",                                                               \
         "what a thread does when the recorder cannot keep up: wait for it, or drop events and "   \
         "count them",                                                                             \
         "wait"},                                                                                  \
        {"mmap-min", 0, "SIZE", "record the program's own mappings from this size on; 0 = none",   \
         "64KiB"},                                                                                 \
        {"sample", 0, "SIZE",                                                                      \
         "record only samples, one about every SIZE allocated bytes: for production; 0 = "         \
         "everything",                                                                             \
         "0"},                                                                                     \
        {"go-scaling", 0, NULL, "with --sample: estimates by the formula of Go's heap profile",    \
         NULL},                                                                                    \
    {                                                                                              \
        "memory", 0, "SIZE",                                                                       \
            "bound of the events that wait for the recorder in memory shared with the "            \
            "program; beyond it up to 4 GiB of them wait in a file beside the trace, which the "   \
            "report mentions, and only then does a thread have to wait (see --overflow)",          \
            "256MiB"                                                                               \
    }

/* Reads them, and --snapshot. 0, or call->error. */
int wh_session_options_read(struct wh_call *call, struct wh_session_options *ret_options);

#endif
