/* SPDX-License-Identifier: MIT */
/*
 * process_run.c - a program from its start to its close: one fiber gives it its
 * input, one keeps each of its outputs, and the caller waits for its end.
 */
#include "exec/process.h"

#include <weft/nursery.h>

struct feed {
    weft_fd to;
    const void *data;
    size_t len;
};

static int feeds(void *arg)
{
    const struct feed *f = arg;
    int rc = weft_write_all(f->to, f->data, f->len, NULL);
    (void)weft_close(f->to);
    return rc == -EPIPE ? 0 : rc; /* it has read enough */
}

struct drain {
    weft_fd from;
    weft_capture *into;
};

static int drains(void *arg)
{
    const struct drain *d = arg;
    weft_capture *c = d->into;
    char rest[4096];
    ssize_t n;
    do {
        size_t room = c->room - 1 - c->len;
        n = room > 0 ? weft_read(d->from, c->buf + c->len, room)
                     : weft_read(d->from, rest, sizeof rest);
        if (n > 0) *(room > 0 ? &c->len : &c->dropped) += (size_t)n;
    } while (n > 0);
    c->buf[c->len] = '\0';
    return (int)n;
}

struct talk {
    weft_process p;
    struct feed feed;
    struct drain out, err;
};

/* Until it has ended, and nobody of its group can hold the pipes open. */
static int converse(weft_nursery *n, struct talk *t)
{
    int rc = 0;
    t->feed.to = t->p.in;
    t->out.from = t->p.out;
    t->err.from = t->p.err;
    if (t->feed.data) rc = weft_spawn(n, feeds, &t->feed);
    if (rc == 0 && t->out.into) rc = weft_spawn(n, drains, &t->out);
    if (rc == 0 && t->err.into) rc = weft_spawn(n, drains, &t->err);
    if (rc == 0) rc = weft_process_wait(&t->p);
    if (rc >= 0) wf_child_kill_group(t->p.child_);
    return rc;
}

/* A pipe is for those, and only those, who have somebody at its other end. */
static int connect_it(weft_process_io *io, bool wanted)
{
    if (!wanted) return io->how == WEFT_IO_PIPE ? -EINVAL : 0;
    io->how = WEFT_IO_PIPE;
    return 0;
}

static int prepare(weft_capture *c)
{
    if (!c) return 0;
    if (c->room == 0) return -EINVAL;
    c->len = c->dropped = 0;
    c->buf[0] = '\0';
    return 0;
}

int weft_process_run(const weft_process_opts *o, const void *in, size_t in_len,
                     weft_capture *out, weft_capture *err)
{
    weft_process_opts opts = *o;
    struct talk t = {
        .feed = {.data = in, .len = in_len}, .out.into = out, .err.into = err};
    int rc = weft_pass_();
    if (rc == 0) rc = connect_it(&opts.in, in != NULL);
    if (rc == 0) rc = connect_it(&opts.out, out != NULL);
    if (rc == 0) rc = connect_it(&opts.err, err != NULL);
    if (rc == 0) rc = prepare(out);
    if (rc == 0) rc = prepare(err);
    if (rc == 0) rc = weft_process_start(&t.p, &opts);
    if (rc < 0) return rc;
    WEFT_NURSERY(n, rc) {
        rc = converse(&n, &t);
    }
    (void)weft_process_close(&t.p);
    return rc;
}
