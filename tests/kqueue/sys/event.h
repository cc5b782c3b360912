/* SPDX-License-Identifier: MIT */
/*
 * sys/event.h - kqueue(2) where there is none: for the tests only, on Linux.
 *
 * See ../kqueue.c. The members stand in another order than anywhere else, and
 * no name has the number that some system gives it: who relies on either is
 * found out here. Of the systems' differences, by a flag for the compiler:
 *
 *     (none)               as macOS, OpenBSD and DragonFly: EVFILT_EXCEPT
 *     -DKQUEUE_LIKE_FREEBSD   nobody tells of urgent data
 */
#ifndef KQUEUE_SYS_EVENT_H
#define KQUEUE_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

struct kevent {
    void *udata;
    uint64_t ext[4];
    intptr_t data;
    uint32_t fflags;
    uint16_t flags;
    int16_t filter;
    uintptr_t ident;
};

#define EV_SET(kevp, id, filt, flag, fflag, dat, ud)                           \
    do {                                                                       \
        struct kevent *kevp_ = (kevp);                                         \
        *kevp_ = (struct kevent){.ident = (id)};                               \
        kevp_->filter = (filt);                                                \
        kevp_->flags = (flag);                                                 \
        kevp_->fflags = (fflag);                                               \
        kevp_->data = (dat);                                                   \
        kevp_->udata = (ud);                                                   \
    } while (0)

#define EVFILT_READ  31
#define EVFILT_WRITE 17
#ifndef KQUEUE_LIKE_FREEBSD
#define EVFILT_EXCEPT 23
#define NOTE_OOB      0x400
#endif

#define EV_ADD      0x0100
#define EV_DELETE   0x8000
#define EV_ENABLE   0x0002
#define EV_DISABLE  0x0800
#define EV_ONESHOT  0x0020
#define EV_CLEAR    0x0001
#define EV_RECEIPT  0x0400
#define EV_DISPATCH 0x0008
#define EV_EOF      0x0010
#define EV_ERROR    0x4000

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int change_count,
           struct kevent *events, int event_count,
           const struct timespec *timeout);

/* Linked with -Wl,--wrap=close, so that knotes end with their descriptor. */
int __real_close(int fd);
int __wrap_close(int fd);

#endif
