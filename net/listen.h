/* SPDX-License-Identifier: MIT */
/*
 * net/listen.h - listening with any type of connections.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <weft/net.h>

/* As weft_listen_addr; errors name `address`. */
int wf_listen_at(weft_fd *ret, const weft_addr *at, int type,
                 const weft_listen_opts *o, const char *address);

#endif
