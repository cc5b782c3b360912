/* SPDX-License-Identifier: MIT */
/*
 * floor_udp HOST:PORT - the echo server for datagrams that others are measured
 * against: epoll, and as many datagrams with a call as there are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "floor.h"
#include "system.h"

enum { BATCH = 64, ROOM = 2048 };

struct datagram {
    struct sockaddr_storage from;
    struct iovec piece;
    char octets[ROOM];
};

static struct datagram box[BATCH];

#if defined(__linux__)
static struct mmsghdr heads[BATCH];

static void set_up(void)
{
    for (int i = 0; i < BATCH; i++)
        heads[i].msg_hdr = (struct msghdr){.msg_name = &box[i].from,
                                           .msg_iov = &box[i].piece,
                                           .msg_iovlen = 1};
}

/* What does not fit into the socket's buffer is lost, as it may be. */
static void echo_all(int fd)
{
    for (int i = 0; i < BATCH; i++) {
        box[i].piece = (struct iovec){box[i].octets, ROOM};
        heads[i].msg_hdr.msg_namelen = sizeof box[i].from;
    }
    int n = recvmmsg(fd, heads, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        box[i].piece.iov_len = heads[i].msg_len;
    for (int done = 0; done < n;) {
        int sent = sendmmsg(fd, heads + done, (unsigned)(n - done), 0);
        done += sent > 0 ? sent : 1;
    }
}
#else
static void set_up(void)
{
}

static void echo_all(int fd)
{
    struct datagram *d = &box[0];
    socklen_t len = sizeof d->from;
    ssize_t n =
        recvfrom(fd, d->octets, ROOM, MSG_DONTWAIT, (void *)&d->from, &len);
    if (n >= 0)
        (void)sendto(fd, d->octets, (size_t)n, 0, (void *)&d->from, len);
}
#endif

static int serve(int fd)
{
    struct epoll_event e = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
        return 1;
    for (;;) {
        int n = epoll_wait(epoll_fd, &e, 1, -1);
        if (n < 0 && errno != EINTR) return 1;
        if (n > 0) echo_all(fd);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: floor_udp HOST:PORT\n", stderr);
        return 2;
    }
    int fd = floor_bind(argv[1], SOCK_DGRAM);
    if (fd < 0) {
        fprintf(stderr, "cannot bind %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    set_up();
    return serve(fd);
}
