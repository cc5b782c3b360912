/* SPDX-License-Identifier: MIT */
/*
 * model_select.c - a place in the line of each case; who is first granted one
 * is in none of the others any more.
 */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/select.h>

#include <string.h>

#include "stress/stress.h"

enum { CASES = 5, UNTOUCHED = 0x5a5a };

static struct {
    weft_case cases[CASES];
    int object[CASES];
    struct item out[CASES], in[CASES];
    int n, result;
} s[ACTORS];

/* The line that case i waits in, or NULL. */
static struct line *line_of(int who, int i)
{
    int k = s[who].object[i];
    switch (s[who].cases[i].on) {
    case WEFT_ON_RECV:
        return channel_line(k, false);
    case WEFT_ON_SEND:
        return channel_line(k, true);
    case WEFT_ON_EVENT:
        return event_line(k);
    case WEFT_ON_TASK:
        return task_line(k);
    default:
        return NULL;
    }
}

static bool is_possible(int who, int i)
{
    int k = s[who].object[i];
    switch (s[who].cases[i].on) {
    case WEFT_ON_RECV:
        return channel_can(k, false);
    case WEFT_ON_SEND:
        return channel_can(k, true);
    case WEFT_ON_EVENT:
        return event_is_set(k);
    case WEFT_ON_TASK:
        return task_has_ended(k);
    case WEFT_ON_TIME:
        return s[who].cases[i].at <= model_now();
    default:
        return false;
    }
}

static bool leave(struct actor *a)
{
    for (int i = 0; i < s[a->number].n; i++) {
        struct line *l = line_of(a->number, i);
        if (l) (void)line_leave(l, a->number);
    }
    return true;
}

void select_happens(struct actor *a, int at, int result)
{
    (void)leave(a);
    s[a->number].result = result;
    grants(a, at);
}

static int case_of_time(int who)
{
    for (int i = 0; i < s[who].n; i++)
        if (s[who].cases[i].on == WEFT_ON_TIME) return i;
    return -1;
}

static void due(struct actor *a)
{
    select_happens(a, case_of_time(a->number), 0);
}

/* ---- one select --------------------------------------------------------- */

/* For one channel it is the same item in all cases. */
static struct item item_for(int who, int i, int k)
{
    for (int j = 0; j < i; j++)
        if (s[who].cases[j].on == WEFT_ON_SEND && s[who].object[j] == k)
            return s[who].out[j];
    return channel_new_item(k);
}

static void draw_case(int who, int i)
{
    weft_case *c = &s[who].cases[i];
    int k = below(MANY_CHANNELS);
    s[who].in[i] = (struct item){0, UNTOUCHED};
    *c = (weft_case){.on = WEFT_ON_OFF};
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        *c = (weft_case)WEFT_CASE_RECV(channel_handle(k), &s[who].in[i]);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        s[who].out[i] = item_for(who, i, k);
        *c = (weft_case)WEFT_CASE_SEND(channel_handle(k), &s[who].out[i]);
        break;
    case 8:
        k = below(MANY_EVENTS);
        *c = (weft_case)WEFT_CASE_EVENT(event_object(k));
        break;
    case 9:
        k = (who + 1 + below(ACTORS - 1)) % ACTORS;
        *c = (weft_case)WEFT_CASE_TASK(&actors[k].task);
        break;
    case 10:
        if (case_of_time(who) >= 0) break;
        *c = (weft_case)WEFT_CASE_AFTER(WEFT_MSEC(below(5)));
        break;
    default:
        break;
    }
    s[who].object[i] = k;
}

static bool is_on(int who, int i)
{
    return s[who].cases[i].on != WEFT_ON_OFF;
}

static void stands_in_lines(struct actor *a)
{
    int who = a->number, time = case_of_time(who);
    waits(a, &selects, 0);
    if (time >= 0) a->until = s[who].cases[time].at;
    for (int i = 0; i < s[who].n; i++) {
        struct line *l = line_of(who, i);
        if (s[who].cases[i].on == WEFT_ON_SEND)
            channel_offers(who, i, s[who].out[i]);
        if (l) line_append(l, (struct place){who, i, 0});
    }
}

/* It has chosen case i, which was possible at once. */
static void follows(struct actor *a, int i, struct item *item)
{
    int who = a->number, k = s[who].object[i];
    a->expected = i;
    s[who].result = 0;
    if (s[who].cases[i].on == WEFT_ON_SEND)
        s[who].result = channel_sends(k, s[who].out[i]);
    if (s[who].cases[i].on == WEFT_ON_RECV)
        s[who].result = channel_receives(k, item);
}

/* Of two cases that are the same either may be the one, if they take turns. */
static bool is_as_good(int who, int i, int j)
{
    return i >= 0 && i < s[who].n && j >= 0 && j < s[who].n &&
           s[who].cases[i].on == s[who].cases[j].on &&
           s[who].object[i] == s[who].object[j];
}

/* Only what was received is written to. */
static void compare_items(const struct actor *a, int got, bool at_once,
                          const struct item *item)
{
    int who = a->number;
    for (int i = 0; i < s[who].n; i++) {
        const struct item *in = &s[who].in[i];
        bool is_new = i == got && s[who].cases[i].on == WEFT_ON_RECV &&
                      s[who].result == 1;
        if (is_new && !at_once) {
            channel_expect(&actors[who], s[who].object[i], in);
            continue;
        }
        same("item of select", i, (long long)in->id,
             is_new ? (long long)item->id : 0);
        same("end of item of select", i, (long long)in->twin,
             is_new ? (long long)item->twin : UNTOUCHED);
    }
}

static int first_possible(int who)
{
    for (int i = 0; i < s[who].n; i++)
        if (is_possible(who, i)) return i;
    return -1;
}

static void act(struct actor *a)
{
    int who = a->number, on = 0, possible = 0;
    unsigned flags = one_in(4) ? WEFT_SELECT_ORDERED : 0;
    if (one_in(5)) flags |= WEFT_SELECT_NOWAIT;
    int n = 1 + below(CASES);
    for (s[who].n = 0; s[who].n < n; s[who].n++)
        draw_case(who, s[who].n);
    char words[CASES * 8 + 1] = "";
    for (int i = 0; i < n; i++) {
        char *end = words + strlen(words);
        end[0] = ' ';
        end[1] = "-rstfek"[s[who].cases[i].on];
        end[2] = (char)('0' + s[who].object[i]);
        end[3] = '\0';
        on += is_on(who, i);
        possible |= is_possible(who, i) << i;
    }
    step(a, "selects of%s, flags %u", words, flags);
    int first = first_possible(who);
    if (is_refused(a)) {
        /* none happens */
    } else if (on == 0) {
        a->expected = -EINVAL;
    } else if (first < 0 && flags & WEFT_SELECT_NOWAIT) {
        a->expected = -EAGAIN;
    } else if (first < 0) {
        stands_in_lines(a);
    }
    bool at_once = a->expected == GOES_ON;
    struct item item = {0, UNTOUCHED};
    int got = weft_select(s[who].cases, (size_t)n, flags);
    if (at_once) {
        if (got < 0 || got >= n || !(possible >> got & 1))
            differs("select: %d, which cannot happen", got);
        if (flags & WEFT_SELECT_ORDERED) same("ordered select", 0, got, first);
        follows(a, got, &item);
    } else if (!(flags & WEFT_SELECT_ORDERED) &&
               is_as_good(who, got, a->expected)) {
        a->expected = got;
    }
    (void)returned(a, got);
    if (got >= 0)
        same("result of case", got, s[who].cases[got].result, s[who].result);
    compare_items(a, got, at_once, &item);
}

const struct kind selects = {
    .name = "select", .act = act, .leave = leave, .due = due};
