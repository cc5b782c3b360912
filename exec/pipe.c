/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - pipes, without a name and with one.
 */
#include <weft/pipe.h>

#include <weft/error.h>
#include <weft/file.h>
#include <weft/time.h>

#include "exec/file.h"

#define FIRST_PAUSE WEFT_MSEC(1)
#define LAST_PAUSE  WEFT_MSEC(50)

/* ---- without a name ----------------------------------------------------- */

int weft_pipe(weft_fd ret_ends[2])
{
    int fds[2];
    if (!wf_reactor_handle())
        return wf_misuse(-EPERM, "weft_pipe: no run on this thread");
    int err = wf_os_pipe(fds);
    if (err < 0) return err;
    err = weft_fd_adopt(fds[0], &ret_ends[0]);
    if (err < 0) {
        weft_close_released(fds[0]);
    } else {
        err = weft_fd_adopt(fds[1], &ret_ends[1]);
        if (err == 0) return 0;
        (void)weft_close(ret_ends[0]);
    }
    weft_close_released(fds[1]);
    return err;
}

/* ---- with one ----------------------------------------------------------- */

static bool is_fifo(weft_fd fd)
{
    struct stat st;
    return wf_os_fstat(weft_fd_number(fd), &st) == 0 && S_ISFIFO(st.st_mode);
}

static int open_to_write(const char *path, weft_fd *ret_fd)
{
    weft_time pause = FIRST_PAUSE;
    for (;;) {
        int err = weft_file_open(path, O_WRONLY, 0, ret_fd);
        if (err != -ENXIO) return err;
        err = weft_sleep(pause);
        if (err < 0) return err;
        pause = 2 * pause < LAST_PAUSE ? 2 * pause : LAST_PAUSE;
    }
}

int weft_fifo_open(const char *path, int how, weft_fd *ret_fd)
{
    weft_fd fd;
    struct stat st;
    if (how != WEFT_READABLE && how != WEFT_WRITABLE)
        return wf_misuse(-EINVAL, "weft_fifo_open: neither to read nor to "
                                  "write, or both");
    /* What it is first: a socket's file too would say ENXIO for ever. */
    int err = weft_file_stat(path, &st);
    if (err < 0) return err;
    if (!S_ISFIFO(st.st_mode))
        return weft_fail_at(-EINVAL, NULL, 0, "open %.80s: it is no pipe",
                            path);
    err = how == WEFT_READABLE ? weft_file_open(path, O_RDONLY, 0, &fd)
                               : open_to_write(path, &fd);
    if (err < 0) return err;
    if (!is_fifo(fd)) {
        (void)weft_close(fd);
        return weft_fail_at(-EINVAL, NULL, 0,
                            "open %.80s: it is no pipe any more", path);
    }
    *ret_fd = fd;
    return 0;
}
