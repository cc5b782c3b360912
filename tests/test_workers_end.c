/* SPDX-License-Identifier: MIT */
/* test_workers_end.c - how a run of several workers ends: background work, what
 * main has deferred, a shutdown, a signal. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/error.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fibers.h"
#include "unhandled.h"
#include "workers.h"

/* ---- background work ---------------------------------------------------- */

struct background {
    int cancelled, finished, refused;
    weft_reason_kind why;
};

static int waits_in_background(void *arg)
{
    struct background *b = arg;
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SHUTDOWN);
    if (weft_background(does_nothing, NULL, NULL) == -ESHUTDOWN)
        (void)add_one(&b->refused);
    (void)add_one(&b->cancelled);
    return rc;
}

static int has_background(void *b)
{
    CHECK_EQ(weft_background(waits_in_background, b, NULL), 0);
    CHECK_EQ(weft_background_count(), 1);
    return 0;
}

static int has_background_on_each(void *b)
{
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(call_on(k, has_background, b), 0);
    return 3;
}

TEST_PLAIN(background_work_of_every_worker_is_cancelled_at_the_end)
{
    struct background b = {0};
    const weft_run_opts o = {.workers = 4, .drain = -1};
    CHECK_EQ(weft_run(has_background_on_each, &b, &o), 3);
    CHECK_EQ(b.cancelled, 4);
    CHECK_EQ(b.refused, 4);
}

static int finishes_by_itself(void *arg)
{
    struct background *b = arg;
    int rc = weft_sleep(WEFT_MSEC(5));
    CHECK_EQ(rc, 0);
    (void)add_one(&b->finished);
    return rc;
}

static int has_short_background(void *b)
{
    return weft_background(finishes_by_itself, b, NULL);
}

static int has_short_background_on_each(void *b)
{
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(call_on(k, has_short_background, b), 0);
    return 0;
}

TEST_PLAIN(background_work_of_every_worker_has_the_drain_to_finish)
{
    struct background b = {0};
    const weft_run_opts o = {.workers = 4, .drain = WEFT_SEC(60)};
    CHECK_EQ(weft_run(has_short_background_on_each, &b, &o), 0);
    CHECK_EQ(b.finished, 4);
}

static int outlasts_its_grace(void *arg)
{
    struct background *b = arg;
    int rc, err = weft_sleep_until(WEFT_FOREVER);
    WEFT_SHIELD(rc, WEFT_FOREVER) {
        rc = weft_sleep(WEFT_MSEC(20));
    }
    CHECK_EQ(rc, 0);
    (void)add_one(&b->finished);
    return err;
}

static int has_slow_background(void *b)
{
    const weft_spawn_opts o = {.name = "slow"};
    return weft_background(outlasts_its_grace, b, &o);
}

static int has_slow_background_on_two(void *b)
{
    CHECK_EQ(call_on(2, has_slow_background, b), 0);
    return call_on(3, has_slow_background, b);
}

TEST_PLAIN(background_work_that_outlasts_its_grace_is_waited_for)
{
    struct background b = {0};
    const weft_run_opts o = {.workers = 3, .drain = -1, .grace = WEFT_MSEC(1)};
    CHECK_EQ(weft_run(has_slow_background_on_two, &b, &o), 0);
    CHECK_EQ(b.finished, 2);
}

/* Background work of one has children on the next, whose work goes on until
 * the first is cancelled. */
static int has_children_on_all(void *arg)
{
    struct background *b = arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, waits_in_background, b);
    }
    return rc;
}

static int has_wide_background(void *b)
{
    return weft_background(has_children_on_all, b, NULL);
}

static int has_wide_background_on_each(void *b)
{
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(call_on(k, has_wide_background, b), 0);
    return 0;
}

TEST_PLAIN(background_work_of_one_worker_may_have_children_on_all)
{
    struct background b = {0};
    const weft_run_opts o = {.workers = 4, .drain = -1};
    CHECK_EQ(weft_run(has_wide_background_on_each, &b, &o), 0);
    CHECK_EQ(b.cancelled, 16);
}

static int goes_to_the_background_elsewhere(void *b)
{
    const weft_spawn_opts o = on_worker(3);
    return weft_background(waits_in_background, b, &o);
}

TEST_PLAIN(background_work_may_itself_be_elsewhere)
{
    struct background b = {0};
    const weft_run_opts o = {.workers = 3, .drain = -1};
    CHECK_EQ(weft_run(goes_to_the_background_elsewhere, &b, &o), 0);
    CHECK_EQ(b.cancelled, 1);
}

static int fails_in_background(void *arg)
{
    (void)arg;
    return weft_fail(-EPROTO, "on %u", weft_worker());
}

static int has_failing_background(void *arg)
{
    return weft_background(fails_in_background, arg, NULL);
}

TEST_WORKERS(failures_of_background_work_elsewhere_go_to_the_hook)
{
    unhandled = 0;
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(call_on(2, has_failing_background, NULL), 0);
    CHECK_EQ(call_on(2, does_nothing, NULL), 0);
    weft_on_unhandled(NULL);
    CHECK_EQ(unhandled, 1);
    CHECK_STR(unhandled_msg, "on 2");
}

/* ---- what main has deferred --------------------------------------------- */

struct deferred {
    int ran;
    int anywhere;
};

static void works_on_each(void *arg)
{
    struct deferred *d = arg;
    const weft_spawn_opts anywhere = {.worker = WEFT_ANY_WORKER};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++) {
            spawn_on(k, &n, adds_one, &d->ran);
            CHECK_EQ(weft_spawn_ex(&n, adds_one, &d->anywhere, &anywhere), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_workers_stats(NULL, 0), weft_workers());
}

static int defers_work_on_each(void *arg)
{
    return weft_defer(works_on_each, arg);
}

TEST_PLAIN(what_main_has_deferred_may_still_use_every_worker)
{
    for (int i = 0; i < 50; i++) {
        struct deferred d = {0};
        CHECK_EQ(run_on(4, defers_work_on_each, &d), 0);
        CHECK_EQ(d.ran, 4);
        CHECK_EQ(d.anywhere, 4);
    }
}

/* ---- the end of all ----------------------------------------------------- */

static int shuts_down(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_shutdown(-EINTR), 0);
    return weft_sleep_until(WEFT_FOREVER);
}

struct ending {
    unsigned from;
    int (*fn)(void *);
};

static int is_ended_from(void *arg)
{
    const struct ending *e = arg;
    return call_on(e->from, e->fn, NULL);
}

TEST_PLAIN(any_worker_can_shut_the_run_down)
{
    for (unsigned k = 1; k <= 4; k++) {
        struct ending e = {k, shuts_down};
        CHECK_EQ(run_on(4, is_ended_from, &e), -EINTR);
    }
}

static int shuts_down_by_each_handle(void *arg)
{
    weft_remote *r = weft_worker_remote(*(unsigned *)arg);
    CHECK_EQ(weft_remote_shutdown(r, -ENXIO), 0);
    weft_remote_unref(r);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST_PLAIN(a_shutdown_by_the_handle_of_any_worker_is_that_of_the_run)
{
    for (unsigned k = 1; k <= 4; k++)
        CHECK_EQ(run_on(4, shuts_down_by_each_handle, &k), -ENXIO);
}

static int terminates(void *arg)
{
    (void)arg;
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIGNAL);
    return rc;
}

TEST_PLAIN(a_signal_ends_a_run_whose_work_is_all_elsewhere)
{
    for (unsigned k = 2; k <= 4; k++) {
        const weft_run_opts o = {.workers = 4, .handle_signals = true};
        struct ending e = {k, terminates};
        CHECK_EQ(weft_run(is_ended_from, &e, &o), 0);
    }
}

static int returns_it(void *rc)
{
    return weft_fail(*(int *)rc, "of main");
}

TEST_PLAIN(the_result_of_main_is_that_of_the_run)
{
    int rc = -EDOM;
    CHECK_EQ(run_on(3, returns_it, &rc), -EDOM);
    CHECK_STR(weft_last_error()->msg, "of main");
}

static int is_a_run_inside(void *arg)
{
    return run_on(*(int *)arg, does_nothing, NULL);
}

TEST_WORKERS(a_run_inside_a_run_is_refused_on_every_worker)
{
    int many = 2, one = 1;
    for (unsigned k = 1; k <= weft_workers(); k++) {
        CHECK_EQ(call_on(k, is_a_run_inside, &many), -EBUSY);
        CHECK_EQ(call_on(k, is_a_run_inside, &one), -EBUSY);
    }
}

static void is_counted(void *count)
{
    (void)add_one(count);
}

static int posts_each_other(void *arg)
{
    for (unsigned k = 1; k <= weft_workers(); k++) {
        weft_remote *r = weft_worker_remote(k);
        CHECK_EQ(weft_post(r, is_counted, arg), 0);
        weft_remote_unref(r);
        CHECK_EQ(call_on(k, does_nothing, NULL), 0);
    }
    return 0;
}

static void *runs_beside(void *arg)
{
    for (int i = 0; i < 10; i++)
        CHECK_EQ(run_on(3, posts_each_other, arg), 0);
    return NULL;
}

TEST_PLAIN(several_runs_of_several_workers_go_on_beside_each_other)
{
    pthread_t threads[3];
    int count = 0;
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(runs_beside, &count);
    (void)runs_beside(&count);
    for (int i = 0; i < 3; i++)
        join_thread(threads[i]);
    CHECK_EQ(count, 4 * 10 * 3);
}
