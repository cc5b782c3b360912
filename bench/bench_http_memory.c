/* SPDX-License-Identifier: MIT */
/*
 * bench_http_memory - requests that a server answers in memory: what one costs
 * outside of the kernel, with the client's share, which is two copies and its
 * part of the switches.
 */
#include <weft.h>

#include <string.h>

#include "harness.h"

static const char request[] = "GET / HTTP/1.1\r\n"
                              "Host: 127.0.0.1:8080\r\n"
                              "User-Agent: weft-load\r\n"
                              "Accept: */*\r\n"
                              "\r\n";

enum { REQUEST = sizeof request - 1, MOST = 64, REPLY_ROOM = 1024 };

static weft_transport *client;
static size_t reply_len;

static int hello(weft_req *r, void *unused)
{
    static const char text[] = "Hello, World!";
    (void)unused;
    return weft_reply(r, 200, "text/plain", text, sizeof text - 1);
}

/* ---- the client ---------------------------------------------------------- */

static int send_all(const char *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = weft_transport_write(client, data + at, len - at);
        if (n < 0) return (int)n;
        at += (size_t)n;
    }
    return 0;
}

static int receive(size_t len)
{
    static char replies[MOST * REPLY_ROOM];
    while (len > 0) {
        ssize_t n = weft_transport_read(
            client, replies, len < sizeof replies ? len : sizeof replies);
        if (n <= 0) return n < 0 ? (int)n : -EPIPE;
        len -= (size_t)n;
    }
    return 0;
}

/* All replies have the length of the first: only their Date may change. */
static int ask_once(void)
{
    char reply[REPLY_ROOM];
    int err = send_all(request, REQUEST);
    ssize_t n =
        err < 0 ? err : weft_transport_read(client, reply, sizeof reply);
    if (n <= 0) return n < 0 ? (int)n : -EPIPE;
    reply_len = (size_t)n;
    return 0;
}

/* n requests, `*depth` of which are sent at a time. */
static int64_t ask(void *depth, int64_t n)
{
    static char batch[MOST * REQUEST];
    int most = *(const int *)depth;
    for (int i = 0; i < most; i++)
        memcpy(batch + (size_t)i * REQUEST, request, REQUEST);
    int64_t start = bench_cpu();
    while (n > 0) {
        size_t now = n < most ? (size_t)n : (size_t)most;
        int err = send_all(batch, now * REQUEST);
        if (err == 0) err = receive(now * reply_len);
        if (err < 0) return err;
        n -= (int64_t)now;
    }
    return bench_cpu() - start;
}

/* ---- both ---------------------------------------------------------------- */

struct both {
    weft_http_server *server;
    weft_memory_listener *listener;
};

static int serve(void *arg)
{
    const struct both *b = arg;
    return weft_http_serve_memory(b->server, b->listener);
}

static int measure_all(void)
{
    static int one = 1, sixteen = 16;
    const struct bench_case cases[] = {
        {.name = "one by one", .run = ask, .arg = &one, .at_most = 400},
        {.name = "by sixteen", .run = ask, .arg = &sixteen, .at_most = 60},
    };
    int err = ask_once();
    if (err < 0) return err;
    bench_cases(cases, sizeof cases / sizeof *cases);
    return 0;
}

static int measure(void *unused)
{
    struct both b = {
        .server = weft_http_server_new(
            &(weft_http_server_opts){.server_name = "weft"}),
        .listener = weft_memory_listener_new(0),
    };
    int rc = b.server && b.listener ? 0 : -ENOMEM;
    (void)unused;
    if (rc == 0) rc = weft_http_route(b.server, NULL, "/", hello, NULL);
    if (rc < 0) goto free_both;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, serve, &b);
        if (rc == 0) rc = weft_memory_dial(b.listener, &client);
        if (rc == 0) {
            rc = measure_all();
            weft_transport_close(client);
        }
        weft_nursery_cancel(&n, 0, "measured");
    }
free_both:
    weft_memory_listener_free(b.listener);
    weft_http_server_free(b.server);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    bench_begin("HTTP requests answered in memory", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
