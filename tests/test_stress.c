/* SPDX-License-Identifier: MIT */
/*
 * test_stress.c - a short stress: random programs over all objects, each step
 * compared with a model. `make stress` is the long one. A difference is printed
 * with its seed, which is none of the harness's.
 */
#include "harness.h"
#include "stress/stress.h"

static uint64_t fewer(uint64_t count)
{
    return test_is_slow() ? count / 10 : count;
}

static void stress(uint64_t seed, uint64_t count)
{
    stress_run(&(struct stress){.seed = seed, .count = fewer(count)});
}

TEST_PLAIN(random_programs_do_what_the_model_says)
{
    for (uint64_t i = 0; i < 4; i++)
        stress(test_seed() + i, 20000);
}

TEST_PLAIN(those_that_were_drawn_before_do_too)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        stress(seed, 20000);
}

/* Or all of it would be in vain. */
TEST_PLAIN(somebody_waits_for_each_kind_and_gets_it_or_is_cancelled)
{
    stress_run(&(struct stress){.seed = 1, .count = 40000});
    for (int i = 0; kinds[i]; i++) {
        if (!kinds[i]->act) continue;
        CHECK(tallies[i].grants > 0);
        CHECK(tallies[i].cancels > 0);
    }
}

TEST_PLAIN(what_other_threads_send_and_wake_adds_up)
{
    stress_threads(test_seed(), fewer(100000));
}
