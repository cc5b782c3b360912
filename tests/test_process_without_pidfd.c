/* SPDX-License-Identifier: MIT */
/*
 * test_process_without_pidfd.c - child processes on a kernel without
 * pidfd_open.
 *
 * This program puts itself before syscall(2), and has no new calls.
 */
#include <weft/nursery.h>
#include <weft/process.h>
#include <weft/scope.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "harness.h"
#include "process.h"
#include "shell.h"

static int asked; /* how often for something that there is not */

long syscall(long number, ...);

long syscall(long number, ...)
{
    (void)number;
    asked++;
    errno = ENOSYS;
    return -1;
}

TEST_REAL(the_end_is_noticed_all_the_same)
{
    weft_process_opts o = SHELL("sleep 0.1; exit 3");
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), 3);
    CHECK(asked > 0 || valgrind_is_watching());
}

TEST_REAL(and_so_is_a_deadline_and_a_stubborn_process_is_killed)
{
    weft_process_opts o = SHELL("trap '' TERM; while :; do sleep 0.05; done");
    weft_time before = weft_now();
    int rc;
    o.grace = WEFT_MSEC(50);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(50)) {
        rc = weft_process_run(&o, NULL, 0, NULL, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(weft_now() - before >= WEFT_MSEC(100));
    CHECK(weft_now() - before < WEFT_SEC(9));
}

TEST_REAL(those_who_wait_get_over_the_cancellation_of_the_one_who_looks)
{
    weft_process p;
    struct waiter w[3] = {{&p, 1}, {&p, 1}, {&p, 1}};
    weft_process_opts o = SHELL("read line; exit 4");
    int rc, rc2;
    o.in.how = WEFT_IO_PIPE;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    WEFT_NURSERY(n, rc) {
        WEFT_NURSERY(first, rc2) {
            CHECK_EQ(weft_spawn(&first, waits, &w[0]), 0);
            CHECK_EQ(weft_test_settle(), 0);
            CHECK_EQ(weft_spawn(&n, waits, &w[1]), 0);
            CHECK_EQ(weft_spawn(&n, waits, &w[2]), 0);
            CHECK_EQ(weft_test_settle(), 0);
            weft_nursery_cancel(&first, 0, "enough");
        }
        CHECK_EQ(rc2, 0);
        CHECK_EQ(weft_close(p.in), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w[0].got, -ECANCELED);
    CHECK_EQ(w[1].got, 4);
    CHECK_EQ(w[2].got, 4);
    CHECK_EQ(weft_process_close(&p), 4);
}

TEST(on_the_virtual_clock_it_is_looked_for_in_real_time)
{
    weft_process_opts o = SHELL("sleep 0.1");
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), 0);
}

TEST(and_a_far_deadline_comes_soon)
{
    weft_process_opts o = SHELL("sleep 30");
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(24 * 3600)) {
        rc = weft_process_run(&o, NULL, 0, NULL, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}
