/* SPDX-License-Identifier: MIT */
/*
 * transport.c - what all transports have in common, and one over a descriptor.
 */
#include <weft/transport.h>

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/net.h>

#include "waits.h"

/* ---- who is in a wait --------------------------------------------------- */

static void unlink_wait(struct wf_wait **all, const struct wf_wait *w)
{
    while (*all != w)
        all = &(*all)->next;
    *all = w->next;
}

int wf_wait_leave(struct wf_wait **all, struct wf_wait *w, int rc)
{
    if (w->gone) return -EBADF;
    unlink_wait(all, w);
    return rc;
}

/* To pass a cancel point may be to give way. */
int wf_wait_enter(struct wf_wait **all, struct wf_wait *w, int events)
{
    *w = (struct wf_wait){.next = *all,
                          .events = events & (WEFT_READABLE | WEFT_WRITABLE)};
    *all = w;
    int err = weft_checkpoint();
    if (err == 0 && !w->events) err = -EINVAL;
    return err < 0 || w->gone ? wf_wait_leave(all, w, err) : 0;
}

int wf_wait_park(struct wf_wait **all, struct wf_wait *w)
{
    for (const struct wf_wait *other = *all; other; other = other->next)
        if (other->parked && other->events & w->events)
            return wf_wait_leave(all, w, -EBUSY);
    w->parked = true;
    return 0;
}

static void wake(struct wf_wait *w)
{
    w->parked = false;
    weft_event_set(&w->news);
}

void wf_waits_wake(struct wf_wait *all, int events)
{
    for (; all; all = all->next)
        if (all->parked && all->events & events) wake(all);
}

void wf_waits_close(struct wf_wait **all)
{
    for (struct wf_wait *w = *all; w; w = w->next) {
        w->gone = true;
        wake(w);
    }
    *all = NULL;
}

/* ---- what can be said of each ------------------------------------------- */

ssize_t weft_transport_read(weft_transport *t, void *buf, size_t len)
{
    int err = weft_checkpoint();
    while (err >= 0) {
        ssize_t n = t->ops->try_read(t, buf, len);
        if (n != -EAGAIN) return n;
        err = t->ops->wait(t, WEFT_READABLE);
    }
    return err;
}

ssize_t weft_transport_write(weft_transport *t, const void *buf, size_t len)
{
    int err = weft_checkpoint();
    while (err >= 0) {
        ssize_t n = t->ops->try_write(t, buf, len);
        if (n != -EAGAIN) return n;
        err = t->ops->wait(t, WEFT_WRITABLE);
    }
    return err;
}

int weft_transport_write_all(weft_transport *t, const void *buf, size_t len,
                             size_t *ret_done)
{
    size_t done = 0;
    ssize_t n = 0;
    do {
        n = weft_transport_write(t, (const char *)buf + done, len - done);
        if (n > 0) done += (size_t)n;
    } while (n >= 0 && done < len);
    if (ret_done) *ret_done = done;
    return n < 0 ? (int)n : 0;
}

int weft_transport_shutdown_write(weft_transport *t)
{
    return t->ops->shutdown_write ? t->ops->shutdown_write(t) : -ENOTSUP;
}

int weft_transport_shutdown_read(weft_transport *t)
{
    return t->ops->shutdown_read ? t->ops->shutdown_read(t) : -ENOTSUP;
}

int weft_transport_peer_addr(weft_transport *t, weft_addr *ret_addr)
{
    return t->ops->peer_addr ? t->ops->peer_addr(t, ret_addr) : -ENOTSUP;
}

void weft_transport_close(weft_transport *t)
{
    if (t) t->ops->close(t);
}

/* ---- one that was closed ------------------------------------------------ */

static ssize_t gone_read(weft_transport *t, void *buf, size_t len)
{
    (void)t, (void)buf, (void)len;
    return -EBADF;
}

static ssize_t gone_write(weft_transport *t, const void *buf, size_t len)
{
    (void)t, (void)buf, (void)len;
    return -EBADF;
}

static int gone_wait(weft_transport *t, int events)
{
    (void)t, (void)events;
    return -EBADF;
}

static int gone_shutdown(weft_transport *t)
{
    (void)t;
    return -EBADF;
}

static void gone_close(weft_transport *t)
{
    (void)t;
}

static int gone_addr(weft_transport *t, weft_addr *ret_addr)
{
    (void)t, (void)ret_addr;
    return -EBADF;
}

static const weft_transport_ops gone_ops = {
    .name = "closed",
    .try_read = gone_read,
    .try_write = gone_write,
    .wait = gone_wait,
    .shutdown_write = gone_shutdown,
    .shutdown_read = gone_shutdown,
    .close = gone_close,
    .peer_addr = gone_addr,
};

weft_transport wf_transport_gone = {&gone_ops};

/* ---- a descriptor ------------------------------------------------------- */

struct over_fd {
    weft_transport base;
    weft_fd fd;
    struct wf_wait *waits;
};

static struct over_fd *over_fd(weft_transport *t)
{
    return (struct over_fd *)(void *)t;
}

static ssize_t fd_try_read(weft_transport *t, void *buf, size_t len)
{
    return weft_try_read(over_fd(t)->fd, buf, len);
}

static ssize_t fd_try_write(weft_transport *t, const void *buf, size_t len)
{
    return weft_try_write(over_fd(t)->fd, buf, len);
}

/* If only the descriptor was closed, the next try says so. */
static int fd_wait(weft_transport *t, int events)
{
    struct over_fd *o = over_fd(t);
    struct wf_wait w;
    int err = wf_wait_enter(&o->waits, &w, events);
    if (err < 0) return err;
    err = weft_wait_ready(o->fd, w.events);
    return wf_wait_leave(&o->waits, &w, err == -EBADF ? w.events : err);
}

static int fd_shutdown_write(weft_transport *t)
{
    return weft_shutdown_write(over_fd(t)->fd);
}

static int fd_shutdown_read(weft_transport *t)
{
    return weft_shutdown_read(over_fd(t)->fd);
}

static void fd_close(weft_transport *t)
{
    struct over_fd *o = over_fd(t);
    wf_waits_close(&o->waits);
    if (weft_fd_number(o->fd) >= 0) weft_close(o->fd);
    weft_buffer_free(o, sizeof *o);
}

static int fd_peer_addr(weft_transport *t, weft_addr *ret_addr)
{
    return weft_peer_addr(over_fd(t)->fd, ret_addr);
}

static const weft_transport_ops fd_ops = {
    .name = "descriptor",
    .try_read = fd_try_read,
    .try_write = fd_try_write,
    .wait = fd_wait,
    .shutdown_write = fd_shutdown_write,
    .shutdown_read = fd_shutdown_read,
    .close = fd_close,
    .peer_addr = fd_peer_addr,
};

int weft_transport_of_fd(weft_fd fd, weft_transport **ret_transport)
{
    if (weft_fd_number(fd) < 0)
        return weft_fail_at(-EBADF, NULL, 0,
                            "transport: descriptor %u is closed", fd.slot);
    struct over_fd *o = weft_buffer_alloc(sizeof *o);
    if (!o) return -ENOMEM;
    *o = (struct over_fd){.base = {&fd_ops}, .fd = fd};
    *ret_transport = &o->base;
    return 0;
}
