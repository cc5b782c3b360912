/* SPDX-License-Identifier: MIT */
/*
 * keyed.h - things by keys of octets that somebody else may have chosen, and
 * those of them that are kept in the order of their use.
 */
#ifndef WF_KEYED_H
#define WF_KEYED_H

#include "sync/hash.h"
#include "sync/table.h"

/* The first member of a thing. The caller sets hash (of wf_keyed_hash), key and
 * len before it is added; the key stays where it is. */
struct wf_keyed {
    struct wf_link link;
    struct wf_keyed *newer, *older;
    const void *key;
    size_t len;
};

struct wf_keyed_set {
    struct wf_hash_secret secret; /* its own */
    struct wf_table table;
    struct wf_keyed *newest, *oldest;
};

/* 0 or -ENOMEM. */
int wf_keyed_init(struct wf_keyed_set *s);

/* What is in it is the caller's. */
void wf_keyed_fini(struct wf_keyed_set *s);

uint64_t wf_keyed_hash(const struct wf_keyed_set *s, const void *key,
                       size_t len);

/* The one with this key, of this hash, that is in the table; or NULL. */
struct wf_keyed *wf_keyed_find(const struct wf_keyed_set *s, uint64_t hash,
                               const void *key, size_t len);

/* Puts k at the end of the order, as the one that was used last; and takes it
 * out. Whether it is in the table is another question. */
void wf_keyed_push(struct wf_keyed_set *s, struct wf_keyed *k);
void wf_keyed_unlink(struct wf_keyed_set *s, struct wf_keyed *k);

#endif
