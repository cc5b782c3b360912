/* SPDX-License-Identifier: MIT */
/*
 * retry.c - again, after a while, and not for ever.
 *
 * Each call hangs on its fiber while it lasts, the innermost first, and that is
 * where weft_retry_after finds it. The record of a failed attempt stays with
 * the fiber, where the caller looks for it; it goes away before the next
 * attempt, lest it be taken for that one's.
 */
#include <weft/retry.h>

#include <weft/scope.h>
#include <weft/time.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "runtime/random.h"
#include "sync/child.h"

struct retry {
    struct weft_attached_ attached;
    weft_retry_opts opts; /* without zeros */
    weft_time bound;      /* of the next wait */
    weft_time after;      /* what this attempt has been asked to wait */
    uint64_t drawn;       /* the state of the generator */
};

/* ---- what is worth it --------------------------------------------------- */

bool weft_retry_transient(int code)
{
    switch (code) {
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EPIPE:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ENETDOWN:
    case -ETIMEDOUT:
    case -EAGAIN:
    case -EINTR:
        return true;
    default:
        return false;
    }
}

/* What a callback itself fails at must not replace the record of the attempt.
 * So it sees a copy, and gives the place back afterwards. */
static weft_error *lend_record(weft_fiber *f)
{
    weft_error *e = wf_error_take(f);
    weft_error *copy = e ? wf_error_new(f, e->code) : NULL;
    if (copy) {
        *copy = *e;
        copy->next = copy->inner = NULL;
    }
    wf_error_give(f, copy);
    return e;
}

static bool is_worth_it(const struct retry *r, int code, unsigned attempt)
{
    const weft_retry_opts *o = &r->opts;
    if (!o->when) return weft_retry_transient(code);
    weft_fiber *f = wf_self();
    weft_error *e = lend_record(f);
    bool worth =
        o->when(code, e && e->code == code ? e : NULL, attempt, o->user);
    wf_error_give(f, e);
    return worth;
}

static void tell(const struct retry *r, int code, unsigned attempt,
                 weft_time wait)
{
    const weft_retry_opts *o = &r->opts;
    if (!o->before_wait) return;
    weft_fiber *f = wf_self();
    weft_error *e = lend_record(f);
    o->before_wait(code, attempt, wait, o->user);
    wf_error_give(f, e);
}

/* ---- how long ----------------------------------------------------------- */

/* On the virtual clock it is the same in each run of a test. */
static uint64_t seed_of_its_own(void)
{
    const weft_fiber *f = wf_self();
    uint64_t a = (uint64_t)wf_now ^ wf_sched_seed() << 32;
    uint64_t b = wf_rotate(INT32_MAX); /* another for each call */
    if (!wf_clock_is_virtual()) {
        a = (uint64_t)wf_clock_read();
        b = f->id ^ (uint64_t)(uintptr_t)f; /* where the system has put us */
    }
    return wf_draw(&a) ^ b * 0xd1342543de82ef95u;
}

static void set_options(struct retry *r, const weft_retry_opts *o)
{
    if (o) r->opts = *o;
    o = &r->opts;
    if (o->attempts == 0) r->opts.attempts = 3;
    if (o->base == 0) r->opts.base = WEFT_MSEC(100);
    if (o->cap == 0) r->opts.cap = WEFT_SEC(10);
    if (!(o->factor > 0)) r->opts.factor = 2; /* NaN too */
    if (o->base < 0) r->opts.base = 0;
    if (o->cap < 0) r->opts.cap = 0;
    r->bound = o->base < o->cap ? o->base : o->cap;
    r->drawn = o->seed;
}

static weft_time next_wait(struct retry *r)
{
    const weft_retry_opts *o = &r->opts;
    weft_time bound = r->bound;
    double grown = (double)bound * o->factor;
    r->bound = grown < (double)o->cap ? (weft_time)grown : o->cap;
    if (o->no_jitter) return bound > r->after ? bound : r->after;
    if (r->drawn == 0) r->drawn = seed_of_its_own();
    uint64_t part = wf_draw(&r->drawn) % ((uint64_t)bound + 1);
    return wf_time_add(r->after, (weft_time)part);
}

/* ---- the calls ---------------------------------------------------------- */

/* Waits for the next attempt: 1, or what to return instead of it. */
static int wait_after(struct retry *r, int code, unsigned attempt)
{
    int err = weft_pass_();
    if (err < 0) return err;
    weft_time wait = next_wait(r), end = wf_time_add(wf_clock_read(), wait);
    if (end >= weft_deadline()) return code; /* or for ever */
    tell(r, code, attempt, wait);
    err = weft_sleep_until(end);
    return err < 0 ? err : 1;
}

static int try_until(struct retry *r, weft_fn fn, void *arg)
{
    for (unsigned attempt = 1;; attempt++) {
        r->after = 0;
        int rc = fn(arg);
        if (rc >= 0 || rc == -ECANCELED || attempt == r->opts.attempts)
            return rc;
        if (!is_worth_it(r, rc, attempt)) return rc;
        rc = wait_after(r, rc, attempt);
        if (rc < 0) return rc;
        wf_error_give(wf_self(), NULL);
    }
}

int weft_retry(weft_fn fn, void *arg, const weft_retry_opts *o)
{
    int rc = weft_pass_();
    if (rc < 0) return rc;
    weft_fiber *f = wf_self();
    struct retry r = {.after = 0};
    set_options(&r, o);
    wf_attach(f, &r.attached, WF_A_RETRY);
    rc = try_until(&r, fn, arg);
    struct weft_attached_ **at = wf_attached(f, WF_A_RETRY);
    WF_ASSERT(*at == &r.attached);
    *at = r.attached.next_;
    return rc;
}

void weft_retry_after(weft_time ns)
{
    weft_fiber *f = wf_self();
    struct weft_attached_ *a = f ? *wf_attached(f, WF_A_RETRY) : NULL;
    struct retry *r = (struct retry *)(void *)a;
    if (r && ns > r->after) r->after = ns;
}
