/* SPDX-License-Identifier: MIT */
/*
 * testing.c - a run that looks twice: in many orders, and at what is left.
 *
 * Order k of a test is that of the seed k - 1, the first one thus first come
 * first served: numbers easy to type, and the same everywhere. They are mixed
 * well by the generator that draws from them.
 */
#include <weft/testing.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/park.h"

enum {
    ORDERS = 20,
    /* Descriptors are looked for below this number. A new one has the lowest
     * that is free, so one that is forgotten stays down here. */
    NUMBERS = 4096,
    SHOWN = 16
};

int weft_test_settle(void)
{
    int err = weft_pass_();
    return err < 0 ? err : wf_settle();
}

uint64_t weft_test_seed(void)
{
    return wf_sched_seed();
}

/* ---- what is there ------------------------------------------------------ */

struct snapshot {
    struct wf_leaks library;
    uint8_t open[NUMBERS / 8];
};

static void take_snapshot(struct snapshot *ret)
{
    memset(ret, 0, sizeof *ret);
    wf_leaks_read(&ret->library);
    for (int fd = 0; fd < NUMBERS; fd++)
        if (wf_os_is_open(fd)) ret->open[fd / 8] |= (uint8_t)(1 << fd % 8);
}

static bool is_new(const struct snapshot *before, const struct snapshot *after,
                   int fd)
{
    return (after->open[fd / 8] & ~before->open[fd / 8]) >> fd % 8 & 1;
}

/* ---- what is wrong with it ---------------------------------------------- */

struct words {
    char text[512];
    size_t len;
};

static void add(struct words *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct words *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->len, sizeof w->text - w->len, format, args);
    va_end(args);
    if (n > 0) w->len += (size_t)n;
    if (w->len > sizeof w->text - 1) w->len = sizeof w->text - 1;
}

static void say(const struct words *w)
{
    wf_os_say(2, w->text, w->len);
}

static void add_count(struct words *w, const char *what, int64_t count)
{
    if (count > 0) add(w, ", %lld %s", (long long)count, what);
}

static void add_left(struct words *w, const struct snapshot *before,
                     const struct snapshot *after)
{
    const struct wf_leaks *b = &before->library, *a = &after->library;
    int found = 0;
    for (int fd = 0; fd < NUMBERS; fd++) {
        if (!is_new(before, after, fd)) continue;
        if (found++ < SHOWN) add(w, ", descriptor %d", fd);
    }
    add_count(w, "more descriptors", found - SHOWN);
    add_count(w, "handles that were not closed",
              (long)(a->descriptors - b->descriptors));
    add_count(w, "timers", (long)(a->timers - b->timers));
    add_count(w, "octets", a->bytes - b->bytes);
}

/* ---- one order ---------------------------------------------------------- */

struct trial {
    const char *name;
    weft_fn fn;
    void *arg;
    struct weft_run_opts run;
};

static void say_what_failed(const struct trial *t, int rc, bool deadlock,
                            const struct words *left)
{
    struct words w = {.len = 0};
    add(&w, "weft: test \"%.200s\" failed ", t->name ? t->name : "");
    if (t->run.sched_seed)
        add(&w, "in the order of seed %llu\n",
            (unsigned long long)t->run.sched_seed);
    else
        add(&w, "first come first served\n");
    if (deadlock) add(&w, "  there was a deadlock, as reported above\n");
    if (left->len > 0)
        add(&w, "  left behind: %s\n", left->text + strlen(", "));
    if (rc < 0) add(&w, "  result %d: ", rc);
    say(&w);
    if (rc < 0) weft_error_print(2, rc);

    w.len = 0;
    if (t->run.sched_seed)
        add(&w, "  again: weft_test_opts.seed = %llu\n",
            (unsigned long long)t->run.sched_seed);
    else
        add(&w, "  again: weft_test_opts.orders = 1\n");
    say(&w);
}

static int try_once(const struct trial *t)
{
    struct snapshot before, after;
    struct words left = {.len = 0};
    take_snapshot(&before);
    int rc = weft_run(t->fn, t->arg, &t->run);
    take_snapshot(&after);

    bool deadlock = after.library.deadlocks != before.library.deadlocks;
    add_left(&left, &before, &after);
    if (rc >= 0 && !deadlock && left.len == 0) return 0;
    say_what_failed(t, rc, deadlock, &left);
    return rc < 0 ? rc : deadlock ? -EDEADLK : -ENOTEMPTY;
}

int weft_test(const char *name, weft_fn fn, void *arg, const weft_test_opts *o)
{
    static const weft_test_opts defaults;
    if (!o) o = &defaults;
    struct trial t = {.name = name, .fn = fn, .arg = arg};
    if (o->run) t.run = *o->run;
    t.run.virtual_clock = !o->real_clock;
    t.run.sched_seed = o->seed;
    if (o->seed) return try_once(&t);

    unsigned orders = o->orders ? o->orders : ORDERS;
    int rc = 0;
    for (unsigned k = 0; k < orders && rc == 0; k++) {
        t.run.sched_seed = k;
        rc = try_once(&t);
    }
    return rc;
}
