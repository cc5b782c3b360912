/* SPDX-License-Identifier: MIT */
/*
 * model_cond.c - a line; who leaves it goes to the end of the mutex's, and has
 * to tell then whether that was by a notification.
 */
#include <weft/cond.h>

#include <string.h>

#include "stress/stress.h"

enum { CONDITIONS = 2 };

static struct {
    weft_cond cond;
    int mutex; /* of those who wait */
    struct line line;
} c[CONDITIONS];

static void open(void)
{
    memset(c, 0, sizeof c);
}

static void act(struct actor *a)
{
    if (mutex_of(a) < 0) mutex_try(a);
    int k = below(CONDITIONS), m = mutex_of(a);
    if (m < 0 && !(may_err() && one_in(8))) return;
    if (mutexes_of(a) > 1) return; /* or all might wait for ever */
    bool other = m >= 0 && c[k].line.length > 0 && c[k].mutex != m;
    if (other && !may_err()) return;
    step(a, "waits for condition %d with mutex %d", k, m < 0 ? 0 : m);
    if (m < 0) {
        a->expected = -EPERM;
        m = 0;
    } else if (is_refused(a)) {
        /* it keeps the mutex */
    } else if (other) {
        a->expected = -EINVAL;
    } else {
        c[k].mutex = m;
        waits(a, &conditions, k);
        line_append(&c[k].line, (struct place){a->number, PLAIN, 0});
        mutex_passes_on(m);
    }
    (void)returned(a, weft_cond_wait(&c[k].cond, mutex_object(m)));
}

static void poke(struct actor *a)
{
    if (!a) return;
    if (mutex_of(a) < 0) mutex_try(a);
    int k = below(CONDITIONS), n = below(4), m = mutex_of(a);
    if (c[k].line.length > 0 && mutex_is_held(c[k].mutex, a)) m = c[k].mutex;
    bool fine = m >= 0 && (c[k].line.length == 0 || c[k].mutex == m);
    if (!fine && !(may_err() && one_in(8))) return;
    step(a, "notifies %d of condition %d", n, k);
    size_t many = n == 3 ? SIZE_MAX : (size_t)n;
    if (m < 0) m = 0;
    int got = weft_cond_notify(&c[k].cond, mutex_object(m), many);
    same("notify of condition", k, got, fine ? 0 : -EPERM);
    while (fine && many-- > 0 && c[k].line.length > 0)
        mutex_takes_again(m, &actors[line_first(&c[k].line).who], 0);
}

static bool leave(struct actor *a)
{
    (void)line_leave(&c[a->object].line, a->number);
    mutex_takes_again(c[a->object].mutex, a, -ECANCELED);
    return false;
}

const struct kind conditions = {.name = "condition",
                                .open = open,
                                .act = act,
                                .poke = poke,
                                .leave = leave};
