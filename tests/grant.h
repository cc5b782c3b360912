/* SPDX-License-Identifier: MIT */
/*
 * grant.h - grant versus cancel: every rule tried on everything that waits.
 *
 *     static const struct grant_row rows[] = {
 *         {.name = "semaphore", .setup = no_permit, .wait = acquires,
 *          .grant = releases, .left = counts_permits, .tries = true},
 *     };
 *     GRANT_TESTS(rows)
 *
 * is a test for each column of the table, in which each row is one primitive:
 * how to wait for it, how to make the wait come true, and how to see what
 * there is left. What a row says is what the headers promise; the columns are
 * the rules of cancellation. A cell that makes no sense is left out by a reason
 * in the row.
 *
 * Waiters enter one after the other, so that their line is the same whatever
 * the order of ready fibers. In every cell what was granted is counted: each
 * grant was given to one waiter, or is there when all have ended.
 */
#ifndef TESTS_GRANT_H
#define TESTS_GRANT_H

#include <weft/event.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include "harness.h"

enum grant_column {
    GRANTED_THEN_CANCELLED,
    CANCELLED_THEN_GRANTED,
    DEADLINE_AT_THE_GRANT,
    CANCELLED_AT_THE_ENTRY,
    SHIELDED,
    HEAD_CANCELLED,
    ALL_BUT_ONE_CANCELLED,
    NURSERY_CANCELLED,
    CANCELLED_TWICE,
    TASK_CANCELLED,
    NO_BARGING,
    WITH_ANOTHER, /* no column: those cells of all that take two waiters */
    GRANT_COLUMNS
};

/** When the waiter has been granted what it waits for. */
enum grant_pace {
    AT_ONCE,       /* when `grant` returns */
    BY_A_FIBER,    /* when a fiber that `grant` made ready has run */
    BY_THE_KERNEL, /* when the descriptor has been polled */
    BY_TIME        /* the n-th of a cell at grant_moment(n); `grant` is NULL */
};

/** Who gets it, and what stays. */
enum grant_share {
    TO_THE_FIRST, /* one waiter, who uses it up */
    HANDED_ON,    /* one waiter, and the next when that one has undone it; the
                     second grant of a cell is nothing to do */
    TO_ALL        /* everybody, now and later: no line that one could pass */
};

struct grant_waiter {
    int place;               /* in line, from 0 */
    int result, next, ended; /* of the wait, the next cancel point, the scope */
    int turn;                /* 1 for the first whose wait has returned */
    bool shielded;
    weft_time deadline; /* 0: none */
    weft_scope scope, shield;
    weft_task task;
    weft_reason reason; /* as the waiter saw it after its wait */
    /* For the adapters. */
    int item;
    void *value;
    weft_event release;
    char octets[16];
};

struct grant_row {
    const char *name;
    void (*setup)(void);
    int (*wait)(struct grant_waiter *w);
    void (*grant)(void);
    int (*left)(void); /* takes the grants that are there, and counts them;
                          NULL: what nobody waits for is lost */
    void (*undo)(struct grant_waiter *w); /* by a waiter that was granted */
    void (*finish)(void);
    /* What main has to hold when it grants, and cannot while others run. */
    void (*hold)(void), (*let_go)(void);
    int want; /* what a granted wait returns */
    enum grant_pace pace;
    enum grant_share share;
    bool tries;         /* `left` is no cancel point */
    bool uncancellable; /* the wait is no cancel point */
    const char *without[GRANT_COLUMNS];
};

/** For `without`: there can be one waiter at a time, because. */
#define GRANT_ALONE(why)                                                       \
    [WITH_ANOTHER] = why, [HEAD_CANCELLED] = why,                              \
    [ALL_BUT_ONE_CANCELLED] = why, [NO_BARGING] = why

void grant_check(const struct grant_row *rows, size_t n, enum grant_column c);

/** The moment of the n-th grant by time, from 1, of this cell. */
weft_time grant_moment(int n);

/** For what grants: fn(arg) in a fiber that lives until the end of the cell. */
void grant_spawn(weft_fn fn, void *arg);

/** How often fn() returns 1 without waiting for long: for `left`. */
int grant_count(int (*fn)(void));

#define GRANT_TESTS(rows)                                                      \
    GRANT_TEST_(rows, GRANTED_THEN_CANCELLED,                                  \
                grt_01_a_grant_survives_a_cancel_in_the_same_turn)             \
    GRANT_TEST_(rows, CANCELLED_THEN_GRANTED,                                  \
                grt_02_what_comes_after_a_cancel_is_for_the_next_in_line)      \
    GRANT_TEST_(rows, DEADLINE_AT_THE_GRANT,                                   \
                grt_03_of_one_moment_completions_win_and_then_deadlines)       \
    GRANT_TEST_(rows, CANCELLED_AT_THE_ENTRY,                                  \
                grt_04_who_enters_cancelled_takes_nothing_that_is_there)       \
    GRANT_TEST_(rows, SHIELDED,                                                \
                grt_05_a_shielded_waiter_is_cancelled_after_its_shield)        \
    GRANT_TEST_(rows, HEAD_CANCELLED,                                          \
                grt_06_a_cancelled_head_leaves_its_place_to_the_second)        \
    GRANT_TEST_(rows, ALL_BUT_ONE_CANCELLED,                                   \
                grt_07_the_granter_may_cancel_all_but_one)                     \
    GRANT_TEST_(rows, NURSERY_CANCELLED,                                       \
                grt_08_a_cancelled_nursery_takes_nothing_back)                 \
    GRANT_TEST_(rows, CANCELLED_TWICE,                                         \
                grt_09_of_two_cancels_the_first_is_the_reason)                 \
    GRANT_TEST_(rows, TASK_CANCELLED, grt_10_a_task_is_cancelled_alone)        \
    GRANT_TEST_(rows, NO_BARGING,                                              \
                grt_11_who_comes_after_a_cancel_stands_behind_the_line)

#define GRANT_TEST_(rows, column, id)                                          \
    TEST(id)                                                                   \
    {                                                                          \
        grant_check(rows, sizeof(rows) / sizeof(rows)[0], column);             \
    }

#endif
