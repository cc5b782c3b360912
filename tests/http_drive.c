/* SPDX-License-Identifier: MIT */
/*
 * http_drive.c - a stream, a piece at a time, through the parsers.
 *
 * A unit is what a parser wants to see from its first octet on: a head, or the
 * trailers. Of a body only what is new is shown.
 */
#include "http_drive.h"

#include <weft/http_parse.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARKS = 100, INTERIMS = 32 };

enum phase { HEAD, LENGTH, CHUNKS, TRAILERS, UNTIL_CLOSE, DONE };

struct drive {
    const char *octets;
    size_t len, from, have; /* where the unit begins; octets delivered */
    char *copy;             /* of those from `from` to `have` */
    enum phase phase;
    bool is_response, keep, between;
    int interims;
    weft_http_verb asked;
    uint64_t left;
    weft_http_mark marks[MARKS];
    weft_http_request request;
    weft_http_response response;
    weft_http_chunked chunked;
    weft_http_trailers trailers;
    struct http_outcome body, *out;
    size_t before; /* of *out, this message */
};

#define MUST(cond)                                                             \
    do {                                                                       \
        if (!(cond)) broken(d, #cond, __LINE__);                               \
    } while (0)

__attribute__((noreturn)) static void broken(const struct drive *d,
                                             const char *what, int line)
{
    struct http_outcome o = {0};
    outcome_quote(&o, d->octets, d->len);
    (void)fprintf(stderr, "http_drive.c:%d: not so: %s\n%s\n", line, what,
                  outcome_text(&o));
    abort();
}

/* What is there of the unit, at the end of memory of its own. */
static const char *show(struct drive *d)
{
    size_t len = d->have - d->from;
    free(d->copy);
    d->copy = malloc(len ? len : 1);
    if (!d->copy) abort();
    if (len) memcpy(d->copy, d->octets + d->from, len);
    return d->copy;
}

/* ---- what is told ------------------------------------------------------- */

static void tell_text(struct drive *d, const char *name, weft_text t)
{
    outcome_detail(d->out, name, t.at, t.len);
}

static void tell_fields(struct drive *d, const weft_http_fields *f)
{
    weft_text name, value;
    for (size_t i = 0; weft_http_field_at(f, i, &name, &value); i++) {
        tell_text(d, "name", name);
        tell_text(d, "value", value);
    }
}

static void tell_request(struct drive *d)
{
    const weft_http_request *r = &d->request;
    outcome_request(d->out, r->method.at, r->method.len, r->target.at,
                    r->target.len);
    tell_text(d, "path", r->path);
    tell_text(d, "query", r->query);
    tell_text(d, "host", r->host);
    if (r->expects_continue) outcome_detail(d->out, "expects", "", 0);
    if (r->upgrades) outcome_detail(d->out, "upgrades", "", 0);
    tell_fields(d, &r->fields);
}

static void tell_response(struct drive *d)
{
    outcome_printf(d->out, "%d", d->response.status);
    tell_text(d, "reason", d->response.reason);
    tell_fields(d, &d->response.fields);
}

static void tell_body(struct drive *d, const char *framing)
{
    outcome_printf(d->out, " %s ", framing);
    outcome_quote(d->out, d->body.text, d->body.len);
}

/* ---- messages ----------------------------------------------------------- */

static void begin(struct drive *d)
{
    d->phase = HEAD;
    d->between = true;
    d->before = d->out->len;
    outcome_clear(&d->body);
    if (d->is_response)
        weft_http_response_init(&d->response, d->asked, d->marks, MARKS, NULL);
    else
        weft_http_request_init(&d->request, d->marks, MARKS, NULL);
}

static void refuse(struct drive *d, int status)
{
    d->out->len = d->before;
    if (d->is_response)
        outcome_printf(d->out, "! refused\n");
    else
        outcome_refused(d->out, status);
    d->phase = DONE;
}

static void end_request(struct drive *d)
{
    outcome_printf(d->out, d->keep ? " keep\n" : " close\n");
    begin(d);
    if (!d->keep) d->phase = DONE;
}

static void end_response(struct drive *d)
{
    outcome_printf(d->out, !d->keep           ? " close\n"
                           : d->from < d->len ? " dirty\n"
                                              : " keep\n");
    d->phase = DONE;
}

static void end(struct drive *d)
{
    if (d->is_response)
        end_response(d);
    else
        end_request(d);
}

static void begin_body(struct drive *d, weft_http_framing framing,
                       uint64_t length)
{
    d->left = length;
    switch (framing) {
    case WEFT_HTTP_NO_BODY:
        end(d);
        return;
    case WEFT_HTTP_LENGTH:
        d->phase = LENGTH;
        return;
    case WEFT_HTTP_CHUNKED:
        weft_http_chunked_init(&d->chunked);
        d->phase = CHUNKS;
        return;
    case WEFT_HTTP_UNTIL_CLOSE:
        MUST(d->is_response && !d->keep);
        d->phase = UNTIL_CLOSE;
        return;
    }
}

/* ---- heads -------------------------------------------------------------- */

static void request_is_refused(struct drive *d, const char *data, size_t len)
{
    weft_http_request *r = &d->request;
    int status = r->status;
    MUST(status >= 400 && status <= 599 && r->wrong && r->wrong[0]);
    MUST(!r->keep_alive);
    MUST(weft_http_parse_request(r, data, len) == -EBADMSG);
    MUST(r->status == status);
    refuse(d, status);
}

static bool request_head(struct drive *d)
{
    const char *data = show(d);
    size_t len = d->have - d->from;
    weft_http_request *r = &d->request;
    ssize_t n = weft_http_parse_request(r, data, len);
    MUST(n >= 0 || n == -EBADMSG);
    if (n < 0) request_is_refused(d, data, len);
    if (n <= 0) return false;
    MUST((size_t)n <= len && r->status == 0 && !r->wrong);
    MUST(weft_http_parse_request(r, data, len) == n);
    char *old = d->copy;
    d->copy = NULL;
    weft_http_request_move(r, show(d));
    free(old);
    d->from += (size_t)n;
    d->keep = r->keep_alive;
    tell_request(d);
    begin_body(d, r->framing, r->length);
    return true;
}

/* One that is not the last, or that none can follow: whether it was. */
static bool was_special(struct drive *d)
{
    const weft_http_response *r = &d->response;
    if (r->upgrades) {
        outcome_printf(d->out, "%d switch\n", r->status);
        d->phase = DONE;
    } else if (r->status == 101 ||
               (r->status / 100 == 1 && ++d->interims > INTERIMS)) {
        refuse(d, 0);
    } else if (r->status / 100 == 1) {
        outcome_printf(d->out, "%d interim\n", r->status);
        begin(d);
        d->between = false; /* it cannot end here */
    } else {
        return false;
    }
    return true;
}

static bool response_head(struct drive *d)
{
    const char *data = show(d);
    size_t len = d->have - d->from;
    weft_http_response *r = &d->response;
    ssize_t n = weft_http_parse_response(r, data, len);
    MUST(n >= 0 || n == -EBADMSG);
    if (n < 0) {
        MUST(r->wrong && r->wrong[0] && !r->keep_alive);
        MUST(weft_http_parse_response(r, data, len) == -EBADMSG);
        refuse(d, 0);
    }
    if (n <= 0) return false;
    MUST((size_t)n <= len && !r->wrong);
    MUST(weft_http_parse_response(r, data, len) == n);
    char *old = d->copy;
    d->copy = NULL;
    weft_http_response_move(r, show(d));
    free(old);
    d->from += (size_t)n;
    if (was_special(d)) return true;
    d->keep = r->keep_alive;
    tell_response(d);
    begin_body(d, r->framing, r->length);
    return true;
}

/* ---- bodies ------------------------------------------------------------- */

static bool body_of_length(struct drive *d)
{
    uint64_t here = d->have - d->from;
    if (here > d->left) here = d->left;
    outcome_add(&d->body, d->octets + d->from, (size_t)here);
    d->from += (size_t)here;
    d->left -= here;
    if (d->left > 0) return false;
    tell_body(d, "length");
    end(d);
    return true;
}

static bool chunks(struct drive *d)
{
    const char *data = show(d);
    size_t len = d->have - d->from;
    weft_text run = {NULL, 0};
    ssize_t n = weft_http_dechunk(&d->chunked, data, len, &run);
    MUST(n >= 0 || n == -EBADMSG);
    if (n < 0) {
        MUST(d->chunked.wrong && d->chunked.wrong[0] && run.len == 0);
        MUST(weft_http_dechunk(&d->chunked, data, len, &run) == -EBADMSG);
        refuse(d, 400);
        return false;
    }
    MUST((size_t)n <= len && (n > 0 || len == 0 || d->chunked.trailers));
    MUST(run.len == 0 || (run.at >= data && run.at + run.len <= data + n));
    outcome_add(&d->body, run.at, run.len);
    d->from += (size_t)n;
    if (d->chunked.trailers) {
        weft_http_trailers_init(&d->trailers, d->marks, MARKS, NULL);
        d->phase = TRAILERS;
    }
    return n > 0 || d->chunked.trailers;
}

static bool trailers(struct drive *d)
{
    const char *data = show(d);
    size_t len = d->have - d->from;
    weft_http_trailers *t = &d->trailers;
    ssize_t n = weft_http_parse_trailers(t, data, len);
    MUST(n >= 0 || n == -EBADMSG);
    if (n < 0) {
        MUST(t->status == 400 || t->status == 431);
        MUST(t->wrong && t->wrong[0]);
        refuse(d, t->status);
    }
    if (n <= 0) return false;
    MUST((size_t)n <= len && t->status == 0 && !t->wrong);
    d->from += (size_t)n;
    tell_body(d, "chunked");
    tell_fields(d, &t->fields);
    end(d);
    return true;
}

static bool until_close(struct drive *d)
{
    outcome_add(&d->body, d->octets + d->from, d->have - d->from);
    d->from = d->have;
    return false;
}

/* ---- all of it ---------------------------------------------------------- */

/* One step; false: nothing can be done with what is there. */
static bool step(struct drive *d)
{
    switch (d->phase) {
    case HEAD:
        if (d->from == d->have) return false;
        d->between = false;
        return d->is_response ? response_head(d) : request_head(d);
    case LENGTH:
        return body_of_length(d);
    case CHUNKS:
        return chunks(d);
    case TRAILERS:
        return trailers(d);
    case UNTIL_CLOSE:
        return until_close(d);
    case DONE:
        break;
    }
    return false;
}

static void deliver(struct drive *d, struct http_pieces p)
{
    size_t piece = p.first;
    begin(d);
    for (;;) {
        if (piece == 0 || piece > d->len - d->have) piece = d->len - d->have;
        d->have += piece;
        while (step(d))
            ;
        if (d->have == d->len || d->phase == DONE) return;
        piece = p.then;
    }
}

/* The stream has ended: before a message, behind the last, or within one. */
static void stream_ends(struct drive *d)
{
    if (d->phase == UNTIL_CLOSE) {
        tell_body(d, "until-close");
        end(d);
        return;
    }
    if (d->phase == DONE || (d->between && !d->is_response)) return;
    d->out->len = d->before;
    if (d->is_response)
        outcome_printf(d->out, "! cut\n");
    else
        outcome_more(d->out);
}

static void drive(struct drive *d, struct http_pieces p)
{
    deliver(d, p);
    stream_ends(d);
    outcome_free(&d->body);
    free(d->copy);
}

void http_drive_requests(const char *octets, size_t len, struct http_pieces p,
                         struct http_outcome *ret)
{
    struct drive d = {.octets = octets, .len = len, .out = ret};
    drive(&d, p);
}

void http_drive_response(const char *octets, size_t len, const char *asked,
                         struct http_pieces p, struct http_outcome *ret)
{
    struct drive d = {.octets = octets,
                      .len = len,
                      .out = ret,
                      .is_response = true,
                      .asked = weft_http_verb_of(weft_text_of(asked))};
    drive(&d, p);
}
