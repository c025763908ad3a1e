/* Writing what a solved snapshot says into the trace's tables. Context: one thread. */
#ifndef WH_HOLDER_ROWS_H
#define WH_HOLDER_ROWS_H

#include "analyzer/holder/acquirer.h"
#include "analyzer/holder/gap.h"
#include "analyzer/holder/holding.h"

#define WH_REFERENCE_ROWS_MAX  5000000u /* all edges as rows up to here, */
#define WH_REFERENCE_PER_BLOCK 8u       /* above it the strongest into each block */

/* Which blocks get rows in held, and in reference for the edges into them: snapshot.block_rows. */
enum wh_block_rows { WH_BLOCK_ROWS_POOLED, WH_BLOCK_ROWS_ALL };

/* visible: wh_holding_visible(). */
int wh_rows_write(struct wh_holding *h, const struct wh_gap *gap, const uint64_t *visible,
                  const struct wh_acquirers *acquirers, enum wh_block_rows block_rows,
                  struct wh_error *error);

/* "plain", "(ptr,len)" ...: reference.evidence and block cards; NULL for none. */
const char *wh_evidence_name(unsigned evidence);

#endif
