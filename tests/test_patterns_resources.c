/* SPDX-License-Identifier: MIT */
/*
 * test_patterns_resources.c - what is opened is closed, and what is wanted by
 * many is made once: the rows 67 to 78 of docs/PATTERNS.md, each by its number.
 */
#include <weft.h>

#include <stdlib.h>
#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "said.h"

/* ---- closing ------------------------------------------------------------ */

/* Something that takes a while to be closed. */
struct resource {
    char letter;
    weft_time takes;
    int rc; /* what its close returns */
    int closed;
    int waited; /* the result of its wait */
};

static int closes(void *arg)
{
    struct resource *r = arg;
    r->closed++;
    if (r->takes) r->waited = weft_sleep(r->takes);
    say_letter(r->letter);
    return r->rc < 0 ? weft_fail(r->rc, "close %c", r->letter) : 0;
}

static void closes_at_the_end(void *arg)
{
    (void)closes(arg);
}

static int defers_two(void *arg)
{
    struct resource *r = arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_defer(closes_at_the_end, &r[i]);
        if (err < 0) return err;
    }
    say_letter('-');
    int err = weft_sleep(WEFT_SEC(1));
    say_letter(err < 0 ? 'x' : '.');
    return err < 0 ? err : r->rc;
}

TEST(pattern_67_what_is_deferred_is_done_last_first_after_the_body)
{
    struct resource r[] = {{.letter = 'a', .takes = WEFT_SEC(1)},
                           {.letter = 'b', .takes = WEFT_SEC(1)}};
    CHECK_EQ(in_a_child(defers_two, r), 0);
    CHECK_STR(said, "-.ba");
}

TEST(pattern_67_the_bodys_failure_is_kept)
{
    struct resource r[] = {{.letter = 'a', .rc = -EPROTO},
                           {.letter = 'b', .rc = -EIO}};
    CHECK_EQ(in_a_child(defers_two, r), -EPROTO);
    CHECK_STR(said, "-.ba");
}

TEST(pattern_67_a_cancelled_body_is_cleaned_up_by_what_may_still_wait)
{
    struct resource r[] = {{.letter = 'a', .takes = WEFT_SEC(1), .waited = 1},
                           {.letter = 'b', .takes = WEFT_SEC(1), .waited = 1}};
    int rc;
    WEFT_MOVE_ON_AFTER(rc, 1) {
        WEFT_NURSERY(n, rc) {
            rc = weft_spawn(&n, defers_two, r);
        }
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "-xba");
    CHECK_EQ(r[0].waited, 0);
    CHECK_EQ(r[1].waited, 0);
}

TEST(pattern_67_the_failure_of_a_clean_up_hangs_off_the_first_one)
{
    struct resource r = {.letter = 'r', .rc = -EIO};
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_own(&n, closes, &r, NULL);
        CHECK_EQ(rc, 0);
        rc = weft_fail(-EPROTO, "the body");
    }
    CHECK_EQ(rc, -EPROTO);
    CHECK_EQ(r.closed, 1);
    const weft_error *e = weft_last_error();
    CHECK_STR(e->msg, "the body");
    CHECK(e->next != NULL);
    CHECK_STR(e->next->msg, "close r");
    CHECK_EQ(e->next->code, -EIO);
}

enum way_out { BY_THE_END, BY_A_FAILURE, BY_A_BREAK, BY_A_RETURN, WAYS };

/* A block with something open in it, left in one of its ways. */
static int uses(struct resource *r, enum way_out way)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_own(&n, closes, r, NULL);
        if (rc < 0) break;
        say_letter('-');
        if (way == BY_A_FAILURE) rc = -EIO;
        if (way == BY_A_BREAK) break;
        if (way == BY_A_RETURN) return 0;
    }
    say_letter('.');
    return rc;
}

TEST(pattern_68_a_block_closes_what_it_owns_however_it_is_left)
{
    for (int way = 0; way < WAYS; way++) {
        struct resource r = {.letter = 'r', .takes = WEFT_SEC(1)};
        memset(said, 0, sizeof said);
        CHECK_EQ(uses(&r, (enum way_out)way), way == BY_A_FAILURE ? -EIO : 0);
        CHECK_EQ(r.closed, 1);
        CHECK_STR(said, way == BY_A_RETURN ? "-r" : "-r.");
    }
}

static int with_a_lock(weft_mutex *m, weft_fn body, void *arg)
{
    int rc;
    WEFT_LOCKED(m, rc) {
        return body(arg);
    }
    return rc;
}

static int fails(void *arg)
{
    (void)arg;
    return -EIO;
}

TEST(pattern_68_a_callback_cannot_leave_with_the_lock)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    CHECK_EQ(with_a_lock(&m, fails, NULL), -EIO);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

TEST(pattern_69_clean_up_ends_when_its_grace_is_over_and_the_rest_is_done)
{
    struct resource r[] = {{.letter = 'a'},
                           {.letter = 'b', .takes = WEFT_FOREVER},
                           {.letter = 'c', .takes = WEFT_SEC(1), .waited = 1}};
    const weft_nursery_opts o = {.cleanup_grace = WEFT_SEC(3)};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY_EX(n, rc, &o) {
        for (int i = 0; i < 3 && rc == 0; i++)
            rc = weft_own(&n, closes, &r[i], NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "cba");
    CHECK_EQ(r[1].waited, -ECANCELED);
    CHECK_EQ(r[2].waited, 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(3));
}

TEST(pattern_69_what_was_never_opened_may_be_closed)
{
    weft_workqueue q = {0};
    weft_limiter l = {0};
    weft_stream stream = {0};
    weft_owned owned = {0};
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    weft_limiter_fini(&l);
    weft_stream_fini(&stream);
    CHECK_EQ(weft_stream_close(&stream), 0);
    weft_cache_free(NULL);
    weft_chan_free(NULL);
    weft_buffer_put(NULL);
    CHECK_EQ(weft_close((weft_fd){0}), -EBADF); /* a code, and no crash */
    CHECK_EQ(weft_disown(owned, true), -ENOENT);
    CHECK_EQ(weft_undefer(closes_at_the_end, NULL, true), -ENOENT);
}

TEST(pattern_70_what_was_opened_inside_is_closed_first)
{
    struct resource outer = {.letter = 'o'}, inner = {.letter = 'i'};
    int rc, inner_rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_own(&n, closes, &outer, NULL);
        WEFT_NURSERY(m, inner_rc) {
            inner_rc = weft_own(&m, closes, &inner, NULL);
        }
        CHECK_STR(said, "i");
        CHECK_EQ(inner_rc, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "io");
}

TEST(pattern_70_closing_in_the_wrong_order_is_found_out)
{
    weft_nursery n;
    weft_scope s;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&s);
    CHECK_EQ(weft_nursery_close(&n, 0), -EBUSY);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);

    weft_scope outer, inner;
    weft_scope_init(&outer);
    weft_scope_init(&inner);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    CHECK_EQ(weft_scope_begin(&inner), 0);
    CHECK_EQ(weft_scope_end(&outer, 0), -EBUSY);
    CHECK_EQ(weft_scope_end(&inner, 0), 0);
    CHECK_EQ(weft_scope_end(&outer, 0), 0);
}

TEST(pattern_71_what_was_never_opened_says_so_and_does_not_crash)
{
    weft_task task = {0};
    weft_nursery nursery = {0};
    weft_scope scope = {0};
    weft_workqueue queue = {0};
    weft_ratelimit rate = {0};
    weft_case none[2] = {0};
    weft_doneq ended = {0};
    weft_task *none_done;
    weft_stream stream = {0};
    weft_ticker ticker = {0};
    char octet = 0;
    CHECK_EQ(weft_ticker_wait(&ticker), -EINVAL);
    CHECK_EQ(weft_join(&task, NULL), -EINVAL);
    CHECK_EQ(weft_nursery_close(&nursery, 0), -EPERM);
    CHECK_EQ(weft_scope_end(&scope, 0), -EBUSY);
    CHECK_EQ(weft_workqueue_add(&queue, fails, NULL, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_ratelimit_check(&rate, 1, NULL), -EINVAL);
    CHECK_EQ(weft_ratelimit_wait(&rate, 1), -EINVAL);
    CHECK_EQ(weft_select(none, 2, 0), -EINVAL);
    CHECK_EQ(weft_next_done(&ended, &none_done), 0);
    CHECK_EQ(weft_stream_read(&stream, &octet, 1), -EBADF);
    CHECK_EQ(weft_read((weft_fd){0}, &octet, 1), -EBADF);
    CHECK_EQ(weft_write((weft_fd){0}, &octet, 1), -EBADF);
    CHECK_EQ(weft_wait_ready((weft_fd){0}, WEFT_READABLE), -EBADF);
    CHECK(strlen(weft_strerror(-EBADF)) > 0);
}

TEST(pattern_72_one_close_sends_what_is_left_and_closes)
{
    weft_fd pair[2];
    weft_stream s;
    char text[8] = "";
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    weft_stream_init(&s, pair[0]);
    CHECK_EQ(weft_stream_write(&s, "goodbye", 7), 0);
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_close(pair[0]), -EBADF); /* it is closed */
    CHECK_EQ(weft_read_exact(pair[1], text, 7, NULL), 0);
    CHECK_STR(text, "goodbye");
    CHECK_EQ(weft_read(pair[1], text, 1), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
}

static int closes_a_stream(void *arg)
{
    return weft_stream_close(arg);
}

TEST(pattern_72_a_close_does_not_outlast_its_deadline)
{
    static const char block[4096];
    weft_fd pair[2];
    weft_stream s;
    weft_time start = weft_now();
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    while (weft_try_write(pair[0], block, sizeof block) > 0)
        continue; /* nobody reads */
    weft_stream_init(&s, pair[0]);
    CHECK_EQ(weft_stream_write(&s, block, sizeof block), 0);
    CHECK_EQ(weft_with_timeout(WEFT_SEC(2), closes_a_stream, &s), -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_SEC(2));
    CHECK_EQ(weft_close(pair[0]), -EBADF); /* closed all the same */
    CHECK_EQ(weft_close(pair[1]), 0);
}

static int yields_nothing(weft_gen *g, void *arg)
{
    (void)g;
    (void)arg;
    return 0;
}

TEST(pattern_73_closing_twice_does_no_harm)
{
    weft_fd pair[2];
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[0]), -EBADF);

    /* The number may have been given to another one, which is not closed. */
    weft_fd again[2];
    char octet;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, again), 0);
    CHECK_EQ(weft_close(pair[0]), -EBADF);
    CHECK_EQ(weft_write(again[0], "!", 1), 1);
    CHECK_EQ(weft_read(again[1], &octet, 1), 1);
    CHECK_EQ(weft_close(again[0]), 0);
    CHECK_EQ(weft_close(again[1]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);

    weft_chan *c = weft_chan_new(1, 1, NULL, 0);
    CHECK(c != NULL);
    weft_chan_close(c);
    weft_chan_close(c);
    weft_chan_abort(c);
    weft_chan_abort(c);
    weft_chan_free(c);

    weft_nursery n;
    weft_workqueue q;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, NULL), 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DISCARD), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -ESHUTDOWN);

    weft_gen g;
    CHECK_EQ(weft_gen_open(&g, yields_nothing, NULL), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_gen_close(&g), -ESHUTDOWN);

    weft_limiter l;
    weft_limiter_init(&l, 3);
    weft_limiter_fini(&l);
    weft_limiter_fini(&l);
}

/* ---- made once ---------------------------------------------------------- */

/* A pool of connections; to open one takes a second, or none. */
struct pool {
    weft_once opened;
    weft_time takes;
    int failing; /* so many fail first */
    int begun, built;
};

static int open_pool(void *arg)
{
    struct pool *p = arg;
    p->begun++;
    int err = p->takes ? weft_sleep(p->takes) : 0;
    if (err < 0) return err;
    if (p->failing-- > 0) return weft_fail(-ECONNREFUSED, "no pool yet");
    p->built++;
    return 0;
}

static int needs_the_pool(void *arg)
{
    struct pool *p = arg;
    int err = weft_once_do(&p->opened, open_pool, p);
    CHECK(err < 0 || p->built == 1);
    return err;
}

/* How many of five who need it at the same moment had it. */
static int five_need(struct pool *p)
{
    const weft_gather_opts collect = {.policy = WEFT_COLLECT};
    weft_job jobs[5];
    int had = 0;
    for (int i = 0; i < 5; i++)
        jobs[i] = (weft_job){.fn = needs_the_pool, .arg = p};
    CHECK_EQ(weft_gather(jobs, 5, &collect), 0);
    for (int i = 0; i < 5; i++)
        had += jobs[i].rc == 0;
    return had;
}

TEST(pattern_74_what_does_not_wait_is_made_once_too)
{
    struct pool p = {.takes = 0};
    CHECK(!weft_once_done(&p.opened));
    CHECK_EQ(five_need(&p), 5);
    CHECK_EQ(p.begun, 1);
    CHECK(weft_once_done(&p.opened));
}

TEST(pattern_75_five_callers_build_one_pool)
{
    struct pool p = {.takes = WEFT_SEC(1)};
    weft_time start = weft_now();
    CHECK_EQ(five_need(&p), 5);
    CHECK_EQ(p.begun, 1);
    CHECK_EQ(p.built, 1);
    CHECK_EQ(weft_now() - start, WEFT_SEC(1));
}

TEST(pattern_75_after_a_failure_the_next_caller_tries)
{
    struct pool p = {.takes = WEFT_SEC(1), .failing = 2};
    CHECK_EQ(five_need(&p), 3); /* each failure is that of one caller */
    CHECK_EQ(p.begun, 3);
    CHECK_EQ(p.built, 1);
}

TEST(pattern_75_a_caller_that_is_cancelled_in_the_middle_hands_over)
{
    struct pool p = {.takes = WEFT_SEC(2)};
    weft_task hasty;
    const weft_spawn_opts o = {.task = &hasty};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_ex(&n, needs_the_pool, &p, &o), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(weft_spawn(&n, needs_the_pool, &p), 0);
        CHECK_EQ(weft_sleep(1), 0);
        weft_task_cancel(&hasty, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(p.begun, 2);
    CHECK_EQ(p.built, 1);
    CHECK_EQ(weft_now() - start, WEFT_SEC(3) + 1);
}

TEST(pattern_76_eager_and_lazy_are_the_same_call)
{
    struct pool eager = {.takes = WEFT_SEC(1)};
    CHECK_EQ(needs_the_pool(&eager), 0); /* at the start of the program */
    weft_time start = weft_now();
    CHECK_EQ(five_need(&eager), 5);
    CHECK_EQ(weft_now(), start); /* and nobody waits for it any more */
    CHECK_EQ(eager.begun, 1);
}

/* A price list that is asked for over the network. */
static int asked, dropped;

static int ask_for(const void *key, size_t len, void **ret_value, void *user)
{
    asked++;
    CHECK_PTR(user, &asked);
    int err = weft_sleep(WEFT_SEC(1));
    if (err < 0) return err;
    if (len == 0) return weft_fail(-ENOENT, "no such price");
    char *value = malloc(len + 1);
    if (!value) return -ENOMEM;
    memcpy(value, key, len);
    value[len] = 0;
    *ret_value = value;
    return 0;
}

static void drop_price(void *value)
{
    free(value);
    dropped++;
}

struct buyer {
    weft_cache *prices;
    const char *what;
};

static int buys(void *arg)
{
    const struct buyer *b = arg;
    void *value;
    int err = weft_cache_get(b->prices, b->what, strlen(b->what), &value);
    if (err < 0) return err;
    CHECK_STR(value, b->what);
    weft_cache_put(b->prices, value);
    return 0;
}

static int five_buy(weft_cache *prices, const char *what)
{
    const weft_gather_opts collect = {.policy = WEFT_COLLECT};
    struct buyer b = {prices, what};
    weft_job jobs[5];
    for (int i = 0; i < 5; i++)
        jobs[i] = (weft_job){.fn = buys, .arg = &b};
    CHECK_EQ(weft_gather(jobs, 5, &collect), 0);
    for (int i = 1; i < 5; i++)
        CHECK_EQ(jobs[i].rc, jobs[0].rc);
    return jobs[0].rc;
}

static weft_cache *new_prices(void)
{
    const weft_cache_opts o = {.fill = ask_for,
                               .drop = drop_price,
                               .user = &asked,
                               .ttl = WEFT_SEC(60),
                               .negative_ttl = WEFT_SEC(5)};
    weft_cache *prices = weft_cache_new(&o);
    CHECK(prices != NULL);
    return prices;
}

TEST(pattern_77_five_misses_of_a_key_ask_once)
{
    weft_cache *prices = new_prices();
    weft_time start = weft_now();
    CHECK_EQ(five_buy(prices, "tea"), 0);
    CHECK_EQ(asked, 1);
    CHECK_EQ(weft_now() - start, WEFT_SEC(1));
    CHECK_EQ(five_buy(prices, "tea"), 0);
    CHECK_EQ(five_buy(prices, "rice"), 0);
    CHECK_EQ(asked, 2);
    weft_cache_free(prices);
    CHECK_EQ(dropped, 2);
}

TEST(pattern_77_a_value_grows_old_and_a_failure_sooner)
{
    weft_cache *prices = new_prices();
    CHECK_EQ(five_buy(prices, "tea"), 0);
    CHECK_EQ(five_buy(prices, ""), -ENOENT);
    CHECK_EQ(five_buy(prices, ""), -ENOENT);
    CHECK_EQ(asked, 2);
    CHECK_EQ(weft_sleep(WEFT_SEC(5)), 0);
    CHECK_EQ(five_buy(prices, ""), -ENOENT);
    CHECK_EQ(five_buy(prices, "tea"), 0);
    CHECK_EQ(asked, 3);
    CHECK_EQ(weft_sleep(WEFT_SEC(60)), 0);
    CHECK_EQ(five_buy(prices, "tea"), 0);
    CHECK_EQ(asked, 4);
    weft_cache_free(prices);
}

TEST(pattern_77_a_value_that_somebody_has_outlives_its_place)
{
    weft_cache *prices = new_prices();
    void *value;
    CHECK_EQ(weft_cache_get(prices, "tea", 3, &value), 0);
    CHECK(weft_cache_forget(prices, "tea", 3));
    CHECK_EQ(five_buy(prices, "tea"), 0);
    CHECK_EQ(asked, 2);
    CHECK_EQ(dropped, 0);
    CHECK_STR(value, "tea");
    weft_cache_put(prices, value);
    CHECK_EQ(dropped, 1);
    weft_cache_free(prices);
    CHECK_EQ(dropped, 2);
}

static weft_key trace = {.name = "trace"};

static int looks_at_the_trace(void *arg)
{
    const char **seen = arg;
    *seen = weft_local_get(&trace);
    int err = weft_local_push(&trace, "the child's");
    if (err < 0) return err;
    return weft_sleep(1); /* its own binding ends with it */
}

TEST(pattern_78_a_trace_is_seen_by_children_and_nothing_else_is_passed_so)
{
    static char mine[] = "the request's";
    const char *seen = NULL;
    CHECK_EQ(weft_local_push(&trace, mine), 0);
    CHECK_EQ(in_a_child(looks_at_the_trace, &seen), 0);
    CHECK_PTR(seen, mine);
    CHECK_PTR(weft_local_get(&trace), mine);
    CHECK_EQ(weft_local_pop(&trace), 0);
    CHECK_PTR(weft_local_get(&trace), NULL);
    CHECK_EQ(in_a_child(looks_at_the_trace, &seen), 0);
    CHECK_PTR(seen, NULL);
}

TEST(pattern_73_a_child_may_end_what_its_parent_ends_again)
{
    struct resource r = {.letter = 'r'};
    weft_owned owned;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_own(&n, closes, &r, &owned);
        if (rc == 0) rc = weft_spawn(&n, waits_for_ever, NULL);
        CHECK_EQ(weft_disown(owned, true), 0);
        CHECK_EQ(weft_disown(owned, true), -ENOENT);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.closed, 1);
}
