/* SPDX-License-Identifier: MIT */
/* test_remote.c - messages from other threads into a scheduler. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>
#include <string.h>

#include "runtime/remote.h"
#include "open.h"
#include "threads.h"

enum { SENDERS = 4 };

static int per_sender(void)
{
    return test_is_slow() ? 5000 : 100000;
}

/* --- numbered messages --- */

struct crowd {
    struct wf_inbox *to;
    weft_event all_there;
    int next[SENDERS]; /* to come from each of them */
    int left;
};

struct numbered {
    struct wf_message message;
    struct crowd *crowd;
    int sender, number;
};

struct sender {
    pthread_t thread;
    struct wf_inbox *to;
    struct numbered *messages;
    int count;
};

static void count_in_order(struct wf_message *m)
{
    struct numbered *n = (struct numbered *)(void *)m;
    struct crowd *c = n->crowd;
    CHECK_EQ(n->number, c->next[n->sender]);
    c->next[n->sender]++;
    memset(n, 0x5a, sizeof *n); /* it is ours */
    if (--c->left == 0) weft_event_set(&c->all_there);
}

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < s->count; i++)
        CHECK(wf_inbox_put(s->to, &s->messages[i].message));
    wf_inbox_unref(s->to);
    return NULL;
}

static void start_sender(struct sender *s, struct crowd *c, int id, int count)
{
    *s = (struct sender){.to = wf_inbox_ref(wf_inbox_here()), .count = count};
    s->messages = calloc((size_t)count, sizeof *s->messages);
    CHECK(s->messages != NULL);
    for (int i = 0; i < count; i++)
        s->messages[i] =
            (struct numbered){{.deliver = count_in_order}, c, id, i};
    c->left += count;
    s->thread = start_thread(send_all, s);
}

static void join_sender(struct sender *s)
{
    join_thread(s->thread);
    free(s->messages);
}

TEST_REAL(xth_04_what_four_threads_send_arrives_once_and_in_their_order)
{
    struct crowd c = {.left = 0};
    struct sender s[SENDERS];
    for (int i = 0; i < SENDERS; i++)
        start_sender(&s[i], &c, i, per_sender());
    CHECK_EQ(weft_event_wait(&c.all_there), 0);
    for (int i = 0; i < SENDERS; i++) {
        join_sender(&s[i]);
        CHECK_EQ(c.next[i], per_sender());
    }
}

TEST(xth_05_a_run_that_is_awake_is_not_woken)
{
    struct crowd c = {.left = 0};
    struct sender s;
    weft_stats before = stats_now();
    start_sender(&s, &c, 0, 1000);
    join_thread(s.thread);
    CHECK_EQ(c.left, 1000);
    CHECK_EQ(weft_event_wait(&c.all_there), 0);
    weft_stats after = stats_now();
    CHECK_EQ(after.wakeups - before.wakeups, 0);
    CHECK_EQ(after.messages - before.messages, 1000);
    free(s.messages);
}

/* --- one at a time, into its sleep --- */

struct one {
    struct wf_message message;
    weft_event *wakes;
    int delivered; /* from thread to thread */
};

static void wake_one(struct wf_message *m)
{
    struct one *o = (struct one *)(void *)m;
    if (o->wakes) weft_event_set(o->wakes);
    say_word(&o->delivered);
}

enum { SINGLE = 1000 };

struct singles {
    struct wf_inbox *to;
    weft_event done;
};

static void *send_one_by_one(void *arg)
{
    struct singles *s = arg;
    for (int i = 0; i < SINGLE; i++) {
        struct one o = {
            {.deliver = wake_one}, i == SINGLE - 1 ? &s->done : NULL, 0};
        CHECK(wf_inbox_put(s->to, &o.message));
        while (!word_is_said(&o.delivered))
            sched_yield();
    }
    wf_inbox_unref(s->to);
    return NULL;
}

TEST_REAL(xth_05_a_thousand_messages_reach_a_run_that_sleeps)
{
    struct singles s = {.to = wf_inbox_ref(wf_inbox_here())};
    weft_stats before = stats_now();
    pthread_t t = start_thread(send_one_by_one, &s);
    CHECK_EQ(weft_event_wait(&s.done), 0);
    weft_stats after = stats_now();
    join_thread(t);
    CHECK_EQ(after.messages - before.messages, SINGLE);
    CHECK(after.wakeups - before.wakeups <= SINGLE);
    CHECK(after.wakeups > before.wakeups);
}

/* --- time --- */

struct late {
    struct wf_inbox *to;
    struct one message;
    weft_event came;
    long after_ms;
};

static void *send_late(void *arg)
{
    struct late *l = arg;
    linger(l->after_ms);
    CHECK(wf_inbox_put(l->to, &l->message.message));
    wf_inbox_unref(l->to);
    return NULL;
}

static pthread_t start_late(struct late *l, long after_ms)
{
    *l = (struct late){.to = wf_inbox_ref(wf_inbox_here()),
                       .after_ms = after_ms};
    l->message = (struct one){{.deliver = wake_one}, &l->came, 0};
    return start_thread(send_late, l);
}

static int sleeps_an_hour(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_SEC(3600));
}

TEST(blk_09_the_virtual_clock_stands_while_a_message_is_expected)
{
    struct late l;
    weft_nursery n;
    weft_time before = weft_now();
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, sleeps_an_hour, NULL), 0);
    wf_inbox_expect(1);
    pthread_t t = start_late(&l, 30);
    CHECK_EQ(weft_event_wait(&l.came), 0);
    wf_inbox_expect(-1);
    CHECK_EQ(weft_now(), before);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now(), before + WEFT_SEC(3600));
    join_thread(t);
}

TEST(the_virtual_clock_does_not_wait_for_what_may_never_come)
{
    struct wf_inbox *to = wf_inbox_ref(wf_inbox_here());
    weft_time before = weft_now();
    CHECK_EQ(weft_sleep(WEFT_SEC(3600)), 0);
    CHECK_EQ(weft_now(), before + WEFT_SEC(3600));
    wf_inbox_unref(to);
}

TEST_REAL(a_message_that_is_there_beats_a_deadline_that_has_passed)
{
    struct late l;
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(1), WEFT_FAIL), 0);
    pthread_t t = start_late(&l, 5);
    join_thread(t); /* both are there by now */
    CHECK_EQ(weft_scope_end(&s, weft_event_wait(&l.came)), 0);
    CHECK(!weft_scope_cancel_called(&s) || weft_event_is_set(&l.came));
}

static int waits_for_late(void *arg)
{
    struct late *l = arg;
    pthread_t t = start_late(l, 5);
    int err = weft_event_wait(&l->came);
    join_thread(t);
    return err;
}

TEST_PLAIN(a_run_that_spins_before_it_sleeps_sees_messages_all_the_same)
{
    struct late l;
    weft_run_opts opts = {.spin = WEFT_SEC(8)};
    time_t before = time(NULL);
    CHECK_EQ(weft_run(waits_for_late, &l, &opts), 0);
    CHECK(time(NULL) - before < 7); /* and did not spin on */
    opts.spin = WEFT_USEC(10);
    CHECK_EQ(weft_run(waits_for_late, &l, &opts), 0);
}

/* --- deadlock --- */

TEST(waiting_for_a_message_is_no_deadlock)
{
    struct late l;
    CHECK_EQ(waits_for_late(&l), 0);
}

static void *drops_its_reference(void *arg)
{
    linger(20);
    wf_inbox_unref(arg);
    return NULL;
}

static int waits_for_nothing(void *arg)
{
    weft_event never = WEFT_EVENT_INIT;
    pthread_t *t = arg;
    *t = start_thread(drops_its_reference, wf_inbox_ref(wf_inbox_here()));
    return weft_event_wait(&never);
}

TEST_PLAIN(the_last_reference_given_back_shows_a_deadlock)
{
    pthread_t t;
    CHECK_EQ(weft_run(waits_for_nothing, &t, NULL), -EDEADLK);
    join_thread(t);
}

/* --- references --- */

#ifdef WEFT_DEBUG
static void *puts_without_one(void *arg)
{
    static struct one o = {.message.deliver = wake_one};
    (void)wf_inbox_put(arg, &o.message);
    return NULL;
}

static int lends_its_inbox(void *arg)
{
    (void)arg;
    call_elsewhere(puts_without_one, wf_inbox_here());
    return 0;
}

TEST_DEATH(who_puts_without_a_reference_dies, "refs > 1")
{
    CHECK_EQ(weft_run(lends_its_inbox, NULL, NULL), 0);
}
#endif

/* --- the end --- */

struct leftover {
    struct wf_message message;
    struct wf_inbox *to;
    int delivered;
    bool refused;
};

static void deliver_leftover(struct wf_message *m)
{
    struct leftover *l = (struct leftover *)(void *)m;
    l->delivered++;
    l->refused = !wf_inbox_put(l->to, m);
}

static int puts_and_returns(void *arg)
{
    struct leftover *l = arg;
    l->to = wf_inbox_ref(wf_inbox_here());
    CHECK(wf_inbox_put(l->to, &l->message));
    return 0;
}

TEST_PLAIN(what_is_left_when_the_run_ends_is_delivered_and_no_more_is_taken)
{
    struct leftover l = {.message.deliver = deliver_leftover};
    CHECK_EQ(weft_run(puts_and_returns, &l, NULL), 0);
    CHECK(l.delivered >= 1);
    CHECK(l.refused);
    CHECK(!wf_inbox_put(l.to, &l.message));
    wf_inbox_unref(l.to);
    CHECK(wf_inbox_here() == NULL);
}

TEST(cp_07_a_message_that_sends_itself_for_ever_starves_nobody)
{
    static struct leftover l = {.message.deliver = deliver_leftover};
    CHECK_EQ(puts_and_returns(&l), 0);
    wf_inbox_unref(l.to); /* the run keeps it */
    for (int i = 0; i < 600; i++)
        CHECK_EQ(weft_yield(), 0);
    CHECK(l.delivered >= 2);
}

struct racer {
    struct wf_inbox *to;
    int sent, delivered;
    int started;
};

struct racing {
    struct wf_message message;
    struct racer *racer;
};

static void count_and_free(struct wf_message *m)
{
    struct racing *r = (struct racing *)(void *)m;
    r->racer->delivered++;
    free(r);
}

static void *sends_until_the_end(void *arg)
{
    struct racer *r = arg;
    for (;;) {
        struct racing *m = malloc(sizeof *m);
        CHECK(m != NULL);
        *m = (struct racing){{.deliver = count_and_free}, r};
        if (!wf_inbox_put(r->to, &m->message)) {
            free(m);
            break;
        }
        r->sent++;
        say_word(&r->started);
    }
    wf_inbox_unref(r->to);
    return NULL;
}

struct race {
    pthread_t threads[2];
    struct racer racers[2];
    unsigned naps;
};

static int ends_in_the_middle(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < 2; i++) {
        r->racers[i].to = wf_inbox_ref(wf_inbox_here());
        r->threads[i] = start_thread(sends_until_the_end, &r->racers[i]);
    }
    for (int i = 0; i < 2; i++)
        wait_for_word(&r->racers[i].started);
    for (unsigned i = 0; i < r->naps; i++)
        CHECK_EQ(weft_sleep(WEFT_USEC(1)), 0);
    return 0;
}

TEST_PLAIN(xth_04_no_message_is_lost_or_doubled_when_a_run_ends_meanwhile)
{
    for (unsigned round = 0; round < 20; round++) {
        struct race r = {.naps = round % 3};
        CHECK_EQ(weft_run(ends_in_the_middle, &r, NULL), 0);
        for (int i = 0; i < 2; i++) {
            join_thread(r.threads[i]);
            CHECK_EQ(r.racers[i].delivered, r.racers[i].sent);
        }
    }
}
