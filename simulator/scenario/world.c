/* The world of a model, see world.h. */
#include "scenario/world.h"

#include <stdio.h>
#include <string.h>

#include "gopool/gopool.h"
#include "kitex/client.h"
#include "mcache/mcache.h"
#include "runtime/runtime.h"
#include "whoholds.h"

#define PHASES_MAX 64
#define WAIT_MS    20

static struct {
    struct world_options options;
    struct world_phase phases[PHASES_MAX];
    int count;
} world;

static void print_head(const struct scenario *s) {
    printf("%s, %s\n", s->name, s->is_fixed ? "fixed" : "leaking");
    for (int i = 0; i < s->parameter_count; i++) {
        const struct scenario_parameter *p = &s->parameters[i];
        if (strcmp(p->unit, "0 or 1") == 0)
            printf("  %-16s %s\n", p->name, p->value ? "yes (1)" : "no (0)");
        else
            printf("  %-16s %lld %s\n", p->name, (long long)p->value, p->unit);
    }
    printf("\n%-12s %15s %12s %11s %11s %15s\n", "phase", "live bytes", "", "objects",
           "collections", "last swept");
}

/* Bytes for people: three digits and a binary unit. */
static const char *human(uint64_t bytes, char text[16]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1024 && unit < 3) {
        value /= 1024;
        unit++;
    }
    snprintf(text, 16, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

void world_start(const struct world_options *options, const struct scenario *s) {
    world.options = *options;
    world.count = 0;
    netpoll_sizes =
        (struct netpoll_sizes){.LinkBufferCap = 4096, .pagesize = 8192, .mallocMax = 8 << 20};
    connection_bookSize = 512;
    codec_options = (struct codec_options){0};
    runtime_rounding(options->is_rounding);
    sync_annotate(options->has_annotations);
    if (!options->is_quiet)
        print_head(s);
}

/* The runtime comes up after the peers were forked, so that they inherit no object. */
void world_pools(void) {
    sync_runtime_init((int)world.options.procs);
    mcache_init();
    gopool_init();
}

void world_end(void) {
    peers_stop();
}

/* Frames that were live earlier leave words behind where later frames have not written yet. A
 * scanner of this stack would take them for references, so they are wiped before a picture is
 * taken. */
static void wipe_stack(void) {
    char below[64 * 1024];
    memset(below, 0, sizeof(below));
    __asm__ volatile("" : : "r"(below) : "memory");
}

static bool wants_snapshot(const char *label) {
    size_t length = strlen(label);
    const char *at = world.options.snapshots;
    while (at && *at && (strncmp(at, label, length) != 0 || (at[length] && at[length] != ','))) {
        at += strcspn(at, ",");
        at += *at == ',';
    }
    return !at || *at;
}

static void end_phase(const char *label, bool is_collected) {
    struct runtime_stats now = runtime_stats();
    if (!world.options.is_quiet) {
        char text[16];
        printf("%-12s %15llu %12s %11llu %11llu %15llu\n", label,
               (unsigned long long)now.live_bytes, human(now.live_bytes, text),
               (unsigned long long)now.live_objects, (unsigned long long)now.collections,
               (unsigned long long)now.swept_bytes);
        fflush(stdout);
    }
    if (world.count < PHASES_MAX) {
        struct world_phase *phase = &world.phases[world.count++];
        snprintf(phase->label, sizeof(phase->label), "%s", label);
        phase->live_bytes = now.live_bytes;
        phase->live_objects = now.live_objects;
        phase->collections = now.collections;
        phase->has_snapshot = wants_snapshot(label);
        phase->is_collected = is_collected;
    }
    wipe_stack();
    if (wants_snapshot(label))
        whoholds_snapshot(label);
}

void world_phase(const char *label) {
    end_phase(label, false);
}

void world_gc(const char *label) {
    runtime_GC();
    end_phase(label, true);
}

const struct world_phase *world_phases(int *ret_count) {
    *ret_count = world.count;
    return world.phases;
}

void world_netpoll(int64_t connections, bool clears_barriers) {
    peers_start(world.options.io, connections, 0);
    world_pools();
    linkbuffer_init();
    netpoll_poll_init(clears_barriers);
    dialer_init();
}

void world_serve(void) {
    struct defaultPoll *poll = netpoll_manager_Pick();
    while (!peers_done())
        netpoll_defaultPoll_Wait(poll, WAIT_MS);
    netpoll_defaultPoll_Wait(poll, 0);
}

void world_accept(int64_t connections, connection_handler *onRequest) {
    server_Run(peers_listener(), onRequest);
    peers_connect(0, connections);
    world_serve();
}

void world_dial(int64_t connections) {
    for (int64_t i = 0; i < connections; i++)
        dialer_DialConnection(peers_dial(), client_leave_input);
    world_phase("connect");
}

/* How many are ready in the next batch. What does not fill one comes first: a burst is noticed by
 * its first few connections, the largest batch is there when the poller comes back. */
static int64_t batch(int64_t connections, int64_t first, int64_t ready) {
    int64_t rest = (connections - first) % ready;
    return rest ? rest : ready;
}

void world_send(int64_t connections, int64_t ready, const struct message *message) {
    for (int64_t first = 0, count; first < connections; first += count) {
        struct message part = *message;
        part.first_id = message->first_id + (uint32_t)first;
        count = batch(connections, first, ready);
        peers_send(first, count, &part);
        world_serve();
    }
}

void world_close(int64_t connections, int64_t ready) {
    for (int64_t first = 0, count; first < connections; first += count) {
        count = batch(connections, first, ready);
        peers_close(first, count);
        world_serve();
    }
}

static int add_unsent(void *arg, const void *key, void *elem) {
    (void)key;
    const struct connection *c = (*(struct sync_entry **)elem)->p->data;
    *(int64_t *)arg += LinkBuffer_Len(c->outputBuffer);
    return 0;
}

static int64_t unsent(void) {
    int64_t bytes = 0;
    if (server->connections.dirty)
        runtime_mapiterate(&map_eface_pointer, MAP(server->connections.dirty), add_unsent, &bytes);
    return bytes;
}

void world_drain(int64_t connections, int64_t ready) {
    for (int64_t first = 0; first < connections; first += ready) {
        int64_t before, count = first + ready < connections ? ready : connections - first;
        do {
            before = unsent();
            peers_receive(first, count);
            world_serve();
        } while (unsent() < before);
    }
}

void world_drop_packets(struct connection *c) {
    while (LinkBuffer_Len(c->inputBuffer) >= 4) {
        const uint8_t *p = LinkBuffer_Peek(c->inputBuffer, 4).ptr;
        int64_t total = 4 + ((int64_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]);
        if (LinkBuffer_Len(c->inputBuffer) < total) {
            c->waitReadSize = total;
            return;
        }
        LinkBuffer_Skip(c->inputBuffer, total);
        connection_Release(c);
        c->waitReadSize = 4;
    }
}
