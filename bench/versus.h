/* SPDX-License-Identifier: MIT */
/*
 * bench/versus.h - a server of weft's against a hand-written one, in turns.
 *
 * Both run on one core and stay up; the load comes from this process, on
 * another. Windows of a fraction of a second take turns (A B, B A, ...), and
 * what counts is the median of the ratios of neighbours: a machine that slows
 * down slows both.
 */
#ifndef BENCH_VERSUS_H
#define BENCH_VERSUS_H

#include "child.h"
#include "generator.h"

struct versus {
    struct child floor, subject;
    struct program subject_is;
};

struct versus_case {
    const char *name;
    struct load_opts load; /* but for address, pid and times */
    double cpu_at_most;    /* the goal for CPU time against the floor's */
    double rate_at_least;  /* and for the rate; 0: none */
};

/** Starts both, weft's second. */
bool versus_start(struct versus *v, const struct program *floor,
                  const struct program *subject);

/** Runs a case and prints its ratios and figures. Errors are failures. */
void versus_run(struct versus *v, const struct versus_case *c);

/** Ends both. */
void versus_end(struct versus *v);

/** One window of that load on a server: true and its result, or a failure. */
bool versus_window(const char *name, const struct child *server,
                   const struct load_opts *load, struct load_result *ret);

/**
 * Counts the system calls of weft's server for each message of that load, in
 * a run of its own under strace; says so if there is none.
 */
void versus_count_calls(const struct versus *v, const struct versus_case *c,
                        double at_most);

#endif
