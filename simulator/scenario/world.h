/* The world a model runs in: the runtime, the pools, the network, and the phases that are reported.
 *
 * Collections happen only in world_gc(), where no model keeps a reference in a C local.
 * Context: one thread. */
#ifndef WH_SIM_SCENARIO_WORLD_H
#define WH_SIM_SCENARIO_WORLD_H

#include <stdint.h>

#include "netpoll/connection.h"
#include "peer/peers.h"
#include "scenario/scenario.h"

struct world_options {
    enum peer_io io;
    bool has_annotations; /* whoholds_acquire and whoholds_release */
    bool is_rounding;     /* Go's size classes */
    /* Phases that end with a snapshot, joined by commas; NULL = all. The one at exit is the
     * tracer's own affair. */
    const char *snapshots;
    bool is_quiet; /* no table of phases */
    int64_t procs; /* GOMAXPROCS */
};

/* What a phase left alive. */
struct world_phase {
    char label[40];
    uint64_t live_bytes, live_objects, collections;
    bool has_snapshot, is_collected; /* collected: right after a collection */
};

void world_start(const struct world_options *options, const struct scenario *s);
/* The peers end; what the program holds stays. */
void world_end(void);

/* Ends a phase: prints its line and takes the labelled snapshot. */
void world_phase(const char *label);
/* Collects, then world_phase(). */
void world_gc(const char *label);
const struct world_phase *world_phases(int *ret_count);

/* sync.Pool and mcache alone, for models without a network. */
void world_pools(void);
/* Peers, then pools, then netpoll with a poller; clears_barriers: netpoll v0.2.5. */
void world_netpoll(int64_t connections, bool clears_barriers);
/* Accepts `connections` from peers. */
void world_accept(int64_t connections, connection_handler *onRequest);
/* Dials `connections` of the simulator's own. */
void world_dial(int64_t connections);
/* Serves events until the peers are done with what they were told and nothing is ready any more. */
void world_serve(void);
/* Every connection sends (or closes), `ready` at a time: one batch of events each. */
void world_send(int64_t connections, int64_t ready, const struct message *message);
void world_close(int64_t connections, int64_t ready);
/* Slow readers: `ready` connections at a time take what has arrived, in step, until all is sent. */
void world_drain(int64_t connections, int64_t ready);

/* The handler of raw messages: reads whole packets and drops them. */
void world_drop_packets(struct connection *c);

#endif
