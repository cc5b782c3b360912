/* SPDX-License-Identifier: MIT */
/*
 * stress.h - random programs over all objects, against a plain model of each.
 *
 * A dozen fibers, the actors, do one thing at a time. What an actor does is
 * drawn when it runs, told to the model, and done, with nothing in between; so
 * the model always knows who waits for what, and what each call has to return,
 * in whichever order fibers run. An actor compares what it got with what the
 * model says. Whenever all is quiet the driver compares who still waits, and
 * all that can be seen of the objects.
 *
 * For each kind of object there is a file that says how it behaves: in obvious
 * code, with lines of waiters that are arrays. It says what happens to a waiter
 * by grants(), which is final. Time and cancellation are the same for all, and
 * in actors.c: kinds are told of a waiter that is cancelled by `leave`.
 *
 * A program is made from one number and takes some thousand steps, in a run of
 * its own with objects of its own. Many of them make a stress.
 */
#ifndef STRESS_H
#define STRESS_H

#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

enum { ACTORS = 12 };

/* ---- chance ------------------------------------------------------------- */

void chance_begin(uint64_t seed);
int below(int n);
bool one_in(int n);

/* ---- words -------------------------------------------------------------- */

struct actor;

/* One more step, and what it is; NULL: by the driver. */
void step(const struct actor *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
uint64_t steps(void);

/* Library and model differ: says where and how to see it again, and exits. */
_Noreturn void differs(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

void same(const char *what, int number, long long got, long long want);

/* ---- lines of waiters --------------------------------------------------- */

/* Plain: in a call of that object alone; else the case of a select. */
enum { PLAIN = -1, IN_LINE = 64 };

struct place {
    int who, at;
    int n; /* what it wants: permits, to write, ... */
};

struct line {
    struct place list[IN_LINE];
    int length;
};

void line_append(struct line *l, struct place p);
struct place line_first(struct line *l); /* takes it out */

/* Takes out all places of one; true: he was the first. */
bool line_leave(struct line *l, int who);

/* ---- actors ------------------------------------------------------------- */

/* For `expected`; no call returns these. */
enum { WAITS = 1 << 30, GOES_ON };

struct kind;

/* One of the two scopes of an actor, and its model. */
struct level {
    weft_scope scope;
    bool open, cancelled, shielded, fails;
    int code;
    weft_time deadline;
};

struct actor {
    int number;
    weft_task task;
    weft_fiber *fiber;
    bool alive, idle; /* idle: between two bursts */
    bool killed;      /* cancelled as a task */
    bool dies;
    bool lets_go; /* of all that it has, when it ends */
    int rc;       /* what it ends with */
    struct level outer, inner;

    /* The model: what its call returns; WAITS; GOES_ON: not decided yet. */
    int expected;
    const struct kind *waits_for;
    int object;
    bool cancellable;
    weft_time until; /* waits for this moment too */
};

extern struct actor actors[ACTORS];

struct actor *self(void);
struct actor *any_actor(void);

/* Sees a cancelled scope. */
bool is_cancelled(const struct actor *a);

/* Is a cancel point; if true it fails, and that is expected. */
bool is_refused(struct actor *a);

/* The model: a waits from now on; nc: whatever is cancelled. */
void waits(struct actor *a, const struct kind *k, int object);
void waits_nc(struct actor *a, const struct kind *k, int object);

/* The model: what a waits for, or has called, returns this. */
void grants(struct actor *a, int result);

/* For a place in a line: of a select, if it is that. */
void happens(struct place p, int result);

/* For all in a line, which is empty then. */
void happens_to_all(struct line *l, int result);

/* The call of a has returned. */
int returned(struct actor *a, int result);

/* Something that takes time, or not: 0, or -ECANCELED. */
int work(struct actor *a);

/* Nothing more is done before all is quiet. */
void be_quiet_first(void);
bool is_quiet_first(void);

/* Calls that debug builds complain of. */
bool may_err(void);

weft_nursery *stage(void);

/* A place to wait that is not one of weft's. */
int gate_wait(void);
void gate_open(weft_fiber *f, int result);

/* Has all happen in the model that has happened by itself. */
void let_model_catch_up(void);

/* The moment up to which the model has come. */
weft_time model_now(void);

/* ---- kinds -------------------------------------------------------------- */

struct kind {
    const char *name;
    void (*open)(void);
    /* a does something that may wait. */
    void (*act)(struct actor *a);
    /* What needs no waiting and no owner; by the driver too, then a is NULL. */
    void (*poke)(struct actor *a);
    /* The model: a, who waits, is cancelled. False: it waits on. */
    bool (*leave)(struct actor *a);
    /* The model: the moment that it waits for has come. */
    void (*due)(struct actor *a);
    /* a gives back what it holds; all: also what may be left behind. */
    void (*let_go)(struct actor *a, bool all);
    /* The model: its function returns now. */
    void (*ended)(struct actor *a);
    /* The model: the next moment at which something happens by itself. */
    weft_time (*next)(void);
    void (*comes)(void);
    void (*compare)(void);
    void (*quiet)(void); /* between two steps, by the driver */
    void (*close)(void);
};

extern const struct kind mutexes, conditions, events, semaphores, limiters,
    rwlocks, barriers, onces, caches, channels, selects, workqueues, tickers,
    ratelimits, tasks, sleeps, scopes;
extern const struct kind *const kinds[];

/* ---- what kinds know of each other -------------------------------------- */

/* mutexes, for conditions */
bool mutex_is_held(int m, const struct actor *a);
int mutexes_of(const struct actor *a); /* how many it holds */
int mutex_of(const struct actor *a);   /* one that it holds, or -1 */
void mutex_try(struct actor *a);       /* some mutex */
struct weft_mutex *mutex_object(int m);
void mutex_passes_on(int m);
void mutex_takes_again(int m, struct actor *a, int result);

/* and for jobs */
void mutex_taken_by_job(int job);
void mutex_left_by_job(int job); /* which ends now */

/* what selects wait for */
enum { MANY_CHANNELS = 3, MANY_EVENTS = 2 };
struct item {
    uint64_t id, twin; /* the twin is sent only where items are larger */
};
struct weft_chan *channel_handle(int k);
bool channel_can(int k, bool sends);
struct line *channel_line(int k, bool sends);
int channel_sends(int k, struct item item);     /* 0 or -EPIPE */
int channel_receives(int k, struct item *item); /* 1, 0 or -EPIPE */
struct item channel_new_item(int k);
void channel_offers(int who, int at, struct item item); /* who is in line */
void channel_expect(struct actor *a, int k, const struct item *got);
struct weft_event *event_object(int k);
bool event_is_set(int k);
struct line *event_line(int k);
bool task_has_ended(int who);
struct line *task_line(int who);
void select_happens(struct actor *a, int at, int result);

/* ---- the whole ---------------------------------------------------------- */

struct stress {
    uint64_t seed;
    uint64_t first, count; /* steps */
};

/* How many have waited for something of a kind, in the order of `kinds`; got
 * it; and were cancelled meanwhile. So that one sees that it is not in vain. */
enum { MOST_KINDS = 24 };
extern struct tally {
    uint64_t waits, grants, cancels;
} tallies[MOST_KINDS];

/* Differences end the process. */
void stress_run(const struct stress *s);

/* The same for so many wakes and sends of other threads; says how fast. */
void stress_threads(uint64_t seed, uint64_t wakes);

#endif
