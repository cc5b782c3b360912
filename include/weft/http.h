/* SPDX-License-Identifier: MIT */
/*
 * weft/http.h (http) - the words of an HTTP message: verbs, statuses, fields,
 * lists and dates (RFC 9110).
 *
 *     weft_text type = weft_http_field(&r->fields, "content-type");
 *     if (!type.at) return 415;
 *
 *     weft_text line, item;
 *     size_t i = 0;
 *     while (weft_http_field_next(&r->fields, "accept", &i, &line))
 *         while (weft_http_list_next(&line, &item))
 *             consider(item);
 *
 * All of it is pure: no call allocates, parks, or keeps anything. Texts that
 * are handed out stand in the memory of the head (weft/http_parse.h says how
 * long that is good), or in that of the text that was given.
 *
 * Names of fields, and tokens of lists, are the same in either case of their
 * letters; verbs are not (RFC 9110, 5.1 and 9.1).
 */
#ifndef WEFT_HTTP_H
#define WEFT_HTTP_H

#include <weft/base.h>
#include <weft/text.h>

WEFT_BEGIN_DECLS

/* ---- verbs and statuses ------------------------------------------------- */

/** The methods of RFC 9110, 9.3, and PATCH (RFC 5789); OTHER is any else. */
typedef enum weft_http_verb {
    WEFT_HTTP_OTHER,
    WEFT_HTTP_GET,
    WEFT_HTTP_HEAD,
    WEFT_HTTP_POST,
    WEFT_HTTP_PUT,
    WEFT_HTTP_DELETE,
    WEFT_HTTP_CONNECT,
    WEFT_HTTP_OPTIONS,
    WEFT_HTTP_TRACE,
    WEFT_HTTP_PATCH
} weft_http_verb;

WEFT_API weft_http_verb weft_http_verb_of(weft_text method);

/** "GET" of WEFT_HTTP_GET; "" of WEFT_HTTP_OTHER. */
WEFT_API const char *weft_http_verb_name(weft_http_verb verb);

/** Asks for nothing but an answer: GET, HEAD, OPTIONS, TRACE (9.2.1). */
WEFT_API bool weft_http_verb_is_safe(weft_http_verb verb);

/** Twice does no more than once: the safe ones, PUT and DELETE (9.2.2). */
WEFT_API bool weft_http_verb_is_idempotent(weft_http_verb verb);

/** "OK" of 200: the phrase of the registry; "" of a status that it has not. */
WEFT_API const char *weft_http_reason(int status);

/* ---- field lines -------------------------------------------------------- */

/** One field line, as places in its head, so that the head may move. The
 *  memory is the caller's; what is in it is the parser's. 16 octets. */
typedef struct weft_http_mark {
    uint32_t name, value, value_len;
    uint16_t name_len;
    uint16_t known_; /* which of the names that the parser heeds; 0: another */
} weft_http_mark;

/** The field lines of one head, in their order. One that is zeroed has none. */
typedef struct weft_http_fields {
    const char *base; /* the head's first octet */
    weft_http_mark *marks;
    uint32_t count;
    uint32_t room; /* how many fit in `marks` */
} weft_http_fields;

/** The value of the first line of that name, without the spaces around it; `at`
 *  is NULL if there is none (and is not for a value that is empty). */
WEFT_API weft_text weft_http_field(const weft_http_fields *f, const char *name);

/** The i-th line, from 0. Returns whether there is one; *ret_name and
 *  *ret_value, each of which may be NULL, are written only then. */
WEFT_API bool weft_http_field_at(const weft_http_fields *f, size_t i,
                                 weft_text *ret_name, weft_text *ret_value);

/** The next line of that name from the *at-th on (start with 0), moving *at
 *  behind it. Returns whether there is one. */
WEFT_API bool weft_http_field_next(const weft_http_fields *f, const char *name,
                                   size_t *at, weft_text *ret_value);

/* ---- lists (RFC 9110, 5.6.1) -------------------------------------------- */

/**
 * Takes the first item off *list, which is parted by commas: without the spaces
 * and tabs around it; empty items are passed over; a quoted string is not
 * parted and keeps its quotes (one that is never closed takes the rest).
 * Returns false at the end, with *list empty.
 */
WEFT_API bool weft_http_list_next(weft_text *list, weft_text *ret_item);

/** Whether an item of any line of that name is `token`, in either case. */
WEFT_API bool weft_http_list_has(const weft_http_fields *f, const char *name,
                                 const char *token);

/* ---- what may be sent --------------------------------------------------- */

/** Not empty, and all of it octets of a token (5.6.2): a name, a method. */
WEFT_API bool weft_http_is_token(weft_text t);

/** May stand in a field: no control octet but HTAB (so no CR, LF or NUL), no
 *  DEL, and no space or tab at either end; 0x80-0xFF may (5.5). It may be
 *  empty. */
WEFT_API bool weft_http_is_value(weft_text t);

/** May stand in a request line: not empty, visible ASCII alone, no '#', and
 *  each '%' before two hexadecimal digits; exactly what the parser takes. */
WEFT_API bool weft_http_is_target(weft_text t);

/* ---- dates (RFC 9110, 5.6.7) -------------------------------------------- */

enum { WEFT_HTTP_DATE_BYTES = 30 };

/** "Sun, 06 Nov 1994 08:49:37 GMT" and a 0. Seconds before the year 0 or after
 *  9999, which have no such text, become the first or the last that has. */
WEFT_API void weft_http_date(char buf[WEFT_HTTP_DATE_BYTES],
                             int64_t unix_seconds);

/**
 * Reads any of the three forms. The day of the week must be a day's name, and
 * is not compared with the date; the date must be one of the calendar; second
 * 60 is the next minute's first; a year of two digits is of 1970 to 2069.
 * Returns 0; -EINVAL, it is no date, and *ret_unix is as it was.
 */
WEFT_MUST int weft_http_date_parse(weft_text t, int64_t *ret_unix);

WEFT_END_DECLS

#endif
