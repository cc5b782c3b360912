/* SPDX-License-Identifier: MIT */
/*
 * chunked.c - takes a chunked body apart (RFC 9112, 7.1).
 *
 * An octet that is refused changes nothing, so that it can be left for the next
 * call when a run of the body stands before it.
 */
#include <weft/http_parse.h>

#include "octets.h"
#include "wrong.h"

enum {
    AT_SIZE,
    AT_SEPARATOR,  /* behind a space: another extension has to come */
    AT_NAME,       /* behind ';', of an extension */
    AT_NAME_REST,  /* it has an octet */
    AT_NAME_SPACE, /* it has ended */
    AT_VALUE,      /* behind '=' */
    AT_VALUE_REST, /* it is a token with an octet */
    AT_QUOTED,
    AT_ESCAPED,
    AT_QUOTED_END, /* behind it */
    AT_SIZE_LF,
    AT_DATA,
    AT_DATA_CR,
    AT_DATA_LF
};

enum { MOST_DIGITS = 16, BODY_FOR_CREDIT = 16 };

void weft_http_chunked_init(weft_http_chunked *c)
{
    *c = (weft_http_chunked){.credit_ = WEFT_HTTP_EXTENSIONS};
}

static bool is_space(char octet)
{
    return octet == ' ' || octet == '\t';
}

/* What may follow the size, or an extension that could end here: *ret_state is
 * where that leads. */
static bool is_part_end(char octet, uint8_t *ret_state)
{
    if (octet == ';')
        *ret_state = AT_NAME;
    else if (is_space(octet))
        *ret_state = AT_SEPARATOR;
    else if (octet == '\r')
        *ret_state = AT_SIZE_LF;
    else
        return false;
    return true;
}

/* ';' and all that follows it up to CR is paid for. */
static bool may_extend(const weft_http_chunked *c, char octet)
{
    return octet == '\r' || c->credit_ > 0;
}

static void pay(weft_http_chunked *c, char octet)
{
    if (octet != '\r') c->credit_--;
}

static enum wf_wrong digit(weft_http_chunked *c, char octet)
{
    uint64_t size = c->left_ << 4 | wf_octet_hex(octet);
    if (c->digits_ == MOST_DIGITS || size > INT64_MAX)
        return WF_WRONG_CHUNK_LARGE;
    c->left_ = size;
    c->digits_++;
    return WF_WRONG_NOTHING;
}

static enum wf_wrong size_octet(weft_http_chunked *c, char octet)
{
    uint8_t next;
    if (wf_octet_is(octet, WF_OCTET_HEX)) return digit(c, octet);
    if (c->digits_ == 0 || !is_part_end(octet, &next))
        return WF_WRONG_CHUNK_SIZE;
    if (!may_extend(c, octet)) return WF_WRONG_CHUNK_EXTENSIONS_LONG;
    pay(c, octet);
    c->state_ = next;
    return WF_WRONG_NOTHING;
}

/* A token's octet leads to `rest`. */
static bool is_token_octet(char octet, uint8_t rest, uint8_t *ret_state)
{
    if (!wf_octet_is(octet, WF_OCTET_TOKEN)) return false;
    *ret_state = rest;
    return true;
}

/* Where an octet of an extension leads, if it may be there. */
static bool extension_octet(uint8_t *state, char octet)
{
    switch (*state) {
    case AT_SEPARATOR:
        if (octet == ';') *state = AT_NAME;
        return octet == ';' || is_space(octet);
    case AT_NAME:
        if (is_space(octet)) return true;
        return is_token_octet(octet, AT_NAME_REST, state);
    case AT_NAME_REST:
        if (octet == '=')
            *state = AT_VALUE;
        else if (is_space(octet))
            *state = AT_NAME_SPACE;
        else if (!wf_octet_is(octet, WF_OCTET_TOKEN))
            return is_part_end(octet, state);
        return true;
    case AT_NAME_SPACE:
        if (octet == '=') *state = AT_VALUE;
        if (octet == ';') *state = AT_NAME;
        return octet == '=' || octet == ';' || is_space(octet);
    case AT_VALUE:
        if (is_space(octet)) return true;
        if (octet == '"') {
            *state = AT_QUOTED;
            return true;
        }
        return is_token_octet(octet, AT_VALUE_REST, state);
    case AT_VALUE_REST:
        return wf_octet_is(octet, WF_OCTET_TOKEN) || is_part_end(octet, state);
    case AT_QUOTED:
        if (octet == '"') *state = AT_QUOTED_END;
        if (octet == '\\') *state = AT_ESCAPED;
        return wf_octet_is(octet, WF_OCTET_VALUE);
    case AT_ESCAPED:
        *state = AT_QUOTED;
        return wf_octet_is(octet, WF_OCTET_VALUE);
    default: /* AT_QUOTED_END */
        return is_part_end(octet, state);
    }
}

static enum wf_wrong extension(weft_http_chunked *c, char octet)
{
    uint8_t next = c->state_;
    if (!may_extend(c, octet)) return WF_WRONG_CHUNK_EXTENSIONS_LONG;
    if (!extension_octet(&next, octet)) return WF_WRONG_CHUNK_EXTENSION;
    pay(c, octet);
    c->state_ = next;
    return WF_WRONG_NOTHING;
}

/* The line of the size is whole. */
static void begin_data(weft_http_chunked *c)
{
    uint64_t credit = c->credit_ + c->left_ / BODY_FOR_CREDIT;
    c->credit_ =
        credit < WEFT_HTTP_EXTENSIONS ? (uint32_t)credit : WEFT_HTTP_EXTENSIONS;
    c->digits_ = 0;
    c->state_ = AT_DATA;
    c->trailers = c->left_ == 0;
}

/* An octet of any part but the data. */
static enum wf_wrong line_octet(weft_http_chunked *c, char octet)
{
    switch (c->state_) {
    case AT_SIZE:
        return size_octet(c, octet);
    case AT_SIZE_LF:
        if (octet != '\n') return WF_WRONG_CHUNK_LINE_END;
        begin_data(c);
        return WF_WRONG_NOTHING;
    case AT_DATA_CR:
        if (octet != '\r') return WF_WRONG_CHUNK_END;
        c->state_ = AT_DATA_LF;
        return WF_WRONG_NOTHING;
    case AT_DATA_LF:
        if (octet != '\n') return WF_WRONG_CHUNK_END;
        c->state_ = AT_SIZE;
        return WF_WRONG_NOTHING;
    default:
        return extension(c, octet);
    }
}

static weft_text take_data(weft_http_chunked *c, const char *data, size_t len)
{
    if (len > c->left_) len = (size_t)c->left_;
    c->left_ -= len;
    if (c->left_ == 0) c->state_ = AT_DATA_CR;
    return (weft_text){data, len};
}

ssize_t weft_http_dechunk(weft_http_chunked *c, const char *data, size_t len,
                          weft_text *ret_body)
{
    weft_text body = {data, 0};
    enum wf_wrong wrong = WF_WRONG_NOTHING;
    size_t at = 0;
    if (c->wrong) return -EBADMSG;
    while (at < len && !c->trailers && !wrong) {
        if (c->state_ == AT_DATA) {
            if (body.len > 0) break;
            body = take_data(c, data + at, len - at);
            at += body.len;
        } else {
            wrong = line_octet(c, data[at]);
            if (!wrong) at++;
        }
    }
    if (wrong && body.len == 0) {
        c->wrong = wf_http_wrong(wrong).sentence;
        return -EBADMSG;
    }
    *ret_body = body;
    return (ssize_t)at;
}
