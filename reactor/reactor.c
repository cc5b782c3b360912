/* SPDX-License-Identifier: MIT */
/*
 * reactor.c - one turn: descriptors first, then timers.
 *
 * A descriptor is registered once for its life, edge-triggered and both ways,
 * when it first has to wait. Its entry keeps what is known to be ready; an
 * operation whose bit is clear parks without a system call, and an event sets
 * the bit and wakes whoever waits. So a message costs one receive and one
 * send, and hardly any epoll_wait.
 *
 * What is there beats the deadline: events are taken in before timers expire,
 * and both before any fiber runs. A wake is a hint; who is woken tries again.
 *
 * An event carries the key of the registration it is of, with the generation
 * in it; one that comes late, for a descriptor closed meanwhile, finds no
 * entry of that generation and is dropped.
 */
#include "reactor/reactor.h"

#include "reactor/here.h"
#include "runtime/clock.h"
#include "runtime/fork.h"
#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/stats.h"

enum {
    ACCEPT_RETRY_NS = 20000000,
    /* With many timers, those that come due within a millisecond are worth one
     * wake-up together; few are met exactly. */
    MANY_TIMERS = 256,
    GATHER_NS = 1000000,
    LONG_NS = 1000000000, /* a wait that is worth a look at all fibers */
    AHEAD_ENTRY = 12,     /* events */
    AHEAD_FIBER = 6
};

__thread struct wf_reactor *wf_reactor;

/* ---- waiting for a descriptor ------------------------------------------- */

static void count_waiting(struct wf_reactor *r, int by)
{
    r->waiting += (size_t)by;
}

static bool abort_read(weft_fiber *f)
{
    struct wf_fd *e = (struct wf_fd *)(uintptr_t)f->object;
    wf_waitq_remove(&e->readers, &f->waiter);
    count_waiting(wf_reactor, -1);
    return true;
}

static bool abort_write(weft_fiber *f)
{
    struct wf_fd *e = (struct wf_fd *)(uintptr_t)f->object;
    wf_waitq_remove(&e->writers, &f->waiter);
    count_waiting(wf_reactor, -1);
    return true;
}

static int64_t number_of(const void *object)
{
    return ((const struct wf_fd *)object)->number;
}

const struct wf_wait_kind wf_wait_read = {
    .name = "read fd", .number = number_of, .abort = abort_read};
const struct wf_wait_kind wf_wait_write = {
    .name = "write fd", .number = number_of, .abort = abort_write};

static int register_it(struct wf_reactor *r, struct wf_fd *e, unsigned events)
{
    enum wf_poll_mode mode = e->kind == WF_FD_LISTENER  ? WF_LEVEL
                             : e->kind == WF_FD_FOREIGN ? WF_ONCE
                                                        : WF_EDGE;
    int err;
    /* Once and for all who will wait; there is nothing else to wait for. */
    if (mode == WF_LEVEL) events = WF_IN;
    wf_stats.registrations++;
    if (e->registered) {
        err = wf_poller_again(r->poller, e->number, wf_fd_key(e), mode, events);
        if (err != -ENOENT) return err;
        /* Closed by its owner meanwhile, and the number used again. */
        e->registered = false;
        r->registered--;
    }
    err = wf_poller_add(r->poller, e->number, wf_fd_key(e), mode, events);
    if (err == -EEXIST)
        err = wf_poller_again(r->poller, e->number, wf_fd_key(e), mode, events);
    if (err < 0) return err;
    e->registered = true;
    r->registered++;
    return 0;
}

void wf_fd_unregister(struct wf_fd *e)
{
    if (!e->registered) return;
    wf_stats.registrations++;
    wf_poller_remove(wf_reactor->poller, e->number);
    e->registered = false;
    wf_reactor->registered--;
}

/* What all who wait for a foreign descriptor want together. */
static unsigned wanted(const struct wf_fd *e)
{
    unsigned events = 0;
    for (struct weft_waiter_ *w = e->readers.head_; w; w = w->next_)
        events |= w->n_;
    for (struct weft_waiter_ *w = e->writers.head_; w; w = w->next_)
        events |= w->n_;
    return events;
}

/* Tickets come round where a pointer is short, but those in a line are near
 * each other. */
static bool is_later(const struct weft_waiter_ *a, const struct weft_waiter_ *b)
{
    return (intptr_t)((uintptr_t)a->item_ - (uintptr_t)b->item_) > 0;
}

/* By ticket, so that who was woken in vain stands where he stood. */
static void stand_in_line(weft_waitq_ *q, struct weft_waiter_ *w)
{
    struct weft_waiter_ *before = q->tail_;
    while (before && is_later(before, w))
        before = before->prev_;
    if (before == q->tail_) {
        wf_waitq_push(q, w);
        return;
    }
    w->prev_ = before;
    w->next_ = before ? before->next_ : q->head_;
    w->next_->prev_ = w;
    *(before ? &before->next_ : &q->head_) = w;
}

/* 0, or the events if there is no waiting for them, or an error. */
static int step_in(struct wf_reactor *r, struct wf_fd *e, unsigned events,
                   weft_waitq_ *line, struct weft_waiter_ *w, uintptr_t ticket)
{
    if (e->kind == WF_FD_FILE) return -EAGAIN; /* has no way to say when */
    if (!e->registered || e->kind == WF_FD_FOREIGN) {
        int err = register_it(r, e, events | wanted(e));
        if (err == -EPERM) {
            e->kind = WF_FD_FILE; /* always ready, or never to be waited for */
            return (int)events;
        }
        if (err < 0) return err;
    }
    wf_poller_expect(r->poller, e->number, events);
    w->n_ = events;
    w->item_ = (void *)ticket;
    stand_in_line(line, w);
    count_waiting(r, 1);
    return 0;
}

/* Says so if another fiber waits where only one may. It may have several
 * places. */
static int check_alone(const struct wf_fd *e, const weft_waitq_ *line)
{
    if (wf_waitq_empty(line) || line->head_->fiber_ == wf_self() ||
        e->kind == WF_FD_DATAGRAM || e->kind == WF_FD_LISTENER)
        return 0;
    return wf_misuse(-EBUSY,
                     "descriptor %d: another fiber already waits to %s it",
                     e->number, line == &e->writers ? "write" : "read");
}

int wf_fd_wait(weft_fd fd, struct wf_fd *e, unsigned events,
               const struct wf_wait_kind *kind, uintptr_t *ticket)
{
    struct wf_reactor *r = wf_reactor;
    weft_waitq_ *line = kind == &wf_wait_write ? &e->writers : &e->readers;
    int err = check_alone(e, line);
    if (err < 0) return err;
    if (wf_self()->cancelled) return weft_pass_();
    if (*ticket == 0) *ticket = ++r->tickets;
    int got = step_in(r, e, events, line, &wf_self()->waiter, *ticket);
    if (got == 0) got = wf_park(kind, e);
    /* Between the wake and this line the descriptor may have been closed, and
     * its number opened again. */
    if (got >= 0 && e->generation != fd.generation) return -EBADF;
    return got < 0 ? got : got & (int)(events | WF_HUP);
}

int wf_fd_to_write(weft_fd fd)
{
    const struct wf_fd *e = wf_fd_of(fd);
    int err = e ? check_alone(e, &e->writers) : -EBADF;
    return err < 0 ? err : e->number;
}

int wf_fd_wait_turn(weft_fd fd, struct wf_fd *e, uintptr_t *ticket)
{
    if (wf_waitq_empty(&e->writers)) return 0;
    return wf_fd_wait(fd, e, WF_OUT, &wf_wait_write, ticket);
}

int wf_fd_try_turn(const struct wf_fd *e)
{
    if (wf_waitq_empty(&e->writers)) return 0;
    int err = check_alone(e, &e->writers);
    return err < 0 ? err : -EAGAIN;
}

int wf_fd_step_in(weft_fd fd, int events, struct weft_waiter_ *w,
                  weft_waitq_ **ret_line)
{
    struct wf_reactor *r = wf_reactor;
    struct wf_fd *e = wf_fd_of(fd);
    unsigned want = (unsigned)events & (WF_IN | WF_OUT);
    if (!e) return -EBADF;
    weft_waitq_ *line = want == WF_OUT ? &e->writers : &e->readers;
    int err = check_alone(e, line);
    if (err == 0) err = step_in(r, e, want, line, w, ++r->tickets);
    if (err == 0) *ret_line = line;
    return err;
}

void wf_fd_step_out(weft_waitq_ *line, struct weft_waiter_ *w)
{
    wf_waitq_remove(line, w);
    count_waiting(wf_reactor, -1);
}

static void wake_first(weft_waitq_ *q, int result)
{
    struct weft_waiter_ *w = wf_waitq_pop(q);
    if (!w) return;
    count_waiting(wf_reactor, -1);
    wf_grant(w, result);
}

void wf_fd_wake_all(struct wf_fd *e, int result)
{
    while (!wf_waitq_empty(&e->readers))
        wake_first(&e->readers, result);
    while (!wf_waitq_empty(&e->writers))
        wake_first(&e->writers, result);
}

/* Those who wait for either side stand among the readers. The other places of
 * a fiber that is granted one are gone with it. */
static void wake_ready(struct wf_fd *e, unsigned ready)
{
    for (struct weft_waiter_ *w = e->readers.head_, *next; w; w = next) {
        next = w->next_;
        if (!(w->n_ & ready)) continue;
        while (next && next->fiber_ == w->fiber_)
            next = next->next_;
        wf_fd_step_out(&e->readers, w);
        wf_grant(w, (int)ready);
        if (e->kind == WF_FD_LISTENER) {
            /* One connection, one wake: it is his, not a newcomer's. */
            e->ready &= (uint8_t)~WF_IN;
            return;
        }
    }
    if (!(ready & WF_OUT)) return;
    do
        wake_first(&e->writers, (int)ready);
    while (!wf_waitq_empty(&e->writers));
}

static void take_event(struct wf_reactor *r, const struct wf_event *ev)
{
    struct wf_fd *e = wf_fdtable_at(&r->fds, (uint32_t)ev->key);
    if (!e || e->generation != (uint32_t)(ev->key >> 32)) return;
    if (e->kind == WF_FD_LISTENER && wf_waitq_empty(&e->readers)) {
        /* Nobody is waiting: not to be told the same at every turn. Asking for
         * nothing would not do, since a hang-up is told unasked. */
        wf_fd_unregister(e);
    }
    e->ready |= (uint8_t)ev->ready;
    wake_ready(e, ev->ready);
    /* A one-shot registration served one side; the other still waits. */
    if (e->kind == WF_FD_FOREIGN && wanted(e)) {
        int err = register_it(r, e, wanted(e));
        if (err < 0) wf_fd_wake_all(e, err);
    }
}

/* ---- no free descriptor ------------------------------------------------- */

static bool abort_starved(weft_fiber *f)
{
    wf_waitq_remove(&wf_reactor->starved, &f->waiter);
    return true;
}

static const struct wf_wait_kind wait_for_number = {.name = "a free descriptor",
                                                    .abort = abort_starved};

int wf_fd_wait_for_number(void)
{
    struct wf_reactor *r = wf_reactor;
    wf_stats.accept_starved++;
    if (!wf_timer_armed(&r->retry))
        wf_timer_arm(&r->wheel, &r->retry,
                     wf_time_add(wf_now, ACCEPT_RETRY_NS));
    return wf_waitq_park(&r->starved, &wait_for_number, r);
}

void wf_fd_freed(void)
{
    struct weft_waiter_ *w = wf_waitq_pop(&wf_reactor->starved);
    if (w) wf_wake(w->fiber_, 0);
}

/* ---- the turn ----------------------------------------------------------- */

/* With a thousand connections neither the entry nor the fiber of an event is
 * in the cache; a few events ahead there is time to bring them. */
static inline void fetch_entry(const struct wf_reactor *r,
                               const struct wf_event *ev)
{
    const struct wf_fd *e = wf_fdtable_at(&r->fds, (uint32_t)ev->key);
    if (e) __builtin_prefetch(e, 1);
}

static inline void fetch_fiber(const struct wf_reactor *r,
                               const struct wf_event *ev)
{
    const struct wf_fd *e = wf_fdtable_at(&r->fds, (uint32_t)ev->key);
    if (e && e->readers.head_) __builtin_prefetch(e->readers.head_, 1);
}

/* True: there were messages. They were first. */
static bool poll_once(struct wf_reactor *r, int64_t timeout, bool for_good,
                      int *ret_events)
{
    bool sleeps = timeout > 0 && wf_doze_begin(for_good);
    wf_stats.polls++;
    int n =
        wf_poller_wait(r->poller, r->events, WF_EVENTS, sleeps ? timeout : 0);
    wf_clock_update();
    bool messages = sleeps && wf_doze_end();
    for (int i = 0; i < n; i++) {
        if (i + AHEAD_ENTRY < n) fetch_entry(r, &r->events[i + AHEAD_ENTRY]);
        if (i + AHEAD_FIBER < n) fetch_fiber(r, &r->events[i + AHEAD_FIBER]);
        take_event(r, &r->events[i]);
    }
    *ret_events = n;
    return messages;
}

static void expire(struct wf_reactor *r)
{
    struct wf_timer *list = wf_wheel_expire(&r->wheel, wf_now), **at = &list;
    if (!list) return;
    while (*at && *at != &r->retry)
        at = &(*at)->next;
    if (*at) {
        *at = (*at)->next;
        while (!wf_waitq_empty(&r->starved))
            wf_fd_freed();
    }
    if (list) r->opts.expired(list);
}

/* Asks again and again for a while, before sleeping. True: something came. */
static bool spin(struct wf_reactor *r)
{
    int64_t until = wf_time_add(wf_now, r->opts.spin);
    size_t waiting = r->waiting;
    int events;
    while (r->waiting == waiting && wf_wheel_next(&r->wheel) > wf_now) {
        if (__atomic_load_n(&r->kicked, __ATOMIC_RELAXED)) break;
        if (wf_message_waiting()) break;
        if (wf_now >= until) return false;
        (void)poll_once(r, 0, false, &events);
    }
    return true;
}

/* How long there is nothing to do but wait for descriptors and messages. */
static int64_t idle_for(const struct wf_reactor *r)
{
    int64_t next = wf_wheel_next(&r->wheel);
    if (next == INT64_MAX) return INT64_MAX;
    if (wf_clock_is_virtual())
        return next > wf_now && wf_message_expected() ? INT64_MAX : 0;
    if (wf_wheel_count(&r->wheel) > MANY_TIMERS)
        next = wf_time_add(next - next % GATHER_NS, GATHER_NS);
    return next - wf_now;
}

/* In a virtual run, when nothing else moves, time does. An event for nobody is
 * a move too: a poller need not tell all there is at once. */
static void jump(const struct wf_reactor *r)
{
    int64_t next = wf_wheel_next(&r->wheel);
    if (next != INT64_MAX && !wf_message_expected() && !wf_message_waiting())
        wf_clock_jump(next);
}

static void wake(void *self)
{
    struct wf_reactor *r = self;
    wf_poller_wake(r->poller);
}

static enum wf_turned turn(void *self, bool may_block)
{
    struct wf_reactor *r = self;
    size_t waiting = r->waiting;
    int64_t timeout = 0;
    int events = 0;
    bool messages = false, stuck = false;
    wf_clock_update();
    if (may_block) {
        timeout = idle_for(r);
        bool alone = !wf_message_possible() && waiting == 0;
        if (alone && timeout > LONG_NS && timeout < INT64_MAX &&
            !r->opts.expects_timer())
            timeout = INT64_MAX; /* it is armed for what is over already */
        stuck = alone && timeout == INT64_MAX;
        if (stuck && !wf_message_from_kin()) return WF_STUCK;
        bool spins = r->opts.spin > 0 && !wf_clock_is_virtual();
        if (timeout > 0 && spins && spin(r)) timeout = 0;
    }
    if (r->registered > 0 || timeout > 0)
        messages = poll_once(r, timeout, stuck, &events);
    bool kicked = __atomic_load_n(&r->kicked, __ATOMIC_RELAXED);
    if (may_block && wf_clock_is_virtual() && events == 0 && !messages &&
        !kicked)
        jump(r);
    if (__atomic_load_n(&r->kicked, __ATOMIC_RELAXED)) {
        __atomic_store_n(&r->kicked, 0, __ATOMIC_SEQ_CST);
        r->opts.kicked();
    }
    expire(r);
    return events > 0 || messages ? WF_NEWS : WF_QUIET;
}

/* ---- opening and closing ------------------------------------------------ */

/* What its descriptors and its poller name is the parent's, who shares them. */
static void left_by_fork(void)
{
    wf_reactor = NULL;
}

int wf_reactor_open(const struct wf_reactor_opts *o,
                    struct wf_driver *ret_driver)
{
    int err = wf_fork_watch(left_by_fork);
    if (err < 0) return err;
    struct wf_reactor *r = wf_zalloc(sizeof *r);
    if (!r) return -ENOMEM;
    err = wf_poller_open(&r->poller);
    if (err < 0) {
        wf_free(r, sizeof *r);
        return err;
    }
    r->opts = *o;
    wf_wheel_init(&r->wheel, wf_now);
    wf_reactor = r;
    *ret_driver = (struct wf_driver){.self = r, .turn = turn, .wake = wake};
    return 0;
}

void wf_reactor_close(void)
{
    struct wf_reactor *r = wf_reactor;
    if (wf_timer_armed(&r->retry)) wf_timer_disarm(&r->wheel, &r->retry);
    wf_leaks_here.timers += wf_wheel_count(&r->wheel);
    wf_poller_close(r->poller);
    wf_fdtable_fini(&r->fds);
    wf_free(r, sizeof *r);
    wf_reactor = NULL;
}

struct wf_wheel *wf_reactor_wheel(void)
{
    return &wf_reactor->wheel;
}

void *wf_reactor_handle(void)
{
    return wf_reactor;
}

void wf_reactor_kick(void *handle)
{
    struct wf_reactor *r = handle;
    __atomic_store_n(&r->kicked, 1, __ATOMIC_RELEASE);
    wf_poller_wake(r->poller);
}
