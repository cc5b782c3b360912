/* SPDX-License-Identifier: MIT */
/* test_ws_close.c - the closing handshake, and all the ways round it. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>

#include "ws_pair.h"

static void check_reason(const char *want)
{
    weft_text reason = weft_ws_close_reason(ws);
    CHECK_EQ(reason.len, strlen(want));
    CHECK(memcmp(reason.at, want, reason.len) == 0);
}

/* ---- the peer is first -------------------------------------------------- */

TEST(a_close_frame_is_answered_with_its_code_and_ends_reading)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_text("last");
    say_close(4321, "gr\xC3\xBC\xC3\x9F");
    check_read_text("last");
    CHECK_EQ(weft_ws_close_code(ws), WEFT_WS_ABNORMAL); /* not yet */
    CHECK_EQ(read_once(), 0);
    CHECK_EQ(read_once(), 0);
    CHECK_EQ(weft_ws_close_code(ws), 4321);
    check_reason("gr\xC3\xBC\xC3\x9F");
    check_hear_close(4321, "");
    check_hear_end(); /* the server is the first to end */
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), -EPIPE);
    CHECK_EQ(weft_ws_close(ws, 0, NULL), 0);
    close_ws();
}

TEST(a_close_frame_without_a_code_is_answered_by_one)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_frame(FIN | WF_WS_CLOSE, "", 0);
    CHECK_EQ(read_once(), 0);
    CHECK_EQ(weft_ws_close_code(ws), WEFT_WS_NO_CODE);
    check_reason("");
    check_hear_close(0, "");
    close_ws();
}

TEST(what_comes_behind_a_close_frame_is_not_looked_at)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_close(1000, "");
    say("\xFF\xFF nonsense", 11);
    CHECK_EQ(read_once(), 0);
    CHECK_EQ(read_once(), 0);
    check_hear_close(1000, "");
    CHECK_EQ(weft_ws_close(ws, 0, NULL), 0);
    close_ws();
}

TEST(a_close_frame_may_come_within_a_message)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say_frame(WF_WS_TEXT, "half", 4);
    say_close(1001, "");
    CHECK_EQ(read_once(), 0);
    CHECK_EQ(weft_ws_close_code(ws), 1001);
    check_hear_close(1001, "");
    close_ws();
}

TEST(a_client_that_was_closed_waits_for_the_server_to_end_first)
{
    open_ws(WEFT_WS_CLIENT, NULL);
    say_close(1000, "");
    CHECK_EQ(read_once(), 0);
    check_hear_close(1000, "");
    weft_time begun = weft_now();
    CHECK_EQ(weft_ws_close(ws, 0, NULL), 0); /* though it does not */
    CHECK_EQ(weft_now() - begun, WEFT_SEC(5));
    check_hear_end();
    close_ws();
}

static int close_later(void *arg)
{
    int err = weft_sleep(WEFT_SEC(1));
    (void)arg;
    return err < 0 ? err : weft_stream_shutdown_write(&far_end);
}

TEST(a_client_ends_as_soon_as_the_server_has)
{
    int rc;
    open_ws(WEFT_WS_CLIENT, NULL);
    say_close(1000, "");
    CHECK_EQ(read_once(), 0);
    weft_time begun = weft_now();
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, close_later, NULL);
        if (rc == 0) rc = weft_ws_close(ws, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(1));
    close_ws();
}

/* ---- we are first ------------------------------------------------------- */

static int answer_close(void *arg)
{
    (void)arg;
    check_hear_close(4000, "enough");
    say_text("too late");
    say_frame(WF_WS_BINARY, "too", 3);
    say_frame(FIN | WF_WS_PING, "", 0);
    say_frame(FIN | WF_WS_CONTINUATION, "late", 4);
    say_close(4000, "");
    if (role_of_ws == WEFT_WS_SERVER) check_hear_end();
    return weft_stream_shutdown_write(&far_end);
}

static void check_closes(weft_ws_role role)
{
    int rc;
    open_ws(role, NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, answer_close, NULL);
        if (rc == 0) rc = weft_ws_close(ws, 4000, "enough");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_ws_close_code(ws), 4000);
    CHECK_EQ(weft_ws_close(ws, 1000, NULL), 0); /* again */
    CHECK_EQ(read_once(), 0);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), -EPIPE);
    CHECK_EQ(weft_ws_send_begin(ws, WEFT_WS_TEXT), -EPIPE);
    close_ws();
}

TEST(close_passes_over_messages_and_waits_for_the_answer)
{
    check_closes(WEFT_WS_SERVER);
    check_closes(WEFT_WS_CLIENT);
}

TEST(a_peer_that_does_not_answer_has_close_timeout)
{
    const weft_ws_opts o = {.close_timeout = WEFT_SEC(2)};
    open_ws(WEFT_WS_SERVER, &o);
    weft_time begun = weft_now();
    CHECK_EQ(weft_ws_close(ws, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(2));
    check_hear_close(1000, "");
    CHECK_EQ(weft_ws_close(ws, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(read_once(), -EPIPE);
    close_ws();
}

TEST(a_peer_that_does_not_read_has_close_timeout)
{
    char fill[4092];
    memset(fill, 'f', sizeof fill);
    open_ws_of(WEFT_WS_SERVER, NULL, 4096);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_BINARY, fill, sizeof fill), 0);
    weft_time begun = weft_now();
    CHECK_EQ(weft_ws_close(ws, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(5));
    close_ws();
}

TEST(a_peer_that_has_gone_is_told_apart)
{
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_stream_shutdown_write(&far_end), 0);
    CHECK_EQ(weft_ws_close(ws, 0, NULL), -EPIPE);
    check_hear_close(1000, "");
    close_ws();
    open_ws(WEFT_WS_SERVER, NULL);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), 0);
    close_far();
    CHECK_EQ(weft_ws_close(ws, 0, NULL), -EPIPE);
    close_ws();
}

TEST(a_code_or_reason_that_may_not_be_sent_is_refused)
{
    static const int codes[] = {-1,   1,    999,  1004, 1005,        1006,
                                1015, 1016, 2999, 5000, 65536 + 1000};
    char reason[WEFT_WS_REASON_BYTES + 2];
    memset(reason, 'r', sizeof reason);
    reason[WEFT_WS_REASON_BYTES + 1] = 0;
    open_ws(WEFT_WS_SERVER, NULL);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        CHECK_EQ(weft_ws_close(ws, codes[i], NULL), -EINVAL);
    CHECK_EQ(weft_ws_close(ws, 1000, reason), -EINVAL);
    CHECK_EQ(weft_ws_close(ws, 1000, "\xFF"), -EINVAL);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "still open", 10), 0);
    check_hear_text("still open");
    reason[WEFT_WS_REASON_BYTES] = 0;
    CHECK_EQ(weft_ws_close(ws, 1000, reason), -ETIMEDOUT);
    check_hear_close(1000, reason);
    close_ws();
}

/* ---- others are in calls ------------------------------------------------ */

static int results[2];

static int keep_reading(void *arg)
{
    int rc = 1;
    (void)arg;
    while (rc > 0)
        rc = read_once();
    results[0] = rc;
    return 0;
}

static int keep_sending(void *arg)
{
    char data[1000] = {0};
    int rc = 0;
    (void)arg;
    while (rc == 0)
        rc = weft_ws_send(ws, WEFT_WS_BINARY, data, sizeof data);
    results[1] = rc;
    return 0;
}

TEST(a_reader_hears_that_the_close_of_another_was_answered)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, keep_reading, NULL);
        if (rc == 0) rc = weft_sleep(1);
        if (rc == 0) rc = weft_spawn(&n, answer_close, NULL);
        if (rc == 0) rc = weft_ws_close(ws, 4000, "enough");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(results[0], 0);
    close_ws();
}

TEST(when_close_gives_up_so_do_who_read_and_who_send)
{
    int rc;
    open_ws_of(WEFT_WS_SERVER, NULL, 4096);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, keep_reading, NULL);
        if (rc == 0) rc = weft_spawn(&n, keep_sending, NULL);
        if (rc == 0) rc = weft_sleep(1);
        CHECK_EQ(weft_ws_close(ws, 0, NULL), -ETIMEDOUT);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(results[0], -EPIPE);
    CHECK_EQ(results[1], -EPIPE);
    close_ws();
}

static int hold_message(void *arg)
{
    weft_ws_message m;
    (void)arg;
    CHECK_EQ(weft_ws_read(ws, &m), 1);
    int err = weft_sleep(WEFT_SEC(1));
    CHECK_EQ(m.data.len, 4); /* what close reads does not touch it */
    CHECK(memcmp(m.data.at, "mine", 4) == 0);
    CHECK_EQ(weft_ws_read(ws, &m), 0);
    return err;
}

TEST(a_message_stays_good_while_another_fiber_closes)
{
    const weft_ws_opts o = {.max_message = 4}; /* what comes later is longer */
    int rc;
    open_ws(WEFT_WS_SERVER, &o);
    say_text("mine");
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, hold_message, NULL);
        if (rc == 0) rc = weft_sleep(1);
        if (rc == 0) rc = weft_spawn(&n, answer_close, NULL);
        if (rc == 0) rc = weft_ws_close(ws, 4000, "enough");
    }
    CHECK_EQ(rc, 0);
    close_ws();
}

static int close_it(void *arg)
{
    *(int *)arg = weft_ws_close(ws, 4000, "enough");
    return 0;
}

TEST(behind_a_close_frame_of_ours_the_peer_is_not_pinged)
{
    const weft_ws_opts o = {.ping_every = WEFT_SEC(1),
                            .pong_timeout = WEFT_SEC(1),
                            .close_timeout = WEFT_SEC(60)};
    int rc, closed = 1;
    open_ws(WEFT_WS_SERVER, &o);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, keep_reading, NULL);
        if (rc == 0) rc = weft_spawn(&n, close_it, &closed);
        if (rc == 0) rc = weft_sleep(WEFT_SEC(50));
        if (rc == 0) rc = answer_close(NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(closed, 0);
    CHECK_EQ(results[0], 0);
    close_ws();
}

TEST(two_may_close_at_a_time)
{
    int rc, one = 1, two = 1;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, answer_close, NULL);
        if (rc == 0) rc = weft_spawn(&n, close_it, &one);
        if (rc == 0) rc = weft_spawn(&n, close_it, &two);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(one, 0);
    CHECK_EQ(two, 0);
    close_ws();
}

TEST(a_cancelled_close_can_be_taken_up_again)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1))
        rc = weft_ws_close(ws, 4000, "enough");
    CHECK_EQ(rc, -ETIMEDOUT);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, answer_close, NULL);
        if (rc == 0) rc = weft_ws_close(ws, 4001, NULL);
    }
    CHECK_EQ(rc, 0);
    close_ws();
}

/* ---- after a failure ---------------------------------------------------- */

static int go_on_sending(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        say_frame(FIN | WF_WS_BINARY, "more", 4);
    check_hear_close(WEFT_WS_PROTOCOL_ERROR, "");
    check_hear_end();
    return weft_stream_shutdown_write(&far_end);
}

TEST(a_peer_that_still_sends_gets_to_read_why_it_is_cut_off)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    say("\xFF", 1);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, go_on_sending, NULL);
        CHECK_EQ(read_once(), -EPROTO);
        CHECK_EQ(weft_ws_close(ws, 4000, NULL), -EPROTO);
        CHECK_EQ(weft_stream_buffered(&near_end), 0);
        CHECK(weft_stream_at_end(&near_end));
    }
    CHECK_EQ(rc, 0);
    close_ws();
}

TEST(a_refusal_that_could_not_be_said_in_time_is_given_up)
{
    char fill[4092];
    memset(fill, 'f', sizeof fill);
    open_ws_of(WEFT_WS_SERVER, NULL, 4096);
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_BINARY, fill, sizeof fill), 0);
    say("\xFF", 1);
    weft_time begun = weft_now();
    CHECK_EQ(read_once(), -EPROTO);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(5));
    CHECK_EQ(weft_ws_close(ws, 0, NULL), -EPROTO);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(10));
    close_ws();
}

/* ---- weft_ws_end -------------------------------------------------------- */

static int end_ws(int rc)
{
    rc = weft_ws_end(ws, rc);
    ws = NULL;
    return rc;
}

TEST(end_closes_with_1000_and_after_a_failure_of_the_handlers_with_1011)
{
    static const struct {
        int rc, code, result;
    } rows[] = {{0, 1000, 0}, {1, 1000, 0}, {-EIO, 1011, -EIO}};
    for (size_t i = 0; i < 3; i++) {
        open_ws(WEFT_WS_SERVER, NULL);
        say_close(rows[i].code, "");
        CHECK_EQ(end_ws(rows[i].rc), rows[i].result);
        check_hear_close(rows[i].code, "");
        close_ws();
    }
}

TEST(end_of_a_connection_that_failed_returns_what_that_was)
{
    open_ws(WEFT_WS_SERVER, NULL);
    say("\xFF", 1);
    int rc = read_once();
    close_far();
    CHECK_EQ(end_ws(rc), -EPROTO);
    close_ws();
    CHECK_EQ(weft_ws_end(NULL, 1), 0);
    CHECK_EQ(weft_ws_end(NULL, -EIO), -EIO);
}

TEST(end_of_who_is_cancelled_says_1001_and_does_not_wait)
{
    int rc;
    open_ws(WEFT_WS_SERVER, NULL);
    weft_time begun = weft_now();
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = read_once();
        CHECK_EQ(rc, -ECANCELED);
        rc = end_ws(rc);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(1));
    check_hear_close(WEFT_WS_GOING_AWAY, "");
    check_hear_end();
    close_ws();
}
