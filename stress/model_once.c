/* SPDX-License-Identifier: MIT */
/*
 * model_once.c - undone, done, or somebody is at it and others are in line.
 */
#include <weft/once.h>

#include <string.h>

#include "stress/stress.h"

enum { ONCES = 2, NOBODY = -1 };

static struct {
    weft_once once;
    bool done;
    int runner;
    struct line line;
} o[ONCES];

static void open(void)
{
    memset(o, 0, sizeof o);
    for (int k = 0; k < ONCES; k++)
        o[k].runner = NOBODY;
}

static void fails(int k)
{
    o[k].runner = NOBODY;
    if (o[k].line.length == 0) return;
    o[k].runner = line_first(&o[k].line).who;
    grants(&actors[o[k].runner], GOES_ON);
}

static void succeeds(int k)
{
    o[k].runner = NOBODY;
    o[k].done = true;
    happens_to_all(&o[k].line, 0);
}

/* What is done once. */
static int does(void *arg)
{
    int k = *(int *)arg;
    struct actor *a = self();
    let_model_catch_up();
    same("runner of once", k, a->number, o[k].runner);
    int rc = work(a);
    if (rc == 0 && one_in(3)) rc = -EIO;
    step(a, "has done once %d: %d", k, rc);
    if (rc < 0)
        fails(k);
    else
        succeeds(k);
    a->expected = rc;
    return rc;
}

static void act(struct actor *a)
{
    int k = below(ONCES);
    step(a, "does once %d", k);
    if (is_refused(a)) {
        /* even if it is done */
    } else if (o[k].done) {
        a->expected = 0;
    } else if (o[k].runner == NOBODY) {
        o[k].runner = a->number;
    } else {
        waits(a, &onces, k);
        line_append(&o[k].line, (struct place){a->number, PLAIN, 0});
    }
    (void)returned(a, weft_once_do(&o[k].once, does, &k));
}

static void poke(struct actor *a)
{
    int k = below(ONCES);
    bool running = o[k].runner != NOBODY;
    step(a, "resets once %d", k);
    same("reset of once", k, weft_once_reset(&o[k].once), running ? -EBUSY : 0);
    if (!running) o[k].done = false;
}

static bool leave(struct actor *a)
{
    (void)line_leave(&o[a->object].line, a->number);
    return true;
}

static void compare(void)
{
    for (int k = 0; k < ONCES; k++)
        same("once", k, weft_once_done(&o[k].once), o[k].done);
}

const struct kind onces = {.name = "once",
                           .open = open,
                           .act = act,
                           .poke = poke,
                           .leave = leave,
                           .compare = compare};
