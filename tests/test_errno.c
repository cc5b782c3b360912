/* SPDX-License-Identifier: MIT */
/* test_errno.c - what fails or speaks inside the library leaves errno alone. */
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/nursery.h>

#include <errno.h>

#include "harness.h"

enum { MINE = 4711 };

static int fails(void *arg)
{
    (void)arg;
    return weft_fail(-EIO, "the child's");
}

TEST(a_spawn_that_finds_no_memory_leaves_errno_alone)
{
    weft_nursery n;
    const weft_spawn_opts o = {.stack_size = (size_t)1 << 50};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    errno = MINE;
    CHECK_EQ(weft_spawn_ex(&n, fails, NULL, &o), -ENOMEM);
    CHECK_EQ(errno, MINE);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_dump_to_a_bad_descriptor_leaves_errno_alone)
{
    errno = MINE;
    weft_dump(-1);
    CHECK_EQ(errno, MINE);
}

TEST(a_lost_failure_that_is_written_leaves_errno_alone)
{
    weft_nursery n;
    const weft_nursery_opts o = {.policy = WEFT_SUPERVISE};
    CHECK_EQ(weft_nursery_open(&n, &o), 0);
    CHECK_EQ(weft_spawn(&n, fails, NULL), 0);
    errno = MINE;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(errno, MINE);
}
