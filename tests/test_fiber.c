/* SPDX-License-Identifier: MIT */
/* test_fiber.c - what a fiber is and has, and one run beside another. */
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/time.h>

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "system.h"

/* ---- ids and names ------------------------------------------------------ */

static uint64_t ids[1000];
static size_t ids_noted;

static int note_id(void *unused)
{
    (void)unused;
    CHECK(weft_fiber_id() != 0);
    ids[ids_noted++] = weft_fiber_id();
    return weft_yield();
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

TEST(no_two_fibers_have_the_same_id)
{
    int rc;
    for (int round = 0; round < 10; round++) {
        WEFT_NURSERY(n, rc) {
            for (int i = 0; i < 100; i++)
                CHECK_EQ(weft_spawn(&n, note_id, NULL), 0);
        }
        CHECK_EQ(rc, 0);
    }
    CHECK_EQ(ids_noted, 1000);
    qsort(ids, 1000, sizeof *ids, compare_ids);
    for (int i = 1; i < 1000; i++) CHECK(ids[i] != ids[i - 1]);
}

static int check_own_name(void *unused)
{
    (void)unused;
    CHECK_STR(weft_fiber_name(), "given");
    weft_fiber_set_name("changed");
    CHECK_EQ(weft_yield(), 0);
    CHECK_STR(weft_fiber_name(), "changed");
    weft_fiber_set_name(NULL);
    CHECK_STR(weft_fiber_name(), "");
    return 0;
}

static int check_no_name(void *unused)
{
    (void)unused;
    CHECK_STR(weft_fiber_name(), "");
    return 0;
}

TEST(a_fiber_has_the_name_it_was_given_or_took)
{
    const weft_spawn_opts named = {.name = "given"};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_ex(&n, check_own_name, NULL, &named), 0);
        CHECK_EQ(weft_spawn_ex(&n, check_own_name, NULL, &named), 0);
        CHECK_EQ(weft_spawn(&n, check_no_name, NULL), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST_PLAIN(outside_of_a_run_there_is_no_fiber)
{
    CHECK(weft_self() == NULL);
    CHECK_EQ(weft_fiber_id(), 0);
    CHECK_STR(weft_fiber_name(), "");
    CHECK(!weft_cancelled());
    weft_fiber_set_name("nobody");
    CHECK_STR(weft_fiber_name(), "");
    CHECK_EQ(weft_stack_used(), 0);
}

/* ---- errno -------------------------------------------------------------- */

static int keep_errno(void *arg)
{
    int mine = (int)(size_t)arg;
    errno = mine;
    for (int i = 0; i < 100; i++) {
        int err = i % 2 ? weft_yield() : weft_sleep(WEFT_USEC(mine));
        CHECK_EQ(err, 0);
        CHECK_EQ(errno, mine);
    }
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(errno, mine);
    }
    return 0;
}

TEST(errno_is_the_same_after_a_park_as_before)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 1; i <= 20; i++)
            CHECK_EQ(weft_spawn(&n, keep_errno, (void *)i), 0);
    }
    CHECK_EQ(rc, 0);
}

/* ---- order -------------------------------------------------------------- */

static char order[64];

static int write_order(void *arg)
{
    const char *me = arg;
    for (int i = 0; i < 3; i++) {
        strncat(order, me, 1);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

TEST_FIFO(fibers_run_in_the_order_in_which_they_became_ready)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_order, "a"), 0);
        CHECK_EQ(weft_spawn(&n, write_order, "b"), 0);
        CHECK_EQ(weft_spawn(&n, write_order, "c"), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(order, "abcabcabc");
}

static int count_up(void *arg)
{
    ++*(int *)arg;
    return 0;
}

TEST(a_yield_lets_every_other_ready_fiber_run_once)
{
    int count = 0, rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 500; i++)
            CHECK_EQ(weft_spawn(&n, count_up, &count), 0);
        CHECK_EQ(count, 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(count, 500);
    }
    CHECK_EQ(rc, 0);
}

static int yield_and_count(void *arg)
{
    CHECK_EQ(weft_yield(), -ECANCELED);
    return count_up(arg);
}

TEST(a_cancelled_yield_lets_the_others_run_before_it_fails)
{
    int count = 0, rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, count_up, &count), 0);
        CHECK_EQ(weft_spawn(&n, yield_and_count, &count), 0);
        weft_nursery_cancel(&n, 0, NULL);
        CHECK_EQ(weft_yield(), -ECANCELED);
        CHECK_EQ(count, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(count, 2);
}

static int checkpoint_until(void *arg)
{
    bool *stop = arg;
    int passed = 0;
    while (!*stop) {
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK(++passed <= 65);
    }
    return 0;
}

static int stop_it(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

TEST(after_64_cancel_points_the_next_one_lets_the_others_run)
{
    bool stop = false;
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, checkpoint_until, &stop), 0);
        CHECK_EQ(weft_spawn(&n, stop_it, &stop), 0);
    }
    CHECK_EQ(rc, 0);
}

/* ---- many, and of other sizes ------------------------------------------- */

static weft_event all_there;
static int there;

static int wait_for_all(void *arg)
{
    int want = *(int *)arg;
    if (++there == want) weft_event_set(&all_there);
    return weft_event_wait(&all_there);
}

TEST(ten_thousand_fibers_wait_at_once)
{
    int count = test_is_slow() ? 1000 : 10000, rc;
    weft_stats s;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < count; i++)
            CHECK_EQ(weft_spawn(&n, wait_for_all, &count), 0);
        CHECK_EQ(weft_nursery_count(&n), (size_t)count);
        CHECK_EQ(weft_yield(), 0);
        weft_stats_read(&s);
        CHECK(s.fibers > (uint64_t)count / 2);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(there, count);
}

static int use_stack(void *arg)
{
    size_t bytes = *(size_t *)arg;
    volatile char *deep = alloca(bytes / 2);
    for (size_t i = 0; i < bytes / 2; i++) deep[i] = 1;
    CHECK_EQ(weft_yield(), 0);
    CHECK(weft_stack_used() >= bytes / 2);
    CHECK(weft_stack_used() <= bytes);
    return deep[0] - 1;
}

TEST(a_fiber_gets_the_stack_size_it_was_spawned_with)
{
    size_t sizes[] = {16384, 65536, 524288, 16384, 524288, 131072};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            weft_spawn_opts o = {.stack_size = sizes[i]};
            if (test_is_slow()) o.stack_size = sizes[i] *= 2;
            CHECK_EQ(weft_spawn_ex(&n, use_stack, &sizes[i], &o), 0);
        }
    }
    CHECK_EQ(rc, 0);
}

TEST(a_stack_that_cannot_exist_is_refused_with_enomem)
{
    /* That of 64 bits is for the kernel to refuse. */
    static const size_t sizes[] = {sizeof(size_t) < 8 ? SIZE_MAX / 4
                                                      : SIZE_MAX >> 18,
                                   SIZE_MAX / 4, SIZE_MAX / 2, SIZE_MAX};
    int count = 0, rc;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            weft_spawn_opts o = {.stack_size = sizes[i]};
            CHECK_EQ(weft_spawn_ex(&n, count_up, &count, &o), -ENOMEM);
            CHECK_EQ(weft_last_error()->code, -ENOMEM);
        }
        CHECK_EQ(weft_spawn(&n, count_up, &count), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(count, 1);
}

/* Deeper than what the calls after it need, and not zero. ASan would have it
 * elsewhere, to find uses after the return. */
__attribute__((noinline, no_sanitize("address"))) static void leave_a_mark(void)
{
    volatile char deep[4096];
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = 1;
}

TEST(the_stack_used_is_little_at_first_and_never_shrinks)
{
    size_t before = weft_stack_used();
    CHECK(before > 0 && before < 65536);
    leave_a_mark();
    size_t marked = weft_stack_used();
    CHECK(marked >= 4096 && marked < 65536);
    CHECK_EQ(weft_yield(), 0);
    CHECK(weft_stack_used() >= marked);
}

/* ---- one run after, in, and beside another ------------------------------ */

static int return_it(void *arg)
{
    return *(int *)arg;
}

TEST_PLAIN(a_run_returns_what_main_returned)
{
    int results[] = {0, 7, -EPROTO, -1000};
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ(weft_run(return_it, &results[i], NULL), results[i]);
}

static int run_inside(void *arg)
{
    CHECK_EQ(weft_run(does_nothing, NULL, NULL), -EBUSY);
    const weft_error *e = weft_last_error();
    CHECK(e && e->code == -EBUSY && e->msg[0]);
    CHECK_EQ(weft_yield(), 0);
    return count_up(arg);
}

TEST_PLAIN(a_run_inside_a_run_is_refused_and_harms_nothing)
{
    int count = 0;
    CHECK_EQ(weft_run(run_inside, &count, NULL), 0);
    CHECK_EQ(weft_run(run_inside, &count, NULL), 0);
    CHECK_EQ(count, 2);
}

static int be_counted(void *arg)
{
    weft_stats *s = arg;
    weft_stats_read(s);
    return 0;
}

TEST_PLAIN(the_counters_of_a_run_start_afresh)
{
    weft_stats first, second;
    CHECK_EQ(weft_run(be_counted, &first, NULL), 0);
    CHECK_EQ(weft_run(be_counted, &second, NULL), 0);
    CHECK_EQ(second.fibers, first.fibers);
    CHECK_EQ(second.spawned, first.spawned);
    CHECK_EQ(second.switches, first.switches);
    CHECK_EQ(second.turns, first.turns);
    CHECK_EQ(second.polls, first.polls);
    CHECK_EQ(second.stacks, first.stacks);
    CHECK_EQ(second.registrations, first.registrations);
}

/* ---- two threads, each with a run of its own ---------------------------- */

struct side {
    struct system_meeting *both;
    uint64_t first_id, last_id;
    uint64_t fibers;
    pthread_t thread;
};

static int check_thread(void *arg)
{
    struct side *s = arg;
    for (int i = 0; i < 50; i++) {
        CHECK(pthread_equal(pthread_self(), s->thread));
        CHECK_EQ(weft_yield(), 0);
    }
    s->last_id = weft_fiber_id();
    return 0;
}

static int be_one_side(void *arg)
{
    struct side *s = arg;
    int rc;
    s->thread = pthread_self();
    s->first_id = weft_fiber_id();
    system_meet(s->both);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 30; i++)
            CHECK_EQ(weft_spawn(&n, check_thread, s), 0);
        CHECK_EQ(weft_yield(), 0);
        weft_stats stats;
        weft_stats_read(&stats);
        s->fibers = stats.fibers;
        system_meet(s->both);
    }
    return rc;
}

static void *run_one_side(void *arg)
{
    CHECK_EQ(weft_run(be_one_side, arg, NULL), 0);
    return NULL;
}

TEST_PLAIN(runs_on_two_threads_do_not_see_each_others_fibers)
{
    struct system_meeting both;
    pthread_t thread;
    struct side mine = {.both = &both}, other = {.both = &both};
    system_meeting_init(&both);
    CHECK_EQ(pthread_create(&thread, NULL, run_one_side, &other), 0);
    (void)run_one_side(&mine);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    system_meeting_fini(&both);
    CHECK_EQ(mine.fibers, 31);
    CHECK_EQ(other.fibers, 31);
    CHECK(mine.first_id != other.first_id);
    CHECK(mine.last_id != other.last_id);
    CHECK(weft_self() == NULL);
}
