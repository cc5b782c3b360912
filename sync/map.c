/* SPDX-License-Identifier: MIT */
/*
 * map.c - one function for many numbers.
 */
#include "sync/many.h"

struct map {
    struct wf_many many; /* stays first */
    int (*fn)(size_t i, void *context);
    void *context;
    int *ret_rc;
};

/* A fiber that was cancelled before it ran makes no call. */
static int call(struct wf_many *m, size_t i)
{
    const struct map *map = (const struct map *)(const void *)m;
    return wf_self()->cancelled ? -ECANCELED : map->fn(i, map->context);
}

static void note(struct wf_many *m, size_t i, int rc, weft_status status)
{
    const struct map *map = (const struct map *)(const void *)m;
    (void)status;
    if (map->ret_rc) map->ret_rc[i] = rc;
}

int weft_map(size_t n, int (*fn)(size_t i, void *context), void *context,
             int *ret_rc, const weft_gather_opts *o)
{
    int err = wf_many_enter("map", o);
    for (size_t i = 0; ret_rc && i < n; i++)
        ret_rc[i] = err < 0 ? err : -ECANCELED;
    if (err < 0 || n == 0) return err;

    struct map map = {
        .many = {.name = "map", .n = n, .call = call, .note = note},
        .fn = fn,
        .context = context,
        .ret_rc = ret_rc};
    if (o) map.many.opts = *o;
    return wf_many_run(&map.many);
}
