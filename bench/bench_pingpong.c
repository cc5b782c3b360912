/* SPDX-License-Identifier: MIT */
/* bench_pingpong - there and back over two channels that hold nothing. */
#include <weft.h>

#include "harness.h"

struct table {
    weft_chan *there, *back;
    int64_t rounds;
};

static int pong(void *arg)
{
    struct table *t = arg;
    int64_t ball;
    int rc;
    while ((rc = weft_chan_recv(t->there, &ball)) == 1) {
        rc = weft_chan_send(t->back, &ball);
        if (rc < 0) return rc;
    }
    return rc;
}

static int ping(struct table *t)
{
    for (int64_t i = 0, ball = 0; i < t->rounds; i++) {
        int rc = weft_chan_send(t->there, &i);
        if (rc == 0) rc = weft_chan_recv(t->back, &ball);
        if (rc < 0) return rc;
        if (rc == 0 || ball != i) return -EPROTO;
    }
    return 0;
}

static int64_t round_trips(void *arg, int64_t n)
{
    (void)arg;
    struct table t = {.there = weft_chan_new(sizeof(int64_t), 0, NULL, 0),
                      .back = weft_chan_new(sizeof(int64_t), 0, NULL, 0),
                      .rounds = n};
    int rc = t.there && t.back ? 0 : -ENOMEM;
    int64_t took = 0;
    if (rc == 0) {
        WEFT_NURSERY(other, rc)
        {
            rc = weft_spawn(&other, pong, &t);
            if (rc < 0) break;
            int64_t start = bench_cpu();
            rc = ping(&t);
            took = bench_cpu() - start;
            weft_chan_close(t.there);
        }
    }
    if (t.there) weft_chan_free(t.there);
    if (t.back) weft_chan_free(t.back);
    return rc < 0 ? rc : took;
}

static int measure(void *arg)
{
    const struct bench_case cases[] = {
        {.name = "round trip", .run = round_trips, .at_most = 32},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("rendezvous channel", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
