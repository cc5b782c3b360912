/* SPDX-License-Identifier: MIT */
/*
 * test_gather_model.c - random trees of gathers and races, with deadlines and
 * cancellations, each compared with the rules said plainly.
 *
 * The model knows when each leaf would end and computes from that when and how
 * each call does. It finds the moment of an inner cancellation by trying: what
 * would happen without it says when the first failure (or the winner) comes,
 * and everything is then worked out again with all stopped at that moment.
 * Durations are drawn so that two things hardly ever happen at one moment, of
 * which the model has no idea; if they do, that tree is skipped.
 */
#include <weft/debug.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "harness.h"

enum { MOST_CHILDREN = 4, MOST_NODES = 200 };

enum kind { LEAF, GATHER, COLLECT, RACE_OK, RACE_DONE, BATCH };

static const char *const kind_names[] = {"leaf",    "gather",    "collect",
                                         "race ok", "race done", "batch"};

struct node {
    enum kind kind;
    /* a leaf */
    weft_time after, cleanup;
    int code, late;
    /* a call */
    unsigned limit, count;
    struct node *children[MOST_CHILDREN];
    weft_job *jobs;
    weft_time deadline; /* of a fail-scope around it; WEFT_FOREVER: none */
    bool shielded;      /* by a scope of an hour */
    /* what happened, and what should have */
    struct end {
        bool started;
        weft_time begin, end;
        int rc;
        weft_status status;
        unsigned discards;
    } did, should;
};

static struct node nodes[MOST_NODES];
static weft_job all_jobs[MOST_NODES * MOST_CHILDREN];
static unsigned node_count;

/* ---- drawing a tree ----------------------------------------------------- */

static weft_time random_time(void)
{
    return WEFT_USEC(1 + random_below(50)) + random_below(1000);
}

static struct node *draw_leaf(struct node *n)
{
    n->kind = LEAF;
    n->after = random_below(12) ? random_time() : WEFT_SEC(1000);
    n->code = random_below(3) ? (int)random_below(9)
                              : -(int)(EADDRINUSE + random_below(4));
    if (random_below(3) == 0) n->cleanup = random_time();
    unsigned late = random_below(5u);
    n->late = late == 0 ? (int)(1 + random_below(9)) : late == 1 ? -EIO : 0;
    if (n->late) n->cleanup = random_time();
    return n;
}

static struct node *draw(unsigned depth)
{
    struct node *n = &nodes[node_count++];
    *n = (struct node){.deadline = WEFT_FOREVER};
    if (depth == 0 || node_count > MOST_NODES - 40 || random_below(5) == 0)
        return draw_leaf(n);
    n->kind = (enum kind)(1 + random_below(5));
    n->limit = random_below(2) ? 0 : 1 + random_below(3u);
    if (n->kind == RACE_OK || n->kind == RACE_DONE) n->limit = 0;
    if (n->kind == BATCH) n->limit = 1;
    if (random_below(3) == 0) n->deadline = random_time();
    n->shielded = random_below(12) == 0;
    n->count = 1 + (unsigned)random_below(MOST_CHILDREN);
    n->jobs = &all_jobs[(n - nodes) * MOST_CHILDREN];
    for (unsigned i = 0; i < n->count; i++) {
        n->children[i] = draw(depth - 1);
    }
    return n;
}

/* ---- running it --------------------------------------------------------- */

static weft_time epoch;

static int run_leaf(struct node *n)
{
    int rc = weft_sleep(n->after), shielded = 0;
    if (rc == 0) return n->code;
    CHECK_EQ(rc, -ECANCELED);
    if (n->cleanup)
        WEFT_SHIELD(shielded, WEFT_SEC(100))
            shielded = weft_sleep(n->cleanup);
    CHECK_EQ(shielded, 0);
    return n->late ? n->late : rc;
}

static void discard(void *arg)
{
    struct node *n = arg;
    CHECK(!weft_cancelled());
    n->did.discards++;
}

static int run_node(void *arg);

static int run_call(struct node *n)
{
    const weft_gather_opts o = {
        n->kind == COLLECT ? WEFT_COLLECT : WEFT_FAIL_FAST, n->limit};
    for (unsigned i = 0; i < n->count; i++) {
        memset(&n->jobs[i], 0x5a, sizeof n->jobs[i]);
        n->jobs[i].started = true;
        n->jobs[i].fn = run_node;
        n->jobs[i].arg = n->children[i];
        n->jobs[i].discard = discard;
    }
    int rc = n->kind == RACE_OK ? weft_race(n->jobs, n->count, WEFT_RACE_OK)
             : n->kind == RACE_DONE
                 ? weft_race(n->jobs, n->count, WEFT_RACE_DONE)
             : n->kind == BATCH ? weft_batch(n->jobs, n->count)
                                : weft_gather(n->jobs, n->count, &o);
    for (unsigned i = 0; i < n->count; i++) {
        struct end *e = &n->children[i]->did;
        CHECK_EQ(n->jobs[i].started, e->started);
        e->status = n->jobs[i].status;
        if (e->started) {
            CHECK_EQ(n->jobs[i].rc, e->rc);
            CHECK_EQ(n->jobs[i].took, e->end - e->begin);
        } else {
            e->rc = n->jobs[i].rc;
        }
    }
    return rc;
}

static int run_node(void *arg)
{
    struct node *n = arg;
    int rc = 0;
    CHECK(!n->did.started);
    n->did.started = true;
    n->did.begin = weft_now() - epoch;
    if (n->kind == LEAF) {
        rc = run_leaf(n);
    } else {
        weft_scope s;
        weft_scope_init(&s);
        weft_scope_set_shield(&s, n->shielded);
        CHECK_EQ(weft_scope_begin_after(&s, n->deadline, WEFT_FAIL), 0);
        rc = weft_scope_end(&s, run_call(n));
    }
    n->did.end = weft_now() - epoch;
    n->did.rc = rc;
    return rc;
}

/* ---- working it out ----------------------------------------------------- */

static bool tie; /* two things at one moment */

static weft_time earlier(weft_time a, weft_time b)
{
    return a < b ? a : b;
}

static void work_out(struct node *n, weft_time begin, weft_time stop);

static void not_started(struct node *n)
{
    n->should = (struct end){.status = WEFT_CANCELLED, .rc = -ECANCELED};
}

/* All below it that was worked out in an earlier try did not happen. */
static void forget_below(struct node *n)
{
    for (unsigned i = 0; i < n->count; i++) {
        n->children[i]->should = (struct end){0};
        forget_below(n->children[i]);
    }
}

static void work_out_leaf(struct node *n, weft_time begin, weft_time stop)
{
    struct end *e = &n->should;
    weft_time end = begin + n->after;
    if (end <= stop) { /* it may be what stops the others */
        e->end = end;
        e->rc = n->code;
    } else {
        e->end = (stop < begin ? begin : stop) + n->cleanup;
        e->rc = n->late ? n->late : -ECANCELED;
    }
}

/* The children of n, when nothing inside stops any before `stop`. */
static void work_out_children(struct node *n, weft_time begin, weft_time stop)
{
    weft_time busy[MOST_CHILDREN]; /* until when each place is */
    unsigned places = n->limit && n->limit < n->count ? n->limit : n->count;
    for (unsigned i = 0; i < places; i++) {
        busy[i] = begin;
    }
    for (unsigned i = 0; i < n->count; i++) {
        unsigned at = 0;
        for (unsigned k = 1; k < places; k++) {
            if (busy[k] < busy[at]) at = k;
        }
        weft_time from = busy[at];
        /* Who ends and so makes the place may be the one that stops all. */
        if (i >= places && from >= stop) {
            not_started(n->children[i]);
            forget_below(n->children[i]);
            continue;
        }
        work_out(n->children[i], from, stop);
        busy[at] = n->children[i]->should.end;
    }
}

static bool ends_it(const struct node *n, const struct end *e)
{
    if (!e->started || e->status == WEFT_CANCELLED) return false;
    if (n->kind == GATHER) return e->status == WEFT_FAILED;
    if (n->kind == RACE_OK) return e->status == WEFT_OK;
    return n->kind == RACE_DONE;
}

static int first_failure(const struct node *n)
{
    weft_time first = WEFT_FOREVER;
    int code = 0;
    for (unsigned i = 0; i < n->count; i++) {
        const struct end *e = &n->children[i]->should;
        if (!e->started || e->status != WEFT_FAILED) continue;
        if (e->end == first) tie = true;
        if (e->end < first) code = e->rc;
        first = earlier(first, e->end);
    }
    return code;
}

static void work_out_call(struct node *n, weft_time begin, weft_time stop)
{
    struct end *e = &n->should;
    if (stop <= begin) {
        for (unsigned i = 0; i < n->count; i++) {
            not_started(n->children[i]);
            forget_below(n->children[i]);
        }
        e->end = begin;
        e->rc = -ECANCELED;
        return;
    }
    work_out_children(n, begin, stop);
    weft_time first = WEFT_FOREVER;
    int winner = -1;
    for (unsigned i = 0; i < n->count; i++) {
        const struct end *c = &n->children[i]->should;
        if (!ends_it(n, c)) continue;
        if (c->end == first) tie = true;
        if (c->end < first) winner = (int)i;
        first = earlier(first, c->end);
    }
    if (first < stop) work_out_children(n, begin, first);

    e->end = begin;
    int failed = 0;
    bool stopped = false;
    for (unsigned i = 0; i < n->count; i++) {
        const struct end *c = &n->children[i]->should;
        if (c->started && c->end > e->end) e->end = c->end;
        failed += c->status == WEFT_FAILED;
        stopped |= c->status == WEFT_CANCELLED;
    }
    if (n->kind == RACE_OK || n->kind == RACE_DONE) {
        e->rc = winner >= 0        ? winner
                : first_failure(n) ? first_failure(n)
                                   : -ECANCELED;
    } else if (n->kind == GATHER && winner >= 0) {
        e->rc = n->children[winner]->should.rc;
    } else {
        e->rc = stopped ? -ECANCELED : n->kind == BATCH ? failed : 0;
    }
    bool race = n->kind == RACE_OK || n->kind == RACE_DONE;
    for (unsigned i = 0; i < n->count; i++) {
        struct end *c = &n->children[i]->should;
        bool vain = race ? (int)i != winner : e->rc < 0;
        c->discards = c->status == WEFT_OK && c->started && vain;
    }
}

static void work_out(struct node *n, weft_time begin, weft_time stop)
{
    struct end *e = &n->should;
    *e = (struct end){.started = true, .begin = begin};
    if (n->kind == LEAF) {
        work_out_leaf(n, begin, stop);
    } else {
        weft_time deadline =
            n->deadline == WEFT_FOREVER ? WEFT_FOREVER : begin + n->deadline;
        weft_time seen = n->shielded ? WEFT_FOREVER : stop;
        work_out_call(n, begin, earlier(seen, deadline));
        if (e->rc == -ECANCELED && deadline <= e->end && seen >= e->end)
            e->rc = -ETIMEDOUT;
    }
    e->status = e->rc >= 0                              ? WEFT_OK
                : e->rc == -ECANCELED && stop <= e->end ? WEFT_CANCELLED
                                                        : WEFT_FAILED;
}

/* ---- ties: what the model has no idea of ---------------------------------- */

static weft_time moments[2 * MOST_NODES];
static unsigned moment_count;

static void note_moments(const struct node *n)
{
    const struct end *e = &n->should;
    if (!e->started) return;
    if (n->kind != LEAF && n->deadline != WEFT_FOREVER)
        moments[moment_count++] = e->begin + n->deadline;
    if (n->kind == LEAF && (e->end == e->begin + n->after || n->cleanup > 0))
        moments[moment_count++] = e->end;
    for (unsigned i = 0; i < n->count; i++) {
        note_moments(n->children[i]);
    }
}

static bool has_a_tie(const struct node *root, weft_time strike)
{
    moment_count = 0;
    moments[moment_count++] = strike;
    note_moments(root);
    for (unsigned i = 0; i < moment_count; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (moments[i] == moments[k]) return true;
        }
    }
    return false;
}

/* ---- comparing ---------------------------------------------------------- */

static void print_tree(const struct node *n, int depth)
{
    const struct end *d = &n->did, *s = &n->should;
    (void)printf("%*s%s", 2 * depth, "", kind_names[n->kind]);
    if (n->kind == LEAF)
        (void)printf(" after %lld: %d, stopped: +%lld %d", (long long)n->after,
                     n->code, (long long)n->cleanup, n->late);
    else
        (void)printf(" limit %u deadline %lld%s", n->limit,
                     n->deadline == WEFT_FOREVER ? -1 : (long long)n->deadline,
                     n->shielded ? " shielded" : "");
    (void)printf(" | did %d %lld-%lld %d/%d !%u | should %d %lld-%lld %d/%d "
                 "!%u\n",
                 d->started, (long long)d->begin, (long long)d->end, d->rc,
                 d->status, d->discards, s->started, (long long)s->begin,
                 (long long)s->end, s->rc, s->status, s->discards);
    for (unsigned i = 0; i < n->count; i++) {
        print_tree(n->children[i], depth + 1);
    }
}

static bool same(const struct node *n)
{
    const struct end *d = &n->did, *s = &n->should;
    if (d->started != s->started || d->discards != s->discards) return false;
    if (d->started && (d->begin != s->begin || d->end != s->end)) return false;
    if (d->rc != s->rc || d->status != s->status) return false;
    for (unsigned i = 0; i < n->count && s->started; i++) {
        if (!same(n->children[i])) return false;
    }
    return true;
}

struct strike {
    weft_scope *scope;
    weft_time at;
};

static int cancels_later(void *arg)
{
    struct strike *k = arg;
    int err = weft_sleep(k->at);
    if (err == 0) weft_scope_cancel(k->scope, -EINTR, "the model says so");
    return 0;
}

/* Returns whether the model had an opinion. */
static bool try_one(unsigned depth)
{
    struct strike strike;
    weft_nursery n;
    weft_scope s;
    node_count = 0;
    struct node *root = draw(depth);
    strike.at = random_below(3) ? WEFT_SEC(500) : random_time() + random_time();
    strike.scope = &s;
    tie = false;
    work_out(root, 0, strike.at);
    if (tie || has_a_tie(root, strike.at)) return false;

    epoch = weft_now();
    weft_scope_init(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, cancels_later, &strike), 0);
    CHECK_EQ(weft_scope_begin(&s), 0);
    int rc = run_node(root);
    root->did.status = root->should.status;
    int mapped = weft_scope_end(&s, rc);
    CHECK_EQ(mapped,
             rc == -ECANCELED && weft_scope_cancel_called(&s) ? -EINTR : rc);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    if (same(root)) return true;
    (void)printf("struck at %lld\n", (long long)strike.at);
    print_tree(root, 0);
    test_fail(__FILE__, __LINE__, "the tree did what it should not");
}

TEST(random_trees_of_calls_end_when_and_how_the_rules_say)
{
    unsigned trees = test_is_slow() ? 1000 : 20000, compared = 0;
    weft_stats stats;
    random_begin(test_seed());
    for (unsigned i = 0; i < trees; i++) {
        compared += try_one(1 + i % 4);
    }
    CHECK(compared > trees / 2);
    weft_stats_read(&stats);
    CHECK_EQ(stats.fibers, 1);
}
