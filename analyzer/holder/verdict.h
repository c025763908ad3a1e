/* What a snapshot says, in one paragraph of plain words with numbers. Context: one thread. */
#ifndef WH_HOLDER_VERDICT_H
#define WH_HOLDER_VERDICT_H

#include "base/string.h"
#include "schema/store.h"

/* Appends to *text; reads snapshot and gap only. */
int wh_verdict(struct wh_store *store, int64_t snapshot_id, struct wh_text *text,
               struct wh_error *error);

#endif
