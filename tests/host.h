/* SPDX-License-Identifier: MIT */
/*
 * host.h - a server in memory, so that its time-outs take no time.
 *
 *     struct host h = {.handler = echo_in_memory};
 *     WITH_HOST(h, rc) {
 *         weft_transport *t = visit(&h);
 *         check_answer(t, "hello");
 *         weft_transport_close(t);
 *     }
 *
 * The server is stopped at the closing brace. Then h.result is what it
 * returned, and h.took how long it took to stop.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/serve.h>
#include <weft/time.h>
#include <weft/transport.h>

#include <errno.h>
#include <string.h>

#include "harness.h"

struct host {
    weft_conn_fn handler;
    weft_serve_opts opts;
    weft_serve_stats stats;
    weft_memory_listener *listener;
    int result;
    weft_time stopped, took;
    weft_event go; /* what some handlers wait for */
    int seen;
};

static inline int run_host(void *arg)
{
    struct host *h = arg;
    h->result = weft_serve_memory(h->listener, h->handler, h, &h->opts);
    h->took = weft_now() - h->stopped;
    return h->result;
}

static inline void open_host(struct host *h)
{
    h->listener = weft_memory_listener_new(0);
    CHECK(h->listener != NULL);
    h->opts.stats = &h->stats;
}

static inline void stop_host(struct host *h, weft_nursery *n)
{
    h->stopped = weft_now();
    weft_nursery_cancel(n, 0, NULL);
}

/* How many did not come to an end, and whether the rest adds up. */
static inline void check_stats(const struct host *h)
{
    const weft_serve_stats *s = &h->stats;
    CHECK_EQ(s->active, 0);
    CHECK_EQ(s->accepted, s->done + s->lost + s->failed + s->timed_out +
                              s->cancelled + s->dropped);
}

static inline bool close_host(struct host *h, int rc)
{
    CHECK_EQ(rc, 0);
    CHECK_EQ(h->result, -ECANCELED);
    weft_memory_listener_free(h->listener);
    check_stats(h);
    return false;
}

#define WITH_HOST(h, rc)                                                       \
    open_host(&(h));                                                           \
    for (bool once_ = true; once_; once_ = close_host(&(h), (rc)))             \
        WEFT_NURSERY(n, rc)                                                    \
            for (CHECK_EQ(weft_spawn(&n, run_host, &(h)), 0); once_;           \
                 stop_host(&(h), &n), once_ = false)

/* ---- guests ------------------------------------------------------------- */

static inline weft_transport *visit(struct host *h)
{
    weft_transport *t = NULL;
    CHECK_EQ(weft_memory_dial(h->listener, &t), 0);
    return t;
}

static inline void check_answer(weft_transport *t, const char *text)
{
    char buf[64];
    size_t len = strlen(text);
    CHECK_EQ(weft_transport_write_all(t, text, len, NULL), 0);
    for (size_t got = 0; got < len;) {
        ssize_t n = weft_transport_read(t, buf + got, len - got);
        CHECK(n > 0);
        got += (size_t)n;
    }
    CHECK_EQ(memcmp(buf, text, len), 0);
}

static inline void check_end(weft_transport *t)
{
    char c;
    CHECK_EQ(weft_transport_read(t, &c, 1), 0);
    weft_transport_close(t);
}

/* ---- handlers ----------------------------------------------------------- */

static inline int echo_in_memory(weft_conn *c)
{
    char buf[64];
    ssize_t n;
    while ((n = weft_transport_read(c->transport, buf, sizeof buf)) > 0) {
        int err = weft_transport_write_all(c->transport, buf, (size_t)n, NULL);
        if (err < 0) return err;
    }
    return (int)n;
}

/* Takes no notice of any end. */
static inline int wait_to_be_let_go(weft_conn *c)
{
    struct host *h = c->arg;
    h->seen++;
    return weft_event_wait(&h->go);
}

#endif
