/* SPDX-License-Identifier: MIT */
/* verb.c - the methods that have a number (RFC 9110, 9.3). */
#include <weft/http.h>

#include <string.h>

static const char names[][8] = {
    [WEFT_HTTP_OTHER] = "",          [WEFT_HTTP_GET] = "GET",
    [WEFT_HTTP_HEAD] = "HEAD",       [WEFT_HTTP_POST] = "POST",
    [WEFT_HTTP_PUT] = "PUT",         [WEFT_HTTP_DELETE] = "DELETE",
    [WEFT_HTTP_CONNECT] = "CONNECT", [WEFT_HTTP_OPTIONS] = "OPTIONS",
    [WEFT_HTTP_TRACE] = "TRACE",     [WEFT_HTTP_PATCH] = "PATCH",
};

enum { VERBS = sizeof names / sizeof *names };

static weft_http_verb only(weft_text method, weft_http_verb verb)
{
    return memcmp(method.at, names[verb], method.len) == 0 ? verb
                                                           : WEFT_HTTP_OTHER;
}

weft_http_verb weft_http_verb_of(weft_text method)
{
    switch (method.len) {
    case 3:
        return only(method, *method.at == 'G' ? WEFT_HTTP_GET : WEFT_HTTP_PUT);
    case 4:
        return only(method,
                    *method.at == 'H' ? WEFT_HTTP_HEAD : WEFT_HTTP_POST);
    case 5:
        return only(method,
                    *method.at == 'T' ? WEFT_HTTP_TRACE : WEFT_HTTP_PATCH);
    case 6:
        return only(method, WEFT_HTTP_DELETE);
    case 7:
        return only(method,
                    *method.at == 'C' ? WEFT_HTTP_CONNECT : WEFT_HTTP_OPTIONS);
    default:
        return WEFT_HTTP_OTHER;
    }
}

const char *weft_http_verb_name(weft_http_verb verb)
{
    return (size_t)verb < VERBS ? names[verb] : "";
}

bool weft_http_verb_is_safe(weft_http_verb verb)
{
    return verb == WEFT_HTTP_GET || verb == WEFT_HTTP_HEAD ||
           verb == WEFT_HTTP_OPTIONS || verb == WEFT_HTTP_TRACE;
}

bool weft_http_verb_is_idempotent(weft_http_verb verb)
{
    return weft_http_verb_is_safe(verb) || verb == WEFT_HTTP_PUT ||
           verb == WEFT_HTTP_DELETE;
}
