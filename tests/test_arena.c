/* SPDX-License-Identifier: MIT */
/* test_arena.c - memory that is given back all at once. */
#include <weft/arena.h>
#include <weft/buffer.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "runtime/leaks.h"
#include "starve.h"

/* What is allocated now, of which the pool keeps some during a run. */
static int64_t bytes_now(void)
{
    struct wf_leaks now;
    wf_leaks_read(&now);
    return now.bytes;
}

static void *must_alloc(weft_arena *a, size_t bytes)
{
    char *p = weft_arena_alloc(a, bytes);
    CHECK(p);
    CHECK_EQ((uintptr_t)p % WEFT_ARENA_ALIGN, 0);
    if (bytes > 0) memset(p, 0x5a, bytes); /* for a sanitizer to look at */
    return p;
}

static bool is_within(const void *p, const char *memory, size_t bytes)
{
    return (uintptr_t)p >= (uintptr_t)memory &&
           (uintptr_t)p < (uintptr_t)memory + bytes;
}

/* ---- where memory comes from -------------------------------------------- */

TEST_PLAIN(as_long_as_the_callers_memory_lasts_nothing_is_allocated)
{
    _Alignas(16) char first[160];
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, first, sizeof first);
    for (size_t i = 0; i < 10; i++)
        CHECK_PTR(must_alloc(&a, i == 3 ? 16 : 1 + i), first + 16 * i);
    CHECK_EQ(weft_arena_used(&a), 160);
    CHECK_EQ(bytes_now(), before);
    CHECK(!is_within(must_alloc(&a, 1), first, sizeof first));
    CHECK_EQ(bytes_now(), before + WEFT_BUFFER_BYTES);
    weft_arena_reset(&a);
    CHECK_EQ(bytes_now(), before);
    CHECK_PTR(must_alloc(&a, 1), first);
    weft_arena_reset(&a);
}

TEST_PLAIN(memory_of_any_alignment_and_size_will_do)
{
    for (size_t skew = 0; skew < 16; skew++)
        for (size_t size = 0; size < 70; size++) {
            char *first = malloc(skew + size + 1);
            CHECK(first);
            weft_arena a;
            weft_arena_init(&a, first + skew, size);
            size_t had = 0;
            for (int i = 0; i < 6; i++)
                if (is_within(must_alloc(&a, 16), first + skew, size)) had++;
            CHECK(had <= size / 16);
            CHECK(had + 1 >= size / 16);
            weft_arena_reset(&a);
            free(first);
        }
    weft_arena a;
    weft_arena_init(&a, NULL, 0);
    (void)must_alloc(&a, 1);
    weft_arena_reset(&a);
    weft_arena_init(&a, NULL, 100); /* that is nothing too */
    (void)must_alloc(&a, 1);
    weft_arena_reset(&a);
}

TEST_PLAIN(small_pieces_share_blocks_of_the_pool)
{
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, NULL, 0);
    for (int i = 0; i < 1000; i++)
        (void)must_alloc(&a, 16);
    CHECK_EQ(bytes_now(), before + WEFT_BUFFER_BYTES);
    for (int i = 0; i < 1000; i++)
        (void)must_alloc(&a, 16);
    CHECK_EQ(bytes_now(), before + 2 * WEFT_BUFFER_BYTES);
    CHECK_EQ(weft_arena_used(&a), 32000);
    weft_arena_reset(&a);
    CHECK_EQ(bytes_now(), before);
    CHECK_EQ(weft_arena_used(&a), 0);
}

TEST_PLAIN(what_is_large_has_its_own_block_and_the_current_one_goes_on)
{
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, NULL, 0);
    char *small = must_alloc(&a, 16);
    (void)must_alloc(&a, 100000);
    CHECK(bytes_now() < before + WEFT_BUFFER_BYTES + 100000 + 64);
    CHECK_PTR(must_alloc(&a, 16), small + 16);
    (void)must_alloc(&a, 12000); /* fits where we are */
    (void)must_alloc(&a, 5000);  /* does not, and is large */
    CHECK_PTR(must_alloc(&a, 16), small + 32 + 12000);
    weft_arena_reset(&a);
    CHECK_EQ(bytes_now(), before);
}

TEST(a_second_piece_of_work_allocates_nothing)
{
    char first[64];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    int64_t after_one = 0;
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 100; j++)
            (void)must_alloc(&a, 300);
        weft_arena_reset(&a);
        if (i == 0) after_one = bytes_now();
        CHECK_EQ(bytes_now(), after_one); /* the pool's */
    }
}

TEST_PLAIN(nothing_is_a_piece_too)
{
    char first[64];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    char *one = must_alloc(&a, 0), *two = must_alloc(&a, 0);
    CHECK(one != two);
    CHECK_EQ(weft_arena_used(&a), 32);
    weft_arena_reset(&a);
}

TEST_PLAIN(a_zeroed_arena_can_be_used_and_reset_twice)
{
    weft_arena a = {.limit_ = 0};
    weft_arena_reset(&a);
    (void)must_alloc(&a, 16);
    weft_arena_reset(&a);
    weft_arena_reset(&a);
    CHECK_EQ(weft_arena_used(&a), 0);
}

/* ---- the caller's memory ------------------------------------------------ */

TEST_PLAIN(an_arena_that_is_not_used_costs_nothing_and_touches_nothing)
{
    char first[64];
    weft_arena a;
    int64_t before = bytes_now();
    memset(first, 0x77, sizeof first);
    weft_arena_init(&a, first, sizeof first);
    CHECK_EQ(weft_arena_used(&a), 0);
    weft_arena_reset(&a);
    weft_arena_set_limit(&a, 32);
    CHECK(!weft_arena_alloc(&a, 33)); /* what is refused is no use of it */
    CHECK(!weft_arena_resize(&a, NULL, 0, 33));
    weft_arena_reset(&a);
    CHECK_EQ(weft_arena_used(&a), 0);
    CHECK_EQ(bytes_now(), before);
    for (size_t i = 0; i < sizeof first; i++)
        CHECK_EQ(first[i], 0x77);
    CHECK(is_within(must_alloc(&a, 32), first, sizeof first));
    weft_arena_reset(&a);
}

/* All of it but what the alignment costs, from its first aligned octet on, and
 * nothing beside it. */
TEST_PLAIN(memory_at_an_odd_address_is_used_from_its_first_aligned_octet)
{
    _Alignas(16) char around[160];
    for (size_t skew = 0; skew < 32; skew++)
        for (size_t size = 0; size <= 96; size++) {
            size_t begin = (skew + 15) / 16 * 16, end = (skew + size) / 16 * 16;
            weft_arena a;
            memset(around, 0x77, sizeof around);
            weft_arena_init(&a, around + skew, size);
            for (int round = 0; round < 2; round++) {
                for (size_t at = begin; at < end; at += 16)
                    CHECK_PTR(must_alloc(&a, 16), around + at);
                CHECK(!is_within(must_alloc(&a, 16), around, sizeof around));
                weft_arena_reset(&a);
            }
            for (size_t i = 0; i < sizeof around; i++)
                CHECK_EQ(around[i], i >= begin && i < end ? 0x5a : 0x77);
        }
}

TEST_PLAIN(a_first_piece_that_the_callers_memory_cannot_hold_is_elsewhere)
{
    _Alignas(16) char first[64];
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, first, sizeof first);
    char *p = must_alloc(&a, 65);
    CHECK(!is_within(p, first, sizeof first));
    CHECK_EQ(bytes_now(), before + WEFT_BUFFER_BYTES);
    CHECK_PTR(must_alloc(&a, 16), p + 80); /* where that is, it goes on */
    weft_arena_reset(&a);
    CHECK_EQ(bytes_now(), before);
    CHECK_PTR(must_alloc(&a, 64), first); /* it just fits */
    CHECK_EQ(bytes_now(), before);
    weft_arena_reset(&a);
}

TEST_PLAIN(a_large_first_piece_leaves_the_callers_memory_for_what_comes)
{
    _Alignas(16) char first[64];
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, first, sizeof first);
    char *large = must_alloc(&a, 100000);
    CHECK(!is_within(large, first, sizeof first));
    CHECK_PTR(must_alloc(&a, 16), first);
    CHECK_PTR(must_alloc(&a, 48), first + 16);
    CHECK(bytes_now() < before + 100000 + 64);
    CHECK_EQ(weft_arena_used(&a), 100064);
    large = weft_arena_resize(&a, large, 100000, 200000);
    CHECK(large != NULL);
    CHECK_EQ(large[99999], 0x5a);
    CHECK_EQ(weft_arena_used(&a), 200064);
    weft_arena_reset(&a);
    CHECK_EQ(bytes_now(), before);
}

TEST_PLAIN(after_a_reset_the_callers_memory_is_used_anew_whatever_came_before)
{
    _Alignas(16) char first[64];
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, first, sizeof first);
    for (size_t size = 0; size < 20000; size = 2 * size + 1) {
        for (int i = 0; i < 5; i++)
            (void)must_alloc(&a, size);
        weft_arena_reset(&a);
        CHECK_EQ(bytes_now(), before);
        CHECK_PTR(must_alloc(&a, 16), first);
        CHECK_PTR(must_alloc(&a, 48), first + 16);
        CHECK_EQ(weft_arena_used(&a), 64);
        CHECK_EQ(bytes_now(), before);
        weft_arena_reset(&a);
    }
}

TEST_PLAIN(the_first_piece_grows_while_the_callers_memory_lasts_and_moves_then)
{
    _Alignas(16) char first[64];
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, first, sizeof first);
    char *p = weft_arena_resize(&a, NULL, 0, 0);
    CHECK_PTR(p, first);
    CHECK_PTR(weft_arena_resize(&a, p, 0, 33), first);
    CHECK_PTR(weft_arena_resize(&a, p, 33, 64), first);
    memset(p, 'p', 64);
    CHECK_EQ(weft_arena_used(&a), 64);
    CHECK_EQ(bytes_now(), before);
    p = weft_arena_resize(&a, p, 64, 65);
    CHECK(p && !is_within(p, first, sizeof first));
    for (size_t i = 0; i < 64; i++)
        CHECK_EQ(p[i], 'p');
    CHECK_EQ(weft_arena_used(&a), 64 + 80); /* the old place is lost */
    CHECK_PTR(weft_arena_resize(&a, p, 65, 1), p);
    CHECK_PTR(must_alloc(&a, 16), p + 16);
    weft_arena_reset(&a);
    CHECK_EQ(bytes_now(), before);
    CHECK_PTR(weft_arena_resize(&a, NULL, 0, 17), first);
    CHECK_PTR(weft_arena_resize(&a, first, 17, 1), first);
    CHECK_PTR(must_alloc(&a, 16), first + 16);
    weft_arena_reset(&a);
}

TEST_PLAIN(the_callers_memory_counts_for_the_limit_and_a_reset_gives_it_back)
{
    _Alignas(16) char first[128];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    weft_arena_set_limit(&a, 64);
    for (int round = 0; round < 3; round++) {
        CHECK(!weft_arena_alloc(&a, 65)); /* before anything is used */
        CHECK_EQ(weft_arena_used(&a), 0);
        CHECK_PTR(must_alloc(&a, 48), first);
        CHECK(!weft_arena_alloc(&a, 17)); /* there would be room for it */
        CHECK(!weft_arena_resize(&a, first, 48, 65));
        CHECK_PTR(weft_arena_resize(&a, first, 48, 64), first);
        CHECK(!weft_arena_alloc(&a, 0));
        CHECK_EQ(weft_arena_used(&a), 64);
        weft_arena_reset(&a);
    }
    weft_arena_set_limit(&a, 0);
    CHECK_PTR(must_alloc(&a, 128), first);
    weft_arena_reset(&a);
}

/* ---- limits and sizes --------------------------------------------------- */

TEST_PLAIN(no_more_than_the_limit_is_handed_out)
{
    char first[64];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    weft_arena_set_limit(&a, 1000); /* 62 times 16, and 8 */
    (void)must_alloc(&a, 900);      /* 912 */
    CHECK(!weft_arena_alloc(&a, 81));
    CHECK(!weft_arena_alloc(&a, 100000));
    CHECK_EQ(weft_arena_used(&a), 912);
    (void)must_alloc(&a, 80);
    CHECK(!weft_arena_alloc(&a, 0));
    CHECK(!weft_arena_text(&a, weft_text_of("")));
    CHECK(!weft_arena_printf(&a, "%d", 1));
    CHECK(!weft_arena_array(&a, 1, 1));
    CHECK_EQ(weft_arena_used(&a), 992);
    weft_arena_reset(&a);
    CHECK(!weft_arena_alloc(&a, 1001));
    (void)must_alloc(&a, 992);
    weft_arena_set_limit(&a, 100); /* less than there is */
    CHECK(!weft_arena_alloc(&a, 1));
    weft_arena_set_limit(&a, 0);
    (void)must_alloc(&a, 100000);
    weft_arena_reset(&a);
}

TEST_PLAIN(a_size_that_nobody_has_is_no_memory)
{
    char first[64];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    volatile size_t most = SIZE_MAX;
    for (size_t less = 0; less < 70; less++)
        CHECK(!weft_arena_alloc(&a, most - less));
    CHECK(!weft_arena_array(&a, most / 2 + 1, 2));
    CHECK(!weft_arena_array(&a, 2, most / 2 + 1));
    CHECK(!weft_arena_array(&a, most, most));
    CHECK(!weft_arena_text(&a, (weft_text){first, most}));
    void *p = must_alloc(&a, 16);
    CHECK(!weft_arena_resize(&a, p, 16, most));
    CHECK(!weft_arena_resize(&a, p, 16, most - 15));
    CHECK_EQ(weft_arena_used(&a), 16);
    weft_arena_reset(&a);
}

TEST_PLAIN(an_array_is_zeroed)
{
    char first[256];
    memset(first, 0xff, sizeof first);
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    const char *p = weft_arena_array(&a, 20, 10);
    CHECK(p && is_within(p, first, sizeof first));
    for (size_t i = 0; i < 200; i++)
        CHECK_EQ(p[i], 0);
    CHECK(weft_arena_array(&a, 0, 10));
    CHECK(weft_arena_array(&a, 10, 0));
    weft_arena_reset(&a);
}

/* ---- growing ------------------------------------------------------------ */

TEST_PLAIN(the_last_piece_grows_and_shrinks_where_it_is)
{
    _Alignas(16) char first[256];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    char *p = weft_arena_resize(&a, NULL, 0, 10);
    CHECK_PTR(p, first);
    CHECK_PTR(weft_arena_resize(&a, p, 10, 100), p);
    CHECK_EQ(weft_arena_used(&a), 112);
    CHECK_PTR(weft_arena_resize(&a, p, 100, 256), p);
    CHECK_PTR(weft_arena_resize(&a, p, 256, 17), p);
    CHECK_EQ(weft_arena_used(&a), 32);
    CHECK_PTR(must_alloc(&a, 16), first + 32);
    weft_arena_reset(&a);
}

TEST_PLAIN(any_other_piece_moves_when_it_grows_with_what_it_holds)
{
    char first[256];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    char *p = must_alloc(&a, 16), *other = must_alloc(&a, 16);
    memset(p, 'p', 16);
    char *moved = weft_arena_resize(&a, p, 16, 40);
    CHECK(moved && moved != p);
    for (size_t i = 0; i < 16; i++)
        CHECK_EQ(moved[i], 'p');
    CHECK_EQ(*other, 0x5a);
    CHECK_PTR(weft_arena_resize(&a, other, 16, 3), other); /* less: it stays */
    CHECK_PTR(weft_arena_resize(&a, moved, 40, 40), moved);
    weft_arena_reset(&a);
}

/* As a body of unknown length does. */
TEST_PLAIN(what_doubles_gives_its_old_blocks_back)
{
    weft_arena a;
    int64_t before = bytes_now();
    weft_arena_init(&a, NULL, 0);
    size_t size = 1000;
    char *p = must_alloc(&a, size);
    memset(p, 'x', size);
    for (; size < 1000000; size *= 2) {
        p = weft_arena_resize(&a, p, size, 2 * size);
        CHECK(p);
        CHECK_EQ(p[0], 'x');
        CHECK_EQ(p[size - 1], 'x');
        memset(p + size, 'x', size);
    }
    CHECK(bytes_now() - before < (int64_t)size + 2 * WEFT_BUFFER_BYTES);
    CHECK(weft_arena_used(&a) <= size + 16000);
    CHECK_PTR(weft_arena_resize(&a, p, size, 10), p);
    weft_arena_reset(&a);
    CHECK_EQ(bytes_now(), before);
}

TEST_PLAIN(without_memory_or_leave_a_piece_stays_as_it_is)
{
    char first[256];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    weft_arena_set_limit(&a, 64);
    char *p = must_alloc(&a, 32);
    CHECK(!weft_arena_resize(&a, p, 32, 65));   /* where it is */
    CHECK(!weft_arena_resize(&a, p, 32, 1000)); /* elsewhere */
    CHECK_PTR(weft_arena_resize(&a, p, 32, 48), p);
    CHECK(!weft_arena_resize(&a, NULL, 0, 17));
    char *other = weft_arena_resize(&a, NULL, 0, 16);
    CHECK(other);
    CHECK(!weft_arena_resize(&a, p, 48, 64));
    CHECK_EQ(p[31], 0x5a);
    CHECK_EQ(weft_arena_used(&a), 64);
    weft_arena_reset(&a);
}

/* ---- texts -------------------------------------------------------------- */

TEST_PLAIN(a_text_gets_a_0_behind_it)
{
    char first[64];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    CHECK_STR(weft_arena_text(&a, (weft_text){"abcdef", 3}), "abc");
    CHECK_STR(weft_arena_text(&a, (weft_text){NULL, 0}), "");
    char *copy = weft_arena_text(&a, (weft_text){"a\0b", 3});
    CHECK(copy && memcmp(copy, "a\0b", 4) == 0);
    weft_arena_reset(&a);
}

TEST_PLAIN(what_is_printed_is_as_long_as_it_gets)
{
    char first[64], *text;
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    text = weft_arena_printf(&a, "%s/%d", "dir", 7);
    CHECK_STR(text, "dir/7");
    CHECK(is_within(text, first, sizeof first));
    CHECK_EQ(weft_arena_used(&a), 16);
    text = weft_arena_printf(&a, "%*d", 20000, 1);
    CHECK(text);
    CHECK_EQ(strlen(text), 20000);
    CHECK_STR(text + 19999, "1");
    CHECK_STR(weft_arena_printf(&a, "%s", ""), "");
    weft_arena_reset(&a);
}

/* ---- at random ---------------------------------------------------------- */

enum { PIECES = 40 };

struct piece {
    unsigned char *at;
    size_t size;
};

static unsigned long long state;

static size_t draw(size_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % below;
}

static size_t draw_size(void)
{
    static const size_t most[] = {40, 40, 400, 5000, 40000};
    return draw(most[draw(5)]);
}

static void fill(struct piece *p, size_t from, unsigned char what)
{
    for (size_t i = from; i < p->size; i++)
        p->at[i] = what;
}

static void check_pieces(const struct piece *p)
{
    for (unsigned i = 0; i < PIECES; i++)
        for (size_t j = 0; j < p[i].size; j++)
            CHECK_EQ(p[i].at[j], i);
}

TEST_PLAIN(pieces_never_meet)
{
    static char first[1000];
    state = test_seed();
    for (int round = 0; round < 60; round++) {
        struct piece pieces[PIECES] = {{NULL, 0}};
        weft_arena a;
        weft_arena_init(&a, first + draw(20), draw(900));
        for (int step = 0; step < 100; step++) {
            size_t which = draw(PIECES), size = draw_size();
            struct piece *p = &pieces[which];
            size_t kept = p->size < size ? p->size : size;
            p->at = weft_arena_resize(&a, p->at, p->size, size);
            CHECK(p->at && (uintptr_t)p->at % WEFT_ARENA_ALIGN == 0);
            p->size = size;
            fill(p, kept, (unsigned char)which);
        }
        check_pieces(pieces);
        weft_arena_reset(&a);
    }
}

/* ---- without memory ----------------------------------------------------- */

static int fill_and_grow(weft_arena *a)
{
    char *p = weft_arena_alloc(a, 100);
    char *large = p ? weft_arena_alloc(a, 50000) : NULL;
    char *more = large ? weft_arena_resize(a, large, 50000, 90000) : NULL;
    char *text = more ? weft_arena_printf(a, "%*d", 9000, 7) : NULL;
    if (p) memset(p, 1, 100);
    if (large && !more) memset(large, 1, 50000); /* it is where it was */
    return text ? 0 : -ENOMEM;
}

static int use_an_arena(void *unused)
{
    (void)unused;
    char first[64];
    weft_arena a;
    weft_arena_init(&a, first, sizeof first);
    int err = fill_and_grow(&a);
    size_t used = weft_arena_used(&a);
    CHECK(weft_arena_alloc(&a, 16) || err < 0); /* good for less */
    CHECK(weft_arena_used(&a) <= used + 16);
    weft_arena_reset(&a);
    return err;
}
STARVE(an_arena_without_memory_says_so_and_loses_nothing, use_an_arena)
