/* SPDX-License-Identifier: MIT */
/* test_ws_send.c - frames that are sent, by one fiber and by several. */
#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>

#include "ws_pair.h"

static int send_text(const char *text)
{
    return weft_ws_send(ws, WEFT_WS_TEXT, text, strlen(text));
}

TEST(a_server_sends_without_a_mask)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(send_text("gr\xC3\xBC\xC3\x9F"), 0);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_BINARY, "\0\xFF", 2), 0);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, NULL, 0), 0);
    check_hear_text("gr\xC3\xBC\xC3\x9F");
    check_hear(FIN | WF_WS_BINARY, "\0\xFF", 2);
    check_hear_text("");
    close_ws();
}

TEST(a_client_sends_each_frame_with_another_mask)
{
    const char *data;
    uint8_t keys[2][4];
    open_ws(WEFT_WS_CLIENT, NULL);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(send_text("hello"), 0);
        CHECK_EQ(weft_stream_more(&far_end, 10, 100, &data), 11);
        CHECK_EQ((uint8_t)data[1], 0x85);
        memcpy(keys[i], data + 2, 4);
        check_hear_text("hello");
    }
    CHECK(memcmp(keys[0], keys[1], 4) != 0);
    close_ws();
}

struct big {
    char *data;
    size_t len;
    int rc;
    weft_time limit; /* 0: none */
};

static int send_big(void *arg)
{
    struct big *b = arg;
    weft_time limit = b->limit ? b->limit : WEFT_FOREVER;
    WEFT_FAIL_AFTER(b->rc, limit)
        b->rc = weft_ws_send(ws, WEFT_WS_BINARY, b->data, b->len);
    return 0;
}

static struct big make_big(size_t len)
{
    struct big b = {malloc(len), len, -1, 0};
    CHECK(b.data != NULL);
    for (size_t i = 0; i < len; i++)
        b.data[i] = (char)(i * 17 + i / 255);
    return b;
}

TEST(messages_of_every_size_around_the_edges_arrive_as_they_were)
{
    static const size_t sizes[] = {1,     125,   126,   127,   16369,
                                   16370, 16371, 16376, 16377, 16378,
                                   16384, 32760, 65535, 65536, 100000};
    for (int role = WEFT_WS_SERVER; role <= WEFT_WS_CLIENT; role++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct big b = make_big(sizes[i]);
            int rc;
            open_ws_of((weft_ws_role)role, NULL, 4096);
            WEFT_NURSERY(n, rc) {
                rc = weft_spawn(&n, send_big, &b);
                check_hear(FIN | WF_WS_BINARY, b.data, b.len);
            }
            CHECK_EQ(rc, 0);
            CHECK_EQ(b.rc, 0);
            close_ws();
            free(b.data);
        }
}

TEST(what_is_written_goes_with_the_next_that_is_sent)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_write(ws, WEFT_WS_TEXT, "one", 3), 0);
    CHECK_EQ(weft_ws_write(ws, WEFT_WS_TEXT, "two", 3), 0);
    CHECK_EQ(weft_stream_pending(&near_end), 10);
    CHECK_EQ(send_text("three"), 0);
    CHECK_EQ(weft_stream_pending(&near_end), 0);
    CHECK_EQ(weft_ws_write(ws, WEFT_WS_TEXT, "four", 4), 0);
    CHECK_EQ(weft_ws_flush(ws), 0);
    check_hear_text("one");
    check_hear_text("two");
    check_hear_text("three");
    check_hear_text("four");
    close_ws();
}

TEST(what_is_written_goes_when_the_connection_is_read_from)
{
    int rc;
    open_ws(WEFT_WS_CLIENT, NULL);
    CHECK_EQ(weft_ws_write(ws, WEFT_WS_TEXT, "question", 8), 0);
    WEFT_FAIL_AFTER(rc, 1)
        rc = read_once();
    CHECK_EQ(rc, -ETIMEDOUT);
    check_hear_text("question");
    close_ws();
}

TEST(a_text_that_is_not_utf8_is_not_sent)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(send_text("\xFF"), -EILSEQ);
    CHECK_EQ(send_text("cut \xC3"), -EILSEQ);
    CHECK_EQ(weft_ws_send(ws, (weft_ws_kind)3, "x", 1), -EINVAL);
    CHECK_EQ(weft_ws_send(ws, (weft_ws_kind)0, "x", 1), -EINVAL);
    CHECK_EQ(weft_ws_send_begin(ws, (weft_ws_kind)8), -EINVAL);
    CHECK_EQ(send_text("good"), 0);
    check_hear_text("good");
    close_ws();
}

TEST(a_long_message_goes_in_fragments_if_that_is_asked_for)
{
    const weft_ws_opts o = {.fragment = 4};
    open_ws(WEFT_WS_SERVER, &o);
    CHECK_EQ(send_text("0123"), 0);
    CHECK_EQ(send_text("0123456789"), 0);
    CHECK_EQ(weft_ws_write(ws, WEFT_WS_BINARY, "01234567", 8), 0);
    CHECK_EQ(weft_ws_flush(ws), 0);
    check_hear_text("0123");
    check_hear(WF_WS_TEXT, "0123", 4);
    check_hear(WF_WS_CONTINUATION, "4567", 4);
    check_hear(FIN | WF_WS_CONTINUATION, "89", 2);
    check_hear(WF_WS_BINARY, "0123", 4);
    check_hear(FIN | WF_WS_CONTINUATION, "4567", 4);
    close_ws();
}

/* ---- in parts ----------------------------------------------------------- */

TEST(a_message_in_parts_is_fragments_with_control_frames_between)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_part(ws, "one ", 4), 0);
    CHECK_EQ(weft_ws_ping(ws, "?", 1), 0);
    CHECK_EQ(weft_ws_send_part(ws, NULL, 0), 0); /* no frame at all */
    CHECK_EQ(weft_ws_send_part(ws, "two", 3), 0);
    CHECK_EQ(weft_ws_send_end(ws), 0);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_BINARY), 0);
    CHECK_EQ(weft_ws_send_end(ws), 0);
    check_hear(WF_WS_TEXT, "one ", 4);
    check_hear(FIN | WF_WS_PING, "?", 1);
    check_hear(WF_WS_CONTINUATION, "two", 3);
    check_hear(FIN | WF_WS_CONTINUATION, "", 0);
    check_hear(FIN | WF_WS_BINARY, "", 0);
    close_ws();
}

TEST(a_character_may_be_cut_between_parts_and_not_at_the_end)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_part(ws, "\xE2\x82", 2), 0);
    CHECK_EQ(weft_ws_send_end(ws), -EILSEQ);
    CHECK_EQ(weft_ws_send_part(ws, "x", 1), -EILSEQ);
    CHECK_EQ(weft_ws_send_part(ws, "\xAC", 1), 0);
    CHECK_EQ(weft_ws_send_end(ws), 0);
    check_hear(WF_WS_TEXT, "\xE2\x82", 2);
    check_hear(WF_WS_CONTINUATION, "\xAC", 1);
    check_hear(FIN | WF_WS_CONTINUATION, "", 0);
    close_ws();
}

TEST(parts_without_a_begin_are_refused_and_a_message_within_another)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send_part(ws, "x", 1), -EINVAL);
    CHECK_EQ(weft_ws_send_end(ws), -EINVAL);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), -EDEADLK);
    CHECK_EQ(send_text("x"), -EDEADLK);
    CHECK_EQ(weft_ws_send_end(ws), 0);
    CHECK_EQ(weft_ws_send_end(ws), -EINVAL);
    CHECK_EQ(send_text("x"), 0);
    close_ws();
}

TEST(a_message_ends_with_the_connection)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_part(ws, "half", 4), 0);
    close_far();
    CHECK_EQ(weft_ws_send_part(ws, "rest", 4), -EPIPE);
    CHECK_EQ(weft_ws_send_end(ws), -EPIPE);
    CHECK_EQ(weft_ws_send_end(ws), -EINVAL);
    CHECK_EQ(send_text("x"), -EPIPE);
    close_ws();
}

static int send_another(void *arg)
{
    return weft_ws_send(ws, WEFT_WS_TEXT, arg, strlen(arg));
}

TEST(others_wait_until_the_message_is_ended)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
        rc = weft_spawn(&n, send_another, "other");
        if (rc == 0) rc = weft_sleep(1);
        CHECK_EQ(weft_ws_send_part(ws, "one", 3), 0);
        if (rc == 0) rc = weft_sleep(1);
        CHECK_EQ(weft_ws_send_end(ws), 0);
    }
    CHECK_EQ(rc, 0);
    check_hear(WF_WS_TEXT, "one", 3);
    check_hear(FIN | WF_WS_CONTINUATION, "", 0);
    check_hear_text("other");
    close_ws();
}

static int begin_and_go(void *arg)
{
    (void)arg;
    return weft_ws_send_begin(ws, WEFT_WS_TEXT);
}

TEST(after_a_fiber_that_ended_within_its_message_others_are_told)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, begin_and_go, NULL);
    CHECK_EQ(rc, 0);
    CHECK_EQ(send_text("x"), -EOWNERDEAD);
    CHECK_EQ(weft_ws_ping(ws, NULL, 0), 0);
    close_ws();
}

TEST(a_message_that_was_given_up_does_not_outlive_the_websocket)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), 0);
    CHECK_EQ(weft_ws_send_part(ws, "half", 4), 0);
    close_ws();
}

/* ---- several fibers ----------------------------------------------------- */

enum { SENDERS = 5, EACH = 40 };

static int send_many(void *arg)
{
    size_t len = (size_t)(uintptr_t)arg;
    char *data = malloc(len);
    int rc = data ? 0 : -ENOMEM;
    if (data) memset(data, (int)('a' + len % 26), len);
    for (int i = 0; i < EACH && rc == 0; i++)
        rc = weft_ws_send(ws, WEFT_WS_BINARY, data, len);
    free(data);
    return rc;
}

static int hear_message(char *buf, size_t room, size_t *ret_len)
{
    size_t at = 0, n = 0;
    int first;
    do {
        first = hear(buf + at, room - at, &n);
        at += n;
    } while (!(first & FIN));
    *ret_len = at;
    return first;
}

static void check_many(weft_ws_role role, size_t fragment)
{
    static char buf[1 << 17];
    const weft_ws_opts o = {.fragment = fragment};
    int rc;
    open_ws_of(role, &o, 5000);
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < SENDERS && rc == 0; i++)
            rc = weft_spawn(&n, send_many, (void *)(uintptr_t)(i * 9001 + 1));
        for (int i = 0; i < SENDERS * EACH && rc == 0; i++) {
            size_t len;
            hear_message(buf, sizeof buf, &len);
            CHECK_EQ(len % 9001, 1);
            for (size_t at = 0; at < len; at++)
                CHECK(buf[at] == (char)('a' + len % 26));
        }
    }
    CHECK_EQ(rc, 0);
    close_ws();
}

TEST(messages_of_several_fibers_are_not_mixed)
{
    check_many(WEFT_WS_SERVER, 0);
    check_many(WEFT_WS_CLIENT, 0);
}

TEST(nor_are_their_fragments)
{
    check_many(WEFT_WS_SERVER, 1000);
    check_many(WEFT_WS_CLIENT, 20000);
}

/* ---- a reader beside it ------------------------------------------------- */

static int read_till_end(void *arg)
{
    int rc = 1;
    while (rc > 0)
        rc = read_once();
    *(int *)arg = rc;
    return 0;
}

TEST(a_pong_that_is_due_in_the_middle_of_a_frame_goes_behind_it)
{
    struct big b = make_big(100000);
    int rc, read = 1;
    open_ws_of(WEFT_WS_SERVER, NULL, 4096);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_till_end, &read);
        if (rc == 0) rc = weft_spawn(&n, send_big, &b);
        if (rc == 0) rc = weft_sleep(1);
        say_frame(FIN | WF_WS_PING, "old", 3);
        say_text("is read all the same");
        say_frame(FIN | WF_WS_PING, "new", 3);
        if (rc == 0) rc = weft_sleep(1);
        check_hear(FIN | WF_WS_BINARY, b.data, b.len);
        check_hear(FIN | WF_WS_PONG, "new", 3); /* RFC 6455, 5.5.3 */
        say_close(1000, "");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(read, 0);
    CHECK_EQ(b.rc, 0);
    free(b.data);
    close_ws();
}

TEST(a_pong_goes_between_the_fragments_of_a_long_message)
{
    const weft_ws_opts o = {.fragment = 50000};
    struct big b = make_big(100000);
    int rc, read = 1;
    open_ws_of(WEFT_WS_CLIENT, &o, 4096);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_till_end, &read);
        if (rc == 0) rc = weft_spawn(&n, send_big, &b);
        if (rc == 0) rc = weft_sleep(1);
        say_frame(FIN | WF_WS_PING, "p", 1);
        if (rc == 0) rc = weft_sleep(1);
        check_hear(WF_WS_BINARY, b.data, 50000);
        check_hear(FIN | WF_WS_PONG, "p", 1);
        check_hear(FIN | WF_WS_CONTINUATION, b.data + 50000, 50000);
        say_close(1000, "");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(read, 0);
    free(b.data);
    close_ws();
}

TEST(a_ping_to_a_silent_peer_waits_for_the_frame_that_is_sent)
{
    struct big b = make_big(100000);
    int rc, read = 1;
    open_ws_of(WEFT_WS_SERVER, NULL, 4096);
    weft_time begun = weft_now();
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_till_end, &read);
        if (rc == 0) rc = weft_spawn(&n, send_big, &b);
        if (rc == 0) rc = weft_sleep(WEFT_SEC(100)); /* no end of it yet */
        CHECK_EQ(read, 1);
        check_hear(FIN | WF_WS_BINARY, b.data, b.len);
        check_hear(FIN | WF_WS_PING, "", 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(read, -ETIMEDOUT);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(110));
    free(b.data);
    close_ws();
}

/* ---- cancelled ---------------------------------------------------------- */

TEST(a_send_that_was_cancelled_before_its_first_octet_did_nothing)
{
    char fill[4094];
    int rc;
    memset(fill, 'f', sizeof fill);
    open_ws_of(WEFT_WS_SERVER, NULL, 4098);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_BINARY, fill, sizeof fill), 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1))
        rc = send_text("late");
    CHECK_EQ(rc, -ETIMEDOUT);
    check_hear(FIN | WF_WS_BINARY, fill, sizeof fill);
    CHECK_EQ(send_text("next"), 0);
    check_hear_text("next");
    close_ws();
}

static void check_cut_at(weft_ws_role role, const weft_ws_opts *o, size_t len,
                         size_t capacity)
{
    struct big b = make_big(len);
    int rc;
    b.limit = WEFT_SEC(1);
    open_ws_of(role, o, capacity);
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, send_big, &b);
    CHECK_EQ(rc, 0);
    CHECK_EQ(b.rc, -ETIMEDOUT);
    CHECK_EQ(send_text("x"), -EPIPE);
    CHECK_EQ(weft_ws_ping(ws, NULL, 0), -EPIPE);
    CHECK_EQ(weft_ws_close(ws, 0, NULL), -EPIPE);
    free(b.data);
    close_ws();
}

static void check_cut(weft_ws_role role, const weft_ws_opts *o, size_t len)
{
    check_cut_at(role, o, len, 4096);
}

TEST(a_send_that_was_cut_within_a_frame_breaks_the_sending_side)
{
    const weft_ws_opts o = {.fragment = 4092};
    check_cut(WEFT_WS_SERVER, NULL, 5000);
    check_cut(WEFT_WS_CLIENT, NULL, 5000);
    check_cut(WEFT_WS_CLIENT, NULL, 50000);
    /* Between two writes, of which the first has gone whole. */
    check_cut_at(WEFT_WS_CLIENT, NULL, 50000, WEFT_BUFFER_BYTES);
    check_cut(WEFT_WS_SERVER, &o, 10000); /* between two fragments */
}
