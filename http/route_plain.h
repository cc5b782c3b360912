/* SPDX-License-Identifier: MIT */
/*
 * route_plain.h - routes whose pattern has no parameter and no escape.
 *
 * A path that is such a pattern to the letter needs no search: nothing comes
 * before what is all words. So these patterns are in a hash table, and most
 * requests are answered by what is found there.
 */
#ifndef HTTP_ROUTE_PLAIN_H
#define HTTP_ROUTE_PLAIN_H

#include <weft/text.h>

#include <stdint.h>
#include <string.h>

struct wf_route;

/* A path up to 16 octets is its first eight and its last; one of fewer than
 * eight is both. */
struct wf_plain_key {
    uint64_t first, last;
    size_t len;
};

/* One of them, of a node of the tree. */
struct wf_plain {
    struct wf_plain *beside; /* another with the same hash */
    struct wf_plain_key key;
    const char *path;
    const struct wf_route *get; /* what answers GET to it, or NULL */
};

enum { WF_PLAIN_BITS = 6, WF_PLAIN_SHORT = 16 };

struct wf_plain_table {
    struct wf_plain *first[1 << WF_PLAIN_BITS];
};

static inline struct wf_plain_key wf_plain_key_of(weft_text path)
{
    struct wf_plain_key key = {0, 0, path.len};
    if (path.len >= 8) {
        memcpy(&key.first, path.at, 8);
        memcpy(&key.last, path.at + path.len - 8, 8);
        return key;
    }
    for (size_t i = 0; i < path.len; i++)
        key.last = key.last << 8 | (unsigned char)path.at[i];
    key.first = key.last;
    return key;
}

static inline bool wf_plain_has(const struct wf_plain *p,
                                const struct wf_plain_key *key)
{
    return p->key.last == key->last && p->key.len == key->len &&
           p->key.first == key->first;
}

/* Long paths differ at their ends, or in length. The factor is Knuth's, of the
 * golden section: what it leaves on top depends on all bits. */
static inline unsigned wf_plain_hash(const struct wf_plain_key *key)
{
    return (unsigned)((key->last + key->len) * UINT64_C(0x9e3779b97f4a7c15) >>
                      (64 - WF_PLAIN_BITS));
}

/* That of a path, or NULL. Nothing needs to be known of the path. */
const struct wf_plain *wf_plain_find(const struct wf_plain_table *t,
                                     weft_text path);

/* The same, where it is found at first sight: there may be one even so. */
static inline const struct wf_plain *
wf_plain_glance(const struct wf_plain_table *t, weft_text path)
{
    const struct wf_plain_key key = wf_plain_key_of(path);
    const struct wf_plain *p = t->first[wf_plain_hash(&key)];
    bool is = p && wf_plain_has(p, &key) && key.len <= WF_PLAIN_SHORT;
    return is ? p : NULL;
}

/* Adds *p, which is of no table yet, for `path`, unless that has an escape. */
void wf_plain_add(struct wf_plain_table *t, struct wf_plain *p, weft_text path);

#endif
