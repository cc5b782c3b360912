/* SPDX-License-Identifier: MIT */
/* test_faulty.c - each kind of trouble, by plan and by seed. */
#include <weft/faulty.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/stream.h>
#include <weft/time.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "deadlock.h"
#include "harness.h"
#include "open.h"
#include "settle.h"

static weft_transport *near_end, *peer;

static void open_faulty(const weft_faulty_opts *o)
{
    weft_transport *pair[2];
    CHECK_EQ(weft_memory_pair(pair, 0), 0);
    near_end = weft_faulty_new(pair[0], o);
    CHECK(near_end != NULL);
    peer = pair[1];
}

static void close_faulty(void)
{
    weft_transport_close(near_end);
    weft_transport_close(peer);
}

static void put(const char *text)
{
    CHECK_EQ(weft_transport_write_all(peer, text, strlen(text), NULL), 0);
}

static ssize_t try_read(size_t len)
{
    char buf[100];
    CHECK(len <= sizeof buf);
    return near_end->ops->try_read(near_end, buf, len);
}

static ssize_t try_write(size_t len)
{
    static const char octets[1000];
    CHECK(len <= sizeof octets);
    return near_end->ops->try_write(near_end, octets, len);
}

/* ---- moving less -------------------------------------------------------- */

TEST(without_a_plan_there_is_no_trouble)
{
    char buf[9];
    open_faulty(&(weft_faulty_opts){0});
    CHECK_EQ(try_read(9), -EAGAIN);
    put("hello");
    CHECK_EQ(near_end->ops->wait(near_end, WEFT_READABLE), WEFT_READABLE);
    CHECK_EQ(try_read(9), 5);
    CHECK_EQ(try_read(0), 0);
    CHECK_EQ(try_write(0), 0);
    CHECK_EQ(try_write(9), 9);
    CHECK_EQ(weft_transport_read(peer, buf, 9), 9);
    CHECK_EQ(weft_transport_shutdown_read(near_end), 0);
    CHECK_EQ(try_read(9), 0);
    CHECK_EQ(weft_transport_shutdown_write(near_end), 0);
    CHECK_EQ(weft_transport_read(peer, buf, 9), 0);
    CHECK_EQ(weft_transport_peer_addr(near_end, NULL), -ENOTSUP); /* as below */
    CHECK_STR(near_end->ops->name, "faulty");
    close_faulty();
}

TEST(pieces_are_of_so_many_octets_at_most)
{
    bool seen[4] = {false};
    open_faulty(&(weft_faulty_opts){.read = {.piece = 1},
                                    .write = {.piece = 3, .piece_drawn = true},
                                    .seed = 7});
    put("ab");
    CHECK_EQ(try_read(9), 1);
    CHECK_EQ(try_read(9), 1);
    CHECK_EQ(try_read(9), -EAGAIN);
    for (int i = 0; i < 100; i++) {
        ssize_t n = try_write(100);
        CHECK(n >= 1 && n <= 3);
        seen[n] = true;
    }
    CHECK(seen[1] && seen[2] && seen[3]);
    CHECK_EQ(try_write(1), 1);
    close_faulty();
}

TEST(a_try_may_be_told_to_come_again_and_the_next_is_in_earnest)
{
    int again = 0;
    open_faulty(
        &(weft_faulty_opts){.read = {.again = 100}, .write = {.again = 30}});
    put("abc");
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(try_read(1), -EAGAIN);
        CHECK_EQ(near_end->ops->wait(near_end, WEFT_READABLE), WEFT_READABLE);
        CHECK_EQ(try_read(1), 1);
    }
    for (int i = 0; i < 1000; i++)
        if (try_write(1) == -EAGAIN) {
            again++;
            CHECK_EQ(try_write(1), 1);
        }
    CHECK(again > 200 && again < 400);
    close_faulty();
}

/* ---- moving later ------------------------------------------------------- */

TEST(what_is_delayed_takes_that_long_and_no_longer)
{
    char buf[9];
    weft_time start = weft_now();
    open_faulty(&(weft_faulty_opts){.read = {.delay = WEFT_MSEC(3)},
                                    .write = {.delay = WEFT_SEC(2)}});
    CHECK_EQ(weft_transport_write(near_end, "x", 1), 1);
    CHECK_EQ(weft_now() - start, WEFT_SEC(2));
    put("abc");
    CHECK_EQ(weft_transport_read(near_end, buf, 2), 2);
    CHECK_EQ(weft_transport_read(near_end, buf, 2), 1);
    CHECK_EQ(weft_now() - start, WEFT_SEC(2) + 2 * WEFT_MSEC(3));
    close_faulty();
}

TEST(a_drawn_delay_comes_on_top)
{
    weft_time least = WEFT_FOREVER, most = 0;
    open_faulty(
        &(weft_faulty_opts){.write = {.delay = 100, .delay_drawn = 50}});
    for (int i = 0; i < 200; i++) {
        weft_time start = weft_now();
        CHECK_EQ(weft_transport_write(near_end, "x", 1), 1);
        weft_time took = weft_now() - start;
        if (took < least) least = took;
        if (took > most) most = took;
    }
    CHECK(least >= 100 && least < 110);
    CHECK(most <= 150 && most > 140);
    close_faulty();
}

TEST(a_delay_of_for_ever_is_no_longer_with_what_is_drawn)
{
    int rc;
    open_faulty(&(weft_faulty_opts){
        .write = {.delay = WEFT_FOREVER, .delay_drawn = WEFT_FOREVER}});
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1000))
        rc = (int)weft_transport_write(near_end, "x", 1);
    CHECK_EQ(rc, -ETIMEDOUT);
    close_faulty();
}

struct waiter {
    int events, result;
    bool returned;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    w->result = near_end->ops->wait(near_end, w->events);
    w->returned = true;
    return 0;
}

/* One direction is held back, and the other one is not. */
TEST(who_waits_for_both_ways_is_woken_by_the_first)
{
    int rc;
    for (int i = 0; i < 2; i++) {
        open_faulty(&(weft_faulty_opts){.write = {.delay = WEFT_SEC(5)}});
        CHECK_EQ(try_write(1), -EAGAIN);
        struct waiter w = {.events = WEFT_READABLE | WEFT_WRITABLE};
        weft_time start = weft_now();
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, waits, &w), 0);
            CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
            CHECK(!w.returned);
            if (i == 0) put("x");
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(w.result, i == 0 ? WEFT_READABLE : WEFT_WRITABLE);
        CHECK_EQ(weft_now() - start, WEFT_SEC(i == 0 ? 1 : 5));
        close_faulty();
    }
}

TEST(a_wait_for_the_moment_can_be_cancelled_and_a_second_one_is_busy)
{
    int rc;
    open_faulty(&(weft_faulty_opts){.write = {.delay = WEFT_SEC(5)}});
    CHECK_EQ(try_write(1), -EAGAIN);
    struct waiter w = {.events = WEFT_WRITABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        settle();
        CHECK_EQ(near_end->ops->wait(near_end, WEFT_WRITABLE), -EBUSY);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, -ECANCELED);
    CHECK_EQ(near_end->ops->wait(near_end, WEFT_WRITABLE), WEFT_WRITABLE);
    CHECK_EQ(try_write(1), 1);
    close_faulty();
}

/* ---- the last trouble --------------------------------------------------- */

TEST(a_reset_comes_after_exactly_so_many_octets_and_is_for_both_ways)
{
    char buf[20];
    open_faulty(&(weft_faulty_opts){
        .write = {.then = WEFT_FAULT_RESET, .after_octets = 12}});
    put("unread");
    CHECK_EQ(try_write(9), 9);
    CHECK_EQ(try_write(9), 3);
    CHECK_EQ(try_write(9), -ECONNRESET);
    CHECK_EQ(try_write(9), -ECONNRESET);
    CHECK_EQ(try_read(9), -ECONNRESET);
    CHECK_EQ(near_end->ops->wait(near_end, WEFT_READABLE), WEFT_READABLE);
    CHECK_EQ(weft_transport_shutdown_write(near_end), -ECONNRESET);
    CHECK_EQ(weft_transport_shutdown_read(near_end), -ECONNRESET);
    CHECK_EQ(weft_transport_read(peer, buf, sizeof buf), 12);
    CHECK_EQ(weft_transport_read(peer, buf, sizeof buf), -ECONNRESET);
    CHECK_EQ(weft_transport_write(peer, "x", 1), -EPIPE);
    close_faulty();
}

static int reads_one(void *arg)
{
    char c;
    *(ssize_t *)arg = weft_transport_read(near_end, &c, 1);
    return 0;
}

TEST(a_reset_of_one_way_wakes_who_waits_for_the_other)
{
    for (int held = 0; held < 2; held++) {
        ssize_t result = 1;
        int rc;
        open_faulty(&(weft_faulty_opts){
            .read = {.delay = held ? WEFT_SEC(1000) : 0},
            .write = {.then = WEFT_FAULT_RESET, .at_call = 2}});
        weft_time start = weft_now();
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, reads_one, &result), 0);
            settle();
            CHECK_EQ(try_write(1), 1);
            CHECK_EQ(try_write(1), -ECONNRESET);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(result, -ECONNRESET);
        CHECK(weft_now() - start < WEFT_SEC(1));
        close_faulty();
    }
}

TEST(an_end_comes_for_good_and_the_other_way_is_open)
{
    char buf[9];
    open_faulty(&(weft_faulty_opts){
        .read = {.then = WEFT_FAULT_END, .after_octets = 3}});
    put("abcdef");
    CHECK_EQ(try_read(9), 3);
    CHECK_EQ(try_read(9), 0);
    CHECK_EQ(try_read(9), 0);
    CHECK_EQ(near_end->ops->wait(near_end, WEFT_READABLE), WEFT_READABLE);
    CHECK_EQ(try_write(9), 9);
    close_faulty();
    open_faulty(&(weft_faulty_opts){.write = {.then = WEFT_FAULT_END}});
    CHECK_EQ(try_write(9), -EPIPE);
    CHECK_EQ(try_write(9), -EPIPE);
    put("abcdef");
    CHECK_EQ(weft_transport_read(near_end, buf, 9), 6);
    close_faulty();
}

TEST(an_error_comes_once_at_its_call)
{
    open_faulty(&(weft_faulty_opts){
        .read = {.then = WEFT_FAULT_ERROR, .at_call = 2, .error = -EIO},
        .write = {
            .then = WEFT_FAULT_ERROR, .after_octets = 5, .error = -ENOBUFS}});
    put("abcdef");
    CHECK_EQ(try_read(1), 1);
    CHECK_EQ(try_read(1), -EIO);
    CHECK_EQ(try_read(9), 5);
    CHECK_EQ(try_write(9), 5);
    CHECK_EQ(try_write(9), -ENOBUFS);
    CHECK_EQ(try_write(9), 9);
    close_faulty();
}

TEST(a_stall_lasts_until_it_is_cancelled_or_closed)
{
    char buf[9];
    int rc;
    open_faulty(&(weft_faulty_opts){
        .write = {.then = WEFT_FAULT_STALL, .after_octets = 2}});
    CHECK_EQ(try_write(9), 2);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600)) {
        rc = (int)weft_transport_write(near_end, "x", 1);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    put("abc");
    CHECK_EQ(weft_transport_read(near_end, buf, 9), 3);
    CHECK_EQ(weft_transport_read(peer, buf, 9), 2);
    CHECK_EQ(weft_transport_shutdown_write(near_end),
             0); /* nor does the end move */
    CHECK_EQ(peer->ops->try_read(peer, buf, 9), -EAGAIN);
    struct waiter w = {.events = WEFT_WRITABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        settle();
        CHECK(!w.returned);
        weft_transport_close(near_end);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, -EBADF);
    weft_transport_close(peer);
}

static int stalls(void *arg)
{
    (void)arg;
    open_faulty(&(weft_faulty_opts){.read = {.then = WEFT_FAULT_STALL}});
    char c;
    ssize_t n = weft_transport_read(near_end, &c, 1);
    close_faulty();
    return n < 0 ? (int)n : 0;
}

TEST_PLAIN(a_stall_that_nobody_ends_is_a_deadlock)
{
    (void)deadlock_report(stalls);
}

TEST(a_faulty_transport_closed_under_its_waiters_says_ebadf)
{
    int rc;
    open_faulty(&(weft_faulty_opts){.write = {.delay = WEFT_SEC(1)}});
    CHECK_EQ(try_write(1), -EAGAIN);
    struct waiter r = {.events = WEFT_READABLE}, w = {.events = WEFT_WRITABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &r), 0);
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        settle();
        close_faulty();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, -EBADF);
    CHECK_EQ(w.result, -EBADF);
}

/* ---- by seed ------------------------------------------------------------ */

enum { STORY = 400 };

/* What so many tries come to. */
static void tell(uint64_t seed, ssize_t story[STORY])
{
    static char octets[5000];
    weft_faulty_opts o;
    weft_faulty_draw(&o, seed);
    CHECK(o.read.then != WEFT_FAULT_STALL && o.write.then != WEFT_FAULT_STALL);
    open_faulty(&o);
    for (int i = 0; i < STORY; i += 2) {
        story[i] = near_end->ops->try_write(near_end, octets, sizeof octets);
        ssize_t n = peer->ops->try_read(peer, octets, sizeof octets);
        if (n > 0) n = peer->ops->try_write(peer, octets, (size_t)n);
        story[i + 1] = near_end->ops->try_read(near_end, octets, sizeof octets);
        CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    }
    close_faulty();
}

TEST(the_same_seed_gives_the_same_trouble_and_others_give_other)
{
    static ssize_t first[STORY], again[STORY];
    int resets = 0, ends = 0, moved = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        tell(seed, first);
        tell(seed, again);
        CHECK_EQ(memcmp(first, again, sizeof first), 0);
        ssize_t last = first[STORY - 1], written = first[STORY - 2];
        resets += last == -ECONNRESET;
        ends += last == 0 || written == -EPIPE;
        moved += last > 0 || last == -EAGAIN;
    }
    CHECK(resets > 0);
    CHECK(ends > 0);
    CHECK(moved > 10);
}

static int echoes(void *arg)
{
    weft_stream s;
    (void)arg;
    weft_stream_init_transport(&s, peer);
    int rc = weft_stream_copy(&s, &s, UINT64_MAX, NULL);
    int err = weft_stream_close(&s);
    (void)err;
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

/* Whatever the trouble, a protocol over streams ends, and in no wrong octet. */
TEST(a_conversation_under_any_trouble_ends_and_says_no_wrong_word)
{
    int whole = 0, rc;
    for (uint64_t seed = 0; seed < 200; seed++) {
        weft_faulty_opts o;
        weft_stream s;
        int err = 0, lines = 0;
        weft_faulty_draw(&o, seed);
        open_faulty(&o);
        weft_stream_init_transport(&s, near_end);
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, echoes, NULL), 0);
            for (; lines < 20 && err == 0; lines++) {
                const char *line;
                size_t len;
                err = weft_stream_printf(&s, "line %d\n", lines);
                if (err == 0) err = weft_stream_read_line(&s, 50, &line, &len);
                if (err != 1) break;
                err = 0;
                char want[20];
                size_t all = (size_t)snprintf(want, 20, "line %d", lines);
                CHECK_EQ(memcmp(line, want, len), 0);
                if (len < all) CHECK(weft_stream_at_end(&s)); /* cut there */
                if (len < all) break;
            }
            int closed = weft_stream_close(&s);
            if (lines == 20) CHECK_EQ(closed, 0);
        }
        CHECK_EQ(rc, 0);
        CHECK(err == 0 || err == -EPIPE || err == -ECONNRESET);
        whole += lines == 20;
    }
    CHECK(whole > 50 && whole < 200);
}
