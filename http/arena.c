/* SPDX-License-Identifier: MIT */
/*
 * arena.c - memory that is given back all at once.
 *
 * Blocks begin with a header and hang in one list, newest first; at_ and end_
 * are in the newest of the usual size, or in the caller's memory. What is large
 * gets a block of its own, and the rest of the current one stays in use: less
 * than LARGE octets of each are lost.
 *
 * Between calls at_ is a multiple of WEFT_ARENA_ALIGN, or equals end_, or both
 * are NULL: the caller's memory comes first, when the first piece is taken. So
 * an arena that is not used costs no more than its initialisation.
 */
#include <weft/arena.h>
#include <weft/buffer.h>

#include <stdio.h>
#include <string.h>

struct weft_arena_block_ {
    struct weft_arena_block_ *next;
    size_t alone; /* the size of the one piece in it; 0: of many, and pooled */
};

/* There are systems where malloc aligns by 8. */
enum {
    HEADER = sizeof(struct weft_arena_block_) + WEFT_ARENA_ALIGN - 1,
    LARGE = WEFT_BUFFER_BYTES / 4
};

/* What nobody has is not asked for; so no size overflows when one adds to it. */
static bool is_size(size_t bytes)
{
    return bytes < SIZE_MAX / 2;
}

static size_t rounded(size_t bytes)
{
    if (bytes == 0) return WEFT_ARENA_ALIGN;
    size_t over = bytes % WEFT_ARENA_ALIGN;
    return over == 0 ? bytes : bytes + (WEFT_ARENA_ALIGN - over);
}

static char *aligned(char *p)
{
    size_t over = (uintptr_t)p % WEFT_ARENA_ALIGN;
    return over == 0 ? p : p + (WEFT_ARENA_ALIGN - over);
}

/* What is between the two is free; it may be nothing. */
static void use(weft_arena *a, char *from, char *end)
{
    a->at_ = aligned(from);
    a->end_ = end - (uintptr_t)end % WEFT_ARENA_ALIGN;
    if (a->at_ > a->end_) a->at_ = a->end_;
}

/* An arena that nothing was asked of has no place yet. */
static void use_first(weft_arena *a)
{
    if (!a->at_ && a->first_bytes_ >= WEFT_ARENA_ALIGN)
        use(a, a->first_, a->first_ + a->first_bytes_);
}

void weft_arena_set_limit(weft_arena *a, size_t bytes)
{
    a->limit_ = bytes;
}

/* ---- blocks ------------------------------------------------------------- */

static char *octets_of(struct weft_arena_block_ *b)
{
    return aligned((char *)(b + 1));
}

/* `alone` octets behind the header, or as many as a pooled one has. */
static char *add_block(weft_arena *a, size_t alone)
{
    struct weft_arena_block_ *b =
        alone ? weft_buffer_alloc(HEADER + alone) : weft_buffer_get();
    if (!b) return NULL;
    b->alone = alone;
    b->next = a->blocks_;
    a->blocks_ = b;
    return octets_of(b);
}

/* Where `link` leads is no block of the arena's any more. */
static void give_back(struct weft_arena_block_ **link)
{
    struct weft_arena_block_ *b = *link;
    *link = b->next;
    if (b->alone)
        weft_buffer_free(b, HEADER + b->alone);
    else
        weft_buffer_put(b);
}

/* Where the link is that leads to the block which p has alone, or NULL. */
static struct weft_arena_block_ **link_of(weft_arena *a, const void *p)
{
    struct weft_arena_block_ **link = &a->blocks_;
    for (; *link; link = &(*link)->next)
        if ((*link)->alone && octets_of(*link) == p) return link;
    return NULL;
}

/* ---- pieces ------------------------------------------------------------- */

static size_t room(const weft_arena *a)
{
    return (size_t)(a->end_ - a->at_);
}

static bool is_allowed(const weft_arena *a, size_t bytes)
{
    return a->limit_ == 0 ||
           (a->used_ <= a->limit_ && bytes <= a->limit_ - a->used_);
}

static void *take(weft_arena *a, size_t bytes)
{
    if (bytes > room(a)) use_first(a);
    if (bytes > room(a)) {
        char *more = add_block(a, bytes > LARGE ? bytes : 0);
        if (!more || bytes > LARGE) return more;
        use(a, more, (char *)a->blocks_ + WEFT_BUFFER_BYTES);
    }
    void *p = a->at_;
    a->at_ += bytes;
    return p;
}

void *weft_arena_alloc(weft_arena *a, size_t bytes)
{
    size_t size = rounded(bytes);
    if (!is_size(bytes) || !is_allowed(a, size)) return NULL;
    void *p = take(a, size);
    if (p) a->used_ += size;
    return p;
}

void *weft_arena_array(weft_arena *a, size_t n, size_t bytes)
{
    if (bytes > 0 && n > SIZE_MAX / bytes) return NULL;
    void *p = weft_arena_alloc(a, n * bytes);
    if (p) memset(p, 0, n * bytes);
    return p;
}

/* A block of its own may end where another begins. */
static bool is_last(weft_arena *a, const char *p, size_t size)
{
    return p + size == a->at_ && (size <= LARGE || !link_of(a, p));
}

static void *move(weft_arena *a, void *p, size_t old, size_t bytes)
{
    void *to = weft_arena_alloc(a, bytes);
    if (!to) return NULL;
    memcpy(to, p, old);
    struct weft_arena_block_ **link = link_of(a, p);
    if (link) {
        a->used_ -= (*link)->alone;
        give_back(link);
    }
    return to;
}

void *weft_arena_resize(weft_arena *a, void *p, size_t old, size_t bytes)
{
    if (!p) return weft_arena_alloc(a, bytes);
    if (!is_size(bytes)) return NULL;
    size_t had = rounded(old), size = rounded(bytes);
    size_t more = size > had ? size - had : 0;
    if (!is_last(a, p, had) || more > room(a))
        return more > 0 ? move(a, p, old, bytes) : p;
    if (!is_allowed(a, more)) return NULL;
    a->at_ = (char *)p + size;
    a->used_ = a->used_ - had + size;
    return p;
}

/* ---- texts -------------------------------------------------------------- */

char *weft_arena_text(weft_arena *a, weft_text t)
{
    char *copy = is_size(t.len) ? weft_arena_alloc(a, t.len + 1) : NULL;
    if (!copy) return NULL;
    if (t.len > 0) memcpy(copy, t.at, t.len);
    copy[t.len] = 0;
    return copy;
}

char *weft_arena_vprintf(weft_arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : weft_arena_alloc(a, (size_t)len + 1);
    if (text) (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

char *weft_arena_printf(weft_arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = weft_arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

void weft_arena_reset(weft_arena *a)
{
    while (a->blocks_)
        give_back(&a->blocks_);
    a->used_ = 0;
    a->at_ = a->end_ = NULL;
}
