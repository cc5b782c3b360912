/* SPDX-License-Identifier: MIT */
/*
 * test_cxx.cc - C++ exceptions in fibers: each fiber has its own.
 */
#include <weft.h>

#include <cxxabi.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "harness.h"
#include "process.h"

/* ---- helpers ------------------------------------------------------------ */

/* What is thrown here is not of the C++ library, of which MSan sees nothing. */
struct failure {
    int number;
};

static void wait_ms(int ms)
{
    int err = weft_sleep(WEFT_MSEC(ms));
    CHECK_EQ(err, 0);
}

/* Is an exception being handled? Asked so MSan understands the answer. */
static bool handles_any()
{
    return abi::__cxa_current_exception_type() != nullptr;
}

static void skip_where_the_library_is_not_seen()
{
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
    SKIP("MSan does not see what the C++ library writes");
#endif
#endif
}

/* At the end of its block: waits, as clean-up does that has to ask somebody. */
struct waits_at_the_end {
    int ms;
    int *count;
    int uncaught;
    waits_at_the_end(int after, int *counts)
        : ms(after), count(counts), uncaught(std::uncaught_exceptions())
    {
    }
    ~waits_at_the_end()
    {
        int before = std::uncaught_exceptions();
        wait_ms(ms);
        CHECK_EQ(std::uncaught_exceptions(), before);
        ++*count;
    }
};

template <class F> static int calls(void *f)
{
    (*static_cast<F *>(f))();
    return 0;
}

template <class F> static void start(weft_nursery *n, F *f)
{
    CHECK_EQ(weft_spawn(n, calls<F>, f), 0);
}

/* Both as children of one nursery. */
template <class A, class B> static void beside(A a, B b)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        start(&n, &a);
        start(&n, &b);
    }
    CHECK_EQ(rc, 0);
}

/* ---- one fiber ---------------------------------------------------------- */

TEST(an_exception_is_caught_in_the_fiber_that_throws_it)
{
    int caught = 0;
    auto child = [&] {
        try {
            wait_ms(1);
            throw failure{7};
        } catch (const failure &f) {
            caught = f.number;
        }
    };
    beside(child, [] { wait_ms(2); });
    CHECK_EQ(caught, 7);
}

static void descend(int depth, int *count)
{
    waits_at_the_end w(depth % 3, count);
    wait_ms(1);
    if (depth == 0) throw failure{*count};
    descend(depth - 1, count);
}

TEST(an_exception_unwinds_frames_whose_destructors_wait)
{
    int count[2] = {0, 0}, got[2] = {-1, -1};
    auto first = [&] {
        try {
            descend(20, &count[0]);
        } catch (const failure &f) {
            got[0] = f.number;
        }
    };
    auto second = [&] {
        try {
            descend(9, &count[1]);
        } catch (const failure &f) {
            got[1] = f.number;
        }
    };
    beside(first, second);
    CHECK_EQ(count[0], 21);
    CHECK_EQ(count[1], 10);
    CHECK_EQ(got[0], 0);
    CHECK_EQ(got[1], 0);
}

TEST(errors_of_the_standard_library_pass_through_waits)
{
    skip_where_the_library_is_not_seen();
    auto child = [] {
        try {
            try {
                throw std::runtime_error("no such table");
            } catch (...) {
                wait_ms(1);
                throw;
            }
        } catch (const std::runtime_error &e) {
            CHECK(strlen(e.what()) == 13);
        }
    };
    beside(child, child);
}

/* ---- the exceptions of several fibers ----------------------------------- */

/* Catches `number`, waits as long, and rethrows: it has to be the same. */
static void rethrows_after(int number, int ms)
{
    int got = -1;
    try {
        try {
            throw failure{number};
        } catch (...) {
            wait_ms(ms);
            throw;
        }
    } catch (const failure &f) {
        got = f.number;
    }
    CHECK_EQ(got, number);
    CHECK(!handles_any());
}

TEST(portability_2_two_fibers_that_wait_in_catch_blocks_rethrow_their_own)
{
    beside([] { rethrows_after(1, 2); }, [] { rethrows_after(2, 1); });
    beside([] { rethrows_after(1, 1); }, [] { rethrows_after(2, 2); });
}

TEST(two_fibers_that_give_way_in_catch_blocks_rethrow_their_own)
{
    auto child = [](int number) {
        try {
            try {
                throw failure{number};
            } catch (...) {
                for (int i = 0; i < 5; i++)
                    CHECK_EQ(weft_yield(), 0);
                throw;
            }
        } catch (const failure &f) {
            CHECK_EQ(f.number, number);
        }
    };
    beside([=] { child(1); }, [=] { child(2); });
}

/* A failure in each of so many catch blocks, one inside the other. */
static void nest(int number, int depth)
{
    try {
        try {
            throw failure{number + depth};
        } catch (...) {
            wait_ms((number * 7 + depth * 3) % 5);
            if (depth > 0) nest(number, depth - 1);
            wait_ms((number + depth) % 4);
            throw;
        }
    } catch (const failure &f) {
        CHECK_EQ(f.number, number + depth);
    }
}

static int nests(void *number)
{
    nest(*static_cast<int *>(number), 6);
    return 0;
}

TEST(a_hundred_fibers_in_nested_catch_blocks_keep_their_own)
{
    int number[100], rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 100; i++) {
            number[i] = i * 1000;
            CHECK_EQ(weft_spawn(&n, nests, &number[i]), 0);
        }
    }
    CHECK_EQ(rc, 0);
}

TEST(an_exception_is_thrown_while_others_wait_in_catch_blocks)
{
    auto waits_in_catch = [] { rethrows_after(1, 10); };
    auto throws = [] {
        wait_ms(5);
        CHECK(!handles_any());
        rethrows_after(2, 0);
        rethrows_after(3, 20);
    };
    beside(waits_in_catch, throws);
}

TEST(uncaught_exceptions_are_counted_for_each_fiber)
{
    int unwound = 0, seen = -1, seen_by_new = -1, rc;
    auto unwinds = [&] {
        try {
            waits_at_the_end w(10, &unwound);
            throw failure{1};
        } catch (const failure &) {
            CHECK_EQ(std::uncaught_exceptions(), 0);
        }
    };
    auto is_new = [&] { seen_by_new = std::uncaught_exceptions(); };
    WEFT_NURSERY(n, rc) {
        start(&n, &unwinds);
        wait_ms(5); /* it is in the destructor */
        seen = std::uncaught_exceptions();
        start(&n, &is_new);
        wait_ms(1);
        CHECK_EQ(unwound, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(unwound, 1);
    CHECK_EQ(seen, 0);
    CHECK_EQ(seen_by_new, 0);
}

TEST(a_fiber_that_starts_meanwhile_sees_no_exception)
{
    int rc;
    bool any = true;
    auto is_new = [&] { any = handles_any(); };
    try {
        throw failure{1};
    } catch (const failure &) {
        WEFT_NURSERY(n, rc)
            start(&n, &is_new);
        CHECK_EQ(rc, 0);
        CHECK(handles_any());
    }
    CHECK(!any);
}

TEST(the_current_exception_is_the_same_after_a_wait)
{
    skip_where_the_library_is_not_seen();
    auto child = [] {
        try {
            throw failure{5};
        } catch (const failure &f) {
            std::exception_ptr before = std::current_exception();
            wait_ms(3);
            CHECK(before == std::current_exception());
            CHECK_EQ(f.number, 5);
        }
    };
    beside(child, [] { rethrows_after(6, 3); });
}

TEST(an_exception_is_rethrown_in_another_fiber)
{
    skip_where_the_library_is_not_seen();
    std::exception_ptr handed_over;
    int got = 0;
    auto throws = [&] {
        try {
            throw failure{9};
        } catch (...) {
            handed_over = std::current_exception();
            wait_ms(2);
        }
    };
    auto rethrows = [&] {
        wait_ms(1);
        try {
            std::rethrow_exception(handed_over);
        } catch (const failure &f) {
            wait_ms(4);
            got = f.number;
        }
    };
    beside(throws, rethrows);
    CHECK_EQ(got, 9);
}

TEST(an_exception_in_a_destructor_does_not_disturb_the_one_that_calls_it)
{
    struct throws_inside {
        ~throws_inside()
        {
            rethrows_after(20, 2);
            CHECK_EQ(std::uncaught_exceptions(), 1);
        }
    };
    auto child = [] {
        try {
            throws_inside t;
            throw failure{10};
        } catch (const failure &f) {
            CHECK_EQ(f.number, 10);
        }
    };
    beside(child, child);
}

TEST(a_fiber_on_the_stack_of_another_begins_without_its_exceptions)
{
    auto handles = [] { rethrows_after(1, 1); };
    auto looks = [] { CHECK(!handles_any()); };
    for (int i = 0; i < 20; i++)
        beside(handles, looks);
}

TEST(waits_of_all_kinds_may_stand_in_a_catch_block)
{
    weft_chan *c = weft_chan_new(sizeof(int), 0, nullptr, 0);
    weft_mutex m = WEFT_MUTEX_INIT;
    auto sends = [&] {
        for (int i = 0; i < 10; i++) {
            try {
                throw failure{i};
            } catch (const failure &f) {
                int rc;
                WEFT_LOCKED(&m, rc) {
                    rc = weft_chan_send(c, &f.number);
                }
                CHECK_EQ(rc, 0);
            }
        }
        weft_chan_close(c);
    };
    auto receives = [&] {
        int item, count = 0;
        try {
            throw failure{-1};
        } catch (const failure &f) {
            while (weft_chan_recv(c, &item) == 1)
                CHECK_EQ(item, count++);
            CHECK_EQ(f.number, -1);
        }
        CHECK_EQ(count, 10);
    };
    beside(sends, receives);
    weft_chan_free(c);
}

TEST(a_timed_operation_keeps_its_exceptions)
{
    static weft_timing timing = WEFT_TIMING_INIT("rethrows");
    auto child = [](int number) {
        WEFT_TIMED(&timing)
            rethrows_after(number, 2);
    };
    beside([=] { child(1); }, [=] { child(2); });
    weft_timing_stats s;
    weft_timing_read(&timing, &s);
    CHECK_EQ(s.count, 2);
    CHECK_EQ(s.waiting, 2 * WEFT_MSEC(2));
}

static int lends_while_it_handles(weft_gen *g, void *arg)
{
    int *item = static_cast<int *>(arg), err = 0;
    for (*item = 0; *item < 5 && err == 0; ++*item) {
        try {
            throw failure{*item};
        } catch (const failure &f) {
            err = weft_gen_yield(g, item);
            CHECK_EQ(f.number, *item);
        }
    }
    return err;
}

TEST(a_generator_hands_out_items_from_a_catch_block)
{
    int storage, sum = 0, rc;
    WEFT_FOREACH(int *, item, rc, lends_while_it_handles, &storage) {
        CHECK(!handles_any());
        rethrows_after(100, 0);
        sum += *item;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, 10);
}

static int throws_on_a_thread(void *)
{
    try {
        throw failure{1};
    } catch (const failure &f) {
        return f.number;
    }
}

TEST(a_function_on_another_thread_throws_while_its_caller_handles)
{
    try {
        throw failure{4};
    } catch (const failure &f) {
        int got = weft_blocking(throws_on_a_thread, nullptr);
        CHECK_EQ(got, 1);
        CHECK_EQ(f.number, 4);
        CHECK(handles_any());
    }
}

/* ---- runs --------------------------------------------------------------- */

static int sees_none(void *)
{
    if (handles_any()) return -EEXIST;
    rethrows_after(3, 1);
    return std::uncaught_exceptions();
}

TEST_PLAIN(a_run_inside_a_catch_block_leaves_its_exception_alone)
{
    int got = 0;
    try {
        try {
            throw failure{8};
        } catch (...) {
            CHECK_EQ(weft_run(sees_none, nullptr, nullptr), 0);
            CHECK(handles_any());
            throw;
        }
    } catch (const failure &f) {
        got = f.number;
    }
    CHECK_EQ(got, 8);
}

TEST_PLAIN(a_run_in_a_destructor_that_an_exception_calls_sees_none)
{
    struct runs {
        ~runs()
        {
            CHECK_EQ(weft_run(sees_none, nullptr, nullptr), 0);
            CHECK_EQ(std::uncaught_exceptions(), 1);
        }
    };
    try {
        runs r;
        throw failure{1};
    } catch (const failure &) {
        CHECK_EQ(std::uncaught_exceptions(), 0);
    }
}

static int spreads(void *)
{
    static int number[60];
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 60; i++) {
            weft_spawn_opts o = {};
            o.worker = i % 4 ? i % 4 : static_cast<int>(WEFT_ANY_WORKER);
            number[i] = i * 100;
            CHECK_EQ(weft_spawn_ex(&n, nests, &number[i], &o), 0);
        }
    }
    return rc;
}

TEST_PLAIN(fibers_of_three_workers_keep_their_own)
{
    weft_run_opts o = {};
    o.workers = 3;
    CHECK_EQ(weft_run(spreads, nullptr, &o), 0);
}

/* ---- out of blocks ------------------------------------------------------ */

static int waits_for_ever(void *ended)
{
    int err = weft_sleep(WEFT_FOREVER);
    ++*static_cast<int *>(ended);
    return err;
}

TEST(an_exception_out_of_a_nursery_cancels_and_joins_the_children)
{
    int ended = 0, rc;
    try {
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, waits_for_ever, &ended), 0);
            CHECK_EQ(weft_spawn(&n, waits_for_ever, &ended), 0);
            wait_ms(1);
            throw failure{3};
        }
        CHECK(false);
    } catch (const failure &f) {
        CHECK_EQ(f.number, 3);
        CHECK_EQ(ended, 2);
    }
}

static int ends_by_itself(void *ended)
{
    wait_ms(5);
    ++*static_cast<int *>(ended);
    return 0;
}

static void returns_out_of_a_nursery(int *ended)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, ends_by_itself, ended), 0);
        return;
    }
}

/* An exception is on its way, but not out of that block. */
TEST(a_return_out_of_a_nursery_in_a_destructor_cancels_nobody)
{
    struct cleans_up {
        int ended;
        ~cleans_up()
        {
            returns_out_of_a_nursery(&ended);
            CHECK_EQ(ended, 1);
        }
    };
    bool caught = false;
    try {
        cleans_up c = {0};
        throw failure{1};
    } catch (const failure &) {
        caught = true;
    }
    CHECK(caught);
}

TEST(an_exception_ends_the_blocks_that_it_leaves)
{
    static weft_timing timing = WEFT_TIMING_INIT("throws");
    weft_mutex m = WEFT_MUTEX_INIT;
    int rc, locked, storage;
    for (int i = 0; i < 3; i++) {
        try {
            WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
                WEFT_LOCKED(&m, locked) {
                    WEFT_TIMED(&timing) {
                        WEFT_FOREACH(int *, item, rc, lends_while_it_handles,
                                     &storage) {
                            if (*item == i) throw failure{i};
                        }
                    }
                }
            }
            CHECK(false);
        } catch (const failure &f) {
            CHECK_EQ(f.number, i);
        }
        CHECK_EQ(weft_deadline(), WEFT_FOREVER);
        CHECK_EQ(weft_mutex_trylock(&m), 0);
        CHECK_EQ(weft_mutex_unlock(&m), 0);
    }
    weft_timing_stats s;
    weft_timing_read(&timing, &s);
    CHECK_EQ(s.count, 3);
}

/* ---- the class that weft/fiber.h shows ---------------------------------- */

struct nursery : weft_nursery {
    int thrown = std::uncaught_exceptions();
    nursery()
    {
        CHECK_EQ(weft_nursery_open(this, nullptr), 0);
    }
    ~nursery()
    {
        if (std::uncaught_exceptions() > thrown)
            weft_nursery_cancel(this, 0, nullptr);
        (void)!weft_nursery_close(this, 0);
    }
    nursery(const nursery &) = delete;
    nursery &operator=(const nursery &) = delete;
};

TEST(a_nursery_with_a_destructor_joins_its_children)
{
    int ended = 0;
    {
        nursery n;
        CHECK_EQ(weft_spawn(&n, ends_by_itself, &ended), 0);
    }
    CHECK_EQ(ended, 1);
    try {
        nursery n;
        CHECK_EQ(weft_spawn(&n, waits_for_ever, &ended), 0);
        wait_ms(1);
        throw failure{1};
    } catch (const failure &) {
        CHECK_EQ(ended, 2);
    }
}

/* A negative result as an exception. */
struct cancelled {
};

static void sleep_or_throw(weft_time ns)
{
    if (weft_sleep(ns) == -ECANCELED) throw cancelled();
}

TEST(a_cancellation_may_travel_as_an_exception)
{
    int rc, unwound = 0;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5)) {
        try {
            struct counts {
                int *count;
                ~counts()
                {
                    ++*count;
                }
            } c = {&unwound};
            sleep_or_throw(WEFT_SEC(1));
            unwound += 10;
        } catch (const cancelled &) {
            rc = -ECANCELED;
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(unwound, 1);
}

/* ---- what must not be done ---------------------------------------------- */

struct says_unwound {
    ~says_unwound()
    {
        (void)puts("unwound");
        (void)fflush(stdout);
    }
};

static int lets_one_out(void *)
{
    says_unwound s;
    wait_ms(1);
    throw failure{1};
}

static void expect_terminate(void (*body)(void *))
{
    static struct ending e;
    skip_where_the_library_is_not_seen();
    run_in_process(body, nullptr, &e);
    CHECK_EQ(e.signal, SIGABRT);
    CHECK(strstr(e.said, "terminat") != nullptr);
    CHECK(strstr(e.said, "failure") != nullptr);
    CHECK(strstr(e.said, "unwound") == nullptr); /* it ended at the throw */
}

TEST_PLAIN(an_exception_out_of_a_fiber_is_terminate_where_it_is_thrown)
{
    expect_terminate(
        [](void *) { (void)!weft_run(lets_one_out, nullptr, nullptr); });
}

static int spawns_one_that_lets_one_out(void *)
{
    int rc;
    try {
        WEFT_NURSERY(n, rc)
            rc = weft_spawn(&n, lets_one_out, nullptr);
    } catch (...) {
        return 0; /* not here: that is another fiber's stack */
    }
    return rc;
}

TEST_PLAIN(a_child_s_exception_does_not_reach_its_parent)
{
    expect_terminate([](void *) {
        (void)!weft_run(spawns_one_that_lets_one_out, nullptr, nullptr);
    });
}

static weft_scope open_scope; /* still there when it is reported */

static void leaves_a_scope_open()
{
    weft_scope_init(&open_scope);
    CHECK_EQ(weft_scope_begin(&open_scope), 0);
    throw failure{1};
}

static int goes_on_after_that(void *)
{
    try {
        leaves_a_scope_open();
    } catch (const failure &) {
    }
    return 0;
}

static int has_such_a_child(void *)
{
    int rc;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, goes_on_after_that, nullptr);
    return rc;
}

TEST_DEATH(a_scope_opened_by_a_call_and_left_by_an_exception_is_reported,
           "was still open: end it on every way out")
{
    (void)!weft_run(has_such_a_child, nullptr, nullptr);
}
