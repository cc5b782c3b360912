/* SPDX-License-Identifier: MIT */
/*
 * weft/ratelimit.h (sync) - so many in a stretch of time.
 *
 *     weft_ratelimit api;
 *     weft_ratelimit_init(&api, WEFT_TOKEN_BUCKET, 100, WEFT_SEC(1));
 *
 *     weft_ratelimit_info info;
 *     if (weft_ratelimit_check(&api, 1, &info) == -EAGAIN)
 *         return reply_429(info.retry_after);
 *
 * The bucket lets `limit` through at once and then one each window / limit, to
 * the fraction of a nanosecond. The sliding window lets `limit` through in any
 * stretch of that length: it counts in sixteenths of it, rounded up to a
 * nanosecond, so that something may count for a sixteenth longer than it
 * should, but never too short. It is decided first and counted then: what is
 * refused does not count. A limit of 0 refuses everything. For how many at
 * once, not how many in a time, see weft/limiter.h; for one for each client see
 * weft/ratelimits.h.
 *
 * The clock is that of the turn. Waiters go through in the order in which they
 * came, and nobody passes them. The caller owns the memory.
 *
 * After: the bucket is the generic cell rate algorithm of ITU-T I.371, Annex A.
 */
#ifndef WEFT_RATELIMIT_H
#define WEFT_RATELIMIT_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef enum weft_rate_kind {
    WEFT_TOKEN_BUCKET,
    WEFT_SLIDING_WINDOW
} weft_rate_kind;

typedef struct weft_ratelimit {
    weft_rate_kind kind_;
    uint32_t limit_;
    weft_time window_;
    uint64_t full_; /* the bucket: when it will be full, */
    uint32_t part_; /* and so many limit-ths of a nanosecond after that */
    uint32_t counts_[17]; /* the window: its parts, the latest one last, */
    weft_time latest_;    /* which began then */
    weft_waitq_ waiters_;
} weft_ratelimit;

/** What is true at that moment, if nobody else comes; those who wait already
 *  are reckoned with, one by one. */
typedef struct weft_ratelimit_info {
    bool allowed;
    uint32_t limit, remaining; /* now, this one counted if it was allowed; 0
                                  while somebody waits */
    weft_time reset_at;        /* when all of the limit is there again */
    weft_time retry_after;     /* until this cost would be allowed; 0 if it was;
                                  WEFT_FOREVER: never */
    bool degraded;             /* weft/ratelimits.h: a store has failed */
} weft_ratelimit_info;

/** Lets `limit` through in each `window`, from now on. A window below a
 *  nanosecond is one; one of 73 years or more is that. Nobody may wait. */
WEFT_API void weft_ratelimit_init(weft_ratelimit *r, weft_rate_kind kind,
                                  uint32_t limit, weft_time window);

/**
 * May something that counts as `cost` happen now? If so it is counted. Refused
 * too while somebody waits. A cost of 0 only asks. *ret_info (may be NULL) is
 * filled in either way. Never parks.
 *
 * Returns 0; -EAGAIN: not now; -EINVAL: never, it costs more than the limit, or
 * that is 0.
 */
WEFT_API int weft_ratelimit_check(weft_ratelimit *r, uint32_t cost,
                                  weft_ratelimit_info *ret_info);

/**
 * Waits until it may, and counts it. In line: a later one for less does not
 * pass. What is cancelled is not counted.
 *
 * Parks. Returns 0, -ECANCELED, or -EINVAL as above. When the deadline of a
 * scope comes before the turn of the caller could, it is waited for all the
 * same.
 */
WEFT_PARKS int weft_ratelimit_wait(weft_ratelimit *r, uint32_t cost);

WEFT_END_DECLS

#endif
