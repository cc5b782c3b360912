/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_serve.c - the sweep over servers with all that they can be told:
 * limits, deadlines, hooks. However it ends, what is counted adds up.
 */
#include <weft/fiber.h>
#include <weft/memory.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/serve.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

enum { GUESTS = 3 };

static weft_memory_listener *memory;
static weft_fd listener;
static char address[WEFT_ADDR_TEXT];
static weft_serve_opts opts;
static weft_serve_stats stats;
static weft_conn_fn handler;
static int guests, handlers, ends;
static weft_scope serving;
static bool is_serving;

/* ---- the server --------------------------------------------------------- */

static int serves(void *arg)
{
    (void)arg;
    weft_scope_init(&serving);
    CHECK_EQ(weft_scope_begin(&serving), 0);
    is_serving = true;
    int rc = memory ? weft_serve_memory(memory, handler, NULL, &opts)
                    : weft_serve(listener, handler, NULL, &opts);
    is_serving = false;
    CHECK(rc < 0);
    CHECK_EQ(handlers, 0);
    CHECK_EQ(stats.active, 0);
    return weft_scope_end(&serving, rc);
}

static void note_end(const weft_conn *c, int rc, weft_time took)
{
    CHECK(c->transport || c->peer.len > 0);
    CHECK(rc <= 0 && took >= 0);
    ends++;
}

static int counted(int rc)
{
    handlers--;
    return rc;
}

/* ---- the guests --------------------------------------------------------- */

static int but_not_gone(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNREFUSED ? 0 : rc;
}

static int ask(weft_transport *t)
{
    char octet;
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = weft_transport_write_all(t, "x", 1, NULL);
        if (rc < 0) break;
        ssize_t n = weft_transport_read(t, &octet, 1);
        rc = n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    return rc;
}

static int dials(weft_transport **ret_t)
{
    weft_fd fd;
    if (memory) return weft_memory_dial(memory, ret_t);
    int err = weft_dial(&fd, address);
    if (err < 0) return err;
    err = weft_transport_of_fd(fd, ret_t);
    if (err < 0) CHECK_EQ(weft_close(fd), 0);
    return err;
}

/* The last one turns the light off. */
static int visits(void *arg)
{
    weft_transport *t = NULL;
    (void)arg;
    int rc = dials(&t);
    if (rc == 0) rc = ask(t);
    weft_transport_close(t);
    if (--guests == 0 && is_serving)
        weft_scope_cancel(&serving, 0, "all were here");
    return but_not_gone(rc);
}

static void begin(weft_nursery *n, weft_conn_fn how)
{
    handler = how;
    guests = handlers = ends = 0;
    is_serving = false;
    stats = (weft_serve_stats){0};
    opts.stats = &stats;
    opts.on_end = note_end;
    opts.stack_size = 128 << 10; /* so that there may be no memory for one */
    sweep_spawn(n, serves, NULL);
    for (; guests < GUESTS; guests++)
        sweep_spawn(n, visits, NULL);
}

static void check(void)
{
    CHECK_EQ(handlers, 0);
    CHECK_EQ(stats.active, 0);
    CHECK_EQ(stats.accepted, stats.done + stats.lost + stats.failed +
                                 stats.timed_out + stats.cancelled +
                                 stats.dropped);
    CHECK_EQ(ends, stats.accepted - stats.dropped);
    CHECK(stats.failed == 0 || sweep_short_of_memory());
    CHECK(stats.dropped == 0 || sweep_short_of_memory());
    CHECK(!opts.max_conns || stats.peak <= opts.max_conns);
    weft_memory_listener_free(memory);
    if (!memory) (void)weft_close(listener); /* it was started by nobody */
    memory = NULL;
}

static bool listen_in_memory(void)
{
    listener = (weft_fd){0};
    memory = weft_memory_listener_new(0);
    return sweep_had(memory != NULL);
}

static bool listen_by_socket(void)
{
    weft_addr at;
    memory = NULL;
    listener = (weft_fd){0};
    if (!sweep_had(weft_listen(&listener, "127.0.0.1:0", NULL) == 0))
        return false;
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    (void)weft_addr_format(&at, address, sizeof address);
    return true;
}

/* ---- handlers ----------------------------------------------------------- */

static int echoes(weft_conn *c)
{
    char octet;
    ssize_t n;
    int rc = 0;
    handlers++;
    while (rc == 0 && (n = weft_transport_read(c->transport, &octet, 1)) != 0)
        rc = n < 0 ? (int)n
                   : weft_transport_write_all(c->transport, &octet, 1, NULL);
    return counted(rc);
}

static int echoes_octets(weft_conn *c)
{
    char octet;
    ssize_t n;
    int rc = 0;
    handlers++;
    while (rc == 0 && (n = weft_read(c->fd, &octet, 1)) != 0)
        rc = n < 0 ? (int)n : weft_write_all(c->fd, &octet, 1, NULL);
    return counted(rc);
}

static int child_reads(void *arg)
{
    char octet;
    ssize_t n = weft_transport_read(arg, &octet, 1);
    return n < 0 ? (int)n : 0;
}

/* Asks for more time once, and then keeps all waiting until it is cancelled. */
static int has_children(weft_conn *c)
{
    int rc;
    handlers++;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, child_reads, c->transport);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(2));
        if (rc < 0) break;
        weft_conn_set_deadline(c, weft_after(WEFT_MSEC(3)));
        rc = weft_sleep(WEFT_SEC(3600));
    }
    return counted(rc);
}

static bool but_the_second(weft_conn *c)
{
    (void)c;
    return stats.accepted + stats.refused != 1;
}

/* ---- the work ----------------------------------------------------------- */

static void start_in_memory(weft_nursery *n)
{
    opts = (weft_serve_opts){.max_conns = 2, .deadline = WEFT_SEC(1)};
    if (listen_in_memory()) begin(n, echoes);
}
SWEEP(what_a_server_in_memory_counts_adds_up, start_in_memory, check,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

static void start_with_deadlines(weft_nursery *n)
{
    opts = (weft_serve_opts){.deadline = WEFT_MSEC(5)};
    if (listen_in_memory()) begin(n, has_children);
}
SWEEP(deadlines_leave_no_connection, start_with_deadlines, check,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

static void start_with_limits(weft_nursery *n)
{
    opts = (weft_serve_opts){.max_per_peer = 2,
                             .refuse_by_reset = true,
                             .on_connect = but_the_second,
                             .max_conns = 2};
    if (listen_by_socket()) begin(n, echoes_octets);
}
SWEEP(limits_leave_no_connection_and_no_peer, start_with_limits, check,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

static void start_without_patience(weft_nursery *n)
{
    opts = (weft_serve_opts){.linger = -1, .drain = WEFT_MSEC(1)};
    if (listen_in_memory()) begin(n, has_children);
}
SWEEP(a_short_drain_leaves_no_connection, start_without_patience, check,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);
