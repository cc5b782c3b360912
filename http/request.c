/* SPDX-License-Identifier: MIT */
/*
 * request.c - the request line, and what a request comes to.
 *
 * While it is read only lengths and places are known; the texts are made of
 * them when it is whole or refused, and again when it moves. No part but the
 * method's first octet can stand at place 0, which so means "none".
 */
#include "head.h"

#include <weft/error.h>

#include <string.h>

#include "heed.h"
#include "octets.h"
#include "quick.h"
#include "scan.h"
#include "target.h"

enum { LONGEST_METHOD = 32 };

/* All but its marks and limits. */
static void begin(weft_http_request *r)
{
    const weft_text none = {NULL, 0};
    struct weft_http_scan_ *s = &r->scan_;
    *s = (struct weft_http_scan_){.line_limit_ = s->line_limit_,
                                  .head_limit_ = s->head_limit_,
                                  .field_limit_ = s->field_limit_,
                                  .state_ = WF_AT_START,
                                  .kind_ = WF_REQUEST};
    r->method = r->target = r->path = r->query = r->host = none;
    r->verb = WEFT_HTTP_OTHER;
    r->minor = 1;
    r->form = WEFT_HTTP_ORIGIN;
    r->fields.base = NULL;
    r->fields.count = 0;
    r->framing = WEFT_HTTP_NO_BODY;
    r->length = 0;
    r->keep_alive = r->expects_continue = r->upgrades = false;
    r->status = 0;
    r->wrong = NULL;
    r->target_ = r->path_ = r->query_ = r->host_ = 0;
}

void weft_http_request_init(weft_http_request *r, weft_http_mark *marks,
                            size_t room, const weft_http_limits *limits)
{
    uint32_t most = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
    wf_http_scan_init(&r->scan_, WF_REQUEST, most, limits);
    r->fields = (weft_http_fields){.marks = marks, .room = most};
    begin(r);
}

void weft_http_request_move(weft_http_request *r, const char *data)
{
    r->fields.base = data;
    if (r->method.len) r->method.at = data + r->scan_.first_;
    if (r->target.len) r->target.at = data + r->target_;
    if (r->path_) r->path.at = data + r->path_;
    if (r->query_) r->query.at = data + r->query_;
    if (r->host_) r->host.at = data + r->host_;
    if (r->path_ && r->path.len == 0) {
        r->path = (weft_text){"/", 1}; /* which is not in the head */
        r->path_ = 0;
    }
}

/* ---- the request line --------------------------------------------------- */

/* Of the token from the head's first octet on: 1, *p is at the SP behind it. */
static int read_method(weft_http_request *r, const char *data, const char **p,
                       const char *stop, const char *end)
{
    struct weft_http_scan_ *s = &r->scan_;
    const char *start = data + s->first_;
    if (*p == start && stop - start >= 4 && memcmp(start, "GET ", 4) == 0) {
        r->method = (weft_text){start, 3};
        r->verb = WEFT_HTTP_GET;
        *p += 3;
        return 1;
    }
    while (*p < stop && wf_octet_is(**p, WF_OCTET_TOKEN)) {
        if (*p - start == LONGEST_METHOD)
            return wf_http_refuse(s, WF_WRONG_METHOD_LONG);
        ++*p;
    }
    if (*p == stop) return wf_http_line_more(s, WF_AT_METHOD, data, *p, end);
    if (**p != ' ' || *p == start) return wf_http_refuse(s, WF_WRONG_METHOD);
    r->method = (weft_text){start, (size_t)(*p - start)};
    r->verb = weft_http_verb_of(r->method);
    return 1;
}

/* Up to the SP behind it, from state: 1, *p is there. */
static int read_target(weft_http_request *r, enum wf_state state,
                       const char *data, const char **p, const char *stop,
                       const char *end)
{
    struct weft_http_scan_ *s = &r->scan_;
    for (;;) {
        if (state == WF_AT_TARGET) *p = wf_scan_target(*p, stop);
        if (*p == stop) return wf_http_line_more(s, state, data, *p, end);
        char c = **p;
        if (state != WF_AT_TARGET) {
            if (!wf_octet_is(c, WF_OCTET_HEX))
                return wf_http_refuse(s, WF_WRONG_ESCAPE);
            state = state == WF_AT_ESCAPE ? WF_AT_ESCAPE_LOW : WF_AT_TARGET;
        } else if (c == '%') {
            state = WF_AT_ESCAPE;
        } else if (c == '?') {
            if (!r->query_) r->query_ = (uint32_t)(*p - data) + 1;
        } else if (c == ' ' && *p > data + r->target_) {
            return 1;
        } else {
            return wf_http_refuse(s, WF_WRONG_TARGET);
        }
        ++*p;
    }
}

enum { MOST_ENDS = 10 };

static bool ends_as_most_do(const char *p, const char *stop)
{
    return stop - p >= MOST_ENDS && memcmp(p, "HTTP/1.1\r\n", MOST_ENDS) == 0;
}

/* 1: the state is at the first field line. */
static int read_line(weft_http_request *r, const char *data, size_t len)
{
    struct weft_http_scan_ *s = &r->scan_;
    const char *p = data + s->at_;
    const char *const end = wf_http_end(s, data, len);
    const char *stop;
    enum wf_state state = (enum wf_state)s->state_;
    enum wf_wrong wrong;
    int rc;

    if (state == WF_AT_START) {
        if (p == end) return wf_http_line_more(s, WF_AT_START, data, p, end);
        state = WF_AT_METHOD;
        if (*p == '\r') {
            p++;
            s->first_ = 2;
            state = WF_AT_START_LF;
        }
    }
    if (state == WF_AT_START_LF) {
        if (p == end) return wf_http_line_more(s, WF_AT_START_LF, data, p, end);
        if (*p != '\n') return wf_http_refuse(s, WF_WRONG_LINE_END);
        p++;
        state = WF_AT_METHOD;
    }
    stop = wf_http_line_end(s, data, end);
    if (state == WF_AT_METHOD) {
        rc = read_method(r, data, &p, stop, end);
        if (rc <= 0) return rc;
        p++;
        r->target_ = (uint32_t)(p - data);
        state = WF_AT_TARGET;
    }
    if (state <= WF_AT_ESCAPE_LOW) {
        rc = read_target(r, state, data, &p, stop, end);
        if (rc <= 0) return rc;
        r->target =
            (weft_text){data + r->target_, (size_t)(p - data) - r->target_};
        wrong = wf_http_read_target(r, data);
        if (wrong) return wf_http_refuse(s, wrong);
        p++;
        if (ends_as_most_do(p, stop)) {
            r->minor = 1;
            (void)wf_http_more(s, WF_AT_LINE, data, p + MOST_ENDS);
            return 1;
        }
        state = WF_AT_VERSION;
    }
    if (state == WF_AT_VERSION) {
        wrong = wf_http_version(s, &p, stop, &r->minor);
        if (wrong) return wf_http_refuse(s, wrong);
        if (s->step_ < 8)
            return wf_http_line_more(s, WF_AT_VERSION, data, p, end);
    }
    return wf_http_line_lf(s, data, &p, end);
}

/* ---- all of it ---------------------------------------------------------- */

static enum wf_wrong conclude(weft_http_request *r)
{
    const struct weft_http_scan_ *s = &r->scan_;
    if (r->minor > 0 && !(s->seen_ & WF_SEEN_HOST)) return WF_WRONG_HOST_NONE;
    enum wf_wrong wrong = wf_http_framing(s, r->minor, &r->framing);
    if (wrong) return wrong;
    if (r->minor > 0 && (s->seen_ & WF_SEEN_OTHER_EXPECT))
        return WF_WRONG_EXPECT;
    return WF_WRONG_NOTHING;
}

static void fill(weft_http_request *r)
{
    const struct weft_http_scan_ *s = &r->scan_;
    if (r->framing == WEFT_HTTP_UNTIL_CLOSE) r->framing = WEFT_HTTP_NO_BODY;
    if (r->framing == WEFT_HTTP_LENGTH) r->length = s->length_;
    r->keep_alive = wf_http_stays(s, r->minor);
    r->expects_continue = r->minor > 0 && (s->seen_ & WF_SEEN_CONTINUE);
    r->upgrades = wf_http_upgrades(s, r->minor);
    if (!r->host_ && (s->seen_ & WF_SEEN_HOST)) {
        r->host_ = r->fields.marks[s->host_].value;
        r->host.len = r->fields.marks[s->host_].value_len;
    }
}

static int refused(weft_http_request *r, const char *data)
{
    struct wf_wrong_words words = wf_http_wrong(r->scan_.wrong_);
    r->framing = WEFT_HTTP_NO_BODY;
    r->status = words.status;
    r->wrong = words.sentence;
    weft_http_request_move(r, data);
    return -EBADMSG;
}

/* What is not plain, or has not all come. */
static ssize_t read_on(weft_http_request *r, const char *data, size_t len)
{
    struct weft_http_scan_ *s = &r->scan_;
    int rc = 1;
    if (len < s->at_)
        return weft_fail(-EINVAL, "http request: %zu octets, after %u", len,
                         s->at_);
    if (s->state_ < WF_AT_LINE) rc = read_line(r, data, len);
    if (rc > 0 && s->state_ < WF_AT_END) {
        rc = wf_http_field_lines(s, &r->fields, data, len);
        enum wf_wrong wrong = rc > 0 ? conclude(r) : WF_WRONG_NOTHING;
        if (wrong) rc = wf_http_refuse(s, wrong);
        if (rc > 0) fill(r);
    }
    if (s->state_ == WF_AT_WRONG) return refused(r, data);
    if (rc == 0) return 0;
    weft_http_request_move(r, data);
    return (ssize_t)s->at_;
}

ssize_t weft_http_parse_request(weft_http_request *r, const char *data,
                                size_t len)
{
    if (!data) data = ""; /* NULL + 0 is not defined */
    if (r->scan_.state_ == WF_AT_START) {
        size_t head = wf_http_quick(r, data, len);
        if (head > 0) return (ssize_t)head;
        begin(r);
    }
    return read_on(r, data, len);
}

ssize_t wf_http_parse_anew(weft_http_request *r, const char *data, size_t len)
{
    begin(r);
    return read_on(r, data, len);
}
