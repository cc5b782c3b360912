/* SPDX-License-Identifier: MIT */
/*
 * memory.c - two ends, and a ring of octets each way.
 *
 * A pair is one block, which goes when both ends are closed. flows[i] holds
 * what end i reads and the other one writes. Who waits stands at its own end,
 * and looks at the flows again when it runs: a wake is a hint.
 *
 * A listener is a channel of ends; whoever dials puts the server's end in.
 */
#include <weft/memory.h>

#include <weft/buffer.h>
#include <weft/chan.h>
#include <weft/error.h>
#include <weft/fiber.h>

#include <string.h>

#include "waits.h"

struct flow {
    char *octets;
    size_t from, len;
    bool ended;   /* no more is written */
    bool refused; /* no more is read */
    bool reset;   /* the writer's end has gone without reading all */
};

struct end {
    weft_transport base;
    struct wf_wait *waits;
    unsigned side;
    bool closed;
};

struct pair {
    struct end ends[2];
    struct flow flows[2];
    size_t capacity;
    uint32_t run; /* whose it is; 0: nobody's yet */
};

static struct end *end_of(weft_transport *t)
{
    return (struct end *)(void *)t;
}

static struct pair *pair_of(struct end *e)
{
    return (struct pair *)(void *)(e - e->side); /* its first member */
}

/* All calls are to come from one run. */
static int check_run(uint32_t *run, const char *what)
{
    if (*run == 0) *run = weft_here_.run_;
    if (*run == weft_here_.run_) return 0;
    return weft_fail_at(-EPERM, NULL, 0,
                        "memory: a %s of another run or thread", what);
}

static int check_end(struct end *e)
{
    return e->closed ? -EBADF : check_run(&pair_of(e)->run, "connection");
}

/* ---- octets ------------------------------------------------------------- */

/* The end of the ring, and what comes round. */
static void put(struct flow *f, size_t capacity, const char *data, size_t len)
{
    size_t at = (f->from + f->len) % capacity;
    size_t first = len < capacity - at ? len : capacity - at;
    memcpy(f->octets + at, data, first);
    memcpy(f->octets, data + first, len - first);
    f->len += len;
}

static void take(struct flow *f, size_t capacity, char *buf, size_t len)
{
    size_t first = len < capacity - f->from ? len : capacity - f->from;
    memcpy(buf, f->octets + f->from, first);
    memcpy(buf + first, f->octets, len - first);
    f->from = (f->from + len) % capacity;
    f->len -= len;
}

static ssize_t memory_try_read(weft_transport *t, void *buf, size_t len)
{
    struct end *e = end_of(t);
    struct pair *p = pair_of(e);
    struct flow *f = &p->flows[e->side];
    int err = check_end(e);
    if (err < 0 || len == 0) return err;
    if (f->len == 0)
        return f->refused ? 0 : f->reset ? -ECONNRESET : f->ended ? 0 : -EAGAIN;
    if (len > f->len) len = f->len;
    take(f, p->capacity, buf, len);
    wf_waits_wake(p->ends[!e->side].waits, WEFT_WRITABLE);
    return (ssize_t)len;
}

static ssize_t memory_try_write(weft_transport *t, const void *buf, size_t len)
{
    struct end *e = end_of(t);
    struct pair *p = pair_of(e);
    struct flow *f = &p->flows[!e->side];
    int err = check_end(e);
    if (err < 0) return err;
    if (f->ended || f->refused) return -EPIPE;
    if (len == 0) return 0;
    if (f->len == p->capacity) return -EAGAIN;
    if (len > p->capacity - f->len) len = p->capacity - f->len;
    put(f, p->capacity, buf, len);
    wf_waits_wake(p->ends[!e->side].waits, WEFT_READABLE);
    return (ssize_t)len;
}

/* ---- waiting ------------------------------------------------------------ */

/* Of what a try would say something else than -EAGAIN. */
static int ready_at(struct end *e)
{
    const struct pair *p = pair_of(e);
    const struct flow *in = &p->flows[e->side], *out = &p->flows[!e->side];
    bool read = in->len > 0 || in->ended || in->refused || in->reset;
    bool write = out->len < p->capacity || out->ended || out->refused;
    return (read ? WEFT_READABLE : 0) | (write ? WEFT_WRITABLE : 0);
}

static int memory_wait(weft_transport *t, int events)
{
    struct end *e = end_of(t);
    struct wf_wait w;
    int err = check_end(e);
    if (err < 0) return err;
    err = wf_wait_enter(&e->waits, &w, events);
    if (err < 0) return err;
    int ready = ready_at(e) & w.events;
    if (ready) return wf_wait_leave(&e->waits, &w, ready);
    err = wf_wait_park(&e->waits, &w);
    if (err < 0) return err;
    err = weft_event_wait(&w.news);
    return wf_wait_leave(&e->waits, &w, err < 0 ? err : w.events);
}

/* ---- ends --------------------------------------------------------------- */

static int memory_shutdown_write(weft_transport *t)
{
    struct end *e = end_of(t);
    struct pair *p = pair_of(e);
    int err = check_end(e);
    if (err < 0) return err;
    p->flows[!e->side].ended = true;
    wf_waits_wake(e->waits, WEFT_WRITABLE);
    wf_waits_wake(p->ends[!e->side].waits, WEFT_READABLE);
    return 0;
}

static int memory_shutdown_read(weft_transport *t)
{
    struct end *e = end_of(t);
    struct pair *p = pair_of(e);
    int err = check_end(e);
    if (err < 0) return err;
    p->flows[e->side].refused = true;
    wf_waits_wake(e->waits, WEFT_READABLE);
    wf_waits_wake(p->ends[!e->side].waits, WEFT_WRITABLE);
    return 0;
}

static size_t block_bytes(size_t capacity)
{
    return sizeof(struct pair) + 2 * capacity;
}

static void close_end(struct end *e, bool reset)
{
    struct pair *p = pair_of(e);
    struct flow *in = &p->flows[e->side], *out = &p->flows[!e->side];
    if (e->closed) return;
    e->closed = true;
    out->reset = reset || (in->len > 0 && !out->ended);
    out->ended = in->refused = true;
    in->len = 0;
    wf_waits_close(&e->waits);
    wf_waits_wake(p->ends[!e->side].waits, WEFT_READABLE | WEFT_WRITABLE);
    if (p->ends[!e->side].closed) weft_buffer_free(p, block_bytes(p->capacity));
}

static void memory_close(weft_transport *t)
{
    close_end(end_of(t), false);
}

static const weft_transport_ops memory_ops = {
    .name = "memory",
    .try_read = memory_try_read,
    .try_write = memory_try_write,
    .wait = memory_wait,
    .shutdown_write = memory_shutdown_write,
    .shutdown_read = memory_shutdown_read,
    .close = memory_close,
};

int weft_memory_pair(weft_transport *ret_pair[2], size_t capacity)
{
    if (capacity == 0) capacity = WEFT_MEMORY_BYTES;
    if (capacity > PTRDIFF_MAX / 4) return -ENOMEM;
    struct pair *p = weft_buffer_alloc(block_bytes(capacity));
    if (!p) return -ENOMEM;
    *p = (struct pair){.capacity = capacity, .run = weft_here_.run_};
    for (unsigned i = 0; i < 2; i++) {
        p->ends[i] = (struct end){.base = {&memory_ops}, .side = i};
        p->flows[i].octets = (char *)(p + 1) + i * capacity;
        ret_pair[i] = &p->ends[i].base;
    }
    return 0;
}

/* ---- a listener --------------------------------------------------------- */

struct weft_memory_listener {
    weft_chan *queue; /* of weft_transport *: the servers' ends */
    size_t capacity;
    uint32_t run;
};

/* Nobody will accept it. */
static void refuse(void *item)
{
    close_end(end_of(*(weft_transport **)item), true);
}

weft_memory_listener *weft_memory_listener_new(size_t backlog)
{
    weft_memory_listener *l = weft_buffer_alloc(sizeof *l);
    if (!l) return NULL;
    *l = (weft_memory_listener){.run = weft_here_.run_};
    l->queue =
        weft_chan_new(sizeof(weft_transport *),
                      backlog ? backlog : WEFT_MEMORY_BACKLOG, refuse, 0);
    if (l->queue) return l;
    weft_buffer_free(l, sizeof *l);
    return NULL;
}

void weft_memory_listener_set_capacity(weft_memory_listener *l, size_t capacity)
{
    l->capacity = capacity;
}

/* From the send on *l may be gone. */
int weft_memory_dial(weft_memory_listener *l, weft_transport **ret_transport)
{
    weft_transport *pair[2] = {NULL, NULL};
    int err = weft_checkpoint();
    if (err == 0) err = check_run(&l->run, "listener");
    if (err == 0) err = weft_memory_pair(pair, l->capacity);
    if (err < 0) return err;
    err = weft_chan_send(l->queue, &pair[1]);
    if (err < 0) {
        weft_transport_close(pair[0]);
        weft_transport_close(pair[1]);
        return err == -EPIPE ? -ECONNREFUSED : err;
    }
    *ret_transport = pair[0];
    return 0;
}

static int accepted(int rc)
{
    return rc == 1 ? 0 : rc == -EPIPE ? -EBADF : rc;
}

int weft_memory_accept(weft_memory_listener *l, weft_transport **ret_transport)
{
    int err = check_run(&l->run, "listener");
    return err < 0 ? err : accepted(weft_chan_recv(l->queue, ret_transport));
}

int weft_memory_try_accept(weft_memory_listener *l,
                           weft_transport **ret_transport)
{
    int err = check_run(&l->run, "listener");
    return err < 0 ? err : accepted(weft_chan_tryrecv(l->queue, ret_transport));
}

void weft_memory_listener_close(weft_memory_listener *l)
{
    weft_chan_abort(l->queue);
}

void weft_memory_listener_free(weft_memory_listener *l)
{
    if (!l) return;
    weft_chan_free(l->queue);
    weft_buffer_free(l, sizeof *l);
}
