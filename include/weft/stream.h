/* SPDX-License-Identifier: MIT */
/*
 * weft/stream.h (net) - buffered reading and writing of a connection.
 *
 *     weft_stream s;
 *     weft_stream_init(&s, conn);
 *     const char *line;
 *     ssize_t n;
 *     while ((n = weft_stream_read_until(&s, '\n', 4096, &line)) > 0) {
 *         int err = weft_stream_write(&s, line, (size_t)n);
 *         if (err < 0) break;
 *     }
 *     int err = weft_stream_close(&s);
 *
 * Reading looks into a buffer and copies nothing: a call returns a pointer
 * that is good until the fiber next parks or reads. Writing gathers
 * octets, and sends them when the stream is about to wait for input, when
 * they pass 16 KiB (its high-water mark), or on flush; so a batch of pipelined
 * requests is answered with one system call. An idle stream owns no buffer at
 * all. A peer that never reads makes writes wait at the mark: bound them by a
 * scope (weft/scope.h); no memory grows meanwhile.
 *
 * A cancelled read has consumed nothing. One fiber may read while another
 * writes: a reader that has to wait sends what is gathered, unless the writer
 * is at it just then.
 *
 * It is over a descriptor or a transport (weft/transport.h), and behaves the
 * same over each.
 */
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include <weft/base.h>
#include <weft/buffer.h>
#include <weft/io.h>
#include <weft/mutex.h>
#include <weft/transport.h>

WEFT_BEGIN_DECLS

/** The caller owns the memory; members ending in _ are private. */
typedef struct weft_stream {
    weft_tenant tenant_;
    weft_fd fd_;
    weft_transport *transport_; /* NULL: the descriptor */
    char *in_;           /* octets read and not consumed: at in_ + in_from_ */
    size_t in_from_, in_len_, in_room_; /* in_room_ 0: in_ is the scratch */
    char *out_;          /* octets to be sent, from out_ + out_from_ */
    size_t out_from_, out_len_, out_room_;
    size_t out_limit_;   /* of out_from_ + out_len_; the mark, without out_ */
    size_t high_water_;
    int out_error_;      /* what broke the sending side, for good */
    bool fresh_, eof_;
    bool ended_;         /* the sending side, by shutdown_write */
    weft_mutex sending_; /* one fiber at a time writes */
} weft_stream;

/** *s reads and writes `fd`, which stays yours until weft_stream_close. */
WEFT_API void weft_stream_init(weft_stream *s, weft_fd fd);

/** The same over *t, which stays yours until weft_stream_close. If it is closed
 *  under a fiber that waits in the stream, all calls that come to it say -EBADF
 *  from then on; otherwise it has to outlast them. */
WEFT_API void weft_stream_init_transport(weft_stream *s, weft_transport *t);

/** What it is over: the descriptor, zeroed if it is none; or NULL. */
static inline weft_fd weft_stream_fd(const weft_stream *s)
{
    return s->fd_;
}
static inline weft_transport *weft_stream_transport(const weft_stream *s)
{
    return s->transport_;
}

/* ---- input -------------------------------------------------------------- */

/**
 * Waits for octets, if there are none, and shows all that are there, without
 * consuming them. Flushes first if it has to wait.
 *
 * Parks. Returns how many (*ret_data points at them), 0 at the end, or as
 * weft_read and weft_write.
 */
static inline ssize_t weft_stream_peek(weft_stream *s, const char **ret_data)
    __attribute__((warn_unused_result));

/**
 * Waits until there are more octets than the `have` now in the buffer.
 *
 * Parks. Returns as weft_stream_peek; `have` when the stream ended; -ENOBUFS
 * when the buffer has reached `max` octets.
 */
WEFT_PARKS ssize_t weft_stream_more(weft_stream *s, size_t have, size_t max,
                                    const char **ret_data);

/** Consumes `n` octets of those shown, or all. They stay where they are, for who
 *  still looks at them, until something else is asked of the input, or the fiber
 *  parks. */
static inline void weft_stream_consume(weft_stream *s, size_t n)
{
    if (n > s->in_len_) n = s->in_len_;
    s->in_from_ += n;
    s->in_len_ -= n;
}

/**
 * Reads up to and with octet `end`, and consumes that. A last piece without it
 * that is shorter than `max` is returned as it is.
 *
 * Parks. Returns its length, 0 at the end, -EMSGSIZE if `max` octets hold no
 * `end` (they are all still unread), or as weft_stream_peek.
 */
WEFT_PARKS ssize_t weft_stream_read_until(weft_stream *s, char end, size_t max,
                                          const char **ret_data);

/** The same up to and with all of the text `end`, such as "\r\n\r\n"; -EINVAL:
 *  it is empty. */
WEFT_PARKS ssize_t weft_stream_read_until_text(weft_stream *s, const char *end,
                                               size_t max,
                                               const char **ret_data);

/**
 * Reads a line, and shows it without its end, which is "\n" or "\r\n"; the last
 * one may have none. It is not ended by a 0.
 *
 * Parks. Returns 1 and a line of `max` octets at most, 0 at the end, -EMSGSIZE
 * if it is longer (it is still unread), or as weft_stream_peek.
 */
WEFT_PARKS int weft_stream_read_line(weft_stream *s, size_t max,
                                     const char **ret_line, size_t *ret_len);

/** Reads up to `len` octets into `buf`: parks for the first; as weft_read. */
WEFT_PARKS ssize_t weft_stream_read(weft_stream *s, void *buf, size_t len);

/**
 * Reads exactly `len` octets into `buf`.
 *
 * Parks. Returns 0, -EPIPE if the stream ended first (those that came are
 * still unread), or as weft_read; a cancelled call has consumed nothing.
 */
WEFT_PARKS int weft_stream_read_exact(weft_stream *s, void *buf, size_t len);

/**
 * Reads `n` octets and drops them as they come. *ret_done (may be NULL) says
 * how many those were, also of a call that failed.
 *
 * Parks. Returns 0, -EPIPE if the stream ended first, or as weft_read.
 */
WEFT_PARKS int weft_stream_skip(weft_stream *s, uint64_t n,
                                uint64_t *ret_done);

/** How many octets are there to be read without waiting for any. */
static inline size_t weft_stream_buffered(const weft_stream *s)
{
    return s->in_len_;
}

/** Has a read come to the end, and is nothing left? */
static inline bool weft_stream_at_end(const weft_stream *s)
{
    return s->eof_ && s->in_len_ == 0;
}

/* ---- output ------------------------------------------------------------- */

/**
 * Takes `len` octets to be sent; they may be such as peek has shown. Parks
 * when over 16 KiB would wait, and only then (what else peek had shown is gone
 * after that, as after any park). An error took none of them, save when a write
 * of over 16 KiB fails half way: that breaks the sending side, and every later
 * call says so (-EPIPE after a cancellation). So does any other error of the
 * sending but -ECANCELED, -EBUSY and -ENOMEM, after which what is gathered is
 * there and can still be sent.
 *
 * Returns 0, or as weft_write; -ENOMEM.
 */
WEFT_PARKS int weft_stream_write(weft_stream *s, const void *data, size_t len);

/** Takes the octets of all parts as weft_stream_write would those of one, with
 *  nobody else's in between. Also -EINVAL: count below 0, or too many octets. */
WEFT_PARKS int weft_stream_writev(weft_stream *s, const struct iovec *iov,
                                  int count);

/** Takes a formatted text as weft_stream_write would. Also -EMSGSIZE: it is not
 *  shorter than 16 KiB, wherever the mark is; and -EINVAL: the format makes
 *  none. */
WEFT_PARKS int weft_stream_printf(weft_stream *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * Room for `len` octets behind those that are gathered: to be written there, and
 * then taken by weft_stream_commit, so that what makes them needs no buffer of
 * its own. It is there until anything else is asked of the output, by whomever,
 * or the fiber parks. Never parks.
 *
 * Returns NULL: so many do not fit (weft_stream_flush makes room, up to the
 * mark); nothing can be sent any more; or there is no memory. weft_stream_write
 * does it in any case, or says why not.
 */
static inline char *weft_stream_reserve(weft_stream *s, size_t len);

/** Takes `len` octets, of those that were reserved last. */
static inline void weft_stream_commit(weft_stream *s, size_t len)
{
    s->out_len_ += len;
}

/** Sends what is gathered. Parks. Returns 0, or as weft_write. */
WEFT_PARKS int weft_stream_flush(weft_stream *s);

/** Sends of what is gathered what goes without waiting. Never parks. Returns 0
 *  (nothing is left), -EAGAIN (something is), -EBUSY (another fiber is sending),
 *  -EPERM (no fiber), or as weft_write. */
WEFT_MUST int weft_stream_try_flush(weft_stream *s);

/** How many octets are gathered and were not sent yet: the mark at most. */
static inline size_t weft_stream_pending(const weft_stream *s)
{
    return s->out_len_;
}

/** Moves the mark from 16 KiB, wherever that is said above, to `octets`; 0: it
 *  gathers nothing and sends at once. While something is gathered the stream owns
 *  a buffer of that size, at least 16 KiB. What is gathered already stays so, and
 *  a mark further away counts once it has gone. */
WEFT_API void weft_stream_set_high_water(weft_stream *s, size_t octets);

/**
 * Sends what is gathered and ends this side's sending: the peer reads the end.
 * Reading goes on; later writes say -EPIPE. Done already it returns 0. On an
 * error nothing was ended, and the call may be tried again.
 *
 * Parks. Returns 0, as weft_stream_flush, or why it cannot be ended.
 */
WEFT_PARKS int weft_stream_shutdown_write(weft_stream *s);

/**
 * Moves octets from one stream to the other until the first ends, or `limit`
 * have gone (UINT64_MAX: without limit): what has been read already, then what
 * comes. Behind what `to` has gathered; each is sent at once. The end is not
 * passed on (weft_stream_shutdown_write). At most one buffer is held, and
 * nothing is lost: what has not gone is unread. *ret_done (may be NULL) says how
 * many have, also when the call failed. A proxy has one fiber for each way.
 *
 * Parks. Returns 0, or as weft_stream_peek and weft_stream_flush.
 */
WEFT_PARKS int weft_stream_copy(weft_stream *from, weft_stream *to,
                                uint64_t limit, uint64_t *ret_done);

/* ---- the end ------------------------------------------------------------ */

/** Gives the buffers back, and leaves the descriptor or transport open; no other
 *  fiber may be using the stream. Never parks. */
WEFT_API void weft_stream_fini(weft_stream *s);

/**
 * Sends what is gathered, then gives the buffers back and closes, whatever
 * the sending came to. Parks if something is gathered, and only then it is a
 * cancel point. One that was closed already, or is zeroed, is fine. Returns 0, or
 * why the sending failed.
 */
WEFT_PARKS int weft_stream_close(weft_stream *s);

/**
 * The same for clean-up: sends for `grace` at most, and does so also if the
 * caller is cancelled.
 *
 * Parks if something is gathered, and is no cancel point. Returns 0, -ETIMEDOUT
 * (the grace was over), or why the sending failed; closed in any case.
 */
WEFT_PARKS int weft_stream_close_within(weft_stream *s, weft_time grace);

/**
 * The polite end after a last answer: sends what is gathered, ends this side's
 * sending, and reads and drops what still comes until the peer has ended too,
 * or `linger` is over; then closes. Closing with input unread would reset the
 * connection, and take the answer with it (RFC 9112, 9.6).
 *
 * Parks. Returns 0, or why it could not end politely; closed in any case.
 */
WEFT_PARKS int weft_stream_finish(weft_stream *s, weft_time linger);

/* What weft_stream_peek does when there is nothing, or it may have to give way. */
WEFT_PARKS ssize_t weft_stream_peek_slow_(weft_stream *s,
                                          const char **ret_data);

static inline ssize_t weft_stream_peek(weft_stream *s, const char **ret_data)
{
    if (__builtin_expect(s->in_len_ == 0 || weft_here_.credit_ <= 0, 0))
        return weft_stream_peek_slow_(s, ret_data);
    weft_here_.credit_--;
    *ret_data = s->in_ + s->in_from_;
    return (ssize_t)s->in_len_;
}

/* The rare half of weft_stream_reserve: there is no buffer yet, or no room. */
WEFT_API char *weft_stream_reserve_slow_(weft_stream *s, size_t len);

static inline char *weft_stream_reserve(weft_stream *s, size_t len)
{
    size_t end = s->out_from_ + s->out_len_;
    if (__builtin_expect(s->out_ && !s->out_error_ &&
                             len <= s->out_limit_ - end, 1))
        return s->out_ + end;
    return weft_stream_reserve_slow_(s, len);
}

WEFT_END_DECLS

#endif
