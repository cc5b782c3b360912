/* SPDX-License-Identifier: MIT */
/* bench_chan - items through a buffered channel, one sender, one receiver. */
#include <weft.h>

#include "harness.h"

struct pipe_ {
    weft_chan *chan;
    int64_t items;
};

static int produce(void *arg)
{
    struct pipe_ *p = arg;
    for (int64_t i = 0; i < p->items; i++) {
        int rc = weft_chan_send(p->chan, &i);
        if (rc < 0) return rc;
    }
    weft_chan_close(p->chan);
    return 0;
}

static int consume(struct pipe_ *p)
{
    int64_t item, sum = 0;
    int rc;
    while ((rc = weft_chan_recv(p->chan, &item)) == 1)
        sum += item;
    if (rc < 0) return rc;
    return sum == p->items * (p->items - 1) / 2 ? 0 : -EPROTO;
}

static int64_t items(void *arg, int64_t n)
{
    size_t capacity = *(size_t *)arg;
    struct pipe_ p = {.chan = weft_chan_new(sizeof(int64_t), capacity, NULL, 0),
                      .items = n};
    if (p.chan == NULL) return -ENOMEM;
    int rc;
    int64_t took = 0;
    WEFT_NURSERY(other, rc)
    {
        rc = weft_spawn(&other, produce, &p);
        if (rc < 0) break;
        int64_t start = bench_cpu();
        rc = consume(&p);
        took = bench_cpu() - start;
    }
    weft_chan_free(p.chan);
    return rc < 0 ? rc : took;
}

static int measure(void *arg)
{
    static size_t some = 128, one = 1;
    const struct bench_case cases[] = {
        {.name = "128 places, per item",
         .run = items,
         .arg = &some,
         .at_most = 4},
        {.name = "1 place, per item", .run = items, .arg = &one},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("buffered channel", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
