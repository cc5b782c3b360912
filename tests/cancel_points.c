/* SPDX-License-Identifier: MIT */
#include "cancel_points.h"

#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

unsigned ran;
weft_event release;

int counts(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

void settle_here(void)
{
    CHECK_EQ(weft_sleep(1), 0);
}

static weft_nursery others;

void another(weft_fn fn, void *arg)
{
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_spawn(&others, fn, arg), 0);
    settle_here();
}

void release_the_other(void)
{
    weft_event_set(&release);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
    weft_event_clear(&release);
}

int stays(void *arg)
{
    (void)arg;
    ran++;
    return weft_event_wait(&release);
}

/* ---- a cancel point ----------------------------------------------------- */

static void make_it_fail(call_fn call, void *arg)
{
    for (int i = 0; i < TIMES; i++) {
        CHECK_EQ(call(arg), -ECANCELED);
    }
}

void in_a_cancelled_scope(call_fn call, void *arg)
{
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, -EINTR, NULL);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
}

void in_an_expired_scope(call_fn call, void *arg)
{
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, -1, WEFT_FAIL), 0);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
}

void below_a_cancelled_scope(call_fn call, void *arg)
{
    weft_scope outer, inner;
    weft_scope_init(&outer);
    weft_scope_init(&inner);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    CHECK_EQ(weft_scope_begin_after(&inner, WEFT_SEC(1), WEFT_FAIL), 0);
    weft_scope_cancel(&outer, 0, NULL);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

static void in_a_cancelled_nursery(call_fn call, void *arg)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    make_it_fail(call, arg);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* Behind a shield that is taken away again. */
static void in_a_scope_without_its_shield(call_fn call, void *arg)
{
    weft_scope outer, inner;
    weft_scope_init(&outer);
    weft_scope_init(&inner);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    CHECK_EQ(weft_scope_begin(&inner), 0);
    weft_scope_set_shield(&inner, true);
    weft_scope_cancel(&outer, 0, NULL);
    weft_scope_set_shield(&inner, false);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

void is_a_cancel_point(call_fn call, void *arg, ssize_t want)
{
    in_a_cancelled_scope(call, arg);
    in_an_expired_scope(call, arg);
    below_a_cancelled_scope(call, arg);
    in_a_cancelled_nursery(call, arg);
    in_a_scope_without_its_shield(call, arg);
    CHECK_EQ(call(arg), want);
}

static int cancels_soon(void *s)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_scope_cancel(s, -EINTR, NULL);
    return 0;
}

/* In the scope that is about to be cancelled. */
static void waits_until_cancelled(call_fn call, void *arg)
{
    weft_time start = weft_now();
    CHECK_EQ(call(arg), -ECANCELED);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    make_it_fail(call, arg);
}

void is_woken_by_a_cancel(call_fn call, void *arg)
{
    weft_nursery n;
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, cancels_soon, &s), 0);
    CHECK_EQ(weft_scope_begin(&s), 0);
    waits_until_cancelled(call, arg);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

void is_woken(call_fn call, void *arg)
{
    int rc;
    is_woken_by_a_cancel(call, arg);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        waits_until_cancelled(call, arg);
        rc = -ECANCELED;
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}

/* ---- none --------------------------------------------------------------- */

static weft_scope cancelled;
static weft_nursery watched;
static bool other_ran;

static int notes_that_it_ran(void *arg)
{
    (void)arg;
    other_ran = true;
    return 0;
}

void open_cancelled(void)
{
    weft_scope_init(&cancelled);
    CHECK_EQ(weft_scope_begin(&cancelled), 0);
    weft_scope_cancel(&cancelled, 0, NULL);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
}

void close_cancelled(void)
{
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&cancelled, 0), 0);
}

void open_watched(void)
{
    other_ran = false;
    CHECK_EQ(weft_nursery_open(&watched, NULL), 0);
    open_cancelled();
    CHECK_EQ(weft_spawn(&watched, notes_that_it_ran, NULL), 0);
}

void close_watched(void)
{
    CHECK(!other_ran);
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&watched, 0), 0);
}

/* ---- giving way --------------------------------------------------------- */

void starves_nobody(call_fn call, void *arg, ssize_t want)
{
    int rc, calls = 0;
    other_ran = false;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
        while (!other_ran) {
            CHECK_EQ(call(arg), want);
            CHECK(++calls <= 2 * BUDGET);
        }
    }
    CHECK_EQ(rc, 0);
}

void gives_way_when_ignored(call_fn call, void *arg)
{
    weft_nursery n;
    int ignored = 0;
    other_ran = false;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled();
    CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
    while (!other_ran) {
        CHECK_EQ(call(arg), -ECANCELED);
        CHECK(++ignored <= 16);
    }
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}
