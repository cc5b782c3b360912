/* SPDX-License-Identifier: MIT */
/* test_errno.c - what fails or speaks inside the library leaves errno alone. */
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/nursery.h>

#include <errno.h>

#include "fibers.h"
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
    const weft_spawn_opts eighth = {.stack_size = SIZE_MAX / 8};
    int err = weft_nursery_open(&n, NULL);
    for (int i = 0; i < 8 && err == 0; i++) {
        errno = MINE;
        err = weft_spawn_ex(&n, does_nothing, NULL, &eighth);
        CHECK_EQ(errno, MINE);
    }
    CHECK_EQ(err, -ENOMEM);
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
