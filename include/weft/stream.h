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
 * they pass 16 KiB, or on flush; so a batch of pipelined requests is answered
 * with one system call. An idle stream owns no buffer at all.
 *
 * A cancelled read has consumed nothing. One fiber may read while another
 * writes: a reader that has to wait sends what is gathered, unless the writer
 * is at it just then.
 */
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include <weft/base.h>
#include <weft/buffer.h>
#include <weft/io.h>
#include <weft/mutex.h>

WEFT_BEGIN_DECLS

/** The caller owns the memory; members ending in _ are private. */
typedef struct weft_stream {
    weft_tenant tenant_;
    weft_fd fd_;
    char *in_;           /* octets read and not consumed: at in_ + in_from_ */
    size_t in_from_, in_len_, in_room_; /* in_room_ 0: in_ is the scratch */
    char *out_;          /* octets to be sent, from out_ + out_from_ */
    size_t out_from_, out_len_;
    int out_error_;      /* what broke the sending side, for good */
    bool fresh_, eof_;
    weft_mutex sending_; /* one fiber at a time writes */
} weft_stream;

/** *s reads and writes `fd`, which stays yours until weft_stream_close. */
WEFT_API void weft_stream_init(weft_stream *s, weft_fd fd);

/**
 * Waits for octets, if there are none, and shows all that are there, without
 * consuming them. Flushes first if it has to wait.
 *
 * Parks. Returns how many (*ret_data points at them), 0 at the end, or as
 * weft_read and weft_write.
 */
WEFT_PARKS ssize_t weft_stream_peek(weft_stream *s, const char **ret_data);

/**
 * Waits until there are more octets than the `have` now in the buffer.
 *
 * Parks. Returns as weft_stream_peek; `have` when the stream ended; -ENOBUFS
 * when the buffer has reached `max` octets.
 */
WEFT_PARKS ssize_t weft_stream_more(weft_stream *s, size_t have, size_t max,
                                    const char **ret_data);

/** Consumes `n` octets of those shown. */
WEFT_API void weft_stream_consume(weft_stream *s, size_t n);

/**
 * Reads up to and with octet `end`, and consumes that. A last piece without it
 * that is shorter than `max` is returned as it is.
 *
 * Parks. Returns its length, 0 at the end, -EMSGSIZE if `max` octets hold no
 * `end`, or as weft_stream_peek.
 */
WEFT_PARKS ssize_t weft_stream_read_until(weft_stream *s, char end, size_t max,
                                          const char **ret_data);

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
 * Takes `len` octets to be sent; they may be such as peek has shown. Parks
 * when over 16 KiB would wait, and only then (what else peek had shown is gone
 * after that, as after any park). An error took none of them, save when a write
 * of over 16 KiB fails half way: that breaks the sending side, and every later
 * call says so (-EPIPE after a cancellation).
 *
 * Returns 0, or as weft_write; -ENOMEM.
 */
WEFT_PARKS int weft_stream_write(weft_stream *s, const void *data, size_t len);

/** Sends what is gathered. Parks. Returns 0, or as weft_write. */
WEFT_PARKS int weft_stream_flush(weft_stream *s);

/** Gives the buffers back, and leaves the descriptor open; no other fiber may
 *  be using the stream. Never parks. */
WEFT_API void weft_stream_fini(weft_stream *s);

/**
 * Sends what is gathered, then gives the buffers back and closes, whatever
 * the sending came to. Parks if something is gathered, and only then it is a
 * cancel point. Returns 0, or why the sending failed.
 */
WEFT_PARKS int weft_stream_close(weft_stream *s);

/**
 * The polite end after a last answer: sends what is gathered, ends this side's
 * sending, and reads and drops what still comes until the peer has ended too,
 * or `linger` is over; then closes. Closing with input unread would reset the
 * connection, and take the answer with it (RFC 9112, 9.6).
 *
 * Parks. Returns 0, or why it could not end politely; closed in any case.
 */
WEFT_PARKS int weft_stream_finish(weft_stream *s, weft_time linger);

WEFT_END_DECLS

#endif
