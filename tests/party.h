/* SPDX-License-Identifier: MIT */
/* party.h - fibers at the ends of a channel, one transfer each. */
#ifndef TESTS_PARTY_H
#define TESTS_PARTY_H

#include <weft/chan.h>
#include <weft/fiber.h>

#include "harness.h"
#include "open.h"

static int turns;

struct party {
    weft_chan *chan;
    int item;
    int result; /* 99: still waiting */
    int next, turn;
    weft_scope scope;
};

static inline int transfers(struct party *p, bool send)
{
    open_scope(&p->scope);
    p->result = send ? weft_chan_send(p->chan, &p->item)
                     : weft_chan_recv(p->chan, &p->item);
    p->turn = ++turns;
    p->next = weft_checkpoint();
    return weft_scope_end(&p->scope, 0);
}

static inline int sends(void *arg)
{
    return transfers(arg, true);
}

static inline int receives(void *arg)
{
    return transfers(arg, false);
}

static inline void start(weft_nursery *n, weft_fn fn, struct party *p,
                         weft_chan *c, int item)
{
    *p = (struct party){.chan = c, .item = item, .result = 99};
    CHECK_EQ(weft_spawn(n, fn, p), 0);
    CHECK_EQ(weft_yield(), 0);
}

#endif
