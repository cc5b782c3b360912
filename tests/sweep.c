/* SPDX-License-Identifier: MIT */
/*
 * sweep.c - cancels a piece of concurrent work at every moment of its life.
 *
 * A fiber's number is its place in the order of spawns, main being 0, and a
 * cancel point is the k-th of its fiber: on the virtual clock, in one order of
 * the ready, both are the same in each run up to the strike.
 *
 * Every fiber that `start` spawns runs in a scope of its own, by which it is
 * struck alone. Others get a weft_task at that moment, if they have none, and
 * are cancelled by that: nothing else in the world then knows of it.
 *
 * What a test prints is shown only when it fails. So each run begins its output
 * anew with the name of its strike, which then is there however the run failed,
 * by a crash or by hanging too.
 */
#include "sweep.h"

#include <weft/fiber.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/park.h"
#include "sync/child.h"

#define LAST_CALL WEFT_SEC(1000000)

enum { MAX_MEMBERS = 32, MAX_FIBERS = 256, FDS = 96, SLOW_STRIKES = 60 };

enum mode { ALONE, DEADLINE, TWICE, ALL, LATE, MODES };
static const char *const modes[MODES] = {"alone", "deadline", "twice", "all",
                                         "late"};
static const char *const moments[] = {"entry", "parked"};

/* One way to do it. */
struct strike {
    unsigned fiber; /* 0: nobody */
    unsigned parked, point;
    enum mode mode;
};

/* The memory that there is not. */
struct want {
    unsigned call; /* of enum wf_call */
    long use;      /* 0: there is enough */
    bool lasting;
};

struct member {
    weft_scope scope;
    weft_fn fn;
    void *arg;
    bool struck;
};

/* What one run is about, and what is known of it so far. */
static struct {
    const struct sweep *s;
    unsigned order; /* the seed of the run */
    struct strike strike;
    struct want want;
    uint64_t main_id;
    weft_nursery work;
    weft_task task; /* of a fiber without one, to be struck by */
    struct member members[MAX_MEMBERS];
    unsigned member_count;
    unsigned points[2][MAX_FIBERS]; /* by moment and fiber */
    bool is_member[MAX_FIBERS];
    bool began;  /* the body of the work */
    bool failed; /* what `start` needed was not to be had */
    bool struck, struck_twice;
    weft_time when, last_call;
    long uses; /* of want.call, until `check` */
} run;

/* ---- counts, over all the processes of a program ------------------------ */

static struct totals {
    unsigned scenarios, points, allocations;
} totals_here, *totals = &totals_here;

static void say_totals(void)
{
    const char *path = getenv("SWEEP_TOTALS");
    if (totals->scenarios == 0) return;
    (void)printf("sweep: %u scenarios, %u points struck, ", totals->scenarios,
                 totals->points);
#ifdef WEFT_HOSTILE
    (void)printf("%u allocations failed\n", totals->allocations);
#else
    (void)printf("no allocation failed: that takes BUILD=hostile\n");
#endif
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f) return;
    (void)fprintf(f, "%u %u %u\n", totals->scenarios, totals->points,
                  totals->allocations);
    (void)fclose(f);
}

void sweep_register(const struct test *t)
{
    test_register(t);
    if (totals != &totals_here) return;
    totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED) abort();
    test_at_end(say_totals);
}

/* ---- naming a run ------------------------------------------------------- */

static const char *name_of_call(unsigned call)
{
    return call == WF_CALL_ALLOC ? "alloc" : "map";
}

static void say_what_comes(void)
{
    char text[300], id[64] = "0.entry.0.alone";
    const struct strike *how = &run.strike;
    const struct want *w = &run.want;
    if (w->use)
        (void)snprintf(id, sizeof id, "%s.%ld.%s", name_of_call(w->call),
                       w->use, w->lasting ? "lasting" : "once");
    else if (how->fiber)
        (void)snprintf(id, sizeof id, "%u.%s.%u.%s", how->fiber,
                       moments[how->parked], how->point, modes[how->mode]);
    int len = snprintf(text, sizeof text, "%s; that alone: SWEEP_ONLY=%u/%s\n",
                       run.s->name, run.order, id);
    if (ftruncate(STDOUT_FILENO, 0) == 0 || errno == EINVAL)
        wf_os_say(STDOUT_FILENO, text, (size_t)len);
}

/* ---- striking ----------------------------------------------------------- */

/* The scope of sweep_spawn around this fiber, or NULL. */
static struct member *member_around(weft_fiber *f)
{
    for (weft_scope *s = wf_child_of(f)->scope; s; s = s->parent_)
        for (unsigned i = 0; i < run.member_count; i++)
            if (s == &run.members[i].scope) return &run.members[i];
    return NULL;
}

static void strike_scope(weft_scope *s, bool by_deadline)
{
    if (by_deadline)
        weft_scope_set_deadline(s, weft_now());
    else
        weft_scope_cancel(s, 0, "swept");
}

static void strike_fiber(weft_fiber *f)
{
    struct member *m = member_around(f);
    struct weft_attached_ *has = *wf_attached(f, WF_A_TASK);
    if (m && m->scope.owner_ == f) {
        m->struck = true;
        strike_scope(&m->scope, false);
        return;
    }
    if (!has) wf_task_begin(&run.task, f, &(weft_spawn_opts){0});
    weft_task_cancel(has ? (weft_task *)(void *)has : &run.task, 0, "swept");
}

static void strike(weft_fiber *f)
{
    enum mode mode = run.strike.mode;
    run.struck = true;
    run.when = weft_now();
    if (mode == ALONE || mode == TWICE) {
        strike_fiber(f);
        return;
    }
    struct member *m = mode == DEADLINE ? member_around(f) : NULL;
    if (m) m->struck = true;
    /* What is in nobody's scope, such as background work, has only the end of
     * the others to fear. */
    strike_scope(m ? &m->scope : &run.work.scope_, mode != ALL);
}

/* Somebody has come to the next point, perhaps in its clean-up. */
static void strike_again(void)
{
    run.struck_twice = true;
    run.when = weft_now();
    strike_scope(&run.work.scope_, false);
}

static void at_point(weft_fiber *f, bool parked, void *arg)
{
    uint64_t fiber = f->id - run.main_id;
    (void)arg;
    if (fiber == 0 || !run.began) return;
    CHECK(fiber < MAX_FIBERS);
    unsigned point = run.points[parked][fiber]++;
    const struct strike *how = &run.strike;
    if (fiber == how->fiber && parked == how->parked && point == how->point)
        strike(f);
    else if (run.struck && how->mode == TWICE && !run.struck_twice)
        strike_again();
}

/* ---- the work ----------------------------------------------------------- */

bool sweep_short_of_memory(void)
{
    return run.want.use != 0;
}

bool sweep_had(bool had)
{
    CHECK(had || sweep_short_of_memory());
    if (!had) run.failed = true;
    return had;
}

static bool is_fine(int rc)
{
    return rc >= 0 || (rc == -ENOMEM && sweep_short_of_memory());
}

static int run_member(void *arg)
{
    struct member *m = arg;
    run.is_member[weft_fiber_id() - run.main_id] = true;
    int rc = weft_scope_begin_after(&m->scope, WEFT_FOREVER, WEFT_FAIL);
    CHECK_EQ(rc, 0);
    rc = m->fn(m->arg);
    if (rc == -ECANCELED)
        CHECK(weft_cancelled());
    else if (!is_fine(rc))
        test_fail(__FILE__, __LINE__, "fiber %llu returned %d",
                  (unsigned long long)(weft_fiber_id() - run.main_id), rc);
    if (m->struck && !(run.s->options & SWEEP_CLEANUP_SLEEPS))
        CHECK_EQ(weft_now() - run.when, 0);
    rc = weft_scope_end(&m->scope, rc);
    return rc == -ETIMEDOUT && m->struck ? 0 : rc;
}

void sweep_spawn(weft_nursery *n, weft_fn fn, void *arg)
{
    CHECK(run.member_count < MAX_MEMBERS);
    struct member *m = &run.members[run.member_count++];
    *m = (struct member){.fn = fn, .arg = arg};
    weft_scope_init(&m->scope);
    int err = weft_spawn(n, run_member, m);
    if (err != -ENOMEM) CHECK_EQ(err, 0);
    (void)sweep_had(err == 0);
}

/* Whatever comes after this is none of the work. */
static void stop_meddling(void)
{
    wf_points_watch(NULL, NULL);
#ifdef WEFT_HOSTILE
    run.uses = wf_hostile_uses((enum wf_call)run.want.call);
    wf_hostile_fail((enum wf_call)run.want.call, 0, false);
#endif
}

static int work(void *unused)
{
    unsigned options = run.s->options;
    (void)unused;
    run.main_id = weft_fiber_id();
    CHECK_EQ(weft_nursery_open(&run.work, NULL), 0);
    run.last_call = weft_after(LAST_CALL);
    if (options & SWEEP_PEERS_MAY_WAIT)
        weft_scope_set_deadline(&run.work.scope_, run.last_call);
    run.began = true;
    run.s->start(&run.work);
    int rc = weft_nursery_close(&run.work, run.failed ? -ENOMEM : 0);
    CHECK(rc == 0 || (rc < 0 && is_fine(rc)));
    if (run.struck && (run.strike.mode >= ALL || run.struck_twice) &&
        !(options & SWEEP_CLEANUP_SLEEPS) && weft_now() < run.last_call)
        CHECK_EQ(weft_now() - run.when, 0);
    CHECK_EQ(weft_checkpoint(), 0);
    if (options & SWEEP_CHECK_AFTER_RUN) return 0;
    stop_meddling();
    run.s->check();
    return 0;
}

/* ---- one run ------------------------------------------------------------ */

/* Which of the lowest numbers are those of descriptors. */
static void list_descriptors(bool open[FDS])
{
    struct pollfd fds[FDS];
    for (int i = 0; i < FDS; i++)
        fds[i] = (struct pollfd){.fd = i};
    CHECK(poll(fds, FDS, 0) >= 0);
    for (int i = 0; i < FDS; i++)
        open[i] = !(fds[i].revents & POLLNVAL);
}

static void check_nothing_is_left(const struct wf_leaks *before,
                                  const bool open[FDS])
{
    struct wf_leaks after;
    bool open_now[FDS];
    wf_leaks_read(&after);
    list_descriptors(open_now);
    CHECK_EQ(after.deadlocks - before->deadlocks, 0);
    CHECK_EQ(after.fibers - before->fibers, 0);
    CHECK_EQ(after.descriptors - before->descriptors, 0);
    CHECK_EQ(after.timers - before->timers, 0);
    CHECK_EQ(after.bytes - before->bytes, 0);
    for (int i = 0; i < FDS; i++)
        if (open[i] != open_now[i])
            test_fail(__FILE__, __LINE__, "descriptor %d is %s", i,
                      open_now[i] ? "still open" : "not open any more");
}

static void run_once(const struct sweep *s, unsigned order, struct strike how,
                     struct want want)
{
    const weft_run_opts opts = {.virtual_clock = true, .sched_seed = order};
    struct wf_leaks before;
    bool open[FDS];
    memset(&run, 0, sizeof run);
    run.s = s;
    run.order = order;
    run.strike = how;
    run.want = want;
    say_what_comes();
    list_descriptors(open);
    wf_leaks_read(&before);

    wf_points_watch(at_point, NULL);
#ifdef WEFT_HOSTILE
    wf_hostile_restart();
    wf_hostile_fail((enum wf_call)want.call, want.use, want.lasting);
#endif
    int rc = weft_run(work, NULL, &opts);
    if (!run.began || s->options & SWEEP_CHECK_AFTER_RUN) stop_meddling();
    if (rc < 0 && is_fine(rc))
        CHECK(!run.began); /* there was not even a run */
    else
        CHECK_EQ(rc, 0);
    if (run.began && s->options & SWEEP_CHECK_AFTER_RUN) s->check();
    check_nothing_is_left(&before, open);
}

/* ---- all of them -------------------------------------------------------- */

static const struct want enough;

static void must_have_struck(const struct strike *how)
{
    if (!run.struck)
        test_fail(__FILE__, __LINE__, "fiber %u did not come to %s point %u",
                  how->fiber, moments[how->parked], how->point);
}

static void strike_once(const struct sweep *s, unsigned order,
                        struct strike how)
{
    bool alone = how.mode == ALONE || how.mode == TWICE;
    if (alone && s->options & SWEEP_SPARE_CHILDREN && !run.is_member[how.fiber])
        return; /* it was none the last time */
    run_once(s, order, how, enough);
    must_have_struck(&how);
    totals->points++;
}

/* The strikes in an order, a stride apart: all of them, save where that would
 * take all day. */
static void strike_all(const struct sweep *s, unsigned order)
{
    unsigned points[2][MAX_FIBERS], all = 0, at = 0, stride = 1;
    run_once(s, order, (struct strike){.fiber = 0}, enough);
    memcpy(points, run.points, sizeof points);
    for (unsigned f = 0; f < MAX_FIBERS; f++)
        all += MODES * (points[0][f] + points[1][f]);
    CHECK(all > 0);
    if (test_is_slow() && all > SLOW_STRIKES) stride = all / SLOW_STRIKES | 1;

    struct strike how = {.fiber = 1};
    for (; how.fiber < MAX_FIBERS; how.fiber++)
        for (how.parked = 0; how.parked < 2; how.parked++)
            for (how.point = 0; how.point < points[how.parked][how.fiber];
                 how.point++)
                for (how.mode = 0; how.mode < MODES; how.mode++)
                    if (++at % stride == (test_seed() + order) % stride)
                        strike_once(s, order, how);
}

#ifdef WEFT_HOSTILE
/* Until a run gets by with fewer than would have to fail. */
static void starve_all(const struct sweep *s, enum wf_call call, bool lasting)
{
    static const struct strike nobody;
    for (long use = 1;; use++) {
        run_once(s, 0, nobody, (struct want){(unsigned)call, use, lasting});
        if (run.uses < use) return;
        totals->allocations++;
    }
}
#endif

/* As say_what_comes names it. */
static bool read_strike(const char *text, struct strike *ret)
{
    char moment[8], mode[12];
    if (sscanf(text, "%u.%7[a-z].%u.%11[a-z]", &ret->fiber, moment, &ret->point,
               mode) != 4)
        return false;
    ret->parked = strcmp(moment, moments[1]) == 0;
    for (ret->mode = 0; ret->mode < MODES; ret->mode++)
        if (strcmp(mode, modes[ret->mode]) == 0) return true;
    return false;
}

static bool read_want(const char *text, struct want *ret)
{
    char call[8], lasting[12];
    if (sscanf(text, "%7[a-z].%ld.%11[a-z]", call, &ret->use, lasting) != 3)
        return false;
    ret->call = WF_CALL_ALLOC;
    if (strcmp(call, name_of_call(WF_CALL_ALLOC)) != 0)
        ret->call = WF_CALL_MMAP;
    ret->lasting = strcmp(lasting, "lasting") == 0;
    return true;
}

static void run_only(const struct sweep *s, const char *text)
{
    struct strike how = {0};
    struct want want = {0};
    char *id;
    unsigned order = (unsigned)strtoul(text, &id, 10);
    if (*id++ != '/' || (!read_strike(id, &how) && !read_want(id, &want)))
        test_fail(__FILE__, __LINE__, "cannot read SWEEP_ONLY=%s", text);
    run_once(s, order, how, want);
    if (how.fiber) must_have_struck(&how);
}

void sweep(const struct sweep *s)
{
    const char *only = getenv("SWEEP_ONLY"), *many = getenv("SWEEP_ORDERS");
    unsigned orders = many ? (unsigned)atoi(many) : 1;
    totals->scenarios++;
    if (only) {
        run_only(s, only);
        return;
    }
    /* What is done once in a process is done; it would be drawn for. */
    if (getenv("WEFT_HOSTILE"))
        run_once(s, 0, (struct strike){.fiber = 0}, enough);
    for (unsigned order = 0; order < orders; order++)
        strike_all(s, order);
#ifdef WEFT_HOSTILE
    for (int lasting = 0; lasting < 2; lasting++) {
        starve_all(s, WF_CALL_ALLOC, lasting);
        starve_all(s, WF_CALL_MMAP, lasting);
    }
#endif
}
