/* SPDX-License-Identifier: MIT */
/*
 * net/stream.h - a stream, as its halves know it: stream_in.c reads,
 * stream_out.c writes, and stream.c is what concerns both.
 *
 * Most are over a descriptor, so that is the way without an indirect call.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <weft/stream.h>

static inline ssize_t wf_stream_try_read(weft_stream *s, void *buf, size_t len)
{
    weft_transport *t = s->transport_;
    if (__builtin_expect(!t, 1)) return weft_try_read(s->fd_, buf, len);
    return t->ops->try_read(t, buf, len);
}

static inline ssize_t wf_stream_try_write(weft_stream *s, const void *buf,
                                          size_t len)
{
    weft_transport *t = s->transport_;
    if (__builtin_expect(!t, 1)) return weft_try_write(s->fd_, buf, len);
    return t->ops->try_write(t, buf, len);
}

/* ---- stream.c ----------------------------------------------------------- */

/* Of a transport; one that is gone is forgotten. */
int wf_stream_wait_slowly(weft_stream *s, int events);

static inline int wf_stream_wait(weft_stream *s, int events)
{
    if (__builtin_expect(!s->transport_, 1))
        return weft_wait_ready(s->fd_, events);
    return wf_stream_wait_slowly(s, events);
}

/* A buffer of at least `need` octets, pooled if the usual size will do; and
 * back. A room of 0 is none. */
char *wf_stream_get_large_room(size_t need, size_t *ret_room);

static inline char *wf_stream_get_room(size_t need, size_t *ret_room)
{
    if (__builtin_expect(need > WEFT_BUFFER_BYTES, 0))
        return wf_stream_get_large_room(need, ret_room);
    *ret_room = WEFT_BUFFER_BYTES;
    return weft_buffer_get();
}

static inline void wf_stream_put_room(char *buf, size_t room)
{
    if (room == WEFT_BUFFER_BYTES)
        weft_buffer_put(buf);
    else if (room)
        weft_buffer_free(buf, room);
}

/* ---- stream_in.c -------------------------------------------------------- */

/* Somebody else needs the scratch. */
int wf_stream_move_out(weft_tenant *t);

void wf_stream_release_input(weft_stream *s);

/* ---- stream_out.c ------------------------------------------------------- */

/* Sends what is gathered, if something is, unless another fiber is at it. */
int wf_stream_flush_before_waiting(weft_stream *s);

/* Sends up to `max` of the octets that `from` shows behind what is gathered, and
 * consumes them; *done grows. */
int wf_stream_relay(weft_stream *s, weft_stream *from, uint64_t max,
                    uint64_t *done);

void wf_stream_release_output(weft_stream *s);

#endif
