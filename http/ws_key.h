/* SPDX-License-Identifier: MIT */
/*
 * http/ws_key.h - what both sides of the opening handshake know (RFC 6455, 4).
 */
#ifndef HTTP_WS_KEY_H
#define HTTP_WS_KEY_H

#include <weft/http.h>
#include <weft/text.h>

enum {
    WF_WS_KEY_BYTES = 16,
    WF_WS_KEY_TEXT = 25, /* in base64, with a 0 */
    WF_WS_ACCEPT_TEXT = 29
};

/* A new Sec-WebSocket-Key. 0, or as weft_random_bytes. */
int wf_ws_make_key(char ret_key[WF_WS_KEY_TEXT]);

/* Is it one? */
bool wf_ws_key_is_valid(weft_text key);

/* The Sec-WebSocket-Accept that answers a valid key. */
void wf_ws_accept_of(weft_text key, char ret_accept[WF_WS_ACCEPT_TEXT]);

/* The value of the only line of that name; at NULL: there is none, or another
 * number of them than one, which *ret_count says. */
weft_text wf_ws_only_field(const weft_http_fields *f, const char *name,
                           unsigned *ret_count);

/* Is `protocol` an item of `list`, as it is spelled? */
bool wf_ws_list_has(weft_text list, weft_text protocol);

/* 0; -EINVAL: it is no list of different tokens. NULL has none. *ret_longest
 * may be NULL. */
int wf_ws_check_protocols(const char *list, size_t *ret_longest);

#endif
