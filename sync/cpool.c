/* SPDX-License-Identifier: MIT */
/*
 * cpool.c - places for connections, those that are idle, and those that are
 * lent.
 *
 * Who is to have a connection, to open, to look at or to close one, has a place,
 * and there are `size` + `overflow` of them. Rules that hold whenever a fiber is
 * parked:
 *  - somebody waits only while no place is free and the pool is open;
 *  - connections are idle, or each is with one who has a place, so there are
 *    never more than places: one is opened only when none is idle, or, by the
 *    keeper, when so many are not there.
 *
 * A place goes from who gives it up to the oldest who waits, together with what
 * is idle: nobody else can come between, for all others need a place too. One
 * that is granted a place and does not come to use it, having found that its
 * connection cannot be opened, passes it on.
 *
 * What is idle is a stack: the latest is used first, so that those that are not
 * needed grow old at the bottom, where the keeper finds them.
 */
#include "sync/cpool.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <weft/time.h>

#include "runtime/os.h"

static uint64_t hash_of(const void *conn)
{
    uint64_t x = (uintptr_t)conn * 0x9e3779b97f4a7c15u;
    return x ^ x >> 32;
}

static struct wf_cpool_entry *find_lent(const struct weft_cpool_in_ *in,
                                        const void *conn)
{
    struct wf_link *l = wf_table_chain(&in->lent_table, hash_of(conn));
    while (l && ((struct wf_cpool_entry *)(void *)l)->conn != conn)
        l = l->next;
    return (struct wf_cpool_entry *)(void *)l;
}

/* ---- the end ------------------------------------------------------------ */

void wf_cpool_let_go(struct weft_cpool_in_ *in)
{
    in->users--;
    if (!in->closed || in->conns > 0) return;
    if (in->pool) in->pool->in_ = NULL; /* it may be opened again, or be gone */
    in->pool = NULL;
    wf_grant_all(&in->closers, 0);
    if (in->users > 0) return;
    wf_table_fini(&in->lent_table);
    wf_free(in, sizeof *in);
}

/* ---- places ------------------------------------------------------------- */

void wf_cpool_give_place(struct weft_cpool_in_ *in)
{
    struct weft_waiter_ *w = wf_waitq_pop(&in->waiters);
    if (!w) {
        in->places++;
        return;
    }
    in->waiting--;
    in->granted++;
    wf_wake(w->fiber_, 0);
}

static bool abort_wait(weft_fiber *f)
{
    struct weft_cpool_in_ *in = (struct weft_cpool_in_ *)(uintptr_t)f->object;
    in->waiting--;
    return wf_leave_line(f);
}

static const struct wf_wait_kind for_a_connection = {
    .name = "connection of pool",
    .abort = abort_wait,
    .line = offsetof(struct weft_cpool_in_, waiters)};

static int all_are_lent(const struct weft_cpool_in_ *in, const char *file,
                        int line)
{
    const struct wf_cpool_entry *e = in->lent.last;
    const char *name = in->opts.name;
    if (!e)
        return weft_fail_at(-ETIMEDOUT, file, line,
                            "pool %.24s: all %u connections are being opened",
                            name, in->conns);
    return weft_fail_at(-ETIMEDOUT, file, line,
                        "pool %.24s: all %u connections are lent, the first to "
                        "fiber %llu \"%s\"",
                        name, in->lent.count, (unsigned long long)e->fiber,
                        e->name);
}

static int wait_for_place(struct weft_cpool_in_ *in)
{
    int err = weft_pass_(); /* the limit may be none at all */
    if (err < 0) return err;
    if (in->closed) return -ESHUTDOWN; /* by who ran meanwhile */
    if (in->places > 0) {
        in->places--;
        return 0;
    }
    in->waiting++;
    err = wf_waitq_park(&in->waiters, &for_a_connection, in);
    if (err == 0) in->granted--;
    return err;
}

static int take_place(struct weft_cpool_in_ *in, const char *file, int line)
{
    if (in->places > 0) {
        in->places--;
        return 0;
    }
    weft_scope limit;
    weft_time most = in->opts.wait ? in->opts.wait : WEFT_SEC(30);
    weft_scope_init(&limit);
    int err = weft_scope_begin_after(&limit, most, WEFT_FAIL);
    WF_ASSERT(err == 0); /* it is new, and we are in a fiber */
    err = weft_scope_end(&limit, wait_for_place(in));
    if (err != -ETIMEDOUT) return err;
    in->stats.timeouts++;
    return all_are_lent(in, file, line);
}

/* ---- lending ------------------------------------------------------------ */

static void lend(struct weft_cpool_in_ *in, struct wf_cpool_entry *e,
                 const char *file, int line)
{
    const weft_fiber *f = wf_self();
    const char *name = f->name ? f->name : "";
    size_t len = strnlen(name, sizeof e->name - 1);
    memcpy(e->name, name, len);
    e->name[len] = 0;
    e->fiber = f->id;
    e->file = file;
    e->line = line;
    e->link.hash = hash_of(e->conn);
    wf_table_add(&in->lent_table, &e->link);
    wf_cpool_push(&in->lent, e);
    in->stats.gets++;
}

static int get(struct weft_cpool_in_ *in, void **ret_conn, const char *file,
               int line)
{
    struct wf_cpool_entry *e = NULL;
    int err = take_place(in, file, line);
    if (err < 0) return err;
    err = wf_cpool_find_conn(in, &e);
    if (err == 0 && in->closed) { /* while it was being opened */
        wf_cpool_end_conn(in, e);
        err = -ESHUTDOWN;
    }
    wf_cpool_missing(in);
    if (err < 0) {
        wf_cpool_give_place(in);
        return err;
    }
    lend(in, e, file, line);
    *ret_conn = e->conn;
    return 0;
}

static int is_closed(const struct weft_cpool_in_ *in, const char *file,
                     int line)
{
    return weft_fail_at(-ESHUTDOWN, file, line, "pool %.24s is closed",
                        in ? in->opts.name : "");
}

int weft_cpool_get_(weft_cpool *p, void **ret_conn, const char *file, int line)
{
    int err = weft_pass_();
    if (err < 0) return err;
    struct weft_cpool_in_ *in = p->in_;
    if (!in || in->closed) return is_closed(in, file, line);
    in->users++;
    err = get(in, ret_conn, file, line);
    if (err == -ESHUTDOWN && in->closed) err = is_closed(in, file, line);
    wf_cpool_let_go(in);
    return err;
}

/* Are there enough, without this one, for those who wait and for later? */
static bool is_surplus(const struct weft_cpool_in_ *in)
{
    return in->conns > in->opts.size &&
           in->idle.count >= in->waiting + in->granted;
}

static void put(struct weft_cpool_in_ *in, struct wf_cpool_entry *e,
                bool usable)
{
    e->returning = true;
    bool keep = usable && !in->closed &&
                !wf_cpool_is_too_old(in, e, weft_now()) && !is_surplus(in) &&
                wf_cpool_reset_conn(in, e);
    wf_table_remove(&in->lent_table, &e->link);
    wf_cpool_take_out(&in->lent, e);
    e->returning = false;
    if (keep && !in->closed && !is_surplus(in)) /* again: reset may park */
        wf_cpool_make_idle(in, e);
    else
        wf_cpool_end_conn(in, e);
    wf_cpool_missing(in);
    wf_cpool_give_place(in);
}

int weft_cpool_put(weft_cpool *p, void *conn, bool usable)
{
    struct weft_cpool_in_ *in = p->in_;
    if (!wf_self())
        return wf_misuse(-EINVAL, "weft_cpool_put: called outside a fiber");
    struct wf_cpool_entry *e = in ? find_lent(in, conn) : NULL;
    if (!e || e->returning)
        return wf_misuse(-EINVAL,
                         "weft_cpool_put: %p is not lent by pool %.24s: put "
                         "back once what weft_cpool_get has lent",
                         conn, in ? in->opts.name : "(closed)");
    in->users++;
    put(in, e, usable);
    wf_cpool_let_go(in);
    return 0;
}

int weft_cpool_with_(weft_cpool *p, int (*fn)(void *conn, void *arg), void *arg,
                     const char *file, int line)
{
    void *conn = NULL;
    int rc = weft_cpool_get_(p, &conn, file, line);
    if (rc < 0) return rc;
    rc = fn(conn, arg);
    (void)weft_cpool_put(p, conn, rc >= 0);
    return rc;
}

/* ---- opening and closing ------------------------------------------------ */

static int close_with_nursery(void *object)
{
    weft_cpool *p = object;
    struct weft_cpool_in_ *in = p->in_;
    if (!in) return 0;
    in->owned = (weft_owned){0};
    int lent = weft_cpool_close(p, WEFT_FOREVER); /* the shield has an end */
    return lent > 0 ? -EBUSY : lent;
}

static int check(const weft_cpool_opts *o)
{
    if (!o->open)
        return wf_misuse(-EINVAL, "weft_cpool_open: there is no `open`");
    if (o->min_idle > o->size)
        return wf_misuse(-EINVAL,
                         "weft_cpool_open: min_idle is %u, and the size %u",
                         o->min_idle, o->size);
    return 0;
}

int weft_cpool_open(weft_cpool *p, weft_nursery *n, const weft_cpool_opts *o)
{
    weft_cpool_opts opts = *o;
    *p = (weft_cpool){NULL};
    if (!wf_self()) return weft_pass_slow_();
    if (!opts.name) opts.name = "pool";
    if (!opts.size) opts.size = 10;
    if (opts.overflow > UINT32_MAX - opts.size)
        opts.overflow = UINT32_MAX - opts.size;
    int err = check(&opts);
    if (err < 0) return err;

    struct weft_cpool_in_ *in = wf_zalloc(sizeof *in);
    if (!in || wf_table_init(&in->lent_table) < 0) {
        wf_free(in, in ? sizeof *in : 0);
        return weft_fail_at(-ENOMEM, NULL, 0, "pool %.24s: no memory",
                            opts.name);
    }
    in->opts = opts;
    in->places = opts.size + opts.overflow;
    in->users = 1;            /* us */
    in->wakes_at = INT64_MIN; /* there is no keeper to kick */
    in->pool = p;
    p->in_ = in;
    /* On an error it is closed by that. */
    err = weft_own(n, close_with_nursery, p, &in->owned);
    if (err == 0) {
        err = wf_cpool_start_keeper(in, n);
        if (err < 0) (void)weft_disown(in->owned, true);
    }
    wf_cpool_let_go(in);
    return err;
}

/* As many as the record has room for. */
static void name_holders(const struct weft_cpool_in_ *in)
{
    char text[sizeof((weft_error *)0)->msg];
    const struct wf_cpool_entry *e = in->lent.last;
    int len = snprintf(text, sizeof text, "pool %.16s: %u not back",
                       in->opts.name, in->conns);
    for (; e && (size_t)len < sizeof text; e = e->prev) {
        const char *slash = strrchr(e->file, '/');
        len += snprintf(text + len, sizeof text - (size_t)len,
                        "; fiber %llu \"%s\" (%s:%d)",
                        (unsigned long long)e->fiber, e->name,
                        slash ? slash + 1 : e->file, e->line);
    }
    e = in->lent.last;
    (void)weft_fail_at(-EBUSY, e ? e->file : NULL, e ? e->line : 0, "%s", text);
}

static const struct wf_wait_kind to_come_back = {
    .name = "pool's connections to come back",
    .abort = wf_leave_line,
    .line = offsetof(struct weft_cpool_in_, closers)};

/* Those that are being opened and closed count too. */
static void wait_for_all(struct weft_cpool_in_ *in, weft_time within)
{
    weft_scope limit;
    weft_scope_init(&limit);
    int err = weft_scope_begin_after(&limit, within, WEFT_MOVE_ON);
    WF_ASSERT(err == 0); /* it is new, and we are in a fiber */
    err = weft_pass_();
    if (err == 0 && in->conns > 0)
        err = wf_waitq_park(&in->closers, &to_come_back, in);
    err = weft_scope_end(&limit, err);
    (void)err; /* what is left is counted */
}

static void close_idle(struct weft_cpool_in_ *in)
{
    struct wf_cpool_entry *e;
    while ((e = in->idle.first) != NULL) {
        wf_cpool_take_out(&in->idle, e);
        wf_cpool_end_conn(in, e);
    }
}

int weft_cpool_close(weft_cpool *p, weft_time within)
{
    struct weft_cpool_in_ *in = p->in_;
    if (!wf_self()) return weft_pass_slow_();
    if (!in) return 0;
    in->users++;
    in->closed = true;
    if (in->owned.handle_) (void)weft_disown(in->owned, false);
    in->owned = (weft_owned){0};
    in->waiting = 0;
    wf_grant_all(&in->waiters, -ESHUTDOWN);
    if (in->keeper) weft_scope_cancel(in->keeper, 0, "the pool is closed");
    close_idle(in);
    if (in->conns > 0) wait_for_all(in, within);
    unsigned left = in->conns;
    if (left > 0) name_holders(in);
    wf_cpool_let_go(in);
    return left < INT_MAX ? (int)left : INT_MAX;
}

void weft_cpool_stats_read(const weft_cpool *p, weft_cpool_stats *ret)
{
    const struct weft_cpool_in_ *in = p->in_;
    *ret = (weft_cpool_stats){.idle = 0};
    if (!in) return;
    *ret = in->stats;
    ret->idle = in->idle.count;
    ret->lent = in->lent.count;
    ret->waiting = in->waiting;
}
