/* SPDX-License-Identifier: MIT */
/* test_sweep_http_client.c - cancelled anywhere, a client has nothing lent and
 * nothing that is out of step. */
#include "scripted.h"
#include "sweep.h"

static struct world {
    weft_memory_listener *listener;
    weft_nursery *nursery;
    weft_http *h;
} world;

static const weft_spawn_opts daemon_opts = {.name = "server", .daemon = true};

/* ---- a server: answers what it hears, in chunks ------------------------- */

static bool says(const char *head, ssize_t len, const char *part)
{
    return memmem(head, (size_t)len, part, strlen(part)) != NULL;
}

/* What is said at once; NULL: all the rest. */
static const char *short_answer(const char *head, ssize_t len)
{
    if (says(head, len, "CONNECT")) return "HTTP/1.1 200 OK\r\n\r\n";
    if (says(head, len, "/moved"))
        return "HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    if (says(head, len, "/busy"))
        return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
    if (says(head, len, "/large"))
        return "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
    return NULL;
}

/* What comes before it. */
static int take_body(weft_stream *s, const char *head, ssize_t len)
{
    bool expects = says(head, len, "Expect");
    if (!says(head, len, "chunked")) return 0;
    int err = expects ? weft_stream_printf(s, "HTTP/1.1 100 Go\r\n\r\n") : 0;
    return err < 0 ? err : weft_stream_skip(s, 13, NULL); /* 3 xyz 0 */
}

static int talk(weft_stream *s)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n"
                                "5\r\nhello\r\n";
    static const char end[] = "0\r\nX: y\r\n\r\n";
    const char *data;
    ssize_t n;
    int err = 0;
    while (err == 0 &&
           (n = weft_stream_read_until_text(s, "\r\n\r\n", 4096, &data)) > 0) {
        const char *at_once = short_answer(data, n);
        if (at_once) {
            err = weft_stream_write(s, at_once, strlen(at_once));
            if (err == 0) err = weft_stream_flush(s);
            if (strstr(at_once, "413")) return err;
            continue;
        }
        err = take_body(s, data, n);
        if (err == 0) err = weft_stream_write(s, reply, sizeof reply - 1);
        if (err == 0) err = weft_stream_flush(s);
        if (err == 0) err = weft_sleep(WEFT_MSEC(1));
        if (err == 0) err = weft_stream_write(s, end, sizeof end - 1);
    }
    return err;
}

/* That its client has gone is no failure of a server. */
static int answer(void *transport)
{
    weft_transport *t = transport;
    weft_stream s;
    weft_stream_init_transport(&s, t);
    int err = talk(&s);
    weft_stream_fini(&s);
    weft_transport_close(t);
    return err == -ECANCELED || err == -ENOMEM ? err : 0;
}

static int serve(void *arg)
{
    weft_transport *t;
    int err;
    (void)arg;
    while ((err = weft_memory_accept(world.listener, &t)) == 0) {
        if (weft_spawn_ex(world.nursery, answer, t, &daemon_opts) == 0)
            continue;
        weft_transport_close(t);
    }
    weft_memory_listener_close(world.listener);
    return err;
}

/* ---- clients ------------------------------------------------------------ */

static int dial(weft_transport **ret, const char *host, int port, void *user)
{
    (void)host, (void)port, (void)user;
    return weft_memory_dial(world.listener, ret);
}

static int secure(weft_transport **ret, weft_transport *below, const char *host,
                  void *user)
{
    (void)host, (void)user;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) *ret = below;
    return err;
}

static ssize_t give(void *buf, size_t len, void *user)
{
    int *left = user;
    CHECK(len >= 3);
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0 || *left == 0) return err;
    --*left;
    memcpy(buf, "xyz", 3);
    return 3;
}

static int read_all(weft_resp *r)
{
    weft_text body;
    int err = weft_resp_body(r, 0, &body);
    if (err == 0) {
        CHECK_STR(body.at, "hello");
        CHECK(weft_text_is(weft_resp_trailer(r, "x"), "y"));
    }
    (void)weft_resp_end(r);
    return err;
}

/* What comes of it when the server is struck. */
static int unless_gone(int err)
{
    bool gone = err == -ECONNREFUSED || err == -ECONNRESET || err == -EPIPE ||
                err == -ETIMEDOUT;
    return gone ? 0 : err;
}

static int get_twice(void *arg)
{
    weft_resp r;
    int err = 0;
    for (int i = 0; i < 2 && err == 0; i++) {
        err = weft_http_get(world.h, arg, &r);
        if (err == 0) err = read_all(&r);
    }
    return unless_gone(err);
}

static int put_in_chunks(void *arg)
{
    int left = 1;
    weft_http_call call = {.method = "PUT",
                           .url = arg,
                           .produce = give,
                           .user = &left,
                           .expect_continue = strstr(arg, "https") != NULL};
    weft_resp r;
    int err = weft_http_send(world.h, &call, &r);
    return unless_gone(err < 0 ? err : read_all(&r));
}

/* Leaves the end to weft_resp_end, which waits for it. */
static int get_and_leave(void *arg)
{
    weft_resp r;
    int err = weft_http_get(world.h, arg, &r);
    (void)weft_resp_end(&r);
    return unless_gone(err);
}

static bool begin(weft_nursery *n, weft_http_opts o)
{
    world =
        (struct world){.listener = weft_memory_listener_new(0), .nursery = n};
    if (!sweep_had(world.listener != NULL)) return false;
    o.connect = dial;
    world.h = weft_http_new(&o);
    if (!sweep_had(world.h != NULL)) return false;
    return sweep_had(weft_spawn_ex(n, serve, NULL, &daemon_opts) == 0);
}

/* Nothing is lent, nobody waits, and the memory goes back at once. */
static void check_client(void)
{
    weft_http_client_stats stats;
    if (world.h) {
        weft_http_client_stats_read(world.h, &stats);
        CHECK_EQ(stats.lent, 0);
        CHECK_EQ(stats.waiting, 0);
        CHECK_EQ(weft_http_free(world.h), 0);
    }
    weft_memory_listener_free(world.listener);
    world = (struct world){0};
}

static void start_asking(weft_nursery *n)
{
    if (!begin(n, (weft_http_opts){.pool = 2})) return;
    sweep_spawn(n, get_twice, "http://a/");
    sweep_spawn(n, put_in_chunks, "http://a/");
    sweep_spawn(n, get_twice, "http://b/");
}
SWEEP(requests_in_a_small_pool, start_asking, check_client,
      SWEEP_PEERS_MAY_WAIT);

static void start_leaving(weft_nursery *n)
{
    if (!begin(n, (weft_http_opts){.pool = 1, .secure = secure})) return;
    sweep_spawn(n, get_and_leave, "https://a/");
    sweep_spawn(n, get_and_leave, "https://b/");
}
SWEEP(replies_that_are_left_unread, start_leaving, check_client,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS);

static void start_with_a_keeper(weft_nursery *n)
{
    if (!begin(n, (weft_http_opts){
                      .nursery = n, .max_idle = WEFT_MSEC(3), .retries = 1}))
        return;
    sweep_spawn(n, get_twice, "http://a/");
}
SWEEP(a_client_with_a_keeper, start_with_a_keeper, check_client,
      SWEEP_PEERS_MAY_WAIT);

static int put_too_much(void *arg)
{
    static char body[200000];
    weft_http_call call = {
        .method = "PUT", .url = arg, .body = body, .body_len = sizeof body};
    weft_resp r;
    int err = weft_http_send(world.h, &call, &r);
    if (err == 0) CHECK_EQ(r.status, 413);
    (void)weft_resp_end(&r);
    return unless_gone(err);
}

static int get_and_check(void *arg)
{
    char buf[8192];
    weft_resp r;
    ssize_t n;
    int err = weft_http_get(world.h, arg, &r);
    if (err < 0) return unless_gone(err);
    while ((n = weft_resp_read(&r, buf, sizeof buf)) > 0)
        continue;
    if (n == 0) n = weft_http_check(&r);
    (void)weft_resp_end(&r);
    return unless_gone(n == -WEFT_EREMOTEIO ? 0 : (int)n);
}

static void start_all_kinds(weft_nursery *n)
{
    if (!begin(n, (weft_http_opts){.pool = 2,
                                   .secure = secure,
                                   .retries = 1,
                                   .redirects = 1,
                                   .proxy = "me:word@p"}))
        return;
    sweep_spawn(n, put_in_chunks, "https://a/");
    sweep_spawn(n, get_and_check, "http://a/moved");
    sweep_spawn(n, get_and_check, "http://b/busy");
    sweep_spawn(n, put_too_much, "http://a/large");
}
SWEEP(tunnels_redirects_retries_and_refusals, start_all_kinds, check_client,
      SWEEP_PEERS_MAY_WAIT);
