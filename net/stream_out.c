/* SPDX-License-Identifier: MIT */
/*
 * stream_out.c - output, gathered in a buffer that is given back when empty.
 *
 * It is sent when the stream is about to wait for input, when it is full, or on
 * flush. A failure of sending is kept, and every later write returns it: part
 * of the output may have gone, so there is no way to go on.
 *
 * Who sends holds sending_. Others may add to what is gathered meanwhile, behind
 * it; so the buffer stays where it is until it is empty.
 */
#include "stream.h"

#include <weft/fiber.h>
#include <weft/socket.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void wf_stream_release_output(weft_stream *s)
{
    wf_stream_put_room(s->out_, s->out_room_);
    s->out_ = NULL;
    s->out_from_ = s->out_len_ = s->out_room_ = 0;
    s->out_limit_ = s->high_water_;
}

/* ---- sending ------------------------------------------------------------ */

/* What stands behind an error that is none of the connection's: all that is
 * gathered is still here, and may be tried again. */
static bool may_be_tried_again(int err)
{
    return err == -ECANCELED || err == -EBUSY || err == -ENOMEM;
}

/* Keeps an error of the sending, half of a caller's octets being gone or not. */
__attribute__((cold, noinline)) static int note(weft_stream *s, int err,
                                                bool half_gone)
{
    bool again = may_be_tried_again(err);
    if (err < 0 && (half_gone || !again)) s->out_error_ = again ? -EPIPE : err;
    return err;
}

__attribute__((noinline)) static ssize_t
send_to_transport(weft_stream *s, const void *data, size_t len)
{
    int err = weft_checkpoint();
    while (err >= 0) {
        ssize_t n = wf_stream_try_write(s, data, len);
        if (n != -EAGAIN) return n;
        err = wf_stream_wait(s, WEFT_WRITABLE);
    }
    return err;
}

static ssize_t send_some(weft_stream *s, const void *data, size_t len)
{
    return s->transport_ ? send_to_transport(s, data, len)
                         : weft_write(s->fd_, data, len);
}

/* Nothing is gathered, but there may be room that was reserved and not used. */
static inline void release_empty(weft_stream *s)
{
    if (s->out_ && s->out_len_ == 0) wf_stream_release_output(s);
}

static void gathered_went(weft_stream *s, size_t n)
{
    s->out_from_ += n;
    s->out_len_ -= n;
    if (s->out_len_ == 0) wf_stream_release_output(s);
}

/* Others may add to what is gathered while this waits; it all goes. */
static int flush_locked(weft_stream *s)
{
    release_empty(s);
    if (s->out_error_) return s->ended_ ? 0 : s->out_error_;
    while (s->out_len_ > 0) {
        ssize_t n = send_some(s, s->out_ + s->out_from_, s->out_len_);
        if (n < 0) return note(s, (int)n, false);
        gathered_went(s, (size_t)n);
    }
    return 0;
}

int weft_stream_flush(weft_stream *s)
{
    int err = weft_mutex_lock(&s->sending_);
    if (err < 0) return err;
    err = flush_locked(s);
    weft_mutex_unlock(&s->sending_);
    return err;
}

/* Why sending_ cannot be had now: it is not free, or there is no fiber. */
__attribute__((noinline)) static int cannot_send(weft_stream *s)
{
    int err = weft_mutex_trylock(&s->sending_);
    if (err == 0) weft_mutex_unlock(&s->sending_);
    return err;
}

/* Nothing here parks, so nobody can ask for sending_ meanwhile. */
int weft_stream_try_flush(weft_stream *s)
{
    if (__builtin_expect(s->sending_.owner_ || !weft_self(), 0)) {
        int err = cannot_send(s);
        if (err < 0) return err;
    }
    release_empty(s);
    if (s->out_error_) return s->ended_ ? 0 : s->out_error_;
    while (s->out_len_ > 0) {
        ssize_t n = wf_stream_try_write(s, s->out_ + s->out_from_, s->out_len_);
        if (n == -EAGAIN) return -EAGAIN;
        if (n < 0) return note(s, (int)n, false);
        gathered_went(s, (size_t)n);
    }
    return 0;
}

/* Who reads is told of a failure only if octets of his are held up by it. */
int wf_stream_flush_before_waiting(weft_stream *s)
{
    release_empty(s);
    if (s->out_len_ == 0 || weft_mutex_trylock(&s->sending_) < 0) return 0;
    int err = flush_locked(s);
    weft_mutex_unlock(&s->sending_);
    return err;
}

/* ---- past the buffer ---------------------------------------------------- */

/* Parts of a caller's octets that are still to go. */
struct rest {
    const struct iovec *iov;
    int count;
    size_t offset; /* in the first */
};

static bool is_over(struct rest *r)
{
    while (r->count > 0 && r->iov->iov_len == r->offset) {
        r->iov++;
        r->count--;
        r->offset = 0;
    }
    return r->count == 0;
}

static void went(struct rest *r, size_t n)
{
    while (n > 0) {
        size_t part = r->iov->iov_len - r->offset;
        if (n < part) part = n;
        r->offset += part;
        n -= part;
        (void)is_over(r);
    }
}

/* Sends some of the first `first` that are gathered, and of the rest: by one
 * call, if it is a descriptor. */
static ssize_t send_next(weft_stream *s, size_t first, const struct rest *r)
{
    enum { PARTS = 16 };
    struct iovec v[PARTS];
    int count = 0;
    v[0] = (struct iovec){NULL, 0};
    if (first > 0) v[count++] = (struct iovec){s->out_ + s->out_from_, first};
    for (int i = 0; i < r->count && count < PARTS; i++) {
        size_t offset = i == 0 ? r->offset : 0;
        v[count++] = (struct iovec){(char *)r->iov[i].iov_base + offset,
                                    r->iov[i].iov_len - offset};
    }
    if (count > 1 && !s->transport_) return weft_writev(s->fd_, v, count);
    return send_some(s, v[0].iov_base, v[0].iov_len);
}

/* What is gathered goes first, then these from where they are, with nobody's in
 * between: what others gather after the first of these has gone comes later. */
static int write_through_locked(weft_stream *s, struct rest *r)
{
    bool begun = false;
    if (s->out_error_) return s->out_error_;
    while (!is_over(r)) {
        size_t first = begun ? 0 : s->out_len_;
        ssize_t n = send_next(s, first, r);
        if (n < 0) return note(s, (int)n, begun);
        size_t gathered = (size_t)n < first ? (size_t)n : first;
        if (gathered > 0) gathered_went(s, gathered);
        begun = begun || (size_t)n > gathered;
        went(r, (size_t)n - gathered);
    }
    return 0;
}

static int write_through(weft_stream *s, const struct iovec *iov, int count)
{
    struct rest r = {iov, count, 0};
    int err = weft_mutex_lock(&s->sending_);
    if (err < 0) return err;
    err = write_through_locked(s, &r);
    weft_mutex_unlock(&s->sending_);
    return err;
}

int wf_stream_relay(weft_stream *s, weft_stream *from, uint64_t max,
                    uint64_t *done)
{
    int err = weft_mutex_lock(&s->sending_);
    if (err < 0) return err;
    err = s->out_error_ ? s->out_error_ : flush_locked(s);
    /* While this waits the input may have to move. */
    while (err >= 0 && from->in_len_ > 0 && max > 0) {
        size_t len = max < from->in_len_ ? (size_t)max : from->in_len_;
        ssize_t n = wf_stream_try_write(s, from->in_ + from->in_from_, len);
        if (n >= 0) {
            weft_stream_consume(from, (size_t)n);
            *done += (uint64_t)n;
            max -= (uint64_t)n;
        } else {
            err = n == -EAGAIN ? wf_stream_wait(s, WEFT_WRITABLE) : (int)n;
            err = note(s, err, false);
        }
    }
    weft_mutex_unlock(&s->sending_);
    return err < 0 ? err : 0;
}

/* ---- gathering ---------------------------------------------------------- */

static bool fits(const weft_stream *s, size_t len)
{
    return len <= s->out_limit_ - s->out_from_ - s->out_len_;
}

static int get_output(weft_stream *s)
{
    s->out_ = wf_stream_get_room(s->high_water_, &s->out_room_);
    if (s->out_) return 0;
    s->out_room_ = 0;
    return -ENOMEM;
}

static int append(weft_stream *s, const void *data, size_t len)
{
    if (!s->out_ && get_output(s) < 0) return -ENOMEM;
    memcpy(s->out_ + s->out_from_ + s->out_len_, data, len);
    s->out_len_ += len;
    return 0;
}

static int append_all(weft_stream *s, const struct iovec *iov, int count)
{
    int err = 0;
    for (int i = 0; i < count && err == 0; i++)
        if (iov[i].iov_len > 0)
            err = append(s, iov[i].iov_base, iov[i].iov_len);
    return err;
}

char *weft_stream_reserve_slow_(weft_stream *s, size_t len)
{
    if (s->out_error_ || !fits(s, len)) return NULL;
    if (!s->out_ && get_output(s) < 0) return NULL;
    return s->out_ + s->out_from_ + s->out_len_;
}

/* They do not fit: this may park, so none must lie in the scratch; and somebody
 * may end the sending meanwhile, after which a flush has nothing to do. */
static int write_slowly(weft_stream *s, const struct iovec *iov, int count,
                        size_t len)
{
    while (len < s->high_water_) {
        if (fits(s, len)) return append_all(s, iov, count);
        int err = weft_stream_flush(s);
        if (err == 0) err = s->out_error_;
        if (err < 0) return err;
    }
    return write_through(s, iov, count);
}

static int write_a_copy(weft_stream *s, const struct iovec *iov, int count,
                        size_t len)
{
    char *copy = weft_buffer_alloc(len);
    if (!copy) return -ENOMEM;
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len == 0) continue;
        memcpy(copy + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    struct iovec whole = {copy, len};
    int err = write_slowly(s, &whole, 1, len);
    weft_buffer_free(copy, len);
    return err;
}

__attribute__((noinline)) static int
write_what_does_not_fit(weft_stream *s, const struct iovec *iov, int count,
                        size_t len)
{
    for (int i = 0; i < count; i++)
        if (weft_scratch_holds(iov[i].iov_base))
            return write_a_copy(s, iov, count, len);
    return write_slowly(s, iov, count, len);
}

/* Only the question whether it is cancelled: giving way, when the credit is
 * spent, could cost the octets in the scratch. The flush that comes after
 * 16 KiB at the latest gives way. */
static int may_write(const weft_stream *s)
{
    if (!weft_self() || weft_cancelled()) return weft_checkpoint();
    return s->out_error_;
}

int weft_stream_write(weft_stream *s, const void *data, size_t len)
{
    int err = may_write(s);
    if (err < 0) return err;
    if (fits(s, len)) return len > 0 ? append(s, data, len) : 0;
    struct iovec whole = {(void *)(uintptr_t)data, len};
    return write_what_does_not_fit(s, &whole, 1, len);
}

/* How many octets these are; SIZE_MAX: too many. */
static size_t count_octets(const struct iovec *iov, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > (size_t)SSIZE_MAX - sum) return SIZE_MAX;
        sum += iov[i].iov_len;
    }
    return sum;
}

int weft_stream_writev(weft_stream *s, const struct iovec *iov, int count)
{
    int err = may_write(s);
    if (err < 0) return err;
    size_t len = count < 0 ? SIZE_MAX : count_octets(iov, count);
    if (len == SIZE_MAX) return -EINVAL;
    if (fits(s, len)) return append_all(s, iov, count);
    return write_what_does_not_fit(s, iov, count, len);
}

int weft_stream_printf(weft_stream *s, const char *format, ...)
{
    int err = may_write(s);
    if (err < 0) return err;
    char *text = weft_buffer_get();
    if (!text) return -ENOMEM;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, WEFT_BUFFER_BYTES, format, args);
    va_end(args);
    err = len < 0                    ? -EINVAL
          : len >= WEFT_BUFFER_BYTES ? -EMSGSIZE
                                     : weft_stream_write(s, text, (size_t)len);
    weft_buffer_put(text);
    return err;
}

void weft_stream_set_high_water(weft_stream *s, size_t octets)
{
    release_empty(s);
    size_t end = s->out_from_ + s->out_len_;
    s->high_water_ = octets;
    if (!s->out_ || s->high_water_ < s->out_limit_)
        s->out_limit_ = s->high_water_ > end ? s->high_water_ : end;
}

/* ---- ending it ---------------------------------------------------------- */

static int shutdown_locked(weft_stream *s)
{
    int err = flush_locked(s);
    if (err < 0 || s->ended_) return err;
    s->ended_ = true;
    s->out_error_ = -EPIPE; /* for who writes while this parks */
    err = s->transport_ ? weft_transport_shutdown_write(s->transport_)
                        : weft_shutdown_fd(s->fd_, SHUT_WR);
    if (err == 0) return 0;
    s->ended_ = false;
    s->out_error_ = 0;
    return err;
}

int weft_stream_shutdown_write(weft_stream *s)
{
    int err = weft_mutex_lock(&s->sending_);
    if (err < 0) return err;
    err = shutdown_locked(s);
    weft_mutex_unlock(&s->sending_);
    return err;
}
