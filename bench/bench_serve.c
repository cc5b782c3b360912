/* SPDX-License-Identifier: MIT */
/*
 * bench_serve - a server on two workers beside the same server on one.
 *
 *     bench_serve [--quick] [--json FILE]
 *
 * First how evenly connections are dealt out, by a server of its own; then the
 * example servers under load: what a message costs, and how the work is split
 * between the threads.
 */
#include <weft.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "generator.h"
#include "harness.h"
#include "versus.h"

enum { WORKERS = 2, MAX_CONNS = 512, MAX_ROUNDS = 8 };

/* ---- how connections are dealt out -------------------------------------- */

struct deal {
    bool each_listens;
    unsigned conns;
    weft_fd listener;
    unsigned served[WORKERS + 1]; /* by worker; atomic */
    double ratio;
};

static int greet(weft_conn *c)
{
    struct deal *d = c->arg;
    char octet = 0;
    __atomic_add_fetch(&d->served[weft_worker()], 1, __ATOMIC_RELAXED);
    int err = weft_write_all(c->fd, &octet, 1, NULL);
    return err < 0 ? err : (int)weft_read(c->fd, &octet, 1);
}

static int serve(void *arg)
{
    struct deal *d = arg;
    return weft_serve(d->listener, greet, d, NULL);
}

/* Returns when each of them is served. */
static int dial_all(struct deal *d, const char *address, weft_fd *conns)
{
    for (unsigned i = 0; i < d->conns; i++) {
        int err = weft_dial(&conns[i], address);
        if (err < 0) return err;
    }
    for (unsigned i = 0; i < d->conns; i++) {
        char octet;
        ssize_t n = weft_read(conns[i], &octet, 1);
        if (n <= 0) return n < 0 ? (int)n : -EPIPE;
    }
    return 0;
}

static int deal(void *arg)
{
    struct deal *d = arg;
    const weft_listen_opts o = {.reuse_port = d->each_listens};
    static weft_fd conns[MAX_CONNS];
    char address[WEFT_ADDR_TEXT];
    weft_addr at;
    int rc = weft_listen(&d->listener, "127.0.0.1:0", &o);
    if (rc == 0) rc = weft_local_addr(d->listener, &at);
    if (rc < 0) return rc;
    (void)weft_addr_format(&at, address, sizeof address);
    memset(conns, 0, sizeof conns);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, serve, d);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(20)); /* until all listen */
        if (rc == 0) rc = dial_all(d, address, conns);
        for (unsigned i = 0; i < d->conns; i++)
            if (weft_fd_number(conns[i]) >= 0) weft_close(conns[i]);
        weft_nursery_cancel(&n, 0, NULL);
    }
    return rc;
}

static void measure_deal(bool each_listens, unsigned conns)
{
    const weft_run_opts o = {.workers = WORKERS};
    double ratios[MAX_ROUNDS];
    size_t rounds = bench_quick() ? 3 : MAX_ROUNDS;
    char name[96];
    snprintf(name, sizeof name, "%u conns, %s: most to least", conns,
             each_listens ? "each worker listens" : "one accepts");
    for (size_t i = 0; i < rounds; i++) {
        struct deal d = {.each_listens = each_listens, .conns = conns};
        int rc = weft_run(deal, &d, &o);
        double a = d.served[1], b = d.served[2];
        if (rc < 0 || a == 0 || b == 0) {
            bench_fail("%s: %s", name, rc < 0 ? weft_strerror(rc) : "one");
            return;
        }
        ratios[i] = a > b ? a / b : b / a;
    }
    bench_figure(&(struct bench_figure){name, "ratio", 1.5, 0}, ratios, rounds);
}

/* ---- under load --------------------------------------------------------- */

/* CPU time of the threads of a process: that of the busiest two. */
static void thread_times(pid_t pid, double *ret_most, double *ret_second)
{
    char path[300];
    *ret_most = *ret_second = 0;
    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    DIR *tasks = opendir(path);
    const struct dirent *e;
    while (tasks && (e = readdir(tasks)) != NULL) {
        long long ns = 0;
        snprintf(path, sizeof path, "/proc/%ld/task/%.20s/schedstat", (long)pid,
                 e->d_name);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        if (fscanf(f, "%lld", &ns) != 1) ns = 0;
        (void)fclose(f);
        if ((double)ns > *ret_most) {
            *ret_second = *ret_most;
            *ret_most = (double)ns;
        } else if ((double)ns > *ret_second) {
            *ret_second = (double)ns;
        }
    }
    if (tasks) (void)closedir(tasks);
}

struct side {
    struct child server;
    double cpu[MAX_ROUNDS], rate[MAX_ROUNDS];
};

static bool window(const char *name, const struct load_opts *load,
                   struct side *s, size_t i)
{
    struct load_result r;
    if (!versus_window(name, &s->server, load, &r)) return false;
    s->cpu[i] = r.server_cpu_ns;
    s->rate[i] = r.rate;
    return true;
}

static void report(const char *name, const char *what, const char *unit,
                   double *samples, size_t count)
{
    char text[96];
    snprintf(text, sizeof text, "%s: %s", name, what);
    bench_figure(&(struct bench_figure){text, unit, 0, 0}, samples, count);
}

static void beside_one(const char *name, struct side *one, struct side *two,
                       const struct load_opts *load)
{
    double cpu[MAX_ROUNDS], rate[MAX_ROUNDS], most, second;
    size_t rounds = bench_quick() ? 3 : MAX_ROUNDS;
    for (size_t i = 0; i < rounds; i++) {
        struct side *first = i % 2 ? two : one, *next = i % 2 ? one : two;
        if (!window(name, load, first, i) || !window(name, load, next, i))
            return;
        cpu[i] = two->cpu[i] / one->cpu[i];
        rate[i] = two->rate[i] / one->rate[i];
    }
    thread_times(two->server.pid, &most, &second);
    report(name, "CPU each, two to one", "ratio", cpu, rounds);
    report(name, "rate, two to one", "ratio", rate, rounds);
    report(name, "CPU each, one worker", "ns", one->cpu, rounds);
    report(name, "CPU each, two workers", "ns", two->cpu, rounds);
    if (second == 0) return;
    double split = most / second;
    report(name, "CPU of the two, most to least", "ratio", &split, 1);
}

static void measure_server(const char *name, const char *program,
                           const struct load_opts *load)
{
    char path[4096];
    struct side one, two;
    child_program(path, sizeof path, program);
    bench_unpin(); /* they inherit it */
    if (!child_start(&one.server, "one worker",
                     &(struct program){.path = path, .mode = "1"}, -1, NULL))
        return;
    if (child_start(&two.server, "two workers",
                    &(struct program){.path = path, .mode = "2"}, -1, NULL)) {
        beside_one(name, &one, &two, load);
        child_end(&two.server);
    }
    child_end(&one.server);
}

int main(int argc, char **argv)
{
    const struct load_opts echo = {.conns = 64, .depth = 1, .size = 64};
    const struct load_opts http = {.mode = LOAD_HTTP, .conns = 64, .depth = 1};
    bench_begin("one server on two workers", argc, argv);
    (void)child_allow_descriptors();
    measure_deal(false, 64);
    measure_deal(true, 64);
    measure_deal(true, MAX_CONNS);
    if (bench_core_count() <= WORKERS)
        bench_note("%u cores, and the load takes one: what a message costs and "
                   "how the work is split mean something here, the rate does "
                   "not",
                   bench_core_count());
    measure_server("echo, 64 conns", "examples/echo_server", &echo);
    measure_server("HTTP, 64 conns", "examples/http_server", &http);
    return bench_end();
}
