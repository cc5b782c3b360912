/* SPDX-License-Identifier: MIT */
/*
 * poller_epoll.c - Linux.
 *
 * Time-outs go through epoll_pwait2 with nanoseconds, or where that does not
 * exist through epoll_wait in milliseconds, rounded up so that nobody wakes
 * early and goes round again. There are no timer descriptors.
 */
#include "reactor/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "runtime/annotate.h"
#include "runtime/os.h"

enum { BATCH = 256 };

struct wf_poller {
    int epoll, wake;
    bool no_pwait2;
    struct epoll_event got[BATCH];
};

/* No registration has this key: generations start at 1. */
#define WAKE_KEY UINT64_C(0)

static int control(int epoll, int op, int fd, uint64_t key, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u64 = key};
    WF_OS_CALL(WF_CALL_POLL_CTL, epoll_ctl(epoll, op, fd, &ev));
}

static int open_epoll(void)
{
    WF_OS_CALL(WF_CALL_POLL_OPEN, epoll_create1(EPOLL_CLOEXEC));
}

static int open_eventfd(void)
{
    WF_OS_CALL(WF_CALL_POLL_OPEN, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int wf_poller_open(struct wf_poller **ret_poller)
{
    struct wf_poller *p = wf_zalloc(sizeof *p);
    if (!p) return -ENOMEM;
    int err = p->epoll = open_epoll();
    if (err < 0) goto free_it;
    err = p->wake = open_eventfd();
    if (err < 0) goto close_epoll;
    err =
        control(p->epoll, EPOLL_CTL_ADD, p->wake, WAKE_KEY, EPOLLIN | EPOLLET);
    if (err < 0) goto close_wake;
    p->no_pwait2 = wf_under_valgrind();
    *ret_poller = p;
    return 0;

close_wake:
    wf_os_close(p->wake);
close_epoll:
    wf_os_close(p->epoll);
free_it:
    wf_free(p, sizeof *p);
    return err;
}

void wf_poller_close(struct wf_poller *p)
{
    wf_os_close(p->wake);
    wf_os_close(p->epoll);
    wf_free(p, sizeof *p);
}

static uint32_t mask(enum wf_poll_mode mode, unsigned events)
{
    if (mode == WF_EDGE)
        return EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
    return (events & WF_IN ? EPOLLIN | EPOLLRDHUP : 0u) |
           (events & WF_OUT ? EPOLLOUT : 0u) |
           (mode == WF_ONCE ? EPOLLONESHOT : 0u);
}

int wf_poller_add(struct wf_poller *p, int fd, uint64_t key,
                  enum wf_poll_mode mode, unsigned events)
{
    wf_hostile_watch(fd, mode == WF_EDGE ? key : 0);
    return control(p->epoll, EPOLL_CTL_ADD, fd, key, mask(mode, events));
}

int wf_poller_again(struct wf_poller *p, int fd, uint64_t key,
                    enum wf_poll_mode mode, unsigned events)
{
    return control(p->epoll, EPOLL_CTL_MOD, fd, key, mask(mode, events));
}

void wf_poller_remove(struct wf_poller *p, int fd)
{
    wf_hostile_watch(fd, 0);
    (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void wf_poller_expect(struct wf_poller *p, int fd, unsigned events)
{
    (void)p;
    (void)fd;
    (void)events;
}

static int ask(struct wf_poller *p, int max, int64_t timeout_ns)
{
    if (timeout_ns <= 0) return epoll_wait(p->epoll, p->got, max, 0);
    if (timeout_ns == INT64_MAX) return epoll_wait(p->epoll, p->got, max, -1);
#ifdef SYS_epoll_pwait2
    if (!p->no_pwait2) {
        /* The kernel's timespec, also where that of libc has 32 bits. */
        const int64_t t[] = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        long n = syscall(SYS_epoll_pwait2, p->epoll, p->got, max, t, NULL, 0);
        if (n > 0) wf_note_written(p->got, (size_t)n * sizeof *p->got);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)n;
        p->no_pwait2 = true;
    }
#endif
    int64_t ms = (timeout_ns + 999999) / 1000000;
    return epoll_wait(p->epoll, p->got, max,
                      ms > 86400000 ? 86400000 : (int)ms);
}

static void drain(struct wf_poller *p)
{
    uint64_t drained;
    (void)wf_os_read(p->wake, &drained, sizeof drained);
}

int wf_poller_wait(struct wf_poller *p, struct wf_event *events, int max,
                   int64_t timeout_ns)
{
    /* A look without waiting is never interrupted. */
    if (timeout_ns > 0 && wf_hostile(WF_CALL_POLL_WAIT) < 0) return 0;
    if (max > BATCH) max = BATCH;
    int most = wf_hostile_ask(max, &timeout_ns);
    int n = ask(p, most, timeout_ns), out = 0;
    if (most < max && n == 1 && p->got[0].data.u64 == WAKE_KEY) {
        drain(p); /* a wake alone is no answer while there may be more */
        n = ask(p, most, 0);
    }
    for (int i = 0; i < n; i++) {
        uint32_t e = p->got[i].events;
        if (p->got[i].data.u64 == WAKE_KEY) {
            drain(p);
            continue;
        }
        /* A hang-up or an error is news for both sides. */
        bool gone = e & (EPOLLHUP | EPOLLERR);
        events[out++] = (struct wf_event){
            .key = p->got[i].data.u64,
            .ready = (e & EPOLLIN || e & EPOLLRDHUP || gone ? WF_IN : 0u) |
                     (e & EPOLLOUT || gone ? WF_OUT : 0u) |
                     (e & EPOLLRDHUP || gone ? WF_HUP : 0u) |
                     (e & EPOLLPRI ? WF_PRI : 0u),
        };
    }
    return wf_hostile_events(events, out, max);
}

void wf_poller_wake(struct wf_poller *p)
{
    uint64_t one = 1;
    wf_os_nudge(p->wake, &one, sizeof one);
}
