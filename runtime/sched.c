/* SPDX-License-Identifier: MIT */
/*
 * sched.c - the ready queue, and leaving one fiber for the next.
 *
 * A fiber that parks switches straight to the next ready one. Only when none
 * is ready, or the turn's budget is spent, does it go to the thread's own
 * stack, where the driver is asked for news. There is one place that switches
 * (suspend), so that the CPU predicts where the switch returns to.
 *
 * Rules that hold between any two switches: a fiber is in the ring once if it
 * is ready and not at all otherwise; the ring has room for all that live, so
 * waking cannot fail; weft_here_ names the fiber whose stack is in use, or
 * none on the thread's own.
 *
 * With a seed the fibers that are ready when a batch begins are shuffled, save
 * that who has yielded stays behind those it yielded to; who becomes ready
 * meanwhile belongs to the next batch. A turn ends with its
 * batch at the latest, so that all of this happens between two turns, and a
 * switch knows nothing of it.
 *
 * A fiber's end costs no switch of its own: if the next ready fiber has not
 * started yet it is given the stack and called right here.
 */
#include "runtime/sched.h"

#include <weft/fiber.h>

#include "runtime/annotate.h"
#include "runtime/clock.h"
#include "runtime/exceptions.h"
#include "runtime/fork.h"
#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/switch.h"
#include "runtime/watchdog.h"

enum {
    DEEP = 32,        /* so many ready that fetching ahead pays */
    AHEAD_BLOCK = 16, /* fetch the control block of that one */
    AHEAD_STACK = 8,  /* and the stack of this one, whose block has come */
    LATE_NS = 100000, /* a turn that has lasted so long is a long one */
};

__thread struct weft_here_ weft_here_;
__thread struct wf_sched *wf_sched;

/* ---- the floating-point environment ------------------------------------- */

/* A switch does not keep it (2.6 ns). Debug builds see who changed it. */
static inline unsigned fpu_word(void)
{
#if defined(WEFT_DEBUG) && defined(__x86_64__)
    unsigned mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    wf_note_written(&mxcsr, sizeof mxcsr);
    return mxcsr & 0xffc0; /* without the sticky exception flags */
#elif defined(WEFT_DEBUG) && defined(__i386__)
    uint16_t control; /* of the x87: there may be no MXCSR */
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return control;
#elif defined(WEFT_DEBUG) && defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (unsigned)fpcr;
#elif defined(WEFT_DEBUG) && defined(__riscv_flen)
    unsigned long rounding;
    __asm__ volatile("frrm %0" : "=r"(rounding));
    return (unsigned)rounding;
#else
    return 0;
#endif
}

static inline void check_fpu(const struct wf_sched *w)
{
#ifdef WEFT_DEBUG
    if (fpu_word() != w->fpu)
        wf_fatal("fiber %llu \"%s\" parks with a changed floating-point "
                 "control word: restore rounding and masks before waiting",
                 (unsigned long long)weft_fiber_id(), weft_fiber_name());
#else
    (void)w;
#endif
}

/* ---- sanitizers: before a switch, and after one -------------------------
 * TSan keeps a signal that finds code running until the same fiber next calls
 * something that TSan knows, and this may be its last act. So none comes
 * between such a call (the hold itself) and the switch. */

WF_SWITCHES static inline void
before_switch(struct wf_sched *w, const weft_fiber *to, void **fake_save)
{
#ifdef WF_ASAN
    if (to)
        __sanitizer_start_switch_fiber(fake_save, to->stack->low,
                                       to->stack->pool->usable);
    else
        __sanitizer_start_switch_fiber(fake_save, w->own_low, w->own_bytes);
#endif
#ifdef WF_TSAN
    wf_os_sighold_all(&w->signals);
    __tsan_switch_to_fiber(to ? to->stack->tsan_fiber : w->tsan_fiber, 0);
#endif
    (void)w;
    (void)to;
    (void)fake_save;
}

WF_SWITCHES static inline void after_switch(struct wf_sched *w, void *fake)
{
#ifdef WF_ASAN
    const void *low;
    size_t bytes;
    __sanitizer_finish_switch_fiber(fake, &low, &bytes);
    if (!w->own_low) { /* the first time we come from the thread's stack */
        w->own_low = low;
        w->own_bytes = bytes;
    }
#endif
#ifdef WF_TSAN
    wf_os_sigmask(&w->signals);
#endif
    (void)w;
    (void)fake;
}

#ifdef WF_TSAN
/* At its first wait TSan makes the place where it keeps a thread's signals, and
 * forgets the one that comes meanwhile. Here none can come. */
static void make_place_for_signals(void)
{
    sigset_t mask;
    wf_os_sighold_all(&mask);
    (void)wf_os_poll(NULL, 0, 0);
    wf_os_sigmask(&mask);
}
#endif

/* ---- the ring ----------------------------------------------------------- */

static inline void push(struct wf_sched *w, weft_fiber *f, uint8_t state)
{
    f->state = state;
    w->ring[w->tail++ & w->mask] = f;
}

/* None is ready, or it is time for a turn; or there is a watcher. */
static inline bool at_end(const struct wf_sched *w)
{
    return w->head == w->tail || w->head == w->stop;
}

static inline weft_fiber *take_first(struct wf_sched *w)
{
    uint32_t head = w->head;
    if (w->tail - head > DEEP) {
        const weft_fiber *later = w->ring[(head + AHEAD_BLOCK) & w->mask];
        __builtin_prefetch(&later->sp, 1);
        __builtin_prefetch(&later->object, 1);
        const weft_fiber *soon = w->ring[(head + AHEAD_STACK) & w->mask];
        const char *top = soon->sp; /* its frames are just above */
        if (!soon->unborn) {
            __builtin_prefetch(top, 1);
            __builtin_prefetch(top + 64, 1);
            __builtin_prefetch(top + 128, 1);
            __builtin_prefetch(top + 192, 1);
            __builtin_prefetch(top + 256, 1);
            __builtin_prefetch(top + 320, 1);
            __builtin_prefetch(top + 384, 1);
            __builtin_prefetch(top + 448, 1);
            __builtin_prefetch(top + 512, 1);
            __builtin_prefetch(top + 576, 1);
            __builtin_prefetch(top + 640, 1);
        }
    }
    w->head = head + 1;
    return w->ring[head & w->mask];
}

/* One of the reserve joins those that are ready. */
static void call_up(struct wf_sched *w)
{
    weft_fiber *f = w->newest_spare;
    w->newest_spare = f->older;
    *(f->older ? &f->older->newer : &w->oldest_spare) = NULL;
    push(w, f, WF_READY);
}

/* Nobody is ready, but the turn is not over. */
__attribute__((noinline)) static weft_fiber *take_at_end(struct wf_sched *w)
{
    if (wf_points.fn) return wf_points_take(w);
    if (!w->newest_spare || w->head == w->stop) return NULL;
    call_up(w);
    return take_first(w);
}

static inline weft_fiber *take_next(struct wf_sched *w)
{
    return at_end(w) ? take_at_end(w) : take_first(w);
}

int wf_ring_grow(struct wf_sched *w, size_t fibers)
{
    size_t room = w->ring ? (size_t)w->mask + 1 : 0;
    if (fibers < room) return 0;
    size_t want = room ? room * 2 : 64;
    if (want > UINT32_MAX / 2) return -ENOMEM;
    weft_fiber **ring = wf_alloc(want * sizeof *ring);
    if (!ring) return -ENOMEM;
    uint32_t n = w->tail - w->head, ahead = w->stop - w->head;
    WF_ASSERT(w->ring || n == 0);
    for (uint32_t i = 0; i < n; i++)
        ring[i] = w->ring[(w->head + i) & w->mask];
    wf_free(w->ring, room * sizeof *ring);
    w->ring = ring;
    w->mask = (uint32_t)want - 1;
    w->head = 0;
    w->tail = n;
    w->stop = ahead;
    return 0;
}

/* ---- switching ---------------------------------------------------------- */

static inline void arrive(const struct wf_sched *w, weft_fiber *f)
{
    weft_here_.fiber_ = f;
    weft_here_.credit_ = f->cancelled ? 0 : w->credit;
    f->state = WF_RUNNING;
}

/* Gives f its stack, and returns where it starts: below the value that
 * wf_fiber_reserve has put there, if any. */
static void *birth(weft_fiber *f)
{
    f->unborn = false;
    if (f->stack) return f->sp;
    f->stack = wf_stack_take(f->sp);
    return f->stack->top;
}

WF_SWITCHES static void fiber_main(void *arg);

/* The same as below for a fiber that has not begun. Apart, so that the usual
 * way there saves no register for this call. */
WF_SWITCHES __attribute__((noinline)) static void
suspend_for_new(struct wf_sched *w, void **save, weft_fiber *next)
{
    void *fake = NULL, *top = birth(next);
    before_switch(w, next, &fake);
    wf_switch_enter(save, top, fiber_main, next);
    after_switch(wf_sched, fake);
}

/* Has the running stack, whose pointer goes to *save, go on with `next`, or
 * with the thread's own stack if that is NULL. What is kept over the switch is
 * kept in memory: in a register it would be saved twice. */
WF_SWITCHES __attribute__((noinline)) static void
suspend(struct wf_sched *w, void **save, weft_fiber *next)
{
    volatile int kept_errno = *w->errno_at;
    check_fpu(w);
    if (next) {
        arrive(w, next);
    } else {
        weft_here_.fiber_ = NULL;
        weft_here_.credit_ = 0;
    }
    if (next && next->unborn) {
        suspend_for_new(w, save, next);
    } else {
        void *fake = NULL;
        before_switch(w, next, &fake);
        wf_switch(save, next ? next->sp : w->sp);
        after_switch(wf_sched, fake);
    }
    *wf_sched->errno_at = kept_errno;
}

/* Runs one fiber after the other on this stack, as long as the next one is
 * new and wants a stack like this. */
WF_SWITCHES static void fiber_main(void *arg)
{
    struct wf_sched *w = wf_sched;
    weft_fiber *f = arg, *next;
    struct wf_stack *mine = f->stack;

    after_switch(w, NULL);
    for (;;) {
        *w->errno_at = 0;
        w->opts.body(f);
        check_fpu(w);
        wf_watchdog_left(f);
        wf_block_free(w, f);
        next = take_next(w);
        if (!next || !next->unborn || next->stack || next->sp != mine->pool)
            break;
        wf_stack_unpromise(mine->pool);
        next->unborn = false;
        next->stack = mine;
        arrive(w, next);
        f = next;
    }

    wf_stack_release(mine); /* nobody takes it before we have left it */
    if (!next) {
        weft_here_.fiber_ = NULL;
        weft_here_.credit_ = 0;
    } else {
        arrive(w, next);
        if (next->unborn) {
            void *top = birth(next), *nowhere;
            before_switch(w, next, NULL);
            wf_switch_enter(&nowhere, top, fiber_main, next);
        }
    }
    before_switch(w, next, NULL);
    wf_switch_leave(next ? next->sp : w->sp);
}

/* ---- parking and waking ------------------------------------------------- */

static inline void go_on_with(struct wf_sched *w, weft_fiber *f,
                              weft_fiber *next)
{
    if (next == f)
        arrive(w, f);
    else
        suspend(w, &f->sp, next);
}

/* A turn may be over, the clock has to be read, or there may be exceptions:
 * in any case, elsewhere. */
static inline bool leaves_specially(const struct wf_sched *w,
                                    const weft_fiber *f)
{
    return __builtin_expect(at_end(w), 0) ||
           __builtin_expect(f->timed || f->throws, 0);
}

/* Few have exceptions: only those are kept, on its stack. */
__attribute__((noinline)) static void
suspend_with_exceptions(struct wf_sched *w, weft_fiber *f, weft_fiber *next)
{
    struct wf_exceptions its = wf_exceptions_take(w->exceptions);
    suspend(w, &f->sp, next);
    wf_exceptions_put(wf_sched->exceptions, &its);
}

static void suspend_throwing(struct wf_sched *w, weft_fiber *f,
                             weft_fiber *next)
{
    if (f->throws && wf_exceptions_any(w->exceptions))
        suspend_with_exceptions(w, f, next);
    else
        suspend(w, &f->sp, next);
}

__attribute__((noinline)) static void
suspend_timed(struct wf_sched *w, weft_fiber *f, weft_fiber *next)
{
    int64_t left = wf_clock_read();
    suspend_throwing(w, f, next);
    w->opts.was_away(f, wf_clock_read() - left);
}

/* Apart, so that the way past it saves no register for this call. */
__attribute__((noinline)) static void leave_specially(struct wf_sched *w,
                                                      weft_fiber *f)
{
    weft_fiber *next = take_next(w);
    if (__builtin_expect(!(f->timed || f->throws), 1) || next == f)
        go_on_with(w, f, next);
    else if (f->timed)
        suspend_timed(w, f, next);
    else
        suspend_throwing(w, f, next);
}

int wf_park(const struct wf_wait_kind *kind, const void *object)
{
    weft_fiber *f = weft_here_.fiber_;
    WF_ASSERT(f && (!f->cancelled || !kind->abort));
    f->kind = kind;
    f->object = object;
    f->since = wf_now;
    f->aborted = false;
    f->state = WF_PARKED;
    struct wf_sched *w = wf_sched;
    wf_watchdog_left(f);
    if (leaves_specially(w, f))
        leave_specially(w, f);
    else
        suspend(w, &f->sp, take_first(w)); /* f is not in the ring */
    return f->result;
}

int wf_misplaced(const char *call)
{
    static const char words[] =
        "used from another thread than that of its run; a message can reach "
        "it there: see weft_post";
#ifdef WEFT_DEBUG
    if (!wf_sched_is_left()) wf_fatal("%s: %s", call, words);
#endif
    return wf_misuse(-EPERM, "%s: %s", call, words);
}

static inline void check_is_here(const weft_fiber *f)
{
#ifdef WEFT_DEBUG
    if (!wf_fiber_is_here(f)) (void)wf_misplaced("the waking of a fiber");
#else
    (void)f;
#endif
}

static inline void wake(weft_fiber *f, int result)
{
    check_is_here(f);
    WF_ASSERT(f->state == WF_PARKED);
    f->kind = NULL;
    f->result = result;
    push(wf_sched, f, WF_READY);
}

void wf_wake(weft_fiber *f, int result)
{
    wake(f, result);
}

bool wf_leave_line(weft_fiber *f)
{
    char *object = (char *)(uintptr_t)f->object;
    wf_waitq_remove((weft_waitq_ *)(void *)(object + f->kind->line),
                    &f->waiter);
    return true;
}

void wf_waitq_broken(const weft_waitq_ *q, const struct weft_waiter_ *w)
{
    const weft_fiber *f = w->fiber_;
    wf_fatal("fiber %llu \"%s\" is no longer in the line at %p where it waits "
             "(%s): the object was initialised again, or its memory used for "
             "something else, before all its waiters had left",
             (unsigned long long)f->id, f->name ? f->name : "", (const void *)q,
             f->kind ? f->kind->name : "woken");
}

void wf_grant(struct weft_waiter_ *w, int result)
{
    weft_fiber *f = w->fiber_;
    if (__builtin_expect(w == &f->waiter, 1)) {
        wake(f, result);
    } else {
        struct wf_place *p = (struct wf_place *)(void *)w;
        p->granted(p, result);
    }
}

__attribute__((noinline)) static void grant_the_rest(weft_waitq_ *q, int result)
{
    while (!wf_waitq_empty(q))
        wf_grant(wf_waitq_pop(q), result);
}

/* Most wait in one place: as long as there are only such it calls nothing, and
 * saves no register. */
void wf_grant_all(weft_waitq_ *q, int result)
{
    while (!wf_waitq_empty(q)) {
        if (q->head_ != &q->head_->fiber_->waiter) {
            grant_the_rest(q, result);
            return;
        }
        wake(wf_waitq_pop(q)->fiber_, result);
    }
}

static inline void yield(struct wf_sched *w, weft_fiber *f)
{
    push(w, f, WF_YIELDED);
    wf_watchdog_left(f);
    if (leaves_specially(w, f))
        leave_specially(w, f);
    else
        go_on_with(w, f, take_first(w));
}

void wf_yield(void)
{
    wf_sched->quiet = true;
    yield(wf_sched, weft_here_.fiber_);
}

static void end_turn_here(struct wf_sched *w)
{
    w->left += w->stop - w->head;
    w->stop = w->head;
}

void wf_yield_to_turn(void)
{
    end_turn_here(wf_sched);
    wf_yield();
}

bool wf_end_turn_if_late(void)
{
    bool late = wf_clock_read() - wf_now > LATE_NS;
    if (late) end_turn_here(wf_sched);
    return late;
}

void wf_set_cancelled(weft_fiber *f, bool on)
{
    f->cancelled = on;
    if (!on) f->refused = 0;
    /* One more point without cancellation; then it gives way, since how much
     * it has used up is not known any more. */
    if (f == weft_here_.fiber_)
        weft_here_.credit_ = on ? 0 : wf_sched->credit - (WF_CREDIT - 1);
    if (!on || f->state != WF_PARKED || f->aborted || !f->kind->abort) return;
    f->aborted = true;
    if (f->kind->abort(f)) wf_wake(f, -ECANCELED);
}

void wf_fiber_start(weft_fiber *f)
{
    push(wf_sched, f, WF_READY);
}

void wf_fiber_start_spare(weft_fiber *f)
{
    struct wf_sched *w = wf_sched;
    f->state = WF_READY;
    f->older = w->newest_spare;
    f->newer = NULL;
    *(f->older ? &f->older->newer : &w->oldest_spare) = f;
    w->newest_spare = f;
}

bool wf_fiber_has_spare(void)
{
    return wf_sched->oldest_spare != NULL;
}

weft_fiber *wf_fiber_take_spare(void)
{
    struct wf_sched *w = wf_sched;
    weft_fiber *f = w->oldest_spare;
    w->oldest_spare = f->newer;
    *(f->newer ? &f->newer->older : &w->newest_spare) = NULL;
    return f;
}

void wf_fiber_park_new(weft_fiber *f, const struct wf_wait_kind *kind,
                       const void *object)
{
    f->kind = kind;
    f->object = object;
    f->since = wf_now;
    f->aborted = false;
    f->state = WF_PARKED;
}

/* ---- cancel points ------------------------------------------------------ */

static void count_refusal(weft_fiber *f)
{
    weft_here_.credit_ = 0;
    if (f->refused < UINT16_MAX) f->refused++;
#ifdef WEFT_DEBUG
    if (f->refused == 1000)
        (void)wf_misuse(-ECANCELED,
                        "has ignored -ECANCELED a thousand times: return it, "
                        "or leave the loop when a result is negative");
#endif
}

/* A loop that ignores -ECANCELED must not freeze the thread. */
static int refuse(weft_fiber *f)
{
    wf_watchdog_at_point();
    count_refusal(f);
    if (f->refused % 16 == 0 || f->refused == UINT16_MAX) wf_yield();
    return -ECANCELED;
}

int weft_pass_slow_(void)
{
    weft_fiber *f = weft_here_.fiber_;
    if (!f) {
        weft_here_.credit_ = 0;
        return wf_misuse(-EPERM,
                         wf_sched_is_left()
                             ? "a call that can wait was made in the child of "
                               "a fork: it can only call exec or _exit"
                             : "a call that can wait was made outside a "
                               "fiber: start one with weft_run");
    }
    bool spent = true;
    if (wf_points.fn) { /* each comes here, and the credit goes on below 0 */
        spent = weft_here_.credit_ < -WF_CREDIT;
        wf_points.fn(f, false, wf_points.arg);
    }
    if (f->cancelled) return refuse(f);
    if (!spent) return 0;
    wf_yield();
    return f->cancelled ? refuse(f) : 0;
}

/* Cancelled when it came or since; also if others undid that meanwhile. */
__attribute__((noinline)) static int refuse_to_yield(weft_fiber *f, bool before)
{
    if (before) yield(wf_sched, f);
    count_refusal(f);
    return -ECANCELED;
}

int weft_yield(void)
{
    weft_fiber *f = weft_here_.fiber_;
    if (!f) return weft_pass_slow_();
    wf_watchdog_at_point();
    if (f->cancelled) return refuse_to_yield(f, true);
    yield(wf_sched, f);
    return f->cancelled ? refuse_to_yield(f, false) : 0;
}

/* ---- running ------------------------------------------------------------ */

/* The child of a fork has left its run, though its frames are still here. Who
 * returns into the scheduler all the same finds no fiber to go on with. */
static void left_by_fork(void)
{
    struct wf_sched *w = wf_sched;
    if (!w) return;
    weft_here_ = (struct weft_here_){0};
    w->left = 0;
    w->stop = w->head;
}

/* Says how far to go until the next turn. */
static void begin_turn(struct wf_sched *w)
{
    w->room = WF_TURN;
    if (w->opts.seed) {
        if (w->batch == 0) wf_order_draw(w);
        if (w->batch < w->room) w->room = w->batch;
        w->batch -= w->room; /* all of them run now */
    }
    w->stop = w->head + w->room;
    if (!wf_points.fn) return;
    w->left = w->room;
    w->stop = w->head;
}

static void end_turn(struct wf_sched *w)
{
    w->switches += wf_turn_used(w);
    if (w->opts.seed) w->batch += w->stop - w->head + w->left;
    w->room = w->left = 0;
    w->stop = w->head;
}

static uint32_t new_run(void)
{
    static uint32_t given;
    uint32_t run = __atomic_add_fetch(&given, 1, __ATOMIC_RELAXED);
    return run && run != WF_RUN_TO_CLAIM ? run : new_run();
}

int wf_sched_open(const struct wf_sched_opts *o)
{
    if (wf_sched) return -EBUSY;
    struct wf_sched *w = wf_zalloc(sizeof *w);
    if (!w) return -ENOMEM;
    w->opts = *o;
    w->generation = wf_generation;
    wf_stack_pool_init(&w->pool, o->stack_bytes, o->guard_bytes);
    w->pools = &w->pool;
    w->errno_at = &errno;
    w->fpu = fpu_word();
    w->exceptions = wf_exceptions_here();
#ifdef WF_TSAN
    w->tsan_fiber = __tsan_get_current_fiber();
    make_place_for_signals();
#endif
    int err = wf_fork_watch(left_by_fork);
    if (err < 0) goto free_it;
    err = -ENOMEM;
    if (wf_ring_grow(w, 0) < 0) goto free_it;
    w->inbox = wf_inbox_open(&o->driver);
    if (!w->inbox) goto free_ring;
    w->credit = wf_points.fn ? 0 : WF_CREDIT;
    wf_order_begin(w, o->seed);
    wf_sched = w;
    weft_here_.run_ = new_run();
    err = wf_watchdog_open(o->watchdog);
    if (err < 0) wf_sched_close();
    return err;

free_ring:
    wf_free(w->ring, ((size_t)w->mask + 1) * sizeof *w->ring);
free_it:
    wf_free(w, sizeof *w);
    return err;
}

static void run_all(struct wf_sched *w)
{
    while (w->live > 0) {
        if (__builtin_expect(w->generation != wf_generation, 0))
            wf_fatal("the child of a fork in a fiber returned from it: all "
                     "that it may do is exec or _exit");
        (void)wf_inbox_deliver(w->inbox);
        if (w->newest_spare) call_up(w);
        bool idle = w->head == w->tail;
        bool settling = idle && !wf_waitq_empty(&w->settlers);
        w->turns++;
        if (idle)
            for (struct wf_stack_pool *p = w->pools; p; p = p->next)
                wf_stack_pool_trim(p, wf_now);
        enum wf_turned turned =
            w->opts.driver.turn(w->opts.driver.self, idle && !settling);
        if (turned == WF_STUCK && !w->opts.stuck())
            wf_fatal("every fiber waits for another one, again, while "
                     "cleaning up after such a deadlock");
        if (settling && turned == WF_QUIET && w->head == w->tail)
            wf_settlers_wake(w);
        begin_turn(w);
        weft_fiber *next = take_next(w);
        wf_watchdog_turn();
        if (next) suspend(w, &w->sp, next);
        end_turn(w);
    }
}

void wf_sched_run(void)
{
    struct wf_sched *w = wf_sched;
    struct wf_exceptions outside = wf_exceptions_take(w->exceptions);
    run_all(w);
    wf_inbox_close(w->inbox);
    run_all(w); /* what the last messages have started */
    wf_exceptions_put(w->exceptions, &outside);
}

void wf_sched_close(void)
{
    struct wf_sched *w = wf_sched;
    wf_watchdog_close();
    wf_inbox_close(w->inbox);
    wf_inbox_unref(w->inbox);
    wf_leaks_here.fibers += w->live;
    WF_ASSERT(w->live == 0);
    wf_free(w->ring, ((size_t)w->mask + 1) * sizeof *w->ring);
    wf_blocks_fini(w);
    for (struct wf_stack_pool *p = w->pools, *next; p; p = next) {
        next = p->next;
        wf_stack_pool_fini(p);
        if (p != &w->pool) wf_free(p, sizeof *p);
    }
    wf_free(w, sizeof *w);
    wf_sched = NULL;
    weft_here_.run_ = 0;
}

unsigned wf_exceptions_uncaught(void)
{
    const struct wf_exceptions *e = wf_sched->exceptions;
    return e ? e->uncaught : 0;
}

uint64_t wf_turn(void)
{
    return wf_sched->turns;
}

bool wf_sched_is_open(void)
{
    return wf_sched != NULL;
}

bool wf_sched_is_left(void)
{
    return wf_sched && wf_sched->generation != wf_generation;
}
