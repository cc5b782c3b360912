/* SPDX-License-Identifier: MIT */
/*
 * model_barrier.c - a line that goes all at once when it is long enough.
 */
#include <weft/barrier.h>

#include <string.h>

#include "stress/stress.h"

enum { BARRIERS = 2 };

static struct {
    weft_barrier barrier;
    int parties;
    struct line line;
} b[BARRIERS];

static void open(void)
{
    memset(b, 0, sizeof b);
    for (int k = 0; k < BARRIERS; k++) {
        b[k].parties = 1 + below(4);
        weft_barrier_init(&b[k].barrier, (uint32_t)b[k].parties);
    }
}

static void act(struct actor *a)
{
    int k = below(BARRIERS);
    struct line *l = &b[k].line;
    step(a, "waits at barrier %d", k);
    if (!is_refused(a)) {
        waits(a, &barriers, k);
        line_append(l, (struct place){a->number, PLAIN, 0});
        if (l->length == b[k].parties)
            for (int place = 0; l->length > 0; place++)
                grants(&actors[line_first(l).who], place);
    }
    (void)returned(a, weft_barrier_wait(&b[k].barrier));
}

static void poke(struct actor *a)
{
    int k = below(BARRIERS);
    if (!one_in(4)) return;
    step(a, "resets barrier %d", k);
    weft_barrier_reset(&b[k].barrier);
    happens_to_all(&b[k].line, -EPIPE);
}

static bool leave(struct actor *a)
{
    (void)line_leave(&b[a->object].line, a->number);
    return true;
}

static void compare(void)
{
    for (int k = 0; k < BARRIERS; k++)
        same("waiting at barrier", k, weft_barrier_waiting(&b[k].barrier),
             b[k].line.length);
}

const struct kind barriers = {.name = "barrier",
                              .open = open,
                              .act = act,
                              .poke = poke,
                              .leave = leave,
                              .compare = compare};
