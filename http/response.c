/* SPDX-License-Identifier: MIT */
/* response.c - the status line, and what a response comes to. */
#include "head.h"

#include <weft/error.h>

#include "heed.h"
#include "octets.h"
#include "scan.h"

void weft_http_response_init(weft_http_response *r, weft_http_verb asked,
                             weft_http_mark *marks, size_t room,
                             const weft_http_limits *limits)
{
    uint32_t most = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
    *r = (weft_http_response){.minor = 1, .asked_ = asked};
    r->fields = (weft_http_fields){.marks = marks, .room = most};
    wf_http_scan_init(&r->scan_, WF_RESPONSE, most, limits);
}

void weft_http_response_move(weft_http_response *r, const char *data)
{
    r->fields.base = data;
    if (r->reason_) r->reason.at = data + r->reason_;
}

/* ---- the status line ---------------------------------------------------- */

enum { VERSION = 8, DIGITS = VERSION + 1, STATUS = DIGITS + 3 };

/* SP 3DIGIT SP; step_ counts on from the version's. */
static enum wf_wrong read_status(weft_http_response *r, const char **p,
                                 const char *stop)
{
    struct weft_http_scan_ *s = &r->scan_;
    for (; s->step_ <= STATUS && *p < stop; s->step_++) {
        char c = *(*p)++;
        if (s->step_ < DIGITS || s->step_ == STATUS) {
            if (c != ' ') return WF_WRONG_STATUS;
        } else {
            if (!wf_octet_is(c, WF_OCTET_DIGIT)) return WF_WRONG_STATUS;
            if (s->step_ == DIGITS && c == '0') return WF_WRONG_STATUS;
            s->code_ = (uint16_t)(s->code_ * 10 + (c - '0'));
        }
    }
    return WF_WRONG_NOTHING;
}

/* 1: the state is at the first field line. */
static int read_line(weft_http_response *r, const char *data, size_t len)
{
    struct weft_http_scan_ *s = &r->scan_;
    const char *p = data + s->at_;
    const char *const end = wf_http_end(s, data, len);
    const char *const stop = wf_http_line_end(s, data, end);
    enum wf_state state = (enum wf_state)s->state_;
    enum wf_wrong wrong;

    if (state == WF_AT_START) {
        wrong = wf_http_version(s, &p, stop, &r->minor);
        if (wrong) return wf_http_refuse(s, wrong);
        if (s->step_ < VERSION)
            return wf_http_line_more(s, WF_AT_START, data, p, end);
        state = WF_AT_STATUS;
    }
    if (state == WF_AT_STATUS) {
        wrong = read_status(r, &p, stop);
        if (wrong) return wf_http_refuse(s, wrong);
        if (s->step_ <= STATUS)
            return wf_http_line_more(s, WF_AT_STATUS, data, p, end);
        r->status = s->code_;
        r->reason_ = (uint32_t)(p - data);
        state = WF_AT_REASON;
    }
    if (state == WF_AT_REASON) {
        p = wf_scan_value(p, stop);
        if (p == end) return wf_http_line_more(s, WF_AT_REASON, data, p, end);
        if (p < stop && *p != '\r' && *p != '\n')
            return wf_http_refuse(s, WF_WRONG_REASON);
        r->reason.len = (size_t)(p - data) - r->reason_;
    }
    return wf_http_line_lf(s, data, &p, end);
}

/* ---- all of it ---------------------------------------------------------- */

static bool is_bodiless(const weft_http_response *r)
{
    return r->asked_ == WEFT_HTTP_HEAD || r->status < 200 || r->status == 204 ||
           r->status == 304;
}

static enum wf_wrong conclude(weft_http_response *r)
{
    const struct weft_http_scan_ *s = &r->scan_;
    bool is_tunnel =
        r->asked_ == WEFT_HTTP_CONNECT && r->status >= 200 && r->status < 300;
    r->keep_alive = wf_http_stays(s, r->minor);
    if (is_tunnel) {
        r->upgrades = true;
        return WF_WRONG_NOTHING;
    }
    weft_http_framing framing;
    enum wf_wrong wrong = wf_http_framing(s, r->minor, &framing);
    if (wrong) return wrong;
    r->upgrades = r->status == 101 && wf_http_upgrades(s, r->minor);
    if (!is_bodiless(r)) {
        r->framing = framing;
        if (framing == WEFT_HTTP_LENGTH) r->length = s->length_;
        if (framing == WEFT_HTTP_UNTIL_CLOSE) r->keep_alive = false;
    } else if (r->status < 200 || r->status == 204) {
        /* Whoever says that there is a body may send one. */
        if (s->length_ > 0 || framing == WEFT_HTTP_CHUNKED)
            r->keep_alive = false;
    }
    return WF_WRONG_NOTHING;
}

ssize_t weft_http_parse_response(weft_http_response *r, const char *data,
                                 size_t len)
{
    struct weft_http_scan_ *s = &r->scan_;
    int rc = 1;
    if (!data) data = ""; /* NULL + 0 is not defined */
    if (len < s->at_)
        return weft_fail(-EINVAL, "http response: %zu octets, after %u", len,
                         s->at_);
    if (s->state_ < WF_AT_LINE) rc = read_line(r, data, len);
    if (rc > 0 && s->state_ < WF_AT_END) {
        rc = wf_http_field_lines(s, &r->fields, data, len);
        enum wf_wrong wrong = rc > 0 ? conclude(r) : WF_WRONG_NOTHING;
        if (wrong) rc = wf_http_refuse(s, wrong);
    }
    if (s->state_ == WF_AT_WRONG) {
        r->wrong = wf_http_wrong(s->wrong_).sentence;
        r->keep_alive = false;
        rc = -EBADMSG;
    }
    if (rc == 0) return 0;
    weft_http_response_move(r, data);
    return rc < 0 ? rc : (ssize_t)s->at_;
}
