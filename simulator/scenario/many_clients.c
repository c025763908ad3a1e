/* Model many-clients: a client per request. The handles are dropped; what they registered stays.
 *
 * Every client ever made has a hook in the shared balancer factory and a ring of 200 events behind
 * it, which every change of the service discovery goes on filling. Fixed: Close() when done. */
#include "kitex/lbcache.h"
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const many_clients_parameters[] = {"clients",       "changes", "added", "removed",
                                               "address_bytes", "closes",  NULL};

static void main_handleRequest(bool closes) {
    struct kClient *client = client_NewClient("echo.service");
    if (closes)
        client_kClient_Close(client);
}

void model_many_clients(const struct scenario *s) {
    world_pools();
    lbcache_init();
    for (int64_t i = 0; i < scenario_get(s, "clients"); i++)
        main_handleRequest(scenario_get(s, "closes") != 0);
    world_phase("clients");
    struct discovery_Change change = {.added = scenario_get(s, "added"),
                                      .removed = scenario_get(s, "removed"),
                                      .address_bytes = scenario_get(s, "address_bytes")};
    for (; change.serial < scenario_get(s, "changes"); change.serial++)
        sharedTicker_tick_func1(&change);
    world_phase("changes");
    world_gc("gc1");
    world_gc("gc2");
}
