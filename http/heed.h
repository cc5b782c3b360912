/* SPDX-License-Identifier: MIT */
/* heed.h - the fields that say how a message is to be read. */
#ifndef HTTP_HEED_H
#define HTTP_HEED_H

#include "head.h"

enum wf_known {
    WF_KNOWN_NOT,
    WF_KNOWN_HOST,
    WF_KNOWN_EXPECT,
    WF_KNOWN_UPGRADE,
    WF_KNOWN_CONNECTION,
    WF_KNOWN_LENGTH,
    WF_KNOWN_CODING
};

/* The longest of their names. No two are of one length. */
enum { WF_KNOWN_LONGEST = 17 };

extern const struct wf_known_name {
    char lower[WF_KNOWN_LONGEST + 1];
    uint8_t known;
} wf_http_known_names[WF_KNOWN_LONGEST + 1];

/* That it is the name of its length, but for the case of its letters. */
bool wf_http_is_name(const char *name, const char *lower, size_t len);

/* Of a token. Most have another first letter than the one of their length. */
static inline enum wf_known wf_http_known(const char *name, size_t len)
{
    if (len > WF_KNOWN_LONGEST) return WF_KNOWN_NOT;
    const struct wf_known_name *k = &wf_http_known_names[len];
    if ((*name | 0x20) != *k->lower) return WF_KNOWN_NOT;
    return wf_http_is_name(name, k->lower, len) ? (enum wf_known)k->known
                                                : WF_KNOWN_NOT;
}

/* Notes in *s what a line says that is whole, the i-th of its head. */
enum wf_wrong wf_http_heed(struct weft_http_scan_ *s, const weft_http_mark *m,
                           uint32_t i, const char *data);

/* How a body is framed that may have one: of the lines of the head, of HTTP/1.x
 * with x = minor. UNTIL_CLOSE stands for nothing said. */
enum wf_wrong wf_http_framing(const struct weft_http_scan_ *s, int minor,
                              weft_http_framing *ret_framing);

/* The connection lives on, as far as Connection says. */
bool wf_http_stays(const struct weft_http_scan_ *s, int minor);

/* Both Upgrade and Connection: upgrade, in HTTP/1.1. */
bool wf_http_upgrades(const struct weft_http_scan_ *s, int minor);

#endif
