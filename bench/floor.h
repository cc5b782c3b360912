/* SPDX-License-Identifier: MIT */
/*
 * bench/floor.h - what the two hand-written servers share: the epoll loop.
 *
 * They are the yardstick: one thread, level-triggered epoll, each descriptor
 * registered once, one recv and one send for a message, and nothing between.
 * No timeouts, no limits on connections: less than a real server must do.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { FLOOR_SCRATCH = 64 << 10 };

/** A connection; a server puts this first in its own. */
struct floor_conn {
    int fd;
    bool ending; /* close when everything was sent */
    char *rest;  /* what a short send left, or NULL */
    size_t rest_from, rest_to;
    char *unread; /* octets the server did not take yet, or NULL */
    size_t unread_len;
};

struct floor_server {
    size_t conn_size;
    /**
     * Octets are there. Returns how many were taken (the others come again
     * with more behind them), or -1 to close.
     */
    ssize_t (*received)(struct floor_conn *c, const char *data, size_t len);
    /** Called after each poll; may be NULL. */
    void (*turn)(void);
};

/** Sends at once and keeps what did not fit. False: the connection is gone. */
bool floor_send(struct floor_conn *c, const char *data, size_t len);

/** Listens on HOST:PORT, says so on stderr, and serves until killed. */
int floor_run(const char *address, const struct floor_server *s);

/** A socket bound to the address and said on stderr, or -1 and errno. A stream
 *  socket listens. */
int floor_bind(const char *address, int type);

#endif
