/* SPDX-License-Identifier: MIT */
/*
 * ws_frame.c - the codec of WebSocket's frames.
 *
 * A head is judged octet by octet as it comes: the first has the kind, the
 * second the mask and the length or how long that is. Of a length in eight
 * octets the first bit has to be 0, and none may be longer than needed (5.2).
 */
#include "ws_frame.h"

#include <weft/websocket.h>

#include <string.h>

#include "utf8.h"

/* ---- reading a head ----------------------------------------------------- */

/* What is wrong with the first octet; NULL: nothing. */
static const char *wrong_kind(uint8_t first, const struct wf_ws_rules *rules)
{
    uint8_t opcode = first & 0x0F;
    if (first & 0x70) return "a reserved bit is set";
    if (opcode > WF_WS_PONG || (opcode > WF_WS_BINARY && opcode < WF_WS_CLOSE))
        return "a reserved opcode";
    if (wf_ws_is_control(opcode))
        return first & 0x80 ? NULL : "a control frame in fragments";
    if (opcode == WF_WS_CONTINUATION)
        return rules->in_message ? NULL : "there is no message to continue";
    return rules->in_message ? "a new message within another" : NULL;
}

static const char *wrong_size(uint8_t first, uint8_t second,
                              const struct wf_ws_rules *rules)
{
    bool masked = second & 0x80;
    if (masked != rules->masked)
        return masked ? "a server's frame is masked"
                      : "a client's frame is not masked";
    if (wf_ws_is_control(first & 0x0F) && (second & 0x7F) > WF_WS_CONTROL)
        return "a control frame of over 125 octets";
    return NULL;
}

/* How many octets of length there are behind the second. */
static size_t length_octets(uint8_t second)
{
    second &= 0x7F;
    return second == 127 ? 8 : second == 126 ? 2 : 0;
}

/* What the first `have` octets of a length in `count` show already. */
static const char *wrong_length(const uint8_t *at, size_t have, size_t count)
{
    if (count == 8 && have > 0 && at[0] & 0x80) return "a length over 2^63";
    /* Up to here it would have fitted into fewer. */
    size_t zeroes = count == 8 ? 6 : count == 2 ? 1 : 0;
    for (size_t i = 0; i < zeroes; i++)
        if (i >= have || at[i] != 0) return NULL;
    if (count == 8) return "a length in more octets than needed";
    return count == 2 && have == 2 && at[1] < 126
               ? "a length in more octets than needed"
               : NULL;
}

static uint64_t read_length(const uint8_t *at, size_t count)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++)
        n = n << 8 | at[i];
    return n;
}

ssize_t wf_ws_parse_head(struct wf_ws_head *ret_head, const void *data,
                         size_t len, const struct wf_ws_rules *rules,
                         const char **ret_wrong)
{
    const uint8_t *at = data;
    const char *wrong = NULL;
    size_t count = 0, whole = 2;
    if (len > 0) wrong = wrong_kind(at[0], rules);
    if (!wrong && len > 1) {
        wrong = wrong_size(at[0], at[1], rules);
        count = length_octets(at[1]);
        whole = 2 + count + (at[1] & 0x80 ? 4 : 0);
    }
    if (!wrong && len > 2)
        wrong = wrong_length(at + 2, len - 2 < count ? len - 2 : count, count);
    if (wrong) {
        *ret_wrong = wrong;
        return -EPROTO;
    }
    if (len < whole) return 0;
    *ret_head = (struct wf_ws_head){
        .fin = at[0] & 0x80,
        .masked = at[1] & 0x80,
        .opcode = at[0] & 0x0F,
        .len = count > 0 ? read_length(at + 2, count) : at[1] & 0x7F,
    };
    if (ret_head->masked) memcpy(ret_head->key, at + 2 + count, 4);
    return (ssize_t)whole;
}

/* ---- writing one -------------------------------------------------------- */

size_t wf_ws_write_head(uint8_t out[WF_WS_HEAD], const struct wf_ws_head *h)
{
    size_t count = h->len < 126 ? 0 : h->len <= UINT16_MAX ? 2 : 8;
    unsigned small = count == 0 ? (unsigned)h->len : count == 2 ? 126 : 127;
    size_t at = 2;
    out[0] = (uint8_t)((h->fin ? 0x80 : 0) | h->opcode);
    out[1] = (uint8_t)((h->masked ? 0x80 : 0) | small);
    for (size_t i = count; i > 0; i--)
        out[at++] = (uint8_t)(h->len >> (8 * (i - 1)));
    if (h->masked) {
        memcpy(out + at, h->key, 4);
        at += 4;
    }
    return at;
}

/* ---- the mask ----------------------------------------------------------- */

void wf_ws_mask(void *to, const void *from, size_t len, const uint8_t key[4],
                uint64_t offset)
{
    uint8_t turned[8];
    uint8_t *out = to;
    const uint8_t *in = from;
    uint64_t mask, word;
    for (size_t i = 0; i < sizeof turned; i++)
        turned[i] = key[(offset + i) & 3];
    memcpy(&mask, turned, sizeof mask);
    size_t i = 0;
    for (; len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, in + i, sizeof word);
        word ^= mask;
        memcpy(out + i, &word, sizeof word);
    }
    for (; i < len; i++)
        out[i] = in[i] ^ turned[i & 7];
}

/* ---- close frames ------------------------------------------------------- */

bool wf_ws_code_is_valid(int code)
{
    if (code >= 3000) return code <= 4999;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

int wf_ws_parse_close(const void *payload, size_t len)
{
    const uint8_t *at = payload;
    if (len == 0) return WEFT_WS_NO_CODE;
    if (len == 1) return -EPROTO;
    int code = at[0] << 8 | at[1];
    if (!wf_ws_code_is_valid(code)) return -EPROTO;
    return wf_utf8_is_valid(at + 2, len - 2) ? code : -EILSEQ;
}
