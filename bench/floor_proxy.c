/* SPDX-License-Identifier: MIT */
/*
 * floor_proxy HOST:PORT TARGET - the proxy that others are measured against:
 * for each connection one to the target, and octets from either to the other
 * through one buffer; level-triggered epoll, nothing spliced.
 *
 * Each half is registered for reading, and for nothing else, unless a short
 * send has left something for the other half: then that waits to be written, and
 * this one is not read until it has been. What ends on one side is ended on the
 * other; when both have, or one breaks, both are closed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "floor.h"
#include "system.h"

enum { EVENTS = 256 };

struct half {
    int fd;
    struct half *other;
    unsigned watched;
    bool connected, ended; /* ended: nothing more is read from it */
    char *rest;            /* what is still to be sent to it */
    size_t rest_from, rest_to;
    bool end_after_rest;
};

struct pair {
    struct half client, target;
    struct pair *next_dead;
};

static int epoll_fd;
static struct address target;
static char scratch[FLOOR_SCRATCH];
static struct pair *dead; /* freed after the events that may name them */

static void watch(struct half *h, unsigned events)
{
    struct epoll_event e = {.events = events, .data.ptr = h};
    if (h->watched == events) return;
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, h->fd, &e);
    h->watched = events;
}

static void watch_as_needed(struct half *h)
{
    unsigned events = h->rest || !h->connected ? EPOLLOUT : 0;
    if (h->connected && !h->ended && !h->other->rest && h->other->connected)
        events |= EPOLLIN;
    watch(h, events);
}

static struct pair *pair_of(struct half *h)
{
    bool is_client = h->other > h; /* the target comes after it */
    return (struct pair *)(void *)(is_client ? h : h->other);
}

static void end_pair(struct half *h)
{
    struct pair *p = pair_of(h);
    if (p->client.fd < 0) return;
    (void)close(p->client.fd);
    (void)close(p->target.fd);
    free(p->client.rest);
    free(p->target.rest);
    p->client.fd = -1;
    p->next_dead = dead;
    dead = p;
}

static bool send_to(struct half *h, const char *data, size_t len)
{
    ssize_t n = send(h->fd, data, len, MSG_NOSIGNAL);
    if (n == (ssize_t)len) return true;
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (n < 0) n = 0;
    h->rest_from = 0;
    h->rest_to = len - (size_t)n;
    h->rest = malloc(h->rest_to);
    if (h->rest == NULL) return false;
    memcpy(h->rest, data + n, h->rest_to);
    return true;
}

static bool end_sending(struct half *h)
{
    if (h->rest) return h->end_after_rest = true;
    (void)shutdown(h->fd, SHUT_WR);
    return !(h->ended && h->other->ended);
}

static bool readable(struct half *h)
{
    ssize_t n = recv(h->fd, scratch, sizeof scratch, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
        h->ended = true;
        return end_sending(h->other);
    }
    return send_to(h->other, scratch, (size_t)n);
}

static bool writable(struct half *h)
{
    if (!h->connected) {
        int err = 0;
        socklen_t len = sizeof err;
        (void)getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        h->connected = err == 0;
        return h->connected;
    }
    if (!h->rest) return true;
    ssize_t n = send(h->fd, h->rest + h->rest_from, h->rest_to - h->rest_from,
                     MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    h->rest_from += (size_t)n;
    if (h->rest_from < h->rest_to) return true;
    free(h->rest);
    h->rest = NULL;
    return !h->end_after_rest || end_sending(h);
}

static void serve(struct half *h, unsigned events)
{
    bool alive = pair_of(h)->client.fd >= 0;
    if (!alive) return;
    bool reads = h->watched & EPOLLIN, writes = h->watched & EPOLLOUT;
    if (writes && events & ~(unsigned)EPOLLIN) alive = writable(h);
    if (alive && reads && events & ~(unsigned)EPOLLOUT) alive = readable(h);
    if (!alive) {
        end_pair(h);
        return;
    }
    watch_as_needed(h);
    watch_as_needed(h->other);
}

static bool add(struct half *h, int fd, struct half *other, bool connected)
{
    *h = (struct half){.fd = fd, .other = other, .connected = connected};
    h->watched = connected ? 0 : EPOLLOUT;
    struct epoll_event e = {.events = h->watched, .data.ptr = h};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

static void accept_one(int listener)
{
    int on = 1, fd = bench_accept(listener);
    if (fd < 0) return;
    int to = bench_socket(target.to.ss_family, SOCK_STREAM);
    struct pair *p = calloc(1, sizeof *p);
    if (to < 0 || p == NULL) goto give_up;
    (void)setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(to, (const void *)&target.to, target.len) != 0 &&
        errno != EINPROGRESS)
        goto give_up;
    if (add(&p->client, fd, &p->target, true) &&
        add(&p->target, to, &p->client, false))
        return;
give_up:
    (void)close(fd);
    if (to >= 0) (void)close(to);
    free(p);
}

static void bury(void)
{
    while (dead) {
        struct pair *p = dead;
        dead = p->next_dead;
        free(p);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    if (argc != 3 || address_parse(argv[2], &target) < 0) {
        fputs("usage: floor_proxy HOST:PORT TARGET\n", stderr);
        return 2;
    }
    int listener = floor_bind(argv[1], SOCK_STREAM);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (listener < 0 || epoll_fd < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e) != 0) {
        fprintf(stderr, "cannot listen on %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        if (n < 0 && errno != EINTR) return 1;
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                accept_one(listener);
            else
                serve(events[i].data.ptr, events[i].events);
        }
        bury();
    }
}
