/* SPDX-License-Identifier: MIT */
/* test_refused.c - what can't be asked for is refused, in words. */
#include <weft/error.h>
#include <weft/nursery.h>
#include <weft/select.h>
#include <weft/task.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "fibers.h"

static const size_t too_many = (size_t)INT32_MAX + 1;

static void says(const char *words)
{
    CHECK(weft_last_error() && strstr(weft_last_error()->msg, words));
}

TEST(more_cases_than_an_index_can_name_are_refused)
{
    weft_case c = {0};
    CHECK_EQ(weft_select(&c, too_many, 0), -EINVAL);
    says("cases are too many");
}

TEST(more_tasks_than_an_index_can_name_are_refused)
{
    weft_task *t = NULL;
    CHECK_EQ(weft_wait(&t, too_many, WEFT_ALL, 0), -EINVAL);
    says("tasks are too many");
}

TEST(a_nursery_that_was_never_opened_takes_no_child)
{
    weft_nursery n;
    memset(&n, 0, sizeof n);
    CHECK_EQ(weft_spawn(&n, does_nothing, NULL), -ESHUTDOWN);
    says("is not open");
}

TEST_PLAIN(a_holder_that_ended_has_words_of_its_own)
{
    CHECK_STR(weft_strerror(-EOWNERDEAD),
              "the holder ended without letting go");
}
