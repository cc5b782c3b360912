/* SPDX-License-Identifier: MIT */
/*
 * timed.c - operations that are timed.
 *
 * An open operation hangs on its fiber, the innermost first, and the fiber is
 * marked as timed, so that the scheduler says how long it was away. That is
 * put down to the innermost one alone; when it ends it passes its sum on to the
 * one around it, which was away as well. So a wait costs the same however deep
 * operations nest.
 *
 * Durations are counted in slots: one for each below 16, and after that 16 for
 * each power of two. A slot answers with its middle, which is at most a 32nd
 * off, but never with less than the least or more than the most there was.
 */
#include <weft/timed.h>

#include "runtime/clock.h"
#include "sync/child.h"

enum { STEPS = 16, STEP_BITS = 4 };

_Static_assert((63 - STEP_BITS + 1) * STEPS == WEFT_TIMING_SLOTS_,
               "a slot for each duration");
_Static_assert(sizeof(weft_timing) <= 8192, "as the header says");

/* ---- slots -------------------------------------------------------------- */

static size_t slot_of(weft_time span)
{
    uint64_t n = (uint64_t)span;
    if (n < STEPS) return (size_t)n;
    unsigned shift = 63 - STEP_BITS - (unsigned)__builtin_clzll(n);
    return (size_t)shift * STEPS + (size_t)(n >> shift);
}

static weft_time middle_of(size_t slot)
{
    if (slot < STEPS) return (weft_time)slot;
    unsigned shift = (unsigned)(slot / STEPS - 1);
    uint64_t least = (uint64_t)(slot % STEPS + STEPS) << shift;
    return (weft_time)(least + (((uint64_t)1 << shift) >> 1));
}

/* What `parts` of a thousand took at most. */
static weft_time quantile(const weft_timing *t, unsigned parts)
{
    uint64_t rank = t->count_ / 1000 * parts;
    rank += (t->count_ % 1000 * parts + 999) / 1000;
    size_t slot = 0;
    for (uint64_t n = t->slots_[0]; n < rank; n += t->slots_[slot])
        slot++;
    weft_time span = middle_of(slot);
    return span < t->min_ ? t->min_ : span > t->max_ ? t->max_ : span;
}

/* ---- a timing ----------------------------------------------------------- */

static void count(weft_timing *t, const weft_timed_sample *s)
{
    if (t->count_ == 0 || s->elapsed < t->min_) t->min_ = s->elapsed;
    if (s->elapsed > t->max_) t->max_ = s->elapsed;
    t->count_++;
    if (s->rc < 0) t->failed_++;
    t->elapsed_ = wf_time_add(t->elapsed_, s->elapsed);
    t->running_ = wf_time_add(t->running_, s->running);
    t->slots_[slot_of(s->elapsed)]++;
}

void weft_timing_read(const weft_timing *t, weft_timing_stats *ret_stats)
{
    *ret_stats = (weft_timing_stats){.count = 0};
    if (t->count_ == 0) return;
    *ret_stats = (weft_timing_stats){
        .count = t->count_,
        .failed = t->failed_,
        .min = t->min_,
        .max = t->max_,
        .mean = (weft_time)((uint64_t)t->elapsed_ / t->count_),
        .p50 = quantile(t, 500),
        .p90 = quantile(t, 900),
        .p99 = quantile(t, 990),
        .p999 = quantile(t, 999),
        .running = t->running_,
        .waiting = t->elapsed_ - t->running_,
    };
}

void weft_timing_reset(weft_timing *t)
{
    *t = (weft_timing){
        .name = t->name, .slow = t->slow, .log = t->log, .user = t->user};
}

/* A log that fails at something is not the operation's failure. */
static void tell(const weft_timing *t, const weft_timed_sample *s)
{
    weft_fiber *f = wf_self();
    weft_error *said = wf_error_take(f);
    int kept = errno;
    t->log(t, s, t->user);
    errno = kept;
    wf_error_give(f, said);
}

/* ---- an operation ------------------------------------------------------- */

static weft_timed *innermost(weft_fiber *f)
{
    return (weft_timed *)(void *)*wf_attached(f, WF_A_TIMED);
}

void wf_timed_was_away(weft_fiber *f, int64_t ns)
{
    innermost(f)->away_ += ns;
}

static bool is_open(weft_fiber *f, const weft_timed *op)
{
    const struct weft_attached_ *a = f->attached;
    while (a && a != &op->attached_)
        a = a->next_;
    return a != NULL;
}

int weft_timed_begin_(weft_timed *op, weft_timing *t, const char *file,
                      int line)
{
    weft_fiber *f = wf_self();
    if (!f) return wf_misuse(-EPERM, "weft_timed_begin outside a fiber");
    if (is_open(f, op))
        return wf_misuse(-EBUSY,
                         "weft_timed_begin at %s:%d: the operation that was "
                         "begun in this memory before is still open: end it on "
                         "every way out",
                         file, line);
    *op = (weft_timed){.timing_ = t, .file_ = file, .line_ = line};
    wf_attach(f, &op->attached_, WF_A_TIMED);
    f->timed = true;
    op->began_ = wf_clock_read();
    return 0;
}

/* Takes the innermost one off, and has the next one go on. */
static void detach(weft_fiber *f, const weft_timed *op)
{
    struct weft_attached_ **at = wf_attached(f, WF_A_TIMED);
    *at = op->attached_.next_;
    weft_timed *outer = innermost(f);
    if (outer)
        outer->away_ += op->away_;
    else
        f->timed = false;
}

static void end(weft_fiber *f, const weft_timed *op, int rc)
{
    weft_time elapsed = wf_clock_read() - op->began_;
    weft_timing *t = op->timing_;
    const weft_timed_sample s = {.began = op->began_,
                                 .elapsed = elapsed,
                                 .running = elapsed - op->away_,
                                 .waiting = op->away_,
                                 .rc = rc,
                                 .file = op->file_,
                                 .line = op->line_};
    detach(f, op);
    count(t, &s);
    if (t->log && elapsed >= t->slow) tell(t, &s);
}

/* Names no place of the inner one, which may be gone from the stack. */
__attribute__((cold, noinline)) static int cannot_end(weft_fiber *f,
                                                      const weft_timed *op)
{
    if (!f || !is_open(f, op))
        return wf_misuse(-EBUSY, "weft_timed_end: this operation is not open "
                                 "in the fiber that calls");
    return wf_misuse(-EBUSY,
                     "weft_timed_end: inside the operation begun at %s:%d "
                     "another one is still open: end it first",
                     op->file_, op->line_);
}

int weft_timed_end(weft_timed *op, int rc)
{
    weft_fiber *f = wf_self();
    if (!f || innermost(f) != op) return cannot_end(f, op);
    end(f, op, rc);
    return rc;
}

/* ---- blocks ------------------------------------------------------------- */

weft_timed_block_ *weft_timed_enter_(weft_timed_block_ *b, weft_timing *t,
                                     const int *rc, const char *file, int line)
{
    b->rc_ = rc;
    b->open_ = weft_timed_begin_(&b->op_, t, file, line) == 0;
    return b;
}

void weft_timed_leave_(weft_timed_block_ *b)
{
    if (!b->open_) return;
    weft_fiber *f = wf_self();
    if (innermost(f) != &b->op_)
        wf_fatal("fiber %llu \"%s\" leaves the timed block of %s:%d while an "
                 "operation begun inside it is still open: end it on every way "
                 "out, or use the block form",
                 (unsigned long long)f->id, f->name ? f->name : "",
                 b->op_.file_, b->op_.line_);
    end(f, &b->op_, b->rc_ ? *b->rc_ : 0);
}

/* ---- the end of a fiber ------------------------------------------------- */

void wf_timed_left_open(const struct wf_child *c)
{
    const weft_fiber *f = &c->fiber;
    wf_fatal("fiber %llu \"%s\" (spawned %s:%d) returned while an operation "
             "that it timed was still open: end it on every way out, or use "
             "the block form",
             (unsigned long long)f->id, f->name ? f->name : "",
             f->file ? f->file : "?", f->line);
}
