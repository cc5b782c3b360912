/* SPDX-License-Identifier: MIT */
/*
 * base64.c - three octets as four letters, and back.
 */
#include "base64.h"

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t wf_base64_encode(const void *data, size_t len, char *ret_text)
{
    const uint8_t *in = data;
    char *out = ret_text;
    for (; len > 0; in += 3, len -= 3) {
        uint32_t three = (uint32_t)in[0] << 16;
        if (len > 1) three |= (uint32_t)in[1] << 8;
        if (len > 2) three |= in[2];
        *out++ = letters[three >> 18];
        *out++ = letters[three >> 12 & 63];
        *out++ = len > 1 ? letters[three >> 6 & 63] : '=';
        *out++ = len > 2 ? letters[three & 63] : '=';
        if (len <= 3) break;
    }
    *out = 0;
    return (size_t)(out - ret_text);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

static size_t padding_of(weft_text t)
{
    size_t n = 0;
    while (n < 2 && n < t.len && t.at[t.len - 1 - n] == '=')
        n++;
    return n;
}

ssize_t wf_base64_decode(weft_text text, void *buf, size_t size)
{
    if (text.len % 4 != 0) return -EINVAL;
    size_t padding = padding_of(text), bytes = text.len / 4 * 3 - padding;
    if (bytes > size) return -ENOBUFS;

    uint8_t *out = buf;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.len - padding; i++) {
        int value = value_of(text.at[i]);
        if (value < 0) return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        *out++ = (uint8_t)(bits >> have);
    }
    if ((bits & ((1u << have) - 1)) != 0) return -EINVAL;
    return (ssize_t)bytes;
}
