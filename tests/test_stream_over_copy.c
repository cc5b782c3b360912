/* SPDX-License-Identifier: MIT */
/*
 * test_stream_over_copy.c - from one stream to another, over a descriptor and
 * over transports of several kinds.
 */
#include <weft/stream.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "transports.h"

enum { BLOCK = 1 << 20 };

static char block[BLOCK], got[BLOCK];

static weft_stream other;
static weft_transport *other_peer;

static void open_other(size_t capacity)
{
    weft_transport *pair[2];
    CHECK_EQ(weft_memory_pair(pair, capacity), 0);
    weft_stream_init_transport(&other, pair[0]);
    other_peer = pair[1];
}

static void close_other(void)
{
    CHECK_EQ(weft_stream_close(&other), 0);
    weft_transport_close(other_peer);
}

static void check_other_peer_reads(const char *want)
{
    char buf[100];
    for (size_t at = 0; at < strlen(want);) {
        ssize_t n = weft_transport_read(other_peer, buf, strlen(want) - at);
        CHECK(n > 0);
        CHECK_EQ(memcmp(buf, want + at, (size_t)n), 0);
        at += (size_t)n;
    }
    CHECK_EQ(other_peer->ops->try_read(other_peer, buf, 1), -EAGAIN);
}

CONTRACT(a_copy_takes_what_was_read_already_up_to_its_limit)
{
    const char *data;
    uint64_t done = 99;
    open_over();
    open_other(0);
    put("0123456789");
    CHECK(weft_stream_peek(&s, &data) > 0);
    CHECK_EQ(weft_stream_write(&other, "head ", 5), 0);
    CHECK_EQ(weft_stream_copy(&s, &other, 4, &done), 0);
    CHECK_EQ(done, 4);
    check_other_peer_reads("head 0123");
    CHECK_EQ(weft_stream_copy(&s, &other, 0, &done), 0);
    CHECK_EQ(done, 0);
    put_end();
    CHECK_EQ(weft_stream_copy(&s, &other, UINT64_MAX, &done), 0);
    CHECK_EQ(done, 6);
    check_other_peer_reads("456789");
    close_other();
    close_over();
}

struct copying {
    uint64_t done;
    int result;
};

static int copies_in(void *arg)
{
    struct copying *c = arg;
    c->result = weft_stream_copy(&s, &other, 6, &c->done);
    return 0;
}

CONTRACT(a_copy_sends_what_was_gathered_before_it_waits)
{
    struct copying c = {0};
    int rc;
    open_over();
    open_other(0);
    CHECK_EQ(weft_stream_write(&other, "question", 8), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, copies_in, &c), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        check_other_peer_reads("question");
        put("answer and more");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, 0);
    CHECK_EQ(c.done, 6);
    check_other_peer_reads("answer");
    close_other();
    close_over();
}

static int copies_out(void *arg)
{
    struct copying *c = arg;
    c->result = weft_stream_copy(&other, &s, UINT64_MAX, &c->done);
    return 0;
}

static int feeds_other(void *arg)
{
    (void)arg;
    size_t done;
    int err = weft_transport_write_all(other_peer, block, BLOCK, &done);
    if (err == 0) err = weft_transport_shutdown_write(other_peer);
    return err == -ECANCELED ? 0 : err;
}

CONTRACT(a_copy_moves_all_there_is_with_one_buffer)
{
    struct copying c = {0};
    int rc;
    open_over();
    open_other(5000);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (char)('a' + i % 25);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, copies_out, &c), 0);
        CHECK_EQ(weft_spawn(&n, feeds_other, NULL), 0);
        CHECK_EQ(peer_reads(got, BLOCK), BLOCK);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, 0);
    CHECK_EQ(c.done, BLOCK);
    CHECK_EQ(memcmp(got, block, BLOCK), 0);
    CHECK_STR(heard(), "");
    close_other();
    close_over();
}

CONTRACT(a_cancelled_copy_knows_what_has_gone_and_keeps_the_rest)
{
    struct copying c = {0};
    const char *data;
    int rc;
    open_over();
    open_other(5000);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (char)('a' + i % 25);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, copies_out, &c), 0);
        CHECK_EQ(weft_spawn(&n, feeds_other, NULL), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0); /* nobody reads */
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, -ECANCELED);
    CHECK(c.done > 0 && c.done < BLOCK);
    CHECK_EQ(weft_stream_pending(&s), 0);
    CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    CHECK_EQ(peer_reads(got, BLOCK), c.done);
    CHECK_EQ(memcmp(got, block, (size_t)c.done), 0);
    ssize_t n = weft_stream_peek(&other, &data);
    CHECK(n > 0);
    CHECK_EQ(memcmp(data, block + c.done, (size_t)n), 0);
    close_other();
    close_over();
}

CONTRACT(a_copy_to_who_has_gone_fails_and_keeps_the_rest)
{
    uint64_t done = 99;
    open_over();
    open_other(0);
    close_peer();
    CHECK_EQ(weft_transport_write_all(other_peer, "words", 5, NULL), 0);
    int err = weft_stream_copy(&other, &s, UINT64_MAX, &done);
    CHECK(err == -EPIPE || err == -ECONNRESET);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_stream_buffered(&other), 5);
    CHECK_EQ(weft_stream_write(&s, "x", 1), err);
    CHECK_EQ(weft_stream_close(&s), err);
    close_other();
}

CONTRACT(a_copy_to_itself_is_an_echo)
{
    struct copying c = {0};
    open_over();
    put("echo");
    put_end();
    CHECK_EQ(weft_stream_copy(&s, &s, UINT64_MAX, &c.done), 0);
    CHECK_EQ(c.done, 4);
    CHECK_EQ(peer_reads(got, 4), 4);
    CHECK_EQ(memcmp(got, "echo", 4), 0);
    CHECK_STR(heard(), "");
    close_over();
}
