/* SPDX-License-Identifier: MIT */
/*
 * net.c - dialling by the text of an address, and what a connection can be
 * asked.
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

int weft_dial(weft_fd *ret_conn, const char *address)
{
    weft_addr a;
    weft_fd fd;
    int err = weft_addr_parse(&a, address);
    if (err < 0) return err;
    err = weft_socket(a.sa.ss_family, SOCK_STREAM, 0, &fd);
    if (err < 0) return weft_fail_at(err, NULL, 0, "dial %s", address);
    if (a.sa.ss_family != AF_UNIX) err = weft_set_nodelay(fd, true);
    if (err == 0) err = weft_connect(fd, (const struct sockaddr *)&a.sa, a.len);
    if (err < 0) {
        weft_close(fd);
        return weft_fail_at(err, NULL, 0, "dial %s", address);
    }
    *ret_conn = fd;
    return 0;
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
