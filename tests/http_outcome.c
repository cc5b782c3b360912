/* SPDX-License-Identifier: MIT */
/* http_outcome.c - a text that grows. */
#include "http_outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_room(struct http_outcome *o, size_t more)
{
    if (o->room - o->len > more) return;
    o->room = 2 * o->room + more + 256;
    o->text = realloc(o->text, o->room);
    if (!o->text) abort();
}

void outcome_add(struct http_outcome *o, const char *octets, size_t len)
{
    make_room(o, len);
    if (len) memcpy(o->text + o->len, octets, len);
    o->len += len;
    o->text[o->len] = 0;
}

void outcome_printf(struct http_outcome *o, const char *format, ...)
{
    char text[128];
    va_list list;
    va_start(list, format);
    int len = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (len < 0 || (size_t)len >= sizeof text) abort();
    outcome_add(o, text, (size_t)len);
}

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

static void quote_odd(struct http_outcome *o, char c)
{
    static const char odd[] = "\r\n\t\\\"", names[] = "rnt\\\"";
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(odd, c) : NULL;
    unsigned char u = (unsigned char)c;
    char text[4] = {'\\', 'x', digits[u / 16], digits[u % 16]};
    if (at) text[1] = names[at - odd];
    outcome_add(o, text, at ? 2 : 4);
}

void outcome_quote(struct http_outcome *o, const char *octets, size_t len)
{
    outcome_add(o, "\"", 1);
    for (size_t at = 0; at < len;) {
        size_t plain = 0;
        while (at + plain < len && is_plain(octets[at + plain]))
            plain++;
        outcome_add(o, octets + at, plain);
        at += plain;
        if (at < len) quote_odd(o, octets[at++]);
    }
    outcome_add(o, "\"", 1);
}

void outcome_detail(struct http_outcome *o, const char *name,
                    const char *octets, size_t len)
{
    if (!o->detail || !octets) return;
    outcome_printf(o, " %s ", name);
    outcome_quote(o, octets, len);
}

void outcome_request(struct http_outcome *o, const char *method,
                     size_t method_len, const char *target, size_t target_len)
{
    outcome_add(o, method, method_len);
    outcome_add(o, " ", 1);
    outcome_add(o, target, target_len);
}

void outcome_refused(struct http_outcome *o, int status)
{
    outcome_printf(o, "! %d\n", status);
}

void outcome_more(struct http_outcome *o)
{
    outcome_add(o, "...\n", 4);
}

const char *outcome_text(const struct http_outcome *o)
{
    return o->text ? o->text : "";
}

void outcome_clear(struct http_outcome *o)
{
    o->len = 0;
    if (o->text) o->text[0] = 0;
}

void outcome_free(struct http_outcome *o)
{
    free(o->text);
    *o = (struct http_outcome){0};
}

bool outcome_refuses(const char *line)
{
    return strncmp(line, "! ", 2) == 0 && (strchr("123456789", line[2]) ||
                                           strcmp(line + 2, "refused\n") == 0 ||
                                           strcmp(line + 2, "cut\n") == 0);
}

bool outcome_wants_more(const char *line)
{
    return strncmp(line, "...\n", 4) == 0;
}

/* How much of it comes before a status that refuses, if one does. */
static size_t before_status(const char *text)
{
    const char *refused =
        strncmp(text, "! ", 2) == 0 ? text : strstr(text, "\n! ");
    return refused ? (size_t)(refused - text) + 2 : strlen(text);
}

bool outcome_agrees(const struct http_outcome *a, const struct http_outcome *b)
{
    const char *one = outcome_text(a), *two = outcome_text(b);
    size_t len = before_status(one);
    return before_status(two) == len && memcmp(one, two, len) == 0;
}
