/* SPDX-License-Identifier: MIT */
/*
 * weft/text.h (http) - a piece of text that stands in somebody else's memory.
 *
 *     weft_text type = weft_req_field(r, "content-type");
 *     if (weft_text_is_nocase(type, "text/plain"))
 *         printf("%.*s\n", WEFT_TEXT_ARGS(type));
 *
 * It is as long as it says and ends in no 0; it may hold any octet. `at` is NULL
 * for a text that is not there at all, which has no octets and equals only "".
 * How long it stays good is said by whoever gives one.
 */
#ifndef WEFT_TEXT_H
#define WEFT_TEXT_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_text {
    const char *at;
    size_t len;
} weft_text;

/** The two arguments of a "%.*s". */
#define WEFT_TEXT_ARGS(t) (int)(t).len, (t).at ? (t).at : ""

/** The text of `s`, which may be NULL. */
WEFT_API weft_text weft_text_of(const char *s);

/** Octet by octet; and with ASCII letters of either case being the same. */
WEFT_API bool weft_text_is(weft_text t, const char *s);
WEFT_API bool weft_text_is_nocase(weft_text t, const char *s);
WEFT_API bool weft_text_equal(weft_text a, weft_text b);
WEFT_API bool weft_text_equal_nocase(weft_text a, weft_text b);

/** Without spaces and tabs at either end (OWS of RFC 9110, 5.6.3). */
WEFT_API weft_text weft_text_trim(weft_text t);

/** Copies it with a 0 behind it. Returns 0; -ENAMETOOLONG, it has no room;
 *  -EINVAL, there is a 0 within. */
WEFT_MUST int weft_text_copy(weft_text t, char *buf, size_t size);

/** A decimal number without sign. Returns 0; -EINVAL, it is none; -ERANGE. */
WEFT_MUST int weft_text_number(weft_text t, uint64_t *ret_number);

WEFT_END_DECLS

#endif
