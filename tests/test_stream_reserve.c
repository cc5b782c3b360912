/* SPDX-License-Identifier: MIT */
/*
 * test_stream_reserve.c - octets that are made where they are gathered: room
 * for them, of which as many are taken as there came to be.
 */
#include <weft/scope.h>
#include <weft/stream.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "runtime/leaks.h"
#include "starve.h"
#include "transports.h"
#ifdef WEFT_HOSTILE
#include "runtime/os.h"
#endif

enum { LARGE = 100000 };

static char got[2 * LARGE];

/* Room for `room` octets, of which these are taken. */
static void make(const char *words, size_t room)
{
    char *at = weft_stream_reserve(&s, room);
    CHECK(at != NULL);
    memset(at, '?', room);
    memcpy(at, words, strlen(words));
    weft_stream_commit(&s, strlen(words));
}

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

/* ---- what is taken ------------------------------------------------------ */

CONTRACT(what_is_made_in_place_goes_out_between_what_is_written)
{
    open_over();
    say("one ");
    make("two ", 4);
    say("three ");
    make("four ", 5);
    make("five", 4);
    CHECK_EQ(weft_stream_pending(&s), 23);
    settle();
    CHECK_STR(heard(), "");
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("one two three four five");
    make("six", 3);
    say(" seven");
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("six seven");
    close_over();
}

CONTRACT(no_more_is_taken_than_is_said)
{
    open_over();
    make("a", 100);
    make("", 1000);
    make("b", WEFT_BUFFER_BYTES - 1);
    say("c");
    make("de", 3);
    CHECK_EQ(weft_stream_pending(&s), 5);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("abcde");
    close_over();
}

CONTRACT(room_counts_only_once_it_is_taken)
{
    open_over();
    say("x");
    char *first = weft_stream_reserve(&s, 10);
    CHECK(first != NULL);
    CHECK_EQ(weft_stream_pending(&s), 1);
    CHECK_PTR(weft_stream_reserve(&s, 5000), first);
    CHECK_PTR(weft_stream_reserve(&s, 2), first);
    memcpy(first, "yz", 2);
    weft_stream_commit(&s, 2);
    CHECK_PTR(weft_stream_reserve(&s, 1), first + 2);
    CHECK_EQ(weft_stream_pending(&s), 3);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("xyz");
    close_over();
}

CONTRACT(a_wait_for_input_sends_what_was_made_in_place)
{
    int rc;
    open_over();
    make("question", 10);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_one, NULL), 0);
        check_peer_reads("question");
        put("x");
    }
    CHECK_EQ(rc, 0);
    close_over();
}

CONTRACT(close_sends_what_was_made_in_place)
{
    open_over();
    make("goodbye", 10);
    CHECK_EQ(weft_stream_close(&s), 0);
    check_peer_reads("goodbye");
    close_peer();
}

CONTRACT(room_that_nothing_was_made_in_is_given_back)
{
    open_over();
    CHECK(weft_stream_reserve(&s, 100) != NULL);
    CHECK_EQ(weft_stream_flush(&s), 0);
    settle();
    CHECK_STR(heard(), "");
    CHECK(weft_stream_reserve(&s, 100) != NULL);
    close_over();
}

/* ---- what fits ---------------------------------------------------------- */

CONTRACT(a_flush_makes_room_up_to_the_mark)
{
    open_over();
    weft_stream_set_high_water(&s, 10);
    say("123456");
    CHECK(!weft_stream_reserve(&s, 5));
    CHECK(!weft_stream_reserve(&s, SIZE_MAX));
    CHECK_EQ(weft_stream_pending(&s), 6);
    make("7890", 4);
    CHECK(!weft_stream_reserve(&s, 1));
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK(!weft_stream_reserve(&s, 11));
    CHECK(!weft_stream_reserve(&s, SIZE_MAX));
    make("abcdefghij", 10);
    CHECK(!weft_stream_reserve(&s, 1));
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("1234567890abcdefghij");
    close_over();
}

CONTRACT(all_up_to_the_mark_can_be_made_in_place)
{
    static const size_t marks[] = {1, 100, WEFT_BUFFER_BYTES, LARGE};
    open_over();
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        weft_stream_set_high_water(&s, marks[i]);
        CHECK(!weft_stream_reserve(&s, marks[i] + 1));
        char *at = weft_stream_reserve(&s, marks[i]);
        CHECK(at != NULL);
        for (size_t j = 0; j < marks[i]; j++)
            at[j] = (char)('a' + j % 23);
        weft_stream_commit(&s, marks[i]);
        CHECK(!weft_stream_reserve(&s, 1));
        flush_to_peer(marks[i]);
        for (size_t j = 0; j < marks[i]; j++)
            CHECK_EQ(got[j], 'a' + (int)(j % 23));
    }
    close_over();
}

CONTRACT(with_a_mark_of_nothing_there_is_no_room)
{
    open_over();
    weft_stream_set_high_water(&s, 0);
    CHECK(!weft_stream_reserve(&s, 1));
    say("at once ");
    CHECK(!weft_stream_reserve(&s, 1));
    weft_stream_set_high_water(&s, 100);
    make("gathered", 100);
    weft_stream_set_high_water(&s, 0);
    CHECK(!weft_stream_reserve(&s, 1));
    CHECK_EQ(weft_stream_pending(&s), 8);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("at once gathered");
    close_over();
}

/* ---- while another fiber sends ------------------------------------------ */

/* More than goes without waiting is on its way, and the last of it stands in
 * front of the room. */
CONTRACT(what_is_made_while_another_fiber_sends_comes_behind_that)
{
    const size_t mark = 4 << 20;
    static char sink[LARGE];
    int rc;
    open_over();
    weft_stream_set_high_water(&s, mark);
    for (size_t i = 0; i + 200 <= mark; i += 100)
        make("0123456789012345678901234567890123456789012345678901234567890123"
             "456789012345678901234567890123456789",
             100);
    size_t all = weft_stream_pending(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, flushes, NULL), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK(weft_stream_pending(&s) > 0);
        CHECK(weft_stream_pending(&s) < all);
        make("tail", 50);
        for (size_t at = 0; at < all;) {
            size_t len = all - at < LARGE ? all - at : LARGE;
            CHECK_EQ(peer_reads(sink, len), len);
            for (size_t i = 0; i < len; i++)
                CHECK_EQ(sink[i], '0' + (int)((at + i) % 100 % 10));
            at += len;
        }
        check_peer_reads("tail");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_stream_pending(&s), 0);
    close_over();
}

/* ---- when nothing can be sent ------------------------------------------- */

CONTRACT(where_nothing_can_be_sent_any_more_there_is_no_room)
{
    open_over();
    close_peer();
    char *at = weft_stream_reserve(&s, 10); /* nobody knows yet */
    CHECK(at != NULL);
    memcpy(at, "void", 4);
    weft_stream_commit(&s, 4);
    int rc = weft_stream_flush(&s);
    for (int i = 0; rc == 0 && i < 100; i++) { /* of a delay it is told later */
        CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
        rc = weft_stream_write(&s, "x", 1);
        if (rc == 0) rc = weft_stream_flush(&s);
    }
    CHECK_EQ(rc, -EPIPE);
    CHECK(!weft_stream_reserve(&s, 1));
    CHECK_EQ(weft_stream_write(&s, "x", 1), -EPIPE);
    CHECK_EQ(weft_stream_close(&s), -EPIPE);
}

CONTRACT(where_the_sending_has_ended_there_is_no_room)
{
    open_over();
    make("last", 10);
    CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    CHECK(!weft_stream_reserve(&s, 1));
    CHECK_EQ(weft_stream_pending(&s), 0);
    check_peer_reads("last");
    close_over();
}

/* Of a delay it is told later. */
CONTRACT(room_that_was_not_used_leaves_a_failed_write_to_writers)
{
    static const char much[LARGE];
    int rc = 0;
    open_over();
    CHECK_EQ(weft_transport_shutdown_read(peer), 0);
    for (int i = 0; rc == 0 && i < 100; i++) {
        CHECK(weft_stream_reserve(&s, 10) != NULL);
        rc = weft_stream_write(&s, much, sizeof much);
        CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    }
    CHECK_EQ(rc, -EPIPE);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_one, NULL), 0);
        settle();
        put("x");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_stream_close(&s), -EPIPE);
    close_peer();
}

/* ---- memory ------------------------------------------------------------- */

static int64_t bytes_now(void)
{
    struct wf_leaks now;
    wf_leaks_read(&now);
    return now.bytes;
}

TEST_PLAIN(the_first_room_takes_a_buffer_which_goes_with_the_stream)
{
    int64_t before = bytes_now();
    weft_stream_init(&s, (weft_fd){0, 0});
    CHECK(!weft_stream_reserve(&s, WEFT_BUFFER_BYTES + 1));
    CHECK_EQ(bytes_now(), before);
    make("abc", 10);
    CHECK_EQ(bytes_now(), before + WEFT_BUFFER_BYTES);
    make("def", WEFT_BUFFER_BYTES - 3);
    CHECK_EQ(bytes_now(), before + WEFT_BUFFER_BYTES);
    CHECK_EQ(weft_stream_pending(&s), 6);
    weft_stream_fini(&s);
    CHECK_EQ(bytes_now(), before);
}

#ifdef WEFT_HOSTILE
CONTRACT(without_memory_there_is_no_room_until_there_is)
{
    open_over();
    wf_hostile_fail(WF_CALL_ALLOC, 1, true);
    CHECK(!weft_stream_reserve(&s, 10));
    CHECK(!weft_stream_reserve(&s, 10));
    CHECK_EQ(weft_stream_write(&s, "x", 1), -ENOMEM);
    CHECK_EQ(weft_stream_pending(&s), 0);
    wf_hostile_fail(WF_CALL_ALLOC, 0, false);
    make("there", 10);
    CHECK_EQ(weft_stream_flush(&s), 0);
    check_peer_reads("there");
    close_over();
}
#endif

/* ---- room that was asked for and not used -------------------------------- */

CONTRACT(room_that_was_not_taken_does_not_hold_a_mark_that_moved)
{
    open_over();
    CHECK(weft_stream_reserve(&s, 10) != NULL);
    weft_stream_set_high_water(&s, 40000);
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK(weft_stream_reserve(&s, 20000) != NULL);
    close_over();
}

CONTRACT(a_write_behind_room_that_was_not_taken_ends)
{
    static char block[20000];
    open_over();
    CHECK(weft_stream_reserve(&s, 10) != NULL);
    weft_stream_set_high_water(&s, 40000);
    CHECK_EQ(weft_stream_write(&s, block, sizeof block), 0);
    CHECK_EQ(weft_stream_pending(&s), 20000);
    flush_to_peer(sizeof block);
    close_over();
}

/* An idle stream owns no buffer. */
CONTRACT(a_flush_gives_back_room_that_was_not_taken)
{
    open_over();
    CHECK(weft_stream_reserve(&s, 10) != NULL);
    CHECK(s.out_ != NULL);
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    CHECK(s.out_ == NULL);
    CHECK(weft_stream_reserve(&s, 10) != NULL);
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK(s.out_ == NULL);
    close_over();
}

/* Who gets no room writes, and is told why. */
static int make_or_write(void *unused)
{
    weft_transport *pair[2];
    char buf[4];
    (void)unused;
    int err = weft_memory_pair(pair, 0);
    if (err < 0) return err;
    weft_stream_init_transport(&s, pair[0]);
    char *at = weft_stream_reserve(&s, 4);
    if (at) {
        memcpy(at, "text", 4);
        weft_stream_commit(&s, 4);
    } else {
        err = weft_stream_write(&s, "text", 4);
    }
    if (err == 0) err = weft_stream_flush(&s);
    if (err == 0) err = (int)weft_transport_read(pair[1], buf, 4);
    if (err > 0) CHECK_EQ(err, 4);
    if (err == 4) CHECK_EQ(memcmp(buf, "text", 4), 0);
    weft_stream_fini(&s);
    weft_transport_close(pair[0]);
    weft_transport_close(pair[1]);
    return err < 0 ? err : 0;
}
STARVE(without_memory_for_room_nothing_is_left_behind, make_or_write)
