/* SPDX-License-Identifier: MIT */
/*
 * test_cancel_points_chan.c - what is a cancel point, and what is none, of
 * channels, select and work queues, and of what comes in time.
 */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/io.h>
#include <weft/nursery.h>
#include <weft/ratelimit.h>
#include <weft/retry.h>
#include <weft/scope.h>
#include <weft/select.h>
#include <weft/task.h>
#include <weft/ticker.h>
#include <weft/time.h>
#include <weft/workqueue.h>

#include "cancel_points.h"
#include "sockets.h"

/* ---- CP-01: channels ---------------------------------------------------- */

static int item = 1;

static ssize_t sends(void *c)
{
    return weft_chan_send(c, &item);
}

static ssize_t receives(void *c)
{
    int got = -1;
    int rc = weft_chan_recv(c, &got);
    CHECK_EQ(got, rc == 1 ? item : -1);
    return rc;
}

static ssize_t joins_the_channel(void *c)
{
    return weft_chan_join(c);
}

TEST(cp_01_chan_send_recv_and_join)
{
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL, 0);
    is_a_cancel_point(joins_the_channel, c, 0);
    is_woken(receives, c);
    is_a_cancel_point(sends, c, 0);
    CHECK_EQ(weft_chan_length(c), 1);
    is_woken(sends, c);
    is_woken(joins_the_channel, c);
    is_a_cancel_point(receives, c, 1);
    CHECK_EQ(weft_chan_length(c), 0);
    CHECK_EQ(weft_chan_item_done(c), 0);
    is_a_cancel_point(joins_the_channel, c, 0);
    weft_chan_close(c);
    is_a_cancel_point(sends, c, -EPIPE);
    is_a_cancel_point(receives, c, 0);
    weft_chan_abort(c);
    is_a_cancel_point(receives, c, -EPIPE);
    is_a_cancel_point(joins_the_channel, c, -EPIPE);
    weft_chan_free(c);
}

static int receives_one(void *c)
{
    int got;
    CHECK_EQ(weft_chan_recv(c, &got), 1);
    CHECK_EQ(got, item);
    return 0;
}

static int sends_one(void *c)
{
    return weft_chan_send(c, &item);
}

TEST(cp_01_a_partner_who_waits_is_left_waiting)
{
    weft_nursery n;
    weft_chan *c = weft_chan_new(sizeof(int), 0, NULL, 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, receives_one, c), 0);
    settle_here();
    is_a_cancel_point(sends, c, 0);
    settle_here();
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_spawn(&n, sends_one, c), 0);
    settle_here();
    is_a_cancel_point(receives, c, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_chan_free(c);
}

/* ---- CP-01: select ------------------------------------------------------ */

enum { UNTOUCHED = 77, KINDS = 7 };

/* One case of each kind, where each of them can happen or none can. */
struct everything {
    weft_chan *in, *out;
    weft_event event;
    weft_task task;
    weft_nursery n;
    weft_fd pair[2];
    int got;
    weft_case cases[KINDS];
};

static void open_everything(struct everything *x, bool ready)
{
    weft_spawn_opts opts = {.task = &x->task};
    *x = (struct everything){.in = weft_chan_new(sizeof(int), 1, NULL, 0),
                             .out = weft_chan_new(sizeof(int), 1, NULL, 0)};
    open_pair(x->pair);
    CHECK_EQ(weft_nursery_open(&x->n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&x->n, ready ? counts : stays, NULL, &opts), 0);
    CHECK_EQ(weft_chan_send(ready ? x->in : x->out, &item), 0);
    if (ready) CHECK_EQ(weft_write(x->pair[1], "a", 1), 1);
    if (ready) weft_event_set(&x->event);
    settle_here();
    weft_case cases[KINDS] = {
        WEFT_CASE_RECV(x->in, &x->got),
        WEFT_CASE_SEND(x->out, &item),
        WEFT_CASE_AT(ready ? weft_now() : WEFT_FOREVER),
        WEFT_CASE_FD(x->pair[0], WEFT_READABLE),
        WEFT_CASE_EVENT(&x->event),
        WEFT_CASE_TASK(&x->task),
    };
    for (int i = 0; i < KINDS; i++) {
        x->cases[i] = cases[i];
        x->cases[i].result = UNTOUCHED;
    }
}

static void close_everything(struct everything *x)
{
    weft_event_set(&release);
    CHECK_EQ(weft_nursery_close(&x->n, 0), 0);
    close_pair(x->pair);
    weft_chan_free(x->in);
    weft_chan_free(x->out);
}

struct choice {
    weft_case *cases;
    size_t n;
    unsigned flags;
};

static ssize_t chooses(void *arg)
{
    const struct choice *c = arg;
    int rc = weft_select(c->cases, c->n, c->flags);
    for (size_t i = 0; i < c->n && rc == -ECANCELED; i++) {
        CHECK_EQ(c->cases[i].result, UNTOUCHED);
    }
    return rc;
}

static const unsigned all_flags[] = {0, WEFT_SELECT_ORDERED, WEFT_SELECT_NOWAIT,
                                     WEFT_SELECT_ORDERED | WEFT_SELECT_NOWAIT};

TEST(cp_01_select_of_each_kind_that_is_ready)
{
    static const int results[KINDS] = {1, 0, 0, WEFT_READABLE, 0, 0};
    for (int f = 0; f < 4; f++) {
        struct everything x;
        open_everything(&x, true);
        for (int i = 0; i < KINDS - 1; i++) { /* the last one is off */
            struct choice one = {&x.cases[i], 1, all_flags[f]};
            is_a_cancel_point(chooses, &one, 0);
            CHECK_EQ(x.cases[i].result, results[i]);
        }
        CHECK_EQ(x.got, item);
        CHECK_EQ(weft_chan_length(x.in), 0);
        CHECK_EQ(weft_chan_length(x.out), 1);
        close_everything(&x);
    }
}

TEST(cp_01_select_of_many)
{
    for (int f = 0; f < 4; f++) {
        struct everything x;
        open_everything(&x, true);
        struct choice all = {x.cases, KINDS, all_flags[f]};
        in_a_cancelled_scope(chooses, &all);
        in_an_expired_scope(chooses, &all);
        CHECK_EQ(weft_chan_length(x.in), 1);
        CHECK_EQ(weft_chan_length(x.out), 0);
        CHECK(chooses(&all) >= 0);
        close_everything(&x);
    }
}

TEST(cp_01_select_found_parked_or_with_nothing_to_wait_for)
{
    struct everything x;
    open_everything(&x, false);
    for (int i = 0; i < KINDS - 1; i++) {
        struct choice one = {&x.cases[i], 1, 0};
        is_woken(chooses, &one);
        one.flags = WEFT_SELECT_NOWAIT;
        is_a_cancel_point(chooses, &one, -EAGAIN);
    }
    struct choice all = {x.cases, KINDS, WEFT_SELECT_ORDERED};
    is_woken(chooses, &all);
    struct choice none = {&x.cases[KINDS - 1], 1, 0};
    is_a_cancel_point(chooses, &none, -EINVAL);
    none.n = 0;
    is_a_cancel_point(chooses, &none, -EINVAL);

    CHECK_EQ(weft_chan_trysend(x.in, &item), 0); /* nobody is left in line */
    CHECK_EQ(weft_chan_length(x.in), 1);
    close_everything(&x);
}

/* ---- CP-01: work queues ------------------------------------------------- */

static unsigned dropped;

static void drops(void *arg)
{
    (void)arg;
    dropped++;
}

static ssize_t adds(void *q)
{
    return weft_workqueue_add(q, counts, NULL, drops);
}

static ssize_t waits_for_the_jobs(void *q)
{
    return weft_workqueue_join(q);
}

static size_t waiting(const weft_workqueue *q)
{
    weft_workqueue_stats is;
    weft_workqueue_stats_read(q, &is);
    return is.waiting;
}

TEST(cp_01_workqueue_add_and_join)
{
    weft_nursery n;
    weft_workqueue q;
    weft_workqueue_opts opts = {.capacity = 1};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &opts), 0);
    is_a_cancel_point(waits_for_the_jobs, &q, 0);
    CHECK_EQ(weft_workqueue_add(&q, stays, NULL, drops), 0);
    settle_here();
    is_a_cancel_point(adds, &q, 0);
    CHECK_EQ(waiting(&q), 1);
    is_woken(adds, &q);
    is_woken(waits_for_the_jobs, &q);
    CHECK_EQ(waiting(&q), 1);
    CHECK_EQ(dropped, 0);

    weft_event_set(&release);
    is_a_cancel_point(waits_for_the_jobs, &q, 0);
    CHECK_EQ(ran, 2);
    CHECK_EQ(dropped, 2);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    is_a_cancel_point(adds, &q, -ESHUTDOWN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- CP-01: rates, ticks, attempts -------------------------------------- */

static ssize_t waits_for_one(void *r)
{
    return weft_ratelimit_wait(r, 1);
}

TEST(cp_01_ratelimit_wait)
{
    static const weft_rate_kind kinds[] = {WEFT_TOKEN_BUCKET,
                                           WEFT_SLIDING_WINDOW};
    for (int i = 0; i < 2; i++) {
        weft_ratelimit r, never;
        weft_ratelimit_info is;
        weft_ratelimit_init(&r, kinds[i], 2, WEFT_SEC(1));
        is_a_cancel_point(waits_for_one, &r, 0);
        CHECK_EQ(weft_ratelimit_check(&r, 0, &is), 0);
        CHECK_EQ(is.remaining, 1);
        is_a_cancel_point(waits_for_one, &r, 0);
        is_woken(waits_for_one, &r);
        CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
        CHECK_EQ(weft_ratelimit_check(&r, 2, NULL), 0);
        weft_ratelimit_init(&never, kinds[i], 0, WEFT_SEC(1));
        is_a_cancel_point(waits_for_one, &never, -EINVAL);
    }
}

static ssize_t waits_for_a_tick(void *t)
{
    return weft_ticker_wait(t);
}

TEST(cp_01_ticker_wait)
{
    static const weft_tick_policy policies[] = {WEFT_TICK_SKIP, WEFT_TICK_BURST,
                                                WEFT_TICK_DELAY};
    for (int i = 0; i < 3; i++) {
        weft_ticker t;
        CHECK_EQ(weft_ticker_init(&t, WEFT_SEC(1), policies[i]), 0);
        weft_time start = weft_now();
        is_a_cancel_point(waits_for_a_tick, &t, 1);
        CHECK_EQ(weft_now() - start, WEFT_SEC(1));
        is_woken(waits_for_a_tick, &t);
        CHECK_EQ(waits_for_a_tick(&t), 1);
        CHECK_EQ(weft_now() - start, WEFT_SEC(2));
        CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0); /* two have passed by then */
        is_a_cancel_point(waits_for_a_tick, &t, i == 0 ? 2 : 1);
        CHECK_EQ(weft_now() - start, WEFT_SEC(4));
    }
}

static int fails(void *arg)
{
    (void)arg;
    ran++;
    return -EAGAIN;
}

static ssize_t tries_once(void *arg)
{
    (void)arg;
    return weft_retry(counts, NULL, NULL);
}

static ssize_t tries_again(void *arg)
{
    return weft_retry(fails, NULL, arg);
}

/* The deadline of a scope it would not wait for, but give up. */
TEST(cp_01_retry)
{
    weft_retry_opts slow = {.base = WEFT_SEC(1), .no_jitter = true};
    is_a_cancel_point(tries_once, NULL, 0);
    CHECK_EQ(ran, 1);
    is_woken_by_a_cancel(tries_again, &slow);
    CHECK_EQ(ran, 2);
}

/* ---- CP-02: what is none ------------------------------------------------ */

TEST(cp_02_channels)
{
    int one = 1, got = 0;
    weft_chan *c = weft_chan_new(sizeof(int), 2, drops, 0);
    weft_chan *sender = weft_chan_sender(c);
    open_watched();
    CHECK_EQ(weft_chan_trysend(c, &one), 0);
    CHECK_EQ(weft_chan_trysend(sender, &one), 0);
    CHECK_EQ(weft_chan_trysend(c, &one), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(c, &got), 1);
    CHECK_EQ(weft_chan_item_done(c), 0);
    weft_chan_sender_done(sender);
    weft_chan_close(c);
    weft_chan_abort(c);
    CHECK_EQ(dropped, 1);
    weft_chan_free(c);
    c = weft_chan_new(sizeof(int), 1, NULL, 0);
    CHECK(c != NULL);
    weft_chan_free(c);
    close_watched();
}

TEST(cp_02_rates_and_ticks)
{
    weft_ratelimit r;
    weft_ratelimit_info is;
    weft_ticker t;
    open_watched();
    weft_ratelimit_init(&r, WEFT_SLIDING_WINDOW, 2, WEFT_SEC(1));
    CHECK_EQ(weft_ratelimit_check(&r, 2, &is), 0);
    CHECK_EQ(weft_ratelimit_check(&r, 1, &is), -EAGAIN);
    CHECK_EQ(weft_ratelimit_check(&r, 3, &is), -EINVAL);
    CHECK_EQ(weft_ticker_init(&t, WEFT_SEC(1), WEFT_TICK_SKIP), 0);
    weft_ticker_reset(&t);
    weft_retry_after(WEFT_SEC(1));
    CHECK(weft_retry_transient(-EAGAIN));
    close_watched();
}

TEST(cp_02_a_work_queue_is_filled_and_looked_at)
{
    weft_nursery n;
    weft_workqueue q;
    weft_workqueue_opts opts = {.capacity = 2};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_watched();
    CHECK_EQ(weft_workqueue_open(&q, &n, &opts), 0);
    CHECK_EQ(weft_workqueue_tryadd(&q, counts, NULL, drops), 0);
    CHECK_EQ(weft_workqueue_tryadd(&q, counts, NULL, drops), 0);
    CHECK_EQ(weft_workqueue_tryadd(&q, counts, NULL, drops), -EAGAIN);
    CHECK_EQ(waiting(&q), 2);
    CHECK_EQ(ran, 0);
    close_watched();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 2);
    CHECK_EQ(dropped, 2);
}

static int takes_its_time(void *arg)
{
    int rc;
    (void)arg;
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_sleep(WEFT_MSEC(5));
    CHECK_EQ(rc, 0);
    ran++;
    return weft_checkpoint();
}

TEST(cp_02_the_stop_of_a_work_queue_waits_although_cancelled)
{
    weft_nursery n;
    weft_workqueue q;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, NULL), 0);
    CHECK_EQ(weft_workqueue_add(&q, takes_its_time, NULL, drops), 0);
    settle_here();
    CHECK_EQ(adds(&q), 0);
    CHECK_EQ(adds(&q), 0);
    weft_time start = weft_now();
    open_cancelled();
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 2);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5) - 1); /* since it had begun */
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 2);
    close_cancelled();
    CHECK_EQ(ran, 1);
    CHECK_EQ(dropped, 3);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- CP-03: the budget -------------------------------------------------- */

static ssize_t sends_and_receives(void *c)
{
    int rc = weft_chan_send(c, &item);
    return rc < 0 ? rc : receives(c);
}

TEST(cp_03_a_channel_starves_nobody)
{
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL, 0);
    starves_nobody(sends_and_receives, c, 1);
    weft_chan_free(c);
}

TEST(cp_03_a_select_that_never_waits_starves_nobody)
{
    struct everything x;
    open_everything(&x, false);
    for (int i = 0; i < KINDS - 1; i++) {
        struct choice never = {&x.cases[i], 1, WEFT_SELECT_NOWAIT};
        starves_nobody(chooses, &never, -EAGAIN);
    }
    struct choice none = {&x.cases[KINDS - 1], 1, 0};
    starves_nobody(chooses, &none, -EINVAL);
    close_everything(&x);

    open_everything(&x, true);
    for (int i = 2; i < KINDS - 1; i++) { /* those that stay as they are */
        struct choice always = {&x.cases[i], 1, 0};
        starves_nobody(chooses, &always, 0);
    }
    close_everything(&x);
}

TEST(cp_03_what_is_had_without_waiting_starves_nobody)
{
    weft_retry_opts at_once = {.base = -1, .attempts = 2 * BUDGET};
    weft_ratelimit r, never;
    weft_ticker t;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 1000, WEFT_SEC(1));
    weft_ratelimit_init(&never, WEFT_TOKEN_BUCKET, 0, WEFT_SEC(1));
    CHECK_EQ(weft_ticker_init(&t, 1, WEFT_TICK_BURST), 0);
    CHECK_EQ(weft_sleep(1000), 0);
    starves_nobody(tries_once, NULL, 0);
    starves_nobody(tries_again, &at_once, -EAGAIN);
    starves_nobody(waits_for_one, &r, 0);
    starves_nobody(waits_for_one, &never, -EINVAL);
    starves_nobody(waits_for_a_tick, &t, 1);
}

TEST(cp_03_a_work_queue_that_is_done_starves_nobody)
{
    weft_nursery n;
    weft_workqueue q;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, NULL), 0);
    starves_nobody(waits_for_the_jobs, &q, 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DISCARD), 0);
    starves_nobody(adds, &q, -ESHUTDOWN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(one_who_ignores_that_nothing_can_come_lets_others_run)
{
    weft_case at_once[] = {WEFT_CASE_AT(0)};
    struct choice now = {at_once, 1, WEFT_SELECT_NOWAIT};
    at_once[0].result = UNTOUCHED;
    gives_way_when_ignored(chooses, &now);
    gives_way_when_ignored(tries_once, NULL);
}

TEST_PLAIN(outside_a_fiber_nothing_comes)
{
    weft_case at_once[] = {WEFT_CASE_AT(0)};
    struct choice now = {at_once, 1, WEFT_SELECT_NOWAIT};
    weft_workqueue q = {.closed_ = true};
    weft_ratelimit r;
    weft_ticker t;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 1, 1);
    CHECK_EQ(weft_ticker_init(&t, 1, WEFT_TICK_SKIP), 0);
    CHECK_EQ(chooses(&now), -EPERM);
    CHECK_EQ(adds(&q), -EPERM);
    CHECK_EQ(waits_for_the_jobs(&q), -EPERM);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), -EPERM);
    CHECK_EQ(waits_for_one(&r), -EPERM);
    CHECK_EQ(waits_for_a_tick(&t), -EPERM);
    CHECK_EQ(tries_once(NULL), -EPERM);
    CHECK_EQ(ran, 0);
}
