/* SPDX-License-Identifier: MIT */
/*
 * bench_echo - examples/echo_server against the hand-written echo server.
 *
 *     bench_echo [--server PROGRAM] [--floor PROGRAM] [--quick] [--json FILE]
 *
 * Called as `bench_echo ADDRESS deadlines` it is an echo server itself, with a
 * deadline around every read, and is then measured in the example's place; as
 * `bench_echo ADDRESS bare` one that reads and writes without a stream, against
 * which the example is measured.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "versus.h"

/* ---- the server with deadlines ------------------------------------------- */

static int echo_by_deadline(weft_conn *c)
{
    weft_stream s;
    weft_stream_init(&s, c->fd);
    int rc = 0;
    for (bool open = true; open && rc == 0;) {
        WEFT_FAIL_AFTER(rc, WEFT_SEC(30)) {
            const char *data;
            ssize_t n = weft_stream_peek(&s, &data);
            open = n > 0;
            rc = n > 0 ? weft_stream_write(&s, data, (size_t)n) : (int)n;
            if (n > 0) weft_stream_consume(&s, (size_t)n);
        }
    }
    if (rc == 0) rc = weft_stream_flush(&s);
    weft_stream_fini(&s);
    return rc == -ECONNRESET ? 0 : rc;
}

/* ---- the server without a stream ----------------------------------------- */

static int echo_bare(weft_conn *c)
{
    char buf[4096];
    ssize_t n;
    while ((n = weft_read(c->fd, buf, sizeof buf)) > 0) {
        int err = weft_write_all(c->fd, buf, (size_t)n, NULL);
        if (err < 0) return err;
    }
    return (int)n;
}

/* ---- being one ------------------------------------------------------------ */

struct server {
    const char *address;
    weft_conn_fn handler;
};

static int serve(void *arg)
{
    const struct server *s = arg;
    weft_fd listener;
    weft_addr at;
    char text[WEFT_ADDR_TEXT];
    int rc = weft_listen(&listener, s->address, NULL);
    if (rc < 0) return rc;
    rc = weft_local_addr(listener, &at);
    if (rc < 0) return rc;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return weft_serve(listener, s->handler, NULL, NULL);
}

static int be_a_server(const char *address, weft_conn_fn handler)
{
    const weft_run_opts o = {.handle_signals = true};
    struct server s = {address, handler};
    int rc = weft_run(serve, &s, &o);
    if (rc == -ECANCELED) return 0;
    if (rc < 0) fprintf(stderr, "bench_echo: %s\n", weft_strerror(rc));
    return rc < 0;
}

/* ---- the cases ----------------------------------------------------------- */

static const struct versus_case sixty_four = {
    "64 B, 64 conns", {.conns = 64, .depth = 1, .size = 64}, 1.00, 1.00};

static const struct versus_case plain[] = {
    {"64 B, 256 conns", {.conns = 256, .depth = 1, .size = 64}, 1.00, 1.00},
    {"64 B, 1000 conns", {.conns = 1000, .depth = 1, .size = 64}, 1.03, 1.00},
    {"64 B, 64 conns, depth 16", {.conns = 64, .depth = 16, .size = 64}, 0, 0},
    {"16 KiB, 64 conns", {.conns = 64, .depth = 1, .size = 16384}, 1.00, 0},
    {"churn, 64 at a time",
     {.conns = 64, .depth = 1, .size = 64, .churn = true},
     1.00,
     0},
};

static const struct versus_case by_deadline = {
    "64 B, 64 conns, deadlines",
    {.conns = 64, .depth = 1, .size = 64},
    1.02,
    0};

static const struct versus_case over_unix = {
    "Unix, 64 B, 64 conns", {.conns = 64, .depth = 1, .size = 64}, 1.00, 1.00};

/* The one that it is measured against reads and writes by itself. */
static const struct versus_case without_streams = {
    "a stream against bare calls, 64 B, 64 conns",
    {.conns = 64, .depth = 1, .size = 64},
    1.03,
    0.97};

static void against_the_floor(const char *floor, const char *server)
{
    struct versus v;
    if (!versus_start(&v, &(struct program){.path = floor},
                      &(struct program){.path = server}))
        return;
    versus_run(&v, &sixty_four);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        versus_run(&v, &plain[i]);
    }
    versus_end(&v);
    versus_count_calls(&v, &sixty_four, 2.05);
}

static void with_deadlines(const char *floor)
{
    char self[4096];
    struct versus v;
    child_program(self, sizeof self, "bench/bench_echo");
    if (!versus_start(&v, &(struct program){.path = floor},
                      &(struct program){.path = self, .mode = "deadlines"}))
        return;
    versus_run(&v, &by_deadline);
    versus_end(&v);
    versus_count_calls(&v, &by_deadline, 2.05);
}

static void against_bare_calls(const char *server)
{
    char self[4096];
    struct versus v;
    child_program(self, sizeof self, "bench/bench_echo");
    if (!versus_start(&v, &(struct program){.path = self, .mode = "bare"},
                      &(struct program){.path = server}))
        return;
    versus_run(&v, &without_streams);
    versus_end(&v);
}

/* In a directory of its own, as abstract names are Linux's alone. */
static void by_unix_sockets(const char *floor, const char *server)
{
    char dir[] = "/tmp/weft-echo-XXXXXX", a[48], b[48];
    struct versus v;
    if (!mkdtemp(dir)) {
        bench_fail("%s: no directory for the sockets", over_unix.name);
        return;
    }
    (void)snprintf(a, sizeof a, "unix:%s/floor", dir);
    (void)snprintf(b, sizeof b, "unix:%s/weft", dir);
    if (versus_start(&v, &(struct program){.path = floor, .address = a},
                     &(struct program){.path = server, .address = b})) {
        versus_run(&v, &over_unix);
        versus_end(&v);
    }
    (void)unlink(a + 5);
    (void)unlink(b + 5);
    (void)rmdir(dir);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "deadlines") == 0)
        return be_a_server(argv[1], echo_by_deadline);
    if (argc == 3 && strcmp(argv[2], "bare") == 0)
        return be_a_server(argv[1], echo_bare);
    char floor[4096], server[4096];
    bench_begin("echo against hand-written epoll", argc, argv);
    child_program(floor, sizeof floor, "bench/floor_echo");
    child_program(server, sizeof server, "examples/echo_server");
    const char *other_floor = bench_option("floor");
    const char *other = bench_option("server");
    const char *by_hand = other_floor ? other_floor : floor;
    const char *example = other ? other : server;
    with_deadlines(by_hand);
    against_bare_calls(example);
    by_unix_sockets(by_hand, example);
    against_the_floor(by_hand, example);
    return bench_end();
}
