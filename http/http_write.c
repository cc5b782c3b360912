/* SPDX-License-Identifier: MIT */
/*
 * http_write.c - heads, line by line.
 *
 * A line is written as a whole or not at all: its parts are looked at first,
 * and there is room for all of it before its first octet is written.
 */
#include "octets.h"

#include <weft/error.h>
#include <weft/http.h>
#include <weft/http_write.h>

#define TEXT(literal) ((weft_text){literal, sizeof(literal) - 1})

static const weft_text nothing;

/* ---- what is refused ---------------------------------------------------- */

static int fail(weft_http_writer *w, int err)
{
    if (w->error == 0) w->error = err;
    return w->error;
}

int weft_http_writer_full_(weft_http_writer *w)
{
    return fail(w, -ENOBUFS);
}

/* The first octet of another kind; a % without its digits; or the length. */
static size_t stranger_in(weft_text t, unsigned kind)
{
    for (size_t i = 0; i < t.len; i++) {
        if (!wf_octet_is(t.at[i], kind)) return i;
        if (kind != WF_OCTET_TARGET || t.at[i] != '%') continue;
        if (t.len - i < 3 || !wf_octet_is(t.at[i + 1], WF_OCTET_HEX) ||
            !wf_octet_is(t.at[i + 2], WF_OCTET_HEX))
            return i;
    }
    return t.len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* `name` is of the field if t is its value. */
static int refuse(weft_http_writer *w, const char *what, weft_text t,
                  unsigned kind, weft_text name)
{
    size_t at = stranger_in(t, kind);
    if (name.at && t.len > 0 && (is_space(*t.at) || at == t.len))
        at = is_space(*t.at) ? 0 : t.len - 1;
    int shown = name.len < 32 ? (int)name.len : 32;
    if (at == t.len)
        (void)weft_fail_at(-EINVAL, NULL, 0, "HTTP %s: it is empty", what);
    else
        (void)weft_fail_at(
            -EINVAL, NULL, 0, "HTTP %s%.*s: octet 0x%02x at %zu is refused",
            what, shown, name.at ? name.at : "", (unsigned char)t.at[at], at);
    return fail(w, -EINVAL);
}

static int check_token(weft_http_writer *w, const char *what, weft_text t)
{
    if (weft_http_is_token(t)) return 0;
    return refuse(w, what, t, WF_OCTET_TOKEN, nothing);
}

/* ---- lines -------------------------------------------------------------- */

static char *put(char *to, weft_text t)
{
    if (t.len > 0) memcpy(to, t.at, t.len);
    return to + t.len;
}

/* A line of two texts, with what is between them and ends it. Inlined, so that
 * these two are copied as the constants they are. */
static inline __attribute__((always_inline)) int
write_line(weft_http_writer *w, weft_text a, weft_text between, weft_text b,
           weft_text end)
{
    size_t left = w->room - w->len, more = between.len + end.len;
    if (a.len > left || b.len > left - a.len || more > left - a.len - b.len)
        return fail(w, -ENOBUFS);
    char *to = w->at + w->len;
    to = put(put(put(put(to, a), between), b), end);
    w->len = (size_t)(to - w->at);
    return 0;
}

int weft_http_write_request_line(weft_http_writer *w, weft_text method,
                                 weft_text target)
{
    if (w->error < 0) return w->error;
    int err = check_token(w, "method", method);
    if (err < 0) return err;
    if (!weft_http_is_target(target))
        return refuse(w, "target", target, WF_OCTET_TARGET, nothing);

    return write_line(w, method, TEXT(" "), target, TEXT(" HTTP/1.1\r\n"));
}

int weft_http_write_status_line(weft_http_writer *w, int status,
                                weft_text reason)
{
    if (w->error < 0) return w->error;
    if (status < 100 || status > 999) {
        (void)weft_fail_at(-EINVAL, NULL, 0,
                           "HTTP status: %d is not of three digits", status);
        return fail(w, -EINVAL);
    }
    if (!reason.at)
        reason = weft_text_of(weft_http_reason(status));
    else if (stranger_in(reason, WF_OCTET_VALUE) < reason.len)
        return refuse(w, "reason", reason, WF_OCTET_VALUE, nothing);

    char start[] = "HTTP/1.1 nnn ";
    start[9] = (char)('0' + status / 100);
    start[10] = (char)('0' + status / 10 % 10);
    start[11] = (char)('0' + status % 10);
    weft_text first = {start, sizeof start - 1};
    return write_line(w, first, TEXT(""), reason, TEXT("\r\n"));
}

int weft_http_write_field(weft_http_writer *w, weft_text name, weft_text value)
{
    if (w->error < 0) return w->error;
    int err = check_token(w, "field name", name);
    if (err < 0) return err;
    if (!weft_http_is_value(value))
        return refuse(w, "value of ", value, WF_OCTET_VALUE, name);

    return write_line(w, name, TEXT(": "), value, TEXT("\r\n"));
}

/* ---- numbers ------------------------------------------------------------ */

enum { DIGITS = 20 }; /* of any number of 64 bits, to base 10 or 16 */

static weft_text digits_of(char buf[DIGITS], uint64_t n, unsigned base)
{
    char *at = buf + DIGITS;
    do {
        *--at = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0);
    return (weft_text){at, (size_t)(buf + DIGITS - at)};
}

int weft_http_write_length(weft_http_writer *w, uint64_t length)
{
    char buf[DIGITS];
    if (w->error < 0) return w->error;
    return write_line(w, TEXT("Content-Length: "), TEXT(""),
                      digits_of(buf, length, 10), TEXT("\r\n"));
}

int weft_http_write_chunk(weft_http_writer *w, uint64_t len)
{
    char buf[DIGITS];
    if (w->error < 0) return w->error;
    return write_line(w, digits_of(buf, len, 16), TEXT(""), TEXT(""),
                      TEXT("\r\n"));
}
