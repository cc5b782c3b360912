/* SPDX-License-Identifier: MIT */
/*
 * http_model_parts.h - what the files of the model share.
 *
 * Each function reads what its name says and returns whether it was there. If
 * not, m->verdict says why: MORE octets are needed, or a status.
 */
#ifndef TESTS_HTTP_MODEL_PARTS_H
#define TESTS_HTTP_MODEL_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "http_model.h"

enum {
    MORE = 1,
    LINE_LIMIT = 16384,
    HEAD_LIMIT = 65536,
    FIELD_LIMIT = 100,
    METHOD_LIMIT = 32,
    EXTENSION_LIMIT = 16384
};

struct span {
    const char *at;
    size_t len;
};

struct field {
    struct span name, value;
};

struct model {
    const char *octets;
    size_t len, at;
    size_t head, line; /* where they began */
    bool in_first_line;
    int verdict;

    /* the message */
    bool is_response;
    struct span method, target, path, query, authority, reason;
    struct field fields[FIELD_LIMIT];
    size_t count;
    int major, minor, status;
    bool has_length, has_coding, has_other_coding, has_chunked, has_host;
    uint64_t length;
    struct http_outcome body;
    size_t extensions; /* of its chunks, in octets */
};

static inline bool refuse(struct model *m, int verdict)
{
    m->verdict = verdict;
    return false;
}

/* ---- octets ------------------------------------------------------------- */

static inline bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_alpha(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline int hex_value(int c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static inline bool is_one_of(int c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static inline bool is_token_octet(int c)
{
    return is_digit(c) || is_alpha(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

static inline bool is_space(int c)
{
    return c == ' ' || c == '\t';
}

/* field-vchar, SP and HTAB. */
static inline bool is_value_octet(int c)
{
    return c == '\t' || (c >= ' ' && c <= '~') || c >= 0x80;
}

/* The next octet, which stays; -1: there is none. */
static inline int next(const struct model *m)
{
    return m->at < m->len ? (unsigned char)m->octets[m->at] : -1;
}

/* The CR LF of a line is no part of it. */
static inline bool line_is_too_long(const struct model *m, int c)
{
    if (!m->in_first_line || m->at - m->line < LINE_LIMIT) return false;
    return c != '\r' && !(c == '\n' && m->octets[m->at - 1] == '\r');
}

/* The same within a head; where a limit is passed, or the octets are at their
 * end, -1 and a verdict. */
static inline int next_of_head(struct model *m)
{
    int c = next(m);
    if (c < 0)
        m->verdict = MORE;
    else if (line_is_too_long(m, c))
        m->verdict = 414;
    else if (m->at - m->head >= HEAD_LIMIT)
        m->verdict = m->in_first_line ? 414 : 431;
    else
        return c;
    return -1;
}

/* This octet and no other. */
static inline bool octet(struct model *m, int wanted)
{
    int c = next_of_head(m);
    if (c < 0) return false;
    if (c != wanted) return refuse(m, 400);
    m->at++;
    return true;
}

static inline bool octets(struct model *m, const char *wanted)
{
    for (; *wanted; wanted++)
        if (!octet(m, (unsigned char)*wanted)) return false;
    return true;
}

static inline bool line_end(struct model *m)
{
    return octets(m, "\r\n");
}

static inline struct span since(const struct model *m, size_t from)
{
    return (struct span){m->octets + from, m->at - from};
}

static inline struct span part(struct span s, size_t from, size_t to)
{
    return (struct span){s.at + from, to - from};
}

static inline struct span trimmed(struct span s)
{
    while (s.len > 0 && is_space(s.at[0]))
        s = part(s, 1, s.len);
    while (s.len > 0 && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

static inline bool same(struct span s, const char *text)
{
    return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

static inline bool is_exactly(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static inline struct span without(struct span s, size_t octets)
{
    return part(s, octets, s.len);
}

static inline bool a_digit(struct model *m, int *ret)
{
    int c = next_of_head(m);
    if (c < 0) return false;
    if (!is_digit(c)) return refuse(m, 400);
    *ret = c - '0';
    m->at++;
    return true;
}

static inline bool version(struct model *m)
{
    if (!octets(m, "HTTP/") || !a_digit(m, &m->major) || !octet(m, '.') ||
        !a_digit(m, &m->minor))
        return false;
    return m->major == 1 ? true : refuse(m, 505);
}

/* ---- by file ------------------------------------------------------------ */

/* http_model_host.c: uri-host [ ":" port ]; a port that is wanted is over 0. */
bool model_is_authority(struct span s, bool port_wanted);

/* http_model_fields.c: all field lines and the empty one behind, each of which
 * is right if `right` says so; such as line_is_right, for heads. */
typedef bool model_right(struct model *m, const struct field *f);
bool model_field_section(struct model *m, model_right *right);
bool model_line_is_right(struct model *m, const struct field *f);

/* How many members of the lists of that name are the token, or are not; empty
 * ones do not count. */
size_t model_members(const struct model *m, const char *name, const char *token,
                     bool wanted);
bool model_has(const struct model *m, const char *name, const char *token);
bool model_keeps(const struct model *m);            /* the connection */
bool model_asks_for_another(const struct model *m); /* protocol */

/* http_model_body.c: octets go to m->body. */
bool model_body_of_length(struct model *m, uint64_t length);
bool model_chunked_body(struct model *m);

/* http_model.c */
void model_begin(struct model *m);
void model_tell_fields(const struct model *m, struct http_outcome *o);
void model_tell_body(const struct model *m, struct http_outcome *o,
                     const char *framing);

#endif
