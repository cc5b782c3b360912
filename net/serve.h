/* SPDX-License-Identifier: MIT */
/*
 * net/serve.h - a server, as its parts know it.
 *
 * serve.c is a server on one worker: it accepts and stops. serve_conn.c runs
 * the handler of one connection, serve_count.c says who may come in and counts,
 * serve_peers.c knows who has how many, and serve_memory.c is what is different
 * without sockets. A server on several workers is as many of these, and what
 * they share is their crew, which is serve_workers.c. Where a server may be one
 * of a crew, the others ask.
 */
#ifndef NET_SERVE_H
#define NET_SERVE_H

#include <weft/event.h>
#include <weft/nursery.h>
#include <weft/sem.h>
#include <weft/serve.h>
#include <weft/token.h>

struct wf_crew;
struct wf_peer;

/* How many connections each address has. */
struct wf_peers {
    struct wf_peer *root;
    unsigned limit;
    unsigned prefix6; /* bits of an IPv6 address that count */
};

struct weft_server_ {
    weft_fd listener;
    weft_memory_listener *memory; /* instead, or NULL */
    weft_conn_fn handler;
    void *arg;
    weft_serve_opts opts;
    weft_conn *conns; /* those that run here */
    weft_sem places;  /* alone */
    weft_event accepting_over;
    weft_event none_left; /* alone: set when draining has let the last one go */
    unsigned live;        /* connections that are here, or on their way */
    bool draining;
    bool input_over;      /* so is that of connections which begin now */
    weft_nursery nursery; /* of those that were accepted here */

    /* Of all of a crew, and its lock's. */
    weft_serve_stats *stats; /* never NULL */
    struct wf_peers *peers;  /* NULL: no limit */

    /* One of a crew. From `listens` on all belongs to its lock, as `live`. */
    struct wf_crew *crew; /* NULL: alone */
    unsigned worker;
    bool listens;
    bool open;        /* takes connections from the others */
    uint64_t turn;    /* waits for a place; who has the least is next. 0: no */
    weft_token *bell; /* somebody here waits for another worker to ring it */
};

/* One writer at a time, and readers on any thread. */
static inline void wf_serve_count(unsigned long *counter, long by)
{
    __atomic_store_n(counter, *counter + (unsigned long)by, __ATOMIC_RELAXED);
}

/* ---- serve.c ------------------------------------------------------------ */

/* Serves until cancelled. */
int wf_serve(weft_server_ *s);

/* Takes a connection that waits at the listener, if there is one; else -EAGAIN.
 * Without a descriptor it waits for one for so long. */
int wf_serve_take(weft_server_ *s, weft_conn *c, weft_time patience);

/* A connection has ended: as `how`, a counter. Its place is free. */
void wf_serve_leave(weft_server_ *s, const weft_conn *c, unsigned long *how);

/* ---- serve_count.c ------------------------------------------------------ */

/* May it come in? If not, that has been counted. */
bool wf_serve_admit(weft_server_ *s, const weft_conn *c);

/* A connection is active from now on, and no more. The crew's lock is held. */
void wf_serve_enter(weft_server_ *s);
void wf_serve_count_out(weft_server_ *s, const weft_conn *c,
                        unsigned long *how);

/* ---- serve_conn.c ------------------------------------------------------- */

/* Runs the handler in this fiber; the connection has been counted. */
int wf_serve_conn(void *conn);

/* Closes what is open of it. */
void wf_serve_close(weft_conn *c);

/* It reads an end, when it has read what has come. */
void wf_serve_end_input(weft_conn *c);

/* ---- serve_peers.c ------------------------------------------------------ */

/* One more of that address: 0; -EBUSY: it has as many as it may; -ENOMEM. */
int wf_peers_enter(struct wf_peers *p, const weft_addr *a);

/* One less. */
void wf_peers_leave(struct wf_peers *p, const weft_addr *a);

/* ---- serve_memory.c ----------------------------------------------------- */

/* As wf_serve_conn, over a transport that the handler may close. */
int wf_serve_transport(weft_conn *c, int (*run)(weft_conn *c));

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

/* What belongs to the lock may be used. Nothing happens without a crew. */
void wf_crew_lock(weft_server_ *s);
void wf_crew_unlock(weft_server_ *s);

/* Waits for a connection and for a place, and takes both. */
int wf_crew_accept(weft_server_ *s, weft_conn *c);

/* Takes a place that is free now, or returns -EAGAIN; and gives it back. */
int wf_crew_try_place(weft_server_ *s);
void wf_crew_give_place(weft_server_ *s);

/* Who is to serve a connection that s has accepted; it is counted there. */
weft_server_ *wf_crew_choose(weft_server_ *s);

/* Does so with *c, which is closed in any case. */
int wf_crew_hand_over(weft_server_ *s, weft_server_ *to, const weft_conn *c);

/* A connection of s has ended, on whichever worker that is said. */
void wf_crew_leave(weft_server_ *s, const weft_conn *c, unsigned long *how);

/* s listens no more. Waits until none does, for a while: whose connection is
 * ended here would come back there, into a backlog that is about to be reset. */
int wf_crew_stop_listening(weft_server_ *s);

/* Waits until s, which is closed, has no connection. */
int wf_crew_wait_none_left(weft_server_ *s);

#endif
