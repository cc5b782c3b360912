/* SPDX-License-Identifier: MIT */
/*
 * net/dns_lines.h - lines and words of a configuration's text; private to
 * net/dns_conf.c and dns_hosts.c.
 *
 * A piece of text is what is between two pointers; it may hold any octets.
 */
#ifndef NET_DNS_LINES_H
#define NET_DNS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct wf_piece {
    const char *at, *end;
};

static inline struct wf_piece wf_piece_of(const char *text, size_t len)
{
    return (struct wf_piece){.at = text, .end = len ? text + len : text};
}

static inline size_t wf_piece_len(struct wf_piece p)
{
    return (size_t)(p.end - p.at);
}

/* The next line, without its \n; false at the end. */
static inline bool wf_next_line(struct wf_piece *text, struct wf_piece *ret)
{
    if (text->at == text->end) return false;
    const char *end = memchr(text->at, '\n', wf_piece_len(*text));
    *ret = (struct wf_piece){.at = text->at, .end = end ? end : text->end};
    text->at = end ? end + 1 : text->end;
    return true;
}

static inline bool wf_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next word of a line; false at the end. */
static inline bool wf_next_word(struct wf_piece *line, struct wf_piece *ret)
{
    while (line->at < line->end && wf_is_blank(*line->at))
        line->at++;
    ret->at = line->at;
    while (line->at < line->end && !wf_is_blank(*line->at))
        line->at++;
    ret->end = line->at;
    return ret->at < ret->end;
}

/* Copies p with a 0 behind it. False: it does not fit, or has a 0 inside. */
static inline bool wf_piece_copy(struct wf_piece p, char *ret, size_t size)
{
    size_t len = wf_piece_len(p);
    if (len >= size || (len && memchr(p.at, 0, len))) return false;
    if (len) memcpy(ret, p.at, len);
    ret[len] = 0;
    return true;
}

#endif
