/* SPDX-License-Identifier: MIT */
/* test_switch.c - what a switch keeps, and what a fresh stack looks like. */
#include "runtime/switch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__GLIBC__)
#include <execinfo.h>
#endif

#include "chance.h"
#include "harness.h"
#include "runtime/annotate.h"

#define STACKS      16
#define STACK_BYTES 65536
#define ROUNDS      5000

/* What is checked on a fiber's stack is noted here and asserted by the test. */
struct fiber {
    void *sp;
    uint64_t seed;
    uint64_t sum;
    long turns;
    bool good;
    bool ended;
};

static _Alignas(64) unsigned char stacks[STACKS][STACK_BYTES];
static struct fiber fibers[STACKS];
static struct fiber *running;
static void *tester;

static void *top_of(int i)
{
    return stacks[i] + STACK_BYTES;
}

__attribute__((constructor)) static void tell_the_tools(void)
{
    for (int i = 0; i < STACKS; i++) {
        (void)wf_note_stack_mapped(stacks[i], top_of(i));
    }
}

static void wipe(int i)
{
    wf_note_stack_reused(stacks[i], STACK_BYTES);
}

static void start(int i, void (*entry)(void *), uint64_t seed)
{
    wipe(i);
    fibers[i] = (struct fiber){.seed = seed};
    running = &fibers[i];
    wf_switch_enter(&tester, top_of(i), entry, &fibers[i]);
}

static void resume(int i)
{
    running = &fibers[i];
    wf_switch(&tester, fibers[i].sp);
}

static void park(struct fiber *f)
{
    f->turns++;
    wf_switch(&f->sp, tester);
}

/* For the compiler: this value may be any. */
static uint64_t opaque(uint64_t x)
{
    __asm__ volatile("" : "+r"(x));
    return x;
}

static void note_and_leave(void *arg)
{
    struct fiber *f = arg;
    unsigned char *here = __builtin_frame_address(0);
    f->good = f == running && here > (unsigned char *)stacks &&
              here < (unsigned char *)stacks + sizeof stacks;
    f->ended = true;
    wf_switch_leave(tester);
}

TEST_PLAIN(a_fresh_stack_runs_entry_with_its_argument)
{
    start(3, note_and_leave, 0);
    CHECK(fibers[3].good);
    CHECK(fibers[3].ended);
}

TEST_PLAIN(a_stack_that_was_left_can_be_entered_again)
{
    for (int i = 0; i < ROUNDS; i++) {
        start(0, note_and_leave, 0);
        CHECK(fibers[0].good);
    }
}

/*
 * More values than there are callee-saved registers, all alive across the
 * switch and all changing, so those registers are full of this fiber's own.
 */
static void integers_until_wrong(void *arg)
{
    struct fiber *f = arg;
    uint64_t s = f->seed;
    uint64_t a = opaque(s), b = opaque(s + 1), c = opaque(s + 2);
    uint64_t d = opaque(s + 3), e = opaque(s + 4), g = opaque(s + 5);
    uint64_t h = opaque(s + 6), i = opaque(s + 7), j = opaque(s + 8);
    uint64_t k = opaque(s + 9), l = opaque(s + 10), m = opaque(s + 11);

    f->good = true;
    for (int turn = 0; turn < ROUNDS; turn++) {
        park(f);
        a += s, b += s, c += s, d += s, e += s, g += s;
        h += s, i += s, j += s, k += s, l += s, m += s;
        uint64_t first = s + s * (uint64_t)(turn + 1);
        f->good = f->good && a == first && b == first + 1 && c == first + 2 &&
                  d == first + 3 && e == first + 4 && g == first + 5 &&
                  h == first + 6 && i == first + 7 && j == first + 8 &&
                  k == first + 9 && l == first + 10 && m == first + 11;
    }
    f->ended = true;
    wf_switch_leave(tester);
}

/* All small integers: every value is exact, whatever the order of the sums. */
static void doubles_until_wrong(void *arg)
{
    struct fiber *f = arg;
    double s = (double)f->seed;
    double a = s, b = s + 1, c = s + 2, d = s + 3, e = s + 4, g = s + 5;
    double h = s + 6, i = s + 7, j = s + 8, k = s + 9, l = s + 10, m = s + 11;

    f->good = true;
    for (int turn = 0; turn < ROUNDS; turn++) {
        park(f);
        a += s, b += s, c += s, d += s, e += s;
        g += s, h += s, i += s, j += s, k += s, l += s, m += s;
        double first = s + s * (double)(turn + 1);
        double wrong = (a - first) * (a - first);
        wrong += (b - first - 1) * (b - first - 1);
        wrong += (c - first - 2) * (c - first - 2);
        wrong += (d - first - 3) * (d - first - 3);
        wrong += (e - first - 4) * (e - first - 4);
        wrong += (g - first - 5) * (g - first - 5);
        wrong += (h - first - 6) * (h - first - 6);
        wrong += (i - first - 7) * (i - first - 7);
        wrong += (j - first - 8) * (j - first - 8);
        wrong += (k - first - 9) * (k - first - 9);
        wrong += (l - first - 10) * (l - first - 10);
        wrong += (m - first - 11) * (m - first - 11);
        f->good = f->good && wrong < 0.5;
    }
    f->ended = true;
    wf_switch_leave(tester);
}

static void run_all_with(void (*entry)(void *))
{
    for (int i = 0; i < STACKS; i++)
        start(i, entry, (uint64_t)i * 1000 + 7);
    for (int turn = 0; turn < ROUNDS; turn++) {
        for (int i = 0; i < STACKS; i++)
            resume(i);
    }
    for (int i = 0; i < STACKS; i++) {
        CHECK(fibers[i].ended);
        CHECK(fibers[i].good);
        CHECK_EQ(fibers[i].turns, ROUNDS);
    }
}

TEST_PLAIN(integers_in_registers_survive_a_switch)
{
    run_all_with(integers_until_wrong);
}

TEST_PLAIN(doubles_in_registers_survive_a_switch)
{
    run_all_with(doubles_until_wrong);
}

/* The tester is a fiber like others here: its registers must survive too. */
TEST_PLAIN(the_stack_that_enters_keeps_its_registers)
{
    double x = (double)opaque(3), y = (double)opaque(5);
    uint64_t a = opaque(11), b = opaque(12), c = opaque(13), d = opaque(14);
    uint64_t e = opaque(15), f = opaque(16);

    start(0, integers_until_wrong, 1000);
    start(1, doubles_until_wrong, 2000);
    start(2, note_and_leave, 0);
    CHECK(a == 11 && b == 12 && c == 13 && d == 14 && e == 15 && f == 16);
    CHECK(x + y > 7.5 && x + y < 8.5);
}

/* Straight from fiber to fiber, in an order the predictor cannot know. */
static long hops_left;

static void hop_at_random(void *arg)
{
    struct fiber *f = arg;
    uint64_t guard = opaque(f->seed * 0x9e3779b97f4a7c15u);

    f->good = true;
    while (hops_left > 0) {
        hops_left--;
        f->turns++;
        struct fiber *next = &fibers[random_below(STACKS)];
        if (next != f) {
            running = next;
            wf_switch(&f->sp, next->sp);
        }
        f->good =
            f->good && running == f && guard == f->seed * 0x9e3779b97f4a7c15u;
    }
    f->ended = true;
    wf_switch_leave(tester);
}

static void park_then_hop(void *arg)
{
    struct fiber *f = arg;
    wf_switch(&f->sp, tester);
    hop_at_random(f);
}

TEST_PLAIN(many_stacks_switch_to_each_other_in_any_order)
{
    random_begin(1);
    hops_left = 20L * ROUNDS;
    for (int i = 0; i < STACKS; i++)
        start(i, park_then_hop, (uint64_t)i + 1);
    resume(0);

    /* The hops are used up. The rest sit in a switch and end when resumed. */
    long turns = 0;
    for (int i = 0; i < STACKS; i++) {
        if (!fibers[i].ended) resume(i);
        CHECK(fibers[i].ended);
        CHECK(fibers[i].good);
        turns += fibers[i].turns;
    }
    CHECK_EQ(turns, 20L * ROUNDS);
}

/*
 * The compiler trusts the ABI and aligns nothing itself up to 16 bytes; on
 * x86-64 variadic functions store vector registers with aligned moves, and on
 * i386 gcc has taken 16 for granted since it has known how to use vectors.
 */
static void note_alignment(void *arg)
{
    struct fiber *f = arg;
    _Alignas(16) char text[48];
    struct {
        _Alignas(16) double values[4];
    } aligned = {{0.5, 1.5, 2.5, 3.5}};

    __asm__ volatile("" : : "r"(&aligned), "r"(text) : "memory");
    (void)snprintf(text, sizeof text, "%.2f %.2f", aligned.values[1],
                   aligned.values[3]);
    f->good = opaque((uint64_t)(uintptr_t)text) % 16 == 0 &&
              opaque((uint64_t)(uintptr_t)&aligned) % 16 == 0 &&
              strcmp(text, "1.50 3.50") == 0;
    f->ended = true;
    wf_switch_leave(tester);
}

TEST_PLAIN(entry_finds_its_stack_aligned_for_any_allowed_top)
{
    for (int colour = 0; colour < 64; colour++) {
        wipe(0);
        fibers[0] = (struct fiber){.good = false};
        unsigned char *top = stacks[0] + STACK_BYTES - 16 * colour;
        wf_switch_enter(&tester, top, note_alignment, &fibers[0]);
        CHECK(fibers[0].ended);
        CHECK(fibers[0].good);
    }
}

/* Fills most of a stack, and parks at the bottom of it. */
static uint64_t sum_below(struct fiber *f, uint64_t n)
{
    volatile uint64_t here[8];
    here[n % 8] = n;
    if (n == 0) {
        park(f);
        return 0;
    }
    uint64_t rest = sum_below(f, n - 1);
    return rest + here[n % 8];
}

static void recurse(void *arg)
{
    struct fiber *f = arg;
    f->sum = sum_below(f, f->seed);
    f->ended = true;
    wf_switch_leave(tester);
}

TEST_PLAIN(a_switch_at_the_bottom_of_a_deep_stack_returns_through_it)
{
    uint64_t depth = 150;
    for (int i = 0; i < STACKS; i++)
        start(i, recurse, depth + (uint64_t)i);
    for (int i = STACKS - 1; i >= 0; i--) {
        CHECK(!fibers[i].ended);
        resume(i);
        CHECK(fibers[i].ended);
        uint64_t n = depth + (uint64_t)i;
        CHECK(fibers[i].sum == n * (n + 1) / 2);
    }
}

static void *resume_zero(void *arg)
{
    (void)arg;
    resume(0);
    return NULL;
}

TEST_PLAIN(a_stack_may_be_resumed_by_another_thread)
{
    pthread_t thread;
    start(0, recurse, 10);
    CHECK_EQ(pthread_create(&thread, NULL, resume_zero, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(fibers[0].ended);
    CHECK(fibers[0].sum == 55);
}

#if defined(__GLIBC__)
static void *frames[64];
static int frame_count;

static __attribute__((noinline)) void note_backtrace(struct fiber *f)
{
    frame_count = backtrace(frames, 64);
    f->turns++;
}

static void backtrace_and_leave(void *arg)
{
    note_backtrace(arg);
    wf_switch_leave(tester);
}

/*
 * Above the stack lie return addresses that look good, so an unwinder that
 * does not see the end goes on for as long as it has room.
 */
TEST_PLAIN(a_backtrace_ends_at_the_entry)
{
    wipe(0);
    uintptr_t *top = (uintptr_t *)(void *)(stacks[0] + STACK_BYTES - 4096);
    for (int i = 0; i < 512; i++)
        top[i] = (uintptr_t)backtrace_and_leave + 4;
    (void)backtrace(frames, 1); /* loads its library, on a stack with room */

    fibers[0] = (struct fiber){.turns = 0};
    wf_switch_enter(&tester, top, backtrace_and_leave, &fibers[0]);
    CHECK_EQ(fibers[0].turns, 1);
#if defined(WF_SAVED_BYTES)
    void wf_switch_stub(void);
    uintptr_t last = (uintptr_t)frames[frame_count - 1];
    CHECK(last > (uintptr_t)wf_switch_stub);
    CHECK(last < (uintptr_t)wf_switch_stub + 64);
#else
    CHECK(frame_count <= 8); /* the C library may put a few above entry */
#endif
}
#endif

#if defined(WF_SAVED_BYTES)
struct framed {
    void *sp;
    void *frame;
    void *callers_frame;
};

/* The builtin makes the compiler keep a frame pointer in this function. */
static __attribute__((noinline)) void park_framed(void *arg)
{
    struct framed *p = arg;
    void **frame = __builtin_frame_address(0);
    wf_note_written(frame, sizeof *frame);
    p->frame = frame;
#if defined(__riscv)
    p->callers_frame = frame[-2]; /* it points above what it is a frame of */
#else
    p->callers_frame = frame[0];
#endif
    wf_switch(&p->sp, tester);
    wf_switch_leave(tester);
}

TEST_PLAIN(a_walk_by_frame_pointers_ends_at_the_entry)
{
    struct framed p = {.callers_frame = &p};
    wipe(0);
    wf_switch_enter(&tester, top_of(0), park_framed, &p);
    CHECK(p.callers_frame == NULL);
    wf_switch(&tester, p.sp);
}

TEST_PLAIN(a_parked_stack_has_the_layout_the_header_tells)
{
    struct framed p = {.sp = NULL};
    wipe(0);
    wf_switch_enter(&tester, top_of(0), park_framed, &p);

    const struct wf_saved *saved = p.sp;
    wf_note_written(saved, sizeof *saved);
#if defined(__x86_64__)
    uint64_t frame = saved->rbp, pc = saved->rip;
#elif defined(__i386__)
    uint64_t frame = saved->ebp, pc = saved->eip;
#elif defined(__riscv)
    uint64_t frame = saved->s0, pc = saved->ra;
#else
    uint64_t frame = saved->x29, pc = saved->x30;
#endif
    CHECK(frame == (uintptr_t)p.frame);
    CHECK(pc > (uintptr_t)park_framed);
    CHECK(pc < (uintptr_t)park_framed + 1024);
    CHECK((uintptr_t)(saved + 1) <= (uintptr_t)top_of(0));
    wf_switch(&tester, p.sp);
}
#endif
