/* SPDX-License-Identifier: MIT */
/*
 * http_outcome.h - what became of a stream of HTTP messages, as a text.
 *
 * A line for each message, and one for how it ended:
 *
 *     POST /a length "hello" keep     a request: how its body is framed, the
 *     GET /b close                    body, and whether the connection goes on
 *     ! 400                           the next one is refused with that status
 *     ...                             more octets are needed
 *
 *     103 interim                     a response before the final one
 *     200 chunked "hello" keep        a response, after which the connection
 *     200 length "hi" dirty           can be used again; or more came behind it
 *     204 keep
 *     101 switch                      what follows is no HTTP
 *     ! refused                       no more is believed
 *     ! cut                           it ended within the message
 *
 * So what a file of the corpus says, what the model makes of the stream and
 * what the parser does are compared by strcmp. With `detail` a line says the
 * parts of the target, and all fields, too; of which the corpus has none.
 */
#ifndef TESTS_HTTP_OUTCOME_H
#define TESTS_HTTP_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

/** A text that grows; zeroed it is empty. */
struct http_outcome {
    char *text; /* ends in 0; NULL while it is empty */
    size_t len, room;
    bool detail;
};

void outcome_add(struct http_outcome *o, const char *octets, size_t len);
__attribute__((format(printf, 2, 3))) void
outcome_printf(struct http_outcome *o, const char *format, ...);

/** Between quotes, with \r \n \t \\ \" and \xHH for what is not visible. */
void outcome_quote(struct http_outcome *o, const char *octets, size_t len);

/** ` name "octets"`, or nothing if octets is NULL or there is no detail. */
void outcome_detail(struct http_outcome *o, const char *name,
                    const char *octets, size_t len);

void outcome_request(struct http_outcome *o, const char *method,
                     size_t method_len, const char *target, size_t target_len);
void outcome_refused(struct http_outcome *o, int status);
void outcome_more(struct http_outcome *o);

const char *outcome_text(const struct http_outcome *o);
void outcome_clear(struct http_outcome *o); /* keeps the memory */
void outcome_free(struct http_outcome *o);

/* Is this line of an outcome one that refuses, or that says there should have
 * been more? A method may look like the first octets of either, a target not. */
bool outcome_refuses(const char *line);
bool outcome_wants_more(const char *line);

/** The same messages, and both ended well, both want more, or both refuse: with
 *  whatever status. */
bool outcome_agrees(const struct http_outcome *a, const struct http_outcome *b);

#endif
