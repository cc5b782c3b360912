/* SPDX-License-Identifier: MIT */
/*
 * splice.c - octets from one descriptor to another.
 *
 * A step is: write what is held; if nothing is held, read. What is held is in a
 * pipe of the relay's own (splice) or in a buffer, never in both, and only in
 * the relay, so that any step may fail or be cancelled.
 *
 * The pipe is empty when it is read into and has something when it is written
 * from, so an EAGAIN speaks of the other descriptor, which can be waited for.
 * It is looked at no sooner than that: a try that finds something costs nothing
 * more.
 *
 * A file is never held: its position is moved by what was sent of it.
 */
#include <weft/splice.h>

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>

#include <string.h>

#include "exec/file.h"

enum {
    PIECE = 65536,           /* in one go, which a pipe has room for */
    FILE_PIECE = 256 * 1024, /* ... and of a file */
    POINT = 1024             /* octets moved in the time of a cancel point */
};

enum way { BY_BUFFER, BY_PIPE, FROM_FILE };

struct copy {
    weft_relay *relay;
    weft_fd from, to;
    enum way way;
    bool told; /* that `from` can be read, and nothing came yet */
    uint64_t left, done;
};

/* ---- what they are ------------------------------------------------------ */

static int failed(const struct copy *c, int err, const char *what)
{
    if (err == -ECANCELED || err == -EPERM) return err;
    return weft_fail_at(err, NULL, 0, "copy from descriptor %u to %u: %s",
                        c->from.slot, c->to.slot, what);
}

/* 1: it can be spliced; 0: not so; or an error. */
static int check(const struct copy *c, weft_fd fd, const char *what)
{
    struct stat st;
    int number = weft_fd_number(fd), type = 0;
    socklen_t len = sizeof type;
    int err = number < 0 ? number : wf_os_fstat(number, &st);
    if (err < 0) return failed(c, err, what);
    if (!S_ISSOCK(st.st_mode)) return S_ISFIFO(st.st_mode);
    err = wf_os_getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &len);
    if (err == 0) err = wf_os_is_listening(number);
    if (err < 0) return failed(c, err, what);
    if (err == 0 && type == SOCK_STREAM) return 1;
    return weft_fail_at(-EINVAL, NULL, 0,
                        "copy from descriptor %u to %u: %s: %u %s",
                        c->from.slot, c->to.slot, what, fd.slot,
                        err ? "listens" : "has messages, not a stream");
}

/* Shared ones may block, and only weft_read knows how to ask them. */
static bool is_nonblocking(weft_fd fd)
{
    int flags = wf_os_fcntl(weft_fd_number(fd), F_GETFL, 0);
    return flags >= 0 && flags & O_NONBLOCK;
}

static int choose(struct copy *c)
{
    int from = check(c, c->from, "read");
    int to = from < 0 ? from : check(c, c->to, "write");
    if (to < 0) return to;
    bool both = from && to && is_nonblocking(c->from) && is_nonblocking(c->to);
    bool file = wf_fd_is_file(c->from) && to && is_nonblocking(c->to);
    c->way = file ? FROM_FILE : both ? BY_PIPE : BY_BUFFER;
    return 0;
}

/* ---- the relay ---------------------------------------------------------- */

static void end_pipe(weft_relay *r)
{
    if (r->out_) weft_close_released(r->out_ - 1);
    if (r->in_) weft_close_released(r->in_ - 1);
    r->out_ = r->in_ = 0;
}

static bool has_pipe(weft_relay *r)
{
    int ends[2];
    if (r->out_) return true;
    if (wf_os_pipe(ends) < 0) return false;
    r->out_ = ends[0] + 1;
    r->in_ = ends[1] + 1;
    return true;
}

/* What cannot be spliced on is moved by hand: octets from the pipe to a buffer,
 * which has room for all of them. */
static int unpipe(weft_relay *r)
{
    char *buf = weft_buffer_alloc(PIECE);
    if (!buf) return -ENOMEM;
    size_t got = wf_os_take(r->out_ - 1, buf, r->held_);
    WF_ASSERT(got == r->held_);
    r->buf_ = buf;
    r->at_ = 0;
    end_pipe(r);
    return 0;
}

static void empty_buffer(weft_relay *r)
{
    if (r->held_ > 0 || !r->buf_) return;
    weft_buffer_free(r->buf_, PIECE);
    r->buf_ = NULL;
}

size_t weft_relay_held(const weft_relay *relay)
{
    return relay->held_;
}

size_t weft_relay_take(weft_relay *r, void *buf, size_t len)
{
    if (len > r->held_) len = r->held_;
    if (len == 0) return 0;
    if (r->buf_)
        memcpy(buf, r->buf_ + r->at_, len);
    else
        len = wf_os_take(r->out_ - 1, buf, len);
    r->at_ += len;
    r->held_ -= len;
    empty_buffer(r);
    return len;
}

void weft_relay_end(weft_relay *r)
{
    r->held_ = 0;
    empty_buffer(r);
    end_pipe(r);
    *r = (weft_relay){0};
}

/* ---- steps: octets, 0 at the end, -EAGAIN to wait, or an error ---------- */

static size_t piece(const struct copy *c, size_t most)
{
    return c->left < most ? (size_t)c->left : most;
}

static bool is_no_splice(ssize_t err)
{
    return err == -EINVAL || err == -ENOSYS || err == -EOPNOTSUPP;
}

/* There is no flag against SIGPIPE. */
static ssize_t splice_out(int to, int pipe_end, size_t len)
{
    sigset_t before;
    bool was_pending = wf_os_sighold(SIGPIPE, &before);
    ssize_t n = wf_os_splice_out(to, pipe_end, len);
    wf_os_sigunhold(SIGPIPE, &before, n == -EPIPE && !was_pending);
    return n;
}

static ssize_t wait_for(weft_fd fd, int events)
{
    int err = weft_wait_ready(fd, events);
    return err < 0 ? err : -EAGAIN;
}

static ssize_t write_held(struct copy *c)
{
    weft_relay *r = c->relay;
    size_t len = piece(c, r->held_);
    if (r->buf_) return weft_file_write(c->to, r->buf_ + r->at_, len);
    int to = wf_fd_to_write(c->to);
    if (to < 0) return to;
    ssize_t n =
        c->way == BY_BUFFER ? -EINVAL : splice_out(to, r->out_ - 1, len);
    if (n == -EAGAIN) return wait_for(c->to, WEFT_WRITABLE);
    if (!is_no_splice(n)) return n;
    c->way = BY_BUFFER;
    n = unpipe(r);
    return n < 0 ? n : -EAGAIN;
}

static ssize_t read_by_pipe(struct copy *c)
{
    weft_relay *r = c->relay;
    int from = weft_fd_number(c->from);
    if (from < 0) return from;
    empty_buffer(r); /* or it would be what is held */
    return has_pipe(r) ? wf_os_splice_in(from, r->in_ - 1, piece(c, PIECE))
                       : -EINVAL;
}

static ssize_t read_by_buffer(struct copy *c)
{
    weft_relay *r = c->relay;
    if (!r->buf_) r->buf_ = weft_buffer_alloc(PIECE);
    if (!r->buf_) return -ENOMEM;
    r->at_ = 0;
    size_t len = piece(c, PIECE);
    if (wf_fd_is_file(c->from)) return weft_file_read(c->from, r->buf_, len);
    ssize_t n = weft_try_read(c->from, r->buf_, len);
    if (n != -EAGAIN) return n;
    empty_buffer(r); /* it costs nothing while it waits */
    return wait_for(c->from, WEFT_READABLE);
}

/* At the urgent mark of TCP a splice has nothing, or is at the end if the peer
 * has shut, and a read goes on behind it. So neither is believed without one. */
static ssize_t read_on(struct copy *c)
{
    if (c->way == BY_BUFFER) return read_by_buffer(c);
    ssize_t n = read_by_pipe(c);
    c->told = n == -EAGAIN && !c->told;
    if (c->told) return wait_for(c->from, WEFT_READABLE);
    if (is_no_splice(n)) c->way = BY_BUFFER;
    bool by_hand = n == 0 || n == -EAGAIN || c->way == BY_BUFFER;
    return by_hand ? read_by_buffer(c) : n;
}

/* Nothing is in between: what went is counted, and the file's position. */
static ssize_t send_from_file(struct copy *c)
{
    size_t sent = 0;
    int number = weft_fd_number(c->from);
    if (number < 0) return number;
    int64_t at = wf_os_position(number);
    if (at < 0) {
        c->way = BY_BUFFER;
        return -EAGAIN;
    }
    int err = weft_file_send(c->to, c->from, at, piece(c, FILE_PIECE), &sent);
    /* It may have been closed meanwhile, and be another one's number. */
    if (sent > 0 && weft_fd_number(c->from) == number)
        wf_os_set_position(number, at + (int64_t)sent);
    c->done += sent;
    c->left -= sent;
    return err < 0 ? err : (ssize_t)sent;
}

/* ---- all of it ---------------------------------------------------------- */

static void spend(ssize_t octets)
{
    wf_spend((int32_t)(octets / POINT));
}

static ssize_t write_step(struct copy *c)
{
    weft_relay *r = c->relay;
    ssize_t n = write_held(c);
    if (n <= 0) return n;
    r->at_ += (size_t)n;
    r->held_ -= (size_t)n;
    c->done += (uint64_t)n;
    c->left -= (uint64_t)n;
    return n;
}

static ssize_t read_step(struct copy *c)
{
    if (c->way == FROM_FILE) return send_from_file(c);
    ssize_t n = read_on(c);
    if (n > 0) c->relay->held_ = (size_t)n;
    return n;
}

static int move(struct copy *c)
{
    while (c->left > 0) {
        bool writes = c->relay->held_ > 0;
        ssize_t n = weft_pass_();
        if (n == 0) n = writes ? write_step(c) : read_step(c);
        if (n == -EAGAIN) continue;
        if (n < 0)
            return failed(c, (int)n,
                          writes                ? "write"
                          : c->way == FROM_FILE ? "send"
                                                : "read");
        if (n == 0 && !writes) return 0;
        spend(n);
    }
    return 0;
}

int weft_copy(weft_relay *relay, weft_fd from, weft_fd to, uint64_t limit,
              uint64_t *ret_done)
{
    struct copy c = {.relay = relay, .from = from, .to = to, .left = limit};
    int err = weft_pass_();
    if (err == 0) err = choose(&c);
    if (err == 0) err = move(&c);
    empty_buffer(relay);
    if (ret_done) *ret_done = c.done;
    return err;
}
