/* SPDX-License-Identifier: MIT */
/* bench/address.h - numeric addresses, as the programs here take them. */
#ifndef BENCH_ADDRESS_H
#define BENCH_ADDRESS_H

#include <sys/socket.h>

struct address {
    struct sockaddr_storage to;
    socklen_t len;
    char text[64];
};

/** Reads "127.0.0.1:80", "[::1]:80", "unix:/path" or, on Linux, "unix:@name".
 *  Returns 0 or -EINVAL. */
int address_parse(const char *text, struct address *ret_address);

#endif
