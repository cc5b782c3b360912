/* SPDX-License-Identifier: MIT */
/*
 * weft/ratelimits.h (sync) - a rate limit for each client, by its name.
 *
 *     weft_ratelimits_opts o = {.limit = 100, .window = WEFT_SEC(60)};
 *     weft_ratelimits *clients = weft_ratelimits_new(&o);
 *
 *     weft_ratelimit_info info;
 *     int rc = weft_ratelimits_check(clients, id, strlen(id), 1, &info);
 *     if (rc == -EAGAIN || rc == -ENOBUFS)
 *         return reply_429(info.retry_after);
 *     if (rc < 0) return rc;
 *
 * Each key has a limit of its own, that of weft/ratelimit.h: bucket or sliding
 * window, decided first and counted then, by the clock of the turn. A limit of
 * 0 refuses everything. Keys are copied octets.
 *
 * Memory. A key has a place (some 200 octets, and the key) as long as something
 * is counted for it: until its limit is whole again, and not longer than the
 * window and a sixteenth after it was counted last. Then it is forgotten, as
 * others are asked for, two at each call. What is refused takes no place.
 *
 * When all places are in use a new key is refused with -ENOBUFS, and no old one
 * is forgotten for it: that would be whole again before its time, and whoever
 * can make up names could have that for his own. The price is that he can keep
 * newcomers out for a window. So let the key be something that costs him (an
 * account, an address; of IPv6 the network), or put one weft_ratelimit for
 * everybody, of no more than max_keys a window, before this.
 *
 * A store outside, shared by several processes, can decide instead. When it
 * cannot tell, on_store_error does. The default, WEFT_RATE_LOCAL, counts here
 * from that moment on, so that the failure of a store neither opens the door to
 * everybody nor shuts everybody out; but n processes let n times as much
 * through, and what the store has counted before is not known.
 */
#ifndef WEFT_RATELIMITS_H
#define WEFT_RATELIMITS_H

#include <weft/ratelimit.h>

WEFT_BEGIN_DECLS

typedef struct weft_ratelimits weft_ratelimits;

/** Who decides when the store cannot. The info says `degraded` then. */
typedef enum weft_rate_fallback {
    WEFT_RATE_LOCAL, /* this process, for itself */
    WEFT_RATE_ALLOW, /* all goes through, as if its limit were whole */
    WEFT_RATE_DENY   /* nothing does; come back in a window */
} weft_rate_fallback;

typedef struct weft_ratelimits_opts weft_ratelimits_opts;
struct weft_ratelimits_opts {
    weft_rate_kind kind;
    uint32_t limit; /* 0 refuses everything */
    weft_time window;
    size_t max_keys; /* places; 0: 65536 */
    /* Decides and counts, by the rate in *o, in the fiber that asks; or NULL.
     * Not asked for what is -EINVAL. Returns 0: it may; -EAGAIN: not now; any
     * other code: it cannot tell, but -ECANCELED is handed on. May fill in what
     * it knows of *ret_info, where the limit stands already; a retry_after that
     * is left out is a guess. May park, and should set itself a deadline: it
     * failing soon is better than all waiting for it. */
    int (*store)(const void *key, size_t len, uint32_t cost,
                 const weft_ratelimits_opts *o, weft_ratelimit_info *ret_info,
                 void *user);
    weft_rate_fallback on_store_error;
    void *user;
};

/** The longest key, in octets. */
enum { WEFT_RATE_KEY_MAX = 1024 };

/** Copies *o. NULL: no memory, or a kind or fallback that there is not. */
WEFT_MUST weft_ratelimits *weft_ratelimits_new(const weft_ratelimits_opts *o);

/** Forgets all. Nobody may be in a call: the process ends with a sentence. NULL
 *  is fine. */
WEFT_API void weft_ratelimits_free(weft_ratelimits *s);

/**
 * May something that counts as `cost` happen now for this key? If so it is
 * counted. Refused too while somebody waits for the same key. A cost of 0 only
 * asks. *ret_info (may be NULL) is filled in, but on -ECANCELED.
 *
 * Parks, but without a store only to give way. Returns 0; -EAGAIN: not now;
 * -EINVAL: never, it costs more than the limit, or that is 0, or the key is too
 * long; -ECANCELED; and for a new key -ENOBUFS: all places are in use, perhaps
 * until retry_after; -ENOMEM. On all but 0 nothing was counted here.
 */
WEFT_PARKS int weft_ratelimits_check(weft_ratelimits *s, const void *key,
                                     size_t len, uint32_t cost,
                                     weft_ratelimit_info *ret_info);

/**
 * Waits until it may, and counts it: in line with those who wait for the same
 * key, past those of others. A key that is waited for is not forgotten. What is
 * cancelled is not counted here. With a store there is no line: each asks it
 * again when it has said.
 *
 * Parks. Returns 0, -ECANCELED, -EINVAL (also: the store says never), -ENOBUFS
 * or -ENOMEM.
 */
WEFT_PARKS int weft_ratelimits_wait(weft_ratelimits *s, const void *key,
                                    size_t len, uint32_t cost);

/** Counters since it was made. What was cancelled is neither allowed nor
 *  refused. */
typedef struct weft_ratelimits_stats {
    uint64_t allowed, refused;
    uint64_t store_errors; /* how often it could not tell */
    size_t keys;           /* that have a place now */
} weft_ratelimits_stats;
WEFT_API void weft_ratelimits_stats_read(const weft_ratelimits *s,
                                         weft_ratelimits_stats *ret);

WEFT_END_DECLS

#endif
