/* SPDX-License-Identifier: MIT */
/*
 * model_cache.c - entries in the order of use, values that are counted, and for
 * an entry that is being filled who does it and who waits.
 */
#include <weft/cache.h>

#include <string.h>

#include "stress/stress.h"

enum { KEYS = 4, ENTRIES = 40, VALUES = 200, HOLDS = 100 };
enum { FREE, FILLING, HAS_VALUE, HAS_FAILED };

struct entry {
    int state, key, filler, value, failure;
    bool forgotten; /* while it is being filled */
    weft_time until;
    uint64_t used;
    struct line line;
};

/* A value is known by its address here. */
struct value {
    int given, holders, entries; /* given by so many fills */
    int dropped;
};

static struct {
    weft_cache *cache;
    weft_time ttl, negative_ttl;
    int max;
    struct entry entries[ENTRIES];
    struct value values[VALUES];
    int holds[HOLDS], held; /* the values that somebody has */
    weft_cache_stats stats;
    uint64_t uses;
} c;

static int gets[ACTORS]; /* the value that it should get */

/* ---- values ------------------------------------------------------------- */

static void drop(void *value)
{
    ((struct value *)value)->dropped++;
}

static void holds(int v)
{
    if (c.held == HOLDS) differs("the model holds too many values");
    c.values[v].holders++;
    c.holds[c.held++] = v;
}

static bool is_used(int v)
{
    return c.values[v].holders > 0 || c.values[v].entries > 0;
}

/* All drops are compared at once, and the places can be used again. */
static void compare_values(void)
{
    for (int v = 0; v < VALUES; v++) {
        struct value *it = &c.values[v];
        if (is_used(v)) {
            same("drops of value in use", v, it->dropped, 0);
            continue;
        }
        same("drops of value", v, it->dropped, it->given);
        it->dropped = it->given = 0;
    }
}

/* A new one, or now and then one that is in use. */
static int some_value(void)
{
    bool old = one_in(5);
    int v = below(VALUES);
    while (is_used(v) != old || (!old && c.values[v].given > 0)) {
        v = (v + 1) % VALUES;
        if (one_in(VALUES)) old = false;
    }
    return v;
}

/* ---- entries ------------------------------------------------------------ */

static struct entry *find(int key)
{
    for (int i = 0; i < ENTRIES; i++) {
        struct entry *e = &c.entries[i];
        if (e->state != FREE && !e->forgotten && e->key == key) return e;
    }
    return NULL;
}

static struct entry *filled_by(const struct actor *a)
{
    for (int i = 0; i < ENTRIES; i++)
        if (c.entries[i].state == FILLING && c.entries[i].filler == a->number)
            return &c.entries[i];
    differs("actor %d fills, and should not", a->number);
}

static struct entry *new_entry(int key, int filler)
{
    int i = 0;
    while (c.entries[i].state != FREE)
        i++;
    c.entries[i] = (struct entry){FILLING, .key = key, .filler = filler};
    return &c.entries[i];
}

static bool is_over(const struct entry *e)
{
    return e->state != FILLING && e->until <= weft_now();
}

static void discard(struct entry *e)
{
    if (e->state == HAS_VALUE) c.values[e->value].entries--;
    e->state = FREE;
    c.stats.entries--;
}

static struct entry *oldest(void)
{
    struct entry *found = NULL;
    for (int i = 0; i < ENTRIES; i++) {
        struct entry *e = &c.entries[i];
        if (e->state != HAS_VALUE && e->state != HAS_FAILED) continue;
        if (!found || e->used < found->used) found = e;
    }
    return found;
}

/* It is kept from now on; others are not, for it, and up to two that are over
 * and that nobody has asked for. */
static void keep(struct entry *e, int state, weft_time ttl)
{
    e->state = state;
    e->until = ttl ? weft_now() + ttl : WEFT_FOREVER;
    e->used = ++c.uses;
    c.stats.entries++;
    while (c.max && c.stats.entries > (size_t)c.max) {
        c.stats.evictions++;
        discard(oldest());
    }
    for (int i = 0; i < 2; i++) {
        struct entry *old = oldest();
        if (old && is_over(old)) discard(old);
    }
}

/* ---- filling ------------------------------------------------------------ */

static void is_filled(struct entry *e, int v)
{
    c.values[v].given++;
    gets[e->filler] = v;
    holds(v);
    while (e->line.length > 0) {
        int who = line_first(&e->line).who;
        gets[who] = v;
        holds(v);
        grants(&actors[who], 0);
    }
    e->value = v;
    if (e->forgotten) {
        e->state = FREE;
    } else {
        c.values[v].entries++;
        keep(e, HAS_VALUE, c.ttl);
    }
}

static void has_failed(struct entry *e, int failure)
{
    happens_to_all(&e->line, failure);
    e->failure = failure;
    if (e->forgotten || c.negative_ttl <= 0)
        e->state = FREE;
    else
        keep(e, HAS_FAILED, c.negative_ttl);
}

static void is_handed_on(struct entry *e)
{
    if (e->line.length == 0) {
        e->state = FREE;
        return;
    }
    e->filler = line_first(&e->line).who;
    grants(&actors[e->filler], GOES_ON);
}

static int fill(const void *key, size_t len, void **ret_value, void *user)
{
    struct actor *a = self();
    let_model_catch_up();
    struct entry *e = filled_by(a);
    same("length of key", e->key, (long long)len, sizeof e->key);
    same("key", e->key, *(const int *)key, e->key);
    (void)user;
    int rc = work(a);
    if (rc == 0 && one_in(4)) rc = one_in(3) ? -ECANCELED : -EIO;
    step(a, "has filled key %d: %d", e->key, rc);
    if (rc == -ECANCELED) {
        is_handed_on(e);
    } else if (rc < 0) {
        has_failed(e, rc);
    } else {
        int v = some_value();
        *ret_value = &c.values[v];
        is_filled(e, v);
    }
    a->expected = rc;
    return rc;
}

/* ---- calls -------------------------------------------------------------- */

static void hits(struct actor *a, struct entry *e)
{
    c.stats.hits++;
    e->used = ++c.uses;
    a->expected = e->state == HAS_FAILED ? e->failure : 0;
    if (e->state == HAS_FAILED) return;
    gets[a->number] = e->value;
    holds(e->value);
}

static void act(struct actor *a)
{
    int key = below(KEYS);
    void *value = NULL;
    step(a, "gets key %d of the cache", key);
    if (!is_refused(a)) {
        struct entry *e = find(key);
        if (e && is_over(e)) {
            discard(e);
            e = NULL;
        }
        if (!e) {
            c.stats.misses++;
            (void)new_entry(key, a->number);
        } else if (e->state != FILLING) {
            hits(a, e);
        } else {
            c.stats.waits++;
            waits(a, &caches, key);
            line_append(&e->line, (struct place){a->number, PLAIN, 0});
        }
    }
    int rc = returned(a, weft_cache_get(c.cache, &key, sizeof key, &value));
    const void *want = rc < 0 ? NULL : &c.values[gets[a->number]];
    if (value != want) differs("key %d has another value", key);
}

static void puts_back(int i)
{
    int v = c.holds[i];
    c.holds[i] = c.holds[--c.held];
    c.values[v].holders--;
    weft_cache_put(c.cache, &c.values[v]);
}

static void forgets(int key)
{
    struct entry *e = find(key);
    bool good = e && !is_over(e);
    if (e && e->state == FILLING)
        e->forgotten = true;
    else if (e)
        discard(e);
    same("forget of key", key, weft_cache_forget(c.cache, &key, sizeof key),
         good);
}

static void poke(struct actor *a)
{
    int key = below(KEYS);
    if (one_in(4)) {
        step(a, "forgets key %d", key);
        forgets(key);
    } else if (c.held > 0) {
        step(a, "puts a value back");
        puts_back(below(c.held));
    }
}

static bool leave(struct actor *a)
{
    for (int i = 0; i < ENTRIES; i++)
        if (c.entries[i].state == FILLING)
            (void)line_leave(&c.entries[i].line, a->number);
    return true;
}

static void quiet(void)
{
    while (c.held > HOLDS / 4)
        puts_back(below(c.held));
}

static void compare(void)
{
    weft_cache_stats is;
    weft_cache_stats_read(c.cache, &is);
    same("hits of cache", 0, (long long)is.hits, (long long)c.stats.hits);
    same("misses of cache", 0, (long long)is.misses, (long long)c.stats.misses);
    same("waits of cache", 0, (long long)is.waits, (long long)c.stats.waits);
    same("evictions of cache", 0, (long long)is.evictions,
         (long long)c.stats.evictions);
    same("entries of cache", 0, (long long)is.entries,
         (long long)c.stats.entries);
    compare_values();
}

static void open(void)
{
    memset(&c, 0, sizeof c);
    c.ttl = one_in(4) ? 0 : WEFT_MSEC(below(30) - 2);
    c.negative_ttl = one_in(2) ? 0 : WEFT_MSEC(below(10));
    c.max = one_in(3) ? 0 : 1 + below(3);
    weft_cache_opts o = {.fill = fill,
                         .drop = drop,
                         .ttl = c.ttl,
                         .negative_ttl = c.negative_ttl,
                         .max = (size_t)c.max};
    c.cache = weft_cache_new(&o);
    if (!c.cache) differs("no memory for a cache");
}

/* Some values outlive it. */
static void close(void)
{
    for (int key = 0; key < KEYS; key++)
        if (find(key)) discard(find(key));
    weft_cache_free(c.cache);
    compare_values();
    while (c.held > 0)
        puts_back(below(c.held));
    compare_values();
}

const struct kind caches = {.name = "cache",
                            .open = open,
                            .act = act,
                            .poke = poke,
                            .leave = leave,
                            .quiet = quiet,
                            .compare = compare,
                            .close = close};
