/* SPDX-License-Identifier: MIT */
/*
 * fdtable.c - entries in chunks, which are made when first needed.
 *
 * Generations count all openings of the process rather than those of one entry,
 * so that none comes round again before two thousand million openings.
 */
#include "reactor/fdtable.h"

#include <string.h>

#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/serial.h"

struct wf_fd *wf_fdtable_make(struct wf_fdtable *t, int number)
{
    size_t chunk = (size_t)number / WF_FDS_PER_CHUNK;
    if (chunk >= t->chunk_count) {
        size_t count = t->chunk_count ? t->chunk_count : 8;
        while (count <= chunk)
            count *= 2;
        struct wf_fd **chunks = wf_zalloc(count * sizeof *chunks);
        if (!chunks) return NULL;
        if (t->chunks)
            memcpy(chunks, t->chunks, t->chunk_count * sizeof *chunks);
        wf_free(t->chunks, t->chunk_count * sizeof *chunks);
        t->chunks = chunks;
        t->chunk_count = count;
    }
    if (!t->chunks[chunk]) {
        struct wf_fd *made = wf_map(WF_FDS_PER_CHUNK * sizeof *made);
        if (!made) return NULL;
        for (int i = 0; i < WF_FDS_PER_CHUNK; i++) {
            made[i].number = (int)chunk * WF_FDS_PER_CHUNK + i;
            made[i].generation = UINT32_MAX; /* of no opening yet */
        }
        t->chunks[chunk] = made;
    }
    return &t->chunks[chunk][number % WF_FDS_PER_CHUNK];
}

/* Of the process, not of one run or thread: a handle may outlive its run, and
 * one of another worker must not be taken for one of ours. */
static uint32_t next_generation(void)
{
    static uint32_t given;
    static __thread struct wf_serials taken;
    return wf_serial(&taken, &given);
}

void wf_fdtable_open(struct wf_fdtable *t, struct wf_fd *e,
                     enum wf_fd_kind kind)
{
    WF_ASSERT(wf_waitq_empty(&e->readers) && wf_waitq_empty(&e->writers));
    int number = e->number;
    uint32_t held = e->held; /* of an opening that was ended elsewhere */
    *e = (struct wf_fd){.number = number,
                        .held = held & (UINT32_MAX >> 2),
                        .generation = next_generation(),
                        .kind = (uint8_t)kind};
    t->open++;
    if (kind != WF_FD_FOREIGN) wf_leaks_here.descriptors++;
}

void wf_fdtable_close(struct wf_fdtable *t, struct wf_fd *e)
{
    WF_ASSERT(wf_waitq_empty(&e->readers) && wf_waitq_empty(&e->writers));
    if (e->kind != WF_FD_FOREIGN) wf_leaks_here.descriptors--;
    e->kind = WF_FD_NONE;
    e->generation = next_generation();
    e->registered = false;
    t->open--;
}

void wf_fdtable_fini(struct wf_fdtable *t)
{
    for (size_t i = 0; i < t->chunk_count; i++)
        wf_unmap(t->chunks[i], WF_FDS_PER_CHUNK * sizeof **t->chunks);
    wf_free(t->chunks, t->chunk_count * sizeof *t->chunks);
    *t = (struct wf_fdtable){0};
}
