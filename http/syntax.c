/* SPDX-License-Identifier: MIT */
/* syntax.c - what may be sent: what the parsers would take. */
#include <weft/http.h>

#include "octets.h"

static bool all_are(weft_text t, unsigned kind)
{
    for (size_t i = 0; i < t.len; i++)
        if (!wf_octet_is(t.at[i], kind)) return false;
    return true;
}

bool weft_http_is_token(weft_text t)
{
    return t.len > 0 && all_are(t, WF_OCTET_TOKEN);
}

bool weft_http_is_value(weft_text t)
{
    return weft_text_trim(t).len == t.len && all_are(t, WF_OCTET_VALUE);
}

bool weft_http_is_target(weft_text t)
{
    if (t.len == 0 || !all_are(t, WF_OCTET_TARGET)) return false;
    for (size_t i = 0; i < t.len; i++)
        if (t.at[i] == '%' &&
            (t.len - i < 3 || !wf_octet_is(t.at[i + 1], WF_OCTET_HEX) ||
             !wf_octet_is(t.at[i + 2], WF_OCTET_HEX)))
            return false;
    return true;
}
