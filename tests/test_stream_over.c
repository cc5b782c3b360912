/* SPDX-License-Identifier: MIT */
/*
 * test_stream_over.c - what a stream promises of its input, over a descriptor
 * and over transports of several kinds.
 */
#include <weft/scope.h>
#include <weft/stream.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "open.h"
#include "transports.h"

static void check_octets(const char *data, ssize_t n, const char *want)
{
    CHECK_EQ(n, strlen(want));
    CHECK_EQ(memcmp(data, want, (size_t)n), 0);
}

/* Waits until all of these are there. */
static void await(const char *want)
{
    const char *data;
    ssize_t n = weft_stream_peek(&s, &data);
    while (n > 0 && (size_t)n < strlen(want))
        n = weft_stream_more(&s, (size_t)n, 1000, &data);
    check_octets(data, n, want);
}

static void check_until(const char *end, size_t max, const char *want)
{
    const char *data = NULL;
    ssize_t n = weft_stream_read_until_text(&s, end, max, &data);
    check_octets(data, n, want);
}

static void check_line(size_t max, const char *want)
{
    const char *line = NULL;
    size_t len = 0;
    CHECK_EQ(weft_stream_read_line(&s, max, &line, &len), 1);
    check_octets(line, (ssize_t)len, want);
}

/* ---- looking ------------------------------------------------------------ */

CONTRACT(a_peek_consumes_nothing_and_says_the_end_again_and_again)
{
    const char *data;
    open_over();
    put("hello");
    for (int i = 0; i < 3; i++)
        await("hello");
    CHECK_EQ(weft_stream_buffered(&s), 5);
    weft_stream_consume(&s, 2);
    await("llo");
    put_end();
    CHECK_EQ(weft_stream_more(&s, 3, 100, &data), 3); /* the end */
    CHECK(!weft_stream_at_end(&s));
    weft_stream_consume(&s, 3);
    CHECK(weft_stream_at_end(&s));
    CHECK_EQ(weft_stream_peek(&s, &data), 0);
    CHECK_EQ(weft_stream_peek(&s, &data), 0);
    CHECK_EQ(weft_stream_buffered(&s), 0);
    close_over();
}

CONTRACT(at_end_is_not_known_before_it_was_read)
{
    const char *data;
    open_over();
    put_end();
    CHECK(!weft_stream_at_end(&s));
    CHECK_EQ(weft_stream_peek(&s, &data), 0);
    CHECK(weft_stream_at_end(&s));
    close_over();
}

/* ---- every split -------------------------------------------------------- */

static const char text[] = "one\r\n\r\nt\rh\nree is\r\r\nlonger\n\nno end\r";

static int put_in_two(void *arg)
{
    size_t at = *(size_t *)arg, all = sizeof text - 1;
    CHECK_EQ(weft_transport_write_all(peer, text, at, NULL), 0);
    settle();
    CHECK_EQ(weft_transport_write_all(peer, text + at, all - at, NULL), 0);
    settle();
    put_end();
    return 0;
}

static void in_each_split(void (*reads)(void))
{
    int rc;
    for (size_t at = 0; at < sizeof text; at++) {
        open_over();
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, put_in_two, &at), 0);
            reads();
        }
        CHECK_EQ(rc, 0);
        close_over();
    }
}

static void by_texts(void)
{
    const char *data;
    check_until("\r\n", 99, "one\r\n");
    check_until("\r\n", 99, "\r\n");
    check_until("\r\n", 99, "t\rh\nree is\r\r\n");
    check_until("er\n\n", 99, "longer\n\n");
    check_until("\r\n", 99, "no end\r");
    CHECK_EQ(weft_stream_read_until_text(&s, "\r\n", 99, &data), 0);
}

CONTRACT(texts_end_where_they_end_wherever_the_input_is_cut)
{
    in_each_split(by_texts);
}

static void by_lines(void)
{
    const char *line;
    size_t len;
    static const char *const lines[] = {"one",    "", "t\rh",    "ree is\r",
                                        "longer", "", "no end\r"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        check_line(99, lines[i]);
    CHECK_EQ(weft_stream_read_line(&s, 99, &line, &len), 0);
    CHECK_EQ(weft_stream_read_line(&s, 99, &line, &len), 0);
}

CONTRACT(lines_come_without_their_ends_wherever_the_input_is_cut)
{
    in_each_split(by_lines);
}

static void by_counts(void)
{
    char buf[40];
    uint64_t done = 99;
    CHECK_EQ(weft_stream_read_exact(&s, buf, 4), 0);
    CHECK_EQ(memcmp(buf, text, 4), 0);
    CHECK_EQ(weft_stream_skip(&s, 10, &done), 0);
    CHECK_EQ(done, 10);
    CHECK_EQ(weft_stream_skip(&s, 0, &done), 0);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_stream_read_exact(&s, buf, 10), 0);
    CHECK_EQ(memcmp(buf, text + 14, 10), 0);
    CHECK_EQ(weft_stream_read_exact(&s, buf, 40), -EPIPE);
    size_t left = sizeof text - 1 - 24;
    CHECK_EQ(weft_stream_skip(&s, left + 1, &done), -EPIPE);
    CHECK_EQ(done, left);
    CHECK_EQ(weft_stream_skip(&s, 1, NULL), -EPIPE);
}

CONTRACT(counted_octets_are_those_counted_wherever_the_input_is_cut)
{
    in_each_split(by_counts);
}

/* ---- limits ------------------------------------------------------------- */

CONTRACT(a_line_may_have_max_octets_without_its_end)
{
    const char *line;
    size_t len;
    open_over();
    put("12345\n12345\r\n123456\n\n123456");
    check_line(5, "12345");
    check_line(5, "12345");
    CHECK_EQ(weft_stream_read_line(&s, 5, &line, &len), -EMSGSIZE);
    CHECK_EQ(weft_stream_read_line(&s, 0, &line, &len), -EMSGSIZE);
    check_line(6, "123456"); /* still unread */
    check_line(0, "");
    put_end();
    CHECK_EQ(weft_stream_read_line(&s, 5, &line, &len), -EMSGSIZE);
    check_line(SIZE_MAX, "123456");
    close_over();
}

CONTRACT(a_line_that_never_ends_is_refused_at_the_limit)
{
    const char *line;
    size_t len;
    open_over();
    put("1234567"); /* and no more: it does not wait for any */
    CHECK_EQ(weft_stream_read_line(&s, 5, &line, &len), -EMSGSIZE);
    CHECK_EQ(weft_stream_read_until_text(&s, "\r\n", 7, &line), -EMSGSIZE);
    await("1234567");
    close_over();
}

CONTRACT(a_text_may_have_max_octets_with_its_end)
{
    const char *data;
    open_over();
    put("12345--123456--");
    check_until("--", 7, "12345--");
    CHECK_EQ(weft_stream_read_until_text(&s, "--", 7, &data), -EMSGSIZE);
    check_until("--", 8, "123456--");
    CHECK_EQ(weft_stream_read_until_text(&s, "", 7, &data), -EINVAL);
    close_over();
}

/* ---- cancelled ---------------------------------------------------------- */

struct job {
    ssize_t (*call)(struct job *j);
    ssize_t result;
    uint64_t done;
    bool returned;
};

static int runs(void *arg)
{
    struct job *j = arg;
    j->result = j->call(j);
    j->returned = true;
    return 0;
}

static ssize_t peeks(struct job *j)
{
    const char *data;
    (void)j;
    return weft_stream_peek(&s, &data);
}

static ssize_t wants_nine(struct job *j)
{
    const char *data;
    ssize_t n = weft_stream_peek(&s, &data);
    (void)j;
    while (n >= 0 && n < 9)
        n = weft_stream_more(&s, (size_t)n, 100, &data);
    return n;
}

static ssize_t reads_exactly(struct job *j)
{
    char buf[9];
    (void)j;
    return weft_stream_read_exact(&s, buf, sizeof buf);
}

static ssize_t reads_a_line(struct job *j)
{
    const char *line;
    size_t len;
    (void)j;
    return weft_stream_read_line(&s, 99, &line, &len);
}

static ssize_t reads_a_text(struct job *j)
{
    const char *data;
    (void)j;
    return weft_stream_read_until_text(&s, "abcdefgh!", 99, &data);
}

CONTRACT(a_cancelled_read_has_consumed_nothing_wherever_it_waited)
{
    ssize_t (*calls[])(struct job *) = {wants_nine, reads_exactly, reads_a_line,
                                        reads_a_text};
    int rc;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        open_over();
        struct job j = {.call = calls[i]};
        put("ab");
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, runs, &j), 0);
            settle();
            put("cd");
            settle();
            put("ef");
            weft_nursery_cancel(&n, 0, NULL);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(j.result, -ECANCELED);
        put("gh\n");
        check_line(99, "abcdefgh");
        close_over();
    }
}

static ssize_t skips(struct job *j)
{
    return weft_stream_skip(&s, 100, &j->done);
}

CONTRACT(a_cancelled_skip_says_how_far_it_came)
{
    int rc;
    open_over();
    struct job j = {.call = skips};
    put("1234");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, runs, &j), 0);
        settle();
        CHECK(!j.returned);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(j.result, -ECANCELED);
    CHECK_EQ(j.done, 4);
    put("567\n");
    check_line(9, "567");
    close_over();
}

CONTRACT(inside_a_cancelled_scope_all_calls_fail_and_touch_nothing)
{
    const char *data;
    size_t len;
    uint64_t done = 7;
    weft_scope scope;
    struct iovec part = {(void *)(uintptr_t) "x", 1};
    open_over();
    put("abc\n");
    await("abc\n");
    open_cancelled_scope(&scope);
    CHECK_EQ(weft_stream_peek(&s, &data), -ECANCELED);
    CHECK_EQ(weft_stream_read_line(&s, 9, &data, &len), -ECANCELED);
    CHECK_EQ(weft_stream_read_until_text(&s, "c", 9, &data), -ECANCELED);
    CHECK_EQ(weft_stream_skip(&s, 1, &done), -ECANCELED);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_stream_skip(&s, 0, NULL), -ECANCELED);
    CHECK_EQ(weft_stream_copy(&s, &s, 0, NULL), -ECANCELED);
    CHECK_EQ(weft_stream_copy(&s, &s, 1, &done), -ECANCELED);
    CHECK_EQ(weft_stream_write(&s, "x", 1), -ECANCELED);
    CHECK_EQ(weft_stream_writev(&s, &part, 1), -ECANCELED);
    CHECK_EQ(weft_stream_printf(&s, "%s", "x"), -ECANCELED);
    CHECK_EQ(weft_stream_flush(&s), -ECANCELED);
    CHECK_EQ(weft_stream_shutdown_write(&s), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    CHECK_EQ(weft_stream_pending(&s), 0);
    check_line(9, "abc");
    CHECK_EQ(weft_stream_write(&s, "x", 1), 0);
    close_over();
}

/* ---- others ------------------------------------------------------------- */

CONTRACT(a_second_reader_is_busy_and_takes_nothing)
{
    int rc;
    open_over();
    struct job first = {.call = reads_a_line}, second = {.call = peeks};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, runs, &first), 0);
        settle();
        CHECK_EQ(weft_spawn(&n, runs, &second), 0);
        settle();
        CHECK(second.returned);
        put("line\n");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(first.result, 1);
    CHECK_EQ(second.result, -EBUSY);
    close_over();
}

CONTRACT(what_is_closed_under_a_reader_stays_closed)
{
    const char *data;
    int rc;
    open_over();
    struct job j = {.call = peeks};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, runs, &j), 0);
        settle();
        close_below();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(j.result, -EBADF);
    CHECK_EQ(weft_stream_peek(&s, &data), -EBADF);
    CHECK_EQ(weft_stream_write(&s, "x", 1), 0);
    CHECK_EQ(weft_stream_flush(&s), -EBADF);
    CHECK_EQ(weft_stream_close(&s), -EBADF);
    close_peer();
}

/* It has been woken, and does not run yet. */
CONTRACT(what_is_closed_under_a_reader_that_was_just_woken_is_not_touched)
{
    const char *data;
    int rc;
    open_over();
    struct job j = {.call = peeks};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, runs, &j), 0);
        settle();
        (void)peer->ops->try_write(peer, "hello", 5);
        close_below();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(j.result, -EBADF);
    CHECK_EQ(weft_stream_peek(&s, &data), -EBADF);
    weft_stream_fini(&s);
    close_peer();
}

CONTRACT(a_peer_that_went_without_reading_resets)
{
    const char *data;
    open_over();
    CHECK_EQ(weft_stream_write(&s, "unread", 6), 0);
    CHECK_EQ(weft_stream_flush(&s), 0);
    put("last words");
    close_peer();
    await("last words");
    ssize_t n = weft_stream_more(&s, 10, 100, &data);
    CHECK(n == -ECONNRESET || (n == 10 && !is_over_memory()));
    CHECK_EQ(weft_stream_write(&s, "x", 1), 0);
    int err = weft_stream_flush(&s);
    CHECK(err == -EPIPE || err == -ECONNRESET);
    CHECK_EQ(weft_stream_write(&s, "x", 1), err); /* for good */
    CHECK_EQ(weft_stream_close(&s), err);
}
