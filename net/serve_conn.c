/* SPDX-License-Identifier: MIT */
/*
 * serve_conn.c - one connection: its handler, its deadline, its end.
 */
#include "serve.h"

#include <weft/fiber.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/time.h>

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

/* As which it is counted. */
static unsigned long *what_came_of(const weft_conn *c, int rc)
{
    weft_serve_stats *to = c->server_->stats;
    if (rc >= 0) return &to->done;
    if (rc == -ECONNRESET || rc == -EPIPE) return &to->lost;
    if (weft_scope_caught(c->scope_)) return &to->timed_out;
    if (rc == -ECANCELED && weft_cancelled()) return &to->cancelled;
    return &to->failed;
}

static int run(weft_conn *c)
{
    weft_server_ *s = c->server_;
    weft_scope scope;
    const weft_addr peer = c->peer; /* as which it is counted */
    weft_time begun = s->opts.on_end ? weft_now() : 0;
    weft_time deadline = s->opts.deadline ? s->opts.deadline : WEFT_FOREVER;
    c->scope_ = &scope;
    c->busy_ = false;
    link_conn(s, c);
    if (s->input_over) wf_serve_end_input(c);
    weft_scope_init(&scope);
    int rc = weft_scope_begin_after(&scope, deadline, WEFT_FAIL);
    if (rc == 0) rc = weft_scope_end(&scope, s->handler(c));
    unlink_conn(s, c);
    unsigned long *how = what_came_of(c, rc);
    if (s->opts.on_end) s->opts.on_end(c, rc, weft_now() - begun);
    wf_serve_close(c);
    c->peer = peer;
    wf_serve_leave(s, c, how);
    /* That a peer has gone, or was slow, is no failure of the server's. */
    return how == &s->stats->lost || how == &s->stats->timed_out ? 0 : rc;
}

int wf_serve_conn(void *conn)
{
    weft_conn *c = conn;
    return c->transport ? wf_serve_transport(c, run) : run(c);
}

/* The handler may have done so already; then there is nothing to do. */
void wf_serve_close(weft_conn *c)
{
    if (c->transport)
        weft_transport_close(c->transport);
    else if (weft_fd_number(c->fd) >= 0)
        weft_close(c->fd);
}

void wf_serve_end_input(weft_conn *c)
{
    int err = c->transport ? weft_transport_shutdown_read(c->transport)
                           : weft_shutdown_read(c->fd);
    (void)err; /* its peer may have gone already */
}

void weft_conn_set_busy(weft_conn *c, bool busy)
{
    c->busy_ = busy;
    if (!busy && c->server_->input_over) wf_serve_end_input(c);
}

void weft_conn_set_deadline(weft_conn *c, weft_time t)
{
    if (c->scope_) weft_scope_set_deadline(c->scope_, t);
}

void weft_conn_stream(weft_conn *c, weft_stream *s)
{
    if (c->transport)
        weft_stream_init_transport(s, c->transport);
    else
        weft_stream_init(s, c->fd);
}
