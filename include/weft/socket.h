/* SPDX-License-Identifier: MIT */
/*
 * weft/socket.h (reactor) - the socket calls of POSIX, for fibers.
 *
 *     weft_fd s;
 *     int err = weft_socket(AF_INET, SOCK_STREAM, 0, &s);
 *     if (err < 0) return err;
 *     err = weft_connect(s, (struct sockaddr *)&to, sizeof to);
 *
 * One call to one system call, with weft's handles, codes and waiting. Most
 * programs want weft/net.h, which takes addresses as text. For what these do
 * see the man page of the call of that name; here is what differs.
 */
#ifndef WEFT_SOCKET_H
#define WEFT_SOCKET_H

#include <weft/base.h>
#include <weft/io.h>

#include <sys/socket.h>

WEFT_BEGIN_DECLS

/** A non-blocking, close-on-exec socket. 0, -EMFILE, -ENFILE, -ENOMEM, ... */
WEFT_MUST int weft_socket(int family, int type, int protocol, weft_fd *ret_fd);

/** A connected pair of them. */
WEFT_MUST int weft_socketpair(int family, int type, weft_fd ret_pair[2]);

WEFT_MUST int weft_bind(weft_fd fd, const struct sockaddr *sa, socklen_t len);

/** From now on the socket is a listener; `backlog` as in listen(2). */
WEFT_MUST int weft_listen_on(weft_fd fd, int backlog);

/**
 * Takes the next connection; *sa and *len (both may be NULL) get its peer.
 * Connections that are reset before they are taken are passed over. Without a
 * free descriptor the call waits for one to be closed, and the connection
 * waits in the backlog; weft_stats counts that.
 *
 * Parks. Returns 0, -ECANCELED, -EBADF, -ENOMEM, or what accept(2) says.
 */
WEFT_PARKS int weft_accept_from(weft_fd fd, weft_fd *ret_conn,
                                struct sockaddr *sa, socklen_t *len);

/** Takes a connection that is there: as above, but -EAGAIN or -EMFILE. */
WEFT_MUST int weft_try_accept_from(weft_fd fd, weft_fd *ret_conn,
                                   struct sockaddr *sa, socklen_t *len);

/**
 * Connects. After an error, or when cancelled, close the socket.
 *
 * Parks. Returns 0, -ECANCELED, -ECONNREFUSED, -ETIMEDOUT (by the kernel), ...
 */
WEFT_PARKS int weft_connect(weft_fd fd, const struct sockaddr *sa,
                            socklen_t len);

/**
 * Removes the file of a Unix socket whose server has gone. One that is being
 * listened at stays, and so does anything else. Never parks.
 */
WEFT_API void weft_remove_stale(const struct sockaddr *sa, socklen_t len);

/**
 * Sets who may connect to the file of a bound Unix socket: `mode` as chmod(2),
 * of the file itself and not of what it links to. Between weft_bind and
 * weft_listen_on nobody can yet. Never parks.
 *
 * Returns 0; -ENOTSOCK: there is another file; -EINVAL: it has no file; or what
 * chmod(2) says.
 */
WEFT_MUST int weft_set_socket_mode(const struct sockaddr *sa, socklen_t len,
                                   mode_t mode);

WEFT_MUST int weft_shutdown_fd(weft_fd fd, int how);
WEFT_MUST int weft_setsockopt(weft_fd fd, int level, int name, const void *val,
                              socklen_t len);
WEFT_MUST int weft_getsockopt(weft_fd fd, int level, int name, void *val,
                              socklen_t *len);
WEFT_MUST int weft_getsockname(weft_fd fd, struct sockaddr *sa, socklen_t *len);
WEFT_MUST int weft_getpeername(weft_fd fd, struct sockaddr *sa, socklen_t *len);

/** The user, group and process at the other end of a connected Unix socket, as
 *  of when it was connected or paired; *pid is -1 where that is not told. */
WEFT_MUST int weft_getpeereid(weft_fd fd, uid_t *ret_uid, gid_t *ret_gid,
                              pid_t *ret_pid);

/** Park; as recvmsg(2) and sendmsg(2). `flags` without MSG_DONTWAIT; with
 *  MSG_ERRQUEUE (Linux) it does not wait, but returns -EAGAIN. What descriptors
 *  come (SCM_RIGHTS) are closed on exec, and the caller's. */
WEFT_PARKS ssize_t weft_recvmsg(weft_fd fd, struct msghdr *msg, int flags);
WEFT_PARKS ssize_t weft_sendmsg(weft_fd fd, const struct msghdr *msg,
                                int flags);

/** The same without waiting: -EAGAIN. */
WEFT_MUST ssize_t weft_try_recvmsg(weft_fd fd, struct msghdr *msg, int flags);
WEFT_MUST ssize_t weft_try_sendmsg(weft_fd fd, const struct msghdr *msg,
                                   int flags);

WEFT_END_DECLS

#endif
