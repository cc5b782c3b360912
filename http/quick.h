/* SPDX-License-Identifier: MIT */
/* quick.h - requests that come whole and have nothing odd in them. */
#ifndef HTTP_QUICK_H
#define HTTP_QUICK_H

#include <weft/http_parse.h>

/* Reads a head from its first octet to its last: its length, and *r is filled,
 * whatever has been in it but for its limits and marks. 0: it is not plain, or
 * not all there; *r holds part of it, and is to be begun anew. */
size_t wf_http_quick(weft_http_request *r, const char *data, size_t len);

/* The same, for a head that will stand at `base` when it has been read. How long
 * the lines of the last one were is in `layout`, zeroed at first, and is noted
 * there: a head that is like it is read faster. */
enum { WF_HTTP_LINES = 16 };
size_t wf_http_quick_as_before(weft_http_request *r, const char *data,
                               size_t len, const char *base, uint16_t *layout);

/* request.c: begins *r anew, which was initialised once, and then reads as
 * weft_http_parse_request does, but not quickly. */
ssize_t wf_http_parse_anew(weft_http_request *r, const char *data, size_t len);

#endif
