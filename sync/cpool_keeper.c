/* SPDX-License-Identifier: MIT */
/*
 * cpool_keeper.c - closes what has been idle for too long, and opens what is to
 * be there before it is needed.
 *
 * The keeper is a daemon of the pool's nursery. It sleeps until the next
 * connection is due, or until it is kicked: by whatever makes one due earlier.
 * For each connection it is at it has a place, as everybody; so it never opens
 * one too many, and when all are lent it has nothing to do.
 */
#include "sync/cpool.h"

#include <weft/time.h>

#include "runtime/clock.h"

static const weft_time first_pause = WEFT_SEC(1), last_pause = WEFT_SEC(30);

/* When e, which is idle, has to be looked at. */
static weft_time due(const struct weft_cpool_in_ *in,
                     const struct wf_cpool_entry *e)
{
    weft_time at = WEFT_FOREVER;
    if (in->opts.max_idle > 0 && in->idle.count > in->opts.min_idle)
        at = wf_time_add(e->idle_since, in->opts.max_idle);
    if (in->opts.max_age > 0) {
        weft_time old = wf_time_add(e->opened, in->opts.max_age);
        if (old < at) at = old;
    }
    return at;
}

/* The one to be closed next, or NULL; and when. */
static struct wf_cpool_entry *first_due(const struct weft_cpool_in_ *in,
                                        weft_time *ret_when)
{
    struct wf_cpool_entry *first = NULL;
    *ret_when = WEFT_FOREVER;
    for (struct wf_cpool_entry *e = in->idle.last; e; e = e->prev) {
        weft_time at = due(in, e);
        if (at >= *ret_when) continue;
        *ret_when = at;
        first = e;
    }
    return first;
}

static bool wants_more(const struct weft_cpool_in_ *in)
{
    return !in->closed && in->idle.count < in->opts.min_idle &&
           in->conns < in->opts.size;
}

static void kick_before(struct weft_cpool_in_ *in, weft_time when)
{
    if (when < in->wakes_at) weft_event_set(&in->kick);
}

/* The oldest may be to spare from now on. */
void wf_cpool_make_idle(struct weft_cpool_in_ *in, struct wf_cpool_entry *e)
{
    e->idle_since = weft_now();
    wf_cpool_push(&in->idle, e);
    kick_before(in, due(in, e));
    kick_before(in, due(in, in->idle.last));
}

void wf_cpool_missing(struct weft_cpool_in_ *in)
{
    if (wants_more(in)) kick_before(in, in->retry_at);
}

/* Each with a place; one that is given up may be who waits for it. */
static weft_time close_due(struct weft_cpool_in_ *in)
{
    weft_time when;
    struct wf_cpool_entry *e;
    while ((e = first_due(in, &when)) != NULL && when <= weft_now()) {
        if (in->places == 0) return WEFT_FOREVER; /* it is being lent */
        in->places--;
        wf_cpool_take_out(&in->idle, e);
        wf_cpool_end_conn(in, e);
        wf_cpool_give_place(in);
    }
    return when;
}

static void open_one(struct weft_cpool_in_ *in)
{
    struct wf_cpool_entry *e;
    in->places--;
    int err = wf_cpool_open_conn(in, &e);
    if (err < 0) {
        in->retry_at = weft_after(in->pause);
        in->pause = in->pause < last_pause / 2 ? in->pause * 2 : last_pause;
    } else if (in->closed) {
        wf_cpool_end_conn(in, e);
    } else {
        in->retry_at = INT64_MIN;
        in->pause = first_pause;
        wf_cpool_make_idle(in, e);
    }
    wf_cpool_give_place(in);
}

/* Does all that is to be done now, and returns when there will be more. */
static weft_time keep(struct weft_cpool_in_ *in)
{
    while (wants_more(in) && in->places > 0 && in->retry_at <= weft_now())
        open_one(in);
    weft_time when = close_due(in);
    if (!wants_more(in) || in->places == 0) return when;
    return in->retry_at < when ? in->retry_at : when;
}

static int sleep_until(struct weft_cpool_in_ *in, weft_time when)
{
    weft_scope s;
    weft_scope_init(&s);
    in->wakes_at = when;
    int err = weft_scope_begin_at(&s, when, WEFT_MOVE_ON);
    WF_ASSERT(err == 0); /* it is new, and we are in a fiber */
    err = weft_scope_end(&s, weft_event_wait(&in->kick));
    in->wakes_at = INT64_MIN; /* awake it looks at all of it */
    weft_event_clear(&in->kick);
    return err;
}

/* That opening failed is told to those who ask for a connection. */
static int keeper(void *arg)
{
    struct weft_cpool_in_ *in = arg;
    weft_scope all;
    weft_scope_init(&all);
    int err = weft_scope_begin(&all);
    WF_ASSERT(err == 0); /* it is new, and we are in a fiber */
    in->keeper = &all;
    while (err == 0 && !in->closed)
        err = sleep_until(in, keep(in));
    in->keeper = NULL;
    err = weft_scope_end(&all, err);
    wf_error_give(wf_self(), NULL);
    wf_cpool_let_go(in);
    return err;
}

int wf_cpool_start_keeper(struct weft_cpool_in_ *in, weft_nursery *n)
{
    const weft_spawn_opts so = {.name = "pool keeper", .daemon = true};
    const weft_cpool_opts *o = &in->opts;
    if (o->min_idle == 0 && o->max_idle <= 0 && o->max_age <= 0) return 0;
    in->retry_at = INT64_MIN;
    in->pause = first_pause;
    in->users++;
    int err = weft_spawn_ex(n, keeper, in, &so);
    if (err < 0) in->users--;
    return err;
}
