/* SPDX-License-Identifier: MIT */
/*
 * net/line.h - the addresses of a dial that were not tried yet, in their order.
 */
#ifndef NET_LINE_H
#define NET_LINE_H

#include "dial.h"
#include "order.h"

struct wf_target {
    weft_addr to;
    struct wf_route route;
    bool routed; /* its source was asked for */
};

struct wf_line {
    const struct wf_dialling *d;
    bool as_given; /* neither sorted nor are families alternated */
    bool sorted;
    int last_family; /* that was taken; 0: none was */
    size_t known, waiting;
    struct wf_target targets[WEFT_DIAL_ADDRS]; /* all that ever were */
    struct wf_target *line[WEFT_DIAL_ADDRS];   /* those that wait */
};

void wf_line_init(struct wf_line *l, const struct wf_dialling *d,
                  bool as_given);

/* Puts one in, unless it was there before or there are too many. */
void wf_line_add(struct wf_line *l, const weft_addr *to);

/* Takes the next one; there is one. May pass a cancel point, without heed. */
struct wf_target *wf_line_take(struct wf_line *l);

#endif
