/* SPDX-License-Identifier: MIT */
/*
 * dns_name.c - names of the DNS: text, octets, and compressed in a message.
 *
 * What is asked of texts is asked of their octets, so that there is one reader
 * of text and one of messages, and escapes and case are settled there.
 */
#include "dns_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { LABEL = 63, POINTER = 0xc0 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One octet of a label, behind which *text is then; or -1. */
static int octet_of(const char **text)
{
    const char *s = *text;
    if (*s != '\\') {
        *text = s + 1;
        return (uint8_t)*s;
    }
    s++;
    if (!*s) return -1;
    if (!is_digit(*s)) {
        *text = s + 1;
        return (uint8_t)*s;
    }
    if (!is_digit(s[1]) || !is_digit(s[2])) return -1;
    int octet = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
    *text = s + 3;
    return octet <= 255 ? octet : -1;
}

int wf_dns_wire_of(struct wf_dns_wire *ret, const char *text)
{
    size_t len = 0;
    if (strcmp(text, ".") == 0)
        text++;
    else if (!*text)
        return -EINVAL;
    while (*text) {
        size_t label = len++;
        while (*text && *text != '.') {
            int octet = octet_of(&text);
            /* The root's 0 has to fit too. */
            if (octet < 0 || len >= WF_DNS_WIRE - 1) return -EINVAL;
            ret->octets[len++] = (uint8_t)octet;
        }
        size_t octets = len - label - 1;
        if (octets == 0 || octets > LABEL) return -EINVAL;
        ret->octets[label] = (uint8_t)octets;
        if (*text == '.') text++;
    }
    ret->octets[len++] = 0;
    ret->len = len;
    return 0;
}

static char *put_octet(char *to, uint8_t octet)
{
    if (octet <= ' ' || octet > '~') {
        *to++ = '\\';
        *to++ = (char)('0' + octet / 100);
        *to++ = (char)('0' + octet / 10 % 10);
        *to++ = (char)('0' + octet % 10);
        return to;
    }
    if (octet == '.' || octet == '\\') *to++ = '\\';
    *to++ = (char)octet;
    return to;
}

void wf_dns_wire_text(const struct wf_dns_wire *w, char *ret)
{
    const uint8_t *at = w->octets;
    if (!*at) *ret++ = '.';
    while (*at) {
        if (at != w->octets) *ret++ = '.';
        for (unsigned left = *at++; left > 0; left--)
            ret = put_octet(ret, *at++);
    }
    *ret = 0;
}

/* Lengths of labels are below 'A', so that case is all that is made alike. */
static bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (wf_dns_lower(a[i]) != wf_dns_lower(b[i])) return false;
    return true;
}

bool wf_dns_wire_equal(const struct wf_dns_wire *a, const struct wf_dns_wire *b)
{
    return a->len == b->len && same(a->octets, b->octets, a->len);
}

bool wf_dns_wire_within(const struct wf_dns_wire *w,
                        const struct wf_dns_wire *zone)
{
    size_t at = 0;
    while (w->len - at > zone->len)
        at += w->octets[at] + 1u;
    return w->len - at == zone->len &&
           same(w->octets + at, zone->octets, zone->len);
}

unsigned wf_dns_wire_labels(const struct wf_dns_wire *w)
{
    unsigned n = 0;
    for (size_t at = 0; w->octets[at]; at += w->octets[at] + 1u)
        n++;
    return n;
}

/* Each pointer goes to before where the labels that it ends begin, so that
 * there is no circle; their bound is for the time that a chain of pointers
 * takes. In the header there are no names. */
const char *wf_dns_wire_read(struct wf_dns_wire *ret, const uint8_t *msg,
                             size_t end, size_t *at)
{
    size_t i = *at, run = i, behind = 0, len = 0;
    unsigned hops = 0;
    for (;;) {
        if (i >= end) return "a name is cut off";
        unsigned label = msg[i];
        if (label >= POINTER) {
            if (end - i < 2) return "a name is cut off";
            size_t to = wf_dns_get16(msg + i) & 0x3fff;
            if (to >= run) return "a compressed name points forward";
            if (to < WF_DNS_HEAD)
                return "a compressed name points at the header";
            if (++hops > WF_DNS_HOPS) return "a name has too many pointers";
            if (!behind) behind = i + 2;
            i = run = to;
            continue;
        }
        if (label > LABEL) return "a label is of an unknown kind";
        if (label >= end - i) return "a name is cut off";
        if (len + label + 1 > WF_DNS_WIRE) return "a name is over 255 octets";
        memcpy(ret->octets + len, msg + i, label + 1);
        len += label + 1;
        i += label + 1;
        if (label == 0) break;
    }
    ret->len = len;
    *at = behind ? behind : i;
    return NULL;
}

int wf_dns_name_check(const char *name)
{
    struct wf_dns_wire w;
    return wf_dns_wire_of(&w, name);
}

bool wf_dns_name_equal(const char *a, const char *b)
{
    struct wf_dns_wire x, y;
    return wf_dns_wire_of(&x, a) == 0 && wf_dns_wire_of(&y, b) == 0 &&
           wf_dns_wire_equal(&x, &y);
}

bool wf_dns_name_within(const char *name, const char *zone)
{
    struct wf_dns_wire w, z;
    return wf_dns_wire_of(&w, name) == 0 && wf_dns_wire_of(&z, zone) == 0 &&
           wf_dns_wire_within(&w, &z);
}

static bool is_host_octet(uint8_t c)
{
    c = wf_dns_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool wf_dns_name_is_host(const char *name)
{
    struct wf_dns_wire w;
    if (wf_dns_wire_of(&w, name) < 0 || w.len == 1) return false;
    for (const uint8_t *at = w.octets; *at; at += *at + 1u) {
        if (at[1] == '-' || at[*at] == '-') return false;
        for (unsigned i = 1; i <= *at; i++)
            if (!is_host_octet(at[i])) return false;
    }
    return true;
}

int wf_dns_name_canonical(const char *name, char *ret)
{
    struct wf_dns_wire w;
    int err = wf_dns_wire_of(&w, name);
    if (err < 0) return err;
    for (size_t i = 0; i < w.len; i++)
        w.octets[i] = wf_dns_lower(w.octets[i]);
    wf_dns_wire_text(&w, ret);
    return 0;
}

int wf_dns_name_absolute(const char *name, char *ret)
{
    struct wf_dns_wire w;
    int err = wf_dns_wire_of(&w, name);
    if (err == 0) wf_dns_wire_text(&w, ret);
    return err;
}

ssize_t wf_dns_write_name(void *buf, size_t len, const char *name)
{
    struct wf_dns_wire w;
    int err = wf_dns_wire_of(&w, name);
    if (err < 0) return err;
    if (w.len > len) return -ENOBUFS;
    memcpy(buf, w.octets, w.len);
    return (ssize_t)w.len;
}

int wf_dns_name_of_addr(int family, const void *octets, char *ret)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *at = octets;
    if (family == AF_INET6 && memcmp(at, mapped, sizeof mapped) == 0) {
        at += sizeof mapped;
        family = AF_INET;
    }
    if (family == AF_INET) {
        (void)snprintf(ret, WF_DNS_NAME, "%u.%u.%u.%u.in-addr.arpa", at[3],
                       at[2], at[1], at[0]);
        return 0;
    }
    if (family != AF_INET6) return -EAFNOSUPPORT;
    for (int i = 15; i >= 0; i--) {
        *ret++ = "0123456789abcdef"[at[i] & 15];
        *ret++ = '.';
        *ret++ = "0123456789abcdef"[at[i] >> 4];
        *ret++ = '.';
    }
    memcpy(ret, "ip6.arpa", sizeof "ip6.arpa");
    return 0;
}
