/* Asking the recorder of a running process for a snapshot. Context: any program that may map the
 * session (the same user). */
#ifndef WH_RECORD_REQUEST_H
#define WH_RECORD_REQUEST_H

#include <sys/types.h>

#include "base/error.h"

/* Returns when the process runs on after its snapshot. WH_ENOTFOUND: no such process, or it is not
 * recorded; WH_ESYSTEM: no permission, or the recorder does not answer. */
int wh_snapshot_request(pid_t pid, const char *label, struct wh_error *error);

#endif
