/* SPDX-License-Identifier: MIT */
/* test_error.c - reasons of a cancellation, and records of failures. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fibers.h"
#include "harness.h"
#include "unhandled.h"

/* --- why --- */

struct witness {
    weft_reason reason;
    uint64_t id;
};

static int waits_and_notes_why(void *arg)
{
    struct witness *w = arg;
    w->id = weft_fiber_id();
    int err = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(err, -ECANCELED);
    w->reason = *weft_cancel_reason();
    return err;
}

static uint64_t culprit;

static int fails_after_1_ms(void *arg)
{
    (void)arg;
    culprit = weft_fiber_id();
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : -EIO;
}

TEST(err_01_the_reason_is_the_failure_of_a_sibling)
{
    weft_nursery n;
    struct witness w;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_and_notes_why, &w), 0);
    CHECK_EQ(weft_spawn(&n, fails_after_1_ms, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(w.reason.kind, WEFT_R_SIBLING);
    CHECK_EQ(w.reason.code, -EIO);
    CHECK_EQ(w.reason.by, culprit);
    CHECK_EQ(w.reason.at, weft_now());
}

TEST(err_01_the_reason_is_the_failure_of_the_body)
{
    weft_nursery n;
    struct witness w;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_and_notes_why, &w), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, -EPROTO), -EPROTO);
    CHECK_EQ(w.reason.kind, WEFT_R_BODY);
    CHECK_EQ(w.reason.code, -EPROTO);
    CHECK_EQ(w.reason.by, weft_fiber_id());
}

TEST(err_01_the_reason_is_a_deadline)
{
    struct witness w;
    int rc;
    weft_time at = weft_after(WEFT_MSEC(3));
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(3)) {
        WEFT_NURSERY(n, rc) {
            rc = weft_spawn(&n, waits_and_notes_why, &w);
        }
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(w.reason.kind, WEFT_R_DEADLINE);
    CHECK_EQ(w.reason.code, -ETIMEDOUT);
    CHECK_EQ(w.reason.by, 0);
    CHECK_EQ(w.reason.at, at);
}

TEST(err_01_the_reason_is_a_call)
{
    weft_nursery n;
    struct witness w;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_and_notes_why, &w), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_nursery_cancel(&n, -EINTR, "enough is enough");
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(w.reason.kind, WEFT_R_EXPLICIT);
    CHECK_EQ(w.reason.code, -EINTR);
    CHECK_EQ(w.reason.by, weft_fiber_id());
    CHECK_STR(w.reason.why, "enough is enough");
}

TEST(err_01_the_reason_is_that_only_daemons_are_left)
{
    weft_nursery n;
    struct witness w;
    weft_spawn_opts opts = {.daemon = true};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, waits_and_notes_why, &w, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.reason.kind, WEFT_R_DAEMON);
    CHECK_EQ(w.reason.code, 0);
}

struct level {
    unsigned depth;
    struct witness *leaf;
};

static int opens_a_level(void *arg)
{
    struct level *l = arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = --l->depth > 0 ? weft_spawn(&n, opens_a_level, l)
                            : weft_spawn(&n, waits_and_notes_why, l->leaf);
    }
    CHECK_EQ(rc, -ECANCELED);
    return rc;
}

TEST(err_02_a_leaf_sees_the_reason_of_the_top)
{
    struct witness w;
    struct level l = {3, &w};
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, opens_a_level, &l), 0);
    CHECK_EQ(weft_sleep(1), 0);
    weft_nursery_cancel(&n, -EINTR, "from the top");
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(w.reason.kind, WEFT_R_EXPLICIT);
    CHECK_STR(w.reason.why, "from the top");
}

/* --- what --- */

static int noted_at;

static int fails_with_a_text(void *arg)
{
    noted_at = __LINE__ + 1;
    return weft_fail(-EPROTO, "bad frame length %d", *(int *)arg);
}

TEST(err_03_the_record_of_a_child_reaches_the_parent)
{
    weft_nursery n;
    weft_spawn_opts opts = {.name = "reader"};
    int length = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, fails_with_a_text, &length, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);

    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, -EPROTO);
    CHECK_STR(e->msg, "bad frame length 77");
    CHECK_STR(e->name, "reader");
    CHECK(strstr(e->file, "test_error.c"));
    CHECK_EQ(e->line, noted_at);
    CHECK(e->fiber != 0 && e->fiber != weft_fiber_id());
    CHECK(e->next == NULL);
    CHECK_EQ(e->dropped, 0);
}

static int fails_with_another_code(void *arg)
{
    (void)arg;
    (void)weft_fail(-EPROTO, "of no consequence");
    return -EIO;
}

TEST(a_record_is_never_that_of_another_failure)
{
    CHECK_EQ(in_a_nursery(fails_with_another_code, NULL), -EIO);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK(!strstr(weft_last_error()->msg, "consequence"));
}

TEST(a_failure_without_a_text_tells_where_the_fiber_came_from)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    int line = __LINE__ + 1;
    CHECK_EQ(weft_spawn(&n, fails_after_1_ms, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(weft_last_error()->line, line);
    CHECK(strstr(weft_last_error()->file, "test_error.c"));
    CHECK_EQ(weft_last_error()->fiber, culprit);
}

TEST(a_fiber_has_its_own_last_failure)
{
    CHECK(weft_last_error() == NULL);
    CHECK_EQ(weft_fail(-EIO, "%s", "first"), -EIO);
    CHECK_STR(weft_last_error()->msg, "first");
    CHECK_EQ(weft_fail(-ENOENT, "second"), -ENOENT);
    CHECK_EQ(weft_last_error()->code, -ENOENT);
    CHECK_STR(weft_last_error()->msg, "second");
    CHECK(weft_last_error()->next == NULL);

    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, fails_with_a_text, &(int){1}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(weft_last_error()->msg, "second");
}

TEST(a_long_text_is_cut_short)
{
    char text[500];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    weft_fiber_set_name(text);
    CHECK_EQ(weft_fail(-EIO, "%s", text), -EIO);
    const weft_error *e = weft_last_error();
    CHECK_EQ(strlen(e->msg), sizeof(e->msg) - 1);
    CHECK_EQ(strlen(e->name), sizeof(e->name) - 1);
    weft_fiber_set_name(NULL);
}

static void fail_with_the_old_record(void)
{
    (void)weft_fail(-EIO, "disk is on fire");
    (void)weft_fail(-EPROTO, "loading x: %s", weft_last_error()->msg);
    CHECK_STR(weft_last_error()->msg, "loading x: disk is on fire");
    (void)weft_fail(-EPROTO, "%s, again", weft_last_error()->msg);
    CHECK_STR(weft_last_error()->msg, "loading x: disk is on fire, again");
    CHECK_EQ(weft_last_error()->code, -EPROTO);
}

TEST(a_failure_may_tell_of_the_one_before)
{
    fail_with_the_old_record();
}

TEST_PLAIN(a_failure_may_tell_of_the_one_before_outside_a_fiber_too)
{
    fail_with_the_old_record();
}

TEST(weft_fail_leaves_errno_alone)
{
    errno = ENOTTY;
    (void)weft_fail(-EIO, "%d", 5);
    CHECK_EQ(errno, ENOTTY);
}

TEST(every_code_has_a_text)
{
    CHECK_STR(weft_strerror(-ECONNREFUSED), "Connection refused");
    CHECK(weft_strerror(0) != NULL);
    CHECK(weft_strerror(-99999) != NULL);
    CHECK(weft_strerror(INT_MIN) != NULL);
    CHECK(weft_strerror(5) != NULL);
}

/* --- groups --- */

static int opens_a_failing_group(void *arg)
{
    (void)arg;
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, fails_with_a_text, &(int){1}), 0);
    CHECK_EQ(weft_spawn(&n, fails_after_1_ms, NULL), 0);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, -EPROTO);
    return rc;
}

TEST(a_failure_that_came_out_of_a_group_carries_the_group)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, opens_a_failing_group, NULL), 0);
    CHECK_EQ(weft_spawn(&n, opens_a_failing_group, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);

    const weft_error *e = weft_last_error();
    for (int i = 0; i < 2; i++, e = e->next) {
        CHECK(e != NULL);
        CHECK_EQ(e->code, -EPROTO);
        const weft_error *inner = e->inner;
        CHECK(inner != NULL);
        CHECK_EQ(inner->code, -EPROTO);
        CHECK_STR(inner->msg, "bad frame length 1");
        CHECK(inner->next != NULL);
        CHECK_EQ(inner->next->code, -EIO);
        CHECK(inner->next->next == NULL);
        CHECK(inner->fiber != e->fiber);
    }
    CHECK(e == NULL);
}

static size_t print_error(int code, char *text, size_t len)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    weft_error_print(ends[1], code);
    (void)close(ends[1]);
    ssize_t n = read(ends[0], text, len - 1);
    (void)close(ends[0]);
    CHECK(n >= 0);
    text[n] = '\0';
    return (size_t)n;
}

TEST_FIFO(how_many_are_left_out_of_a_group_is_printed_at_its_end)
{
    static const char last[] = "... and 4 more\n";
    char text[8192];
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    int length = 41;
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_spawn(&n, fails_with_a_text, &length), 0);
    CHECK(weft_nursery_close(&n, 0) < 0);
    size_t len = print_error(weft_last_error()->code, text, sizeof text);
    CHECK(len > strlen(last));
    CHECK_STR(text + len - strlen(last), last);
    CHECK_PTR(strstr(text, "... and"), text + len - strlen(last));
}

TEST_FIFO(an_error_is_printed_with_its_record_and_its_group)
{
    char text[4096];
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, fails_with_a_text, &(int){41}), 0);
    CHECK_EQ(weft_spawn(&n, fails_with_a_text, &(int){42}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);
    CHECK(print_error(-EPROTO, text, sizeof(text)) > 0);
    const char *first = strstr(text, "bad frame length 41");
    CHECK(first != NULL);
    CHECK(strstr(first, "\n") && strstr(first, "bad frame length 42"));
    CHECK(strstr(first, "test_error.c:"));
    CHECK(strstr(first, weft_strerror(-EPROTO)));

    CHECK(print_error(-ENOENT, text, sizeof(text)) > 0); /* has no record */
    CHECK(strstr(text, "No such file"));
    CHECK(!strstr(text, "bad frame"));
}

/* --- the hook --- */

static int returns_out_of_a_block(void)
{
    int rc, length = 3;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, fails_with_a_text, &length), 0);
        return 0;
    }
    return rc;
}

TEST_FIFO(err_06_each_failure_that_nobody_receives_goes_to_the_hook_once)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(weft_spawn_copy(&n, fails_with_a_text, &i, sizeof(i)), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(unhandled, 5);
    CHECK_STR(unhandled_msg, "bad frame length 4");

    CHECK_EQ(returns_out_of_a_block(), 0);
    CHECK_EQ(unhandled, 6);
    CHECK_STR(unhandled_msg, "bad frame length 3");

    CHECK_EQ(weft_nursery_open(&n, NULL), 0); /* and what is received not */
    CHECK_EQ(weft_spawn(&n, fails_with_a_text, &(int){2}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);
    CHECK_EQ(unhandled, 6);
    weft_on_unhandled(NULL);
}

static int fails_with_eio(void *arg)
{
    (void)arg;
    return -EIO;
}

static int lost_codes;

static void note_lost(const weft_error *e)
{
    lost_codes += e->code;
}

static int returns_out_of_a_nursery(void)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, fails_with_eio, NULL), 0);
        return weft_fail(-EPROTO, "mine");
    }
    return rc;
}

TEST(a_return_out_of_a_block_keeps_the_record_of_what_it_returns)
{
    weft_on_unhandled(note_lost);
    CHECK_EQ(returns_out_of_a_nursery(), -EPROTO);
    weft_on_unhandled(NULL);
    CHECK(weft_last_error() != NULL);
    CHECK_EQ(weft_last_error()->code, -EPROTO);
    CHECK_STR(weft_last_error()->msg, "mine");
    CHECK_EQ(lost_codes, -EIO); /* and the child's has been told */
}
