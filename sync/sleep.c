/* SPDX-License-Identifier: MIT */
/*
 * sleep.c - the clock, and fibers that wait for it.
 */
#include <weft/time.h>

#include <weft/fiber.h>

#include "reactor/reactor.h"
#include "runtime/clock.h"
#include "runtime/os.h"
#include "sync/child.h"

/* Not in a fiber: perhaps between two, as a hook is. */
__attribute__((noinline)) static weft_time now_outside(void)
{
    return wf_sched_is_open() ? wf_now : wf_os_clock();
}

weft_time weft_now(void)
{
    return __builtin_expect(wf_self() != NULL, 1) ? wf_now : now_outside();
}

weft_time weft_after(weft_time ns)
{
    return wf_time_add(weft_now(), ns);
}

/* Of a virtual clock, which begins at its first second, a day in 2001. */
weft_time weft_calendar(void)
{
    enum { VIRTUAL_EPOCH = 999999999 };
    bool jumps = wf_clock_is_virtual() && (wf_self() || wf_sched_is_open());
    return jumps ? wf_now + WEFT_SEC(VIRTUAL_EPOCH) : wf_os_calendar();
}

void wf_sleep_end(struct wf_child *c)
{
    c->sleep_until = INT64_MAX;
    if (wf_clock_is_virtual()) wf_child_timer_tidy(c);
    /* Else the timer comes due, and finds nothing. */
}

static bool abort_sleep(weft_fiber *f)
{
    wf_sleep_end(wf_child_of(f));
    return true;
}

static const struct wf_wait_kind asleep = {.name = "sleep",
                                           .abort = abort_sleep};

void wf_sleep_begin(struct wf_child *c, int64_t until)
{
    c->sleep_until = until;
    if (until == WEFT_FOREVER) return;
    struct wf_timer *timer = &c->u.timer;
    bool armed = wf_timer_armed(timer) && timer->when <= until;
    wf_child_timer(c, until);
    /* Armed for something before: still we went to sleep only now. */
    if (armed) wf_timer_move(wf_reactor_wheel(), timer, timer->when);
}

int weft_sleep_until(weft_time t)
{
    if (!wf_self() || t <= wf_now) return weft_yield();
    int err = weft_pass_();
    if (err < 0) return err;
    if (t <= wf_now) return 0; /* passing has taken a turn, and that long */
    struct wf_child *c = wf_child_self();
    wf_sleep_begin(c, t);
    return wf_park(&asleep, c);
}

int weft_sleep(weft_time ns)
{
    if (ns <= 0) return weft_yield();
    /* From now, not from the beginning of a turn that may have been long. */
    return weft_sleep_until(wf_time_add(wf_clock_read(), ns));
}
