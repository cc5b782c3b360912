/* SPDX-License-Identifier: MIT */
/* bench_select - items from one of several channels, one sender, one select. */
#include <weft.h>

#include "harness.h"

enum { MOST = 16 };

struct pipes {
    weft_chan *chan[MOST];
    size_t count, places;
    int64_t items;
};

static int produce(void *arg)
{
    struct pipes *p = arg;
    for (int64_t i = 0; i < p->items; i++) {
        int rc = weft_chan_send(p->chan[(size_t)i % p->count], &i);
        if (rc < 0) return rc;
    }
    return 0;
}

static int consume(struct pipes *p)
{
    weft_case c[MOST];
    int64_t item = 0, sum = 0;
    for (size_t i = 0; i < p->count; i++)
        c[i] = (weft_case)WEFT_CASE_RECV(p->chan[i], &item);
    for (int64_t i = 0; i < p->items; i++) {
        int at = weft_select(c, p->count, 0);
        if (at < 0) return at;
        sum += item;
    }
    return sum == p->items * (p->items - 1) / 2 ? 0 : -EPROTO;
}

static int64_t transfer(struct pipes *p)
{
    int rc;
    int64_t took = 0;
    WEFT_NURSERY(other, rc) {
        rc = weft_spawn(&other, produce, p);
        if (rc < 0) break;
        int64_t start = bench_cpu();
        rc = consume(p);
        took = bench_cpu() - start;
    }
    return rc < 0 ? rc : took;
}

static int64_t items(void *arg, int64_t n)
{
    struct pipes p = *(const struct pipes *)arg;
    int64_t took = 0;
    p.items = n;
    for (size_t i = 0; i < p.count; i++) {
        p.chan[i] = weft_chan_new(sizeof(int64_t), p.places, NULL, 0);
        if (!p.chan[i]) took = -ENOMEM;
    }
    if (took == 0) took = transfer(&p);
    for (size_t i = 0; i < p.count; i++)
        weft_chan_free(p.chan[i]);
    return took;
}

static int measure(void *arg)
{
    static struct pipes one = {.count = 1, .places = 128},
                        two = {.count = 2, .places = 64},
                        many = {.count = 16, .places = 8},
                        two_meet = {.count = 2}, many_meet = {.count = 16};
    const struct bench_case cases[] = {
        {.name = "1 channel, 128 places", .run = items, .arg = &one},
        {.name = "2 channels, 64 places", .run = items, .arg = &two},
        {.name = "16 channels, 8 places", .run = items, .arg = &many},
        {.name = "2 channels, parked", .run = items, .arg = &two_meet},
        {.name = "16 channels, parked", .run = items, .arg = &many_meet},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("select", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
