/* SPDX-License-Identifier: MIT */
/*
 * test_grant_heads.c - grant versus cancel: a head of the line that waits for
 * much, and keeps back others that could go at once.
 */
#include <weft/nursery.h>
#include <weft/ratelimit.h>
#include <weft/rwlock.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/testing.h>
#include <weft/time.h>

#include "harness.h"

enum { MANY = 3 };

/* Of one primitive. */
struct line {
    int (*wait_for_much)(void), (*wait_for_less)(void);
    int (*try_less)(void), refused; /* what that returns behind the head */
    int (*undo)(void);              /* what was waited for, or NULL */
};

struct waiter {
    const struct line *line;
    int (*wait)(void);
    weft_scope scope;
    int result, next;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    CHECK_EQ(weft_scope_begin(&w->scope), 0);
    w->result = w->wait();
    w->next = weft_sleep(1);
    if (w->result == 0 && w->line->undo) CHECK_EQ(w->line->undo(), 0);
    CHECK_EQ(weft_scope_end(&w->scope, w->next), 0);
    return 0;
}

static void park(weft_nursery *n, struct waiter *w, const struct line *line,
                 int (*wait)(void))
{
    *w = (struct waiter){.line = line, .wait = wait, .result = 77};
    weft_scope_init(&w->scope);
    CHECK_EQ(weft_spawn(n, waits, w), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(w->result, 77);
    CHECK_EQ(line->try_less(), line->refused);
}

/*
 * When the head is cancelled those behind it are granted in that moment, not
 * when they run: so a cancellation in the same turn comes too late, and nobody
 * passes them.
 */
static void check_head(const struct line *line)
{
    struct waiter head, second, third;
    int rc;
    WEFT_NURSERY(n, rc) {
        park(&n, &head, line, line->wait_for_much);
        park(&n, &second, line, line->wait_for_less);
        park(&n, &third, line, line->wait_for_less);
        weft_scope_cancel(&head.scope, 0, NULL);
        weft_scope_cancel(&second.scope, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(head.result, -ECANCELED);
    CHECK_EQ(second.result, 0);
    CHECK_EQ(second.next, -ECANCELED);
    CHECK_EQ(third.result, 0);
    CHECK_EQ(third.next, 0);
}

/* ---- semaphore ---------------------------------------------------------- */

static weft_sem sem;

static int acquire_many(void)
{
    return weft_sem_acquire(&sem, MANY);
}

static int acquire_one(void)
{
    return weft_sem_acquire(&sem, 1);
}

static int try_one(void)
{
    return weft_sem_try(&sem, 1);
}

TEST(grt_06_a_cancelled_head_of_a_semaphore_lets_in_who_wants_less)
{
    static const struct line line = {.wait_for_much = acquire_many,
                                     .wait_for_less = acquire_one,
                                     .try_less = try_one,
                                     .refused = -EAGAIN};
    weft_sem_init(&sem, MANY - 1, 0);
    check_head(&line);
    CHECK_EQ(weft_sem_value(&sem), 0);
}

/* ---- read-write lock ---------------------------------------------------- */

static weft_rwlock rwlock = WEFT_RWLOCK_INIT;

static int write_alone(void)
{
    return weft_rwlock_wrlock(&rwlock);
}

static int read_together(void)
{
    return weft_rwlock_rdlock(&rwlock);
}

static int try_to_read(void)
{
    return weft_rwlock_tryrdlock(&rwlock);
}

static int stop_reading(void)
{
    return weft_rwlock_unlock(&rwlock);
}

TEST(grt_06_a_cancelled_writer_lets_in_the_readers_behind_it)
{
    static const struct line line = {.wait_for_much = write_alone,
                                     .wait_for_less = read_together,
                                     .try_less = try_to_read,
                                     .refused = -EBUSY,
                                     .undo = stop_reading};
    CHECK_EQ(try_to_read(), 0);
    check_head(&line);
    CHECK_EQ(stop_reading(), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&rwlock), 0);
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
}

/* ---- rate limit --------------------------------------------------------- */

static weft_ratelimit rate;

static int wait_for_many(void)
{
    return weft_ratelimit_wait(&rate, MANY);
}

static int wait_for_one(void)
{
    return weft_ratelimit_wait(&rate, 1);
}

static int check_one(void)
{
    return weft_ratelimit_check(&rate, 1, NULL);
}

static const struct line rate_line = {.wait_for_much = wait_for_many,
                                      .wait_for_less = wait_for_one,
                                      .try_less = check_one,
                                      .refused = -EAGAIN};

static void check_head_of_rate(weft_rate_kind kind)
{
    weft_ratelimit_init(&rate, kind, MANY, WEFT_SEC(1));
    CHECK_EQ(check_one(), 0);
    check_head(&rate_line);
    CHECK_EQ(check_one(), -EAGAIN);
}

TEST(grt_06_a_cancelled_head_at_a_bucket_lets_through_who_costs_less)
{
    check_head_of_rate(WEFT_TOKEN_BUCKET);
}

TEST(grt_06_a_cancelled_head_at_a_window_lets_through_who_costs_less)
{
    check_head_of_rate(WEFT_SLIDING_WINDOW);
}
