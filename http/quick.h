/* SPDX-License-Identifier: MIT */
/* quick.h - requests that come whole and have nothing odd in them. */
#ifndef HTTP_QUICK_H
#define HTTP_QUICK_H

#include <weft/http_parse.h>

/* Reads a head from its first octet to its last: its length, and *r is filled.
 * 0: it is not plain, or not all there, and *r is as it was. */
size_t wf_http_quick(weft_http_request *r, const char *data, size_t len);

#endif
