/* SPDX-License-Identifier: MIT */
/*
 * listen.c - listening by the text of an address, and accepting.
 */
#include <weft/net.h>

#include <weft/activation.h>
#include <weft/error.h>
#include <weft/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "listen.h"

enum { BACKLOG = 4096, MODE_BITS = 0777 };

static int set_flag(weft_fd fd, int level, int name, int on)
{
    return weft_setsockopt(fd, level, name, &on, sizeof on);
}

static int fail(int err, const char *address, const char *why)
{
    return weft_fail_at(err, NULL, 0, "listen %.60s: %s", address, why);
}

/* What the last failure said, behind the address. */
static int fail_with_its_words(int err, const char *address)
{
    const weft_error *e = weft_last_error();
    return fail(err, address, e && e->code == err ? e->msg : "");
}

/* ---- opening one -------------------------------------------------------- */

struct opening {
    weft_fd fd;
    const weft_addr *at;
    const weft_listen_opts *opts;
    const char *step; /* that was tried last */
};

static bool has_file(const weft_addr *a)
{
    return weft_addr_path(a) != NULL;
}

static int set_option(struct opening *p, const char *step, int level, int name,
                      bool on)
{
    p->step = step;
    return set_flag(p->fd, level, name, on);
}

/* Systems differ in the default, and some cannot take IPv4 too; that matters
 * only to an address that IPv4 connections can come to. */
static int set_v6_only(struct opening *p)
{
    bool on = p->opts->v6_only;
    int err =
        set_option(p, "option IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, on);
    if (err == 0 || on) return err;
    if (!weft_addr_is_any(p->at) && !weft_addr_is_mapped(p->at)) return 0;
    return err == -EINVAL || err == -ENOPROTOOPT ? -ENOTSUP : err;
}

static int set_ip_options(struct opening *p)
{
    int err = set_option(p, "option SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 1);
    /* What is accepted inherits it. */
    if (err == 0)
        err = set_option(p, "option TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1);
    if (err == 0 && p->opts->reuse_port)
        err = set_option(p, "option SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, 1);
    if (err == 0 && weft_addr_family(p->at) == AF_INET6) err = set_v6_only(p);
    return err;
}

/* Nobody can connect to what does not listen, whatever the mode of its file. */
static int listen_from_now_on(struct opening *p)
{
    const struct sockaddr *sa = (const struct sockaddr *)&p->at->sa;
    int err = 0;
    if (p->opts->mode) {
        p->step = "mode";
        err = weft_set_socket_mode(sa, p->at->len, p->opts->mode);
    }
    if (err < 0) return err;
    p->step = "listen";
    return weft_listen_on(p->fd, p->opts->backlog ? p->opts->backlog : BACKLOG);
}

static int bind_and_listen(struct opening *p)
{
    const struct sockaddr *sa = (const struct sockaddr *)&p->at->sa;
    int err = 0;
    if (weft_addr_family(p->at) != AF_UNIX) err = set_ip_options(p);
    if (err == 0 && has_file(p->at) && !p->opts->keep_path)
        weft_remove_stale(sa, p->at->len);
    if (err == 0) {
        p->step = "bind";
        err = weft_bind(p->fd, sa, p->at->len);
    }
    bool bound = err == 0;
    if (bound) err = listen_from_now_on(p);
    if (err == 0) return 0;
    weft_close(p->fd);
    /* Of a socket that is closed the file, which was made here, is stale. */
    if (bound && has_file(p->at)) weft_remove_stale(sa, p->at->len);
    return err;
}

static int open_at(weft_fd *ret, const weft_addr *at, int type,
                   const weft_listen_opts *o, const char **ret_step)
{
    struct opening p = {.at = at, .opts = o, .step = "socket"};
    int err = weft_socket(weft_addr_family(at), type, 0, &p.fd);
    if (err == 0) err = bind_and_listen(&p);
    *ret_step = p.step;
    if (err == 0) *ret = p.fd;
    return err;
}

/* ---- at an address ------------------------------------------------------ */

static const weft_listen_opts defaults;

static int check_opts(const weft_listen_opts *o, bool file, const char *address)
{
    if (o->backlog < 0) return fail(-EINVAL, address, "a backlog below 0");
    if (o->mode & ~(mode_t)MODE_BITS)
        return fail(-EINVAL, address, "a mode of more than 0777");
    if (o->mode && !file)
        return fail(-EINVAL, address, "a mode, and no file to have it");
    return 0;
}

int wf_listen_at(weft_fd *ret, const weft_addr *at, int type,
                 const weft_listen_opts *o, const char *address)
{
    const char *step;
    if (!o) o = &defaults;
    int err = check_opts(o, has_file(at), address);
    if (err < 0) return err;
    err = open_at(ret, at, type, o, &step);
    return err < 0 ? fail(err, address, step) : 0;
}

int weft_listen_addr(weft_fd *ret_listener, const weft_addr *address,
                     const weft_listen_opts *o)
{
    char text[WEFT_ADDR_TEXT];
    (void)weft_addr_format(address, text, sizeof text);
    return wf_listen_at(ret_listener, address, SOCK_STREAM, o, text);
}

/* ---- at both families --------------------------------------------------- */

/* "*:80" without the "*", or NULL. */
static const char *behind_star(const char *address)
{
    if (strncmp(address, "tcp://", 6) == 0) address += 6;
    return strncmp(address, "*:", 2) == 0 ? address + 1 : NULL;
}

static bool has_no_ipv6(int err, const char *step)
{
    if (strcmp(step, "socket") == 0)
        return err == -EAFNOSUPPORT || err == -EPROTONOSUPPORT;
    return strcmp(step, "bind") == 0 && err == -EADDRNOTAVAIL;
}

static int listen_at_both(weft_fd *ret, const char *address, const char *port,
                          const weft_listen_opts *o)
{
    static const uint8_t any[16];
    weft_addr at = {.len = 0};
    const char *step = "socket";
    int err = check_opts(o, false, address);
    if (err < 0) return err;
    if (o->v6_only) return fail(-EINVAL, address, "* is IPv4 too, v6_only not");
    err = weft_addr_parse(&at, port);
    if (err < 0) return fail_with_its_words(err, address);
    err = weft_addr_ipv6(&at, any, 0, weft_addr_port(&at));
    if (err == 0) err = open_at(ret, &at, SOCK_STREAM, o, &step);
    if (err == 0 || !has_no_ipv6(err, step))
        return err < 0 ? fail(err, address, step) : 0;
    err = weft_addr_ipv4(&at, 0, weft_addr_port(&at));
    if (err == 0) err = open_at(ret, &at, SOCK_STREAM, o, &step);
    return err < 0 ? fail(err, address, step) : 0;
}

/* ---- inherited ---------------------------------------------------------- */

/* A decimal number as it is written, or -1. */
static int read_number(const char *text)
{
    int value = 0;
    if (!*text || strspn(text, "0123456789") != strlen(text)) return -1;
    if (strlen(text) > 9 || (*text == '0' && text[1])) return -1;
    for (; *text; text++)
        value = value * 10 + (*text - '0');
    return value;
}

/* "NAME", "NAME:INDEX": which descriptor that is. */
static int find_passed(const char *address, const char *name)
{
    char copy[256]; /* the most that systemd takes is 255 */
    size_t len = strcspn(name, ":");
    int index = name[len] ? read_number(name + len + 1) : 0;
    if (len >= sizeof copy || index < 0 || (len == 0 && !name[len]))
        return fail(-EINVAL, address,
                    "not systemd:NAME, systemd:NAME:INDEX or systemd::INDEX");
    memcpy(copy, name, len);
    copy[len] = 0;
    int fd = weft_activation_find(copy, (unsigned)index);
    return fd < 0 ? fail_with_its_words(fd, address) : fd;
}

static int inherit(weft_fd *ret, const char *address, int number,
                   const weft_listen_opts *o)
{
    weft_fd fd;
    weft_addr at;
    if (o->backlog < 0) return fail(-EINVAL, address, "a backlog below 0");
    int err = weft_listener_adopt(number, &fd);
    if (err < 0) return fail_with_its_words(err, address);
    const char *step = "local address";
    err = weft_local_addr(fd, &at);
    int family = err == 0 ? weft_addr_family(&at) : AF_UNSPEC;
    if (family == AF_INET || family == AF_INET6) {
        step = "option TCP_NODELAY";
        err = set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (err == 0 && o->backlog) {
        step = "listen";
        err = weft_listen_on(fd, o->backlog);
    }
    if (err == 0) {
        *ret = fd;
        return 0;
    }
    int released = weft_fd_release(fd); /* it is still the caller's */
    (void)released;
    return fail(err, address, step);
}

int weft_listen(weft_fd *ret_listener, const char *address,
                const weft_listen_opts *o)
{
    weft_addr at;
    const char *port = behind_star(address);
    if (!o) o = &defaults;
    if (port) return listen_at_both(ret_listener, address, port, o);
    if (strncmp(address, "fd:", 3) == 0) {
        int fd = read_number(address + 3);
        return fd < 0 ? fail(-EINVAL, address, "not fd:NUMBER")
                      : inherit(ret_listener, address, fd, o);
    }
    if (strncmp(address, "systemd:", 8) == 0) {
        int fd = find_passed(address, address + 8);
        return fd < 0 ? fd : inherit(ret_listener, address, fd, o);
    }
    int err = weft_addr_parse(&at, address);
    if (err < 0) return err;
    return wf_listen_at(ret_listener, &at, SOCK_STREAM, o, address);
}

/* ---- another like it ---------------------------------------------------- */

static bool is_on(weft_fd fd, int level, int name)
{
    int on = 0;
    socklen_t len = sizeof on;
    return weft_getsockopt(fd, level, name, &on, &len) == 0 && on;
}

/* Linux tells it of TCP, where a connection has another number. */
static int backlog_of(weft_fd fd)
{
#if defined(__linux__)
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (weft_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return (int)info.tcpi_sacked;
#else
    (void)fd;
#endif
    return 0;
}

int weft_listener_opts(weft_fd listener, weft_listen_opts *ret_opts)
{
    weft_addr at;
    int err = weft_local_addr(listener, &at), listens = 1;
    socklen_t len = sizeof listens;
    if (err < 0) return err;
    err = weft_getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
    if (err == 0 && !listens)
        return weft_fail_at(-EINVAL, NULL, 0, "descriptor %d does not listen",
                            weft_fd_number(listener));
    *ret_opts = (weft_listen_opts){0};
    if (weft_addr_family(&at) == AF_UNIX) return 0;
    ret_opts->backlog = backlog_of(listener);
    ret_opts->reuse_port = is_on(listener, SOL_SOCKET, SO_REUSEPORT);
    if (weft_addr_family(&at) == AF_INET6)
        ret_opts->v6_only = is_on(listener, IPPROTO_IPV6, IPV6_V6ONLY);
    return 0;
}

/* ---- accepting ---------------------------------------------------------- */

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
