/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_http_server.c - the sweep over a server of HTTP and its clients.
 * However it ends, nothing is left, after-work is done or dropped, and each
 * request has been told to the log.
 */
#include <weft/fiber.h>
#include <weft/http_server.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "sweep.h"
#include "unhandled.h"

static weft_memory_listener *memory;
static weft_http_server *server;
static weft_http_stats stats;
static weft_serve_stats conns;
static weft_scope serving;
static bool is_serving;
static int handlers, works, logged, clients;

/* ---- the server --------------------------------------------------------- */

static int serves(void *arg)
{
    (void)arg;
    weft_scope_init(&serving);
    CHECK_EQ(weft_scope_begin(&serving), 0);
    is_serving = true;
    int rc = weft_http_serve_memory(server, memory);
    is_serving = false;
    CHECK(rc < 0);
    return weft_scope_end(&serving, rc);
}

static void log_it(const weft_req *r, int rc, weft_time took, void *user)
{
    (void)user;
    CHECK(rc <= 0 && took >= 0 && r->status >= 0);
    logged++;
}

static int work(void *arg)
{
    (void)arg;
    works--;
    return weft_yield();
}

static void drop_work(void *arg)
{
    (void)arg;
    works--;
}

static int answer(weft_req *r, void *ctx)
{
    static char much[40000];
    weft_text body;
    (void)ctx;
    handlers++;
    int err = weft_req_after(r, work, NULL, drop_work);
    if (err == 0) works++;
    if (err == 0) err = weft_req_body(r, 0, &body);
    if (err == 0) err = weft_reply_field(r, "x", "y");
    if (err == 0 && weft_text_is(r->head.path, "/hint"))
        err = weft_reply_interim(r, 103);
    if (err == 0 && weft_text_is(r->head.path, "/whole"))
        err = weft_reply(r, 200, NULL, much, sizeof much);
    else if (err == 0)
        err = weft_reply_begin(r, 200, NULL, WEFT_HTTP_UNKNOWN);
    if (err == 0 && !weft_text_is(r->head.path, "/whole")) {
        err = weft_reply_write(r, much, 20000);
        if (err == 0) err = weft_reply_flush(r);
        if (err == 0) err = weft_reply_trailer(r, "a", "b");
        if (err == 0) err = weft_reply_end(r);
    }
    handlers--;
    return err;
}

static int upgrade(weft_req *r, void *ctx)
{
    weft_stream *s;
    const char *data;
    ssize_t n = weft_req_upgrade(r, "echo", &s);
    (void)ctx;
    while (n == 0 && (n = weft_stream_peek(s, &data)) > 0) {
        int err = weft_stream_write(s, data, (size_t)n);
        weft_stream_consume(s, (size_t)n);
        n = err;
    }
    return (int)n;
}

/* ---- the clients -------------------------------------------------------- */

static int talk(const char *const *texts)
{
    static char buf[8192];
    weft_transport *t;
    ssize_t n = weft_memory_dial(memory, &t);
    if (n < 0) return n == -ECONNREFUSED ? 0 : (int)n;
    for (; n >= 0 && *texts; texts++) {
        n = weft_transport_write_all(t, *texts, strlen(*texts), NULL);
        if (n >= 0) n = weft_yield();
    }
    if (n == 0) n = weft_transport_shutdown_write(t);
    while (n >= 0 && (n = weft_transport_read(t, buf, sizeof buf)) > 0) {
    }
    weft_transport_close(t);
    return n == -ECONNRESET || n == -EPIPE || n == -ECONNREFUSED ? 0 : (int)n;
}

/* The last one to leave stops the server. */
static int visits(void *arg)
{
    int rc = talk(arg);
    if (--clients == 0 && is_serving) weft_scope_cancel(&serving, 0, NULL);
    return rc;
}

static void start(weft_nursery *n, weft_http_fn handler,
                  const char *const *const *all)
{
    weft_http_server_opts o = {.handler = handler,
                               .serve.stats = &conns,
                               .stats = &stats,
                               .on_request = log_it};
    weft_on_unhandled(note_unhandled);
    stats = (weft_http_stats){0};
    conns = (weft_serve_stats){0};
    handlers = works = logged = clients = 0;
    is_serving = false;
    server = weft_http_server_new(&o);
    memory = sweep_had(server != NULL) ? weft_memory_listener_new(0) : NULL;
    if (!server || !sweep_had(memory != NULL)) return;
    weft_memory_listener_set_capacity(memory, 4096);
    sweep_spawn(n, serves, NULL);
    for (; *all; all++) {
        clients++;
        sweep_spawn(n, visits, (void *)(uintptr_t)*all);
    }
}

static void check(void)
{
    CHECK_EQ(handlers, 0);
    CHECK_EQ(works, 0);
    CHECK_EQ(stats.requests, logged);
    CHECK_EQ(conns.active, 0);
    weft_memory_listener_free(memory);
    weft_http_server_free(server);
    memory = NULL;
    server = NULL;
}

static void start_requests(weft_nursery *n)
{
    static const char *const whole[] = {
        "POST /whole HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe",
        "lloGET / HTTP/1.1\r\nHo", "st: h\r\n\r\n", NULL};
    static const char *const chunks[] = {
        "POST /hint HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
        "Expect: 100-continue\r\n\r\n",
        "5\r\nhello\r\n0\r\na: ", "b\r\n\r\n", NULL};
    static const char *const *const all[] = {whole, chunks, NULL};
    start(n, answer, all);
}

static void start_refusals(weft_nursery *n)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nx :y\r\n\r\n",
        "more of it", NULL};
    static const char *const bad_body[] = {
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        "zz\r\n", NULL};
    static const char *const *const all[] = {bad, bad_body, NULL};
    start(n, answer, all);
}

static void start_upgrades(weft_nursery *n)
{
    static const char *const echo[] = {
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n"
        "Upgrade: echo\r\n\r\n",
        "hello", NULL};
    static const char *const no[] = {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL};
    static const char *const *const all[] = {echo, no, NULL};
    start(n, upgrade, all);
}

enum {
    OPTIONS = SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN
};

SWEEP(requests_with_bodies_and_after_work, start_requests, check, OPTIONS);
SWEEP(requests_that_are_refused, start_refusals, check, OPTIONS);
SWEEP(connections_that_are_upgraded, start_upgrades, check, OPTIONS);
