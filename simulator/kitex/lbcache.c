/* The load-balancer cache, see lbcache.h. An event costs 416 bytes and, per list that is not empty,
 * 24 + class(8 n) + n * (24 + class(address)): 888 with eight instances added. */
#include "kitex/lbcache.h"

#include <stdio.h>
#include <string.h>

#include "runtime/runtime.h"

#define ADDRESS_MAX 256

struct factory_map balancerFactories;

GO_TYPE(type_instance, struct instance, offsetof(struct instance, address.ptr));
GO_TYPE(type_slice_instances, struct slice_instance, offsetof(struct slice_instance, ptr));
GO_TYPE(type_hook_closure, struct hook_closure, offsetof(struct hook_closure, queue),
        offsetof(struct hook_closure, options));
GO_TYPE(type_BalancerFactory, struct BalancerFactory,
        offsetof(struct BalancerFactory, rebalanceHooks.notify),
        offsetof(struct BalancerFactory, deleteHooks.notify),
        offsetof(struct BalancerFactory, key.ptr));
GO_TYPE(type_client_Options, struct client_Options, offsetof(struct client_Options, service.ptr),
        offsetof(struct client_Options, Events), offsetof(struct client_Options, factory));
GO_TYPE(type_kClient, struct kClient, offsetof(struct kClient, opt));

void lbcache_init(void) {
    balancerFactories = (struct factory_map){NULL};
    runtime_addroot(&balancerFactories, &type_sync_Map);
}

/* --- events --- */

static struct go_string fmt_Sprintf(const struct discovery_Change *change, int64_t i) {
    char address[ADDRESS_MAX];
    int64_t n = change->address_bytes < ADDRESS_MAX ? change->address_bytes : ADDRESS_MAX - 1;
    int used = snprintf(address, sizeof(address), "10.%lld.%lld.%lld:8888",
                        (long long)(change->serial / 256 % 256), (long long)(change->serial % 256),
                        (long long)(i % 256));
    if (used < n)
        memset(address + used, '0', (size_t)(n - used));
    return runtime_gostringn(address, n);
}

static struct go_eface client_wrapInstances(const struct discovery_Change *change, int64_t count) {
    struct slice_instance *list = runtime_newobject(&type_slice_instances);
    list->ptr = runtime_makeslice(&type_pointer, count);
    list->len = list->cap = count;
    for (int64_t i = 0; i < count; i++) {
        list->ptr[i] = runtime_newobject(&type_instance);
        list->ptr[i]->address = fmt_Sprintf(change, i);
        list->ptr[i]->weight = 10;
    }
    return (struct go_eface){&type_slice_instances, list};
}

static char added[] = "Added", updated[] = "Updated", removed[] = "Removed",
            change_name[] = "discovery";

/* The hook of one client: every change becomes an event in its ring. */
static void client_discoveryEventHandler_func1(struct hook_closure *closure,
                                               const struct discovery_Change *change) {
    struct event *e = runtime_newobject(&type_event);
    e->Name = (struct go_string){change_name, sizeof(change_name) - 1};
    e->Extra = (void *)runtime_makemap();
    const struct {
        char *name;
        int64_t count;
    } lists[] = {{added, change->added}, {updated, 0}, {removed, change->removed}};
    for (int i = 0; i < 3; i++) {
        struct go_string key = {lists[i].name, (int64_t)strlen(lists[i].name)};
        struct go_eface *elem = runtime_mapassign(&map_string_eface, MAP(e->Extra), &key);
        if (lists[i].count > 0)
            *elem = client_wrapInstances(change, lists[i].count);
    }
    event_queue_Push(closure->queue, e);
}

static void lbcache_hookableRebalancer_Rebalance(struct hookableRebalancer *hooks,
                                                 const struct discovery_Change *change) {
    struct map_iterator it = {0};
    struct hook_closure **hook;
    while ((hook = runtime_mapiternext(&map_int_pointer, MAP(hooks->notify), &it)))
        (*hook)->fn(*hook, change);
}

static void lbcache_Balancer_refresh(struct BalancerFactory *factory,
                                     const struct discovery_Change *change) {
    lbcache_hookableRebalancer_Rebalance(&factory->rebalanceHooks, change);
}

void sharedTicker_tick_func1(const struct discovery_Change *change) {
    struct map_iterator it = {0};
    struct sync_entry **entry;
    if (!balancerFactories.dirty)
        return;
    while ((entry = runtime_mapiternext(&map_eface_pointer, MAP(balancerFactories.dirty), &it)))
        lbcache_Balancer_refresh((*entry)->p->data, change);
}

/* --- clients --- */

static struct BalancerFactory *lbcache_NewBalancerFactory(const char *key) {
    struct go_string name = runtime_gostring(key);
    struct go_eface boxed = runtime_convTstring(name), found;
    if (sync_Map_Load(SYNC_MAP(&balancerFactories), boxed, &found))
        return found.data;
    struct BalancerFactory *factory = runtime_newobject(&type_BalancerFactory);
    factory->key = name;
    factory->rebalanceHooks.notify = (void *)runtime_makemap();
    factory->deleteHooks.notify = (void *)runtime_makemap();
    sync_Map_Store(SYNC_MAP(&balancerFactories), boxed,
                   (struct go_eface){&type_BalancerFactory, factory});
    return factory;
}

static int64_t register_hook(struct hookableRebalancer *hooks, struct client_Options *options,
                             void (*fn)(struct hook_closure *, const struct discovery_Change *)) {
    struct hook_closure *closure = runtime_newobject(&type_hook_closure);
    closure->fn = fn;
    closure->queue = options->Events;
    closure->options = options;
    int64_t index = hooks->hookIndex++;
    *(void **)runtime_mapassign(&map_int_pointer, MAP(hooks->notify), &index) = closure;
    return index;
}

static struct client_Options *client_NewOptions(const char *service) {
    struct client_Options *options = runtime_newobject(&type_client_Options);
    options->service = runtime_gostring(service);
    options->Events = event_NewQueue(MaxEventNum);
    return options;
}

struct kClient *client_NewClient(const char *service) {
    struct kClient *client = runtime_newobject(&type_kClient);
    client->opt = client_NewOptions(service);
    client->opt->factory = lbcache_NewBalancerFactory("resolver|weighted_random|{5s,15s}");
    client->rebalanceIndex = register_hook(&client->opt->factory->rebalanceHooks, client->opt,
                                           client_discoveryEventHandler_func1);
    client->deleteIndex = register_hook(&client->opt->factory->deleteHooks, client->opt, NULL);
    return client;
}

void client_kClient_Close(struct kClient *client) {
    struct BalancerFactory *factory = client->opt->factory;
    runtime_mapdelete(&map_int_pointer, MAP(factory->rebalanceHooks.notify),
                      &client->rebalanceIndex);
    runtime_mapdelete(&map_int_pointer, MAP(factory->deleteHooks.notify), &client->deleteIndex);
}
