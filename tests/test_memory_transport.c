/* SPDX-License-Identifier: MIT */
/* test_memory_transport.c - two ends in memory, and a listener. */
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>

#include <errno.h>
#include <string.h>

#include "cancel_points.h"
#include "deadlock.h"
#include "harness.h"
#include "open.h"
#include "settle.h"

static weft_transport *ends[2];

static void open_ends(size_t capacity)
{
    CHECK_EQ(weft_memory_pair(ends, capacity), 0);
}

static void close_ends(void)
{
    weft_transport_close(ends[0]);
    weft_transport_close(ends[1]);
}

static ssize_t try_read(int end, void *buf, size_t len)
{
    return ends[end]->ops->try_read(ends[end], buf, len);
}

static ssize_t try_write(int end, const char *text)
{
    return ends[end]->ops->try_write(ends[end], text, strlen(text));
}

static void check_reads(int end, const char *want)
{
    char buf[100];
    CHECK_EQ(try_read(end, buf, sizeof buf), strlen(want));
    CHECK_EQ(memcmp(buf, want, strlen(want)), 0);
}

/* ---- octets ------------------------------------------------------------- */

TEST(a_pair_holds_its_capacity_each_way_and_no_more)
{
    char c;
    open_ends(5);
    CHECK_EQ(try_read(0, &c, 1), -EAGAIN);
    CHECK_EQ(try_write(0, "123"), 3);
    CHECK_EQ(try_write(0, "4567"), 2);
    CHECK_EQ(try_write(0, "6"), -EAGAIN);
    CHECK_EQ(try_write(0, ""), 0);
    CHECK_EQ(try_write(1, "abc"), 3); /* the other way is another matter */
    check_reads(1, "12345");
    check_reads(0, "abc");
    CHECK_EQ(try_read(1, &c, 1), -EAGAIN);
    CHECK_EQ(try_read(1, &c, 0), 0);
    close_ends();
}

TEST(octets_come_in_order_wherever_the_ring_comes_round)
{
    char want = 0, sent = 0, buf[7];
    for (size_t capacity = 1; capacity < 12; capacity++) {
        open_ends(capacity);
        want = sent = 0;
        for (size_t i = 0; i < 200; i++) {
            for (size_t k = 0; k < sizeof buf; k++)
                buf[k] = (char)(sent + (int)k);
            ssize_t n = ends[0]->ops->try_write(ends[0], buf, 1 + i % 7);
            if (n > 0) sent = (char)(sent + n);
            n = try_read(1, buf, 1 + i % 5);
            for (ssize_t k = 0; k < n; k++, want++)
                CHECK_EQ(buf[k], want);
        }
        CHECK(want != 0);
        close_ends();
    }
}

TEST(a_pair_holds_64_kib_unless_told_and_what_cannot_be_had_is_enomem)
{
    CHECK_EQ(weft_memory_pair(ends, SIZE_MAX), -ENOMEM);
    CHECK_EQ(weft_memory_pair(ends, SIZE_MAX / 4), -ENOMEM);
    CHECK_EQ(weft_memory_pair(ends, 0), 0);
    static const char octets[WEFT_MEMORY_BYTES + 1];
    CHECK_EQ(ends[0]->ops->try_write(ends[0], octets, sizeof octets),
             WEFT_MEMORY_BYTES);
    close_ends();
}

/* ---- waiting ------------------------------------------------------------ */

struct call {
    weft_transport *t;
    int events;
    ssize_t result;
    bool returned;
};

static int waits(void *arg)
{
    struct call *c = arg;
    c->result = c->t->ops->wait(c->t, c->events);
    c->returned = true;
    return 0;
}

TEST(a_writer_waits_until_some_were_read_and_a_reader_until_some_were_written)
{
    int rc;
    open_ends(3);
    CHECK_EQ(try_write(0, "123"), 3);
    struct call w = {.t = ends[0], .events = WEFT_WRITABLE};
    struct call r = {.t = ends[0], .events = WEFT_READABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_spawn(&n, waits, &r), 0);
        settle();
        CHECK(!w.returned && !r.returned);
        check_reads(1, "123");
        settle();
        CHECK(w.returned && !r.returned);
        CHECK_EQ(try_write(1, "x"), 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, WEFT_WRITABLE);
    CHECK_EQ(r.result, WEFT_READABLE);
    close_ends();
}

TEST(one_may_wait_for_both_and_is_woken_by_either)
{
    int rc;
    open_ends(1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(try_write(0, "1"), 1);
        struct call both = {ends[0], WEFT_READABLE | WEFT_WRITABLE, 0, false};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, waits, &both), 0);
            settle();
            CHECK(!both.returned);
            if (i == 0) check_reads(1, "1");
            if (i == 1) CHECK_EQ(try_write(1, "x"), 1);
        }
        CHECK_EQ(rc, 0);
        CHECK(both.result > 0);
    }
    close_ends();
}

TEST(a_second_waiter_of_a_kind_is_busy_and_the_first_goes_on)
{
    int rc;
    open_ends(1);
    CHECK_EQ(try_write(0, "1"), 1);
    struct call a = {.t = ends[0], .events = WEFT_READABLE};
    struct call b = {.t = ends[0], .events = WEFT_WRITABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &a), 0);
        CHECK_EQ(weft_spawn(&n, waits, &b), 0);
        settle();
        CHECK_EQ(ends[0]->ops->wait(ends[0], WEFT_READABLE), -EBUSY);
        CHECK_EQ(ends[0]->ops->wait(ends[0], WEFT_WRITABLE), -EBUSY);
        CHECK_EQ(ends[0]->ops->wait(ends[0], 0), -EINVAL);
        CHECK(!a.returned && !b.returned);
        CHECK_EQ(try_write(1, "x"), 1);
        check_reads(1, "1");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a.result, WEFT_READABLE);
    CHECK_EQ(b.result, WEFT_WRITABLE);
    close_ends();
}

TEST(a_wait_is_a_cancel_point_also_where_it_would_not_wait)
{
    weft_scope scope;
    int rc;
    open_ends(5);
    CHECK_EQ(try_write(0, "123"), 3);
    open_cancelled_scope(&scope);
    CHECK_EQ(ends[1]->ops->wait(ends[1], WEFT_READABLE), -ECANCELED);
    CHECK_EQ(weft_transport_read(ends[1], &rc, 1), -ECANCELED);
    CHECK_EQ(weft_transport_write(ends[1], "x", 1), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    check_reads(1, "123");
    struct call c = {.t = ends[1], .events = WEFT_READABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &c), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(c.result, -ECANCELED);
    CHECK_EQ(try_write(0, "4"), 1); /* nobody is in the way */
    CHECK_EQ(ends[1]->ops->wait(ends[1], WEFT_READABLE), WEFT_READABLE);
    close_ends();
}

/* ---- cancel points ------------------------------------------------------ */

static char room[16];

static ssize_t reads_one(void *end)
{
    return weft_transport_read(end, room, 1);
}

static ssize_t writes_one(void *end)
{
    return weft_transport_write(end, "x", 1);
}

static ssize_t writes_and_reads(void *end)
{
    ssize_t n = weft_transport_write(ends[0], "x", 1);
    return n < 0 ? n : weft_transport_read(end, room, 1);
}

static ssize_t waits_to_read(void *end)
{
    return ends[1]->ops->wait(end, WEFT_READABLE);
}

TEST(cp_01_reading_writing_and_waiting_in_memory)
{
    open_ends(9);
    is_a_cancel_point(writes_one, ends[0], 1);
    is_a_cancel_point(waits_to_read, ends[1], WEFT_READABLE);
    is_a_cancel_point(reads_one, ends[1], 1);
    is_woken(reads_one, ends[1]);
    is_woken(waits_to_read, ends[1]);
    while (try_write(0, "x") == 1)
        continue;
    is_woken(writes_one, ends[0]);
    close_ends();
}

TEST(cp_03_a_pair_in_memory_that_is_always_ready_starves_nobody)
{
    open_ends(0);
    starves_nobody(writes_and_reads, ends[1], 1);
    CHECK_EQ(try_write(0, "x"), 1);
    starves_nobody(waits_to_read, ends[1], WEFT_READABLE);
    gives_way_when_ignored(reads_one, ends[1]);
    close_ends();
}

/* ---- outside ------------------------------------------------------------ */

TEST_PLAIN(outside_a_fiber_there_is_trying_and_no_waiting)
{
    open_ends(5);
    CHECK_EQ(try_write(0, "123"), 3);
    CHECK_EQ(ends[1]->ops->wait(ends[1], WEFT_READABLE), -EPERM);
    CHECK_EQ(weft_transport_write(ends[1], "x", 1), -EPERM);
    check_reads(1, "123");
    close_ends();
}

/* ---- ends of it --------------------------------------------------------- */

TEST(after_a_half_close_what_was_written_is_read_and_then_the_end)
{
    char c;
    open_ends(0);
    CHECK_EQ(try_write(0, "last"), 4);
    CHECK_EQ(weft_transport_shutdown_write(ends[0]), 0);
    CHECK_EQ(weft_transport_shutdown_write(ends[0]), 0);
    CHECK_EQ(try_write(0, "x"), -EPIPE);
    check_reads(1, "last");
    CHECK_EQ(try_read(1, &c, 1), 0);
    CHECK_EQ(try_read(1, &c, 1), 0);
    CHECK_EQ(try_write(1, "answer"), 6);
    check_reads(0, "answer");
    close_ends();
}

TEST(after_a_shutdown_of_reading_what_has_come_is_read_and_no_more_comes)
{
    char c;
    open_ends(0);
    CHECK_EQ(try_write(0, "before"), 6);
    CHECK_EQ(weft_transport_shutdown_read(ends[1]), 0);
    CHECK_EQ(try_write(0, "after"), -EPIPE);
    check_reads(1, "before");
    CHECK_EQ(try_read(1, &c, 1), 0);
    CHECK_EQ(try_write(1, "answer"), 6); /* the other way is open */
    check_reads(0, "answer");
    close_ends();
}

TEST(a_close_after_all_was_read_is_an_end_and_writes_say_epipe)
{
    char c;
    open_ends(0);
    CHECK_EQ(try_write(0, "last words"), 10);
    weft_transport_close(ends[0]);
    CHECK_EQ(try_write(1, "x"), -EPIPE);
    check_reads(1, "last words");
    CHECK_EQ(try_read(1, &c, 1), 0);
    CHECK_EQ(try_write(1, "x"), -EPIPE);
    weft_transport_close(ends[1]);
}

TEST(a_close_with_octets_unread_resets_and_what_had_come_before_is_read)
{
    char c;
    open_ends(0);
    CHECK_EQ(try_write(0, "last words"), 10);
    CHECK_EQ(try_write(1, "unread"), 6);
    weft_transport_close(ends[0]);
    CHECK_EQ(try_write(1, "x"), -EPIPE);
    check_reads(1, "last words");
    CHECK_EQ(try_read(1, &c, 1), -ECONNRESET);
    CHECK_EQ(try_read(1, &c, 1), -ECONNRESET);
    weft_transport_close(ends[1]);
}

TEST(a_close_with_octets_unread_after_a_half_close_is_an_end)
{
    char c;
    open_ends(0);
    CHECK_EQ(try_write(1, "unread"), 6);
    CHECK_EQ(weft_transport_shutdown_write(ends[0]), 0);
    weft_transport_close(ends[0]);
    CHECK_EQ(try_read(1, &c, 1), 0);
    weft_transport_close(ends[1]);
}

/* ends[1] waits, to write and to read. */
TEST(the_end_of_one_side_wakes_who_waits_for_it)
{
    enum { SHUT_WRITE, SHUT_READ, CLOSE, CLOSE_OWN, HOWS };
    static const int writer[] = {0, WEFT_WRITABLE, WEFT_WRITABLE, -EBADF};
    static const int reader[] = {WEFT_READABLE, 0, WEFT_READABLE, -EBADF};
    int rc;
    for (int how = 0; how < HOWS; how++) {
        open_ends(1);
        CHECK_EQ(try_write(1, "1"), 1);
        struct call w = {.t = ends[1], .events = WEFT_WRITABLE};
        struct call r = {.t = ends[1], .events = WEFT_READABLE};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, waits, &w), 0);
            CHECK_EQ(weft_spawn(&n, waits, &r), 0);
            settle();
            if (how == SHUT_WRITE)
                CHECK_EQ(weft_transport_shutdown_write(ends[0]), 0);
            if (how == SHUT_READ)
                CHECK_EQ(weft_transport_shutdown_read(ends[0]), 0);
            if (how == CLOSE) weft_transport_close(ends[0]);
            if (how == CLOSE_OWN) weft_transport_close(ends[1]);
            settle();
            CHECK_EQ(w.returned, writer[how] != 0);
            CHECK_EQ(r.returned, reader[how] != 0);
            weft_nursery_cancel(&n, 0, NULL);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(w.result, writer[how] ? writer[how] : -ECANCELED);
        CHECK_EQ(r.result, reader[how] ? reader[how] : -ECANCELED);
        if (how != CLOSE) weft_transport_close(ends[0]);
        if (how != CLOSE_OWN) weft_transport_close(ends[1]);
    }
}

TEST(ones_own_shutdown_wakes_who_waits_here)
{
    int rc;
    open_ends(1);
    CHECK_EQ(try_write(0, "1"), 1);
    struct call w = {.t = ends[0], .events = WEFT_WRITABLE};
    struct call r = {.t = ends[0], .events = WEFT_READABLE};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_spawn(&n, waits, &r), 0);
        settle();
        CHECK_EQ(weft_transport_shutdown_read(ends[0]), 0);
        settle();
        CHECK(r.returned && !w.returned);
        CHECK_EQ(weft_transport_shutdown_write(ends[0]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, WEFT_WRITABLE);
    CHECK_EQ(r.result, WEFT_READABLE);
    close_ends();
}

/* Woken by octets, cancelled, or about to look: none touches what is gone. */
TEST(both_ends_may_be_freed_before_a_waiter_runs)
{
    int rc;
    for (int how = 0; how < 3; how++) {
        open_ends(0);
        struct call r = {.t = ends[0], .events = WEFT_READABLE};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, waits, &r), 0);
            settle();
            if (how == 1) CHECK_EQ(try_write(1, "x"), 1);
            if (how == 2) weft_nursery_cancel(&n, 0, NULL);
            close_ends();
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(r.result, -EBADF);
    }
}

TEST(a_transport_has_no_address_of_a_peer_in_memory)
{
    weft_addr a;
    open_ends(0);
    CHECK_EQ(weft_transport_peer_addr(ends[0], &a), -ENOTSUP);
    CHECK_STR(ends[0]->ops->name, "memory");
    close_ends();
}

static int reads_in_vain(void *arg)
{
    char c;
    (void)arg;
    open_ends(0);
    ssize_t n = weft_transport_read(ends[0], &c, 1);
    close_ends();
    return n < 0 ? (int)n : 0;
}

TEST_PLAIN(a_read_that_nobody_can_end_is_a_deadlock)
{
    CHECK(strstr(deadlock_report(reads_in_vain), "event") != NULL);
}

/* ---- another run -------------------------------------------------------- */

static int makes(void *arg)
{
    (void)arg;
    open_ends(0);
    return 0;
}

static int is_refused(void *arg)
{
    char c;
    (void)arg;
    CHECK_EQ(weft_transport_read(ends[0], &c, 1), -EPERM);
    CHECK(strstr(weft_last_error()->msg, "another run") != NULL);
    CHECK_EQ(try_write(0, "x"), -EPERM);
    CHECK_EQ(weft_transport_shutdown_write(ends[0]), -EPERM);
    CHECK_EQ(weft_transport_shutdown_read(ends[0]), -EPERM);
    CHECK_EQ(ends[0]->ops->wait(ends[0], WEFT_READABLE), -EPERM);
    return 0;
}

TEST_PLAIN(a_pair_of_another_run_is_refused_with_a_sentence)
{
    CHECK_EQ(weft_run(makes, NULL, NULL), 0);
    CHECK_EQ(weft_run(is_refused, NULL, NULL), 0);
    close_ends();
}

static int writes_here(void *arg)
{
    (void)arg;
    CHECK_EQ(try_write(0, "x"), 1);
    return 0;
}

TEST_PLAIN(a_pair_made_outside_is_of_the_run_that_first_uses_it)
{
    CHECK_EQ(weft_memory_pair(ends, 0), 0);
    CHECK_EQ(weft_run(writes_here, NULL, NULL), 0);
    CHECK_EQ(weft_run(is_refused, NULL, NULL), 0);
    close_ends();
}
