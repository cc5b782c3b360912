/* SPDX-License-Identifier: MIT */
/* backlog.h - whether a listener can be asked for its backlog. */
#ifndef TESTS_BACKLOG_H
#define TESTS_BACKLOG_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system.h"

/* Linux tells it in a place that an emulator leaves empty. */
static inline bool backlog_is_told(void)
{
#if defined(__linux__)
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    int fd = system_socket(AF_INET);
    CHECK_EQ(listen(fd, 9), 0);
    int rc = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    CHECK_EQ(close(fd), 0);
    return rc == 0 && info.tcpi_sacked == 9;
#else
    return false;
#endif
}

#endif
