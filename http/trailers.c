/* SPDX-License-Identifier: MIT */
/* trailers.c - a head without a first line. */
#include "head.h"

#include <weft/error.h>

void weft_http_trailers_init(weft_http_trailers *t, weft_http_mark *marks,
                             size_t room, const weft_http_limits *limits)
{
    uint32_t most = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
    *t = (weft_http_trailers){.fields = {.marks = marks, .room = most}};
    wf_http_scan_init(&t->scan_, WF_TRAILERS, most, limits);
}

void weft_http_trailers_move(weft_http_trailers *t, const char *data)
{
    t->fields.base = data;
}

ssize_t weft_http_parse_trailers(weft_http_trailers *t, const char *data,
                                 size_t len)
{
    struct weft_http_scan_ *s = &t->scan_;
    int rc = 1;
    if (!data) data = ""; /* NULL + 0 is not defined */
    if (len < s->at_)
        return weft_fail(-EINVAL, "http trailers: %zu octets, after %u", len,
                         s->at_);
    if (s->state_ < WF_AT_END)
        rc = wf_http_field_lines(s, &t->fields, data, len);
    if (rc == 0) return 0;
    weft_http_trailers_move(t, data);
    if (s->state_ != WF_AT_WRONG) return (ssize_t)s->at_;
    t->status = wf_http_wrong(s->wrong_).status;
    t->wrong = wf_http_wrong(s->wrong_).sentence;
    return -EBADMSG;
}
