/* SPDX-License-Identifier: MIT */
/*
 * tty.c - terminals, and descriptors that others have too.
 *
 * O_NONBLOCK is a thing of an open file, not of a descriptor: set on standard
 * input it is set for the shell too. Opening what is there once more gives an
 * open file that nobody shares. Where that does not go the descriptor is
 * copied, left as it is, and asked before each read (WF_FD_SHARED, reactor/io.c).
 */
#include <weft/tty.h>

#include <limits.h>

#include "reactor/reactor.h"
#include "runtime/assert.h"
#include "runtime/os_tty.h"

/* ---- opening once more -------------------------------------------------- */

/* What may be opened again and is then another open file of the same. A socket
 * has no name; a file would get a position of its own; and there are devices
 * that are another one each time. */
static bool can_be_reopened(int number, const struct stat *st)
{
    return S_ISFIFO(st->st_mode) || wf_os_is_tty(number);
}

static bool is_the_same(int fd, const struct stat *as)
{
    struct stat st;
    return wf_os_fstat(fd, &st) == 0 && st.st_dev == as->st_dev &&
           st.st_ino == as->st_ino && st.st_rdev == as->st_rdev;
}

/* A new number, or an error for which a copy may still do. */
static int reopen(int number, const struct stat *st)
{
    int flags = wf_os_fcntl(number, F_GETFL, 0);
    if (flags < 0) return flags;
    flags = (flags & (O_ACCMODE | O_APPEND)) | O_NONBLOCK;
    int fd = wf_os_reopen(number, flags);
    if (fd < 0 || is_the_same(fd, st)) return fd;
    wf_os_close(fd);
    return -ENOENT;
}

int weft_std_open(int number, weft_fd *ret_fd)
{
    struct stat st;
    int fd = -ENOENT;
    if (!wf_reactor_handle())
        return wf_misuse(-EPERM, "weft_std_open: no run on this thread");
    int err = wf_os_fstat(number, &st);
    if (err < 0) return err;
    if (can_be_reopened(number, &st)) fd = reopen(number, &st);
    bool own = fd >= 0;
    if (!own) fd = wf_os_fcntl(number, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return fd;
    err = own ? weft_fd_adopt(fd, ret_fd) : weft_fd_adopt_shared(fd, ret_fd);
    if (err < 0) weft_close_released(fd);
    return err;
}

/* ---- terminals ---------------------------------------------------------- */

bool weft_is_tty(int number)
{
    return wf_os_is_tty(number);
}

int weft_tty_get_size(weft_fd tty, weft_tty_size *ret_size)
{
    struct winsize size;
    int number = weft_fd_number(tty);
    int err = number < 0 ? number : wf_os_winsize(number, false, &size);
    if (err == 0) *ret_size = (weft_tty_size){size.ws_row, size.ws_col};
    return err;
}

int weft_tty_set_size(weft_fd tty, weft_tty_size size)
{
    struct winsize now = {.ws_row = (unsigned short)size.rows,
                          .ws_col = (unsigned short)size.columns};
    int number = weft_fd_number(tty);
    if (size.rows > USHRT_MAX || size.columns > USHRT_MAX) return -EINVAL;
    return number < 0 ? number : wf_os_winsize(number, true, &now);
}

/* As the manual of termios has it for raw input; output is left alone. */
static struct termios made_raw(struct termios mode)
{
    mode.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR |
                                IGNCR | ICRNL | IXON);
    mode.c_oflag &= ~(tcflag_t)OPOST;
    mode.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    mode.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    mode.c_cflag |= CS8;
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    return mode;
}

int weft_tty_raw(weft_fd tty, weft_tty_mode *ret_mode)
{
    weft_tty_mode m = {.number_ = 0};
    int number = weft_fd_number(tty);
    *ret_mode = m;
    int err = number < 0 ? number : wf_os_tcgetattr(number, &m.before_);
    if (err < 0) return err;
    int copy = wf_os_fcntl(number, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return copy;
    const struct termios raw = made_raw(m.before_);
    err = wf_os_tcsetattr(copy, &raw);
    if (err < 0) {
        weft_close_released(copy);
        return err;
    }
    m.number_ = copy + 1;
    *ret_mode = m;
    return 0;
}

void weft_tty_restore(void *mode)
{
    weft_tty_mode *m = mode;
    if (m->number_ == 0) return;
    /* It failed: the terminal has gone, and its settings with it. */
    (void)wf_os_tcsetattr(m->number_ - 1, &m->before_);
    weft_close_released(m->number_ - 1);
    m->number_ = 0;
}
