/* Lists of free things, as the program itself calls them. */
#ifndef WH_HOLDER_FREELIST_H
#define WH_HOLDER_FREELIST_H

#include <stdbool.h>

#include "analyzer/holder/variable.h"

/* Does the program call that field of a variable one of a free list? field: collapsed, see type.h.
 */
bool wh_is_free_list(const char *name, const char *field);

/* A free list keeps what is not in use: of a block that something else refers to, it has a stale
 * slot. Those of variables are weak already (variable.c); here those of the structs that a variable
 * points to. */
void wh_free_lists_weaken(struct wh_heap *heap, const struct wh_variables *variables);

#endif
