/* SPDX-License-Identifier: MIT */
/*
 * load - drives an echo or HTTP server on this machine and says how it did.
 *
 *     load echo 127.0.0.1:7000 --conns 64 --size 64 --seconds 2
 *     load http 127.0.0.1:8080 --depth 16 --pid $(pidof server)
 *     load echo 127.0.0.1:7000 --rate 40000
 *     load http 127.0.0.1:8080 --churn --json
 *
 * Ends with 0, 1 when there were errors or no reply, 2 when misused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generator.h"

static const char usage[] =
    "usage: load echo|http HOST:PORT [options]\n"
    "  --conns N     connections (64)\n"
    "  --depth D     messages outstanding on each (1)\n"
    "  --size BYTES  of an echo message (64)\n"
    "  --path PATH   of an HTTP request (/)\n"
    "  --rate R      open loop, messages a second in all (0: closed loop)\n"
    "  --churn       connect, one message, close\n"
    "  --warmup S    seconds before the window (0.2)\n"
    "  --seconds S   the window (1)\n"
    "  --pid PID     of the server, for its CPU time\n"
    "  --json        one line of JSON beside the one for people\n";

struct args {
    struct load_opts o;
    bool json;
};

static bool number(const char *text, double least, double most, double *ret)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= least && v <= most)) return false;
    *ret = v;
    return true;
}

/* Takes the option at argv[*i] and, where it has one, its value. */
static bool take_option(struct args *a, char **argv, int argc, int *i)
{
    const char *name = argv[*i];
    double v;
    if (strcmp(name, "--churn") == 0) return a->o.churn = true;
    if (strcmp(name, "--json") == 0) return a->json = true;
    if (*i + 1 >= argc) return false;
    const char *value = argv[++*i];

    if (strcmp(name, "--path") == 0) {
        a->o.path = value;
    } else if (strcmp(name, "--conns") == 0) {
        if (!number(value, 1, 100000, &v)) return false;
        a->o.conns = (unsigned)v;
    } else if (strcmp(name, "--depth") == 0) {
        if (!number(value, 1, 1024, &v)) return false;
        a->o.depth = (unsigned)v;
    } else if (strcmp(name, "--size") == 0) {
        if (!number(value, 1, 1 << 20, &v)) return false;
        a->o.size = (size_t)v;
    } else if (strcmp(name, "--rate") == 0) {
        if (!number(value, 0, 1e7, &v)) return false;
        a->o.rate = v;
    } else if (strcmp(name, "--warmup") == 0) {
        if (!number(value, 0, 60, &v)) return false;
        a->o.warmup_ns = (int64_t)(v * 1e9);
    } else if (strcmp(name, "--seconds") == 0) {
        if (!number(value, 0.001, 600, &v)) return false;
        a->o.window_ns = (int64_t)(v * 1e9);
    } else if (strcmp(name, "--pid") == 0) {
        if (!number(value, 1, 1 << 30, &v)) return false;
        a->o.pid = (pid_t)v;
    } else {
        return false;
    }
    return true;
}

static bool read_args(struct args *a, int argc, char **argv)
{
    if (argc < 3) return false;
    if (strcmp(argv[1], "http") == 0)
        a->o.mode = LOAD_HTTP;
    else if (strcmp(argv[1], "echo") != 0)
        return false;
    if (address_parse(argv[2], &a->o.address) < 0) return false;
    for (int i = 3; i < argc; i++) {
        if (!take_option(a, argv, argc, &i)) return false;
    }
    return true;
}

static void print_text(const struct load_result *r)
{
    char text[200];
    printf("%.0f/s  p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f us",
           r->rate, r->p50_us, r->p90_us, r->p99_us, r->p999_us, r->max_us);
    if (r->server_cpu_ns >= 0) {
        printf("  server %.0f ns each, %.0f %% of a core", r->server_cpu_ns,
               r->server_load * 100);
    }
    printf("  (generator %.0f %%)  %s\n", r->own_load * 100,
           load_error_text(&r->errors, text, sizeof text));
}

static void print_json(const struct load_opts *o, const struct load_result *r)
{
    const struct load_errors *e = &r->errors;
    printf("{\"mode\":\"%s\",\"conns\":%u,\"depth\":%u,\"size\":%zu,"
           "\"churn\":%s,\"seconds\":%.3f,\"replies\":%llu,\"rate\":%.1f,",
           o->mode == LOAD_ECHO ? "echo" : "http", o->conns, o->depth, o->size,
           o->churn ? "true" : "false", r->seconds,
           (unsigned long long)r->replies, r->rate);
    printf("\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,"
           "\"p999_us\":%.2f,\"max_us\":%.2f,",
           r->p50_us, r->p90_us, r->p99_us, r->p999_us, r->max_us);
    if (r->server_cpu_ns >= 0) {
        printf("\"server_cpu_ns\":%.1f,\"server_load\":%.4f,", r->server_cpu_ns,
               r->server_load);
    }
    printf("\"own_load\":%.4f,\"errors\":{\"connect\":%llu,\"reset\":%llu,"
           "\"closed\":%llu,\"bad\":%llu,\"missing\":%llu}}\n",
           r->own_load, (unsigned long long)e->connect,
           (unsigned long long)e->reset, (unsigned long long)e->closed,
           (unsigned long long)e->bad, (unsigned long long)e->missing);
}

int main(int argc, char **argv)
{
    struct args a = {.o = {.conns = 64,
                           .depth = 1,
                           .size = 64,
                           .warmup_ns = 200000000,
                           .window_ns = 1000000000}};
    struct load_result r;
    if (!read_args(&a, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    int err = load_run(&a.o, &r);
    if (err < 0) {
        fprintf(stderr, "load: %s\n", strerror(-err));
        return 2;
    }
    print_text(&r);
    if (a.json) print_json(&a.o, &r);
    return load_error_count(&r.errors) > 0 || r.replies == 0;
}
