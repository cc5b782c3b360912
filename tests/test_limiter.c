/* SPDX-License-Identifier: MIT */
/* test_limiter.c - who has a token of weft_limiter, and who gets the next. */
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/fiber.h>
#include <weft/limiter.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "deadlock.h"
#include "dump.h"
#include "fibers.h"
#include "harness.h"
#include "starve.h"

enum { WAITING = 99 };

static int turns;

/* Borrows in a scope of its own, says how that went, and gives back when the
 * test says so. */
struct borrower {
    weft_limiter *l;
    const void *object; /* NULL: for itself */
    int result;
    int turn; /* 1 for the first that had one */
    int next; /* the cancel point after it */
    weft_scope scope;
    bool keeps;
};

static int borrows(void *arg)
{
    struct borrower *b = arg;
    b->result = weft_limiter_acquire(b->l, b->object);
    if (b->result < 0) return 0;
    b->turn = ++turns;
    b->next = weft_checkpoint();
    return 0;
}

static int borrows_in_a_scope(void *arg)
{
    struct borrower *b = arg;
    CHECK_EQ(weft_scope_begin(&b->scope), 0);
    (void)borrows(b);
    int rc = weft_scope_end(&b->scope, 0);
    while (rc == 0 && b->result == 0 && b->keeps)
        rc = weft_sleep(WEFT_MSEC(1));
    if (b->result == 0 && !b->object)
        CHECK_EQ(weft_limiter_release(b->l, NULL), 0);
    return 0;
}

static void start_one(weft_nursery *n, weft_limiter *l, struct borrower *b,
                      const void *object)
{
    *b = (struct borrower){.l = l, .object = object, .result = WAITING};
    b->keeps = true;
    weft_scope_init(&b->scope);
    CHECK_EQ(weft_spawn(n, borrows_in_a_scope, b), 0);
}

/* Brings fibers to ask for a token each for itself, in that order. */
static void line_up(weft_nursery *n, weft_limiter *l, struct borrower *b,
                    unsigned count)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    turns = 0;
    for (unsigned i = 0; i < count; i++) {
        start_one(n, l, &b[i], NULL);
        CHECK_EQ(weft_yield(), 0);
    }
}

/* Lets it give back, and all run that this lets in. */
static void returns_it(struct borrower *b)
{
    b->keeps = false;
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
}

static unsigned holders(const struct borrower *b, unsigned count)
{
    unsigned which = 0;
    for (unsigned i = 0; i < count; i++)
        if (b[i].result == 0 && b[i].keeps) which |= 1u << i;
    return which;
}

static void let_all_go(struct borrower *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        b[i].keeps = false;
}

TEST(sem_09_the_same_borrower_is_told_and_another_one_is_served)
{
    weft_limiter l;
    int object, other;
    weft_limiter_init(&l, 5);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), -EDEADLK);
    CHECK_EQ(weft_limiter_try(&l, NULL), -EDEADLK);
    CHECK_EQ(weft_limiter_acquire(&l, &object), 0);
    CHECK_EQ(weft_limiter_acquire(&l, &object), -EDEADLK);
    CHECK_EQ(weft_limiter_try(&l, &object), -EDEADLK);
    CHECK_EQ(weft_limiter_try(&l, &other), 0);
    CHECK_EQ(weft_limiter_lent(&l), 3);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    CHECK_EQ(weft_limiter_release(&l, NULL), -EPERM);
    CHECK_EQ(weft_limiter_release(&l, &object), 0);
    CHECK_EQ(weft_limiter_release(&l, &object), -EPERM);
    CHECK_EQ(weft_limiter_lent(&l), 1);
    CHECK_EQ(weft_limiter_release(&l, &other), 0);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

TEST(sem_10_a_resized_limiter_lets_in_as_many_as_it_says)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b[5];
    weft_limiter_init(&l, 2);
    line_up(&n, &l, b, 5);
    CHECK_EQ(holders(b, 5), 0x03);
    CHECK_EQ(weft_limiter_waiting(&l), 3);

    weft_limiter_resize(&l, 4);
    CHECK_EQ(weft_limiter_lent(&l), 4); /* at once */
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(holders(b, 5), 0x0f);

    weft_limiter_resize(&l, 1);
    CHECK_EQ(weft_limiter_total(&l), 1);
    CHECK_EQ(weft_limiter_lent(&l), 4); /* more than there are */
    returns_it(&b[2]);
    CHECK_EQ(holders(b, 5), 0x0b);
    returns_it(&b[0]);
    CHECK_EQ(holders(b, 5), 0x0a);
    returns_it(&b[3]);
    CHECK_EQ(holders(b, 5), 0x02);
    CHECK_EQ(b[4].result, WAITING);
    returns_it(&b[1]);
    CHECK_EQ(holders(b, 5), 0x10);
    CHECK_EQ(weft_limiter_lent(&l), 1);
    let_all_go(b, 5);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

TEST(tokens_are_given_in_the_order_they_were_asked_for)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b[4];
    weft_limiter_init(&l, 0);
    line_up(&n, &l, b, 4);
    CHECK_EQ(weft_limiter_waiting(&l), 4);
    for (int i = 0; i < 4; i++) {
        weft_limiter_resize(&l, (uint32_t)i + 1);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(b[i].turn, i + 1);
        CHECK_EQ(weft_limiter_waiting(&l), 3 - i);
    }
    let_all_go(b, 4);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_limiter_fini(&l);
}

TEST(a_token_that_is_given_back_is_the_waiters_and_not_free)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b;
    int object;
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    line_up(&n, &l, &b, 1);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    CHECK_EQ(weft_limiter_try(&l, NULL), -EAGAIN);
    CHECK_EQ(weft_limiter_try(&l, &object), -EAGAIN);
    CHECK_EQ(weft_limiter_lent(&l), 1);
    CHECK_EQ(b.result, WAITING);
    b.keeps = false;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(b.result, 0);
    weft_limiter_fini(&l);
}

TEST(a_token_handed_over_survives_a_cancel_in_the_same_turn)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b;
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    line_up(&n, &l, &b, 1);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    weft_scope_cancel(&b.scope, 0, NULL);
    b.keeps = false;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(b.result, 0);
    CHECK_EQ(b.next, -ECANCELED);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

TEST(a_cancelled_waiter_leaves_no_trace)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b[3];
    int object;
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start_one(&n, &l, &b[0], &object);
    CHECK_EQ(weft_yield(), 0);
    start_one(&n, &l, &b[1], NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_limiter_waiting(&l), 2);
    weft_scope_cancel(&b[0].scope, 0, NULL);
    CHECK_EQ(weft_limiter_waiting(&l), 1); /* before it has run */
    start_one(&n, &l, &b[2], &object);     /* so it may ask again */
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(b[0].result, -ECANCELED);
    CHECK_EQ(b[2].result, WAITING);
    CHECK_EQ(weft_limiter_release(&l, &object), -EPERM);
    let_all_go(b, 3);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(b[1].turn, 1);
    CHECK_EQ(b[2].turn, 2);
    CHECK_EQ(weft_limiter_release(&l, &object), 0);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

TEST(a_borrower_that_waits_already_is_told)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b;
    int object;
    weft_limiter_init(&l, 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start_one(&n, &l, &b, &object);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_limiter_acquire(&l, &object), -EDEADLK);
    CHECK_EQ(weft_limiter_try(&l, &object), -EDEADLK);
    CHECK_EQ(weft_limiter_release(&l, &object), -EPERM); /* has none yet */
    CHECK_EQ(weft_limiter_waiting(&l), 1);
    weft_limiter_resize(&l, 1);
    CHECK_EQ(weft_limiter_release(&l, &object), 0); /* before it has run */
    b.keeps = false;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(b.result, 0);
    weft_limiter_fini(&l);
}

TEST(a_wait_in_a_deadline_times_out_and_owes_nothing)
{
    weft_limiter l;
    int object, rc;
    weft_time start = weft_now();
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, &object), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_limiter_acquire(&l, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_limiter_waiting(&l), 0);
    CHECK_EQ(weft_limiter_release(&l, &object), 0);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    weft_limiter_fini(&l);
}

TEST(an_acquire_in_a_cancelled_scope_takes_nothing_though_it_could)
{
    weft_limiter l;
    weft_scope s;
    weft_limiter_init(&l, 3);
    weft_scope_init(&s);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), -ECANCELED);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), -ECANCELED);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    CHECK_EQ(weft_limiter_try(&l, NULL), 0);     /* no cancel points, */
    CHECK_EQ(weft_limiter_release(&l, NULL), 0); /* for clean-up */
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    weft_limiter_fini(&l);
}

TEST(the_running_fiber_by_its_address_is_the_running_fiber)
{
    weft_limiter l;
    weft_limiter_init(&l, 2);
    CHECK_EQ(weft_limiter_acquire(&l, weft_self()), 0);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), -EDEADLK);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    CHECK_EQ(weft_limiter_release(&l, weft_self()), 0);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

static void run_alone(weft_fn fn, void *arg)
{
    CHECK_EQ(in_a_nursery(fn, arg), 0);
}

static int gives_back(void *arg)
{
    return weft_limiter_release(arg, arg);
}

TEST(an_objects_token_may_be_given_back_by_another_fiber)
{
    weft_limiter l;
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, &l), 0);
    run_alone(gives_back, &l);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

TEST_PLAIN(without_a_fiber_there_are_only_objects)
{
    weft_limiter l;
    int object;
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, &object), -EPERM);
    CHECK_EQ(weft_limiter_try(&l, NULL), -EPERM);
    CHECK_EQ(weft_limiter_release(&l, NULL), -EPERM);
    CHECK_EQ(weft_limiter_release(&l, &object), -EPERM);
    CHECK_EQ(weft_limiter_try(&l, &object), 0);
    CHECK_EQ(weft_limiter_try(&l, &l), -EAGAIN);
    weft_limiter_resize(&l, 2);
    CHECK_EQ(weft_limiter_try(&l, &l), 0);
    CHECK_EQ(weft_limiter_release(&l, &object), 0);
    weft_limiter_fini(&l);
    CHECK_EQ(weft_limiter_total(&l), 0);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l); /* twice is safe */
}

static weft_limiter shared = WEFT_LIMITER_INIT(2);

static int takes_for(void *fiber)
{
    CHECK_EQ(weft_limiter_acquire(&shared, fiber), -EDEADLK);
    CHECK_EQ(weft_limiter_release(&shared, fiber), 0);
    CHECK_EQ(weft_limiter_release(&shared, NULL), -EPERM);
    CHECK_EQ(weft_limiter_acquire(&shared, fiber), 0);
    return 0; /* with none of its own */
}

TEST(a_fiber_is_an_object_to_others)
{
    CHECK_EQ(weft_limiter_acquire(&shared, NULL), 0);
    run_alone(takes_for, weft_self());
    CHECK_EQ(weft_limiter_acquire(&shared, NULL), -EDEADLK);
    CHECK_EQ(weft_limiter_release(&shared, NULL), 0);
    CHECK_EQ(weft_limiter_lent(&shared), 0);
    weft_limiter_fini(&shared);
}

static void returns_its_own(void *l)
{
    CHECK_EQ(weft_limiter_release(l, NULL), 0);
}

static int takes_and_defers(void *l)
{
    CHECK_EQ(weft_limiter_acquire(l, NULL), 0);
    return weft_defer(returns_its_own, l);
}

static int takes_one_that_ends_before(void *unused)
{
    weft_limiter l = WEFT_LIMITER_INIT(1);
    (void)unused;
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    weft_limiter_fini(&l);
    return 0;
}

TEST(a_fiber_may_end_when_its_token_is_given_back_or_forgotten)
{
    weft_limiter l = WEFT_LIMITER_INIT(1);
    run_alone(takes_and_defers, &l);
    run_alone(takes_one_that_ends_before, NULL);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

static int takes_two_and_goes(void *unused)
{
    static weft_limiter l[3] = {WEFT_LIMITER_INIT(1), WEFT_LIMITER_INIT(1),
                                WEFT_LIMITER_INIT(1)};
    (void)unused;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(i % 2 ? weft_limiter_try(&l[i], NULL)
                       : weft_limiter_acquire(&l[i], NULL),
                 0);
    return weft_limiter_release(&l[1], NULL);
}

static int has_a_child_that_keeps_tokens(void *unused)
{
    (void)unused;
    run_alone(takes_two_and_goes, NULL);
    return 0;
}

TEST_DEATH(a_fiber_that_ends_with_tokens_is_named,
           "ended with 2 limiter tokens that nobody else can give back")
{
    CHECK_EQ(weft_run(has_a_child_that_keeps_tokens, NULL, NULL), 0);
}

static int waits_and_goes(void *l)
{
    return weft_limiter_acquire(l, NULL);
}

static int has_a_child_that_keeps_what_it_waited_for(void *l)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_and_goes, l), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_limiter_resize(l, 1);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_fiber_that_ends_with_a_token_it_has_waited_for_is_named,
           "ended with 1 limiter token that nobody else can give back")
{
    static weft_limiter l = WEFT_LIMITER_INIT(0);
    CHECK_EQ(weft_run(has_a_child_that_keeps_what_it_waited_for, &l, NULL), 0);
}

static int waits_for_a_token(void *arg)
{
    return weft_limiter_acquire(arg, NULL);
}

static int ends_a_limiter_in_use(void *arg)
{
    weft_limiter l;
    weft_nursery n;
    (void)arg;
    weft_limiter_init(&l, 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_a_token, &l), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_limiter_fini(&l);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(to_end_a_limiter_that_somebody_waits_for_is_a_bug,
           "weft_limiter_fini: 1 fiber still waits for a token")
{
    CHECK_EQ(weft_run(ends_a_limiter_in_use, NULL, NULL), 0);
}

#ifdef WEFT_DEBUG
static int initialises_a_limiter_in_use(void *arg)
{
    static weft_limiter l;
    weft_nursery n;
    (void)arg;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_a_token, &l), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_limiter_init(&l, 1);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_limiter_that_somebody_waits_for_is_not_initialised_again,
           "waits in the limiter that is at")
{
    CHECK_EQ(weft_run(initialises_a_limiter_in_use, NULL, NULL), 0);
}
#endif

/* --- who has it --- */

/* Does a fiber wait in the limiter, and for this one? NULL: nobody named. */
static void check_holder(const char *name)
{
    const char *at = strstr(dump(), " in limiter ");
    char line[256];
    CHECK(at != NULL);
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    if (name)
        CHECK(strstr(line, ", held by fiber ") && strstr(line, name));
    else
        CHECK(!strstr(line, "held by"));
}

TEST(a_waiter_names_the_borrower_if_it_is_a_fiber_and_alone)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b;
    int object;
    weft_fiber_set_name("treasurer");
    weft_limiter_init(&l, 0);
    line_up(&n, &l, &b, 1);
    check_holder(NULL); /* there are none */
    weft_limiter_resize(&l, 1);
    CHECK_EQ(weft_yield(), 0);
    weft_limiter_resize(&l, 3);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    CHECK_EQ(weft_limiter_acquire(&l, &object), 0);
    weft_limiter_resize(&l, 0);
    returns_it(&b);
    CHECK_EQ(b.result, 0);

    start_one(&n, &l, &b, NULL);
    CHECK_EQ(weft_yield(), 0);
    check_holder(NULL); /* two */
    CHECK_EQ(weft_limiter_release(&l, &object), 0);
    check_holder("\"treasurer\"");
    weft_limiter_resize(&l, 2);
    CHECK_EQ(weft_yield(), 0);
    weft_limiter_resize(&l, 0);
    returns_it(&b);

    start_one(&n, &l, &b, NULL);
    CHECK_EQ(weft_yield(), 0);
    check_holder("\"treasurer\"");
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    check_holder(NULL);
    weft_limiter_resize(&l, 1);
    let_all_go(&b, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_limiter_fini(&l);
}

TEST(a_waiter_names_no_object)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b;
    int object;
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, &object), 0);
    line_up(&n, &l, &b, 1);
    check_holder(NULL);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_limiter_fini(&l);
}

TEST(a_waiter_names_nobody_of_several_whatever_their_addresses)
{
    weft_limiter l;
    weft_nursery n;
    struct borrower b;
    const void *one = (const void *)(uintptr_t)4096;
    const void *other = (const void *)-(uintptr_t)4096;
    weft_limiter_init(&l, 3);
    CHECK_EQ(weft_limiter_acquire(&l, one), 0);
    CHECK_EQ(weft_limiter_acquire(&l, other), 0);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    line_up(&n, &l, &b, 1);
    check_holder(NULL);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_limiter_fini(&l);
}

static int holds_it_and_joins(void *unused)
{
    weft_limiter l;
    weft_nursery n;
    const weft_spawn_opts o = {.name = "beggar"};
    (void)unused;
    weft_fiber_set_name("miser");
    weft_limiter_init(&l, 1);
    CHECK_EQ(weft_limiter_acquire(&l, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, waits_for_a_token, &l, &o), 0);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    weft_limiter_fini(&l);
    return rc;
}

TEST_PLAIN(a_borrower_and_its_waiter_make_a_circle)
{
    const char *circle = deadlock_circle(holds_it_and_joins);
    CHECK(strstr(circle, "\"beggar\" parked"));
    CHECK(strstr(circle, "limiter") && strstr(circle, "\"miser\""));
}

/* --- many --- */

TEST(a_fiber_that_has_very_many_tokens_gets_no_more)
{
    enum { MANY = 1023 };
    static weft_limiter l[MANY + 1];
    for (int i = 0; i <= MANY; i++) {
        weft_limiter_init(&l[i], 1);
        CHECK_EQ(weft_limiter_acquire(&l[i], NULL), i < MANY ? 0 : -ENOMEM);
    }
    CHECK_EQ(weft_limiter_lent(&l[MANY]), 0);
    CHECK_EQ(weft_limiter_acquire(&l[MANY], &l), 0);
    for (int i = 0; i <= MANY; i++)
        weft_limiter_fini(&l[i]);
}

TEST(a_thousand_borrowers_are_all_known)
{
    enum { MANY = 1000 };
    static char objects[MANY];
    weft_limiter l;
    weft_limiter_init(&l, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(weft_limiter_try(&l, &objects[i]), 0);
    CHECK_EQ(weft_limiter_try(&l, &l), -EAGAIN);
    for (int i = 0; i < MANY; i += 2) {
        CHECK_EQ(weft_limiter_try(&l, &objects[i]), -EDEADLK);
        CHECK_EQ(weft_limiter_release(&l, &objects[i]), 0);
    }
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(weft_limiter_release(&l, &objects[i]), i % 2 ? 0 : -EPERM);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
}

/* --- random use, compared with a line and a set --- */

enum { OBJECTS = 24, STEPS = 6000 };

static struct model {
    struct borrower actor[OBJECTS]; /* the fiber that waits for that object */
    bool has[OBJECTS];
    int expected[OBJECTS];
    bool busy[OBJECTS]; /* the actor has not been looked at */
    unsigned line[OBJECTS], waiting, lent, total;
    weft_limiter l;
} m;

static char model_objects[OBJECTS];

static bool waits(unsigned who)
{
    for (unsigned i = 0; i < m.waiting; i++)
        if (m.line[i] == who) return true;
    return false;
}

static void leave_line(unsigned at)
{
    m.waiting--;
    memmove(&m.line[at], &m.line[at + 1], (m.waiting - at) * sizeof *m.line);
}

static void model_serves(void)
{
    while (m.waiting > 0 && m.lent < m.total) {
        m.lent++;
        m.has[m.line[0]] = true;
        m.expected[m.line[0]] = 0;
        leave_line(0);
    }
}

static int borrows_for_the_model(void *arg)
{
    struct borrower *b = arg;
    CHECK_EQ(weft_scope_begin(&b->scope), 0);
    int rc = weft_limiter_acquire(&m.l, b->object);
    b->result = rc;
    return weft_scope_end(&b->scope, 0);
}

static void ask(weft_nursery *n, unsigned who)
{
    struct borrower *b = &m.actor[who];
    if (m.busy[who]) return;
    *b = (struct borrower){.object = &model_objects[who], .result = WAITING};
    weft_scope_init(&b->scope);
    CHECK_EQ(weft_spawn(n, borrows_for_the_model, b), 0);
    m.busy[who] = true;
    m.expected[who] = WAITING;
    if (m.has[who])
        m.expected[who] = -EDEADLK;
    else
        m.line[m.waiting++] = who;
    CHECK_EQ(weft_yield(), 0);
}

static void try_it(unsigned who)
{
    int expected = m.has[who] || waits(who) ? -EDEADLK
                   : m.lent < m.total       ? 0
                                            : -EAGAIN;
    CHECK_EQ(weft_limiter_try(&m.l, &model_objects[who]), expected);
    if (expected == 0) {
        m.has[who] = true;
        m.lent++;
    }
}

static void give_back(unsigned who)
{
    CHECK_EQ(weft_limiter_release(&m.l, &model_objects[who]),
             m.has[who] ? 0 : -EPERM);
    m.lent -= m.has[who];
    m.has[who] = false;
}

static void cancel_one(void)
{
    if (m.waiting == 0) return;
    unsigned at = random_below(m.waiting), who = m.line[at];
    m.expected[who] = -ECANCELED;
    weft_scope_cancel(&m.actor[who].scope, 0, NULL);
    leave_line(at);
}

static void compare(void)
{
    CHECK_EQ(weft_yield(), 0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (!m.busy[i]) continue;
        CHECK_EQ(m.actor[i].result, m.expected[i]);
        m.busy[i] = m.expected[i] == WAITING;
    }
}

static void one_step(weft_nursery *n)
{
    unsigned who = (unsigned)random_below(OBJECTS);
    switch (random_below(9)) {
    case 0:
    case 1:
    case 2:
        ask(n, who);
        break;
    case 3:
        try_it(who);
        break;
    case 4:
    case 5:
    case 6:
        give_back(who);
        break;
    case 7:
        m.total = random_below(12u);
        weft_limiter_resize(&m.l, m.total);
        break;
    default:
        cancel_one();
    }
    model_serves();
    CHECK_EQ(weft_limiter_lent(&m.l), m.lent); /* before anybody ran */
    CHECK_EQ(weft_limiter_waiting(&m.l), m.waiting);
    if (random_below(3) == 0) compare();
}

TEST(a_limiter_is_a_set_of_borrowers_and_a_line)
{
    weft_nursery n;
    random_begin(test_seed());
    weft_limiter_init(&m.l, 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < STEPS; i++)
        one_step(&n);
    compare();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_limiter_waiting(&m.l), 0);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(weft_limiter_release(&m.l, &model_objects[i]),
                 m.has[i] ? 0 : -EPERM);
    CHECK_EQ(weft_limiter_lent(&m.l), 0);
    weft_limiter_fini(&m.l);
}

#ifdef WEFT_HOSTILE
static bool saw_no_memory(int rc)
{
    CHECK(rc >= 0 || rc == -ENOMEM);
    return rc == -ENOMEM;
}

static int borrows_without_memory(void *unused)
{
    enum { SOME = 30 };
    static char objects[SOME];
    weft_limiter l;
    int failed = 0;
    unsigned lent = 0;
    (void)unused;
    weft_limiter_init(&l, SOME);
    for (int i = 0; i < SOME; i++) {
        int rc = weft_limiter_acquire(&l, &objects[i]);
        failed += saw_no_memory(rc);
        lent += rc == 0;
        CHECK_EQ(weft_limiter_lent(&l), lent);
        if (rc < 0) CHECK_EQ(weft_limiter_release(&l, &objects[i]), -EPERM);
    }
    for (int i = 0; i < SOME; i++)
        (void)weft_limiter_release(&l, &objects[i]);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    weft_limiter_fini(&l);
    return failed ? -ENOMEM : 0;
}

static int borrows_and_gives_back(void *arg)
{
    struct borrower *b = arg;
    (void)borrows(b);
    return b->result == 0 ? weft_limiter_release(b->l, NULL) : 0;
}

static int waits_without_memory(void *unused)
{
    enum { SOME = 12 };
    static struct borrower b[SOME];
    weft_limiter l;
    weft_nursery n;
    int failed = 0, waiting = 0;
    (void)unused;
    weft_limiter_init(&l, 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < SOME; i++) {
        b[i] = (struct borrower){.l = &l, .result = WAITING};
        int rc = weft_spawn(&n, borrows_and_gives_back, &b[i]);
        if (saw_no_memory(rc)) b[i].result = rc;
    }
    CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < SOME; i++) {
        waiting += b[i].result == WAITING;
        failed += b[i].result == -ENOMEM;
    }
    weft_limiter_resize(&l, SOME); /* takes no memory */
    CHECK_EQ(weft_limiter_lent(&l), waiting);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_limiter_lent(&l), 0);
    CHECK_EQ(weft_limiter_waiting(&l), 0);
    weft_limiter_fini(&l);
    return failed ? -ENOMEM : 0;
}

TEST_PLAIN(without_memory_no_token_is_lent_and_none_is_lost)
{
    fail_each(borrows_without_memory, WF_CALL_ALLOC);
    fail_each(waits_without_memory, WF_CALL_ALLOC);
}
#endif
