/* SPDX-License-Identifier: MIT */
/* test_stream_out.c - gathered writing: when it goes out, and how it breaks. */
#include <weft/scope.h>
#include <weft/stream.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "sockets.h"
#include "streams.h"
#include "system.h"

static void say(const char *text)
{
    CHECK_EQ(weft_stream_write(&s, text, strlen(text)), 0);
}

/* What the peer has by now, without waiting for more. */
static const char *heard(void)
{
    static char buf[100];
    ssize_t n = weft_try_read(p[1], buf, sizeof buf - 1);
    if (n == -EAGAIN) n = 0;
    CHECK(n >= 0);
    buf[n] = '\0';
    return buf;
}

TEST(small_writes_are_gathered_until_a_flush)
{
    open_stream();
    say("one ");
    say("two ");
    say("three");
    settle();
    CHECK_STR(heard(), "");
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK_STR(heard(), "one two three");
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK_STR(heard(), "");
    close_stream();
}

/* On a sequenced-packet socket each send is a message of its own, so that the
 * peer can count them. */
TEST(a_batch_of_answers_goes_out_with_one_send)
{
    char buf[4096];
    if (!system_has_seqpacket()) SKIP("no local socket has packets here");
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_SEQPACKET, p), 0);
    weft_stream_init(&s, p[0]);
    for (int i = 0; i < 100; i++) say("answer\r\n");
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK_EQ(weft_read(p[1], buf, sizeof buf), 800);
    CHECK_EQ(weft_try_read(p[1], buf, sizeof buf), -EAGAIN);
    close_stream();
}

TEST(what_is_gathered_and_what_passes_the_mark_go_out_with_one_send)
{
    char buf[4096];
    struct iovec parts[] = {{(void *)(uintptr_t) "two ", 4},
                            {(void *)(uintptr_t) "parts of eighteen", 17}};
    if (!system_has_seqpacket()) SKIP("no local socket has packets here");
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_SEQPACKET, p), 0);
    weft_stream_init(&s, p[0]);
    weft_stream_set_high_water(&s, 20);
    say("head ");
    say("and a body of 25 octets..");
    CHECK_EQ(weft_read(p[1], buf, sizeof buf), 30);
    CHECK_EQ(memcmp(buf, "head and a body", 15), 0);
    say("head ");
    CHECK_EQ(weft_stream_writev(&s, parts, 2), 0);
    CHECK_EQ(weft_read(p[1], buf, sizeof buf), 26);
    CHECK_EQ(memcmp(buf, "head two parts of eighteen", 26), 0);
    CHECK_EQ(weft_try_read(p[1], buf, sizeof buf), -EAGAIN);
    close_stream();
}

static int wait_for_input(void *arg)
{
    const char *data;
    ssize_t n = weft_stream_peek(arg, &data);
    if (n > 0) weft_stream_consume(arg, (size_t)n);
    return n < 0 ? (int)n : 0;
}

TEST(what_is_gathered_goes_out_before_a_wait_for_input)
{
    int rc;
    open_stream();
    say("question");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wait_for_input, &s), 0);
        settle();
        CHECK_STR(heard(), "question");
        CHECK_EQ(weft_write(p[1], "x", 1), 1);
    }
    CHECK_EQ(rc, 0);
    close_stream();
}

TEST(a_read_that_finds_input_does_not_wait_and_sends_nothing)
{
    const char *data;
    open_stream();
    for (int i = 0; i < 3; i++) {
        say("more ");
        CHECK_EQ(weft_write(p[1], "input", 5), 5);
        CHECK_EQ(weft_stream_peek(&s, &data), 5);
        weft_stream_consume(&s, 5);
        CHECK_STR(heard(), "");
    }
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK_STR(heard(), "more more more ");
    close_stream();
}

TEST(pipelined_requests_are_answered_with_one_send)
{
    char buf[100];
    const char *line;
    int rc;
    if (!system_has_seqpacket()) SKIP("no local socket has packets here");
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_SEQPACKET, p), 0);
    weft_stream_init(&s, p[0]);
    CHECK_EQ(weft_write(p[1], "a\nb\nc\n", 6), 6);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_stream_read_until(&s, '\n', 10, &line), 2);
        CHECK_EQ(weft_stream_write(&s, line, 2), 0);
        CHECK_STR(heard(), "");
    }
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wait_for_input, &s), 0);
        CHECK_EQ(weft_read(p[1], buf, sizeof buf), 6);
        CHECK_EQ(memcmp(buf, "a\nb\nc\n", 6), 0);
        CHECK_EQ(weft_write(p[1], "x", 1), 1);
    }
    CHECK_EQ(rc, 0);
    close_stream();
}

TEST(what_passes_16_kib_goes_out_by_itself)
{
    static char block[1000];
    size_t sent = 0;
    open_stream();
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(weft_stream_write(&s, block, sizeof block), 0);
        sent += sizeof block;
        char sink[4096];
        ssize_t n;
        while ((n = weft_try_read(p[1], sink, sizeof sink)) > 0)
            sent -= (size_t)n;
        CHECK(sent <= 16384);
    }
    close_stream();
}

TEST(close_sends_what_is_gathered)
{
    char buf[16];
    open_stream();
    say("goodbye");
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_read(p[1], buf, sizeof buf), 7);
    CHECK_EQ(weft_read(p[1], buf, sizeof buf), 0);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK_EQ(weft_close(p[0]), -EBADF);
}

TEST(fini_drops_what_is_gathered_and_leaves_the_descriptor_open)
{
    const char *data;
    open_stream();
    CHECK_EQ(weft_write(p[1], "unread", 6), 6);
    CHECK_EQ(weft_stream_peek(&s, &data), 6);
    say("never sent");
    weft_stream_fini(&s);
    CHECK_STR(heard(), "");
    close_pair(p);
}

/* ---- a full peer -------------------------------------------------------- */

struct writer {
    size_t len;
    int result, again, flush;
    bool returned;
};

static int write_and_note(void *arg)
{
    struct writer *w = arg;
    char *block = calloc(1, w->len);
    CHECK(block != NULL);
    w->result = weft_stream_write(&s, block, w->len);
    if (w->result == 0) w->result = weft_stream_flush(&s);
    free(block);
    w->returned = true;
    return 0;
}

TEST(an_error_of_the_output_is_for_good)
{
    open_stream();
    CHECK_EQ(weft_close(p[1]), 0);
    say("into the void");
    CHECK_EQ(weft_stream_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_write(&s, "x", 1), -EPIPE);
    CHECK_EQ(weft_stream_close(&s), -EPIPE);
    CHECK_EQ(weft_close(p[0]), -EBADF); /* closed all the same */
}

TEST(a_write_cancelled_half_way_breaks_the_sending_side)
{
    int rc;
    open_stream();
    struct writer w = {.len = 1 << 20};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_and_note, &w), 0);
        settle();
        CHECK(!w.returned);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, -ECANCELED);
    CHECK(weft_stream_write(&s, "x", 1) < 0);
    CHECK(weft_stream_flush(&s) < 0);
    CHECK(weft_stream_close(&s) < 0);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(after_a_large_write_that_timed_out_half_way_later_ones_say_epipe)
{
    static const char block[1 << 20];
    int rc;
    open_stream();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(10))
        rc = weft_stream_write(&s, block, sizeof block);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(!weft_cancelled());
    CHECK_EQ(weft_stream_write(&s, "x", 1), -EPIPE);
    CHECK_EQ(weft_stream_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_write(&s, block, sizeof block), -EPIPE);
    CHECK_EQ(weft_stream_close(&s), -EPIPE);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(a_descriptor_closed_under_a_stream_ends_both_sides)
{
    const char *data;
    int rc;
    open_stream();
    struct writer w = {.len = 1 << 20};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_and_note, &w), 0);
        settle();
        CHECK_EQ(weft_close(p[0]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, -EBADF);
    CHECK_EQ(weft_stream_peek(&s, &data), -EBADF);
    CHECK(weft_stream_close(&s) < 0);
    CHECK_EQ(weft_close(p[1]), 0);
}

/* ---- both ways at once -------------------------------------------------- */

static char octet(size_t at)
{
    return (char)(at * 13 + at / 509);
}

static size_t megabyte(void)
{
    return test_is_slow() ? 1 << 17 : 1 << 20;
}

static int echo(void *arg)
{
    weft_stream *far_end = arg;
    const char *data;
    ssize_t n;
    while ((n = weft_stream_peek(far_end, &data)) > 0) {
        CHECK_EQ(weft_stream_write(far_end, data, (size_t)n), 0);
        weft_stream_consume(far_end, (size_t)n);
    }
    return (int)n;
}

static int write_all(void *arg)
{
    weft_stream *near_end = arg;
    char block[3001];
    for (size_t at = 0; at < megabyte();) {
        size_t len = sizeof block;
        if (len > megabyte() - at) len = megabyte() - at;
        for (size_t i = 0; i < len; i++) block[i] = octet(at + i);
        CHECK_EQ(weft_stream_write(near_end, block, len), 0);
        at += len;
    }
    CHECK_EQ(weft_stream_flush(near_end), 0);
    return 0;
}

TEST(a_mebibyte_is_echoed_both_ways_at_once)
{
    weft_stream far_end;
    char buf[4096];
    int rc;
    open_stream();
    weft_stream_init(&far_end, p[1]);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, echo, &far_end), 0);
        CHECK_EQ(weft_spawn(&n, write_all, &s), 0);
        for (size_t at = 0; at < megabyte();) {
            ssize_t got = weft_stream_read(&s, buf, sizeof buf);
            CHECK(got > 0);
            for (ssize_t i = 0; i < got; i++)
                CHECK_EQ(buf[i], octet(at + (size_t)i));
            at += (size_t)got;
        }
        CHECK_EQ(weft_shutdown_write(p[0]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_stream_close(&far_end), 0);
    CHECK_EQ(weft_stream_close(&s), 0);
}
