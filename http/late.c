/* SPDX-License-Identifier: MIT */
/* late.c - the names that say what must be known before the body is read. */
#include "late.h"

static const char *const never[] = {
    /* framing and the connection */
    "transfer-encoding", "content-length", "trailer", "te", "connection",
    "keep-alive", "proxy-connection", "upgrade",
    /* routing */
    "host", "forwarded", "max-forwards",
    /* request modifiers */
    "expect", "range", "if-match", "if-none-match", "if-modified-since",
    "if-unmodified-since", "if-range", "pragma", "cache-control",
    /* authentication */
    "authorization", "proxy-authorization", "www-authenticate",
    "proxy-authenticate", "cookie", "set-cookie",
    /* response controls */
    "age", "date", "expires", "location", "retry-after", "vary", "warning",
    /* the content's form */
    "content-encoding", "content-type", "content-range"};

bool wf_http_comes_late(weft_text name)
{
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (weft_text_is_nocase(name, never[i])) return false;
    return true;
}
