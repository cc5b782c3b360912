/* SPDX-License-Identifier: MIT */
/*
 * weft/cache.h (sync) - values that are expensive to get, each got once.
 *
 *     weft_cache_opts o = {.fill = resolve, .drop = free, .ttl = WEFT_SEC(60)};
 *     weft_cache *names = weft_cache_new(&o);
 *
 *     void *address;
 *     int err = weft_cache_get(names, host, strlen(host), &address);
 *     if (err < 0) return err;
 *     ...
 *     weft_cache_put(names, address);
 *
 * Of many fibers that miss the same key one fills it, and the others wait for
 * that (single flight). When the one that fills is cancelled the next of them
 * takes over. A failure can be remembered for a while too. Values are counted:
 * what was got stays valid until it is put back, even if it has been replaced
 * or forgotten meanwhile. Keys are copied octets. A hit allocates nothing.
 *
 * Time is that of the scheduler's turn
 * (weft_now), and a value is good from the end of its fill on for less than its
 * ttl.
 *
 * After: single flight is that of groupcache; max is least recently used.
 */
#ifndef WEFT_CACHE_H
#define WEFT_CACHE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_cache weft_cache;

typedef struct weft_cache_opts {
    /* Gets the value of a key (a copy, aligned for any type), in the fiber that
     * asks. A negative result is the failure of weft_cache_get for all who wait
     * for it; but -ECANCELED is that of this fiber alone, and the next of them
     * fills. May park. */
    int (*fill)(const void *key, size_t len, void **ret_value, void *user);
    /* Nobody has it any more, and the cache neither; or NULL. Called once for
     * each time that fill gave the value. Must not park. */
    void (*drop)(void *value);
    void *user;
    weft_time ttl;          /* how long a value is good; 0: for ever; less: only
                               for those who wait for it */
    weft_time negative_ttl; /* and a failure; 0 or less: not at all */
    size_t max; /* values and failures that are kept, the least recently used
                   go first; 0: no bound */
} weft_cache_opts;

/** Copies *o. NULL: no memory, or no `fill`. */
WEFT_MUST weft_cache *weft_cache_new(const weft_cache_opts *o);

/** Forgets all. Nobody may be in weft_cache_get: the process ends with a
 *  sentence. Values that somebody still has are dropped when they are put back,
 *  which may come later. NULL is fine. */
WEFT_API void weft_cache_free(weft_cache *c);

/**
 * The value of a key, from the cache or by `fill`. To be put back. A caller
 * that takes over calls fill, even if it is cancelled before it runs: then fill
 * fails at its first cancel point, and the next one has it.
 *
 * Parks. Returns 0; the failure of fill, now or remembered; -ECANCELED;
 * -ENOMEM; -EDEADLK: fill asks for the key that it fills, or a fiber in a
 * nursery that fill has opened.
 */
WEFT_PARKS int weft_cache_get(weft_cache *c, const void *key, size_t len,
                              void **ret_value);

/** Gives a value back, once for each get. Once too often is ignored; a debug
 *  build says it. */
WEFT_API void weft_cache_put(weft_cache *c, void *value);

/** The next get fills anew. Who waits for a fill that has begun still gets what
 *  comes of it. True: there was something to forget. */
WEFT_API bool weft_cache_forget(weft_cache *c, const void *key, size_t len);

/** Counters since it was made. Each get is one of the first three. */
typedef struct weft_cache_stats {
    uint64_t hits;      /* had at once, a value or a failure */
    uint64_t misses;    /* filled */
    uint64_t waits;     /* waited for another one that filled */
    uint64_t evictions; /* gone because of `max` */
    size_t entries;     /* kept now, without those that are being filled */
} weft_cache_stats;
WEFT_API void weft_cache_stats_read(const weft_cache *c, weft_cache_stats *ret);

WEFT_END_DECLS

#endif
