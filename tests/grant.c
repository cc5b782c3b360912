/* SPDX-License-Identifier: MIT */
/*
 * grant.c - the columns of the table of grants against cancellations.
 *
 * The fiber of the test is the granter and the canceller. The waiters are the
 * children of one nursery; what helps with the granting lives in another one
 * around it, opened before the row's own objects and closed after them.
 *
 * After its wait a waiter sleeps for a moment. That is its next cancel point,
 * and there it is still to be found by a cancellation that comes when it has
 * run already: then both orders of ready fibers have one outcome.
 */
#include "grant.h"

#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/testing.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PERIOD WEFT_MSEC(100)

enum { MOST = 4, CODE = -EPROTO };

static struct {
    const struct grant_row *row;
    const char *text;
    weft_nursery helpers, waiters;
    struct grant_waiter w[MOST];
    int spawned, grants, turns;
    bool held;
    weft_time start;
} cell;

static void is(int line, const char *what, long long got, long long want)
{
    if (got == want) return;
    test_fail(__FILE__, line, "%s, %s: %s is %lld, not %lld", cell.row->name,
              cell.text, what, got, want);
}

#define IS(got, want) is(__LINE__, #got, (long long)(got), (long long)(want))

/* ---- the cell ----------------------------------------------------------- */

weft_time grant_moment(int n)
{
    return cell.start + n * PERIOD;
}

void grant_spawn(weft_fn fn, void *arg)
{
    const weft_spawn_opts o = {.name = "helper"};
    IS(weft_spawn_ex(&cell.helpers, fn, arg, &o), 0);
}

int grant_count(int (*fn)(void))
{
    int n = 0, rc;
    do {
        WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1)) {
            rc = fn();
        }
        n += rc == 1;
    } while (rc == 1);
    return n;
}

static void hold(bool on)
{
    if (on == cell.held) return;
    cell.held = on;
    void (*change)(void) = on ? cell.row->hold : cell.row->let_go;
    if (change) change();
}

static void begin(const struct grant_row *row, const char *text)
{
    /* Shown when a test fails by itself, or hangs. */
    (void)fprintf(stderr, "%s, %s\n", row->name, text);
    memset(&cell, 0, sizeof cell);
    cell.row = row;
    cell.text = text;
    cell.start = weft_now();
    IS(weft_nursery_open(&cell.helpers, NULL), 0);
    row->setup();
    IS(weft_test_settle(), 0); /* its helpers are where they wait */
    IS(weft_nursery_open(&cell.waiters, NULL), 0);
}

static bool was_granted(const struct grant_waiter *w)
{
    return w->turn && w->result == cell.row->want;
}

static void settle(void)
{
    bool again = cell.held && cell.row->let_go;
    if (again) hold(false);
    IS(weft_test_settle(), 0);
    if (again) hold(true);
}

static void check_what_is_left(void)
{
    int granted = 0;
    for (int i = 0; i < cell.spawned; i++) {
        granted += was_granted(&cell.w[i]);
        if (!was_granted(&cell.w[i])) IS(cell.w[i].result, -ECANCELED);
    }
    if (!cell.row->left || !cell.grants) return;
    int left = cell.row->left();
    IS(left, cell.row->share == TO_THE_FIRST ? cell.grants - granted : 1);
}

/* All waiters have been granted or cancelled; close returns `rc`. */
static void end(int rc)
{
    hold(false);
    IS(weft_nursery_close(&cell.waiters, 0), rc);
    settle(); /* what they have undone has come to its end */
    check_what_is_left();
    if (cell.row->finish) cell.row->finish();
    weft_nursery_cancel(&cell.helpers, 0, NULL);
    IS(weft_nursery_close(&cell.helpers, 0), 0);
}

/* ---- a waiter ----------------------------------------------------------- */

static int wait_in_a_shield(struct grant_waiter *w)
{
    weft_scope_init(&w->shield);
    IS(weft_scope_begin(&w->shield), 0);
    weft_scope_set_shield(&w->shield, true);
    int rc = cell.row->wait(w);
    IS(weft_scope_end(&w->shield, rc), rc);
    return rc;
}

static int waits(void *arg)
{
    struct grant_waiter *w = arg;
    IS(w->deadline ? weft_scope_begin_at(&w->scope, w->deadline, WEFT_FAIL)
                   : weft_scope_begin(&w->scope),
       0);
    w->result = w->shielded ? wait_in_a_shield(w) : cell.row->wait(w);
    w->turn = ++cell.turns;
    w->next = weft_sleep(WEFT_MSEC(1));
    if (weft_cancel_reason()) w->reason = *weft_cancel_reason();
    if (was_granted(w) && cell.row->undo) cell.row->undo(w);
    w->ended = weft_scope_end(&w->scope, w->next);
    return w->ended == -ECANCELED ? -ECANCELED : 0;
}

static struct grant_waiter *new_waiter(void)
{
    CHECK(cell.spawned < MOST);
    struct grant_waiter *w = &cell.w[cell.spawned];
    w->place = cell.spawned++;
    weft_scope_init(&w->scope);
    return w;
}

static void start(struct grant_waiter *w)
{
    const weft_spawn_opts o = {.name = "waiter", .task = &w->task};
    IS(weft_spawn_ex(&cell.waiters, waits, w, &o), 0);
}

static struct grant_waiter *park(struct grant_waiter *w)
{
    start(w);
    settle();
    IS(w->turn, 0);
    return w;
}

static struct grant_waiter *park_one(void)
{
    return park(new_waiter());
}

static void cancel(struct grant_waiter *w)
{
    weft_scope_cancel(&w->scope, CODE, "the first");
}

static void is_waiting(const struct grant_waiter *w)
{
    IS(w->turn, 0);
}

static void has(const struct grant_waiter *w)
{
    IS(w->turn > 0, true);
    IS(w->result, cell.row->want);
}

static void has_nothing(const struct grant_waiter *w)
{
    IS(w->turn > 0, true);
    IS(w->result, cell.row->uncancellable ? cell.row->want : -ECANCELED);
}

/* After either of these: it was told of the cancellation, by cancel(). */
static void was_told(const struct grant_waiter *w)
{
    IS(w->next, -ECANCELED);
    IS(w->ended, CODE);
    IS(weft_scope_caught(&w->scope), true);
    IS(w->reason.kind, WEFT_R_EXPLICIT);
    IS(w->reason.code, CODE);
    IS(w->reason.by, weft_fiber_id());
    CHECK_STR(w->reason.why, "the first");
}

/* ---- granting ----------------------------------------------------------- */

static void grant(void)
{
    cell.grants++;
    if (cell.row->pace == BY_TIME) {
        IS(weft_sleep_until(grant_moment(cell.grants)), 0);
        return;
    }
    cell.row->grant();
    cell.held = false;
}

static weft_fd bell[2];

static int rings_and_grants(void *arg)
{
    (void)arg;
    IS(weft_try_write(bell[1], "", 1), 1);
    grant();
    return 0;
}

/* Wakes by the same poll as the waiter. */
static void grant_and_be_polled(void)
{
    char octet;
    int fds[2];
    IS(pipe(fds), 0);
    IS(weft_fd_adopt(fds[0], &bell[0]), 0);
    IS(weft_fd_adopt(fds[1], &bell[1]), 0);
    grant_spawn(rings_and_grants, NULL);
    IS(weft_read(bell[0], &octet, 1), 1);
    IS(weft_close(bell[0]), 0);
    IS(weft_close(bell[1]), 0);
}

/* When it returns the first waiter has been granted; in line it has not run. */
static void grant_and_pass(void)
{
    if (cell.row->pace == BY_THE_KERNEL) {
        grant_and_be_polled();
        return;
    }
    grant();
    if (cell.row->pace == BY_A_FIBER) IS(weft_yield(), 0);
}

static void grant_and_settle(void)
{
    hold(true);
    grant();
    settle();
}

/* ---- 1: granted, then cancelled ----------------------------------------- */

/* Goes to sleep before the waiter does, and so is in line before it. */
static int cancels_at_the_moment(void *arg)
{
    IS(weft_sleep_until(grant_moment(1)), 0);
    weft_scope_cancel(arg, CODE, "the first");
    return 0;
}

static void granted_then_cancelled(const struct grant_row *row)
{
    begin(row, "granted, then cancelled");
    struct grant_waiter *w = new_waiter();
    if (row->pace == BY_TIME) {
        grant_spawn(cancels_at_the_moment, &w->scope);
        settle();
    }
    park(w);
    hold(true);
    grant_and_pass();
    if (row->pace <= BY_A_FIBER && !test_order()) is_waiting(w);
    cancel(w);
    settle();
    has(w);
    IS(w->next, -ECANCELED);
    IS(w->ended, CODE);
    end(0);
}

/* ---- 2: cancelled, then granted ----------------------------------------- */

static void cancelled_then_granted(const struct grant_row *row)
{
    begin(row, "cancelled, then granted, alone");
    struct grant_waiter *w = park_one();
    hold(true);
    cancel(w);
    grant();
    settle();
    has_nothing(w);
    was_told(w);
    end(0);

    if (row->without[WITH_ANOTHER]) return;
    begin(row, "cancelled, then granted, before another");
    w = park_one();
    struct grant_waiter *next = park_one();
    hold(true);
    cancel(w);
    grant();
    settle();
    has_nothing(w);
    was_told(w);
    if (!row->uncancellable) has(next);
    end(0);
}

/* ---- 3: a deadline of the same moment ----------------------------------- */

static void deadline_at_the_grant_if(const struct grant_row *row,
                                     bool granter_first, bool another)
{
    begin(row, granter_first ? "a deadline, armed after the granter"
                             : "a deadline, armed before the granter");
    struct grant_waiter *next = NULL, *w = new_waiter();
    w->deadline = grant_moment(1);
    start(w);
    if (!granter_first) settle();
    if (another) start(next = new_waiter());
    if (!granter_first) settle();

    IS(weft_sleep_until(grant_moment(1)), 0);
    grant();
    IS(weft_sleep(WEFT_MSEC(10)), 0);
    if (row->pace == BY_TIME) {
        has(w);
    } else {
        has_nothing(w);
    }
    IS(w->next, -ECANCELED);
    IS(w->ended, -ETIMEDOUT);
    IS(w->reason.kind, WEFT_R_DEADLINE);
    IS(w->reason.at, grant_moment(1));
    if (next && row->pace != BY_TIME) has(next);
    if (next && row->pace == BY_TIME) cancel(next);
    end(0);
}

static void deadline_at_the_grant(const struct grant_row *row)
{
    for (int i = 0; i < 4; i++) {
        bool granter_first = i % 2, another = i / 2;
        if (another && row->without[WITH_ANOTHER]) continue;
        /* Two that enter together have no line, and need it here. */
        if (another && granter_first && row->pace == BY_TIME) continue;
        deadline_at_the_grant_if(row, granter_first, another);
    }
}

/* ---- 4: cancelled at the entry ------------------------------------------ */

static void enter_cancelled(const struct grant_row *row, bool there)
{
    begin(row, there ? "cancelled at the entry" : "cancelled before there is");
    if (there) grant_and_pass();
    settle();
    struct grant_waiter *w = new_waiter();
    cancel(w);
    start(w);
    if (!there) grant();
    settle();
    has_nothing(w);
    was_told(w);
    end(0);
}

static void take_without_waiting(const struct grant_row *row)
{
    weft_scope s;
    begin(row, "taken without waiting, by one who is cancelled");
    grant_and_pass();
    settle();
    weft_scope_init(&s);
    IS(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, 0, NULL);
    IS(row->left(), 1);
    IS(weft_scope_end(&s, weft_checkpoint()), 0);
    cell.grants = 0; /* it has been counted */
    end(0);
}

static void cancelled_at_the_entry(const struct grant_row *row)
{
    enter_cancelled(row, true);
    enter_cancelled(row, false);
    if (row->tries) take_without_waiting(row);
}

/* ---- 5: shielded -------------------------------------------------------- */

enum unshielding { NEVER, BEFORE_THE_GRANT, AFTER_THE_GRANT };

static void in_a_shield(const struct grant_row *row, enum unshielding when)
{
    static const char *const texts[] = {"shielded",
                                        "unshielded before the grant",
                                        "unshielded after the grant"};
    begin(row, texts[when]);
    struct grant_waiter *w = new_waiter();
    w->shielded = true;
    park(w);
    cancel(w);
    settle();
    is_waiting(w);
    hold(true);
    if (when == BEFORE_THE_GRANT) weft_scope_set_shield(&w->shield, false);
    grant_and_pass();
    if (when == AFTER_THE_GRANT) weft_scope_set_shield(&w->shield, false);
    settle();
    if (when == BEFORE_THE_GRANT) {
        has_nothing(w);
    } else {
        has(w);
    }
    was_told(w);
    end(0);
}

static void shielded(const struct grant_row *row)
{
    in_a_shield(row, NEVER);
    in_a_shield(row, BEFORE_THE_GRANT);
    /* Who has run has no shield any more. */
    if (row->pace == AT_ONCE) in_a_shield(row, AFTER_THE_GRANT);
}

/* ---- 6: the head of the line is cancelled ------------------------------- */

static void head_cancelled(const struct grant_row *row)
{
    begin(row, "the head cancelled");
    struct grant_waiter *w = park_one(), *next = park_one();
    cancel(w);
    settle();
    has_nothing(w);
    was_told(w);
    is_waiting(next);
    grant_and_settle();
    has(next);
    end(0);
}

/* ---- 7: all but one are cancelled --------------------------------------- */

static void park_all(void)
{
    while (cell.spawned < MOST)
        (void)park_one();
}

static void cancel_all_but(int survivor)
{
    for (int i = 0; i < MOST; i++) {
        if (i != survivor) cancel(&cell.w[i]);
    }
}

static void cancel_others_then_grant(const struct grant_row *row, int survivor)
{
    begin(row, "all but one cancelled, then granted");
    park_all();
    hold(true);
    cancel_all_but(survivor);
    grant();
    settle();
    for (int i = 0; i < MOST; i++) {
        if (i == survivor) continue;
        has_nothing(&cell.w[i]);
        was_told(&cell.w[i]);
    }
    has(&cell.w[survivor]);
    end(0);
}

static void grant_then_cancel_others(const struct grant_row *row, int survivor)
{
    begin(row, "granted, then all but one cancelled");
    park_all();
    hold(true);
    grant_and_pass();
    cancel_all_but(survivor);
    settle();
    has(&cell.w[0]);
    for (int i = 1; i < MOST; i++) {
        if (row->share == TO_ALL) {
            has(&cell.w[i]);
        } else if (i != survivor) {
            has_nothing(&cell.w[i]);
        }
    }
    if (row->share == TO_THE_FIRST && survivor > 0) {
        is_waiting(&cell.w[survivor]);
        grant_and_settle();
        has(&cell.w[survivor]);
    }
    end(0);
    has(&cell.w[survivor]);
}

static void all_but_one_cancelled(const struct grant_row *row)
{
    for (int i = 0; i < MOST; i++) {
        cancel_others_then_grant(row, i);
        grant_then_cancel_others(row, i);
    }
}

/* ---- 8: the nursery is cancelled ---------------------------------------- */

static void nursery_cancelled(const struct grant_row *row)
{
    begin(row, "granted, then its nursery cancelled");
    struct grant_waiter *w = park_one(), *next = NULL;
    if (!row->without[WITH_ANOTHER]) next = park_one();
    hold(true);
    grant_and_pass();
    weft_nursery_cancel(&cell.waiters, CODE, "all");
    end(CODE);
    has(w);
    IS(w->next, -ECANCELED);
    IS(w->ended, -ECANCELED);
    IS(w->reason.code, CODE);
    CHECK_STR(w->reason.why, "all");
    if (!next) return;
    IS(next->next, -ECANCELED);
    if (row->share == TO_ALL) {
        has(next);
    } else {
        has_nothing(next);
    }
}

/* ---- 9: cancelled twice ------------------------------------------------- */

enum { NOT_GRANTED = 3 };

/* The place of the grant among two cancellations. */
static void cancel_twice(const struct grant_row *row, int place)
{
    static const char *const texts[] = {
        "granted, cancelled twice", "cancelled, granted, and cancelled",
        "cancelled twice, granted", "cancelled twice"};
    begin(row, texts[place]);
    struct grant_waiter *w = park_one();
    hold(true);
    if (place == 0) grant_and_pass();
    weft_time at = weft_now();
    cancel(w);
    if (place == 1 && row->pace != BY_TIME) grant();
    weft_scope_cancel(&w->scope, -EIO, "the second");
    if (place == 2) grant();
    settle();
    if (place == NOT_GRANTED && row->uncancellable) grant_and_settle();
    if (place == 0) {
        has(w);
    } else {
        has_nothing(w);
    }
    was_told(w);
    IS(w->reason.at, at);
    end(0);
}

static void cancel_inside_then_outside(const struct grant_row *row)
{
    begin(row, "cancelled, and its nursery too");
    struct grant_waiter *w = park_one();
    hold(true);
    cancel(w);
    if (row->pace != BY_TIME) grant();
    weft_nursery_cancel(&cell.waiters, -EIO, "the outer");
    end(-EIO);
    has_nothing(w);
    IS(w->next, -ECANCELED);
    IS(w->ended, -ECANCELED);
    IS(weft_scope_caught(&w->scope), false);
    IS(w->reason.code, -EIO);
    CHECK_STR(w->reason.why, "the outer");
    IS(weft_scope_reason(&w->scope)->code, CODE);
}

static void cancelled_twice(const struct grant_row *row)
{
    for (int place = 0; place <= NOT_GRANTED; place++)
        cancel_twice(row, place);
    cancel_inside_then_outside(row);
}

/* ---- 10: one task is cancelled ------------------------------------------ */

static void was_cancelled_alone(struct grant_waiter *w)
{
    weft_outcome out;
    IS(weft_join(&w->task, &out), 0);
    IS(out.status, WEFT_CANCELLED);
    IS(out.rc, -ECANCELED);
    IS(w->next, -ECANCELED);
    IS(w->ended, -ECANCELED);
    IS(w->reason.kind, WEFT_R_EXPLICIT);
    IS(w->reason.code, CODE);
    IS(w->reason.by, weft_fiber_id());
    CHECK_STR(w->reason.why, "this one");
}

static void cancel_task(struct grant_waiter *w)
{
    weft_task_cancel(&w->task, CODE, "this one");
}

static void task_cancelled(const struct grant_row *row)
{
    begin(row, "granted, then its task cancelled");
    struct grant_waiter *w = park_one();
    hold(true);
    grant_and_pass();
    cancel_task(w);
    settle();
    has(w);
    was_cancelled_alone(w);
    end(0);

    begin(row, "its task cancelled, then granted");
    w = park_one();
    struct grant_waiter *next = NULL;
    if (!row->without[WITH_ANOTHER]) next = park_one();
    hold(true);
    cancel_task(w);
    grant();
    settle();
    has_nothing(w);
    was_cancelled_alone(w);
    if (next && !row->uncancellable) has(next);
    end(0);
}

/* ---- 11: nobody passes the line ----------------------------------------- */

/* What is promised to those in line is not to be had by others. */
static void is_not_to_be_had(void)
{
    if (cell.row->tries && cell.row->pace == AT_ONCE) IS(cell.row->left(), 0);
}

static void barge(const struct grant_row *row, bool enters_before_the_grant)
{
    begin(row, enters_before_the_grant ? "one comes between cancel and grant"
                                       : "one comes after cancel and grant");
    struct grant_waiter *w = park_one(), *next = park_one();
    struct grant_waiter *late = new_waiter();
    hold(true);
    cancel(w);
    is_not_to_be_had();
    start(late);
    if (enters_before_the_grant) settle();
    grant();
    is_not_to_be_had();
    settle();
    has_nothing(w);
    has(next);
    if (row->share == TO_THE_FIRST) {
        is_waiting(late);
        grant_and_settle();
    }
    end(0);
    has(late);
    CHECK(next->turn < late->turn);
}

static void no_barging(const struct grant_row *row)
{
    barge(row, true);
    barge(row, false);
}

/* ---- the table ---------------------------------------------------------- */

void grant_check(const struct grant_row *rows, size_t n, enum grant_column c)
{
    static void (*const columns[])(const struct grant_row *) = {
        [GRANTED_THEN_CANCELLED] = granted_then_cancelled,
        [CANCELLED_THEN_GRANTED] = cancelled_then_granted,
        [DEADLINE_AT_THE_GRANT] = deadline_at_the_grant,
        [CANCELLED_AT_THE_ENTRY] = cancelled_at_the_entry,
        [SHIELDED] = shielded,
        [HEAD_CANCELLED] = head_cancelled,
        [ALL_BUT_ONE_CANCELLED] = all_but_one_cancelled,
        [NURSERY_CANCELLED] = nursery_cancelled,
        [CANCELLED_TWICE] = cancelled_twice,
        [TASK_CANCELLED] = task_cancelled,
        [NO_BARGING] = no_barging};
    for (size_t i = 0; i < n; i++) {
        bool no_line = c == NO_BARGING && rows[i].share == TO_ALL;
        if (!no_line && !rows[i].without[c]) columns[c](&rows[i]);
    }
}
