/* SPDX-License-Identifier: MIT */
/*
 * serve.c - accept, hand to a fiber, and stop in an orderly way, on one worker.
 *
 * The connections live in a nursery of their own behind a shield, so that a
 * stop reaches the accepting fiber first, and nobody else. Stopping goes
 *
 *     cancelled -> take what the backlog holds, close the listener
 *               -> `linger`: handlers finish what they are at
 *               -> idle connections get an end of input
 *               -> `drain` is over: the shield's deadline cancels the rest
 *
 * in one fiber, with each wait bounded by the one scope around it.
 */
#include "serve.h"

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/time.h>

enum { MAX_CONNS = 10000 };

static void link_conn(weft_server_ *s, weft_conn *c)
{
    c->prev_ = NULL;
    c->next_ = s->conns;
    if (c->next_) c->next_->prev_ = c;
    s->conns = c;
}

static void unlink_conn(weft_server_ *s, weft_conn *c)
{
    *(c->prev_ ? &c->prev_->next_ : &s->conns) = c->next_;
    if (c->next_) c->next_->prev_ = c->prev_;
}

/* A connection has ended, and its place is free. */
static void leave(weft_server_ *s)
{
    if (s->crew) {
        wf_crew_leave(s);
        return;
    }
    weft_sem_release(&s->places, 1);
    if (--s->live == 0 && s->draining) weft_event_set(&s->none_left);
}

static int run_conn(void *arg)
{
    weft_conn *c = arg;
    weft_server_ *s = c->server_;
    link_conn(s, c);
    int rc = s->handler(c);
    unlink_conn(s, c);
    /* The handler may have closed it already; then there is nothing to do. */
    if (weft_fd_number(c->fd) >= 0) weft_close(c->fd);
    leave(s);
    /* That a peer has gone is no failure of the server's. */
    return rc == -ECONNRESET || rc == -EPIPE ? 0 : rc;
}

int wf_serve_conn(weft_server_ *s, weft_fd fd)
{
    weft_conn c = {.fd = fd, .arg = s->arg, .server_ = s};
    return run_conn(&c);
}

bool weft_conn_draining(const weft_conn *c)
{
    return c->server_->draining;
}

/* Gives a fresh connection to a fiber; the caller has taken a place for it. */
static int start_conn(weft_server_ *s, weft_fd fd)
{
    if (s->crew) {
        weft_server_ *to = wf_crew_choose(s);
        if (to != s) return wf_crew_hand_over(s, to, fd);
    } else {
        s->live++;
    }
    weft_conn c = {.fd = fd, .arg = s->arg, .server_ = s};
    weft_spawn_opts o = {.name = s->opts.name,
                         .stack_size = s->opts.stack_size};
    int err = weft_spawn_copy_ex(&s->nursery, run_conn, &c, sizeof c, &o);
    if (err == 0) return 0;
    weft_close(fd);
    leave(s);
    return err;
}

static int accept_alone(weft_server_ *s, weft_fd *ret_conn)
{
    int err = weft_sem_acquire(&s->places, 1);
    if (err < 0) return err;
    err = weft_accept(s->listener, ret_conn, NULL);
    if (err < 0) weft_sem_release(&s->places, 1);
    return err;
}

/* Accepts until cancelled. Without memory for one more fiber that connection
 * is closed, and the server goes on. */
static int accept_all(weft_server_ *s)
{
    for (;;) {
        weft_fd fd;
        int err = s->crew ? wf_crew_accept(s, &fd) : accept_alone(s, &fd);
        if (err < 0) return err;
        err = start_conn(s, fd);
        if (err < 0 && err != -ENOMEM) return err;
    }
}

static int try_place(weft_server_ *s)
{
    return s->crew ? wf_crew_try_place(s) : weft_sem_try(&s->places, 1);
}

static void give_place(weft_server_ *s)
{
    if (s->crew)
        wf_crew_give_place(s);
    else
        weft_sem_release(&s->places, 1);
}

/* Connections that the kernel had completed before the stop are served too. */
static void empty_backlog(weft_server_ *s)
{
    weft_fd fd;
    while (try_place(s) == 0) {
        int err = weft_try_accept(s->listener, &fd, NULL);
        if (err < 0) {
            give_place(s);
            return;
        }
        err = start_conn(s, fd);
        if (err < 0) return;
    }
}

/* One of a crew may have none. */
static void close_listener(weft_server_ *s)
{
    if (!s->crew || s->listens) weft_close(s->listener);
}

/* The accepting fiber: outside the shield, so a stop reaches it at once. */
static int acceptor(void *arg)
{
    weft_server_ *s = arg;
    int rc = accept_all(s);
    weft_event_set(&s->accepting_over);
    return rc;
}

static int wait_none_left(void *arg)
{
    weft_server_ *s = arg;
    if (s->crew) return wf_crew_wait_none_left(s);
    return s->live == 0 ? 0 : weft_event_wait(&s->none_left);
}

static int drain(weft_server_ *s)
{
    int err = 0;
    if (s->crew) wf_crew_close(s);
    empty_backlog(s);
    close_listener(s);
    if (s->crew) err = wf_crew_stop_listening(s);
    s->draining = true;
    if (err == 0)
        err = weft_move_on_after(s->opts.linger, wait_none_left, s, NULL);
    if (err < 0) return err;
    for (weft_conn *c = s->conns; c; c = c->next_) {
        err = weft_shutdown_read(c->fd);
        (void)err; /* its peer may have gone already */
    }
    return wait_none_left(s);
}

/* The connections, inside the shield. */
static int serve_shielded(weft_server_ *s, weft_nursery *acceptors)
{
    weft_scope shield;
    weft_scope_init(&shield);
    int rc = weft_scope_begin_after(&shield, WEFT_FOREVER,
                                    (unsigned)WEFT_SHIELD_ | WEFT_MOVE_ON);
    if (rc < 0) return rc;
    const weft_nursery_opts o = {.name = "connections",
                                 .policy = WEFT_SUPERVISE};
    rc = weft_nursery_open(&s->nursery, &o);
    if (rc == 0) {
        rc = weft_spawn(acceptors, acceptor, s);
        if (rc == 0) rc = weft_event_wait(&s->accepting_over);
        weft_scope_set_deadline(&shield, weft_after(s->opts.drain));
        if (rc == 0) rc = drain(s);
        rc = weft_nursery_close(&s->nursery, rc);
    }
    return weft_scope_end(&shield, rc);
}

int wf_serve(weft_server_ *s)
{
    weft_nursery acceptors;
    int rc = weft_nursery_open(&acceptors, NULL);
    if (rc == 0) {
        if (s->crew) rc = wf_crew_call(s, &acceptors);
        if (rc == 0) rc = serve_shielded(s, &acceptors);
        rc = weft_nursery_close(&acceptors, rc);
    }
    if (!s->draining) { /* it never came to that */
        if (s->crew) wf_crew_close(s);
        close_listener(s);
    }
    return rc;
}

int weft_serve(weft_fd listener, weft_conn_fn handler, void *arg,
               const weft_serve_opts *o)
{
    if (!weft_self()) return weft_checkpoint(); /* which says so */
    weft_server_ s = {.listener = listener, .handler = handler, .arg = arg};
    if (o) s.opts = *o;
    if (!s.opts.name) s.opts.name = "conn";
    if (!s.opts.max_conns) s.opts.max_conns = MAX_CONNS;
    if (!s.opts.linger) s.opts.linger = WEFT_MSEC(250);
    if (!s.opts.drain) s.opts.drain = WEFT_SEC(5);
    weft_sem_init(&s.places, s.opts.max_conns, s.opts.max_conns);
    unsigned workers = wf_crew_size(&s.opts);
    return workers > 1 ? wf_crew_serve(&s, workers) : wf_serve(&s);
}
