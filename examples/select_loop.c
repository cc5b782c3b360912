/* SPDX-License-Identifier: MIT */
/*
 * select_loop - a fiber with a loop: it takes readings as they come, reports
 * every ten seconds, complains when nothing comes for four, and stops when it
 * is told to.
 */
#include <weft.h>

#include <stdio.h>

struct station {
    weft_chan *readings;
    weft_event stop;
};

static weft_time began;

static void say(const char *what, int number)
{
    printf("%2d s  %s", (int)((weft_now() - began) / WEFT_SEC(1)), what);
    if (number >= 0) printf(" %d", number);
    putchar('\n');
}

enum { STOP, READING, REPORT, SILENCE, CASES };

static const weft_time report_period = WEFT_SEC(10), patience = WEFT_SEC(4);

/* Exactly one case happens each time round, so nothing here is locked and
 * nothing is lost: a reading that was not taken is still in the channel. The
 * moments stay what they are until they are set again, so that a reading does
 * not put the report off. */
static int watch(void *arg)
{
    struct station *s = arg;
    int reading, count = 0;
    weft_case c[CASES] = {[STOP] = WEFT_CASE_EVENT(&s->stop),
                          [READING] = WEFT_CASE_RECV(s->readings, &reading),
                          [REPORT] = WEFT_CASE_AFTER(report_period),
                          [SILENCE] = WEFT_CASE_AFTER(patience)};
    for (;;) {
        int i = weft_select(c, CASES, WEFT_SELECT_ORDERED);
        switch (i) {
        case STOP:
            say("stopped, readings:", count);
            return 0;
        case READING:
            if (c[READING].result == 1) {
                say("reading", reading);
                count++;
                c[SILENCE].at = weft_after(patience);
            } else {
                say("no more readings will come", -1);
                c[READING].on = c[SILENCE].on = WEFT_ON_OFF;
            }
            break;
        case REPORT:
            say("report, readings so far:", count);
            c[REPORT].at += report_period;
            break;
        case SILENCE:
            say("silence", -1);
            c[SILENCE].on = WEFT_ON_TIME;
            c[SILENCE].at = weft_after(patience);
            break;
        default:
            return i;
        }
    }
}

/* A thermometer: it reads often, sleeps long, and is gone in the end. */
static int measure(void *arg)
{
    static const struct {
        int seconds, degrees;
    } plan[] = {{1, 18}, {2, 19}, {2, 19}, {9, 23}, {1, 22}};
    struct station *s = arg;
    int err = 0;
    for (size_t i = 0; i < sizeof plan / sizeof *plan && err == 0; i++) {
        err = weft_sleep(WEFT_SEC(plan[i].seconds));
        if (err == 0) err = weft_chan_send(s->readings, &plan[i].degrees);
    }
    weft_chan_close(s->readings);
    return err;
}

static int start(void *arg)
{
    struct station s = {.stop = WEFT_EVENT_INIT};
    int rc;
    (void)arg;
    s.readings = weft_chan_new(sizeof(int), 8, NULL, 0);
    if (!s.readings) return -ENOMEM;
    began = weft_now();
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, watch, &s);
        if (rc == 0) rc = weft_spawn(&n, measure, &s);
        if (rc == 0) rc = weft_sleep(WEFT_SEC(25));
        weft_event_set(&s.stop);
    }
    weft_chan_free(s.readings);
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
