/* SPDX-License-Identifier: MIT */
/*
 * head.c - field lines, and what the first lines have in common.
 *
 * The line that is being read has the mark behind the last whole one, so that
 * nothing else has to be kept when it stops in the middle.
 */
#include "head.h"

#include <string.h>

#include "heed.h"
#include "octets.h"
#include "scan.h"

enum {
    LINE = 16 * 1024,
    HEAD = 64 * 1024,
    FIELDS = 100,
    MOST = 1 << 30, /* places have 32 bits, and a result may have */
    LONGEST_NAME = UINT16_MAX
};

static uint32_t limit(size_t asked, uint32_t usual)
{
    if (asked == 0) return usual;
    return asked < MOST ? (uint32_t)asked : MOST;
}

void wf_http_scan_init(struct weft_http_scan_ *s, enum wf_kind kind,
                       unsigned room, const weft_http_limits *limits)
{
    static const weft_http_limits usual = {.line = LINE};
    if (!limits) limits = &usual;
    uint32_t fields = limit(limits->fields, FIELDS);
    s->length_ = 0;
    s->at_ = s->first_ = s->host_ = 0;
    s->line_limit_ = limit(limits->line, LINE);
    s->head_limit_ = limit(limits->head, HEAD);
    s->field_limit_ = fields < room ? fields : room;
    s->state_ = kind == WF_TRAILERS ? WF_AT_LINE : WF_AT_START;
    s->kind_ = (uint8_t)kind;
    s->step_ = s->major_ = s->wrong_ = 0;
    s->seen_ = s->code_ = 0;
}

/* ---- the first line ----------------------------------------------------- */

enum { VERSION = 8, MAJOR = 5, DOT = 6, MINOR = 7 };

static enum wf_wrong version_octet(struct weft_http_scan_ *s, char c,
                                   int *ret_minor)
{
    static const char form[VERSION] = {'H', 'T', 'T', 'P', '/', '0', '.', '0'};
    unsigned step = s->step_++;
    if (step != MAJOR && step != MINOR)
        return c == form[step] ? WF_WRONG_NOTHING : WF_WRONG_VERSION;
    if (!wf_octet_is(c, WF_OCTET_DIGIT)) return WF_WRONG_VERSION;
    if (step == MAJOR)
        s->major_ = (uint8_t)(c - '0');
    else if (s->major_ != 1)
        return WF_WRONG_MAJOR;
    else
        *ret_minor = c != '0';
    return WF_WRONG_NOTHING;
}

enum wf_wrong wf_http_version(struct weft_http_scan_ *s, const char **p,
                              const char *stop, int *ret_minor)
{
    enum wf_wrong wrong = WF_WRONG_NOTHING;
    if (s->step_ == 0 && stop - *p >= VERSION &&
        memcmp(*p, "HTTP/1.1", VERSION) == 0) {
        *p += VERSION;
        *ret_minor = 1;
        s->step_ = VERSION;
    }
    while (s->step_ < VERSION && *p < stop && !wrong)
        wrong = version_octet(s, *(*p)++, ret_minor);
    return wrong;
}

int wf_http_line_lf(struct weft_http_scan_ *s, const char *data, const char **p,
                    const char *end)
{
    if (s->state_ != WF_AT_LINE_LF) {
        if (*p == end)
            return wf_http_line_more(s, WF_AT_LINE_END, data, *p, end);
        if (**p != '\r') {
            bool is_long =
                (size_t)(*p - data) >= (size_t)s->first_ + s->line_limit_;
            return wf_http_refuse(s, is_long ? WF_WRONG_LINE_LONG
                                             : WF_WRONG_LINE_END);
        }
        ++*p;
    }
    if (*p == end) return wf_http_line_more(s, WF_AT_LINE_LF, data, *p, end);
    if (**p != '\n') return wf_http_refuse(s, WF_WRONG_LINE_END);
    ++*p;
    (void)wf_http_more(s, WF_AT_LINE, data, *p);
    return 1;
}

/* ---- field lines -------------------------------------------------------- */

static int more(struct weft_http_scan_ *s, enum wf_state state,
                const char *data, const char *p)
{
    if (wf_http_is_full(s, data, p))
        return wf_http_refuse(s, WF_WRONG_HEAD_LONG);
    return wf_http_more(s, state, data, p);
}

/* Up to what is no octet of a name; most names have no other than those that
 * the scan passes. */
static const char *name_end(const char *p, const char *end)
{
    for (;; p++) {
        p = wf_scan_name(p, end);
        if (p == end || !wf_octet_is(*p, WF_OCTET_TOKEN)) return p;
    }
}

/* Where a name that begins at p must have ended, or the octets do. */
static const char *name_stop(const char *p, const char *end)
{
    return end - p > LONGEST_NAME ? p + LONGEST_NAME : end;
}

static uint32_t trimmed(const char *value, const char *end)
{
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (uint32_t)(end - value);
}

int wf_http_field_lines(struct weft_http_scan_ *s, weft_http_fields *f,
                        const char *data, size_t len)
{
    static weft_http_mark none; /* without room there is no line to mark */
    const char *p = data + s->at_;
    const char *const end = wf_http_end(s, data, len);
    weft_http_mark *mark = f->room ? f->marks + f->count : &none;
    const bool is_long = end - data > LONGEST_NAME;
    const char *start, *stop;
    enum wf_wrong wrong;

    switch (s->state_) {
    case WF_AT_NAME:
        goto name;
    case WF_AT_SPACE:
        goto space;
    case WF_AT_VALUE:
        goto value;
    case WF_AT_VALUE_LF:
        goto value_lf;
    case WF_AT_END_LF:
        goto end_lf;
    default:
        break;
    }

line:
    if (p == end) return more(s, WF_AT_LINE, data, p);
    if (*p == '\r') {
        p++;
        goto end_lf;
    }
    if (f->count == s->field_limit_)
        return wf_http_refuse(s, WF_WRONG_FIELDS_MANY);
    mark->name = (uint32_t)(p - data);
    if (*p == ' ' || *p == '\t') return wf_http_refuse(s, WF_WRONG_FOLD);

name:
    start = data + mark->name;
    stop = is_long ? name_stop(start, end) : end;
    p = name_end(p, stop);
    if (p == end) return more(s, WF_AT_NAME, data, p);
    if (p == stop && *p != ':') return wf_http_refuse(s, WF_WRONG_NAME_LONG);
    if (*p != ':' || p == start) return wf_http_refuse(s, WF_WRONG_NAME);
    mark->name_len = (uint16_t)(p - start);
    mark->known_ = (uint16_t)wf_http_known(start, mark->name_len);
    p++;

space:
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    mark->value = (uint32_t)(p - data);
    if (p == end) return more(s, WF_AT_SPACE, data, p);

value:
    p = wf_scan_value(p, end);
    if (p == end) return more(s, WF_AT_VALUE, data, p);
    if (*p != '\r')
        return wf_http_refuse(s,
                              *p == '\n' ? WF_WRONG_LINE_END : WF_WRONG_VALUE);
    mark->value_len = trimmed(data + mark->value, p);
    p++;

value_lf:
    if (p == end) return more(s, WF_AT_VALUE_LF, data, p);
    if (*p != '\n') return wf_http_refuse(s, WF_WRONG_LINE_END);
    p++;
    if (mark->known_ || s->kind_ == WF_TRAILERS) {
        wrong = wf_http_heed(s, mark, f->count, data);
        if (wrong) return wf_http_refuse(s, wrong);
    }
    f->count++;
    mark++;
    goto line;

end_lf:
    if (p == end) return more(s, WF_AT_END_LF, data, p);
    if (*p != '\n') return wf_http_refuse(s, WF_WRONG_LINE_END);
    (void)wf_http_more(s, WF_AT_END, data, p + 1);
    return 1;
}
