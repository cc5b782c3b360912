/* SPDX-License-Identifier: MIT */
/*
 * test_select_model.c - random selects among plain operations, each step
 * compared with the rules said plainly: a line of waiters at either side of a
 * channel, and who is granted something leaves all lines.
 */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/select.h>

#include <string.h>

#include "chance.h"
#include "harness.h"
#include "open.h"

enum { ACTORS = 12, CHANS = 3, EVENTS = 2, CASES = 5, STEPS = 4000 };
enum { WAITING = 9999, NOTHING = -1 };

/* A fiber that makes one select, or one plain call, in a scope of its own. */
struct actor {
    weft_scope scope;
    weft_case cases[CASES];
    int n;
    unsigned flags;
    bool plain, busy, waits;
    int out[CHANS]; /* what it sends to each */
    int in[CASES];
    int index; /* WAITING: it has not returned */
    /* What the model says. */
    weft_case_kind kind; /* WEFT_ON_OFF: cancelled */
    int object, value, result;
};

struct line {
    int who[ACTORS], length;
};

static struct actor actors[ACTORS];
static weft_event events[EVENTS];
static struct {
    weft_chan *chan;
    struct line senders, receivers;
    int buffer[4], count;
} chans[CHANS];
static int cap, next_item, sent, received, dropped;

/* --- lines --- */

static void append(struct line *l, int who)
{
    for (int i = 0; i < l->length; i++)
        if (l->who[i] == who) return; /* twice in one select */
    l->who[l->length++] = who;
}

static void remove_from(struct line *l, int who)
{
    for (int i = 0; i < l->length; i++) {
        if (l->who[i] != who) continue;
        l->length--;
        memmove(&l->who[i], &l->who[i + 1],
                sizeof(int) * (size_t)(l->length - i));
        return;
    }
}

static void leave_all(int who)
{
    for (int i = 0; i < CHANS; i++) {
        remove_from(&chans[i].senders, who);
        remove_from(&chans[i].receivers, who);
    }
    actors[who].waits = false;
}

static void grant(int who, weft_case_kind kind, int object, int value,
                  int result)
{
    struct actor *a = &actors[who];
    leave_all(who);
    a->kind = kind;
    a->object = object;
    a->value = value;
    a->result = result;
}

/* --- what the channel does --- */

static bool can_send(int k)
{
    return chans[k].receivers.length > 0 || chans[k].count < cap;
}

static bool can_receive(int k)
{
    return chans[k].senders.length > 0 || chans[k].count > 0;
}

static void model_sends(int k, int item)
{
    sent++;
    if (chans[k].receivers.length > 0) {
        received++;
        grant(chans[k].receivers.who[0], WEFT_ON_RECV, k, item, 1);
    } else {
        chans[k].buffer[chans[k].count++] = item;
    }
}

static int model_receives(int k)
{
    int item = chans[k].buffer[0], who = NOTHING;
    received++;
    if (chans[k].senders.length > 0) who = chans[k].senders.who[0];
    if (who != NOTHING) {
        chans[k].buffer[chans[k].count++] = actors[who].out[k];
        item = chans[k].buffer[0];
        sent++;
        grant(who, WEFT_ON_SEND, k, 0, 0);
    }
    memmove(&chans[k].buffer[0], &chans[k].buffer[1],
            sizeof(int) * (size_t)--chans[k].count);
    return item;
}

/* --- actors --- */

static int chan_of(const weft_case *c)
{
    for (int k = 0; k < CHANS; k++)
        if (chans[k].chan == c->object) return k;
    return NOTHING;
}

static int acts(void *arg)
{
    struct actor *a = arg;
    weft_case *c = a->cases;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    int index = 0;
    if (!a->plain)
        index = weft_select(c, (size_t)a->n, a->flags);
    else if (c->on == WEFT_ON_SEND)
        c->result = weft_chan_send(c->object, c->item);
    else
        c->result = weft_chan_recv(c->object, c->item);
    if (a->plain && c->result == -ECANCELED) index = -ECANCELED;
    a->index = index;
    return weft_scope_end(&a->scope, 0);
}

static bool possible(const weft_case *c)
{
    switch (c->on) {
    case WEFT_ON_SEND:
        return can_send(chan_of(c));
    case WEFT_ON_RECV:
        return can_receive(chan_of(c));
    case WEFT_ON_TIME:
        return c->at <= weft_now();
    case WEFT_ON_EVENT:
        return weft_event_is_set(c->object);
    default:
        return false;
    }
}

static weft_case random_case(struct actor *a, int i)
{
    int k = random_below(CHANS);
    switch (random_below(a->plain ? 6 : 9)) {
    case 0:
    case 1:
    case 2:
        return (weft_case)WEFT_CASE_SEND(chans[k].chan, &a->out[k]);
    case 3:
    case 4:
    case 5:
        return (weft_case)WEFT_CASE_RECV(chans[k].chan, &a->in[i]);
    case 6:
        return (weft_case)WEFT_CASE_EVENT(&events[random_below(EVENTS)]);
    case 7:
        return (weft_case)WEFT_CASE_AFTER(WEFT_MSEC(random_below(5)));
    default:
        return (weft_case){.on = WEFT_ON_OFF};
    }
}

static void make_actor(struct actor *a)
{
    *a = (struct actor){.index = WAITING, .busy = true, .waits = true};
    weft_scope_init(&a->scope);
    a->plain = random_below(4) == 0;
    a->n = a->plain ? 1 : 1 + random_below(CASES);
    a->flags = random_below(4) == 0 ? WEFT_SELECT_ORDERED : 0;
    if (random_below(5) == 0 && !a->plain) a->flags |= WEFT_SELECT_NOWAIT;
    for (int k = 0; k < CHANS; k++)
        a->out[k] = next_item++;
    for (int i = 0; i < a->n; i++) {
        a->in[i] = NOTHING;
        a->cases[i] = random_case(a, i);
    }
}

static void stand_in_lines(int who)
{
    struct actor *a = &actors[who];
    for (int i = 0; i < a->n; i++) {
        const weft_case *c = &a->cases[i];
        if (c->on == WEFT_ON_SEND) append(&chans[chan_of(c)].senders, who);
        if (c->on == WEFT_ON_RECV) append(&chans[chan_of(c)].receivers, who);
    }
}

/* It has returned at once, with a case that was possible. */
static void follow(struct actor *a)
{
    CHECK(a->index >= 0 && a->index < a->n);
    const weft_case *c = &a->cases[a->index];
    a->waits = false;
    a->kind = c->on;
    a->object = chan_of(c);
    a->result = c->on == WEFT_ON_RECV;
    if (c->on == WEFT_ON_SEND) model_sends(a->object, a->out[a->object]);
    if (c->on == WEFT_ON_RECV) a->value = model_receives(a->object);
}

static void start_one(weft_nursery *n)
{
    int who = 0, first = NOTHING, on = 0;
    bool can[CASES];
    while (who < ACTORS && actors[who].busy)
        who++;
    if (who == ACTORS) return;
    struct actor *a = &actors[who];
    make_actor(a);
    for (int i = a->n - 1; i >= 0; i--) {
        on += a->cases[i].on != WEFT_ON_OFF;
        can[i] = possible(&a->cases[i]);
        if (can[i]) first = i;
    }
    CHECK_EQ(weft_spawn(n, acts, a), 0);
    CHECK_EQ(weft_yield(), 0);
    if (on == 0 || (first == NOTHING && a->flags & WEFT_SELECT_NOWAIT)) {
        CHECK_EQ(a->index, on ? -EAGAIN : -EINVAL);
        a->busy = a->waits = false;
    } else if (first == NOTHING) {
        CHECK_EQ(a->index, WAITING);
        stand_in_lines(who);
    } else {
        follow(a);
        CHECK(can[a->index]);
        if (a->flags & WEFT_SELECT_ORDERED) CHECK_EQ(a->index, first);
    }
}

/* --- comparing --- */

static void compare(struct actor *a)
{
    a->busy = a->waits;
    if (a->waits) {
        CHECK_EQ(a->index, WAITING);
        return;
    }
    if (a->kind == WEFT_ON_OFF) {
        CHECK_EQ(a->index, -ECANCELED);
    } else {
        CHECK(a->index >= 0 && a->index < a->n);
        CHECK_EQ(a->cases[a->index].on, a->kind);
        CHECK_EQ(a->cases[a->index].result, a->result);
    }
    for (int i = 0; i < a->n; i++) {
        bool got = a->kind == WEFT_ON_RECV && a->result == 1 && i == a->index;
        CHECK_EQ(a->in[i], got ? a->value : NOTHING);
    }
}

static void settle_and_compare(void)
{
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < ACTORS; i++)
        if (actors[i].busy) compare(&actors[i]);
}

/* --- steps --- */

static void set_or_clear(void)
{
    weft_event *e = &events[random_below(EVENTS)];
    if (weft_event_is_set(e)) {
        weft_event_clear(e);
        return;
    }
    weft_event_set(e);
    if (random_below(2)) weft_event_clear(e);
    for (int who = 0; who < ACTORS; who++) {
        const struct actor *a = &actors[who];
        bool wants = false;
        for (int i = 0; i < a->n; i++)
            wants |= a->cases[i].on == WEFT_ON_EVENT && a->cases[i].object == e;
        if (a->waits && wants) grant(who, WEFT_ON_EVENT, 0, 0, 0);
    }
}

static void let_time_pass(void)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    for (int who = 0; who < ACTORS; who++) {
        const struct actor *a = &actors[who];
        bool due = false;
        for (int i = 0; i < a->n; i++)
            due |=
                a->cases[i].on == WEFT_ON_TIME && a->cases[i].at <= weft_now();
        if (a->waits && due) grant(who, WEFT_ON_TIME, 0, 0, 0);
    }
}

static void cancel_one(void)
{
    int who = random_below(ACTORS);
    if (!actors[who].waits) return;
    weft_scope_cancel(&actors[who].scope, 0, NULL);
    grant(who, WEFT_ON_OFF, 0, 0, 0);
}

static void drop_item(void *item)
{
    (void)item;
    dropped++;
}

static void open_channel(int k)
{
    chans[k].chan = weft_chan_new(sizeof(int), (size_t)cap, drop_item,
                                  random_below(2) ? WEFT_CHAN_MT : 0);
    CHECK(chans[k].chan != NULL);
}

/* For another one, which may have the same address. */
static void free_a_channel(void)
{
    int k = random_below(CHANS);
    while (chans[k].senders.length > 0)
        grant(chans[k].senders.who[0], WEFT_ON_SEND, k, 0, -EPIPE);
    while (chans[k].receivers.length > 0)
        grant(chans[k].receivers.who[0], WEFT_ON_RECV, k, 0, -EPIPE);
    chans[k].count = 0;
    weft_chan_free(chans[k].chan);
    settle_and_compare();
    open_channel(k);
}

static void try_to_send(void)
{
    int k = random_below(CHANS), item = next_item++;
    bool can = can_send(k);
    CHECK_EQ(weft_chan_trysend(chans[k].chan, &item), can ? 0 : -EAGAIN);
    if (can) model_sends(k, item);
}

static void try_to_receive(void)
{
    int k = random_below(CHANS), item = NOTHING;
    bool can = can_receive(k);
    CHECK_EQ(weft_chan_tryrecv(chans[k].chan, &item), can ? 1 : -EAGAIN);
    CHECK_EQ(item, can ? model_receives(k) : NOTHING);
}

static void one_step(weft_nursery *n)
{
    switch (random_below(16)) {
    case 0:
    case 1:
        try_to_send();
        break;
    case 2:
    case 3:
        try_to_receive();
        break;
    case 4:
        set_or_clear();
        break;
    case 5:
        let_time_pass();
        break;
    case 6:
        cancel_one();
        break;
    case 7:
        if (random_below(6) == 0) free_a_channel();
        break;
    default:
        start_one(n);
    }
    for (int k = 0; k < CHANS; k++)
        CHECK_EQ(weft_chan_length(chans[k].chan), chans[k].count);
    if (random_below(3) == 0) settle_and_compare();
}

static void compare_channels_of(int places)
{
    weft_nursery n;
    int inside = 0;
    cap = places;
    sent = received = dropped = 0;
    next_item = 1000;
    memset(actors, 0, sizeof actors);
    memset(chans, 0, sizeof chans);
    memset(events, 0, sizeof events);
    for (int k = 0; k < CHANS; k++)
        open_channel(k);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < STEPS; i++)
        one_step(&n);
    settle_and_compare();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int k = 0; k < CHANS; k++) {
        inside += chans[k].count;
        CHECK_EQ(weft_chan_length(chans[k].chan), chans[k].count);
    }
    CHECK_EQ(sent, received + inside + dropped);
    for (int k = 0; k < CHANS; k++)
        weft_chan_free(chans[k].chan);
    CHECK_EQ(sent, received + dropped);
}

TEST(selects_and_plain_operations_keep_to_one_line_each)
{
    random_begin(test_seed());
    for (int places = 0; places <= 3; places++)
        compare_channels_of(places);
}

/* --- all at once, where only the sum is known --- */

enum { CROWD = 30, ACTS = 60, ITEMS = CROWD * ACTS };

static int times_received[ITEMS], times_sent[ITEMS], cancels, steps_left;
static weft_scope crowd_scopes[CROWD];

/* Sends one item somewhere or receives one from somewhere. */
static int select_somewhere(int item)
{
    weft_case c[CASES];
    int in[CASES], k;
    size_t n = 1 + (size_t)random_below(CASES);
    for (size_t i = 0; i < n; i++) {
        k = random_below(CHANS);
        in[i] = NOTHING;
        c[i] = (weft_case)WEFT_CASE_RECV(chans[k].chan, &in[i]);
        if (random_below(2))
            c[i] = (weft_case)WEFT_CASE_SEND(chans[k].chan, &item);
    }
    if (random_below(2) == 0)
        c[0] = (weft_case)WEFT_CASE_AFTER(WEFT_MSEC(random_below(3)));
    if (random_below(8) == 0) c[0] = (weft_case)WEFT_CASE_EVENT(&events[0]);
    int at = weft_select(c, n, (unsigned)random_below(4));
    if (at < 0) return at == -EAGAIN ? 0 : at;
    for (size_t i = 0; i < n; i++) {
        if ((int)i != at || c[i].on != WEFT_ON_RECV || c[i].result != 1)
            CHECK_EQ(in[i], NOTHING);
        else
            times_received[in[i]]++;
    }
    if (c[at].on == WEFT_ON_SEND && c[at].result == 0) times_sent[item]++;
    return 0;
}

static int transfer_somewhere(int item)
{
    weft_chan *c = chans[random_below(CHANS)].chan;
    int in = NOTHING;
    switch (random_below(4)) {
    case 0:
        if (weft_chan_trysend(c, &item) == 0) times_sent[item]++;
        return 0;
    case 1:
        if (weft_chan_tryrecv(c, &in) == 1) times_received[in]++;
        return 0;
    case 2:
        weft_event_set(&events[0]);
        weft_event_clear(&events[0]);
        return 0;
    default:
        return weft_yield();
    }
}

static int mingles(void *arg)
{
    weft_scope *s = arg;
    int me = (int)(s - crowd_scopes);
    for (int i = 0; i < ACTS; i++) {
        open_scope(s);
        int item = me * ACTS + i;
        int err =
            random_below(3) ? select_somewhere(item) : transfer_somewhere(item);
        if (random_below(10) == 0)
            weft_scope_cancel(&crowd_scopes[random_below(CROWD)], 0, NULL);
        if (err == -ECANCELED) cancels++;
        CHECK(err == 0 || err == -ECANCELED);
        CHECK_EQ(weft_scope_end(s, err), 0);
        steps_left--;
    }
    return 0;
}

/* Has those go on who wait for nobody any more. */
static int stirs(void *arg)
{
    (void)arg;
    while (steps_left > 0) {
        int err = weft_sleep(WEFT_MSEC(10));
        if (err < 0) return err;
        weft_event_set(&events[0]);
        weft_event_clear(&events[0]);
        weft_scope_cancel(&crowd_scopes[random_below(CROWD)], 0, NULL);
    }
    return 0;
}

TEST(nothing_is_lost_or_doubled_in_a_crowd)
{
    random_begin(test_seed() ^ test_order() << 32);
    for (cap = 0; cap <= 2; cap++) {
        weft_nursery n;
        size_t inside = 0;
        int total = 0;
        memset(times_sent, 0, sizeof times_sent);
        memset(times_received, 0, sizeof times_received);
        memset(events, 0, sizeof events);
        memset(crowd_scopes, 0, sizeof crowd_scopes);
        cancels = 0;
        steps_left = CROWD * ACTS;
        for (int k = 0; k < CHANS; k++)
            open_channel(k);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int i = 0; i < CROWD; i++)
            CHECK_EQ(weft_spawn(&n, mingles, &crowd_scopes[i]), 0);
        CHECK_EQ(weft_spawn(&n, stirs, NULL), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        for (int i = 0; i < ITEMS; i++) {
            CHECK(times_sent[i] <= 1);
            CHECK(times_received[i] <= times_sent[i]);
            total += times_sent[i] - times_received[i];
        }
        for (int k = 0; k < CHANS; k++) {
            inside += weft_chan_length(chans[k].chan);
            weft_chan_free(chans[k].chan);
        }
        CHECK_EQ(total, inside);
        CHECK(cancels > 0);
    }
}
