/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - memory from libc and from the kernel, and what is outstanding.
 */
#define WF_NO_SITES /* what is called there is here */
#include "runtime/leaks.h"
#include "runtime/os.h"

#include <stdlib.h>
#include <string.h>

__thread struct wf_leaks wf_leaks_here;

static long shared_bytes; /* atomic */

static void count(int64_t bytes)
{
    wf_leaks_here.bytes += bytes;
#ifdef WEFT_HOSTILE
    wf_hostile_count(bytes);
#endif
}

void wf_leaks_read(struct wf_leaks *ret)
{
    *ret = wf_leaks_here;
    ret->bytes += __atomic_load_n(&shared_bytes, __ATOMIC_RELAXED);
}

void *wf_shared_alloc(size_t bytes)
{
    void *p = wf_alloc(bytes);
    if (!p) return NULL;
    wf_leaks_here.bytes -= (int64_t)bytes;
    __atomic_add_fetch(&shared_bytes, (long)bytes, __ATOMIC_RELAXED);
    return p;
}

void wf_shared_free(void *p, size_t bytes)
{
    if (!p) return;
    __atomic_sub_fetch(&shared_bytes, (long)bytes, __ATOMIC_RELAXED);
#ifdef WEFT_HOSTILE
    wf_hostile_count(-(int64_t)bytes);
#endif
    free(p);
}

void *wf_alloc(size_t bytes)
{
    if (wf_hostile(WF_CALL_ALLOC) < 0) return NULL;
    int kept = errno;
    void *p = malloc(bytes);
    if (p)
        count((int64_t)bytes);
    else
        errno = kept;
    return p;
}

void *wf_zalloc(size_t bytes)
{
    void *p = wf_alloc(bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void wf_free(void *p, size_t bytes)
{
    if (!p) return;
    count(-(int64_t)bytes);
    free(p);
}

void *wf_map(size_t bytes)
{
    if (wf_hostile(WF_CALL_MMAP) < 0) return NULL;
    int kept = errno;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        errno = kept;
        return NULL;
    }
    count((int64_t)bytes);
    return p;
}

void wf_unmap(void *p, size_t bytes)
{
    if (!p) return;
    count(-(int64_t)bytes);
    (void)munmap(p, bytes);
}
