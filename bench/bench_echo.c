/* SPDX-License-Identifier: MIT */
/*
 * bench_echo - examples/echo_server against the hand-written echo server.
 *
 *     bench_echo [--server PROGRAM] [--floor PROGRAM] [--quick] [--json FILE]
 *
 * Called as `bench_echo HOST:PORT deadlines` it is an echo server itself, with
 * a deadline around every read, and is then measured in the example's place.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "versus.h"

/* ---- the server with deadlines ------------------------------------------- */

static int echo_by_deadline(weft_conn *c)
{
    weft_stream s;
    weft_stream_init(&s, c->fd);
    int rc = 0;
    for (bool open = true; open && rc == 0;) {
        WEFT_FAIL_AFTER(rc, WEFT_SEC(30))
        {
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

static int serve_by_deadline(void *arg)
{
    weft_fd listener;
    weft_addr at;
    char text[WEFT_ADDR_TEXT];
    int rc = weft_listen(&listener, arg, NULL);
    if (rc < 0) return rc;
    rc = weft_local_addr(listener, &at);
    if (rc < 0) return rc;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return weft_serve(listener, echo_by_deadline, NULL, NULL);
}

static int be_a_server(char *address)
{
    const weft_run_opts o = {.handle_signals = true};
    int rc = weft_run(serve_by_deadline, address, &o);
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

static void against_the_floor(const char *floor, const char *server)
{
    struct versus v;
    if (!versus_start(&v, floor, server, NULL)) return;
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
    if (!versus_start(&v, floor, self, "deadlines")) return;
    versus_run(&v, &by_deadline);
    versus_end(&v);
    versus_count_calls(&v, &by_deadline, 2.05);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "deadlines") == 0) {
        return be_a_server(argv[1]);
    }
    char floor[4096], server[4096];
    bench_begin("echo against hand-written epoll", argc, argv);
    child_program(floor, sizeof floor, "bench/floor_echo");
    child_program(server, sizeof server, "examples/echo_server");
    const char *other_floor = bench_option("floor");
    const char *other = bench_option("server");
    with_deadlines(other_floor ? other_floor : floor);
    against_the_floor(other_floor ? other_floor : floor,
                      other ? other : server);
    return bench_end();
}
