/* SPDX-License-Identifier: MIT */
/*
 * weft/pipe.h (exec) - pipes, without a name and with one.
 *
 *     weft_fd ends[2];
 *     int err = weft_pipe(ends);
 *     if (err < 0) return err;
 *     err = weft_write_all(ends[1], text, len, NULL);
 *     weft_close(ends[1]);                   ends[0] reads the text, then 0
 *
 * Octets go one way, in order; up to PIPE_BUF of them at a time stay together.
 * weft_read says 0 when nobody has the other end open for writing, weft_write
 * -EPIPE when nobody has it for reading, and never SIGPIPE. For both ways there
 * is weft_socketpair (weft/socket.h), between fibers weft/chan.h.
 */
#ifndef WEFT_PIPE_H
#define WEFT_PIPE_H

#include <weft/base.h>
#include <weft/io.h>

WEFT_BEGIN_DECLS

/** A pipe: ends[0] to read, ends[1] to write, both non-blocking and closed on
 *  exec. Never parks. 0, -EMFILE, -ENFILE, -ENOMEM; -EPERM outside a run. */
WEFT_MUST int weft_pipe(weft_fd ret_ends[2]);

/**
 * Opens a pipe that has a name (mkfifo(3)), to read (WEFT_READABLE) or to write
 * (WEFT_WRITABLE).
 *
 * To read it is open at once. Before anyone has opened it to write a read finds
 * the end; so wait for the first of them with weft_wait_ready(fd,
 * WEFT_READABLE), which returns when there is something, or when one came and
 * went again. To write it is waited for somebody who reads; as no system tells
 * when that is, this looks again after 1 ms, 2, 4, and so on up to 50 ms.
 *
 * Parks. Returns 0, -ECANCELED, -ENOENT, -EACCES, -EMFILE, -ENOMEM; -EINVAL: it
 * is no such pipe, or neither one nor the other is asked for.
 */
WEFT_PARKS int weft_fifo_open(const char *path, int how, weft_fd *ret_fd);

WEFT_END_DECLS

#endif
