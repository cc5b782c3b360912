/* SPDX-License-Identifier: MIT */
/*
 * cpool.h - a pool of connections, as its three files know it: cpool.c lends
 * them, cpool_conn.c opens, looks at and closes them, and cpool_keeper.c looks
 * after those that are idle.
 */
#ifndef WF_CPOOL_H
#define WF_CPOOL_H

#include <weft/cleanup.h>
#include <weft/cpool.h>
#include <weft/event.h>
#include <weft/scope.h>

#include "sync/child.h"
#include "sync/table.h"

/* A connection. */
struct wf_cpool_entry {
    struct wf_link link; /* lent: in the table, by the connection */
    struct wf_cpool_entry *next, *prev; /* idle: below, above; lent: who was
                                           lent before, after */
    void *conn;
    weft_time opened, idle_since;
    /* Who has it. */
    uint64_t fiber;
    char name[24];
    const char *file;
    int line;
    bool returning; /* it has been put, and is being reset */
};

struct wf_cpool_list {
    struct wf_cpool_entry *first, *last; /* the latest, and the earliest */
    unsigned count;
};

struct weft_cpool_in_ {
    weft_cpool *pool;
    weft_cpool_opts opts;
    weft_owned owned; /* by its nursery */
    struct wf_table lent_table;
    struct wf_cpool_list idle, lent;
    unsigned places; /* that are free */
    unsigned conns;  /* idle, lent, being opened or closed */
    unsigned users;  /* those in a call of the pool, and the keeper */
    bool closed;
    weft_waitq_ waiters; /* for a place: weft_cpool_get */
    unsigned waiting;    /* of those; and who have been given one, but have */
    unsigned granted;    /* not run since */
    weft_waitq_ closers; /* for the last connection: weft_cpool_close */
    weft_scope *keeper;  /* around all it does; NULL: there is none */
    weft_event kick;     /* what the keeper sleeps for has changed */
    weft_time wakes_at;  /* the keeper */
    weft_time retry_at;  /* not before that it opens one again, */
    weft_time pause;     /* ... and so long after the next failure */
    weft_cpool_stats stats;
};

/* ---- cpool.c ------------------------------------------------------------ */

/* A place has become free: it goes to who has waited longest. */
void wf_cpool_give_place(struct weft_cpool_in_ *in);

/* One of `users` less. The memory goes with the last. */
void wf_cpool_let_go(struct weft_cpool_in_ *in);

/* ---- cpool_conn.c: for who has a place, which stays his ----------------- */

void wf_cpool_push(struct wf_cpool_list *l, struct wf_cpool_entry *e);
void wf_cpool_take_out(struct wf_cpool_list *l, struct wf_cpool_entry *e);

/* 0, or why there is none. Parks. */
int wf_cpool_open_conn(struct weft_cpool_in_ *in,
                       struct wf_cpool_entry **ret_entry);

/* Behind a shield. Parks, but is no cancel point. */
void wf_cpool_end_conn(struct weft_cpool_in_ *in, struct wf_cpool_entry *e);
bool wf_cpool_reset_conn(struct weft_cpool_in_ *in, struct wf_cpool_entry *e);

/* The latest that was idle and is good, or a new one; -ESHUTDOWN: the pool is
 * closed. Parks. */
int wf_cpool_find_conn(struct weft_cpool_in_ *in,
                       struct wf_cpool_entry **ret_entry);

bool wf_cpool_is_too_old(const struct weft_cpool_in_ *in,
                         const struct wf_cpool_entry *e, weft_time now);

/* ---- cpool_keeper.c ----------------------------------------------------- */

/* Starts it in nursery *n, if there is something for it to do. */
int wf_cpool_start_keeper(struct weft_cpool_in_ *in, weft_nursery *n);

/* From now on e is idle. */
void wf_cpool_make_idle(struct weft_cpool_in_ *in, struct wf_cpool_entry *e);

/* Fewer may be idle than are to be. */
void wf_cpool_missing(struct weft_cpool_in_ *in);

#endif
