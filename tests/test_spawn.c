/* SPDX-License-Identifier: MIT */
/* test_spawn.c - what starts, when, and with which argument. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include <stdalign.h>
#include <string.h>

#include "harness.h"
#include "open.h"

static unsigned ran;

static int counts(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

static int waits_for_ever(void *arg)
{
    ran++;
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

static int notes_its_checkpoint(void *arg)
{
    int err = weft_checkpoint();
    *(int *)arg = err;
    return err;
}

TEST(spn_01_a_child_of_a_cancelled_nursery_runs_to_its_first_cancel_point)
{
    weft_nursery n;
    int seen = 1;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_spawn(&n, notes_its_checkpoint, &seen), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(seen, -ECANCELED);
}

TEST(spn_02_unless_cancelled_refuses_and_touches_nothing)
{
    weft_nursery n;
    int seen = 1;
    weft_spawn_opts opts = {.unless_cancelled = true};

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, counts, NULL, &opts), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_spawn_ex(&n, notes_its_checkpoint, &seen, &opts), -ECANCELED);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_nursery_close(&n, 2), 2);
    CHECK_EQ(seen, 1);
    CHECK_EQ(ran, 1);
}

TEST(unless_cancelled_looks_at_the_scopes_around_the_nursery_too)
{
    weft_scope s;
    weft_nursery n;
    weft_spawn_opts opts = {.unless_cancelled = true};

    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_spawn_ex(&n, counts, NULL, &opts), -ECANCELED);
    weft_scope_set_shield(weft_nursery_scope(&n), true);
    CHECK_EQ(weft_spawn_ex(&n, counts, NULL, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(ran, 1);
}

TEST(unless_cancelled_does_not_ask_about_the_spawner)
{
    weft_nursery n;
    weft_scope s;
    weft_spawn_opts opts = {.unless_cancelled = true};

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_spawn_ex(&n, counts, NULL, &opts), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
}

TEST(spn_04_no_child_runs_before_the_spawner_waits)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_spawn(&n, counts, NULL), 0);
    }
    CHECK_EQ(ran, 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ran, 3);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static unsigned times_seen[10];

static int marks_its_number(void *arg)
{
    int number = *(int *)arg;
    CHECK(number >= 0 && number < 10);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(*(int *)arg, number); /* nobody else writes to the copy */
    times_seen[number]++;
    return 0;
}

TEST(spn_05_each_child_has_its_own_copy_of_a_loop_variable)
{
    weft_nursery n;
    int i;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (i = 0; i < 10; i++) {
        CHECK_EQ(weft_spawn_copy(&n, marks_its_number, &i, sizeof(i)), 0);
    }
    i = 99;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (i = 0; i < 10; i++) {
        CHECK_EQ(times_seen[i], 1);
    }
}

static unsigned char pattern(size_t len, size_t at)
{
    return (unsigned char)(len * 31 + at * 7 + 1);
}

struct block {
    alignas(max_align_t) unsigned char octets[16384];
};

static size_t expected_len;

static int checks_the_block(void *arg)
{
    const unsigned char *octets = arg;
    size_t len = expected_len;
    CHECK_EQ((uintptr_t)arg % alignof(max_align_t), 0);
    CHECK_EQ((uintptr_t)arg % 16, 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < len; i++) {
            CHECK_EQ(octets[i], pattern(len, i));
        }
        CHECK_EQ(weft_yield(), 0);
    }
    ran++;
    return 0;
}

static void copy_a_block(size_t len)
{
    static struct block block;
    weft_nursery n;
    expected_len = len;
    for (size_t i = 0; i < len; i++) {
        block.octets[i] = pattern(len, i);
    }
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_copy(&n, checks_the_block, block.octets, len), 0);
    memset(&block, 0xee, sizeof(block));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_copied_argument_of_any_size_is_whole_and_aligned)
{
    static const size_t sizes[] = {0,  1,  15,  16,  17,   39,   40,
                                   41, 64, 127, 128, 1000, 4096, 16384};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        copy_a_block(sizes[i]);
        CHECK_EQ(ran, i + 1);
    }
}

TEST(a_copied_argument_of_more_than_a_quarter_of_the_stack_is_refused)
{
    static char big[1 << 20];
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_copy(&n, counts, big, sizeof(big)), -E2BIG);
    CHECK_EQ(weft_spawn_copy(&n, counts, big, SIZE_MAX), -E2BIG);
    CHECK_EQ(weft_nursery_count(&n), 0);
    weft_spawn_opts opts = {.stack_size = 8u << 20};
    CHECK_EQ(weft_spawn_copy_ex(&n, counts, big, sizeof(big), &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
}

TEST(nothing_copied_needs_no_value)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_copy(&n, counts, NULL, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
}

static int releases_its_argument(void *arg)
{
    bool *held = arg;
    *held = false;
    return weft_checkpoint();
}

TEST(spn_07_a_child_cancelled_before_it_ever_ran_still_runs)
{
    weft_nursery n;
    bool held = true;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, releases_its_argument, &held), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK(held);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK(!held);
}

TEST(spn_08_a_plain_spawn_at_the_limit_is_refused)
{
    weft_nursery n;
    weft_nursery_opts opts = {.limit = 2};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, counts, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_spawn(&n, counts, NULL), -EAGAIN);
    CHECK_EQ(weft_spawn_copy(&n, counts, "x", 2), -EAGAIN);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0); /* one has ended */
    CHECK_EQ(weft_spawn(&n, counts, NULL), -EAGAIN);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 3);
}

static int notes_its_name(void *arg)
{
    CHECK_STR(weft_fiber_name(), arg);
    CHECK(weft_fiber_id() != 0);
    weft_fiber_set_name("another");
    CHECK_STR(weft_fiber_name(), "another");
    ran++;
    return 0;
}

TEST(a_child_can_be_given_a_name)
{
    weft_nursery n;
    weft_spawn_opts opts = {.name = "worker"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, notes_its_name, "worker", &opts), 0);
    CHECK_EQ(weft_spawn_wait_ex(&n, notes_its_name, "worker", &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 2);
}

static int uses_much_stack(void *arg)
{
    volatile char room[600 * 1024];
    for (size_t i = 0; i < sizeof(room); i += 1024) {
        room[i] = 1;
    }
    (void)arg;
    ran += (unsigned)room[0];
    return 0;
}

TEST(a_child_can_be_given_a_larger_stack)
{
    weft_nursery n;
    weft_spawn_opts opts = {.stack_size = 1u << 20};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, uses_much_stack, NULL, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
}

TEST(a_closed_nursery_refuses_every_kind_of_spawn)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_spawn(&n, counts, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_spawn_copy(&n, counts, "x", 2), -ESHUTDOWN);
    CHECK_EQ(weft_spawn_wait(&n, counts, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ran, 0);
}

static int spawns_when_cancelled(void *arg)
{
    int err = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_spawn((weft_nursery *)arg, counts, NULL), 0);
    return err;
}

TEST(a_cancelled_child_may_still_spawn_into_its_closing_nursery)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, spawns_when_cancelled, &n), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, -EIO), -EIO);
    CHECK_EQ(ran, 1);
}

TEST(spawning_never_lets_another_fiber_run)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(weft_spawn(&n, counts, NULL), 0);
    }
    CHECK_EQ(ran, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 300);
}

TEST(children_of_one_nursery_and_of_its_grandchildren_start_in_order)
{
    weft_nursery a, b;
    CHECK_EQ(weft_nursery_open(&a, NULL), 0);
    CHECK_EQ(weft_nursery_open(&b, NULL), 0);
    CHECK_EQ(weft_spawn(&a, counts, NULL), 0);
    CHECK_EQ(weft_spawn(&b, counts, NULL), 0);
    CHECK_EQ(weft_nursery_close(&b, 0), 0);
    CHECK_EQ(ran, 2); /* closing one waits; the other's child runs too */
    CHECK_EQ(weft_nursery_close(&a, 0), 0);
}
