/* SPDX-License-Identifier: MIT */
/*
 * timed - orders, and how long they take: all together, the part of it that is
 * the payment, and those that are too slow.
 */
#include <weft.h>

#include <stdio.h>

struct order {
    const char *of;
    int pick, pay; /* milliseconds that the warehouse and the bank take */
    bool refused;  /* by the bank */
};

static struct order orders[] = {
    {"Ada", 20, 50, false},  {"Ben", 30, 60, false}, {"Cleo", 20, 900, false},
    {"Dan", 10, 40, true},   {"Eve", 25, 55, false}, {"Finn", 15, 45, false},
    {"Gus", 400, 50, false}, {"Hal", 20, 65, false}};

enum { ORDERS = sizeof orders / sizeof *orders };

static int in_ms(weft_time span)
{
    return (int)(span / WEFT_MSEC(1));
}

/* Called when an order has taken too long, in the fiber that did it. */
static void tell(const weft_timing *t, const weft_timed_sample *s, void *user)
{
    (void)user;
    printf("    %s of %s took %d ms\n", t->name, weft_fiber_name(),
           in_ms(s->elapsed));
}

static weft_timing process = WEFT_TIMING_INIT("order");
static weft_timing payment = WEFT_TIMING_INIT("payment");

/* Ends with what rc holds: so it is known how many were refused. */
static int pay(const struct order *o)
{
    int rc = 0;
    WEFT_TIMED_RC(&payment, rc) {
        rc = weft_sleep(WEFT_MSEC(o->pay));
        if (rc == 0 && o->refused) rc = -EACCES;
    }
    return rc;
}

/* However the block is left, by a return too, the operation ends. */
static int process_order(void *arg)
{
    const struct order *o = arg;
    WEFT_TIMED(&process) {
        int err = weft_sleep(WEFT_MSEC(o->pick));
        if (err < 0) return err;
        err = pay(o);
        if (err < 0 && err != -EACCES) return err;
    }
    return 0;
}

static void report(const weft_timing *t)
{
    weft_timing_stats s;
    weft_timing_read(t, &s);
    printf("%s: %d, of which %d failed\n", t->name, (int)s.count,
           (int)s.failed);
    printf("    %d to %d ms, on average %d, half of them within about %d\n",
           in_ms(s.min), in_ms(s.max), in_ms(s.mean), in_ms(s.p50));
    printf("    %d ms of waiting, %d of running\n", in_ms(s.waiting),
           in_ms(s.running));
}

static int start(void *arg)
{
    int rc;
    (void)arg;
    process.slow = WEFT_MSEC(300);
    process.log = tell;
    puts("all at once");
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < ORDERS && rc == 0; i++) {
            const weft_spawn_opts o = {.name = orders[i].of};
            rc = weft_spawn_ex(&n, process_order, &orders[i], &o);
        }
    }
    if (rc < 0) return rc;
    report(&process);
    report(&payment);
    return 0;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time, and
     * none that is spent running. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
