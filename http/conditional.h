/* SPDX-License-Identifier: MIT */
/*
 * conditional.h - whether a request wants what there is (RFC 9110, 8.8 and 13).
 */
#ifndef HTTP_CONDITIONAL_H
#define HTTP_CONDITIONAL_H

#include <weft/http.h>

enum { WF_ETAG_BYTES = 80 };

/** What tells one state of a thing from another. */
struct wf_validators {
    char etag[WF_ETAG_BYTES]; /* with its quotes, and W/ if it is weak */
    int64_t modified;         /* seconds of Unix time */
    bool exact;               /* it cannot have changed twice in that second */
};

/** A moment of the file system: seconds and nanoseconds. */
struct wf_moment {
    int64_t seconds;
    long nanoseconds;
};

/** Those of a file: its size, the last change of what is in it (mtime) and of
 *  anything about it (ctime), at Unix time `now`. */
void wf_validators_of(struct wf_validators *ret, uint64_t size,
                      struct wf_moment modified, struct wf_moment changed,
                      int64_t now);

/** The conditions of a GET or HEAD, in the order of 13.2.2: 0: all hold; 304 or
 *  412: answer that. */
int wf_conditions(const weft_http_fields *f, const struct wf_validators *v);

/** Is Range to be looked at: is there no If-Range, or does it hold? */
bool wf_range_holds(const weft_http_fields *f, const struct wf_validators *v);

#endif
