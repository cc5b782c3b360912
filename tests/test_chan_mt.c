/* SPDX-License-Identifier: MIT */
/*
 * test_chan_mt.c - channels between threads and runs.
 *
 * That they behave as others within one run is for test_*_crossing.c.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadlock.h"
#include "open.h"
#include "runtime/os.h"
#include "threads.h"

static weft_chan *new_chan(size_t cap)
{
    weft_chan *c = weft_chan_new(sizeof(int), cap, NULL, WEFT_CHAN_MT);
    CHECK(c != NULL);
    return c;
}

static weft_chan *new_handle(weft_chan *c)
{
    weft_chan *handle = weft_chan_sender(c);
    CHECK(handle != NULL);
    return handle;
}

/* A debug build asks for the time at each switch. */
static int rounds_of(int many)
{
#ifdef WEFT_DEBUG
    many /= 10;
#endif
    return test_is_slow() ? many / 5 : many;
}

static int count(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

static void wait_until(const int *n, int value)
{
    for (int i = 0; count(n) < value; i++)
        if (i > 100) sched_yield();
}

/* For threads without fibers, which cannot wait in a channel. */
static int send_somehow(weft_chan *c, int item)
{
    int err;
    while ((err = weft_chan_trysend(c, &item)) == -EAGAIN)
        sched_yield();
    return err;
}

static int receive_somehow(weft_chan *c, int *item)
{
    int got;
    while ((got = weft_chan_tryrecv(c, item)) == -EAGAIN)
        sched_yield();
    return got;
}

static void send_one(weft_chan *c, int item)
{
    CHECK_EQ(weft_chan_send(c, &item), 0);
}

static int receive_one(weft_chan *c)
{
    int item = -1;
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    return item;
}

/* --- many to many --- */

enum { PRODUCERS = 4, CONSUMERS = 2 };

struct market {
    weft_chan *chan;
    int items;     /* of each producer */
    int producers; /* atomic: those that have not finished */
    int received;  /* atomic */
    char *seen;    /* atomic, each: how often item i of producer p */
};

struct producer {
    struct market *market;
    weft_chan *chan;
    int number;
};

static void *produces(void *arg)
{
    const struct producer *p = arg;
    struct market *m = p->market;
    for (int i = 0; i < m->items; i++)
        CHECK_EQ(send_somehow(p->chan, p->number * m->items + i), 0);
    if (__atomic_sub_fetch(&m->producers, 1, __ATOMIC_ACQ_REL) == 0)
        weft_chan_close(p->chan);
    weft_chan_sender_done(p->chan);
    return NULL;
}

static int consumes(void *arg)
{
    struct market *m = arg;
    int last[PRODUCERS] = {-1, -1, -1, -1}, got, item;
    while ((got = weft_chan_recv(m->chan, &item)) == 1) {
        CHECK(item > last[item / m->items]);
        last[item / m->items] = item;
        CHECK_EQ(__atomic_fetch_add(&m->seen[item], 1, __ATOMIC_RELAXED), 0);
        __atomic_add_fetch(&m->received, 1, __ATOMIC_RELAXED);
    }
    return got;
}

static int consumes_with_others(void *arg)
{
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < CONSUMERS; i++)
        CHECK_EQ(weft_spawn(&n, consumes, arg), 0);
    return weft_nursery_close(&n, 0);
}

static void *runs_consumers(void *arg)
{
    struct market *m = arg;
    CHECK_EQ(weft_run(consumes_with_others, m, NULL), 0);
    weft_chan_sender_done(m->chan);
    return NULL;
}

static void hold_market(size_t cap, int items)
{
    struct market here = {.chan = new_chan(cap),
                          .items = items,
                          .producers = PRODUCERS,
                          .seen = calloc(PRODUCERS, (size_t)items)};
    CHECK(here.seen != NULL);
    struct market there = here;
    struct producer p[PRODUCERS];
    pthread_t threads[PRODUCERS + 1];
    there.chan = new_handle(here.chan);
    for (int i = 0; i < PRODUCERS; i++) {
        p[i] = (struct producer){&here, new_handle(here.chan), i};
        threads[i] = start_thread(produces, &p[i]);
    }
    threads[PRODUCERS] = start_thread(runs_consumers, &there);
    CHECK_EQ(consumes_with_others(&here), 0);
    for (int i = 0; i <= PRODUCERS; i++)
        join_thread(threads[i]);
    CHECK_EQ(here.received + there.received, PRODUCERS * items);
    weft_chan_free(here.chan);
    free(here.seen);
}

TEST_REAL(
    xth_02_items_of_four_threads_reach_four_fibers_of_two_runs_once_in_order)
{
    static const size_t caps[] = {0, 1, 64};
    for (int i = 0; i < 3; i++)
        hold_market(caps[i], rounds_of(10000));
}

/* --- two runs --- */

struct table {
    weft_chan *there, *back;
    int rounds;
};

static int returns_balls(void *arg)
{
    const struct table *t = arg;
    int ball, got;
    while ((got = weft_chan_recv(t->there, &ball)) == 1)
        send_one(t->back, ball + 1);
    return got;
}

static void *runs_returner(void *arg)
{
    const struct table *t = arg;
    CHECK_EQ(weft_run(returns_balls, arg, NULL), 0);
    weft_chan_sender_done(t->there);
    weft_chan_sender_done(t->back);
    return NULL;
}

TEST_REAL(fibers_of_two_runs_meet_without_a_place_between)
{
    for (size_t cap = 0; cap < 2; cap++) {
        struct table t = {new_chan(cap), new_chan(cap), rounds_of(5000)};
        struct table other = {new_handle(t.there), new_handle(t.back), 0};
        pthread_t thread = start_thread(runs_returner, &other);
        for (int i = 0; i < t.rounds; i++) {
            send_one(t.there, i);
            CHECK_EQ(receive_one(t.back), i + 1);
        }
        weft_chan_close(t.there);
        join_thread(thread);
        weft_chan_free(t.there);
        weft_chan_free(t.back);
    }
}

static int sends_a_hundred(void *c)
{
    for (int i = 0; i < 100; i++) {
        int err = weft_chan_send(c, &i);
        if (err < 0) return err;
    }
    return 0;
}

static void *receives_a_hundred(void *c)
{
    for (int i = 0; i < 100; i++) {
        int item = -1;
        CHECK_EQ(receive_somehow(c, &item), 1);
        CHECK_EQ(item, i);
    }
    weft_chan_sender_done(c);
    return NULL;
}

TEST_REAL(a_thread_takes_from_parked_senders_in_their_order)
{
    for (size_t cap = 0; cap < 3; cap++) {
        weft_chan *c = new_chan(cap);
        pthread_t t = start_thread(receives_a_hundred, new_handle(c));
        CHECK_EQ(sends_a_hundred(c), 0);
        join_thread(t);
        weft_chan_free(c);
    }
}

/* --- ends, from elsewhere --- */

enum { WAITERS = 3 };

struct waiter {
    weft_chan *chan;
    int item, result;
};

static int sends(void *arg)
{
    struct waiter *w = arg;
    w->result = weft_chan_send(w->chan, &w->item);
    return 0;
}

static int receives(void *arg)
{
    struct waiter *w = arg;
    w->result = weft_chan_recv(w->chan, &w->item);
    return 0;
}

static int joins(void *arg)
{
    struct waiter *w = arg;
    w->result = weft_chan_join(w->chan);
    return 0;
}

static void *closes(void *c)
{
    weft_chan_close(c);
    weft_chan_sender_done(c);
    return NULL;
}

static void *is_done(void *c)
{
    weft_chan_sender_done(c);
    return NULL;
}

static void *aborts(void *c)
{
    weft_chan_abort(c);
    weft_chan_sender_done(c);
    return NULL;
}

static void *reports_done(void *c)
{
    CHECK_EQ(weft_chan_item_done(c), 0);
    weft_chan_sender_done(c);
    return NULL;
}

/* Three fibers wait in c; `act` is called with a handle on another thread, and
 * then all of them have `result`. */
static void end_wait_by(weft_chan *handle, weft_chan *c, weft_fn wait,
                        thread_fn *act, int result)
{
    struct waiter w[WAITERS];
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < WAITERS; i++) {
        w[i] = (struct waiter){c, i, 99};
        CHECK_EQ(weft_spawn(&n, wait, &w[i]), 0);
    }
    CHECK_EQ(weft_test_settle(), 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(w[i].result, 99);
    call_elsewhere(act, handle);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(w[i].result, result);
}

static void end_wait(weft_chan *c, weft_fn wait, thread_fn *act, int result)
{
    end_wait_by(new_handle(c), c, wait, act, result);
}

static int drops;

static void count_drop(void *item)
{
    (void)item;
    drops++;
}

static weft_chan *new_full_chan(size_t cap)
{
    weft_chan *c = weft_chan_new(sizeof(int), cap, count_drop, WEFT_CHAN_MT);
    CHECK(c != NULL);
    for (int i = 0; i < (int)cap; i++)
        CHECK_EQ(weft_chan_trysend(c, &i), 0);
    drops = 0;
    return c;
}

TEST(another_thread_closes_it_and_who_waits_is_told)
{
    int item;
    weft_chan *c = new_full_chan(0);
    end_wait(c, receives, closes, 0);
    CHECK_EQ(weft_chan_recv(c, &item), 0);
    weft_chan_free(c);
    c = new_full_chan(2);
    end_wait(c, sends, closes, -EPIPE);
    CHECK_EQ(receive_one(c), 0);
    CHECK_EQ(receive_one(c), 1);
    CHECK_EQ(weft_chan_recv(c, &item), 0);
    weft_chan_free(c);
    CHECK_EQ(drops, 0);
}

TEST(the_last_sender_is_done_on_another_thread)
{
    weft_chan *c = new_chan(1), *last = new_handle(c);
    weft_chan_sender_done(c);
    end_wait_by(last, c, receives, is_done, 0);
    weft_chan_free(c);
}

TEST(another_thread_aborts_it_and_drops_what_is_inside)
{
    weft_chan *c = new_full_chan(2);
    end_wait(c, sends, aborts, -EPIPE);
    CHECK_EQ(drops, 2);
    CHECK_EQ(weft_chan_length(c), 0);
    weft_chan_free(c);
    CHECK_EQ(drops, 2);
    c = new_full_chan(0);
    end_wait(c, receives, aborts, -EPIPE);
    weft_chan_free(c);
    c = new_full_chan(3);
    end_wait(c, joins, aborts, -EPIPE);
    weft_chan_free(c);
    CHECK_EQ(drops, 3);
}

TEST(another_thread_reports_the_last_item_done)
{
    weft_chan *c = new_full_chan(1);
    CHECK_EQ(receive_one(c), 0);
    end_wait(c, joins, reports_done, 0);
    CHECK_EQ(weft_chan_item_done(c), -EINVAL);
    CHECK(strstr(weft_last_error()->msg, "more items"));
    weft_chan_free(c);
}

static void *frees(void *c)
{
    weft_chan_free(c);
    return NULL;
}

TEST(another_thread_frees_it_under_those_who_wait)
{
    struct waiter w[WAITERS];
    weft_nursery n;
    weft_chan *c = new_full_chan(2);
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < WAITERS; i++) {
        w[i] = (struct waiter){c, i, 99};
        CHECK_EQ(weft_spawn(&n, sends, &w[i]), 0);
    }
    CHECK_EQ(weft_test_settle(), 0);
    call_elsewhere(frees, c);
    CHECK_EQ(drops, 2);
    weft_nursery_cancel(&n, 0, NULL); /* too late */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(w[i].result, -EPIPE);
}

TEST(a_handle_keeps_a_freed_channel)
{
    weft_chan *c = new_chan(1), *mine = new_handle(c);
    int item = 1;
    call_elsewhere(frees, c);
    CHECK_EQ(weft_chan_trysend(mine, &item), -EPIPE);
    CHECK_EQ(weft_chan_tryrecv(mine, &item), -EPIPE);
    CHECK_EQ(weft_chan_recv(mine, &item), -EPIPE);
    CHECK_EQ(weft_chan_length(mine), 0);
    call_elsewhere(is_done, mine);
}

TEST(a_sender_that_is_done_sends_no_more)
{
    weft_chan *c = new_chan(1), *other = new_handle(c);
    int item = 1;
    weft_chan_sender_done(c);
    CHECK_EQ(weft_chan_trysend(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_send(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_trysend(other, &item), 0);
    CHECK_EQ(receive_one(c), 1);
    weft_chan_sender_done(other);
    CHECK_EQ(weft_chan_recv(c, &item), 0);
    weft_chan_free(c);
}

TEST_PLAIN(threads_without_a_run_can_use_it_too)
{
    weft_chan *c = new_full_chan(2);
    int item = -1;
    CHECK_EQ(weft_chan_trysend(c, &item), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(c, &item), 1);
    CHECK_EQ(item, 0);
    CHECK_EQ(weft_chan_send(c, &item), -EPERM);
    CHECK_EQ(weft_chan_recv(c, &item), -EPERM);
    CHECK_EQ(weft_chan_join(c), -EPERM);
    CHECK_EQ(weft_chan_length(c), 1);
    CHECK_EQ(weft_chan_item_done(c), 0);
    weft_chan_free(c);
    CHECK_EQ(drops, 1);
}

TEST(there_are_no_other_flags)
{
    CHECK(weft_chan_new(1, 1, NULL, 2) == NULL);
    CHECK(strstr(weft_last_error()->msg, "weft_chan_new"));
    CHECK(weft_chan_new(1, 1, NULL, WEFT_CHAN_MT | 0x80000000u) == NULL);
    CHECK(weft_chan_new(SIZE_MAX, 2, NULL, WEFT_CHAN_MT) == NULL);
}

#ifdef WEFT_HOSTILE
TEST(without_memory_there_is_no_channel_and_no_handle)
{
    weft_chan *c = new_chan(1);
    wf_hostile_fail(WF_CALL_ALLOC, 1, true);
    CHECK(weft_chan_new(1, 1, NULL, WEFT_CHAN_MT) == NULL);
    CHECK(weft_chan_sender(c) == NULL);
    wf_hostile_fail(WF_CALL_ALLOC, 0, false);
    send_one(c, 7);
    CHECK_EQ(receive_one(c), 7);
    weft_chan_free(c);
}
#endif

/* --- cancelled or granted --- */

/* A thread that tries once a round, about when the fiber is cancelled. */
struct duel {
    weft_chan *chan, *handle;
    bool sends;
    int ready, done; /* atomic: rounds begun here and ended there */
    int over;        /* atomic */
    int tried;       /* what it returned */
    int item;
    weft_scope *scope;
};

static bool has_begun(const struct duel *d, int round)
{
    for (int i = 0; count(&d->ready) <= round; i++) {
        if (word_is_said(&d->over)) return false;
        if (i > 100) sched_yield();
    }
    return true;
}

static void *tries_each_round(void *arg)
{
    struct duel *d = arg;
    for (int i = 0; has_begun(d, i); i++) {
        for (int k = i % 37; k > 0; k--) /* now sooner, now later */
            (void)count(&d->done);
        int item = i;
        d->tried = d->sends ? weft_chan_trysend(d->handle, &item)
                            : weft_chan_tryrecv(d->handle, &item);
        d->item = item;
        __atomic_store_n(&d->done, i + 1, __ATOMIC_RELEASE);
    }
    weft_chan_sender_done(d->handle);
    return NULL;
}

static int cancels_each_round(void *arg)
{
    struct duel *d = arg;
    for (int i = 0;; i++) {
        while (d->ready <= i) {
            if (d->over) return 0;
            int err = weft_yield();
            if (err < 0) return err;
        }
        for (int k = i % 53; k > 0; k--)
            (void)count(&d->done);
        if (i % 3 == 0)
            sched_yield(); /* with few cores it is the other's turn */
        if (d->scope) weft_scope_cancel(d->scope, -EINTR, NULL);
    }
}

static int waits_in_a_scope(struct duel *d, int *item)
{
    weft_scope s;
    open_scope(&s);
    d->scope = &s;
    __atomic_store_n(&d->ready, d->ready + 1, __ATOMIC_RELEASE);
    int got = d->sends ? weft_chan_recv(d->chan, item)
                       : weft_chan_send(d->chan, item);
    d->scope = NULL;
    CHECK(got == (d->sends ? 1 : 0) || got == -ECANCELED);
    (void)!weft_scope_end(&s, got);
    return got;
}

static bool is_granted(struct duel *d, int round)
{
    int item = round;
    bool got = waits_in_a_scope(d, &item) >= 0;
    wait_until(&d->done, round + 1);
    CHECK_EQ(d->tried >= 0, got);
    CHECK(got || d->tried == -EAGAIN);
    if (got) CHECK_EQ(d->sends ? item : d->item, round);
    return got;
}

/* Fewer rounds where the cores are busy with something else. */
static void fight(bool sends)
{
    struct duel d = {.chan = new_chan(0), .sends = sends};
    int granted = 0, i = 0;
    weft_time end = weft_after(WEFT_SEC(4));
    weft_nursery n;
    d.handle = new_handle(d.chan);
    pthread_t t = start_thread(tries_each_round, &d);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, cancels_each_round, &d), 0);
    for (; i < rounds_of(100000) && weft_now() < end; i++)
        granted += is_granted(&d, i);
    say_word(&d.over);
    join_thread(t);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_chan_free(d.chan);
    printf("granted %d of %d\n", granted, i);
}

TEST_REAL(xth_02_a_receive_is_cancelled_or_granted_but_never_both_or_neither)
{
    fight(true);
}

TEST_REAL(xth_02_a_send_is_cancelled_or_granted_but_never_both_or_neither)
{
    fight(false);
}

static void *sends_five(void *c)
{
    int item = 5;
    CHECK_EQ(weft_chan_trysend(c, &item), 0);
    weft_chan_sender_done(c);
    return NULL;
}

/* It cannot be delivered before the cancel, which comes in the same turn. */
TEST(a_grant_that_is_on_its_way_is_final)
{
    weft_chan *c = new_chan(0);
    struct waiter w = {c, 0, 99};
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, receives, &w), 0);
    CHECK_EQ(weft_test_settle(), 0);
    call_elsewhere(sends_five, new_handle(c));
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, 1);
    CHECK_EQ(w.item, 5);
    weft_chan_free(c);
}

TEST(a_cancelled_waiter_gets_nothing_and_the_next_one_does)
{
    weft_chan *c = new_chan(0);
    struct waiter first = {c, 0, 99}, second = {c, 0, 99};
    weft_nursery n;
    weft_task t;
    open_nursery(&n, WEFT_FAIL_FAST);
    const weft_spawn_opts o = {.task = &t};
    CHECK_EQ(weft_spawn_ex(&n, receives, &first, &o), 0);
    CHECK_EQ(weft_spawn(&n, receives, &second), 0);
    CHECK_EQ(weft_test_settle(), 0);
    weft_task_cancel(&t, 0, NULL);
    call_elsewhere(sends_five, new_handle(c));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(first.result, -ECANCELED);
    CHECK_EQ(second.result, 1);
    CHECK_EQ(second.item, 5);
    weft_chan_free(c);
}

/* --- deadlock --- */

static int waits_alone(void *arg)
{
    weft_chan *c = new_chan(0);
    int item, got = weft_chan_recv(c, &item);
    (void)arg;
    weft_chan_free(c);
    return got;
}

TEST_PLAIN(dlk_to_wait_in_a_channel_without_handles_is_a_deadlock)
{
    CHECK(strstr(deadlock_report(waits_alone), "channel to receive"));
}

static void *sends_late(void *c)
{
    linger(10);
    CHECK_EQ(weft_chan_trysend(c, &(int){1}), 0);
    weft_chan_sender_done(c);
    return NULL;
}

TEST(dlk_a_handle_of_another_thread_hides_it)
{
    weft_chan *c = new_chan(0);
    pthread_t t = start_thread(sends_late, new_handle(c));
    CHECK_EQ(receive_one(c), 1);
    join_thread(t);
    weft_chan_free(c);
}

static int makes_a_handle_later(void *arg)
{
    void **both = arg;
    CHECK_EQ(weft_yield(), 0);
    *(pthread_t *)both[1] = start_thread(sends_late, new_handle(both[0]));
    return 0;
}

TEST(dlk_so_does_one_that_is_made_when_the_wait_has_begun)
{
    weft_chan *c = new_chan(0);
    pthread_t t;
    void *both[] = {c, &t};
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, makes_a_handle_later, both), 0);
    CHECK_EQ(receive_one(c), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    join_thread(t);
    weft_chan_free(c);
}

static void *is_done_late(void *c)
{
    linger(10);
    weft_chan_sender_done(c);
    return NULL;
}

static int waits_until_nobody_can_reach_it(void *arg)
{
    weft_chan *c = new_chan(1);
    pthread_t one = start_thread(is_done_late, new_handle(c));
    pthread_t two = start_thread(is_done_late, new_handle(c));
    int item, got = weft_chan_recv(c, &item);
    (void)arg;
    join_thread(one);
    join_thread(two);
    weft_chan_free(c);
    return got;
}

TEST_PLAIN(dlk_when_the_last_handle_is_done_the_run_looks_again)
{
    (void)deadlock_report(waits_until_nobody_can_reach_it);
}

static int selects_alone(void *arg)
{
    weft_chan *a = new_chan(0), *b = new_chan(0);
    pthread_t t = start_thread(is_done_late, new_handle(a));
    int item;
    weft_case cases[] = {WEFT_CASE_RECV(a, &item), WEFT_CASE_SEND(b, &item)};
    int got = weft_select(cases, 2, 0);
    (void)arg;
    join_thread(t);
    weft_chan_free(a);
    weft_chan_free(b);
    return got;
}

TEST_PLAIN(dlk_so_does_a_run_that_waits_for_one_of_several)
{
    CHECK(strstr(deadlock_report(selects_alone), "select of 2"));
}

/* --- select --- */

static void *sends_seven(void *c)
{
    CHECK_EQ(send_somehow(c, 7), 0);
    weft_chan_sender_done(c);
    return NULL;
}

static void *receives_nine(void *c)
{
    int item = -1;
    CHECK_EQ(receive_somehow(c, &item), 1);
    CHECK_EQ(item, 9);
    weft_chan_sender_done(c);
    return NULL;
}

TEST(a_select_is_granted_by_another_thread)
{
    weft_chan *a = new_chan(0), *b = new_chan(0);
    weft_chan *local = weft_chan_new(sizeof(int), 0, NULL, 0);
    weft_event event = WEFT_EVENT_INIT;
    int in = 0, out = 9;
    weft_case c[] = {WEFT_CASE_RECV(a, &in), WEFT_CASE_SEND(b, &out),
                     WEFT_CASE_RECV(local, &in), WEFT_CASE_EVENT(&event)};
    pthread_t t = start_thread(sends_seven, new_handle(a));
    CHECK_EQ(weft_select(c, 4, 0), 0);
    CHECK_EQ(c[0].result, 1);
    CHECK_EQ(in, 7);
    join_thread(t);
    t = start_thread(receives_nine, new_handle(b));
    CHECK_EQ(weft_select(c, 4, 0), 1);
    CHECK_EQ(c[1].result, 0);
    join_thread(t);
    CHECK_EQ(weft_chan_trysend(a, &in), -EAGAIN); /* it has left */
    CHECK_EQ(weft_chan_tryrecv(b, &in), -EAGAIN);
    CHECK_EQ(weft_chan_trysend(local, &in), -EAGAIN);
    weft_chan_free(a);
    weft_chan_free(b);
    weft_chan_free(local);
}

enum { MANY = 40 };

TEST(a_select_of_many_channels_leaves_all_of_them)
{
    weft_chan *chan[MANY];
    weft_case c[2 * MANY];
    int in = 0, out = 1;
    for (int i = 0; i < MANY; i++)
        chan[i] = new_chan(0);
    for (int i = 0; i < MANY; i++) { /* neither in order nor in reverse */
        weft_chan *some = chan[i * 17 % MANY];
        c[2 * i] = (weft_case)WEFT_CASE_RECV(some, &in);
        c[2 * i + 1] = (weft_case)WEFT_CASE_SEND(some, &out);
    }
    for (int i = 0; i < MANY; i += 13) {
        pthread_t t = start_thread(sends_seven, new_handle(chan[i]));
        int k = weft_select(c, 2 * MANY, 0);
        CHECK_EQ(k % 2, 0);
        CHECK_PTR(c[k].object, chan[i]);
        CHECK_EQ(in, 7);
        join_thread(t);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(weft_chan_trysend(chan[i], &out), -EAGAIN);
        CHECK_EQ(weft_chan_tryrecv(chan[i], &in), -EAGAIN);
        weft_chan_free(chan[i]);
    }
}

static void *sends_and_frees(void *arg)
{
    weft_chan **both = arg;
    CHECK_EQ(weft_chan_trysend(both[0], &(int){5}), 0);
    weft_chan_free(both[0]);
    weft_chan_free(both[1]);
    return NULL;
}

static int selects_two(void *arg)
{
    struct waiter *w = arg;
    weft_case c[] = {WEFT_CASE_RECV(w[0].chan, &w[0].item),
                     WEFT_CASE_RECV(w[1].chan, &w[1].item)};
    int k = weft_select(c, 2, 0);
    if (k >= 0) w[k].result = c[k].result;
    return 0;
}

TEST(a_freed_channel_is_there_until_all_who_waited_have_left)
{
    weft_chan *both[] = {new_chan(0), new_chan(0)};
    struct waiter w[] = {{both[0], 0, 99}, {both[1], 0, 99}};
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, selects_two, w), 0);
    CHECK_EQ(weft_test_settle(), 0);
    call_elsewhere(sends_and_frees, both);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w[0].result, 1);
    CHECK_EQ(w[0].item, 5);
    CHECK_EQ(w[1].result, 99);
}

/* The item is on its way, and its own run does not know yet. */
TEST(what_another_thread_has_granted_no_local_channel_grants_again)
{
    weft_chan *c = new_chan(0), *local = weft_chan_new(sizeof(int), 0, NULL, 0);
    struct waiter w[] = {{c, 0, 99}, {local, 0, 99}}, next = {local, 0, 99};
    weft_nursery n;
    int item = 6;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, selects_two, w), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_spawn(&n, receives, &next), 0);
    CHECK_EQ(weft_test_settle(), 0);
    call_elsewhere(sends_five, new_handle(c));
    CHECK_EQ(weft_chan_send(local, &item), 0); /* past the select */
    CHECK_EQ(weft_chan_trysend(local, &item), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w[0].result, 1);
    CHECK_EQ(w[0].item, 5);
    CHECK_EQ(w[1].result, 99);
    CHECK_EQ(w[1].item, 0);
    CHECK_EQ(next.result, 1);
    CHECK_EQ(next.item, 6);
    weft_chan_free(c);
    weft_chan_free(local);
}

TEST(what_a_local_channel_has_granted_no_other_thread_grants_again)
{
    weft_chan *c = new_chan(0), *local = weft_chan_new(sizeof(int), 0, NULL, 0);
    struct waiter w[] = {{c, 0, 99}, {local, 0, 99}}, next = {c, 0, 99};
    weft_nursery n;
    int item = 6;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, selects_two, w), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_spawn(&n, receives, &next), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_chan_trysend(local, &item), 0);
    call_elsewhere(sends_five, new_handle(c));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w[0].result, 99);
    CHECK_EQ(w[1].result, 1);
    CHECK_EQ(w[1].item, 6);
    CHECK_EQ(next.result, 1);
    CHECK_EQ(next.item, 5);
    weft_chan_free(c);
    weft_chan_free(local);
}

enum { LARGE = 16 << 20 };

struct transfer {
    weft_chan *chan;
    char *item;
    int rounds, begun, done, result;
};

static void *sends_large_items(void *arg)
{
    struct transfer *t = arg;
    for (int i = 0; i < t->rounds; i++) {
        wait_until(&t->begun, i + 1);
        t->item[0] = t->item[LARGE - 1] = (char)i;
        linger(1);
        t->result = weft_chan_trysend(t->chan, t->item);
        __atomic_store_n(&t->done, i + 1, __ATOMIC_RELEASE);
    }
    weft_chan_sender_done(t->chan);
    return NULL;
}

/* To copy the item takes about as long as to wait for the moment. */
TEST_REAL(a_moment_that_comes_while_an_item_is_handed_over_does_not_happen)
{
    weft_chan *c = weft_chan_new(LARGE, 0, NULL, WEFT_CHAN_MT);
    char *item = malloc(LARGE);
    struct transfer t = {.item = malloc(LARGE), .rounds = 40};
    int granted = 0;
    CHECK(c && item && t.item);
    t.chan = new_handle(c);
    pthread_t thread = start_thread(sends_large_items, &t);
    for (int i = 0; i < t.rounds; i++) {
        weft_case cases[] = {WEFT_CASE_RECV(c, item), WEFT_CASE_AT(0)};
        __atomic_store_n(&t.begun, i + 1, __ATOMIC_RELEASE);
        CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
        cases[1].at = weft_after(WEFT_USEC(i * 150));
        int k = weft_select(cases, 2, 0);
        wait_until(&t.done, i + 1);
        CHECK_EQ(t.result, k == 0 ? 0 : -EAGAIN);
        if (k == 0) CHECK(item[0] == (char)i && item[LARGE - 1] == (char)i);
        granted += k == 0;
    }
    join_thread(thread);
    weft_chan_free(c);
    free(item);
    free(t.item);
    printf("granted %d\n", granted);
}

/* Threads that send what they can, to one fiber that waits for all of them, a
 * channel of its own run, and a moment; and is cancelled now and then. */
struct crowd {
    weft_chan *chan;
    int sent; /* and no more after the end */
    int *over;
};

static void *sends_what_it_can(void *arg)
{
    struct crowd *c = arg;
    while (!word_is_said(c->over)) {
        int got = weft_chan_trysend(c->chan, &c->sent);
        CHECK(got == 0 || got == -EAGAIN);
        if (got == 0)
            c->sent++;
        else
            sched_yield();
    }
    weft_chan_sender_done(c->chan);
    return NULL;
}

struct neighbours {
    weft_chan *local;
    weft_event *event;
    weft_scope **scope;
    int sent;
    bool over;
};

static int sends_beside(void *arg)
{
    struct neighbours *b = arg;
    for (int i = 0; !b->over; i++) {
        if (i % 3 == 0 && weft_chan_trysend(b->local, &b->sent) == 0) b->sent++;
        if (i % 5 == 0) weft_event_set(b->event);
        if (i % 7 == 0 && *b->scope) weft_scope_cancel(*b->scope, -EINTR, NULL);
        int err = weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

enum { SENDERS = 2, LOCAL = SENDERS };

static void select_among(size_t cap, int rounds)
{
    int over = 0, received[SENDERS + 1] = {0}, item[SENDERS + 1], seen[3] = {0};
    struct crowd crowd[SENDERS];
    weft_chan *chan[SENDERS];
    pthread_t threads[SENDERS];
    weft_event event = WEFT_EVENT_INIT;
    weft_scope *current = NULL;
    struct neighbours b = {weft_chan_new(sizeof(int), cap, NULL, 0), &event,
                           &current, 0, false};
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, sends_beside, &b), 0);
    for (int i = 0; i < SENDERS; i++) {
        chan[i] = new_chan(cap);
        crowd[i] = (struct crowd){new_handle(chan[i]), 0, &over};
        threads[i] = start_thread(sends_what_it_can, &crowd[i]);
    }
    for (int i = 0; i < rounds; i++) {
        weft_case c[] = {WEFT_CASE_RECV(chan[0], &item[0]),
                         WEFT_CASE_RECV(chan[1], &item[1]),
                         WEFT_CASE_RECV(b.local, &item[LOCAL]),
                         WEFT_CASE_EVENT(&event),
                         WEFT_CASE_AFTER(i % 4 * WEFT_USEC(5))};
        weft_scope s;
        open_scope(&s);
        current = &s;
        int k = weft_select(c, i % 4 ? 5 : 4, 0);
        current = NULL;
        CHECK(k >= 0 || k == -ECANCELED);
        if (k >= 0 && k <= LOCAL) {
            CHECK_EQ(c[k].result, 1);
            CHECK_EQ(item[k], received[k]);
            received[k]++;
        } else {
            seen[k < 0 ? 0 : k - LOCAL]++;
        }
        weft_event_clear(&event);
        (void)!weft_scope_end(&s, k);
    }
    say_word(&over);
    b.over = true;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < SENDERS; i++) {
        join_thread(threads[i]);
        CHECK_EQ(crowd[i].sent, received[i] + (int)weft_chan_length(chan[i]));
        weft_chan_free(chan[i]);
    }
    CHECK_EQ(b.sent, received[LOCAL] + (int)weft_chan_length(b.local));
    weft_chan_free(b.local);
    printf("%d %d, local %d; cancelled %d, events %d, moments %d\n",
           received[0], received[1], received[2], seen[0], seen[1], seen[2]);
}

TEST_REAL(exactly_one_case_happens_whoever_races_for_it)
{
    for (size_t cap = 0; cap < 2; cap++)
        select_among(cap, rounds_of(100000));
}

/* Each would end the wait of the other; both lock both channels. */
struct partner {
    weft_chan *chan[2];
    int rounds, sent[2], received[2];
    long sum; /* of what was sent, less of what was received */
};

static int meets_the_other(void *arg)
{
    struct partner *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        int out = i, in[2];
        weft_case c[] = {WEFT_CASE_SEND(p->chan[0], &out),
                         WEFT_CASE_RECV(p->chan[0], &in[0]),
                         WEFT_CASE_SEND(p->chan[1], &out),
                         WEFT_CASE_RECV(p->chan[1], &in[1])};
        int k = weft_select(c, 4, 0);
        CHECK(k >= 0 && c[k].result == k % 2);
        if (k % 2 == 0) {
            p->sent[k / 2]++;
            p->sum += out;
        } else {
            p->received[k / 2]++;
            p->sum -= in[k / 2];
        }
    }
    return 0;
}

static void *runs_a_partner(void *arg)
{
    struct partner *p = arg;
    CHECK_EQ(weft_run(meets_the_other, p, NULL), 0);
    for (int i = 0; i < 2; i++)
        weft_chan_sender_done(p->chan[i]);
    return NULL;
}

TEST_REAL(two_selects_of_two_runs_always_meet)
{
    struct partner here = {.chan = {new_chan(0), new_chan(0)},
                           .rounds = rounds_of(50000)};
    struct partner there = {
        .chan = {new_handle(here.chan[0]), new_handle(here.chan[1])},
        .rounds = here.rounds};
    pthread_t t = start_thread(runs_a_partner, &there);
    CHECK_EQ(meets_the_other(&here), 0);
    join_thread(t);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(here.sent[i], there.received[i]);
        CHECK_EQ(there.sent[i], here.received[i]);
        weft_chan_free(here.chan[i]);
    }
    CHECK_EQ(here.sum + there.sum, 0);
}

/* --- fork --- */

enum { WELL = 42 };

#define CHILD_CHECK(cond)                                                      \
    do {                                                                       \
        if (!(cond)) _exit(__LINE__ % 100 + 100);                              \
    } while (0)

static void check_in_child(weft_chan *c, weft_chan *handle)
{
    char *argv[] = {"sh", "-c", "exit 42", NULL};
    int item = 0;
    CHILD_CHECK(weft_chan_trysend(c, &item) == -EPERM);
    CHILD_CHECK(weft_chan_tryrecv(c, &item) == -EPERM);
    CHILD_CHECK(weft_chan_send(c, &item) == -EPERM);
    CHILD_CHECK(weft_chan_recv(c, &item) == -EPERM);
    CHILD_CHECK(weft_chan_join(c) == -EPERM);
    CHILD_CHECK(weft_chan_item_done(c) == -EPERM);
    CHILD_CHECK(weft_chan_sender(c) == NULL);
    CHILD_CHECK(weft_chan_length(c) == 0);
    weft_chan_close(c);
    weft_chan_abort(c);
    weft_chan_sender_done(handle);
    weft_chan_free(c);
    (void)execv("/bin/sh", argv);
    _exit(97);
}

TEST(in_the_child_of_a_fork_a_channel_of_the_parents_is_left_alone)
{
    weft_chan *c = new_full_chan(1), *handle = new_handle(c);
    pid_t child = fork();
    if (child == 0) check_in_child(c, handle);
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), WELL);
    CHECK_EQ(receive_one(c), 0);
    weft_chan_sender_done(handle);
    weft_chan_free(c);
}
