/* SPDX-License-Identifier: MIT */
/*
 * remote.c - one list without a lock, and when to wake its reader.
 *
 * Who puts a message pushes it on the list; the scheduler takes the whole list
 * and turns it round. So nothing is ever taken from the middle, and a push
 * cannot mistake one message for another that came to the same address.
 *
 * Asleep is what the scheduler says before it looks at the list for the last
 * time, and what a sender looks at after his push: whichever comes second sees
 * the other. (It is said by an exchange: emulators let a load pass the plain
 * store before it.) Of several senders only the one that takes the word back
 * writes the wake-up.
 *
 * The end: the scheduler leaves CLOSED in the list, which no push gets past.
 * The inbox itself stays as long as somebody has a reference, but the driver is
 * gone then. Who is about to wake it counts himself among the users first, and
 * looks whether the inbox is open; the scheduler closes it first, and then
 * waits until there is no user.
 */
#include "runtime/remote.h"

#include "runtime/fork.h"
#include "runtime/os.h"
#include "runtime/sched.h"

struct wf_inbox {
    struct wf_message *newest; /* atomic; or CLOSED */
    int asleep;                /* atomic */
    unsigned generation;       /* of processes */

    char apart[64]; /* from what is written by each sender */

    unsigned refs;    /* atomic */
    const void *family; /* who has the reference of the kin, or NULL */
    unsigned users;   /* atomic: who may be waking the driver */
    int open;         /* atomic */
    _Alignas(8) uint64_t wakeups; /* atomic, which i386 aligns at 4 */
    struct wf_driver driver;

    char apart_too[64];

    uint64_t delivered; /* from here on the scheduler's own */
    unsigned expected, listening;
    bool outsiders; /* when the driver last asked what is possible */
};

static struct wf_message closed_message;
#define CLOSED (&closed_message)

/* ---- any thread --------------------------------------------------------- */

/* True: the driver is there until end_use. */
static bool begin_use(struct wf_inbox *b)
{
    __atomic_add_fetch(&b->users, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&b->open, __ATOMIC_SEQ_CST)) return true;
    __atomic_sub_fetch(&b->users, 1, __ATOMIC_RELEASE);
    return false;
}

static void end_use(struct wf_inbox *b)
{
    __atomic_sub_fetch(&b->users, 1, __ATOMIC_RELEASE);
}

static void wake_driver(struct wf_inbox *b)
{
    if (!__atomic_exchange_n(&b->asleep, 0, __ATOMIC_SEQ_CST)) return;
    __atomic_add_fetch(&b->wakeups, 1, __ATOMIC_RELAXED);
    b->driver.wake(b->driver.self);
}

__attribute__((noinline)) static void wake(struct wf_inbox *b)
{
    if (!begin_use(b)) return;
    wake_driver(b);
    end_use(b);
}

bool wf_inbox_is_left(const struct wf_inbox *b)
{
    return b->generation != wf_generation;
}

/* As long as it is open one reference is the run's. It closes before the run
 * gives that back; so who finds just one finds it closed, or has none. */
static inline void check_has_reference(struct wf_inbox *b)
{
#ifdef WEFT_DEBUG
    if (b == wf_inbox_here()) return;
    unsigned refs = __atomic_load_n(&b->refs, __ATOMIC_ACQUIRE);
    WF_ASSERT(refs > 1 ||
              (refs == 1 && !__atomic_load_n(&b->open, __ATOMIC_ACQUIRE)));
#else
    (void)b;
#endif
}

bool wf_inbox_put(struct wf_inbox *b, struct wf_message *m)
{
    if (wf_inbox_is_left(b)) return false;
    check_has_reference(b);
    struct wf_message *newest = __atomic_load_n(&b->newest, __ATOMIC_ACQUIRE);
    do {
        if (newest == CLOSED) return false;
        m->next = newest;
    } while (!__atomic_compare_exchange_n(&b->newest, &newest, m, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    if (__atomic_load_n(&b->asleep, __ATOMIC_SEQ_CST)) wake(b);
    return true;
}

struct wf_inbox *wf_inbox_ref(struct wf_inbox *b)
{
    __atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

static unsigned drop(struct wf_inbox *b)
{
    return __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL);
}

/* How many of the references are of its kin. */
static unsigned kin_of(const struct wf_inbox *b)
{
    return b->family ? 1 : 0;
}

/* While the run is there it has a reference itself; if it and its kin are the
 * last that have one, nobody outside will ever wake the run, and it has to see
 * that. */
void wf_inbox_unref(struct wf_inbox *b)
{
    if (wf_inbox_is_left(b)) return;
    if (begin_use(b)) {
        if (drop(b) == 1 + kin_of(b)) wake_driver(b);
        end_use(b);
    } else if (drop(b) == 0) {
        wf_shared_free(b, sizeof *b);
    }
}

/* ---- this thread -------------------------------------------------------- */

struct wf_inbox *wf_inbox_here(void)
{
    return wf_sched ? wf_sched->inbox : NULL;
}

void wf_inbox_expect(int by)
{
    wf_sched->inbox->expected += (unsigned)by;
}

void wf_inbox_listen(int by)
{
    wf_sched->inbox->listening += (unsigned)by;
}

static bool has_message(const struct wf_inbox *b, int order)
{
    const struct wf_message *newest = __atomic_load_n(&b->newest, order);
    return newest && newest != CLOSED;
}

bool wf_message_waiting(void)
{
    return has_message(wf_sched->inbox, __ATOMIC_ACQUIRE);
}

bool wf_message_expected(void)
{
    return wf_sched->inbox->expected > 0;
}

/* If not, nobody but the run and its kin has a reference: then nobody outside
 * can get one either, and what those who had one have put is in the list. */
static bool has_outsiders(const struct wf_inbox *b)
{
    return __atomic_load_n(&b->refs, __ATOMIC_ACQUIRE) > 1 + kin_of(b);
}

bool wf_inbox_is_reachable(const struct wf_inbox *b)
{
    return has_outsiders(b) || has_message(b, __ATOMIC_ACQUIRE);
}

struct wf_inbox *wf_inbox_ref_for_kin(const void *family)
{
    struct wf_inbox *b = wf_sched->inbox;
    b->family = family;
    return wf_inbox_ref(b);
}

bool wf_inbox_is_near(const struct wf_inbox *b)
{
    const struct wf_inbox *mine = wf_inbox_here();
    return b == mine || (mine && b->family && b->family == mine->family);
}

bool wf_message_possible(void)
{
    struct wf_inbox *b = wf_sched->inbox;
    b->outsiders = has_outsiders(b);
    return b->expected > 0 || b->listening > 0 || b->outsiders ||
           wf_message_waiting();
}

bool wf_message_from_kin(void)
{
    return wf_sched->inbox->family != NULL;
}

/* Whom the last outsider has left since he asked has to ask again. */
bool wf_doze_begin(bool for_good)
{
    struct wf_sched *w = wf_sched;
    struct wf_inbox *b = w->inbox;
    if (!b->outsiders && !b->family) return !wf_message_waiting();
    (void)__atomic_exchange_n(&b->asleep, 1, __ATOMIC_SEQ_CST);
    if (!has_message(b, __ATOMIC_SEQ_CST) &&
        has_outsiders(b) == b->outsiders) {
        if (b->family) w->opts.rests(true, for_good);
        return true;
    }
    __atomic_store_n(&b->asleep, 0, __ATOMIC_RELAXED);
    return false;
}

/* First it is awake, then its messages are gone: kin who look at both find one
 * or the other. */
bool wf_doze_end(void)
{
    struct wf_sched *w = wf_sched;
    struct wf_inbox *b = w->inbox;
    __atomic_store_n(&b->asleep, 0, __ATOMIC_RELAXED);
    if (b->family) w->opts.rests(false, false);
    return wf_inbox_deliver(b);
}

static void deliver_all(struct wf_inbox *b, struct wf_message *newest)
{
    struct wf_message *oldest = NULL;
    for (struct wf_message *m = newest, *older; m; m = older) {
        older = m->next;
        m->next = oldest;
        oldest = m;
    }
    for (struct wf_message *m = oldest, *newer; m; m = newer) {
        newer = m->next; /* m may be gone */
        b->delivered++;
        m->deliver(m);
    }
}

bool wf_inbox_deliver(struct wf_inbox *b)
{
    if (!has_message(b, __ATOMIC_RELAXED)) return false;
    deliver_all(b, __atomic_exchange_n(&b->newest, NULL, __ATOMIC_ACQUIRE));
    return true;
}

struct wf_inbox *wf_inbox_open(const struct wf_driver *driver)
{
    struct wf_inbox *b = wf_shared_alloc(sizeof *b);
    if (!b) return NULL;
    *b = (struct wf_inbox){
        .generation = wf_generation, .refs = 1, .open = 1, .driver = *driver};
    return b;
}

/* Closed first and delivered then: a message that sends itself again is told
 * that this is the end. */
void wf_inbox_close(struct wf_inbox *b)
{
    struct wf_message *rest =
        __atomic_exchange_n(&b->newest, CLOSED, __ATOMIC_ACQ_REL);
    if (rest == CLOSED) return;
    (void)__atomic_exchange_n(&b->open, 0, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&b->users, __ATOMIC_SEQ_CST) > 0)
        wf_os_give_way();
    deliver_all(b, rest);
}

void wf_inbox_count(const struct wf_inbox *b, uint64_t *ret_messages,
                    uint64_t *ret_wakeups)
{
    *ret_messages = b->delivered;
    *ret_wakeups = __atomic_load_n(&b->wakeups, __ATOMIC_RELAXED);
}
