/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - naming the fiber that does not let go of the thread.
 *
 * Live, when it was asked for: a timer of this thread's own looks a few times
 * within the limit. What it looks at moves at each switch and at each cancel
 * point; when it has stood still for so many looks in a row as make up the
 * limit, the fiber is named with a backtrace, once, for it may never stop. To
 * count looks rather than time is safe against a process that was stopped.
 *
 * Afterwards, in a debug build: the thread's CPU time is taken at each switch,
 * which a slow machine or a tool does not stretch as it does the real time. The
 * credit tells how many cancel points a fiber has passed since it was resumed,
 * not when: with n of them one of the stretches between lasted at least the
 * n-th part. And a fiber that was resumed and left without any, again and
 * again, is remembered, since each of its stretches may be short: opening and
 * closing nurseries is such a thing.
 */
#include "runtime/watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#if defined(__GLIBC__)
#include <execinfo.h>
#endif

#include "runtime/annotate.h"
#include "runtime/os.h"
#include "runtime/sched.h"

enum {
    LOOKS = 3, /* that make up the limit */
    SHORTEST_NS = 1000000,
    DEFAULT_NS = 1000000000,
    FRAMES = 16
};

/* A fiber at a look: as long as nothing of it changes nothing has moved. */
struct look {
    const weft_fiber *fiber;
    uint64_t id, turns;
    uint32_t head;
    int32_t credit;
    uint16_t refused;
};

struct suspect {
    uint64_t id;
    int64_t ran; /* without a cancel point, by CPU time */
    bool told;
};

static __thread struct {
    int64_t limit; /* 0: nobody is watched */
    bool live, was_blocked;
    wf_os_timer timer;
    struct look last;
    int64_t since; /* the first look that was like this one */
    unsigned same; /* looks after that one */
#ifdef WEFT_DEBUG
    int64_t resumed; /* by CPU time */
    bool at_point;
    struct suspect suspects[8];
#endif
} watch;

/* ---- words -------------------------------------------------------------- */

static void tell(const weft_fiber *f, const char *has, int64_t ns,
                 const char *more)
{
    char text[512], place[128] = "";
    long long ms = ns / 1000000;
    if (f->file)
        (void)snprintf(place, sizeof place, " (spawned %.96s:%d)", f->file,
                       f->line);
    int n = snprintf(text, sizeof text,
                     "weft: fiber %llu \"%.64s\" %s for %lld.%03lld s without "
                     "a cancel point%s: %s\n",
                     (unsigned long long)f->id, f->name ? f->name : "", has,
                     ms / 1000, ms % 1000, place, more);
    wf_os_say(2, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static const char nobody_else[] =
    "no other fiber of its thread could run; call weft_checkpoint in long "
    "loops, and leave what blocks to another thread";

/* ---- live --------------------------------------------------------------- */

static struct look look(void)
{
    const struct wf_sched *w = wf_sched;
    const weft_fiber *f = weft_here_.fiber_;
    struct look now = {.fiber = f, .turns = w->turns, .head = w->head};
    if (!f) return now;
    now.id = f->id;
    now.refused = f->refused;
    now.credit = weft_here_.credit_;
    return now;
}

static bool is_same(const struct look *a, const struct look *b)
{
    return a->fiber == b->fiber && a->id == b->id && a->turns == b->turns &&
           a->head == b->head && a->credit == b->credit &&
           a->refused == b->refused;
}

static void on_timer(int signo)
{
    int kept = errno;
    (void)signo;
    if (!watch.live || !wf_sched) return; /* somebody else has sent it */
    struct look now = look();
    if (!now.fiber || !is_same(&now, &watch.last)) {
        watch.last = now;
        watch.same = 0;
        watch.since = wf_os_clock();
    } else if (watch.same < LOOKS && ++watch.same == LOOKS) {
        int64_t ran = wf_os_clock() - watch.since;
        tell(now.fiber, "has run", ran > watch.limit ? ran : watch.limit,
             nobody_else);
#if defined(__GLIBC__)
        void *frames[FRAMES];
        wf_note_libc_begin();
        backtrace_symbols_fd(frames, backtrace(frames, FRAMES), 2);
        wf_note_libc_end();
#endif
    }
    errno = kept;
}

static pthread_mutex_t handler_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned handler_users;
static struct sigaction before;

/* One handler for all threads that are watched. */
static int take_handler(void)
{
    struct sigaction act = {.sa_flags = SA_RESTART | SA_ONSTACK};
    act.sa_handler = on_timer;
    int err = 0;
    (void)pthread_mutex_lock(&handler_lock);
    if (handler_users == 0)
        err = wf_os_sigaction(wf_os_own_signal(), &act, &before);
    if (err == 0) handler_users++;
    (void)pthread_mutex_unlock(&handler_lock);
    return err;
}

static void give_handler_back(void)
{
    (void)pthread_mutex_lock(&handler_lock);
    if (--handler_users == 0) wf_os_sigrestore(wf_os_own_signal(), &before);
    (void)pthread_mutex_unlock(&handler_lock);
}

static int start_timer(int64_t limit)
{
    int64_t every = limit / LOOKS;
    if (every < SHORTEST_NS) every = SHORTEST_NS;
#if defined(__GLIBC__)
    void *frame; /* the first use allocates, which a handler must not, and has
                    the others wait by pthread_once, unknown to helgrind */
    wf_note_libc_begin();
    (void)backtrace(&frame, 1);
    wf_note_libc_end();
#endif
    int err = take_handler();
    if (err < 0) return err;
    err = wf_os_timer_open(&watch.timer, wf_os_own_signal(), every);
    if (err < 0) {
        give_handler_back();
        return err;
    }
    watch.was_blocked = wf_os_sigblock(wf_os_own_signal(), false);
    watch.live = true;
    return 0;
}

int wf_watchdog_open(int64_t option)
{
    memset(&watch, 0, sizeof watch);
    if (option > 0) {
        watch.limit = option;
        return start_timer(option);
    }
#ifdef WEFT_DEBUG
    if (option == 0) watch.limit = DEFAULT_NS;
#endif
    return 0;
}

/* A signal that is still under way must not meet what was there before. */
void wf_watchdog_close(void)
{
    watch.limit = 0;
    if (!watch.live) return;
    sigset_t mask;
    (void)wf_os_sighold(wf_os_own_signal(), &mask);
    wf_os_timer_close(&watch.timer);
    wf_os_sigunhold(wf_os_own_signal(), &mask, true);
    (void)wf_os_sigblock(wf_os_own_signal(), watch.was_blocked);
    give_handler_back();
    watch.live = false;
}

/* ---- afterwards --------------------------------------------------------- */

#ifdef WEFT_DEBUG
/* More than a fiber that is cancelled can fail at before it gives way. */
enum { POINTS_CANCELLED = 16 };

void wf_watchdog_turn(void)
{
    if (watch.limit) watch.resumed = wf_os_cpu_clock();
}

void wf_watchdog_at_point(void)
{
    watch.at_point = true;
    weft_here_.credit_--; /* counted like the others */
}

/* How many cancel points it has passed since it was resumed. */
static int points_of(const weft_fiber *f)
{
    if (f->cancelled) return watch.at_point ? POINTS_CANCELLED : 0;
    return WF_CREDIT - weft_here_.credit_;
}

/* The entry of this fiber, or the one that has to give way to it. */
static struct suspect *entry_of(uint64_t id)
{
    struct suspect *least = watch.suspects;
    for (size_t i = 0; i < sizeof watch.suspects / sizeof *least; i++) {
        struct suspect *s = &watch.suspects[i];
        if (s->id == id) return s;
        if (s->ran < least->ran) least = s;
    }
    return least;
}

static void remember(const weft_fiber *f, int64_t ran)
{
    struct suspect *s = entry_of(f->id);
    if (s->id != f->id) *s = (struct suspect){.id = f->id};
    s->ran += ran;
    if (s->told || s->ran < watch.limit) return;
    s->told = true;
    tell(f, "has run", s->ran,
         "it gave way to others meanwhile, but could not have been cancelled; "
         "opening and closing a nursery and weft_mutex_lock_nc are no cancel "
         "points: call weft_checkpoint");
}

static void forget(const weft_fiber *f)
{
    struct suspect *s = entry_of(f->id);
    if (s->id == f->id) *s = (struct suspect){.id = 0};
}

void wf_watchdog_left(const weft_fiber *f)
{
    if (!watch.limit) return;
    int64_t now = wf_os_cpu_clock(), ran = now - watch.resumed;
    bool at_point = watch.at_point || weft_here_.credit_ < 0 ||
                    (f->state == WF_PARKED && f->kind->abort != NULL);
    int points = points_of(f), stretches = points + !at_point;
    watch.resumed = now;
    watch.at_point = false;
    bool told = !watch.live && ran >= watch.limit * (stretches ? stretches : 1);
    if (told) tell(f, "ran", ran, nobody_else);
    if (points > 0 || at_point || told || f->state == WF_RUNNING)
        forget(f);
    else
        remember(f, ran);
}
#endif
