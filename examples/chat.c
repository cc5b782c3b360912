/* SPDX-License-Identifier: MIT */
/*
 * chat ADDRESS... - a room to talk in, line by line, until SIGTERM.
 *
 *     chat 127.0.0.1:7000 unix:/tmp/chat &
 *     nc 127.0.0.1 7000
 *
 * The first line is a name; each later one goes to everybody else. A member has
 * two fibers, a reader and a writer, at the two sides of one stream, and a queue
 * of lines in front of the writer. So nobody ever waits for a slow member: when
 * its queue is full, it has to leave. So has one that says nothing for ten
 * minutes.
 */
#include <weft.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 24, LINE_BYTES = 1024, QUEUE = 256 };

#define SILENCE    WEFT_SEC(600) /* the longest one */
#define LAST_WORDS WEFT_SEC(2)   /* for who leaves to read what is queued */

struct line { /* one for all queues that it is in */
    unsigned holders;
    size_t len;
    char text[NAME_BYTES + LINE_BYTES + 64];
};

struct member {
    char name[NAME_BYTES];
    weft_stream stream;
    weft_chan *queue; /* of struct line *, on their way to this member */
    weft_nursery *fibers;
    struct member *next;
};

static struct member *room; /* all who have said their name */

static void let_go(void *item)
{
    struct line *l = *(struct line **)item;
    if (--l->holders == 0) free(l);
}

static void enqueue(struct member *to, struct line *l)
{
    int err = weft_chan_trysend(to->queue, &l);
    if (err == 0) l->holders++;
    if (err == -EAGAIN) weft_nursery_cancel(to->fibers, -ENOBUFS, "too slow");
}

/* To one member, or to all others in the room. Never waits. */
static void tell(struct member *one, const struct member *all_but,
                 const char *format, ...)
{
    struct line *l = malloc(sizeof *l);
    if (!l) return;
    va_list args;
    va_start(args, format);
    l->holders = 1;
    l->len = (size_t)vsnprintf(l->text, sizeof l->text, format, args);
    va_end(args);
    if (one) enqueue(one, l);
    for (struct member *m = one ? NULL : room; m; m = m->next)
        if (m != all_but) enqueue(m, l);
    let_go(&l);
}

static int writer(void *arg)
{
    struct member *me = arg;
    struct line *l;
    int rc;
    while ((rc = weft_chan_recv(me->queue, &l)) == 1) {
        rc = weft_stream_write(&me->stream, l->text, l->len);
        let_go(&l);
        /* Those that are queued go together. */
        if (rc == 0 && weft_chan_length(me->queue) == 0)
            rc = weft_stream_flush(&me->stream);
        if (rc < 0) break;
    }
    return rc;
}

/* The next line, which is shorter than `size`: 1, 0 at the end, or an error. */
static int read_line(weft_stream *s, char *text, size_t size)
{
    const char *line;
    size_t len;
    int got = 0, rc;
    WEFT_FAIL_AFTER(rc, SILENCE) {
        got = weft_stream_read_line(s, size - 1, &line, &len);
        if (got < 0) rc = got;
    }
    if (rc < 0 || got == 0) return rc;
    for (size_t i = 0; i < len; i++) /* nobody steers another one's terminal */
        text[i] = (unsigned char)line[i] < ' ' ? ' ' : line[i];
    text[len] = 0;
    return 1;
}

static int talk(struct member *me)
{
    char text[LINE_BYTES];
    weft_stream *s = &me->stream;
    tell(me, NULL, "* your name?\n");
    int rc = read_line(s, me->name, sizeof me->name);
    if (rc <= 0 || !me->name[0]) return rc < 0 ? rc : 0;
    tell(NULL, me, "* %s is here\n", me->name);
    me->next = room;
    room = me;
    while ((rc = read_line(s, text, sizeof text)) == 1) {
        tell(NULL, me, "%s: %s\n", me->name, text);
        rc = weft_yield(); /* the writers keep up with who sends a lot */
        if (rc < 0) break;
    }
    struct member **at = &room;
    while (*at != me)
        at = &(*at)->next;
    *at = me->next;
    return rc;
}

static int converse(weft_conn *c)
{
    struct member me = {0};
    int rc;
    me.queue = weft_chan_new(sizeof(struct line *), QUEUE, let_go, 0);
    if (!me.queue) return -ENOMEM;
    weft_stream_init(&me.stream, c->fd);
    WEFT_NURSERY(n, rc) {
        me.fibers = &n;
        rc = weft_spawn(&n, writer, &me);
        if (rc < 0) break;
        int end = talk(&me);
        tell(&me, NULL, "* goodbye: %s\n",
             weft_conn_draining(c) ? "the room closes"
             : end < 0             ? weft_strerror(end)
                                   : "come again");
        weft_chan_close(me.queue);
        weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(LAST_WORDS));
    }
    weft_stream_fini(&me.stream);
    weft_chan_free(me.queue);
    if (me.name[0] && !weft_conn_draining(c))
        tell(NULL, &me, "* %s %s\n", me.name,
             rc == -ENOBUFS ? "reads too slowly and had to go" : "has left");
    return rc == -ENOBUFS ? 0 : rc; /* its failure, not ours */
}

static int serve(void *arg)
{
    char text[WEFT_ADDR_TEXT];
    weft_fd listener;
    weft_addr at;
    int err = weft_listen(&listener, arg, NULL);
    if (err == 0) err = weft_local_addr(listener, &at);
    if (err < 0) return err;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return weft_serve(listener, converse, NULL, NULL);
}

static int start(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (char **address = arg; *address && rc == 0; address++)
            rc = weft_spawn(&n, serve, *address);
    }
    return rc;
}

int main(int argc, char **argv)
{
    const weft_run_opts opts = {.handle_signals = true};
    if (argc < 2) {
        fprintf(stderr, "usage: %s ADDRESS...\n", argv[0]);
        return 2;
    }
    int rc = weft_run(start, argv + 1, &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
