/* SPDX-License-Identifier: MIT */
/* harness.c - rounds, statistics, output, and what /proc knows of a process. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 64, MAX_CASES = 32 };

static struct {
    const char *name;
    int argc;
    char **argv;
    bool quick;
    bool failed;
    FILE *json;
#if defined(__linux__)
    cpu_set_t cores; /* those the process was given, before any pinning */
#endif
} bench;

/* ---- clocks and processes ------------------------------------------------ */

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return -1;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t bench_cpu(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t bench_own_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static int64_t schedstat_of_threads(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) return -1;

    int64_t sum = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        long tid = strtol(e->d_name, NULL, 10);
        if (tid <= 0) continue;
        snprintf(path, sizeof path, "/proc/%d/task/%ld/schedstat", (int)pid,
                 tid);
        FILE *f = fopen(path, "r");
        if (f == NULL) continue;
        long long ns;
        if (fscanf(f, "%lld", &ns) == 1) sum += ns;
        fclose(f);
    }
    closedir(dir);
    return sum;
}

/*
 * The process's CPU clock is brought up to date when it is read; schedstat
 * lags by up to a tick for a thread that is running, which is 1 % of a short
 * window. So the clock first.
 */
int64_t bench_process_cpu(pid_t pid)
{
#if !defined(__APPLE__)
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) == 0) {
        int64_t ns = read_clock(clock);
        if (ns >= 0) return ns;
    }
#endif
    return schedstat_of_threads(pid);
}

int64_t bench_status_bytes(pid_t pid, const char *field)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return -1;

    int64_t bytes = -1;
    size_t len = strlen(field);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, field, len) != 0 || line[len] != ':') continue;
        bytes = strtoll(line + len + 1, NULL, 10) * 1024;
        break;
    }
    fclose(f);
    return bytes;
}

int64_t bench_mapping_count(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return -1;

    int64_t lines = 0;
    char buf[4096];
    for (size_t n; (n = fread(buf, 1, sizeof buf, f)) > 0;) {
        for (size_t i = 0; i < n; i++)
            lines += buf[i] == '\n';
    }
    fclose(f);
    return lines;
}

/* ---- cores --------------------------------------------------------------- */

#if defined(__linux__)
unsigned bench_core_count(void)
{
    int count = CPU_COUNT(&bench.cores);
    return count > 0 ? (unsigned)count : 1;
}

int bench_core(unsigned i)
{
    i %= bench_core_count();
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET((size_t)core, &bench.cores) && i-- == 0) return core;
    }
    return 0;
}

void bench_pin(int core)
{
    if (bench_core_count() < 2) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)core, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
}

void bench_unpin(void)
{
    (void)sched_setaffinity(0, sizeof bench.cores, &bench.cores);
}

static void find_cores(void)
{
    if (sched_getaffinity(0, sizeof bench.cores, &bench.cores) == 0) return;
    CPU_ZERO(&bench.cores);
    CPU_SET(0, &bench.cores);
}
#else
/* Threads go where the system puts them. */
unsigned bench_core_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

int bench_core(unsigned i)
{
    return (int)(i % bench_core_count());
}

void bench_pin(int core)
{
    (void)core;
}

void bench_unpin(void)
{
}

static void find_cores(void)
{
}
#endif

/* ---- begin, end, remarks ------------------------------------------------- */

const char *bench_option(const char *name)
{
    for (int i = 1; i + 1 < bench.argc; i++) {
        const char *a = bench.argv[i];
        if (a[0] == '-' && a[1] == '-' && strcmp(a + 2, name) == 0) {
            return bench.argv[i + 1];
        }
    }
    return NULL;
}

static bool flag_given(const char *flag)
{
    for (int i = 1; i < bench.argc; i++) {
        if (strcmp(bench.argv[i], flag) == 0) return true;
    }
    return false;
}

void bench_begin(const char *name, int argc, char **argv)
{
    bench.name = name;
    bench.argc = argc;
    bench.argv = argv;
    find_cores();

    const char *quick = getenv("QUICK");
    bench.quick = flag_given("--quick") || (quick != NULL && quick[0] != '\0' &&
                                            strcmp(quick, "0") != 0);

    const char *path = bench_option("json");
    if (path == NULL) path = getenv("BENCH_JSON");
    if (path != NULL && path[0] != '\0') {
        bench.json = strcmp(path, "-") == 0 ? stdout : fopen(path, "a");
        if (bench.json == NULL) bench_fail("cannot append to %s", path);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%-42s %10s %-6s %-27s %s\n", name, "median", "", "[min q1 q3 max]",
           "goal");
}

int bench_end(void)
{
    if (bench.json != NULL && bench.json != stdout) {
        if (fclose(bench.json) != 0) bench.failed = true;
        bench.json = NULL;
    }
    return bench.failed ? 1 : 0;
}

bool bench_quick(void)
{
    return bench.quick;
}

void bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("  FAILED: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    bench.failed = true;
}

void bench_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("  ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/* ---- figures ------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value at fraction p of the sorted samples, between two if need be. */
static double quantile(const double *sorted, size_t count, double p)
{
    double at = p * (double)(count - 1);
    size_t i = (size_t)at;
    if (i + 1 >= count) return sorted[count - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

struct bench_stats bench_summarize(double *samples, size_t count)
{
    if (count == 0) return (struct bench_stats){0};
    qsort(samples, count, sizeof samples[0], by_value);
    return (struct bench_stats){
        .min = samples[0],
        .q1 = quantile(samples, count, 0.25),
        .median = quantile(samples, count, 0.5),
        .q3 = quantile(samples, count, 0.75),
        .max = samples[count - 1],
        .count = count,
    };
}

/* Three significant digits, and no exponent. */
static const char *short_number(char *buf, size_t size, double v)
{
    double a = v < 0 ? -v : v;
    int decimals = a == 0 || a >= 100 ? 0 : a >= 10 ? 1 : a >= 0.01 ? 2 : 4;
    snprintf(buf, size, "%.*f", decimals, v);
    return buf;
}

static void print_goal(const struct bench_figure *f, double median)
{
    char a[32];
    if (f->at_most > 0) {
        printf("<= %s", short_number(a, sizeof a, f->at_most));
        if (median > f->at_most) {
            printf("  (%.0f %% over)", 100 * (median / f->at_most - 1));
        }
    }
    if (f->at_least > 0) {
        printf(">= %s", short_number(a, sizeof a, f->at_least));
        if (median < f->at_least) {
            printf("  (%.0f %% under)", 100 * (1 - median / f->at_least));
        }
    }
    printf("\n");
}

static void print_json(const struct bench_figure *f,
                       const struct bench_stats *s)
{
    if (bench.json == NULL) return;
    fprintf(bench.json,
            "{\"bench\":\"%s\",\"case\":\"%s\",\"unit\":\"%s\","
            "\"median\":%.6g,\"min\":%.6g,\"q1\":%.6g,\"q3\":%.6g,"
            "\"max\":%.6g,\"samples\":%zu",
            bench.name, f->name, f->unit, s->median, s->min, s->q1, s->q3,
            s->max, s->count);
    if (f->at_most > 0) fprintf(bench.json, ",\"at_most\":%.6g", f->at_most);
    if (f->at_least > 0) fprintf(bench.json, ",\"at_least\":%.6g", f->at_least);
    fprintf(bench.json, "}\n");
    fflush(bench.json);
}

void bench_figure(const struct bench_figure *f, double *samples, size_t count)
{
    if (count == 0) {
        bench_note("%s: no samples", f->name);
        return;
    }
    struct bench_stats s = bench_summarize(samples, count);
    char m[32], a[32], b[32], c[32], d[32], spread[160];
    if (count > 1) {
        snprintf(
            spread, sizeof spread, "[%s %s %s %s]",
            short_number(a, sizeof a, s.min), short_number(b, sizeof b, s.q1),
            short_number(c, sizeof c, s.q3), short_number(d, sizeof d, s.max));
    } else {
        spread[0] = '\0';
    }
    printf("  %-40s %10s %-6s %-27s ", f->name,
           short_number(m, sizeof m, s.median), f->unit, spread);
    print_goal(f, s.median);
    print_json(f, &s);
}

void bench_record(const struct bench_figure *f, double *samples, size_t count)
{
    if (count == 0) return;
    struct bench_stats s = bench_summarize(samples, count);
    print_json(f, &s);
}

void bench_value(const struct bench_figure *f, double value)
{
    bench_figure(f, &value, 1);
}

/* ---- rounds -------------------------------------------------------------- */

/* How many operations fill about `target` ns; warms the case up on the way. */
static int64_t calibrate(const struct bench_case *c, int64_t target)
{
    for (int64_t n = 16;;) {
        int64_t ns = c->run(c->arg, n);
        if (ns < 0) return ns;
        if (ns >= target / 4 || n >= INT64_C(1) << 40) {
            double scaled = (double)n * (double)target / (double)(ns + 1);
            return scaled < 1 ? 1 : (int64_t)scaled;
        }
        n *= ns < target / 64 ? 8 : 2;
    }
}

struct progress {
    int64_t n; /* operations a round; negative: it failed */
    unsigned rounds, taken;
    int64_t until; /* a case that takes too long gets fewer rounds */
    double samples[MAX_ROUNDS];
};

static void fail_case(const struct bench_case *c, struct progress *p, int64_t e)
{
    bench_fail("%s: error %lld", c->name, (long long)e);
    p->n = -1;
}

static void prepare(const struct bench_case *c, struct progress *p)
{
    int64_t target = bench.quick ? 6000000 : 40000000;
    p->rounds = c->rounds ? c->rounds : bench.quick ? 5 : 9;
    if (p->rounds > MAX_ROUNDS) p->rounds = MAX_ROUNDS;
    p->taken = 0;
    p->until = bench_now() + (bench.quick ? 4000000000 : 20000000000);
    p->n = c->count ? c->count : calibrate(c, target);
    int64_t ns = c->count ? c->run(c->arg, c->count) : p->n;
    if (ns < 0) fail_case(c, p, ns);
}

static void one_round(const struct bench_case *c, struct progress *p)
{
    bool late = p->taken > 0 && bench_now() > p->until;
    if (p->n < 0 || p->taken == p->rounds || late) return;
    int64_t ns = c->run(c->arg, p->n);
    if (ns < 0) {
        fail_case(c, p, ns);
        return;
    }
    double per = c->unit == NULL ? (double)p->n : c->ns_per_unit;
    p->samples[p->taken++] = (double)ns / per;
}

static struct progress progress[MAX_CASES];

static void take_turns(const struct bench_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        prepare(&cases[i], &progress[i]);
    for (unsigned r = 0; r < MAX_ROUNDS; r++) {
        for (size_t k = 0; k < count; k++) {
            size_t i = r % 2 == 0 ? k : count - 1 - k;
            one_round(&cases[i], &progress[i]);
        }
    }
}

void bench_cases(const struct bench_case *cases, size_t count)
{
    if (count > MAX_CASES) count = MAX_CASES;
    take_turns(cases, count);
    for (size_t i = 0; i < count; i++) {
        const struct bench_case *c = &cases[i];
        struct bench_figure f = {.name = c->name,
                                 .unit = c->unit ? c->unit : "ns",
                                 .at_most = c->at_most};
        if (progress[i].n < 0) continue;
        bench_figure(&f, progress[i].samples, progress[i].taken);
    }
}

/* Each round's part of the first case's, of those that both have. */
static void ratio_to_first(const char *name, size_t i)
{
    double ratios[MAX_ROUNDS];
    unsigned count = progress[i].taken;
    if (progress[0].taken < count) count = progress[0].taken;
    for (unsigned r = 0; r < count; r++)
        ratios[r] = progress[i].samples[r] / progress[0].samples[r];
    bench_figure(&(struct bench_figure){.name = name, .unit = "x"}, ratios,
                 count);
}

void bench_beside(const char *name, const struct bench_case *cases,
                  size_t count)
{
    char text[80];
    double samples[MAX_ROUNDS]; /* a figure sorts them */
    if (count > MAX_CASES) count = MAX_CASES;
    take_turns(cases, count);
    for (size_t i = 0; i < count && progress[i].n >= 0; i++) {
        snprintf(text, sizeof text, "%s: %s", name, cases[i].name);
        memcpy(samples, progress[i].samples, sizeof samples);
        bench_figure(&(struct bench_figure){.name = text, .unit = "ns"},
                     samples, progress[i].taken);
        if (i > 0) ratio_to_first(text, i);
    }
}
