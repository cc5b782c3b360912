/* SPDX-License-Identifier: MIT */
/*
 * stream.c - buffers that exist only while there is something in them.
 *
 * Input. Octets are read into the thread's scratch, and consumed there if the
 * protocol is quick. If somebody else needs the scratch first, what is left
 * moves to a buffer of the stream's own (`move_out`), which is given back as
 * soon as it is empty. in_room_ tells: 0 means in_ points into the scratch, or
 * nowhere; more is the size of the stream's own buffer.
 *
 * Output. Octets are gathered in a pooled buffer. It is sent when the stream
 * is about to wait for input, when it is full, or on flush. A failure of
 * sending is kept, and every later write returns it: part of the output may
 * have gone, so there is no way to go on.
 */
#include <weft/stream.h>

#include <weft/fiber.h>
#include <weft/scope.h>
#include <weft/socket.h>

#include <string.h>

/* ---- input -------------------------------------------------------------- */

/* A buffer of at least `need` octets, pooled if the usual size will do. */
static char *get_room(size_t need, size_t *ret_room)
{
    size_t room = WEFT_BUFFER_BYTES;
    while (room < need)
        room *= 2;
    *ret_room = room;
    return room == WEFT_BUFFER_BYTES ? weft_buffer_get()
                                     : weft_buffer_alloc(room);
}

static void put_room(char *buf, size_t room)
{
    if (room == WEFT_BUFFER_BYTES)
        weft_buffer_put(buf);
    else if (room)
        weft_buffer_free(buf, room);
}

/* Takes what is unread to a buffer of our own with `need` octets of room. */
static int move_in(weft_stream *s, size_t need)
{
    size_t room;
    char *buf = get_room(need, &room);
    if (!buf) return -ENOMEM;
    if (s->in_len_) memcpy(buf, s->in_ + s->in_from_, s->in_len_);
    if (s->in_room_)
        put_room(s->in_, s->in_room_);
    else
        weft_scratch_leave(&s->tenant_);
    s->in_ = buf;
    s->in_from_ = 0;
    s->in_room_ = room;
    return 0;
}

/* Somebody else needs the scratch. */
static int move_out(weft_tenant *t)
{
    weft_stream *s = (weft_stream *)(void *)t; /* its first member */
    if (s->in_len_ == 0) {
        s->in_ = NULL;
        return 0;
    }
    return move_in(s, s->in_len_);
}

static void release_input(weft_stream *s)
{
    if (s->in_room_)
        put_room(s->in_, s->in_room_);
    else
        weft_scratch_leave(&s->tenant_);
    s->in_ = NULL;
    s->in_from_ = s->in_len_ = s->in_room_ = 0;
}

void weft_stream_init(weft_stream *s, weft_fd fd)
{
    *s = (weft_stream){.tenant_ = {move_out}, .fd_ = fd, .fresh_ = true};
}

static int flush_locked(weft_stream *s);

/* Sends what is gathered, unless another fiber is at it. */
static int flush_before_waiting(weft_stream *s)
{
    if (s->out_len_ == 0 || weft_mutex_trylock(&s->sending_) < 0) return 0;
    int err = flush_locked(s);
    weft_mutex_unlock(&s->sending_);
    return err;
}

/* Reads once into the scratch, if nothing is unread. */
static ssize_t fill_scratch(weft_stream *s)
{
    if (s->in_room_) release_input(s);
    s->in_ = weft_scratch_claim(&s->tenant_);
    if (!s->in_) return -ENOMEM;
    s->in_from_ = 0;
    ssize_t n = weft_try_read(s->fd_, s->in_, WEFT_SCRATCH_BYTES);
    if (n <= 0) release_input(s);
    return n;
}

/* Reads once behind what is unread, in a buffer of our own. */
static ssize_t fill_buffer(weft_stream *s)
{
    size_t end = s->in_from_ + s->in_len_;
    if (!s->in_room_ || end == s->in_room_) {
        /* Twice what there is, so that growing costs little. */
        int err = move_in(s, 2 * s->in_len_);
        if (err < 0) return err;
        end = s->in_len_;
    }
    return weft_try_read(s->fd_, s->in_ + end, s->in_room_ - end);
}

/* Reads once. Returns octets, 0 at the end, or an error. */
static ssize_t fill(weft_stream *s)
{
    int err;
    if (s->eof_) return 0;
    /* Where nothing has come as far as is known, there is no point in trying.
     * Nor on a fresh connection, of which nothing is known: it has to be
     * registered anyhow. But there waiting must not send what is gathered. */
    bool try = weft_known_ready(s->fd_) & WEFT_READABLE ||
               (s->fresh_ && s->out_len_ > 0);
    for (;; try = true) {
        if (try) {
            ssize_t n = s->in_len_ ? fill_buffer(s) : fill_scratch(s);
            if (n > 0) s->in_len_ += (size_t)n;
            if (n == 0) s->eof_ = true;
            if (n != -EAGAIN) return n;
        }
        err = flush_before_waiting(s);
        if (err < 0) return err;
        err = weft_wait_ready(s->fd_, WEFT_READABLE);
        if (err < 0) return err;
        s->fresh_ = false;
    }
}

static ssize_t more(weft_stream *s, size_t have, size_t max,
                    const char **ret_data)
{
    while (s->in_len_ <= have) {
        if (s->in_len_ >= max) return -ENOBUFS;
        ssize_t n = fill(s);
        if (n < 0) return n;
        if (n == 0 && !s->in_) { /* nothing has ever come */
            *ret_data = "";
            return 0;
        }
        if (n == 0) break;
    }
    *ret_data = s->in_ + s->in_from_;
    return (ssize_t)s->in_len_;
}

ssize_t weft_stream_more(weft_stream *s, size_t have, size_t max,
                         const char **ret_data)
{
    int err = weft_checkpoint();
    return err < 0 ? err : more(s, have, max, ret_data);
}

ssize_t weft_stream_peek(weft_stream *s, const char **ret_data)
{
    int err = weft_checkpoint();
    return err < 0 ? err : more(s, 0, SIZE_MAX, ret_data);
}

/* The octets shown stay where they are, for who still looks at them. */
void weft_stream_consume(weft_stream *s, size_t n)
{
    if (n > s->in_len_) n = s->in_len_;
    s->in_from_ += n;
    s->in_len_ -= n;
}

ssize_t weft_stream_read_until(weft_stream *s, char end, size_t max,
                               const char **ret_data)
{
    const char *data;
    size_t seen = 0;
    ssize_t have = weft_stream_peek(s, &data);
    for (;;) {
        if (have <= 0) return have;
        const char *at = memchr(data + seen, end, (size_t)have - seen);
        size_t len = at ? (size_t)(at - data) + 1 : (size_t)have;
        if (len > max || (!at && len == max)) return -EMSGSIZE;
        if (at || s->eof_) {
            weft_stream_consume(s, len);
            *ret_data = data;
            return (ssize_t)len;
        }
        seen = (size_t)have;
        have = more(s, seen, SIZE_MAX, &data);
    }
}

ssize_t weft_stream_read(weft_stream *s, void *buf, size_t len)
{
    const char *data;
    if (len == 0) return weft_checkpoint();
    ssize_t have = weft_stream_peek(s, &data);
    if (have <= 0) return have;
    if ((size_t)have < len) len = (size_t)have;
    memcpy(buf, data, len);
    weft_stream_consume(s, len);
    return (ssize_t)len;
}

int weft_stream_read_exact(weft_stream *s, void *buf, size_t len)
{
    const char *data;
    if (len == 0) return weft_checkpoint();
    ssize_t have = weft_stream_peek(s, &data);
    while (have >= 0 && (size_t)have < len) {
        if (s->eof_) return -EPIPE;
        have = more(s, (size_t)have, SIZE_MAX, &data);
    }
    if (have < 0) return (int)have;
    memcpy(buf, data, len);
    weft_stream_consume(s, len);
    return 0;
}

/* ---- output ------------------------------------------------------------- */

static void release_output(weft_stream *s)
{
    weft_buffer_put(s->out_);
    s->out_ = NULL;
    s->out_from_ = s->out_len_ = 0;
}

/* Others may add to what is gathered while this waits; it all goes. */
static int flush_locked(weft_stream *s)
{
    int err = s->out_error_;
    while (err == 0 && s->out_len_ > 0) {
        ssize_t n = weft_write(s->fd_, s->out_ + s->out_from_, s->out_len_);
        if (n < 0) {
            err = (int)n;
            break;
        }
        s->out_from_ += (size_t)n;
        s->out_len_ -= (size_t)n;
    }
    if (err == 0) release_output(s);
    /* Cancelled, all that is left is still here: it may be tried again. */
    if (err < 0 && err != -ECANCELED) s->out_error_ = err;
    return err;
}

int weft_stream_flush(weft_stream *s)
{
    int err = weft_mutex_lock(&s->sending_);
    if (err < 0) return err;
    err = flush_locked(s);
    weft_mutex_unlock(&s->sending_);
    return err;
}

/* More than a buffer: what is gathered goes first, then this from where it
 * is, with nobody in between. */
static int write_through(weft_stream *s, const char *data, size_t len)
{
    size_t done = 0;
    int err = weft_mutex_lock(&s->sending_);
    if (err < 0) return err;
    err = flush_locked(s);
    if (err == 0) err = weft_write_all(s->fd_, data, len, &done);
    /* Half of it is gone: no later write can mend that. */
    if (err < 0 && done > 0) s->out_error_ = err == -ECANCELED ? -EPIPE : err;
    weft_mutex_unlock(&s->sending_);
    return err;
}

static bool fits(const weft_stream *s, size_t len)
{
    return len <= WEFT_BUFFER_BYTES - s->out_from_ - s->out_len_;
}

static int append(weft_stream *s, const char *data, size_t len)
{
    if (!s->out_) s->out_ = weft_buffer_get();
    if (!s->out_) return -ENOMEM;
    memcpy(s->out_ + s->out_from_ + s->out_len_, data, len);
    s->out_len_ += len;
    return 0;
}

/* It does not fit: this may park, so `data` must not lie in the scratch. */
static int write_slowly(weft_stream *s, const char *data, size_t len)
{
    if (len >= WEFT_BUFFER_BYTES) return write_through(s, data, len);
    while (!fits(s, len)) {
        int err = weft_stream_flush(s);
        if (err < 0) return err;
    }
    return append(s, data, len);
}

int weft_stream_write(weft_stream *s, const void *data, size_t len)
{
    /* Only the question whether it is cancelled: giving way, when the credit is
     * spent, could cost the octets in the scratch. The flush that comes after
     * 16 KiB at the latest gives way. */
    if (!weft_self() || weft_cancelled()) return weft_checkpoint();
    if (s->out_error_) return s->out_error_;
    if (fits(s, len)) return len > 0 ? append(s, data, len) : 0;
    if (!weft_scratch_holds(data)) return write_slowly(s, data, len);
    char *copy = weft_buffer_alloc(len);
    if (!copy) return -ENOMEM;
    memcpy(copy, data, len);
    int err = write_slowly(s, copy, len);
    weft_buffer_free(copy, len);
    return err;
}

void weft_stream_fini(weft_stream *s)
{
    release_input(s);
    release_output(s);
}

static int drop_input(void *arg)
{
    weft_stream *s = arg;
    const char *data;
    ssize_t n;
    while ((n = weft_stream_peek(s, &data)) > 0)
        weft_stream_consume(s, (size_t)n);
    return (int)n;
}

int weft_stream_finish(weft_stream *s, weft_time linger)
{
    int err = weft_stream_flush(s);
    if (err == 0) err = weft_shutdown_fd(s->fd_, SHUT_WR);
    if (err == 0) err = weft_move_on_after(linger, drop_input, s, NULL);
    int closed = weft_stream_close(s);
    return err < 0 ? err : closed;
}

int weft_stream_close(weft_stream *s)
{
    int err = s->out_len_ > 0 || s->out_error_ ? weft_stream_flush(s) : 0;
    weft_stream_fini(s);
    weft_close(s->fd_);
    return err;
}
