/* SPDX-License-Identifier: MIT */
/*
 * ratelimit.c - so many in a stretch of time.
 *
 * A bucket that fills evenly is described by the moment when it will be full:
 * a token puts that off by window / limit. The moment is kept to the limit-th
 * of a nanosecond, so that nothing is ever rounded; and since no cost is above
 * the limit, no product needs more than 64 bits. A window is a row of parts,
 * one more than it has sixteenths, for the latest one is not over yet.
 *
 * Rules that hold whenever a fiber is parked here:
 *  - the first in line sleeps until its turn, by its own timer, and nobody else
 *    in the line does;
 *  - nothing is counted but by a newcomer who finds nobody in line, or by the
 *    first in line.
 *
 * So the first has what it waits for when its timer has come, and takes it
 * when it runs, until when it stays in line. Whoever leaves the front wakes the
 * next one, who then goes through or sets its own timer: a cancellation may
 * come out of the timers' own expiry, where none may be armed.
 */
#include "sync/ratelimit.h"

#include <string.h>

#include <weft/time.h>

#include "sync/child.h"

enum { PARTS = 16, SLOTS = PARTS + 1 };

static const weft_time longest = INT64_MAX / 4; /* no sum can overflow */

void weft_ratelimit_init(weft_ratelimit *r, weft_rate_kind kind, uint32_t limit,
                         weft_time window)
{
    if (window < 1) window = 1;
    if (window > longest) window = longest;
    *r = (weft_ratelimit){.kind_ = kind, .limit_ = limit, .window_ = window};
}

/* ---- the bucket --------------------------------------------------------- */

/* Nanoseconds, and limit-ths of one. */
struct span {
    uint64_t ns;
    uint32_t part;
};

/* How long after `now` the bucket is full, with `cost` taken out then. */
static struct span until_full(const weft_ratelimit *r, uint32_t cost,
                              weft_time now)
{
    uint64_t window = (uint64_t)r->window_, limit = r->limit_;
    uint64_t odd = window % limit * cost;
    uint64_t ns = window / limit * cost + odd / limit, part = odd % limit;
    if (r->full_ >= (uint64_t)now) {
        ns += r->full_ - (uint64_t)now;
        part += r->part_;
    }
    if (part >= limit) {
        part -= limit;
        ns++;
    }
    return (struct span){ns, (uint32_t)part};
}

/* By how much that is longer than the window, rounded up. */
static weft_time bucket_lacks(const weft_ratelimit *r, uint32_t cost,
                              weft_time now)
{
    struct span s = until_full(r, cost, now);
    uint64_t ns = s.ns + (s.part > 0);
    return ns > (uint64_t)r->window_ ? (weft_time)ns - r->window_ : 0;
}

static void bucket_count(weft_ratelimit *r, uint32_t cost, weft_time now)
{
    struct span s = until_full(r, cost, now);
    r->full_ = (uint64_t)now + s.ns;
    r->part_ = s.part;
}

/* The most that would be allowed: halving the range costs less than a division
 * of 80 bits, and cannot disagree with what is allowed. */
static uint32_t bucket_holds(const weft_ratelimit *r, weft_time now)
{
    uint32_t yes = 0, no = r->limit_;
    if (bucket_lacks(r, no, now) == 0) return no;
    while (no - yes > 1) {
        uint32_t half = yes + (no - yes) / 2;
        if (bucket_lacks(r, half, now) == 0)
            yes = half;
        else
            no = half;
    }
    return yes;
}

static weft_time bucket_full_at(const weft_ratelimit *r, weft_time now)
{
    struct span s = until_full(r, 0, now);
    return wf_time_add(now, (weft_time)s.ns + (s.part > 0));
}

/* ---- the window --------------------------------------------------------- */

static weft_time length_of_part(const weft_ratelimit *r)
{
    return (r->window_ + PARTS - 1) / PARTS;
}

/* Moves on to the part that `now` is in. */
static void roll(weft_ratelimit *r, weft_time now)
{
    weft_time length = length_of_part(r), parts = (now - r->latest_) / length;
    if (parts <= 0) return;
    r->latest_ += parts * length;
    size_t gone = parts < SLOTS ? (size_t)parts : SLOTS;
    memmove(r->counts_, r->counts_ + gone, (SLOTS - gone) * sizeof(uint32_t));
    memset(r->counts_ + SLOTS - gone, 0, gone * sizeof(uint32_t));
}

/* When this part does not count any more. */
static weft_time leaves_at(const weft_ratelimit *r, int part)
{
    return wf_time_add(r->latest_, (part + 1) * length_of_part(r));
}

static uint32_t window_holds(weft_ratelimit *r, weft_time now)
{
    uint32_t room = r->limit_;
    roll(r, now);
    for (int i = 0; i < SLOTS; i++)
        room -= r->counts_[i];
    return room;
}

static weft_time window_lacks(weft_ratelimit *r, uint32_t cost, weft_time now)
{
    uint32_t room = window_holds(r, now);
    if (cost <= room) return 0;
    int i = 0;
    while ((room += r->counts_[i]) < cost)
        i++;
    return leaves_at(r, i) - now;
}

static weft_time window_empty_at(weft_ratelimit *r, weft_time now)
{
    roll(r, now);
    for (int i = SLOTS - 1; i >= 0; i--)
        if (r->counts_[i] > 0) return leaves_at(r, i);
    return now;
}

/* ---- either ------------------------------------------------------------- */

/* How long after `now` this cost would be allowed. */
static weft_time lacks(weft_ratelimit *r, uint32_t cost, weft_time now)
{
    return r->kind_ == WEFT_TOKEN_BUCKET ? bucket_lacks(r, cost, now)
                                         : window_lacks(r, cost, now);
}

static void count(weft_ratelimit *r, uint32_t cost, weft_time now)
{
    if (r->kind_ == WEFT_TOKEN_BUCKET) {
        bucket_count(r, cost, now);
        return;
    }
    roll(r, now);
    r->counts_[SLOTS - 1] += cost;
}

static weft_time all_there_at(weft_ratelimit *r, weft_time now)
{
    if (r->limit_ == 0) return now;
    return r->kind_ == WEFT_TOKEN_BUCKET ? bucket_full_at(r, now)
                                         : window_empty_at(r, now);
}

bool wf_ratelimit_is_whole(weft_ratelimit *r, weft_time now)
{
    return all_there_at(r, now) <= now;
}

static uint32_t holds(weft_ratelimit *r, weft_time now)
{
    if (r->limit_ == 0 || r->waiters_.head_) return 0;
    return r->kind_ == WEFT_TOKEN_BUCKET ? bucket_holds(r, now)
                                         : window_holds(r, now);
}

static bool is_possible(const weft_ratelimit *r, uint32_t cost)
{
    return r->limit_ > 0 && cost <= r->limit_;
}

/* Lets all who wait go through on a copy, each when its turn comes. */
static void describe(const weft_ratelimit *r, uint32_t cost, bool allowed,
                     weft_time now, weft_ratelimit_info *ret)
{
    weft_ratelimit plan = *r;
    weft_time at = now;
    const struct weft_waiter_ *w = r->waiters_.head_;
    for (; w && at < WEFT_FOREVER; w = w->next_) {
        at = wf_time_add(at, lacks(&plan, w->n_, at));
        count(&plan, w->n_, at);
    }
    *ret = (weft_ratelimit_info){.allowed = allowed,
                                 .limit = r->limit_,
                                 .remaining = holds(&plan, now),
                                 .reset_at = all_there_at(&plan, at)};
    if (allowed) return;
    ret->retry_after = WEFT_FOREVER;
    if (!is_possible(r, cost)) return;
    at = wf_time_add(at, lacks(&plan, cost, at));
    if (at == WEFT_FOREVER) return;
    ret->retry_after = at > now ? at - now : 1; /* when those have run */
}

int weft_ratelimit_check(weft_ratelimit *r, uint32_t cost,
                         weft_ratelimit_info *ret_info)
{
    weft_time now = weft_now();
    int err = 0;
    if (!is_possible(r, cost))
        err = -EINVAL;
    else if (r->waiters_.head_ || lacks(r, cost, now) > 0)
        err = -EAGAIN;
    else
        count(r, cost, now);
    if (ret_info) describe(r, cost, err == 0, now, ret_info);
    return err;
}

/* ---- waiting ------------------------------------------------------------ */

static void step_out(weft_ratelimit *r, weft_fiber *f)
{
    bool first = r->waiters_.head_ == &f->waiter;
    wf_waitq_remove(&r->waiters_, &f->waiter);
    if (first && r->waiters_.head_) wf_wake(r->waiters_.head_->fiber_, 0);
}

static bool abort_wait(weft_fiber *f)
{
    step_out((weft_ratelimit *)(uintptr_t)f->object, f);
    wf_sleep_end(wf_child_of(f));
    return true;
}

static const struct wf_wait_kind in_line = {.name = "rate limit",
                                            .abort = abort_wait};

static int stand_in_line(weft_ratelimit *r, weft_fiber *f, uint32_t cost)
{
    for (;;) {
        if (r->waiters_.head_ == &f->waiter) {
            weft_time lack = lacks(r, cost, wf_now);
            if (lack == 0) break;
            if (f->cancelled) { /* woken to be the first, no more */
                step_out(r, f);
                return weft_pass_();
            }
            wf_sleep_begin(wf_child_of(f), wf_time_add(wf_now, lack));
        }
        int err = wf_park(&in_line, r);
        if (err < 0) return err;
    }
    count(r, cost, wf_now);
    step_out(r, f);
    return 0;
}

int weft_ratelimit_wait(weft_ratelimit *r, uint32_t cost)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (!is_possible(r, cost)) return -EINVAL;
    weft_fiber *f = wf_self();
    f->waiter.n_ = cost;
    wf_waitq_push(&r->waiters_, &f->waiter);
    return stand_in_line(r, f, cost);
}
