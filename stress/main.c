/* SPDX-License-Identifier: MIT */
/*
 * main.c - a stress from the command line.
 *
 *     stress [-v] [--seed N] [--seeds N] [--first N] [--steps N] [--wakes N]
 *
 * Programs from seed N, and from the seeds after it; from step --first on. With
 * -v it says in the end who has waited for what. Then N wakes and sends of
 * other threads.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stress/stress.h"

static uint64_t seconds_since_1970(void)
{
    return (uint64_t)time(NULL);
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int usage(const char *program)
{
    (void)fprintf(stderr,
                  "usage: %s [-v] [--seed N] [--seeds N] [--first N] "
                  "[--steps N] [--wakes N]\n",
                  program);
    return 2;
}

static void print_tallies(void)
{
    printf("%-12s %10s %10s %10s\n", "", "waited", "got it", "cancelled");
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->act)
            printf("%-12s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n",
                   kinds[i]->name, tallies[i].waits, tallies[i].grants,
                   tallies[i].cancels);
}

int main(int argc, char **argv)
{
    uint64_t seeds = 1, wakes = 0;
    struct stress s = {.seed = seconds_since_1970(), .count = 1000000};
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    for (int i = 1 + verbose; i < argc; i += 2) {
        uint64_t n = i + 1 < argc ? strtoull(argv[i + 1], NULL, 0) : 0;
        if (i + 1 == argc)
            return usage(argv[0]);
        if (strcmp(argv[i], "--seed") == 0)
            s.seed = n;
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = n;
        else if (strcmp(argv[i], "--first") == 0)
            s.first = n;
        else if (strcmp(argv[i], "--steps") == 0)
            s.count = n;
        else if (strcmp(argv[i], "--wakes") == 0)
            wakes = n;
        else
            return usage(argv[0]);
    }
    const uint64_t first_seed = s.seed;
    for (; seeds > 0; seeds--, s.seed++) {
        double start = seconds();
        printf("seed %" PRIu64 ": ", s.seed);
        (void)fflush(stdout);
        stress_run(&s);
        printf("%" PRIu64 " steps, %.1f s\n", s.count, seconds() - start);
    }
    if (verbose) print_tallies();
    if (wakes > 0) stress_threads(first_seed, wakes);
    return 0;
}
