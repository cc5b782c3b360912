/* SPDX-License-Identifier: MIT */
/* test_stack.c - promises, guards, colours and the pool of stacks. */
#include "runtime/stack.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "harness.h"
#include "process.h"
#include "runtime/os.h"

#define SECOND INT64_C(1000000000)

enum { USABLE = 16384, GUARD = 65536 };
#define PAGE wf_os_page()

static struct wf_stack *take(struct wf_stack_pool *p)
{
    CHECK_EQ(wf_stack_promise(p), 0);
    return wf_stack_take(p);
}

static size_t room(const struct wf_stack *s)
{
    return (size_t)(s->top - s->low);
}

TEST_PLAIN(a_promised_stack_can_be_written_from_top_to_low)
{
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, USABLE, GUARD);
    CHECK_EQ(wf_stack_promise(&p), 0);
    CHECK_EQ(p.promised, 1);
    struct wf_stack *s = wf_stack_take(&p);
    CHECK_EQ(p.promised, 0);
    CHECK_EQ((uintptr_t)s->top % 16, 0);
    CHECK(room(s) <= USABLE && room(s) > USABLE / 2);
    memset(s->low, 0x5a, room(s));
    wf_stack_release(s);
    wf_stack_pool_fini(&p);
}

TEST_PLAIN(promises_can_exceed_what_is_mapped_and_map_more)
{
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, USABLE, GUARD);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(wf_stack_promise(&p), 0);
        CHECK(p.total >= p.promised);
    }
    for (int i = 0; i < 1000; i++) wf_stack_unpromise(&p);
    wf_stack_pool_fini(&p);
}

TEST_PLAIN(a_broken_promise_leaves_its_stack_to_others)
{
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, USABLE, GUARD);
    CHECK_EQ(wf_stack_promise(&p), 0);
    size_t total = p.total;
    for (int i = 0; i < 1000; i++) {
        wf_stack_unpromise(&p);
        CHECK_EQ(wf_stack_promise(&p), 0);
    }
    CHECK_EQ(p.total, total);
    wf_stack_unpromise(&p);
    wf_stack_pool_fini(&p);
}

TEST_PLAIN(every_promise_is_kept_however_they_are_mixed_with_releases)
{
    enum { MANY = 300 };
    static struct wf_stack *taken[MANY];
    struct wf_stack_pool p;
    unsigned long long state = test_seed() | 1;
    size_t promised = 0, held = 0;

    wf_stack_pool_init(&p, PAGE, PAGE);
    for (int i = 0; i < 20000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        unsigned what = (unsigned)(state >> 60) % 4;
        if (what == 0 && promised + held < MANY) {
            CHECK_EQ(wf_stack_promise(&p), 0);
            promised++;
        } else if (what == 1 && promised > 0) {
            taken[held] = wf_stack_take(&p);
            CHECK(taken[held] != NULL);
            *(size_t *)(void *)taken[held]->low = held;
            held++, promised--;
        } else if (what == 2 && held > 0) {
            held--;
            CHECK_EQ(*(size_t *)(void *)taken[held]->low, held);
            wf_stack_release(taken[held]);
        } else if (what == 3 && promised > 0 && i % 16 == 0) {
            wf_stack_unpromise(&p);
            promised--;
        }
    }
    while (promised > 0) wf_stack_unpromise(&p), promised--;
    while (held > 0) wf_stack_release(taken[--held]);
    wf_stack_pool_fini(&p);
}

TEST_PLAIN(no_two_stacks_overlap)
{
    enum { MANY = 64 };
    struct wf_stack_pool p;
    struct wf_stack *s[MANY];
    wf_stack_pool_init(&p, USABLE, GUARD);
    for (int i = 0; i < MANY; i++) {
        s[i] = take(&p);
        memset(s[i]->low, i + 1, room(s[i]));
    }
    for (int i = 0; i < MANY; i++) {
        for (size_t at = 0; at < room(s[i]); at++) CHECK_EQ(s[i]->low[at], i + 1);
        wf_stack_release(s[i]);
    }
    wf_stack_pool_fini(&p);
}

/* ---- guards ------------------------------------------------------------- */

static void write_at(void *at)
{
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    *(volatile char *)at = 1;
}

static void check_faults(char *at)
{
    static struct ending e;
    run_in_process(write_at, at, &e);
    CHECK(e.signal == SIGSEGV || e.signal == SIGBUS);
}

TEST_PLAIN(a_write_anywhere_in_the_guard_faults)
{
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, USABLE, GUARD);
    struct wf_stack *first = take(&p), *second = take(&p);
    CHECK_EQ(p.unguarded, 0);
    check_faults(first->low - 1);
    check_faults(first->low - p.guard);
    check_faults(second->low - 1);
    check_faults(second->low - GUARD / 2);
    check_faults(second->low - p.guard);
    second->low[0] = 1;
    wf_stack_release(first);
    wf_stack_release(second);
    wf_stack_pool_fini(&p);
}

TEST_PLAIN(a_reused_and_trimmed_stack_still_has_its_guard)
{
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, USABLE, GUARD);
    struct wf_stack *s = take(&p);
    char *low = s->low;
    wf_stack_release(s);
    wf_stack_pool_trim(&p, SECOND);
    s = take(&p);
    CHECK_PTR(s->low, low);
    check_faults(s->low - 1);
    wf_stack_release(s);
    wf_stack_pool_fini(&p);
}

/* ---- sizes and places --------------------------------------------------- */

TEST_PLAIN(sizes_are_rounded_up_to_pages_and_the_stride_is_odd)
{
    static const size_t sizes[] = {1,     4095,  4096,   4097,  8192,
                                   20000, 65536, 100000, 262144};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            struct wf_stack_pool p;
            wf_stack_pool_init(&p, sizes[i], sizes[j]);
            CHECK(p.usable >= sizes[i] && p.usable < sizes[i] + PAGE);
            CHECK(p.guard >= sizes[j] && p.guard < sizes[j] + 2 * PAGE);
            CHECK_EQ(p.usable % PAGE, 0);
            CHECK_EQ(p.stride, p.usable + p.guard);
            CHECK_EQ(p.stride / PAGE % 2, 1);
            wf_stack_pool_fini(&p);
        }
    }
}

TEST_PLAIN(neighbouring_stacks_have_differing_colours)
{
    struct wf_stack_pool p;
    struct wf_stack *s[8];
    wf_stack_pool_init(&p, USABLE, GUARD);
    for (int i = 0; i < 8; i++) {
        s[i] = take(&p);
        CHECK_EQ((uintptr_t)s[i]->top % 64, 0);
        for (int j = 0; j < i; j++)
            CHECK((uintptr_t)s[i]->top % PAGE != (uintptr_t)s[j]->top % PAGE);
    }
    for (int i = 0; i < 8; i++) wf_stack_release(s[i]);
    wf_stack_pool_fini(&p);
}

/* ---- the pile of free ones ---------------------------------------------- */

TEST_PLAIN(the_stack_released_last_is_taken_first)
{
    struct wf_stack_pool p;
    struct wf_stack *s[5];
    wf_stack_pool_init(&p, USABLE, GUARD);
    for (int i = 0; i < 5; i++) s[i] = take(&p);
    for (int i = 0; i < 5; i++) wf_stack_release(s[i]);
    for (int i = 4; i >= 0; i--) CHECK_PTR(take(&p), s[i]);
    for (int i = 0; i < 5; i++) wf_stack_release(s[i]);
    wf_stack_pool_fini(&p);
}

/* Takes n stacks, writes one octet into each, and puts them all back. */
static void warm(struct wf_stack_pool *p, struct wf_stack **s, int n)
{
    for (int i = 0; i < n; i++) {
        s[i] = take(p);
        s[i]->top[-1] = 77;
    }
    for (int i = 0; i < n; i++) wf_stack_release(s[i]);
}

static bool is_resident(const struct wf_stack *s)
{
    char there = 0;
    char *page = s->low + (room(s) - 1) / PAGE * PAGE;
    CHECK_EQ(mincore(page, PAGE, (void *)&there), 0);
    return there & 1;
}

TEST_PLAIN(trimming_gives_back_the_cold_ones_and_keeps_the_hot_ones)
{
    enum { MANY = 3000 };
    static struct wf_stack *s[MANY];
    struct wf_stack_pool p;
    if ((int)WF_ADVICE_DROP != MADV_DONTNEED)
        SKIP("what is given back stays until somebody else needs it");
    wf_stack_pool_init(&p, PAGE, PAGE);
    warm(&p, s, MANY);
    int resident = 0;
    for (int i = 0; i < 1000; i++) wf_stack_pool_trim(&p, i * SECOND);
    for (int i = 0; i < MANY; i++) resident += is_resident(s[i]);
    CHECK(resident < MANY);
    CHECK(!is_resident(s[0]));
    CHECK(is_resident(s[MANY - 1]));

    struct wf_stack *hot = take(&p); /* and they all can be used again */
    CHECK_PTR(hot, s[MANY - 1]);
    wf_stack_release(hot);
    warm(&p, s, MANY);
    wf_stack_pool_fini(&p);
}

TEST_PLAIN(a_small_pool_is_never_trimmed)
{
    enum { FEW = 100 };
    struct wf_stack *s[FEW];
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, PAGE, PAGE);
    warm(&p, s, FEW);
    for (int i = 0; i < 1000; i++) wf_stack_pool_trim(&p, i * SECOND);
    for (int i = 0; i < FEW; i++) CHECK(is_resident(s[i]));
    wf_stack_pool_fini(&p);
}

TEST_PLAIN(high_water_is_the_deepest_octet_ever_written)
{
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, USABLE, GUARD);
    struct wf_stack *s = take(&p);
    CHECK_EQ(wf_stack_high_water(s), 0);
    s->top[-1] = 1;
    CHECK_EQ(wf_stack_high_water(s), 1);
    s->top[-1000] = 1;
    CHECK_EQ(wf_stack_high_water(s), 1000);
    s->top[-10] = 1;
    CHECK_EQ(wf_stack_high_water(s), 1000);
    s->low[0] = 1;
    CHECK_EQ(wf_stack_high_water(s), room(s));
    wf_stack_release(s);
    wf_stack_pool_fini(&p);
}

/* ---- no memory ---------------------------------------------------------- */

TEST_PLAIN(stacks_larger_than_the_address_space_are_refused)
{
    /* That of 64 bits is for the kernel to refuse. */
    const size_t sizes[] = {
        sizeof(size_t) < 8 ? SIZE_MAX / 4 : SIZE_MAX >> 18, SIZE_MAX / 4,
        SIZE_MAX / 2, SIZE_MAX - PAGE, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct wf_stack_pool p;
        wf_stack_pool_init(&p, sizes[i], GUARD);
        CHECK_EQ(wf_stack_promise(&p), -ENOMEM);
        CHECK_EQ(p.promised, 0);
        wf_stack_pool_fini(&p);
    }
}

/* Of 32 bits too, where sixteen of them would be all there is. */
TEST_PLAIN(a_few_large_stacks_fit_into_the_address_space)
{
    struct wf_stack_pool p;
    wf_stack_pool_init(&p, (size_t)256 << 20, GUARD);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(wf_stack_promise(&p), 0);
    for (int i = 0; i < 3; i++) {
        struct wf_stack *s = wf_stack_take(&p);
        s->low[0] = s->top[-1] = 1;
        wf_stack_release(s);
    }
    wf_stack_pool_fini(&p);
}

static void promise_with_little_address_space(void *unused)
{
    struct wf_stack_pool p;
    (void)unused;
    wf_stack_pool_init(&p, 1 << 20, GUARD);
    CHECK_EQ(wf_stack_promise(&p), 0);
    struct rlimit limit = {(rlim_t)1 << 29, (rlim_t)1 << 29};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    size_t promised = 1;
    int err;
    while ((err = wf_stack_promise(&p)) == 0) {
        CHECK(++promised < 1000);
    }
    CHECK_EQ(err, -ENOMEM);
    CHECK_EQ(p.promised, promised);
    CHECK_EQ(wf_stack_promise(&p), -ENOMEM);

    for (; promised > 0; promised--) { /* what was promised is kept */
        struct wf_stack *s = wf_stack_take(&p);
        s->low[0] = s->top[-1] = 1;
    }
}

TEST_PLAIN(a_promise_without_memory_is_refused_and_the_others_are_kept)
{
    if (a_tool_is_watching()) SKIP("a tool cannot live with RLIMIT_AS");
    if (!RLIMIT_AS_HOLDS) SKIP("RLIMIT_AS is only advice here");
    must_run_in_process(promise_with_little_address_space, NULL);
}
