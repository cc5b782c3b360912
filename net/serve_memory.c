/* SPDX-License-Identifier: MIT */
/*
 * serve_memory.c - a connection that is a transport and no descriptor.
 *
 * A descriptor that was closed is known to be closed; a transport is gone. So
 * the handler gets another one in front of it, which is on the stack of the
 * connection's fiber, and can be closed by the handler and then by the server.
 */
#include "serve.h"

#include <weft/transport.h>

struct front {
    weft_transport base;
    weft_transport *behind; /* NULL: closed */
};

static weft_transport *behind(weft_transport *t)
{
    return ((struct front *)(void *)t)->behind;
}

static ssize_t front_try_read(weft_transport *t, void *buf, size_t len)
{
    weft_transport *b = behind(t);
    return b ? b->ops->try_read(b, buf, len) : -EBADF;
}

static ssize_t front_try_write(weft_transport *t, const void *buf, size_t len)
{
    weft_transport *b = behind(t);
    return b ? b->ops->try_write(b, buf, len) : -EBADF;
}

static int front_wait(weft_transport *t, int events)
{
    weft_transport *b = behind(t);
    return b ? b->ops->wait(b, events) : -EBADF;
}

static int front_shutdown_write(weft_transport *t)
{
    weft_transport *b = behind(t);
    return b ? weft_transport_shutdown_write(b) : -EBADF;
}

static int front_shutdown_read(weft_transport *t)
{
    weft_transport *b = behind(t);
    return b ? weft_transport_shutdown_read(b) : -EBADF;
}

static void front_close(weft_transport *t)
{
    struct front *f = (struct front *)(void *)t;
    weft_transport *b = f->behind;
    f->behind = NULL;
    weft_transport_close(b);
}

static int front_peer_addr(weft_transport *t, weft_addr *ret_addr)
{
    weft_transport *b = behind(t);
    return b ? weft_transport_peer_addr(b, ret_addr) : -EBADF;
}

int wf_serve_transport(weft_conn *c, int (*run)(weft_conn *c))
{
    weft_transport_ops ops = {.name = c->transport->ops->name,
                              .try_read = front_try_read,
                              .try_write = front_try_write,
                              .wait = front_wait,
                              .shutdown_write = front_shutdown_write,
                              .shutdown_read = front_shutdown_read,
                              .close = front_close,
                              .peer_addr = front_peer_addr};
    struct front f = {{&ops}, c->transport};
    c->transport = &f.base;
    return run(c);
}
