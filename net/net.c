/* SPDX-License-Identifier: MIT */
/*
 * net.c - listening and dialling by the text of an address.
 */
#include <weft/net.h>

#include <weft/error.h>
#include <weft/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

enum { BACKLOG = 4096 };

static int set_flag(weft_fd fd, int level, int name, int on)
{
    return weft_setsockopt(fd, level, name, &on, sizeof on);
}

static int open_listener(weft_fd fd, const weft_addr *a,
                         const weft_listen_opts *o)
{
    int err = 0;
    bool ip = a->sa.ss_family != AF_UNIX;
    if (ip) err = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    /* What is accepted inherits it. */
    if (err == 0 && ip) err = set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (err == 0 && ip && o->reuse_port)
        err = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (err < 0) return err;
    if (!ip && !o->keep_path)
        weft_remove_stale((const struct sockaddr *)&a->sa, a->len);
    err = weft_bind(fd, (const struct sockaddr *)&a->sa, a->len);
    if (err < 0) return err;
    return weft_listen_on(fd, o->backlog ? o->backlog : BACKLOG);
}

int weft_listen(weft_fd *ret_listener, const char *address,
                const weft_listen_opts *o)
{
    static const weft_listen_opts defaults;
    weft_addr a;
    weft_fd fd;
    int err = weft_addr_parse(&a, address);
    if (err < 0) return err;
    err = weft_socket(a.sa.ss_family, SOCK_STREAM, 0, &fd);
    if (err < 0) return weft_fail_at(err, NULL, 0, "listen %s", address);
    err = open_listener(fd, &a, o ? o : &defaults);
    if (err < 0) {
        weft_close(fd);
        return weft_fail_at(err, NULL, 0, "listen %s", address);
    }
    *ret_listener = fd;
    return 0;
}

int weft_accept(weft_fd listener, weft_fd *ret_conn, weft_addr *ret_peer)
{
    weft_addr peer = {.len = sizeof peer.sa};
    int err = weft_accept_from(listener, ret_conn, (struct sockaddr *)&peer.sa,
                               &peer.len);
    if (err < 0) return err;
    if (ret_peer) *ret_peer = peer;
    return 0;
}

int weft_try_accept(weft_fd listener, weft_fd *ret_conn, weft_addr *ret_peer)
{
    weft_addr peer = {.len = sizeof peer.sa};
    int err = weft_try_accept_from(listener, ret_conn,
                                   (struct sockaddr *)&peer.sa, &peer.len);
    if (err < 0) return err;
    if (ret_peer) *ret_peer = peer;
    return 0;
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
