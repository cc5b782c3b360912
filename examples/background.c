/* SPDX-License-Identifier: MIT */
/*
 * background [wait] - a shop that answers orders at once and does the work for
 * them in the background. It closes after a minute, or if told to wait, at
 * SIGTERM; either way nothing is dropped.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>

/* What becomes of an order; on the heap, since that outlives the request. */
struct order {
    const char *name;
    weft_time at;
    weft_fn work;
};

static weft_time opened;

static void say(const struct order *o, const char *what)
{
    int seconds = (int)((weft_now() - opened) / WEFT_SEC(1));
    printf("%3d s  %s: %s\n", seconds, o->name, what);
}

/* The plain case: it ends by itself, and the shutdown lets it. */
static int send_mail(void *arg)
{
    struct order *o = arg;
    int err = weft_sleep(WEFT_SEC(2));
    say(o, err < 0 ? "lost" : "sent");
    free(o);
    return err;
}

/* One without an end: the shutdown cancels it when it has waited enough. */
static int follow_parcel(void *arg)
{
    struct order *o = arg;
    int err = weft_sleep(WEFT_FOREVER);
    say(o, "no longer followed");
    free(o);
    return err;
}

/* One that may not stop half-way, and takes longer than anybody has planned
 * for. It is named on standard error; and then waited for all the same. */
static int keep_books(void *arg)
{
    struct order *o = arg;
    int err = weft_sleep(WEFT_FOREVER), saved;
    WEFT_SHIELD(saved, WEFT_SEC(60)) {
        saved = weft_sleep(WEFT_SEC(30));
    }
    say(o, saved < 0 ? "lost" : "saved");
    free(o);
    return err;
}

static int leave_work(const struct order *o)
{
    const weft_spawn_opts opts = {.name = o->name};
    struct order *copy = malloc(sizeof *copy);
    if (!copy) return -ENOMEM;
    *copy = *o;
    int err = weft_background(o->work, copy, &opts);
    if (err < 0) free(copy); /* it was not taken over */
    return err;
}

/* A request has a second. The work that it leaves is not bound by that. */
static int handle(void *arg)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = leave_work(arg);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(20)); /* as a reply would */
    }
    if (rc == 0) say(arg, "thank you for the order");
    return rc;
}

static int shop(void *arg)
{
    struct order orders[] = {{"books", weft_after(0), keep_books},
                             {"parcel", weft_after(WEFT_SEC(1)), follow_parcel},
                             {"mail", weft_after(WEFT_SEC(59)), send_mail}};
    const bool *wait = arg;
    weft_time closing = weft_after(*wait ? WEFT_FOREVER : WEFT_SEC(60));
    int rc;
    opened = weft_now();
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < 3 && rc == 0; i++) {
            rc = weft_sleep_until(orders[i].at);
            if (rc == 0) rc = weft_spawn(&n, handle, &orders[i]);
        }
        if (rc == 0) rc = weft_sleep_until(closing);
    }
    printf("closed%s, still at work: %zu\n",
           weft_cancelled() ? " by a signal" : "", weft_background_count());
    return rc; /* the run shuts the background down, by its drain and grace */
}

int main(int argc, char **argv)
{
    bool wait = argc > 1;
    /* On the virtual clock, so that a minute takes no time. */
    const weft_run_opts opts = {.handle_signals = true,
                                .virtual_clock = true,
                                .drain = WEFT_SEC(10),
                                .grace = WEFT_SEC(5)};
    (void)argv;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* in line with standard error */
    return weft_run(shop, &wait, &opts) < 0;
}
