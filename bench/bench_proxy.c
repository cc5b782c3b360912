/* SPDX-License-Identifier: MIT */
/*
 * bench_proxy - examples/tcp_proxy against a hand-written proxy, in front of one
 * and the same echo server.
 *
 *     bench_proxy [--server PROGRAM] [--floor PROGRAM] [--quick] [--json FILE]
 *
 * The proxies are on one core; the echo server shares the other with the load.
 * So what counts is the CPU time of the proxy, and the rate says little more
 * than how much of the other core is left.
 */
#include "harness.h"
#include "versus.h"

static const struct versus_case cases[] = {
    {"64 B, 64 conns", {.conns = 64, .depth = 1, .size = 64}, 1.05, 0.95},
    {"16 KiB, 64 conns", {.conns = 64, .depth = 1, .size = 16384}, 1.05, 0.95},
    {"256 KiB, 8 conns", {.conns = 8, .depth = 1, .size = 262144}, 1.05, 0.95},
};

int main(int argc, char **argv)
{
    char echo[4096], floor[4096], server[4096];
    struct versus v;
    struct child behind;
    bench_begin("a proxy against hand-written epoll", argc, argv);
    child_program(echo, sizeof echo, "bench/floor_echo");
    child_program(floor, sizeof floor, "bench/floor_proxy");
    child_program(server, sizeof server, "examples/tcp_proxy");
    const char *other_floor = bench_option("floor");
    const char *other = bench_option("server");
    if (!child_start(&behind, "echo behind", &(struct program){.path = echo},
                     bench_core(1), NULL))
        return bench_end();
    const char *to = behind.address.text;
    if (versus_start(
            &v,
            &(struct program){.path = other_floor ? other_floor : floor,
                              .mode = to},
            &(struct program){.path = other ? other : server, .mode = to})) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            versus_run(&v, &cases[i]);
        versus_end(&v);
    }
    child_end(&behind);
    return bench_end();
}
