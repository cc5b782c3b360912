/* SPDX-License-Identifier: MIT */
/*
 * net.c - what can be said to a connection, and asked of it.
 */
#include <weft/net.h>

#include <weft/error.h>
#include <weft/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

static int set_flag(weft_fd fd, int level, int name, int on)
{
    return weft_setsockopt(fd, level, name, &on, sizeof on);
}

int weft_shutdown_write(weft_fd conn)
{
    return weft_shutdown_fd(conn, SHUT_WR);
}

int weft_shutdown_read(weft_fd conn)
{
    return weft_shutdown_fd(conn, SHUT_RD);
}

int weft_local_addr(weft_fd fd, weft_addr *ret_addr)
{
    weft_addr a = {.len = sizeof a.sa};
    int err = weft_getsockname(fd, (struct sockaddr *)&a.sa, &a.len);
    if (err == 0) *ret_addr = a;
    return err;
}

int weft_peer_addr(weft_fd fd, weft_addr *ret_addr)
{
    weft_addr a = {.len = sizeof a.sa};
    int err = weft_getpeername(fd, (struct sockaddr *)&a.sa, &a.len);
    if (err == 0) *ret_addr = a;
    return err;
}

int weft_set_nodelay(weft_fd conn, bool on)
{
    return set_flag(conn, IPPROTO_TCP, TCP_NODELAY, on);
}

int weft_set_reset_on_close(weft_fd conn, bool on)
{
    struct linger l = {.l_onoff = on, .l_linger = 0};
    return weft_setsockopt(conn, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}
