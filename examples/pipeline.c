/* SPDX-License-Identifier: MIT */
/*
 * pipeline - three stages with channels between them: one reads numbers, one
 * looks for their divisors, one prints. Who is slow slows down who is before,
 * who has enough stops him, and a failure stops all.
 */
#include <weft.h>

#include <stdio.h>

enum { ROOM = 2 };

struct number {
    int value;
    int divisor; /* the smallest; itself: it is a prime */
};

struct pipeline {
    int first, last; /* what is read */
    int bad;         /* a number that cannot be looked at; 0: none */
    int wanted;      /* lines that are to be printed */
    weft_time pause; /* after each of them */
    weft_chan *read, *found;
    int read_count, line_count;
};

/* The stage after this one may have enough: then a send says -EPIPE, and that
 * is an end like any other. */
static int unless_enough(int err)
{
    return err == -EPIPE ? 0 : err;
}

static int read_numbers(void *arg)
{
    struct pipeline *p = arg;
    int err = 0;
    for (int i = p->first; i <= p->last && err == 0; i++) {
        const struct number n = {.value = i};
        err = weft_chan_send(p->read, &n);
        if (err == 0) p->read_count++;
    }
    weft_chan_close(p->read);
    return unless_enough(err);
}

static int smallest_divisor(int n)
{
    int d = 2;
    while (d * d <= n && n % d != 0)
        d++;
    return n % d == 0 ? d : n;
}

/* On its way out a stage shuts both its doors: nothing comes after, and nothing
 * more is wanted from before. */
static int find_divisors(void *arg)
{
    struct pipeline *p = arg;
    struct number n;
    int err;
    while ((err = weft_chan_recv(p->read, &n)) == 1) {
        if (n.value == p->bad) err = weft_fail(-EPROTO, "no %d today", n.value);
        n.divisor = smallest_divisor(n.value);
        if (err == 1) err = weft_chan_send(p->found, &n);
        if (err < 0) break;
    }
    weft_chan_abort(p->read);
    weft_chan_close(p->found);
    return unless_enough(err);
}

static int print_lines(void *arg)
{
    struct pipeline *p = arg;
    struct number n;
    int err = 1;
    while (p->line_count < p->wanted &&
           (err = weft_chan_recv(p->found, &n)) == 1) {
        p->line_count++;
        if (n.divisor == n.value)
            printf("    %d is a prime\n", n.value);
        else
            printf("    %d is a multiple of %d\n", n.value, n.divisor);
        err = weft_sleep(p->pause);
        if (err < 0) break;
    }
    weft_chan_abort(p->found);
    return err < 0 ? err : 0;
}

/* Whatever stops it: when the nursery has closed no stage is left. */
static int run_stages(struct pipeline *p)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_numbers, p);
        if (rc == 0) rc = weft_spawn(&n, find_divisors, p);
        if (rc == 0) rc = weft_spawn(&n, print_lines, p);
    }
    return rc;
}

static int run_pipeline(const char *how, struct pipeline *p)
{
    int rc = -ENOMEM;
    puts(how);
    p->read = weft_chan_new(sizeof(struct number), ROOM, NULL, 0);
    p->found = weft_chan_new(sizeof(struct number), ROOM, NULL, 0);
    if (p->read && p->found) rc = run_stages(p);
    weft_chan_free(p->read);
    weft_chan_free(p->found);
    printf("  %s; lines printed: %d, numbers read: %d\n",
           rc < 0 ? weft_strerror(rc) : "done", p->line_count, p->read_count);
    return rc;
}

/* Channels of two places, and no stage gets further ahead than they let it. */
static int watch(void *arg)
{
    const struct pipeline *p = arg;
    int err = weft_sleep(WEFT_MSEC(2500));
    if (err < 0) return err;
    printf("    (%d lines, and %d numbers have been read)\n", p->line_count,
           p->read_count);
    return 0;
}

static int run_watched(const char *how, struct pipeline *p)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, watch, p);
        if (rc == 0) rc = run_pipeline(how, p);
    }
    return rc;
}

static int start(void *arg)
{
    struct pipeline whole = {.first = 10, .last = 15, .wanted = 100};
    struct pipeline slow = {
        .first = 1000, .last = 1011, .wanted = 100, .pause = WEFT_SEC(1)};
    struct pipeline enough = {.first = 2, .last = 1000000, .wanted = 3};
    struct pipeline broken = {
        .first = 90, .last = 99, .bad = 93, .wanted = 100};
    (void)arg;

    int rc = run_pipeline("to the end", &whole);
    if (rc < 0) return rc;
    rc = run_watched("printing takes a second a line", &slow);
    if (rc < 0) return rc;

    rc = run_pipeline("three lines of a million are enough", &enough);
    if (rc < 0) return rc;

    /* Nobody waits for what will not come: the failure cancels the others, and
     * what was on its way is gone. */
    rc = run_pipeline("the second stage fails", &broken);
    return rc == -EPROTO ? 0 : rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
