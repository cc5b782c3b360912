/* SPDX-License-Identifier: MIT */
/*
 * test_early_signal.c - a signal that comes before main has started.
 *
 * There is no call of the program's own between the moment weft takes SIGTERM
 * over and the start of main. So this program puts itself before sigaction(2),
 * and raises the signal as soon as the call is back.
 */
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <signal.h>

#include "harness.h"

/* The C library's own name for it, in glibc and musl. */
int __sigaction(int, const struct sigaction *, struct sigaction *);

static int raise_after; /* the signal to be raised once it is taken over */
static bool main_started;

int sigaction(int signo, const struct sigaction *act, struct sigaction *old)
{
    int rc = __sigaction(signo, act, old);
    if (rc == 0 && act && signo == raise_after) {
        raise_after = 0;
        (void)raise(signo);
    }
    return rc;
}

static int sleeps_long(void *arg)
{
    (void)arg;
    main_started = true;
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIGNAL);
    return -ECANCELED;
}

static void take_early(int signo)
{
    weft_run_opts o = {.handle_signals = true};
    main_started = false;
    raise_after = signo;
    CHECK_EQ(weft_run(sleeps_long, NULL, &o), 0);
    CHECK_EQ(raise_after, 0);
    CHECK(main_started);
}

TEST_PLAIN(a_signal_that_comes_before_main_starts_is_not_lost)
{
    take_early(SIGTERM);
    take_early(SIGINT);
}
