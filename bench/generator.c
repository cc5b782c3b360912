/* SPDX-License-Identifier: MIT */
/*
 * generator.c - connections as small state machines over level-triggered epoll.
 *
 * A connection waits for readability all its life, and for writability only
 * while its connect is under way or a send was short. It keeps no buffer:
 * what it sends is made anew from the number of its first message, and what it
 * receives is compared as it comes. Only an HTTP reply that arrives in pieces
 * is kept until the rest is there.
 */
#include "generator.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "histogram.h"
#include "reply.h"
#include "system.h"

enum {
    MAX_CONNS = 100000,
    MAX_DEPTH = 1024,
    MAX_SIZE = 1 << 20,
    MAX_BATCH = 4 << 20, /* octets of one send */
    MAX_DATAGRAM = 64000,
    RECV_SIZE = 256 << 10,
    EVENTS = 256,
    STAMP = 8, /* octets at a message's head that number it */
};

static const int64_t connect_limit_ns = 5000000000;
static const int64_t drain_limit_ns = 1000000000;

/* ---- state --------------------------------------------------------------- */

enum conn_state { CLOSED, CONNECTING, READY };

struct conn {
    int fd;
    enum conn_state state;
    bool wants_write;
    unsigned index;
    uint32_t first;   /* number of the oldest message not yet answered */
    uint32_t owed;    /* messages sent, or being sent, and not answered */
    uint32_t sending; /* messages of the batch that is being sent */
    size_t sent;      /* octets of that batch that went out */
    size_t got;       /* octets of the reply that is arriving (echo) */
    int64_t *due;     /* when each owed message was due: a ring of depth */
    char *piece;      /* an HTTP reply that is not complete, or NULL */
    size_t piece_len;
};

struct load {
    const struct load_opts *o;
    struct load_result *r;
    int epoll;
    struct conn *conns;
    int64_t *dues;
    unsigned source;  /* next source address of a churned connection */
    unsigned turn;    /* next connection to get an open-loop message */
    uint64_t arrived; /* open-loop messages that were due so far */
    int64_t arrivals_from;
    bool sending; /* false before the start and after the window */
    bool counting;
    char *batch;   /* depth messages in a row */
    size_t unit;   /* octets of one message as sent */
    char *pattern; /* an echo message, but for its stamp */
    char *recv_buf;
    struct histogram *h;
    struct reply *first;
};

static void drop(struct conn *c)
{
    if (c->state == CLOSED) return;
    (void)close(c->fd);
    free(c->piece);
    c->piece = NULL;
    c->piece_len = 0;
    c->state = CLOSED;
    c->owed = c->sending = 0;
    c->sent = c->got = 0;
    c->wants_write = false;
}

/* A connection that fails is counted and stays closed. */
static void fail(struct conn *c, uint64_t *kind)
{
    ++*kind;
    drop(c);
}

static void want_write(struct load *l, struct conn *c, bool on)
{
    if (c->wants_write == on) return;
    c->wants_write = on;
    struct epoll_event e = {.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN,
                            .data.ptr = c};
    (void)epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

/* ---- sending ------------------------------------------------------------- */

static uint64_t stamp_of(const struct conn *c, uint32_t number)
{
    return ((uint64_t)c->index << 32 | number) * UINT64_C(0x9e3779b97f4a7c15);
}

/* What is left of the batch, or the next datagram. */
static ssize_t send_some(struct load *l, const struct conn *c, size_t len)
{
    size_t left = len - c->sent;
    if (l->o->datagrams) left = l->unit;
    return send(c->fd, l->batch + c->sent, left, MSG_NOSIGNAL);
}

static void push(struct load *l, struct conn *c)
{
    const struct load_opts *o = l->o;
    if (o->mode == LOAD_ECHO && o->size >= STAMP) {
        uint32_t from = c->first + c->owed - c->sending;
        for (uint32_t i = 0; i < c->sending; i++) {
            uint64_t stamp = stamp_of(c, from + i);
            memcpy(l->batch + i * l->unit, &stamp, STAMP);
        }
    }
    size_t len = c->sending * l->unit;
    ssize_t n = send_some(l, c, len);
    while (n > 0 && l->o->datagrams && c->sent + (size_t)n < len) {
        c->sent += (size_t)n;
        n = send_some(l, c, len);
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        fail(c, &l->r->errors.reset);
        return;
    }
    if (n > 0) c->sent += (size_t)n;
    if (c->sent == len) {
        c->sending = 0;
        c->sent = 0;
    }
    want_write(l, c, c->sending > 0);
}

static void send_more(struct load *l, struct conn *c, uint32_t count,
                      int64_t due)
{
    for (uint32_t i = 0; i < count; i++) {
        c->due[(c->first + c->owed + i) % l->o->depth] = due;
    }
    c->owed += count;
    c->sending += count;
    push(l, c);
}

/* Gives each message that is due by now to a connection with a free place. */
static void send_arrivals(struct load *l, int64_t now)
{
    const struct load_opts *o = l->o;
    double since = (double)(now - l->arrivals_from);
    uint64_t due = (uint64_t)(since * o->rate / 1e9);

    for (unsigned tried = 0; l->arrived < due && tried < o->conns;) {
        struct conn *c = &l->conns[l->turn];
        l->turn = (l->turn + 1) % o->conns;
        if (c->state != READY || c->owed == o->depth || c->sending > 0) {
            tried++;
            continue;
        }
        tried = 0;
        int64_t at =
            l->arrivals_from + (int64_t)((double)l->arrived * 1e9 / o->rate);
        l->arrived++;
        send_more(l, c, 1, at);
    }
}

/* ---- connecting ---------------------------------------------------------- */

/*
 * A churned connection is closed by this side, so its port lingers for a
 * minute. Sources spread over 127.0.0.1 to 127.0.0.200 keep ports from
 * running out.
 */
static void choose_source(struct load *l, int fd)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    const struct sockaddr_in *to = (const void *)&l->o->address.to;
    if (!l->o->churn || to->sin_family != AF_INET) return;
    if (ntohl(to->sin_addr.s_addr) >> 24 != 127) return;

    l->source = (l->source + 1) % 200;
    from.sin_addr.s_addr = htonl(0x7f000001 + l->source);
#ifdef IP_BIND_ADDRESS_NO_PORT
    int on = 1;
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
    (void)bind(fd, (const void *)&from, sizeof from);
}

/*
 * A connect over loopback is done when it returns, although it says that it is
 * in progress: in churn the message is sent at once, which saves two calls.
 */
static void open_conn(struct load *l, struct conn *c)
{
    const struct address *a = &l->o->address;
    int on = 1;
    bool stream = !l->o->datagrams;
    int fd = bench_socket(a->to.ss_family, stream ? SOCK_STREAM : SOCK_DGRAM);
    if (fd < 0) goto failed;
    choose_source(l, fd);
    if (!l->o->churn && stream && a->to.ss_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (connect(fd, (const void *)&a->to, a->len) != 0 && errno != EINPROGRESS)
        goto close_fd;

    c->fd = fd;
    c->state = CONNECTING;
    if (l->o->churn) {
        c->owed = c->sending = 1;
        push(l, c);
        if (c->state == CLOSED) return;
        if (c->sending == 0) c->state = READY;
    }
    c->wants_write = c->state == CONNECTING;
    l->r->all_connects += c->state == READY;

    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (c->wants_write) e.events |= EPOLLOUT;
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) == 0) return;

close_fd:
    (void)close(fd);
failed:
    c->state = CLOSED;
    l->r->errors.connect++;
}

static void finish_connect(struct load *l, struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof err;
    (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err != 0) {
        fail(c, &l->r->errors.connect);
        return;
    }
    c->state = READY;
    l->r->all_connects++;
    if (c->sending > 0)
        push(l, c);
    else
        want_write(l, c, false);
}

/* A churned connection's latency counts from the start of its connect. */
static void churn(struct load *l, struct conn *c, int64_t now)
{
    drop(c);
    if (!l->sending) return;
    c->first = 0;
    c->due[0] = now;
    open_conn(l, c);
}

/* ---- receiving ----------------------------------------------------------- */

/* Which octets of an echo were expected? Compares a piece of the stream. */
static bool take_echo(struct load *l, struct conn *c, const char *p, size_t n,
                      uint32_t *ret_done)
{
    uint32_t done = 0;
    while (n > 0) {
        if (done == c->owed) return false; /* more than was sent */
        size_t left = l->o->size - c->got;
        size_t take = n < left ? n : left;
        size_t off = c->got, len = take;
        const char *q = p;
        if (l->o->size >= STAMP && off < STAMP) {
            uint64_t stamp = stamp_of(c, c->first + done);
            size_t k = STAMP - off < len ? STAMP - off : len;
            if (memcmp(q, (const char *)&stamp + off, k) != 0) return false;
            q += k, off += k, len -= k;
        }
        if (memcmp(q, l->pattern + off, len) != 0) return false;
        p += take, n -= take, c->got += take;
        if (c->got == l->o->size) {
            c->got = 0;
            done++;
        }
    }
    *ret_done = done;
    return true;
}

static bool take_http(struct load *l, struct conn *c, const char *p, size_t n,
                      uint32_t *ret_done)
{
    uint32_t done = 0;
    while (n > 0) {
        if (done == c->owed) return false;
        long used = reply_check(l->first, p, n);
        if (used < 0) return false;
        if (used == 0) break;
        p += used;
        n -= (size_t)used;
        done++;
    }
    if (n > 0) {
        if (c->piece == NULL) c->piece = malloc(MAX_REPLY);
        if (c->piece == NULL || n > MAX_REPLY) return false;
        memmove(c->piece, p, n);
    }
    c->piece_len = n;
    *ret_done = done;
    return true;
}

static void answered(struct load *l, struct conn *c, uint32_t done, int64_t now)
{
    for (uint32_t i = 0; i < done; i++) {
        int64_t due = c->due[(c->first + i) % l->o->depth];
        if (l->counting) histogram_add(l->h, now - due);
    }
    l->r->all_replies += done;
    if (l->counting) l->r->replies += done;
    c->first += done;
    c->owed -= done;
}

static void receive(struct load *l, struct conn *c)
{
    size_t kept = c->piece_len;
    if (kept > 0) memcpy(l->recv_buf, c->piece, kept);
    ssize_t n = recv(c->fd, l->recv_buf + kept, RECV_SIZE - kept, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
        fail(c, &l->r->errors.reset);
        return;
    }
    if (n == 0) {
        fail(c, &l->r->errors.closed);
        return;
    }
    int64_t now = bench_now();
    uint32_t done = 0;
    size_t len = kept + (size_t)n;
    bool good = l->o->mode == LOAD_ECHO
                    ? take_echo(l, c, l->recv_buf, len, &done)
                    : take_http(l, c, l->recv_buf, len, &done);
    if (!good) {
        fail(c, &l->r->errors.bad);
        return;
    }
    if (done == 0) return;
    answered(l, c, done, now);
    if (l->o->churn) {
        churn(l, c, now);
    } else if (l->sending && l->o->rate <= 0 && c->owed == 0) {
        send_more(l, c, l->o->depth, now);
    }
}

/* ---- the loop ------------------------------------------------------------ */

static void handle(struct load *l, const struct epoll_event *e)
{
    struct conn *c = e->data.ptr;
    if (c->state == CONNECTING) {
        finish_connect(l, c);
        return;
    }
    if (c->state == READY && (e->events & EPOLLOUT) && c->sending > 0) {
        push(l, c);
    }
    if (c->state == READY && (e->events & ~(uint32_t)EPOLLOUT)) receive(l, c);
}

/*
 * Runs until `end`. In the open loop it polls without waiting, since the next
 * message is nearly always due within less than a poll can wait for.
 */
static void turn_until(struct load *l, int64_t end)
{
    struct epoll_event events[EVENTS];
    for (int64_t now; (now = bench_now()) < end;) {
        int wait_ms = (int)((end - now) / 1000000) + 1;
        if (l->o->rate > 0 && l->sending) {
            send_arrivals(l, now);
            wait_ms = 0;
        }
        int n = epoll_wait(l->epoll, events, EVENTS, wait_ms);
        for (int i = 0; i < n; i++)
            handle(l, &events[i]);
    }
}

/* Connects all, at most 64 at a time, so that no backlog overflows. */
static void connect_all(struct load *l)
{
    int64_t limit = bench_now() + connect_limit_ns;
    struct epoll_event events[EVENTS];
    unsigned next = 0, under_way = 0;

    while ((next < l->o->conns || under_way > 0) && bench_now() < limit) {
        while (next < l->o->conns && under_way < 64) {
            struct conn *c = &l->conns[next++];
            open_conn(l, c);
            under_way += c->state == CONNECTING;
        }
        int n = epoll_wait(l->epoll, events, EVENTS, under_way ? 100 : 0);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            under_way -= c->state == CONNECTING;
            handle(l, &events[i]);
        }
    }
    for (unsigned i = 0; i < l->o->conns; i++) {
        if (l->conns[i].state != CONNECTING) continue;
        fail(&l->conns[i], &l->r->errors.connect);
    }
}

static void start_sending(struct load *l)
{
    int64_t now = bench_now();
    l->sending = true;
    l->arrivals_from = now;
    for (unsigned i = 0; i < l->o->conns; i++) {
        struct conn *c = &l->conns[i];
        if (l->o->churn) {
            c->due[0] = now;
            open_conn(l, c);
        } else if (l->o->rate <= 0 && c->state == READY) {
            send_more(l, c, l->o->depth, now);
        }
    }
}

/* Waits for what is owed: a reply that never comes is an error too. */
static void drain(struct load *l)
{
    int64_t limit = bench_now() + drain_limit_ns;
    for (unsigned i = 0; i < l->o->conns; i++) {
        while (l->conns[i].owed > 0 && bench_now() < limit) {
            turn_until(l, bench_now() + 200000);
        }
        l->r->errors.missing += l->conns[i].owed;
    }
}

static void measure(struct load *l)
{
    const struct load_opts *o = l->o;
    start_sending(l);
    turn_until(l, bench_now() + o->warmup_ns);

    int64_t cpu = o->pid ? bench_process_cpu(o->pid) : -1;
    int64_t own = bench_own_cpu();
    int64_t start = bench_now();
    l->counting = true;
    turn_until(l, start + o->window_ns);
    l->counting = false;
    int64_t took = bench_now() - start;
    own = bench_own_cpu() - own;
    int64_t cpu_after = o->pid ? bench_process_cpu(o->pid) : -1;
    l->sending = false;

    struct load_result *r = l->r;
    r->seconds = (double)took / 1e9;
    r->rate = (double)r->replies / r->seconds;
    r->own_load = (double)own / (double)took;
    r->server_cpu_ns = -1;
    if (cpu >= 0 && cpu_after >= 0 && r->replies > 0) {
        r->server_cpu_ns = (double)(cpu_after - cpu) / (double)r->replies;
        r->server_load = (double)(cpu_after - cpu) / (double)took;
    }
    r->p50_us = histogram_percentile(l->h, 0.5) / 1e3;
    r->p90_us = histogram_percentile(l->h, 0.9) / 1e3;
    r->p99_us = histogram_percentile(l->h, 0.99) / 1e3;
    r->p999_us = histogram_percentile(l->h, 0.999) / 1e3;
    r->max_us = (double)l->h->max / 1e3;
}

/* ---- set-up -------------------------------------------------------------- */

static void fill_batch(struct load *l)
{
    const struct load_opts *o = l->o;
    for (unsigned i = 0; i < o->depth; i++) {
        memcpy(l->batch + i * l->unit, l->pattern, l->unit);
    }
}

/* The message as it is sent: some text for an echo, or an HTTP request. */
static bool make_message(struct load *l)
{
    const struct load_opts *o = l->o;
    char request[512];
    l->unit = o->size;
    if (o->mode == LOAD_HTTP) {
        int n = snprintf(request, sizeof request,
                         "GET %s HTTP/1.1\r\nHost: %s\r\n"
                         "User-Agent: weft-load\r\nAccept: */*\r\n\r\n",
                         o->path ? o->path : "/", o->address.text);
        if (n < 0 || (size_t)n >= sizeof request) return false;
        l->unit = (size_t)n;
    }
    if (l->unit * o->depth > MAX_BATCH) return false;
    l->pattern = malloc(l->unit);
    l->batch = malloc(l->unit * o->depth);
    if (l->pattern == NULL || l->batch == NULL) return false;
    for (size_t i = 0; i < l->unit; i++) {
        l->pattern[i] =
            o->mode == LOAD_HTTP ? request[i] : (char)('!' + i * 7 % 89);
    }
    fill_batch(l);
    return true;
}

static bool set_up(struct load *l)
{
    const struct load_opts *o = l->o;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->conns = calloc(o->conns, sizeof l->conns[0]);
    l->dues = calloc((size_t)o->conns * o->depth, sizeof l->dues[0]);
    l->recv_buf = malloc(RECV_SIZE);
    l->h = calloc(1, sizeof *l->h);
    l->first = calloc(1, sizeof *l->first);
    if (l->epoll < 0 || !l->conns || !l->dues || !l->recv_buf || !l->h ||
        !l->first || !make_message(l))
        return false;
    for (unsigned i = 0; i < o->conns; i++) {
        l->conns[i].index = i;
        l->conns[i].due = l->dues + (size_t)i * o->depth;
    }
    return true;
}

static void tear_down(struct load *l)
{
    for (unsigned i = 0; l->conns && i < l->o->conns; i++) {
        drop(&l->conns[i]);
    }
    if (l->epoll >= 0) (void)close(l->epoll);
    free(l->conns);
    free(l->dues);
    free(l->recv_buf);
    free(l->h);
    free(l->first);
    free(l->pattern);
    free(l->batch);
}

static bool sensible(const struct load_opts *o)
{
    return o->conns > 0 && o->conns <= MAX_CONNS && o->depth > 0 &&
           o->depth <= MAX_DEPTH && o->warmup_ns >= 0 && o->window_ns > 0 &&
           (o->mode == LOAD_HTTP || (o->size > 0 && o->size <= MAX_SIZE)) &&
           !(o->churn && (o->depth > 1 || o->rate > 0)) &&
           !(o->datagrams &&
             (o->mode != LOAD_ECHO || o->churn || o->size > MAX_DATAGRAM));
}

int load_run(const struct load_opts *o, struct load_result *ret_result)
{
    if (!sensible(o)) return -EINVAL;
    *ret_result = (struct load_result){.server_cpu_ns = -1};
    struct load l = {.o = o, .r = ret_result, .epoll = -1};
    int err = set_up(&l) ? 0 : -ENOMEM;
    if (err == 0) {
        if (!o->churn) connect_all(&l);
        measure(&l);
        drain(&l);
        if (o->idle != NULL) o->idle(o->idle_arg);
    }
    tear_down(&l);
    return err;
}

uint64_t load_error_count(const struct load_errors *e)
{
    return e->connect + e->reset + e->closed + e->bad + e->missing;
}

const char *load_error_text(const struct load_errors *e, char *buf, size_t size)
{
    unsigned long long all = load_error_count(e);
    int n = snprintf(buf, size, "%llu errors", all);
    if (all > 0 && n > 0 && (size_t)n < size) {
        snprintf(buf + n, size - (size_t)n,
                 ": connect %llu, reset %llu, closed early %llu, "
                 "bad reply %llu, no reply %llu",
                 (unsigned long long)e->connect, (unsigned long long)e->reset,
                 (unsigned long long)e->closed, (unsigned long long)e->bad,
                 (unsigned long long)e->missing);
    }
    return buf;
}
