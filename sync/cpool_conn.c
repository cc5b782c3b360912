/* SPDX-License-Identifier: MIT */
/*
 * cpool_conn.c - the life of one connection of a pool, told by the functions of
 * the pool's user. All here is called by a fiber that has a place.
 */
#include "sync/cpool.h"

#include <weft/time.h>

#include "runtime/os.h"

/* ---- lists -------------------------------------------------------------- */

void wf_cpool_push(struct wf_cpool_list *l, struct wf_cpool_entry *e)
{
    e->prev = NULL;
    e->next = l->first;
    *(e->next ? &e->next->prev : &l->last) = e;
    l->first = e;
    l->count++;
}

void wf_cpool_take_out(struct wf_cpool_list *l, struct wf_cpool_entry *e)
{
    *(e->prev ? &e->prev->next : &l->first) = e->next;
    *(e->next ? &e->next->prev : &l->last) = e->prev;
    l->count--;
}

/* ---- a connection's life ------------------------------------------------ */

/* Whose place it is has it still. */
void wf_cpool_end_conn(struct weft_cpool_in_ *in, struct wf_cpool_entry *e)
{
    if (in->opts.close) {
        weft_scope shield;
        weft_error *said = wf_error_take(wf_self()); /* about something else */
        wf_cleanup_begin(&shield, in->opts.grace);
        in->opts.close(e->conn, in->opts.user);
        wf_cleanup_end(&shield);
        wf_error_give(wf_self(), said);
    }
    in->conns--;
    in->stats.closed++;
    wf_free(e, sizeof *e);
}

/* On an error there is none, and the place is still the caller's. */
int wf_cpool_open_conn(struct weft_cpool_in_ *in,
                       struct wf_cpool_entry **ret_entry)
{
    struct wf_cpool_entry *e = wf_zalloc(sizeof *e);
    if (!e)
        return weft_fail_at(-ENOMEM, NULL, 0, "pool %.24s: no memory",
                            in->opts.name);
    in->conns++;
    int err = in->opts.open(&e->conn, in->opts.user);
    if (err < 0) {
        in->conns--;
        in->stats.open_failures++;
        wf_free(e, sizeof *e);
        return err;
    }
    e->opened = weft_now();
    in->stats.opened++;
    *ret_entry = e;
    return 0;
}

bool wf_cpool_is_too_old(const struct weft_cpool_in_ *in,
                         const struct wf_cpool_entry *e, weft_time now)
{
    return in->opts.max_age > 0 && now - e->opened >= in->opts.max_age;
}

static bool was_idle_for(const struct wf_cpool_entry *e, weft_time most,
                         weft_time now)
{
    return now - e->idle_since >= most;
}

/* Without e there are enough: those that are kept ready do not grow stale. */
static bool is_stale(const struct weft_cpool_in_ *in,
                     const struct wf_cpool_entry *e, weft_time now)
{
    return in->opts.max_idle > 0 && in->idle.count >= in->opts.min_idle &&
           was_idle_for(e, in->opts.max_idle, now);
}

/* 0: e, which is not among the idle any more, is good. Else it has been closed:
 * 1; or -ECANCELED: the caller is, and would find all others dead too. */
static int look_at(struct weft_cpool_in_ *in, struct wf_cpool_entry *e)
{
    weft_time now = weft_now();
    int rc = 0;
    bool good = !wf_cpool_is_too_old(in, e, now) && !is_stale(in, e, now);
    if (good && in->opts.ping && was_idle_for(e, in->opts.ping_after, now)) {
        rc = in->opts.ping(e->conn, in->opts.user);
        good = rc >= 0;
        if (!good) in->stats.ping_failures++;
    }
    if (good) return 0;
    bool cut_off = rc < 0 && wf_self()->cancelled;
    wf_cpool_end_conn(in, e);
    return cut_off ? -ECANCELED : 1;
}

int wf_cpool_find_conn(struct weft_cpool_in_ *in,
                       struct wf_cpool_entry **ret_entry)
{
    struct wf_cpool_entry *e;
    while (!in->closed && (e = in->idle.first) != NULL) {
        wf_cpool_take_out(&in->idle, e);
        int err = look_at(in, e);
        if (err < 0) return err;
        if (err > 0) continue;
        in->stats.reused++;
        *ret_entry = e;
        return 0;
    }
    return in->closed ? -ESHUTDOWN : wf_cpool_open_conn(in, ret_entry);
}

bool wf_cpool_reset_conn(struct weft_cpool_in_ *in, struct wf_cpool_entry *e)
{
    weft_scope shield;
    if (!in->opts.reset) return true;
    weft_error *said = wf_error_take(wf_self());
    wf_cleanup_begin(&shield, in->opts.grace);
    bool good = in->opts.reset(e->conn, in->opts.user) >= 0;
    wf_cleanup_end(&shield);
    wf_error_give(wf_self(), said);
    if (!good) in->stats.reset_failures++;
    return good;
}
