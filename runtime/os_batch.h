/* SPDX-License-Identifier: MIT */
/*
 * os_batch.h - several datagrams at a time, by one call for each.
 *
 * For systems without a call for all of them, and on Linux for those of a
 * connected socket: sendmmsg(2) loses the error that ends a batch, and what
 * ICMP says of such a socket is said once. Here it is in *ret_later.
 *
 * -1 with errno set is of the first; after that the count, and errno as it was.
 */
#ifndef WF_OS_BATCH_H
#define WF_OS_BATCH_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

/* weft/datagram.h has it under a name for users. */
struct __attribute__((may_alias)) wf_mmsg {
    struct msghdr msg;
    unsigned len;
};

static inline int wf_sys_batch_ends(unsigned done, int kept, int *ret_later)
{
    if (done == 0) return -1;
    *ret_later = -errno;
    errno = kept;
    return (int)done;
}

static inline int wf_sys_recv_each(int fd, struct wf_mmsg *v, unsigned count,
                                   int flags, int *ret_later)
{
    int kept = errno;
    for (unsigned i = 0; i < count; i++) {
        ssize_t n = recvmsg(fd, &v[i].msg, flags);
        if (n < 0) return wf_sys_batch_ends(i, kept, ret_later);
        v[i].len = (unsigned)n;
    }
    return (int)count;
}

static inline int wf_sys_send_each(int fd, struct wf_mmsg *v, unsigned count,
                                   int flags, int *ret_later)
{
    int kept = errno;
    for (unsigned i = 0; i < count; i++) {
        ssize_t n = sendmsg(fd, &v[i].msg, flags);
        if (n < 0) return wf_sys_batch_ends(i, kept, ret_later);
        v[i].len = (unsigned)n;
    }
    return (int)count;
}

#endif
