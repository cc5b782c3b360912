/* SPDX-License-Identifier: MIT */
/*
 * kqueue.c - kqueue(2) on top of epoll(7), for running the tests on Linux.
 *
 *     make suite POLLER=kqueue
 *     KQUEUE_SEED=7 make suite POLLER=kqueue      other chances
 *     KQUEUE_HOSTILE=0 ...                        none: as friendly as epoll
 *     KQUEUE_HOSTILE=2 ...                        it lies as well (see below)
 *
 * It is as the manuals of the BSDs and of macOS say, where these agree; where
 * they leave something open or differ it takes the worse for a program. Filters
 * of one descriptor are independent: each has an epoll instance of its own, and
 * the descriptor that kqueue() returns is one more around these. EV_ADD of a
 * knote that is there looks again and fires if it is ready, and does not change
 * its flags. Knotes end with close(2), which is wrapped; also if the file stays
 * open by another number. A child of fork has no queue.
 *
 * Hostile, which it is unless told otherwise, it
 *
 *   - returns a few events at a time, of one filter and then of another, and in
 *     no order;
 *   - is interrupted (EINTR) when it would wait;
 *   - fires again, of EV_CLEAR, though nothing has come, if it is ready yet;
 *   - refuses (EINVAL) the filter of the other direction on one end of a pipe,
 *     or takes it and never fires, for each queue anew;
 *   - has EVFILT_EXCEPT fire for octets that are not urgent, or not.
 *
 * When it lies, it also tells of reading where there is nothing to read: tests
 * that say who is not woken cannot pass then.
 */
#include <sys/event.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum filter { IN, OUT, OOB, FILTERS };
enum hostility { FRIENDLY, HOSTILE, LYING };
enum { BATCH = 64, SOME_ERROR = 104, SOME_ROOM = 4096 };

struct knote {
    bool there, disabled;
    bool mute; /* a kind that never fires */
    uint16_t flags;
    uint32_t fflags;
    void *udata;
};

struct queue {
    struct queue *next;
    enum hostility hostility;
    uint64_t chances;
    bool strict, chatty; /* about the ends of pipes; about EVFILT_EXCEPT */
    int outer, inner[FILTERS];
    int room;
    struct knote *notes[FILTERS]; /* by number */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue *queues;

/* ---- chance ------------------------------------------------------------- */

/* Of each queue's own, so that a run has the same ones when it is repeated. */
static int below(struct queue *q, int limit)
{
    q->chances = q->chances * UINT64_C(6364136223846793005) + 12345;
    return (int)((q->chances >> 33) % (uint64_t)limit);
}

/* Once in so many times, of a hostile one. */
static bool strikes(struct queue *q, int once_in)
{
    return q->hostility != FRIENDLY && below(q, once_in) == 0;
}

static void take_orders(struct queue *q)
{
    const char *seed = getenv("KQUEUE_SEED"), *how = getenv("KQUEUE_HOSTILE");
    q->chances = seed ? strtoull(seed, NULL, 0) : 1;
    q->hostility = how ? (enum hostility)atoi(how) : HOSTILE;
    (void)below(q, 1); /* small seeds begin alike */
    q->strict = strikes(q, 2);
    q->chatty = strikes(q, 2);
}

/* ---- queues ------------------------------------------------------------- */

static struct queue *queue_of(int fd)
{
    struct queue *q = queues;
    while (q && q->outer != fd)
        q = q->next;
    return q;
}

static void end_queue(struct queue *q)
{
    struct queue **at = &queues;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    for (int f = 0; f < FILTERS; f++) {
        (void)__real_close(q->inner[f]);
        free(q->notes[f]);
    }
    free(q);
}

static void before_fork(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    while (queues) {
        (void)__real_close(queues->outer);
        end_queue(queues);
    }
    after_fork();
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, in_child);
}

/* Out of the way of those who count on the lowest numbers, if there is room. */
static int open_inner(int outer, int f)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)f};
    int low = epoll_create1(EPOLL_CLOEXEC);
    if (low < 0) return -1;
    int high = fcntl(low, F_DUPFD_CLOEXEC, 200);
    int fd = high < 0 ? low : high;
    if (high >= 0) (void)__real_close(low);
    (void)epoll_ctl(outer, EPOLL_CTL_ADD, fd, &e);
    return fd;
}

int kqueue(void)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q) return -1;
    q->outer = epoll_create1(0);
    bool is_whole = q->outer >= 0;
    for (int f = 0; f < FILTERS; f++) {
        q->inner[f] = is_whole ? open_inner(q->outer, f) : -1;
        is_whole = q->inner[f] >= 0;
    }
    (void)pthread_mutex_lock(&lock);
    take_orders(q);
    q->next = queues;
    queues = q;
    int fd = q->outer;
    if (!is_whole) {
        int why = errno;
        end_queue(q);
        if (fd >= 0) (void)__real_close(fd);
        errno = why;
        fd = -1;
    }
    (void)pthread_mutex_unlock(&lock);
    return fd;
}

static void unwatch(const struct queue *q, enum filter f, int fd)
{
    const struct knote *k = &q->notes[f][fd];
    if (k->there && !k->disabled && !k->mute)
        (void)epoll_ctl(q->inner[f], EPOLL_CTL_DEL, fd, NULL);
}

int __wrap_close(int fd)
{
    int kept = errno;
    (void)pthread_mutex_lock(&lock);
    struct queue *own = queue_of(fd);
    if (own) end_queue(own);
    for (struct queue *q = queues; q; q = q->next) {
        if (fd < 0 || fd >= q->room) continue;
        for (int f = 0; f < FILTERS; f++) {
            unwatch(q, (enum filter)f, fd);
            q->notes[f][fd].there = false;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    errno = kept;
    return __real_close(fd);
}

/* ---- knotes ------------------------------------------------------------- */

static bool make_room(struct queue *q, int fd)
{
    int room = q->room ? q->room : 64;
    while (room <= fd)
        room *= 2;
    if (room == q->room) return true;
    for (int f = 0; f < FILTERS; f++) {
        struct knote *more = realloc(q->notes[f], (size_t)room * sizeof *more);
        if (!more) return false;
        for (int i = q->room; i < room; i++)
            more[i] = (struct knote){.there = false};
        q->notes[f] = more;
    }
    q->room = room;
    return true;
}

static enum filter filter_of(const struct kevent *e)
{
    return e->filter == EVFILT_READ    ? IN
           : e->filter == EVFILT_WRITE ? OUT
#ifdef EVFILT_EXCEPT
           : e->filter == EVFILT_EXCEPT ? OOB
#endif
                                        : FILTERS;
}

static uint32_t interest(const struct queue *q, enum filter f,
                         const struct knote *k)
{
    static const uint32_t of[FILTERS] = {EPOLLIN | EPOLLRDHUP, EPOLLOUT,
                                         EPOLLPRI};
    return of[f] | (f == OOB && q->chatty ? EPOLLIN | EPOLLRDHUP : 0u) |
           (k->flags & EV_CLEAR ? (uint32_t)EPOLLET : 0u);
}

static int tell_epoll(const struct queue *q, int op, enum filter f, int fd)
{
    struct epoll_event e = {.events = interest(q, f, &q->notes[f][fd]),
                            .data.fd = fd};
    return epoll_ctl(q->inner[f], op, fd, &e) < 0 ? errno : 0;
}

/* What a system says to a new knote: 0, or why not. *ret_mute: it never fires,
 * and need not be watched. */
static int attach(const struct queue *q, enum filter f, int fd, bool *ret_mute)
{
    struct stat st;
    if (fstat(fd, &st) < 0) return EBADF;
    if (f == OOB && !S_ISSOCK(st.st_mode)) return EINVAL;
    if (f == OUT && queue_of(fd)) return EINVAL;
    /* Vnodes, at their end. */
    *ret_mute = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
    if (!S_ISFIFO(st.st_mode)) return 0;
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    *ret_mute = mode == (f == IN ? O_WRONLY : O_RDONLY);
    if (*ret_mute) return q->strict ? EINVAL : 0;
    struct pollfd ask = {.fd = fd};
    bool is_left = f == OUT && poll(&ask, 1, 0) > 0 && ask.revents & POLLERR;
    return is_left ? EPIPE : 0;
}

/* Devices that epoll has no word for have no filter either. */
static int watch(const struct queue *q, enum filter f, int fd)
{
    const struct knote *k = &q->notes[f][fd];
    if (k->disabled || k->mute) return 0;
    int err = tell_epoll(q, EPOLL_CTL_ADD, f, fd);
    if (err == EEXIST) err = tell_epoll(q, EPOLL_CTL_MOD, f, fd);
    return err == EPERM ? EINVAL : err;
}

static int add(struct queue *q, enum filter f, const struct kevent *c)
{
    int fd = (int)c->ident;
    struct knote *k = &q->notes[f][fd];
    bool mute = false;
    int err = attach(q, f, fd, &mute);
    if (err) return err;
    *k = (struct knote){.there = true,
                        .mute = mute,
                        .flags = c->flags,
                        .fflags = c->fflags,
                        .udata = c->udata};
    err = watch(q, f, fd);
    if (err) k->there = false;
    if (!(c->flags & EV_DISABLE)) return err;
    unwatch(q, f, fd);
    k->disabled = true;
    return err;
}

static int modify(struct queue *q, enum filter f, const struct kevent *c)
{
    int fd = (int)c->ident;
    struct knote *k = &q->notes[f][fd];
    k->fflags = c->fflags;
    k->udata = c->udata;
    if (c->flags & EV_DISABLE) unwatch(q, f, fd);
    if (c->flags & EV_ENABLE) k->disabled = false;
    if (c->flags & EV_DISABLE) k->disabled = true;
    return watch(q, f, fd);
}

static int change(struct queue *q, const struct kevent *c)
{
    enum filter f = filter_of(c);
    int fd = (int)c->ident;
    if (f == FILTERS) return EINVAL;
    if (fd < 0) return EBADF;
    if (!make_room(q, fd)) return ENOMEM;
    struct knote *k = &q->notes[f][fd];
    if (!k->there && !(c->flags & EV_ADD))
        return fcntl(fd, F_GETFD) < 0 ? EBADF : ENOENT;
    if (c->flags & EV_DELETE) {
        unwatch(q, f, fd);
        k->there = false;
        return 0;
    }
    return k->there ? modify(q, f, c) : add(q, f, c);
}

/* The receipts and errors there was room for; -1: an error without. */
static int change_all(struct queue *q, const struct kevent *changes, int n,
                      struct kevent *events, int room)
{
    int told = 0;
    for (int i = 0; i < n; i++) {
        struct kevent c = changes[i]; /* events may be the same array */
        int err = change(q, &c);
        if (!err && !(c.flags & EV_RECEIPT)) continue;
        if (told == room) {
            errno = err;
            return err ? -1 : told;
        }
        events[told] = c;
        events[told].flags = EV_ERROR;
        events[told++].data = err;
    }
    return told;
}

/* ---- events ------------------------------------------------------------- */

static intptr_t octets_in(int fd)
{
    int n = 0;
    return ioctl(fd, FIONREAD, &n) == 0 ? n : 1;
}

static struct kevent event_of(enum filter f, int fd, const struct knote *k,
                              uint32_t ready)
{
    static const int16_t names[FILTERS] = {EVFILT_READ, EVFILT_WRITE,
#ifdef EVFILT_EXCEPT
                                           EVFILT_EXCEPT
#endif
    };
    struct kevent e = {.ident = (uintptr_t)fd,
                       .filter = names[f],
                       .flags = k->flags,
                       .udata = k->udata};
    e.flags &= (uint16_t) ~(EV_ADD | EV_ENABLE | EV_DISABLE);
    e.data = f == OUT ? SOME_ROOM : octets_in(fd);
    bool ends = f == OUT ? ready & (EPOLLHUP | EPOLLERR)
                         : ready & (EPOLLHUP | EPOLLRDHUP);
    if (ends) {
        e.flags |= EV_EOF;
        e.fflags = ready & EPOLLERR && f != OUT ? SOME_ERROR : 0;
    }
#ifdef NOTE_OOB
    if (f == OOB && ready & EPOLLPRI && !ends) e.fflags = NOTE_OOB;
#endif
    return e;
}

/* It has been told: what becomes of the knote. */
static void deliver(struct queue *q, enum filter f, int fd)
{
    struct knote *k = &q->notes[f][fd];
    if (k->flags & (EV_ONESHOT | EV_DISPATCH)) {
        unwatch(q, f, fd);
        if (k->flags & EV_ONESHOT)
            k->there = false;
        else
            k->disabled = true;
    } else if (k->flags & EV_CLEAR && strikes(q, 8)) {
        (void)tell_epoll(q, EPOLL_CTL_MOD, f, fd);
    }
}

static int collect_of(struct queue *q, enum filter f, struct kevent *events,
                      int max)
{
    struct epoll_event got[BATCH];
    int n = epoll_wait(q->inner[f], got, max < BATCH ? max : BATCH, 0);
    for (int i = 0; i < n; i++) {
        int fd = got[i].data.fd;
        events[i] = event_of(f, fd, &q->notes[f][fd], got[i].events);
        deliver(q, f, fd);
    }
    return n < 0 ? 0 : n;
}

static void shuffle(struct queue *q, struct kevent *events, int n)
{
    for (int i = n; i > 1; i--) {
        int j = below(q, i);
        struct kevent e = events[i - 1];
        events[i - 1] = events[j];
        events[j] = e;
    }
}

static bool lie(struct queue *q, struct kevent *ret_event)
{
    if (q->hostility != LYING || q->room == 0 || below(q, 16) != 0)
        return false;
    int fd = below(q, q->room);
    const struct knote *k = &q->notes[IN][fd];
    if (!k->there || k->mute || !(k->flags & EV_CLEAR)) return false;
    *ret_event = event_of(IN, fd, k, 0);
    return true;
}

static int collect(struct queue *q, struct kevent *events, int max)
{
    struct epoll_event e[FILTERS];
    bool friendly = q->hostility == FRIENDLY, ready[FILTERS] = {false};
    int first = friendly ? 0 : below(q, FILTERS), n = 0;
    for (int i = epoll_wait(q->outer, e, FILTERS, 0); i > 0; i--)
        ready[e[i - 1].data.u32] = true;
    if (strikes(q, 2) && max > 1) max = 1 + below(q, max < 4 ? max : 4);
    for (int i = 0; i < FILTERS && n < max; i++) {
        if (n > 0 && strikes(q, 2)) break;
        enum filter f = (enum filter)((first + i) % FILTERS);
        if (ready[f]) n += collect_of(q, f, events + n, max - n);
    }
    if (n < max && lie(q, &events[n])) n++;
    if (!friendly) shuffle(q, events, n);
    return n;
}

/* ---- waiting ------------------------------------------------------------ */

static int64_t now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* False: interrupted. */
static bool pause_until(int fd, int64_t end)
{
    struct pollfd ask = {.fd = fd, .events = POLLIN};
    int64_t left = end - now();
    if (left < 0) left = 0;
    struct timespec t = {.tv_sec = left / 1000000000,
                         .tv_nsec = left % 1000000000};
    return ppoll(&ask, 1, end == INT64_MAX ? NULL : &t, NULL) >= 0;
}

static int wait_for(int kq, struct kevent *events, int max, int64_t end)
{
    for (;;) {
        (void)pthread_mutex_lock(&lock);
        struct queue *q = queue_of(kq);
        int n = q ? collect(q, events, max) : -1;
        bool interrupted = n == 0 && end > 0 && strikes(q, 8);
        (void)pthread_mutex_unlock(&lock);
        if (n != 0 || end <= now()) {
            if (n < 0) errno = EBADF;
            return n;
        }
        if (interrupted) errno = EINTR;
        if (interrupted || !pause_until(kq, end)) return -1;
    }
}

int kevent(int kq, const struct kevent *changes, int change_count,
           struct kevent *events, int event_count,
           const struct timespec *timeout)
{
    int64_t wait =
        timeout ? (int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec
                : INT64_MAX;
    (void)pthread_mutex_lock(&lock);
    struct queue *q = queue_of(kq);
    int told = -1;
    if (q)
        told = change_all(q, changes, change_count, events, event_count);
    else
        errno = EBADF;
    (void)pthread_mutex_unlock(&lock);
    if (told != 0 || event_count == 0) return told;
    return wait_for(kq, events, event_count,
                    wait == INT64_MAX ? wait
                    : wait == 0       ? 0
                                      : now() + wait);
}
