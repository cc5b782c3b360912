/* SPDX-License-Identifier: MIT */
/*
 * ws_key.c - keys, their answers, and lists of protocols.
 */
#include "ws_key.h"

#include <weft/error.h>
#include <weft/random.h>

#include <string.h>

#include "base64.h"
#include "sha1.h"

static const char salt[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

int wf_ws_make_key(char ret_key[WF_WS_KEY_TEXT])
{
    uint8_t key[WF_WS_KEY_BYTES];
    int err = weft_random_bytes(key, sizeof key);
    if (err < 0) return err;
    (void)wf_base64_encode(key, sizeof key, ret_key);
    return 0;
}

bool wf_ws_key_is_valid(weft_text key)
{
    uint8_t octets[WF_WS_KEY_BYTES];
    return key.len == WF_WS_KEY_TEXT - 1 &&
           wf_base64_decode(key, octets, sizeof octets) == WF_WS_KEY_BYTES;
}

void wf_ws_accept_of(weft_text key, char ret_accept[WF_WS_ACCEPT_TEXT])
{
    char both[WF_WS_KEY_TEXT - 1 + sizeof salt - 1];
    uint8_t digest[WF_SHA1_BYTES];
    memcpy(both, key.at, WF_WS_KEY_TEXT - 1);
    memcpy(both + WF_WS_KEY_TEXT - 1, salt, sizeof salt - 1);
    wf_sha1(both, sizeof both, digest);
    (void)wf_base64_encode(digest, sizeof digest, ret_accept);
}

weft_text wf_ws_only_field(const weft_http_fields *f, const char *name,
                           unsigned *ret_count)
{
    weft_text value = {NULL, 0}, another;
    size_t at = 0;
    *ret_count = 0;
    while (weft_http_field_next(f, name, &at, &another)) {
        value = another;
        (*ret_count)++;
    }
    return *ret_count == 1 ? value : (weft_text){NULL, 0};
}

bool wf_ws_list_has(weft_text list, weft_text protocol)
{
    weft_text item;
    while (weft_http_list_next(&list, &item))
        if (weft_text_equal(item, protocol)) return true;
    return false;
}

int wf_ws_check_protocols(const char *list, size_t *ret_longest)
{
    weft_text left = weft_text_of(list), item;
    size_t longest = 0;
    while (weft_http_list_next(&left, &item)) {
        if (!weft_http_is_token(item) || wf_ws_list_has(left, item))
            return weft_fail_at(-EINVAL, NULL, 0,
                                "websocket: no list of protocols: %.60s", list);
        if (item.len > longest) longest = item.len;
    }
    if (ret_longest) *ret_longest = longest;
    return 0;
}
