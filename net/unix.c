/* SPDX-License-Identifier: MIT */
/*
 * unix.c - opening Unix sockets, and who is at their other end.
 */
#include <weft/unix.h>

#include <weft/error.h>
#include <weft/socket.h>

#include <stddef.h>
#include <string.h>

#include "listen.h"

static const struct sockaddr *where(const weft_addr *a)
{
    return (const struct sockaddr *)&a->sa;
}

static int parse(weft_addr *a, const char *address)
{
    int err = weft_addr_parse(a, address);
    if (err < 0 || a->sa.ss_family == AF_UNIX) return err;
    return weft_fail_at(-EINVAL, NULL, 0, "%.80s is no Unix address", address);
}

static int check_type(int type)
{
    if (type == SOCK_STREAM || type == SOCK_SEQPACKET) return 0;
    return weft_fail_at(-EINVAL, NULL, 0,
                        "there are no connections of socket type %d", type);
}

static int closed(weft_fd fd, int err, const char *what, const char *address)
{
    (void)weft_close(fd);
    return weft_fail_at(err, NULL, 0, "%s %s", what, address);
}

/* ---- connections -------------------------------------------------------- */

int weft_unix_listen(weft_fd *ret_listener, const char *address, int type,
                     const weft_listen_opts *o)
{
    weft_addr a;
    int err = check_type(type);
    if (err == 0) err = parse(&a, address);
    return err < 0 ? err : wf_listen_at(ret_listener, &a, type, o, address);
}

int weft_unix_dial(weft_fd *ret_conn, const char *address, int type)
{
    weft_addr a = {.len = 0};
    weft_fd fd;
    int err = check_type(type);
    if (err == 0) err = parse(&a, address);
    if (err < 0) return err;
    if (type == SOCK_STREAM) return weft_dial(ret_conn, address);

    err = weft_socket(AF_UNIX, type, 0, &fd);
    if (err < 0) return weft_fail_at(err, NULL, 0, "dial %s", address);
    err = weft_connect(fd, where(&a), a.len);
    if (err < 0) return closed(fd, err, "dial", address);
    *ret_conn = fd;
    return 0;
}

/* ---- datagrams ---------------------------------------------------------- */

/* No path at all: Linux takes a free abstract name. */
static int any_name(weft_addr *a)
{
#if defined(__linux__)
    *a = (weft_addr){.len = offsetof(struct sockaddr, sa_data)};
    a->sa.ss_family = AF_UNIX;
    return 0;
#else
    *a = (weft_addr){.len = 0};
    return weft_fail_at(-ENOTSUP, NULL, 0,
                        "unix: there are no names without a file here");
#endif
}

static int name_it(weft_fd fd, const weft_addr *a)
{
    if (a->len > offsetof(struct sockaddr, sa_data))
        weft_remove_stale(where(a), a->len);
    return weft_bind(fd, where(a), a->len);
}

int weft_unix_datagram(weft_fd *ret_fd, const char *address)
{
    weft_addr a;
    weft_fd fd;
    int err = 0;
    if (address)
        err = strcmp(address, "unix:") == 0 ? any_name(&a) : parse(&a, address);
    if (err < 0) return err;
    err = weft_socket(AF_UNIX, SOCK_DGRAM, 0, &fd);
    if (err < 0)
        return weft_fail_at(err, NULL, 0, "datagram socket %s",
                            address ? address : "without a name");
    if (address) err = name_it(fd, &a);
    if (err < 0) return closed(fd, err, "datagram socket", address);
    *ret_fd = fd;
    return 0;
}

int weft_unix_connect(weft_fd datagram, const char *address)
{
    weft_addr a;
    int err = parse(&a, address);
    if (err < 0) return err;
    err = weft_connect(datagram, where(&a), a.len);
    if (err == 0 || err == -ECANCELED) return err;
    return weft_fail_at(err, NULL, 0, "connect to %s", address);
}

/* ---- who is there ------------------------------------------------------- */

int weft_unix_peer(weft_fd conn, weft_unix_creds *ret_creds)
{
    weft_addr local = {.len = sizeof local.sa};
    weft_unix_creds who;
    int err = weft_getsockname(conn, (struct sockaddr *)&local.sa, &local.len);
    if (err == 0 && local.sa.ss_family != AF_UNIX)
        return weft_fail_at(-EAFNOSUPPORT, NULL, 0,
                            "descriptor %u is no Unix socket", conn.slot);
    if (err == 0) err = weft_getpeereid(conn, &who.uid, &who.gid, &who.pid);
    if (err < 0)
        return weft_fail_at(err, NULL, 0, "who is at descriptor %u", conn.slot);
    *ret_creds = who;
    return 0;
}

int weft_unix_want_creds(weft_fd fd, bool on)
{
#if defined(SO_PASSCRED)
    int value = on;
    return weft_setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, sizeof value);
#else
    int number = weft_fd_number(fd);
    if (number < 0) return number;
    return on ? -ENOTSUP : 0;
#endif
}
