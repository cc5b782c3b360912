/* SPDX-License-Identifier: MIT */
/*
 * graceful_stop - a worker that is told to stop by signals: SIGHUP makes it
 * read its settings again, the first SIGTERM lets it finish what it has begun,
 * and a second one has it drop that.
 *
 * It sends the signals to itself, at moments of a virtual clock; from outside
 * they would do the same.
 */
#include <weft.h>

#include <signal.h>
#include <stdio.h>

static weft_event stopping;

/* Takes three seconds each, and is not begun when it is time to stop. */
static int do_jobs(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int job = 1; rc == 0 && !weft_event_is_set(&stopping); job++) {
        printf("job %d begun\n", job);
        rc = weft_sleep(WEFT_SEC(3));
        printf("job %d %s\n", job, rc < 0 ? "dropped" : "done");
    }
    return rc;
}

/* As long as the set is open the signals do nothing but come here. */
static int listen_to_signals(void *arg)
{
    static const int signals[] = {SIGHUP, SIGTERM};
    weft_nursery *work = arg;
    weft_signals s;
    int signo = weft_signals_open(&s, signals, 2);
    if (signo < 0) return signo;
    (void)weft_started(NULL);
    while ((signo = weft_signals_wait(&s)) > 0) {
        if (signo == SIGHUP) {
            printf("SIGHUP: settings read again\n");
        } else if (!weft_event_is_set(&stopping)) {
            printf("SIGTERM: no new jobs\n");
            weft_event_set(&stopping);
        } else {
            printf("SIGTERM again: no more patience\n");
            weft_nursery_cancel(work, 0, "second SIGTERM");
        }
    }
    weft_signals_close(&s);
    return signo;
}

static int be_told(void *arg)
{
    static const struct {
        weft_time after;
        int signo;
    } plan[] = {{WEFT_SEC(4), SIGHUP}, {WEFT_SEC(3), SIGTERM}};
    const bool *impatient = arg;
    int rc = 0;
    for (size_t i = 0; i < 2 && rc == 0; i++) {
        rc = weft_sleep(plan[i].after);
        if (rc == 0) (void)raise(plan[i].signo);
    }
    if (rc == 0) rc = weft_sleep(WEFT_SEC(1));
    if (rc == 0 && *impatient) (void)raise(SIGTERM);
    return rc;
}

/* The listener and the teller are daemons: they end with the work. */
static int serve(void *arg)
{
    const weft_spawn_opts daemon = {.daemon = true};
    int rc;
    weft_event_clear(&stopping);
    WEFT_NURSERY(n, rc) {
        rc = weft_start_ex(&n, listen_to_signals, &n, NULL, &daemon);
        if (rc == 0) rc = weft_spawn_ex(&n, be_told, arg, &daemon);
        if (rc == 0) rc = weft_spawn(&n, do_jobs, NULL);
    }
    printf("stopped\n");
    return rc;
}

int main(void)
{
    const weft_run_opts opts = {.virtual_clock = true};
    int rc = weft_run(serve, &(bool){false}, &opts);
    if (rc == 0) rc = weft_run(serve, &(bool){true}, &opts);
    return rc < 0;
}
