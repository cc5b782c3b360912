/* SPDX-License-Identifier: MIT */
/* test_ws_read.c - messages, control frames, and what a peer may not do. */
#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>

#include "http/ws.h"
#include "ws_pair.h"

TEST(a_server_reads_text_binary_and_empty_messages)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_text("gr\xC3\xBC\xC3\x9F");
    say_frame(FIN | WF_WS_BINARY, "\0\xFF\x80", 3);
    say_text("");
    say_frame(FIN | WF_WS_BINARY, "", 0);
    check_read_text("gr\xC3\xBC\xC3\x9F");
    check_read(WEFT_WS_BINARY, "\0\xFF\x80", 3);
    check_read_text("");
    check_read(WEFT_WS_BINARY, "", 0);
    close_ws();
}

TEST(a_client_reads_frames_without_a_mask)
{
    open_ws(WEFT_WS_CLIENT, NULL);
    say_text("hello");
    check_read_text("hello");
    close_ws();
}

TEST(pattern_110_fragments_are_one_message_with_control_frames_between)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_frame(WF_WS_TEXT, "one ", 4);
    say_frame(FIN | WF_WS_PING, "?", 1);
    say_frame(WF_WS_CONTINUATION, "", 0);
    say_frame(FIN | WF_WS_PONG, "unasked", 7);
    say_frame(FIN | WF_WS_CONTINUATION, "two", 3);
    check_read_text("one two");
    check_hear(FIN | WF_WS_PONG, "?", 1); /* sent before the message is out */
    close_ws();
}

TEST(a_character_may_be_cut_between_fragments)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_frame(WF_WS_TEXT, "\xF0\x9F", 2);
    say_frame(WF_WS_CONTINUATION, "\x98", 1);
    say_frame(FIN | WF_WS_CONTINUATION, "\x80", 1);
    check_read_text("\xF0\x9F\x98\x80");
    close_ws();
}

static int read_last(void *arg)
{
    check_read(WEFT_WS_BINARY, arg, 3);
    return 0;
}

TEST(a_message_may_come_octet_by_octet)
{
    static const char frames[] = "\x02\x81\1\2\3\4\x60" /* 'a' */
                                 "\x89\x80\1\2\3\4"     /* ping */
                                 "\x80\xFE\x00\x02";    /* not minimal */
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_last, "abc");
        for (size_t i = 0; i < 13 && rc == 0; i++) {
            say(frames + i, 1);
            rc = weft_sleep(WEFT_MSEC(1));
        }
        if (rc == 0) say_frame(FIN | WF_WS_CONTINUATION, "bc", 2);
    }
    CHECK_EQ(rc, 0);
    check_hear(FIN | WF_WS_PONG, "", 0);
    close_ws();
}

struct lots {
    char *data;
    size_t len, piece;
};

static int say_lots(void *arg)
{
    const struct lots *l = arg;
    for (size_t at = 0; at < l->len; at += l->piece) {
        size_t n = l->len - at < l->piece ? l->len - at : l->piece;
        say_frame((at + n == l->len ? FIN : 0) | (at ? 0 : WF_WS_BINARY),
                  l->data + at, n);
    }
    return 0;
}

static void check_lots(size_t len, size_t piece)
{
    struct lots l = {malloc(len), len, piece};
    int rc;
    CHECK(l.data != NULL);
    for (size_t i = 0; i < len; i++)
        l.data[i] = (char)(i * 31 + i / 251);
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, say_lots, &l);
        if (rc == 0) check_read(WEFT_WS_BINARY, l.data, len);
    }
    CHECK_EQ(rc, 0);
    close_ws();
    free(l.data);
}

TEST(a_message_of_up_to_the_limit_is_read_whole)
{
    check_lots(1 << 20, 1 << 20);
    check_lots(1 << 20, 1000);
    check_lots(16384, 16384);
    check_lots(16385, 16384);
    check_lots(65535, 65535);
    check_lots(65536, 65536);
}

/* ---- refused ------------------------------------------------------------ */

struct wrong {
    const char *octets;
    size_t len;
    int err, code;
};

#define WRONG(octets, err, code)                                               \
    {                                                                          \
        octets, sizeof(octets) - 1, err, code                                  \
    }

static void check_wrong(weft_ws_role role, const struct wrong *w)
{
    weft_ws_message m;
    open_ws(role, NULL);
    say(w->octets, w->len);
    CHECK_EQ(weft_ws_read(ws, &m), w->err);
    CHECK_EQ(weft_ws_read(ws, &m), w->err); /* for good */
    check_hear_close(w->code, "");
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), -EPIPE);
    CHECK_EQ(weft_ws_close_code(ws), WEFT_WS_ABNORMAL);
    close_far();
    CHECK_EQ(weft_ws_close(ws, 0, NULL), w->err);
    close_ws();
}

TEST(what_a_peer_may_not_do_ends_the_connection_with_its_code)
{
    static const struct wrong rows[] = {
        WRONG("\xC1\x80\0\0\0\0", -EPROTO, 1002),
        WRONG("\x83\x80\0\0\0\0", -EPROTO, 1002),
        WRONG("\x8B\x80\0\0\0\0", -EPROTO, 1002),
        WRONG("\x81\x01x", -EPROTO, 1002), /* no mask */
        WRONG("\x80\x80\0\0\0\0", -EPROTO, 1002),
        WRONG("\x01\x80\0\0\0\0\x81", -EPROTO, 1002),
        WRONG("\x09\x80\0\0\0\0", -EPROTO, 1002),
        WRONG("\x89\xFE\x00\x7E", -EPROTO, 1002),
        WRONG("\x82\xFE\x00\x7D", -EPROTO, 1002),
        WRONG("\x82\xFF\x80", -EPROTO, 1002),
        WRONG("\x88\x81\0\0\0\0\3", -EPROTO, 1002),
        WRONG("\x88\x82\0\0\0\0\x03\xED", -EPROTO, 1002), /* 1005 */
        WRONG("\x88\x82\0\0\0\0\x03\xE7", -EPROTO, 1002), /* 999 */
        WRONG("\x88\x83\0\0\0\0\x03\xE8\xFF", -EILSEQ, 1007),
        WRONG("\x81\x81\0\0\0\0\xFF", -EILSEQ, 1007),
        WRONG("\x81\x81\0\0\0\0\xC3", -EILSEQ, 1007),   /* cut */
        WRONG("\x81\x85\0\0\0\0ab\xC0", -EILSEQ, 1007), /* before the rest */
        WRONG("\x01\x81\0\0\0\0\xE2\x80\x81\0\0\0\0\x28", -EILSEQ, 1007),
        WRONG("\x82\xFF\0\0\0\0\0\x10\0\1\0\0\0\0", -EMSGSIZE,
              1009), /* 1 MiB + 1 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_wrong(WEFT_WS_SERVER, &rows[i]);
}

TEST(a_client_refuses_a_frame_with_a_mask)
{
    static const struct wrong row = WRONG("\x81\x80", -EPROTO, 1002);
    check_wrong(WEFT_WS_CLIENT, &row);
}

TEST(a_message_over_the_limit_is_refused_by_its_head)
{
    const weft_ws_opts o = {.max_message = 10};
    open_ws(WEFT_WS_SERVER, &o);
    say_frame(FIN | WF_WS_BINARY, "0123456789", 10);
    check_read(WEFT_WS_BINARY, "0123456789", 10);
    say("\x82\x8B", 2);
    say("\0\0\0\0", 4);
    CHECK_EQ(read_once(), -EMSGSIZE);
    check_hear_close(WEFT_WS_TOO_BIG, "");
    close_ws();
}

TEST(the_limit_is_of_all_fragments_together)
{
    const weft_ws_opts o = {.max_message = 10};
    open_ws(WEFT_WS_SERVER, &o);
    say_frame(WF_WS_BINARY, "012345", 6);
    say_frame(WF_WS_CONTINUATION, "6789", 4);
    say_frame(WF_WS_CONTINUATION, "", 0);
    say_frame(FIN | WF_WS_CONTINUATION, "x", 1);
    CHECK_EQ(read_once(), -EMSGSIZE);
    check_hear_close(WEFT_WS_TOO_BIG, "");
    close_ws();
}

TEST(a_frame_has_a_limit_of_its_own)
{
    const weft_ws_opts o = {.max_message = 10, .max_frame = 5};
    open_ws(WEFT_WS_SERVER, &o);
    say_frame(WF_WS_BINARY, "01234", 5);
    say_frame(FIN | WF_WS_CONTINUATION, "56789", 5);
    check_read(WEFT_WS_BINARY, "0123456789", 10);
    say_frame(FIN | WF_WS_BINARY, "012345", 6);
    CHECK_EQ(read_once(), -EMSGSIZE);
    close_ws();
}

/* ---- memory ------------------------------------------------------------- */

TEST(what_a_head_promises_takes_no_memory_before_it_comes)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    say("\x82\xFF\0\0\0\0\0\x10\0\0\1\2\3\4xyz", 17); /* 1 MiB */
    WEFT_FAIL_AFTER(rc, 1)
        rc = read_once();
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(ws->len, 3);
    CHECK_EQ(ws->room, WEFT_BUFFER_BYTES);
    close_ws();
}

TEST(room_doubles_up_to_the_limit_and_not_beyond)
{
    static char data[40000];
    const weft_ws_opts o = {.max_message = 40001};
    open_ws(WEFT_WS_SERVER, &o);
    say_frame(WF_WS_BINARY, data, 20000);
    say_frame(FIN | WF_WS_CONTINUATION, data, 10000);
    CHECK_EQ(read_once(), 1);
    CHECK_EQ(ws->room, 32768);
    say_frame(FIN | WF_WS_BINARY, data, sizeof data);
    CHECK_EQ(read_once(), 1);
    CHECK_EQ(ws->room, 40001);
    close_ws();
}

TEST(between_messages_a_connection_owns_no_buffer)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    say_frame(FIN | WF_WS_PING, "", 0);
    say_text("hello");
    CHECK_EQ(read_once(), 1);
    WEFT_FAIL_AFTER(rc, 1)
        rc = read_once();
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(ws->room, 0);
    CHECK_EQ(weft_stream_pending(&near_end), 0);
    CHECK_EQ(weft_stream_buffered(&near_end), 0);
    CHECK(near_end.in_ == NULL && near_end.out_ == NULL);
    CHECK(sizeof *ws < 1024);
    close_ws();
}

/* ---- pings -------------------------------------------------------------- */

static char ponged[WEFT_WS_CONTROL_BYTES];
static size_t ponged_len;

static void note_pong(weft_text data, void *user)
{
    CHECK_PTR(user, &ponged_len);
    ponged_len = data.len;
    memcpy(ponged, data.at, data.len);
}

TEST(a_ping_of_ours_is_a_frame_and_its_pong_is_told)
{
    const weft_ws_opts o = {.on_pong = note_pong, .user = &ponged_len};
    open_ws(WEFT_WS_SERVER, &o);
    CHECK_EQ(weft_ws_ping(ws, "abc", 3), 0);
    check_hear(FIN | WF_WS_PING, "abc", 3);
    say_frame(FIN | WF_WS_PONG, "abc", 3);
    say_text("x");
    check_read_text("x");
    CHECK_EQ(ponged_len, 3);
    CHECK(memcmp(ponged, "abc", 3) == 0);
    CHECK_EQ(weft_ws_ping(ws, ponged, 126), -EINVAL);
    close_ws();
}

TEST(pings_that_came_together_are_answered_in_order_and_by_one_write)
{
    open_ws(WEFT_WS_SERVER, NULL);
    char data[125];
    memset(data, 'p', sizeof data);
    for (int i = 0; i < 50; i++)
        say_frame(FIN | WF_WS_PING, data, (size_t)i);
    say_frame(FIN | WF_WS_PING, data, 125);
    say_text("x");
    check_read_text("x");
    for (int i = 0; i < 50; i++)
        check_hear(FIN | WF_WS_PONG, data, (size_t)i);
    check_hear(FIN | WF_WS_PONG, data, 125);
    close_ws();
}

static int read_to_the_end(void *arg)
{
    (void)arg;
    return read_once();
}

TEST(a_silent_peer_is_pinged_and_given_up_if_it_stays_so)
{
    open_ws(WEFT_WS_SERVER, NULL);
    weft_time begun = weft_now();
    CHECK_EQ(read_once(), -ETIMEDOUT);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(40));
    check_hear(FIN | WF_WS_PING, "", 0);
    CHECK_EQ(read_once(), -ETIMEDOUT);
    close_ws();
}

TEST(whatever_comes_after_a_ping_is_a_sign_of_life)
{
    const weft_ws_opts o = {.ping_every = WEFT_SEC(1),
                            .pong_timeout = WEFT_SEC(2)};
    static const char *const signs[] = {"\x8A\x80\0\0\0\0", "\x82", "\x83",
                                        "\0", "\0"}; /* a head, in pieces */
    int rc;
    open_ws(WEFT_WS_SERVER, &o);
    weft_time begun = weft_now();
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_to_the_end, NULL);
        for (int i = 0; i < 5 && rc == 0; i++) {
            check_hear(FIN | WF_WS_PING, "", 0);
            CHECK_EQ(weft_now() - begun, i * WEFT_MSEC(2900) + WEFT_SEC(1));
            rc = weft_sleep(WEFT_MSEC(1900));
            say(signs[i], i == 0 ? 6 : 1);
        }
        say("\0\0xyz", 5);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now() - begun, 5 * WEFT_MSEC(2900));
    close_ws();
}

TEST(without_pings_a_read_waits_for_ever)
{
    const weft_ws_opts o = {.ping_every = -1};
    int rc;
    open_ws(WEFT_WS_SERVER, &o);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(100000))
        rc = read_once();
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_stream_buffered(&far_end), 0);
    say_text("x");
    check_read_text("x");
    close_ws();
}

/* ---- cancellation and ends ---------------------------------------------- */

TEST(a_cancelled_read_loses_nothing_wherever_it_was)
{
    static const char frames[] = "\x01\x83\1\2\3\4``b" /* "abb" less the mask */
                                 "\x89\x82\1\2\3\4\1\2"
                                 "\x80\x81\1\2\3\4y";
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    for (size_t i = 0; i < sizeof frames - 1; i++) {
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(1))
            rc = read_once();
        CHECK_EQ(rc, -ETIMEDOUT);
        say(frames + i, 1);
    }
    check_read_text("abax");
    check_hear(FIN | WF_WS_PONG, "\0\0", 2);
    close_ws();
}

TEST(one_fiber_at_a_time_reads)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_to_the_end, NULL);
        if (rc == 0) rc = weft_sleep(1);
        CHECK_EQ(read_once(), -EBUSY);
        say_text("x");
    }
    CHECK_EQ(rc, 0);
    close_ws();
}

TEST(a_peer_that_ends_without_a_close_frame_is_EPIPE)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_text("last");
    CHECK_EQ(weft_stream_shutdown_write(&far_end), 0);
    check_read_text("last");
    CHECK_EQ(read_once(), -EPIPE);
    CHECK_STR(weft_last_error()->msg,
              "websocket: the peer ended without a close frame");
    CHECK_EQ(read_once(), -EPIPE);
    CHECK_EQ(weft_ws_close_code(ws), WEFT_WS_ABNORMAL);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), 0); /* it may still read */
    check_hear_text("x");
    close_ws();
}

TEST(a_peer_that_is_reset_is_ECONNRESET)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), 0);
    close_far(); /* unread */
    CHECK_EQ(read_once(), -ECONNRESET);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), -EPIPE);
    close_ws();
}

TEST(one_that_is_freed_within_a_message_gives_it_back)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_frame(WF_WS_BINARY, "half", 4);
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1))
        rc = read_once();
    CHECK_EQ(rc, -ETIMEDOUT);
    close_ws(); /* with half a message */
}
