/* SPDX-License-Identifier: MIT */
/* test_stream.c - reading by looking: every split, every limit, every cancel. */
#include <weft/stream.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "streams.h"

static void put(const char *text)
{
    CHECK_EQ(weft_write_all(p[1], text, strlen(text), NULL), 0);
}

static void check_octets(const char *data, ssize_t n, const char *want)
{
    CHECK_EQ(n, strlen(want));
    CHECK_EQ(memcmp(data, want, (size_t)n), 0);
}

static void check_peek(const char *want)
{
    const char *data = NULL;
    ssize_t n = weft_stream_peek(&s, &data);
    check_octets(data, n, want);
}

static void check_line(size_t max, const char *want)
{
    const char *data = NULL;
    ssize_t n = weft_stream_read_until(&s, '\n', max, &data);
    check_octets(data, n, want);
}

/* ---- looking ------------------------------------------------------------ */

TEST(a_peek_shows_what_is_there_and_consumes_nothing)
{
    const char *data;
    open_stream();
    put("hello");
    for (int i = 0; i < 3; i++)
        check_peek("hello");
    weft_stream_consume(&s, 2);
    check_peek("llo");
    weft_stream_consume(&s, 3);
    put("again");
    check_peek("again");
    weft_stream_consume(&s, 5);
    CHECK_EQ(weft_shutdown_write(p[1]), 0);
    CHECK_EQ(weft_stream_peek(&s, &data), 0);
    CHECK_EQ(weft_stream_peek(&s, &data), 0);
    close_stream();
}

struct job {
    weft_stream *stream;
    ssize_t result;
    size_t have, max, len;
    char copy[64];
    bool returned;
};

static int peek(void *arg)
{
    struct job *j = arg;
    const char *data = "";
    j->result = weft_stream_peek(j->stream, &data);
    if (j->result > 0) memcpy(j->copy, data, (size_t)j->result);
    j->returned = true;
    return 0;
}

static int more(void *arg)
{
    struct job *j = arg;
    const char *data = "";
    j->result = weft_stream_more(j->stream, j->have, j->max, &data);
    if (j->result > 0 && j->result < 64)
        memcpy(j->copy, data, (size_t)j->result);
    j->returned = true;
    return 0;
}

static int read_exactly(void *arg)
{
    struct job *j = arg;
    j->result = weft_stream_read_exact(j->stream, j->copy, j->len);
    j->returned = true;
    return 0;
}

static int read_line(void *arg)
{
    struct job *j = arg;
    const char *data = "";
    j->result = weft_stream_read_until(j->stream, '\n', 64, &data);
    if (j->result > 0) memcpy(j->copy, data, (size_t)j->result);
    j->returned = true;
    return 0;
}

TEST(more_waits_until_there_are_more_octets_than_before)
{
    const char *data;
    int rc;
    open_stream();
    put("abc");
    CHECK_EQ(weft_stream_peek(&s, &data), 3);
    struct job j = {.stream = &s, .have = 3, .max = 100};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, more, &j), 0);
        settle();
        CHECK(!j.returned);
        put("de");
    }
    CHECK_EQ(rc, 0);
    check_octets(j.copy, j.result, "abcde");
    CHECK_EQ(weft_stream_more(&s, 2, 100, &data), 5);
    CHECK_EQ(weft_stream_more(&s, 5, 5, &data), -ENOBUFS);
    check_peek("abcde");
    CHECK_EQ(weft_shutdown_write(p[1]), 0);
    CHECK_EQ(weft_stream_more(&s, 5, 100, &data), 5); /* the end */
    check_peek("abcde");
    close_stream();
}

TEST(a_buffer_grows_to_its_limit_and_says_enobufs)
{
    static char junk[300];
    const char *data;
    size_t have = 0;
    ssize_t n;
    open_stream();
    for (;;) {
        if (have < 40000) CHECK_EQ(weft_write(p[1], junk, sizeof junk), 300);
        n = weft_stream_more(&s, have, 30000, &data);
        if (n < 0) break;
        CHECK((size_t)n > have);
        have = (size_t)n;
    }
    CHECK_EQ(n, -ENOBUFS);
    CHECK(have >= 30000 && have <= 30300);
    CHECK_EQ(weft_stream_peek(&s, &data), have);
    weft_stream_consume(&s, have);
    close_stream();
}

/* ---- every split -------------------------------------------------------- */

static const char lines[] = "one\n\nthree is longer\nno end";

/* Writes `lines` in two parts, cut at `at`, with the reader parked between. */
static int write_split(void *arg)
{
    size_t at = *(size_t *)arg, all = sizeof lines - 1;
    CHECK_EQ(weft_write_all(p[1], lines, at, NULL), 0);
    settle();
    CHECK_EQ(weft_write_all(p[1], lines + at, all - at, NULL), 0);
    settle();
    CHECK_EQ(weft_shutdown_write(p[1]), 0);
    return 0;
}

TEST(lines_are_read_whole_wherever_the_input_is_cut)
{
    const char *data;
    int rc;
    for (size_t at = 0; at < sizeof lines; at++) {
        open_stream();
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, write_split, &at), 0);
            check_line(99, "one\n");
            check_line(99, "\n");
            check_line(99, "three is longer\n");
            check_line(99, "no end");
            CHECK_EQ(weft_stream_read_until(&s, '\n', 99, &data), 0);
        }
        CHECK_EQ(rc, 0);
        close_stream();
    }
}

TEST(exact_reads_are_whole_wherever_the_input_is_cut)
{
    char buf[20];
    int rc;
    for (size_t at = 0; at < sizeof lines; at++) {
        open_stream();
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, write_split, &at), 0);
            CHECK_EQ(weft_stream_read_exact(&s, buf, 7), 0);
            CHECK_EQ(memcmp(buf, lines, 7), 0);
            CHECK_EQ(weft_stream_read_exact(&s, buf, 0), 0);
            CHECK_EQ(weft_stream_read_exact(&s, buf, 14), 0);
            CHECK_EQ(memcmp(buf, lines + 7, 14), 0);
            CHECK_EQ(weft_stream_read_exact(&s, buf, 7), -EPIPE);
            CHECK_EQ(weft_stream_read_exact(&s, buf, 6), 0); /* still unread */
            CHECK_EQ(memcmp(buf, "no end", 6), 0);
            CHECK_EQ(weft_stream_read_exact(&s, buf, 1), -EPIPE);
        }
        CHECK_EQ(rc, 0);
        close_stream();
    }
}

TEST(a_line_may_have_as_many_octets_as_the_limit_and_no_more)
{
    const char *data;
    open_stream();
    put("12345\n123456\n");
    CHECK_EQ(weft_stream_read_until(&s, '\n', 6, &data), 6);
    CHECK_EQ(weft_stream_read_until(&s, '\n', 6, &data), -EMSGSIZE);
    CHECK_EQ(weft_stream_read_until(&s, '\n', 6, &data), -EMSGSIZE);
    check_line(7, "123456\n");
    put("123456");
    CHECK_EQ(weft_stream_read_until(&s, '\n', 6, &data), -EMSGSIZE);
    weft_stream_consume(&s, 6);
    close_stream();
}

TEST(a_last_piece_without_its_end_is_returned_if_it_is_shorter_than_the_limit)
{
    const char *data;
    open_stream();
    put("12345");
    CHECK_EQ(weft_shutdown_write(p[1]), 0);
    CHECK_EQ(weft_stream_read_until(&s, '\n', 5, &data), -EMSGSIZE);
    CHECK_EQ(weft_stream_read_until(&s, '\n', 4, &data), -EMSGSIZE);
    check_line(6, "12345");
    CHECK_EQ(weft_stream_read_until(&s, '\n', 6, &data), 0);
    close_stream();
}

TEST(reads_into_a_buffer_take_what_is_there_first)
{
    char buf[10];
    const char *data;
    open_stream();
    put("abcdef");
    CHECK_EQ(weft_stream_peek(&s, &data), 6);
    CHECK_EQ(weft_stream_read(&s, buf, 4), 4);
    CHECK_EQ(memcmp(buf, "abcd", 4), 0);
    put("ghi");
    ssize_t n = weft_stream_read(&s, buf, sizeof buf);
    CHECK(n >= 2);
    CHECK_EQ(memcmp(buf, "ef", 2), 0);
    if (n == 2) n += weft_stream_read(&s, buf + 2, 8);
    CHECK_EQ(n, 5);
    CHECK_EQ(memcmp(buf, "efghi", 5), 0);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK_EQ(weft_stream_read(&s, buf, 4), 0);
    CHECK_EQ(weft_stream_close(&s), 0);
}

struct block {
    const char *data;
    size_t len;
};

static int write_block(void *arg)
{
    const struct block *b = arg;
    return weft_write_all(p[1], b->data, b->len, NULL);
}

TEST(a_large_read_goes_through_whole)
{
    static char out[200000], in[200000];
    int rc;
    open_stream();
    for (size_t i = 0; i < sizeof out; i++) out[i] = (char)(i * 31 + i / 256);
    struct block b = {out, sizeof out};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_block, &b), 0);
        CHECK_EQ(weft_stream_read_exact(&s, in, 1000), 0);
        CHECK_EQ(weft_stream_read_exact(&s, in + 1000, sizeof in - 1000), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(memcmp(in, out, sizeof out), 0);
    close_stream();
}

/* ---- cancelled ---------------------------------------------------------- */

TEST(a_cancelled_read_has_consumed_nothing)
{
    weft_fn fns[] = {read_exactly, read_line, peek, more};
    int rc;
    for (int i = 0; i < 4; i++) {
        open_stream();
        if (i != 2) put("abc");
        struct job j = {.stream = &s, .len = 6, .have = 3, .max = 60};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, fns[i], &j), 0);
            settle();
            if (i != 2) put("de"); /* a second part, gathered and kept */
            if (i < 2) settle();
            weft_nursery_cancel(&n, 0, NULL);
        }
        CHECK_EQ(rc, 0);
        if (i < 2) CHECK_EQ(j.result, -ECANCELED);
        put("f\n");
        check_line(60, i == 2 ? "f\n" : "abcdef\n");
        close_stream();
    }
}

TEST(inside_a_cancelled_scope_nothing_is_consumed)
{
    const char *data;
    char buf[4];
    weft_scope scope;
    open_stream();
    put("abc\n");
    open_cancelled_scope(&scope);
    CHECK_EQ(weft_stream_read_until(&s, '\n', 60, &data), -ECANCELED);
    CHECK_EQ(weft_stream_read_exact(&s, buf, 4), -ECANCELED);
    CHECK_EQ(weft_stream_read(&s, buf, 4), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    check_line(60, "abc\n");
    close_stream();
}

TEST(inside_a_cancelled_scope_more_fails_though_there_is_more)
{
    const char *data;
    char c;
    weft_scope scope;
    open_stream();
    put("hello");
    check_peek("hello");
    open_cancelled_scope(&scope);
    CHECK_EQ(weft_stream_more(&s, 0, 100, &data), -ECANCELED);
    CHECK_EQ(weft_stream_more(&s, 9, 5, &data), -ECANCELED);
    CHECK_EQ(weft_stream_read(&s, &c, 0), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    CHECK_EQ(weft_stream_more(&s, 0, 100, &data), 5);
    weft_stream_consume(&s, 5);
    close_stream();
}

/* ---- many streams, one scratch ------------------------------------------ */

struct pusher {
    weft_fd fds[2];
    weft_stream stream;
    int id;
};

/* Messages of 10 octets, which arrive in pieces; all of one id. */
static int read_messages(void *arg)
{
    struct pusher *q = arg;
    for (int i = 0; i < 50; i++) {
        char buf[10];
        const char *data;
        if (i % 2) {
            CHECK_EQ(weft_stream_read_exact(&q->stream, buf, 10), 0);
            data = buf;
        } else {
            CHECK_EQ(weft_stream_read_until(&q->stream, '\n', 10, &data), 10);
        }
        for (int k = 0; k < 8; k++) CHECK_EQ(data[k], 'A' + q->id);
        CHECK_EQ(data[8], i + 20);
        CHECK_EQ(data[9], '\n');
    }
    return 0;
}

TEST(partial_input_of_many_streams_is_never_mixed_or_lost)
{
    enum { MANY = 20 };
    static struct pusher q[MANY];
    static const size_t steps[] = {1, 3, 7, 10, 13, 29};
    static char all[MANY][500];
    size_t at[MANY] = {0};
    unsigned state = (unsigned)test_seed();
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < MANY; i++) {
            q[i].id = i;
            open_pair(q[i].fds);
            weft_stream_init(&q[i].stream, q[i].fds[0]);
            for (int k = 0; k < 500; k++) all[i][k] = (char)('A' + i);
            for (int k = 0; k < 50; k++) {
                all[i][k * 10 + 8] = (char)(k + 20);
                all[i][k * 10 + 9] = '\n';
            }
            CHECK_EQ(weft_spawn(&n, read_messages, &q[i]), 0);
        }
        for (size_t left = MANY * 500; left > 0;) {
            state = state * 1664525u + 1013904223u;
            size_t i = (state >> 8) % MANY, step = steps[(state >> 24) % 6];
            if (step > 500 - at[i]) step = 500 - at[i];
            CHECK_EQ(weft_write_all(q[i].fds[1], all[i] + at[i], step, NULL), 0);
            at[i] += step;
            left -= step;
            if (state >> 30 == 0) settle();
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(weft_stream_close(&q[i].stream), 0);
        CHECK_EQ(weft_close(q[i].fds[1]), 0);
    }
}
