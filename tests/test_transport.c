/* SPDX-License-Identifier: MIT */
/* test_transport.c - what all transports share, and one over a descriptor. */
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/stream.h>
#include <weft/transport.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"

static weft_fd pair[2];
static weft_transport *wrapped;

static void open_both(void)
{
    open_pair(pair);
    CHECK_EQ(weft_transport_of_fd(pair[0], &wrapped), 0);
}

static void close_both(void)
{
    weft_transport_close(wrapped);
    CHECK_EQ(weft_close(pair[0]), -EBADF); /* it was closed with it */
    CHECK_EQ(weft_close(pair[1]), 0);
}

TEST(a_wrapped_descriptor_reads_and_writes_as_it_does)
{
    char buf[10];
    open_both();
    CHECK_STR(wrapped->ops->name, "descriptor");
    CHECK_EQ(wrapped->ops->try_read(wrapped, buf, sizeof buf), -EAGAIN);
    CHECK_EQ(weft_transport_write_all(wrapped, "hello", 5, NULL), 0);
    CHECK_EQ(weft_read_exact(pair[1], buf, 5, NULL), 0);
    CHECK_EQ(weft_write(pair[1], "h", 1), 1);
    CHECK_EQ(wrapped->ops->wait(wrapped, WEFT_READABLE), WEFT_READABLE);
    CHECK_EQ(weft_transport_read(wrapped, buf, sizeof buf), 1);
    CHECK_EQ(wrapped->ops->wait(wrapped, 0), -EINVAL);
    CHECK_EQ(weft_transport_shutdown_write(wrapped), 0);
    CHECK_EQ(weft_read(pair[1], buf, sizeof buf), 0);
    CHECK_EQ(weft_transport_shutdown_read(wrapped), 0);
    CHECK_EQ(weft_transport_read(wrapped, buf, sizeof buf), 0);
    close_both();
}

TEST(a_wrapped_descriptor_knows_its_peer)
{
    weft_fd listener, client, server;
    weft_addr at, peer;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    char text[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_dial(&client, weft_addr_format(&at, text, sizeof text)), 0);
    CHECK_EQ(weft_accept(listener, &server, NULL), 0);
    CHECK_EQ(weft_transport_of_fd(client, &wrapped), 0);
    CHECK_EQ(weft_transport_peer_addr(wrapped, &peer), 0);
    CHECK_EQ(weft_addr_port(&peer), weft_addr_port(&at));
    weft_transport_close(wrapped);
    CHECK_EQ(weft_close(server), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST(a_closed_descriptor_is_not_wrapped_and_the_error_says_which)
{
    open_pair(pair);
    close_pair(pair);
    wrapped = NULL;
    CHECK_EQ(weft_transport_of_fd(pair[0], &wrapped), -EBADF);
    CHECK_PTR(wrapped, NULL);
    CHECK(strstr(weft_last_error()->msg, "is closed") != NULL);
    weft_transport_close(NULL);
}

struct waiter {
    int events, result;
    bool returned;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    w->result = wrapped->ops->wait(wrapped, w->events);
    w->returned = true;
    return 0;
}

TEST(a_transport_closed_under_its_waiters_says_ebadf)
{
    int rc;
    open_both();
    fill(pair[0]);
    struct waiter r = {.events = WEFT_READABLE}, w = {.events = WEFT_WRITABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &r), 0);
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        settle();
        CHECK_EQ(wrapped->ops->wait(wrapped, WEFT_READABLE), -EBUSY);
        CHECK(!r.returned && !w.returned);
        close_both();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, -EBADF);
    CHECK_EQ(w.result, -EBADF);
}

/* -EBADF of a wait would say that the transport is gone as well. */
TEST(a_descriptor_closed_under_its_transport_is_an_error_of_the_next_try)
{
    char c;
    int rc;
    open_both();
    struct waiter r = {.events = WEFT_READABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &r), 0);
        settle();
        CHECK_EQ(weft_close(pair[0]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, WEFT_READABLE);
    CHECK_EQ(weft_transport_read(wrapped, &c, 1), -EBADF);
    CHECK_EQ(weft_transport_write(wrapped, &c, 1), -EBADF);
    close_both();
}

static int writes_much(void *arg)
{
    static const char much[1 << 20];
    return weft_transport_write_all(wrapped, much, sizeof much, arg);
}

TEST(a_write_of_all_says_how_many_went)
{
    size_t done = 1;
    int rc;
    open_both();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = writes_much(&done);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    size_t here = 0;
    char buf[4096];
    ssize_t n;
    CHECK_EQ(weft_transport_shutdown_write(wrapped), 0);
    while ((n = weft_read(pair[1], buf, sizeof buf)) > 0)
        here += (size_t)n;
    CHECK_EQ(n, 0);
    CHECK(done > 0);
    CHECK_EQ(done, here);
    close_both();
}

/* ---- one of a user's ---------------------------------------------------- */

/* What it reads is what was written, in capitals; it has only what it must. */
struct shout {
    weft_transport base;
    char octets[8];
    size_t len;
    bool closed;
};

static ssize_t shout_try_read(weft_transport *at, void *buf, size_t len)
{
    struct shout *me = (struct shout *)(void *)at;
    if (me->len == 0) return -EAGAIN;
    if (len > me->len) len = me->len;
    memcpy(buf, me->octets, len);
    me->len -= len;
    memmove(me->octets, me->octets + len, me->len);
    return (ssize_t)len;
}

static ssize_t shout_try_write(weft_transport *at, const void *buf, size_t len)
{
    struct shout *me = (struct shout *)(void *)at;
    const char *from = buf;
    size_t room = sizeof me->octets - me->len;
    if (room == 0) return -EAGAIN;
    if (len > room) len = room;
    for (size_t i = 0; i < len; i++)
        me->octets[me->len++] = (char)(from[i] & ~0x20);
    return (ssize_t)len;
}

static int shout_wait(weft_transport *at, int events)
{
    (void)at, (void)events;
    return weft_sleep(WEFT_SEC(1)) < 0 ? -ECANCELED : 1;
}

static void shout_close(weft_transport *at)
{
    ((struct shout *)(void *)at)->closed = true;
}

TEST(a_transport_of_ones_own_needs_five_calls)
{
    static const weft_transport_ops ops = {.name = "shout",
                                           .try_read = shout_try_read,
                                           .try_write = shout_try_write,
                                           .wait = shout_wait,
                                           .close = shout_close};
    struct shout me = {.base = {&ops}};
    weft_stream s;
    weft_addr a;
    const char *line;
    size_t len;
    int rc;
    weft_stream_init_transport(&s, &me.base);
    CHECK_PTR(weft_stream_transport(&s), &me.base);
    CHECK_EQ(weft_stream_fd(&s).generation, 0);
    CHECK_EQ(weft_stream_write(&s, "hello", 5), 0);
    CHECK_EQ(weft_stream_read_until(&s, 'O', 9, &line), 5);
    CHECK_EQ(memcmp(line, "HELLO", 5), 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(5)) {
        rc = weft_stream_read_line(&s, 9, &line, &len);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(5)) {
        rc = weft_stream_write(&s, "more than it", 12);
        if (rc == 0) rc = weft_stream_flush(&s);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_stream_pending(&s), 4);
    CHECK_EQ(weft_stream_read_until(&s, 'N', 99, &line), 9);
    CHECK_EQ(memcmp(line, "MORE", 4), 0);
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK_EQ(weft_stream_shutdown_write(&s), -ENOTSUP);
    CHECK_EQ(weft_stream_write(&s, "x", 1), 0); /* nothing was ended */
    CHECK_EQ(weft_transport_shutdown_read(&me.base), -ENOTSUP);
    CHECK_EQ(weft_transport_peer_addr(&me.base, &a), -ENOTSUP);
    me.len = 0;
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK(me.closed);
}
