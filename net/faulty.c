/* SPDX-License-Identifier: MIT */
/*
 * faulty.c - a transport that gives trouble, by a plan and by what is drawn.
 *
 * Each direction is a little machine in front of a try: it may say -EAGAIN, hold
 * the try back until a moment, cut it short, or have come to its last trouble.
 * A wait asks the same machines: for a direction that is held back it waits for
 * the moment, for one that is stalled for ever, and else below.
 */
#include <weft/faulty.h>

#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/scope.h>
#include <weft/select.h>
#include <weft/time.h>

#include "waits.h"

struct way {
    weft_faults plan;
    uint64_t calls, octets;
    weft_time due; /* when the try that is held back may go on; 0: none is */
    bool refused;  /* the last try was told -EAGAIN here */
    bool fired;    /* `then` has come */
};

struct faulty {
    weft_transport base;
    weft_transport *below;
    struct way ways[2]; /* reading, writing */
    uint64_t state;     /* of what is drawn */
    bool reset;
    struct wf_wait *waits;
};

enum { READING, WRITING };

static struct faulty *faulty_of(weft_transport *t)
{
    return (struct faulty *)(void *)t;
}

/* Below n, which is not 0: splitmix64. */
static uint64_t draw(uint64_t *state, uint64_t n)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

/* ---- trouble ------------------------------------------------------------ */

static bool is_ended(const struct way *w)
{
    return w->fired && w->plan.then == WEFT_FAULT_END;
}

static bool is_stalled(const struct way *w)
{
    return w->fired && w->plan.then == WEFT_FAULT_STALL;
}

static void forget_below(struct faulty *f)
{
    weft_transport_close(f->below);
    f->below = &wf_transport_gone;
}

/* What a try comes to, once the last trouble has come; 0: it goes on. */
static int last_trouble(struct faulty *f, struct way *w)
{
    const weft_faults *p = &w->plan;
    bool now =
        p->then && !w->fired &&
        (p->at_call ? w->calls >= p->at_call : w->octets >= p->after_octets);
    w->fired = w->fired || now;
    if (now && p->then == WEFT_FAULT_RESET) {
        f->reset = true;
        forget_below(f);
        wf_waits_wake(f->waits, WEFT_READABLE | WEFT_WRITABLE);
    }
    if (f->reset) return -ECONNRESET;
    if (now && p->then == WEFT_FAULT_ERROR) return p->error;
    return is_stalled(w) ? -EAGAIN : 0;
}

static bool is_refused(struct faulty *f, struct way *w)
{
    if (w->refused || !w->plan.again) return w->refused = false;
    return w->refused = draw(&f->state, 100) < w->plan.again;
}

/* Begins to hold a try back, or goes on with that. */
static bool is_held_back(struct faulty *f, struct way *w)
{
    const weft_faults *p = &w->plan;
    if (p->delay <= 0 && p->delay_drawn <= 0) return false;
    if (w->due == 0) {
        weft_time more =
            p->delay_drawn > 0
                ? (weft_time)draw(&f->state, (uint64_t)p->delay_drawn + 1)
                : 0;
        w->due = weft_after(p->delay);
        w->due = w->due < WEFT_FOREVER - more ? w->due + more : WEFT_FOREVER;
    }
    return weft_now() < w->due;
}

static size_t cut(struct faulty *f, const struct way *w, size_t len)
{
    const weft_faults *p = &w->plan;
    size_t most = p->piece && p->piece_drawn
                      ? 1 + (size_t)draw(&f->state, p->piece)
                      : p->piece;
    if (most && len > most) len = most;
    bool counts = p->then && !w->fired && !p->at_call;
    if (counts && len > p->after_octets - w->octets)
        len = (size_t)(p->after_octets - w->octets);
    return len;
}

/* 0 and how many octets may move, or what the try comes to. */
static int begin(struct faulty *f, struct way *w, size_t *len)
{
    w->calls++;
    int err = last_trouble(f, w);
    if (err < 0) return err;
    if (is_ended(w)) return 0;
    if (is_refused(f, w) || is_held_back(f, w)) return -EAGAIN;
    *len = cut(f, w, *len);
    return 0;
}

static ssize_t end(struct way *w, ssize_t n)
{
    if (n != -EAGAIN) w->due = 0;
    if (n > 0) w->octets += (uint64_t)n;
    return n;
}

static ssize_t faulty_try_read(weft_transport *t, void *buf, size_t len)
{
    struct faulty *f = faulty_of(t);
    struct way *w = &f->ways[READING];
    if (len == 0) return 0;
    int err = begin(f, w, &len);
    if (err < 0) return err;
    if (is_ended(w)) return 0;
    return end(w, f->below->ops->try_read(f->below, buf, len));
}

static ssize_t faulty_try_write(weft_transport *t, const void *buf, size_t len)
{
    struct faulty *f = faulty_of(t);
    struct way *w = &f->ways[WRITING];
    if (len == 0) return 0;
    int err = begin(f, w, &len);
    if (err < 0) return err;
    if (is_ended(w)) return -EPIPE;
    return end(w, f->below->ops->try_write(f->below, buf, len));
}

/* ---- waiting ------------------------------------------------------------ */

/* What a fiber that waits for some kinds has to wait for. */
struct outlook {
    int below;        /* of these kinds the transport below knows */
    weft_time moment; /* then one that is held back may go on */
    int then;         /* which that is */
    int now;          /* of these a try would say something at once */
};

static void look_at(struct outlook *o, const struct faulty *f,
                    const struct way *w, int kind)
{
    if (f->reset || is_ended(w)) {
        o->now |= kind;
    } else if (is_stalled(w)) {
        return;
    } else if (w->due > weft_now()) {
        if (w->due < o->moment) o->then = kind;
        if (w->due < o->moment) o->moment = w->due;
    } else {
        o->below |= kind;
    }
}

static struct outlook look(const struct faulty *f, int events)
{
    struct outlook o = {.moment = WEFT_FOREVER};
    if (events & WEFT_READABLE)
        look_at(&o, f, &f->ways[READING], WEFT_READABLE);
    if (events & WEFT_WRITABLE)
        look_at(&o, f, &f->ways[WRITING], WEFT_WRITABLE);
    return o;
}

/* If it was closed underneath, the next try says so. */
static int wait_below(struct faulty *f, const struct outlook *o)
{
    weft_scope limit;
    weft_transport *below = f->below;
    weft_scope_init(&limit);
    weft_scope_set_deadline(&limit, o->moment);
    int err = weft_scope_begin(&limit);
    if (err < 0) return err;
    err = weft_scope_end(&limit, below->ops->wait(below, o->below));
    return err == 0 ? o->then : err == -EBADF ? o->below : err;
}

/* Until the moment comes, or it is closed. */
static int wait_here(struct wf_wait *w, const struct outlook *o)
{
    weft_case c[] = {WEFT_CASE_EVENT(&w->news), WEFT_CASE_AT(o->moment)};
    int i = weft_select(c, 2, 0);
    return i < 0 ? i : w->events;
}

static int faulty_wait(weft_transport *t, int events)
{
    struct faulty *f = faulty_of(t);
    struct wf_wait w;
    int err = wf_wait_enter(&f->waits, &w, events);
    if (err < 0) return err;
    struct outlook o = look(f, w.events);
    if (o.now) return wf_wait_leave(&f->waits, &w, o.now);
    err = wf_wait_park(&f->waits, &w);
    if (err < 0) return err;
    err = o.below ? wait_below(f, &o) : wait_here(&w, &o);
    return wf_wait_leave(&f->waits, &w, err);
}

/* ---- the rest goes below ------------------------------------------------ */

static int faulty_shutdown_write(weft_transport *t)
{
    struct faulty *f = faulty_of(t);
    if (is_stalled(&f->ways[WRITING])) return 0; /* nor does the end move */
    return f->reset ? -ECONNRESET : weft_transport_shutdown_write(f->below);
}

static int faulty_shutdown_read(weft_transport *t)
{
    struct faulty *f = faulty_of(t);
    return f->reset ? -ECONNRESET : weft_transport_shutdown_read(f->below);
}

static int faulty_peer_addr(weft_transport *t, weft_addr *ret_addr)
{
    return weft_transport_peer_addr(faulty_of(t)->below, ret_addr);
}

static void faulty_close(weft_transport *t)
{
    struct faulty *f = faulty_of(t);
    wf_waits_close(&f->waits);
    forget_below(f);
    weft_buffer_free(f, sizeof *f);
}

static const weft_transport_ops faulty_ops = {
    .name = "faulty",
    .try_read = faulty_try_read,
    .try_write = faulty_try_write,
    .wait = faulty_wait,
    .shutdown_write = faulty_shutdown_write,
    .shutdown_read = faulty_shutdown_read,
    .close = faulty_close,
    .peer_addr = faulty_peer_addr,
};

weft_transport *weft_faulty_new(weft_transport *below,
                                const weft_faulty_opts *o)
{
    struct faulty *f = weft_buffer_alloc(sizeof *f);
    if (!f) return NULL;
    *f = (struct faulty){.base = {&faulty_ops},
                         .below = below,
                         .ways = {{.plan = o->read}, {.plan = o->write}},
                         .state = o->seed};
    return &f->base;
}

/* ---- drawn -------------------------------------------------------------- */

static weft_faults draw_way(uint64_t *state)
{
    weft_faults p = {0};
    if (draw(state, 2))
        p.piece = 1 + (size_t)draw(state, draw(state, 2) ? 4 : 4096);
    p.piece_drawn = draw(state, 2);
    if (draw(state, 2)) p.again = (unsigned)draw(state, 101);
    if (draw(state, 3) == 0) p.delay_drawn = WEFT_MSEC(1 + draw(state, 1000));
    if (draw(state, 4) == 0) {
        p.then = draw(state, 2) ? WEFT_FAULT_RESET : WEFT_FAULT_END;
        p.after_octets = draw(state, draw(state, 2) ? 64 : 65536);
    }
    return p;
}

void weft_faulty_draw(weft_faulty_opts *ret_opts, uint64_t seed)
{
    uint64_t state = seed;
    *ret_opts = (weft_faulty_opts){.seed = seed};
    ret_opts->read = draw_way(&state);
    ret_opts->write = draw_way(&state);
}
