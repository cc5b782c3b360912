/* SPDX-License-Identifier: MIT */
/* test_away.c - children on another worker: how they end, and what of it comes
 * home; policies, limits, daemons. */
#include <weft/cleanup.h>
#include <weft/error.h>

#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "fibers.h"
#include "unhandled.h"
#include "workers.h"

enum { MANY = 64 };

/* ---- it succeeds -------------------------------------------------------- */

static int notes_its_worker(void *seen)
{
    *(unsigned *)seen = weft_worker();
    return 0;
}

TEST_WORKERS(xth_06_a_child_runs_on_the_worker_it_was_spawned_for)
{
    unsigned seen[9] = {0};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 0; k <= weft_workers(); k++)
            spawn_on(k, &n, notes_its_worker, &seen[k]);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(seen[0], 1);
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(seen[k], k);
}

struct held {
    int go, done;
};

static int goes_when_told(void *arg)
{
    struct held *h = arg;
    wait_for_word(&h->go); /* it computes */
    say_word(&h->done);
    return 0;
}

TEST_WORKERS(xth_06_close_waits_for_a_child_that_computes_elsewhere)
{
    for
        EACH_OTHER(k)
        {
            struct held h = {0};
            weft_nursery n;
            CHECK_EQ(weft_nursery_open(&n, NULL), 0);
            spawn_on(k, &n, goes_when_told, &h);
            for (int i = 0; i < 100; i++) {
                CHECK_EQ(weft_yield(), 0);
                CHECK_EQ(weft_nursery_count(&n), 1);
            }
            CHECK(!word_is_said(&h.done));
            say_word(&h.go);
            CHECK_EQ(weft_nursery_close(&n, 5), 5);
            CHECK_EQ(h.done, 1);
        }
}

static int returns_seven(void *arg)
{
    (void)arg;
    return 7;
}

TEST_WORKERS(a_positive_result_comes_home_in_the_task)
{
    for
        EACH_OTHER(k)
        {
            weft_task t;
            weft_outcome o;
            int rc;
            WEFT_NURSERY(n, rc) {
                const weft_spawn_opts away = {.worker = (int)k, .task = &t};
                CHECK_EQ(weft_spawn_ex(&n, returns_seven, NULL, &away), 0);
                CHECK_EQ(weft_join(&t, &o), 0);
            }
            CHECK_EQ(rc, 0);
            CHECK_EQ(o.status, WEFT_OK);
            CHECK_EQ(o.rc, 7);
        }
}

/* ---- it fails ----------------------------------------------------------- */

struct failing {
    uint64_t id;
    int line;
};

static int fails_with_a_record(void *arg)
{
    struct failing *f = arg;
    f->id = weft_fiber_id();
    f->line = __LINE__ + 1;
    return weft_fail(-EPROTO, "no %s on %u", "tea", weft_worker());
}

TEST_WORKERS(xth_06_a_failure_comes_home_with_its_record)
{
    for
        EACH_OTHER(k)
        {
            struct failing f = {0};
            char msg[32];
            int rc;
            WEFT_NURSERY(n, rc) {
                const weft_spawn_opts maid = {.worker = (int)k, .name = "maid"};
                CHECK_EQ(weft_spawn_ex(&n, fails_with_a_record, &f, &maid), 0);
            }
            CHECK_EQ(rc, -EPROTO);
            const weft_error *e = weft_last_error();
            CHECK(e != NULL);
            CHECK_EQ(e->code, -EPROTO);
            CHECK_EQ(e->fiber, f.id);
            CHECK_STR(e->name, "maid");
            CHECK_STR(e->file, __FILE__);
            CHECK_EQ(e->line, f.line);
            (void)snprintf(msg, sizeof msg, "no tea on %u", k);
            CHECK_STR(e->msg, msg);
            CHECK(!e->next && !e->inner && e->dropped == 0);
        }
}

static int fails_without_a_word(void *arg)
{
    (void)arg;
    return -EIO;
}

TEST_WORKERS(xth_06_a_failure_without_a_record_names_the_spawn)
{
    int rc, line = 0;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts mute = {.worker = 2, .name = "mute"};
        line = __LINE__ + 1;
        CHECK_EQ(weft_spawn_ex(&n, fails_without_a_word, NULL, &mute), 0);
    }
    CHECK_EQ(rc, -EIO);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, -EIO);
    CHECK_STR(e->name, "mute");
    CHECK_STR(e->file, __FILE__);
    CHECK_EQ(e->line, line);
    CHECK_STR(e->msg, "");
}

static int fails_after_another_failure(void *arg)
{
    (void)weft_fail(-ENOENT, "first %p", arg);
    return -EIO;
}

TEST_WORKERS(the_record_of_another_failure_is_not_the_one_of_the_child)
{
    CHECK_EQ(call_on(2, fails_after_another_failure, NULL), -EIO);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK_STR(weft_last_error()->msg, "");
}

static int fails_as_a_group(void *arg)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    struct failing *f = arg;
    int rc;
    f->id = weft_fiber_id();
    WEFT_NURSERY_EX(n, rc, &collect) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, fails_without_a_word, NULL);
    }
    return rc;
}

static unsigned length(const weft_error *e)
{
    unsigned n = 0;
    for (; e; e = e->next)
        n++;
    return n;
}

TEST_WORKERS(xth_06_the_group_that_a_failure_came_out_of_is_inside_its_record)
{
    for
        EACH_OTHER(k)
        {
            struct failing f = {0};
            CHECK_EQ(call_on(k, fails_as_a_group, &f), -EIO);
            const weft_error *e = weft_last_error();
            CHECK(e != NULL);
            CHECK_EQ(e->fiber, f.id);
            CHECK(e->next == NULL);
            CHECK_EQ(length(e->inner), weft_workers());
            for (const weft_error *i = e->inner; i; i = i->next) {
                CHECK_EQ(i->code, -EIO);
                CHECK(i->fiber != f.id && !i->inner);
            }
        }
}

TEST_WORKERS(failures_of_many_workers_are_kept_and_beyond_sixteen_counted)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    int rc;
    WEFT_NURSERY_EX(n, rc, &collect) {
        for (unsigned i = 0; i < 40; i++)
            spawn_on(1 + i % weft_workers(), &n, fails_without_a_word, NULL);
    }
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(length(weft_last_error()), 16);
    CHECK_EQ(weft_last_error()->dropped, 40 - 16);
}

static int fails_after_a_bell(void *arg)
{
    struct bell *b = arg;
    int err = weft_fail(-EREMOTE, "rung");
    ring(b);
    return err;
}

TEST_WORKERS(the_earliest_failure_is_the_answer_and_the_others_hang_off_it)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    weft_task first;
    int rc;
    WEFT_NURSERY_EX(n, rc, &collect) {
        const weft_spawn_opts away = {.worker = 2, .task = &first};
        struct bell b = bell_here();
        CHECK_EQ(weft_spawn_ex(&n, fails_after_a_bell, &b, &away), 0);
        hear(&b);
        CHECK_EQ(weft_join(&first, NULL), 0);
        spawn_on(weft_workers(), &n, fails_without_a_word, NULL);
    }
    CHECK_EQ(rc, -EREMOTE);
    CHECK_ERRORS(-EREMOTE, -EIO);
}

/* ---- one fails, the others are cancelled -------------------------------- */

struct waiting {
    weft_reason reason;
    int rc, worker;
};

/* Says so, waits, and tells why it does not any more. */
static int waits_and_tells(void *arg)
{
    struct waiting *w = arg;
    CHECK_EQ(weft_started(NULL), 0);
    w->rc = weft_sleep_until(WEFT_FOREVER);
    w->worker = (int)weft_worker();
    CHECK(weft_cancelled() == (w->rc < 0));
    const weft_reason *r = weft_cancel_reason();
    if (r) w->reason = *r;
    return w->rc;
}

static void start_waiting_on_each(weft_nursery *n, struct waiting *w)
{
    for (unsigned k = 1; k <= weft_workers(); k++)
        start_on(k, n, waits_and_tells, &w[k]);
}

static void check_all_were_cancelled(const struct waiting *w,
                                     weft_reason_kind kind, int code,
                                     uint64_t by)
{
    for (unsigned k = 1; k <= weft_workers(); k++) {
        CHECK_EQ(w[k].rc, -ECANCELED);
        CHECK_EQ(w[k].worker, k);
        CHECK_EQ(w[k].reason.kind, kind);
        CHECK_EQ(w[k].reason.code, code);
        CHECK_EQ(w[k].reason.by, by);
    }
}

TEST_WORKERS(xth_06_a_failure_elsewhere_cancels_the_children_of_every_worker)
{
    for
        EACH_OTHER(k)
        {
            struct waiting w[9] = {{.rc = 1}};
            struct failing f;
            int rc;
            WEFT_NURSERY(n, rc) {
                start_waiting_on_each(&n, w);
                spawn_on(k, &n, fails_with_a_record, &f);
            }
            CHECK_EQ(rc, -EPROTO);
            CHECK_ERRORS(-EPROTO);
            check_all_were_cancelled(w, WEFT_R_SIBLING, -EPROTO, f.id);
        }
}

TEST_WORKERS(xth_06_a_failure_at_home_cancels_the_children_elsewhere)
{
    struct waiting w[9] = {{.rc = 1}};
    struct failing f;
    int rc;
    WEFT_NURSERY(n, rc) {
        start_waiting_on_each(&n, w);
        CHECK_EQ(weft_spawn(&n, fails_with_a_record, &f), 0);
    }
    CHECK_EQ(rc, -EPROTO);
    check_all_were_cancelled(w, WEFT_R_SIBLING, -EPROTO, f.id);
}

TEST_WORKERS(the_failure_of_the_body_cancels_the_children_elsewhere)
{
    struct waiting w[9] = {{.rc = 1}};
    int rc;
    WEFT_NURSERY(n, rc) {
        start_waiting_on_each(&n, w);
        rc = -ENOSPC;
    }
    CHECK_EQ(rc, -ENOSPC);
    check_all_were_cancelled(w, WEFT_R_BODY, -ENOSPC, weft_fiber_id());
}

TEST_WORKERS(xth_06_a_cancellation_reaches_the_children_of_every_worker)
{
    struct waiting w[9] = {{.rc = 1}};
    int rc;
    WEFT_NURSERY(n, rc) {
        start_waiting_on_each(&n, w);
        weft_nursery_cancel(&n, -EINTR, "enough");
    }
    CHECK_EQ(rc, -EINTR);
    check_all_were_cancelled(w, WEFT_R_EXPLICIT, -EINTR, weft_fiber_id());
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_STR(w[k].reason.why, "enough");
}

TEST_WORKERS(xth_06_what_is_around_the_nursery_cancels_its_children_elsewhere)
{
    struct waiting w[9] = {{.rc = 1}};
    weft_scope outer;
    weft_nursery n;
    weft_scope_init(&outer);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start_waiting_on_each(&n, w);
    weft_scope_cancel(&outer, -EBUSY, NULL);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, -ECANCELED); /* not the nursery's own */
    CHECK_EQ(weft_scope_end(&outer, rc), -EBUSY);
    check_all_were_cancelled(w, WEFT_R_EXPLICIT, -EBUSY, weft_fiber_id());
}

static int notes_how_it_began(void *arg)
{
    struct waiting *w = arg;
    w->rc = weft_yield();
    w->worker = (int)weft_worker();
    return w->rc;
}

TEST_WORKERS(xth_06_a_child_of_a_cancelled_nursery_begins_cancelled)
{
    for
        EACH_OTHER(k)
        {
            struct waiting w = {.rc = 1};
            const weft_spawn_opts unless = {.worker = (int)k,
                                            .unless_cancelled = true};
            int rc;
            WEFT_NURSERY(n, rc) {
                weft_nursery_cancel(&n, -EINTR, NULL);
                spawn_on(k, &n, notes_how_it_began, &w);
                CHECK_EQ(weft_spawn_ex(&n, adds_one, NULL, &unless),
                         -ECANCELED);
            }
            CHECK_EQ(rc, -EINTR);
            CHECK_EQ(w.rc, -ECANCELED);
            CHECK_EQ(w.worker, k);
        }
}

struct computing {
    int begun, go, rc;
};

static int computes_and_looks(void *arg)
{
    struct computing *c = arg;
    say_word(&c->begun);
    wait_for_word(&c->go);
    while (c->rc == 0)
        c->rc = weft_yield();
    return c->rc;
}

TEST_WORKERS(xth_06_a_child_that_computes_hears_of_it_later)
{
    struct computing c = {0};
    int rc;
    WEFT_NURSERY(n, rc) {
        spawn_on(weft_workers(), &n, computes_and_looks, &c);
        wait_for_word(&c.begun);
        weft_nursery_cancel(&n, -EINTR, NULL);
        say_word(&c.go);
    }
    CHECK_EQ(rc, -EINTR);
    CHECK_EQ(c.rc, -ECANCELED);
}

static int claims_to_be_cancelled(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

TEST_WORKERS(cancelled_for_no_reason_is_a_failure_elsewhere_too)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    for
        EACH_OTHER(k)
        {
            weft_task t;
            weft_outcome o;
            int rc;
            WEFT_NURSERY_EX(n, rc, &collect) {
                const weft_spawn_opts away = {.worker = (int)k, .task = &t};
                CHECK_EQ(weft_spawn_ex(&n, claims_to_be_cancelled, NULL, &away),
                         0);
                CHECK_EQ(weft_join(&t, &o), 0);
                CHECK_EQ(o.status, WEFT_FAILED);
                CHECK_EQ(o.err->code, -ECANCELED);
            }
            CHECK_EQ(rc, -ECANCELED);
            CHECK_ERRORS(-ECANCELED);
        }
}

static int fails_though_cancelled(void *arg)
{
    (void)is_ready_and_waits(arg);
    return weft_fail(-ENOTTY, "while it cleaned up");
}

TEST_WORKERS(a_failure_of_a_cancelled_child_elsewhere_beats_its_cancellation)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        start_on(2, &n, fails_though_cancelled, NULL);
        start_on(weft_workers(), &n, is_ready_and_waits, NULL);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, -ENOTTY);
    CHECK_STR(weft_last_error()->msg, "while it cleaned up");
}

static int succeeds_though_cancelled(void *arg)
{
    (void)is_ready_and_waits(arg);
    return 3;
}

TEST_WORKERS(success_of_a_cancelled_child_elsewhere_is_not_overwritten)
{
    weft_outcome o;
    weft_task t;
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts away = {.worker = 2, .task = &t};
        CHECK_EQ(
            weft_start_ex(&n, succeeds_though_cancelled, NULL, NULL, &away), 0);
        weft_nursery_cancel(&n, -EINTR, NULL);
    }
    CHECK_EQ(rc, 0); /* nobody was stopped */
    CHECK_EQ(weft_join(&t, &o), 0);
    CHECK_EQ(o.status, WEFT_OK);
    CHECK_EQ(o.rc, 3);
}

/* ---- policies ----------------------------------------------------------- */

TEST_WORKERS(with_collect_a_failure_elsewhere_cancels_nobody)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    struct held h = {0};
    struct failing f;
    int rc;
    WEFT_NURSERY_EX(n, rc, &collect) {
        spawn_on(2, &n, fails_with_a_record, &f);
        while (weft_nursery_count(&n) > 0)
            CHECK_EQ(weft_yield(), 0);
        spawn_on(weft_workers(), &n, goes_when_told, &h);
        CHECK(!weft_scope_cancel_called(weft_nursery_scope(&n)));
        say_word(&h.go);
    }
    CHECK_EQ(rc, -EPROTO);
    CHECK_EQ(h.done, 1);
}

static unsigned hook_worker;

static void notes_where(const weft_error *e)
{
    hook_worker = weft_worker();
    note_unhandled(e);
}

TEST_WORKERS(the_hook_hears_at_home_of_a_supervised_child_elsewhere)
{
    static const weft_nursery_opts supervise = {.policy = WEFT_SUPERVISE};
    struct failing f;
    int rc;
    unhandled = 0;
    weft_on_unhandled(notes_where);
    WEFT_NURSERY_EX(n, rc, &supervise) {
        spawn_on(weft_workers(), &n, fails_with_a_record, &f);
    }
    weft_on_unhandled(NULL);
    CHECK_EQ(rc, 0);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EPROTO);
    CHECK_EQ(hook_worker, 1);
    CHECK(strncmp(unhandled_msg, "no tea on ", 10) == 0);
}

struct supervisor {
    int calls, restarts;
    weft_outcome last;
    char msg[104];
    uint64_t child;
    struct failing f;
};

static weft_verdict starts_it_again(weft_nursery *n, uint64_t child,
                                    weft_outcome o, void *user)
{
    struct supervisor *s = user;
    CHECK_EQ(weft_worker(), 1);
    s->calls++;
    s->last = o;
    s->child = child;
    CHECK_EQ(o.status, WEFT_FAILED);
    CHECK_EQ(o.err->fiber, child);
    (void)snprintf(s->msg, sizeof s->msg, "%s", o.err->msg);
    if (s->restarts-- == 0) return WEFT_CANCEL_REST;
    spawn_on(1 + (unsigned)s->restarts % weft_workers(), n, fails_with_a_record,
             &s->f);
    return WEFT_CONTINUE;
}

TEST_WORKERS(on_exit_is_told_at_home_and_may_start_it_again_elsewhere)
{
    struct supervisor s = {.restarts = 20};
    const weft_nursery_opts o = {
        .policy = WEFT_SUPERVISE, .on_exit = starts_it_again, .user = &s};
    int rc;
    WEFT_NURSERY_EX(n, rc, &o) {
        spawn_on(2, &n, fails_with_a_record, &s.f);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.calls, 21);
    CHECK_EQ(s.child, s.f.id);
    CHECK(strncmp(s.msg, "no tea on ", 10) == 0);
}

static weft_verdict cancels_the_rest(weft_nursery *n, uint64_t child,
                                     weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    (void)user;
    return o.status == WEFT_OK ? WEFT_CANCEL_REST : WEFT_CONTINUE;
}

TEST_WORKERS(the_verdict_on_a_child_elsewhere_cancels_the_rest_everywhere)
{
    static const weft_nursery_opts o = {.on_exit = cancels_the_rest};
    struct waiting w[9] = {{.rc = 1}};
    int rc;
    WEFT_NURSERY_EX(n, rc, &o) {
        start_waiting_on_each(&n, w);
        spawn_on(2, &n, does_nothing, NULL);
    }
    CHECK_EQ(rc, 0);
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(w[k].reason.kind, WEFT_R_EXPLICIT);
}

/* ---- limits ------------------------------------------------------------- */

struct crowd {
    int inside, most, ran;
};

static int is_one_of_the_crowd(void *arg)
{
    struct crowd *c = arg;
    int inside = add_one(&c->inside), most = count_of(&c->most);
    while (inside > most &&
           !__atomic_compare_exchange_n(&c->most, &most, inside, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    }
    int err = weft_yield();
    (void)__atomic_sub_fetch(&c->inside, 1, __ATOMIC_ACQ_REL);
    (void)add_one(&c->ran);
    return err;
}

TEST_WORKERS(a_limit_counts_children_wherever_they_are)
{
    static const weft_nursery_opts three = {.limit = 3};
    struct crowd c = {0};
    int rc;
    WEFT_NURSERY_EX(n, rc, &three) {
        for (unsigned i = 0; i < MANY; i++) {
            const weft_spawn_opts o = on_worker(1 + i % weft_workers());
            CHECK_EQ(weft_spawn_wait_ex(&n, is_one_of_the_crowd, &c, &o), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.ran, MANY);
    CHECK(c.most <= 3);
}

TEST_WORKERS(a_child_elsewhere_keeps_its_place_until_it_is_back)
{
    static const weft_nursery_opts one = {.limit = 1};
    struct held h = {0};
    int rc, ran = 0;
    WEFT_NURSERY_EX(n, rc, &one) {
        const weft_spawn_opts o = on_worker(2);
        spawn_on(2, &n, goes_when_told, &h);
        CHECK_EQ(try_spawn_on(2, &n, adds_one, &ran), -EAGAIN);
        CHECK_EQ(try_spawn_on(0, &n, adds_one, &ran), -EAGAIN);
        say_word(&h.go);
        CHECK_EQ(weft_spawn_wait_ex(&n, adds_one, &ran, &o), 0);
        CHECK_EQ(h.done, 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ran, 1);
}

/* ---- daemons ------------------------------------------------------------ */

TEST_WORKERS(daemons_elsewhere_are_cancelled_without_a_trace)
{
    struct waiting w[9] = {{.rc = 1}};
    int rc, ran = 0;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++) {
            const weft_spawn_opts o = {.worker = (int)k, .daemon = true};
            CHECK_EQ(weft_start_ex(&n, waits_and_tells, &w[k], NULL, &o), 0);
        }
        for
            EACH_OTHER(k)
        spawn_on(k, &n, adds_one, &ran);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ran, weft_workers() - 1);
    check_all_were_cancelled(w, WEFT_R_DAEMON, 0, 0);
}

TEST_WORKERS(a_daemon_elsewhere_that_fails_is_a_failure)
{
    struct failing f;
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.worker = 2, .daemon = true};
        start_on(weft_workers(), &n, is_ready_and_waits, NULL);
        CHECK_EQ(weft_spawn_ex(&n, fails_with_a_record, &f, &o), 0);
    }
    CHECK_EQ(rc, -EPROTO);
}

/* ---- clean-up ----------------------------------------------------------- */

struct cleaned {
    unsigned worker;
    int slept;
};

static void cleans_up(void *arg)
{
    struct cleaned *c = arg;
    c->worker = weft_worker();
    c->slept = weft_sleep(WEFT_USEC(10)); /* shielded */
}

static int defers_and_waits(void *arg)
{
    CHECK_EQ(weft_defer(cleans_up, arg), 0);
    return is_ready_and_waits(NULL);
}

TEST_WORKERS(what_a_child_elsewhere_has_deferred_is_called_there_before_the_end)
{
    struct cleaned c = {.slept = 1};
    int rc;
    WEFT_NURSERY(n, rc) {
        start_on(weft_workers(), &n, defers_and_waits, &c);
        weft_nursery_cancel(&n, -EINTR, NULL);
    }
    CHECK_EQ(rc, -EINTR);
    CHECK_EQ(c.worker, weft_workers());
    CHECK_EQ(c.slept, 0);
}

TEST_WORKERS(the_grace_of_a_nursery_holds_for_its_children_elsewhere)
{
    static const weft_nursery_opts none = {.cleanup_grace = -1};
    struct cleaned c = {.slept = 1};
    int rc;
    WEFT_NURSERY_EX(n, rc, &none) {
        start_on(2, &n, defers_and_waits, &c);
        weft_nursery_cancel(&n, -EINTR, NULL);
    }
    CHECK_EQ(rc, -EINTR);
    CHECK_EQ(c.slept, -ECANCELED);
}
