/* SPDX-License-Identifier: MIT */
/*
 * server_send.c - octets on their way out, and how long they may take.
 *
 * What is small is gathered in the stream, which sends it when it waits for
 * input. Before that could have to wait, the gathered octets are sent here, as
 * a wait that is bounded; what is large follows from where it stands, call by
 * call, so that each piece that moves counts.
 */
#include "server.h"

#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/file.h>
#include <weft/time.h>
#include <weft/transport.h>

#include <string.h>

enum {
    LARGE = WEFT_BUFFER_BYTES, /* not worth gathering */
    FILE_PIECE = 4 * WEFT_BUFFER_BYTES
};

/* After this nothing more can be sent in order. */
static int failed(struct wf_exchange *x, int err, bool half_gone)
{
    bool again = err == -ECANCELED || err == -EBUSY || err == -ENOMEM;
    if (half_gone || !again) x->is.lost = err;
    if (x->is.lost) x->is.plain = false;
    return err;
}

int wf_send_gathered(struct wf_exchange *x)
{
    weft_stream *s = &x->link->stream;
    if (x->is.lost) return x->is.lost;
    size_t before = weft_stream_pending(s);
    if (before == 0) return 0;
    weft_time begun = wf_wait_begin(x, WF_SEND);
    int err = weft_stream_flush(s);
    wf_wait_end(x, WF_SEND, begun, before - weft_stream_pending(s));
    return err < 0 ? failed(x, err, false) : 0;
}

int wf_send_room(struct wf_exchange *x, size_t n)
{
    if (!x->is.lost && weft_stream_reserve(&x->link->stream, n)) return 0;
    return wf_send_gathered(x);
}

int wf_send_parts(struct wf_exchange *x, const struct iovec *iov, int count)
{
    int err = weft_stream_writev(&x->link->stream, iov, count);
    return err < 0 ? failed(x, err, false) : 0;
}

/* ---- from where they stand ---------------------------------------------- */

static ssize_t write_some(weft_stream *s, const char *data, size_t len)
{
    weft_transport *t = weft_stream_transport(s);
    return t ? weft_transport_write(t, data, len)
             : weft_write(weft_stream_fd(s), data, len);
}

static int send_directly(struct wf_exchange *x, const char *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        weft_time begun = wf_wait_begin(x, WF_SEND);
        ssize_t n = write_some(&x->link->stream, data + done, len - done);
        wf_wait_end(x, WF_SEND, begun, n > 0 ? (uint64_t)n : 0);
        if (n < 0) return failed(x, (int)n, done > 0);
        done += (size_t)n;
    }
    return 0;
}

static int send_large(struct wf_exchange *x, const void *data, size_t len)
{
    int err = wf_send_gathered(x);
    return err < 0 ? err : send_directly(x, data, len);
}

/* The scratch is somebody else's after a park. */
static int send_a_copy(struct wf_exchange *x, const void *data, size_t len)
{
    char *copy = weft_buffer_alloc(len);
    if (!copy) return -ENOMEM;
    memcpy(copy, data, len);
    int err = wf_send(x, copy, len);
    weft_buffer_free(copy, len);
    return err;
}

int wf_send(struct wf_exchange *x, const void *data, size_t len)
{
    weft_stream *s = &x->link->stream;
    if (weft_stream_pending(s) + len > WEFT_BUFFER_BYTES) {
        if (weft_scratch_holds(data)) return send_a_copy(x, data, len);
        if (len >= LARGE) return send_large(x, data, len);
    }
    int err = wf_send_room(x, len);
    if (err == 0) err = weft_stream_write(s, data, len);
    return err < 0 ? failed(x, err, false) : 0;
}

/* ---- files -------------------------------------------------------------- */

static int wait_writable(struct wf_exchange *x, weft_fd to)
{
    if (weft_known_ready(to) & WEFT_WRITABLE) return 0;
    weft_time begun = wf_wait_begin(x, WF_SEND);
    int rc = weft_wait_ready(to, WEFT_WRITABLE);
    wf_wait_end(x, WF_SEND, begun, 0);
    return rc < 0 ? rc : 0;
}

/* *done octets of `len` have gone. */
static int send_file_to_fd(struct wf_exchange *x, weft_fd to, weft_fd file,
                           int64_t offset, uint64_t len, uint64_t *done)
{
    int err = wf_send_gathered(x);
    while (err == 0 && *done < len) {
        size_t piece = len - *done < FILE_PIECE ? (size_t)(len - *done)
                                                : (size_t)FILE_PIECE;
        size_t went = 0;
        err = wait_writable(x, to);
        if (err < 0) break;
        weft_time begun = wf_wait_begin(x, WF_SEND);
        err = weft_file_send(to, file, offset + (int64_t)*done, piece, &went);
        wf_wait_end(x, WF_SEND, begun, went);
        *done += went;
        if (err == 0 && went < piece) err = -EIO; /* the file has ended */
    }
    return err;
}

static int send_file_by_pieces(struct wf_exchange *x, weft_fd file,
                               int64_t offset, uint64_t len, uint64_t *done)
{
    char *buf = weft_buffer_get();
    int err = buf ? 0 : -ENOMEM;
    while (err == 0 && *done < len) {
        size_t piece = len - *done < WEFT_BUFFER_BYTES ? (size_t)(len - *done)
                                                       : WEFT_BUFFER_BYTES;
        ssize_t n = weft_file_pread(file, buf, piece, offset + (int64_t)*done);
        err = n < 0 ? (int)n : n == 0 ? -EIO : wf_send(x, buf, (size_t)n);
        if (err == 0) *done += (uint64_t)n;
    }
    weft_buffer_put(buf);
    return err;
}

int wf_send_file(struct wf_exchange *x, weft_fd file, int64_t offset,
                 uint64_t len)
{
    uint64_t done = 0;
    weft_fd to = weft_stream_fd(&x->link->stream);
    int err = to.generation ? send_file_to_fd(x, to, file, offset, len, &done)
                            : send_file_by_pieces(x, file, offset, len, &done);
    if (err < 0 && !x->is.lost) return failed(x, err, done > 0);
    return err;
}
