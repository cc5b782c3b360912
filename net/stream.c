/* SPDX-License-Identifier: MIT */
/*
 * stream.c - the beginning and the end of a stream; and from one to another.
 */
#include "stream.h"

#include <weft/fiber.h>
#include <weft/scope.h>

#include "waits.h"

void weft_stream_init(weft_stream *s, weft_fd fd)
{
    *s = (weft_stream){.tenant_ = {wf_stream_move_out},
                       .fd_ = fd,
                       .out_limit_ = WEFT_BUFFER_BYTES,
                       .high_water_ = WEFT_BUFFER_BYTES,
                       .fresh_ = true};
}

void weft_stream_init_transport(weft_stream *s, weft_transport *t)
{
    weft_stream_init(s, (weft_fd){0, 0});
    s->transport_ = t;
}

int wf_stream_wait_slowly(weft_stream *s, int events)
{
    int err = s->transport_->ops->wait(s->transport_, events);
    if (err == -EBADF) s->transport_ = &wf_transport_gone;
    return err;
}

char *wf_stream_get_large_room(size_t need, size_t *ret_room)
{
    size_t room = WEFT_BUFFER_BYTES;
    while (room < need && room <= SIZE_MAX / 2)
        room *= 2;
    *ret_room = room;
    return room < need ? NULL : weft_buffer_alloc(room);
}

/* ---- from one to another ------------------------------------------------ */

int weft_stream_copy(weft_stream *from, weft_stream *to, uint64_t limit,
                     uint64_t *ret_done)
{
    uint64_t done = 0;
    int err = limit == 0 ? weft_checkpoint() : 0;
    /* What is about to be waited for may be the answer to this. */
    if (limit > 0 && from->in_len_ == 0 && to->out_len_ > 0)
        err = weft_stream_flush(to);
    while (err == 0 && done < limit) {
        const char *data;
        ssize_t n = weft_stream_peek(from, &data);
        if (n == 0) break;
        err = n < 0 ? (int)n : wf_stream_relay(to, from, limit - done, &done);
    }
    if (ret_done) *ret_done = done;
    return err;
}

/* ---- the end ------------------------------------------------------------ */

void weft_stream_fini(weft_stream *s)
{
    wf_stream_release_input(s);
    wf_stream_release_output(s);
}

static bool has_to_flush(const weft_stream *s)
{
    return s->out_len_ > 0 || (s->out_error_ && !s->ended_);
}

/* What was closed, or is zeroed, has neither. */
static int let_go(weft_stream *s, int err)
{
    weft_stream_fini(s);
    if (s->transport_) {
        weft_transport_close(s->transport_);
        s->transport_ = &wf_transport_gone;
    }
    if (s->fd_.generation) weft_close(s->fd_);
    s->fd_ = (weft_fd){0, 0};
    return err;
}

int weft_stream_close(weft_stream *s)
{
    return let_go(s, has_to_flush(s) ? weft_stream_flush(s) : 0);
}

static int flush(void *arg)
{
    return weft_stream_flush(arg);
}

int weft_stream_close_within(weft_stream *s, weft_time grace)
{
    return let_go(s, has_to_flush(s) ? weft_shielded(grace, flush, s) : 0);
}

static int drop_input(void *arg)
{
    int err = weft_stream_skip(arg, UINT64_MAX, NULL);
    return err == -EPIPE ? 0 : err; /* the end */
}

int weft_stream_finish(weft_stream *s, weft_time linger)
{
    int err = weft_stream_shutdown_write(s);
    if (err == 0) err = weft_move_on_after(linger, drop_input, s, NULL);
    int closed = weft_stream_close(s);
    return err < 0 ? err : closed;
}
