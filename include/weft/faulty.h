/* SPDX-License-Identifier: MIT */
/*
 * weft/faulty.h (net) - a transport that gives trouble, to test a protocol.
 *
 *     weft_faulty_opts o = {.read = {.piece = 1},
 *                           .write = {.then = WEFT_FAULT_RESET,
 *                                     .after_octets = 100}};
 *     weft_transport *t = weft_faulty_new(below, &o);
 *     weft_stream_init_transport(&s, t);
 *
 * Or all of it drawn from one number, which a failing test prints:
 *
 *     weft_faulty_draw(&o, seed);
 *
 * It stands around any transport: a pair in memory (weft/memory.h), or a
 * descriptor (weft_transport_of_fd), and does the same in each run with the
 * same seed. Time passes in waits, so on the virtual clock it costs none.
 */
#ifndef WEFT_FAULTY_H
#define WEFT_FAULTY_H

#include <weft/base.h>
#include <weft/transport.h>

WEFT_BEGIN_DECLS

typedef enum weft_fault_kind {
    WEFT_FAULT_NONE,
    WEFT_FAULT_RESET, /* -ECONNRESET both ways, for good; the transport below
                         is closed there and then, so that its peer sees it */
    WEFT_FAULT_END,   /* reads: the end; writes: -EPIPE; for good */
    WEFT_FAULT_STALL, /* nothing moves any more, and waits last for ever */
    WEFT_FAULT_ERROR  /* `error`, once; the next try is as if it had not been */
} weft_fault_kind;

/** Of one direction; zeroed: no trouble. */
typedef struct weft_faults {
    size_t piece;          /* a try moves so many octets at most; 0: all */
    bool piece_drawn;      /* 1 to `piece` of them, drawn */
    unsigned again;        /* of 100 tries so many say -EAGAIN, drawn; after
                               such a one the next is in earnest */
    weft_time delay;       /* what is asked for moves so long after that, */
    weft_time delay_drawn; /* and up to so much longer, drawn */
    weft_fault_kind then;  /* comes at last, */
    uint64_t after_octets; /* when exactly so many have moved, */
    uint64_t at_call;      /* or, if not 0, at this try; the first is 1 */
    int error;             /* of WEFT_FAULT_ERROR, below 0 */
} weft_faults;

typedef struct weft_faulty_opts {
    weft_faults read, write;
    uint64_t seed; /* of what is drawn */
} weft_faulty_opts;

/**
 * A transport over `below`, which it takes over and closes. NULL: no memory;
 * `below` is still the caller's. `o` is copied.
 */
WEFT_MUST weft_transport *weft_faulty_new(weft_transport *below,
                                          const weft_faulty_opts *o);

/** Draws a plan from `seed`: of each kind of trouble some, in some of them. It
 *  may end in a reset or an end, and never stalls. */
WEFT_API void weft_faulty_draw(weft_faulty_opts *ret_opts, uint64_t seed);

WEFT_END_DECLS

#endif
