/* SPDX-License-Identifier: MIT */
/*
 * dns_resolver.c - a resolver's life.
 */
#include "dns_resolver.h"

#include <weft/buffer.h>
#include <weft/fiber.h>

#include <string.h>

enum { TEXTS = 4 };

static void texts_of(weft_resolver_opts *o, const char **ret[TEXTS])
{
    ret[0] = &o->servers;
    ret[1] = &o->resolv_conf;
    ret[2] = &o->hosts;
    ret[3] = &o->search;
}

/* All into one block; the options point there from now on. */
static int copy_texts(weft_resolver *r)
{
    const char **texts[TEXTS];
    texts_of(&r->opts, texts);
    for (int i = 0; i < TEXTS; i++)
        if (*texts[i]) r->texts_size += strlen(*texts[i]) + 1;
    if (r->texts_size == 0) return 0;
    r->texts = weft_buffer_alloc(r->texts_size);
    if (!r->texts) return -ENOMEM;
    char *at = r->texts;
    for (int i = 0; i < TEXTS; i++) {
        if (!*texts[i]) continue;
        size_t len = strlen(*texts[i]) + 1;
        memcpy(at, *texts[i], len);
        *texts[i] = at;
        at += len;
    }
    return 0;
}

weft_resolver *weft_resolver_new(const weft_resolver_opts *o)
{
    weft_resolver *r = weft_buffer_alloc(sizeof *r);
    if (!r) return NULL;
    memset(r, 0, sizeof *r);
    r->holders = 1;
    if (o) r->opts = *o;
    if (copy_texts(r) < 0) goto free_resolver;
    if (wf_dns_cache_open(r) < 0) goto free_texts;
    return r;

free_texts:
    weft_buffer_free(r->texts, r->texts_size);
free_resolver:
    weft_buffer_free(r, sizeof *r);
    return NULL;
}

void weft_resolver_free(weft_resolver *r)
{
    if (!r || --r->holders > 0) return;
    weft_cache_free(r->cache);
    wf_dns_files_put(r->files);
    weft_buffer_free(r->texts, r->texts_size);
    weft_buffer_free(r, sizeof *r);
}

void weft_resolver_stats_read(const weft_resolver *r, weft_resolver_stats *ret)
{
    weft_cache_stats c;
    weft_cache_stats_read(r->cache, &c);
    *ret = r->stats;
    ret->hits = c.hits;
    ret->misses = c.misses;
    ret->waits = c.waits;
    ret->entries = c.entries;
}

int wf_dns_with(weft_resolver *r, int (*fn)(weft_resolver *r, void *arg),
                void *arg)
{
    int err = weft_checkpoint();
    if (err < 0) return err;
    const weft_resolver_opts once = {.no_cache = true};
    if (r)
        r->holders++;
    else
        r = weft_resolver_new(&once);
    if (!r) return weft_fail_at(-ENOMEM, NULL, 0, "no memory for a resolver");
    int rc = fn(r, arg);
    weft_resolver_free(r);
    return rc;
}
