/* SPDX-License-Identifier: MIT */
/* quick.h - requests that come whole and have nothing odd in them. */
#ifndef HTTP_QUICK_H
#define HTTP_QUICK_H

#include <weft/http_parse.h>

/* Reads a head from its first octet to its last: its length, and *r is filled,
 * whatever has been in it but for its limits and marks. 0: it is not plain, or
 * not all there; *r holds part of it, and is to be begun anew. */
size_t wf_http_quick(weft_http_request *r, const char *data, size_t len);

/* The same of octets that so many zeroes follow, so that less is to be asked. */
enum { WF_HTTP_ZEROES = 16 };
size_t wf_http_quick_zeroed(weft_http_request *r, const char *data, size_t len);

/* request.c: begins *r anew, which was initialised once, and reads as
 * weft_http_parse_request does. Where zeroes follow that may be done quickly. */
ssize_t wf_http_parse_slowly(weft_http_request *r, const char *data, size_t len);
static inline ssize_t wf_http_parse_anew(weft_http_request *r, const char *data,
                                         size_t len)
{
    size_t head = wf_http_quick_zeroed(r, data, len);
    return head > 0 ? (ssize_t)head : wf_http_parse_slowly(r, data, len);
}

#endif
