/* SPDX-License-Identifier: MIT */
/*
 * net/cmsg.h - going along what came beside a message (cmsg(3)).
 */
#ifndef NET_CMSG_H
#define NET_CMSG_H

#include <sys/socket.h>

/* One of musl's macros has an int where it means a size. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
static inline struct cmsghdr *wf_cmsg_next(struct msghdr *msg,
                                           struct cmsghdr *c)
{
    return CMSG_NXTHDR(msg, c);
}
#pragma GCC diagnostic pop

#endif
