/* SPDX-License-Identifier: MIT */
/* guest.c - sockets that are set up before they connect. */
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "system.h"

static void make_narrow(int fd)
{
    const int segment = 1400, window = 4096;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &window, sizeof window);
}

int guest_connect(const struct address *to, bool narrow)
{
    const struct linger abort_it = {.l_onoff = 1};
    const struct timeval patience = {.tv_sec = 5};
    int fd = socket(to->to.ss_family, SOCK_STREAM, 0);
    if (fd < 0) return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (narrow) make_narrow(fd);
    if (connect(fd, (const struct sockaddr *)&to->to, to->len) == 0) return fd;
    int err = -errno;
    (void)close(fd);
    return err;
}

unsigned guest_descriptors(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *d = opendir(path);
    while (d && readdir(d) != NULL)
        n++;
    if (d) (void)closedir(d);
    return n > 2 ? n - 2 : 0; /* "." and ".." */
}
