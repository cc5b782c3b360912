/* SPDX-License-Identifier: MIT */
/*
 * head.h - what the parsers of heads and of trailers share.
 *
 * A state says which part the octet at `at_` is of. A part that ends within
 * the octets at hand is read in one go; one that does not leaves the state, and
 * what it has found so far in the request, the response or the unfinished mark.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <weft/http_parse.h>

#include "wrong.h"

enum wf_state {
    /* the first line */
    WF_AT_START, /* an empty line may be passed over */
    WF_AT_START_LF,
    WF_AT_METHOD,
    WF_AT_TARGET,
    WF_AT_ESCAPE,
    WF_AT_ESCAPE_LOW,
    WF_AT_VERSION,
    WF_AT_STATUS, /* from the SP before to the SP behind */
    WF_AT_REASON,
    WF_AT_LINE_END,
    WF_AT_LINE_LF,
    /* the field lines */
    WF_AT_LINE,
    WF_AT_NAME,
    WF_AT_SPACE,
    WF_AT_VALUE,
    WF_AT_VALUE_LF,
    WF_AT_END_LF,
    WF_AT_END, /* the head is whole */
    WF_AT_WRONG
};

enum wf_kind { WF_REQUEST, WF_RESPONSE, WF_TRAILERS };

/* Of seen_. */
enum {
    WF_SEEN_HOST = 1,
    WF_SEEN_LENGTH = 2,
    WF_SEEN_CODING = 4,
    WF_SEEN_CHUNKED = 8,
    WF_SEEN_OTHER_CODING = 16,
    WF_SEEN_CLOSE = 32,
    WF_SEEN_KEEP_ALIVE = 64,
    WF_SEEN_UPGRADE_OPTION = 128, /* Connection: upgrade */
    WF_SEEN_UPGRADE = 256,
    WF_SEEN_CONTINUE = 512,
    WF_SEEN_OTHER_EXPECT = 1024
};

void wf_http_scan_init(struct weft_http_scan_ *s, enum wf_kind kind,
                       unsigned room, const weft_http_limits *limits);

/* From WF_AT_LINE on: 1, all are read; 0; -EBADMSG, s->wrong_ tells. */
int wf_http_field_lines(struct weft_http_scan_ *s, weft_http_fields *f,
                        const char *data, size_t len);

/* Leaves the state where it is, and returns what the parser does. */
static inline int wf_http_more(struct weft_http_scan_ *s, enum wf_state state,
                               const char *data, const char *p)
{
    s->state_ = (uint8_t)state;
    s->at_ = (uint32_t)(p - data);
    return 0;
}

static inline int wf_http_refuse(struct weft_http_scan_ *s, enum wf_wrong wrong)
{
    s->state_ = WF_AT_WRONG;
    s->wrong_ = (uint8_t)wrong;
    return -EBADMSG;
}

/* The head's end as far as the octets and its limit go. */
static inline const char *wf_http_end(const struct weft_http_scan_ *s,
                                      const char *data, size_t len)
{
    return data + (len < s->head_limit_ ? len : s->head_limit_);
}

static inline bool wf_http_is_full(const struct weft_http_scan_ *s,
                                   const char *data, const char *p)
{
    return (size_t)(p - data) >= s->head_limit_;
}

/* Where the first line must have ended. */
static inline const char *wf_http_line_end(const struct weft_http_scan_ *s,
                                           const char *data, const char *end)
{
    size_t most = (size_t)s->first_ + s->line_limit_;
    return (size_t)(end - data) > most ? data + most : end;
}

/* The first line goes on behind p, where the octets or its limit end. */
static inline int wf_http_line_more(struct weft_http_scan_ *s,
                                    enum wf_state state, const char *data,
                                    const char *p, const char *end)
{
    if (p < end || wf_http_is_full(s, data, p))
        return wf_http_refuse(s, WF_WRONG_LINE_LONG);
    return wf_http_more(s, state, data, p);
}

/* Moves *p on through "HTTP/1.1" up to stop. step_ is 8 when it is read, and
 * *ret_minor is written. */
enum wf_wrong wf_http_version(struct weft_http_scan_ *s, const char **p,
                              const char *stop, int *ret_minor);

/* The CR LF of the first line. 1, with *p behind it, and the state so; 0;
 * -EBADMSG. */
int wf_http_line_lf(struct weft_http_scan_ *s, const char *data, const char **p,
                    const char *end);

#endif
