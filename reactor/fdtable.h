/* SPDX-License-Identifier: MIT */
/*
 * fdtable.h - what weft knows of each descriptor, by its number.
 */
#ifndef WF_FDTABLE_H
#define WF_FDTABLE_H

#include <weft/io.h>

#include "reactor/poller.h"
#include "runtime/park.h"

enum wf_fd_kind {
    WF_FD_NONE = 0, /* nothing here, or not any more */
    WF_FD_STREAM,   /* TCP: a short read means that it is empty */
    WF_FD_UNIX,     /* Unix streams, where it may mean a passed descriptor */
    WF_FD_PACKET,   /* and packets, where it means nothing: drained to EAGAIN */
    WF_FD_DATAGRAM, /* other sockets: drained to EAGAIN, many may wait */
    WF_FD_LISTENER, /* many may wait */
    WF_FD_PIPE,     /* pipes, terminals, devices: drained to EAGAIN */
    WF_FD_SHARED,   /* may block, as others have it too: asked each time */
    WF_FD_FILE,     /* always ready */
    WF_FD_FOREIGN   /* another library's; we only wait for it */
};

struct wf_fd { /* one cache line */
    _Alignas(64) int number;
    uint32_t generation; /* never 0, and another one with each opening and
                            closing: a handle that has it is of this opening */
    uint8_t kind;
    uint8_t ready; /* WF_IN, WF_OUT, WF_HUP, as far as is known */
    bool registered;
    uint8_t accepts;              /* a listener: their kind */
    uint32_t close_later : 1;     /* by the last of those who hold the number: */
    uint32_t connected : 1;       /* of datagrams: ICMP is told of it, once */
    uint32_t held : 30;           /* calls that use it on other threads */
    int later; /* of datagrams: the error of the next batch, or 0 */
    weft_waitq_ readers, writers; /* a waiter's n_: the events it
                                     wants; item_: its ticket */
};

enum { WF_FDS_PER_CHUNK = 128 }; /* two pages */

struct wf_fdtable {
    struct wf_fd **chunks; /* entries never move: waiters point at them */
    size_t chunk_count, open;
};

/* The entry of a number, made if need be. NULL: no memory. */
struct wf_fd *wf_fdtable_make(struct wf_fdtable *t, int number);

/* The entry of a number, or NULL if there never was one. */
static inline struct wf_fd *wf_fdtable_at(const struct wf_fdtable *t,
                                          uint32_t number)
{
    size_t chunk = number / WF_FDS_PER_CHUNK;
    if (__builtin_expect(chunk >= t->chunk_count || !t->chunks[chunk], 0))
        return NULL;
    return &t->chunks[chunk][number % WF_FDS_PER_CHUNK];
}

/* Opens an entry as `kind`, in a new generation. */
void wf_fdtable_open(struct wf_fdtable *t, struct wf_fd *e,
                     enum wf_fd_kind kind);

/* Ends the generation. Waiters must be gone. */
void wf_fdtable_close(struct wf_fdtable *t, struct wf_fd *e);

void wf_fdtable_fini(struct wf_fdtable *t);

/* The key under which the poller knows this opening of the entry. */
static inline uint64_t wf_fd_key(const struct wf_fd *e)
{
    return (uint64_t)e->generation << 32 | (uint32_t)e->number;
}

#endif
