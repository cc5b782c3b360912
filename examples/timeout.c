/* SPDX-License-Identifier: MIT */
/*
 * timeout - deadlines around requests, one inside another, and a goodbye that
 * is said in spite of them.
 */
#include <weft.h>

#include <stdio.h>

static weft_time opened; /* the moment this program began */

static void tell(const char *what, int rc)
{
    int ms = (int)((weft_now() - opened) / WEFT_MSEC(1));
    printf("%2d.%d s  %s: %s\n", ms / 1000, ms % 1000 / 100, what,
           rc < 0 ? weft_strerror(rc) : "well");
}

/* Stands for any request, of many calls that each wait: none of them takes a
 * time-out, since the scope that it is called in has one for all. */
static int ask(weft_time answer_after)
{
    return weft_sleep(answer_after);
}

static int one_deadline(void)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(2)) {
        rc = ask(WEFT_SEC(1));
    }
    tell("a quick answer", rc);

    WEFT_FAIL_AFTER(rc, WEFT_SEC(2)) {
        rc = ask(WEFT_SEC(60));
    }
    tell("a slow one", rc);
    if (rc != -ETIMEDOUT) return rc;

    /* -ETIMEDOUT says that the deadline stopped something. What was finished
     * is finished, though the clock has reached the deadline: its result is
     * not thrown away, and nobody pays an order twice. */
    WEFT_FAIL_AFTER(rc, WEFT_SEC(2)) {
        rc = ask(WEFT_SEC(2));
    }
    tell("one at the last moment", rc);
    return rc;
}

/* Two seconds for each try, five for all. An inner scope speaks of its own
 * deadline alone: when it is the outer one that has come, the try returns
 * -ECANCELED, so that the loop ends, and the outer scope gives it its name. */
static int nested(void)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(5)) {
        do {
            WEFT_FAIL_AFTER(rc, WEFT_SEC(2)) {
                rc = ask(WEFT_SEC(60));
            }
            tell("    a try", rc);
        } while (rc == -ETIMEDOUT);
    }
    tell("five seconds of tries", rc);
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* Once cancelled, each call fails that could wait: a goodbye as well. A shield
 * hides what is cancelled outside, for a grace that is a deadline too. */
static int talk(void *arg)
{
    int rc = ask(WEFT_SEC(60));
    (void)arg;
    tell("    the talk", rc);
    int bye = ask(WEFT_MSEC(100));
    tell("    a goodbye", bye);
    WEFT_SHIELD(bye, WEFT_SEC(1)) {
        bye = ask(WEFT_MSEC(100));
    }
    tell("    a goodbye in a shield", bye);
    WEFT_SHIELD(bye, WEFT_SEC(1)) {
        bye = ask(WEFT_SEC(60));
    }
    tell("    one to somebody who does not listen", bye);
    return rc;
}

static int start(void *arg)
{
    bool expired = false;
    (void)arg;
    opened = weft_now();
    int rc = one_deadline();
    if (rc < 0) return rc;
    rc = nested();
    if (rc < 0) return rc;
    /* A deadline that is no failure: so much of it as there was time for. */
    rc = weft_move_on_after(WEFT_SEC(3), talk, NULL, &expired);
    tell(expired ? "moved on" : "talked to the end", rc);
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: a minute takes no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
