/* Sonic's decoding of a flat JSON object of strings, with its one property that matters here: a
 * string without escapes is not copied but points into the text, unless CopyString is set.
 *
 * Only fields whose name begins with the wanted prefix are kept. Not a validator: the text is our
 * own. */
#ifndef WH_SIM_SONIC_H
#define WH_SIM_SONIC_H

#include <stdbool.h>

#include "runtime/gotypes.h"

struct sonic_Object {
    struct slice_string Strings;
};
extern const struct go_type type_sonic_Object;

struct sonic_Object *sonic_UnmarshalFromString(struct go_string text, const char *prefix,
                                               bool copy_string);

#endif
