/* SPDX-License-Identifier: MIT */
/* route_plain.c - the table of patterns that are paths. */
#include "route_plain.h"

const struct wf_plain *wf_plain_find(const struct wf_plain_table *t,
                                     weft_text path)
{
    const struct wf_plain_key key = wf_plain_key_of(path);
    const struct wf_plain *p = t->first[wf_plain_hash(&key)];
    while (p &&
           !(wf_plain_has(p, &key) && memcmp(p->path, path.at, path.len) == 0))
        p = p->beside;
    return p;
}

void wf_plain_add(struct wf_plain_table *t, struct wf_plain *p, weft_text path)
{
    if (memchr(path.at, '%', path.len)) return;
    p->path = path.at;
    p->key = wf_plain_key_of(path);
    struct wf_plain **first = &t->first[wf_plain_hash(&p->key)];
    p->beside = *first;
    *first = p;
}
