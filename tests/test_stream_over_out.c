/* SPDX-License-Identifier: MIT */
/*
 * test_stream_over_out.c - what a stream promises of its output, over a
 * descriptor and over transports of several kinds.
 */
#include <weft/scope.h>
#include <weft/stream.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "open.h"
#include "transports.h"

enum { BLOCK = 1 << 20 };

static char block[BLOCK], got[2 * BLOCK];

static int flushes(void *arg)
{
    (void)arg;
    return weft_stream_flush(&s);
}

/* More than may fit between the two. */
static void flush_to_peer(size_t octets)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, flushes, NULL), 0);
        CHECK_EQ(peer_reads(got, octets), octets);
    }
    CHECK_EQ(rc, 0);
}

static void check_peer_reads_the_end(void)
{
    char c;
    CHECK_EQ(weft_transport_read(peer, &c, 1), 0);
}

/* ---- gathering ---------------------------------------------------------- */

CONTRACT(writes_are_gathered_and_counted_until_a_flush)
{
    open_over();
    say("one ");
    say("two");
    CHECK_EQ(weft_stream_pending(&s), 7);
    settle();
    CHECK_STR(heard(), "");
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK_EQ(weft_stream_pending(&s), 0);
    check_peer_reads("one two");
    close_over();
}

CONTRACT(a_wait_for_input_sends_what_is_gathered)
{
    int rc;
    open_over();
    say("question");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_one, NULL), 0);
        check_peer_reads("question");
        put("x");
    }
    CHECK_EQ(rc, 0);
    close_over();
}

CONTRACT(parts_are_one_write)
{
    struct iovec parts[] = {{(void *)(uintptr_t) "one ", 4},
                            {NULL, 0},
                            {(void *)(uintptr_t) "two ", 4},
                            {(void *)(uintptr_t) "three", 5}};
    open_over();
    CHECK_EQ(weft_stream_writev(&s, parts, 4), 0);
    CHECK_EQ(weft_stream_writev(&s, parts, 0), 0);
    CHECK_EQ(weft_stream_writev(&s, parts, -1), -EINVAL);
    parts[1].iov_len = SIZE_MAX;
    CHECK_EQ(weft_stream_writev(&s, parts, 4), -EINVAL);
    CHECK_EQ(weft_stream_pending(&s), 13);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("one two three");
    close_over();
}

struct parts {
    struct iovec *iov;
    int count;
};

static int writes_parts(void *arg)
{
    const struct parts *p = arg;
    return weft_stream_writev(&s, p->iov, p->count);
}

CONTRACT(any_number_of_parts_of_any_size_goes_in_order)
{
    enum { MANY = 60 };
    struct iovec iov[MANY];
    struct parts parts = {iov, MANY};
    size_t at = 0;
    int rc;
    open_over();
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < MANY; i++) {
        iov[i] = (struct iovec){block + at, i % 3 == 0 ? 0 : i * 101};
        at += iov[i].iov_len;
    }
    say("head ");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, writes_parts, &parts), 0);
        CHECK_EQ(peer_reads(got, at + 5), at + 5);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(memcmp(got, "head ", 5), 0);
    CHECK_EQ(memcmp(got + 5, block, at), 0);
    close_over();
}

/* They lie where others read meanwhile. */
CONTRACT(parts_that_a_peek_has_shown_may_be_written)
{
    const char *data;
    open_over();
    weft_stream_set_high_water(&s, 10);
    put("0123456789");
    ssize_t n = weft_stream_peek(&s, &data);
    while (n > 0 && n < 10)
        n = weft_stream_more(&s, (size_t)n, 100, &data);
    CHECK_EQ(n, 10);
    struct iovec parts[] = {{(void *)(uintptr_t)data, 3},
                            {(void *)(uintptr_t)(data + 3), 5}};
    say("head ");
    CHECK_EQ(weft_stream_writev(&s, parts, 2), 0);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("head 01234567");
    close_over();
}

CONTRACT(a_formatted_text_is_a_write_that_is_bounded)
{
    open_over();
    memset(got, 'x', WEFT_BUFFER_BYTES);
    got[WEFT_BUFFER_BYTES] = 0;
    CHECK_EQ(weft_stream_printf(&s, "%s %d", "number", 42), 0);
    CHECK_EQ(weft_stream_printf(&s, "%s", ""), 0);
    CHECK_EQ(weft_stream_printf(&s, "%s", got), -EMSGSIZE);
    CHECK_EQ(weft_stream_pending(&s), 9);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("number 42");
    CHECK_EQ(weft_stream_printf(&s, "%s", got + 1), 0);
    flush_to_peer(WEFT_BUFFER_BYTES - 1);
    close_over();
}

/* ---- the mark ----------------------------------------------------------- */

CONTRACT(the_mark_says_how_much_is_gathered)
{
    static const size_t marks[] = {1, 98, 100, WEFT_BUFFER_BYTES, 100000};
    open_over();
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t mark = marks[i], sum = 0;
        weft_stream_set_high_water(&s, mark);
        for (; sum + 7 < mark; sum += 7)
            CHECK_EQ(weft_stream_write(&s, "1234567", 7), 0);
        CHECK_EQ(weft_stream_pending(&s), sum);
        if (sum + 7 == mark) /* it just fits */
            CHECK_EQ(weft_stream_write(&s, "1234567", 7), 0), sum += 7;
        CHECK_EQ(weft_stream_pending(&s), sum);
        flush_to_peer(sum);
        for (size_t at = 0; at < sum; at++)
            CHECK_EQ(got[at], '1' + (int)(at % 7));
    }
    close_over();
}

CONTRACT(with_a_mark_of_nothing_all_is_sent_at_once)
{
    open_over();
    say("gathered ");
    weft_stream_set_high_water(&s, 0);
    CHECK_EQ(weft_stream_pending(&s), 9);
    say("and ");
    CHECK_EQ(weft_stream_pending(&s), 0);
    CHECK_EQ(weft_stream_printf(&s, "%s", "not"), 0);
    say("");
    check_peer_reads("gathered and not");
    close_over();
}

static int moves_marks(void *arg)
{
    (void)arg;
    say("first ");
    weft_stream_set_high_water(&s, 3);
    say("1");
    weft_stream_set_high_water(&s, 40000);
    CHECK_EQ(weft_stream_write(&s, block, 20000), 0);
    CHECK_EQ(weft_stream_write(&s, block, 15000), 0);
    weft_stream_set_high_water(&s, WEFT_BUFFER_BYTES);
    CHECK_EQ(weft_stream_write(&s, block, 5000), 0);
    return weft_stream_flush(&s);
}

CONTRACT(a_mark_moved_while_something_is_gathered_loses_none_of_it)
{
    int rc;
    open_over();
    memset(block, 'b', 20000);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, moves_marks, NULL), 0);
        CHECK_EQ(peer_reads(got, 40007), 40007);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(memcmp(got, "first 1bbb", 10), 0);
    close_over();
}

/* ---- a peer that never reads -------------------------------------------- */

/* Records that say which they are, so that what arrives can be compared. */
static void record(char *buf, int which)
{
    (void)snprintf(buf, 101, "%99d\n", which);
}

struct records {
    int taken;
    bool by_parts;
};

static int sends_record(struct records *r)
{
    char buf[101];
    record(buf, r->taken);
    struct iovec parts[] = {{buf, 30}, {buf + 30, 70}};
    return r->by_parts ? weft_stream_writev(&s, parts, 2)
                       : weft_stream_write(&s, buf, 100);
}

/* Until nothing more goes; once is not enough, as what is put off by a hostile
 * world is tried again. */
static void fill_up(struct records *r)
{
    for (int timeouts = 0; timeouts < 20;) {
        size_t before = weft_stream_pending(&s);
        int rc;
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
            rc = sends_record(r);
        }
        CHECK(rc == 0 || rc == -ETIMEDOUT);
        CHECK(weft_stream_pending(&s) <= WEFT_BUFFER_BYTES);
        r->taken += rc == 0;
        timeouts = weft_stream_pending(&s) != before ? 0 : timeouts + 1;
    }
}

CONTRACT(pattern_59_a_peer_that_never_reads_is_bounded_by_a_scope_and_in_memory)
{
    struct records r = {0};
    open_over();
    fill_up(&r);
    int taken = r.taken;
    CHECK(taken < 10000);
    weft_time start = weft_now();
    fill_up(&r); /* and it stays so */
    CHECK_EQ(r.taken, taken);
    CHECK_EQ(weft_now() - start, 20 * WEFT_MSEC(1));
    weft_stream_fini(&s);
    close_below();
    close_peer();
}

static int reads_records(void *arg)
{
    const struct records *r = arg;
    char want[101], buf[100];
    for (int i = 0; i < r->taken; i++) {
        record(want, i);
        CHECK_EQ(peer_reads(buf, 100), 100);
        CHECK_EQ(memcmp(buf, want, 100), 0);
    }
    check_peer_reads_the_end();
    return 0;
}

static void cancelled_writes(bool by_parts)
{
    struct records r = {.by_parts = by_parts};
    int rc = 0, timeouts = 0;
    open_over();
    while (timeouts < 10) {
        WEFT_FAIL_AFTER(rc, WEFT_USEC(timeouts)) {
            rc = sends_record(&r);
        }
        CHECK(rc == 0 || rc == -ETIMEDOUT);
        if (rc == 0) r.taken++;
        timeouts += rc < 0;
    }
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_records, &r), 0);
        CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    }
    CHECK_EQ(rc, 0);
    close_over();
}

CONTRACT(what_a_cancelled_write_did_not_take_never_arrives_and_the_rest_does)
{
    cancelled_writes(false);
    cancelled_writes(true);
}

static int writes_block(void *arg)
{
    int *result = arg;
    struct iovec parts[] = {{block, 1000}, {block + 1000, BLOCK - 1000}};
    *result = weft_stream_writev(&s, parts, 2);
    return 0;
}

CONTRACT(a_large_write_cancelled_half_way_is_the_end_of_sending)
{
    int rc, result = 1;
    char c;
    open_over();
    say("head ");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, writes_block, &result), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(result, 1);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weft_stream_write(&s, "x", 1), -EPIPE);
    CHECK_EQ(weft_stream_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_shutdown_write(&s), -EPIPE);
    CHECK_EQ(weft_stream_copy(&s, &s, 0, NULL), 0); /* moves nothing */
    put("still read");
    CHECK_EQ(weft_stream_read(&s, &c, 1), 1);
    CHECK_EQ(weft_stream_copy(&s, &s, 1, NULL), -EPIPE);
    CHECK(weft_stream_buffered(&s) > 0);
    CHECK_EQ(weft_stream_close(&s), -EPIPE);
    close_peer();
}

/* A small one that comes while a large one is under way goes behind it. */
CONTRACT(what_others_write_meanwhile_comes_behind_a_large_write)
{
    int rc, result = 1;
    open_over();
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (char)('a' + i % 23);
    say("head ");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, writes_block, &result), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(result, 1);
        say(" tail");
        CHECK_EQ(peer_reads(got, 5 + BLOCK), 5 + BLOCK);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(memcmp(got, "head ", 5), 0);
    CHECK_EQ(memcmp(got + 5, block, BLOCK), 0);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads(" tail");
    close_over();
}

/* ---- half a connection -------------------------------------------------- */

CONTRACT(after_a_half_close_reading_goes_on)
{
    char buf[6];
    weft_scope scope;
    open_over();
    say("question");
    CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    check_peer_reads("question");
    check_peer_reads_the_end();
    CHECK_EQ(weft_stream_write(&s, "x", 1), -EPIPE);
    CHECK_EQ(weft_stream_printf(&s, "%d", 1), -EPIPE);
    CHECK_EQ(weft_stream_copy(&s, &s, 0, NULL), 0);
    CHECK_EQ(weft_stream_flush(&s), 0);
    put("answer");
    CHECK_EQ(weft_stream_read_exact(&s, buf, 6), 0);
    CHECK_EQ(memcmp(buf, "answer", 6), 0);
    open_cancelled_scope(&scope); /* closing has nothing to wait for */
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    close_peer();
}

static int shuts(void *result)
{
    *(int *)result = weft_stream_shutdown_write(&s);
    return 0;
}

CONTRACT(a_half_close_that_was_cancelled_can_be_made_again)
{
    struct records r = {0};
    int rc, result = 1;
    open_over();
    fill_up(&r);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, shuts, &result), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(result, 1);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, -ECANCELED);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_records, &r), 0);
        CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    }
    CHECK_EQ(rc, 0);
    close_over();
}

static int writes_a_record_more(void *result)
{
    struct records more = {0};
    *(int *)result = sends_record(&more);
    return 0;
}

CONTRACT(who_waits_for_room_while_the_sending_is_ended_is_told_so)
{
    struct records r = {0};
    int rc, ended = 1, written = 1;
    open_over();
    fill_up(&r);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, shuts, &ended), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(weft_spawn(&n, writes_a_record_more, &written), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(ended, 1);
        CHECK_EQ(written, 1);
        rc = reads_records(&r);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ended, 0);
    CHECK_EQ(written, -EPIPE);
    CHECK_EQ(weft_stream_pending(&s), 0);
    close_over();
}

/* ---- the end ------------------------------------------------------------ */

CONTRACT(close_sends_what_is_gathered)
{
    open_over();
    say("goodbye");
    CHECK_EQ(weft_stream_close(&s), 0);
    check_peer_reads("goodbye");
    check_peer_reads_the_end();
    close_peer();
}

CONTRACT(pattern_73_a_stream_may_be_closed_twice)
{
    const char *data;
    open_over();
    say("goodbye");
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_stream_close_within(&s, WEFT_SEC(1)), 0);
    CHECK_EQ(weft_stream_peek(&s, &data), -EBADF);
    CHECK_EQ(weft_stream_shutdown_write(&s), -EBADF);
    check_peer_reads("goodbye");
    check_peer_reads_the_end();
    close_peer();
}

TEST(pattern_69_to_close_a_zeroed_stream_does_nothing)
{
    weft_stream none = {0};
    const char *data;
    CHECK_EQ(weft_stream_close(&none), 0);
    CHECK_EQ(weft_stream_close_within(&none, WEFT_SEC(1)), 0);
    CHECK_EQ(weft_stream_peek(&none, &data), -EBADF);
    CHECK_EQ(weft_stream_write(&none, "x", 1), -EBADF);
    weft_stream_fini(&none);
}

CONTRACT(a_close_within_a_grace_sends_also_for_who_is_cancelled)
{
    weft_scope scope;
    open_over();
    say("goodbye");
    open_cancelled_scope(&scope);
    CHECK_EQ(weft_stream_close_within(&s, WEFT_SEC(1)), 0);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    check_peer_reads("goodbye");
    check_peer_reads_the_end();
    close_peer();
}

CONTRACT(pattern_72_a_close_within_a_grace_waits_no_longer)
{
    struct records r = {0};
    open_over();
    fill_up(&r);
    weft_time start = weft_now();
    CHECK_EQ(weft_stream_close_within(&s, WEFT_SEC(3)), -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_SEC(3));
    close_peer();
}

static int answers_late(void *arg)
{
    (void)arg;
    check_peer_reads("last answer");
    check_peer_reads_the_end();
    put("more that nobody asked for");
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    put_end();
    return 0;
}

CONTRACT(a_polite_end_waits_for_the_peers_end)
{
    int rc;
    open_over();
    say("last answer");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, answers_late, NULL), 0);
        weft_time start = weft_now();
        CHECK_EQ(weft_stream_finish(&s, WEFT_SEC(9)), 0);
        CHECK(weft_now() - start >= WEFT_MSEC(10));
        CHECK(weft_now() - start < WEFT_SEC(1));
    }
    CHECK_EQ(rc, 0);
    close_peer();
}

CONTRACT(a_polite_end_waits_no_longer_than_it_should)
{
    open_over();
    say("x");
    weft_time start = weft_now();
    CHECK_EQ(weft_stream_finish(&s, WEFT_SEC(9)), 0);
    CHECK(weft_now() - start >= WEFT_SEC(9));
    CHECK(weft_now() - start < WEFT_SEC(10));
    close_peer();
}
