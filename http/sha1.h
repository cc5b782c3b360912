/* SPDX-License-Identifier: MIT */
/*
 * sha1.h - SHA-1 (RFC 3174), which the opening of WebSocket asks for. It is no
 * protection against anybody, and is used for nothing else.
 */
#ifndef WF_HTTP_SHA1_H
#define WF_HTTP_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { WF_SHA1_BYTES = 20 };

void wf_sha1(const void *data, size_t len, uint8_t ret[WF_SHA1_BYTES]);

#endif
