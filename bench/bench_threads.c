/* SPDX-License-Identifier: MIT */
/*
 * bench_threads - two fibers beside two threads that do the same.
 *
 * The threads use what one writes with POSIX: a mutex and condition variables
 * around rings. They may use two cores, and then only one; fibers share one.
 * Time is that on the wall for all, and ratios are those of neighbouring rounds.
 */
#include <weft.h>

#include <pthread.h>
#include <stdlib.h>

#include "harness.h"

enum { MOST = 16 };

/* ---- with threads: rings behind one mutex ------------------------------- */

struct ring {
    int64_t *items;
    size_t first, count;
};

/* Several, so that one can wait for any of them. */
struct rings {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    struct ring ring[MOST];
    size_t count, places, next;
};

static int rings_make(struct rings *r, size_t count, size_t places)
{
    *r = (struct rings){.lock = PTHREAD_MUTEX_INITIALIZER,
                        .filled = PTHREAD_COND_INITIALIZER,
                        .emptied = PTHREAD_COND_INITIALIZER,
                        .count = count,
                        .places = places};
    for (size_t i = 0; i < count; i++) {
        r->ring[i].items = calloc(places, sizeof(int64_t));
        if (!r->ring[i].items) return -ENOMEM;
    }
    return 0;
}

static void rings_free(struct rings *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->ring[i].items);
}

static void rings_put(struct rings *r, size_t i, int64_t item)
{
    struct ring *to = &r->ring[i];
    pthread_mutex_lock(&r->lock);
    while (to->count == r->places)
        pthread_cond_wait(&r->emptied, &r->lock);
    to->items[(to->first + to->count++) % r->places] = item;
    pthread_cond_signal(&r->filled);
    pthread_mutex_unlock(&r->lock);
}

static struct ring *some_filled(struct rings *r)
{
    for (size_t k = 0; k < r->count; k++) {
        struct ring *from = &r->ring[(r->next + k) % r->count];
        if (from->count > 0) return from;
    }
    return NULL;
}

static int64_t rings_take(struct rings *r)
{
    struct ring *from;
    pthread_mutex_lock(&r->lock);
    while (!(from = some_filled(r)))
        pthread_cond_wait(&r->filled, &r->lock);
    r->next = (r->next + 1) % r->count;
    int64_t item = from->items[from->first];
    from->first = (from->first + 1) % r->places;
    from->count--;
    pthread_cond_signal(&r->emptied);
    pthread_mutex_unlock(&r->lock);
    return item;
}

/* ---- the pairs ---------------------------------------------------------- */

/* What both sides work on: as many channels as rings, of as many places. */
struct shared {
    size_t count, places;
    int64_t items;
    weft_chan *chan[MOST], *back;
    weft_sem sem[2];
    struct rings rings, answers;
};

static bool adds_up(int64_t sum, int64_t items)
{
    return sum == items * (items - 1) / 2;
}

static int make_channels(struct shared *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->chan[i] = weft_chan_new(sizeof(int64_t), s->places, NULL, 0);
        if (!s->chan[i]) return -ENOMEM;
    }
    s->back = weft_chan_new(sizeof(int64_t), s->places, NULL, 0);
    return s->back ? 0 : -ENOMEM;
}

static void free_channels(struct shared *s)
{
    for (size_t i = 0; i < s->count; i++)
        weft_chan_free(s->chan[i]);
    weft_chan_free(s->back);
}

/* The time that `mine` takes while `theirs` runs in another fiber. */
static int64_t beside_fiber(weft_fn mine, weft_fn theirs, struct shared *s)
{
    int rc;
    int64_t start = 0, took = 0;
    WEFT_NURSERY(other, rc) {
        rc = weft_spawn(&other, theirs, s);
        if (rc < 0) break;
        start = bench_now();
        rc = mine(s);
        took = bench_now() - start;
    }
    return rc < 0 ? rc : took;
}

static bool one_core; /* for both threads */

static int64_t beside_thread(weft_fn mine, void *(*theirs)(void *),
                             struct shared *s)
{
    pthread_t other;
    if (one_core) bench_pin(bench_core(1));
    int err = pthread_create(&other, NULL, theirs, s);
    int64_t start = bench_now();
    int rc = err ? -err : mine(s);
    int64_t took = bench_now() - start;
    if (!err) pthread_join(other, NULL);
    bench_unpin();
    return rc < 0 ? rc : took;
}

/* ---- items one way, over one or several --------------------------------- */

static int sends(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0; i < s->items; i++) {
        int rc = weft_chan_send(s->chan[(size_t)i % s->count], &i);
        if (rc < 0) return rc;
    }
    return 0;
}

static int receives(void *arg)
{
    struct shared *s = arg;
    int64_t item, sum = 0;
    for (int64_t i = 0; i < s->items; i++) {
        int rc = weft_chan_recv(s->chan[0], &item);
        if (rc < 0) return rc;
        sum += item;
    }
    return adds_up(sum, s->items) ? 0 : -EPROTO;
}

static int selects(void *arg)
{
    struct shared *s = arg;
    weft_case c[MOST];
    int64_t item = 0, sum = 0;
    for (size_t i = 0; i < s->count; i++)
        c[i] = (weft_case)WEFT_CASE_RECV(s->chan[i], &item);
    for (int64_t i = 0; i < s->items; i++) {
        int at = weft_select(c, s->count, 0);
        if (at < 0) return at;
        sum += item;
    }
    return adds_up(sum, s->items) ? 0 : -EPROTO;
}

static void *puts_in_rings(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0; i < s->items; i++)
        rings_put(&s->rings, (size_t)i % s->count, i);
    return NULL;
}

static int takes_from_rings(void *arg)
{
    struct shared *s = arg;
    int64_t sum = 0;
    for (int64_t i = 0; i < s->items; i++)
        sum += rings_take(&s->rings);
    return adds_up(sum, s->items) ? 0 : -EPROTO;
}

static int64_t items_by_fibers(void *arg, int64_t n)
{
    struct shared *s = arg;
    s->items = n;
    int64_t took = make_channels(s);
    if (took == 0)
        took = beside_fiber(s->count == 1 ? receives : selects, sends, s);
    free_channels(s);
    return took;
}

static int64_t items_by_threads(void *arg, int64_t n)
{
    struct shared *s = arg;
    s->items = n;
    int64_t took = rings_make(&s->rings, s->count, s->places);
    if (took == 0) took = beside_thread(takes_from_rings, puts_in_rings, s);
    rings_free(&s->rings);
    return took;
}

/* ---- there and back ----------------------------------------------------- */

static int answers(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0, item; i < s->items; i++) {
        int rc = weft_chan_recv(s->chan[0], &item);
        if (rc == 1) rc = weft_chan_send(s->back, &item);
        if (rc < 0) return rc;
    }
    return 0;
}

static int asks(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0, item = 0; i < s->items; i++) {
        int rc = weft_chan_send(s->chan[0], &i);
        if (rc == 0) rc = weft_chan_recv(s->back, &item);
        if (rc < 0) return rc;
        if (item != i) return -EPROTO;
    }
    return 0;
}

static void *answers_by_ring(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0; i < s->items; i++)
        rings_put(&s->answers, 0, rings_take(&s->rings));
    return NULL;
}

static int asks_by_ring(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0; i < s->items; i++) {
        rings_put(&s->rings, 0, i);
        if (rings_take(&s->answers) != i) return -EPROTO;
    }
    return 0;
}

static int64_t trips_by_fibers(void *arg, int64_t n)
{
    struct shared *s = arg;
    s->items = n;
    int64_t took = make_channels(s);
    if (took == 0) took = beside_fiber(asks, answers, s);
    free_channels(s);
    return took;
}

static int64_t two_rings(struct shared *s)
{
    int64_t err = rings_make(&s->rings, 1, 1);
    return err == 0 ? rings_make(&s->answers, 1, 1) : err;
}

static void free_two_rings(struct shared *s)
{
    rings_free(&s->rings);
    rings_free(&s->answers);
}

static int64_t trips_by_threads(void *arg, int64_t n)
{
    struct shared *s = arg;
    s->items = n;
    int64_t took = two_rings(s);
    if (took == 0) took = beside_thread(asks_by_ring, answers_by_ring, s);
    free_two_rings(s);
    return took;
}

/* ---- a permit, to and fro ----------------------------------------------- */

static int passes_on(struct shared *s, int mine)
{
    for (int64_t i = 0; i < s->items; i++) {
        int rc = weft_sem_acquire(&s->sem[mine], 1);
        if (rc == 0) rc = weft_sem_release(&s->sem[1 - mine], 1);
        if (rc < 0) return rc;
    }
    return 0;
}

static int passes_there(void *arg)
{
    return passes_on(arg, 0);
}

static int passes_back(void *arg)
{
    return passes_on(arg, 1);
}

/* A semaphore of a mutex and a condition is a ring whose items say nothing. */
static int passes_there_by_ring(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0; i < s->items; i++)
        rings_put(&s->answers, 0, rings_take(&s->rings));
    return 0;
}

static void *passes_back_by_ring(void *arg)
{
    struct shared *s = arg;
    for (int64_t i = 0; i < s->items; i++)
        rings_put(&s->rings, 0, rings_take(&s->answers));
    return NULL;
}

static int64_t permits_by_fibers(void *arg, int64_t n)
{
    struct shared *s = arg;
    s->items = n;
    weft_sem_init(&s->sem[0], 1, 1);
    weft_sem_init(&s->sem[1], 0, 1);
    return beside_fiber(passes_there, passes_back, s);
}

static int64_t permits_by_threads(void *arg, int64_t n)
{
    struct shared *s = arg;
    s->items = n;
    int64_t took = two_rings(s);
    if (took == 0) {
        rings_put(&s->rings, 0, 0);
        took = beside_thread(passes_there_by_ring, passes_back_by_ring, s);
    }
    free_two_rings(s);
    return took;
}

/* ---- a mutex that nobody else wants ------------------------------------- */

static int64_t lock_by_fiber(void *arg, int64_t n)
{
    static weft_mutex m = WEFT_MUTEX_INIT;
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        int rc = weft_mutex_lock(&m);
        if (rc == 0) rc = weft_mutex_unlock(&m);
        if (rc < 0) return rc;
    }
    return bench_now() - start;
}

static int64_t lock_by_thread(void *arg, int64_t n)
{
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        int rc = pthread_mutex_lock(&m);
        if (rc == 0) rc = pthread_mutex_unlock(&m);
        if (rc != 0) return -rc;
    }
    return bench_now() - start;
}

/* ---- all of it ---------------------------------------------------------- */

struct row {
    const char *name;
    int64_t (*fibers)(void *, int64_t), (*threads)(void *, int64_t);
    struct shared shared;
};

static int64_t fibers(void *arg, int64_t n)
{
    const struct row *row = arg;
    struct shared s = row->shared;
    return row->fibers(&s, n);
}

static int64_t threads(void *arg, int64_t n)
{
    const struct row *row = arg;
    struct shared s = row->shared;
    one_core = false;
    return row->threads(&s, n);
}

static int64_t threads_on_one_core(void *arg, int64_t n)
{
    const struct row *row = arg;
    struct shared s = row->shared;
    one_core = true;
    return row->threads(&s, n);
}

static int measure(void *arg)
{
    static struct row rows[] = {
        {"mutex alone", lock_by_fiber, lock_by_thread, {.count = 0}},
        {"permit to and fro",
         permits_by_fibers,
         permits_by_threads,
         {.count = 1}},
        {"round trip", trips_by_fibers, trips_by_threads, {.count = 1}},
        {"item, 128 places",
         items_by_fibers,
         items_by_threads,
         {.count = 1, .places = 128}},
        {"item, next of 2",
         items_by_fibers,
         items_by_threads,
         {.count = 2, .places = 64}},
        {"item, next of 16",
         items_by_fibers,
         items_by_threads,
         {.count = 16, .places = 8}},
    };
    (void)arg;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct bench_case cases[] = {
            {.name = "fibers", .run = fibers, .arg = &rows[i]},
            {.name = "threads", .run = threads, .arg = &rows[i]},
            {.name = "on one core",
             .run = threads_on_one_core,
             .arg = &rows[i]},
        };
        bench_beside(rows[i].name, cases, rows[i].shared.count ? 3 : 2);
    }
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("two fibers, two threads", argc, argv);
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
