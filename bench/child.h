/* SPDX-License-Identifier: MIT */
/*
 * bench/child.h - servers as child processes: started, measured, ended.
 *
 * A child dies with its parent, whatever happens to that; it is ended by its
 * process id and no other way. What it writes to stderr is kept.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "generator.h"

/** How to start it: `path address [mode]`; no address: 127.0.0.1:0. */
struct program {
    const char *path, *mode, *address;
};

struct child {
    const char *name;
    pid_t pid; /* 0: none */
    FILE *log; /* its stderr */
    struct address address;
};

/** The path of a program beside the benchmarks ("examples/echo_server"). */
void child_program(char *buf, size_t size, const char *name);

/**
 * Starts the program on that core (negative: any) and waits until it says
 * "listening on ADDRESS". With `counts`, it runs under strace,
 * which leaves the number of calls in that file. Returns false and says why
 * (bench_fail) when it does not come up within ten seconds.
 */
bool child_start(struct child *c, const char *name, const struct program *p,
                 int core, const char *counts);

/**
 * Ends it: SIGTERM, and SIGKILL when two seconds are not enough. A child that
 * ended of itself, by a crash, with an error, or that had to be killed is
 * reported with bench_fail. Nothing happens when there is none.
 */
void child_end(struct child *c);

/** Raises the soft limit on descriptors to the hard one, and returns it. */
size_t child_allow_descriptors(void);

/** Is there an strace that works? */
bool child_can_count(void);

/** Calls of one name in strace's table ("total": all); -1: no such table. */
int64_t child_count(const char *counts, const char *call);

#endif
