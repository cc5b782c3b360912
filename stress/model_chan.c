/* SPDX-License-Identifier: MIT */
/*
 * model_chan.c - the items inside, a line at either side, and handles. Each
 * item has a number, so that none is lost, doubled or out of order.
 */
#include <weft/chan.h>

#include <string.h>

#include "stress/stress.h"

enum { MOST = 3, HANDLES = 4, CASES = 8, UNTOUCHED = 0x5a5a };

static struct {
    weft_chan *handle[HANDLES]; /* the first, and others or NULL */
    bool first_done, closed, aborted;
    int cap, count, senders;
    struct item inside[MOST];
    struct line line[2]; /* receivers, senders */
    struct line joiners;
    int sent, received, done, dropped;
} c[MANY_CHANNELS];

static uint64_t last_item;
static struct item offered[ACTORS][CASES + 1], expected[ACTORS];
static int dropping; /* the channel that drops what is inside, or -1 */

/* Those of the last channel are larger. */
static bool is_large(int k)
{
    return k == MANY_CHANNELS - 1;
}

struct item channel_new_item(int k)
{
    last_item++;
    return (struct item){last_item, is_large(k) ? ~last_item : UNTOUCHED};
}

static struct item take_inside(int k)
{
    struct item item = c[k].inside[0];
    c[k].count--;
    memmove(&c[k].inside[0], &c[k].inside[1], sizeof item * (size_t)c[k].count);
    return item;
}

static void drop(void *item)
{
    if (dropping < 0 || c[dropping].count == 0)
        differs("an item is dropped, and should not be");
    struct item want = take_inside(dropping);
    c[dropping].dropped++;
    same("item dropped by channel", dropping,
         (long long)((struct item *)item)->id, (long long)want.id);
}

static void open_one(int k)
{
    size_t size = is_large(k) ? sizeof(struct item) : sizeof(uint64_t);
    memset(&c[k], 0, sizeof c[k]);
    c[k].cap = one_in(3) ? 0 : 1 + below(MOST);
    c[k].senders = 1;
    c[k].handle[0] = weft_chan_new(size, (size_t)c[k].cap, drop,
                                   one_in(2) ? WEFT_CHAN_MT : 0);
    if (!c[k].handle[0]) differs("no memory for a channel");
}

static void open(void)
{
    last_item = 0;
    dropping = -1;
    for (int k = 0; k < MANY_CHANNELS; k++)
        open_one(k);
}

/* ---- for selects too ---------------------------------------------------- */

/* One that sends, if there is any. */
weft_chan *channel_handle(int k)
{
    int from = below(HANDLES);
    for (int i = 0; i < HANDLES; i++) {
        int h = (from + i) % HANDLES;
        if (c[k].handle[h] && (h > 0 || !c[k].first_done))
            return c[k].handle[h];
    }
    return c[k].handle[0];
}

struct line *channel_line(int k, bool sends)
{
    return &c[k].line[sends];
}

bool channel_can(int k, bool sends)
{
    if (c[k].closed || c[k].line[!sends].length > 0) return true;
    return sends ? c[k].count < c[k].cap : c[k].count > 0;
}

void channel_offers(int who, int at, struct item item)
{
    offered[who][at + 1] = item;
}

int channel_sends(int k, struct item item)
{
    if (c[k].closed) return -EPIPE;
    c[k].sent++;
    if (c[k].line[0].length > 0) {
        struct place p = line_first(&c[k].line[0]);
        c[k].received++;
        expected[p.who] = item;
        happens(p, 1);
    } else {
        c[k].inside[c[k].count++] = item;
    }
    return 0;
}

/* An item that is inside is older than any in the line. */
int channel_receives(int k, struct item *item)
{
    if (c[k].aborted) return -EPIPE;
    bool inside = c[k].count > 0;
    if (inside) *item = take_inside(k);
    if (c[k].line[1].length > 0) {
        struct place p = line_first(&c[k].line[1]);
        struct item next = offered[p.who][p.at + 1];
        c[k].sent++;
        if (inside)
            c[k].inside[c[k].count++] = next;
        else
            *item = next;
        happens(p, 0);
    } else if (!inside) {
        return 0;
    }
    c[k].received++;
    return 1;
}

static void same_item(int k, const struct item *got, const struct item *want)
{
    same("item of channel", k, (long long)got->id, (long long)want->id);
    same("end of item of channel", k, (long long)got->twin,
         (long long)want->twin);
}

void channel_expect(struct actor *a, int k, const struct item *got)
{
    same_item(k, got, &expected[a->number]);
}

/* ---- sending and receiving ---------------------------------------------- */

static void sends(struct actor *a, int k)
{
    struct item item = channel_new_item(k);
    weft_chan *handle = channel_handle(k);
    step(a, "sends item %d on channel %d", (int)item.id, k);
    if (is_refused(a)) {
        /* the item stays here */
    } else if (channel_can(k, true)) {
        a->expected = channel_sends(k, item);
    } else {
        waits(a, &channels, k);
        channel_offers(a->number, PLAIN, item);
        line_append(&c[k].line[1], (struct place){a->number, PLAIN, 0});
    }
    (void)returned(a, weft_chan_send(handle, &item));
}

static void receives(struct actor *a, int k)
{
    struct item got = {0, UNTOUCHED};
    step(a, "receives from channel %d", k);
    if (is_refused(a)) {
        /* and nothing is taken out */
    } else if (channel_can(k, false)) {
        a->expected = channel_receives(k, &expected[a->number]);
    } else {
        waits(a, &channels, k);
        line_append(&c[k].line[0], (struct place){a->number, PLAIN, 0});
    }
    int rc = returned(a, weft_chan_recv(c[k].handle[0], &got));
    if (rc == 1)
        channel_expect(a, k, &got);
    else
        same_item(k, &got, &(struct item){0, UNTOUCHED});
}

static void joins(struct actor *a, int k)
{
    step(a, "joins channel %d", k);
    if (is_refused(a)) {
        /* even if all is done */
    } else if (c[k].aborted) {
        a->expected = -EPIPE;
    } else if (c[k].done == c[k].sent) {
        a->expected = 0;
    } else {
        waits(a, &channels, k);
        line_append(&c[k].joiners, (struct place){a->number, PLAIN, 0});
    }
    (void)returned(a, weft_chan_join(c[k].handle[0]));
}

static void act(struct actor *a)
{
    int k = below(MANY_CHANNELS);
    switch (below(9)) {
    case 0:
        joins(a, k);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        sends(a, k);
        break;
    default:
        receives(a, k);
    }
}

static void try_to_send_when_done(struct actor *a, int k)
{
    struct item item = channel_new_item(k);
    step(a, "tries to send on channel %d by a sender that is done", k);
    same("try to send when done, on channel", k,
         weft_chan_trysend(c[k].handle[0], &item), -EPIPE);
}

static void try_to_send(struct actor *a, int k)
{
    if (c[k].first_done && one_in(4)) {
        try_to_send_when_done(a, k);
        return;
    }
    struct item item = channel_new_item(k);
    step(a, "tries to send item %d on channel %d", (int)item.id, k);
    int got = weft_chan_trysend(channel_handle(k), &item);
    int want = channel_can(k, true) ? channel_sends(k, item) : -EAGAIN;
    same("try to send on channel", k, got, want);
}

static void try_to_receive(struct actor *a, int k)
{
    struct item got = {0, UNTOUCHED}, want = got;
    step(a, "tries to receive from channel %d", k);
    int rc = weft_chan_tryrecv(c[k].handle[0], &got);
    same("try to receive from channel", k, rc,
         channel_can(k, false) ? channel_receives(k, &want) : -EAGAIN);
    same_item(k, &got, &want);
}

static void reports_done(struct actor *a, int k)
{
    bool may = c[k].done < c[k].received;
    if (!may && !(may_err() && one_in(8))) return;
    step(a, "reports an item of channel %d done", k);
    same("item done of channel", k, weft_chan_item_done(c[k].handle[0]),
         may ? 0 : -EINVAL);
    if (!may || ++c[k].done < c[k].sent) return;
    happens_to_all(&c[k].joiners, 0);
}

/* ---- ends --------------------------------------------------------------- */

static void closes(int k)
{
    c[k].closed = true;
    happens_to_all(&c[k].line[1], -EPIPE);
    happens_to_all(&c[k].line[0], 0);
}

static void aborts(int k)
{
    c[k].closed = c[k].aborted = true;
    happens_to_all(&c[k].line[1], -EPIPE);
    happens_to_all(&c[k].line[0], -EPIPE);
    happens_to_all(&c[k].joiners, -EPIPE);
}

static void has_dropped(int k)
{
    same("items left in channel", k, c[k].count, 0);
    same("received and dropped of channel", k, c[k].received + c[k].dropped,
         c[k].sent);
    dropping = -1;
}

static void one_more_sender(struct actor *a, int k)
{
    int h = 1 + below(HANDLES - 1);
    if (c[k].handle[h] || c[k].closed) return;
    step(a, "makes sender %d of channel %d", h, k);
    c[k].handle[h] = weft_chan_sender(c[k].handle[0]);
    if (!c[k].handle[h]) differs("no memory for a sender");
    c[k].senders++;
}

static void sender_is_done(int k, int h)
{
    if (h > 0 || !c[k].first_done) c[k].senders--;
    if (c[k].senders == 0 && !c[k].closed) closes(k);
    weft_chan_sender_done(c[k].handle[h]);
    if (h > 0)
        c[k].handle[h] = NULL;
    else
        c[k].first_done = true;
}

static void one_sender_less(struct actor *a, int k)
{
    int h = below(HANDLES);
    if (!c[k].handle[h] || (h == 0 && c[k].first_done)) return;
    if (c[k].senders == 1 && !one_in(4)) return;
    step(a, "ends sender %d of channel %d", h, k);
    sender_is_done(k, h);
}

static void is_freed(int k)
{
    aborts(k);
    dropping = k;
    weft_chan_free(c[k].handle[0]);
    has_dropped(k);
    for (int h = 1; h < HANDLES; h++)
        if (c[k].handle[h]) sender_is_done(k, h);
}

static void ends(struct actor *a, int k)
{
    if (!one_in(c[k].closed ? 3 : 20)) return;
    switch (below(c[k].closed ? 2 : 3)) {
    case 0:
        step(a, "aborts channel %d", k);
        aborts(k);
        dropping = k;
        weft_chan_abort(channel_handle(k));
        has_dropped(k);
        break;
    case 1:
        step(a, "frees channel %d, for a new one", k);
        is_freed(k);
        open_one(k);
        break;
    default:
        step(a, "closes channel %d", k);
        closes(k);
        weft_chan_close(channel_handle(k));
    }
}

static void poke(struct actor *a)
{
    int k = below(MANY_CHANNELS);
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
        try_to_send(a, k);
        break;
    case 3:
    case 4:
    case 5:
        try_to_receive(a, k);
        break;
    case 6:
        one_more_sender(a, k);
        break;
    case 7:
        one_sender_less(a, k);
        break;
    case 8:
        ends(a, k);
        break;
    default:
        reports_done(a, k);
    }
}

static bool leave(struct actor *a)
{
    (void)line_leave(&c[a->object].line[0], a->number);
    (void)line_leave(&c[a->object].line[1], a->number);
    (void)line_leave(&c[a->object].joiners, a->number);
    return true;
}

static void compare(void)
{
    for (int k = 0; k < MANY_CHANNELS; k++) {
        same("length of channel", k,
             (long long)weft_chan_length(c[k].handle[0]), c[k].count);
        same("items of channel", k, c[k].received + c[k].count + c[k].dropped,
             c[k].sent);
    }
}

static void close(void)
{
    for (int k = 0; k < MANY_CHANNELS; k++)
        is_freed(k);
}

const struct kind channels = {.name = "channel",
                              .open = open,
                              .act = act,
                              .poke = poke,
                              .leave = leave,
                              .compare = compare,
                              .close = close};
