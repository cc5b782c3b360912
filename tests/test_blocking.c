/* SPDX-License-Identifier: MIT */
/* test_blocking.c - functions on other threads, and what becomes of them. */
#include <weft/blocking.h>
#include <weft/chan.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/file.h>
#include <weft/gather.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/signal.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gate.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "sweep.h"

/* ---- what is seen of the pools ------------------------------------------- */

static weft_pool_stats pool(weft_pool which)
{
    weft_pool_stats s;
    weft_pool_stats_read(which, &s);
    return s;
}

/* Of those that nobody joins: until their memory is gone as well, which the
 * kernel's list of threads shows; a sanitizer may have one there for itself. */
static void await_end_of_threads(void)
{
    struct stat task;
    while (pool(WEFT_POOL_BLOCKING).threads > 0)
        (void)usleep(1000);
    for (int i = 0; i < 100; i++) {
        if (stat("/proc/self/task", &task) == 0 && task.st_nlink == 3) break;
        (void)usleep(1000);
    }
}

static void allow_threads(unsigned n)
{
    const weft_pool_opts o = {.threads = n};
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING, &o), 0);
}

/* ---- calls -------------------------------------------------------------- */

static int returns_its_argument(void *arg)
{
    return *(int *)arg;
}

TEST(a_blocking_call_returns_what_the_function_returned)
{
    int seven = 7, bad = -EPROTO;
    CHECK_EQ(weft_blocking(returns_its_argument, &seven), 7);
    CHECK_EQ(weft_blocking(returns_its_argument, &bad), -EPROTO);
    CHECK_EQ(weft_cpu(returns_its_argument, &seven), 7);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).calls, 2);
    CHECK_EQ(pool(WEFT_POOL_CPU).calls, 1);
}

static int notes_its_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 0;
}

TEST(the_function_runs_on_another_thread_and_the_next_one_on_the_same)
{
    pthread_t first, second, of_cpu;
    CHECK_EQ(weft_blocking(notes_its_thread, &first), 0);
    CHECK_EQ(weft_blocking(notes_its_thread, &second), 0);
    CHECK_EQ(weft_cpu(notes_its_thread, &of_cpu), 0);
    CHECK(!pthread_equal(first, pthread_self()));
    CHECK(pthread_equal(first, second));
    CHECK(!pthread_equal(first, of_cpu));
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 1);
}

TEST_PLAIN(outside_a_fiber_it_is_refused)
{
    int seven = 7;
    CHECK_EQ(weft_blocking(returns_its_argument, &seven), -EPERM);
    CHECK_EQ(weft_cpu(returns_its_argument, &seven), -EPERM);
    CHECK(!weft_blocking_cancelled());
}

struct caller {
    struct gate *gate;
    int result;
    bool done;
};

static int calls_stop_at(void *arg)
{
    struct caller *c = arg;
    c->result = weft_blocking(stop_at, c->gate);
    c->done = true;
    return 0;
}

TEST(blk_01_a_job_blocks_and_the_other_fibers_keep_running)
{
    struct gate g = GATE;
    struct caller c = {&g, -1, false};
    int rc = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, calls_stop_at, &c), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, 1);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(weft_yield(), 0);
        CHECK(!c.done);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK(c.done);
    CHECK_EQ(c.result, 0);
}

static int counts(void *arg)
{
    ++*(int *)arg;
    return 0;
}

TEST(blk_02_in_a_cancelled_scope_the_function_never_runs)
{
    int called = 0;
    weft_scope s;
    open_cancelled_scope(&s);
    int rc = weft_blocking(counts, &called);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_cpu(counts, &called), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, rc), 0);
    CHECK_EQ(called, 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 0);
}

/* A fiber of its own for a call, to be cancelled alone. */
static void start_call(weft_nursery *n, weft_task *t, weft_fn fn, void *arg)
{
    const weft_spawn_opts o = {.name = "caller", .task = t};
    CHECK_EQ(weft_spawn_ex(n, fn, arg, &o), 0);
    CHECK_EQ(weft_yield(), 0);
}

struct counted {
    int *called;
    int result;
};

static int calls_counts(void *arg)
{
    struct counted *c = arg;
    return c->result = weft_blocking(counts, c->called);
}

TEST(cancelled_in_line_it_ends_at_once_and_the_function_never_runs)
{
    struct gate g = GATE;
    struct caller c = {&g, -1, false};
    int rc = 0, called = 0;
    struct counted gone = {&called, 1}, stays = {&called, 1};
    weft_task first, second;
    allow_threads(1);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, calls_stop_at, &c), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, 1);
        start_call(&n, &first, calls_counts, &gone);
        start_call(&n, &second, calls_counts, &stays);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).queued, 2);
        weft_task_cancel(&first, 0, NULL);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).queued, 1);
        CHECK_EQ(weft_join(&first, NULL), 0);
        CHECK_EQ(gone.result, -ECANCELED);
        CHECK(!c.done);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(stays.result, 0);
    CHECK_EQ(called, 1);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).most_queued, 2);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 1);
}

TEST(cancelled_while_it_runs_it_waits_and_returns_the_result)
{
    struct gate g = GATE;
    struct caller c = {&g, -1, false};
    int rc = 0;
    weft_task t;
    g.result = 9;
    WEFT_NURSERY(n, rc) {
        start_call(&n, &t, calls_stop_at, &c);
        await_inside(&g, 1);
        weft_task_cancel(&t, 0, NULL);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK(!c.done);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, 9);
}

struct watched {
    struct gate gate;
    bool before, after;
};

static int asks_whether_cancelled(void *arg)
{
    struct watched *w = arg;
    w->before = weft_blocking_cancelled();
    (void)stop_at(&w->gate);
    w->after = weft_blocking_cancelled();
    return 0;
}

static int calls_asks(void *arg)
{
    return weft_blocking(asks_whether_cancelled, arg);
}

TEST(blk_08_a_job_that_polls_sees_that_its_caller_was_cancelled)
{
    struct watched w = {.gate = GATE, .before = true};
    int rc = 0;
    weft_task t;
    WEFT_NURSERY(n, rc) {
        start_call(&n, &t, calls_asks, &w);
        await_inside(&w.gate, 1);
        weft_task_cancel(&t, 0, NULL);
        open_gate(&w.gate);
    }
    CHECK_EQ(rc, 0);
    CHECK(!w.before);
    CHECK(w.after);
}

static int polls_until_cancelled(void *arg)
{
    struct gate *g = arg;
    open_gate(g); /* it has begun */
    while (!weft_blocking_cancelled())
        (void)usleep(100);
    return 5;
}

struct limited {
    struct gate gate;
    weft_scope scope;
    int got, ended;
};

static int polls_in_a_scope(void *arg)
{
    struct limited *l = arg;
    weft_scope_init(&l->scope);
    CHECK_EQ(weft_scope_begin_after(&l->scope, WEFT_FOREVER, WEFT_FAIL), 0);
    l->got = weft_blocking(polls_until_cancelled, &l->gate);
    l->ended = weft_scope_end(&l->scope, l->got);
    return 0;
}

TEST_REAL(a_deadline_ends_a_job_that_polls_and_its_result_is_kept)
{
    struct limited l = {.gate = GATE};
    int rc = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, polls_in_a_scope, &l), 0);
        CHECK_EQ(weft_yield(), 0);
        (void)stop_at(&l.gate);
        weft_scope_set_deadline(&l.scope, weft_after(WEFT_MSEC(1)));
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(l.got, 5);
    CHECK_EQ(l.ended, 5);
}

static int sleeps_50_real_ms(void *arg)
{
    (void)arg;
    (void)usleep(50000);
    return 3;
}

TEST(blk_09_the_virtual_clock_does_not_jump_while_a_job_runs)
{
    int rc, got = 0;
    weft_time began = weft_now();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = got = weft_blocking(sleeps_50_real_ms, NULL);
    }
    CHECK_EQ(got, 3);
    CHECK_EQ(rc, 3);
    CHECK_EQ(weft_now(), began);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0); /* and now it does */
    CHECK_EQ(weft_now(), began + WEFT_MSEC(1));
}

static void counts_release(void *arg)
{
    ++*(int *)arg;
}

/* Of each kind that there is; how many did not say -EPERM. */
static int tries_cancel_points(void *arg)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_sem s = WEFT_SEM_INIT(1, 0);
    weft_event e = WEFT_EVENT_INIT;
    weft_scope scope;
    weft_nursery n;
    const int signo = SIGUSR1;
    int *released = arg;
    const weft_bjob job = {counts, released, counts_release, NULL};
    char c = 'x';
    weft_chan *chan = weft_chan_new(1, 1, NULL, 0);
    weft_scope_init(&scope);
    const long long said[] = {
        weft_yield(),
        weft_checkpoint(),
        weft_sleep(1),
        weft_sleep_until(0),
        weft_test_settle(),
        weft_mutex_lock(&m),
        weft_mutex_lock_nc(&m),
        weft_sem_acquire(&s, 1),
        weft_event_wait(&e),
        weft_chan_send(chan, &c),
        weft_chan_recv(chan, &c),
        weft_scope_begin(&scope),
        weft_nursery_open(&n, NULL),
        weft_read((weft_fd){1, 1}, &c, 1),
        weft_wait_fd(0, WEFT_READABLE),
        weft_signal_wait(&signo, 1),
        weft_file_open("/", O_RDONLY, 0, &(weft_fd){0, 0}),
        weft_blocking(counts, released),
        weft_cpu(counts, released),
        weft_blocking_abandon(&job),
    };
    int others = 0;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        others += said[i] != -EPERM;
    weft_chan_free(chan);
    return others;
}

TEST(blk_10_a_cancel_point_on_a_pool_thread_is_eperm)
{
    int released = 0;
    CHECK_EQ(weft_blocking(tries_cancel_points, &released), 0);
    CHECK_EQ(released, 1); /* and nothing else was called */
    CHECK_EQ(weft_cpu(tries_cancel_points, &released), 0);
    CHECK_EQ(released, 2);
}

/* ---- abandoned ---------------------------------------------------------- */

struct work {
    struct gate gate;
    int released, interrupted;
    bool freed_while_running;
    bool opens_when_interrupted;
};

static int works(void *arg)
{
    struct work *w = arg;
    return stop_at(&w->gate);
}

static void releases(void *arg)
{
    struct work *w = arg;
    (void)pthread_mutex_lock(&w->gate.lock);
    w->released++;
    if (w->gate.inside > 0) w->freed_while_running = true;
    (void)pthread_cond_broadcast(&w->gate.moved);
    (void)pthread_mutex_unlock(&w->gate.lock);
}

static void interrupts(void *arg)
{
    struct work *w = arg;
    w->interrupted++;
    if (w->opens_when_interrupted) open_gate(&w->gate);
}

static void await_release(struct work *w)
{
    (void)pthread_mutex_lock(&w->gate.lock);
    while (!w->released)
        (void)pthread_cond_wait(&w->gate.moved, &w->gate.lock);
    (void)pthread_mutex_unlock(&w->gate.lock);
}

static int released(struct work *w)
{
    (void)pthread_mutex_lock(&w->gate.lock);
    int n = w->released;
    (void)pthread_mutex_unlock(&w->gate.lock);
    return n;
}

static int abandons(void *arg)
{
    const weft_bjob job = {works, arg, releases, interrupts};
    return weft_blocking_abandon(&job);
}

static void cancel_and_join(weft_task *t, int want)
{
    weft_outcome out;
    weft_task_cancel(t, 0, NULL);
    CHECK_EQ(weft_join(t, &out), 0);
    CHECK_EQ(out.rc, want);
}

TEST(blk_05_abandoned_it_returns_at_once_and_is_released_when_it_is_done)
{
    static struct work w = {.gate = GATE};
    int rc = 0;
    weft_task t;
    WEFT_NURSERY(n, rc) {
        start_call(&n, &t, abandons, &w);
        await_inside(&w.gate, 1);
        cancel_and_join(&t, -ECANCELED);
        CHECK_EQ(w.interrupted, 1);
        CHECK_EQ(released(&w), 0);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).abandoned, 1);
        open_gate(&w.gate);
        await_release(&w);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.interrupted, 1);
    CHECK_EQ(w.released, 1);
    CHECK(!w.freed_while_running);
}

/* A work of its own each time: the last one's lock may still be let go of. */
TEST(an_interrupt_that_ends_the_function_leaves_one_release_of_the_two)
{
    static struct work all[200];
    for (int i = 0; i < 200; i++) {
        struct work *w = &all[i];
        int rc = 0;
        weft_task t;
        *w = (struct work){.gate = GATE, .opens_when_interrupted = true};
        WEFT_NURSERY(n, rc) {
            start_call(&n, &t, abandons, w);
            await_inside(&w->gate, 1);
            cancel_and_join(&t, -ECANCELED);
            await_release(w);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(w->interrupted, 1);
        CHECK_EQ(w->released, 1);
    }
}

TEST(cancelled_when_it_is_done_already_it_returns_the_result)
{
    static struct work w = {.gate = GATE};
    int rc = 0;
    weft_task t;
    w.gate.result = 4;
    w.gate.open = true;
    WEFT_NURSERY(n, rc) {
        start_call(&n, &t, abandons, &w);
        await_release(&w); /* without a turn: the message waits */
        cancel_and_join(&t, 4);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.interrupted, 0);
    CHECK_EQ(w.released, 1);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).abandoned, 0);
}

TEST(an_abandonable_call_that_nobody_cancels_returns_its_result)
{
    static struct work w = {.gate = GATE};
    w.gate.result = 4;
    w.gate.open = true;
    CHECK_EQ(abandons(&w), 4);
    CHECK_EQ(w.released, 1); /* before it returned */
    CHECK_EQ(w.interrupted, 0);
}

TEST(an_abandonable_call_that_never_begins_releases_its_argument)
{
    static struct work w = {.gate = GATE}, holds = {.gate = GATE};
    struct caller c = {&holds.gate, -1, false};
    int rc = 0;
    weft_task t;
    allow_threads(1);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, calls_stop_at, &c), 0);
        CHECK_EQ(weft_yield(), 0);
        start_call(&n, &t, abandons, &w); /* in line */
        cancel_and_join(&t, -ECANCELED);
        CHECK_EQ(w.released, 1);
        open_gate(&holds.gate);
    }
    CHECK_EQ(rc, 0);
    weft_scope s;
    open_cancelled_scope(&s);
    CHECK_EQ(weft_scope_end(&s, abandons(&w)), 0); /* on entry */
    CHECK_EQ(w.released, 2);
    CHECK_EQ(w.interrupted, 0);
    CHECK_EQ(w.gate.passed, 0);
}

TEST_PLAIN(an_abandonable_call_outside_a_fiber_releases_its_argument)
{
    static struct work w = {.gate = GATE};
    CHECK_EQ(abandons(&w), -EPERM);
    CHECK_EQ(w.released, 1);
}

TEST(an_abandoned_thread_is_one_of_the_limit)
{
    static struct work w = {.gate = GATE};
    int rc = 0, called = 0;
    struct counted later = {&called, 1};
    weft_task t, u;
    allow_threads(1);
    WEFT_NURSERY(n, rc) {
        start_call(&n, &t, abandons, &w);
        await_inside(&w.gate, 1);
        cancel_and_join(&t, -ECANCELED);
        start_call(&n, &u, calls_counts, &later);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).queued, 1);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 1);
        CHECK_EQ(later.result, 1);
        open_gate(&w.gate);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(later.result, 0);
    CHECK_EQ(called, 1);
}

static int leaves_work_behind(void *arg)
{
    int rc = 0;
    weft_task t;
    struct work *w = arg;
    WEFT_NURSERY(n, rc) {
        start_call(&n, &t, abandons, w);
        await_inside(&w->gate, 1);
        cancel_and_join(&t, -ECANCELED);
    }
    return rc;
}

static int calls_once(void *arg)
{
    return weft_blocking(counts, arg);
}

TEST_PLAIN(what_ends_after_the_run_is_discarded)
{
    static struct work w = {.gate = GATE};
    int called = 0;
    CHECK_EQ(weft_run(leaves_work_behind, &w, NULL), 0);
    CHECK_EQ(released(&w), 0);
    CHECK_EQ(weft_run(calls_once, &called, NULL),
             0); /* another one meanwhile */
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 1);
    open_gate(&w.gate);
    await_release(&w);
    CHECK_EQ(w.released, 1);
    CHECK_EQ(called, 1);
    await_end_of_threads();
}

static weft_time real_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return WEFT_SEC(t.tv_sec) + t.tv_nsec;
}

static void ends_with_one_that_does_not(void *arg)
{
    weft_time began = real_now();
    CHECK_EQ(weft_run(leaves_work_behind, arg, NULL), 0);
    CHECK(real_now() - began >= WEFT_SEC(1)); /* it had its time */
    CHECK(real_now() - began < WEFT_SEC(5));
    CHECK_EQ(released(arg), 0);
    if (!a_tool_is_watching()) return; /* the process ends all the same */
    struct work *w = arg;
    open_gate(&w->gate);
    await_release(w);
    await_end_of_threads();
}

TEST_PLAIN(what_never_returns_is_named_and_left_behind_after_a_second)
{
    static struct work w = {.gate = GATE};
    static struct ending e;
    run_in_process(ends_with_one_that_does_not, &w, &e);
    if (e.status != 0) CHECK_STR(e.said, "");
    const char *line = strstr(e.said, "weft: abandoned function");
    CHECK(line != NULL);
    const char *name = strstr(line, "\"caller\"");
    const char *where = strstr(line, "test_blocking.c:");
    CHECK(name && where && where < line + strcspn(line, "\n"));
    CHECK(strstr(line + 1, "weft: abandoned") == NULL);
}

TEST_PLAIN(a_run_waits_for_what_it_abandoned_if_that_ends_soon)
{
    static struct work w = {.gate = GATE, .opens_when_interrupted = true};
    CHECK_EQ(weft_run(leaves_work_behind, &w, NULL), 0);
    await_release(&w);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 0);
}

/* ---- the pool ----------------------------------------------------------- */

static int calls_gate_many(void *arg)
{
    return weft_blocking(stop_at, arg);
}

TEST(a_pool_never_has_more_threads_than_it_may_and_serves_all)
{
    struct gate g = GATE;
    int rc = 0;
    allow_threads(3);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++)
            CHECK_EQ(weft_spawn(&n, calls_gate_many, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, 3);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 3);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).running, 3);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).queued, 7);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(g.passed, 10);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 3);
}

struct numbered {
    int number;
    int *order, *count; /* used by one thread only */
};

static int notes_its_number(void *arg)
{
    struct numbered *m = arg;
    m->order[(*m->count)++] = m->number;
    return 0;
}

static int calls_notes(void *arg)
{
    return weft_blocking(notes_its_number, arg);
}

TEST_FIFO(jobs_in_line_run_first_come_first_served)
{
    struct gate g = GATE;
    int rc = 0, order[8], count = 0;
    struct numbered m[8];
    allow_threads(1);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, calls_gate_many, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        for (int i = 0; i < 8; i++) {
            m[i] = (struct numbered){i, order, &count};
            CHECK_EQ(weft_spawn(&n, calls_notes, &m[i]), 0);
        }
        CHECK_EQ(weft_yield(), 0);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(count, 8);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(order[i], i);
}

TEST(computing_is_not_held_up_by_what_blocks)
{
    struct gate g = GATE;
    int rc = 0, seven = 7;
    allow_threads(1);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, calls_gate_many, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_cpu(returns_its_argument, &seven), 7);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
}

TEST_REAL(a_thread_without_work_ends_after_a_while)
{
    const weft_pool_opts o = {.idle = WEFT_MSEC(5)};
    int called = 0;
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING, &o), 0);
    CHECK_EQ(weft_blocking(counts, &called), 0);
    for (int i = 0; i < 1000 && pool(WEFT_POOL_BLOCKING).threads > 0; i++)
        CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 0);
    CHECK_EQ(weft_blocking(counts, &called), 0);
    CHECK_EQ(called, 2);
}

TEST_REAL(a_thread_without_work_may_stay_for_ever)
{
    const weft_pool_opts o = {.idle = WEFT_FOREVER};
    int called = 0;
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING, &o), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_blocking(counts, &called), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    }
    CHECK_EQ(called, 3);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 1);
}

static int waits_for_threads(void *arg)
{
    (void)arg;
    while (pool(WEFT_POOL_BLOCKING).threads > 2)
        (void)usleep(1000);
    return 0;
}

TEST(a_lower_limit_ends_threads_and_a_higher_one_serves_those_in_line)
{
    struct gate g = GATE, h = GATE;
    int rc = 0;
    allow_threads(4);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 4; i++)
            CHECK_EQ(weft_spawn(&n, calls_gate_many, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, 4);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 4);
    allow_threads(2);
    CHECK_EQ(weft_cpu(waits_for_threads, NULL), 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 2);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 5; i++)
            CHECK_EQ(weft_spawn(&n, calls_gate_many, &h), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&h, 2);
        allow_threads(5);
        await_inside(&h, 5);
        open_gate(&h);
    }
    CHECK_EQ(rc, 0);
}

TEST(a_lower_limit_holds_also_for_threads_that_find_work_in_line)
{
    struct gate g = GATE, h = GATE;
    int rc = 0;
    allow_threads(3);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, calls_gate_many, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, 3);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, calls_gate_many, &h), 0);
        CHECK_EQ(weft_yield(), 0);
        allow_threads(1);
        open_gate(&g);
        for (int i = 0; i < 2000 && pool(WEFT_POOL_BLOCKING).threads > 1; i++)
            (void)usleep(1000);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 1);
        open_gate(&h);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(h.passed, 3);
}

TEST_PLAIN(the_usual_sizes_are_those_of_the_manual_and_bad_ones_are_refused)
{
    const weft_pool_opts bad = {.idle = -1};
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING, &bad), -EINVAL);
    CHECK_EQ(weft_pool_configure((weft_pool)7, NULL), -EINVAL);
    CHECK_EQ(pool((weft_pool)7).limit, 0);
    allow_threads(3);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).limit, 3);
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING, NULL), 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).limit, 32);
    CHECK(pool(WEFT_POOL_CPU).limit >= 1);
}

/* ---- the threads -------------------------------------------------------- */

static int looks_at_its_signals(void *arg)
{
    sigset_t mask;
    (void)arg;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGTERM) == 1 &&
           sigismember(&mask, SIGPIPE) == 1 &&
           sigismember(&mask, SIGALRM) == 1 && sigismember(&mask, SIGSEGV) == 0;
}

TEST(signals_do_not_reach_the_threads_of_a_pool)
{
    CHECK_EQ(weft_blocking(looks_at_its_signals, NULL), 1);
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK_EQ(sigismember(&mask, SIGTERM), 0); /* and this one is as before */
}

static int uses_half_a_megabyte(void *arg)
{
    volatile char big[512 * 1024];
    (void)arg;
    memset((char *)(uintptr_t)big, 1, sizeof big);
    return big[1000];
}

TEST(a_pool_thread_has_a_stack_for_ordinary_code)
{
    CHECK_EQ(weft_blocking(uses_half_a_megabyte, NULL), 1);
}

static int fails_with_words(void *arg)
{
    return weft_fail(-EPROTO, "frame %d is bad", *(int *)arg);
}

TEST(what_the_function_leaves_with_weft_fail_comes_back)
{
    int nine = 9, bad = -EPROTO;
    CHECK_EQ(weft_blocking(fails_with_words, &nine), -EPROTO);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_STR(e->msg, "frame 9 is bad");
    CHECK_EQ(e->fiber, weft_fiber_id());
    /* And only then: the thread has forgotten it. */
    CHECK_EQ(weft_checkpoint(), 0);
    (void)weft_fail(-EIO, "of this fiber");
    CHECK_EQ(weft_blocking(returns_its_argument, &bad), -EPROTO);
    CHECK_STR(weft_last_error()->msg, "of this fiber");
}

static int fails_for_another_reason(void *arg)
{
    (void)weft_fail(-EIO, "tried this first");
    return *(int *)arg;
}

TEST(a_record_of_another_failure_stays_on_its_thread)
{
    int bad = -EPROTO;
    CHECK_EQ(weft_blocking(fails_for_another_reason, &bad), -EPROTO);
    CHECK(weft_last_error() == NULL);
}

static int two_runs_at_once(void *arg)
{
    for (int i = 0; i < 200; i++) {
        int seven = 7;
        int rc = weft_blocking(returns_its_argument, &seven);
        if (rc != 7) return -EPROTO;
    }
    (void)arg;
    return 0;
}

static void *runs_on_its_thread(void *arg)
{
    *(int *)arg = weft_run(two_runs_at_once, NULL, NULL);
    return NULL;
}

TEST_PLAIN(runs_on_several_threads_share_the_pool)
{
    pthread_t t[3];
    int results[3];
    allow_threads(2);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, runs_on_its_thread, &results[i]),
                 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(results[i], 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).calls, 600);
}

TEST_PLAIN(the_threads_end_with_the_run_and_come_again_with_the_next)
{
    int called = 0;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(weft_run(calls_once, &called, NULL), 0);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 0);
    }
    CHECK_EQ(called, 50);
}

static int waits_in_vain(void *arg)
{
    int called = 0;
    weft_event never = WEFT_EVENT_INIT;
    (void)arg;
    int rc = weft_blocking(counts, &called);
    return rc < 0 ? rc : weft_event_wait(&never);
}

TEST_PLAIN(a_deadlock_is_seen_again_once_no_job_runs)
{
    CHECK_EQ(weft_run(waits_in_vain, NULL, NULL), -EDEADLK);
}

static int waits_beside_abandoned(void *arg)
{
    weft_event never = WEFT_EVENT_INIT;
    int rc = leaves_work_behind(arg);
    return rc < 0 ? rc : weft_event_wait(&never);
}

TEST_PLAIN(what_was_abandoned_can_wake_nobody_so_it_is_a_deadlock)
{
    static struct work w = {.gate = GATE};
    const weft_run_opts o = {.on_deadlock = WEFT_DEADLOCK_REPORT};
    CHECK_EQ(weft_run(waits_beside_abandoned, &w, &o), -EDEADLK);
    open_gate(&w.gate);
    await_release(&w);
    await_end_of_threads();
}

/* ---- forks -------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__) || defined(WEFT_VALGRIND)
#define NO_THREADS_AFTER_FORK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_THREADS_AFTER_FORK 1
#endif
#endif
#ifndef NO_THREADS_AFTER_FORK
#define NO_THREADS_AFTER_FORK 0
#endif

struct forked {
    struct gate gate;
    pthread_t thread;
    int result;
};

static void *runs_beside(void *arg)
{
    struct forked *f = arg;
    f->result = weft_run(calls_gate_many, &f->gate, NULL);
    return NULL;
}

/* Of a thread that has no run, while another one's is under way. Not by its exit
 * status: a leak checker would find the other thread's memory in the child. */
TEST_PLAIN(the_child_of_a_fork_has_pools_of_its_own)
{
    static struct forked f = {.gate = GATE};
    int called = 0, fds[2], rc = -1;
    if (NO_THREADS_AFTER_FORK)
        SKIP("what watches the threads misses them in the child");
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(pthread_create(&f.thread, NULL, runs_beside, &f), 0);
    await_inside(&f.gate, 1);
    pid_t child = fork();
    if (child == 0) {
        rc = weft_run(calls_once, &called, NULL);
        if (called != 1) rc = -1;
        (void)!write(fds[1], &rc, sizeof rc);
        (void)kill(getpid(), SIGKILL);
    }
    CHECK_EQ(close(fds[1]), 0);
    ssize_t n = read(fds[0], &rc, sizeof rc);
    if (n == 0 && vfork_is_a_fork())
        SKIP("the emulator does not survive a new thread in the child");
    CHECK_EQ(n, sizeof rc);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(rc, 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    open_gate(&f.gate);
    CHECK_EQ(pthread_join(f.thread, NULL), 0);
    CHECK_EQ(f.result, 0);
}

/* ---- no thread to be had ------------------------------------------------ */

#ifdef WEFT_HOSTILE
#include "runtime/os.h"

TEST(without_any_thread_the_call_says_so)
{
    int called = 0;
    static struct work w = {.gate = GATE};
    wf_hostile_fail(WF_CALL_THREAD, 1, true);
    CHECK_EQ(weft_blocking(counts, &called), -ENOMEM);
    CHECK_STR(weft_last_error()->msg, "no thread for the blocking pool");
    CHECK_EQ(abandons(&w), -ENOMEM);
    CHECK_EQ(w.released, 1);
    wf_hostile_fail(WF_CALL_THREAD, 0, false);
    CHECK_EQ(weft_blocking(counts, &called), 0);
    CHECK_EQ(called, 1);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).refused, 2);
}

TEST(without_more_threads_those_that_there_are_do_it)
{
    struct gate g = GATE;
    int rc = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, calls_gate_many, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, 1);
        wf_hostile_fail(WF_CALL_THREAD, 1, true);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(weft_spawn(&n, calls_gate_many, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(pool(WEFT_POOL_BLOCKING).queued, 5);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(g.passed, 6);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).threads, 1);
}
#endif

/* ---- cancelled at every moment ------------------------------------------ */

static int begun, finished;

static int begins_and_finishes(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
    (void)usleep(10);
    __atomic_add_fetch(&finished, 1, __ATOMIC_RELAXED);
    return 0;
}

static int makes_three_calls(void *arg)
{
    for (int i = 0; i < 3; i++) {
        int err = weft_blocking(begins_and_finishes, arg);
        if (err < 0) return err;
    }
    return 0;
}

static void start_callers(weft_nursery *n)
{
    begun = finished = 0;
    allow_threads(1);
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, makes_three_calls, NULL);
}

static void check_all_finished(void)
{
    CHECK_EQ(begun, finished);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).running, 0);
    CHECK_EQ(pool(WEFT_POOL_BLOCKING).queued, 0);
}

SWEEP(what_has_begun_is_waited_for, start_callers, check_all_finished, 0);

static int handed_over, given_back;

static int uses_it(void *arg)
{
    (void)arg;
    (void)usleep(10);
    return 0;
}

static void gives_back(void *arg)
{
    free(arg);
    __atomic_add_fetch(&given_back, 1, __ATOMIC_RELAXED);
}

static void asks_it_to_end(void *arg)
{
    *(char *)arg = 1; /* it is still there */
}

static int makes_two_abandonable_calls(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        const weft_bjob job = {uses_it, malloc(1), gives_back, asks_it_to_end};
        handed_over++;
        int err = weft_blocking_abandon(&job);
        if (err < 0) return err;
    }
    return 0;
}

static void start_abandoning(weft_nursery *n)
{
    handed_over = given_back = 0;
    allow_threads(2);
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, makes_two_abandonable_calls, NULL);
}

static void check_all_given_back(void)
{
    for (int i = 0; i < 5000; i++) {
        if (__atomic_load_n(&given_back, __ATOMIC_RELAXED) == handed_over)
            return;
        (void)usleep(1000);
    }
    CHECK_EQ(given_back, handed_over);
}

SWEEP(each_argument_is_released_once, start_abandoning, check_all_given_back,
      SWEEP_CHECK_AFTER_RUN);
