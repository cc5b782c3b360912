/* SPDX-License-Identifier: MIT */
/*
 * os_tty.h - the part of the door (os.h) that terminals go through.
 */
#ifndef WF_OS_TTY_H
#define WF_OS_TTY_H

#include <sys/ioctl.h>
#include <termios.h>

#include "runtime/os.h"
#undef wf_hostile /* what is defined here is no site */

/* Whether it is a terminal: never refused. */
static inline bool wf_os_is_tty(int fd)
{
    int kept = errno;
    bool is = isatty(fd) == 1;
    errno = kept;
    return is;
}
/* What is open there, opened once more, with flags of its own. */
static inline int wf_os_reopen(int fd, int flags)
{
    WF_OS_CALL(WF_CALL_FILE, wf_sys_reopen(fd, flags | O_CLOEXEC | O_NOCTTY));
}
static inline int wf_os_tcgetattr(int fd, struct termios *ret_mode)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, tcgetattr(fd, ret_mode));
}
/* At once, whatever is still to be printed; who does this in the background is
 * not stopped for it. */
static inline int wf_os_tcsetattr(int fd, const struct termios *mode)
{
    int refused = wf_hostile(WF_CALL_SOCKOPT);
    if (refused < 0 && refused != -EINTR) return refused;
    sigset_t before;
    (void)wf_os_sighold(SIGTTOU, &before);
    int kept = errno, err;
    do
        err = tcsetattr(fd, TCSANOW, mode) < 0 ? -errno : 0;
    while (err == -EINTR);
    errno = kept;
    wf_os_sigunhold(SIGTTOU, &before, false);
    return err;
}
/* Tells how many rows and columns there are, or, with `set`, says so. */
static inline int wf_os_winsize(int fd, bool set, struct winsize *size)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, ioctl(fd, set ? TIOCSWINSZ : TIOCGWINSZ, size));
}

#define WF_SITES_OF_TTYS
#include "runtime/os_sites.h"

#endif
