/* Model string-alias: small objects that were decoded from large JSON texts are cached.
 *
 * Their strings point into the text, as Sonic leaves them without CopyString, so that each object
 * keeps all of its text. Strings with escapes have memory of their own and keep nothing. */
#include "kitex/client.h"
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"
#include "sonic/sonic.h"

const char *const string_alias_parameters[] = {"objects", "size",        "strings", "string_bytes",
                                               "escaped", "copy_string", NULL};

#define ALIAS_CONNECTIONS 4

SYNC_MAP_OF(object_map, struct sonic_Object);
static struct object_map cache; /* main.cache: Id -> decoded object */

/* What the business wants of the JSON text: its short strings. */
static void main_request(struct connection *c, bool copy_string) {
    struct echo_Response *response = client_kClient_Call(c, false);
    struct sonic_Object *object = sonic_UnmarshalFromString(response->Msg, "s", copy_string);
    sync_Map_Store(SYNC_MAP(&cache), runtime_convTstring(response->Id),
                   (struct go_eface){&type_sonic_Object, object});
}

void model_string_alias(const struct scenario *s) {
    int64_t objects = scenario_get(s, "objects");
    world_netpoll(ALIAS_CONNECTIONS, true);
    cache = (struct object_map){NULL};
    runtime_addroot(&cache, &type_sync_Map);
    world_dial(ALIAS_CONNECTIONS);
    for (int64_t done = 0; done < objects; done += ALIAS_CONNECTIONS) {
        struct message response = {.kind = MESSAGE_JSON,
                                   .first_id = (uint32_t)done,
                                   .bytes = (uint64_t)scenario_get(s, "size"),
                                   .strings = (uint32_t)scenario_get(s, "strings"),
                                   .string_bytes = (uint32_t)scenario_get(s, "string_bytes"),
                                   .escaped = (uint32_t)scenario_get(s, "escaped")};
        int64_t now = objects - done < ALIAS_CONNECTIONS ? objects - done : ALIAS_CONNECTIONS;
        world_send(now, now, &response);
        for (int64_t i = 0; i < now; i++)
            main_request(dialed.ptr[i], scenario_get(s, "copy_string") != 0);
    }
    world_phase("cached");
    world_gc("gc1");
    world_gc("gc2");
}
