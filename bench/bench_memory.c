/* SPDX-License-Identifier: MIT */
/*
 * bench_memory - what an idle fiber and an idle connection take up.
 *
 * Fibers are counted in a process of their own each time, so that one case
 * leaves nothing behind for the next. Connections are counted in the example
 * echo server and, beside it, in the hand-written one.
 */
#include <weft.h>

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "harness.h"

/* ---- fibers -------------------------------------------------------------- */

struct usage {
    int64_t resident, page_tables, mappings, spawn_ns;
};

struct crowd {
    int64_t count;
    weft_run_opts opts;
    weft_event over;
    struct usage used;
};

static int wait_for_the_end(void *arg)
{
    return weft_event_wait(&((struct crowd *)arg)->over);
}

static void read_usage(struct usage *u)
{
    u->resident = bench_status_bytes(getpid(), "VmRSS");
    u->page_tables = bench_status_bytes(getpid(), "VmPTE");
    u->mappings = bench_mapping_count(getpid());
}

static int gather_crowd(void *arg)
{
    struct crowd *c = arg;
    struct usage before, after = {0};
    int rc;
    read_usage(&before);
    WEFT_NURSERY(all, rc)
    {
        int64_t start = bench_now();
        for (int64_t i = 0; i < c->count && rc == 0; i++) {
            rc = weft_spawn(&all, wait_for_the_end, c);
        }
        if (rc == 0) rc = weft_yield();
        c->used.spawn_ns = bench_now() - start;
        read_usage(&after);
        weft_event_set(&c->over);
    }
    c->used.resident = after.resident - before.resident;
    c->used.page_tables = after.page_tables - before.page_tables;
    c->used.mappings = after.mappings;
    return rc;
}

/* In a child process, which sends what it found through a pipe. */
static int in_a_process(struct crowd *c)
{
    int ends[2], status;
    if (pipe(ends) != 0) return -errno;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) {
        int rc = weft_run(gather_crowd, c, &c->opts);
        if (rc < 0) _exit(-rc & 127);
        _exit(write(ends[1], &c->used, sizeof c->used) !=
              (ssize_t)sizeof c->used);
    }
    (void)close(ends[1]);
    ssize_t n = read(ends[0], &c->used, sizeof c->used);
    (void)close(ends[0]);
    if (waitpid(pid, &status, 0) != pid) return -ECHILD;
    if (WIFSIGNALED(status)) return -EFAULT;
    if (WEXITSTATUS(status) != 0) return -WEXITSTATUS(status);
    return n == (ssize_t)sizeof c->used ? 0 : -EIO;
}

static void count_fibers(const char *what, int64_t count, double goal,
                         const weft_run_opts *opts)
{
    struct crowd c = {.count = count, .opts = *opts, .over = WEFT_EVENT_INIT};
    char name[96];
    int rc = in_a_process(&c);
    if (rc < 0) {
        bench_fail("%lld fibers, %s: %s", (long long)count, what,
                   weft_strerror(rc));
        return;
    }
    double n = (double)count;
    double resident = (double)c.used.resident / n;
    double tables = (double)c.used.page_tables / n;
    snprintf(name, sizeof name, "%lld fibers, %s", (long long)count, what);
    bench_value(&(struct bench_figure){name, "B", goal, 0}, resident + tables);
    bench_note("  resident %.0f B, page tables %.0f B each; %lld mappings; "
               "%.2f us to start one cold",
               resident, tables, (long long)c.used.mappings,
               (double)c.used.spawn_ns / n / 1e3);
    if (c.used.mappings > 20000) {
        bench_note("  the guards are mappings of their own here");
    }
}

static int64_t available_memory(void)
{
    char line[128];
    int64_t bytes = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        long long kib;
        if (sscanf(line, "MemAvailable: %lld", &kib) == 1) bytes = kib * 1024;
    }
    if (f != NULL) fclose(f);
    return bytes;
}

static void fibers(void)
{
    const weft_run_opts usual = {0};
    const weft_run_opts small = {.stack_size = 12 << 10, .guard_size = 4 << 10};
    count_fibers("default stacks", 100000, 4450, &usual);
    count_fibers("12 KiB stacks, 4 KiB guards", 100000, 4350, &small);
    if (bench_quick()) {
        bench_note("1,000,000 fibers: skipped, quick");
    } else if (available_memory() < INT64_C(7) << 30) {
        bench_note("1,000,000 fibers: skipped, needs 7 GiB of free memory");
    } else {
        count_fibers("default stacks", 1000000, 4450, &usual);
        count_fibers("12 KiB stacks, 4 KiB guards", 1000000, 4350, &small);
    }
}

/* ---- connections --------------------------------------------------------- */

struct growth {
    pid_t pid;
    int64_t resident, page_tables;
};

static void when_idle(void *arg)
{
    struct growth *g = arg;
    g->resident = bench_status_bytes(g->pid, "VmRSS") - g->resident;
    g->page_tables = bench_status_bytes(g->pid, "VmPTE") - g->page_tables;
}

static void count_connections(const char *program, const char *name,
                              unsigned count, double goal)
{
    char path[4096], label[96];
    struct child server;
    struct load_result r;
    child_program(path, sizeof path, program);
    if (!child_start(&server, name, &(struct program){.path = path}, bench_core(0),
                     NULL))
        return;

    /* A few before the first reading: start-up is not a connection's. */
    struct load_opts o = {.mode = LOAD_ECHO,
                          .address = server.address,
                          .conns = 16,
                          .depth = 1,
                          .size = 64,
                          .window_ns = 50000000};
    int rc = load_run(&o, &r);
    struct growth g = {.pid = server.pid,
                       .resident = bench_status_bytes(server.pid, "VmRSS"),
                       .page_tables = bench_status_bytes(server.pid, "VmPTE")};
    o.conns = count;
    o.window_ns = 1000000000;
    o.idle = when_idle;
    o.idle_arg = &g;
    if (rc == 0) rc = load_run(&o, &r);
    child_end(&server);
    if (rc < 0 || load_error_count(&r.errors) > 0 || r.all_replies < count) {
        char text[200];
        bench_fail("%s: %llu replies, %u connections: %s", name,
                   (unsigned long long)r.all_replies, count,
                   rc < 0 ? weft_strerror(rc)
                          : load_error_text(&r.errors, text, sizeof text));
        return;
    }
    snprintf(label, sizeof label, "%u idle connections, %s", count, name);
    bench_value(&(struct bench_figure){label, "B", goal, 0},
                (double)(g.resident + g.page_tables) / count);
    bench_note("  resident %.0f B, page tables %.0f B each",
               (double)g.resident / count, (double)g.page_tables / count);
}

int main(int argc, char **argv)
{
    bench_begin("memory", argc, argv);
    fibers();

    size_t descriptors = child_allow_descriptors();
    unsigned count = descriptors >= 10100 ? 10000 : 1000;
    if (descriptors < 1100) {
        bench_note("idle connections: skipped, %zu descriptors", descriptors);
        return bench_end();
    }
    bench_pin(bench_core(1));
    count_connections("bench/floor_echo", "hand-written", count, 0);
    count_connections("examples/echo_server", "weft", count, 4400);
    return bench_end();
}
