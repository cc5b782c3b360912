/* SPDX-License-Identifier: MIT */
/*
 * heed.c - Host, Content-Length, Transfer-Encoding, Connection, Upgrade and
 * Expect, a line at a time; and what they come to (RFC 9112, 6.3 and 9.3).
 */
#include "heed.h"

#include <string.h>

#include "authority.h"
#include "coding.h"
#include "late.h"
#include "octets.h"
#include "scan.h"

const struct wf_known_name wf_http_known_names[WF_KNOWN_LONGEST + 1] = {
    [4] = {"host", WF_KNOWN_HOST},
    [6] = {"expect", WF_KNOWN_EXPECT},
    [7] = {"upgrade", WF_KNOWN_UPGRADE},
    [10] = {"connection", WF_KNOWN_CONNECTION},
    [14] = {"content-length", WF_KNOWN_LENGTH},
    [17] = {"transfer-encoding", WF_KNOWN_CODING},
};

/* All octets of `lower` have the bit of lower case; among the octets of a token
 * only a letter gets to be another by it. */
bool wf_http_is_name(const char *name, const char *lower, size_t len)
{
    const uint64_t bit = WF_EACH(0x20);
    size_t i = 0;
    for (; len - i >= 8; i += 8)
        if ((wf_word(name + i) | bit) != wf_word(lower + i)) return false;
    for (; i < len; i++)
        if ((name[i] | 0x20) != lower[i]) return false;
    return true;
}

static enum wf_wrong heed_length(struct weft_http_scan_ *s, weft_text value)
{
    if (s->seen_ & WF_SEEN_LENGTH) return WF_WRONG_LENGTH_TWICE;
    if (weft_text_number(value, &s->length_) < 0 || s->length_ > INT64_MAX)
        return WF_WRONG_LENGTH;
    s->seen_ |= WF_SEEN_LENGTH;
    return WF_WRONG_NOTHING;
}

static enum wf_wrong heed_host(struct weft_http_scan_ *s, weft_text value,
                               uint32_t i)
{
    if (s->seen_ & WF_SEEN_HOST) return WF_WRONG_HOST_TWICE;
    if (!wf_http_is_authority(value, NULL)) return WF_WRONG_HOST;
    s->seen_ |= WF_SEEN_HOST;
    s->host_ = i;
    return WF_WRONG_NOTHING;
}

/* What is no option of ours says nothing to us. */
static void heed_connection(struct weft_http_scan_ *s, weft_text value)
{
    weft_text item;
    while (weft_http_list_next(&value, &item))
        if (weft_text_is_nocase(item, "close"))
            s->seen_ |= WF_SEEN_CLOSE;
        else if (weft_text_is_nocase(item, "keep-alive"))
            s->seen_ |= WF_SEEN_KEEP_ALIVE;
        else if (weft_text_is_nocase(item, "upgrade"))
            s->seen_ |= WF_SEEN_UPGRADE_OPTION;
}

static void heed_expect(struct weft_http_scan_ *s, weft_text value)
{
    weft_text item;
    while (weft_http_list_next(&value, &item))
        if (weft_text_is_nocase(item, "100-continue"))
            s->seen_ |= WF_SEEN_CONTINUE;
        else
            s->seen_ |= WF_SEEN_OTHER_EXPECT;
}

static enum wf_wrong heed_known(struct weft_http_scan_ *s,
                                const weft_http_mark *m, uint32_t i,
                                weft_text value)
{
    switch ((enum wf_known)m->known_) {
    case WF_KNOWN_LENGTH:
        return heed_length(s, value);
    case WF_KNOWN_CODING:
        return wf_http_heed_coding(s, value);
    case WF_KNOWN_HOST:
        return s->kind_ == WF_REQUEST ? heed_host(s, value, i)
                                      : WF_WRONG_NOTHING;
    case WF_KNOWN_CONNECTION:
        if (value.len == 10 && memcmp(value.at, "keep-alive", 10) == 0)
            s->seen_ |= WF_SEEN_KEEP_ALIVE; /* what most say */
        else
            heed_connection(s, value);
        break;
    case WF_KNOWN_EXPECT:
        heed_expect(s, value);
        break;
    case WF_KNOWN_UPGRADE:
        if (value.len > 0) s->seen_ |= WF_SEEN_UPGRADE;
        break;
    case WF_KNOWN_NOT:
        break;
    }
    return WF_WRONG_NOTHING;
}

enum wf_wrong wf_http_heed(struct weft_http_scan_ *s, const weft_http_mark *m,
                           uint32_t i, const char *data)
{
    if (s->kind_ == WF_TRAILERS)
        return wf_http_comes_late((weft_text){data + m->name, m->name_len})
                   ? WF_WRONG_NOTHING
                   : WF_WRONG_TRAILER;
    if (!m->known_) return WF_WRONG_NOTHING;
    return heed_known(s, m, i, (weft_text){data + m->value, m->value_len});
}

/* ---- all of it ---------------------------------------------------------- */

enum wf_wrong wf_http_framing(const struct weft_http_scan_ *s, int minor,
                              weft_http_framing *ret_framing)
{
    unsigned seen = s->seen_;
    *ret_framing =
        seen & WF_SEEN_LENGTH ? WEFT_HTTP_LENGTH : WEFT_HTTP_UNTIL_CLOSE;
    if (!(seen & WF_SEEN_CODING)) return WF_WRONG_NOTHING;
    *ret_framing = WEFT_HTTP_CHUNKED;
    if (minor == 0) return WF_WRONG_CODING_OLD;
    if (seen & WF_SEEN_LENGTH) return WF_WRONG_CODING_LENGTH;
    if (!(seen & WF_SEEN_CHUNKED)) return WF_WRONG_CODING_LAST;
    if (seen & WF_SEEN_OTHER_CODING) return WF_WRONG_CODING_OTHER;
    return WF_WRONG_NOTHING;
}

bool wf_http_stays(const struct weft_http_scan_ *s, int minor)
{
    if (s->seen_ & WF_SEEN_CLOSE) return false;
    return minor > 0 || (s->seen_ & WF_SEEN_KEEP_ALIVE) != 0;
}

bool wf_http_upgrades(const struct weft_http_scan_ *s, int minor)
{
    const unsigned both = WF_SEEN_UPGRADE | WF_SEEN_UPGRADE_OPTION;
    return minor > 0 && (s->seen_ & both) == both;
}
