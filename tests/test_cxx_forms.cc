/* SPDX-License-Identifier: MIT */
/*
 * test_cxx_forms.cc - what the headers offer as macros, in C++. It is C++11:
 * tools/lint.sh compiles it as that and as newer ones.
 */
#include <weft.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "harness.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_rwlock rwlock = WEFT_RWLOCK_INIT;
static weft_cond cond = WEFT_COND_INIT;
static weft_event event = WEFT_EVENT_INIT;
static weft_once once = WEFT_ONCE_INIT;
static weft_sem sem = WEFT_SEM_INIT(2, 3);
static weft_limiter limiter = WEFT_LIMITER_INIT(4);
static weft_barrier barrier = WEFT_BARRIER_INIT(1);
static weft_timing timing = WEFT_TIMING_INIT("operation");

static int counts(void *count)
{
    ++*static_cast<int *>(count);
    return 0;
}

static int counts_when_ready(void *count)
{
    CHECK_EQ(weft_started(count), 0);
    return counts(count);
}

static int waits_for_ever(void *)
{
    return weft_sleep(WEFT_FOREVER);
}

TEST(what_is_initialised_by_a_macro_works)
{
    int count = 0;
    CHECK_EQ(weft_mutex_lock(&mutex), 0);
    CHECK_EQ(weft_cond_notify(&cond, &mutex, 1), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    CHECK_EQ(weft_rwlock_rdlock(&rwlock), 0);
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    weft_event_set(&event);
    CHECK_EQ(weft_event_wait(&event), 0);
    CHECK_EQ(weft_once_do(&once, counts, &count), 0);
    CHECK_EQ(weft_sem_acquire(&sem, 2), 0);
    CHECK_EQ(weft_limiter_acquire(&limiter, nullptr), 0);
    CHECK_EQ(weft_limiter_release(&limiter, nullptr), 0);
    weft_limiter_fini(&limiter);
    CHECK_EQ(weft_barrier_wait(&barrier), 0);
    CHECK_EQ(count, 1);
    CHECK_STR(timing.name, "operation");
}

TEST(spawns_of_all_kinds_start_a_fiber)
{
    static int count; /* the one in the background is the last to see it */
    int rc;
    void *value = nullptr;
    weft_nursery_opts options = {};
    weft_spawn_opts o = {};
    options.limit = 3;
    o.name = "child";
    WEFT_NURSERY_EX(n, rc, &options) {
        CHECK_EQ(weft_spawn(&n, counts, &count), 0);
        CHECK_EQ(weft_spawn_ex(&n, counts, &count, &o), 0);
        CHECK_EQ(weft_spawn_wait(&n, counts, &count), 0);
        CHECK_EQ(weft_spawn_wait_ex(&n, counts, &count, &o), 0);
        CHECK_EQ(weft_start(&n, counts_when_ready, &count, &value), 0);
        CHECK_EQ(weft_start_ex(&n, counts_when_ready, &count, &value, &o), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(count, 6);
    CHECK_PTR(value, &count);

    int other = 0, *copied = &other;
    auto counts_copied = [](void *p) {
        return counts(*static_cast<int **>(p));
    };
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_copy(&n, counts_copied, &copied, sizeof copied);
        CHECK_EQ(rc, 0);
        rc = weft_spawn_copy_ex(&n, counts_copied, &copied, sizeof copied, &o);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(other, 2);
    CHECK_EQ(weft_background(counts, &count, nullptr), 0);
}

TEST(a_nursery_and_a_queue_are_opened_by_hand)
{
    int count = 0;
    weft_nursery n;
    weft_workqueue q;
    weft_workqueue_opts o = {};
    o.workers = 1;
    CHECK_EQ(weft_nursery_open(&n, nullptr), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &o), 0);
    CHECK_EQ(weft_workqueue_add(&q, counts, &count, nullptr), 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(count, 1);
}

TEST(scopes_end_with_their_codes)
{
    int rc, inner;
    weft_scope s;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1))
        rc = weft_sleep(WEFT_SEC(1));
    CHECK_EQ(rc, -ETIMEDOUT);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep(WEFT_SEC(1));
        WEFT_SHIELD(inner, WEFT_SEC(1))
            inner = weft_sleep(WEFT_MSEC(1));
        CHECK_EQ(inner, 0);
    }
    CHECK_EQ(rc, 0);

    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(1), WEFT_FAIL), 0);
    CHECK_EQ(weft_scope_end(&s, waits_for_ever(nullptr)), -ETIMEDOUT);
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_at(&s, weft_now(), WEFT_MOVE_ON), 0);
    CHECK_EQ(weft_scope_end(&s, waits_for_ever(nullptr)), 0);
}

TEST(locked_and_timed_blocks_run)
{
    int rc = 1, ran = 0;
    weft_timed op = {};
    WEFT_LOCKED(&mutex, rc)
        ran++;
    CHECK_EQ(rc, 0);
    WEFT_TIMED(&timing)
        ran++;
    WEFT_TIMED_RC(&timing, rc)
        ran++;
    CHECK_EQ(weft_timed_begin(&op, &timing), 0);
    CHECK_EQ(weft_timed_end(&op, 7), 7);
    CHECK_EQ(ran, 3);
}

static int hands_out_its_own(weft_gen *g, void *arg)
{
    int *items = static_cast<int *>(arg);
    for (int i = 0; i < 3; i++) {
        int err = weft_gen_yield(g, &items[i]);
        if (err < 0) return err;
    }
    return 0;
}

TEST(a_loop_over_a_generator_sees_its_items)
{
    int items[3] = {1, 2, 3}, sum = 0, rc;
    void *item;
    weft_gen g;
    WEFT_FOREACH(int *, i, rc, hands_out_its_own, items) {
        if (*i == 2) continue;
        sum += *i;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, 4);
    CHECK_EQ(weft_gen_open(&g, hands_out_its_own, items), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_PTR(item, &items[0]);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(a_select_over_cases_of_all_kinds_sees_the_one_that_happens)
{
    int in = 0, out = 5, rc;
    weft_chan *c = weft_chan_new(sizeof(int), 1, nullptr, 0);
    weft_event never = WEFT_EVENT_INIT;
    weft_fd pair[2];
    weft_task task = {};
    weft_spawn_opts o = {};
    o.task = &task;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_ex(&n, waits_for_ever, nullptr, &o), 0);
        weft_case cases[] = {WEFT_CASE_RECV(c, &in),
                             WEFT_CASE_EVENT(&never),
                             WEFT_CASE_TASK(&task),
                             WEFT_CASE_FD(pair[0], WEFT_READABLE),
                             WEFT_CASE_AT(weft_now() + WEFT_SEC(1)),
                             WEFT_CASE_AFTER(WEFT_MSEC(1)),
                             {}};
        CHECK_EQ(weft_select(cases, 7, 0), 5);
        cases[5].on = WEFT_ON_OFF;
        cases[6] = weft_case(WEFT_CASE_SEND(c, &out));
        CHECK_EQ(weft_select(cases, 7, 0), 6);
        CHECK_EQ(weft_select(cases, 6, 0), 0);
        CHECK_EQ(in, 5);
        weft_nursery_cancel(&n, 0, nullptr);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    weft_chan_free(c);
}

static int expects(void *number)
{
    WEFT_EXPECT(*static_cast<int *>(number) == 4);
    return weft_fail(-EPROTO, "bad frame length %d", 4);
}

TEST(a_failure_has_its_words)
{
    int number = 5;
    CHECK_EQ(expects(&number), -EPROTO);
    CHECK(strstr(weft_last_error()->msg, "== 4") != nullptr);
    number = 4;
    CHECK_EQ(expects(&number), -EPROTO);
    CHECK_STR(weft_last_error()->msg, "bad frame length 4");
}

TEST_REAL(a_program_is_run_with_a_named_array)
{
    const char *const argv[] = {"sh", "-c", "exit 3", nullptr};
    weft_process p;
    weft_process_opts o = {};
    o.argv = argv;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    int ended = weft_process_wait(&p);
    CHECK_EQ(ended, 3);
    CHECK_EQ(weft_process_signal(ended), 0);
    CHECK_EQ(weft_process_signal(WEFT_SIGNALLED(SIGTERM)), SIGTERM);
    CHECK_EQ(weft_process_close(&p), 3);
}
