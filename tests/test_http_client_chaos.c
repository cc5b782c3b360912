/* SPDX-License-Identifier: MIT */
/*
 * test_http_client_chaos.c - many fibers, few connections, servers that do
 * everything wrong, and cancellation at any moment: what comes as the reply is
 * the reply, and in the end nothing is lent.
 *
 * The body of a right reply is the path that was asked for.
 */
#include "scripted.h"

enum { ROUNDS = 150, ASKERS = 12, REQUESTS = 6, BODY = 20000 };

static char body[BODY];
static uint64_t state;

static unsigned chance(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static int pause_for(unsigned most)
{
    return weft_sleep(WEFT_MSEC(chance(most)));
}

/* ---- servers ------------------------------------------------------------ */

struct world {
    weft_http *h;
    weft_memory_listener *listener;
    weft_nursery *nursery;
    weft_http_opts opts;
    unsigned right;
    bool ended; /* the client was */
};

struct guest {
    weft_transport *t;
};

#define HEAD_200 "HTTP/1.1 200 OK\r\n"

/* Returns how long it is; *ret_whole: it comes at once; *ret_last: and then the
 * end. */
static int make_reply(char *to, size_t room, const char *path, bool *ret_whole,
                      bool *ret_last)
{
    int len = (int)strlen(path);
    unsigned kind = chance(9);
    *ret_whole = kind == 6; /* or nobody could tell */
    *ret_last = kind > 6;
    switch (kind) {
    case 0:
        return snprintf(to, room,
                        HEAD_200
                        "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n"
                        "A: b\r\n\r\n",
                        (unsigned)len, path);
    case 1:
        return snprintf(to, room,
                        "HTTP/1.1 302 Away\r\nContent-Length: 2\r\n"
                        "Location: http://h%u%s\r\n\r\nxx",
                        chance(4), path);
    case 2:
        return snprintf(to, room,
                        "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n%s\r\nxx",
                        chance(2) ? "Retry-After: 1\r\n" : "");
    case 6: /* and the reply to what nobody has asked */
        return snprintf(to, room,
                        HEAD_200 "Content-Length: %d\r\n\r\n%s" HEAD_200
                                 "Content-Length: 4\r\n\r\nevil",
                        len, path);
    case 7: /* it stops too early */
        return snprintf(to, room, HEAD_200 "Content-Length: %d\r\n\r\n%s",
                        len + 7, path);
    case 8:
        return snprintf(to, room, HEAD_200 "Connection: close\r\n\r\n%s", path);
    default:
        return snprintf(to, room, HEAD_200 "Content-Length: %d\r\n\r\n%s", len,
                        path);
    }
}

static int say(weft_stream *c, const char *text, size_t len)
{
    int err = weft_stream_write(c, text, len);
    return err < 0 ? err : weft_stream_flush(c);
}

/* 0: another request may come. */
static int answer(weft_stream *c, const char *method, const char *path)
{
    char reply[512];
    bool whole, last, unread = strcmp(method, "PUT") == 0;
    if (chance(10) == 0) return -ECONNABORTED;
    if (unread && chance(3) > 0) {
        int err = weft_stream_skip(c, BODY, NULL);
        if (err < 0) return err;
        unread = false;
    }
    int err = chance(3) == 0 ? pause_for(60) : 0;
    size_t len = (size_t)make_reply(reply, sizeof reply, path, &whole, &last);
    size_t first = whole || chance(3) > 0 ? len : chance((unsigned)len);
    if (err == 0) err = say(c, reply, first);
    if (err == 0 && first < len) err = pause_for(80);
    if (err == 0 && first < len) err = say(c, reply + first, len - first);
    if (err == 0 && (unread || last)) err = -ECONNABORTED;
    return err;
}

static int receive(void *arg)
{
    struct guest *g = arg;
    weft_stream c;
    const char *head;
    ssize_t n;
    int err = 0;
    weft_stream_init_transport(&c, g->t);
    while (err == 0 &&
           (n = weft_stream_read_until_text(&c, "\r\n\r\n", 8192, &head)) > 0) {
        char line[128], method[8], path[64];
        CHECK(weft_text_copy((weft_text){head, n < 100 ? (size_t)n : 100}, line,
                             sizeof line) == 0);
        CHECK_EQ(sscanf(line, "%7s %63s", method, path), 2);
        err = answer(&c, method, path);
    }
    weft_stream_fini(&c);
    weft_transport_close(g->t);
    return 0;
}

static int receive_all(void *arg)
{
    struct world *w = arg;
    const weft_spawn_opts daemon = {.daemon = true};
    struct guest g;
    while (weft_memory_accept(w->listener, &g.t) == 0)
        CHECK_EQ(weft_spawn_copy_ex(w->nursery, receive, &g, sizeof g, &daemon),
                 0);
    return 0;
}

static int dial(weft_transport **ret, const char *host, int port, void *user)
{
    struct world *w = user;
    (void)host;
    (void)port;
    if (chance(12) == 0) return -ECONNREFUSED;
    int err = chance(4) == 0 ? pause_for(50) : 0;
    return err < 0 ? err : weft_memory_dial(w->listener, ret);
}

/* ---- clients ------------------------------------------------------------ */

static ssize_t give(void *buf, size_t len, void *user)
{
    size_t *left = user;
    int err = chance(4) == 0 ? pause_for(30) : 0;
    if (err == 0 && chance(40) == 0) err = -EIO;
    if (err < 0) return err;
    if (len > 3000) len = 3000;
    if (len > *left) len = *left;
    memcpy(buf, body, len);
    *left -= len;
    return (ssize_t)len;
}

static int give_again(void *user)
{
    *(size_t *)user = BODY;
    return 0;
}

static void check_pool(struct world *w)
{
    weft_http_client_stats s;
    if (w->ended) return;
    weft_http_client_stats_read(w->h, &s);
    CHECK(s.idle + s.lent <= w->opts.pool);
}

static int take_in(struct world *w, weft_resp *r, const char *path)
{
    weft_text text;
    int err = chance(6) > 0 ? weft_resp_body(r, 0, &text) : -EAGAIN;
    if (err == 0 && r->status == 200) {
        CHECK(weft_text_is(text, path));
        w->right++;
    }
    if (err == 0 && chance(5) == 0) err = pause_for(40);
    (void)weft_resp_end(r);
    check_pool(w);
    return err;
}

static int ask(struct world *w, const char *path)
{
    char url[80];
    size_t left = BODY;
    weft_resp r;
    weft_http_call call = {.url = url, .close = chance(10) == 0};
    (void)snprintf(url, sizeof url, "http://h%u%s", chance(4), path);
    if (chance(4) == 0) {
        call.method = "PUT";
        call.expect_continue = chance(3) == 0;
        if (chance(2)) {
            call.produce = give;
            call.rewind = give_again;
            call.user = &left;
            call.length = BODY;
        } else {
            call.body = body;
            call.body_len = BODY;
        }
    }
    int err = weft_http_send(w->h, &call, &r);
    check_pool(w);
    return err < 0 ? err : take_in(w, &r, path);
}

static int ask_often(void *world)
{
    struct world *w = *(struct world **)world;
    unsigned who = chance(1u << 20);
    for (int i = 0; i < REQUESTS && !w->ended; i++) {
        char path[40];
        int rc;
        (void)snprintf(path, sizeof path, "/%u/%d", who, i);
        WEFT_FAIL_AFTER(rc, chance(3) ? WEFT_SEC(5) : WEFT_MSEC(chance(120)))
            rc = ask(w, path);
        if (rc == 0 && chance(4) == 0 && pause_for(200) < 0) break;
    }
    return 0;
}

/* ---- rounds ------------------------------------------------------------- */

static void end_client(struct world *w)
{
    int err = weft_http_free(w->h);
    CHECK(err == 0 || err == -EBUSY);
    w->ended = true;
}

/* All go their way; or are cancelled; or the client ends under them. */
static void ask_around(struct world *w)
{
    int rc;
    unsigned end = chance(3);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < ASKERS; i++)
            CHECK_EQ(weft_spawn_copy_ex(&n, ask_often, &w, sizeof w, NULL), 0);
        if (end > 0) CHECK_EQ(pause_for(300), 0);
        if (end == 1) weft_nursery_cancel(&n, 0, NULL);
        if (end == 2) end_client(w);
    }
}

static unsigned play(uint64_t seed)
{
    const weft_spawn_opts daemon = {.daemon = true};
    int rc;
    state = seed * 7919 + 1;
    struct world w = {.listener = weft_memory_listener_new(0)};
    CHECK(w.listener != NULL);
    weft_memory_listener_set_capacity(w.listener, 1500);
    w.opts =
        (weft_http_opts){.pool = 1 + chance(4),
                         .per_host = chance(3),
                         .connect = dial,
                         .user = &w,
                         .redirects = 3,
                         .retries = chance(3),
                         .retry_base = WEFT_MSEC(10),
                         .pool_wait = WEFT_MSEC(50 + chance(500)),
                         .max_idle = WEFT_MSEC(20 + chance(400)),
                         .idle_timeout = WEFT_MSEC(30 + chance(100)),
                         .first_byte_timeout = WEFT_MSEC(30 + chance(100))};
    WEFT_NURSERY(n, rc) {
        w.nursery = &n;
        if (chance(2)) w.opts.nursery = &n;
        CHECK_EQ(weft_spawn_ex(&n, receive_all, &w, &daemon), 0);
        w.h = weft_http_new(&w.opts);
        CHECK(w.h != NULL);
        ask_around(&w);
        if (!w.ended) {
            weft_http_client_stats s;
            weft_http_client_stats_read(w.h, &s);
            CHECK_EQ(s.lent, 0);
            CHECK_EQ(s.waiting, 0);
            CHECK_EQ(weft_http_free(w.h), 0);
        }
        weft_memory_listener_close(w.listener);
    }
    weft_memory_listener_free(w.listener);
    return w.right;
}

TEST(in_chaos_no_reply_is_anothers_and_nothing_stays_lent)
{
    unsigned right = 0;
    memset(body, 'b', sizeof body);
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        right += play(seed);
    CHECK(right > ROUNDS); /* it is not all failure */
}
