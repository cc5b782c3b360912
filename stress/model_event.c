/* SPDX-License-Identifier: MIT */
/*
 * model_event.c - a flag, and a line that goes all at once.
 */
#include <weft/event.h>

#include <string.h>

#include "stress/stress.h"

static struct {
    weft_event event;
    bool set;
    struct line line;
} e[MANY_EVENTS];

static void open(void)
{
    memset(e, 0, sizeof e);
}

weft_event *event_object(int k)
{
    return &e[k].event;
}

bool event_is_set(int k)
{
    return e[k].set;
}

struct line *event_line(int k)
{
    return &e[k].line;
}

static void act(struct actor *a)
{
    int k = below(MANY_EVENTS);
    step(a, "waits for event %d", k);
    if (is_refused(a)) {
        /* even if it is set */
    } else if (e[k].set) {
        a->expected = 0;
    } else {
        waits(a, &events, k);
        line_append(&e[k].line, (struct place){a->number, PLAIN, 0});
    }
    (void)returned(a, weft_event_wait(&e[k].event));
}

static void poke(struct actor *a)
{
    int k = below(MANY_EVENTS);
    if (e[k].set || one_in(3)) {
        step(a, "clears event %d", k);
        weft_event_clear(&e[k].event);
        e[k].set = false;
        return;
    }
    step(a, "sets event %d", k);
    weft_event_set(&e[k].event);
    e[k].set = true;
    happens_to_all(&e[k].line, 0);
}

static bool leave(struct actor *a)
{
    (void)line_leave(&e[a->object].line, a->number);
    return true;
}

static void compare(void)
{
    for (int k = 0; k < MANY_EVENTS; k++)
        same("event", k, weft_event_is_set(&e[k].event), e[k].set);
}

const struct kind events = {.name = "event",
                            .open = open,
                            .act = act,
                            .poke = poke,
                            .leave = leave,
                            .compare = compare};
