/* SPDX-License-Identifier: MIT */
/*
 * http/utf8.h - is this UTF-8 (RFC 3629)? Told piece by piece, and at the first
 * octet that rules it out.
 */
#ifndef HTTP_UTF8_H
#define HTTP_UTF8_H

#include <weft/base.h>

/* Where a text stands. Zeroed: at its beginning. */
struct wf_utf8 {
    uint8_t need;      /* octets of a character that are still to come */
    uint8_t low, high; /* between which the next of them has to be */
};

/* Goes on with these; false: no text begins so. Then *u is of no more use. */
bool wf_utf8_feed(struct wf_utf8 *u, const void *data, size_t len);

/* May the text end here? */
static inline bool wf_utf8_is_whole(const struct wf_utf8 *u)
{
    return u->need == 0;
}

/* All of it. */
bool wf_utf8_is_valid(const void *data, size_t len);

#endif
