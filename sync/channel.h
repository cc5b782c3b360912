/* SPDX-License-Identifier: MIT */
/*
 * channel.h - what the two kinds of channels share: of one run (chan.c) and
 * across threads (chan_mt.c).
 *
 * One that crosses threads looks closed, aborted and waited for to the paths
 * of chan.c, for good. So these leave their quick way, where they look at
 * `crosses`, and pay nothing for it otherwise; and they read nothing that
 * another thread may write.
 */
#ifndef WF_CHANNEL_H
#define WF_CHANNEL_H

#include <weft/chan.h>

#include <string.h>

struct wf_channel;

struct weft_chan { /* a handle */
    struct wf_channel *core;
    bool done; /* sends no more */
};

/* The ring follows. */
struct wf_channel {
    _Alignas(16) weft_chan first;
    bool closed, aborted, freed, crosses;
    size_t item_bytes;
    uint64_t entered, left; /* the ring, ever */
    size_t cap;             /* of the ring; 0 from the close on */
    char *in, *out, *end;   /* the next place to fill, and to empty; the end */
    weft_waitq_ receivers, sending, joiners;
    uint64_t passed; /* from hand to hand, never in the ring */
    uint64_t done;   /* of those received, reported done */
    size_t senders;  /* handles that are not done */
    size_t clones;   /* handles allocated */
    size_t bytes;
    void (*drop)(void *item);
};

static inline size_t wf_channel_inside(const struct wf_channel *c)
{
    return (size_t)(c->entered - c->left);
}

static inline void wf_channel_copy(const struct wf_channel *c, void *to,
                                   const void *from)
{
    if (c->item_bytes == 8)
        memcpy(to, from, 8);
    else if (c->item_bytes)
        memcpy(to, from, c->item_bytes);
}

#endif
