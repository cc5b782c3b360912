/* SPDX-License-Identifier: MIT */
/* test_sweep_listen.c - the sweep over listeners of each kind. */
#include <weft/net.h>
#include <weft/nursery.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "sweep.h"

static char path[64];

/* One connection comes and goes. */
static int takes_one(weft_fd l)
{
    char text[WEFT_ADDR_TEXT];
    weft_fd near_end, far_end;
    weft_addr at;
    int rc = weft_local_addr(l, &at);
    if (rc < 0) return rc;
    if (weft_addr_is_any(&at)) {
        rc = weft_addr_ipv4(&at, 0x7f000001, weft_addr_port(&at));
        if (rc < 0) return rc;
    }
    rc = weft_dial(&near_end, weft_addr_format(&at, text, sizeof text));
    if (rc < 0) return rc;
    rc = weft_accept(l, &far_end, NULL);
    (void)weft_close(near_end);
    if (rc == 0) (void)weft_close(far_end);
    return rc;
}

static int listens(void *arg)
{
    const char *at = arg;
    const weft_listen_opts o = {.mode = at[0] == 'u' ? 0600 : 0};
    weft_fd l;
    int rc = weft_listen(&l, at, &o);
    if (rc < 0) return rc;
    rc = takes_one(l);
    (void)weft_close(l);
    if (at[0] == 'u') CHECK_EQ(unlink(at + 5), 0);
    return rc;
}

static int inherits(void *arg)
{
    char text[32];
    weft_fd l;
    int rc = weft_listen(&l, "127.0.0.1:0", NULL);
    (void)arg;
    if (rc < 0) return rc;
    int number = weft_fd_release(l);
    (void)snprintf(text, sizeof text, "fd:%d", number);
    rc = weft_listen(&l, text, NULL);
    if (rc < 0) {
        weft_close_released(number); /* it is the caller's */
        return rc;
    }
    rc = takes_one(l);
    (void)weft_close(l);
    return rc;
}

static void start_listeners(weft_nursery *n)
{
    static char both[] = "*:0", four[] = "127.0.0.1:0";
    (void)snprintf(path, sizeof path, "unix:/tmp/weft-sweep-%d", (int)getpid());
    sweep_spawn(n, listens, both);
    sweep_spawn(n, listens, four);
    sweep_spawn(n, listens, path);
    sweep_spawn(n, inherits, NULL);
}

static void check_no_file(void)
{
    struct stat st;
    CHECK(lstat(path + 5, &st) < 0);
}

SWEEP(listeners_leave_nothing, start_listeners, check_no_file, 0);
