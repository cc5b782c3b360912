/* SPDX-License-Identifier: MIT */
/*
 * test_sync_model.c - random use of the semaphore and the channel, each step
 * compared with the rules said plainly: one line of waiters, the oldest first.
 */
#include <weft/chan.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>

#include <string.h>

#include "chance.h"
#include "harness.h"

enum { FIBERS = 12, STEPS = 4000, WAITING = 99 };

/* A fiber that does one thing, in a scope of its own. */
struct actor {
    weft_scope scope;
    int value;    /* permits to take, or the item */
    int result;   /* WAITING while it waits */
    int expected; /* what the model says the result is */
    bool busy, sends;
};

static struct actor actors[FIBERS];

/* The model's line: numbers of actors, oldest first. */
struct line {
    int who[FIBERS], length;
};

static void line_append(struct line *l, int who)
{
    l->who[l->length++] = who;
}

static void line_remove(struct line *l, int at)
{
    l->length--;
    memmove(&l->who[at], &l->who[at + 1],
            sizeof(int) * (size_t)(l->length - at));
}

static int idle_actor(void)
{
    for (int i = 0; i < FIBERS; i++) {
        if (!actors[i].busy) return i;
    }
    return -1;
}

static struct actor *start(weft_nursery *n, int who, weft_fn fn, int value)
{
    struct actor *a = &actors[who];
    *a = (struct actor){.value = value, .result = WAITING, .busy = true};
    a->expected = WAITING;
    weft_scope_init(&a->scope);
    CHECK_EQ(weft_spawn(n, fn, a), 0);
    return a;
}

/* Lets all run that may, and compares. */
static void settle_and_compare(void)
{
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < FIBERS; i++) {
        if (!actors[i].busy) continue;
        CHECK_EQ(actors[i].result, actors[i].expected);
        actors[i].busy = actors[i].expected == WAITING;
    }
}

/* --- the semaphore --- */

static weft_sem sem;
static int permits;
static struct line takers;

static int takes(void *arg)
{
    struct actor *a = arg;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    int rc = weft_sem_acquire(&sem, (uint32_t)a->value);
    a->result = rc;
    return weft_scope_end(&a->scope, 0);
}

static void model_grants_permits(void)
{
    while (takers.length > 0) {
        struct actor *a = &actors[takers.who[0]];
        if (a->value > permits) break;
        permits -= a->value;
        a->expected = 0;
        line_remove(&takers, 0);
    }
}

static void one_step_of_the_semaphore(weft_nursery *n)
{
    int count = 1 + random_below(4), who = idle_actor(), at;
    switch (random_below(8)) {
    case 0:
    case 1:
    case 2:
        if (who < 0) break;
        (void)start(n, who, takes, count);
        CHECK_EQ(weft_yield(), 0); /* it is in line now */
        line_append(&takers, who);
        break;
    case 3:
    case 4:
        CHECK_EQ(weft_sem_release(&sem, (uint32_t)count), 0);
        permits += count;
        break;
    case 5:
        if (takers.length == 0 && permits >= count) {
            CHECK_EQ(weft_sem_try(&sem, (uint32_t)count), 0);
            permits -= count;
        } else {
            CHECK_EQ(weft_sem_try(&sem, (uint32_t)count), -EAGAIN);
        }
        break;
    default:
        if (takers.length == 0) break;
        at = random_below(takers.length);
        actors[takers.who[at]].expected = -ECANCELED;
        weft_scope_cancel(&actors[takers.who[at]].scope, 0, NULL);
        line_remove(&takers, at);
    }
    model_grants_permits();
    CHECK_EQ(weft_sem_value(&sem), permits); /* before anybody ran */
    if (random_below(3) == 0) settle_and_compare();
}

TEST(a_semaphore_is_one_line_of_waiters)
{
    weft_nursery n;
    random_begin(test_seed());
    weft_sem_init(&sem, 0, 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < STEPS; i++) {
        one_step_of_the_semaphore(&n);
    }
    settle_and_compare();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_sem_value(&sem), permits);
}

/* --- the channel --- */

static weft_chan *chan;
static int buffer[4], buffered, capacity, next_item;
static struct line senders, receivers;

static int transfers(void *arg)
{
    struct actor *a = arg;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    int rc = a->sends ? weft_chan_send(chan, &a->value)
                      : weft_chan_recv(chan, &a->value);
    a->result = rc == 1 ? a->value : rc;
    return weft_scope_end(&a->scope, 0);
}

/* Items are numbers from 1000; a receiver's result is its item. */
static bool model_takes(int *item)
{
    if (buffered > 0) {
        *item = buffer[0];
        memmove(&buffer[0], &buffer[1], sizeof(int) * (size_t)--buffered);
    } else if (senders.length > 0) {
        *item = actors[senders.who[0]].value;
        actors[senders.who[0]].expected = 0;
        line_remove(&senders, 0);
        return true;
    } else {
        return false;
    }
    if (senders.length > 0) {
        struct actor *a = &actors[senders.who[0]];
        buffer[buffered++] = a->value;
        a->expected = 0;
        line_remove(&senders, 0);
    }
    return true;
}

static bool model_puts(int item)
{
    if (receivers.length > 0) {
        actors[receivers.who[0]].expected = item;
        line_remove(&receivers, 0);
        return true;
    }
    if (buffered == capacity) return false;
    buffer[buffered++] = item;
    return true;
}

static void start_transfer(weft_nursery *n, int who, bool sends)
{
    if (who < 0) return;
    int item = sends ? next_item++ : 0;
    struct actor *a = start(n, who, transfers, item);
    a->sends = sends;
    CHECK_EQ(weft_yield(), 0);
    if (sends && model_puts(item)) {
        a->expected = 0;
    } else if (sends) {
        line_append(&senders, who);
    } else if (!model_takes(&a->expected)) {
        line_append(&receivers, who);
    }
}

static void cancel_one_of(struct line *l)
{
    if (l->length == 0) return;
    int at = random_below(l->length);
    actors[l->who[at]].expected = -ECANCELED;
    weft_scope_cancel(&actors[l->who[at]].scope, 0, NULL);
    line_remove(l, at);
}

static void one_step_of_the_channel(weft_nursery *n)
{
    int item = 0, expected = 0;
    switch (random_below(8)) {
    case 0:
    case 1:
        start_transfer(n, idle_actor(), true);
        break;
    case 2:
    case 3:
        start_transfer(n, idle_actor(), false);
        break;
    case 4:
        item = next_item++;
        expected = model_puts(item) ? 0 : -EAGAIN;
        CHECK_EQ(weft_chan_trysend(chan, &item), expected);
        break;
    case 5:
        if (model_takes(&expected)) {
            CHECK_EQ(weft_chan_tryrecv(chan, &item), 1);
            CHECK_EQ(item, expected);
        } else {
            CHECK_EQ(weft_chan_tryrecv(chan, &item), -EAGAIN);
        }
        break;
    default:
        cancel_one_of(random_below(2) ? &senders : &receivers);
    }
    CHECK_EQ(weft_chan_length(chan), buffered);
    if (random_below(3) == 0) settle_and_compare();
}

static void compare_a_channel_of(int cap)
{
    weft_nursery n;
    memset(actors, 0, sizeof(actors));
    senders.length = receivers.length = buffered = 0;
    capacity = cap;
    next_item = 1000;
    chan = weft_chan_new(sizeof(int), (size_t)cap, NULL, 0);
    CHECK(chan != NULL);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < STEPS; i++) {
        one_step_of_the_channel(&n);
    }
    settle_and_compare();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_chan_length(chan), buffered);
    weft_chan_free(chan);
}

TEST(a_channel_is_one_line_of_waiters_on_either_side)
{
    random_begin(test_seed());
    for (int cap = 0; cap <= 4; cap++) {
        compare_a_channel_of(cap);
    }
}
