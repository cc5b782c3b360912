/* SPDX-License-Identifier: MIT */
/*
 * weft/tty.h (exec) - terminals, and what a program was started with.
 *
 *     weft_fd in;
 *     weft_tty_mode mode;
 *     int err = weft_std_open(STDIN_FILENO, &in);
 *     if (err == 0) err = weft_tty_raw(in, &mode);
 *     if (err == 0) err = weft_defer(weft_tty_restore, &mode);
 *     ssize_t n = err < 0 ? err : weft_read(in, key, sizeof key);
 *
 * Standard input is shared: with the shell that started this program, with its
 * siblings in a pipeline, with its children. Whether reads of it wait is one
 * setting for all of them, and a shell whose terminal was left non-blocking
 * gets confused. So such a descriptor is not adopted (weft/io.h) but opened
 * anew; and it is not closed, as some other file would get its number.
 *
 * While a fiber waits for a line the others run. A terminal gives lines when
 * they are ended, so weft_stream (weft/stream.h) reads them as it does from a
 * socket: weft_stream_read_until(&s, '\n', ...). A terminal for yourself is
 * weft_file_open("/dev/tty", O_RDWR | O_NOCTTY, 0, &fd). Ctrl-D is a read of 0,
 * and there may be more behind it; one that hangs up says 0 or -EIO for ever.
 */
#ifndef WEFT_TTY_H
#define WEFT_TTY_H

#include <weft/base.h>
#include <weft/io.h>

#include <termios.h>

WEFT_BEGIN_DECLS

/** Is that descriptor a terminal? Not so: one that is closed. */
WEFT_API bool weft_is_tty(int number);

/**
 * A handle of its own for what descriptor `number` is (0, 1, 2, or any other),
 * for the same direction; `number` itself stays as it is and the caller's, and
 * whether others wait in it is not changed. weft_close closes the handle only.
 *
 * A terminal, and on Linux a pipe, is opened once more. Of a regular file it is
 * a copy that shares the position, as the order of what is written asks for. The
 * rest is as by weft_fd_adopt_shared: sockets, other devices, a pipe
 * elsewhere, a terminal that may not be opened again.
 *
 * Never parks. Returns 0, -EBADF, -EMFILE, -ENFILE, -ENOMEM, -EINVAL (it
 * listens); -EPERM outside a run.
 */
WEFT_MUST int weft_std_open(int number, weft_fd *ret_fd);

typedef struct weft_tty_size {
    unsigned rows, columns; /* 0: not known */
} weft_tty_size;

/** How large its window is; of changes SIGWINCH tells (weft/signal.h). 0,
 *  -EBADF, -ENOTTY; -EINVAL: over 65535. Setting it is for who has the other
 *  side of a pty. */
WEFT_MUST int weft_tty_get_size(weft_fd tty, weft_tty_size *ret_size);
WEFT_MUST int weft_tty_set_size(weft_fd tty, weft_tty_size size);

/** How a terminal was; members ending in an underscore are private. */
typedef struct weft_tty_mode {
    struct termios before_;
    int number_; /* a copy of the descriptor, and 1; 0: nothing to restore */
} weft_tty_mode;

/**
 * Has a terminal give each key as it is typed, unseen and without a meaning:
 * no echo, no lines, no Ctrl-C. What is printed is left as it is: a line ends
 * with "\r\n". *ret_mode is for weft_tty_restore, which has to be called; it
 * holds a descriptor until then.
 *
 * Returns 0, -EBADF, -ENOTTY, -EIO (a terminal without a session), -EMFILE;
 * then nothing is changed, and there is nothing to restore. Never parks.
 */
WEFT_MUST int weft_tty_raw(weft_fd tty, weft_tty_mode *ret_mode);

/**
 * Puts a terminal back to how it was, also when its handle is closed by now.
 * `mode` is a weft_tty_mode: of this form it goes into weft_defer, and comes
 * when the fiber ends, cancelled or not. Once is enough; more is fine. Of a
 * process that dies of a signal nobody restores anything: take the signal
 * (weft/signal.h). Never parks.
 */
WEFT_API void weft_tty_restore(void *mode);

WEFT_END_DECLS

#endif
