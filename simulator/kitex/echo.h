/* The service of the handbook's examples: Echo(Request{Id, Msg}) -> Response{Id, Msg}. */
#ifndef WH_SIM_KITEX_ECHO_H
#define WH_SIM_KITEX_ECHO_H

#include "runtime/gotypes.h"

struct echo_Request {
    struct go_string Id;  /* field 1 */
    struct go_string Msg; /* field 2 */
};

struct echo_Response {
    struct go_string Id;  /* field 1 */
    struct go_string Msg; /* field 2 */
    int64_t Code;         /* field 3 */
};

extern const struct go_type type_echo_Request, type_echo_Response;

#endif
