/* SPDX-License-Identifier: MIT */
/* work_fibers.c - a run, its fibers and what they share on one thread. */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "torture.h"

static const weft_run_opts at_once = {.virtual_clock = true};

/* In a nursery: what `fn` spawned has ended. */
static int in_nursery(int (*fn)(weft_nursery *n))
{
    weft_nursery n;
    TRY(weft_nursery_open(&n, NULL));
    return weft_nursery_close(&n, fn(&n));
}

/* ---- fibers ------------------------------------------------------------- */

static int ended;

static int yields(void *arg)
{
    (void)arg;
    TRY(weft_yield());
    ended++;
    return 0;
}

static int spawn_many(weft_nursery *n)
{
    for (int i = 0; i < 150; i++)
        TRY(weft_spawn(n, yields, NULL));
    return 0;
}

static int many_fibers(void *arg)
{
    (void)arg;
    TRY(in_nursery(spawn_many));
    EXPECT(ended == 150);
    return 0;
}

static int fibers_by_the_hundred(void)
{
    return weft_run(many_fibers, NULL, &at_once);
}
WORK(fibers_by_the_hundred, MAY(0));

static int spawn_large(weft_nursery *n)
{
    const weft_spawn_opts large = {.stack_size = 256 * 1024};
    for (int i = 0; i < 3; i++)
        TRY(weft_spawn_ex(n, yields, NULL, &large));
    return 0;
}

static int large_stacks(void *arg)
{
    (void)arg;
    TRY(in_nursery(spawn_large));
    EXPECT(ended == 3);
    return 0;
}

static int stacks_of_another_size(void)
{
    return weft_run(large_stacks, NULL, &at_once);
}
WORK(stacks_of_another_size, MAY(0));

/* A rush of so many at a time that not all of their stacks are kept warm, and
 * time for that to be seen. */
static int rush(weft_nursery *n)
{
    for (int i = 0; i < 1500; i++)
        TRY(weft_spawn(n, yields, NULL));
    return 0;
}

static int rush_and_rest(void *arg)
{
    (void)arg;
    ended = 0;
    TRY(in_nursery(rush));
    for (int i = 0; i < 80; i++)
        TRY(weft_sleep(WEFT_SEC(2)));
    EXPECT(ended == 1500);
    return 0;
}

static int stacks_are_given_back(void)
{
    return weft_run(rush_and_rest, NULL, &at_once);
}
WORK(stacks_are_given_back, MAY(0));

static int computes(void *arg)
{
    (void)arg;
    return weft_yield();
}

static int a_watchdog_looks_on(void)
{
    const weft_run_opts o = {.watchdog = WEFT_MSEC(500)};
    return weft_run(computes, NULL, &o);
}
WORK(a_watchdog_looks_on, MAY(0));

/* ---- what hangs on a fiber ---------------------------------------------- */

static int released;

static void release(void *arg)
{
    (void)arg;
    released++;
}

static int release_object(void *object)
{
    release(object);
    return 0;
}

/* On failure weft_defer has run it already; weft_own has closed it. */
static int defer_and_own(weft_nursery *n)
{
    weft_owned owned;
    for (int i = 0; i < 3; i++)
        TRY(weft_defer(release, NULL));
    for (int i = 0; i < 40; i++)
        TRY(weft_own(n, release_object, &released, &owned));
    return weft_disown(owned, true);
}

static int cleans_up(void *arg)
{
    (void)arg;
    return in_nursery(defer_and_own);
}

static int cleanups_run(void)
{
    released = 0;
    int rc = weft_run(cleans_up, NULL, &at_once);
    if (rc == 0) EXPECT(released == 43);
    return rc;
}
WORK(cleanups_run, MAY(0));

static weft_key plain = {.name = "plain"},
                own = {.name = "own", .flags = WEFT_KEY_PRIVATE},
                wide = {.name = "wide", .flags = WEFT_KEY_SHARE_THREADS};
static int one, two;

static int sees(void *arg)
{
    (void)arg;
    EXPECT(weft_local_get(&plain) == &one);
    EXPECT(weft_local_get(&wide) == &two);
    EXPECT(weft_local_get(&own) == NULL);
    return weft_yield();
}

/* A pop from under what a child shares needs copies. */
static int hand_down(weft_nursery *n)
{
    TRY(weft_local_push(&plain, &one));
    TRY(weft_local_push(&wide, &two));
    TRY(weft_local_push(&own, &two));
    TRY(weft_spawn(n, sees, NULL));
    TRY(weft_local_pop(&plain));
    EXPECT(weft_local_get(&plain) == NULL);
    EXPECT(weft_local_get(&wide) == &two);
    TRY(weft_local_pop(&own));
    return weft_local_pop(&wide);
}

static int has_locals(void *arg)
{
    (void)arg;
    return in_nursery(hand_down);
}

static int locals_are_handed_down(void)
{
    return weft_run(has_locals, NULL, &at_once);
}
WORK(locals_are_handed_down, MAY(0));

/* Without memory the words are lost, the code is not. */
static int fails(void *arg)
{
    (void)arg;
    return weft_fail(-EPROTO, "in so many words");
}

static int fails_twice(weft_nursery *n)
{
    TRY(weft_spawn(n, fails, NULL));
    TRY(weft_spawn(n, fails, NULL));
    return 0;
}

static int fails_in_a_nursery(void *arg)
{
    const weft_nursery_opts all = {.policy = WEFT_COLLECT};
    weft_nursery n;
    (void)arg;
    TRY(weft_nursery_open(&n, &all));
    int rc = weft_nursery_close(&n, fails_twice(&n));
    if (rc == -EPROTO && weft_last_error())
        EXPECT(weft_last_error()->code == -EPROTO);
    return rc == -EPROTO ? 0 : rc;
}

static int failures_are_told(void)
{
    return weft_run(fails_in_a_nursery, NULL, &at_once);
}
WORK(failures_are_told, MAY(0));

/* ---- what fibers wait for ----------------------------------------------- */

static weft_chan *channel;
static int sum;

static int sends(void *arg)
{
    weft_chan *c = arg;
    int rc = 0;
    for (int i = 1; i <= 10 && rc == 0; i++)
        rc = weft_chan_send(c, &i);
    weft_chan_sender_done(c);
    return rc;
}

static int receives(void *arg)
{
    int item;
    (void)arg;
    for (;;) {
        int rc = weft_chan_recv(channel, &item);
        if (rc <= 0) return rc;
        sum += item;
    }
}

static int send_and_receive(weft_nursery *n)
{
    weft_chan *sender = weft_chan_sender(channel);
    if (!sender) return -ENOMEM;
    int err = weft_spawn(n, sends, sender);
    if (err < 0) weft_chan_sender_done(sender);
    weft_chan_sender_done(channel);
    TRY(err);
    return weft_spawn(n, receives, NULL);
}

static int uses_channel(void *flags)
{
    sum = 0;
    channel = weft_chan_new(sizeof(int), 2, NULL, *(unsigned *)flags);
    if (!channel) return -ENOMEM;
    int rc = in_nursery(send_and_receive);
    weft_chan_free(channel);
    if (rc == 0) EXPECT(sum == 55);
    return rc;
}

static int a_channel(void)
{
    unsigned flags = 0;
    return weft_run(uses_channel, &flags, &at_once);
}
WORK(a_channel, MAY(0));

static int a_channel_that_crosses(void)
{
    unsigned flags = WEFT_CHAN_MT;
    return weft_run(uses_channel, &flags, &at_once);
}
WORK(a_channel_that_crosses, MAY(0));

enum { CASES = 20 };

static weft_chan *channels[CASES];

static int sends_last(void *arg)
{
    int item = 7;
    (void)arg;
    return weft_chan_send(channels[CASES - 1], &item);
}

static int select_one(weft_nursery *n)
{
    weft_case cases[CASES];
    int item = 0;
    TRY(weft_spawn(n, sends_last, NULL));
    for (int i = 0; i < CASES; i++)
        cases[i] = (weft_case)WEFT_CASE_RECV(channels[i], &item);
    int which = weft_select(cases, CASES, 0);
    TRY(which);
    EXPECT(which == CASES - 1 && cases[which].result == 1 && item == 7);
    return 0;
}

static int selects(void *flags)
{
    int rc = 0, made = 0;
    for (; made < CASES && rc == 0; made++) {
        channels[made] =
            weft_chan_new(sizeof(int), 0, NULL, *(unsigned *)flags);
        if (!channels[made]) {
            rc = -ENOMEM;
            break;
        }
    }
    if (rc == 0) rc = in_nursery(select_one);
    while (made-- > 0)
        weft_chan_free(channels[made]);
    return rc;
}

static int a_select_of_many(void)
{
    unsigned flags = 0;
    return weft_run(selects, &flags, &at_once);
}
WORK(a_select_of_many, MAY(0));

static int a_select_that_crosses(void)
{
    unsigned flags = WEFT_CHAN_MT;
    return weft_run(selects, &flags, &at_once);
}
WORK(a_select_that_crosses, MAY(0));

static int wait_for_many(weft_nursery *n)
{
    enum { TASKS = 20 };
    static weft_task tasks[TASKS];
    weft_task *all[TASKS];
    for (int i = 0; i < TASKS; i++) {
        const weft_spawn_opts o = {.task = all[i] = &tasks[i]};
        TRY(weft_spawn_ex(n, yields, NULL, &o));
    }
    TRY(weft_wait(all, TASKS, WEFT_ALL, WEFT_FOREVER));
    EXPECT(ended == TASKS);
    return 0;
}

static int waits_for_tasks(void *arg)
{
    (void)arg;
    ended = 0;
    return in_nursery(wait_for_many);
}

static int a_wait_for_many_tasks(void)
{
    return weft_run(waits_for_tasks, NULL, &at_once);
}
WORK(a_wait_for_many_tasks, MAY(0));

/* ---- tables ------------------------------------------------------------- */

static int fill(const void *key, size_t len, void **ret_value, void *user)
{
    (void)len;
    (void)user;
    TRY(weft_yield());
    *ret_value = (void *)(uintptr_t)(*(const int *)key + 1);
    return 0;
}

static int gets_all(void *arg)
{
    weft_cache *c = arg;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 40; i++) {
            void *value;
            TRY(weft_cache_get(c, &i, sizeof i, &value));
            EXPECT((uintptr_t)value == (uintptr_t)i + 1);
            weft_cache_put(c, value);
        }
    return 0;
}

static int caches(void *arg)
{
    const weft_cache_opts o = {.fill = fill, .max = 30};
    (void)arg;
    weft_cache *c = weft_cache_new(&o);
    if (!c) return -ENOMEM;
    int rc = gets_all(c);
    weft_cache_free(c);
    return rc;
}

static int a_cache(void)
{
    return weft_run(caches, NULL, &at_once);
}
WORK(a_cache, MAY(0));

static int limit_rates(weft_ratelimits *s)
{
    for (int i = 0; i < 40; i++) {
        weft_ratelimit_info info;
        int rc = weft_ratelimits_check(s, &i, sizeof i, 1, &info);
        TRY(rc);
        TRY(weft_ratelimits_wait(s, &i, sizeof i, 1));
    }
    return 0;
}

static int limits_rates(void *arg)
{
    const weft_ratelimits_opts o = {.limit = 2, .window = WEFT_SEC(1)};
    (void)arg;
    weft_ratelimits *s = weft_ratelimits_new(&o);
    if (!s) return -ENOMEM;
    int rc = limit_rates(s);
    weft_ratelimits_free(s);
    return rc;
}

static int rates_by_key(void)
{
    return weft_run(limits_rates, NULL, &at_once);
}
WORK(rates_by_key, MAY(0));

static int borrow(weft_limiter *l)
{
    int rc = 0, had = 0;
    static char borrowers[30];
    for (; had < 30 && rc == 0; had++) {
        rc = weft_limiter_acquire(l, &borrowers[had]);
        if (rc < 0) break;
    }
    while (had-- > 0)
        EXPECT(weft_limiter_release(l, &borrowers[had]) == 0);
    return rc;
}

static int borrows(void *arg)
{
    weft_limiter l;
    (void)arg;
    weft_limiter_init(&l, 30);
    int rc = borrow(&l);
    EXPECT(weft_limiter_lent(&l) == 0);
    weft_limiter_fini(&l);
    return rc;
}

static int a_limiter(void)
{
    return weft_run(borrows, NULL, &at_once);
}
WORK(a_limiter, MAY(0));

/* ---- larger pieces ------------------------------------------------------ */

static int count_job(void *arg)
{
    TRY(weft_yield());
    ++*(int *)arg;
    return 0;
}

static int queue_jobs(weft_nursery *n)
{
    const weft_workqueue_opts o = {.workers = 3, .capacity = 4};
    weft_workqueue q;
    int done = 0, rc = 0;
    TRY(weft_workqueue_open(&q, n, &o));
    for (int i = 0; i < 12 && rc == 0; i++)
        rc = weft_workqueue_add(&q, count_job, &done, NULL);
    if (rc == 0) rc = weft_workqueue_join(&q);
    int err = weft_workqueue_stop(&q, rc == 0 ? WEFT_DRAIN : WEFT_DISCARD);
    if (rc == 0) rc = err;
    if (rc == 0) EXPECT(done == 12);
    return rc;
}

static int queues(void *arg)
{
    (void)arg;
    return in_nursery(queue_jobs);
}

static int a_work_queue(void)
{
    return weft_run(queues, NULL, &at_once);
}
WORK(a_work_queue, MAY(0));

static int three_items(weft_gen *g, void *arg)
{
    static int items[3] = {1, 2, 3};
    (void)arg;
    for (int i = 0; i < 3; i++)
        TRY(weft_gen_yield(g, &items[i]));
    return 0;
}

static int generates(void *arg)
{
    int all = 0, rc = 0;
    (void)arg;
    WEFT_FOREACH(int *, item, rc, three_items, NULL)
        all += *item;
    if (rc == 0) EXPECT(all == 6);
    return rc;
}

static int a_generator(void)
{
    return weft_run(generates, NULL, &at_once);
}
WORK(a_generator, MAY(0));

static int gathers(void *arg)
{
    int done = 0;
    weft_job jobs[8];
    (void)arg;
    for (int i = 0; i < 8; i++)
        jobs[i] = (weft_job){.fn = count_job, .arg = &done};
    TRY(weft_gather(jobs, 8, NULL));
    EXPECT(done == 8);
    TRY(weft_race(jobs, 8, WEFT_RACE_OK));
    return 0;
}

static int a_gathering(void)
{
    return weft_run(gathers, NULL, &at_once);
}
WORK(a_gathering, MAY(0));

static int worked_on;

static int in_background(void *arg)
{
    (void)arg;
    TRY(weft_sleep(WEFT_MSEC(5)));
    worked_on++;
    return 0;
}

static int leaves_work(void *arg)
{
    (void)arg;
    return weft_background(in_background, NULL, NULL);
}

static int background_work(void)
{
    worked_on = 0;
    int rc = weft_run(leaves_work, NULL, &at_once);
    if (rc == 0) EXPECT(worked_on == 1);
    return rc;
}
WORK(background_work, MAY(0));

static int cancel_by_token(weft_token *t)
{
    weft_scope s;
    weft_scope_init(&s);
    TRY(weft_scope_begin(&s));
    int rc = weft_scope_link(&s, t);
    if (rc == 0) {
        weft_token_cancel(t, 0, "enough");
        EXPECT(weft_sleep(WEFT_SEC(1)) == -ECANCELED);
        rc = -ECANCELED;
    }
    rc = weft_scope_end(&s, rc);
    return rc;
}

static int has_tokens(void *arg)
{
    (void)arg;
    weft_token *parent = weft_token_new(NULL);
    if (!parent) return -ENOMEM;
    weft_token *t = weft_token_new(parent);
    int rc = t ? cancel_by_token(t) : -ENOMEM;
    weft_token_unref(t);
    weft_token_unref(parent);
    return rc;
}

static int tokens(void)
{
    return weft_run(has_tokens, NULL, &at_once);
}
WORK(tokens, MAY(0));

static int asserts(void *arg)
{
    (void)arg;
    WEFT_EXPECT(weft_test_settle() == 0);
    return 0;
}

static int a_test_in_orders(void)
{
    const weft_test_opts o = {.orders = 3};
    return weft_test("orders", asserts, NULL, &o);
}
WORK(a_test_in_orders, MAY(EPROTO));
