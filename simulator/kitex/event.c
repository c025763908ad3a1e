/* The event queue, see event.h. The ring is allocated at once: 1600 bytes, class 1792. */
#include "kitex/event.h"

#include "runtime/runtime.h"

GO_TYPE(type_event, struct event, offsetof(struct event, Name.ptr),
        offsetof(struct event, Detail.ptr), offsetof(struct event, Extra));
GO_TYPE(type_event_queue, struct event_queue, offsetof(struct event_queue, ring.ptr));

struct event_queue *event_NewQueue(int64_t size) {
    struct event_queue *q = runtime_newobject(&type_event_queue);
    q->ring.ptr = runtime_makeslice(&type_pointer, size);
    q->ring.len = q->ring.cap = size;
    return q;
}

void event_queue_Push(struct event_queue *q, struct event *e) {
    q->ring.ptr[q->tail] = e;
    if (++q->tail == q->ring.len) {
        q->tail = 0;
        q->version++;
    }
}
