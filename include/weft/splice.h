/* SPDX-License-Identifier: MIT */
/*
 * weft/splice.h (exec) - octets from one descriptor to another.
 *
 *     weft_relay relay = {0};
 *     int err = weft_copy(&relay, client, server, WEFT_COPY_ALL, NULL);
 *     if (err == 0) err = weft_shutdown_write(server);
 *     weft_relay_end(&relay);
 *
 * From and to stream sockets, pipes, terminals and regular files, in any
 * combination. Where the system can move octets without copying them, it does:
 * on Linux between sockets and pipes (splice(2)) and from files (sendfile(2)).
 * Order and number are kept; how they were divided is not.
 *
 * What was read has to be written, and a fiber can be cancelled in between. So
 * there is a weft_relay, which holds those octets: the next weft_copy writes
 * them first, or the caller takes them. None is lost, and none is doubled.
 *
 * The end of `from` is told and not passed on: to shut or close `to` is the
 * caller's. What a weft_stream has read ahead, or holds back, is not seen.
 * For parts of a file at an offset see weft_file_send (weft/file.h).
 */
#ifndef WEFT_SPLICE_H
#define WEFT_SPLICE_H

#include <weft/base.h>
#include <weft/io.h>

WEFT_BEGIN_DECLS

/** One direction between two descriptors. Zeroed is initialised; members ending
 *  in an underscore are private. It holds memory or two descriptors while there
 *  are octets in it, and the latter until weft_relay_end. */
typedef struct weft_relay {
    char *buf_;
    size_t at_, held_;
    int out_, in_; /* of its pipe, and 1; 0: there is none */
} weft_relay;

#define WEFT_COPY_ALL UINT64_MAX

/**
 * Moves octets: first those that *relay holds, then what comes from `from`, up
 * to `limit` of them, or to the end. *ret_done (may be NULL) says how many were
 * written to `to`, whatever this returns. Never more than `limit` are read.
 *
 * One fiber at a time uses a relay; `from` and `to` may change between calls,
 * and be the same. A file is read and written at its position, which moves on
 * by what was written of it, or is held.
 *
 * Parks. Returns 0: `limit` are done, or fewer and `from` is at its end.
 * -ECANCELED, -EBADF, -EBUSY (another fiber reads or writes there), -EPIPE,
 * -ECONNRESET, -ENOSPC, -ENOMEM, -EISDIR, ...; -EINVAL: a datagram socket or a
 * listener. weft_last_error() names the descriptor.
 */
WEFT_PARKS int weft_copy(weft_relay *relay, weft_fd from, weft_fd to,
                         uint64_t limit, uint64_t *ret_done);

/** How many octets it holds: read, and not written yet. */
WEFT_API size_t weft_relay_held(const weft_relay *relay);

/** Takes the oldest of these, up to `len`. Returns how many; 0: it holds none.
 *  Never parks. */
WEFT_API size_t weft_relay_take(weft_relay *relay, void *buf, size_t len);

/** Gives back what it has, with the octets that it holds. Zeroed after it, and
 *  fine if it was so before. */
WEFT_API void weft_relay_end(weft_relay *relay);

WEFT_END_DECLS

#endif
