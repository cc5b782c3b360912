/* SPDX-License-Identifier: MIT */
/* test_ws_edges.c - what meets at the same time, and peers that do half. */
#include <weft.h>

#include <stdlib.h>

#include "ws_pair.h"

/* ---- pings and time ----------------------------------------------------- */

TEST(a_pong_that_came_while_nobody_read_counts)
{
    const weft_ws_opts o = {.ping_every = WEFT_SEC(1),
                            .pong_timeout = WEFT_SEC(2)};
    int rc;
    open_ws(WEFT_WS_SERVER, &o);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1500))
        rc = read_once();
    CHECK_EQ(rc, -ETIMEDOUT);
    check_hear(FIN | WF_WS_PING, "", 0);
    say_frame(FIN | WF_WS_PONG, "", 0);
    say_text("x");
    CHECK_EQ(weft_sleep(WEFT_SEC(60)), 0);
    check_read_text("x");
    close_ws();
}

TEST(what_came_while_nobody_read_is_read_without_a_ping)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_text("x");
    CHECK_EQ(weft_sleep(WEFT_SEC(60)), 0);
    check_read_text("x");
    CHECK_EQ(weft_ws_flush(ws), 0);
    say_close(1000, "");
    CHECK_EQ(read_once(), 0);
    check_hear_close(1000, "");
    close_ws();
}

/* Pings, which are not many octets for those that it takes to answer them. */
static int say_pings(void *arg)
{
    static const char ping[6] = "\x89\x80";
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 100000 && rc == 0; i++)
        rc = weft_stream_write(&far_end, ping, sizeof ping);
    return rc;
}

TEST(a_peer_that_pings_and_reads_nothing_is_given_up)
{
    const weft_spawn_opts peer = {.daemon = true};
    int rc, got = 0;
    weft_time begun = weft_now();
    open_ws_of(WEFT_WS_SERVER, NULL, 20000);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, say_pings, NULL, &peer);
        if (rc == 0) got = read_once();
        CHECK(weft_now() - begun <= WEFT_SEC(40));
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(got, -ETIMEDOUT);
    CHECK_EQ(read_once(), -ETIMEDOUT);
    close_ws();
}

TEST(a_message_behind_a_ping_is_read_though_the_peer_reads_nothing)
{
    static const char filling[120];
    int rc;
    open_ws_of(WEFT_WS_SERVER, NULL, 125);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_BINARY, filling, sizeof filling), 0);
    say_frame(FIN | WF_WS_PING, "ping", 4);
    say_text("x");
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        check_read_text("x");
    }
    CHECK_EQ(rc, 0);
    check_hear(FIN | WF_WS_BINARY, filling, sizeof filling);
    CHECK_EQ(weft_ws_flush(ws), 0);
    check_hear(FIN | WF_WS_PONG, "ping", 4);
    close_ws();
}

TEST(after_no_answer_to_a_ping_no_close_frame_is_sent)
{
    open_ws(WEFT_WS_SERVER, NULL);
    int rc = read_once();
    CHECK_EQ(rc, -ETIMEDOUT);
    weft_time begun = weft_now();
    CHECK_EQ(weft_ws_end(ws, rc), -ETIMEDOUT);
    ws = NULL;
    CHECK_EQ(weft_now(), begun);
    check_hear(FIN | WF_WS_PING, "", 0);
    check_hear_end();
    close_ws();
}

/* ---- closing under others ----------------------------------------------- */

static int sent[3];
static bool out[3];

static int send_big(void *arg)
{
    int i = *(int *)arg;
    char *data = calloc(1, 100000);
    sent[i] = weft_ws_send(ws, WEFT_WS_BINARY, data, 100000);
    out[i] = true;
    free(data);
    return 0;
}

TEST(all_who_send_are_out_when_close_has_returned)
{
    static int ids[] = {0, 1, 2};
    int rc;
    open_ws_of(WEFT_WS_SERVER, NULL, 4096);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            rc = weft_spawn(&n, send_big, &ids[i]);
            if (rc < 0) break;
        }
        if (rc == 0) rc = weft_sleep(1);
        CHECK_EQ(weft_ws_close(ws, 0, NULL), -ETIMEDOUT);
        for (int i = 0; i < 3; i++)
            CHECK(out[i]);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(sent[i], -EPIPE);
    close_ws();
}

static int hold_open(void *arg)
{
    weft_event *e = arg;
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_part(ws, "half \xC3", 6), 0);
    int err = weft_event_wait(e);
    CHECK_EQ(weft_ws_send_end(ws), -EPIPE);
    return err;
}

static int answer_it(void *arg)
{
    static char buf[1 << 17];
    size_t n;
    (void)arg;
    while (hear(buf, sizeof buf, &n) != (FIN | WF_WS_CLOSE)) {
    }
    say_close(1000, "");
    return 0;
}

TEST(who_waits_for_the_message_of_another_is_called_off_by_close)
{
    static int id = 1;
    weft_event e = WEFT_EVENT_INIT;
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, hold_open, &e);
        if (rc == 0) rc = weft_sleep(1);
        if (rc == 0) rc = weft_spawn(&n, send_big, &id);
        if (rc == 0) rc = weft_spawn(&n, answer_it, NULL);
        if (rc == 0) rc = weft_sleep(1);
        CHECK_EQ(weft_ws_close(ws, 0, NULL), 0);
        CHECK(out[1]);
        CHECK_EQ(sent[1], -EPIPE);
        weft_event_set(&e);
    }
    CHECK_EQ(rc, 0);
    close_ws();
}

TEST(a_message_that_ends_within_a_character_ends_with_the_connection)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_part(ws, "half \xC3", 6), 0);
    say_close(1000, "");
    CHECK_EQ(weft_ws_close(ws, 0, NULL), 0);
    CHECK_EQ(weft_ws_send_end(ws), -EPIPE);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), -EPIPE);
    close_ws();
}

TEST(a_message_that_lost_its_connection_within_a_character_can_be_ended)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_part(ws, "half \xC3", 6), 0);
    close_far();
    CHECK_EQ(weft_ws_send_part(ws, "\xA9", 1), -EPIPE);
    CHECK_EQ(weft_ws_send_end(ws), -EPIPE);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), -EPIPE);
    close_ws();
}

static int end_cancelled(void *arg)
{
    weft_scope s;
    (void)arg;
    weft_scope_init(&s);
    int rc = weft_scope_begin(&s);
    weft_scope_cancel(&s, 0, NULL);
    rc = weft_ws_end(ws, rc);
    ws = NULL;
    return weft_scope_end(&s, rc);
}

TEST(who_sends_is_out_when_a_cancelled_end_has_returned)
{
    static int ids[] = {0, 1, 2};
    int rc;
    open_ws_of(WEFT_WS_SERVER, NULL, 4096);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            rc = weft_spawn(&n, send_big, &ids[i]);
            if (rc < 0) break;
        }
        if (rc == 0) rc = weft_sleep(1);
        if (rc == 0) rc = end_cancelled(NULL);
        for (int i = 0; i < 3; i++)
            CHECK(out[i]);
    }
    CHECK_EQ(rc, 0);
    close_ws();
}

TEST(both_sides_may_close_at_once)
{
    for (int role = 0; role < 2; role++) {
        open_ws((weft_ws_role)role, NULL);
        say_close(4001, "mine");
        if (role == WEFT_WS_CLIENT)
            CHECK_EQ(weft_stream_shutdown_write(&far_end), 0);
        CHECK_EQ(weft_ws_close(ws, 4000, "ours"), 0);
        CHECK_EQ(weft_ws_close(ws, 4002, "again"), 0);
        CHECK_EQ(weft_ws_close_code(ws), 4001);
        check_hear_close(4000, "ours");
        check_hear_end();
        CHECK_EQ(read_once(), 0);
        CHECK_EQ(weft_ws_ping(ws, "", 0), -EPIPE);
        close_ws();
    }
}

/* ---- two WebSockets that do all of it ----------------------------------- */

struct side {
    weft_stream stream;
    weft_ws *ws;
    weft_time closes_at;
    int closed, read;
    size_t len; /* of what it sends */
};

static int reads(void *arg)
{
    struct side *s = arg;
    weft_ws_message m;
    do
        s->read = weft_ws_read(s->ws, &m);
    while (s->read > 0);
    return 0;
}

static int sends(void *arg)
{
    static const char data[30000];
    const struct side *s = arg;
    int rc;
    do
        rc = weft_ws_send(s->ws, WEFT_WS_BINARY, data, s->len);
    while (rc == 0);
    CHECK_EQ(rc, -EPIPE);
    return 0;
}

static int sends_parts(void *arg)
{
    const struct side *s = arg;
    int rc = 0, end;
    while (rc == 0) {
        rc = weft_ws_send_begin(s->ws, WEFT_WS_TEXT);
        if (rc < 0) break;
        for (int i = 0; i < 5 && rc == 0; i++) {
            rc = weft_ws_send_part(s->ws, "\xC3\xA9 part", 7);
            if (rc == 0) rc = weft_sleep(1000);
        }
        end = weft_ws_send_end(s->ws);
        if (rc == 0) rc = end;
    }
    CHECK_EQ(rc, -EPIPE);
    return 0;
}

static int pings(void *arg)
{
    const struct side *s = arg;
    int rc;
    do {
        rc = weft_ws_ping(s->ws, "ping", 4);
        if (rc == 0) rc = weft_sleep(700);
    } while (rc == 0);
    CHECK_EQ(rc, -EPIPE);
    return 0;
}

static int closes(void *arg)
{
    struct side *s = arg;
    int err = weft_sleep(s->closes_at);
    s->closed = weft_ws_close(s->ws, 4000, "enough");
    return err;
}

static void talk_and_close(unsigned n, weft_time first, weft_time second)
{
    static int (*const doing[])(void *) = {reads,       sends, sends,
                                           sends_parts, pings, closes};
    struct side sides[2] = {{.closes_at = first}, {.closes_at = second}};
    const weft_ws_opts o = {.fragment = 1 + n * 311};
    weft_transport *ends[2];
    int rc = 0;
    CHECK_EQ(weft_memory_pair(ends, 1 + n * 173), 0);
    for (int i = 0; i < 2; i++) {
        struct side *s = &sides[i];
        s->len = 1 + (n * 997 + (size_t)i) % 30000;
        weft_stream_init_transport(&s->stream, ends[i]);
        s->ws = weft_ws_new(&s->stream, (weft_ws_role)i, &o);
        CHECK(s->ws != NULL);
    }
    WEFT_NURSERY(all, rc)
        for (size_t i = 0; i < 12 && rc == 0; i++)
            rc = weft_spawn(&all, doing[i / 2], &sides[i % 2]);
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sides[i].closed, 0);
        CHECK_EQ(sides[i].read, 0);
        CHECK_EQ(weft_ws_close_code(sides[i].ws), 4000);
        weft_ws_free(sides[i].ws);
        CHECK_EQ(weft_stream_close(&sides[i].stream), 0);
    }
}

TEST(two_that_send_all_the_while_close_cleanly_at_any_moment)
{
    for (unsigned n = 0; n < 30; n++) {
        talk_and_close(n, 0, 0);
        talk_and_close(n, 1, 0);
        talk_and_close(n, 1 + n * 601, 1 + n * 601);
        talk_and_close(n, 5000, 1 + n * 397);
    }
}
