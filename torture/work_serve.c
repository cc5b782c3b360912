/* SPDX-License-Identifier: MIT */
/* work_serve.c - servers with limits, deadlines, in memory, on two workers. */
#include <weft.h>

#include <errno.h>

#include "torture.h"

/* Nothing here takes so long unless what it needs never comes. */
#define PATIENCE WEFT_SEC(2)

static weft_fd listener;
static weft_memory_listener *memory;
static char address[WEFT_ADDR_TEXT];
static weft_serve_opts opts;
static weft_serve_stats stats;

static int patient(void *fn)
{
    return weft_with_timeout(PATIENCE, *(weft_fn *)fn, NULL);
}

static int run_on(unsigned workers, weft_fn fn)
{
    const weft_run_opts o = {.workers = (int)workers};
    stats = (weft_serve_stats){0};
    int rc = weft_run(patient, &fn, &o);
    EXPECT(stats.active == 0);
    EXPECT(stats.accepted == stats.done + stats.lost + stats.failed +
                                 stats.timed_out + stats.cancelled +
                                 stats.dropped);
    return rc;
}

/* ---- the server --------------------------------------------------------- */

/* Octet by octet; who is silent for too long is ended by his deadline. */
static int echoes(weft_conn *c)
{
    weft_stream s;
    const char *data;
    ssize_t n = 0;
    int rc = 0;
    weft_conn_stream(c, &s);
    while (rc == 0 && (n = weft_stream_peek(&s, &data)) > 0) {
        rc = weft_stream_write(&s, data, 1);
        weft_stream_consume(&s, 1);
        weft_conn_set_deadline(c, weft_after(WEFT_MSEC(20)));
    }
    int err = weft_stream_close(&s);
    return rc < 0 ? rc : n < 0 ? (int)n : err;
}

static int serves(void *arg)
{
    weft_fd l = listener;
    (void)arg;
    listener = (weft_fd){0};
    return memory ? weft_serve_memory(memory, echoes, NULL, &opts)
                  : weft_serve(l, echoes, NULL, &opts);
}

static int listens(bool reuse_port)
{
    const weft_listen_opts o = {.reuse_port = reuse_port};
    weft_addr at;
    TRY(weft_listen(&listener, "127.0.0.1:0", &o));
    int rc = weft_local_addr(listener, &at);
    if (rc < 0) (void)weft_close(listener);
    if (rc == 0) (void)weft_addr_format(&at, address, sizeof address);
    return rc;
}

/* Beside a server, which it stops. */
static int beside_a_server(int (*body)(void))
{
    weft_nursery n;
    opts.stats = &stats;
    int rc = weft_nursery_open(&n, NULL);
    if (rc == 0) {
        rc = weft_spawn(&n, serves, NULL);
        if (rc == 0) rc = body();
        if (rc == 0) weft_nursery_cancel(&n, 0, "enough");
        int err = weft_nursery_close(&n, rc); /* the first failure */
        if (rc < 0 || err != -ECANCELED) rc = err;
    }
    if (listener.generation) (void)weft_close(listener);
    listener = (weft_fd){0};
    return rc;
}

/* ---- limits ------------------------------------------------------------- */

static int ask(weft_fd conn)
{
    char octet = 'x';
    TRY(weft_write_all(conn, &octet, 1, NULL));
    ssize_t n = weft_read(conn, &octet, 1);
    return n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
}

/* Served no more; how he is told depends on what fails. */
static int is_refused(void)
{
    char octet;
    weft_fd conn;
    int rc = weft_dial(&conn, address);
    if (rc == -ECONNRESET) return 0;
    if (rc < 0) return rc;
    ssize_t n = weft_read(conn, &octet, 1);
    (void)weft_close(conn);
    EXPECT(n <= 0);
    return n == -ECONNRESET ? 0 : (int)n;
}

static int is_timed_out(weft_fd conn)
{
    char octet;
    ssize_t n = weft_read(conn, &octet, 1);
    EXPECT(n <= 0);
    return (int)n;
}

static int one_and_another(void)
{
    weft_fd conn;
    TRY(weft_dial(&conn, address));
    int rc = ask(conn);
    if (rc == 0) rc = is_refused();
    if (rc == 0) rc = is_timed_out(conn);
    (void)weft_close(conn);
    if (rc == 0) EXPECT(stats.refused_peer == 1 && stats.timed_out == 1);
    return rc;
}

static int with_limits(void *arg)
{
    (void)arg;
    opts = (weft_serve_opts){.max_per_peer = 1, .refuse_by_reset = true};
    TRY(listens(false));
    return beside_a_server(one_and_another);
}

static int a_server_with_limits(void)
{
    return run_on(1, with_limits);
}
WORK(a_server_with_limits, MAY(EPIPE, ECONNRESET, ETIMEDOUT, ECONNREFUSED));

/* ---- in memory ---------------------------------------------------------- */

static int in_memory(void)
{
    weft_stream s;
    weft_transport *t;
    const char *data;
    TRY(weft_memory_dial(memory, &t));
    weft_stream_init_transport(&s, t);
    int rc = weft_stream_write(&s, "x", 1);
    ssize_t n = rc < 0 ? rc : weft_stream_peek(&s, &data);
    rc = n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
    int err = weft_stream_close(&s);
    return rc < 0 ? rc : err;
}

static int over_memory(void *arg)
{
    (void)arg;
    opts = (weft_serve_opts){.max_conns = 2};
    memory = weft_memory_listener_new(0);
    if (!memory) return -ENOMEM;
    int rc = beside_a_server(in_memory);
    weft_memory_listener_free(memory);
    memory = NULL;
    return rc;
}

static int a_server_in_memory(void)
{
    return run_on(1, over_memory);
}
WORK(a_server_in_memory, MAY(EPIPE, ECONNRESET, ETIMEDOUT));

/* ---- on two workers ----------------------------------------------------- */

enum { GUESTS = 3 };

static int guest(void *arg)
{
    weft_fd conn;
    (void)arg;
    TRY(weft_dial(&conn, address));
    int rc = ask(conn);
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    (void)weft_close(conn);
    return rc;
}

static int some_guests(void)
{
    weft_nursery n;
    TRY(weft_nursery_open(&n, NULL));
    int rc = 0;
    for (int i = 0; i < GUESTS && rc == 0; i++)
        rc = weft_spawn(&n, guest, NULL);
    rc = weft_nursery_close(&n, rc);
    if (rc == 0) EXPECT(stats.accepted == GUESTS);
    return rc;
}

static int on_both(void *arg)
{
    (void)arg;
    opts = (weft_serve_opts){.max_per_peer = GUESTS};
    TRY(listens(true));
    return beside_a_server(some_guests);
}

static int a_server_on_two_workers(void)
{
    return run_on(2, on_both);
}
WORK(a_server_on_two_workers, MAY(EPIPE, ECONNRESET, ETIMEDOUT));
