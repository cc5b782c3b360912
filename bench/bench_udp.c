/* SPDX-License-Identifier: MIT */
/*
 * bench_udp - examples/udp_echo against the hand-written echo of datagrams.
 *
 *     bench_udp [--server PROGRAM] [--floor PROGRAM] [--quick] [--json FILE]
 *
 * The clients are as many sockets; with several datagrams outstanding on each
 * there are batches to be had. All that is outstanding fits into a socket's usual
 * buffer, so nothing is lost.
 */
#include "harness.h"
#include "versus.h"

static const struct versus_case cases[] = {
    {"64 B, 64 clients",
     {.conns = 64, .depth = 1, .size = 64, .datagrams = true},
     1.00,
     1.00},
    {"64 B, 16 clients, depth 4",
     {.conns = 16, .depth = 4, .size = 64, .datagrams = true},
     1.00,
     1.00},
    {"1,200 B, 64 clients",
     {.conns = 64, .depth = 1, .size = 1200, .datagrams = true},
     1.00,
     1.00},
};

int main(int argc, char **argv)
{
    char floor[4096], server[4096];
    struct versus v;
    bench_begin("UDP echo against hand-written epoll", argc, argv);
    child_program(floor, sizeof floor, "bench/floor_udp");
    child_program(server, sizeof server, "examples/udp_echo");
    const char *other_floor = bench_option("floor");
    const char *other = bench_option("server");
    if (versus_start(
            &v, &(struct program){.path = other_floor ? other_floor : floor},
            &(struct program){.path = other ? other : server})) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            versus_run(&v, &cases[i]);
        versus_end(&v);
    }
    return bench_end();
}
