/* SPDX-License-Identifier: MIT */
/*
 * base64.h - base64 with its padding (RFC 4648, section 4).
 */
#ifndef WF_HTTP_BASE64_H
#define WF_HTTP_BASE64_H

#include <weft/text.h>

#include <sys/types.h>

/** Room for the text of so many octets, with the 0 behind it. */
#define WF_BASE64_TEXT(bytes) (((size_t)(bytes) + 2) / 3 * 4 + 1)

/** Writes WF_BASE64_TEXT(len) octets, the last a 0. Returns the length without
 *  it. */
size_t wf_base64_encode(const void *data, size_t len, char *ret_text);

/**
 * Reads what such a text says, and nothing else: no spaces, no padding left out
 * and no bits set that mean nothing (RFC 4648, 3.2, 3.3, 3.5). Returns how many
 * octets; -EINVAL: it is none; -ENOBUFS: they have no room.
 */
ssize_t wf_base64_decode(weft_text text, void *buf, size_t size);

#endif
