/* Nodes of link buffers and the buffers under them. Private to netpoll/linkbuffer*.c. */
#ifndef WH_SIM_NETPOLL_NODE_H
#define WH_SIM_NETPOLL_NODE_H

#include "netpoll/linkbuffer.h"

/* size ≤ 0: a readonly node without bytes. */
struct linkBufferNode *newLinkBufferNode(int64_t size);
void linkBufferNode_Release(struct linkBufferNode *node);

static inline int64_t linkBufferNode_Len(const struct linkBufferNode *node) {
    return node->buf.len - node->off;
}

#endif
