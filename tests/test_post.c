/* SPDX-License-Identifier: MIT */
/* test_post.c - functions that other threads have called in a run. */
#include <weft.h>

#include <string.h>

#include "runtime/os.h"
#include "open.h"
#include "threads.h"

enum { POSTERS = 4 };

static int per_poster(void)
{
    return test_is_slow() ? 5000 : 100000;
}

/* --- in order --- */

struct meeting {
    weft_event all;
    long left;
};

struct poster {
    pthread_t thread;
    weft_remote *to;
    struct meeting *meeting;
    long count, posted, seen;
};

static void count_one(void *arg)
{
    struct poster *p = arg;
    CHECK(weft_self() == NULL);
    p->seen++;
    CHECK(p->seen <= __atomic_load_n(&p->posted, __ATOMIC_RELAXED));
    if (--p->meeting->left == 0) weft_event_set(&p->meeting->all);
}

static void *post_all(void *arg)
{
    struct poster *p = arg;
    for (long i = 1; i <= p->count; i++) {
        __atomic_store_n(&p->posted, i, __ATOMIC_RELAXED);
        CHECK_EQ(weft_post(p->to, count_one, p), 0);
    }
    weft_remote_unref(p->to);
    return NULL;
}

TEST_REAL(xth_04_what_four_threads_post_is_called_once)
{
    struct meeting m = {.left = POSTERS * (long)per_poster()};
    struct poster p[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        p[i] = (struct poster){
            .to = weft_remote_new(), .meeting = &m, .count = per_poster()};
        p[i].thread = start_thread(post_all, &p[i]);
    }
    CHECK_EQ(weft_event_wait(&m.all), 0);
    for (int i = 0; i < POSTERS; i++) {
        join_thread(p[i].thread);
        CHECK_EQ(p[i].seen, per_poster());
    }
}

struct step {
    int *next;
    int number;
};

static void take_step(void *arg)
{
    const struct step *s = arg;
    CHECK_EQ(*s->next, s->number);
    ++*s->next;
}

TEST(xth_04_a_thread_s_posts_are_called_first_in_first_out)
{
    weft_remote *here = weft_remote_new();
    struct step steps[100];
    int next = 0;
    for (int i = 0; i < 100; i++) {
        steps[i] = (struct step){&next, i};
        CHECK_EQ(weft_post(here, take_step, &steps[i]), 0);
    }
    CHECK_EQ(next, 0); /* not by the caller */
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(next, 100);
    weft_remote_unref(here);
}

enum { STEPS = 1000 };

/* Of one poster: the numbers that it posts, in their order. */
struct line {
    pthread_t thread;
    weft_remote *to;
    struct meeting *meeting;
    struct step steps[STEPS];
    int next;
};

static void ends_line(void *arg)
{
    struct line *l = arg;
    CHECK_EQ(l->next, STEPS);
    if (--l->meeting->left == 0) weft_event_set(&l->meeting->all);
}

static int posts_a_line(void *arg)
{
    struct line *l = arg;
    for (int i = 0; i < STEPS; i++) {
        l->steps[i] = (struct step){&l->next, i};
        CHECK_EQ(weft_post(l->to, take_step, &l->steps[i]), 0);
    }
    CHECK_EQ(weft_post(l->to, ends_line, l), 0);
    weft_remote_unref(l->to);
    return 0;
}

static void *posts_without_a_run(void *arg)
{
    (void)posts_a_line(arg);
    return NULL;
}

static void *posts_from_a_run(void *arg)
{
    CHECK_EQ(weft_run(posts_a_line, arg, NULL), 0);
    return NULL;
}

TEST_REAL(xth_04_the_posts_of_each_thread_are_called_first_in_first_out)
{
    static struct line l[POSTERS];
    struct meeting m = {.left = POSTERS};
    for (int i = 0; i < POSTERS; i++) {
        l[i].to = weft_remote_new();
        l[i].meeting = &m;
        thread_fn *fn = i % 2 ? posts_from_a_run : posts_without_a_run;
        l[i].thread = start_thread(fn, &l[i]);
    }
    CHECK_EQ(weft_event_wait(&m.all), 0);
    for (int i = 0; i < POSTERS; i++)
        join_thread(l[i].thread);
}

struct burst {
    weft_remote *to;
    weft_event all;
    int called;
};

static void count_burst(void *arg)
{
    struct burst *b = arg;
    if (++b->called == STEPS) weft_event_set(&b->all);
}

static void *posts_a_burst(void *arg)
{
    struct burst *b = arg;
    linger(5); /* it should sleep by then */
    for (int i = 0; i < STEPS; i++)
        CHECK_EQ(weft_post(b->to, count_burst, b), 0);
    weft_remote_unref(b->to);
    return NULL;
}

TEST_REAL(xth_05_a_thousand_posts_at_once_all_reach_a_run_that_sleeps)
{
    struct burst b = {.to = weft_remote_new()};
    weft_stats before = stats_now();
    pthread_t t = start_thread(posts_a_burst, &b);
    CHECK_EQ(weft_event_wait(&b.all), 0);
    weft_stats after = stats_now();
    join_thread(t); /* nothing has held it up */
    CHECK_EQ(b.called, STEPS);
    CHECK_EQ(after.messages - before.messages, STEPS);
    CHECK(after.wakeups - before.wakeups <= STEPS);
}

/* --- what it may do --- */

static int counts(void *arg)
{
    ++*(int *)arg;
    return 0;
}

struct doings {
    weft_nursery nursery;
    weft_sem sem;
    weft_event event;
    weft_chan *chan;
    weft_scope scope;
    int ran, done;
};

static void does_all(void *arg)
{
    struct doings *d = arg;
    char c = 'x';
    CHECK_EQ(weft_sleep(1), -EPERM);
    CHECK_EQ(weft_yield(), -EPERM);
    CHECK_EQ(weft_spawn(&d->nursery, counts, &d->ran), 0);
    CHECK_EQ(weft_background(counts, &d->ran, NULL), 0);
    CHECK_EQ(weft_sem_release(&d->sem, 1), 0);
    CHECK_EQ(weft_chan_trysend(d->chan, &c), 0);
    weft_event_set(&d->event);
    weft_scope_cancel(&d->scope, -EIO, "posted");
    d->done = 1;
}

static void *posts_does_all(void *arg)
{
    struct doings *d = ((void **)arg)[0];
    weft_remote *to = ((void **)arg)[1];
    CHECK_EQ(weft_post(to, does_all, d), 0);
    weft_remote_unref(to);
    return NULL;
}

static int acquires(void *arg)
{
    return weft_sem_acquire(arg, 1);
}

TEST(a_posted_function_may_do_all_that_does_not_wait)
{
    struct doings d = {.sem = WEFT_SEM_INIT(0, 0)};
    char c = 0;
    d.chan = weft_chan_new(1, 0, NULL, 0);
    open_nursery(&d.nursery, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&d.nursery, acquires, &d.sem), 0);
    open_scope(&d.scope);
    void *both[] = {&d, weft_remote_new()};
    pthread_t t = start_thread(posts_does_all, both);
    CHECK_EQ(weft_chan_recv(d.chan, &c), 1); /* granted, then cancelled */
    CHECK_EQ(c, 'x');
    CHECK_EQ(weft_scope_end(&d.scope, weft_checkpoint()), -EIO);
    CHECK_EQ(weft_event_wait(&d.event), 0);
    CHECK_EQ(weft_nursery_close(&d.nursery, 0), 0);
    CHECK_EQ(d.ran, 2);
    weft_chan_free(d.chan);
    join_thread(t);
}

struct eternal {
    weft_remote *to;
    int called, last;
};

static void posts_itself(void *arg)
{
    struct eternal *e = arg;
    e->called++;
    e->last = weft_post(e->to, posts_itself, e);
}

static int yields_twenty_times(void *arg)
{
    CHECK_EQ(weft_post(((struct eternal *)arg)->to, posts_itself, arg), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_yield(), 0);
    return 0;
}

static int makes_it_eternal(void *arg)
{
    struct eternal *e = arg;
    int rc;
    e->to = weft_remote_new();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, yields_twenty_times, e), 0);
    }
    return rc;
}

TEST_PLAIN(cp_07_a_post_that_posts_itself_starves_nobody_and_ends_with_the_run)
{
    struct eternal e = {.last = 0};
    CHECK_EQ(weft_run(makes_it_eternal, &e, NULL), 0);
    CHECK(e.called > 0);
    CHECK_EQ(e.last, -ESHUTDOWN);
    weft_remote_unref(e.to);
}

/* --- the end --- */

static int hands_out_a_handle(void *arg)
{
    *(weft_remote **)arg = weft_remote_new();
    return 0;
}

static void never(void *unused)
{
    (void)unused;
    test_fail(__FILE__, __LINE__, "it was called");
}

TEST_PLAIN(xth_04_after_the_end_a_post_is_refused)
{
    weft_remote *to;
    CHECK(weft_remote_new() == NULL);
    CHECK_EQ(weft_run(hands_out_a_handle, &to, NULL), 0);
    CHECK_EQ(weft_post(to, never, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_remote_shutdown(to, -EIO), -ESHUTDOWN);
    CHECK(weft_remote_ref(to) == to);
    weft_remote_unref(to);
    CHECK_EQ(weft_post(to, never, NULL), -ESHUTDOWN);
    weft_remote_unref(to);
    weft_remote_unref(NULL);
    CHECK(weft_remote_ref(NULL) == NULL);
}

struct lateness {
    weft_remote *to;
    int accepted, called, started;
};

static void called_late(void *arg)
{
    ((struct lateness *)arg)->called++;
}

static void *posts_until_refused(void *arg)
{
    struct lateness *l = arg;
    int err;
    while ((err = weft_post(l->to, called_late, l)) == 0) {
        l->accepted++;
        say_word(&l->started);
    }
    CHECK_EQ(err, -ESHUTDOWN);
    weft_remote_unref(l->to);
    return NULL;
}

struct ending {
    struct lateness threads[2];
    pthread_t ids[2];
};

static int returns_meanwhile(void *arg)
{
    struct ending *e = arg;
    for (int i = 0; i < 2; i++) {
        e->threads[i] = (struct lateness){.to = weft_remote_new()};
        e->ids[i] = start_thread(posts_until_refused, &e->threads[i]);
    }
    for (int i = 0; i < 2; i++)
        wait_for_word(&e->threads[i].started);
    return 0;
}

TEST_PLAIN(xth_04_each_accepted_post_is_called_though_the_run_ends)
{
    for (int round = 0; round < 20; round++) {
        struct ending e;
        CHECK_EQ(weft_run(returns_meanwhile, &e, NULL), 0);
        for (int i = 0; i < 2; i++) {
            join_thread(e.ids[i]);
            CHECK_EQ(e.threads[i].called, e.threads[i].accepted);
        }
    }
}

static void *shuts_it_down(void *arg)
{
    linger(5);
    CHECK_EQ(weft_remote_shutdown(arg, -ESTALE), 0);
    weft_remote_unref(arg);
    return NULL;
}

static int waits_to_be_shut_down(void *arg)
{
    weft_event forever = WEFT_EVENT_INIT;
    *(pthread_t *)arg = start_thread(shuts_it_down, weft_remote_new());
    int err = weft_event_wait(&forever);
    CHECK_EQ(err, -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SHUTDOWN);
    CHECK_STR(weft_cancel_reason()->why, "shutdown");
    return err;
}

TEST_PLAIN(another_thread_can_shut_a_run_down)
{
    pthread_t t;
    CHECK_EQ(weft_run(waits_to_be_shut_down, &t, NULL), -ESTALE);
    join_thread(t);
}

#ifdef WEFT_HOSTILE
TEST(without_memory_nothing_is_posted_and_no_scope_is_linked)
{
    weft_remote *here = weft_remote_new();
    weft_token *t = weft_token_new(NULL);
    weft_scope s;
    open_scope(&s);
    wf_hostile_fail(WF_CALL_ALLOC, 1, true);
    CHECK_EQ(weft_post(here, never, NULL), -ENOMEM);
    CHECK_EQ(weft_remote_shutdown(here, -EIO), -ENOMEM);
    CHECK(weft_token_new(t) == NULL);
    CHECK(weft_token_new(NULL) == NULL);
    CHECK_EQ(weft_scope_link(&s, t), -ENOMEM);
    wf_hostile_fail(WF_CALL_ALLOC, 0, false);
    weft_token_cancel(t, -EIO, NULL);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    weft_token_unref(t);
    weft_remote_unref(here);
}
#endif
