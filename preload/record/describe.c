/* The options of a recording as text for trace.options: those in force, defaults included, so that
 * the same words make the same recording again. They come from the session, which is what the
 * hooks obey, and not from the command line: a bare preload has none. Context: recorder. */
#include <stdio.h>

#include "record/recorder.h"

void wh_recorder_describe(const struct wh_recorder *r, char *text, size_t size) {
    const struct wh_session *s = r->session;
    const struct wh_serve_options *o = r->options;
    snprintf(text, size,
             "--depth=%u --overflow=%s --materialize=%s --snapshot=%s --mmap-min=%llu"
             " --memory=%llu%s%s%s",
             s->depth_max, s->overflow ? "drop" : "wait", o->materialize_text, o->snapshot_text,
             (unsigned long long)s->mmap_bytes_min,
             (unsigned long long)s->blocks_limit * WH_BLOCK_BYTES,
             s->flags & WH_SESSION_FREE_STACKS ? " --free-stacks" : "",
             s->flags & WH_SESSION_NO_CHILDREN ? " --no-children" : "", o->force ? " --force" : "");
}
