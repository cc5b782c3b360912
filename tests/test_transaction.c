/* SPDX-License-Identifier: MIT */
/*
 * test_transaction.c - 0 commits, all else rolls back; and what becomes of the
 * connection. Number 103 of docs/PATTERNS.md.
 */
#include <weft/cpool.h>
#include <weft/error.h>
#include <weft/time.h>
#include <weft/transaction.h>

#include <errno.h>
#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "said.h"

/* A connection that says what is done to it: b, c, r, and x at its end. */
static struct {
    int begin, commit, rollback; /* what they return */
    weft_time takes;             /* each of them */
    int told; /* what the sleep in the last of them came to */
    bool open;
} db;

static int tells(char letter, int rc)
{
    db.told = db.takes ? weft_sleep(db.takes) : 0;
    if (db.told < 0) return db.told;
    say_letter(letter);
    return rc;
}

static int begins(void *conn, void *user)
{
    CHECK_PTR(conn, &db);
    (void)user;
    return tells('b', db.begin);
}

static int commits(void *conn, void *user)
{
    CHECK_PTR(conn, &db);
    (void)user;
    return tells('c', db.commit);
}

static int rolls_back(void *conn, void *user)
{
    CHECK_PTR(conn, &db);
    (void)user;
    int rc = tells('r', db.rollback);
    return rc < 0 ? weft_fail(rc, "no way back") : rc;
}

static const weft_transaction sql = {begins, commits, rolls_back, NULL,
                                     WEFT_SEC(2)};

static int opens(void **ret_conn, void *user)
{
    (void)user;
    *ret_conn = &db;
    db.open = true;
    return 0;
}

static void closes(void *conn, void *user)
{
    CHECK_PTR(conn, &db);
    (void)user;
    say_letter('x');
    db.open = false;
}

struct work {
    int rc;
    weft_time takes;
};

static int works(void *conn, void *arg)
{
    const struct work *w = arg;
    CHECK_PTR(conn, &db);
    say_letter('w');
    int err = w->takes ? weft_sleep(w->takes) : 0;
    if (err < 0) return err;
    return w->rc < 0 ? weft_fail(w->rc, "work") : w->rc;
}

/* In a pool of one: what was said before the pool's end, and the code. */
static int transact(const weft_transaction *t, struct work w, weft_time limit,
                    bool *ret_kept)
{
    const weft_cpool_opts o = {.open = opens, .close = closes, .size = 1};
    weft_cpool p;
    int rc, result = 0;
    said[0] = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_cpool_open(&p, &n, &o), 0);
        WEFT_FAIL_AFTER(result, limit) {
            result = weft_transact(&p, t, works, &w);
        }
        *ret_kept = db.open;
        CHECK_EQ(weft_cpool_close(&p, 0), 0);
        if (*ret_kept) said[strlen(said) - 1] = 0;
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    return result;
}

static void check(struct work w, int want, const char *want_said, bool kept)
{
    bool was_kept;
    CHECK_EQ(transact(&sql, w, WEFT_SEC(60), &was_kept), want);
    CHECK_STR(said, want_said);
    CHECK_EQ(was_kept, kept);
}

TEST(pattern_103_what_returns_0_is_committed)
{
    check((struct work){0}, 0, "bwc", true);
}

TEST(pattern_103_what_fails_is_rolled_back_and_its_code_is_kept)
{
    check((struct work){.rc = -EDOM}, -EDOM, "bwr", true);
    CHECK_EQ(weft_last_error()->code, -EDOM);
}

TEST(pattern_103_a_result_above_0_is_rolled_back_too)
{
    check((struct work){.rc = 3}, 3, "bwr", true);
}

TEST(pattern_103_what_is_cancelled_is_rolled_back_behind_a_shield)
{
    bool kept;
    db.takes = WEFT_MSEC(100);
    struct work w = {.takes = WEFT_SEC(9)};
    CHECK_EQ(transact(&sql, w, WEFT_SEC(1), &kept), -ETIMEDOUT);
    CHECK_STR(said, "bwr");
    CHECK_EQ(kept, true);
    CHECK_EQ(db.told, 0);
}

TEST(pattern_103_a_rollback_that_fails_costs_the_connection_and_not_the_code)
{
    db.rollback = -EPIPE;
    check((struct work){.rc = -EDOM}, -EDOM, "bwrx", false);
}

TEST(a_rollback_that_is_not_answered_is_cut_off_by_the_grace)
{
    bool kept;
    static const weft_transaction slow = {NULL, commits, rolls_back, NULL,
                                          WEFT_SEC(2)};
    db.takes = WEFT_SEC(9);
    weft_time start = weft_now();
    struct work w = {.rc = -EDOM};
    CHECK_EQ(transact(&slow, w, WEFT_SEC(60), &kept), -EDOM);
    CHECK_EQ(weft_now() - start, WEFT_SEC(2));
    CHECK_STR(said, "wx");
    CHECK_EQ(kept, false);
}

TEST(a_failed_begin_calls_nothing_else_and_costs_the_connection)
{
    db.begin = -EBUSY;
    const weft_cpool_opts o = {.open = opens, .close = closes, .size = 1};
    weft_cpool p;
    struct work w = {0};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_cpool_open(&p, &n, &o), 0);
        CHECK_EQ(weft_transact(&p, &sql, works, &w), -EBUSY);
        CHECK_STR(said, "bx");
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(what_was_done_is_committed_also_when_the_time_is_up)
{
    bool kept;
    struct work w = {.takes = WEFT_SEC(1)};
    db.takes = WEFT_SEC(1);
    static const weft_transaction no_begin = {NULL, commits, rolls_back, NULL,
                                              WEFT_SEC(5)};
    CHECK_EQ(transact(&no_begin, w, WEFT_MSEC(1500), &kept), 0);
    CHECK_STR(said, "wc");
    CHECK_EQ(kept, true);
}

TEST(a_commit_that_fails_is_rolled_back_and_told)
{
    db.commit = -EAGAIN;
    bool kept = false;
    struct work w = {0};
    const weft_cpool_opts o = {.open = opens, .close = closes, .size = 1};
    weft_cpool p;
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_cpool_open(&p, &n, &o), 0);
        CHECK_EQ(weft_transact(&p, &sql, works, &w), -EAGAIN);
        kept = db.open;
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(kept, true);
    CHECK_STR(said, "bwcrx");
}

TEST(of_a_commit_that_is_not_answered_nothing_is_known)
{
    bool kept;
    static const weft_transaction slow = {NULL, commits, rolls_back, NULL,
                                          WEFT_SEC(2)};
    db.takes = WEFT_SEC(9);
    weft_time start = weft_now();
    CHECK_EQ(transact(&slow, (struct work){0}, WEFT_SEC(60), &kept),
             -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_SEC(2));
    CHECK_STR(said, "wx");
    CHECK_EQ(kept, false);
}

static int commits_by_a_driver(void *conn, void *user)
{
    return commits(conn, user) < 0 ? -EIO : 0;
}

TEST(a_commit_that_was_cut_off_is_not_known_whatever_its_driver_says)
{
    bool kept;
    static const weft_transaction slow = {NULL, commits_by_a_driver, rolls_back,
                                          NULL, WEFT_SEC(2)};
    db.takes = WEFT_SEC(9);
    CHECK_EQ(transact(&slow, (struct work){0}, WEFT_SEC(60), &kept),
             -ETIMEDOUT);
    CHECK_STR(said, "wx");
    CHECK_EQ(kept, false);
}

TEST(one_on_a_connection_of_ones_own_says_whether_it_can_be_used_again)
{
    bool usable = false;
    struct work good = {0}, bad = {.rc = -EDOM};
    CHECK_EQ(weft_transact_on(&db, &sql, works, &good, &usable), 0);
    CHECK_EQ(usable, true);
    db.rollback = -EIO;
    CHECK_EQ(weft_transact_on(&db, &sql, works, &bad, &usable), -EDOM);
    CHECK_EQ(usable, false);
    CHECK_EQ(weft_transact_on(&db, &sql, works, &bad, NULL), -EDOM);
    db.begin = -EIO;
    usable = true;
    CHECK_EQ(weft_transact_on(&db, &sql, works, &good, &usable), -EIO);
    CHECK_EQ(usable, false);
}

TEST(one_that_is_cancelled_before_it_begins_does_nothing)
{
    bool usable = false;
    struct work good = {0};
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_transact_on(&db, &sql, works, &good, &usable), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(usable, true);
    CHECK_STR(said, "");
}
