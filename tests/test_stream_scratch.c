/* SPDX-License-Identifier: MIT */
/*
 * test_stream_scratch.c - what a stream shows lies in a buffer that others
 * use as well; what is written from there has to be what was shown.
 *
 * Each connection carries one letter in lines, and nothing else may be read
 * at its ends. One reader is slow, so that its server has to wait in a write;
 * meanwhile the other connection is busy.
 */
#include <weft/stream.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sockets.h"

enum { LINE = 100, MOST = 200 * LINE };

struct client {
    weft_fd pair[2]; /* the server is at pair[0] */
    char letter;
    size_t block; /* octets a write */
    int blocks;
    size_t sent, got;
};

static size_t total(void)
{
    return test_is_slow() ? 400000 : 2000000;
}

static void fill_block(const struct client *c, char *block)
{
    memset(block, c->letter, c->block);
    for (size_t i = LINE - 1; i < c->block; i += LINE) block[i] = '\n';
}

static void check_own(const struct client *c, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != '\n') CHECK_EQ(data[i], c->letter);
}

static int floods(void *arg)
{
    struct client *c = arg;
    char block[MOST];
    fill_block(c, block);
    for (int i = 0; i < c->blocks; i++, c->sent += c->block)
        CHECK_EQ(weft_write_all(c->pair[1], block, c->block, NULL), 0);
    return weft_shutdown_write(c->pair[1]);
}

static int reads_slowly(void *arg)
{
    struct client *c = arg;
    char buf[5000];
    ssize_t n;
    CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0);
    while ((n = weft_read(c->pair[1], buf, sizeof buf)) > 0) {
        check_own(c, buf, (size_t)n);
        c->got += (size_t)n;
        CHECK_EQ(weft_sleep(WEFT_USEC(1)), 0);
    }
    return (int)n;
}

static int asks_and_waits(void *arg)
{
    struct client *c = arg;
    char block[MOST], buf[MOST];
    fill_block(c, block);
    for (int i = 0; i < c->blocks; i++, c->sent += c->block) {
        CHECK_EQ(weft_write_all(c->pair[1], block, c->block, NULL), 0);
        CHECK_EQ(weft_read_exact(c->pair[1], buf, c->block, NULL), 0);
        check_own(c, buf, c->block);
        c->got += c->block;
    }
    return weft_shutdown_write(c->pair[1]);
}

static int echoes_lines(void *arg)
{
    struct client *c = arg;
    weft_stream s;
    const char *line;
    ssize_t n;
    weft_stream_init(&s, c->pair[0]);
    while ((n = weft_stream_read_until(&s, '\n', 4096, &line)) > 0)
        CHECK_EQ(weft_stream_write(&s, line, (size_t)n), 0);
    CHECK_EQ(n, 0);
    return weft_stream_close(&s);
}

static int echoes_pieces(void *arg)
{
    struct client *c = arg;
    weft_stream s;
    const char *data;
    ssize_t n;
    weft_stream_init(&s, c->pair[0]);
    while ((n = weft_stream_peek(&s, &data)) > 0) {
        CHECK_EQ(weft_stream_write(&s, data, (size_t)n), 0);
        weft_stream_consume(&s, (size_t)n);
    }
    CHECK_EQ(n, 0);
    return weft_stream_close(&s);
}

/* Two connections served by `serve`, of which the second sends `block`s. */
static void serve_two(weft_fn serve, size_t block)
{
    struct client a = {.letter = 'a', .block = LINE};
    struct client b = {.letter = 'b', .block = block};
    int rc;
    weft_spawn_opts deep = {.stack_size = 256 * 1024};
    a.blocks = (int)(total() / a.block);
    b.blocks = (int)(total() / b.block);
    open_pair(a.pair);
    open_pair(b.pair);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, serve, &a), 0);
        CHECK_EQ(weft_spawn(&n, serve, &b), 0);
        CHECK_EQ(weft_spawn_ex(&n, floods, &a, &deep), 0);
        CHECK_EQ(weft_spawn(&n, reads_slowly, &a), 0);
        CHECK_EQ(weft_spawn_ex(&n, asks_and_waits, &b, &deep), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a.got, a.sent);
    CHECK_EQ(b.got, b.sent);
    CHECK_EQ(weft_close(a.pair[1]), 0);
    CHECK_EQ(weft_close(b.pair[1]), 0);
}

TEST(lines_echoed_to_a_slow_reader_are_its_own)
{
    serve_two(echoes_lines, 40 * LINE);
}

TEST(pieces_echoed_to_a_slow_reader_are_its_own)
{
    serve_two(echoes_pieces, LINE);
}

TEST(pieces_echoed_beside_larger_answers_are_their_own)
{
    serve_two(echoes_pieces, MOST);
}

/* ---- from one stream to another ----------------------------------------- */

struct proxy {
    struct client *in, *out;
};

static int carries(void *arg)
{
    const struct proxy *p = arg;
    weft_stream from, to;
    const char *data;
    ssize_t n;
    weft_stream_init(&from, p->in->pair[0]);
    weft_stream_init(&to, p->out->pair[0]);
    while ((n = weft_stream_peek(&from, &data)) > 0) {
        CHECK_EQ(weft_stream_write(&to, data, (size_t)n), 0);
        weft_stream_consume(&from, (size_t)n);
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(weft_stream_close(&to), 0);
    return weft_stream_close(&from);
}

TEST(what_a_proxy_carries_to_a_slow_reader_is_what_it_was_shown)
{
    struct client a = {.letter = 'a', .block = MOST};
    struct client far = {.letter = 'a'};
    struct client b = {.letter = 'b', .block = 40 * LINE};
    struct proxy p = {&a, &far};
    int rc;
    weft_spawn_opts deep = {.stack_size = 256 * 1024};
    a.blocks = (int)(total() / a.block);
    b.blocks = (int)(total() / b.block);
    open_pair(a.pair);
    open_pair(far.pair);
    open_pair(b.pair);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, carries, &p), 0);
        CHECK_EQ(weft_spawn(&n, echoes_lines, &b), 0);
        CHECK_EQ(weft_spawn_ex(&n, floods, &a, &deep), 0);
        CHECK_EQ(weft_spawn(&n, reads_slowly, &far), 0);
        CHECK_EQ(weft_spawn_ex(&n, asks_and_waits, &b, &deep), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(far.got, a.sent);
    CHECK_EQ(b.got, b.sent);
    CHECK_EQ(weft_close(a.pair[1]), 0);
    CHECK_EQ(weft_close(far.pair[1]), 0);
    CHECK_EQ(weft_close(b.pair[1]), 0);
}

/* ---- written in pieces -------------------------------------------------- */

static bool pieces_are_sent;

static int reads_other_octets(void *arg)
{
    weft_fd *pair = arg;
    weft_stream s;
    const char *data;
    weft_stream_init(&s, pair[0]);
    while (!pieces_are_sent) {
        CHECK_EQ(weft_write(pair[1], "bbbbbbbbbb", 10), 10);
        CHECK_EQ(weft_stream_peek(&s, &data), 10);
        weft_stream_consume(&s, 10);
        CHECK_EQ(weft_yield(), 0);
    }
    return weft_stream_close(&s);
}

/* Nothing of this has to wait, so what was shown stays where it is. */
TEST(what_is_shown_may_be_written_in_pieces)
{
    weft_fd p[2], other[2];
    weft_stream s;
    const char *data;
    char buf[10];
    int rc;
    open_pair(p);
    open_pair(other);
    weft_stream_init(&s, p[0]);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_other_octets, other), 0);
        for (int round = 0; round < 200; round++) {
            CHECK_EQ(weft_write(p[1], "aaaaaaaaaa", 10), 10);
            CHECK_EQ(weft_stream_peek(&s, &data), 10);
            for (int i = 0; i < 10; i++)
                CHECK_EQ(weft_stream_write(&s, data + i, 1), 0);
            weft_stream_consume(&s, 10);
            CHECK_EQ(weft_stream_flush(&s), 0);
            CHECK_EQ(weft_read_exact(p[1], buf, 10, NULL), 0);
            CHECK_EQ(memcmp(buf, "aaaaaaaaaa", 10), 0);
        }
        pieces_are_sent = true;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK_EQ(weft_close(other[1]), 0);
}
