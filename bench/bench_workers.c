/* SPDX-License-Identifier: MIT */
/*
 * bench_workers - what it costs to cross from one worker to another, and what
 * two of them make of a computation that divides itself.
 *
 * All on the real clock: most of a crossing is the other thread waking up. How
 * much faster two threads can be on this machine at all is measured beside it,
 * with two plain threads that do half of the same work each.
 */
#include <weft.h>

#include <pthread.h>
#include <stdio.h>

#include "harness.h"

enum { LEAVES = 1000000, FAN = 10, AT_ONCE = 1000 };

/* ---- crossing ----------------------------------------------------------- */

static const weft_spawn_opts other = {.worker = 2}, here = {.worker = 1};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int64_t spawn_and_join(const weft_spawn_opts *where, int64_t n,
                              int64_t at_once)
{
    int64_t start = bench_now();
    for (int64_t done = 0; done < n; done += at_once) {
        int rc;
        WEFT_NURSERY(nursery, rc) {
            for (int64_t i = 0; i < at_once && rc == 0; i++)
                rc = weft_spawn_ex(&nursery, nothing, NULL, where);
        }
        if (rc < 0) return rc;
    }
    int64_t whole = (n + at_once - 1) / at_once * at_once;
    return (int64_t)((double)(bench_now() - start) * (double)n / (double)whole);
}

static int64_t one_there(void *arg, int64_t n)
{
    (void)arg;
    return spawn_and_join(&other, n, 1);
}

static int64_t many_there(void *arg, int64_t n)
{
    (void)arg;
    return spawn_and_join(&other, n, AT_ONCE);
}

static int64_t one_here(void *arg, int64_t n)
{
    (void)arg;
    return spawn_and_join(&here, n, 1);
}

static int64_t many_here(void *arg, int64_t n)
{
    (void)arg;
    return spawn_and_join(&here, n, AT_ONCE);
}

/* A function there that posts one here, which wakes the fiber. */
static struct {
    weft_remote *here, *there;
    weft_sem back;
    int64_t left;
    int error;
} posts;

static void come_back(void *arg)
{
    (void)arg;
    weft_sem_release(&posts.back, 1);
}

static void go_there(void *arg)
{
    posts.error = weft_post(posts.here, come_back, arg);
}

static int64_t post_and_back(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        int err = weft_post(posts.there, go_there, NULL);
        if (err == 0) err = weft_sem_acquire(&posts.back, 1);
        if (err == 0) err = posts.error;
        if (err < 0) return err;
    }
    return bench_now() - start;
}

static void count_down(void *arg)
{
    if (--posts.left == 0) go_there(arg);
}

/* One after the other without waiting, until the last has been called. */
static int64_t post_many(void *arg, int64_t n)
{
    (void)arg;
    posts.left = n;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        int err = weft_post(posts.there, count_down, NULL);
        if (err < 0) return err;
    }
    int err = weft_sem_acquire(&posts.back, 1);
    return err < 0 ? err : bench_now() - start;
}

/* ---- items -------------------------------------------------------------- */

static struct {
    weft_chan *there, *back;
} line;

static int echoes(void *arg)
{
    uint64_t item;
    int got;
    while ((got = weft_chan_recv(line.there, &item)) == 1) {
        int err = arg ? weft_chan_send(line.back, &item) : 0;
        if (err < 0) return err;
    }
    return got;
}

static int send_all(int64_t n, bool back)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t item = (uint64_t)i;
        int err = weft_chan_send(line.there, &item);
        if (err == 0 && back && weft_chan_recv(line.back, &item) != 1)
            err = -EPIPE;
        if (err < 0) return err;
    }
    return 0;
}

/* From this worker to `where`, and, if there is no room on the way, back. */
static int64_t send_to(const weft_spawn_opts *where, int64_t n, size_t room)
{
    bool back = room == 0;
    int rc;
    line.there = weft_chan_new(sizeof(uint64_t), room, NULL, WEFT_CHAN_MT);
    line.back = weft_chan_new(sizeof(uint64_t), room, NULL, WEFT_CHAN_MT);
    if (!line.there || !line.back) return -ENOMEM;
    int64_t start = bench_now();
    WEFT_NURSERY(nursery, rc) {
        rc = weft_spawn_ex(&nursery, echoes, back ? &line : NULL, where);
        if (rc == 0) rc = send_all(n, back);
        weft_chan_close(line.there);
    }
    int64_t result = rc < 0 ? rc : bench_now() - start;
    weft_chan_free(line.there);
    weft_chan_free(line.back);
    return result;
}

static int64_t item_and_back(void *arg, int64_t n)
{
    return send_to(arg, n, 0);
}

static int64_t item_by_item(void *arg, int64_t n)
{
    return send_to(arg, n, 128);
}

static int cross(void *arg)
{
    weft_spawn_opts to_other = other, to_here = here;
    const struct bench_case items[] = {
        {.name = "WEFT_CHAN_MT, here, and back",
         .run = item_and_back,
         .arg = &to_here},
        {.name = "to the other worker and back",
         .run = item_and_back,
         .arg = &to_other},
        {.name = "through 128, here", .run = item_by_item, .arg = &to_here},
        {.name = "to the other worker, each",
         .run = item_by_item,
         .arg = &to_other},
    };
    const struct bench_case joins[] = {
        {.name = "spawn and join, here", .run = one_here},
        {.name = "on the other worker", .run = one_there},
        {.name = "1000 at once, here", .run = many_here},
        {.name = "on the other worker, each", .run = many_there},
    };
    const struct bench_case calls[] = {
        {.name = "post there and back", .run = post_and_back},
        {.name = "post, one after the other", .run = post_many},
    };
    (void)arg;
    posts.here = weft_worker_remote(1);
    posts.there = weft_worker_remote(2);
    weft_sem_init(&posts.back, 0, 0);
    bench_cases(joins, sizeof joins / sizeof *joins);
    bench_cases(calls, sizeof calls / sizeof *calls);
    bench_cases(items, sizeof items / sizeof *items);
    weft_remote_unref(posts.here);
    weft_remote_unref(posts.there);
    return 0;
}

/* ---- a computation that divides itself ---------------------------------- */

static unsigned work; /* rounds of a leaf */

struct node {
    int64_t number, size;
    uint64_t sum;
};

static uint64_t leaf(uint64_t x)
{
    for (unsigned i = 0; i < work; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

static int node(void *arg)
{
    static const weft_spawn_opts anywhere = {.worker = WEFT_ANY_WORKER};
    struct node *self = arg;
    if (self->size == 1) {
        self->sum = leaf((uint64_t)self->number);
        return 0;
    }
    struct node children[FAN];
    int rc;
    WEFT_NURSERY(below, rc) {
        for (int i = 0; i < FAN && rc == 0; i++) {
            int64_t size = self->size / FAN;
            children[i] = (struct node){self->number + i * size, size, 0};
            rc = weft_spawn_ex(&below, node, &children[i], &anywhere);
        }
    }
    self->sum = 0;
    for (int i = 0; i < FAN; i++)
        self->sum += children[i].sum;
    return rc;
}

static struct node found;
static int64_t took;

static int grow(void *arg)
{
    (void)arg;
    found = (struct node){0, LEAVES, 0};
    int64_t start = bench_now();
    int rc = node(&found);
    took = bench_now() - start;
    return rc;
}

static int64_t on_workers(void *arg, int64_t n)
{
    weft_run_opts o = {.workers = *(const int *)arg};
    (void)n;
    int rc = weft_run(grow, NULL, &o);
    return rc < 0 ? rc : took;
}

static void *half(void *arg)
{
    struct node *self = arg;
    for (int64_t i = 0; i < self->size; i++)
        self->sum += leaf((uint64_t)(self->number + i));
    return NULL;
}

/* A thread a core, and nothing to divide: as fast as it gets. */
static int64_t on_threads(void *arg, int64_t n)
{
    int count = *(const int *)arg;
    struct node part[2];
    pthread_t threads[2];
    (void)n;
    int64_t start = bench_now();
    for (int i = 0; i < count; i++) {
        part[i] = (struct node){(int64_t)i * (LEAVES / count), LEAVES / count, 0};
        if (pthread_create(&threads[i], NULL, half, &part[i]) != 0)
            return -EAGAIN;
    }
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    return bench_now() - start;
}

static void say_gain(const char *name, int64_t (*run)(void *, int64_t),
                     double at_least)
{
    enum { ROUNDS = 5 };
    int counts[] = {1, 2};
    double gains[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        int64_t one = run(&counts[0], 1), two = run(&counts[1], 1);
        if (one < 0 || two < 0) {
            bench_fail("%s: %s", name,
                       weft_strerror((int)(one < 0 ? one : two)));
            return;
        }
        gains[i] = (double)one / (double)two;
    }
    bench_figure(&(struct bench_figure){.name = name,
                                        .unit = "times as fast",
                                        .at_least = at_least},
                 gains, ROUNDS);
}

static void divide(unsigned rounds, const char *what)
{
    static int counts[] = {1, 2};
    char names[3][64];
    work = rounds;
    for (int i = 0; i < 2; i++)
        (void)snprintf(names[i], sizeof names[i], "%s, %d worker%s", what,
                       counts[i], i ? "s" : "");
    const struct bench_case cases[] = {
        {.name = names[0], .run = on_workers, .arg = &counts[0]},
        {.name = names[1], .run = on_workers, .arg = &counts[1]},
    };
    struct bench_case timed[2];
    for (int i = 0; i < 2; i++) {
        timed[i] = cases[i];
        timed[i].count = 1;
        timed[i].rounds = bench_quick() ? 3 : 7;
        timed[i].unit = "ms";
        timed[i].ns_per_unit = 1e6;
    }
    bench_cases(timed, 2);
    say_gain("two workers", on_workers, 1.9);
    if (rounds > 0) say_gain("two plain threads", on_threads, 0);
}

int main(int argc, char **argv)
{
    weft_run_opts two = {.workers = 2};
    bench_begin("workers", argc, argv);
    if (bench_core_count() < 2)
        bench_note("one core only: two workers share it");
    int rc = weft_run(cross, NULL, &two);
    if (rc < 0) bench_fail("weft_run: %s", weft_strerror(rc));
    divide(0, "1,000,000 leaves");
    divide(500, "and half a microsecond each");
    return bench_end();
}
