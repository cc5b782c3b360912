/* SPDX-License-Identifier: MIT */
/*
 * table.h - a hash table of what carries its own link.
 *
 * To add never fails: where there is no memory to grow, the chains get longer.
 */
#ifndef WF_TABLE_H
#define WF_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct wf_link {
    struct wf_link *next;
    uint64_t hash;
};

struct wf_table {
    struct wf_link **chains;
    size_t room, count; /* room: a power of two */
};

/* 0 or -ENOMEM. */
int wf_table_init(struct wf_table *t);

/* What is in it is the caller's. */
void wf_table_fini(struct wf_table *t);

void wf_table_add(struct wf_table *t, struct wf_link *l);
void wf_table_remove(struct wf_table *t, struct wf_link *l);

/* The first of those that may have this hash; go on by `next`. */
static inline struct wf_link *wf_table_chain(const struct wf_table *t,
                                             uint64_t hash)
{
    return t->chains[hash & (t->room - 1)];
}

#endif
