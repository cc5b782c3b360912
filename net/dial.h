/* SPDX-License-Identifier: MIT */
/*
 * net/dial.h - what is between one attempt (dial.c) and the race of several
 * (eyeballs.c).
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <weft/dial.h>

/* A dial: what was asked for, checked. */
struct wf_dialling {
    const char *address; /* as it was given, for errors */
    const weft_dial_opts *opts;
    weft_addr local; /* .len is 0: none */
    int family;      /* AF_UNSPEC: both */
};

/* ---- dial.c ------------------------------------------------------------- */

/* Makes one attempt, in this fiber and within its bound. After a failure
 * *ret_step is the step that failed. */
int wf_dial_one(const struct wf_dialling *d, const weft_addr *to,
                weft_fd *ret_conn, const char **ret_step);

/* Note a failure of the dial, and return its code: "dial ADDRESS: " and what
 * `format` makes; and of an attempt, with its step and peer. */
int wf_dial_fail(const char *address, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int wf_dial_fail_step(const struct wf_dialling *d, int code, const char *step,
                      const weft_addr *to);

/* ---- eyeballs.c --------------------------------------------------------- */

/* Looks the host up, and races its addresses. */
int wf_race_name(const struct wf_dialling *d, const char *host, unsigned port,
                 weft_fd *ret_conn);

/* Races n of them, more than one, as they stand. */
int wf_race_addrs(const struct wf_dialling *d, const weft_addr addrs[],
                  size_t n, weft_fd *ret_conn);

#endif
