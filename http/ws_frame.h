/* SPDX-License-Identifier: MIT */
/*
 * http/ws_frame.h - frames of WebSocket (RFC 6455, section 5) as octets. Pure:
 * no I/O, no allocation, nothing kept.
 */
#ifndef HTTP_WS_FRAME_H
#define HTTP_WS_FRAME_H

#include <weft/base.h>

#include <sys/types.h>

enum {
    WF_WS_CONTINUATION = 0,
    WF_WS_TEXT = 1,
    WF_WS_BINARY = 2,
    WF_WS_CLOSE = 8,
    WF_WS_PING = 9,
    WF_WS_PONG = 10
};

enum {
    WF_WS_HEAD = 14, /* octets of one at most */
    WF_WS_CONTROL = 125
};

struct wf_ws_head {
    bool fin, masked;
    uint8_t opcode;
    uint8_t key[4]; /* of the mask; zeroed without */
    uint64_t len;   /* of the payload */
};

/* What a head has to be like where it stands. */
struct wf_ws_rules {
    bool masked;     /* it is to a server */
    bool in_message; /* the one before was not the last of its message */
};

static inline bool wf_ws_is_control(uint8_t opcode)
{
    return opcode >= WF_WS_CLOSE;
}

/* How many octets the head has (*ret_head is filled); 0: more are needed;
 * -EPROTO: no head may begin so, and *ret_wrong says why. That is told at the
 * first octet that shows it, whatever comes behind. */
ssize_t wf_ws_parse_head(struct wf_ws_head *ret_head, const void *data,
                         size_t len, const struct wf_ws_rules *rules,
                         const char **ret_wrong);

/* Writes it, with its length in the fewest octets. Returns how many these
 * are. */
size_t wf_ws_write_head(uint8_t out[WF_WS_HEAD], const struct wf_ws_head *h);

/* Copies `len` octets that stand `offset` behind the beginning of a payload,
 * and takes the mask off or puts it on. `to` may be `from`. */
void wf_ws_mask(void *to, const void *from, size_t len, const uint8_t key[4],
                uint64_t offset);

/* May a close frame have this code (RFC 6455, 7.4, and the registry of
 * IANA)? */
bool wf_ws_code_is_valid(int code);

/* The code of a close frame: WEFT_WS_NO_CODE if it is empty; -EPROTO: it is
 * none that may be there, or there is half of one; -EILSEQ: the reason behind
 * it, all but two octets, is not UTF-8. */
int wf_ws_parse_close(const void *payload, size_t len);

#endif
