/* Kitex's load-balancer cache (pkg/loadbalance/lbcache, v0.3.2) and the clients that hook into it.
 *
 *   balancerFactories ─► factory ─► rebalanceHooks{0, 1, 2, ...} ─► closure ─► event queue of a
 * client
 *
 * Clients of equal settings share one factory. Every change of the discovery calls every hook, so
 * each client ever made goes on collecting 200 events. Only Close() takes the hooks out again.
 * Context: one thread. */
#ifndef WH_SIM_KITEX_LBCACHE_H
#define WH_SIM_KITEX_LBCACHE_H

#include <stdbool.h>

#include "kitex/event.h"
#include "sync/map.h"

/* What changed between two answers of the resolver: how many instances, with addresses of this
 * length. */
struct discovery_Change {
    int64_t added, removed, address_bytes, serial;
};

struct hook_closure { /* 64 bytes */
    void (*fn)(struct hook_closure *closure, const struct discovery_Change *change);
    struct event_queue *queue;
    struct client_Options *options;
    uint64_t captured[5];
};

MAP_INT_OF(hook_map, struct hook_closure);

struct hookableRebalancer {
    struct hook_map *notify; /* map[int]func(*discovery.Change) */
    int64_t hookIndex;
};

struct BalancerFactory {
    struct hookableRebalancer rebalanceHooks, deleteHooks;
    struct go_string key; /* resolver | balancer | options */
};

struct client_Options { /* 512 bytes: names, retry, timeout, middlewares, stats */
    struct go_string service;
    struct event_queue *Events;
    struct BalancerFactory *factory;
    uint64_t settings[60];
};

struct kClient {
    struct client_Options *opt;
    int64_t rebalanceIndex, deleteIndex;
};

SYNC_MAP_OF(factory_map, struct BalancerFactory);
extern struct factory_map balancerFactories;

void lbcache_init(void);
struct kClient *client_NewClient(const char *service);
void client_kClient_Close(struct kClient *client);
/* The shared ticker fires: the resolver's answer changed. */
void sharedTicker_tick_func1(const struct discovery_Change *change);

#endif
