/* SPDX-License-Identifier: MIT */
/*
 * bench_skynet - a tree of fibers, ten children each, down to a million
 * leaves; each node adds up what its children found.
 */
#include <weft.h>

#include "harness.h"

enum { LEAVES = 1000000, FAN = 10 };

struct node {
    int64_t number, size, sum;
};

static int node(void *arg)
{
    struct node *self = arg;
    if (self->size == 1) {
        self->sum = self->number;
        return 0;
    }
    struct node children[FAN];
    int rc;
    WEFT_NURSERY(below, rc)
    {
        for (int i = 0; i < FAN && rc == 0; i++) {
            int64_t size = self->size / FAN;
            children[i] = (struct node){self->number + i * size, size, 0};
            rc = weft_spawn(&below, node, &children[i]);
        }
    }
    self->sum = 0;
    for (int i = 0; i < FAN; i++)
        self->sum += children[i].sum;
    return rc;
}

static int64_t grow(void *arg, int64_t n)
{
    (void)arg;
    (void)n;
    struct node root = {0, LEAVES, 0};
    int64_t start = bench_cpu();
    int rc = node(&root);
    int64_t took = bench_cpu() - start;
    if (rc < 0) return rc;
    return root.sum == (int64_t)LEAVES * (LEAVES - 1) / 2 ? took : -EPROTO;
}

static int measure(void *arg)
{
    (void)arg;
    int64_t cold = grow(NULL, 1);
    if (cold < 0) return (int)cold;
    bench_value(
        &(struct bench_figure){.name = "1,000,000 leaves, cold", .unit = "ms"},
        (double)cold / 1e6);
    const struct bench_case warm = {.name = "1,000,000 leaves, warm",
                                    .run = grow,
                                    .at_most = 100,
                                    .count = 1,
                                    .rounds = bench_quick() ? 3 : 7,
                                    .unit = "ms",
                                    .ns_per_unit = 1e6};
    bench_cases(&warm, 1);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("skynet", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
