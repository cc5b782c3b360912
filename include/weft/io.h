/* SPDX-License-Identifier: MIT */
/*
 * weft/io.h (reactor) - descriptors that fibers wait for.
 *
 *     ssize_t n = weft_read(conn, buf, sizeof buf);
 *     if (n <= 0) return (int)n;
 *     n = weft_write_all(conn, buf, (size_t)n);
 *
 * A weft_fd is a small value: a place in the thread's table, and the
 * generation of that place. Closing wakes everyone parked on it with -EBADF
 * and ends the generation, so a copy that some other fiber still holds gets
 * -EBADF for ever, whoever has the number by then. Zeroed is no descriptor.
 *
 * On a stream one fiber may wait to read and another to write; a second of a
 * kind gets -EBUSY. On listeners and datagram sockets any number may wait and
 * they are served in order. A cancelled call has moved no octet, save where
 * its text says how many.
 *
 * Interrupted calls are repeated; a write to a closed peer is -EPIPE and never
 * SIGPIPE. All calls come from the thread on which the descriptor was adopted.
 */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <weft/base.h>

#include <sys/types.h>
#include <sys/uio.h>

WEFT_BEGIN_DECLS

typedef struct weft_fd {
    uint32_t slot;
    uint32_t generation;
} weft_fd;

/**
 * Takes descriptor `fd` over: it becomes non-blocking, and weft_close closes
 * it. Sockets, pipes, terminals and regular files will do. Where SIGPIPE is a
 * thing of the descriptor (macOS) it is turned off for this one.
 *
 * Returns 0, -EBADF, -ENOMEM, or -EPERM outside a run; then `fd` is still the
 * caller's, but may be non-blocking already.
 */
WEFT_MUST int weft_fd_adopt(int fd, weft_fd *ret_fd);

/**
 * The same for what other processes use as well, such as standard input:
 * whether it blocks is theirs too, and stays as it is. So it is asked before
 * each read and write what there is; and but for sockets no more than 256
 * octets are written at a time. If another process is faster than this one at
 * reading what was there, the thread waits for more: weft_std_open (weft/tty.h)
 * does better where that is possible.
 *
 * Returns as weft_fd_adopt; -EINVAL of a socket that listens.
 */
WEFT_MUST int weft_fd_adopt_shared(int fd, weft_fd *ret_fd);

/**
 * Gives the descriptor back: its number, or -EBADF; -EBUSY while a call of
 * weft/file.h uses it. Waiters wake with -EBADF. It stays non-blocking.
 */
WEFT_MUST int weft_fd_release(weft_fd fd);

/** Closes the number of a descriptor that was released and finds no other
 *  owner. Never parks. */
WEFT_API void weft_close_released(int fd);

/** The number, for calls that need one, or -EBADF. It stays weft's. */
WEFT_API int weft_fd_number(weft_fd fd);

/**
 * Wakes all waiters with -EBADF and closes. A call of weft/file.h that is at
 * work on it comes to its end first, but nobody waits for that. 0, or -EBADF
 * the second time.
 */
WEFT_API int weft_close(weft_fd fd);

/**
 * Reads what is there, up to `len` octets.
 *
 * Parks. Returns octets, 0 at the end, -ECANCELED, -EBADF, -EBUSY,
 * -ECONNRESET, or what read(2) says.
 */
WEFT_PARKS ssize_t weft_read(weft_fd fd, void *buf, size_t len);
WEFT_PARKS ssize_t weft_readv(weft_fd fd, const struct iovec *iov, int count);

/** Reads without waiting: -EAGAIN where weft_read would park. */
WEFT_MUST ssize_t weft_try_read(weft_fd fd, void *buf, size_t len);

/**
 * Writes some octets, as many as go.
 *
 * Parks. Returns octets, -ECANCELED, -EBADF, -EBUSY, -EPIPE, -ECONNRESET, or
 * what write(2) says.
 */
WEFT_PARKS ssize_t weft_write(weft_fd fd, const void *buf, size_t len);
WEFT_PARKS ssize_t weft_writev(weft_fd fd, const struct iovec *iov, int count);

/** Writes without waiting: -EAGAIN where weft_write would park, and -EBUSY as
 *  that. */
WEFT_MUST ssize_t weft_try_write(weft_fd fd, const void *buf, size_t len);

/**
 * Writes all octets. If that fails half way *ret_done (may be NULL) says how
 * many went; what is cancelled before the first is all still the caller's.
 *
 * Parks. Returns 0, or the errors of weft_write.
 */
WEFT_PARKS int weft_write_all(weft_fd fd, const void *buf, size_t len,
                              size_t *ret_done);

/**
 * Reads exactly `len` octets. *ret_done (may be NULL) says how many came.
 *
 * Parks. Returns 0, -EPIPE if the stream ended first, or as weft_read.
 */
WEFT_PARKS int weft_read_exact(weft_fd fd, void *buf, size_t len,
                               size_t *ret_done);

enum { WEFT_READABLE = 1, WEFT_WRITABLE = 2, WEFT_HANGUP = 4 };

/**
 * Which of these are known without asking the kernel: those that weft_wait_ready
 * would return at once. -EBADF: closed.
 */
WEFT_API int weft_known_ready(weft_fd fd);

/**
 * Waits until the descriptor can be read or written, whichever is asked for
 * in `events`. A hint: try the call, it may still say EAGAIN.
 *
 * Parks. Returns those events of the asked that there are, and WEFT_HANGUP if
 * there is that; -ECANCELED, -EBADF, -EBUSY, -EINVAL (asked for nothing).
 */
WEFT_PARKS int weft_wait_ready(weft_fd fd, int events);

/**
 * The same for a descriptor that belongs to some other library, which opens,
 * uses and closes it by itself. Call weft_forget_fd before it is closed.
 *
 * Parks. Returns as weft_wait_ready; -EBADF if it is not open, or was forgotten
 * meanwhile; -EBUSY also if it is one of weft's own; -ENOMEM.
 */
WEFT_PARKS int weft_wait_fd(int fd, int events);

/** Ends all waiting for foreign descriptor `fd`; its waiters get -EBADF. */
WEFT_API void weft_forget_fd(int fd);

WEFT_END_DECLS

#endif
