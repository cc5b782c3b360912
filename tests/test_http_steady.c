/* SPDX-License-Identifier: MIT */
/*
 * test_http_steady.c - what a request on a connection that is kept takes from
 * the system: a receive and a send, and no memory.
 *
 * A hostile build counts each call that can fail (runtime/os_sites.h); the
 * client's own are counted with the server's. Other builds skip.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"

#ifdef WEFT_HOSTILE
#include "runtime/os.h"

enum { WARM = 20, REQUESTS = 800 };

static long *uses;

static long calls_of(unsigned call)
{
    size_t count;
    long n = 0;
    const struct wf_site *const *sites = wf_sites(&count);
    for (size_t i = 0; i < count; i++)
        if (sites[i]->call == call) n += uses[i];
    return n;
}

/* All but those: with the places, should there be any. */
static long other_calls(const bool but[WF_SITE_CALLS])
{
    size_t count;
    long n = 0;
    const struct wf_site *const *sites = wf_sites(&count);
    for (size_t i = 0; i < count; i++) {
        if (but[sites[i]->call] || uses[i] == 0) continue;
        printf("%ld times: %s:%d\n", uses[i], sites[i]->file, sites[i]->line);
        n += uses[i];
    }
    return n;
}

static int greet(weft_req *r, void *unused)
{
    (void)unused;
    return weft_reply_text(r, 200, "hello");
}

static int serve(void *arg)
{
    static const weft_http_server_opts opts = {.handler = greet};
    weft_http_server *s = weft_http_server_new(&opts);
    CHECK(s != NULL);
    int rc = weft_http_serve(s, *(weft_fd *)arg);
    weft_http_server_free(s);
    return rc;
}

/* So many requests, `depth` at a time; replies are all as long. A stream does
 * not try to read before there is something, so the client makes no more calls
 * than the server should. */
static void ask(weft_stream *s, int requests, int depth, size_t *reply_len)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int i = 0; i < requests; i += depth) {
        const char *reply;
        for (int j = 0; j < depth; j++)
            CHECK_EQ(weft_stream_write(s, text, sizeof text - 1), 0);
        ssize_t n = weft_stream_peek(s, &reply);
        CHECK(n > 0 && memcmp(reply, "HTTP/1.1 200 ", 13) == 0);
        if (*reply_len == 0) *reply_len = (size_t)n;
        CHECK_EQ(n, (size_t)depth * *reply_len);
        weft_stream_consume(s, (size_t)n);
    }
}

static void count_calls(int depth)
{
    const weft_spawn_opts daemon = {.daemon = true};
    static long room[4096];
    bool expected[WF_SITE_CALLS] = {false};
    char address[WEFT_ADDR_TEXT];
    weft_fd listener, conn;
    weft_stream s;
    weft_addr at;
    size_t count, reply_len = 0;
    int rc;
    (void)wf_sites(&count);
    CHECK(count <= sizeof room / sizeof room[0]);
    uses = room;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, serve, &listener, &daemon);
        CHECK_EQ(rc, 0);
        rc = weft_dial(&conn, weft_addr_format(&at, address, sizeof address));
        CHECK_EQ(rc, 0);
        weft_stream_init(&s, conn);
        ask(&s, 1, 1, &reply_len);
        ask(&s, WARM * depth, depth, &reply_len);
        wf_site_begin(&(struct wf_site_plan){.uses = room});
        ask(&s, REQUESTS, depth, &reply_len);
        wf_site_begin(&(struct wf_site_plan){.uses = NULL});
        CHECK_EQ(weft_stream_close(&s), 0);
    }
    CHECK_EQ(rc, 0);

    /* One end's receives and sends, and the other's. */
    long batches = REQUESTS / depth;
    CHECK_EQ(calls_of(WF_SITE_RECV), 2 * batches);
    CHECK_EQ(calls_of(WF_SITE_SEND), 2 * batches);
    expected[WF_SITE_RECV] = expected[WF_SITE_SEND] = true;
    expected[WF_CALL_POLL_WAIT] = true;
    CHECK_EQ(other_calls(expected), 0);
}

TEST(a_kept_connection_costs_a_receive_and_a_send_for_each_request)
{
    count_calls(1);
}

TEST(requests_that_come_together_share_a_receive_and_a_send)
{
    count_calls(16);
}

#else

TEST(a_kept_connection_costs_a_receive_and_a_send_for_each_request)
{
    SKIP("only a hostile build counts calls");
}

#endif
