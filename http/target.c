/* SPDX-License-Identifier: MIT */
/*
 * target.c - origin, absolute, authority and asterisk form.
 *
 * An absolute form is taken of http and https only: what another scheme means
 * by its authority is not ours to know. Its host is checked as Host is.
 */
#include "target.h"

#include <string.h>

#include "authority.h"

/* Of the octets from `path` up to the end of the target. */
static void set_path(weft_http_request *r, uint32_t path)
{
    uint32_t end = r->target_ + (uint32_t)r->target.len;
    r->path_ = path;
    r->path.len = (r->query_ ? r->query_ - 1 : end) - path;
    if (r->query_) r->query.len = end - r->query_;
}

static size_t scheme_len(weft_text target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        if (target.len >= len &&
            weft_text_is_nocase((weft_text){target.at, len}, schemes[i]))
            return len;
    }
    return 0;
}

static enum wf_wrong read_absolute(weft_http_request *r, weft_text target)
{
    size_t start = scheme_len(target), end = start;
    if (start == 0) return WF_WRONG_FORM;
    while (end < target.len && target.at[end] != '/' && target.at[end] != '?')
        end++;
    weft_text host = {target.at + start, end - start};
    if (!wf_http_is_authority(host, NULL)) return WF_WRONG_FORM;
    r->form = WEFT_HTTP_ABSOLUTE;
    r->host_ = r->target_ + (uint32_t)start;
    r->host.len = host.len;
    set_path(r, r->target_ + (uint32_t)end);
    return WF_WRONG_NOTHING;
}

static enum wf_wrong read_authority(weft_http_request *r, weft_text target)
{
    unsigned port;
    if (!wf_http_is_authority(target, &port) || port == 0)
        return WF_WRONG_CONNECT;
    r->form = WEFT_HTTP_AUTHORITY;
    r->host_ = r->target_;
    r->host.len = target.len;
    return WF_WRONG_NOTHING;
}

enum wf_wrong wf_http_read_target(weft_http_request *r, const char *data)
{
    weft_text target = {data + r->target_, r->target.len};
    if (r->verb == WEFT_HTTP_CONNECT) return read_authority(r, target);
    if (*target.at == '/') {
        r->form = WEFT_HTTP_ORIGIN;
        set_path(r, r->target_);
        return WF_WRONG_NOTHING;
    }
    if (weft_text_is(target, "*")) {
        r->form = WEFT_HTTP_ASTERISK;
        return r->verb == WEFT_HTTP_OPTIONS ? WF_WRONG_NOTHING
                                            : WF_WRONG_ASTERISK;
    }
    return read_absolute(r, target);
}
