/* SPDX-License-Identifier: MIT */
/*
 * stream_in.c - input that has a buffer only while there is something in it.
 *
 * Octets are read into the thread's scratch, and consumed there if the
 * protocol is quick. If somebody else needs the scratch first, what is left
 * moves to a buffer of the stream's own (`wf_stream_move_out`), which is given
 * back as soon as it is empty. in_room_ tells: 0 means in_ points into the
 * scratch, or nowhere; more is the size of the stream's own buffer.
 */
#include "stream.h"

#include <weft/fiber.h>

#include <string.h>

/* Takes what is unread to a buffer of our own with `need` octets of room. */
static int move_in(weft_stream *s, size_t need)
{
    size_t room;
    char *buf = wf_stream_get_room(need, &room);
    if (!buf) return -ENOMEM;
    if (s->in_len_) memcpy(buf, s->in_ + s->in_from_, s->in_len_);
    if (s->in_room_)
        wf_stream_put_room(s->in_, s->in_room_);
    else
        weft_scratch_leave(&s->tenant_);
    s->in_ = buf;
    s->in_from_ = 0;
    s->in_room_ = room;
    return 0;
}

int wf_stream_move_out(weft_tenant *t)
{
    weft_stream *s = (weft_stream *)(void *)t; /* its first member */
    if (s->in_len_ == 0) {
        s->in_ = NULL;
        return 0;
    }
    return move_in(s, s->in_len_);
}

void wf_stream_release_input(weft_stream *s)
{
    if (s->in_room_)
        wf_stream_put_room(s->in_, s->in_room_);
    else
        weft_scratch_leave(&s->tenant_);
    s->in_ = NULL;
    s->in_from_ = s->in_len_ = s->in_room_ = 0;
}

/* ---- getting some ------------------------------------------------------- */

/* Reads once into the scratch, if nothing is unread. */
static ssize_t fill_scratch(weft_stream *s)
{
    if (s->in_room_) wf_stream_release_input(s);
    s->in_ = weft_scratch_claim(&s->tenant_);
    if (!s->in_) return -ENOMEM;
    s->in_from_ = 0;
    ssize_t n = wf_stream_try_read(s, s->in_, WEFT_SCRATCH_BYTES);
    if (n <= 0) wf_stream_release_input(s);
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
    return wf_stream_try_read(s, s->in_ + end, s->in_room_ - end);
}

/* Where nothing has come as far as is known, there is no point in trying. Nor
 * on a fresh connection, of which nothing is known: it has to be registered
 * anyhow. But there waiting must not send what is gathered. */
static bool is_worth_a_try(const weft_stream *s)
{
    return s->transport_ || weft_known_ready(s->fd_) & WEFT_READABLE ||
           (s->fresh_ && s->out_len_ > 0);
}

/* Reads once. Returns octets, 0 at the end, or an error. */
static ssize_t fill(weft_stream *s)
{
    int err;
    if (s->eof_) return 0;
    for (bool try = is_worth_a_try(s);; try = true) {
        if (try) {
            ssize_t n = s->in_len_ ? fill_buffer(s) : fill_scratch(s);
            if (n > 0) s->in_len_ += (size_t)n;
            if (n == 0) s->eof_ = true;
            if (n != -EAGAIN) return n;
        }
        err = s->out_ ? wf_stream_flush_before_waiting(s) : 0;
        if (err < 0) return err;
        err = wf_stream_wait(s, WEFT_READABLE);
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

/* ---- looking ------------------------------------------------------------ */

ssize_t weft_stream_more(weft_stream *s, size_t have, size_t max,
                         const char **ret_data)
{
    int err = weft_checkpoint();
    return err < 0 ? err : more(s, have, max, ret_data);
}

ssize_t weft_stream_peek_slow_(weft_stream *s, const char **ret_data)
{
    int err = weft_checkpoint();
    return err < 0 ? err : more(s, 0, SIZE_MAX, ret_data);
}

/* ---- up to an end ------------------------------------------------------- */

struct mark {
    const char *text;
    size_t len; /* at least 1 */
};

/* These three are compiled once for an end of one octet: no more than a memchr.
 */
#define FOR_EACH_END static inline __attribute__((always_inline))

/* Behind the first `end` whose last octet is at data + from or later; or NULL. */
FOR_EACH_END const char *find(const char *data, size_t from, size_t len,
                              struct mark end)
{
    const char *at = data + from;
    while ((at = memchr(at, end.text[end.len - 1],
                        (size_t)(data + len - at))) != NULL) {
        at++;
        if (end.len == 1) break;
        if ((size_t)(at - data) >= end.len &&
            memcmp(at - end.len, end.text, end.len) == 0)
            break;
    }
    return at;
}

/* Shows, and does not consume, what weft_stream_read_until returns. */
FOR_EACH_END ssize_t look_until(weft_stream *s, struct mark end, size_t max,
                                const char **ret_data)
{
    const char *data;
    size_t seen = 0;
    ssize_t have = weft_stream_peek(s, &data);
    for (;;) {
        if (have <= 0) return have;
        const char *behind = find(data, seen, (size_t)have, end);
        size_t len = behind ? (size_t)(behind - data) : (size_t)have;
        if (len > max || (!behind && len == max)) return -EMSGSIZE;
        if (behind || s->eof_) {
            *ret_data = data;
            return (ssize_t)len;
        }
        seen = (size_t)have;
        have = more(s, seen, SIZE_MAX, &data);
    }
}

FOR_EACH_END ssize_t read_until(weft_stream *s, struct mark end, size_t max,
                                const char **ret_data)
{
    ssize_t n = look_until(s, end, max, ret_data);
    if (n > 0) weft_stream_consume(s, (size_t)n);
    return n;
}

ssize_t weft_stream_read_until(weft_stream *s, char end, size_t max,
                               const char **ret_data)
{
    return read_until(s, (struct mark){&end, 1}, max, ret_data);
}

ssize_t weft_stream_read_until_text(weft_stream *s, const char *end, size_t max,
                                    const char **ret_data)
{
    if (!*end) return -EINVAL;
    return read_until(s, (struct mark){end, strlen(end)}, max, ret_data);
}

int weft_stream_read_line(weft_stream *s, size_t max, const char **ret_line,
                          size_t *ret_len)
{
    const char *line;
    size_t with_end = max > SIZE_MAX - 2 ? SIZE_MAX : max + 2;
    ssize_t n = look_until(s, (struct mark){"\n", 1}, with_end, &line);
    if (n <= 0) return (int)n;
    size_t len = (size_t)n;
    if (line[len - 1] == '\n') {
        len--;
        if (len > 0 && line[len - 1] == '\r') len--;
    }
    if (len > max) return -EMSGSIZE;
    weft_stream_consume(s, (size_t)n);
    *ret_line = line;
    *ret_len = len;
    return 1;
}

/* ---- taking ------------------------------------------------------------- */

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

int weft_stream_skip(weft_stream *s, uint64_t n, uint64_t *ret_done)
{
    uint64_t done = 0;
    int err = n == 0 ? weft_checkpoint() : 0;
    while (err == 0 && done < n) {
        const char *data;
        ssize_t have = weft_stream_peek(s, &data);
        if (have <= 0) {
            err = have < 0 ? (int)have : -EPIPE;
            break;
        }
        if ((uint64_t)have > n - done) have = (ssize_t)(n - done);
        weft_stream_consume(s, (size_t)have);
        done += (uint64_t)have;
    }
    if (ret_done) *ret_done = done;
    return err;
}
