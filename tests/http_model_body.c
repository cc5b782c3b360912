/* SPDX-License-Identifier: MIT */
/* http_model_body.c - bodies of a length, and of chunks (RFC 9112, 6 and 7). */
#include "http_model_parts.h"

bool model_body_of_length(struct model *m, uint64_t length)
{
    uint64_t here = m->len - m->at;
    if (here > length) here = length;
    outcome_add(&m->body, m->octets + m->at, (size_t)here);
    m->at += (size_t)here;
    return here == length ? true : refuse(m, MORE);
}

static bool chunk_octet(struct model *m, int wanted)
{
    int c = next(m);
    if (c < 0) return refuse(m, MORE);
    if (c != wanted) return refuse(m, 400);
    m->at++;
    return true;
}

static bool chunk_size(struct model *m, uint64_t *ret_size)
{
    uint64_t size = 0;
    int digits = 0;
    for (; hex_value(next(m)) >= 0; m->at++) {
        if (++digits > 16 || size > INT64_MAX / 16) return refuse(m, 400);
        size = size * 16 + (uint64_t)hex_value(next(m));
    }
    if (next(m) < 0) return refuse(m, MORE);
    *ret_size = size;
    return digits > 0 ? true : refuse(m, 400);
}

/* BWS of RFC 9110, 5.6.3: no sender may make it, and every recipient reads it. */
static bool bad_space(struct model *m)
{
    while (next(m) == ' ' || next(m) == '\t')
        m->at++;
    return next(m) >= 0 ? true : refuse(m, MORE);
}

static bool token(struct model *m)
{
    size_t from = m->at;
    while (is_token_octet(next(m)))
        m->at++;
    if (next(m) < 0) return refuse(m, MORE);
    return m->at > from ? true : refuse(m, 400);
}

static bool quoted_string(struct model *m)
{
    for (m->at++; next(m) != '"'; m->at++) {
        if (next(m) == '\\') m->at++;
        if (next(m) < 0) return refuse(m, MORE);
        if (!is_value_octet(next(m))) return refuse(m, 400);
    }
    m->at++;
    return true;
}

static bool chunk_extension(struct model *m)
{
    m->at++;
    if (!bad_space(m) || !token(m)) return false;
    size_t end = m->at;
    if (!bad_space(m)) return false;
    if (next(m) != '=') {
        m->at = end; /* it is in front of the next one, if any */
        return true;
    }
    m->at++;
    if (!bad_space(m)) return false;
    return next(m) == '"' ? quoted_string(m) : token(m);
}

static bool chunk_line(struct model *m, uint64_t *ret_size)
{
    if (!chunk_size(m, ret_size)) return false;
    size_t from = m->at;
    for (;;) {
        size_t end = m->at;
        if (!bad_space(m)) return false;
        if (next(m) != ';') {
            if (m->at > end) return refuse(m, 400);
            break;
        }
        if (!chunk_extension(m)) return false;
    }
    m->extensions += m->at - from;
    if (m->extensions > EXTENSION_LIMIT + m->body.len / 16)
        return refuse(m, 400);
    return chunk_octet(m, '\r') && chunk_octet(m, '\n');
}

/* RFC 9110, 6.5.1: framing, routing, authentication, request modifiers,
 * response controls, and what the content is. */
static bool may_come_late(struct model *m, const struct field *f)
{
    static const char *const names =
        " content-length transfer-encoding connection keep-alive te trailer"
        " upgrade proxy-connection host authorization www-authenticate"
        " proxy-authenticate proxy-authorization authentication-info"
        " proxy-authentication-info cookie set-cookie cache-control expect"
        " max-forwards pragma range if-match if-none-match if-modified-since"
        " if-unmodified-since if-range age date expires location retry-after"
        " vary warning content-encoding content-type content-range"
        " content-location ";
    (void)m;
    for (const char *at = names + 1; *at; at = strchr(at, ' ') + 1)
        if (f->name.len == strcspn(at, " ") &&
            strncasecmp(f->name.at, at, f->name.len) == 0)
            return false;
    return true;
}

bool model_chunked_body(struct model *m)
{
    uint64_t size;
    do {
        if (!chunk_line(m, &size)) return false;
        if (size == 0) break;
        if (!model_body_of_length(m, size)) return false;
        if (!chunk_octet(m, '\r') || !chunk_octet(m, '\n')) return false;
    } while (size > 0);
    m->head = m->at;
    return model_field_section(m, may_come_late);
}
