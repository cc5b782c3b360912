/* SPDX-License-Identifier: MIT */
/*
 * client_wire.c - a connection's octets.
 *
 * A weft_stream would do for reading, or for writing; but while a body is sent
 * an answer may come that ends the sending, so a fiber waits for both at once.
 *
 * An idle connection has no buffer. weft_http_free may close one that a fiber
 * is using: then it is not `open` any more, and its transport is not touched
 * again.
 */
#include "client.h"

#include <string.h>

#include <weft/buffer.h>

struct wf_client_conn *wf_client_conn_new(weft_http *h,
                                          struct wf_client_host *host)
{
    struct wf_client_conn *c = weft_buffer_alloc(sizeof *c);
    if (!c) return NULL;
    *c = (struct wf_client_conn){.h = h, .host = host, .open = true};
    return c;
}

void wf_client_shut(struct wf_client_conn *c)
{
    weft_transport *t = c->transport;
    weft_fd fd = c->fd;
    if (!c->open) return;
    c->open = false;
    c->transport = NULL;
    c->fd = (weft_fd){0, 0};
    if (t)
        weft_transport_close(t);
    else if (fd.generation != 0)
        (void)weft_close(fd);
}

static void put_input(char *in, size_t room)
{
    if (room == WEFT_BUFFER_BYTES)
        weft_buffer_put(in);
    else if (room > 0)
        weft_buffer_free(in, room);
}

void wf_client_release_input(struct wf_client_conn *c)
{
    put_input(c->in, c->in_room);
    c->in = NULL;
    c->in_from = c->in_len = c->in_room = 0;
}

void wf_client_conn_free(struct wf_client_conn *c)
{
    wf_client_shut(c);
    wf_client_release_input(c);
    weft_buffer_free(c, sizeof *c);
}

/* ---- octets ------------------------------------------------------------- */

ssize_t wf_client_try_read(struct wf_client_conn *c, void *buf, size_t len)
{
    if (!c->open) return -EBADF;
    if (c->transport)
        return c->transport->ops->try_read(c->transport, buf, len);
    return weft_try_read(c->fd, buf, len);
}

ssize_t wf_client_try_write(struct wf_client_conn *c, const void *buf,
                            size_t len)
{
    if (!c->open) return -EBADF;
    if (c->transport)
        return c->transport->ops->try_write(c->transport, buf, len);
    return weft_try_write(c->fd, buf, len);
}

int wf_client_wait(struct wf_client_conn *c, int events)
{
    if (!c->open) return -EBADF;
    int err = c->transport ? c->transport->ops->wait(c->transport, events)
                           : weft_wait_ready(c->fd, events);
    return c->open ? err : -EBADF;
}

/* ---- input -------------------------------------------------------------- */

static int make_room(struct wf_client_conn *c, size_t most)
{
    if (c->in_from > 0) {
        memmove(c->in, c->in + c->in_from, c->in_len);
        c->in_from = 0;
    }
    if (c->in_len < c->in_room) return 0;
    if (c->in_len >= most) return -ENOBUFS;
    size_t room = c->in_room > 0 ? 2 * c->in_room : WEFT_BUFFER_BYTES;
    char *in =
        room == WEFT_BUFFER_BYTES ? weft_buffer_get() : weft_buffer_alloc(room);
    if (!in) return -ENOMEM;
    if (c->in_len > 0) memcpy(in, c->in, c->in_len);
    put_input(c->in, c->in_room);
    c->in = in;
    c->in_room = room;
    return 0;
}

ssize_t wf_client_try_fill(struct wf_client_conn *c, size_t most)
{
    int err = 0;
    if (c->in_from + c->in_len == c->in_room) err = make_room(c, most);
    if (err < 0) return err;
    size_t end = c->in_from + c->in_len;
    ssize_t n = wf_client_try_read(c, c->in + end, c->in_room - end);
    if (n > 0) c->in_len += (size_t)n;
    if (n == 0) c->ended = true;
    return n;
}

void wf_client_consume(struct wf_client_conn *c, size_t n)
{
    c->in_len -= n;
    c->in_from = c->in_len > 0 ? c->in_from + n : 0;
}
