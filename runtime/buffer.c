/* SPDX-License-Identifier: MIT */
/*
 * buffer.c - the scratch and its tenant, and a pool of buffers.
 *
 * Both are made when first asked for, and given back when the run ends. The
 * pool keeps a bounded number of free buffers; more go back to libc.
 */
#include <weft/buffer.h>

#include "runtime/buffer.h"
#include "runtime/os.h"
#include "runtime/park.h"

enum { KEEP = 64 };

static __thread char *scratch;
static __thread weft_tenant *tenant;
static __thread void *free_buffers[KEEP];
static __thread unsigned free_count;

void *weft_scratch_claim(weft_tenant *t)
{
    if (tenant == t) return scratch;
    if (tenant && tenant->leave(tenant) < 0) return NULL;
    tenant = NULL;
    if (!scratch) {
        if (!wf_sched_is_open()) return NULL;
        scratch = wf_alloc(WEFT_SCRATCH_BYTES);
        if (!scratch) return NULL;
    }
    tenant = t;
    return scratch;
}

void weft_scratch_leave(weft_tenant *t)
{
    if (tenant == t) tenant = NULL;
}

bool weft_scratch_holds(const void *p)
{
    uintptr_t at = (uintptr_t)p, low = (uintptr_t)scratch;
    return scratch && at >= low && at - low < WEFT_SCRATCH_BYTES;
}

void *weft_buffer_get(void)
{
    if (free_count > 0) return free_buffers[--free_count];
    return wf_alloc(WEFT_BUFFER_BYTES);
}

void weft_buffer_put(void *buffer)
{
    if (!buffer) return;
    if (free_count < KEEP && (wf_self() || wf_sched_is_open()))
        free_buffers[free_count++] = buffer;
    else
        wf_free(buffer, WEFT_BUFFER_BYTES);
}

void *weft_buffer_alloc(size_t bytes)
{
    return wf_alloc(bytes);
}

void weft_buffer_free(void *buffer, size_t bytes)
{
    wf_free(buffer, bytes);
}

void wf_buffers_close(void)
{
    while (free_count > 0)
        wf_free(free_buffers[--free_count], WEFT_BUFFER_BYTES);
    wf_free(scratch, WEFT_SCRATCH_BYTES);
    scratch = NULL;
    tenant = NULL;
}
