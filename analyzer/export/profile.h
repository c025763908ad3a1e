/* A profile: stacks with values, the form in which other tools take what a trace knows.
 *
 * By creator a sample is an allocation stack. By holder it is a row of `gap`: the steps from the
 * root variable down to the blocks, then who created them, so that the same viewers show who keeps
 * the bytes; its values add up to what is live at the snapshot.
 *
 * Life: one of wh_profile_read_*(), any number of wh_profile_write_*(), wh_profile_release(), also
 * after a failure. All return 0 or a negative error code with *error filled. Context: one thread.
 */
#ifndef WH_EXPORT_PROFILE_H
#define WH_EXPORT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "analyzer/report/report.h"
#include "base/error.h"
#include "schema/store.h"

/* The metrics of `whoholds top`; of a sampled recording and by holder some are not known. */
#define WH_PROFILE_VALUES (WH_TOP_TEMPORARY_OBJECTS + 1)

struct wh_profile_frame {
    char *name;            /* function, or one step of a holder's path; never NULL */
    char *file, *module;   /* NULL = unknown */
    int64_t line, address; /* 0 = unknown; address in the module's file */
    bool is_inlined;       /* into the frame that follows it on every stack */
};

struct wh_profile_sample {
    size_t first, count; /* among `stacks`: leaf first */
    size_t process;      /* among `processes` */
    int64_t values[WH_PROFILE_VALUES];
};

struct wh_profile {
    struct wh_profile_frame *frames;
    uint32_t *stacks; /* of all samples one behind the other, as indices of frames */
    struct wh_profile_sample *samples;
    char **processes; /* "program [pid]" */
    char **notes;     /* what a reader must know, one sentence each */
    size_t frame_count, stack_count, sample_count, process_count, note_count;
    size_t frame_room, stack_room, sample_room, process_room, note_room;
    unsigned values;               /* which are known: 1 << enum wh_top_metric, or'ed */
    int64_t sample_bytes;          /* mean bytes between samples; 0 = every allocation */
    int64_t start_ns, duration_ns; /* of the trace; the first as Unix time */
};

/* process_id 0 = all processes. Of a sampled recording the values are estimates, without peak. */
int wh_profile_read_creators(struct wh_store *store, int64_t process_id,
                             struct wh_profile *ret_profile, struct wh_error *error);
int wh_profile_read_holders(struct wh_store *store, int64_t snapshot_id,
                            struct wh_profile *ret_profile, struct wh_error *error);
void wh_profile_release(struct wh_profile *profile);

/* One line a stack, root first: "a;b;c 4096", equal stacks added up, in byte order; where there are
 * several processes, each is the first frame of its stacks. */
int wh_profile_write_collapsed(const struct wh_profile *profile, enum wh_top_metric value,
                               FILE *file, struct wh_error *error);

/* pprof's profile.proto, gzip'ed, with all values that are known. */
int wh_profile_write_pprof(const struct wh_profile *profile, FILE *file, struct wh_error *error);

#endif
