/* SPDX-License-Identifier: MIT */
/*
 * harness.c - the list of tests of a program, and its command line.
 *
 * The tests run in an order drawn from the seed, so that none comes to rely on
 * another; the seed is printed when a test failed.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "exact.h"

enum { MAX_TESTS = 2048, MAX_TEXT = 80 * 1024 };

static const struct test *tests[MAX_TESTS];
static size_t test_count;
static unsigned long long seed, order, last_order;

static struct {
    const char *path;    /* as it was called */
    const char *program; /* its last part */
    char **filters;
    bool verbose, list;
} command;

static void (*at_end)(void);

static unsigned outcomes[3]; /* by enum test_outcome */

void test_register(const struct test *t)
{
    if (test_count == MAX_TESTS) {
        (void)fprintf(stderr, "harness: more than %d tests\n", MAX_TESTS);
        abort();
    }
    tests[test_count++] = t;
}

void test_at_end(void (*fn)(void))
{
    at_end = fn;
}

unsigned long long test_seed(void)
{
    return seed;
}

unsigned long long test_order(void)
{
    return order;
}

bool test_takes_an_order(const struct test *t)
{
    return t->kind == TEST_VIRTUAL_CLOCK || t->kind == TEST_REAL_CLOCK;
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void shuffle(void)
{
    random_begin(seed);
    for (size_t i = test_count; i > 1; i--) {
        size_t j = random_below(i);
        const struct test *t = tests[i - 1];
        tests[i - 1] = tests[j];
        tests[j] = t;
    }
}

static bool is_wanted(const struct test *t)
{
    char name[512];
    if (order && !test_takes_an_order(t)) return false;
    (void)snprintf(name, sizeof(name), "%s/%s", command.program, t->name);
    if (!command.filters[0]) return true;
    for (char **f = command.filters; *f; f++) {
        if (strstr(name, *f)) return true;
    }
    return false;
}

static void print_indented(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        (void)printf("    %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void run_and_print(const struct test *t)
{
    static char text[MAX_TEXT];
    double start = seconds();
    exact_for_this_world(command.program, t->name);
    enum test_outcome outcome = test_run(t, text, sizeof(text));
    double took = seconds() - start;
    outcomes[outcome]++;

    if (outcome == TEST_FAILED) {
        (void)printf("FAILED %s/%s\n", command.program, t->name);
        print_indented(text);
        (void)printf("    again: %s --seed %llu ", command.path, seed);
        if (order) (void)printf("--order %llu ", order);
        (void)printf("%s\n", t->name);
    } else if (outcome == TEST_SKIPPED) {
        text[strcspn(text, "\n")] = '\0';
        (void)printf("skip   %s/%s: %s\n", command.program, t->name, text);
    } else if (command.verbose) {
        (void)printf("ok     %s/%s %.3f s\n", command.program, t->name, took);
        print_indented(text);
    }
    (void)fflush(stdout);
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: %s [-v] [--seed N] [--order N] [--list] "
                  "[FILTER...]\n",
                  command.program);
    return 2;
}

/* "7", or "1-20". */
static void read_orders(const char *text)
{
    char *end;
    order = last_order = strtoull(text, &end, 0);
    if (*end == '-') last_order = strtoull(end + 1, NULL, 0);
}

static bool read_command_line(char **argv)
{
    const char *given = getenv("TEST_SEED");
    const char *drawn_from = getenv("TEST_ORDER");
    const char *slash = strrchr(argv[0], '/');
    command.path = argv[0];
    command.program = slash ? slash + 1 : argv[0];

    for (argv++; *argv && **argv == '-'; argv++) {
        if (strcmp(*argv, "-v") == 0) {
            command.verbose = true;
        } else if (strcmp(*argv, "--list") == 0) {
            command.list = true;
        } else if (strcmp(*argv, "--seed") == 0 && argv[1]) {
            given = *++argv;
        } else if (strcmp(*argv, "--order") == 0 && argv[1]) {
            drawn_from = *++argv;
        } else {
            return false;
        }
    }
    command.filters = argv;
    seed = (unsigned long long)time(NULL) * 1000 + (unsigned)getpid() % 1000;
    if (given) seed = strtoull(given, NULL, 0);
    if (drawn_from) read_orders(drawn_from);
    return true;
}

static void run_all(void)
{
    for (size_t i = 0; i < test_count; i++) {
        if (!is_wanted(tests[i])) continue;
        if (command.list) {
            (void)printf("%s/%s\n", command.program, tests[i]->name);
        } else {
            run_and_print(tests[i]);
        }
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!read_command_line(argv)) return usage();

    double start = seconds();
    test_warm_up();
    if (!command.list) shuffle();
    run_all();
    if (command.list) return 0;
    while (order < last_order) {
        order++;
        run_all();
    }

    if (at_end) at_end();
    if (outcomes[TEST_FAILED] || command.verbose) {
        (void)printf("seed %llu\n", seed);
    }
    (void)printf("took %.2f s\n", seconds() - start);
    (void)printf("%u passed, %u failed, %u skipped\n", outcomes[TEST_PASSED],
                 outcomes[TEST_FAILED], outcomes[TEST_SKIPPED]);
    return outcomes[TEST_FAILED] > 0;
}
