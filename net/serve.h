/* SPDX-License-Identifier: MIT */
/*
 * net/serve.h - a server, as its two halves know it.
 *
 * serve.c is a server on one worker: it accepts, runs handlers, and stops. A
 * server on several is as many of these, and what they share is their crew,
 * which is serve_workers.c. Where a server may be one of a crew, serve.c asks.
 */
#ifndef NET_SERVE_H
#define NET_SERVE_H

#include <weft/event.h>
#include <weft/nursery.h>
#include <weft/sem.h>
#include <weft/serve.h>
#include <weft/token.h>

struct wf_crew;

struct weft_server_ {
    weft_fd listener;
    weft_conn_fn handler;
    void *arg;
    weft_serve_opts opts;
    weft_conn *conns; /* those that run here */
    weft_sem places;  /* alone */
    weft_event accepting_over;
    weft_event none_left; /* alone: set when draining has let the last one go */
    unsigned live;        /* connections that are here, or on their way */
    bool draining;
    weft_nursery nursery; /* of those that were accepted here */

    /* One of a crew. From `listens` on all belongs to its lock, as `live`. */
    struct wf_crew *crew; /* NULL: alone */
    unsigned worker;
    bool listens;
    bool open;        /* takes connections from the others */
    uint64_t turn;    /* waits for a place; who has the least is next. 0: no */
    weft_token *bell; /* somebody here waits for another worker to ring it */
};

/* ---- serve.c ------------------------------------------------------------ */

/* Serves until cancelled. */
int wf_serve(weft_server_ *s);

/* Runs the handler in this fiber; the connection has been counted. */
int wf_serve_conn(weft_server_ *s, weft_fd fd);

/* ---- serve_workers.c ---------------------------------------------------- */

/* On how many workers one with these options is to run. */
unsigned wf_crew_size(const weft_serve_opts *o);

/* Serves like `s`, here and on so many workers less one. */
int wf_crew_serve(const weft_server_ *s, unsigned size);

/* The first has the others serve, as children of *n. Each is open from then on,
 * also before it has come to that. */
int wf_crew_call(weft_server_ *s, weft_nursery *n);

/* s takes no more connections from the others. */
void wf_crew_close(weft_server_ *s);

/* Waits for a connection and for a place, and takes both. */
int wf_crew_accept(weft_server_ *s, weft_fd *ret_conn);

/* Takes a place that is free now, or returns -EAGAIN; and gives it back. */
int wf_crew_try_place(weft_server_ *s);
void wf_crew_give_place(weft_server_ *s);

/* Who is to serve a connection that s has accepted; it is counted there. */
weft_server_ *wf_crew_choose(weft_server_ *s);

/* Does so with `fd`, which is gone in any case. */
int wf_crew_hand_over(weft_server_ *s, weft_server_ *to, weft_fd fd);

/* A connection of s has ended, on whichever worker that is said. */
void wf_crew_leave(weft_server_ *s);

/* s listens no more. Waits until none does, for a while: whose connection is
 * ended here would come back there, into a backlog that is about to be reset. */
int wf_crew_stop_listening(weft_server_ *s);

/* Waits until s, which is closed, has no connection. */
int wf_crew_wait_none_left(weft_server_ *s);

#endif
