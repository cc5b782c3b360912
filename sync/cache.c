/* SPDX-License-Identifier: MIT */
/*
 * cache.c - values that are expensive to get, each got once.
 *
 * Two tables: entries by key, and values by their pointer. An entry is being
 * filled, or is kept in the order of use with a value or a failure. A value is
 * counted by those who hold it and by the entries that have it; it is dropped
 * when there are neither, and so outlives its entry where it has to.
 *
 * Rules that hold whenever a fiber is parked:
 *  - an entry that is being filled has a filler, and only there somebody waits;
 *  - of a key there is one entry in the table. One forgotten while it is being
 *    filled is in no table: those who wait get what comes of it, nobody else;
 *  - no more than `max` are kept.
 *
 * A filler that is cancelled hands on to the oldest waiter, which is the filler
 * from that moment. Waiters are given a value, counted for them, before they
 * run; so what happens to the entry meanwhile is nothing to them.
 *
 * `drop` is the user's, and may come back here with another value to put. So it
 * is called last, or what was looked at before is looked at again.
 */
#include <weft/cache.h>

#include <string.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "sync/inside.h"
#include "sync/keyed.h"

struct value {
    struct wf_link link; /* by the pointer */
    void *value;
    size_t holders, entries;
    size_t given; /* by how many fills */
};

enum { FILLING, HAS_VALUE, HAS_FAILED };
enum { YOUR_TURN = 1 }; /* what a waiter is woken with; else what get returns */

struct entry {
    struct wf_keyed keyed; /* kept: in the order of use */
    int state;
    int failure;
    weft_time until;     /* it is good before that */
    struct value *value; /* filling: one to be used, empty */
    weft_fiber *filler;
    const weft_scope *since; /* the filler's, when it began */
    weft_waitq_ waiters;     /* with item_, where the value is to go */
    bool forgotten;
    _Alignas(16) char key[];
};

_Static_assert(offsetof(struct entry, key) == sizeof(struct entry),
               "no entry is smaller than its type");

struct weft_cache {
    weft_cache_opts opts;
    struct wf_keyed_set entries;
    struct wf_table values;
    size_t filling;
    size_t users; /* the owner, and each held value */
    weft_cache_stats stats;
};

/* ---- values ------------------------------------------------------------- */

static uint64_t hash_of(const void *pointer)
{
    uint64_t x = (uintptr_t)pointer * 0x9e3779b97f4a7c15u;
    return x ^ x >> 32;
}

static struct value *find_value(const weft_cache *c, const void *pointer)
{
    struct wf_link *l = wf_table_chain(&c->values, hash_of(pointer));
    while (l && ((struct value *)(void *)l)->value != pointer)
        l = l->next;
    return (struct value *)(void *)l;
}

/* The entry's, from now on counted as one that was given once more. */
static struct value *given(weft_cache *c, struct entry *e, void *pointer)
{
    struct value *v = find_value(c, pointer), *empty = e->value;
    e->value = NULL;
    if (v) {
        wf_free(empty, sizeof *empty);
    } else {
        v = empty;
        *v = (struct value){.link.hash = hash_of(pointer), .value = pointer};
        wf_table_add(&c->values, &v->link);
    }
    v->given++;
    return v;
}

static void hold(weft_cache *c, struct value *v, void **ret_value)
{
    v->holders++;
    c->users++;
    *ret_value = v->value;
}

static void drop_if_unused(weft_cache *c, struct value *v)
{
    if (v->holders || v->entries) return;
    void *pointer = v->value;
    size_t times = v->given;
    wf_table_remove(&c->values, &v->link);
    wf_free(v, sizeof *v);
    while (c->opts.drop && times-- > 0)
        c->opts.drop(pointer);
}

/* ---- entries ------------------------------------------------------------ */

static size_t bytes_of(const struct entry *e)
{
    return sizeof *e + e->keyed.len;
}

static struct entry *entry_new(const void *key, size_t len)
{
    struct entry *e = wf_alloc(sizeof *e + len);
    if (!e) return NULL;
    *e = (struct entry){.keyed = {.key = e->key, .len = len}, .state = FILLING};
    e->value = wf_alloc(sizeof *e->value);
    if (!e->value) {
        wf_free(e, bytes_of(e));
        return NULL;
    }
    if (len) memcpy(e->key, key, len);
    return e;
}

static void entry_free(struct entry *e)
{
    wf_free(e, bytes_of(e));
}

static struct entry *find(const weft_cache *c, uint64_t hash, const void *key,
                          size_t len)
{
    return (struct entry *)(void *)wf_keyed_find(&c->entries, hash, key, len);
}

static struct entry *oldest(const weft_cache *c)
{
    return (struct entry *)(void *)c->entries.oldest;
}

static bool is_over(const struct entry *e)
{
    return e->state != FILLING && e->until <= wf_now;
}

/* Ends one that is kept. Drops, perhaps. */
static void discard(weft_cache *c, struct entry *e)
{
    struct value *v = e->state == HAS_VALUE ? e->value : NULL;
    wf_keyed_unlink(&c->entries, &e->keyed);
    wf_table_remove(&c->entries.table, &e->keyed.link);
    c->stats.entries--;
    entry_free(e);
    if (!v) return;
    v->entries--;
    drop_if_unused(c, v);
}

/* One more is kept, and so others may not be: who is over the bound, and of
 * those that nobody asks for any more, so many that they cannot pile up. */
static void keep(weft_cache *c, struct entry *e, int state, weft_time ttl)
{
    e->state = state;
    e->until = ttl ? wf_time_add(wf_now, ttl) : WEFT_FOREVER;
    wf_keyed_push(&c->entries, &e->keyed);
    c->stats.entries++;
    while (c->opts.max && c->stats.entries > c->opts.max) {
        c->stats.evictions++;
        discard(c, oldest(c));
    }
    for (int i = 0; i < 2 && oldest(c) && is_over(oldest(c)); i++)
        discard(c, oldest(c));
}

/* ---- filling ------------------------------------------------------------ */

static const weft_fiber *filler_of(const void *object)
{
    return ((const struct entry *)object)->filler;
}

static const struct wf_wait_kind to_be_filled = {
    .name = "cache entry",
    .holder = filler_of,
    .abort = wf_leave_line,
    .line = offsetof(struct entry, waiters)};

static void begin_fill(struct entry *e, weft_fiber *f)
{
    e->filler = f;
    e->since = wf_child_of(f)->scope;
}

static int filled(weft_cache *c, struct entry *e, void *pointer,
                  void **ret_value)
{
    struct value *v = given(c, e, pointer);
    struct weft_waiter_ *w;
    hold(c, v, ret_value);
    while ((w = wf_waitq_pop(&e->waiters)) != NULL) {
        hold(c, v, w->item_);
        wf_wake(w->fiber_, 0);
    }
    if (e->forgotten) {
        entry_free(e);
    } else {
        e->value = v;
        v->entries++;
        keep(c, e, HAS_VALUE, c->opts.ttl);
    }
    return 0;
}

static int failed(weft_cache *c, struct entry *e, int code)
{
    wf_grant_all(&e->waiters, code);
    wf_free(e->value, sizeof *e->value);
    if (e->forgotten) {
        entry_free(e);
    } else if (code == -ECANCELED || c->opts.negative_ttl <= 0) {
        wf_table_remove(&c->entries.table, &e->keyed.link);
        entry_free(e);
    } else {
        e->failure = code;
        keep(c, e, HAS_FAILED, c->opts.negative_ttl);
    }
    return code;
}

/* False: nobody waits. */
static bool hand_on(struct entry *e)
{
    struct weft_waiter_ *w = wf_waitq_pop(&e->waiters);
    if (!w) return false;
    begin_fill(e, w->fiber_);
    wf_wake(w->fiber_, YOUR_TURN);
    return true;
}

/* By the filler. */
static int fill(weft_cache *c, struct entry *e, void **ret_value)
{
    void *pointer = NULL;
    int rc = c->opts.fill(e->key, e->keyed.len, &pointer, c->opts.user);
    WF_ASSERT(e->state == FILLING && e->filler == wf_self());
    if (rc == -ECANCELED && hand_on(e)) return rc;
    rc = rc < 0 ? failed(c, e, rc) : filled(c, e, pointer, ret_value);
    c->filling--;
    return rc;
}

static int wait_for_filler(weft_cache *c, struct entry *e, void **ret_value)
{
    weft_fiber *f = wf_self();
    if (wf_is_inside(f, e->filler, e->since))
        return wf_misuse(-EDEADLK, "weft_cache_get: the fill of this key asks "
                                   "for it");
    c->stats.waits++;
    f->waiter.item_ = ret_value;
    int rc = wf_waitq_park(&e->waiters, &to_be_filled, e);
    return rc == YOUR_TURN ? fill(c, e, ret_value) : rc;
}

static int miss(weft_cache *c, uint64_t hash, const void *key, size_t len,
                void **ret_value)
{
    c->stats.misses++;
    struct entry *e = entry_new(key, len);
    if (!e) return weft_fail(-ENOMEM, "weft_cache_get: no memory for an entry");
    e->keyed.link.hash = hash;
    wf_table_add(&c->entries.table, &e->keyed.link);
    c->filling++;
    begin_fill(e, wf_self());
    return fill(c, e, ret_value);
}

/* ---- the public calls --------------------------------------------------- */

static void one_user_less(weft_cache *c)
{
    if (--c->users > 0) return;
    wf_keyed_fini(&c->entries);
    wf_table_fini(&c->values);
    wf_free(c, sizeof *c);
}

weft_cache *weft_cache_new(const weft_cache_opts *o)
{
    weft_cache *c = o->fill ? wf_zalloc(sizeof *c) : NULL;
    if (!c) return NULL;
    c->opts = *o;
    c->users = 1;
    if (wf_keyed_init(&c->entries) < 0) goto free_cache;
    if (wf_table_init(&c->values) < 0) goto fini_entries;
    return c;

fini_entries:
    wf_keyed_fini(&c->entries);
free_cache:
    wf_free(c, sizeof *c);
    return NULL;
}

void weft_cache_free(weft_cache *c)
{
    if (!c) return;
    if (c->filling > 0)
        wf_fatal("weft_cache_free: %zu key%s still being filled, and perhaps "
                 "waited for",
                 c->filling, c->filling == 1 ? " is" : "s are");
    while (oldest(c))
        discard(c, oldest(c));
    one_user_less(c);
}

int weft_cache_get(weft_cache *c, const void *key, size_t len, void **ret_value)
{
    int err = weft_pass_();
    if (err < 0) return err;
    uint64_t hash = wf_keyed_hash(&c->entries, key, len);
    struct entry *e;
    while ((e = find(c, hash, key, len)) != NULL && is_over(e))
        discard(c, e);
    if (!e) return miss(c, hash, key, len, ret_value);
    if (e->state == FILLING) return wait_for_filler(c, e, ret_value);
    c->stats.hits++;
    wf_keyed_unlink(&c->entries, &e->keyed);
    wf_keyed_push(&c->entries, &e->keyed);
    if (e->state == HAS_FAILED) return e->failure;
    hold(c, e->value, ret_value);
    return 0;
}

void weft_cache_put(weft_cache *c, void *value)
{
    struct value *v = find_value(c, value);
    if (!v || v->holders == 0) {
        (void)wf_misuse(-EINVAL, "weft_cache_put: nobody has this value");
        return;
    }
    v->holders--;
    drop_if_unused(c, v);
    one_user_less(c);
}

bool weft_cache_forget(weft_cache *c, const void *key, size_t len)
{
    struct entry *e = find(c, wf_keyed_hash(&c->entries, key, len), key, len);
    if (!e) return false;
    if (e->state == FILLING) {
        wf_table_remove(&c->entries.table, &e->keyed.link);
        e->forgotten = true;
        return true;
    }
    bool good = !is_over(e);
    discard(c, e);
    return good;
}

void weft_cache_stats_read(const weft_cache *c, weft_cache_stats *ret)
{
    *ret = c->stats;
}
