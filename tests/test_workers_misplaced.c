/* SPDX-License-Identifier: MIT */
/* test_workers_misplaced.c - what belongs to one worker, used on another; and
 * runs that cannot begin, or have no memory where a child is to run. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/mutex.h>
#include <weft/process.h>
#include <weft/signal.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "runtime/os.h"
#include "fibers.h"
#include "workers.h"

/* ---- on the wrong worker ------------------------------------------------ */

struct things {
    weft_nursery nursery;
    weft_scope scope;
    weft_mutex mutex;
    weft_task task;       /* of a child that waits */
    weft_task background; /* the same */
    weft_signals signals;
    weft_process process; /* ends with its input */
};

static void open_outside(struct things *t)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("cat"),
                                 .in = {WEFT_IO_PIPE, 0}};
    CHECK_EQ(weft_signals_open(&t->signals, (int[]){SIGUSR1}, 1), 0);
    CHECK_EQ(weft_process_start(&t->process, &o), 0);
}

static void close_outside(struct things *t)
{
    CHECK_EQ(weft_close(t->process.in), 0);
    CHECK_EQ(weft_process_wait(&t->process), 0);
    CHECK_EQ(weft_process_close(&t->process), 0);
    weft_signals_close(&t->signals);
}

/* Main has all of them open, and holds the mutex. */
static int with_things(weft_fn fn)
{
    struct things t = {.mutex = WEFT_MUTEX_INIT};
    weft_nursery n;
    weft_scope_init(&t.scope);
    CHECK_EQ(weft_scope_begin(&t.scope), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&t.nursery, NULL), 0);
    CHECK_EQ(weft_mutex_lock(&t.mutex), 0);
    const weft_spawn_opts task = {.task = &t.task};
    CHECK_EQ(weft_spawn_ex(&n, waits_for_ever, NULL, &task), 0);
    const weft_spawn_opts background = {.task = &t.background};
    CHECK_EQ(weft_background(waits_for_ever, NULL, &background), 0);
    CHECK_EQ(weft_yield(), 0);
    open_outside(&t);
    int rc = call_on(2, fn, &t);
    close_outside(&t);
    CHECK_EQ(weft_mutex_unlock(&t.mutex), 0);
    CHECK_EQ(weft_nursery_close(&t.nursery, 0), 0);
    CHECK(!weft_task_done(&t.task));
    CHECK(!weft_task_done(&t.background));
    weft_task_cancel(&t.task, 0, NULL);
    weft_task_cancel(&t.background, 0, NULL);
    CHECK_EQ(weft_join(&t.background, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(!weft_scope_cancel_called(&t.scope));
    CHECK_EQ(weft_scope_end(&t.scope, 0), 0);
    return rc;
}

static int spawns_there(void *arg)
{
    return weft_spawn(&((struct things *)arg)->nursery, does_nothing, NULL);
}

static int spawns_anywhere_there(void *arg)
{
    return try_spawn_on(1, &((struct things *)arg)->nursery, does_nothing,
                        NULL);
}

static int closes_there(void *arg)
{
    return weft_nursery_close(&((struct things *)arg)->nursery, 0);
}

static int cancels_nursery_there(void *arg)
{
    weft_nursery_cancel(&((struct things *)arg)->nursery, 0, NULL);
    return weft_last_error() ? weft_last_error()->code : 0;
}

static int cancels_scope_there(void *arg)
{
    weft_scope_cancel(&((struct things *)arg)->scope, 0, NULL);
    return weft_last_error() ? weft_last_error()->code : 0;
}

static int moves_deadline_there(void *arg)
{
    weft_scope_set_deadline(&((struct things *)arg)->scope, 1);
    return weft_last_error() ? weft_last_error()->code : 0;
}

static int shields_there(void *arg)
{
    weft_scope_set_shield(&((struct things *)arg)->scope, true);
    return weft_last_error() ? weft_last_error()->code : 0;
}

static int ends_scope_there(void *arg)
{
    return weft_scope_end(&((struct things *)arg)->scope, 0);
}

static int locks_there(void *arg)
{
    return weft_mutex_lock(&((struct things *)arg)->mutex);
}

static int unlocks_there(void *arg)
{
    return weft_mutex_unlock(&((struct things *)arg)->mutex);
}

static int joins_there(void *arg)
{
    return weft_join(&((struct things *)arg)->task, NULL);
}

static int waits_there(void *arg)
{
    weft_task *t = &((struct things *)arg)->task;
    return weft_wait(&t, 1, WEFT_ALL, WEFT_FOREVER);
}

static int cancels_task_there(void *arg)
{
    weft_task_cancel(&((struct things *)arg)->task, 0, NULL);
    return weft_last_error() ? weft_last_error()->code : 0;
}

static int cancels_background_there(void *arg)
{
    weft_task_cancel(&((struct things *)arg)->background, 0, NULL);
    return weft_last_error() ? weft_last_error()->code : 0;
}

static int joins_background_there(void *arg)
{
    return weft_join(&((struct things *)arg)->background, NULL);
}

static int closes_nothing(void *object)
{
    (void)object;
    return 0;
}

static int owns_there(void *arg)
{
    return weft_own(&((struct things *)arg)->nursery, closes_nothing, NULL,
                    NULL);
}

static int waits_for_signal_there(void *arg)
{
    return weft_signals_wait(&((struct things *)arg)->signals);
}

static int closes_signals_there(void *arg)
{
    weft_signals_close(&((struct things *)arg)->signals);
    return weft_last_error() ? weft_last_error()->code : 0;
}

static int waits_for_process_there(void *arg)
{
    return weft_process_wait(&((struct things *)arg)->process);
}

static int kills_there(void *arg)
{
    return weft_process_kill(&((struct things *)arg)->process, SIGKILL);
}

static int terminates_there(void *arg)
{
    return weft_process_terminate(&((struct things *)arg)->process, 0);
}

static int closes_process_there(void *arg)
{
    return weft_process_close(&((struct things *)arg)->process);
}

static const struct {
    const char *call;
    weft_fn fn;
} misplaced[] = {
    {"weft_spawn", spawns_there},
    {"weft_spawn", spawns_anywhere_there},
    {"weft_nursery_close", closes_there},
    {"weft_nursery_cancel", cancels_nursery_there},
    {"weft_scope_cancel", cancels_scope_there},
    {"weft_scope_set_deadline", moves_deadline_there},
    {"weft_scope_set_shield", shields_there},
    {"weft_scope_end", ends_scope_there},
    {"weft_mutex_lock", locks_there},
    {"weft_mutex_unlock", unlocks_there},
    {"weft_join", joins_there},
    {"weft_wait", waits_there},
    {"weft_task_cancel", cancels_task_there},
    {"weft_task_cancel", cancels_background_there},
    {"weft_join", joins_background_there},
    {"weft_own", owns_there},
    {"weft_signals_wait", waits_for_signal_there},
    {"weft_signals_close", closes_signals_there},
    {"weft_process_wait", waits_for_process_there},
    {"weft_process_kill", kills_there},
    {"weft_process_terminate", terminates_there},
    {"weft_process_close", closes_process_there},
};
enum { MISPLACED = sizeof misplaced / sizeof *misplaced };

#ifdef WEFT_DEBUG
#include "process.h"

static int misplaces(void *arg)
{
    return with_things(*(weft_fn *)arg);
}

static void runs_misplacing(void *arg)
{
    (void)run_on(2, misplaces, arg);
}

TEST_PLAIN(xth_01_what_is_used_on_the_wrong_worker_ends_a_debug_build)
{
    static struct ending e;
    for (int i = 0; i < MISPLACED; i++) {
        weft_fn fn = misplaced[i].fn;
        run_in_process(runs_misplacing, &fn, &e);
        CHECK_EQ(e.signal, SIGABRT);
        CHECK(strstr(e.said, misplaced[i].call) != NULL);
        CHECK(strstr(e.said, "another thread") != NULL);
    }
}
#else
static int misplaces_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < MISPLACED; i++)
        CHECK_EQ(with_things(misplaced[i].fn), -EPERM);
    return 0;
}

TEST_PLAIN(xth_01_what_is_used_on_the_wrong_worker_is_refused)
{
    CHECK_EQ(run_on(3, misplaces_all, NULL), 0);
}
#endif

/* ---- a handle of another worker ----------------------------------------- */

static int counts(void *count)
{
    ++*(int *)count;
    return 0;
}

static int disowns_there(void *handle)
{
    weft_nursery n;
    weft_owned other;
    int closed = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, counts, &closed, &other), 0);
    CHECK_EQ(weft_disown(*(weft_owned *)handle, true), -ENOENT);
    CHECK_EQ(closed, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(closed, 1);
    return 0;
}

/* Nor does it mean something else there. */
TEST_WORKERS(the_handle_of_what_is_owned_elsewhere_is_found_out)
{
    weft_nursery n;
    weft_owned owned;
    int closed = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, counts, &closed, &owned), 0);
    for
        EACH_OTHER(k)
    CHECK_EQ(call_on(k, disowns_there, &owned), 0);
    CHECK_EQ(closed, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(closed, 1);
}

/* ---- no descriptors, no threads, no memory ------------------------------ */

static int says_that_it_ran(void *ran)
{
    *(int *)ran = 1;
    return 0;
}

TEST_PLAIN(a_run_that_has_too_few_descriptors_does_not_begin)
{
    struct rlimit few;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &few), 0);
    few.rlim_cur = 40;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < 5; i++) {
        int ran = 0;
        CHECK_EQ(run_on(64, says_that_it_ran, &ran), -EMFILE);
        CHECK_EQ(ran, 0);
        CHECK_EQ(run_on(3, says_that_it_ran, &ran), 0);
        CHECK_EQ(ran, 1);
    }
}

#ifdef WEFT_HOSTILE
static int runs_at_all(void *ran)
{
    CHECK_EQ(call_on(weft_workers(), adds_one, ran), 0);
    return 0;
}

TEST_PLAIN(a_run_that_has_too_few_threads_does_not_begin)
{
    for (int lasting = 0; lasting < 2; lasting++) {
        for (long use = 1; use < 8; use++) {
            int ran = 0;
            wf_hostile_fail(WF_CALL_THREAD, use, lasting);
            CHECK_EQ(run_on(8, runs_at_all, &ran), -ENOMEM);
            CHECK_EQ(ran, 0);
        }
    }
    int ran = 0;
    wf_hostile_fail(WF_CALL_THREAD, 8, true);
    CHECK_EQ(run_on(8, runs_at_all, &ran), 0);
    CHECK_EQ(ran, 1);
}

/* On this thread; the others have what they want. */
static void fail_here(enum wf_call call)
{
    for (long use = 1;; use++) {
        int ran = 0;
        wf_hostile_fail(call, use, false);
        int rc = run_on(3, says_that_it_ran, &ran);
        bool reached = wf_hostile_uses(call) >= use;
        wf_hostile_fail(call, 0, false);
        CHECK_EQ(ran, rc == 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        if (!reached) return;
        CHECK(use < 1000);
    }
}

TEST_PLAIN(a_run_begins_or_says_why_not_whatever_fails_on_the_first_worker)
{
    fail_here(WF_CALL_ALLOC);
    fail_here(WF_CALL_MMAP);
    fail_here(WF_CALL_MPROTECT);
    fail_here(WF_CALL_POLL_OPEN);
    fail_here(WF_CALL_POLL_CTL);
    fail_here(WF_CALL_FCNTL);
    fail_here(WF_CALL_SIGNAL);
}

static void set_number(const char *name, long n)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%ld", n);
    CHECK_EQ(setenv(name, text, 1), 0);
}

/* On each of the others, by the environment: a thread reads it when it begins;
 * this one has read it. */
static int fail_there(enum wf_call call, bool lasting, int rounds)
{
    int failures = 0;
    wf_hostile_fail(call, 0, false);
    set_number("WEFT_HOSTILE_CALL", (long)call);
    for (long use = 1; use <= rounds; use++) {
        int ran = 0;
        set_number(lasting ? "WEFT_HOSTILE_AFTER" : "WEFT_HOSTILE_NTH", use);
        int rc = run_on(3, says_that_it_ran, &ran);
        CHECK_EQ(ran, rc == 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        failures += rc != 0;
    }
    CHECK_EQ(unsetenv("WEFT_HOSTILE_AFTER"), 0);
    CHECK_EQ(unsetenv("WEFT_HOSTILE_NTH"), 0);
    CHECK_EQ(unsetenv("WEFT_HOSTILE_CALL"), 0);
    return failures;
}

TEST_PLAIN(a_run_begins_or_says_why_not_whatever_fails_on_another_worker)
{
    CHECK(fail_there(WF_CALL_ALLOC, false, 40) > 0);
    CHECK(fail_there(WF_CALL_ALLOC, true, 40) > 0);
    CHECK(fail_there(WF_CALL_MMAP, false, 10) > 0);
    CHECK(fail_there(WF_CALL_POLL_OPEN, false, 5) > 0);
    (void)fail_there(WF_CALL_POLL_CTL, false, 5);
    (void)fail_there(WF_CALL_MPROTECT, false, 5);
}

/* What one worker does not have. */
static int has_none(void *call)
{
    wf_hostile_fail(*(enum wf_call *)call, 1, true);
    return 0;
}

static int has_some(void *call)
{
    wf_hostile_fail(*(enum wf_call *)call, 0, false);
    return 0;
}

static void has_some_again(void *call)
{
    (void)has_some(call);
}

enum { CHILDREN = 200 };

struct refused {
    int ran[9];
};

static int notes_worker(void *arg)
{
    struct refused *r = *(struct refused **)arg;
    (void)add_one(&r->ran[weft_worker()]);
    return 0;
}

static int notes_worker_of_large(void *arg)
{
    CHECK_EQ(((char *)arg)[1000], 'x');
    return notes_worker(arg);
}

static void spawn_small_and_large(weft_nursery *n, struct refused *r)
{
    /* A stack of its own size has to be mapped. */
    const weft_spawn_opts o = {.worker = 2, .stack_size = 128 * 1024};
    char large[2000];
    for (int i = 0; i < CHILDREN; i++) {
        CHECK_EQ(weft_spawn_ex(n, notes_worker, &r, &o), 0);
        CHECK_EQ(weft_spawn_copy_ex(n, notes_worker, &r, sizeof r, &o), 0);
        memset(large, 'x', sizeof large);
        memcpy(large, &r, sizeof r);
        CHECK_EQ(weft_spawn_copy_ex(n, notes_worker_of_large, large,
                                    sizeof large, &o),
                 0);
    }
}

static void without(enum wf_call call)
{
    struct refused r = {{0}}, *p = &r;
    weft_remote *two = weft_worker_remote(2);
    int rc;
    CHECK_EQ(call_on(2, has_none, &call), 0);
    WEFT_NURSERY(n, rc) {
        spawn_small_and_large(&n, p);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.ran[1] + r.ran[2], 3 * CHILDREN);
    CHECK(r.ran[1] > 0); /* it has to run, and so it runs here */
    CHECK_EQ(weft_post(two, has_some_again, &call), 0);
    weft_remote_unref(two);
    memset(&r, 0, sizeof r);
    WEFT_NURSERY(n, rc) {
        spawn_on(2, &n, notes_worker, &p);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.ran[2], 1);
}

static int is_short_of_memory(void *arg)
{
    (void)arg;
    without(WF_CALL_ALLOC);
    without(WF_CALL_MMAP);
    return 0;
}

TEST_PLAIN(a_child_for_whom_there_is_no_memory_elsewhere_runs_at_home)
{
    for (int i = 0; i < 5; i++)
        CHECK_EQ(run_on(2, is_short_of_memory, NULL), 0);
}

static int is_cancelled_then(void *cancelled)
{
    if (weft_yield() < 0) (void)add_one(cancelled);
    return weft_sleep_until(WEFT_FOREVER);
}

static int is_cancelled_while_refused(void *arg)
{
    enum wf_call call = WF_CALL_ALLOC;
    weft_remote *two = weft_worker_remote(2);
    (void)arg;
    CHECK_EQ(call_on(2, has_none, &call), 0);
    for (int i = 0; i < 50; i++) {
        int rc, cancelled = 0;
        WEFT_NURSERY(n, rc) {
            for (int j = 0; j < CHILDREN; j++)
                spawn_on(2, &n, is_cancelled_then, &cancelled);
            for (int j = 0; j < i % 7; j++)
                CHECK_EQ(weft_yield(), 0);
            weft_nursery_cancel(&n, -EINTR, NULL);
        }
        CHECK_EQ(rc, -EINTR);
    }
    CHECK_EQ(weft_post(two, has_some_again, &call), 0);
    weft_remote_unref(two);
    return call_on(2, does_nothing, NULL);
}

TEST_PLAIN(a_child_refused_elsewhere_hears_of_its_cancellation_at_home)
{
    CHECK_EQ(run_on(2, is_cancelled_while_refused, NULL), 0);
}

/* No memory here for what a child needs to go there. */
static int spawns_without_memory(void *arg)
{
    (void)arg;
    for (long use = 1; use < 20; use++) {
        int rc, ran = 0, err = 0;
        char large[2000] = "";
        const weft_spawn_opts there = on_worker(2);
        WEFT_NURSERY(n, rc) {
            wf_hostile_fail(WF_CALL_ALLOC, use, true);
            int spawned = 0;
            for (int i = 0; i < 100 && err == 0; i++) {
                err = try_spawn_on(2, &n, adds_one, &ran);
                if (err == 0) spawned++;
            }
            CHECK_EQ(err, -ENOMEM);
            CHECK_EQ(weft_nursery_count(&n), spawned);
            err = weft_spawn_copy_ex(&n, does_nothing, large, sizeof large,
                                     &there);
            CHECK_EQ(err, -ENOMEM);
            wf_hostile_fail(WF_CALL_ALLOC, 0, false);
        }
        CHECK_EQ(rc, 0);
    }
    return 0;
}

TEST_PLAIN(without_memory_here_the_spawn_says_so_and_nothing_is_lost)
{
    CHECK_EQ(run_on(2, spawns_without_memory, NULL), 0);
}

static int waits_for(void *event)
{
    return weft_event_wait(event);
}

/* What was to be its argument is not left where the next one waits. */
static int waits_where_a_copy_was_refused(void *arg)
{
    (void)arg;
    for (unsigned worker = 2; worker <= weft_workers(); worker++) {
        int rc;
        const uint64_t small[4] = {0};
        const weft_spawn_opts there = on_worker(worker);
        WEFT_NURSERY(n, rc) {
            wf_hostile_fail(WF_CALL_ALLOC, 1, true);
            CHECK_EQ(weft_spawn_copy_ex(&n, does_nothing, small, sizeof small,
                                        &there),
                     -ENOMEM);
            wf_hostile_fail(WF_CALL_ALLOC, 0, false);
            weft_event set = {0};
            CHECK_EQ(weft_spawn(&n, waits_for, &set), 0);
            CHECK_EQ(weft_yield(), 0);
            weft_event_set(&set);
        }
        CHECK_EQ(rc, 0);
    }
    return 0;
}

TEST_PLAIN(who_takes_the_place_of_a_child_without_memory_can_wait)
{
    CHECK_EQ(run_on(2, waits_where_a_copy_was_refused, NULL), 0);
}

static int spawns_anywhere_without_memory(void *arg)
{
    static const weft_spawn_opts anywhere = {.worker = WEFT_ANY_WORKER};
    (void)arg;
    for (long use = 1; use < 200; use++) {
        int rc, ran = 0, spawned = 0;
        WEFT_NURSERY(n, rc) {
            wf_hostile_fail(WF_CALL_ALLOC, use, true);
            for (int i = 0; i < 50; i++)
                if (weft_spawn_ex(&n, adds_one, &ran, &anywhere) == 0)
                    spawned++;
            CHECK_EQ(weft_yield(), 0);
        }
        wf_hostile_fail(WF_CALL_ALLOC, 0, false);
        CHECK_EQ(rc, 0);
        CHECK_EQ(ran, spawned);
    }
    return 0;
}

TEST_PLAIN(without_memory_to_give_one_away_it_runs_at_home)
{
    CHECK_EQ(run_on(4, spawns_anywhere_without_memory, NULL), 0);
}

static int asks_without_memory(void *arg)
{
    weft_stats s = {.fibers = 77};
    (void)arg;
    wf_hostile_fail(WF_CALL_ALLOC, 1, true);
    CHECK_EQ(weft_workers_stats(&s, 1), -ENOMEM);
    CHECK_EQ(s.fibers, 77);
    wf_hostile_fail(WF_CALL_ALLOC, 0, false);
    return 0;
}

TEST_PLAIN(stats_without_memory_say_so)
{
    CHECK_EQ(run_on(2, asks_without_memory, NULL), 0);
}

static int shuts_down_without_memory(void *arg)
{
    (void)arg;
    wf_hostile_fail(WF_CALL_ALLOC, 1, true);
    CHECK_EQ(weft_shutdown(-EINTR), -ENOMEM);
    wf_hostile_fail(WF_CALL_ALLOC, 0, false);
    return 0;
}

static int has_it_shut_down(void *arg)
{
    return call_on(2, shuts_down_without_memory, arg);
}

TEST_PLAIN(a_shutdown_without_memory_says_so)
{
    CHECK_EQ(run_on(2, has_it_shut_down, NULL), 0);
}
#endif
