/* SPDX-License-Identifier: MIT */
/*
 * bench/generator.h - the load generator: one thread, one epoll, and no weft.
 *
 *     struct load_opts o = {.mode = LOAD_ECHO, .conns = 64, .size = 64,
 *                           .depth = 1, .warmup_ns = 100000000,
 *                           .window_ns = 300000000, .pid = server};
 *     struct load_result r;
 *     if (address_parse("127.0.0.1:7000", &o.address) == 0 &&
 *         load_run(&o, &r) == 0) printf("%.0f/s\n", r.rate);
 *
 * Closed loop (rate 0): each connection sends `depth` messages with one send,
 * and the next ones when all of them were answered. Open loop: messages are due
 * at even intervals, whatever the server does; one that finds no free place
 * waits, and its latency counts from when it was due.
 *
 * A datagram that is lost is not sent again: what it owes is missing at the end.
 *
 * Every reply is checked: an echo octet by octet, an HTTP reply for its status,
 * its head's end, its Content-Length and its body. load_run always returns: it
 * connects for at most five seconds, and no server can hold it longer than the
 * warm-up, the window and one second more.
 */
#ifndef BENCH_GENERATOR_H
#define BENCH_GENERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"

enum load_mode { LOAD_ECHO, LOAD_HTTP };

struct load_opts {
    enum load_mode mode;
    struct address address;
    unsigned conns;
    unsigned depth;   /* messages outstanding on a connection */
    size_t size;      /* of an echo message, up to 1 MiB */
    const char *path; /* HTTP; NULL: "/" */
    double rate;      /* messages a second in all; 0: closed loop */
    bool churn;       /* connect, one message, close */
    bool datagrams;   /* an echo message is one; up to 64,000 octets */
    int64_t warmup_ns;
    int64_t window_ns;
    pid_t pid; /* of the server, for its CPU time; 0: not read */
    /* Called after the window, when every reply came and all are connected. */
    void (*idle)(void *arg);
    void *idle_arg;
};

struct load_errors {
    uint64_t connect; /* could not connect */
    uint64_t reset;   /* the connection broke */
    uint64_t closed;  /* the server ended it with replies owed */
    uint64_t bad;     /* a reply that is not the one expected */
    uint64_t missing; /* no reply until a second after the window */
};

struct load_result {
    uint64_t replies;     /* in the window */
    uint64_t all_replies; /* with the warm-up, for counting system calls */
    uint64_t all_connects;
    double seconds;       /* the window's length as it was */
    double rate;          /* replies a second */
    double server_cpu_ns; /* for each reply; negative when not known */
    double server_load;   /* of one core, 0 to 1 */
    double own_load;      /* the generator's, of its core */
    double p50_us, p90_us, p99_us, p999_us, max_us;
    struct load_errors errors;
};

/** Runs the load. Returns 0 (errors are in the result), -EINVAL or -ENOMEM. */
int load_run(const struct load_opts *o, struct load_result *ret_result);

/** How many errors of any kind. */
uint64_t load_error_count(const struct load_errors *e);

/** "3 errors: connect 0, reset 1, ..."; returns buf. */
const char *load_error_text(const struct load_errors *e, char *buf,
                            size_t size);

#endif
