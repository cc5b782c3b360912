/* SPDX-License-Identifier: MIT */
/*
 * bench_http - examples/http_server against the hand-written HTTP server.
 *
 *     bench_http [--server PROGRAM] [--floor PROGRAM] [--path PATH]
 *                [--quick] [--json FILE]
 */
#include "harness.h"
#include "versus.h"

static struct versus_case cases[] = {
    {"64 conns", {.conns = 64, .depth = 1}, 0, 1.00},
    {"1000 conns", {.conns = 1000, .depth = 1}, 0, 1.00},
    {"64 conns, pipelined by 16", {.conns = 64, .depth = 16}, 0, 1.03},
    {"churn, 64 at a time", {.conns = 64, .depth = 1, .churn = true}, 1.00, 0},
};

int main(int argc, char **argv)
{
    char floor[4096], server[4096];
    struct versus v;
    bench_begin("HTTP against hand-written epoll", argc, argv);
    child_program(floor, sizeof floor, "bench/floor_http");
    child_program(server, sizeof server, "examples/http_server");
    const char *other_floor = bench_option("floor");
    const char *other = bench_option("server");
    const char *path = bench_option("path");

    if (versus_start(
            &v, &(struct program){.path = other_floor ? other_floor : floor},
            &(struct program){.path = other ? other : server})) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            cases[i].load.mode = LOAD_HTTP;
            cases[i].load.path = path;
            versus_run(&v, &cases[i]);
        }
        versus_end(&v);
        versus_count_calls(&v, &cases[0], 2.05);
        versus_count_calls(&v, &cases[2], 0.14);
    }
    return bench_end();
}
