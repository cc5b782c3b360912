/* SPDX-License-Identifier: MIT */
/*
 * percent.c - percent coding (RFC 3986, 2.1).
 */
#include "percent.h"

#include "octets.h"

#include <weft/error.h>
#include <weft/url.h>

bool wf_url_is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

bool wf_percent_is_at(weft_text t, size_t at)
{
    return t.len - at >= 3 && t.at[at] == '%' &&
           wf_octet_is(t.at[at + 1], WF_OCTET_HEX) &&
           wf_octet_is(t.at[at + 2], WF_OCTET_HEX);
}

int wf_percent_next(weft_text t, size_t *at, bool plus_is_space)
{
    size_t i = *at;
    int octet = (unsigned char)t.at[i];
    if (octet == '%') {
        if (!wf_percent_is_at(t, i)) return -EINVAL;
        octet =
            (int)(wf_octet_hex(t.at[i + 1]) << 4 | wf_octet_hex(t.at[i + 2]));
        i += 2;
    } else if (octet == '+' && plus_is_space) {
        octet = ' ';
    }
    if (octet == 0) return -EINVAL;
    *at = i + 1;
    return octet;
}

int wf_percent_refuse(const char *what, weft_text t, size_t at)
{
    unsigned char c = (unsigned char)t.at[at];
    if (c == '%' && wf_percent_is_at(t, at))
        return weft_fail_at(-EINVAL, NULL, 0, "%s: %.3s at %zu is refused",
                            what, t.at + at, at);
    if (c == '%')
        return weft_fail_at(-EINVAL, NULL, 0,
                            "%s: no two hexadecimal digits behind the %% at "
                            "%zu",
                            what, at);
    if (c > ' ' && c < 0x7f)
        return weft_fail_at(-EINVAL, NULL, 0, "%s: %c at %zu is refused", what,
                            c, at);
    return weft_fail_at(-EINVAL, NULL, 0, "%s: octet 0x%02x at %zu is refused",
                        what, c, at);
}

static bool is_plain(char c, bool space_is_plus)
{
    return wf_url_is_unreserved(c) || (c == ' ' && space_is_plus);
}

size_t wf_percent_length(weft_text t, bool space_is_plus)
{
    size_t len = t.len;
    for (size_t i = 0; i < t.len && len < SIZE_MAX - 2; i++)
        if (!is_plain(t.at[i], space_is_plus)) len += 2;
    return len;
}

char *wf_percent_write(char *out, weft_text t, bool space_is_plus)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (is_plain(t.at[i], space_is_plus)) {
            *out++ = c == ' ' ? '+' : t.at[i];
        } else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    return out;
}

/* ---- weft/url.h --------------------------------------------------------- */

ssize_t weft_url_decode(weft_text t, char *buf, size_t size, bool plus_is_space)
{
    size_t len = 0;
    for (size_t at = 0; at < t.len;) {
        int octet = wf_percent_next(t, &at, plus_is_space);
        if (octet < 0) return wf_percent_refuse("to decode", t, at);
        if (len + 1 >= size) return -ENOBUFS;
        buf[len++] = (char)octet;
    }
    if (size == 0) return -ENOBUFS;
    buf[len] = 0;
    return (ssize_t)len;
}

ssize_t weft_url_encode(weft_text t, char *buf, size_t size, bool space_is_plus)
{
    size_t len = wf_percent_length(t, space_is_plus);
    if (len >= size) return -ENOBUFS;
    *wf_percent_write(buf, t, space_is_plus) = 0;
    return (ssize_t)len;
}
