/* SPDX-License-Identifier: MIT */
/*
 * poller_kqueue.c - macOS, FreeBSD, OpenBSD, DragonFly: kqueue(2), kevent(2).
 *
 * A descriptor has a knote for each filter. In mode WF_EDGE its read filter is
 * EV_CLEAR, which fires with each arrival, and its write filter is EV_DISPATCH
 * and lies disabled but while a fiber expects to write: it would fire at each
 * acknowledgement of the peer. It is made with the other one, in one call that
 * can fail; to enable it later cannot. Modes WF_ONCE and WF_LEVEL are
 * EV_ONESHOT and no flag.
 *
 * All changes have EV_RECEIPT, so that each has its own answer and no event is
 * taken out by the way. They are not kept for the next wait: whether a file can
 * be waited for at all, its caller has to know at once, and by the next wait the
 * number may be that of another file. It is one call in the life of a
 * connection, and one to take it out before the close.
 *
 * The keys are in a table by number, since udata holds no 64 bits everywhere.
 * That is as good, as knotes end with the close of their number, whoever closes
 * it and whatever else has the file open: what fires is of the row that is
 * there. Where a change finds that a knote has gone so, EV_ADD makes another.
 *
 * EV_EOF of the read filter is a half-close, with octets left or not; of the
 * write filter, that nobody reads any more. Where that was so before (pipes),
 * EV_ADD says EPIPE: then the row is due, to be told without the kernel.
 * EVFILT_EXCEPT with NOTE_OOB tells of urgent data. FreeBSD has no such thing,
 * and what cannot be excluded there is assumed: WF_PRI with each WF_IN, which
 * costs a read more.
 *
 * Regular files would wait for growth, with a filter of vnodes, and are refused
 * by their kind, as devices are that have no filters (terminals on some macOS).
 *
 * The wake is a pipe. EVFILT_USER would save two descriptors and a read; but
 * POSIX lets a signal handler call write and says nothing of kevent, and OpenBSD
 * had no such filter for long. A queue is not inherited by fork: a child has the
 * ends of the pipe only, and forgets them with its parent's run
 * (runtime/fork.c). Time-outs are those of kevent itself.
 */
#include "reactor/poller.h"

#include <sys/event.h>
#include <string.h>

#include "runtime/os.h"

static const struct kevent filters[] = {
    {.filter = EVFILT_READ},
    {.filter = EVFILT_WRITE},
#ifdef NOTE_OOB
    {.filter = EVFILT_EXCEPT, .fflags = NOTE_OOB},
#endif
};
static const unsigned bits[] = {WF_IN, WF_OUT, WF_PRI};

enum {
    FILTERS = sizeof filters / sizeof *filters,
#ifdef NOTE_OOB
    URGENT = NOTE_OOB,
    ASSUMED = 0, /* with each edge of a socket */
#else
    URGENT = 0,
    ASSUMED = WF_PRI,
#endif
    BATCH = 256,
    LONGEST = 86400 /* s */
};

struct row {
    uint64_t key;   /* 0: not registered */
    uint8_t mode;   /* of enum wf_poll_mode */
    uint8_t knotes; /* there are, of WF_IN, WF_OUT, WF_PRI */
    uint8_t due;    /* to be told at the next wait, come what may */
    bool socket;
    bool awaited; /* the write filter is enabled */
    uint16_t at;  /* its event in this batch, if that has its key */
};

struct wf_poller {
    int queue, wake[2];
    size_t room, dues; /* rows; those that are due */
    struct row *rows;  /* by number */
    struct kevent got[BATCH];
};

static int open_queue(void)
{
    WF_OS_CALL(WF_CALL_POLL_OPEN, kqueue());
}

/* Each change becomes its receipt. */
static int apply(int queue, struct kevent *changes, int n)
{
    WF_OS_CALL(WF_CALL_POLL_CTL, kevent(queue, changes, n, changes, n, NULL));
}

static int add_wake(struct wf_poller *p)
{
    struct kevent c = filters[0];
    c.ident = (uintptr_t)p->wake[0];
    c.flags = EV_ADD | EV_RECEIPT;
    int n = apply(p->queue, &c, 1);
    return n < 0 ? n : -(int)c.data;
}

int wf_poller_open(struct wf_poller **ret_poller)
{
    struct wf_poller *p = wf_zalloc(sizeof *p);
    if (!p) return -ENOMEM;
    int err = p->queue = open_queue();
    if (err < 0) goto free_it;
    err = wf_os_fcntl(p->queue, F_SETFD, FD_CLOEXEC);
    if (err < 0) goto close_queue;
    err = wf_os_pipe(p->wake);
    if (err < 0) goto close_queue;
    err = add_wake(p);
    if (err < 0) goto close_wake;
    *ret_poller = p;
    return 0;

close_wake:
    wf_os_close(p->wake[0]);
    wf_os_close(p->wake[1]);
close_queue:
    wf_os_close(p->queue);
free_it:
    wf_free(p, sizeof *p);
    return err;
}

void wf_poller_close(struct wf_poller *p)
{
    wf_os_close(p->queue);
    wf_os_close(p->wake[0]);
    wf_os_close(p->wake[1]);
    wf_free(p->rows, p->room * sizeof *p->rows);
    wf_free(p, sizeof *p);
}

/* ---- rows --------------------------------------------------------------- */

static struct row *row_of(const struct wf_poller *p, int fd)
{
    if (fd < 0 || (size_t)fd >= p->room || !p->rows[fd].key) return NULL;
    return &p->rows[fd];
}

static int make_room(struct wf_poller *p, int fd)
{
    size_t room = p->room ? p->room : 64;
    if ((size_t)fd < p->room) return 0;
    while ((size_t)fd >= room)
        room *= 2;
    struct row *rows = wf_zalloc(room * sizeof *rows);
    if (!rows) return -ENOMEM;
    if (p->rows) memcpy(rows, p->rows, p->room * sizeof *rows);
    wf_free(p->rows, p->room * sizeof *rows);
    p->rows = rows;
    p->room = room;
    return 0;
}

static void make_due(struct wf_poller *p, struct row *r, unsigned ready)
{
    if (!r->due) p->dues++;
    r->due |= (uint8_t)ready;
}

static unsigned take_due(struct wf_poller *p, struct row *r)
{
    unsigned ready = r->due;
    if (ready) p->dues--;
    r->due = 0;
    return ready;
}

/* ---- changes ------------------------------------------------------------ */

static int flags_for(const struct row *r, unsigned bit)
{
    if (r->mode == WF_LEVEL) return EV_ADD;
    if (r->mode == WF_ONCE) return EV_ADD | EV_ONESHOT;
    if (bit != WF_OUT) return EV_ADD | EV_CLEAR;
    return EV_ADD | EV_DISPATCH | (r->awaited ? EV_ENABLE : EV_DISABLE);
}

static int fill_in(struct kevent *changes, int fd, const struct row *r,
                   unsigned add, unsigned drop)
{
    int n = 0;
    for (int i = 0; i < FILTERS; i++) {
        if (!((add | drop) & bits[i])) continue;
        int flags = add & bits[i] ? flags_for(r, bits[i]) : EV_DELETE;
        changes[n] = filters[i];
        changes[n].ident = (uintptr_t)fd;
        changes[n++].flags = (unsigned short)(EV_RECEIPT | flags);
    }
    return n;
}

static unsigned bit_of(const struct kevent *e)
{
    int i = 0;
    while (i < FILTERS - 1 && filters[i].filter != e->filter)
        i++;
    return bits[i];
}

/* This kind of file has no such filter. */
static bool is_refusal(int err)
{
    return err == EINVAL || err == EPERM || err == ENODEV || err == ENXIO ||
           err == EOPNOTSUPP;
}

/* Makes the knotes of `add` and ends those of `drop`. 0, also where only some
 * of them could be had; -EPERM: none. */
static int change(struct wf_poller *p, int fd, unsigned add, unsigned drop)
{
    struct kevent changes[FILTERS];
    struct row *r = &p->rows[fd];
    int n = fill_in(changes, fd, r, add, drop), err = 0;
    if (n > 0) n = apply(p->queue, changes, n);
    if (n < 0) return n;
    r->knotes &= (uint8_t) ~(add | drop);
    for (int i = 0; i < n; i++) {
        unsigned bit = bit_of(&changes[i]);
        int why = (int)changes[i].data;
        if (!(add & bit)) continue;
        if (why == 0)
            r->knotes |= (uint8_t)bit;
        else if (why == EPIPE)
            make_due(p, r, bit | WF_HUP);
        else if (bit != WF_PRI && !is_refusal(why))
            err = -why;
    }
    if (err < 0 || !add || r->due || r->knotes & add) return err;
    return -EPERM;
}

static unsigned wanted(const struct row *r, unsigned events)
{
    if (r->mode != WF_EDGE) return events & (WF_IN | WF_OUT);
    return WF_IN | WF_OUT | (r->socket && URGENT != 0 ? WF_PRI : 0u);
}

int wf_poller_add(struct wf_poller *p, int fd, uint64_t key,
                  enum wf_poll_mode mode, unsigned events)
{
    struct stat st;
    int err = wf_os_fstat(fd, &st);
    if (err < 0) return err;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return -EPERM;
    err = make_room(p, fd);
    if (err < 0) return err;
    struct row *r = &p->rows[fd];
    if (r->key) return -EEXIST;
    *r = (struct row){
        .key = key, .mode = (uint8_t)mode, .socket = S_ISSOCK(st.st_mode)};
    err = change(p, fd, wanted(r, events), 0);
    if (err < 0) wf_poller_remove(p, fd);
    return err;
}

/* Never refused. Of what has gone already there is nothing to remove. */
static void drop_all(struct wf_poller *p, int fd, struct row *r)
{
    struct kevent changes[FILTERS];
    int n = fill_in(changes, fd, r, 0, r->knotes);
    if (n > 0) (void)kevent(p->queue, changes, n, changes, n, NULL);
    r->knotes = 0;
}

int wf_poller_again(struct wf_poller *p, int fd, uint64_t key,
                    enum wf_poll_mode mode, unsigned events)
{
    struct row *r = row_of(p, fd);
    if (!r) return -ENOENT;
    /* A knote keeps the flags it was made with. */
    if (mode != (enum wf_poll_mode)r->mode) drop_all(p, fd, r);
    r->key = key;
    r->mode = (uint8_t)mode;
    (void)take_due(p, r);
    unsigned want = wanted(r, events);
    return change(p, fd, want, r->knotes & ~want);
}

void wf_poller_remove(struct wf_poller *p, int fd)
{
    struct row *r = row_of(p, fd);
    if (!r) return;
    drop_all(p, fd, r);
    (void)take_due(p, r);
    *r = (struct row){.key = 0};
}

/* Who has no write filter to wait for sees for himself. */
void wf_poller_expect(struct wf_poller *p, int fd, unsigned events)
{
    struct row *r = row_of(p, fd);
    if (!r || r->mode != WF_EDGE || !(events & WF_OUT) || r->awaited) return;
    struct kevent c = {.ident = (uintptr_t)fd,
                       .filter = EVFILT_WRITE,
                       .flags = EV_ENABLE | EV_DISPATCH};
    if (r->knotes & WF_OUT && kevent(p->queue, &c, 1, NULL, 0, NULL) == 0)
        r->awaited = true;
    else
        make_due(p, r, WF_OUT);
}

/* ---- waiting ------------------------------------------------------------ */

/* An error is news for both sides. */
static unsigned meaning(const struct kevent *e, unsigned bit)
{
    if (e->flags & EV_ERROR) return WF_IN | WF_OUT | WF_HUP;
    if (e->flags & EV_EOF)
        return WF_HUP | (e->fflags       ? WF_IN | WF_OUT
                         : bit == WF_OUT ? WF_OUT
                                         : WF_IN);
    if (bit == WF_PRI) return WF_IN | (e->fflags & URGENT ? WF_PRI : 0u);
    return bit;
}

static void drain(struct wf_poller *p)
{
    char drained[512];
    while (wf_os_read(p->wake[0], drained, sizeof drained) > 0)
        continue;
}

struct batch {
    struct wf_event *events;
    int count;
};

/* Its filters make one event, when they fire together. */
static void tell(struct batch *b, struct row *r, unsigned ready)
{
    if (r->socket && r->mode == WF_EDGE && ready & WF_IN) ready |= ASSUMED;
    if (r->at >= b->count || b->events[r->at].key != r->key) {
        r->at = (uint16_t)b->count;
        b->events[b->count++] = (struct wf_event){.key = r->key};
    }
    b->events[r->at].ready |= ready;
}

static void take(struct wf_poller *p, const struct kevent *e, struct batch *b)
{
    struct row *r = row_of(p, (int)e->ident);
    unsigned bit = bit_of(e);
    if ((int)e->ident == p->wake[0]) drain(p);
    if (!r) return;
    if (bit == WF_OUT) r->awaited = false;
    if (r->mode == WF_ONCE) {
        r->knotes &= (uint8_t)~bit;
        drop_all(p, (int)e->ident, r);
    }
    tell(b, r, meaning(e, bit));
}

static void take_dues(struct wf_poller *p, struct batch *b, int max)
{
    for (size_t i = 0; i < p->room && p->dues > 0 && b->count < max; i++) {
        struct row *r = &p->rows[i];
        if (!r->due) continue;
        if (r->mode == WF_ONCE) drop_all(p, (int)i, r);
        tell(b, r, take_due(p, r));
    }
}

int wf_poller_wait(struct wf_poller *p, struct wf_event *events, int max,
                   int64_t timeout_ns)
{
    if (wf_hostile(WF_CALL_POLL_WAIT) < 0) return 0;
    if (max > BATCH) max = BATCH;
    struct timespec limit = {0, 0};
    if (timeout_ns > 0 && p->dues == 0) {
        bool is_long = timeout_ns / 1000000000 >= LONGEST;
        limit.tv_sec = is_long ? LONGEST : (time_t)(timeout_ns / 1000000000);
        limit.tv_nsec = is_long ? 0 : (long)(timeout_ns % 1000000000);
    }
    bool for_ever = timeout_ns == INT64_MAX && p->dues == 0;
    int n = kevent(p->queue, NULL, 0, p->got, max, for_ever ? NULL : &limit);
    struct batch b = {events, 0};
    for (int i = 0; i < n; i++)
        take(p, &p->got[i], &b);
    take_dues(p, &b, max);
    return b.count;
}

void wf_poller_wake(struct wf_poller *p)
{
    wf_os_nudge(p->wake[1], "", 1);
}
