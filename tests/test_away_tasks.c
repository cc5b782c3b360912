/* SPDX-License-Identifier: MIT */
/* test_away_tasks.c - asking for a child on another worker: tasks, its start,
 * its argument, its stack, its name. */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/select.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "fibers.h"
#include "workers.h"

/* ---- tasks -------------------------------------------------------------- */

static weft_spawn_opts task_on(unsigned k, weft_task *t)
{
    return (weft_spawn_opts){.worker = (int)k, .task = t};
}

static int says_no(void *id)
{
    *(uint64_t *)id = weft_fiber_id();
    return weft_fail(-EPROTO, "no");
}

TEST_WORKERS(xth_06_join_tells_how_a_child_elsewhere_failed)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    uint64_t id = 0;
    weft_outcome o;
    weft_task t;
    int rc;
    WEFT_NURSERY_EX(n, rc, &collect) {
        weft_spawn_opts away = task_on(weft_workers(), &t);
        away.user = &id;
        CHECK_EQ(weft_spawn_ex(&n, says_no, &id, &away), 0);
        CHECK_EQ(weft_join(&t, &o), 0);
        CHECK(weft_task_done(&t));
        CHECK_EQ(o.status, WEFT_FAILED);
        CHECK_EQ(o.rc, -EPROTO);
        CHECK_STR(o.err->msg, "no");
        CHECK_EQ(weft_task_id(&t), id);
        CHECK_PTR(weft_task_user(&t), &id);
    }
    CHECK_EQ(rc, -EPROTO);
    CHECK_EQ(weft_join(&t, &o), 0); /* also after the close */
    CHECK_STR(o.err->msg, "no");
}

struct reason {
    weft_reason reason;
    int rc;
};

static int waits_and_notes_why(void *arg)
{
    struct reason *r = arg;
    CHECK_EQ(weft_started(NULL), 0);
    r->rc = weft_sleep_until(WEFT_FOREVER);
    if (weft_cancel_reason()) r->reason = *weft_cancel_reason();
    return r->rc;
}

TEST_WORKERS(xth_06_a_task_elsewhere_is_cancelled_alone)
{
    for
        EACH_OTHER(k)
        {
            struct reason r = {.rc = 1}, other = {.rc = 1};
            weft_outcome o;
            weft_task t;
            int rc;
            WEFT_NURSERY(n, rc) {
                const weft_spawn_opts away = task_on(k, &t);
                CHECK_EQ(
                    weft_start_ex(&n, waits_and_notes_why, &r, NULL, &away), 0);
                start_on(k, &n, waits_and_notes_why, &other);
                weft_task_cancel(&t, -ESTALE, "old");
                weft_task_cancel(&t, -EIO, "second");
                CHECK_EQ(weft_join(&t, &o), 0);
                CHECK_EQ(o.status, WEFT_CANCELLED);
                CHECK_EQ(r.reason.kind, WEFT_R_EXPLICIT);
                CHECK_EQ(r.reason.code, -ESTALE);
                CHECK_STR(r.reason.why, "old");
                CHECK_EQ(weft_nursery_count(&n), 1);
                weft_task_cancel(&t, -EIO, "after its end");
                weft_nursery_cancel(&n, -EINTR, NULL);
            }
            CHECK_EQ(rc, -EINTR);
            CHECK_EQ(other.reason.code, -EINTR);
        }
}

TEST_WORKERS(a_task_elsewhere_that_was_cancelled_alone_leaves_no_trace)
{
    weft_task t;
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts away = task_on(2, &t);
        CHECK_EQ(weft_start_ex(&n, is_ready_and_waits, NULL, NULL, &away), 0);
        weft_task_cancel(&t, -ESTALE, NULL);
        rc = 4;
    }
    CHECK_EQ(rc, 4);
}

TEST_WORKERS(a_task_cancelled_on_its_way_there_begins_cancelled)
{
    struct reason r = {.rc = 1};
    weft_task t;
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts away = task_on(2, &t);
        CHECK_EQ(weft_spawn_ex(&n, waits_and_notes_why, &r, &away), 0);
        weft_task_cancel(&t, -ESTALE, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.rc, -ECANCELED);
    CHECK_EQ(r.reason.code, -ESTALE);
}

static int joins(void *task)
{
    weft_outcome o;
    int err = weft_join(task, &o);
    if (err < 0) return err;
    CHECK_EQ(o.status, WEFT_CANCELLED);
    return 0;
}

TEST_WORKERS(several_join_a_task_elsewhere_and_who_is_cancelled_leaves_it_be)
{
    weft_task t, impatient;
    weft_outcome o;
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts away = task_on(2, &t),
                              task = task_on(0, &impatient);
        CHECK_EQ(weft_start_ex(&n, is_ready_and_waits, NULL, NULL, &away), 0);
        CHECK_EQ(weft_spawn_ex(&n, joins, &t, &task), 0);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, joins, &t), 0);
        CHECK_EQ(weft_yield(), 0);
        weft_task_cancel(&impatient, 0, NULL);
        CHECK_EQ(weft_join(&impatient, &o), 0);
        CHECK_EQ(o.status, WEFT_CANCELLED);
        CHECK(!weft_task_done(&t));
        weft_task_cancel(&t, 0, NULL);
    }
    CHECK_EQ(rc, 0);
}

struct gated {
    int go, rc;
};

static int ends_when_told(void *arg)
{
    const struct gated *g = arg;
    int err = yields_until_said(&g->go);
    return err < 0 ? err : g->rc;
}

TEST_WORKERS(wait_waits_for_tasks_of_several_workers)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    struct gated g[9] = {{0}};
    weft_task t[9], *all[9];
    unsigned count = weft_workers();
    int rc;
    WEFT_NURSERY_EX(n, rc, &collect) {
        for (unsigned k = 0; k < count; k++) {
            const weft_spawn_opts o = task_on(k + 1, all[k] = &t[k]);
            CHECK_EQ(weft_spawn_ex(&n, ends_when_told, &g[k], &o), 0);
        }
        CHECK_EQ(weft_wait(all, count, WEFT_FIRST_DONE, 0), 0);
        say_word(&g[1].go);
        CHECK_EQ(weft_wait(all, count, WEFT_FIRST_DONE, WEFT_FOREVER), 1);
        CHECK(weft_task_done(&t[1]));
        g[0].rc = -EIO;
        say_word(&g[0].go);
        CHECK_EQ(weft_wait(all, count, WEFT_FIRST_ERROR, WEFT_FOREVER), 2);
        for (unsigned k = 2; k < count; k++)
            say_word(&g[k].go);
        CHECK_EQ(weft_wait(all, count, WEFT_ALL, WEFT_FOREVER), count);
    }
    CHECK_EQ(rc, -EIO);
}

TEST_WORKERS(a_queue_hands_out_tasks_elsewhere_in_the_order_of_their_ends)
{
    struct gated g[9] = {{0}};
    weft_task t[9], *next;
    weft_doneq q;
    unsigned count = weft_workers();
    int rc;
    weft_doneq_init(&q);
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 0; k < count; k++) {
            weft_spawn_opts o = task_on(k + 1, &t[k]);
            o.doneq = &q;
            CHECK_EQ(weft_spawn_ex(&n, ends_when_told, &g[k], &o), 0);
        }
        for (unsigned k = count; k-- > 0;) {
            say_word(&g[k].go);
            CHECK_EQ(weft_next_done(&q, &next), 1);
            CHECK_PTR(next, &t[k]);
        }
        CHECK_EQ(weft_next_done(&q, &next), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST_WORKERS(select_sees_the_end_of_a_task_elsewhere)
{
    struct gated g = {0};
    weft_task t;
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts away = task_on(weft_workers(), &t);
        CHECK_EQ(weft_spawn_ex(&n, ends_when_told, &g, &away), 0);
        weft_case timeout[] = {WEFT_CASE_TASK(&t), WEFT_CASE_AFTER(1000)};
        CHECK_EQ(weft_select(timeout, 2, 0), 1);
        say_word(&g.go);
        weft_case task[] = {WEFT_CASE_TASK(&t)};
        CHECK_EQ(weft_select(task, 1, 0), 0);
        CHECK(weft_task_done(&t));
    }
    CHECK_EQ(rc, 0);
}

/* ---- start -------------------------------------------------------------- */

static int is_ready_with(void *value)
{
    CHECK_EQ(weft_started(value), 0);
    CHECK_EQ(weft_started(NULL), -EALREADY);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST_WORKERS(xth_06_start_waits_until_a_child_elsewhere_is_ready)
{
    for
        EACH_OTHER(k)
        {
            const weft_spawn_opts away = on_worker(k);
            void *value = NULL;
            int here, rc;
            WEFT_NURSERY(n, rc) {
                CHECK_EQ(weft_start_ex(&n, is_ready_with, &here, &value, &away),
                         0);
                CHECK_PTR(value, &here);
                CHECK_EQ(weft_nursery_count(&n), 1);
                weft_nursery_cancel(&n, 0, NULL);
            }
            CHECK_EQ(rc, 0);
        }
}

TEST_WORKERS(xth_06_what_fails_before_it_is_ready_is_the_result_of_start)
{
    const weft_spawn_opts away = on_worker(2);
    uint64_t id;
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_start_ex(&n, says_no, &id, NULL, &away), -EPROTO);
        CHECK_STR(weft_last_error()->msg, "no");
        CHECK_EQ(weft_last_error()->fiber, id);
        CHECK(!weft_scope_cancel_called(weft_nursery_scope(&n)));
    }
    CHECK_EQ(rc, 0);
}

TEST_WORKERS(what_returns_without_having_been_ready_is_no_start)
{
    const weft_spawn_opts away = on_worker(2);
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_start_ex(&n, does_nothing, NULL, NULL, &away), -EPROTO);
    }
    CHECK_EQ(rc, 0);
}

static int is_ready_and_fails(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_started(NULL), 0);
    return weft_fail(-EPROTO, "later");
}

TEST_WORKERS(what_fails_after_it_was_ready_is_the_nursery_s)
{
    for (int i = 0; i < 50; i++) {
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start_on(2, &n, is_ready_and_fails, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);
        CHECK_STR(weft_last_error()->msg, "later");
    }
}

struct late {
    struct bell begun;
    int ended;
};

static int waits_before_it_is_ready(void *arg)
{
    struct late *l = arg;
    ring(&l->begun);
    int err = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_started(NULL), 0); /* too late to be believed */
    say_word(&l->ended);
    return err;
}

struct starter {
    weft_nursery *n;
    struct late late;
    int rc;
};

static int starts_it(void *arg)
{
    struct starter *s = arg;
    const weft_spawn_opts away = on_worker(2);
    s->rc =
        weft_start_ex(s->n, waits_before_it_is_ready, &s->late, NULL, &away);
    CHECK_EQ(s->late.ended, 1);
    return s->rc;
}

TEST_WORKERS(xth_06_a_cancelled_starter_takes_the_child_elsewhere_with_it)
{
    struct starter s = {.late = {.begun = bell_here()}};
    weft_task t;
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts here = task_on(0, &t);
        s.n = &n;
        CHECK_EQ(weft_spawn_ex(&n, starts_it, &s, &here), 0);
        hear(&s.late.begun);
        weft_task_cancel(&t, -EINTR, NULL);
        CHECK_EQ(weft_join(&t, NULL), 0);
        CHECK_EQ(s.rc, -ECANCELED);
        CHECK_EQ(weft_nursery_count(&n), 0);
    }
    CHECK_EQ(rc, 0);
}

static void is_ready_at_the_end(void *arg)
{
    (void)arg;
    (void)weft_started(NULL);
}

static int defers_being_ready(void *arg)
{
    return weft_defer(is_ready_at_the_end, arg);
}

TEST_WORKERS(to_be_ready_when_the_function_has_returned_is_too_late)
{
    const weft_spawn_opts away = on_worker(2);
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_start_ex(&n, defers_being_ready, NULL, NULL, &away),
                 -EPROTO);
    }
    CHECK_EQ(rc, 0);
}

static int is_ready_for_nobody(void *arg)
{
    int rc = weft_started(arg);
    return rc == 0 ? weft_yield() : rc;
}

TEST_WORKERS(started_has_no_effect_in_a_child_that_was_spawned)
{
    CHECK_EQ(call_on(2, is_ready_for_nobody, NULL), 0);
}

TEST_WORKERS(start_waits_for_a_place_and_then_for_a_child_elsewhere)
{
    static const weft_nursery_opts one = {.limit = 1};
    const weft_spawn_opts away = on_worker(2);
    int rc, ran = 0;
    WEFT_NURSERY_EX(n, rc, &one) {
        for (int i = 0; i < 20; i++) {
            spawn_on(2, &n, adds_one, &ran);
            CHECK_EQ(weft_start_ex(&n, does_nothing, NULL, NULL, &away),
                     -EPROTO);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ran, 20);
}

/* ---- arguments ---------------------------------------------------------- */

struct small {
    int *sum;
    int addend;
};

static int adds(void *arg)
{
    const struct small *s = arg;
    CHECK_EQ((uintptr_t)s % _Alignof(max_align_t), 0);
    (void)__atomic_add_fetch(s->sum, s->addend, __ATOMIC_RELAXED);
    return 0;
}

TEST_WORKERS(a_small_copy_goes_with_the_child)
{
    int rc, sum = 0;
    WEFT_NURSERY(n, rc) {
        for (int i = 1; i <= 200; i++) {
            const weft_spawn_opts o =
                on_worker((unsigned)i % weft_workers() + 1);
            struct small s = {&sum, i};
            CHECK_EQ(weft_spawn_copy_ex(&n, adds, &s, sizeof s, &o), 0);
            memset(&s, 0xee, sizeof s);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, 200 * 201 / 2);
}

struct large {
    struct small small;
    unsigned char filling[8000];
};

static int adds_and_looks(void *arg)
{
    struct large *l = arg;
    for (size_t i = 0; i < sizeof l->filling; i++)
        CHECK_EQ(l->filling[i], i % 251);
    memset(l->filling, 0, sizeof l->filling); /* it is the child's */
    return adds(&l->small);
}

TEST_WORKERS(a_large_copy_goes_with_the_child)
{
    int rc, sum = 0;
    WEFT_NURSERY(n, rc) {
        for (int i = 1; i <= 50; i++) {
            const weft_spawn_opts o =
                on_worker((unsigned)i % weft_workers() + 1);
            struct large l = {.small = {&sum, i}};
            for (size_t at = 0; at < sizeof l.filling; at++)
                l.filling[at] = (unsigned char)(at % 251);
            CHECK_EQ(weft_spawn_copy_ex(&n, adds_and_looks, &l, sizeof l, &o),
                     0);
            memset(&l, 0xee, sizeof l);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, 50 * 51 / 2);
}

TEST_WORKERS(a_copy_too_large_for_the_stack_is_refused)
{
    static char much[64 * 1024];
    const weft_spawn_opts o = on_worker(2);
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_copy_ex(&n, does_nothing, much, sizeof much, &o),
                 -E2BIG);
        CHECK_EQ(weft_nursery_count(&n), 0);
    }
    CHECK_EQ(rc, 0);
}

/* ---- stack and name ----------------------------------------------------- */

enum { WIDE = 600 * 1024 };

__attribute__((noinline)) static int uses_much_stack(void *arg)
{
    volatile char much[WIDE];
    (void)arg;
    for (size_t i = 0; i < sizeof much; i += 1024)
        much[i] = 1;
    return much[1024];
}

TEST_WORKERS(the_stack_that_was_asked_for_is_there_on_another_worker)
{
    weft_task t;
    weft_outcome o;
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_spawn_opts away = task_on(weft_workers(), &t);
        away.stack_size = 1024 * 1024;
        CHECK_EQ(weft_spawn_ex(&n, uses_much_stack, NULL, &away), 0);
        CHECK_EQ(weft_join(&t, &o), 0);
        CHECK_EQ(o.rc, 1);
    }
    CHECK_EQ(rc, 0);
}

struct named {
    const char *name;
    char *text;
    struct bell said;
};

static int tells_its_name(void *arg)
{
    struct named *me = arg;
    me->name = weft_fiber_name();
    me->text = strdup(dump());
    ring(&me->said);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST_WORKERS(a_child_elsewhere_has_its_name_there_and_in_the_dump)
{
    struct named me = {.said = bell_here()};
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.worker = 2, .name = "traveller"};
        CHECK_EQ(weft_spawn_ex(&n, tells_its_name, &me, &o), 0);
        hear(&me.said);
        const char *here = dump();
        CHECK(strstr(here, "\"traveller\" parked") != NULL);
        CHECK(strstr(here, "run on worker 2") != NULL);
        CHECK(strstr(me.text, "\"traveller\" running") != NULL);
        CHECK(strstr(me.text, "test_away_tasks.c") != NULL);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(me.name, "traveller");
    free(me.text);
}
