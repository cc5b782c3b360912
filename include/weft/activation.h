/* SPDX-License-Identifier: MIT */
/*
 * weft/activation.h (reactor) - listeners that somebody else has opened.
 *
 *     [Socket]                       # web.socket
 *     ListenStream=80
 *     FileDescriptorName=http
 *
 *     err = weft_listen(&listener, "systemd:http", NULL);     (weft/net.h)
 *
 * A service manager (systemd.socket(5)), an older instance of the same server
 * or a shell may open the socket and start the program with it. So a restart
 * refuses nobody, and a low port needs no root. What was passed is told in the
 * environment as sd_listen_fds(3) has it: LISTEN_FDS descriptors from number 3
 * on, for the process LISTEN_PID, with the names LISTEN_FDNAMES between colons.
 *
 * Nothing here parks. Errors are said in weft_last_error(). The environment is
 * read at each call: nobody may change it meanwhile.
 */
#ifndef WEFT_ACTIVATION_H
#define WEFT_ACTIVATION_H

#include <weft/base.h>
#include <weft/io.h>

WEFT_BEGIN_DECLS

enum { WEFT_ACTIVATION_FIRST = 3 }; /* the first descriptor's number */

/**
 * How many descriptors were passed to this process: 0, too, if none were, or to
 * another one, whose environment this is. Each is closed on exec from then on.
 *
 * Returns that; -EINVAL: a variable is no number; -EBADF: one is not open.
 */
WEFT_MUST int weft_activation_count(void);

/**
 * The number of the index-th (from 0) of those of this name; NULL or "": of all.
 * Several of one name are, in order, the lines of one .socket file. Without
 * LISTEN_FDNAMES the name of all is "unknown".
 *
 * Returns that; -ENOENT: there is none; -EINVAL, also: not as many names as
 * descriptors; -EBADF.
 */
WEFT_MUST int weft_activation_find(const char *name, unsigned index);

/** Writes the name of the index-th of all, cut to `len` with a 0 at the end, or
 *  "" if there is none; returns `buf`. */
WEFT_API char *weft_activation_name(unsigned index, char *buf, size_t len);

/** Takes the variables out of the environment, which children inherit. From
 *  then on nothing was passed. Not while other threads use the environment. */
WEFT_API void weft_activation_forget(void);

/**
 * Takes over descriptor `fd`, which has to be a stream socket that listens, IP,
 * Unix or another: as weft_fd_adopt, and it is closed on exec.
 *
 * Returns 0; -EBADF: it is not open; -ENOTSOCK; -EPROTOTYPE: not of streams;
 * -EINVAL: it does not listen (half of the BSDs tell only if it has an address
 * and no peer); -EBUSY: it is weft's already; -ENOMEM; -EPERM outside a run.
 * Then it is still the caller's, and as it was but for close on exec and, after
 * -ENOMEM, blocking.
 */
WEFT_MUST int weft_listener_adopt(int fd, weft_fd *ret_listener);

WEFT_END_DECLS

#endif
