/* SPDX-License-Identifier: MIT */
/*
 * bench/harness.h - measuring: repeat, interleave, and say how far it spread.
 *
 *     static int64_t add(void *arg, int64_t n)    n operations; how long, in ns
 *     {
 *         int64_t start = bench_cpu();
 *         for (int64_t i = 0; i < n; i++) work(arg);
 *         return bench_cpu() - start;
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct bench_case c = {.name = "add", .run = add, .at_most = 3};
 *         bench_begin("arithmetic", argc, argv);
 *         bench_cases(&c, 1);
 *         return bench_end();
 *     }
 *
 * The cases of one call take turns (A B C, C B A, ...), so that a machine that
 * drifts does so for all of them. A figure is the median of the rounds; beside
 * it stand the least, the quartiles and the greatest. A slow figure is never a
 * failure; bench_fail() is, for what went wrong.
 *
 * --quick or QUICK=1 makes everything short. --json FILE or BENCH_JSON=FILE
 * appends one line of JSON for each figure ("-" is standard output).
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** Sorted samples in five numbers. */
struct bench_stats {
    double min, q1, median, q3, max;
    size_t count;
};

/** What a figure is called, and what it should be (0: nothing said). */
struct bench_figure {
    const char *name;
    const char *unit;
    double at_most;
    double at_least;
};

/** One thing to time: `run` does n operations and returns the ns they took. */
struct bench_case {
    const char *name;
    int64_t (*run)(void *arg, int64_t n); /* < 0: a negative error code */
    void *arg;
    double at_most;     /* the goal in ns an operation; 0: none */
    int64_t count;      /* operations a round; 0: calibrated */
    unsigned rounds;    /* 0: 9, or 5 when quick */
    const char *unit;   /* NULL: "ns" for each operation, else the round's */
    double ns_per_unit; /* with unit: how many ns one of it is */
};

/** Reads the arguments, names the benchmark and prints its head. */
void bench_begin(const char *name, int argc, char **argv);

/** 0, or 1 when bench_fail was called: what main returns. */
int bench_end(void);

/** Whether everything should be short. */
bool bench_quick(void);

/** The value of `--name VALUE` among the arguments, else NULL. */
const char *bench_option(const char *name);

/** Says what went wrong, and that the program shall fail. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Prints a line that is no figure (a remark, what was skipped and why). */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Warms up, calibrates and times the cases in turns, and prints them. */
void bench_cases(const struct bench_case *cases, size_t count);

/** The same for those that do one thing, `name`, in several ways; with how many
 *  times as long as the first each takes, round by round. */
void bench_beside(const char *name, const struct bench_case *cases,
                  size_t count);

/** Prints and records a figure made of samples taken elsewhere (sorts them). */
void bench_figure(const struct bench_figure *f, double *samples, size_t count);

/** Records it without printing: what a line of another kind says already. */
void bench_record(const struct bench_figure *f, double *samples, size_t count);

/** bench_figure for a single value that does not vary. */
void bench_value(const struct bench_figure *f, double value);

/** Sorts the samples and sums them up. */
struct bench_stats bench_summarize(double *samples, size_t count);

/** Nanoseconds on the monotonic clock. */
int64_t bench_now(void);

/**
 * CPU time of this thread, in ns: the clock for what never waits, since others
 * on the same core do not count. Takes a system call.
 */
int64_t bench_cpu(void);

/** CPU time of this process with all its threads, in ns. */
int64_t bench_own_cpu(void);

/**
 * CPU time of a process with all its threads, in ns, or -1. Up to date even
 * while it runs on another core.
 */
int64_t bench_process_cpu(pid_t pid);

/** How many cores the process may use, and the id of the i-th (wraps). */
unsigned bench_core_count(void);
int bench_core(unsigned i);

/** Puts the calling thread on that core, or on any again. Nothing happens with
 *  only one, nor on systems other than Linux. */
void bench_pin(int core);
void bench_unpin(void);

/** A field of /proc/PID/status in bytes ("VmRSS", "VmPTE"), or -1. */
int64_t bench_status_bytes(pid_t pid, const char *field);

/** How many mappings the process has, or -1. */
int64_t bench_mapping_count(pid_t pid);

/** Keeps the compiler from dropping a value. */
#define BENCH_KEEP(x) __asm__ volatile("" : : "g"(x) : "memory")

#endif
