/* SPDX-License-Identifier: MIT */
/* test_sweep_fifo.c - the sweep over pipes with a name: those who open one wait
 * for each other, and none is left open. */
#include <weft/pipe.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "sweep.h"

static char path[64];

static int but_not_gone(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

static int writes_in_time(void *arg)
{
    weft_fd fd;
    (void)arg;
    int rc = weft_fifo_open(path, WEFT_WRITABLE, &fd);
    if (rc < 0) return rc;
    rc = weft_write_all(fd, "by name", 7, NULL);
    (void)weft_close(fd);
    return but_not_gone(rc);
}

/* There may be no reader. */
static int writes_by_name(void *arg)
{
    int rc = weft_with_timeout(WEFT_MSEC(500), writes_in_time, arg);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int reads_by_name(void *arg)
{
    weft_fd fd;
    char buf[8];
    (void)arg;
    int rc = weft_sleep(WEFT_MSEC(20));
    if (rc == 0) rc = weft_fifo_open(path, WEFT_READABLE, &fd);
    if (rc < 0) return rc;
    rc = weft_wait_ready(fd, WEFT_READABLE);
    if (rc >= 0) rc = weft_read_exact(fd, buf, 7, NULL);
    (void)weft_close(fd);
    return but_not_gone(rc);
}

static void start_by_name(weft_nursery *n)
{
    (void)snprintf(path, sizeof path, "/tmp/weft-sweep-fifo-%ld",
                   (long)getpid());
    CHECK_EQ(mkfifo(path, 0600), 0);
    sweep_spawn(n, writes_by_name, NULL);
    sweep_spawn(n, reads_by_name, NULL);
}

static void remove_name(void)
{
    CHECK_EQ(unlink(path), 0);
}

SWEEP(a_named_pipe_is_opened_or_not, start_by_name, remove_name,
      SWEEP_PEERS_MAY_WAIT);
