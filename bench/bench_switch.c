/* SPDX-License-Identifier: MIT */
/*
 * bench_switch - the raw switch between two stacks, without a scheduler.
 *
 * From one place: both stacks run the same loop, as the fibers of a scheduler
 * leave through one call. From two: each has a loop of its own. The processor
 * predicts where a switch returns to by where it was called from.
 *
 * This is the one benchmark that looks below the public headers.
 */
#include <stdlib.h>

#include "../runtime/switch.h"
#include "harness.h"

enum { STACK = 64 << 10 };

static void *main_stack, *other_stack;
static char *memory;
static bool stop;

__attribute__((noinline)) static void turns(void **save, void **to, int64_t n)
{
    for (int64_t i = 0; i < n && !stop; i++)
        wf_switch(save, *to);
}

static void run_turns(void *arg)
{
    (void)arg;
    turns(&other_stack, &main_stack, INT64_MAX);
    wf_switch_leave(main_stack);
}

static void run_own_loop(void *arg)
{
    (void)arg;
    while (!stop)
        wf_switch(&other_stack, main_stack);
    wf_switch_leave(main_stack);
}

static void end_at_once(void *arg)
{
    (void)arg;
    wf_switch_leave(main_stack);
}

static void *top(void)
{
    return memory + STACK;
}

/* n switches are n / 2 there and n / 2 back. */
static int64_t from_one_place(void *arg, int64_t n)
{
    (void)arg;
    stop = false;
    wf_switch_enter(&main_stack, top(), run_turns, NULL);
    int64_t start = bench_cpu();
    turns(&main_stack, &other_stack, n / 2);
    int64_t took = bench_cpu() - start;
    stop = true;
    wf_switch(&main_stack, other_stack);
    return took;
}

static int64_t from_two_places(void *arg, int64_t n)
{
    (void)arg;
    stop = false;
    wf_switch_enter(&main_stack, top(), run_own_loop, NULL);
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n / 2; i++)
        wf_switch(&main_stack, other_stack);
    int64_t took = bench_cpu() - start;
    stop = true;
    wf_switch(&main_stack, other_stack);
    return took;
}

static int64_t enter_and_leave(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        wf_switch_enter(&main_stack, top(), end_at_once, NULL);
    }
    return bench_cpu() - start;
}

int main(int argc, char **argv)
{
    const struct bench_case cases[] = {
        {.name = "from one place", .run = from_one_place, .at_most = 2.5},
        {.name = "from two places", .run = from_two_places, .at_most = 10},
        {.name = "enter a fresh stack and leave it", .run = enter_and_leave},
    };
    bench_begin("raw switch", argc, argv);
    bench_pin(bench_core(1));
    memory = aligned_alloc(4096, STACK);
    if (memory == NULL)
        bench_fail("no memory");
    else
        bench_cases(cases, sizeof cases / sizeof cases[0]);
    free(memory);
    return bench_end();
}
