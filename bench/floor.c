/* SPDX-License-Identifier: MIT */
/*
 * floor.c - a level-triggered epoll loop, as one writes it by hand.
 *
 * A connection is registered for reading, and for writing instead while a
 * short send has left something: what is not sent is not read after either.
 */
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "system.h"

enum { EVENTS = 256 };

static int epoll_fd;
static char scratch[FLOOR_SCRATCH];

static void watch(struct floor_conn *c, int op, unsigned events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    (void)epoll_ctl(epoll_fd, op, c->fd, &e);
}

static void end_conn(struct floor_conn *c)
{
    (void)close(c->fd);
    free(c->rest);
    free(c->unread);
    free(c);
}

static bool keep_rest(struct floor_conn *c, const char *data, size_t len)
{
    c->rest = malloc(len);
    if (c->rest == NULL) return false;
    memcpy(c->rest, data, len);
    c->rest_from = 0;
    c->rest_to = len;
    watch(c, EPOLL_CTL_MOD, EPOLLOUT);
    return true;
}

bool floor_send(struct floor_conn *c, const char *data, size_t len)
{
    if (c->rest != NULL) {
        char *more = realloc(c->rest, c->rest_to + len);
        if (more == NULL) return false;
        memcpy(more + c->rest_to, data, len);
        c->rest = more;
        c->rest_to += len;
        return true;
    }
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n == (ssize_t)len) return true;
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (n < 0) n = 0;
    return keep_rest(c, data + n, len - (size_t)n);
}

/* True while the connection lives. */
static bool writable(struct floor_conn *c)
{
    ssize_t n = send(c->fd, c->rest + c->rest_from, c->rest_to - c->rest_from,
                     MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    c->rest_from += (size_t)n;
    if (c->rest_from < c->rest_to) return true;
    free(c->rest);
    c->rest = NULL;
    if (c->ending) return false;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

static bool keep_unread(struct floor_conn *c, const char *data, size_t len)
{
    if (len == FLOOR_SCRATCH) return false; /* it could never be completed */
    if (len > 0 && c->unread == NULL) c->unread = malloc(FLOOR_SCRATCH);
    if (len > 0 && c->unread == NULL) return false;
    if (len > 0) memcpy(c->unread, data, len);
    c->unread_len = len;
    return true;
}

static bool readable(struct floor_conn *c, const struct floor_server *s)
{
    size_t kept = c->unread_len;
    if (kept > 0) memcpy(scratch, c->unread, kept);
    ssize_t n = recv(c->fd, scratch + kept, sizeof scratch - kept, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;

    size_t len = kept + (size_t)n;
    ssize_t taken = s->received(c, scratch, len);
    if (taken < 0) return false;
    if (c->ending) return c->rest != NULL;
    if ((size_t)taken == len && kept == 0) return true;
    return keep_unread(c, scratch + taken, len - (size_t)taken);
}

static void serve_conn(const struct epoll_event *e,
                       const struct floor_server *s)
{
    struct floor_conn *c = e->data.ptr;
    bool alive = c->rest != NULL ? writable(c) : readable(c, s);
    if (!alive) end_conn(c);
}

/* One accept for each event: the listener stays ready while more wait. */
static void accept_one(int listener, const struct floor_server *s)
{
    int fd = bench_accept(listener);
    if (fd < 0) return;
    struct floor_conn *c = calloc(1, s->conn_size);
    if (c == NULL) {
        (void)close(fd);
        return;
    }
    c->fd = fd;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void say_address(const char *address, const struct sockaddr_storage *at)
{
    if (at->ss_family == AF_UNIX) {
        fprintf(stderr, "listening on %s\n", address);
        return;
    }
    in_port_t port = at->ss_family == AF_INET6
                         ? ((const struct sockaddr_in6 *)at)->sin6_port
                         : ((const struct sockaddr_in *)at)->sin_port;
    int host = (int)(strrchr(address, ':') - address);
    fprintf(stderr, "listening on %.*s:%d\n", host, address, ntohs(port));
}

/* TCP_NODELAY on the listener is inherited by what it accepts. */
int floor_bind(const char *address, int type)
{
    struct address a;
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    int on = 1;
    if (address_parse(address, &a) < 0) return -1;
    bool stream = type == SOCK_STREAM;
    int fd = bench_socket(a.to.ss_family, type);
    if (fd < 0) return -1;
    if (a.to.ss_family != AF_UNIX) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (stream)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (bind(fd, (const void *)&a.to, a.len) != 0 ||
        (stream && listen(fd, 4096) != 0) ||
        getsockname(fd, (void *)&bound, &len) != 0) {
        (void)close(fd);
        return -1;
    }
    say_address(address, &bound);
    return fd;
}

int floor_run(const char *address, const struct floor_server *s)
{
    struct epoll_event events[EVENTS];
    int listener = floor_bind(address, SOCK_STREAM);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (listener < 0 || epoll_fd < 0) {
        fprintf(stderr, "cannot listen on %s: %s\n", address, strerror(errno));
        return 1;
    }
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e) != 0) return 1;

    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        if (n < 0 && errno != EINTR) return 1;
        if (s->turn != NULL) s->turn();
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                accept_one(listener, s);
            else
                serve_conn(&events[i], s);
        }
    }
}
