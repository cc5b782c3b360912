/* SPDX-License-Identifier: MIT */
/*
 * transports.h - the same tests of a stream over all that it can be over.
 *
 *     CONTRACT(small_writes_are_gathered)
 *     {
 *         open_over();
 *         CHECK_EQ(weft_stream_write(&s, "one", 3), 0);
 *         ...
 *         close_over();
 *     }
 *
 * is a test for each of them, such as small_writes_are_gathered/over_memory.
 * There `s` is the stream, and `peer` the other end of what it is over.
 */
#ifndef TESTS_TRANSPORTS_H
#define TESTS_TRANSPORTS_H

#include <weft/faulty.h>
#include <weft/memory.h>
#include <weft/stream.h>
#include <weft/transport.h>

#include <string.h>

#include "harness.h"
#include "sockets.h"

enum over {
    OVER_A_DESCRIPTOR,
    OVER_A_WRAPPED_DESCRIPTOR,
    OVER_MEMORY,
    OVER_PIECES,       /* in memory, of a few octets, and often not at all */
    OVER_PIECES_OF_FD, /* the same around a descriptor */
    OVER_DELAY         /* in memory, a little later */
};

static enum over over;
static weft_stream s;
static weft_transport *peer;
static weft_fd fds[2];

#define CONTRACT(id)                                                           \
    static void id(void);                                                      \
    CONTRACT_OVER_(id, OVER_A_DESCRIPTOR, over_a_descriptor)                   \
    CONTRACT_OVER_(id, OVER_A_WRAPPED_DESCRIPTOR, over_a_wrapped_descriptor)   \
    CONTRACT_OVER_(id, OVER_MEMORY, over_memory)                               \
    CONTRACT_OVER_(id, OVER_PIECES, over_pieces)                               \
    CONTRACT_OVER_(id, OVER_PIECES_OF_FD, over_pieces_of_a_descriptor)         \
    CONTRACT_OVER_(id, OVER_DELAY, over_delay)                                 \
    static void id(void)

#define CONTRACT_OVER_(id, what, name)                                         \
    static void id##_##name(void)                                              \
    {                                                                          \
        over = what;                                                           \
        id();                                                                  \
    }                                                                          \
    __attribute__((constructor)) static void id##_##name##_register(void)      \
    {                                                                          \
        static const struct test t = {#id "/" #name, id##_##name,              \
                                      TEST_VIRTUAL_CLOCK, 0, 0};               \
        test_register(&t);                                                     \
    }

static inline weft_transport *wrapped(weft_fd fd)
{
    weft_transport *t;
    CHECK_EQ(weft_transport_of_fd(fd, &t), 0);
    return t;
}

/* A kernel that was not asked calls a Unix socket full long before it is: over
 * one, writes that are put off would time out where they need not. */
static inline weft_transport *in_pieces(weft_transport *below)
{
    const weft_faulty_opts o = {
        .read = {.piece = 900, .piece_drawn = true, .again = 40},
        .write = {.piece = 700,
                  .piece_drawn = true,
                  .again = over == OVER_PIECES ? 40 : 0},
        .seed = test_seed()};
    weft_transport *t = weft_faulty_new(below, &o);
    CHECK(t != NULL);
    return t;
}

static inline weft_transport *delayed(weft_transport *below)
{
    const weft_faulty_opts o = {.read = {.delay_drawn = 50},
                                .write = {.delay_drawn = 50},
                                .seed = test_seed()};
    weft_transport *t = weft_faulty_new(below, &o);
    CHECK(t != NULL);
    return t;
}

static inline bool is_over_memory(void)
{
    return over == OVER_MEMORY || over == OVER_PIECES || over == OVER_DELAY;
}

static inline void open_over(void)
{
    weft_transport *pair[2];
    if (is_over_memory()) {
        CHECK_EQ(weft_memory_pair(pair, 0), 0);
    } else {
        open_pair(fds);
        pair[0] = over == OVER_A_DESCRIPTOR ? NULL : wrapped(fds[0]);
        pair[1] = wrapped(fds[1]);
    }
    if (over == OVER_PIECES || over == OVER_PIECES_OF_FD)
        pair[0] = in_pieces(pair[0]);
    if (over == OVER_DELAY) pair[0] = delayed(pair[0]);
    if (pair[0])
        weft_stream_init_transport(&s, pair[0]);
    else
        weft_stream_init(&s, fds[0]);
    peer = pair[1];
}

static inline void close_peer(void)
{
    weft_transport_close(peer);
    peer = NULL;
}

static inline void close_over(void)
{
    CHECK_EQ(weft_stream_close(&s), 0);
    close_peer();
}

/* What stands below the stream is closed by somebody else. */
static inline void close_below(void)
{
    if (weft_stream_transport(&s))
        weft_transport_close(weft_stream_transport(&s));
    else
        CHECK_EQ(weft_close(weft_stream_fd(&s)), 0);
}

/* ---- the peer ----------------------------------------------------------- */

static inline void put(const char *text)
{
    CHECK_EQ(weft_transport_write_all(peer, text, strlen(text), NULL), 0);
}

static inline void put_end(void)
{
    CHECK_EQ(weft_transport_shutdown_write(peer), 0);
}

/* Reads up to `max` octets, up to the end; returns how many. */
static inline size_t peer_reads(char *buf, size_t max)
{
    size_t at = 0;
    while (at < max) {
        ssize_t n = weft_transport_read(peer, buf + at, max - at);
        CHECK(n >= 0);
        if (n == 0) break;
        at += (size_t)n;
    }
    return at;
}

/* All that is there by now. */
static inline const char *heard(void)
{
    static char buf[65536];
    size_t at = 0;
    ssize_t n;
    while ((n = peer->ops->try_read(peer, buf + at, sizeof buf - 1 - at)) > 0)
        at += (size_t)n;
    CHECK(n == 0 || n == -EAGAIN);
    buf[at] = 0;
    return buf;
}

/* ---- what is often done ------------------------------------------------- */

static inline void say(const char *words)
{
    CHECK_EQ(weft_stream_write(&s, words, strlen(words)), 0);
}

/* That, and nothing behind it. */
static inline void check_peer_reads(const char *want)
{
    char buf[200];
    size_t len = strlen(want);
    CHECK(len < sizeof buf);
    CHECK_EQ(peer_reads(buf, len), len);
    buf[len] = 0;
    CHECK_STR(buf, want);
    CHECK_STR(heard(), "");
}

/* A fiber that waits for one octet. */
static inline int reads_one(void *arg)
{
    char c;
    (void)arg;
    CHECK_EQ(weft_stream_read(&s, &c, 1), 1);
    return 0;
}

#endif
