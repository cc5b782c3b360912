/* SPDX-License-Identifier: MIT */
/* http_expected.c - replies, out of the lines of an outcome. */
#include "http_expected.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *http_word(const char *s, const char *end)
{
    /* There is no second word behind one that ends the line. */
    const char *space = s < end ? memchr(s, ' ', (size_t)(end - s)) : NULL;
    return space ? space : end;
}

static struct http_outcome *next_reply(struct http_expected *e,
                                       const char *method, size_t len)
{
    if (e->count == HTTP_REPLIES || len >= HTTP_METHOD) abort();
    memcpy(e->method[e->count], method, len);
    e->method[e->count][len] = 0;
    return &e->reply[e->count++];
}

static bool is_text(const char *s, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(s, text, len) == 0;
}

/* POST /x length "hello" keep: 200 length "POST /x\nhello" */
static void expect_answer(struct http_expected *e, const char *line,
                          const char *end)
{
    const char *method = http_word(line, end),
               *target = http_word(method + 1, end);
    const char *quote = memchr(target, '"', (size_t)(end - target));
    const char *last = end;
    while (last[-1] != ' ')
        last--;
    struct http_outcome *r = next_reply(e, line, (size_t)(method - line));
    e->end =
        is_text(last, (size_t)(end - last), "keep") ? STAYS_OPEN : IS_CLOSED;
    if (is_text(line, (size_t)(method - line), "CONNECT")) {
        outcome_printf(r, "501"); /* the server's own answer, and its last */
        e->end = IS_CLOSED;
        e->is_over = true;
    } else if (is_text(line, (size_t)(method - line), "HEAD")) {
        outcome_printf(r, "200");
    } else {
        outcome_printf(r, "200 length ");
        outcome_quote(r, line, (size_t)(target - line));
        r->len--; /* its last quote */
        outcome_printf(r, "\\n");
        if (quote) outcome_add(r, quote + 1, (size_t)(last - 2 - quote));
        if (!quote) outcome_printf(r, "\"");
    }
}

/* A status that refuses, and the server closes. */
static void expect_status(struct http_expected *e, const char *status,
                          size_t len)
{
    struct http_outcome *r = next_reply(e, "GET", 3);
    outcome_add(r, status, len);
    e->end = IS_CLOSED;
}

static void expect_line(struct http_expected *e, const char *line,
                        const char *end)
{
    if (outcome_refuses(line)) {
        expect_status(e, line + 2, (size_t)(end - line - 2));
    } else if (outcome_wants_more(line)) {
        e->end = WANTS_MORE;
    } else {
        expect_answer(e, line, end);
    }
}

void http_expect(struct http_expected *e, const struct http_case *c, bool drawn)
{
    const char *octets = outcome_text(&c->octets);
    *e =
        (struct http_expected){.end = STAYS_OPEN, .is_over = c->server != NULL};
    e->may_continue = !c->server && strcasestr(octets, "100-continue") &&
                      (drawn || !strstr(octets, "HTTP/1.0"));
    const char *line = outcome_text(&c->outcome);
    if (c->server) expect_status(e, c->server, strlen(c->server));
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        if (!e->is_over) expect_line(e, line, end);
}

void http_forget(struct http_expected *e)
{
    for (int i = 0; i < e->count; i++)
        outcome_free(&e->reply[i]);
}
