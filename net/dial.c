/* SPDX-License-Identifier: MIT */
/*
 * dial.c - what there is to dial, and one attempt to connect to it.
 *
 * A text that is an address is connected to here, in the caller's fiber and
 * without any allocation. A name, and more addresses than one, are a matter of
 * eyeballs.c, whose fibers come back here for each attempt.
 */
#include "dial.h"

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/scope.h>
#include <weft/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ------------------------------------------------------------- */

enum { MESSAGE = sizeof((weft_error *)0)->msg };

/* What follows the address matters more than all of a long address. */
int wf_dial_fail(const char *address, int code, const char *format, ...)
{
    char rest[MESSAGE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(rest, sizeof rest, format, args);
    va_end(args);

    enum { FRAME = sizeof "dial ..: ", LEAST = 16 };
    size_t taken = strlen(rest) + FRAME, len = strlen(address);
    size_t room = taken + LEAST < MESSAGE ? MESSAGE - taken : LEAST;
    bool cut = len > room;
    return weft_fail_at(code, NULL, 0, "dial %.*s%s: %s",
                        (int)(cut ? room : len), address, cut ? ".." : "",
                        rest);
}

int wf_dial_fail_step(const struct wf_dialling *d, int code, const char *step,
                      const weft_addr *to)
{
    char text[WEFT_ADDR_TEXT];
    if (strcmp(step, "bind") == 0)
        return wf_dial_fail(d->address, code, "bind %s",
                            weft_addr_format(&d->local, text, sizeof text));
    if (!to) return wf_dial_fail(d->address, code, "%s", step);
    return wf_dial_fail(d->address, code, "%s %s", step,
                        weft_addr_format(to, text, sizeof text));
}

/* ---- one attempt -------------------------------------------------------- */

static int turn_on(weft_fd fd, int level, int name)
{
    int on = 1;
    return weft_setsockopt(fd, level, name, &on, sizeof on);
}

static int set_options(weft_fd fd, const weft_dial_opts *o)
{
    int err = 0;
    if (!o->no_nodelay) err = turn_on(fd, IPPROTO_TCP, TCP_NODELAY);
    if (err == 0 && o->keepalive) err = turn_on(fd, SOL_SOCKET, SO_KEEPALIVE);
    return err;
}

/* With a port of its own several attempts have the same at once. Without, one
 * is drawn when the peer is known, and may serve for others too. */
static int bind_to(weft_fd fd, const weft_addr *local)
{
    int err = 0;
    if (local->sa.ss_family != AF_UNIX && weft_addr_port(local) != 0)
        err = turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
#if defined(IP_BIND_ADDRESS_NO_PORT)
    else if (local->sa.ss_family != AF_UNIX)
        (void)turn_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
#endif
    if (err < 0) return err;
    return weft_bind(fd, (const struct sockaddr *)&local->sa, local->len);
}

static int prepare(const struct wf_dialling *d, weft_fd fd, bool ip,
                   const char **ret_step)
{
    *ret_step = "options for";
    int err = ip ? set_options(fd, d->opts) : 0;
    if (err < 0 || d->local.len == 0) return err;
    *ret_step = "bind";
    return bind_to(fd, &d->local);
}

static int by_socket(const struct wf_dialling *d, const weft_addr *to,
                     weft_fd *ret_conn, const char **ret_step)
{
    weft_fd fd;
    *ret_step = "socket for";
    int err = weft_socket(to->sa.ss_family, SOCK_STREAM, 0, &fd);
    if (err < 0) return err;
    err = prepare(d, fd, to->sa.ss_family != AF_UNIX, ret_step);
    if (err == 0) {
        *ret_step = "connect";
        err = weft_connect(fd, (const struct sockaddr *)&to->sa, to->len);
    }
    if (err < 0) {
        (void)weft_close(fd);
        return err;
    }
    *ret_conn = fd;
    return 0;
}

static int attempt(const struct wf_dialling *d, const weft_addr *to,
                   weft_fd *ret_conn, const char **ret_step)
{
    const weft_dial_opts *o = d->opts;
    weft_fd conn;
    if (!o->connect) return by_socket(d, to, ret_conn, ret_step);
    int err = o->connect(&conn, to, o->user);
    if (err < 0) return err;
    *ret_conn = conn;
    return 0;
}

int wf_dial_one(const struct wf_dialling *d, const weft_addr *to,
                weft_fd *ret_conn, const char **ret_step)
{
    weft_scope s;
    *ret_step = "connect";
    if (d->opts->attempt_timeout == 0)
        return attempt(d, to, ret_conn, ret_step);
    weft_scope_init(&s);
    int err = weft_scope_begin_after(&s, d->opts->attempt_timeout, WEFT_FAIL);
    if (err < 0) return err;
    return weft_scope_end(&s, attempt(d, to, ret_conn, ret_step));
}

/* ---- what there is to dial ---------------------------------------------- */

/* Of a host that weft_addr_split has read: it has told bad IPv4 addresses from
 * names already, by whether the last label is a number. "" is any address. */
static bool is_address(const char *host)
{
    const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
    if (strchr(host, ':') || !*host) return true;
    return *last && last[strspn(last, "0123456789")] == 0;
}

static bool is_family(int family)
{
    return family == AF_UNSPEC || family == AF_INET || family == AF_INET6;
}

/* Checks *o, to which `d` points from then on. */
static int begin(struct wf_dialling *d, const char *address,
                 const weft_dial_opts *o)
{
    static const weft_dial_opts defaults;
    d->address = address;
    d->opts = o ? o : &defaults;
    d->local.len = 0;
    d->local.sa.ss_family = AF_UNSPEC;
    d->family = d->opts->family;
    if (d->opts->local && weft_addr_parse(&d->local, d->opts->local) < 0)
        return wf_dial_fail(address, -EINVAL, "\"%.40s\" is nothing to bind to",
                            d->opts->local);
    return 0;
}

static int check_families(const struct wf_dialling *d)
{
    if (is_family(d->family) && is_family(d->opts->prefer)) return 0;
    return wf_dial_fail(d->address, -EINVAL,
                        "there is no family %d, or %d to prefer", d->family,
                        d->opts->prefer);
}

/* What is bound to the one family connects to no other. */
static int check_local(const struct wf_dialling *d, int family)
{
    if (d->local.len == 0 || d->local.sa.ss_family == family) return 0;
    return wf_dial_fail(d->address, -EINVAL,
                        "%.40s, to bind to, is of another family",
                        d->opts->local);
}

static int dial_address(const struct wf_dialling *d, const weft_addr *a,
                        weft_fd *ret_conn)
{
    const char *step;
    int err = wf_dial_one(d, a, ret_conn, &step);
    return err < 0 ? wf_dial_fail_step(d, err, step, NULL) : 0;
}

static int dial_literal(const struct wf_dialling *d, const weft_addr *a,
                        weft_fd *ret_conn)
{
    int family = a->sa.ss_family;
    if (family != AF_UNIX && d->family != AF_UNSPEC && d->family != family)
        return wf_dial_fail(d->address, -EINVAL, "not of the family asked for");
    int err = check_local(d, family);
    return err < 0 ? err : dial_address(d, a, ret_conn);
}

static int dial_name(struct wf_dialling *d, const char *host, unsigned port,
                     weft_fd *ret_conn)
{
    int err = 0;
    if (d->family == AF_UNSPEC && is_family(d->local.sa.ss_family))
        d->family = d->local.sa.ss_family;
    else
        err = check_local(d, d->family);
    return err < 0 ? err : wf_race_name(d, host, port, ret_conn);
}

/* The text is none, which it has been said why. */
static int bad_text(int err)
{
    char why[MESSAGE] = "";
    const weft_error *e = weft_last_error();
    if (e && e->code == err) memcpy(why, e->msg, sizeof why);
    return weft_fail_at(err, NULL, 0, "dial: %s", why);
}

static int dial_text(struct wf_dialling *d, weft_fd *ret_conn)
{
    weft_addr a;
    char host[WEFT_HOST_TEXT];
    unsigned port;
    if (strncmp(d->address, "unix:", 5) == 0) {
        int err = weft_addr_parse(&a, d->address);
        return err < 0 ? bad_text(err) : dial_literal(d, &a, ret_conn);
    }
    int err = weft_addr_split(d->address, host, sizeof host, &port);
    if (err < 0) return bad_text(err);
    if (!is_address(host)) return dial_name(d, host, port, ret_conn);
    err = weft_addr_parse(&a, d->address); /* which knows what "" is */
    return err < 0 ? bad_text(err) : dial_literal(d, &a, ret_conn);
}

int weft_dial_with(weft_fd *ret_conn, const char *address,
                   const weft_dial_opts *o)
{
    struct wf_dialling d;
    int err = weft_checkpoint();
    if (err < 0) return err;
    err = begin(&d, address, o);
    if (err == 0) err = check_families(&d);
    return err < 0 ? err : dial_text(&d, ret_conn);
}

int weft_dial(weft_fd *ret_conn, const char *address)
{
    return weft_dial_with(ret_conn, address, NULL);
}

int weft_dial_addrs(weft_fd *ret_conn, const weft_addr addrs[], size_t n,
                    const weft_dial_opts *o)
{
    struct wf_dialling d;
    char text[WEFT_ADDR_TEXT] = "no addresses";
    if (n > 0) (void)weft_addr_format(&addrs[0], text, sizeof text);
    if (n > 1) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, " or %zu more", n - 1);
    }
    int err = weft_checkpoint();
    if (err < 0) return err;
    err = begin(&d, text, o);
    if (err < 0) return err;
    if (n == 0) return wf_dial_fail(text, -EINVAL, "there is nobody to ask");
    if (n == 1) return dial_address(&d, addrs, ret_conn);
    return wf_race_addrs(&d, addrs, n, ret_conn);
}
