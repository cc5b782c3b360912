/* SPDX-License-Identifier: MIT */
/*
 * keyed.c - things by keys of octets that somebody else may have chosen.
 */
#include "sync/keyed.h"

#include <string.h>

#include "runtime/os.h"

/* Not known outside of the process: where things are, and when. */
static struct wf_hash_secret make_secret(const void *object)
{
    const struct wf_hash_secret where = {
        {(uintptr_t)object ^ (uint64_t)wf_os_clock() << 20, (uintptr_t)&where}};
    return (struct wf_hash_secret){
        {wf_hash(&where, "1", 1), wf_hash(&where, "2", 1)}};
}

int wf_keyed_init(struct wf_keyed_set *s)
{
    *s = (struct wf_keyed_set){.secret = make_secret(s)};
    return wf_table_init(&s->table);
}

void wf_keyed_fini(struct wf_keyed_set *s)
{
    wf_table_fini(&s->table);
}

uint64_t wf_keyed_hash(const struct wf_keyed_set *s, const void *key,
                       size_t len)
{
    return wf_hash(&s->secret, key, len);
}

struct wf_keyed *wf_keyed_find(const struct wf_keyed_set *s, uint64_t hash,
                               const void *key, size_t len)
{
    struct wf_link *l = wf_table_chain(&s->table, hash);
    for (; l; l = l->next) {
        struct wf_keyed *k = (struct wf_keyed *)(void *)l;
        if (l->hash == hash && k->len == len &&
            (len == 0 || memcmp(k->key, key, len) == 0))
            return k;
    }
    return NULL;
}

void wf_keyed_push(struct wf_keyed_set *s, struct wf_keyed *k)
{
    k->newer = NULL;
    k->older = s->newest;
    *(k->older ? &k->older->newer : &s->oldest) = k;
    s->newest = k;
}

void wf_keyed_unlink(struct wf_keyed_set *s, struct wf_keyed *k)
{
    *(k->newer ? &k->newer->older : &s->newest) = k->older;
    *(k->older ? &k->older->newer : &s->oldest) = k->newer;
}
