/* SPDX-License-Identifier: MIT */
/*
 * test_select.c - one of several things happens, and the others leave no trace:
 * channels, events, tasks and moments.
 */
#include <weft/debug.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/select.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"

enum { MOST = 24, WAITING = 99 };

/* A fiber that makes one select inside a scope of its own. */
struct chooser {
    weft_case cases[MOST];
    size_t n;
    unsigned flags;
    int index; /* WAITING: it has not returned */
    int next;  /* of the cancel point after it */
    int turn;
    int item[2];
    weft_time at;
    weft_scope scope;
};

static int turns;

static int chooses(void *arg)
{
    struct chooser *ch = arg;
    open_scope(&ch->scope);
    ch->index = weft_select(ch->cases, ch->n, ch->flags);
    ch->at = weft_now();
    ch->turn = ++turns;
    ch->next = weft_checkpoint();
    return weft_scope_end(&ch->scope, 0);
}

static void add(struct chooser *ch, weft_case c)
{
    CHECK(ch->n < MOST);
    ch->cases[ch->n++] = c;
}

#define ADD_RECV(ch, chan, to)   add(ch, (weft_case)WEFT_CASE_RECV(chan, to))
#define ADD_SEND(ch, chan, from) add(ch, (weft_case)WEFT_CASE_SEND(chan, from))
#define ADD_AT(ch, moment)       add(ch, (weft_case)WEFT_CASE_AT(moment))
#define ADD_EVENT(ch, event)     add(ch, (weft_case)WEFT_CASE_EVENT(event))
#define ADD_TASK(ch, task)       add(ch, (weft_case)WEFT_CASE_TASK(task))

/* Has it wait: nothing of what it wants is there. */
static void start(weft_nursery *n, struct chooser *ch)
{
    ch->index = WAITING;
    CHECK_EQ(weft_spawn(n, chooses, ch), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ch->index, WAITING);
}

static weft_chan *ints(size_t cap)
{
    weft_chan *c = weft_chan_new(sizeof(int), cap, NULL, 0);
    CHECK(c != NULL);
    return c;
}

static weft_chan *ints_inside(size_t cap)
{
    weft_chan *c = ints(cap);
    for (int i = 0; i < (int)cap; i++)
        CHECK_EQ(weft_chan_trysend(c, &i), 0);
    return c;
}

/* Nobody stands in line at a channel without capacity. */
static void check_nobody_at(weft_chan *c)
{
    int item = 77;
    CHECK_EQ(weft_chan_trysend(c, &item), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(c, &item), -EAGAIN);
    CHECK_EQ(item, 77);
}

static void check_nobody_waits_for(const weft_event *e)
{
    CHECK_PTR(e->waiters_.head_, NULL);
    CHECK_PTR(e->waiters_.tail_, NULL);
}

/* --- by the book --- */

TEST(sel_01_the_one_of_two_channels_that_is_ready)
{
    for (int k = 0; k < 10; k++) {
        weft_chan *empty = ints(1), *full = ints_inside(1);
        int a = -1, b = -1;
        weft_case c[] = {WEFT_CASE_RECV(empty, &a), WEFT_CASE_RECV(full, &b)};
        CHECK_EQ(weft_select(c, 2, 0), 1);
        CHECK_EQ(c[1].result, 1);
        CHECK_EQ(b, 0);
        CHECK_EQ(a, -1);
        CHECK_EQ(weft_chan_length(full), 0);
        weft_chan_free(empty);
        weft_chan_free(full);
    }
}

TEST(sel_01_a_moment_alone_is_waited_for)
{
    weft_time start_at = weft_now();
    weft_case c[] = {WEFT_CASE_AFTER(WEFT_SEC(3))};
    CHECK_EQ(weft_select(c, 1, 0), 0);
    CHECK_EQ(c[0].result, 0);
    CHECK_EQ(weft_now(), start_at + WEFT_SEC(3));
}

TEST(sel_01_nothing_to_wait_for_is_an_error)
{
    CHECK_EQ(weft_select(NULL, 0, 0), -EINVAL);
    CHECK_EQ(weft_select(NULL, 0, WEFT_SELECT_NOWAIT), -EINVAL);
}

TEST(sel_02_one_item_is_taken_when_both_become_ready_before_it_runs)
{
    weft_nursery n;
    weft_chan *a = ints(1), *b = ints(1);
    struct chooser ch = {0};
    int item = 5;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&ch, a, &ch.item[0]);
    ADD_RECV(&ch, b, &ch.item[1]);
    start(&n, &ch);
    CHECK_EQ(weft_chan_trysend(b, &item), 0);
    item = 6;
    CHECK_EQ(weft_chan_trysend(a, &item), 0);
    CHECK_EQ(weft_chan_length(a), 1);
    CHECK_EQ(weft_chan_length(b), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    CHECK_EQ(ch.cases[1].result, 1);
    CHECK_EQ(ch.item[0], 0);
    CHECK_EQ(ch.item[1], 5);
    CHECK_EQ(weft_chan_tryrecv(a, &item), 1);
    CHECK_EQ(item, 6);
    weft_chan_free(a);
    weft_chan_free(b);
}

TEST(sel_03_a_cancelled_select_stands_nowhere)
{
    weft_nursery n;
    weft_chan *a = ints(0), *b = ints(0);
    weft_event e = WEFT_EVENT_INIT;
    weft_task t;
    weft_spawn_opts o = {.task = &t};
    struct chooser ch = {0};
    weft_time before = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, waits_for_ever, NULL, &o), 0);
    ADD_RECV(&ch, a, &ch.item[0]);
    ADD_SEND(&ch, b, &ch.item[1]);
    ADD_EVENT(&ch, &e);
    ADD_TASK(&ch, &t);
    ADD_AT(&ch, weft_after(WEFT_SEC(1)));
    start(&n, &ch);
    weft_scope_cancel(&ch.scope, 0, NULL);
    check_nobody_at(a); /* before it runs */
    check_nobody_at(b);
    check_nobody_waits_for(&e);
    CHECK_PTR(t.waiters_.head_, NULL);
    weft_event_set(&e);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ch.index, -ECANCELED);
    weft_task_cancel(&t, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_now(), before + WEFT_MSEC(1)); /* and no timer */
    weft_chan_free(a);
    weft_chan_free(b);
}

static void check_closed_while_parked(void (*end)(weft_chan *c), int receiver,
                                      int sender)
{
    weft_nursery n;
    weft_chan *r = ints(1), *s = ints_inside(1), *other = ints(0);
    struct chooser to_recv = {0}, to_send = {0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&to_recv, other, &to_recv.item[0]);
    ADD_RECV(&to_recv, r, &to_recv.item[1]);
    ADD_SEND(&to_send, s, &to_send.item[0]);
    ADD_SEND(&to_send, other, &to_send.item[1]);
    start(&n, &to_recv);
    to_send.cases[1].on = WEFT_ON_OFF; /* they would meet */
    start(&n, &to_send);
    end(r);
    end(s);
    check_nobody_at(other);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(to_recv.index, 1);
    CHECK_EQ(to_recv.cases[1].result, receiver);
    CHECK_EQ(to_send.index, 0);
    CHECK_EQ(to_send.cases[0].result, sender);
    weft_chan_free(other);
    if (end == weft_chan_free) return;
    weft_chan_free(r);
    weft_chan_free(s);
}

TEST(sel_05_a_channel_closed_while_parked_happens)
{
    check_closed_while_parked(weft_chan_close, 0, -EPIPE);
}

TEST(sel_05_a_channel_aborted_while_parked_happens)
{
    check_closed_while_parked(weft_chan_abort, -EPIPE, -EPIPE);
}

TEST(sel_05_a_channel_freed_while_parked_happens)
{
    check_closed_while_parked(weft_chan_free, -EPIPE, -EPIPE);
}

TEST(sel_06_one_channel_twice_and_a_moment)
{
    weft_chan *c = ints(0);
    weft_time before = weft_now();
    int a = -1, b = -1;
    weft_case cases[] = {WEFT_CASE_RECV(c, &a), WEFT_CASE_RECV(c, &b),
                         WEFT_CASE_AFTER(WEFT_MSEC(5))};
    CHECK_EQ(weft_select(cases, 3, 0), 2);
    CHECK_EQ(weft_now(), before + WEFT_MSEC(5));
    check_nobody_at(c);
    CHECK_EQ(a, -1);
    CHECK_EQ(b, -1);
    weft_chan_free(c);
}

TEST(sel_07_two_that_are_always_ready_take_turns)
{
    weft_chan *a = ints_inside(40), *b = ints_inside(40);
    int item, count[2] = {0, 0};
    weft_case c[] = {WEFT_CASE_RECV(a, &item), WEFT_CASE_RECV(b, &item)};
    for (int i = 0; i < 20; i++) {
        int at = weft_select(c, 2, 0);
        CHECK(at == 0 || at == 1);
        count[at]++;
    }
    CHECK(count[0] >= 8 && count[1] >= 8);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), 0);
    weft_chan_free(a);
    weft_chan_free(b);
}

TEST(sel_10_without_waiting_there_may_be_nothing)
{
    weft_chan *c = ints(0);
    weft_event e = WEFT_EVENT_INIT;
    int item = 3;
    weft_case cases[] = {WEFT_CASE_RECV(c, &item), WEFT_CASE_SEND(c, &item),
                         WEFT_CASE_EVENT(&e), WEFT_CASE_AFTER(1)};
    weft_time before = weft_now();
    CHECK_EQ(weft_select(cases, 4, WEFT_SELECT_NOWAIT), -EAGAIN);
    check_nobody_at(c);
    check_nobody_waits_for(&e);
    CHECK_EQ(weft_now(), before);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_select(cases, 4, WEFT_SELECT_NOWAIT), 3);
    weft_chan_free(c);
}

TEST(sel_10_cases_that_are_all_off_are_none)
{
    weft_case c[3] = {{.on = WEFT_ON_OFF}};
    CHECK_EQ(weft_select(c, 3, 0), -EINVAL);
    CHECK_EQ(weft_select(c, 3, WEFT_SELECT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_select(c, 3, WEFT_SELECT_ORDERED), -EINVAL);
}

/* --- fairness --- */

TEST(ordered_takes_the_first_that_is_ready)
{
    weft_chan *empty = ints(1), *full = ints_inside(30);
    weft_event e = WEFT_EVENT_INIT;
    int item;
    weft_event_set(&e);
    weft_case c[] = {{.on = WEFT_ON_OFF},
                     WEFT_CASE_RECV(empty, &item),
                     WEFT_CASE_RECV(full, &item),
                     WEFT_CASE_EVENT(&e),
                     WEFT_CASE_AFTER(0)};
    for (int i = 0; i < 30; i++)
        CHECK_EQ(weft_select(c, 5, WEFT_SELECT_ORDERED), 2);
    CHECK_EQ(weft_select(c, 5, WEFT_SELECT_ORDERED), 3);
    weft_event_clear(&e);
    CHECK_EQ(weft_select(c, 5, WEFT_SELECT_ORDERED), 4);
    weft_chan_free(empty);
    weft_chan_free(full);
}

/* Counts what each of n cases gets out of `times` selects. */
static void count_choices(weft_case *c, size_t n, int times, int *count)
{
    for (int i = 0; i < times; i++) {
        int at = weft_select(c, n, 0);
        CHECK(at >= 0 && at < (int)n);
        count[at]++;
    }
}

TEST(cases_that_are_off_give_no_weight_to_their_neighbours)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    weft_case c[8] = {0};
    int count[8] = {0};
    c[2] = c[6] = c[7] = (weft_case)WEFT_CASE_EVENT(&e);
    count_choices(c, 8, 300, count);
    CHECK_EQ(count[2] + count[6] + count[7], 300);
    CHECK(count[2] > 95 && count[6] > 95 && count[7] > 95);
}

TEST(every_number_of_cases_is_dealt_with_evenly)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    for (size_t n = 1; n <= 40; n++) {
        weft_case c[40];
        int count[40] = {0};
        for (size_t i = 0; i < n; i++)
            c[i] = (weft_case)WEFT_CASE_EVENT(&e);
        count_choices(c, n, (int)n * 20, count);
        for (size_t i = 0; i < n; i++)
            CHECK(count[i] >= 15);
    }
}

TEST(selects_in_one_loop_do_not_take_each_others_turns)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    weft_case c[3];
    for (int i = 0; i < 3; i++)
        c[i] = (weft_case)WEFT_CASE_EVENT(&e);
    for (int together = 2; together <= 6; together++) {
        int count[6][3] = {{0}};
        for (int i = 0; i < 60; i++)
            for (int k = 0; k < together; k++)
                count_choices(c, k % 2 ? 3 : 2, 1, count[k]);
        for (int k = 0; k < together; k++) {
            CHECK(count[k][0] >= 15 && count[k][1] >= 15);
            CHECK(k % 2 == 0 || count[k][2] >= 15);
        }
    }
}

static int prefers_none(void *arg)
{
    weft_event *e = arg;
    weft_case c[] = {WEFT_CASE_EVENT(e), WEFT_CASE_EVENT(e)};
    int count[2] = {0};
    for (int i = 0; i < 50; i++) {
        count_choices(c, 2, 1, count);
        if (weft_yield() < 0) return -ECANCELED;
    }
    CHECK(count[0] >= 10 && count[1] >= 10); /* by chance it is 25 */
    return 0;
}

TEST(fibers_that_alternate_do_not_take_each_others_turns)
{
    for (int fibers = 2; fibers <= 5; fibers++) {
        weft_nursery n;
        weft_event e = WEFT_EVENT_INIT;
        weft_event_set(&e);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int i = 0; i < fibers; i++)
            CHECK_EQ(weft_spawn(&n, prefers_none, &e), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

static int longest_run;

static int counts_its_longest_run(void *arg)
{
    weft_event *e = arg;
    weft_case c[] = {WEFT_CASE_EVENT(e), WEFT_CASE_EVENT(e)};
    int before = WAITING, run = 0;
    for (int i = 0; i < 100; i++) {
        int at = weft_select(c, 2, 0);
        run = at == before ? run + 1 : 1;
        if (run > longest_run) longest_run = run;
        before = at;
        if (weft_yield() < 0) return -ECANCELED;
    }
    return 0;
}

/* 610 steps by the golden ratio are a whole number but for a thousandth. */
TEST(of_many_fibers_that_take_turns_none_gets_the_same_for_long)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 610; i++)
        CHECK_EQ(weft_spawn(&n, counts_its_longest_run, &e), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(longest_run <= 40);
}

TEST(a_moment_that_has_come_is_not_starved_by_a_full_channel)
{
    weft_chan *full = ints_inside(10);
    int item, i = 0;
    weft_case c[] = {WEFT_CASE_RECV(full, &item), WEFT_CASE_AFTER(0)};
    while (weft_select(c, 2, 0) == 0)
        CHECK(++i < 10);
    weft_chan_free(full);
}

static int sets_it(void *event)
{
    weft_event_set(event);
    return 0;
}

TEST(a_select_that_never_waits_gives_way)
{
    weft_nursery n;
    weft_event always = WEFT_EVENT_INIT, other = WEFT_EVENT_INIT;
    weft_event_set(&always);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, sets_it, &other), 0);
    weft_case c[] = {WEFT_CASE_EVENT(&always), WEFT_CASE_EVENT(&other)};
    int i = 0;
    while (weft_select(c, 2, 0) == 0)
        CHECK(++i < 1000);
    c[0].on = WEFT_ON_OFF;
    weft_event_clear(&other);
    CHECK_EQ(weft_spawn(&n, sets_it, &other), 0);
    for (i = 0; weft_select(c, 2, WEFT_SELECT_NOWAIT) == -EAGAIN; i++)
        CHECK(i < 1000);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* --- channels --- */

TEST(sending_goes_where_there_is_a_place)
{
    weft_chan *full = ints_inside(1), *room = ints(1);
    int a = 7, b = 8, got;
    weft_case c[] = {WEFT_CASE_SEND(full, &a), WEFT_CASE_SEND(room, &b)};
    CHECK_EQ(weft_select(c, 2, 0), 1);
    CHECK_EQ(c[1].result, 0);
    CHECK_EQ(weft_chan_tryrecv(room, &got), 1);
    CHECK_EQ(got, 8);
    CHECK_EQ(weft_chan_length(full), 1);
    weft_chan_free(full);
    weft_chan_free(room);
}

TEST(a_parked_send_happens_once)
{
    weft_nursery n;
    weft_chan *a = ints_inside(1), *b = ints_inside(1);
    struct chooser ch = {.item = {100, 200}};
    int got;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_SEND(&ch, a, &ch.item[0]);
    ADD_SEND(&ch, b, &ch.item[1]);
    start(&n, &ch);
    CHECK_EQ(weft_chan_tryrecv(b, &got), 1);
    CHECK_EQ(weft_chan_tryrecv(a, &got), 1);
    CHECK_EQ(weft_chan_length(b), 1); /* it is inside */
    CHECK_EQ(weft_chan_length(a), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    CHECK_EQ(ch.cases[1].result, 0);
    CHECK_EQ(weft_chan_tryrecv(b, &got), 1);
    CHECK_EQ(got, 200);
    weft_chan_free(a);
    weft_chan_free(b);
}

TEST(what_is_closed_already_happens_at_once)
{
    weft_chan *c = ints_inside(1);
    int item = -1;
    weft_chan_close(c);
    weft_case recv[] = {WEFT_CASE_RECV(c, &item)};
    weft_case send[] = {WEFT_CASE_SEND(c, &item)};
    CHECK_EQ(weft_select(send, 1, 0), 0);
    CHECK_EQ(send[0].result, -EPIPE);
    CHECK_EQ(weft_select(recv, 1, 0), 0);
    CHECK_EQ(recv[0].result, 1);
    CHECK_EQ(item, 0);
    CHECK_EQ(weft_select(recv, 1, WEFT_SELECT_NOWAIT), 0);
    CHECK_EQ(recv[0].result, 0);
    weft_chan_abort(c);
    CHECK_EQ(weft_select(recv, 1, 0), 0);
    CHECK_EQ(recv[0].result, -EPIPE);
    weft_chan_free(c);
}

TEST(a_handle_that_is_done_sends_no_more_in_a_select)
{
    weft_chan *c = ints(1), *clone = weft_chan_sender(c);
    int item = 1;
    CHECK(clone != NULL);
    weft_chan_sender_done(c);
    weft_case cases[] = {WEFT_CASE_SEND(c, &item)};
    CHECK_EQ(weft_select(cases, 1, 0), 0);
    CHECK_EQ(cases[0].result, -EPIPE);
    cases[0].object = clone;
    CHECK_EQ(weft_select(cases, 1, 0), 0);
    CHECK_EQ(cases[0].result, 0);
    weft_chan_sender_done(clone);
    weft_chan_free(c);
}

static int sends_five(void *chan)
{
    int item = 5;
    return weft_chan_send(chan, &item);
}

static int receives_one(void *arg)
{
    struct chooser *ch = arg; /* for its members */
    ch->index = weft_chan_recv(ch->cases[0].object, &ch->item[0]);
    ch->turn = ++turns;
    return ch->index < 0 ? ch->index : 0;
}

TEST(a_fibers_own_send_and_receive_do_not_meet)
{
    weft_nursery n;
    weft_chan *c = ints(0);
    struct chooser ch = {.item = {0, 9}};
    int got = 0;
    ADD_RECV(&ch, c, &ch.item[0]);
    ADD_SEND(&ch, c, &ch.item[1]);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_select(ch.cases, 2, WEFT_SELECT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ch.index, WAITING);
    CHECK_EQ(weft_chan_tryrecv(c, &got), 1); /* meets its send */
    CHECK_EQ(got, 9);
    check_nobody_at(c);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ch.index, 1);

    start(&n, &ch);
    got = 4;
    CHECK_EQ(weft_chan_trysend(c, &got), 0); /* meets its receive */
    check_nobody_at(c);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ch.index, 0);
    CHECK_EQ(ch.item[0], 4);

    start(&n, &ch);
    CHECK_EQ(weft_spawn(&n, sends_five, c), 0); /* one that would wait */
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(ch.index, 0);
    CHECK_EQ(ch.item[0], 5);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_chan_free(c);
}

TEST(two_selects_that_send_and_receive_meet)
{
    weft_nursery n;
    weft_chan *c = ints(0);
    struct chooser one = {.item = {0, 10}}, two = {.item = {0, 20}};
    ADD_RECV(&one, c, &one.item[0]);
    ADD_SEND(&one, c, &one.item[1]);
    ADD_SEND(&two, c, &two.item[1]);
    ADD_RECV(&two, c, &two.item[0]);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &one);
    two.index = weft_select(two.cases, 2, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    if (one.index == 0) {
        CHECK_EQ(two.index, 0); /* sent */
        CHECK_EQ(one.item[0], 20);
    } else {
        CHECK_EQ(one.index, 1);
        CHECK_EQ(two.index, 1);
        CHECK_EQ(two.item[0], 10);
    }
    check_nobody_at(c);
    weft_chan_free(c);
}

TEST(closing_a_channel_that_one_sends_to_and_receives_from_happens_once)
{
    for (int k = 0; k < 2; k++) {
        weft_nursery n;
        weft_chan *c = ints(0);
        struct chooser ch = {0};
        ADD_RECV(&ch, c, &ch.item[0]);
        ADD_SEND(&ch, c, &ch.item[1]);
        ADD_RECV(&ch, c, &ch.item[0]);
        ADD_SEND(&ch, c, &ch.item[1]);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, &ch);
        (k ? weft_chan_close : weft_chan_abort)(c);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK(ch.index >= 0 && ch.index < 4);
        CHECK_EQ(ch.cases[ch.index].result,
                 k && ch.index % 2 == 0 ? 0 : -EPIPE);
        weft_chan_free(c);
    }
}

TEST(one_channel_in_all_cases_is_one_place_to_each_item)
{
    weft_nursery n;
    weft_chan *c = ints(0);
    struct chooser ch = {0};
    int to[20], item = 3;
    memset(to, 0, sizeof to);
    for (int i = 0; i < 20; i++)
        ADD_RECV(&ch, c, &to[i]);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    CHECK_EQ(weft_chan_trysend(c, &item), 0);
    CHECK_EQ(weft_chan_trysend(c, &item), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(to[i], i == ch.index ? 3 : 0);
    weft_chan_free(c);
}

TEST(an_item_goes_to_the_oldest_whether_it_selects_or_not)
{
    weft_nursery n;
    weft_chan *c = ints(1), *other = ints(1);
    struct chooser first = {0}, second = {0}, third = {0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&first, c, NULL);
    ADD_RECV(&second, other, &second.item[1]);
    ADD_RECV(&second, c, &second.item[0]);
    ADD_RECV(&third, c, NULL);
    first.index = third.index = WAITING;
    CHECK_EQ(weft_spawn(&n, receives_one, &first), 0);
    CHECK_EQ(weft_yield(), 0);
    start(&n, &second);
    CHECK_EQ(weft_spawn(&n, receives_one, &third), 0);
    CHECK_EQ(weft_yield(), 0);
    for (int i = 1; i <= 3; i++)
        CHECK_EQ(weft_chan_trysend(c, &i), 0);
    CHECK_EQ(weft_chan_length(c), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(first.item[0], 1);
    CHECK_EQ(second.item[0], 2);
    CHECK_EQ(second.index, 1);
    CHECK_EQ(third.item[0], 3);
    weft_chan_free(c);
    weft_chan_free(other);
}

TEST(who_was_behind_a_select_that_left_moves_up)
{
    weft_nursery n;
    weft_chan *c = ints(0);
    weft_event e = WEFT_EVENT_INIT;
    struct chooser ch = {0}, behind = {.index = WAITING};
    int item = 6;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&ch, c, &ch.item[0]);
    ADD_EVENT(&ch, &e);
    ADD_RECV(&behind, c, NULL);
    start(&n, &ch);
    CHECK_EQ(weft_spawn(&n, receives_one, &behind), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_event_set(&e);
    CHECK_EQ(weft_chan_trysend(c, &item), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    CHECK_EQ(behind.item[0], 6);
    weft_chan_free(c);
}

TEST(items_of_no_octets_are_selected_too)
{
    weft_nursery n;
    weft_chan *c = weft_chan_new(0, 0, NULL, 0);
    struct chooser ch = {0};
    CHECK(c != NULL);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&ch, c, NULL);
    start(&n, &ch);
    weft_case send = WEFT_CASE_SEND(c, NULL);
    CHECK_EQ(weft_select(&send, 1, WEFT_SELECT_NOWAIT), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 0);
    CHECK_EQ(ch.cases[0].result, 1);
    weft_chan_free(c);
}

struct kibibyte {
    unsigned char octets[1024];
};

static int selects_to_receive(void *arg)
{
    struct kibibyte got[2];
    memset(got, 0, sizeof got);
    weft_case c[] = {WEFT_CASE_RECV(arg, &got[0])};
    for (int i = 0; i < 5; i++) {
        int at = weft_select(c, 1, 0);
        if (at < 0) return at;
        for (size_t k = 0; k < sizeof got[0]; k++)
            CHECK_EQ(got[0].octets[k], i + 1);
        CHECK_EQ(got[1].octets[0], 0);
    }
    return 0;
}

TEST(a_kibibyte_arrives_whole_whoever_waits)
{
    for (size_t cap = 0; cap <= 4; cap += 2) {
        for (int first = 0; first < 2; first++) {
            weft_nursery n;
            weft_chan *c = weft_chan_new(sizeof(struct kibibyte), cap, NULL, 0);
            struct kibibyte item;
            CHECK(c != NULL);
            CHECK_EQ(weft_nursery_open(&n, NULL), 0);
            CHECK_EQ(weft_spawn(&n, selects_to_receive, c), 0);
            if (first) CHECK_EQ(weft_yield(), 0);
            weft_case send[] = {WEFT_CASE_SEND(c, &item)};
            for (int i = 0; i < 5; i++) {
                memset(&item, i + 1, sizeof item);
                CHECK_EQ(weft_select(send, 1, 0), 0);
                memset(&item, 0xee, sizeof item);
            }
            CHECK_EQ(weft_nursery_close(&n, 0), 0);
            weft_chan_free(c);
        }
    }
}

/* --- ends that meet --- */

TEST(a_grant_is_final_when_a_cancel_follows)
{
    weft_nursery n;
    weft_chan *a = ints(0), *b = ints(0);
    struct chooser ch = {0};
    int item = 4;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&ch, a, &ch.item[0]);
    ADD_RECV(&ch, b, &ch.item[1]);
    start(&n, &ch);
    CHECK_EQ(weft_chan_trysend(b, &item), 0);
    weft_scope_cancel(&ch.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    CHECK_EQ(ch.item[1], 4);
    CHECK_EQ(ch.next, -ECANCELED);
    weft_chan_free(a);
    weft_chan_free(b);
}

TEST(a_cancelled_select_takes_nothing_that_comes_before_it_runs)
{
    weft_nursery n;
    weft_chan *a = ints(1);
    weft_event e = WEFT_EVENT_INIT;
    struct chooser ch = {.item = {-1, -1}};
    int item = 4;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&ch, a, &ch.item[0]);
    ADD_EVENT(&ch, &e);
    start(&n, &ch);
    weft_scope_cancel(&ch.scope, 0, NULL);
    CHECK_EQ(weft_chan_trysend(a, &item), 0);
    weft_event_set(&e);
    CHECK_EQ(weft_chan_length(a), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, -ECANCELED);
    CHECK_EQ(ch.item[0], -1);
    weft_chan_free(a);
}

TEST(a_select_in_a_cancelled_scope_does_nothing)
{
    weft_scope s;
    weft_chan *c = ints_inside(1);
    int item = -1;
    weft_case cases[] = {WEFT_CASE_RECV(c, &item), WEFT_CASE_AFTER(0)};
    open_cancelled_scope(&s);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weft_select(cases, 2, 0), -ECANCELED);
        CHECK_EQ(weft_select(cases, 2, WEFT_SELECT_NOWAIT), -ECANCELED);
        CHECK_EQ(weft_select(cases, 2, WEFT_SELECT_ORDERED), -ECANCELED);
        CHECK_EQ(weft_select(NULL, 0, 0), -ECANCELED);
    }
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK_EQ(item, -1);
    CHECK_EQ(weft_chan_length(c), 1);
    CHECK_EQ(weft_select(cases, 2, WEFT_SELECT_ORDERED), 0);
    weft_chan_free(c);
}

TEST_PLAIN(outside_a_fiber_there_is_no_select)
{
    weft_case c[] = {WEFT_CASE_AT(0)};
    CHECK_EQ(weft_select(c, 1, 0), -EPERM);
    CHECK_EQ(weft_select(c, 1, WEFT_SELECT_NOWAIT), -EPERM);
}

TEST(a_deadline_ends_a_select)
{
    weft_chan *c = ints(0);
    weft_time before = weft_now();
    int item, rc;
    weft_case cases[] = {WEFT_CASE_RECV(c, &item),
                         WEFT_CASE_AFTER(WEFT_SEC(9))};
    WEFT_FAIL_AFTER(rc, WEFT_SEC(2)) {
        rc = weft_select(cases, 2, 0);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now(), before + WEFT_SEC(2));
    check_nobody_at(c);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    CHECK_EQ(weft_now(), before + WEFT_SEC(3));
    weft_chan_free(c);
}

TEST(a_moment_beats_the_deadline_of_the_same_moment)
{
    int rc;
    weft_case cases[] = {WEFT_CASE_AFTER(WEFT_SEC(2))};
    WEFT_FAIL_AFTER(rc, WEFT_SEC(2)) {
        CHECK_EQ(weft_select(cases, 1, 0), 0);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

/* Everything it waited for is gone before it runs. */
TEST(what_did_not_happen_may_be_gone_before_it_runs)
{
    weft_nursery n;
    weft_chan *a = ints(0), *b = ints(0);
    weft_event *e = calloc(1, sizeof *e), *f = calloc(1, sizeof *f);
    struct chooser ch = {0};
    CHECK(e && f);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&ch, a, &ch.item[0]);
    ADD_EVENT(&ch, e);
    ADD_SEND(&ch, b, &ch.item[1]);
    ADD_EVENT(&ch, f);
    start(&n, &ch);
    weft_event_set(e);
    weft_chan_free(a);
    weft_chan_free(b);
    memset(e, 0xee, sizeof *e);
    memset(f, 0xee, sizeof *f);
    free(e);
    free(f);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    CHECK_EQ(ch.cases[1].result, 0);
}

/* --- events --- */

TEST(an_event_that_is_set_and_cleared_has_happened)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT, other = WEFT_EVENT_INIT;
    struct chooser a = {0}, b = {0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_EVENT(&a, &other);
    ADD_EVENT(&a, &e);
    ADD_EVENT(&b, &e);
    ADD_EVENT(&b, &e);
    start(&n, &a);
    start(&n, &b);
    weft_event_set(&e);
    weft_event_clear(&e);
    weft_event_set(&other);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.index, 1);
    CHECK(b.index == 0 || b.index == 1);
    check_nobody_waits_for(&e);
    check_nobody_waits_for(&other);
}

static int waits_for_event(void *arg)
{
    struct chooser *ch = arg;
    ch->index = weft_event_wait(ch->cases[0].object);
    ch->turn = ++turns;
    return 0;
}

TEST_FIFO(an_event_wakes_all_in_line_whether_they_select_or_not)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT, other = WEFT_EVENT_INIT;
    struct chooser ch[5];
    memset(ch, 0, sizeof ch);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 5; i++) {
        ADD_EVENT(&ch[i], &e);
        ADD_EVENT(&ch[i], i % 2 ? &e : &other);
        CHECK_EQ(weft_spawn(&n, i == 2 ? waits_for_event : chooses, &ch[i]), 0);
    }
    CHECK_EQ(weft_yield(), 0);
    turns = 0;
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(ch[i].turn, i + 1);
    check_nobody_waits_for(&other);
}

/* --- tasks --- */

static int sleeps_and_returns(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(*(int *)arg));
    return err < 0 ? err : *(int *)arg;
}

TEST(the_first_task_that_ends_happens_and_can_be_joined)
{
    weft_nursery n;
    weft_task t[3];
    int ms[3] = {30, 10, 20};
    weft_case c[3];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 3; i++) {
        weft_spawn_opts o = {.task = &t[i]};
        CHECK_EQ(weft_spawn_ex(&n, sleeps_and_returns, &ms[i], &o), 0);
        c[i] = (weft_case)WEFT_CASE_TASK(&t[i]);
    }
    const int order[] = {1, 2, 0};
    for (int i = 0; i < 3; i++) {
        weft_outcome out;
        CHECK_EQ(weft_select(c, 3, 0), order[i]);
        CHECK_EQ(c[order[i]].result, 0);
        CHECK_EQ(weft_join(&t[order[i]], &out), 0);
        CHECK_EQ(out.status, WEFT_OK);
        CHECK_EQ(out.rc, ms[order[i]]);
        c[order[i]].on = WEFT_ON_OFF;
    }
    CHECK_EQ(weft_select(c, 3, 0), -EINVAL);
    c[2].on = WEFT_ON_TASK; /* one that has ended */
    CHECK_EQ(weft_select(c, 3, WEFT_SELECT_NOWAIT), 2);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_select(c, 3, 0), 2);
}

static int fails(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(1));
    (void)arg;
    return err < 0 ? err : -EIO;
}

TEST(a_task_that_fails_or_is_cancelled_happens_too)
{
    weft_nursery n;
    const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    weft_task t[2];
    weft_outcome out;
    CHECK_EQ(weft_nursery_open(&n, &collect), 0);
    CHECK_EQ(weft_spawn_ex(&n, fails, NULL, &(weft_spawn_opts){.task = &t[0]}),
             0);
    CHECK_EQ(weft_spawn_ex(&n, waits_for_ever, NULL,
                           &(weft_spawn_opts){.task = &t[1]}),
             0);
    weft_case c[] = {WEFT_CASE_TASK(&t[0]), WEFT_CASE_TASK(&t[1])};
    CHECK_EQ(weft_select(c, 2, 0), 0);
    CHECK_EQ(weft_join(&t[0], &out), 0);
    CHECK_EQ(out.rc, -EIO);
    c[0].on = WEFT_ON_OFF;
    weft_task_cancel(&t[1], 0, NULL);
    CHECK_EQ(weft_select(c, 2, 0), 1);
    CHECK_EQ(weft_join(&t[1], &out), 0);
    CHECK_EQ(out.status, WEFT_CANCELLED);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
}

struct watcher {
    weft_task *task, *other;
    int result;
    weft_outcome out;
};

static int joins(void *arg)
{
    struct watcher *w = arg;
    w->result = weft_join(w->task, &w->out);
    return 0;
}

static int waits(void *arg)
{
    struct watcher *w = arg;
    weft_task *both[] = {w->task, w->other};
    w->result = weft_wait(both, 2, WEFT_FIRST_DONE, WEFT_FOREVER);
    return 0;
}

TEST(one_task_is_joined_waited_for_and_selected_at_once)
{
    weft_nursery n;
    weft_task t, other;
    int ms = 10, more = 20;
    struct watcher w[3];
    struct chooser ch[2];
    memset(ch, 0, sizeof ch);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_spawn_opts o = {.task = &t}, p = {.task = &other};
    CHECK_EQ(weft_spawn_ex(&n, sleeps_and_returns, &ms, &o), 0);
    CHECK_EQ(weft_spawn_ex(&n, sleeps_and_returns, &more, &p), 0);
    for (int i = 0; i < 3; i++) {
        w[i] = (struct watcher){.task = &t, .other = &other};
        CHECK_EQ(weft_spawn(&n, i == 1 ? waits : joins, &w[i]), 0);
        if (i == 2) break;
        ADD_TASK(&ch[i], &t);
        ADD_TASK(&ch[i], &other);
        ADD_TASK(&ch[i], &t);
        start(&n, &ch[i]);
    }
    CHECK_EQ(weft_join(&t, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < 2; i++) {
        CHECK(ch[i].index == 0 || ch[i].index == 2);
        CHECK_EQ(w[2 * i].result, 0);
        CHECK_EQ(w[2 * i].out.rc, 10);
    }
    CHECK_EQ(w[1].result, 1);
    CHECK(!weft_task_done(&other));
    CHECK_PTR(other.waiters_.head_, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static weft_task own;

static int selects_itself(void *arg)
{
    weft_event *ready = arg;
    weft_case c[] = {WEFT_CASE_EVENT(ready), WEFT_CASE_TASK(&own)};
    weft_event_set(ready);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), -EDEADLK);
    CHECK_EQ(c[1].result, -EDEADLK);
    return 0;
}

TEST(a_task_that_cannot_be_waited_for_is_an_error)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    weft_task never = {0};
    weft_spawn_opts o = {.task = &own};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, selects_itself, &e, &o), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_case c[] = {WEFT_CASE_EVENT(&e), WEFT_CASE_TASK(&never)};
    CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), -EINVAL);
    CHECK_EQ(c[1].result, -EINVAL);
    c[1].on = (weft_case_kind)77;
    CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), -EINVAL);
    check_nobody_waits_for(&e);
}

static weft_task ancestor;

static int selects_its_grandparent(void *arg)
{
    weft_case c[] = {WEFT_CASE_EVENT(arg), WEFT_CASE_TASK(&ancestor)};
    CHECK_EQ(weft_select(c, 2, 0), -EDEADLK);
    CHECK_EQ(c[1].result, -EDEADLK);
    return 0;
}

static int has_a_child(void *arg)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, selects_its_grandparent, arg), 0);
    return weft_nursery_close(&n, 0);
}

TEST(an_ancestor_cannot_be_waited_for)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, has_a_child, &e,
                           &(weft_spawn_opts){.task = &ancestor}),
             0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int frees_it_in_the_same_turn(void *arg)
{
    weft_nursery n;
    weft_task *t = arg;
    int ms = 2;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, sleeps_and_returns, &ms,
                           &(weft_spawn_opts){.task = t}),
             0);
    int rc = weft_nursery_close(&n, 0);
    memset(t, 0xee, sizeof *t);
    free(t);
    return rc;
}

TEST(a_task_that_ended_may_be_gone_before_the_select_runs)
{
    weft_nursery n;
    weft_task *t = calloc(1, sizeof *t);
    struct chooser ch[2];
    memset(ch, 0, sizeof ch);
    CHECK(t != NULL);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, frees_it_in_the_same_turn, t), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    for (int k = 0; k < 2; k++) {
        ADD_TASK(&ch[k], t);
        ADD_AT(&ch[k], WEFT_FOREVER);
        ADD_TASK(&ch[k], t);
        start(&n, &ch[k]);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int k = 0; k < 2; k++)
        CHECK(ch[k].index == 0 || ch[k].index == 2);
}

/* --- moments --- */

TEST(the_earliest_moment_happens)
{
    weft_time before = weft_now();
    for (unsigned flags = 0; flags <= WEFT_SELECT_ORDERED; flags++) {
        weft_case c[] = {
            WEFT_CASE_AFTER(WEFT_MSEC(9)), WEFT_CASE_AFTER(WEFT_MSEC(3)),
            WEFT_CASE_AT(WEFT_FOREVER), WEFT_CASE_AFTER(WEFT_MSEC(4))};
        CHECK_EQ(weft_select(c, 4, flags), 1);
        CHECK_EQ(weft_select(c, 4, flags), 1); /* it has passed */
        c[1].on = WEFT_ON_OFF;
        CHECK_EQ(weft_select(c, 4, flags), 3);
    }
    CHECK_EQ(weft_now(), before + WEFT_MSEC(8));
    weft_case c[] = {WEFT_CASE_AFTER(1), WEFT_CASE_AFTER(1)};
    CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), 0);
    c[0].at = -5;
    c[1].at = WEFT_FOREVER;
    CHECK_EQ(weft_select(c, 2, 0), 0);
}

TEST(a_moment_leaves_the_other_places)
{
    weft_nursery n;
    weft_chan *c = ints(0), *one = ints(0);
    weft_event e = WEFT_EVENT_INIT;
    struct chooser ch = {0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_RECV(&ch, c, &ch.item[0]);
    ADD_AT(&ch, weft_after(WEFT_MSEC(2)));
    ADD_EVENT(&ch, &e);
    ADD_SEND(&ch, one, &ch.item[1]);
    start(&n, &ch);
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0); /* wakes before it or after */
    check_nobody_at(c);
    check_nobody_at(one);
    check_nobody_waits_for(&e);
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    CHECK_EQ(ch.cases[1].result, 0);
    weft_chan_free(c);
    weft_chan_free(one);
}

TEST(a_moment_that_was_not_waited_for_to_the_end_moves_no_clock)
{
    weft_nursery n;
    weft_time before = weft_now();
    weft_chan *c = ints(0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 5; i++) {
        int item = 0;
        CHECK_EQ(weft_spawn(&n, sends_five, c), 0);
        weft_case cases[] = {WEFT_CASE_AFTER(WEFT_SEC(3600)),
                             WEFT_CASE_RECV(c, &item)};
        CHECK_EQ(weft_select(cases, 2, 0), 1);
        CHECK_EQ(item, 5);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now(), before);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    CHECK_EQ(weft_now(), before + WEFT_SEC(1));
    weft_chan_free(c);
}

static int sets_it_later(void *event)
{
    int err = weft_sleep(WEFT_SEC(2));
    weft_event_set(event);
    return err;
}

TEST(a_moment_that_was_not_waited_for_wakes_no_later_wait)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT, later = WEFT_EVENT_INIT;
    weft_time before = weft_now();
    weft_case c[] = {WEFT_CASE_AFTER(WEFT_SEC(1)), WEFT_CASE_EVENT(&e)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, sets_it, &e), 0);
    CHECK_EQ(weft_select(c, 2, 0), 1);
    CHECK_EQ(weft_spawn(&n, sets_it_later, &later), 0);
    CHECK_EQ(weft_event_wait(&later), 0);
    CHECK_EQ(weft_now(), before + WEFT_SEC(2));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_moment_and_the_deadlines_around_it_come_in_order)
{
    weft_time before = weft_now();
    weft_event e = WEFT_EVENT_INIT;
    int rc;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5)) {
        weft_case c[] = {WEFT_CASE_AFTER(WEFT_MSEC(3)), WEFT_CASE_EVENT(&e)};
        CHECK_EQ(weft_select(c, 2, 0), 0);
        c[0].at = weft_after(WEFT_MSEC(3));
        rc = weft_select(c, 2, 0);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now(), before + WEFT_MSEC(5));
    check_nobody_waits_for(&e);
}

static int sleeps_to(void *arg)
{
    struct chooser *ch = arg;
    ch->index = weft_sleep_until(ch->cases[0].at);
    ch->turn = ++turns;
    return 0;
}

TEST_FIFO(sleepers_wake_in_line_whether_they_select_or_not)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    struct chooser ch[6];
    memset(ch, 0, sizeof ch);
    weft_time at = weft_after(WEFT_MSEC(1));
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 6; i++) {
        ADD_AT(&ch[i], at);
        ADD_EVENT(&ch[i], &e);
        CHECK_EQ(weft_spawn(&n, i % 2 ? sleeps_to : chooses, &ch[i]), 0);
    }
    turns = 0;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(ch[i].turn, i + 1);
        CHECK_EQ(ch[i].index, 0);
    }
    check_nobody_waits_for(&e);
}

TEST(a_select_and_a_sleep_after_it_share_the_timer)
{
    weft_time before = weft_now();
    weft_event e = WEFT_EVENT_INIT;
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(60)) {
        for (int i = 0; i < 10; i++) {
            weft_case c[] = {WEFT_CASE_EVENT(&e),
                             WEFT_CASE_AFTER(WEFT_MSEC(1 + i % 3))};
            CHECK_EQ(weft_select(c, 2, 0), 1);
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        }
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now(), before + WEFT_MSEC(10 + 19));
}

/* --- many --- */

TEST(any_of_a_thousand_cases_may_happen)
{
    enum { MANY = 1000 };
    weft_nursery n;
    static weft_event events[MANY];
    weft_case *c = calloc(MANY, sizeof *c);
    CHECK(c != NULL);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (size_t i = 0; i < MANY; i++)
        c[i] = (weft_case)WEFT_CASE_EVENT(&events[i]);
    for (size_t i = 0; i < MANY; i += 37) {
        CHECK_EQ(weft_spawn(&n, sets_it, &events[i]), 0);
        CHECK_EQ(weft_select(c, MANY, 0), (int)i);
        weft_event_clear(&events[i]);
        for (size_t k = 0; k < MANY; k++)
            check_nobody_waits_for(&events[k]);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    free(c);
}

TEST(around_the_number_that_needs_memory_nothing_changes)
{
    for (size_t on = 14; on <= 18; on++) {
        for (size_t off = 0; off <= 3; off++) {
            weft_nursery n;
            weft_event events[MOST];
            struct chooser ch = {0};
            memset(events, 0, sizeof events);
            CHECK_EQ(weft_nursery_open(&n, NULL), 0);
            for (size_t i = 0; i < on; i++)
                ADD_EVENT(&ch, &events[i]);
            for (size_t i = 0; i < off; i++)
                add(&ch, (weft_case){0});
            ADD_AT(&ch, weft_after(WEFT_SEC(1)));
            start(&n, &ch);
            weft_event_set(&events[on - 1]);
            CHECK_EQ(weft_nursery_close(&n, 0), 0);
            CHECK_EQ(ch.index, (int)on - 1);
            for (size_t i = 0; i < on; i++)
                check_nobody_waits_for(&events[i]);
        }
    }
}

enum { RING = 10, ROUNDS = 40 };

static struct {
    weft_chan *chan[RING];
    int sent, received;
    int seen[RING * ROUNDS];
} ring;

/* Sends its items to the next, and takes what the one before sends. */
static int passes_on(void *arg)
{
    int me = *(int *)arg, out = me * ROUNDS, in = -1, got = 0;
    int last = (me + 1) * ROUNDS;
    weft_case c[] = {WEFT_CASE_SEND(ring.chan[me], &out),
                     WEFT_CASE_RECV(ring.chan[(me + RING - 1) % RING], &in)};
    while (out < last || got < ROUNDS) {
        int at = weft_select(c, 2, 0);
        if (at < 0) return at;
        if (at == 0) {
            CHECK_EQ(c[0].result, 0);
            ring.sent++;
            if (++out == last) c[0].on = WEFT_ON_OFF;
        } else {
            CHECK_EQ(c[1].result, 1);
            CHECK(in >= 0 && in < RING * ROUNDS);
            ring.seen[in]++;
            ring.received++;
            got++;
        }
        if (got == ROUNDS) c[1].on = WEFT_ON_OFF;
    }
    return 0;
}

TEST(ten_selects_on_each_others_channels)
{
    for (size_t cap = 0; cap <= 2; cap++) {
        weft_nursery n;
        int numbers[RING];
        memset(&ring, 0, sizeof ring);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int i = 0; i < RING; i++)
            ring.chan[i] = ints(cap);
        for (int i = 0; i < RING; i++) {
            numbers[i] = i;
            CHECK_EQ(weft_spawn(&n, passes_on, &numbers[i]), 0);
        }
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(ring.sent, RING * ROUNDS);
        CHECK_EQ(ring.received, RING * ROUNDS);
        for (int i = 0; i < RING * ROUNDS; i++)
            CHECK_EQ(ring.seen[i], 1);
        for (int i = 0; i < RING; i++)
            weft_chan_free(ring.chan[i]);
    }
}

/* All of them send and receive on one channel: they pair up. */
static int trades(void *arg)
{
    int me = *(int *)arg, in = -1;
    weft_case c[] = {WEFT_CASE_SEND(ring.chan[0], &me),
                     WEFT_CASE_RECV(ring.chan[0], &in)};
    int at = weft_select(c, 2, 0);
    if (at < 0) return at;
    if (at == 0) ring.sent++;
    if (at == 1) {
        CHECK(in != me);
        ring.received++;
    }
    return 0;
}

TEST(selects_that_all_send_and_receive_on_one_channel_pair_up)
{
    weft_nursery n;
    int numbers[20];
    memset(&ring, 0, sizeof ring);
    ring.chan[0] = ints(0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 20; i++) {
        numbers[i] = i;
        CHECK_EQ(weft_spawn(&n, trades, &numbers[i]), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ring.sent, 10);
    CHECK_EQ(ring.received, 10);
    check_nobody_at(ring.chan[0]);
    weft_chan_free(ring.chan[0]);
}

/* --- in the dump --- */

TEST(the_dump_says_of_how_many_it_selects)
{
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    struct chooser ch = {0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    ADD_EVENT(&ch, &e);
    add(&ch, (weft_case){0});
    ADD_EVENT(&ch, &e);
    ADD_AT(&ch, WEFT_FOREVER);
    start(&n, &ch);
    CHECK(strstr(dump(), " in select of 3") != NULL);
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}
