/* SPDX-License-Identifier: MIT */
/*
 * harness.h - TEST registers itself; CHECK says what went wrong.
 *
 *     TEST(release_wakes_the_oldest_waiter)
 *     {
 *         ...
 *         CHECK_EQ(weft_sem_waiting(&s), 2);
 *     }
 *
 * A test runs in a process of its own, in a fiber under the virtual clock. It
 * fails when a CHECK fails, when it dies, when it takes too long, and when it
 * leaves anything behind: a fiber, a descriptor, a timer, memory of the
 * library, a child process. Whatever it prints is shown only then.
 *
 *     test_sem [-v] [--seed N] [--order N] [--list] [FILTER...]
 *
 * FILTER is a part of "test_sem/release_wakes_the_oldest_waiter". --order N, or
 * TEST_ORDER=N in the environment, has the fibers of each TEST that are ready at
 * the same time run in an order drawn from N instead of in line; 1-20 does so
 * for each of these. Only those tests run then: what takes no order is the same
 * in all.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum test_kind {
    TEST_VIRTUAL_CLOCK, /* in a fiber of weft_run, on the virtual clock */
    TEST_REAL_CLOCK,    /* in a fiber of weft_run, on the real clock */
    TEST_VIRTUAL_FIFO,  /* the same two, but always */
    TEST_REAL_FIFO,     /* first come first served */
    TEST_NO_RUN,        /* without weft_run, or with the body's own */
    TEST_DIES           /* without weft_run; has to die, with a sentence */
};

struct test {
    const char *name;
    void (*body)(void);
    enum test_kind kind;
    const char *sentence; /* TEST_DIES: what it says on its way out */
    unsigned limit_ms;    /* 0 for the usual limit */
};

/** A test in a fiber on the virtual clock: the usual kind. */
#define TEST(id) TEST_OF_KIND_(id, TEST_VIRTUAL_CLOCK, 0)

/** A test in a fiber on the real clock: for what only a kernel can show. */
#define TEST_REAL(id) TEST_OF_KIND_(id, TEST_REAL_CLOCK, 0)

/** A test that says in which order ready fibers run: never in a drawn one. */
#define TEST_FIFO(id)      TEST_OF_KIND_(id, TEST_VIRTUAL_FIFO, 0)
#define TEST_FIFO_REAL(id) TEST_OF_KIND_(id, TEST_REAL_FIFO, 0)

/** A test outside of weft_run: for plain data, or to call weft_run itself. */
#define TEST_PLAIN(id) TEST_OF_KIND_(id, TEST_NO_RUN, 0)

/** A test outside of weft_run that must die, printing `sentence` somewhere. */
#define TEST_DEATH(id, sentence) TEST_OF_KIND_(id, TEST_DIES, sentence)

#define TEST_OF_KIND_(id, kind, sentence)                                      \
    static void id(void);                                                      \
    __attribute__((constructor)) static void id##_register(void)               \
    {                                                                          \
        static const struct test t = {#id, id, kind, sentence, 0};             \
        test_register(&t);                                                     \
    }                                                                          \
    static void id(void)

#define CHECK(cond)                                                            \
    do {                                                                       \
        if (!(cond)) test_fail(__FILE__, __LINE__, "%s", #cond);               \
    } while (0)

#define CHECK_EQ(got, want)                                                    \
    test_check_eq(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

#define CHECK_STR(got, want)                                                   \
    test_check_str(__FILE__, __LINE__, #got, (got), (want))

#define CHECK_PTR(got, want)                                                   \
    test_check_ptr(__FILE__, __LINE__, #got, (got), (want))

/** Ends the test as skipped: only for what this machine cannot do. */
#define SKIP(reason) test_skip(reason)

/** The seed of this run, for a test that draws numbers of its own. */
unsigned long long test_seed(void);

/** The order that was asked for, or 0: first come first served. */
unsigned long long test_order(void);

/** Whether all is many times slower here: a sanitizer, Valgrind, emulation. */
bool test_is_slow(void);

enum test_outcome { TEST_PASSED, TEST_FAILED, TEST_SKIPPED };

/**
 * Runs *t in a process of its own. The reason for a failure or a skip, and
 * what the test printed, go to `text` as a string of at most len - 1 octets.
 */
enum test_outcome test_run(const struct test *t, char *text, size_t len);

bool test_takes_an_order(const struct test *t);
void test_register(const struct test *t);

/** Once, before the first: makes all of them faster, where that is possible. */
void test_warm_up(void);


/** Has fn called once all tests of the program have run: for a last line. */
void test_at_end(void (*fn)(void));
__attribute__((noreturn)) void test_skip(const char *reason);
__attribute__((noreturn, format(printf, 3, 4))) void
test_fail(const char *file, int line, const char *format, ...);
void test_check_eq(const char *file, int line, const char *what, long long got,
                   long long want);
void test_check_str(const char *file, int line, const char *what,
                    const char *got, const char *want);
void test_check_ptr(const char *file, int line, const char *what,
                    const volatile void *got, const volatile void *want);

#ifdef __cplusplus
}
#endif

#endif
