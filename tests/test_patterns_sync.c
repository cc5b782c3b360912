/* SPDX-License-Identifier: MIT */
/*
 * test_patterns_sync.c - locks, queues and workers, as a program uses them: the
 * rows 46 to 59 of docs/PATTERNS.md, each by its number.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

#include "dump.h"
#include "fibers.h"
#include "harness.h"
#include "said.h"

/* Fibers that come one after the other, each in its own moment. */
struct visitor {
    char name;
    void *where;
    int rc;
};

static int visit_all(weft_fn fn, struct visitor *v, size_t count)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < count && rc == 0; i++) {
            rc = weft_spawn(&n, fn, &v[i]);
            if (rc == 0) rc = weft_sleep(1);
        }
    }
    return rc;
}

/* ---- locks and flags ---------------------------------------------------- */

static int holds_the_lock(void *arg)
{
    struct visitor *v = arg;
    int rc;
    WEFT_LOCKED((weft_mutex *)v->where, rc) {
        say_letter(v->name);
        rc = weft_sleep(WEFT_SEC(1));
        say_letter(v->name);
    }
    return rc;
}

static int unlocks(void *arg)
{
    return weft_mutex_unlock(arg);
}

TEST(pattern_46_a_lock_goes_round_in_line_and_knows_its_owner)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    struct visitor v[] = {{'a', &m, 0}, {'b', &m, 0}, {'c', &m, 0}};
    CHECK_EQ(visit_all(holds_the_lock, v, 3), 0);
    CHECK_STR(said, "aabbcc");

    CHECK_EQ(weft_mutex_unlock(&m), -EPERM); /* it is free */
    CHECK_EQ(weft_mutex_lock(&m), 0);
    CHECK_EQ(weft_mutex_lock(&m), -EDEADLK); /* and not for ever */
    CHECK_EQ(in_a_child(unlocks, &m), -EPERM);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

static int ends_with_the_lock(void *arg)
{
    return weft_mutex_lock(arg);
}

TEST(pattern_46_a_fiber_that_ends_with_a_lock_is_reported_to_the_next)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    CHECK_EQ(in_a_child(ends_with_the_lock, &m), 0);
    CHECK_EQ(weft_mutex_lock(&m), -EOWNERDEAD);
    CHECK_EQ(weft_mutex_repair(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

static int inside, most_inside;

static int fetches(size_t i, void *slots)
{
    (void)i;
    int err = weft_sem_acquire(slots, 1);
    if (err < 0) return err;
    if (++inside > most_inside) most_inside = inside;
    err = weft_sleep(WEFT_SEC(1));
    inside--;
    CHECK_EQ(weft_sem_release(slots, 1), 0);
    return err;
}

TEST(pattern_47_a_semaphore_bounds_and_is_bounded)
{
    weft_sem slots = WEFT_SEM_INIT(10, 10);
    CHECK_EQ(weft_map(100, fetches, &slots, NULL, NULL), 0);
    CHECK_EQ(most_inside, 10);
    CHECK_EQ(weft_sem_release(&slots, 1), -EOVERFLOW);
    CHECK_EQ(weft_sem_value(&slots), 10);
}

static int takes_a_permit(void *arg)
{
    return weft_sem_acquire(arg, 1);
}

TEST(pattern_47_a_waiter_that_gives_up_takes_no_permit_with_it)
{
    weft_sem s = WEFT_SEM_INIT(1, 1);
    CHECK_EQ(weft_sem_acquire(&s, 1), 0);
    CHECK_EQ(weft_with_timeout(WEFT_SEC(1), takes_a_permit, &s), -ETIMEDOUT);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_sem_value(&s), 1);
}

static int gives_a_token_back(void *arg)
{
    return weft_limiter_release(arg, NULL);
}

static int borrows(void *arg)
{
    struct visitor *v = arg;
    weft_limiter *l = v->where;
    weft_fiber_set_name("the borrower");
    int err = weft_limiter_acquire(l, NULL);
    if (err < 0) return err;
    err = weft_sleep(WEFT_SEC(1));
    CHECK_EQ(weft_limiter_release(l, NULL), 0);
    return err;
}

TEST(pattern_48_a_limiter_knows_who_has_its_tokens)
{
    weft_limiter l;
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), -EDEADLK);
    CHECK_EQ(in_a_child(gives_a_token_back, &l), -EPERM);
    CHECK_EQ(weft_limiter_lent(&l), 1);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);

    struct visitor v[] = {{'a', &l, 0}, {'b', &l, 0}};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = weft_spawn(&n, borrows, &v[i]);
        if (rc == 0) rc = weft_sleep(1);
        CHECK(strstr(dump(), "in limiter"));
        CHECK(strstr(dump(), "the borrower"));
    }
    CHECK_EQ(rc, 0);
    weft_limiter_fini(&l);
}

static int waits_for_the_event(void *arg)
{
    struct visitor *v = arg;
    v->rc = weft_event_wait(v->where);
    say_letter(v->name);
    return v->rc;
}

TEST(pattern_49_an_event_wakes_all_who_wait_though_it_is_cleared_at_once)
{
    weft_event e = WEFT_EVENT_INIT;
    struct visitor v[] = {{'a', &e, 1}, {'b', &e, 1}};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = weft_spawn(&n, waits_for_the_event, &v[i]);
        if (rc == 0) rc = weft_sleep(1);
        CHECK_STR(said, "");
        weft_event_set(&e);
        weft_event_clear(&e);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(v[0].rc + v[1].rc, 0);

    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = weft_event_wait(&e);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    weft_event_set(&e);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_event_wait(&e), 0); /* it stays set */
}

struct room {
    weft_mutex m;
    weft_cond changed;
    int rc;
};

static int waits_with_the_lock(void *arg)
{
    struct room *r = arg;
    int err = weft_mutex_lock(&r->m);
    if (err < 0) return err;
    r->rc = weft_cond_wait(&r->changed, &r->m);
    say_letter('w');
    CHECK_EQ(weft_mutex_lock_nc(&r->m), -EDEADLK); /* it has the lock */
    CHECK_EQ(weft_mutex_unlock(&r->m), 0);
    return r->rc;
}

TEST(pattern_50_a_cancelled_wait_comes_back_with_the_lock)
{
    struct room r = {.rc = 1};
    weft_task waiter;
    const weft_spawn_opts o = {.task = &waiter};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_ex(&n, waits_with_the_lock, &r, &o), 0);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(weft_mutex_lock(&r.m), 0);
        weft_task_cancel(&waiter, 0, NULL);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_STR(said, ""); /* cancelled or not, the lock is taken */
        CHECK_EQ(weft_mutex_unlock(&r.m), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.rc, -ECANCELED);
}

/* ---- channels ----------------------------------------------------------- */

TEST(pattern_51_a_channel_copies_and_holds_as_many_as_it_was_told)
{
    struct item {
        int number;
        char text[12];
    } item = {1, "first"}, got;
    weft_chan *c = weft_chan_new(sizeof item, 2, NULL, 0);
    CHECK(c != NULL);
    CHECK_EQ(weft_chan_tryrecv(c, &got), -EAGAIN);
    CHECK_EQ(weft_chan_send(c, &item), 0);
    item = (struct item){2, "second"};
    CHECK_EQ(weft_chan_trysend(c, &item), 0);
    CHECK_EQ(weft_chan_trysend(c, &item), -EAGAIN);
    CHECK_EQ(weft_chan_length(c), 2);
    CHECK_EQ(weft_chan_recv(c, &got), 1);
    CHECK_EQ(got.number, 1);
    CHECK_STR(got.text, "first");
    weft_chan_free(c);
}

static int deals_with_items(void *arg)
{
    weft_chan *c = arg;
    int item, rc;
    while ((rc = weft_chan_recv(c, &item)) == 1) {
        /* An item that is not worth anything has been dealt with too. */
        say_letter(item % 2 ? 'x' : '.');
        CHECK_EQ(weft_chan_item_done(c), 0);
    }
    return rc;
}

TEST(pattern_52_a_join_waits_for_what_was_received_and_counts_no_further)
{
    weft_chan *c = weft_chan_new(sizeof(int), 4, NULL, 0);
    int rc;
    CHECK(c != NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, deals_with_items, c);
        for (int i = 0; i < 6 && rc == 0; i++)
            rc = weft_chan_send(c, &i);
        if (rc == 0) rc = weft_chan_join(c);
        CHECK_STR(said, ".x.x.x");
        weft_chan_close(c);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_chan_item_done(c), -EINVAL); /* once too often */
    weft_chan_free(c);
}

static int receives_all(void *arg)
{
    struct visitor *v = arg;
    void *item;
    int rc;
    while ((rc = weft_chan_recv(v->where, &item)) == 1) {
        v->rc++;
        CHECK_PTR(item, NULL); /* which is an item like any other */
    }
    say_letter(v->name);
    return rc;
}

TEST(pattern_53_one_close_ends_each_of_many_consumers)
{
    weft_chan *c = weft_chan_new(sizeof(void *), 8, NULL, 0);
    struct visitor v[] = {{'a', c, 0}, {'b', c, 0}, {'c', c, 0}};
    void *nothing = NULL;
    int rc;
    CHECK(c != NULL);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3 && rc == 0; i++)
            rc = weft_spawn(&n, receives_all, &v[i]);
        for (int i = 0; i < 5 && rc == 0; i++)
            rc = weft_chan_send(c, &nothing);
        if (rc == 0) rc = weft_sleep(1); /* all three wait for more */
        weft_chan_close(c);
        weft_chan_close(c);
        CHECK_EQ(weft_chan_send(c, &nothing), -EPIPE);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(v[0].rc + v[1].rc + v[2].rc, 5); /* what was sent before counts */
    CHECK_EQ(strlen(said), 3);
    CHECK_EQ(weft_chan_recv(c, &nothing), 0);
    weft_chan_free(c);
}

static void count_drop(void *item)
{
    (void)item;
    say_letter('d');
}

TEST(pattern_53_an_abort_drops_what_nobody_will_receive)
{
    weft_chan *c = weft_chan_new(sizeof(int), 4, count_drop, 0);
    int item = 0;
    CHECK(c != NULL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_chan_send(c, &item), 0);
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    weft_chan_abort(c);
    weft_chan_abort(c);
    CHECK_STR(said, "dd");
    CHECK_EQ(weft_chan_recv(c, &item), -EPIPE);
    weft_chan_free(c);
    CHECK_STR(said, "dd");
}

static int fails_after_two(void *arg)
{
    struct visitor *v = arg;
    int err = 0;
    for (int i = 0; i < 2 && err == 0; i++)
        err = weft_chan_send(v->where, &i);
    if (err == 0) err = weft_fail(-EIO, "no more input");
    weft_chan_sender_done(v->where);
    return err;
}

static int consumes(void *arg)
{
    struct visitor *v = arg;
    int item;
    while ((v->rc = weft_chan_recv(v->where, &item)) == 1)
        say_letter('i');
    return v->rc;
}

TEST(pattern_54_a_failing_producer_cancels_its_consumer)
{
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL, 0);
    struct visitor consumer = {.where = c}, producer = {.where = c};
    weft_job jobs[] = {{.fn = consumes, .arg = &consumer},
                       {.fn = fails_after_two, .arg = &producer}};
    CHECK(c != NULL);
    producer.where = weft_chan_sender(c);
    CHECK(producer.where != NULL);
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EIO);
    CHECK_EQ(consumer.rc, -ECANCELED);
    weft_chan_free(c);
}

TEST(pattern_54_where_failures_are_collected_the_last_producer_ends_the_items)
{
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL, 0);
    struct visitor consumer = {.where = c};
    struct visitor producers[2];
    weft_job jobs[] = {{.fn = fails_after_two, .arg = &producers[0]},
                       {.fn = fails_after_two, .arg = &producers[1]},
                       {.fn = consumes, .arg = &consumer}};
    const weft_gather_opts collect = {.policy = WEFT_COLLECT};
    CHECK(c != NULL);
    for (int i = 0; i < 2; i++) {
        producers[i].where = weft_chan_sender(c);
        CHECK(producers[i].where != NULL);
    }
    weft_chan_sender_done(c); /* who made it sends nothing */
    CHECK_EQ(weft_gather(jobs, 3, &collect), 0);
    CHECK_EQ(jobs[0].rc, -EIO);
    CHECK_EQ(jobs[2].rc, 0);
    CHECK_STR(said, "iiii");
    weft_chan_free(c);
}

/* ---- work queues -------------------------------------------------------- */

struct job {
    weft_time takes;
    int rc;
    int done, dropped;
};

static int does(void *arg)
{
    struct job *j = arg;
    if (++inside > most_inside) most_inside = inside;
    int err = weft_sleep(j->takes);
    inside--;
    if (err < 0) return err;
    j->done++;
    return j->rc < 0 ? weft_fail(j->rc, "the job") : 0;
}

static void drops(void *arg)
{
    struct job *j = arg;
    j->dropped++;
}

static int failures;

static void counts_failure(int code, const weft_error *e, void *arg, void *user)
{
    CHECK_EQ(e->code, code);
    CHECK_STR(e->msg, "the job");
    CHECK_PTR(user, &failures);
    CHECK_EQ(((struct job *)arg)->rc, code);
    failures++;
}

static void open_queue(weft_workqueue *q, weft_nursery *n, unsigned workers,
                       unsigned max_failures)
{
    const weft_workqueue_opts o = {.workers = workers,
                                   .capacity = 16,
                                   .on_failure = counts_failure,
                                   .user = &failures,
                                   .max_failures = max_failures};
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(q, n, &o), 0);
}

static void add_all(weft_workqueue *q, struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(weft_workqueue_add(q, does, &jobs[i], drops), 0);
}

TEST(pattern_52_a_failing_job_is_acknowledged_and_join_does_not_hang)
{
    struct job jobs[6] = {[1] = {.rc = -EIO},
                          [2] = {.rc = -EPROTO},
                          [5] = {.rc = -EIO, .takes = 1} /* the last */};
    weft_workqueue q;
    weft_nursery n;
    int rc;
    open_queue(&q, &n, 2, 0);
    add_all(&q, jobs, 6);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(60)) {
        rc = weft_workqueue_join(&q);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(jobs[i].done, 1);
    CHECK_EQ(failures, 3);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_55_three_workers_do_three_jobs_at_a_time)
{
    struct job jobs[12];
    weft_workqueue q;
    weft_nursery n;
    weft_time start = weft_now();
    open_queue(&q, &n, 3, 0);
    for (int i = 0; i < 12; i++)
        jobs[i] = (struct job){.takes = WEFT_SEC(1)};
    add_all(&q, jobs, 12);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(most_inside, 3);
    CHECK_EQ(weft_now() - start, WEFT_SEC(4));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_56_what_was_not_taken_is_still_the_callers)
{
    struct job long_one = {.takes = WEFT_SEC(9)}, waits = {0}, third = {0};
    const weft_workqueue_opts o = {.workers = 1, .capacity = 1};
    weft_workqueue q;
    int rc, third_rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_workqueue_open(&q, &n, &o), 0);
        CHECK_EQ(weft_workqueue_add(&q, does, &long_one, drops), 0);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(weft_workqueue_add(&q, does, &waits, drops), 0);
        CHECK_EQ(weft_workqueue_tryadd(&q, does, &third, drops), -EAGAIN);
        WEFT_FAIL_AFTER(third_rc, WEFT_SEC(1)) { /* it is full, so this parks */
            third_rc = weft_workqueue_add(&q, does, &third, drops);
        }
        CHECK_EQ(third_rc, -ETIMEDOUT);
        CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
        CHECK_EQ(weft_workqueue_add(&q, does, &third, drops), -ESHUTDOWN);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(long_one.dropped + waits.dropped, 2);
    CHECK_EQ(third.dropped + third.done, 0);
}

TEST(pattern_57_a_graceful_stop_loses_none_of_ten_jobs)
{
    struct job jobs[10];
    weft_workqueue q;
    weft_nursery n;
    open_queue(&q, &n, 2, 0);
    for (int i = 0; i < 10; i++)
        jobs[i] = (struct job){.takes = WEFT_SEC(1)};
    add_all(&q, jobs, 10);
    CHECK_EQ(weft_sleep(1), 0); /* two have been begun */
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(jobs[i].done, 1);
        CHECK_EQ(jobs[i].dropped, 1);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_57_a_stop_that_discards_counts_and_drops_what_was_not_run)
{
    struct job jobs[10];
    weft_workqueue q;
    weft_nursery n;
    int done = 0;
    open_queue(&q, &n, 2, 0);
    for (int i = 0; i < 10; i++)
        jobs[i] = (struct job){.takes = WEFT_SEC(1)};
    add_all(&q, jobs, 10);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DISCARD), 8);
    for (int i = 0; i < 10; i++) {
        done += jobs[i].done;
        CHECK_EQ(jobs[i].dropped, 1);
    }
    CHECK_EQ(done, 2); /* the two that had begun were let end */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_57_a_stop_that_has_waited_long_enough_discards_the_rest)
{
    struct job jobs[10];
    weft_workqueue q;
    weft_nursery n;
    int rc, left = 0, done = 0;
    open_queue(&q, &n, 2, 0);
    for (int i = 0; i < 10; i++)
        jobs[i] = (struct job){.takes = WEFT_SEC(1)};
    add_all(&q, jobs, 10);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(2500)) {
        left = weft_workqueue_stop(&q, WEFT_DRAIN);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(left, 4);
    for (int i = 0; i < 10; i++) {
        done += jobs[i].done;
        CHECK_EQ(jobs[i].dropped, 1);
    }
    CHECK_EQ(done, 4); /* and two more had begun, and were cancelled */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_58_workers_go_on_until_there_are_too_many_failures)
{
    struct job jobs[8];
    weft_workqueue q;
    weft_nursery n;
    weft_workqueue_stats s;
    open_queue(&q, &n, 1, 3);
    for (int i = 0; i < 8; i++)
        jobs[i] = (struct job){.rc = i % 2 ? 0 : -EIO};
    add_all(&q, jobs, 8);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(failures, 3);
    weft_workqueue_stats_read(&q, &s);
    CHECK_EQ(s.failed, 3);
    CHECK_EQ(s.done, 5);
    CHECK_EQ(s.discarded, 3);
}

/* ---- back-pressure ------------------------------------------------------ */

static int sends_without_end(void *arg)
{
    struct visitor *v = arg;
    int err;
    while ((err = weft_chan_send(v->where, &v->rc)) == 0)
        v->rc++;
    return err;
}

static int adds_without_end(void *arg)
{
    static struct job forever = {.takes = WEFT_FOREVER};
    struct visitor *v = arg;
    int err;
    while ((err = weft_workqueue_add(v->where, does, &forever, NULL)) == 0)
        v->rc++;
    return err;
}

static int spawns_without_end(void *arg)
{
    struct visitor *v = arg;
    int err;
    while ((err = weft_spawn_wait(v->where, waits_for_ever, NULL)) == 0)
        v->rc++;
    return err;
}

static int writes_without_end(void *arg)
{
    static const char block[1000];
    struct visitor *v = arg;
    int err;
    while ((err = weft_stream_write(v->where, block, sizeof block)) == 0)
        v->rc++;
    return err;
}

/* How many were taken by what nobody empties: not all, and at once. */
static int pushed_into(void *where, weft_fn pushes)
{
    struct visitor v = {.where = where};
    CHECK_EQ(weft_with_timeout(WEFT_SEC(1), pushes, &v), -ETIMEDOUT);
    return v.rc;
}

TEST(pattern_59_a_full_channel_makes_who_sends_wait)
{
    for (size_t cap = 0; cap < 4; cap++) {
        weft_chan *c = weft_chan_new(sizeof(int), cap, NULL, 0);
        CHECK(c != NULL);
        CHECK_EQ(pushed_into(c, sends_without_end), cap);
        weft_chan_free(c);
    }
}

TEST(pattern_59_a_full_work_queue_makes_who_adds_wait)
{
    const weft_workqueue_opts o = {.workers = 2, .capacity = 5};
    weft_workqueue q;
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &o), 0);
    CHECK_EQ(pushed_into(&q, adds_without_end), 2 + 5);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_59_a_nursery_at_its_limit_makes_who_spawns_wait)
{
    const weft_nursery_opts o = {.limit = 7};
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, &o), 0);
    CHECK_EQ(pushed_into(&n, spawns_without_end), 7);
    CHECK_EQ(weft_nursery_count(&n), 7);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_59_a_peer_that_does_not_read_makes_who_writes_wait)
{
    weft_fd pair[2];
    weft_stream s;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    weft_stream_init(&s, pair[0]);
    CHECK(pushed_into(&s, writes_without_end) > 0);
    weft_stream_fini(&s);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
}
