/* SPDX-License-Identifier: MIT */
/* test_token.c - cancelling from any thread. */
#include <weft.h>

#include <string.h>

#include "open.h"
#include "threads.h"

static weft_token *new_token(weft_token *parent)
{
    weft_token *t = weft_token_new(parent);
    CHECK(t != NULL);
    return t;
}

static void open_linked(weft_scope *s, weft_token *t)
{
    open_scope(s);
    CHECK_EQ(weft_scope_link(s, t), 0);
}

static bool is_cancelled_by_token(const weft_scope *s, int code)
{
    const weft_reason *r = weft_scope_reason(s);
    return r && r->kind == WEFT_R_TOKEN && r->code == code;
}

/* --- one thread --- */

TEST(a_token_cancels_the_scopes_that_are_linked_to_it)
{
    weft_token *t = new_token(NULL);
    weft_scope s;
    open_linked(&s, t);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK(!weft_token_cancelled(t));
    weft_token_cancel(t, -EINTR, "enough");
    CHECK(weft_token_cancelled(t));
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK(is_cancelled_by_token(&s, -EINTR));
    CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), -EINTR);
    CHECK_EQ(weft_checkpoint(), 0);
    weft_token_unref(t);
}

TEST(err_01_the_reason_of_a_token_is_that_of_its_canceller)
{
    weft_token *t = new_token(NULL);
    weft_scope s;
    open_linked(&s, t);
    weft_token_cancel(t, -ESTALE, "first");
    weft_token_cancel(t, -EIO, "second");
    const weft_reason *r = weft_cancel_reason();
    CHECK_EQ(r->kind, WEFT_R_TOKEN);
    CHECK_EQ(r->code, -ESTALE);
    CHECK_EQ(r->by, weft_fiber_id());
    CHECK_STR(r->why, "first");
    CHECK_EQ(r->at, weft_now());
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ESTALE);
    weft_token_unref(t);
}

TEST(a_scope_linked_to_a_cancelled_token_is_cancelled_at_once)
{
    weft_token *t = new_token(NULL), *below;
    weft_scope s;
    weft_token_cancel(t, -EINTR, NULL);
    open_linked(&s, t);
    CHECK(is_cancelled_by_token(&s, -EINTR));
    CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), -EINTR);
    below = new_token(t);
    CHECK(weft_token_cancelled(below));
    open_linked(&s, below);
    CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), -EINTR);
    weft_token_unref(below);
    weft_token_unref(t);
}

TEST(bgt_08_cancelling_a_middle_token_cancels_what_is_below_and_nothing_else)
{
    enum { TOP, BESIDE, MIDDLE, BELOW, DEEPER, ALSO_BELOW, COUNT };
    static const int parent[] = {-1, TOP, TOP, MIDDLE, BELOW, MIDDLE};
    weft_token *t[COUNT];
    weft_scope s[COUNT];
    for (int i = 0; i < COUNT; i++) {
        t[i] = new_token(i == TOP ? NULL : t[parent[i]]);
        open_linked(&s[i], t[i]);
    }
    weft_token_cancel(t[MIDDLE], -EINTR, NULL);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(weft_token_cancelled(t[i]), i >= MIDDLE);
        CHECK_EQ(is_cancelled_by_token(&s[i], -EINTR), i >= MIDDLE);
    }
    weft_token_cancel(t[TOP], -EIO, NULL);
    for (int i = COUNT; i-- > 0;) {
        CHECK(is_cancelled_by_token(&s[i], i >= MIDDLE ? -EINTR : -EIO));
        CHECK_EQ(weft_scope_end(&s[i], 0), 0);
        weft_token_unref(t[i]);
    }
}

TEST(links_need_no_reference_and_end_with_their_scope)
{
    weft_token *top = new_token(NULL);
    weft_token *below = new_token(top), *aside = new_token(top);
    weft_scope s, other;
    open_linked(&s, below);
    open_linked(&other, aside);
    weft_token_unref(below);
    weft_token_unref(aside);
    CHECK_EQ(weft_scope_end(&other, 0), 0);
    weft_token_cancel(top, -EINTR, NULL);
    CHECK(!weft_scope_cancel_called(&other));
    CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), -EINTR);
    weft_token_unref(top);
}

TEST(a_scope_can_be_linked_to_several_tokens_and_the_first_counts)
{
    weft_token *a = new_token(NULL), *b = new_token(NULL);
    weft_scope s;
    open_linked(&s, a);
    CHECK_EQ(weft_scope_link(&s, b), 0);
    CHECK_EQ(weft_scope_link(&s, b), 0);
    weft_token_cancel(b, -EINTR, NULL);
    weft_token_cancel(a, -EIO, NULL);
    CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), -EINTR);
    weft_token_unref(a);
    weft_token_unref(b);
}

static int links_its_parents_nursery(void *arg)
{
    void **both = arg;
    CHECK_EQ(weft_scope_link(weft_nursery_scope(both[0]), both[1]), 0);
    return weft_sleep(WEFT_FOREVER);
}

TEST(a_nursery_can_be_linked_by_any_fiber_of_its_run)
{
    weft_token *t = new_token(NULL);
    weft_nursery n;
    void *both[] = {&n, t};
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, links_its_parents_nursery, both), 0);
    CHECK_EQ(weft_test_settle(), 0);
    weft_token_cancel(t, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, weft_checkpoint()), -EINTR);
    weft_token_unref(t);
}

TEST(only_an_open_scope_can_be_linked)
{
    weft_token *t = new_token(NULL);
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_link(&s, t), -EINVAL);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_scope_link(&s, t), -EINVAL);
    weft_token_unref(t);
    weft_token_unref(NULL);
    CHECK(weft_token_ref(NULL) == NULL);
}

TEST_PLAIN(a_tree_goes_away_in_any_order)
{
    for (unsigned order = 0; order < 6; order++) {
        weft_token *t[3];
        t[0] = new_token(NULL);
        t[1] = new_token(t[0]);
        t[2] = new_token(t[1]);
        CHECK(weft_token_ref(t[1]) == t[1]);
        for (unsigned i = 0; i < 3; i++)
            weft_token_unref(t[(i * (1 + order / 3) + order) % 3]);
        if (order & 1) weft_token_cancel(t[1], 0, NULL);
        weft_token_unref(t[1]);
    }
}

/* --- another thread --- */

static void *cancels(void *arg)
{
    linger(5);
    weft_token_cancel(arg, -EINTR, "elsewhere");
    weft_token_unref(arg);
    return NULL;
}

TEST(bgt_06_a_token_cancelled_on_another_thread_cancels_the_linked_scope)
{
    weft_token *t = new_token(NULL);
    weft_event forever = WEFT_EVENT_INIT;
    weft_scope s;
    open_linked(&s, t);
    pthread_t thread = start_thread(cancels, weft_token_ref(t));
    CHECK_EQ(weft_event_wait(&forever), -ECANCELED); /* and no deadlock */
    const weft_reason *r = weft_cancel_reason();
    CHECK_EQ(r->kind, WEFT_R_TOKEN);
    CHECK_EQ(r->code, -EINTR);
    CHECK_EQ(r->by, 0);
    CHECK_STR(r->why, "elsewhere");
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
    join_thread(thread);
    weft_token_unref(t);
}

static void *cancels_at_once(void *arg)
{
    weft_token_cancel(arg, -EINTR, NULL);
    return NULL;
}

TEST(a_cancellation_on_its_way_to_a_scope_that_ends_has_no_effect)
{
    weft_token *t = new_token(NULL);
    weft_scope s;
    open_linked(&s, t);
    call_elsewhere(cancels_at_once, t);
    CHECK(weft_token_cancelled(t));
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    memset(&s, 0x5a, sizeof s); /* nobody looks at it any more */
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    weft_token_unref(t);
}

struct linked_run {
    weft_token *token;
    int result;
};

static int waits_linked(void *arg)
{
    struct linked_run *r = arg;
    weft_event forever = WEFT_EVENT_INIT;
    weft_scope s;
    open_linked(&s, r->token);
    return weft_scope_end(&s, weft_event_wait(&forever));
}

static void *runs_linked(void *arg)
{
    struct linked_run *r = arg;
    r->result = weft_run(waits_linked, r, NULL);
    return NULL;
}

TEST(one_token_cancels_scopes_of_several_runs)
{
    struct linked_run runs[3];
    pthread_t threads[3];
    weft_token *t = new_token(NULL);
    for (int i = 0; i < 3; i++) {
        runs[i].token = new_token(t);
        threads[i] = start_thread(runs_linked, &runs[i]);
    }
    linger(5);
    weft_token_cancel(t, -EINTR, NULL);
    for (int i = 0; i < 3; i++) {
        join_thread(threads[i]);
        CHECK_EQ(runs[i].result, -EINTR);
        weft_token_unref(runs[i].token);
    }
    weft_token_unref(t);
}

/* --- deadlock --- */

static int waits_for_a_token_that_nobody_has(void *arg)
{
    weft_event forever = WEFT_EVENT_INIT;
    weft_token *top = new_token(NULL), *below = new_token(top);
    weft_scope s;
    (void)arg;
    open_linked(&s, below);
    weft_token_unref(below);
    weft_token_unref(top);
    return weft_scope_end(&s, weft_event_wait(&forever));
}

TEST_PLAIN(a_token_that_nobody_can_cancel_hides_no_deadlock)
{
    CHECK_EQ(weft_run(waits_for_a_token_that_nobody_has, NULL, NULL), -EDEADLK);
}

static void *drops_it(void *arg)
{
    linger(10);
    weft_token_unref(arg);
    return NULL;
}

static int waits_while_another_drops_it(void *arg)
{
    struct linked_run r = {.token = new_token(NULL)};
    *(pthread_t *)arg = start_thread(drops_it, r.token);
    return waits_linked(&r);
}

TEST_PLAIN(the_last_reference_to_a_token_given_back_shows_a_deadlock)
{
    pthread_t t;
    CHECK_EQ(weft_run(waits_while_another_drops_it, &t, NULL), -EDEADLK);
    join_thread(t);
}

/* --- cancellation against the end of the scope --- */

/* Each side goes through its numbers and waits for the other at each. */
struct duel {
    int rounds;
    weft_token **tokens;
    int ready, done; /* atomic: rounds begun by the one and by the other */
};

static void wait_until(const int *counter, int value)
{
    for (int i = 0; __atomic_load_n(counter, __ATOMIC_ACQUIRE) < value; i++)
        if (i > 100) sched_yield();
}

static void *cancels_each(void *arg)
{
    struct duel *d = arg;
    for (int i = 0; i < d->rounds; i++) {
        wait_until(&d->ready, i + 1);
        weft_token *t = d->tokens[i % 2];
        for (int k = i % 37; k > 0; k--) /* now sooner, now later */
            (void)__atomic_load_n(&d->done, __ATOMIC_SEQ_CST);
        weft_token_cancel(t, -EINTR, NULL);
        weft_token_unref(t);
        __atomic_store_n(&d->done, i + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

TEST_REAL(bgt_06_cancelled_or_ended_but_never_both_or_neither)
{
    weft_token *tokens[2];
    struct duel d = {.rounds = test_is_slow() ? 2000 : 30000, .tokens = tokens};
    int seen = 0;
    pthread_t t = start_thread(cancels_each, &d);
    for (int i = 0; i < d.rounds; i++) {
        weft_token *mine = new_token(NULL);
        weft_scope s;
        open_linked(&s, mine);
        tokens[i % 2] = weft_token_ref(mine);
        __atomic_store_n(&d.ready, i + 1, __ATOMIC_RELEASE);
        for (int k = 0; k < i % 53; k++)
            (void)__atomic_load_n(&d.done, __ATOMIC_SEQ_CST);
        int rc = i % 3 ? 0 : weft_yield();
        CHECK(rc == 0 || is_cancelled_by_token(&s, -EINTR));
        seen += rc != 0;
        CHECK_EQ(weft_scope_end(&s, rc), rc ? -EINTR : 0);
        memset(&s, 0x5a, sizeof s);
        weft_token_unref(mine);
        wait_until(&d.done, i + 1);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    join_thread(t);
    CHECK(seen <= d.rounds);
}

struct cancel_race {
    weft_token *token;
    int go;
};

static void *cancels_below(void *arg)
{
    struct cancel_race *r = arg;
    while (!word_is_said(&r->go))
        sched_yield();
    for (int i = 0; i < 50; i++) {
        weft_token *below = new_token(r->token);
        if (i == 25) weft_token_cancel(r->token, -EINTR, NULL);
        weft_token_cancel(below, -EIO, NULL);
        weft_token_unref(below);
    }
    return NULL;
}

TEST_REAL(many_threads_may_grow_and_cancel_one_tree)
{
    for (int round = 0; round < (test_is_slow() ? 10 : 100); round++) {
        struct cancel_race r = {.token = new_token(NULL)};
        weft_scope s;
        pthread_t t[3];
        open_linked(&s, r.token);
        for (int i = 0; i < 3; i++)
            t[i] = start_thread(cancels_below, &r);
        say_word(&r.go);
        int err = weft_sleep(WEFT_FOREVER);
        CHECK_EQ(err, -ECANCELED);
        CHECK(is_cancelled_by_token(&s, -EINTR));
        CHECK_EQ(weft_scope_end(&s, err), -EINTR);
        for (int i = 0; i < 3; i++)
            join_thread(t[i]);
        weft_token_unref(r.token);
    }
}
