/* SPDX-License-Identifier: MIT */
/*
 * net/race.h - a race of attempts, as those know it who run it (eyeballs.c) and
 * who tell why it was lost (eyeballs_failed.c).
 */
#ifndef NET_RACE_H
#define NET_RACE_H

#include <weft/dns.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/nursery.h>

#include "dial.h"
#include "line.h"

struct wf_lookup {
    struct wf_race *race;
    int family; /* AF_UNSPEC: both */
    bool over, merged;
    int rc;             /* how many were found, or what went wrong */
    weft_time patience; /* the end of that, for the other family */
    char said[sizeof((weft_error *)0)->msg]; /* about what went wrong */
    weft_addr found[WEFT_DNS_ADDRS];
};

struct wf_attempt {
    struct wf_race *race;
    struct wf_target *target;
    const char *step; /* that failed, and with what */
    int rc;
};

struct wf_race {
    const struct wf_dialling *d;
    const char *host; /* NULL: the addresses were given */
    unsigned port;
    weft_resolver *resolver; /* for this dial, if it was given none; or NULL */
    weft_nursery nursery;
    weft_event changed;

    struct wf_lookup lookups[2]; /* the preferred family's is the first */
    unsigned lookup_count, looking;

    struct wf_line line;
    struct wf_attempt attempts[WEFT_DIAL_ADDRS]; /* in the order they began */
    size_t begun;
    unsigned live;
    weft_time next_at; /* the next one is due */
    /* The one that failed for want of a descriptor or of memory, and is to be
     * made again; when nothing else goes on, it is the end. */
    struct wf_attempt *short_of;
    bool given_back; /* since then something has ended */

    bool won;
    weft_fd conn;
};

/* ---- eyeballs_failed.c -------------------------------------------------- */

/* Returns why no attempt has connected, with the rest behind it. */
int wf_race_failed(struct wf_race *r);

/* Returns -ECANCELED, and notes where the race was. */
int wf_race_cancelled(const struct wf_race *r);

#endif
