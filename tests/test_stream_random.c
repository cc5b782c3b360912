/* SPDX-License-Identifier: MIT */
/*
 * test_stream_random.c - a stream by calls that are drawn, each of which may be
 * cut short at any moment: not an octet is lost, or read twice.
 */
#include <weft/scope.h>
#include <weft/stream.h>

#include <errno.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "transports.h"

enum { TOTAL = 200000, CALLS = 400000 };

/* ---- octets that say where they belong ---------------------------------- */

static size_t at; /* so many have come */

static char octet_at(size_t i)
{
    return (char)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

static void check_next(const char *octets, size_t len)
{
    for (size_t i = 0; i < len; i++)
        CHECK_EQ(octets[i], octet_at(at + i));
    at += len;
}

static int send_all(void *to)
{
    char buf[5000];
    size_t len;
    for (size_t sent = 0; sent < TOTAL; sent += len) {
        len = 1 + random_below(random_below(3) ? 60 : sizeof buf);
        if (len > TOTAL - sent) len = TOTAL - sent;
        for (size_t i = 0; i < len; i++)
            buf[i] = octet_at(sent + i);
        CHECK_EQ(weft_transport_write_all(to, buf, len, NULL), 0);
        if (random_below(4) == 0)
            CHECK_EQ(weft_sleep(WEFT_USEC(random_below(5))), 0);
    }
    return weft_transport_shutdown_write(to);
}

static int receive_all(void *from)
{
    char buf[3000];
    ssize_t n;
    while ((n = weft_transport_read(from, buf, 1 + random_below(sizeof buf))) >
           0) {
        check_next(buf, (size_t)n);
        if (random_below(3) == 0)
            CHECK_EQ(weft_sleep(WEFT_USEC(random_below(5))), 0);
    }
    return (int)n;
}

/* ---- reading ------------------------------------------------------------ */

static int take_some(ssize_t n, const char *data)
{
    if (n < 0) return (int)n;
    size_t len = random_below((size_t)n + 1);
    check_next(data, len);
    weft_stream_consume(&s, len);
    return 0;
}

static int read_piece(size_t max)
{
    char end = (char)random_below(256);
    const char *data;
    ssize_t n = weft_stream_read_until(&s, end, max, &data);
    if (n == -EMSGSIZE) CHECK(weft_stream_buffered(&s) >= max);
    if (n <= 0) return n == -EMSGSIZE ? 0 : (int)n;
    size_t len = (size_t)n;
    bool is_last = at + len == TOTAL && len < max;
    CHECK(len <= max && (data[len - 1] == end || is_last));
    CHECK(memchr(data, end, len - 1) == NULL);
    check_next(data, len);
    return 0;
}

static int read_exactly(size_t len)
{
    static char buf[20000];
    int err = weft_stream_read_exact(&s, buf, len);
    if (err == 0) check_next(buf, len);
    if (err == -EPIPE) CHECK(TOTAL - at < len);
    return err == -EPIPE ? 0 : err;
}

static int skip(size_t n)
{
    uint64_t done;
    int err = weft_stream_skip(&s, n, &done);
    at += (size_t)done;
    if (err == -EPIPE) CHECK_EQ(at, TOTAL);
    return err == -EPIPE ? 0 : err;
}

static int read_somehow(void)
{
    size_t max = 1 + random_below((size_t)(random_below(2) ? 100 : 20000));
    const char *data;
    ssize_t n;
    switch (random_below(5)) {
    case 0:
        return read_piece(max);
    case 1:
        return read_exactly(max);
    case 2:
        return skip(max / 10);
    case 3:
        n = weft_stream_more(&s, weft_stream_buffered(&s), max, &data);
        return n == -ENOBUFS ? 0 : take_some(n, data);
    default:
        n = weft_stream_peek(&s, &data);
        return take_some(n, data);
    }
}

CONTRACT(reads_that_are_cut_short_at_any_moment_lose_nothing)
{
    int rc, fibers;
    random_begin(test_seed());
    open_over();
    WEFT_NURSERY(n, fibers) {
        CHECK_EQ(weft_spawn(&n, send_all, peer), 0);
        for (int i = 0; i < CALLS && !weft_stream_at_end(&s); i++) {
            weft_time limit = WEFT_USEC(random_below(4));
            WEFT_FAIL_AFTER(rc, random_below(2) ? limit : WEFT_FOREVER)
                rc = read_somehow();
            CHECK(rc == 0 || rc == -ETIMEDOUT);
        }
    }
    CHECK_EQ(fibers, 0);
    CHECK_EQ(at, TOTAL);
    close_over();
}

/* ---- carrying on -------------------------------------------------------- */

static weft_stream from;

/* As it has been shown; returns how many in *done. */
static int write_some(uint64_t *done)
{
    const char *data;
    ssize_t n = weft_stream_peek(&from, &data);
    if (n < 0) return (int)n;
    size_t len =
        (size_t)n < WEFT_BUFFER_BYTES ? (size_t)n : WEFT_BUFFER_BYTES - 1;
    len = random_below(len + 1);
    int err = weft_stream_write(&s, data, len);
    if (err < 0) return err;
    weft_stream_consume(&from, len);
    *done = len;
    return 0;
}

static int carry_some(uint64_t *done)
{
    uint64_t limit =
        random_below(3) ? random_below(UINT64_C(20000)) : UINT64_MAX;
    if (random_below(3) == 0) return write_some(done);
    int err = weft_stream_copy(&from, &s, limit, done);
    CHECK(*done <= limit);
    return err;
}

CONTRACT(copies_and_writes_that_are_cut_short_at_any_moment_lose_nothing)
{
    uint64_t sum = 0;
    int rc, fibers;
    weft_transport *pair[2];
    random_begin(test_seed());
    open_over();
    CHECK_EQ(weft_memory_pair(pair, 3000), 0);
    weft_stream_init_transport(&from, pair[0]);
    WEFT_NURSERY(n, fibers) {
        CHECK_EQ(weft_spawn(&n, send_all, pair[1]), 0);
        CHECK_EQ(weft_spawn(&n, receive_all, peer), 0);
        for (int i = 0; i < CALLS && sum < TOTAL; i++) {
            uint64_t done = 0;
            WEFT_FAIL_AFTER(rc, WEFT_USEC(random_below(20)))
                rc = carry_some(&done);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
            sum += done;
        }
        CHECK_EQ(sum, TOTAL);
        CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    }
    CHECK_EQ(fibers, 0);
    CHECK_EQ(at, TOTAL);
    CHECK_EQ(weft_stream_close(&from), 0);
    weft_transport_close(pair[1]);
    close_over();
}
