/* SPDX-License-Identifier: MIT */
/*
 * udp_open.c - sockets of datagrams, and their options.
 *
 * One of IPv6 that hears IPv4 too has, on Linux, the options of both, and those
 * of IPv4 count for what goes there; so both are set.
 */
#include "udp.h"

#include <weft/datagram.h>
#include <weft/error.h>
#include <weft/socket.h>

#include <string.h>

int wf_udp_set(weft_fd s, int level, int name, int value)
{
    return weft_setsockopt(s, level, name, &value, sizeof value);
}

int wf_udp_family(weft_fd s)
{
    struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof at;
    int err = weft_getsockname(s, (struct sockaddr *)&at, &len);
    if (err < 0) return err;
    bool ip = at.ss_family == AF_INET || at.ss_family == AF_INET6;
    return ip ? at.ss_family : -EAFNOSUPPORT;
}

int weft_udp_tell_local(weft_fd s)
{
    int family = wf_udp_family(s);
    return family < 0 ? family : wf_udp_ask_info(s, family);
}

static int parse(weft_addr *ret, const char *text)
{
    const char *bare = strncmp(text, "udp://", 6) == 0 ? text + 6 : text;
    if (strncmp(bare, "tcp://", 6) == 0)
        return weft_fail_at(-EINVAL, NULL, 0, "udp: %.60s is of TCP", text);
    int err = weft_addr_parse(ret, bare);
    if (err == 0 && ret->sa.ss_family != AF_INET &&
        ret->sa.ss_family != AF_INET6)
        return weft_fail_at(-EAFNOSUPPORT, NULL, 0,
                            "udp: %.60s is no address of IP", text);
    return err;
}

static int check(const weft_udp_opts *o)
{
    if (o->hops > 255)
        return weft_fail_at(-EINVAL, NULL, 0, "udp: %u hops are over 255",
                            o->hops);
    if (o->receive_buffer < 0 || o->send_buffer < 0)
        return weft_fail_at(-EINVAL, NULL, 0, "udp: a buffer of %d octets",
                            o->receive_buffer < 0 ? o->receive_buffer
                                                  : o->send_buffer);
    return 0;
}

static bool is_any(const weft_addr *a)
{
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    const void *sa = &a->sa;
    const struct sockaddr_in *in = sa;
    const struct sockaddr_in6 *in6 = sa;
    return a->sa.ss_family == AF_INET
               ? in->sin_addr.s_addr == INADDR_ANY
               : memcmp(&in6->sin6_addr, &any, sizeof any) == 0;
}

/* OpenBSD keeps the families apart, and does not let itself be asked. */
static int set_family(weft_fd s, int family, const weft_udp_opts *o)
{
    if (family != AF_INET6) return 0;
#if defined(__OpenBSD__)
    (void)s, (void)o;
    return 0;
#else
    return wf_udp_set(s, IPPROTO_IPV6, IPV6_V6ONLY, o->v6_only);
#endif
}

static bool sends_v4(int family, const weft_udp_opts *o)
{
#if defined(__linux__)
    return family == AF_INET || !o->v6_only;
#else
    (void)o;
    return family == AF_INET;
#endif
}

static int forbid_fragments(weft_fd s, int family, const weft_udp_opts *o)
{
    int err = 0;
#if defined(IP_MTU_DISCOVER) && defined(IPV6_MTU_DISCOVER)
    if (sends_v4(family, o))
        err = wf_udp_set(s, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
    if (err == 0 && family == AF_INET6)
        err = wf_udp_set(s, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
#elif defined(IP_DONTFRAG) && defined(IPV6_DONTFRAG)
    if (sends_v4(family, o)) err = wf_udp_set(s, IPPROTO_IP, IP_DONTFRAG, 1);
    if (err == 0 && family == AF_INET6)
        err = wf_udp_set(s, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
#else
    (void)s, (void)family, (void)o;
    err = -ENOTSUP;
#endif
    return err;
}

static int set_hops(weft_fd s, int family, const weft_udp_opts *o)
{
    int err = 0;
    if (sends_v4(family, o))
        err = wf_udp_set(s, IPPROTO_IP, IP_TTL, (int)o->hops);
    if (err == 0 && family == AF_INET6)
        err = wf_udp_set(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, (int)o->hops);
    return err;
}

static int set_sizes(weft_fd s, const weft_udp_opts *o)
{
    int err = 0;
    if (o->receive_buffer)
        err = wf_udp_set(s, SOL_SOCKET, SO_RCVBUF, o->receive_buffer);
    if (err == 0 && o->send_buffer)
        err = wf_udp_set(s, SOL_SOCKET, SO_SNDBUF, o->send_buffer);
    return err;
}

static int set_options(weft_fd s, int family, const weft_udp_opts *o)
{
    int err = set_family(s, family, o);
    if (err == 0 && o->reuse_addr)
        err = wf_udp_set(s, SOL_SOCKET, SO_REUSEADDR, 1);
    if (err == 0 && o->reuse_port)
        err = wf_udp_set(s, SOL_SOCKET, SO_REUSEPORT, 1);
    if (err == 0 && o->broadcast)
        err = wf_udp_set(s, SOL_SOCKET, SO_BROADCAST, 1);
    if (err == 0 && o->hops) err = set_hops(s, family, o);
    if (err == 0 && o->dont_fragment) err = forbid_fragments(s, family, o);
    if (err == 0 && o->tell_local) err = wf_udp_ask_info(s, family);
    return err == 0 ? set_sizes(s, o) : err;
}

static int bind_to(weft_fd s, const weft_addr *a, const weft_udp_opts *o)
{
    if (is_any(a) && !o->tell_local) {
        int err = wf_udp_ask_info(s, a->sa.ss_family);
        if (err < 0 && err != -ENOTSUP) return err;
    }
    return weft_bind(s, (const struct sockaddr *)&a->sa, a->len);
}

static int open_with(weft_fd *ret, int family, const weft_udp_opts *o)
{
    int err = weft_socket(family, SOCK_DGRAM, 0, ret);
    if (err < 0) return err;
    err = set_options(*ret, family, o);
    if (err < 0) weft_close(*ret);
    return err;
}

static int failed(int err, const char *step, const char *address,
                  const char *local)
{
    return weft_fail_at(err, NULL, 0, "udp %s %.45s%s%.45s", step, address,
                        local ? " from " : "", local ? local : "");
}

static const weft_udp_opts defaults;

int weft_udp_bind(weft_fd *ret, const char *address, const weft_udp_opts *o)
{
    weft_addr a = {.len = 0};
    weft_fd s;
    if (!o) o = &defaults;
    int err = parse(&a, address);
    if (err == 0) err = check(o);
    if (err < 0) return err;
    err = open_with(&s, a.sa.ss_family, o);
    if (err < 0) return failed(err, "bind", address, NULL);
    err = bind_to(s, &a, o);
    if (err < 0) {
        weft_close(s);
        return failed(err, "bind", address, NULL);
    }
    *ret = s;
    return 0;
}

/* Of strangers, from when it had its port but no peer. */
static int drop_all(weft_fd s)
{
    enum { ENOUGH = 100000 }; /* of somebody who floods: no more can come */
    int err = 0;
    for (int i = 0; err >= 0 && i < ENOUGH; i++) {
        char c;
        struct iovec iov = {&c, 1};
        weft_mmsg m = {.msg = {.msg_iov = &iov, .msg_iovlen = 1}};
        err = weft_try_recvmmsg(s, &m, 1, 0);
    }
    return err == -EAGAIN || err > 0 ? 0 : err;
}

static int connect_to(weft_fd s, const weft_addr *a, const weft_addr *local)
{
    int err = 0;
    if (local)
        err = weft_bind(s, (const struct sockaddr *)&local->sa, local->len);
    if (err == 0)
        err = weft_connect(s, (const struct sockaddr *)&a->sa, a->len);
    return err == 0 && local ? drop_all(s) : err;
}

int weft_udp_dial(weft_fd *ret, const char *address, const weft_udp_opts *o)
{
    weft_addr a = {.len = 0}, local = {.len = 0};
    weft_fd s;
    if (!o) o = &defaults;
    int err = parse(&a, address);
    if (err == 0 && o->local) err = parse(&local, o->local);
    if (err == 0) err = check(o);
    if (err < 0) return err;
    err = open_with(&s, a.sa.ss_family, o);
    if (err < 0) return failed(err, "dial", address, o->local);
    err = connect_to(s, &a, o->local ? &local : NULL);
    if (err < 0) {
        weft_close(s);
        return err == -ECANCELED ? err : failed(err, "dial", address, o->local);
    }
    *ret = s;
    return 0;
}
