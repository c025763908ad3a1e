/* Kitex's event queue (pkg/event): a ring of the last 200 events of a client, kept for its dump. */
#ifndef WH_SIM_KITEX_EVENT_H
#define WH_SIM_KITEX_EVENT_H

#include "runtime/map.h"

#define MaxEventNum 200

struct instance { /* 24 bytes: what an event keeps of one */
    struct go_string address;
    int64_t weight;
};
GO_SLICE(slice_instance, struct instance *);
MAP_STRING_OF(event_extra, struct slice_instance);

struct event { /* 72 bytes, class 80 */
    struct go_string Name;
    int64_t Time[3];
    struct go_string Detail;
    const void *Extra_type;
    struct event_extra *Extra; /* "Added", "Updated", "Removed" -> instances */
};
GO_SLICE(slice_event, struct event *);

struct event_queue { /* 40 bytes, class 48 */
    struct slice_event ring;
    int64_t tail, version;
};
extern const struct go_type type_event, type_event_queue;

struct event_queue *event_NewQueue(int64_t size);
void event_queue_Push(struct event_queue *q, struct event *e);

#endif
