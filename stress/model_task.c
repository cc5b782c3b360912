/* SPDX-License-Identifier: MIT */
/*
 * model_task.c - who has ended, how, and who waits for that: of one task, or of
 * several.
 */
#include <string.h>

#include "stress/stress.h"

enum { MANY = 3 };

static struct {
    weft_outcome outcome; /* the latest end */
    struct line line;     /* of those who join; n: whether for many */
} t[ACTORS];

/* What an actor waits for. */
static struct {
    weft_wait_mode mode;
    int whom[MANY], n;
    int done; /* of these */
    bool failed;
    weft_outcome outcome;
} joins[ACTORS];

static void open(void)
{
    memset(t, 0, sizeof t);
}

bool task_has_ended(int who)
{
    return !actors[who].alive;
}

struct line *task_line(int who)
{
    return &t[who].line;
}

/* One of those that it waits for has ended. Its successor, with the same task,
 * may be there before the next one ends. */
static void counts(int who, int whom)
{
    joins[who].done++;
    joins[who].failed |= t[whom].outcome.status == WEFT_FAILED;
}

static bool has_enough(int who)
{
    weft_wait_mode mode = joins[who].mode;
    return joins[who].done == joins[who].n ||
           (mode == WEFT_FIRST_DONE && joins[who].done > 0) ||
           (mode == WEFT_FIRST_ERROR && joins[who].failed);
}

static void leaves_lines(int who)
{
    for (int i = 0; i < ACTORS; i++)
        (void)line_leave(&t[i].line, who);
}

static void act_wait(struct actor *a)
{
    int me = a->number;
    weft_task *list[MANY];
    joins[me].done = 0;
    joins[me].failed = false;
    joins[me].mode = (weft_wait_mode)below(3);
    joins[me].n = 1 + below(MANY);
    for (int i = 0; i < joins[me].n; i++) {
        int whom = below(ACTORS);
        if (whom == me) return;
        joins[me].whom[i] = whom;
        list[i] = &actors[whom].task;
    }
    step(a, "waits for tasks %d and %d others, mode %d", joins[me].whom[0],
         joins[me].n - 1, (int)joins[me].mode);
    for (int i = 0; i < joins[me].n; i++)
        if (task_has_ended(joins[me].whom[i])) counts(me, joins[me].whom[i]);
    if (is_refused(a)) {
        /* even if they have ended */
    } else if (!has_enough(me)) {
        waits(a, &tasks, 0);
        for (int i = 0; i < joins[me].n; i++)
            if (!task_has_ended(joins[me].whom[i]))
                line_append(&t[joins[me].whom[i]].line,
                            (struct place){me, PLAIN, 1});
    }
    int got =
        weft_wait(list, (size_t)joins[me].n, joins[me].mode, WEFT_FOREVER);
    leaves_lines(me);
    /* Those that ended after it was granted count too. */
    if (a->expected == GOES_ON) a->expected = joins[me].done;
    (void)returned(a, got);
}

static void act(struct actor *a)
{
    int whom = below(ACTORS);
    weft_outcome out = {WEFT_OK, 0, NULL};
    if (one_in(2)) {
        act_wait(a);
        return;
    }
    if (whom == a->number && !may_err()) return;
    step(a, "joins actor %d", whom);
    if (is_refused(a)) {
        /* even if it has ended */
    } else if (whom == a->number) {
        a->expected = -EDEADLK;
    } else if (task_has_ended(whom)) {
        a->expected = 0;
        joins[a->number].outcome = t[whom].outcome;
    } else {
        waits(a, &tasks, whom);
        line_append(&t[whom].line, (struct place){a->number, PLAIN, 0});
    }
    if (returned(a, weft_join(&actors[whom].task, &out)) < 0) return;
    const weft_outcome *want = &joins[a->number].outcome;
    same("status of joined actor", whom, out.status, want->status);
    same("result of joined actor", whom, out.rc, want->rc);
}

static void ended(struct actor *a)
{
    int me = a->number, rc = a->rc;
    t[me].outcome.rc = rc;
    t[me].outcome.status = rc == 0            ? WEFT_OK
                           : rc == -ECANCELED ? WEFT_CANCELLED
                                              : WEFT_FAILED;
    a->alive = false;
    while (t[me].line.length > 0) {
        struct place p = line_first(&t[me].line);
        struct actor *who = &actors[p.who];
        if (p.at == PLAIN && p.n) {
            counts(p.who, me);
            if (who->expected == WAITS && has_enough(p.who))
                grants(who, GOES_ON);
            continue;
        }
        if (p.at == PLAIN) joins[p.who].outcome = t[me].outcome;
        happens(p, 0);
    }
}

static bool leave(struct actor *a)
{
    leaves_lines(a->number);
    return true;
}

const struct kind tasks = {
    .name = "task", .open = open, .act = act, .leave = leave, .ended = ended};
