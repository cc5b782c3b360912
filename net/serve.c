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
#include <weft/socket.h>
#include <weft/time.h>

enum {
    MAX_CONNS = 10000,
    MOST_WAITING = 8192 /* in a backlog; who is refused at a stop may come
                           back for ever */
};

/* A connection has ended, and its place is free. */
void wf_serve_leave(weft_server_ *s, const weft_conn *c, unsigned long *how)
{
    if (s->crew) {
        wf_crew_leave(s, c, how);
        return;
    }
    wf_serve_count_out(s, c, how);
    weft_sem_release(&s->places, 1);
    if (s->live == 0 && s->draining) weft_event_set(&s->none_left);
}

static void give_place(weft_server_ *s)
{
    if (s->crew)
        wf_crew_give_place(s);
    else
        weft_sem_release(&s->places, 1);
}

static void turn_away(weft_server_ *s, weft_conn *c)
{
    int err = 0; /* then he sees an end after all */
    if (s->opts.refuse_by_reset && !c->transport)
        err = weft_set_reset_on_close(c->fd, true);
    (void)err;
    wf_serve_close(c);
    give_place(s);
}

/* Gives a fresh connection to a fiber; the caller has taken a place for it. */
static int start_conn(weft_server_ *s, weft_conn *c)
{
    c->arg = s->arg;
    c->server_ = s;
    c->draining_ = &s->draining;
    c->scope_ = NULL;
    if ((s->peers || s->opts.on_connect) && !wf_serve_admit(s, c)) {
        turn_away(s, c);
        return 0;
    }
    if (s->crew) {
        weft_server_ *to = wf_crew_choose(s);
        c->server_ = to;
        c->draining_ = &to->draining;
        if (to != s) return wf_crew_hand_over(s, to, c);
    } else {
        wf_serve_enter(s);
    }
    weft_spawn_opts o = {.name = s->opts.name,
                         .stack_size = s->opts.stack_size};
    int err = weft_spawn_copy_ex(&s->nursery, wf_serve_conn, c, sizeof *c, &o);
    if (err == 0) return 0;
    wf_serve_close(c);
    wf_serve_leave(s, c, &s->stats->dropped);
    return err;
}

/* ---- accepting ---------------------------------------------------------- */

static int try_fd(weft_server_ *s, weft_conn *c)
{
    c->transport = NULL;
    c->peer.len = sizeof c->peer.sa;
    return weft_try_accept_from(s->listener, &c->fd,
                                (struct sockaddr *)&c->peer.sa, &c->peer.len);
}

static int try_memory(weft_server_ *s, weft_conn *c)
{
    c->fd = (weft_fd){0, 0};
    c->peer.len = 0;
    return weft_memory_try_accept(s->memory, &c->transport);
}

static int try_take(weft_server_ *s, weft_conn *c)
{
    return s->memory ? try_memory(s, c) : try_fd(s, c);
}

static bool is_want_of_room(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS ||
           err == -ENOMEM;
}

/* That there was one to be had is a hint: so who has waited for a descriptor
 * may find that it has gone. */
int wf_serve_take(weft_server_ *s, weft_conn *c, weft_time patience)
{
    int err = try_fd(s, c);
    if (!is_want_of_room(err)) return err;
    wf_crew_lock(s);
    wf_serve_count(&s->stats->starved, 1);
    wf_crew_unlock(s);
    WEFT_FAIL_AFTER(err, patience)
        err = weft_accept(s->listener, &c->fd, &c->peer);
    return err == -ETIMEDOUT ? -EAGAIN : err;
}

static int take_fd(weft_server_ *s, weft_conn *c)
{
    for (;;) {
        int err = weft_wait_ready(s->listener, WEFT_READABLE);
        if (err >= 0) err = wf_serve_take(s, c, WEFT_FOREVER);
        if (err != -EAGAIN) return err;
    }
}

static int take_memory(weft_server_ *s, weft_conn *c)
{
    c->fd = (weft_fd){0, 0};
    c->peer.len = 0;
    return weft_memory_accept(s->memory, &c->transport);
}

static int accept_alone(weft_server_ *s, weft_conn *c)
{
    int err = weft_sem_acquire(&s->places, 1);
    if (err < 0) return err;
    err = s->memory ? take_memory(s, c) : take_fd(s, c);
    if (err < 0) weft_sem_release(&s->places, 1);
    return err;
}

static int say_why_accepting_ended(weft_server_ *s, int err)
{
    char text[WEFT_ADDR_TEXT] = "memory";
    weft_addr at;
    if (err == -ECANCELED) return err;
    if (err == -EBADF)
        return weft_fail_at(err, NULL, 0,
                            "serve: somebody else has closed the listener");
    if (!s->memory && weft_local_addr(s->listener, &at) == 0)
        (void)weft_addr_format(&at, text, sizeof text);
    return weft_fail_at(err, NULL, 0, "serve %s: accept", text);
}

/* Accepts until cancelled. Without memory for one more fiber that connection
 * is closed, and the server goes on. */
static int accept_all(weft_server_ *s)
{
    for (;;) {
        weft_conn c;
        int err = s->crew ? wf_crew_accept(s, &c) : accept_alone(s, &c);
        if (err < 0) return say_why_accepting_ended(s, err);
        err = start_conn(s, &c);
        if (err < 0 && err != -ENOMEM) return err;
    }
}

static int try_place(weft_server_ *s)
{
    return s->crew ? wf_crew_try_place(s) : weft_sem_try(&s->places, 1);
}

/* Connections that the kernel had completed before the stop are served too. */
static void empty_backlog(weft_server_ *s)
{
    weft_conn c;
    for (int i = 0; i < MOST_WAITING && try_place(s) == 0; i++) {
        int err = try_take(s, &c);
        if (err < 0) {
            give_place(s);
            return;
        }
        err = start_conn(s, &c);
        if (err < 0) return;
    }
}

/* One of a crew may have none, and that of others may have been closed. */
static void close_listener(weft_server_ *s)
{
    if (s->memory)
        weft_memory_listener_close(s->memory);
    else if ((!s->crew || s->listens) && weft_fd_number(s->listener) >= 0)
        weft_close(s->listener);
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
    s->input_over = true;
    for (weft_conn *c = s->conns; c; c = c->next_)
        if (!c->busy_) wf_serve_end_input(c);
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

/* ---- the beginning ------------------------------------------------------ */

/* Of systems that cannot tell what listens, accepting will. */
static int check_listener(weft_fd listener)
{
    int number = weft_fd_number(listener), listens = 0;
    socklen_t len = sizeof listens;
    weft_addr at;
    char text[WEFT_ADDR_TEXT] = "no address";
    if (number < 0)
        return weft_fail_at(-EBADF, NULL, 0,
                            "serve: the listener is closed, or never was open");
    int err =
        weft_getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
    if (err == -ENOTSOCK)
        return weft_fail_at(err, NULL, 0, "serve: descriptor %d is no socket",
                            number);
    if (err < 0 || listens) return 0;
    if (weft_local_addr(listener, &at) == 0)
        (void)weft_addr_format(&at, text, sizeof text);
    return weft_fail_at(-EINVAL, NULL, 0,
                        "serve: descriptor %d (%s) does not listen", number,
                        text);
}

static int check(const weft_server_ *s)
{
    if (!s->handler)
        return weft_fail_at(-EINVAL, NULL, 0, "serve: there is no handler");
    if (s->opts.peer_prefix6 > 128)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "serve: a peer_prefix6 of %u bits, of 128",
                            s->opts.peer_prefix6);
    return s->memory ? 0 : check_listener(s->listener);
}

static void set_defaults(weft_serve_opts *o)
{
    if (!o->name) o->name = "conn";
    if (!o->max_conns) o->max_conns = MAX_CONNS;
    if (!o->linger) o->linger = WEFT_MSEC(250);
    if (!o->drain) o->drain = WEFT_SEC(5);
    if (!o->peer_prefix6) o->peer_prefix6 = 128;
}

static int serve(weft_server_ *s, const weft_serve_opts *o)
{
    static const weft_serve_opts defaults;
    weft_serve_stats unseen = {0};
    s->opts = o ? *o : defaults;
    set_defaults(&s->opts);
    struct wf_peers peers = {.limit = s->opts.max_per_peer,
                             .prefix6 = s->opts.peer_prefix6};
    s->stats = s->opts.stats ? s->opts.stats : &unseen;
    s->peers = peers.limit ? &peers : NULL;
    weft_sem_init(&s->places, s->opts.max_conns, s->opts.max_conns);
    int err = check(s);
    if (err < 0) {
        close_listener(s);
        return err;
    }
    unsigned workers = s->memory ? 1 : wf_crew_size(&s->opts);
    return workers > 1 ? wf_crew_serve(s, workers) : wf_serve(s);
}

int weft_serve(weft_fd listener, weft_conn_fn handler, void *arg,
               const weft_serve_opts *o)
{
    if (!weft_self()) return weft_checkpoint(); /* which says so */
    weft_server_ s = {.listener = listener, .handler = handler, .arg = arg};
    return serve(&s, o);
}

int weft_serve_memory(weft_memory_listener *l, weft_conn_fn handler, void *arg,
                      const weft_serve_opts *o)
{
    if (!weft_self()) return weft_checkpoint();
    if (!l)
        return weft_fail_at(-EINVAL, NULL, 0, "serve: there is no listener");
    weft_server_ s = {.memory = l, .handler = handler, .arg = arg};
    return serve(&s, o);
}
