/* SPDX-License-Identifier: MIT */
/* test_rwlock.c - who reads and who writes, in which order, and who may not. */
#include <weft/cleanup.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/rwlock.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "chance.h"
#include "deadlock.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "settle.h"

enum { WAITING = 1 };

static weft_rwlock lock = WEFT_RWLOCK_INIT;
static int turns, reading, writing;

/* Takes the lock in a scope of its own, and keeps it until it may leave. */
struct user {
    weft_scope scope;
    bool writes;
    int result; /* WAITING: it does */
    int turn;   /* 1 for the first to get in */
    int next;   /* the cancel point after it */
    weft_event may_leave;
};

static void check_who_is_in(void)
{
    CHECK(reading >= 0);
    CHECK(writing == 0 || (writing == 1 && reading == 0));
}

/* Whoever is in counts himself where he should be, and is waited for. */
static void keep(struct user *u)
{
    int rc, *count = u->writes ? &writing : &reading;
    ++*count;
    check_who_is_in();
    WEFT_SHIELD(rc, WEFT_FOREVER) {
        rc = weft_event_wait(&u->may_leave);
    }
    CHECK_EQ(rc, 0);
    check_who_is_in();
    --*count;
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
}

static int uses(void *arg)
{
    struct user *u = arg;
    CHECK_EQ(weft_scope_begin(&u->scope), 0);
    u->result =
        u->writes ? weft_rwlock_wrlock(&lock) : weft_rwlock_rdlock(&lock);
    u->turn = ++turns;
    u->next = weft_checkpoint();
    if (u->result == 0) keep(u);
    return weft_scope_end(&u->scope, 0);
}

static void add(weft_nursery *n, struct user *u, bool writes)
{
    *u = (struct user){.result = WAITING, .writes = writes};
    weft_scope_init(&u->scope);
    CHECK_EQ(weft_spawn(n, uses, u), 0);
    settle();
}

/* Opens *n, and adds one after the other what `who` says: r or w. */
static void add_all(weft_nursery *n, struct user *u, const char *who)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    for (size_t i = 0; who[i]; i++)
        add(n, &u[i], who[i] == 'w');
}

static void let_go(struct user *u)
{
    CHECK_EQ(u->result, 0);
    weft_event_set(&u->may_leave);
    settle();
}

static void cancel(struct user *u)
{
    weft_scope_cancel(&u->scope, 0, NULL);
    settle();
}

static void let_all_go(struct user *u, size_t count)
{
    for (size_t i = 0; i < count; i++)
        weft_event_set(&u[i].may_leave);
}

/* The results, as text: 0 is in or was, . waits, c was cancelled, d: its
 * owner is dead. */
static void check_results(const struct user *u, const char *want)
{
    char got[32] = "";
    for (size_t i = 0; want[i]; i++) {
        int rc = u[i].result;
        got[i] = rc == 0             ? '0'
                 : rc == WAITING     ? '.'
                 : rc == -ECANCELED  ? 'c'
                 : rc == -EOWNERDEAD ? 'd'
                                     : '?';
    }
    CHECK_STR(got, want);
}

static void check_free(void)
{
    CHECK_EQ(reading, 0);
    CHECK_EQ(writing, 0);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
}

static void finish(weft_nursery *n, struct user *u, size_t count)
{
    let_all_go(u, count);
    CHECK_EQ(weft_nursery_close(n, 0), 0);
    check_free();
}

/* ---- who goes in -------------------------------------------------------- */

TEST(readers_are_in_together_and_a_writer_is_alone)
{
    weft_nursery n;
    struct user u[5];
    add_all(&n, u, "rrrww");
    check_results(u, "000..");
    CHECK_EQ(reading, 3);
    let_go(&u[0]);
    let_go(&u[2]);
    check_results(u, "000..");
    let_go(&u[1]);
    check_results(u, "0000.");
    let_go(&u[3]);
    check_results(u, "00000");
    finish(&n, u, 5);
}

TEST(rwl_01_a_writer_goes_in_alone_and_then_the_readers_behind_it_together)
{
    weft_nursery n;
    struct user u[4];
    add_all(&n, u, "rwrr");
    check_results(u, "0...");
    let_go(&u[0]);
    check_results(u, "00..");
    let_go(&u[1]);
    check_results(u, "0000");
    CHECK_EQ(reading, 2);
    finish(&n, u, 4);
}

TEST(rwl_01_neighbouring_readers_go_in_together_and_no_others)
{
    weft_nursery n;
    struct user u[8];
    add_all(&n, u, "wrrwrwrr");
    check_results(u, "0.......");
    let_go(&u[0]);
    check_results(u, "000.....");
    let_go(&u[1]);
    check_results(u, "000.....");
    let_go(&u[2]);
    check_results(u, "0000....");
    let_go(&u[3]);
    check_results(u, "00000...");
    let_go(&u[4]);
    check_results(u, "000000..");
    let_go(&u[5]);
    check_results(u, "00000000");
    finish(&n, u, 8);
}

TEST(rwl_01_a_lock_that_was_given_is_not_to_be_had_by_others)
{
    weft_nursery n;
    struct user u[3];
    add_all(&n, u, "w");
    add(&n, &u[1], true);
    weft_event_set(&u[0].may_leave);
    CHECK_EQ(weft_yield(), 0); /* it has unlocked; the next is the writer */
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), -EBUSY);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    add(&n, &u[2], false);
    check_results(u, "00.");
    finish(&n, u, 3);
}

static int reads_for_a_while(void *arg)
{
    int *in = arg;
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    CHECK_EQ(writing, 0);
    ++*in;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    --*in;
    return weft_rwlock_unlock(&lock);
}

static int readers_come_for_ever(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 100; i++) {
            CHECK_EQ(weft_spawn(&n, reads_for_a_while, arg), 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        }
    }
    return rc;
}

TEST(rwl_03_a_writer_waits_only_for_the_readers_before_it)
{
    int rc, in = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, readers_come_for_ever, &in), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(20) + 1), 0);
        CHECK_EQ(in, 5); /* there is always one */
        weft_time start = weft_now();
        CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
        CHECK(weft_now() - start < WEFT_MSEC(5));
        CHECK_EQ(in, 0);
        CHECK_EQ(writing++, 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
        CHECK_EQ(in, 0);
        writing--;
        CHECK_EQ(weft_rwlock_unlock(&lock), 0);
        settle();
        CHECK_EQ(in, 15); /* all that came meanwhile, at once */
    }
    CHECK_EQ(rc, 0);
    check_free();
}

static int writes_for_a_while(void *arg)
{
    int *count = arg;
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    ++*count;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    return weft_rwlock_unlock(&lock);
}

TEST(rwl_03_nor_does_a_reader_starve_among_writers)
{
    int rc, written = 0;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 20; i++) {
            CHECK_EQ(weft_spawn(&n, writes_for_a_while, &written), 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
            if (i != 9) continue;
            CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
            CHECK_EQ(written, 10);
            CHECK_EQ(weft_rwlock_unlock(&lock), 0);
        }
    }
    CHECK_EQ(rc, 0);
    check_free();
}

TEST(a_reader_can_read_again_while_no_writer_waits)
{
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    check_free();
}

TEST(many_readers_are_let_in_in_line)
{
    enum { MANY = 50 };
    static struct user u[MANY];
    weft_nursery n;
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < MANY; i++)
        add(&n, &u[i], false);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY); /* before any has run */
    settle();
    CHECK_EQ(reading, MANY);
    finish(&n, u, MANY);
}

TEST_FIFO(readers_let_in_together_run_in_the_order_of_the_line)
{
    weft_nursery n;
    struct user u[5];
    add_all(&n, u, "wrrrr");
    let_go(&u[0]);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(u[i].turn, i + 1);
    finish(&n, u, 5);
}

/* ---- trying ------------------------------------------------------------- */

TEST(trying_takes_it_only_if_nobody_waits)
{
    weft_nursery n;
    struct user u[2];
    add_all(&n, u, "r");
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    add(&n, &u[1], true);
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), -EBUSY); /* behind the writer */
    let_go(&u[0]);
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), -EBUSY);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    finish(&n, u, 2);
}

TEST(trying_is_no_cancel_point)
{
    weft_scope s;
    open_cancelled_scope(&s);
    CHECK_EQ(weft_rwlock_rdlock(&lock), -ECANCELED);
    CHECK_EQ(weft_rwlock_wrlock(&lock), -ECANCELED);
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), 0);
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    check_free();
}

TEST(a_writer_that_asks_again_is_told_that_it_would_wait_for_itself)
{
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    CHECK_EQ(weft_rwlock_wrlock(&lock), -EDEADLK);
    CHECK_EQ(weft_rwlock_rdlock(&lock), -EDEADLK);
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), -EBUSY);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    check_free();
}

TEST_PLAIN(outside_a_fiber_nothing_is_taken)
{
    CHECK_EQ(weft_rwlock_rdlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_wrlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_downgrade(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_repair(&lock), -EPERM);
}

/* ---- unlocking ---------------------------------------------------------- */

static int unlocks_as_a_stranger(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_downgrade(&lock), -EPERM);
    return 0;
}

static void let_a_stranger_unlock(void)
{
    CHECK_EQ(in_a_nursery(unlocks_as_a_stranger, NULL), 0);
}

TEST(rwl_06_who_holds_nothing_unlocks_nothing)
{
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_downgrade(&lock), -EPERM);
    let_a_stranger_unlock();
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    let_a_stranger_unlock();
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    let_a_stranger_unlock(); /* though somebody reads */
    CHECK_EQ(weft_rwlock_downgrade(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
    check_free();
}

TEST(rwl_06_a_waiter_holds_nothing_yet_and_one_that_was_cancelled_never)
{
    weft_nursery n;
    struct user u[2];
    add_all(&n, u, "wr");
    cancel(&u[1]);
    CHECK_EQ(u[1].result, -ECANCELED);
    let_a_stranger_unlock();
    check_results(u, "0c");
    finish(&n, u, 2);
}

TEST(rwl_06_each_read_is_unlocked_once)
{
    weft_rwlock other = WEFT_RWLOCK_INIT;
    weft_nursery n;
    struct user u;
    add_all(&n, &u, "r");
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_rdlock(&other), 0);
    CHECK_EQ(weft_rwlock_unlock(&other), 0);
    CHECK_EQ(weft_rwlock_unlock(&other), -EPERM); /* nobody reads there */
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM); /* another one does here */
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    finish(&n, &u, 1);
}

/* ---- downgrading -------------------------------------------------------- */

TEST(a_downgrade_admits_the_readers_at_the_head_and_no_others)
{
    weft_nursery n;
    struct user u[5];
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    add_all(&n, u, "rrwrw");
    check_results(u, ".....");
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    settle();
    check_results(u, "00...");
    let_go(&u[0]);
    let_go(&u[1]);
    check_results(u, "00..."); /* the caller still reads */
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    settle();
    check_results(u, "000..");
    finish(&n, u, 5);
}

TEST(a_downgrade_admits_nobody_past_a_writer_at_the_head)
{
    weft_nursery n;
    struct user u[2];
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    add_all(&n, u, "wr");
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    settle();
    check_results(u, "..");
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    settle();
    check_results(u, "0.");
    finish(&n, u, 2);
}

TEST(who_has_downgraded_reads_like_any_other)
{
    weft_nursery n;
    struct user u[2];
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    CHECK_EQ(weft_rwlock_downgrade(&lock), -EPERM);
    add_all(&n, u, "rw");
    check_results(u, "0.");
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    check_results(u, "0.");
    let_go(&u[0]);
    check_results(u, "00");
    finish(&n, u, 2);
}

static int downgrades_and_ends(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    return weft_rwlock_unlock(&lock);
}

TEST(who_has_downgraded_is_no_writer_when_it_ends)
{
    CHECK_EQ(in_a_nursery(downgrades_and_ends, NULL), 0);
    check_free();
}

/* ---- cancellation ------------------------------------------------------- */

TEST(a_cancelled_waiting_writer_lets_the_readers_behind_it_in_at_once)
{
    weft_nursery n;
    struct user u[5];
    add_all(&n, u, "rwrrw");
    check_results(u, "0....");
    cancel(&u[1]);
    check_results(u, "0c00.");
    CHECK_EQ(reading, 3);
    finish(&n, u, 5);
}

TEST(a_waiting_writer_whose_deadline_passes_lets_the_readers_in)
{
    weft_nursery n;
    struct user u[3];
    add_all(&n, u, "rwr");
    weft_scope_set_deadline(&u[1].scope, weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_sleep(WEFT_MSEC(5) - 1), 0);
    check_results(u, "0..");
    CHECK_EQ(weft_sleep(2), 0);
    check_results(u, "0c0");
    finish(&n, u, 3);
}

TEST(a_cancelled_writer_in_the_middle_lets_nobody_past_those_before_it)
{
    weft_nursery n;
    struct user u[5];
    add_all(&n, u, "rwwrr");
    cancel(&u[2]);
    check_results(u, "0.c..");
    cancel(&u[1]);
    check_results(u, "0cc00");
    finish(&n, u, 5);
}

TEST(a_cancelled_writer_behind_a_writer_lets_nobody_in)
{
    weft_nursery n;
    struct user u[3];
    add_all(&n, u, "wwr");
    cancel(&u[1]);
    check_results(u, "0c.");
    let_go(&u[0]);
    check_results(u, "0c0");
    finish(&n, u, 3);
}

TEST(a_cancelled_reader_between_writers_changes_nothing_for_them)
{
    weft_nursery n;
    struct user u[4];
    add_all(&n, u, "wrwr");
    cancel(&u[1]);
    check_results(u, "0c..");
    let_go(&u[0]);
    check_results(u, "0c0.");
    finish(&n, u, 4);
}

TEST(all_waiters_cancelled_at_once_leave_it_free_when_it_is_unlocked)
{
    weft_nursery n;
    struct user u[5];
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    add_all(&n, u, "rwrwr");
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    finish(&n, u, 5);
    check_results(u, "ccccc");
}

TEST(a_lock_in_a_deadline_times_out_without_it)
{
    weft_nursery n;
    struct user u;
    int rc;
    add_all(&n, &u, "w");
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_rwlock_rdlock(&lock);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_rwlock_wrlock(&lock);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
    finish(&n, &u, 1);
}

/* ---- grant and cancel in one turn --------------------------------------- */

TEST(grt_a_lock_that_was_given_survives_a_cancel_in_the_same_turn)
{
    for (int writes = 0; writes < 2; writes++) {
        weft_nursery n;
        struct user u[2];
        CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
        add_all(&n, u, writes ? "wr" : "rw");
        CHECK_EQ(weft_rwlock_unlock(&lock), 0);
        cancel(&u[0]);
        check_results(u, "0.");
        CHECK_EQ(u[0].next, -ECANCELED);
        finish(&n, u, 2);
        check_results(u, "00");
    }
}

TEST(grt_a_waiter_cancelled_just_before_the_unlock_is_passed_over)
{
    for (int writes = 0; writes < 2; writes++) {
        weft_nursery n;
        struct user u[2];
        CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
        add_all(&n, u, writes ? "wr" : "rw");
        weft_scope_cancel(&u[0].scope, 0, NULL);
        CHECK_EQ(weft_rwlock_unlock(&lock), 0);
        settle();
        check_results(u, "c0");
        CHECK_EQ(u[1].next, 0);
        finish(&n, u, 2);
    }
}

TEST(grt_readers_let_in_by_a_cancelled_writer_survive_a_cancel_that_follows)
{
    weft_nursery n;
    struct user u[4];
    add_all(&n, u, "rwrr");
    weft_scope_cancel(&u[1].scope, 0, NULL);
    cancel(&u[2]);
    check_results(u, "0c00");
    CHECK_EQ(u[2].next, -ECANCELED);
    CHECK_EQ(u[3].next, 0);
    finish(&n, u, 4);
}

TEST(grt_readers_let_in_by_a_downgrade_survive_a_cancel_that_follows)
{
    weft_nursery n;
    struct user u;
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    add_all(&n, &u, "r");
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    weft_scope_cancel(&u.scope, 0, NULL);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    settle();
    check_results(&u, "0");
    CHECK_EQ(u.next, -ECANCELED);
    finish(&n, &u, 1);
}

TEST(grt_a_deadline_of_the_same_moment_comes_before_the_unlock)
{
    weft_nursery n;
    struct user u[2];
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    add_all(&n, u, "ww");
    weft_scope_set_deadline(&u[0].scope, weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    settle();
    check_results(u, "c0");
    finish(&n, u, 2);
}

/* ---- a fiber that ends while it holds it -------------------------------- */

static weft_event may_end = WEFT_EVENT_INIT;

static int ends_while_it_writes(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    return weft_event_wait(&may_end);
}

TEST(who_waits_for_a_writer_that_ends_is_told_and_later_ones_too)
{
    weft_nursery n;
    struct user u[4];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ends_while_it_writes, NULL), 0);
    settle();
    CHECK_EQ(weft_rwlock_repair(&lock), -EINVAL); /* it is alive */
    for (int i = 0; i < 3; i++)
        add(&n, &u[i], i == 1);
    check_results(u, "...");
    weft_event_set(&may_end);
    settle();
    check_results(u, "ddd");
    add(&n, &u[3], true);
    check_results(u, "dddd");
    CHECK_EQ(weft_rwlock_rdlock(&lock), -EOWNERDEAD);
    CHECK_EQ(weft_rwlock_wrlock(&lock), -EOWNERDEAD);
    CHECK_EQ(weft_rwlock_tryrdlock(&lock), -EOWNERDEAD);
    CHECK_EQ(weft_rwlock_trywrlock(&lock), -EOWNERDEAD);
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
    CHECK_EQ(weft_rwlock_downgrade(&lock), -EPERM);

    CHECK_EQ(weft_rwlock_repair(&lock), 0);
    CHECK_EQ(weft_rwlock_repair(&lock), -EINVAL);
    CHECK_EQ(weft_rwlock_rdlock(&lock), -EDEADLK); /* it writes now */
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    finish(&n, u, 4);
}

TEST(who_has_repaired_it_can_downgrade_and_hand_it_on)
{
    weft_nursery n;
    struct user u[2];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_event_set(&may_end);
    CHECK_EQ(weft_spawn(&n, ends_while_it_writes, NULL), 0);
    settle();
    CHECK_EQ(weft_rwlock_repair(&lock), 0);
    add(&n, &u[0], false);
    add(&n, &u[1], true);
    check_results(u, "..");
    CHECK_EQ(weft_rwlock_downgrade(&lock), 0);
    settle();
    check_results(u, "0.");
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    finish(&n, u, 2);
}

TEST(grt_who_was_told_of_the_writers_end_is_not_cancelled_any_more)
{
    weft_nursery n;
    struct user u;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ends_while_it_writes, NULL), 0);
    settle();
    add(&n, &u, false);
    weft_event_set(&may_end);
    CHECK_EQ(weft_yield(), 0); /* it has ended */
    weft_scope_cancel(&u.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(u.result, -EOWNERDEAD);
    CHECK_EQ(weft_rwlock_repair(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    check_free();
}

static weft_rwlock several[3];
static weft_mutex mutexes[2];

static int ends_with_some_of_several(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_rwlock_wrlock(&several[0]), 0);
    CHECK_EQ(weft_mutex_lock(&mutexes[0]), 0);
    CHECK_EQ(weft_rwlock_wrlock(&several[1]), 0);
    CHECK_EQ(weft_mutex_lock(&mutexes[1]), 0);
    CHECK_EQ(weft_rwlock_wrlock(&several[2]), 0);
    CHECK_EQ(weft_rwlock_unlock(&several[1]), 0);
    CHECK_EQ(weft_mutex_unlock(&mutexes[0]), 0);
    return 0;
}

TEST(a_fiber_that_ends_leaves_only_what_it_holds_of_either_sort)
{
    CHECK_EQ(in_a_nursery(ends_with_some_of_several, NULL), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&several[0]), -EOWNERDEAD);
    CHECK_EQ(weft_rwlock_trywrlock(&several[1]), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&several[2]), -EOWNERDEAD);
    CHECK_EQ(weft_mutex_trylock(&mutexes[0]), 0);
    CHECK_EQ(weft_mutex_trylock(&mutexes[1]), -EOWNERDEAD);
}

static int ends_while_it_reads(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    return weft_event_wait(&may_end);
}

static int waits_for_a_reader_that_ends(void *how)
{
    weft_nursery n;
    struct user u;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ends_while_it_reads, NULL), 0);
    settle();
    add(&n, &u, true);
    if (how)
        weft_event_set(&may_end);
    else
        weft_nursery_cancel(&n, 0, NULL);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_reader_that_ends_is_named_rather_than_waited_for,
           "ended with 1 read lock that nobody else can give back")
{
    CHECK_EQ(weft_run(waits_for_a_reader_that_ends, &may_end, NULL), 0);
}

TEST_DEATH(a_reader_that_is_cancelled_has_to_unlock_too,
           "ended with 1 read lock that nobody else can give back")
{
    CHECK_EQ(weft_run(waits_for_a_reader_that_ends, NULL, NULL), 0);
}

static int reads_and_ends(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    CHECK_EQ(weft_rwlock_tryrdlock(&several[0]), 0);
    return 0;
}

TEST_DEATH(main_has_to_unlock_what_it_reads_too,
           "\"main\" ended with 2 read locks")
{
    CHECK_EQ(weft_run(reads_and_ends, NULL, NULL), 0);
}

static void unlocks_after_all(void *arg)
{
    CHECK_EQ(weft_rwlock_unlock(arg), 0);
}

static int leaves_it_to_a_deferred_call(void *arg)
{
    CHECK_EQ(weft_rwlock_rdlock(arg), 0);
    return weft_defer(unlocks_after_all, arg);
}

TEST(a_reader_may_unlock_in_what_it_has_deferred)
{
    CHECK_EQ(in_a_nursery(leaves_it_to_a_deferred_call, &lock), 0);
    check_free();
}

/* ---- what the reports say ----------------------------------------------- */

static int reads_for_its_parent(void *arg)
{
    (void)arg;
    weft_fiber_set_name("reader");
    return weft_rwlock_rdlock(&lock);
}

static int writes_for_its_parent(void *arg)
{
    (void)arg;
    weft_fiber_set_name("second");
    return weft_rwlock_wrlock(&lock);
}

static int writes_while_it_closes(void *arg)
{
    int rc;
    (void)arg;
    weft_fiber_set_name("writer");
    CHECK_EQ(weft_rwlock_wrlock(&lock), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_for_its_parent, NULL), 0);
        CHECK_EQ(weft_spawn(&n, writes_for_its_parent, NULL), 0);
    }
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    return rc;
}

static void deadlocks_on_a_writer(void *arg)
{
    const weft_run_opts opts = {.virtual_clock = true};
    (void)arg;
    CHECK_EQ(weft_run(writes_while_it_closes, NULL, &opts), -EDEADLK);
    CHECK_EQ(weft_rwlock_unlock(&lock), -EPERM);
}

/* This fiber's line has this in it, and names the writer. */
static void check_line(const char *text, const char *fiber, const char *what)
{
    const char *line = strstr(text, fiber);
    CHECK(line != NULL);
    const char *end = line + strcspn(line, "\n");
    const char *found = strstr(line, what);
    CHECK(found && found < end);
    found = strstr(line, "held by fiber");
    CHECK(found && found < end);
    found = strstr(line, "\"writer\"");
    CHECK(found && found < end);
}

TEST_PLAIN(a_report_names_the_writer_that_is_waited_for)
{
    static struct ending e;
    run_in_process(deadlocks_on_a_writer, NULL, &e);
    CHECK_EQ(e.status, 0);
    const char *circle = strstr(e.said, "in a circle");
    CHECK(circle != NULL);
    check_line(circle, "\"reader\" parked", "rwlock to read ");
    check_line(circle, "\"second\" parked", "rwlock to write ");
}

static int upgrades(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_rwlock_rdlock(&lock), 0);
    int rc = weft_rwlock_wrlock(&lock);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    return rc;
}

TEST_PLAIN(a_reader_that_asks_to_write_is_reported_with_no_holder)
{
    const char *report = deadlock_report(upgrades);
    CHECK(strstr(report, "rwlock to write "));
    CHECK(!strstr(report, "held by"));
}

/* ---- random use, compared with the rules said plainly ------------------- */

enum { USERS = 10, STEPS = 4000 };

static struct model {
    bool busy;
    int expected;
} model[USERS];
static struct user users[USERS];
static int line[USERS], in_line, model_readers, model_writer;
static void take_out(int at)
{
    in_line--;
    memmove(&line[at], &line[at + 1], sizeof *line * (size_t)(in_line - at));
}

static void model_admits(void)
{
    while (in_line > 0) {
        int who = line[0];
        if (model_writer || (users[who].writes && model_readers)) return;
        *(users[who].writes ? &model_writer : &model_readers) += 1;
        model[who].expected = 0;
        take_out(0);
    }
}

static void model_leaves(int who)
{
    *(users[who].writes ? &model_writer : &model_readers) -= 1;
    model[who].busy = false;
    model_admits();
}

static void cancel_one(int who)
{
    weft_scope_cancel(&users[who].scope, 0, NULL);
    for (int i = 0; i < in_line; i++) {
        if (line[i] != who) continue;
        take_out(i);
        model[who] = (struct model){.expected = -ECANCELED};
        break;
    }
    model_admits();
}

static void compare(void)
{
    settle();
    for (int i = 0; i < USERS; i++)
        CHECK_EQ(users[i].result, model[i].expected);
    CHECK_EQ(reading, model_readers);
    CHECK_EQ(writing, model_writer);
}

static void step(weft_nursery *n)
{
    int who = random_below(USERS);
    struct model *m = &model[who];
    if (!m->busy) {
        settle(); /* it may be on its way out */
        *m = (struct model){.busy = true, .expected = WAITING};
        add(n, &users[who], random_below(3) == 0);
        line[in_line++] = who;
        model_admits();
    } else if (m->expected == 0 && random_below(3)) {
        weft_event_set(&users[who].may_leave);
        CHECK_EQ(weft_yield(), 0); /* it has unlocked */
        CHECK_EQ(weft_yield(), 0);
        model_leaves(who);
    } else if (random_below(2)) {
        cancel_one(who);
    } else if (in_line == 0 && !model_writer) {
        CHECK_EQ(weft_rwlock_tryrdlock(&lock), 0);
        CHECK_EQ(weft_rwlock_unlock(&lock), 0);
    } else {
        CHECK_EQ(weft_rwlock_tryrdlock(&lock), -EBUSY);
        CHECK_EQ(weft_rwlock_trywrlock(&lock), -EBUSY);
    }
}

TEST(a_rwlock_is_one_line_of_waiters)
{
    weft_nursery n;
    random_begin(test_seed());
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < STEPS; i++) {
        step(&n);
        if (random_below(3) == 0) compare();
    }
    compare();
    weft_nursery_cancel(&n, 0, NULL);
    finish(&n, users, USERS);
}
