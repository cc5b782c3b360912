/* SPDX-License-Identifier: MIT */
/* versus.c - paired windows, and counted system calls. */
#include "versus.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

enum { MAX_PAIRS = 16 };

/* One server's share of a case. */
struct side {
    double cpu[MAX_PAIRS], rate[MAX_PAIRS], p50[MAX_PAIRS], p99[MAX_PAIRS];
};

bool versus_start(struct versus *v, const struct program *floor,
                  const struct program *subject)
{
    int core = bench_core(0);
    *v = (struct versus){.subject_is = *subject};
    (void)child_allow_descriptors();
    if (bench_core_count() < 2) {
        bench_note("one core only: the load shares it with the server");
    }
    bench_pin(bench_core(1));
    if (!child_start(&v->floor, "floor", floor, core, NULL)) return false;
    if (!child_start(&v->subject, "weft", subject, core, NULL)) {
        child_end(&v->floor);
        return false;
    }
    return true;
}

void versus_end(struct versus *v)
{
    child_end(&v->subject);
    child_end(&v->floor);
}

/* ---- pairs --------------------------------------------------------------- */

bool versus_window(const char *name, const struct child *server,
                   const struct load_opts *load, struct load_result *ret)
{
    struct load_opts o = *load;
    o.address = server->address;
    o.pid = server->pid;
    o.warmup_ns = bench_quick() ? 60000000 : 100000000;
    o.window_ns = bench_quick() ? 200000000 : 300000000;

    int rc = load_run(&o, ret);
    uint64_t errors = rc == 0 ? load_error_count(&ret->errors) : 0;
    if (rc == 0 && errors == 0 && ret->replies > 0) return true;
    char text[200];
    bench_fail("%s, %s: %s; %llu answered", name, server->name,
               rc < 0 ? strerror(-rc)
                      : load_error_text(&ret->errors, text, sizeof text),
               (unsigned long long)ret->replies);
    return false;
}

static bool window(const struct versus_case *c, const struct child *server,
                   struct side *s, size_t i)
{
    struct load_result r;
    if (!versus_window(c->name, server, &c->load, &r)) return false;
    s->cpu[i] = r.server_cpu_ns;
    s->rate[i] = r.rate;
    s->p50[i] = r.p50_us;
    s->p99[i] = r.p99_us;
    return true;
}

static void label(char *buf, size_t size, const char *name, const char *what)
{
    snprintf(buf, size, "%.60s: %.30s", name, what);
}

static void report_ratio(const char *name, const char *what, const double *a,
                         const double *b, size_t pairs, double at_most,
                         double at_least)
{
    double ratios[MAX_PAIRS];
    char text[96];
    for (size_t i = 0; i < pairs; i++)
        ratios[i] = a[i] / b[i];
    label(text, sizeof text, name, what);
    bench_figure(&(struct bench_figure){text, "ratio", at_most, at_least},
                 ratios, pairs);
}

static double record(const char *name, const char *what, const char *unit,
                     double *samples, size_t pairs)
{
    char text[96];
    label(text, sizeof text, name, what);
    bench_record(&(struct bench_figure){text, unit, 0, 0}, samples, pairs);
    return bench_summarize(samples, pairs).median;
}

static void report_side(const char *name, const char *who, struct side *s,
                        size_t pairs)
{
    char text[96];
    label(text, sizeof text, name, who);
    bench_note("  %-5s %8.0f/s  p50 %6.0f  p99 %6.0f us  %6.0f ns CPU each",
               who, record(text, "rate", "/s", s->rate, pairs),
               record(text, "p50", "us", s->p50, pairs),
               record(text, "p99", "us", s->p99, pairs),
               record(text, "cpu", "ns", s->cpu, pairs));
}

void versus_run(struct versus *v, const struct versus_case *c)
{
    struct side floor, subject;
    size_t pairs = bench_quick() ? 3 : 8;
    for (size_t i = 0; i < pairs; i++) {
        bool swap = i % 2 == 1;
        if (!(swap ? window(c, &v->subject, &subject, i)
                   : window(c, &v->floor, &floor, i)))
            return;
        if (!(swap ? window(c, &v->floor, &floor, i)
                   : window(c, &v->subject, &subject, i)))
            return;
    }
    report_ratio(c->name, "CPU", subject.cpu, floor.cpu, pairs, c->cpu_at_most,
                 0);
    report_ratio(c->name, "rate", subject.rate, floor.rate, pairs, 0,
                 c->rate_at_least);
    report_side(c->name, "weft", &subject, pairs);
    report_side(c->name, "floor", &floor, pairs);
}

/* ---- system calls -------------------------------------------------------- */

struct counted {
    int64_t total, epoll_ctl, epoll_wait, receives, sends;
    uint64_t replies;
};

static int64_t sum(const char *file, const char *const *calls)
{
    int64_t n = 0;
    for (; *calls != NULL; calls++)
        n += child_count(file, *calls);
    return n;
}

static bool count_run(const struct versus *v, const struct versus_case *c,
                      int64_t window_ns, struct counted *ret)
{
    static const char *const waits[] = {"epoll_wait", "epoll_pwait",
                                        "epoll_pwait2", NULL};
    static const char *const receives[] = {"recvfrom", "recvmsg", "read",
                                           "readv", NULL};
    static const char *const sends[] = {"sendto", "sendmsg", "write", "writev",
                                        NULL};
    char file[] = "/tmp/weft-calls-XXXXXX";
    int fd = mkstemp(file);
    if (fd < 0) return false;
    (void)close(fd);

    struct child server;
    struct load_opts o = c->load;
    struct load_result r;
    bool ok = child_start(&server, "weft, counted", &v->subject_is,
                          bench_core(0), file);
    if (ok) {
        o.address = server.address;
        o.window_ns = window_ns;
        ok = load_run(&o, &r) == 0 && load_error_count(&r.errors) == 0;
        child_end(&server);
    }
    *ret = (struct counted){.total = ok ? child_count(file, "total") : -1};
    if (ok && ret->total > 0) {
        ret->epoll_ctl = child_count(file, "epoll_ctl");
        ret->epoll_wait = sum(file, waits);
        ret->receives = sum(file, receives);
        ret->sends = sum(file, sends);
        ret->replies = r.all_replies;
    }
    (void)unlink(file);
    return ok && ret->total > 0;
}

/* The difference of a longer and a shorter run has no start-up in it. */
void versus_count_calls(const struct versus *v, const struct versus_case *c,
                        double at_most)
{
    struct counted a, b;
    char text[96];
    if (!child_can_count()) {
        bench_note("%s: system calls not counted, no strace that works",
                   c->name);
        return;
    }
    int64_t unit = bench_quick() ? 100000000 : 250000000;
    if (!count_run(v, c, unit, &a) || !count_run(v, c, unit * 4, &b) ||
        b.replies <= a.replies) {
        bench_note("%s: system calls could not be counted", c->name);
        return;
    }
    double n = (double)(b.replies - a.replies);
    label(text, sizeof text, c->name, "system calls");
    bench_value(&(struct bench_figure){text, "each", at_most, 0},
                (double)(b.total - a.total) / n);
    bench_note("  receive %.3f, send %.3f, epoll_wait %.3f, epoll_ctl %.4f",
               (double)(b.receives - a.receives) / n,
               (double)(b.sends - a.sends) / n,
               (double)(b.epoll_wait - a.epoll_wait) / n,
               (double)(b.epoll_ctl - a.epoll_ctl) / n);
}
