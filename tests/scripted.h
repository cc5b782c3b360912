/* SPDX-License-Identifier: MIT */
/*
 * scripted.h - HTTP servers in memory that say what they are told to, right or
 * wrong, and a client of them.
 *
 *     static const struct line hello[] = {
 *         HEARS, SAYS(OK_REPLY("5", "hello")), OVER};
 *     struct scripted s = {.talks = {hello}};
 *     int rc;
 *     WITH_SCRIPTED(s, rc)
 *     {
 *         CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
 *         ...
 *     }
 *     CHECK_EQ(s.conns, 1);
 *
 * The i-th connection has the i-th talk, those behind the last the last. After
 * its last line a server waits for the end, and closes.
 */
#ifndef TESTS_SCRIPTED_H
#define TESTS_SCRIPTED_H

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/http_client.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/stream.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"

enum deed {
    DONE,
    HEAR,  /* a head, up to its empty line */
    TAKE,  /* so many octets of a body; `text`, if any, is what they are */
    SAY,   /* the text */
    PAUSE, /* so many milliseconds */
    END,   /* no more is said */
    HANG,  /* up: close, at once */
    MUTE   /* neither read nor say anything any more, for ever */
};

struct line {
    enum deed deed;
    const char *text;
    int64_t n;
};

/* clang-format off */
#define HEARS       {HEAR, NULL, 0}
#define SAYS(text)  {SAY, text, 0}
#define TAKES(text) {TAKE, text, 0}
#define TAKES_N(n)  {TAKE, NULL, n}
#define PAUSES(ms)  {PAUSE, NULL, ms}
#define ENDS        {END, NULL, 0}
#define HANGS       {HANG, NULL, 0}
#define IS_MUTE     {MUTE, NULL, 0}
#define OVER        {DONE, NULL, 0}
/* clang-format on */

enum { TALKS = 16, HEARD = 16384 };

struct scripted {
    const struct line *talks[TALKS];
    weft_http_opts opts;
    size_t capacity; /* of each way; 0: as usual */
    bool no_client;

    weft_http *h;
    weft_memory_listener *listener;
    weft_nursery *nursery;
    unsigned conns, ended; /* connections made, and seen to end */
    char heard[HEARD];     /* all that was asked */
    char dialled[512];     /* "host:port " */
    bool open;
};

static inline void append(char *to, size_t room, const char *data, size_t len)
{
    size_t at = strlen(to);
    CHECK(at + len < room);
    memcpy(to + at, data, len);
    to[at + len] = 0;
}

static inline int hear(struct scripted *s, weft_stream *in)
{
    const char *data;
    ssize_t n =
        weft_stream_read_until_text(in, "\r\n\r\n", HEARD, &data);
    if (n <= 0) return n < 0 ? (int)n : -EPIPE;
    append(s->heard, sizeof s->heard, data, (size_t)n);
    return 0;
}

static inline int take_octets(struct scripted *s, weft_stream *in,
                              const struct line *l)
{
    char buf[256];
    int64_t left = l->text ? (int64_t)strlen(l->text) : l->n;
    if (!l->text) return weft_stream_skip(in, (uint64_t)left, NULL);
    CHECK(left < (int64_t)sizeof buf);
    int err = weft_stream_read_exact(in, buf, (size_t)left);
    if (err < 0) return err;
    buf[left] = 0;
    CHECK_STR(buf, l->text);
    append(s->heard, sizeof s->heard, buf, (size_t)left);
    return 0;
}

static inline int do_line(struct scripted *s, weft_stream *c,
                          const struct line *l)
{
    int err;
    switch (l->deed) {
    case HEAR:
        return hear(s, c);
    case TAKE:
        return take_octets(s, c, l);
    case SAY:
        err = weft_stream_write(c, l->text,
                                l->n > 0 ? (size_t)l->n : strlen(l->text));
        return err < 0 ? err : weft_stream_flush(c);
    case PAUSE:
        return weft_sleep(WEFT_MSEC(l->n));
    case END:
        return weft_stream_shutdown_write(c);
    case MUTE:
        return weft_sleep(WEFT_FOREVER);
    default:
        return -ECONNABORTED; /* HANG */
    }
}

struct visit {
    struct scripted *s;
    weft_transport *t;
    const struct line *talk;
};

/* What a client does to a server is no failure of the test. */
static inline int follow_script(void *arg)
{
    struct visit *v = arg;
    weft_stream c;
    const char *data;
    int err = 0;
    ssize_t n = 0;
    weft_stream_init_transport(&c, v->t);
    for (const struct line *l = v->talk; l->deed != DONE && err == 0; l++)
        err = do_line(v->s, &c, l);
    while (err == 0 && (n = weft_stream_peek(&c, &data)) > 0)
        weft_stream_consume(&c, (size_t)n);
    if (n == 0) v->s->ended++;
    weft_stream_fini(&c);
    weft_transport_close(v->t);
    return 0;
}

static inline int accept_all(void *arg)
{
    struct scripted *s = arg;
    const weft_spawn_opts daemon = {.name = "server", .daemon = true};
    weft_transport *t;
    int err;
    while ((err = weft_memory_accept(s->listener, &t)) == 0) {
        struct visit v = {s, t, s->talks[0]};
        for (unsigned i = 0; i <= s->conns && i < TALKS && s->talks[i]; i++)
            v.talk = s->talks[i];
        s->conns++;
        err = weft_spawn_copy_ex(s->nursery, follow_script, &v, sizeof v,
                                 &daemon);
        if (err < 0) weft_transport_close(t);
    }
    return err == -EBADF || err == -ENOMEM ? 0 : err;
}

static inline int dial_scripted(weft_transport **ret, const char *host,
                                int port, void *user)
{
    struct scripted *s = user;
    char name[80];
    int n = snprintf(name, sizeof name, "%.60s:%d ", host, port);
    if (strlen(s->dialled) + (size_t)n < sizeof s->dialled)
        append(s->dialled, sizeof s->dialled, name, (size_t)n);
    return weft_memory_dial(s->listener, ret);
}

static inline void begin_scripted(struct scripted *s, weft_nursery *n)
{
    const weft_spawn_opts daemon = {.name = "acceptor", .daemon = true};
    s->listener = weft_memory_listener_new(0);
    CHECK(s->listener != NULL);
    if (s->capacity)
        weft_memory_listener_set_capacity(s->listener, s->capacity);
    s->nursery = n;
    CHECK_EQ(weft_spawn_ex(n, accept_all, s, &daemon), 0);
    if (!s->opts.connect) s->opts.connect = dial_scripted;
    if (!s->opts.user) s->opts.user = s;
    if (!s->no_client) {
        s->h = weft_http_new(&s->opts);
        CHECK(s->h != NULL);
    }
    s->open = true;
}

static inline void end_scripted(struct scripted *s)
{
    if (s->h) CHECK_EQ(weft_http_free(s->h), 0);
    s->h = NULL;
    weft_memory_listener_close(s->listener);
    CHECK_EQ(weft_yield(), 0); /* its servers see the end */
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_yield(), 0);
    s->open = false;
}

#define WITH_SCRIPTED(s, rc)                                                   \
    WEFT_NURSERY(scripted_nursery_, rc)                                        \
    for (begin_scripted(&(s), &scripted_nursery_); (s).open;                   \
         end_scripted(&(s)), weft_memory_listener_free((s).listener))

/* ---- asking ------------------------------------------------------------- */

/* What came of a GET: "200 hello", or "-32 Broken pipe...". */
static char said_text[256];

static inline const char *outcome(int err, weft_resp *r)
{
    weft_text body;
    int status = r->status;
    if (err == 0) err = weft_resp_body(r, 0, &body);
    if (err == 0)
        (void)snprintf(said_text, sizeof said_text, "%d %.*s", status,
                       WEFT_TEXT_ARGS(body));
    else
        (void)snprintf(said_text, sizeof said_text, "%s", weft_strerror(err));
    (void)weft_resp_end(r);
    return said_text;
}

static inline const char *get(weft_http *h, const char *url)
{
    weft_resp r;
    int err = weft_http_get(h, url, &r);
    return outcome(err, &r);
}

/* Does the record of that failure say so? */
static inline void check_said(int code, const char *part)
{
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, code);
    if (!strstr(e->msg, part))
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e->msg,
                  part);
}

#define OK_REPLY(length, body)                                                 \
    "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body

#endif
