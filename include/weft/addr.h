/* SPDX-License-Identifier: MIT */
/*
 * weft/addr.h (net) - where a socket is.
 *
 *     weft_addr a;
 *     int err = weft_addr_parse(&a, "[::1]:8080");
 *
 * The text of an address is one of
 *
 *     127.0.0.1:8080    [::1]:8080    [fe80::1%eth0]:8080    :8080 (any)
 *     tcp://127.0.0.1:8080            unix:/run/x    unix:@abstract
 *
 * Names are not resolved here. Abstract addresses, which need no file, are of
 * Linux alone.
 */
#ifndef WEFT_ADDR_H
#define WEFT_ADDR_H

#include <weft/base.h>

#include <sys/socket.h>

WEFT_BEGIN_DECLS

typedef struct weft_addr {
    struct sockaddr_storage sa;
    socklen_t len;
} weft_addr;

enum { WEFT_ADDR_TEXT = 128 }; /* room for any text weft_addr_format writes */

/** 0; -EINVAL: not an address; -ENAMETOOLONG: a Unix path of over 107 (macOS,
 *  BSD: 103); -ENOTSUP: an abstract address, elsewhere than on Linux. */
WEFT_MUST int weft_addr_parse(weft_addr *a, const char *text);

/** Writes the text of *a, cut to `len` with a 0 at the end; returns `buf`. */
WEFT_API char *weft_addr_format(const weft_addr *a, char *buf, size_t len);

/** The port, in host order; 0 for a Unix socket. */
WEFT_API unsigned weft_addr_port(const weft_addr *a);

WEFT_END_DECLS

#endif
