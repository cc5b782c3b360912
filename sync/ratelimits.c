/* SPDX-License-Identifier: MIT */
/*
 * ratelimits.c - a rate limit for each client, by its name.
 *
 * A table of limits by key, which are also kept in the order in which they were
 * counted last. Whatever was counted is over a window (and one part of it)
 * later, so it is enough to look for limits that are whole again at the old end
 * of that order: one there that is not whole keeps others waiting, but not for
 * longer than that. And when none is forgotten there though all places are in
 * use, the one there says when a place may be free.
 *
 * Rules that hold whenever a fiber is parked here:
 *  - what stands in the table has had something counted for it;
 *  - one that is waited for, which `waiting` says, is not forgotten. The line
 *    of the limit would not do: a turn may pass before one stands in it.
 *
 * A store may park for long. Nothing is held across it but the count of those
 * inside.
 */
#include <weft/ratelimits.h>

#include <string.h>

#include <weft/time.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "runtime/park.h"
#include "sync/keyed.h"
#include "sync/ratelimit.h"

enum { USUAL_KEYS = 65536 };

struct entry {
    struct wf_keyed keyed; /* in the order in which they were counted */
    weft_ratelimit limit;
    size_t waiting;
    char key[];
};

struct weft_ratelimits {
    weft_ratelimits_opts opts;
    weft_ratelimit whole; /* what a new key begins with */
    struct wf_keyed_set entries;
    size_t inside; /* calls that have not returned */
    weft_ratelimits_stats stats;
};

/* ---- entries ------------------------------------------------------------ */

static struct entry *find(const weft_ratelimits *s, uint64_t hash,
                          const void *key, size_t len)
{
    return (struct entry *)(void *)wf_keyed_find(&s->entries, hash, key, len);
}

static struct entry *oldest(const weft_ratelimits *s)
{
    return (struct entry *)(void *)s->entries.oldest;
}

static void forget(weft_ratelimits *s, struct entry *e)
{
    wf_keyed_unlink(&s->entries, &e->keyed);
    wf_table_remove(&s->entries.table, &e->keyed.link);
    wf_free(e, sizeof *e + e->keyed.len);
}

/* Two for each that may come, so that they cannot pile up. */
static void forget_whole(weft_ratelimits *s)
{
    struct entry *e;
    for (int i = 0; i < 2 && (e = oldest(s)) != NULL; i++) {
        if (e->waiting || !wf_ratelimit_is_whole(&e->limit, weft_now())) return;
        forget(s, e);
    }
}

/* Keeps what was counted for a key that has no place yet. */
static int keep(weft_ratelimits *s, uint64_t hash, const void *key, size_t len,
                const weft_ratelimit *limit)
{
    if (s->entries.table.count >= s->opts.max_keys) return -ENOBUFS;
    struct entry *e = wf_alloc(sizeof *e + len);
    if (!e) return -ENOMEM;
    *e = (struct entry){.keyed = {.key = e->key, .len = len}, .limit = *limit};
    e->keyed.link.hash = hash;
    if (len) memcpy(e->key, key, len);
    wf_table_add(&s->entries.table, &e->keyed.link);
    wf_keyed_push(&s->entries, &e->keyed);
    return 0;
}

static void counted(weft_ratelimits *s, struct entry *e)
{
    wf_keyed_unlink(&s->entries, &e->keyed);
    wf_keyed_push(&s->entries, &e->keyed);
}

/* ---- deciding ----------------------------------------------------------- */

struct question {
    const void *key;
    size_t len;
    uint32_t cost;
};

static void refuse(const weft_ratelimits *s, weft_time retry_after,
                   weft_ratelimit_info *ret)
{
    if (!ret) return;
    *ret = (weft_ratelimit_info){.limit = s->opts.limit,
                                 .reset_at = weft_now(),
                                 .retry_after = retry_after};
}

/* How long until the place may be free that is the first to be. */
static weft_time until_a_place(const weft_ratelimits *s)
{
    weft_ratelimit_info info;
    (void)weft_ratelimit_check(&oldest(s)->limit, 0, &info);
    weft_time now = weft_now();
    return info.reset_at > now ? info.reset_at - now : 1;
}

/* Never parks. */
static int decide_here(weft_ratelimits *s, const struct question *q,
                       weft_ratelimit_info *ret)
{
    uint64_t hash = wf_keyed_hash(&s->entries, q->key, q->len);
    forget_whole(s);
    struct entry *e = find(s, hash, q->key, q->len);
    weft_ratelimit whole = s->whole;
    int rc = weft_ratelimit_check(e ? &e->limit : &whole, q->cost, ret);
    if (rc < 0 || q->cost == 0) return rc;
    if (e) {
        counted(s, e);
        return 0;
    }
    rc = keep(s, hash, q->key, q->len, &whole);
    if (rc < 0) refuse(s, rc == -ENOBUFS ? until_a_place(s) : 1, ret);
    return rc;
}

static int decide_without_store(weft_ratelimits *s, const struct question *q,
                                weft_ratelimit_info *ret)
{
    weft_ratelimit whole = s->whole;
    int rc = -EAGAIN;
    switch (s->opts.on_store_error) {
    case WEFT_RATE_LOCAL:
        rc = decide_here(s, q, ret);
        break;
    case WEFT_RATE_ALLOW:
        rc = weft_ratelimit_check(&whole, q->cost, ret);
        break;
    case WEFT_RATE_DENY:
        refuse(s, whole.window_, ret);
        break;
    }
    ret->degraded = true;
    return rc;
}

/* Of a store that does not say: what a bucket takes for one. */
static weft_time guess(const weft_ratelimits *s)
{
    weft_time one = s->whole.window_ / s->opts.limit;
    return one > 0 ? one : 1;
}

static int ask_store(weft_ratelimits *s, const struct question *q,
                     weft_ratelimit_info *ret)
{
    WF_ASSERT(ret);
    if (s->opts.limit == 0 || q->cost > s->opts.limit) {
        refuse(s, WEFT_FOREVER, ret);
        return -EINVAL;
    }
    refuse(s, 0, ret);
    int rc =
        s->opts.store(q->key, q->len, q->cost, &s->opts, ret, s->opts.user);
    if (rc == -ECANCELED) return rc;
    if (rc != 0 && rc != -EAGAIN) {
        s->stats.store_errors++;
        return decide_without_store(s, q, ret);
    }
    ret->allowed = rc == 0;
    ret->degraded = false;
    if (ret->allowed)
        ret->retry_after = 0;
    else if (ret->retry_after <= 0)
        ret->retry_after = guess(s);
    return rc;
}

/* With a store *ret is needed. */
static int decide(weft_ratelimits *s, const struct question *q,
                  weft_ratelimit_info *ret)
{
    if (q->len > WEFT_RATE_KEY_MAX) {
        refuse(s, WEFT_FOREVER, ret);
        return -EINVAL;
    }
    return s->opts.store ? ask_store(s, q, ret) : decide_here(s, q, ret);
}

/* ---- waiting ------------------------------------------------------------ */

static int wait_in_line(weft_ratelimits *s, const struct question *q)
{
    int rc = decide(s, q, NULL);
    if (rc != -EAGAIN) return rc;
    struct entry *e =
        find(s, wf_keyed_hash(&s->entries, q->key, q->len), q->key, q->len);
    WF_ASSERT(e); /* a whole limit refuses nothing that is possible */
    e->waiting++;
    rc = weft_ratelimit_wait(&e->limit, q->cost);
    e->waiting--;
    if (rc == 0 && q->cost > 0) counted(s, e);
    return rc;
}

static int wait_for_store(weft_ratelimits *s, const struct question *q)
{
    for (;;) {
        weft_ratelimit_info info;
        int rc = decide(s, q, &info);
        if (rc != -EAGAIN) return rc;
        if (info.retry_after == WEFT_FOREVER) return -EINVAL;
        rc = weft_sleep(info.retry_after);
        if (rc < 0) return rc;
    }
}

/* ---- the public calls --------------------------------------------------- */

weft_ratelimits *weft_ratelimits_new(const weft_ratelimits_opts *o)
{
    if (o->kind != WEFT_TOKEN_BUCKET && o->kind != WEFT_SLIDING_WINDOW)
        return NULL;
    if (o->on_store_error < WEFT_RATE_LOCAL ||
        o->on_store_error > WEFT_RATE_DENY)
        return NULL;
    weft_ratelimits *s = wf_zalloc(sizeof *s);
    if (!s) return NULL;
    s->opts = *o;
    if (s->opts.max_keys == 0) s->opts.max_keys = USUAL_KEYS;
    weft_ratelimit_init(&s->whole, o->kind, o->limit, o->window);
    if (wf_keyed_init(&s->entries) == 0) return s;
    wf_free(s, sizeof *s);
    return NULL;
}

void weft_ratelimits_free(weft_ratelimits *s)
{
    if (!s) return;
    if (s->inside > 0)
        wf_fatal("weft_ratelimits_free: %zu call%s not returned", s->inside,
                 s->inside == 1 ? " has" : "s have");
    while (oldest(s))
        forget(s, oldest(s));
    wf_keyed_fini(&s->entries);
    wf_free(s, sizeof *s);
}

static int returns(weft_ratelimits *s, int rc)
{
    s->inside--;
    if (rc == 0)
        s->stats.allowed++;
    else if (rc != -ECANCELED)
        s->stats.refused++;
    return rc;
}

int weft_ratelimits_check(weft_ratelimits *s, const void *key, size_t len,
                          uint32_t cost, weft_ratelimit_info *ret_info)
{
    int err = weft_pass_();
    if (err < 0) return err;
    const struct question q = {key, len, cost};
    weft_ratelimit_info info;
    s->inside++;
    int rc = decide(s, &q, ret_info || s->opts.store ? &info : NULL);
    if (ret_info && rc != -ECANCELED) *ret_info = info;
    return returns(s, rc);
}

int weft_ratelimits_wait(weft_ratelimits *s, const void *key, size_t len,
                         uint32_t cost)
{
    int err = weft_pass_();
    if (err < 0) return err;
    const struct question q = {key, len, cost};
    s->inside++;
    return returns(s,
                   s->opts.store ? wait_for_store(s, &q) : wait_in_line(s, &q));
}

void weft_ratelimits_stats_read(const weft_ratelimits *s,
                                weft_ratelimits_stats *ret)
{
    *ret = s->stats;
    ret->keys = s->entries.table.count;
}
