/* SPDX-License-Identifier: MIT */
/*
 * table.c - a hash table of what carries its own link.
 */
#include "sync/table.h"

#include "runtime/os.h"
#include "runtime/park.h"

enum { FIRST = 8 };

static struct wf_link **place(const struct wf_table *t, uint64_t hash)
{
    return &t->chains[hash & (t->room - 1)];
}

int wf_table_init(struct wf_table *t)
{
    *t = (struct wf_table){.room = FIRST};
    t->chains = wf_zalloc(FIRST * sizeof(struct wf_link *));
    return t->chains ? 0 : -ENOMEM;
}

void wf_table_fini(struct wf_table *t)
{
    wf_free(t->chains, t->room * sizeof(struct wf_link *));
    *t = (struct wf_table){.room = 0};
}

static void put(struct wf_table *t, struct wf_link *l)
{
    struct wf_link **at = place(t, l->hash);
    l->next = *at;
    *at = l;
}

static void grow(struct wf_table *t)
{
    struct wf_table larger = {.room = t->room * 2, .count = t->count};
    if (larger.room > SIZE_MAX / sizeof(struct wf_link *)) return;
    larger.chains = wf_zalloc(larger.room * sizeof(struct wf_link *));
    if (!larger.chains) return;
    for (size_t i = 0; i < t->room; i++)
        for (struct wf_link *l = t->chains[i], *next; l; l = next) {
            next = l->next;
            put(&larger, l);
        }
    wf_table_fini(t);
    *t = larger;
}

void wf_table_add(struct wf_table *t, struct wf_link *l)
{
    if (t->count == t->room) grow(t);
    put(t, l);
    t->count++;
}

void wf_table_remove(struct wf_table *t, struct wf_link *l)
{
    struct wf_link **at = place(t, l->hash);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    t->count--;
}
