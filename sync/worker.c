/* SPDX-License-Identifier: MIT */
/*
 * worker.c - what the workers of a run tell each other about its end.
 *
 * The word of a seat goes there and back: "drain", and its worker shuts down its
 * background set; "drained", to the first; and, when all are and main's fiber
 * is gone, with what it has deferred, "stop".
 */
#include "sync/worker.h"

#include <stdlib.h>

#include <fcntl.h>

#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/park.h"
#include "sync/background.h"
#include "sync/group.h"
#include "sync/dump.h"
#include "sync/run.h"

/* What a keeper has heard, or the first, that it has heard of all. */
static __thread struct {
    weft_fiber *keeper;
    bool told;        /* what it waits for */
    unsigned drained; /* for the first: of the others */
} here;

static int64_t seat_number(const void *object)
{
    const struct wf_seat *seat = object;
    return seat - wf_group->seats + 1;
}

static const struct wf_wait_kind for_work = {.name = "work for worker",
                                             .number = seat_number},
                                 for_end = {.name =
                                                "end of the others, for worker",
                                            .number = seat_number};

static struct wf_seat *seat_here(void)
{
    return &wf_group->seats[wf_worker];
}

static void wait_until_told(const struct wf_wait_kind *kind)
{
    here.keeper = wf_self();
    if (!here.told) (void)wf_park(kind, seat_here());
    here.told = false;
    here.keeper = NULL;
}

static void tell(void)
{
    here.told = true;
    if (here.keeper && here.keeper->kind) wf_wake(here.keeper, 0);
}

static void told(struct wf_message *m)
{
    (void)m;
    tell();
}

static void one_is_drained(struct wf_message *m)
{
    (void)m;
    if (++here.drained == wf_group->count - 1) tell();
}

static void send_word(struct wf_seat *to, struct wf_seat *about,
                      void (*deliver)(struct wf_message *m))
{
    about->word.deliver = deliver;
    bool taken = wf_inbox_put(to->inbox, &about->word);
    WF_ASSERT(taken);
    (void)taken;
}

void wf_worker_keep(weft_time drain, weft_time grace)
{
    wait_until_told(&for_work);
    if (wf_group->dismissed) return;
    wf_background_close(drain, grace);
    send_word(&wf_group->seats[0], seat_here(), one_is_drained);
    wait_until_told(&for_end);
}

static void tell_others(struct wf_group *g)
{
    for (unsigned i = 1; i < g->count; i++)
        if (g->seats[i].inbox) send_word(&g->seats[i], &g->seats[i], told);
}

void wf_worker_end(weft_time drain, weft_time grace)
{
    here.drained = 0;
    tell_others(wf_group);
    wf_background_close(drain, grace);
    wait_until_told(&for_end);
}

void wf_workers_stop(void)
{
    tell_others(wf_group);
}

/* They have nothing to drain, and answer to nobody. */
void wf_workers_dismiss(struct wf_group *g)
{
    g->dismissed = true;
    tell_others(g);
}

/* ---- a deadlock of all -------------------------------------------------- */

static void pass_on(struct wf_message *m, void (*deliver)(struct wf_message *m))
{
    unsigned next = wf_worker + 1 < wf_group->count ? wf_worker + 1 : 0;
    m->deliver = deliver;
    wf_group_put(next, m);
}

/* The first is asked first, and is the one that cancels main. */
static void resolve(struct wf_message *m)
{
    if (wf_run_resolve_deadlock()) {
        m->deliver = wf_worker_deadlocked;
        wf_group_resolved();
        return;
    }
    if (wf_worker == wf_group->count - 1)
        wf_fatal("every fiber of every worker waits for another one, again, "
                 "while cleaning up after such a deadlock");
    pass_on(m, resolve);
}

void wf_worker_deadlocked(struct wf_message *m)
{
    wf_run_report_deadlock(wf_worker == 0);
    if (wf_worker < wf_group->count - 1)
        pass_on(m, wf_worker_deadlocked);
    else
        pass_on(m, resolve);
}

/* ---- the dump of all ---------------------------------------------------- */

struct dump {
    struct wf_message message;
    int fd;
    unsigned asker;
};

static void dump(struct wf_message *m);

/* A run that ends does not wait for it: those that have gone are left out. Who
 * has put it does not look at it again. */
static void pass_dump_on(struct dump *d)
{
    unsigned to = wf_worker, asker = d->asker;
    d->message.deliver = dump;
    while ((to = (to + 1) % wf_group->count) != asker)
        if (wf_inbox_put(wf_group->seats[to].inbox, &d->message)) return;
    wf_os_close(d->fd);
    wf_shared_free(d, sizeof *d);
}

static void dump(struct wf_message *m)
{
    struct dump *d = (struct dump *)(void *)m;
    wf_dump_here(d->fd);
    pass_dump_on(d);
}

void wf_workers_dump(int fd)
{
    static const char words[] = "weft: no descriptor or no memory to ask the "
                                "other workers\n";
    struct dump *d = wf_shared_alloc(sizeof *d);
    int copy = d ? wf_os_fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy < 0) {
        wf_shared_free(d, sizeof *d);
        wf_os_say(fd, words, sizeof words - 1);
        return;
    }
    *d = (struct dump){.fd = copy, .asker = wf_worker};
    pass_dump_on(d);
}
