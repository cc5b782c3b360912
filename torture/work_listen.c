/* SPDX-License-Identifier: MIT */
/* work_listen.c - listeners of each kind, opened and inherited. */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "torture.h"

#define PATIENCE WEFT_SEC(1)

static int patient(void *fn)
{
    return weft_with_timeout(PATIENCE, *(weft_fn *)fn, NULL);
}

static int listens_at_both(void *arg)
{
    weft_addr at;
    weft_fd l;
    (void)arg;
    TRY(weft_listen(&l, "*:0", NULL));
    int rc = weft_local_addr(l, &at);
    if (rc == 0) EXPECT(weft_addr_is_any(&at) && weft_addr_port(&at) > 0);
    (void)weft_close(l);
    return rc;
}

static int both_families(void)
{
    weft_fn fn = listens_at_both;
    return weft_run(patient, &fn, NULL);
}
WORK(both_families, MAY(ENOTSUP));

static char path[64];

static int listens_with_a_mode(void *arg)
{
    const weft_listen_opts o = {.mode = 0600};
    struct stat st;
    weft_fd l;
    (void)arg;
    TRY(weft_listen(&l, path, &o));
    EXPECT(lstat(path + 5, &st) == 0 && (st.st_mode & 0777) == 0600);
    (void)weft_close(l);
    return 0;
}

static int a_mode(void)
{
    weft_fn fn = listens_with_a_mode;
    (void)snprintf(path, sizeof path, "unix:/tmp/weft-mode-%d", (int)getpid());
    int rc = weft_run(patient, &fn, NULL);
    (void)unlink(path + 5);
    return rc;
}
WORK(a_mode, MAY(ENOTSUP));

/* As if a service manager had passed all up to `number`. */
static void pass(int number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", (int)getpid());
    EXPECT(setenv("LISTEN_PID", text, 1) == 0);
    (void)snprintf(text, sizeof text, "%d", number - 2);
    EXPECT(setenv("LISTEN_FDS", text, 1) == 0);
    EXPECT(unsetenv("LISTEN_FDNAMES") == 0);
}

static int listens_at_number(int number)
{
    weft_listen_opts like;
    char text[32];
    weft_fd l;
    pass(number);
    (void)snprintf(text, sizeof text, "systemd::%d", number - 3);
    int rc = weft_listen(&l, text, NULL);
    if (rc < 0) {
        weft_close_released(number);
        return rc;
    }
    EXPECT(fcntl(number, F_GETFD) & FD_CLOEXEC);
    rc = weft_listener_opts(l, &like);
    (void)weft_close(l);
    return rc;
}

static int refuses_a_connection(void)
{
    int ends[2];
    weft_fd l;
    weft_fd pair[2];
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, pair));
    for (int i = 0; i < 2; i++)
        ends[i] = weft_fd_release(pair[i]);
    int rc = weft_listener_adopt(ends[0], &l);
    EXPECT(rc < 0);
    weft_close_released(ends[0]);
    weft_close_released(ends[1]);
    return rc == -EINVAL ? 0 : rc;
}

/* Below it all are open: descriptors of the run. */
static int inherits(void *arg)
{
    weft_fd l;
    (void)arg;
    TRY(refuses_a_connection());
    TRY(weft_listen(&l, "127.0.0.1:0", NULL));
    int number = weft_fd_release(l);
    EXPECT(fcntl(number, F_SETFD, 0) == 0);
    int filler[64], fillers = 0;
    for (int fd; (fd = dup(0)) >= 0 && fillers < 64; filler[fillers++] = fd)
        if (fd > number) {
            (void)close(fd);
            break;
        }
    int rc = listens_at_number(number);
    while (fillers > 0)
        (void)close(filler[--fillers]);
    weft_activation_forget();
    return rc;
}

static int a_listener_that_was_passed(void)
{
    weft_fn fn = inherits;
    return weft_run(patient, &fn, NULL);
}
WORK(a_listener_that_was_passed, MAY(EINVAL));
