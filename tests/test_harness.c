/* SPDX-License-Identifier: MIT */
/* test_harness.c - that a test which should fail does. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/run.h>

static char text[4096];

static enum test_outcome outcome_of(enum test_kind kind, void (*body)(void))
{
    struct test t = {"planted", body, kind, "the last words", 0};
    return test_run(&t, text, sizeof(text));
}

static void fails_a_check(void)
{
    (void)printf("printed before\n");
    CHECK_EQ(1 + 1, 3);
}

TEST_PLAIN(a_failed_check_says_where_and_what)
{
    CHECK_EQ(outcome_of(TEST_NO_RUN, fails_a_check), TEST_FAILED);
    CHECK(strstr(text, "test_harness.c:"));
    CHECK(strstr(text, "1 + 1 is 2, not 3"));
    CHECK(strstr(text, "printed before"));
}

TEST_PLAIN(a_failed_check_in_a_fiber_fails_the_test)
{
    CHECK_EQ(outcome_of(TEST_VIRTUAL_CLOCK, fails_a_check), TEST_FAILED);
    CHECK_EQ(outcome_of(TEST_REAL_CLOCK, fails_a_check), TEST_FAILED);
}

static void compares_strings(void)
{
    CHECK_STR("weft", "weft");
    CHECK_STR(NULL, NULL);
    CHECK_PTR(text, &text[0]);
    CHECK_STR("weft", NULL);
}

TEST_PLAIN(strings_are_compared_by_what_they_hold)
{
    CHECK_EQ(outcome_of(TEST_NO_RUN, compares_strings), TEST_FAILED);
    CHECK(strstr(text, "is \"weft\", not \"(null)\""));
}

static void does_nothing(void)
{
}

static void skips(void)
{
    SKIP("no such thing here");
}

TEST_PLAIN(an_empty_test_passes_and_a_skip_gives_its_reason)
{
    CHECK_EQ(outcome_of(TEST_NO_RUN, does_nothing), TEST_PASSED);
    CHECK_STR(text, "");
    CHECK_EQ(outcome_of(TEST_NO_RUN, skips), TEST_SKIPPED);
    CHECK_STR(text, "no such thing here");
}

static void leaves_a_descriptor(void)
{
    CHECK(dup(0) > 0);
}

static void closes_what_it_did_not_open(void)
{
    int pipe_fds[2];
    CHECK_EQ(pipe(pipe_fds), 0);
    struct test t = {"inner", does_nothing, TEST_NO_RUN, 0, 0};
    CHECK_EQ(test_run(&t, text, sizeof(text)), TEST_PASSED);
    CHECK_EQ(close(pipe_fds[0]), 0);
    CHECK_EQ(close(pipe_fds[1]), 0);
}

TEST_PLAIN(a_descriptor_left_open_fails_the_test)
{
    CHECK_EQ(outcome_of(TEST_NO_RUN, leaves_a_descriptor), TEST_FAILED);
    CHECK(strstr(text, "left behind: open descriptor"));
    CHECK_EQ(outcome_of(TEST_NO_RUN, closes_what_it_did_not_open), TEST_PASSED);
}

static void leaves_a_child(void)
{
    if (fork() == 0) _exit(0);
}

TEST_PLAIN(a_child_not_waited_for_fails_the_test)
{
    CHECK_EQ(outcome_of(TEST_NO_RUN, leaves_a_child), TEST_FAILED);
    CHECK(strstr(text, "left behind: a child process"));
}

static void exits_early(void)
{
    exit(0);
}

TEST_PLAIN(a_test_that_exits_early_has_not_passed)
{
    CHECK_EQ(outcome_of(TEST_NO_RUN, exits_early), TEST_FAILED);
    CHECK_EQ(outcome_of(TEST_DIES, exits_early), TEST_FAILED);
}

static void hangs(void)
{
    for (;;) {
        (void)pause();
    }
}

TEST_PLAIN(a_test_that_hangs_is_killed)
{
    struct test t = {"planted", hangs, TEST_NO_RUN, 0, 50};
    CHECK_EQ(test_run(&t, text, sizeof(text)), TEST_FAILED);
    CHECK_STR(text, "timed out");
}

static void dies_without_a_word(void)
{
    abort();
}

TEST_PLAIN(a_death_has_to_come_with_its_sentence)
{
    CHECK_EQ(outcome_of(TEST_DIES, dies_without_a_word), TEST_FAILED);
    CHECK(strstr(text, "without saying \"the last words\""));
    CHECK_EQ(outcome_of(TEST_DIES, does_nothing), TEST_FAILED);
    CHECK(strstr(text, "did not die"));
    CHECK_EQ(outcome_of(TEST_DIES, fails_a_check), TEST_FAILED);
    CHECK_EQ(outcome_of(TEST_NO_RUN, dies_without_a_word), TEST_FAILED);
}

TEST_DEATH(a_death_test_sees_the_sentence, "such is the end")
{
    (void)fprintf(stderr, "such is the end\n");
    abort();
}

static int counter;

/* Either of the two would fail after the other in one process. */
TEST(each_test_has_a_process_of_its_own)
{
    CHECK_EQ(counter++, 0);
}

TEST_REAL(and_starts_from_a_clean_slate)
{
    CHECK_EQ(counter++, 0);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

TEST(a_test_runs_inside_a_fiber)
{
    CHECK_EQ(weft_run(nothing, NULL, NULL), -EBUSY);
}

TEST_PLAIN(a_plain_test_runs_outside)
{
    CHECK_EQ(weft_run(nothing, NULL, NULL), 0);
}
