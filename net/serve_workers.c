/* SPDX-License-Identifier: MIT */
/*
 * serve_workers.c - one server on several workers.
 *
 * Each worker has a server of its own, a child of the first. Where the kernel
 * deals connections out to several listeners each has one; else the first
 * accepts for all. Who has accepted gives the connection to the one with the
 * fewest, if that has clearly fewer: as the number of a released descriptor, in
 * a child that runs there. So a connection is a child of who accepted it, and
 * fails, is cancelled and ends as any child elsewhere; and it is counted, told of
 * a stop and given the end of its input where it runs.
 *
 * What they share is behind a lock that is taken when a connection comes and
 * when it goes. Rules, under the lock:
 *
 *   - No place is free while somebody waits for one: who ends gives it to who
 *     has waited longest, on whichever worker.
 *   - Nobody sends to a server that is closed. What is on its way is counted
 *     where it goes, and so who drains there waits for it.
 *   - Nobody keeps a place while waiting for a connection. With the listeners
 *     apart, those who have no visitors would keep them from those who do.
 *
 * At a stop all close their listeners before any tells its connections of it:
 * see wf_crew_stop_listening.
 *
 * What another worker has to bring about is waited for in a scope linked to a
 * token, the bell: to ring it takes no memory, and so cannot fail.
 */
#include "serve.h"

#include <weft/addr.h>
#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/time.h>
#include <weft/workers.h>

#include <pthread.h>

struct wf_crew {
    pthread_mutex_t lock;
    unsigned size;
    unsigned places;  /* free */
    uint64_t turns;   /* given so far to those who wait for a place */
    bool many_listen; /* here and like this: */
    weft_addr address;
    weft_listen_opts like_first;
    weft_server_ servers[]; /* the first is the caller's */
};

static const weft_time no_memory_for = WEFT_MSEC(10), /* then look again */
    no_descriptor_for = WEFT_MSEC(20);

static void lock(struct wf_crew *c)
{
    (void)pthread_mutex_lock(&c->lock);
}

static void unlock(struct wf_crew *c)
{
    (void)pthread_mutex_unlock(&c->lock);
}

void wf_crew_lock(weft_server_ *s)
{
    if (s->crew) lock(s->crew);
}

void wf_crew_unlock(weft_server_ *s)
{
    if (s->crew) unlock(s->crew);
}

/* ---- waiting for another worker ----------------------------------------- */

static void ring(weft_server_ *s)
{
    if (s->bell) weft_token_cancel(s->bell, 0, NULL);
}

/* Parks until the bell has been rung, or, without memory, for a while. */
static int listen_for(weft_token *bell)
{
    weft_scope s;
    weft_scope_init(&s);
    int err = weft_scope_begin(&s);
    if (err < 0) return err;
    bool linked = bell && weft_scope_link(&s, bell) == 0;
    return weft_scope_end(&s,
                          weft_sleep(linked ? WEFT_FOREVER : no_memory_for));
}

/* For something that stays true; who makes it so rings. A bell rings once, and may
 * have been rung for something else: so each time it is another one. */
static int wait_until(weft_server_ *s, bool (*is_so)(const weft_server_ *s))
{
    int err = 0;
    lock(s->crew);
    while (err == 0 && !is_so(s)) {
        weft_token *bell = s->bell = weft_token_new(NULL);
        unlock(s->crew);
        err = listen_for(bell);
        lock(s->crew);
        s->bell = NULL;
        weft_token_unref(bell);
    }
    unlock(s->crew);
    return err;
}

/* ---- places ------------------------------------------------------------- */

static weft_server_ *first_in_line(struct wf_crew *c)
{
    weft_server_ *first = NULL;
    for (weft_server_ *s = c->servers; s < c->servers + c->size; s++)
        if (s->turn && (!first || s->turn < first->turn)) first = s;
    return first;
}

static void give_place(struct wf_crew *c)
{
    weft_server_ *first = first_in_line(c);
    if (!first) {
        c->places++;
        return;
    }
    first->turn = 0;
    ring(first);
}

void wf_crew_give_place(weft_server_ *s)
{
    lock(s->crew);
    give_place(s->crew);
    unlock(s->crew);
}

int wf_crew_try_place(weft_server_ *s)
{
    lock(s->crew);
    bool free = s->crew->places > 0;
    if (free) s->crew->places--;
    unlock(s->crew);
    return free ? 0 : -EAGAIN;
}

static bool has_place(const weft_server_ *s)
{
    return s->turn == 0;
}

static int take_place(weft_server_ *s)
{
    struct wf_crew *c = s->crew;
    lock(c);
    bool waits = c->places == 0;
    if (waits)
        s->turn = ++c->turns;
    else
        c->places--;
    unlock(c);
    if (!waits) return 0;

    int err = wait_until(s, has_place);
    if (err == 0) return 0;
    lock(c);
    if (has_place(s)) err = 0; /* it is given all the same, and is kept */
    s->turn = 0;
    unlock(c);
    return err;
}

/* ---- accepting ---------------------------------------------------------- */

int wf_crew_accept(weft_server_ *s, weft_conn *conn)
{
    if (!s->listens) return weft_sleep(WEFT_FOREVER);
    for (;;) {
        int err = weft_wait_ready(s->listener, WEFT_READABLE);
        if (err < 0) return err;
        err = take_place(s);
        if (err < 0) return err;
        err = wf_serve_take(s, conn, no_descriptor_for);
        if (err == 0) return 0;
        wf_crew_give_place(s);
        if (err != -EAGAIN) return err;
    }
}

/* ---- handing over ------------------------------------------------------- */

/* One that accepts too is left alone within a quarter: for the kernel deals
 * evenly in the long run, and what stays costs nothing. */
static weft_server_ *least_loaded(weft_server_ *s)
{
    struct wf_crew *c = s->crew;
    weft_server_ *least = s;
    for (weft_server_ *at = c->servers; at < c->servers + c->size; at++)
        if (at->open && at->live < least->live) least = at;
    unsigned margin = least->listens ? least->live / 4 : 0;
    return s->live > least->live + margin ? least : s;
}

weft_server_ *wf_crew_choose(weft_server_ *s)
{
    lock(s->crew);
    weft_server_ *to = s->open ? least_loaded(s) : s;
    wf_serve_enter(to);
    if (to != s) wf_serve_count(&s->stats->handed_over, 1);
    unlock(s->crew);
    return to;
}

void wf_crew_leave(weft_server_ *s, const weft_conn *c, unsigned long *how)
{
    lock(s->crew);
    give_place(s->crew);
    wf_serve_count_out(s, c, how);
    if (s->live == 0 && !s->open) ring(s);
    unlock(s->crew);
}

/* A connection whose descriptor is only a number, on its way. */
struct arrival {
    weft_conn conn;
    int number;
};

static void drop(const struct arrival *a)
{
    weft_server_ *s = a->conn.server_;
    weft_close_released(a->number);
    wf_crew_leave(s, &a->conn, &s->stats->dropped);
}

/* Where there is no memory for it the connection is closed: there it would not
 * have run (weft/workers.h), or its descriptor cannot be adopted. */
static int arrive(void *arg)
{
    struct arrival *a = arg;
    if (weft_worker() == a->conn.server_->worker &&
        weft_fd_adopt(a->number, &a->conn.fd) == 0)
        return wf_serve_conn(&a->conn);
    drop(a);
    return 0;
}

int wf_crew_hand_over(weft_server_ *s, weft_server_ *to, const weft_conn *c)
{
    const struct arrival a = {.conn = *c, .number = weft_fd_release(c->fd)};
    const weft_spawn_opts o = {.name = s->opts.name,
                               .stack_size = s->opts.stack_size,
                               .worker = (int)to->worker};
    int err = weft_spawn_copy_ex(&s->nursery, arrive, &a, sizeof a, &o);
    if (err < 0) drop(&a);
    return err;
}

/* ---- draining ----------------------------------------------------------- */

void wf_crew_close(weft_server_ *s)
{
    lock(s->crew);
    s->open = false;
    unlock(s->crew);
}

static bool none_listens(const weft_server_ *s)
{
    const struct wf_crew *c = s->crew;
    for (const weft_server_ *at = c->servers; at < c->servers + c->size; at++)
        if (at->listens) return false;
    return true;
}

static int wait_none_listens(void *arg)
{
    return wait_until(arg, none_listens);
}

int wf_crew_stop_listening(weft_server_ *s)
{
    struct wf_crew *c = s->crew;
    lock(c);
    s->listens = false;
    if (none_listens(s))
        for (weft_server_ *at = c->servers; at < c->servers + c->size; at++)
            ring(at);
    unlock(c);
    return weft_move_on_after(s->opts.linger, wait_none_listens, s, NULL);
}

static bool has_none(const weft_server_ *s)
{
    return s->live == 0;
}

int wf_crew_wait_none_left(weft_server_ *s)
{
    return wait_until(s, has_none);
}

/* ---- the crew ----------------------------------------------------------- */

/* Without a listener of its own it serves what the others hand over. Nor does it
 * want one when the stop has come first. */
static void listen_too(weft_server_ *s)
{
    struct wf_crew *c = s->crew;
    if (!c->many_listen || weft_cancelled()) return;
    bool listens =
        weft_listen_addr(&s->listener, &c->address, &c->like_first) == 0;
    lock(c);
    s->listens = listens;
    unlock(c);
}

static int serve_elsewhere(void *arg)
{
    weft_server_ *s = arg;
    if (weft_worker() != s->worker) { /* which has no memory for it */
        wf_crew_close(s);
        return 0;
    }
    listen_too(s);
    return wf_serve(s);
}

int wf_crew_call(weft_server_ *s, weft_nursery *n)
{
    struct wf_crew *c = s->crew;
    int err = 0;
    if (s != c->servers) return 0;
    for (unsigned i = 1; i < c->size && err == 0; i++) {
        const weft_spawn_opts o = {.name = "server",
                                   .worker = (int)c->servers[i].worker};
        err = weft_spawn_ex(n, serve_elsewhere, &c->servers[i], &o);
    }
    return err;
}

/* Elsewhere one of the listeners at an address gets all the connections. */
#if defined(__linux__)
enum { KERNEL_DEALS = 1 };
#else
enum { KERNEL_DEALS = 0 };
#endif

/* May there be more listeners at its address, which are made like it? */
static bool is_shared(struct wf_crew *c, weft_fd listener)
{
    return KERNEL_DEALS && weft_listener_opts(listener, &c->like_first) == 0 &&
           c->like_first.reuse_port &&
           weft_local_addr(listener, &c->address) == 0;
}

static void fill(struct wf_crew *c, const weft_server_ *like, unsigned size)
{
    *c = (struct wf_crew){.size = size, .places = like->opts.max_conns};
    (void)pthread_mutex_init(&c->lock, NULL);
    c->many_listen = is_shared(c, like->listener);
    for (unsigned i = 0; i < size; i++) {
        weft_server_ *s = &c->servers[i];
        *s = *like;
        s->crew = c;
        s->worker = (weft_worker() - 1 + i) % weft_workers() + 1;
        s->open = true;
        s->listens = i == 0;
        if (i > 0) s->listener = (weft_fd){0, 0};
    }
}

unsigned wf_crew_size(const weft_serve_opts *o)
{
    unsigned all = weft_workers();
    return o->workers > 0 && o->workers < all ? o->workers : all;
}

int wf_crew_serve(const weft_server_ *s, unsigned size)
{
    size_t bytes = sizeof(struct wf_crew) + size * sizeof *s;
    struct wf_crew *c = weft_buffer_alloc(bytes);
    if (!c) {
        weft_close(s->listener);
        return weft_fail(-ENOMEM, "serve: no memory for %u workers", size);
    }
    fill(c, s, size);
    int rc = wf_serve(&c->servers[0]);
    (void)pthread_mutex_destroy(&c->lock);
    weft_buffer_free(c, bytes);
    return rc;
}
