/* SPDX-License-Identifier: MIT */
/*
 * threads.c - what comes from other threads, counted.
 *
 * Four threads post numbers, four send numbers into a channel that four fibers
 * receive from, one cancels tokens, and one sends to a fiber whose wait is
 * cancelled at about the same time. Each number has to arrive once, those of a
 * thread in their order; and what each side says of a wait has to agree.
 *
 * There is no way to have the same again: what races is drawn by the machine.
 * The seed only says how long somebody is held up, and the room in the channel.
 */
#include <weft/chan.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/post.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>
#include <weft/token.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/random.h"
#include "stress/stress.h"
#include "stress/words.h"

enum { THREADS = 4, FIBERS = 4, AHEAD = 10000 };

/* A number and its thread, as one word, which a pointer can be. */
static uint64_t word_of(uint64_t thread, uint64_t number)
{
    return number * THREADS + thread;
}

static uint64_t drawn;

/* ---- words between threads ---------------------------------------------- */

/* On i386 it would be aligned at 4 otherwise, and then clang has a library do
 * what is atomic. */
typedef uint64_t shared_word __attribute__((aligned(8)));

static uint64_t read_word(const shared_word *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void write_word(shared_word *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void wait_for_word(const shared_word *word, uint64_t least)
{
    for (int i = 0; read_word(word) < least; i++)
        if (i > 100) sched_yield();
}

static void linger(uint64_t steps)
{
    static shared_word never;
    while (steps-- > 0)
        (void)read_word(&never);
}

static pthread_t start(void *(*fn)(void *arg), void *arg)
{
    pthread_t t;
    same("thread", 0, pthread_create(&t, NULL, fn, arg), 0);
    return t;
}

static void join(pthread_t t)
{
    same("joining thread", 0, pthread_join(t, NULL), 0);
}

/* ---- what has arrived --------------------------------------------------- */

struct arrivals {
    uint64_t each;          /* how many numbers of each thread */
    uint64_t next[THREADS]; /* in order */
    shared_word count;      /* atomic */
    uint64_t sum;           /* of the numbers */
};

static void arrived_in_order(struct arrivals *a, uint64_t word)
{
    int thread = (int)(word % THREADS);
    uint64_t number = word / THREADS;
    same("number of thread", thread, (long long)number,
         (long long)a->next[thread]);
    a->next[thread]++;
    write_word(&a->count, a->count + 1);
}

static void all_arrived(const struct arrivals *a)
{
    for (int i = 0; i < THREADS; i++)
        same("numbers of thread", i, (long long)a->next[i], (long long)a->each);
}

struct source {
    struct arrivals *to;
    weft_remote *run;
    weft_chan *chan;
    uint64_t thread;
};

/* ---- posts -------------------------------------------------------------- */

static struct arrivals posted;

static void takes_post(void *arg)
{
    arrived_in_order(&posted, (uint64_t)(uintptr_t)arg);
}

static void *posts(void *arg)
{
    const struct source *s = arg;
    for (uint64_t i = 0; i < s->to->each; i++) {
        if (i > AHEAD) wait_for_word(&s->to->count, i - AHEAD);
        void *word = (void *)(uintptr_t)word_of(s->thread, i);
        same("post", (int)s->thread, weft_post(s->run, takes_post, word), 0);
    }
    weft_remote_unref(s->run);
    return NULL;
}

/* The run ends when all of it has been called. */
static int is_posted_to(void *arg)
{
    struct source s[THREADS];
    pthread_t threads[THREADS];
    posted = (struct arrivals){.each = *(uint64_t *)arg / THREADS};
    for (uint64_t i = 0; i < THREADS; i++) {
        s[i] = (struct source){
            .to = &posted, .run = weft_remote_new(), .thread = i};
        threads[i] = start(posts, &s[i]);
    }
    while (posted.count < THREADS * posted.each)
        same("sleep", 0, weft_sleep(WEFT_MSEC(1)), 0);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    all_arrived(&posted);
    return 0;
}

/* ---- channel ------------------------------------------------------------ */

static void *sends(void *arg)
{
    const struct source *s = arg;
    for (uint64_t i = 0; i < s->to->each; i++) {
        uint64_t word = word_of(s->thread, i);
        int err;
        while ((err = weft_chan_trysend(s->chan, &word)) == -EAGAIN)
            sched_yield();
        same("send", (int)s->thread, err, 0);
    }
    weft_chan_sender_done(s->chan);
    return NULL;
}

/* Fibers run later than they are granted, so only what one receives is in the
 * order of the senders. */
struct receiving {
    weft_chan *chan;
    struct arrivals *all;
    uint64_t least[THREADS]; /* that is still to come */
};

static int receives(void *arg)
{
    struct receiving *r = arg;
    uint64_t word, number;
    int got;
    while ((got = weft_chan_recv(r->chan, &word)) == 1) {
        int thread = (int)(word % THREADS);
        number = word / THREADS;
        if (number < r->least[thread])
            differs("thread %d: number %" PRIu64 " comes after %" PRIu64,
                    thread, number, r->least[thread] - 1);
        r->least[thread] = number + 1;
        r->all->next[thread]++;
        r->all->sum += number;
    }
    return got;
}

static int receives_all(void *arg)
{
    struct arrivals all = {.each = *(uint64_t *)arg / THREADS};
    struct source s[THREADS];
    struct receiving r[FIBERS];
    pthread_t threads[THREADS];
    weft_nursery n;
    size_t room = (size_t)(wf_draw(&drawn) % 5 * 16);
    weft_chan *c = weft_chan_new(sizeof(uint64_t), room, NULL, WEFT_CHAN_MT);
    if (!c) return -ENOMEM;
    int rc = weft_nursery_open(&n, NULL);
    for (int i = 0; i < FIBERS && rc == 0; i++) {
        r[i] = (struct receiving){.chan = c, .all = &all};
        rc = weft_spawn(&n, receives, &r[i]);
    }
    for (uint64_t i = 0; i < THREADS; i++) {
        s[i] = (struct source){
            .to = &all, .chan = weft_chan_sender(c), .thread = i};
        threads[i] = start(sends, &s[i]);
    }
    weft_chan_sender_done(c);
    rc = weft_nursery_close(&n, rc);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    weft_chan_free(c);
    all_arrived(&all);
    const uint64_t got = 2 * all.sum;
    const uint64_t want = all.each * (all.each - 1) * THREADS;
    same("sum of all numbers", 0, (long long)got, (long long)want);
    return rc;
}

/* ---- rounds with one thread --------------------------------------------- */

/* The thread tries something in each round, somewhat later or sooner. */
struct rounds {
    uint64_t count;
    shared_word begun, done; /* atomic */
    weft_token *token;
    weft_chan *chan, *handle;
    weft_scope *scope;
    int tried;
};

static void *cancels_tokens(void *arg)
{
    struct rounds *r = arg;
    for (uint64_t i = 0; i < r->count; i++) {
        wait_for_word(&r->begun, i + 1);
        weft_token *t = r->token;
        linger(i % 61);
        weft_token_cancel(t, -EINTR, NULL);
        weft_token_unref(t);
        write_word(&r->done, i + 1);
    }
    return NULL;
}

static int is_cancelled_each_time(void *arg)
{
    struct rounds r = {.count = *(uint64_t *)arg};
    pthread_t t = start(cancels_tokens, &r);
    for (uint64_t i = 0; i < r.count; i++) {
        weft_scope s;
        weft_scope_init(&s);
        r.token = weft_token_new(NULL);
        weft_token *mine = weft_token_ref(r.token);
        same("scope", 0, weft_scope_begin(&s), 0);
        same("link", 0, weft_scope_link(&s, mine), 0);
        write_word(&r.begun, i + 1);
        linger(i % 53);
        int err = weft_sleep(WEFT_FOREVER);
        same("sleep that is cancelled", 0, err, -ECANCELED);
        same("scope that is cancelled", 0, weft_scope_end(&s, err), -EINTR);
        wait_for_word(&r.done, i + 1);
        weft_token_unref(mine);
    }
    join(t);
    return 0;
}

static void *sends_each_round(void *arg)
{
    struct rounds *r = arg;
    for (uint64_t i = 0; i < r->count; i++) {
        wait_for_word(&r->begun, i + 1);
        linger(i % 37);
        r->tried = weft_chan_trysend(r->handle, &i);
        write_word(&r->done, i + 1);
    }
    weft_chan_sender_done(r->handle);
    return NULL;
}

static int cancels_each_round(void *arg)
{
    struct rounds *r = arg;
    for (uint64_t i = 0; i < r->count; i++) {
        while (r->begun <= i) {
            int err = weft_yield();
            if (err < 0) return err;
        }
        linger(i % 53);
        if (i % 3 == 0) sched_yield();
        if (r->scope) weft_scope_cancel(r->scope, -EINTR, NULL);
    }
    return 0;
}

static int receives_or_is_cancelled(struct rounds *r, uint64_t round)
{
    uint64_t item = UINT64_MAX;
    weft_scope s;
    weft_scope_init(&s);
    int err = weft_scope_begin(&s);
    if (err < 0) return err;
    r->scope = &s;
    write_word(&r->begun, round + 1);
    int got = weft_chan_recv(r->chan, &item);
    r->scope = NULL;
    (void)!weft_scope_end(&s, got);
    wait_for_word(&r->done, round + 1);
    same("send, as the receiver sees it", 0, r->tried, got == 1 ? 0 : -EAGAIN);
    same("item", 0, (long long)item, got == 1 ? (long long)round : -1);
    return got;
}

static int is_granted_or_cancelled(void *arg)
{
    struct rounds r = {.count = *(uint64_t *)arg};
    uint64_t granted = 0, cancelled = 0;
    weft_nursery n;
    r.chan = weft_chan_new(sizeof(uint64_t), 0, NULL, WEFT_CHAN_MT);
    if (!r.chan) return -ENOMEM;
    r.handle = weft_chan_sender(r.chan);
    pthread_t t = start(sends_each_round, &r);
    int rc = weft_nursery_open(&n, NULL);
    if (rc == 0) rc = weft_spawn(&n, cancels_each_round, &r);
    for (uint64_t i = 0; i < r.count; i++) {
        int got = receives_or_is_cancelled(&r, i);
        granted += got == 1;
        cancelled += got == -ECANCELED;
    }
    join(t);
    rc = weft_nursery_close(&n, rc);
    weft_chan_free(r.chan);
    const uint64_t rounds = granted + cancelled;
    same("rounds", 0, (long long)rounds, (long long)r.count);
    printf("  %" PRIu64 " granted, %" PRIu64 " cancelled\n", granted,
           cancelled);
    return rc;
}

/* ---- the whole ---------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void part(const char *what, weft_fn fn, uint64_t count)
{
    double start_time = seconds();
    count -= count % THREADS;
    same(what, 0, weft_run(fn, &count, NULL), 0);
    double took = seconds() - start_time;
    printf("  %-32s %12" PRIu64 "  %.1f s, %.0f a second\n", what, count, took,
           (double)count / took);
    (void)fflush(stdout);
}

void stress_threads(uint64_t seed, uint64_t wakes)
{
    char again[128];
    drawn = seed;
    (void)snprintf(again, sizeof again,
                   "make stress SEED=%" PRIu64 " STEPS=0 WAKES=%" PRIu64, seed,
                   wakes);
    words_begin(0, again);
    printf("seed %" PRIu64 ": %" PRIu64 " wakes and sends\n", seed, wakes);
    part("posts of 4 threads", is_posted_to, wakes / 2);
    part("sends of 4 threads", receives_all, wakes / 2 - wakes / 50);
    part("tokens cancelled", is_cancelled_each_time, wakes / 100);
    part("sends that race with a cancel", is_granted_or_cancelled, wakes / 100);
}
