/* SPDX-License-Identifier: MIT */
/*
 * test_serve_workers.c - one server on several workers: who serves what, its
 * limit, its stop, and what may go wrong on one of them.
 */
#include <weft/error.h>
#include <weft/run.h>
#include <weft/serve.h>
#include <weft/workers.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

#include "backlog.h"
#include "harness.h"
#include "process.h"
#include "runtime/os.h"
#include "sockets.h"
#include "system.h"
#include "threads.h"

enum { MANY = 64, MOST_WORKERS = 3 };

/* How the connections come. */
enum way { BY_ONE, BY_ALL, BY_UNIX };

/* A server, and what its handlers count; they run on several threads. */
struct party {
    enum way way;
    unsigned workers; /* of the run; 0: two */
    int (*body)(struct party *p, weft_nursery *n);
    weft_serve_opts opts;
    weft_serve_stats stats;
    weft_fd listener;
    char address[WEFT_ADDR_TEXT];
    int result;
    unsigned now[MOST_WORKERS + 1]; /* by worker */
    unsigned here, most, all, computing, drained, cancelled, ended;
    int go; /* a word that blocked handlers wait for */
};

static unsigned load(const unsigned *n)
{
    return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

static unsigned add(unsigned *n, int by)
{
    return __atomic_add_fetch(n, (unsigned)by, __ATOMIC_SEQ_CST);
}

#define UNTIL(is_so)                                                           \
    for (int tries_ = 0; !(is_so); tries_++) {                                 \
        CHECK(tries_ < 200000);                                                \
        CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);                               \
    }

/* ---- the handler -------------------------------------------------------- */

/* Without giving way, as a long computation does. */
static void compute_until(const int *word)
{
    wait_for_word(word);
}

static int answer(weft_conn *c, char question)
{
    struct party *p = c->arg;
    switch (question) {
    case 'w':
        return '0' + (int)weft_worker();
    case 'b':
        add(&p->computing, 1);
        compute_until(&p->go);
        return 'b';
    case 'f':
        return weft_fail(-EPROTO, "a bad question");
    case 'r':
        return weft_fail(-ECONNRESET, "he has gone");
    case 'z':
        if (weft_sleep(WEFT_FOREVER) == -ECANCELED) add(&p->cancelled, 1);
        return -ECANCELED;
    default:
        return weft_conn_draining(c) ? 'c' : 'k';
    }
}

/* One octet for one octet; after a 'c' it has nothing more to say. */
static int converse(weft_conn *c)
{
    char octet;
    ssize_t n;
    while ((n = weft_read(c->fd, &octet, 1)) > 0) {
        int a = answer(c, octet);
        if (a < 0) return a;
        octet = (char)a;
        int err = weft_write_all(c->fd, &octet, 1, NULL);
        if (err < 0 || a == 'c') return err;
    }
    if (n == 0) add(&((struct party *)c->arg)->ended, 1);
    return (int)n;
}

static int handle(weft_conn *c)
{
    struct party *p = c->arg;
    unsigned worker = weft_worker();
    add(&p->all, 1);
    add(&p->now[worker], 1);
    unsigned here = add(&p->here, 1), most = load(&p->most);
    while (here > most &&
           !__atomic_compare_exchange_n(&p->most, &most, here, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
    int rc = converse(c);
    CHECK_EQ(weft_worker(), worker);
    add(&p->drained, weft_conn_draining(c));
    add(&p->here, -1);
    add(&p->now[worker], -1);
    return rc;
}

/* ---- the server --------------------------------------------------------- */

static int serve(void *arg)
{
    struct party *p = arg;
    p->result = weft_serve(p->listener, handle, p, &p->opts);
    return p->result;
}

static void listen_in_its_way(struct party *p)
{
    const weft_listen_opts o = {.reuse_port = p->way == BY_ALL};
    char local[64];
    weft_addr at;
    (void)snprintf(local, sizeof local, SYSTEM_LOCAL "weft-test-%ld",
                   (long)getpid());
    const char *where = p->way == BY_UNIX ? local : "127.0.0.1:0";
    CHECK_EQ(weft_listen(&p->listener, where, &o), 0);
    CHECK_EQ(weft_local_addr(p->listener, &at), 0);
    (void)weft_addr_format(&at, p->address, sizeof p->address);
}

/* Runs the body beside the server, which is then stopped. */
static int party(void *arg)
{
    struct party *p = arg;
    int rc;
    if (!p->listener.generation) listen_in_its_way(p);
    p->opts.stats = &p->stats;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, serve, p), 0);
        rc = p->body(p, &n);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(p->result, -ECANCELED);
    CHECK_EQ(load(&p->here), 0);
    CHECK_EQ(p->stats.active, 0);
    CHECK_EQ(p->stats.accepted, p->stats.done + p->stats.lost +
                                    p->stats.failed + p->stats.cancelled +
                                    p->stats.dropped);
    CHECK_EQ(p->stats.accepted - p->stats.dropped, load(&p->all));
    return 0;
}

static void hold(struct party *p)
{
    const weft_run_opts o = {.workers = p->workers ? (int)p->workers : 2};
    CHECK_EQ(weft_run(party, p, &o), 0);
}

/* ---- its guests --------------------------------------------------------- */

static weft_fd dial(const struct party *p)
{
    weft_fd conn;
    CHECK_EQ(weft_dial(&conn, p->address), 0);
    return conn;
}

static void say(weft_fd conn, char octet)
{
    CHECK_EQ(weft_write(conn, &octet, 1), 1);
}

static char hear(weft_fd conn)
{
    char octet;
    CHECK_EQ(weft_read(conn, &octet, 1), 1);
    return octet;
}

/* What has come already, if anything has. */
static bool has_heard(weft_fd conn, char *ret_octet)
{
    return recv(weft_fd_number(conn), ret_octet, 1, MSG_DONTWAIT) == 1;
}

static char ask(weft_fd conn, char octet)
{
    say(conn, octet);
    return hear(conn);
}

static void hear_the_end(weft_fd conn)
{
    char octet;
    CHECK_EQ(weft_read(conn, &octet, 1), 0);
    CHECK_EQ(weft_close(conn), 0);
}

static void dial_all(const struct party *p, weft_fd *conns, int count)
{
    for (int i = 0; i < count; i++)
        conns[i] = dial(p);
    for (int i = 0; i < count; i++)
        CHECK_EQ(ask(conns[i], '?'), 'k');
}

static void leave_all(struct party *p, weft_fd *conns, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_close(conns[i]), 0);
    UNTIL(load(&p->here) == 0);
}

/* One whose handler is on that worker. */
static weft_fd dial_worker(struct party *p, char worker)
{
    weft_fd conns[MANY];
    for (int i = 0; i < MANY; i++) {
        conns[i] = dial(p);
        if (ask(conns[i], 'w') != worker) continue;
        for (int k = 0; k < i; k++)
            CHECK_EQ(weft_close(conns[k]), 0);
        UNTIL(load(&p->here) == 1);
        return conns[i];
    }
    bool found = false;
    CHECK(found);
    return (weft_fd){0, 0};
}

/* ---- balance ------------------------------------------------------------ */

static int is_balanced(struct party *p, weft_nursery *n)
{
    weft_fd conns[MANY];
    (void)n;
    for (int round = 0; round < 3; round++) { /* in the first not all listen */
        unsigned least = MANY, most = 0;
        dial_all(p, conns, MANY);
        for (unsigned i = 1; i <= weft_workers(); i++) {
            unsigned now = load(&p->now[i]);
            if (now < least) least = now;
            if (now > most) most = now;
        }
        CHECK(least > 0);
        CHECK(2 * most <= 3 * least);
        leave_all(p, conns, MANY);
    }
    return 0;
}

TEST_PLAIN(who_accepts_for_all_gives_each_worker_its_part)
{
    hold(&(struct party){.way = BY_ONE, .body = is_balanced});
}

TEST_PLAIN(listeners_on_one_port_give_each_worker_its_part)
{
    hold(&(struct party){.way = BY_ALL, .body = is_balanced});
}

TEST_PLAIN(a_unix_listener_gives_each_worker_its_part)
{
    hold(&(struct party){.way = BY_UNIX, .body = is_balanced});
}

TEST_PLAIN(three_workers_get_a_part_each)
{
    hold(&(struct party){.way = BY_ONE, .workers = 3, .body = is_balanced});
    hold(&(struct party){.way = BY_ALL, .workers = 3, .body = is_balanced});
}

/* Those of one worker go; whoever accepts the next ones, they are for it. */
static int fills_up_again(struct party *p, weft_nursery *n)
{
    enum { NEXT = 16 };
    weft_fd conns[MANY], next[NEXT];
    (void)n;
    dial_all(p, conns, MANY);
    for (int i = 0; i < MANY; i++)
        if (ask(conns[i], 'w') == '2') CHECK_EQ(weft_close(conns[i]), 0);
    UNTIL(load(&p->now[2]) == 0);
    for (int i = 0; i < NEXT; i++)
        next[i] = dial(p);
    for (int i = 0; i < NEXT; i++)
        CHECK_EQ(ask(next[i], 'w'), '2');
    for (int i = 0; i < MANY; i++)
        if (weft_fd_number(conns[i]) >= 0) CHECK_EQ(weft_close(conns[i]), 0);
    leave_all(p, next, NEXT);
    return 0;
}

TEST_PLAIN(a_worker_that_has_clearly_fewer_gets_the_next_ones)
{
    for (enum way way = BY_ONE; way <= BY_UNIX; way++)
        hold(&(struct party){.way = way, .body = fills_up_again});
}

/* A socket that listens already, such as one that was inherited. */
static int serve_inherited(void *arg)
{
    struct party *p = arg;
    listen_in_its_way(p);
    int number = weft_fd_release(p->listener);
    CHECK_EQ(weft_fd_adopt(number, &p->listener), 0);
    return party(p);
}

TEST_PLAIN(a_listener_that_was_inherited_serves_on_all_workers)
{
    const weft_run_opts o = {.workers = 2};
    for (enum way way = BY_ONE; way <= BY_UNIX; way++) {
        struct party p = {.way = way, .body = is_balanced};
        CHECK_EQ(weft_run(serve_inherited, &p, &o), 0);
    }
}

static int serve_on_the_last(void *arg)
{
    const weft_spawn_opts last = {.worker = (int)weft_workers()};
    int rc;
    WEFT_NURSERY(n, rc)
        CHECK_EQ(weft_spawn_ex(&n, party, arg, &last), 0);
    return rc;
}

TEST_PLAIN(a_server_may_be_called_on_any_worker)
{
    const weft_run_opts o = {.workers = 3};
    for (enum way way = BY_ONE; way <= BY_UNIX; way++) {
        struct party p = {.way = way, .body = is_balanced};
        CHECK_EQ(weft_run(serve_on_the_last, &p, &o), 0);
    }
}

static int counts_workers(struct party *p, weft_nursery *n)
{
    weft_fd conns[MANY];
    unsigned serving = 0;
    (void)n;
    dial_all(p, conns, MANY);
    for (unsigned i = 1; i <= weft_workers(); i++)
        serving += load(&p->now[i]) > 0;
    CHECK_EQ(serving, p->opts.workers);
    CHECK(load(&p->now[weft_worker()]) > 0);
    leave_all(p, conns, MANY);
    return 0;
}

TEST_PLAIN(no_more_workers_serve_than_were_asked_for)
{
    for (unsigned k = 1; k <= 2; k++)
        for (enum way way = BY_ONE; way <= BY_UNIX; way++)
            hold(&(struct party){.way = way,
                                 .workers = 3,
                                 .opts = {.workers = k},
                                 .body = counts_workers});
}

/* ---- max_conns ---------------------------------------------------------- */

/* Who has been answered goes: true, and there is room for one more. */
static bool one_leaves(weft_fd *conns, int count)
{
    char octet;
    for (int i = 0; i < count; i++) {
        if (weft_fd_number(conns[i]) < 0) continue;
        if (!has_heard(conns[i], &octet)) continue;
        CHECK_EQ(weft_close(conns[i]), 0);
        return true;
    }
    return false;
}

static int fills_it(struct party *p, weft_nursery *n)
{
    enum { GUESTS = 24 };
    weft_fd conns[GUESTS];
    unsigned limit = p->opts.max_conns;
    (void)n;
    for (int i = 0; i < GUESTS; i++) {
        conns[i] = dial(p);
        say(conns[i], '?');
    }
    for (unsigned gone = 0; gone < GUESTS; gone++) {
        unsigned want = limit + gone < GUESTS ? limit + gone : GUESTS;
        UNTIL(load(&p->all) == want);
        CHECK(load(&p->most) <= limit);
        UNTIL(one_leaves(conns, GUESTS));
    }
    UNTIL(load(&p->here) == 0);
    CHECK_EQ(load(&p->most), limit);
    return 0;
}

TEST_PLAIN(max_conns_is_for_all_workers_together_and_each_place_is_used)
{
    for (unsigned limit = 1; limit <= 7; limit += 2)
        for (enum way way = BY_ONE; way <= BY_UNIX; way++)
            hold(&(struct party){
                .way = way, .opts = {.max_conns = limit}, .body = fills_it});
}

static int visit(void *arg)
{
    struct party *p = arg;
    for (int i = 0; i < 20; i++) {
        weft_fd conn = dial(p);
        CHECK_EQ(ask(conn, '?'), 'k');
        CHECK_EQ(weft_close(conn), 0);
    }
    return 0;
}

static int comes_and_goes(struct party *p, weft_nursery *n)
{
    int rc;
    (void)n;
    WEFT_NURSERY(m, rc) {
        for (int i = 0; i < 20; i++) {
            const weft_spawn_opts o = {.worker = i % 3 + 1};
            CHECK_EQ(weft_spawn_ex(&m, visit, p, &o), 0);
        }
    }
    CHECK_EQ(load(&p->all), 400);
    CHECK(load(&p->most) <= p->opts.max_conns);
    UNTIL(load(&p->here) == 0);
    return rc;
}

TEST_PLAIN(max_conns_holds_while_connections_come_and_go_on_all_workers)
{
    for (enum way way = BY_ONE; way <= BY_ALL; way++)
        hold(&(struct party){.way = way,
                             .workers = 3,
                             .opts = {.max_conns = 3},
                             .body = comes_and_goes});
}

static int is_full(struct party *p, weft_nursery *n)
{
    weft_fd conns[6];
    (void)n;
    for (int i = 0; i < 6; i++)
        conns[i] = dial(p);
    UNTIL(load(&p->all) == 2);
    settle();
    weft_nursery_cancel(n, 0, NULL);
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(20)) {
        UNTIL(load(&p->here) == 0);
        for (int i = 0; i < 6; i++)
            CHECK_EQ(weft_close(conns[i]), 0);
    }
    CHECK_EQ(rc, 0);
    return 0;
}

TEST_PLAIN(a_full_server_is_stopped_on_all_workers)
{
    for (enum way way = BY_ONE; way <= BY_UNIX; way++)
        hold(&(struct party){.way = way,
                             .opts = {.max_conns = 2, .linger = WEFT_MSEC(2)},
                             .body = is_full});
}

/* ---- a worker that computes --------------------------------------------- */

static int computes(struct party *p, weft_nursery *n)
{
    enum { LATE = 16 };
    weft_fd late[LATE], busy = dial_worker(p, '2'), free_one = {0, 0};
    int served = 0;
    (void)n;
    say(busy, 'b');
    UNTIL(load(&p->computing) == 1);
    for (int i = 0; i < LATE; i++) {
        late[i] = dial(p);
        say(late[i], 'w');
    }
    /* Half of them are for the other worker, which goes on. */
    UNTIL(load(&p->now[1]) > 0);
    settle();
    for (int i = 0; i < LATE; i++) {
        char octet;
        if (!has_heard(late[i], &octet)) continue;
        CHECK_EQ(octet, '1');
        free_one = late[i];
        served++;
    }
    CHECK(served > 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(ask(free_one, '?'), 'k');
    say_word(&p->go);
    CHECK_EQ(hear(busy), 'b');
    for (int i = 0; i < LATE; i++)
        CHECK_EQ(ask(late[i], '?') > 0, true);
    CHECK_EQ(weft_close(busy), 0);
    leave_all(p, late, LATE);
    return 0;
}

TEST_PLAIN(while_a_worker_computes_the_others_serve)
{
    hold(&(struct party){.way = BY_ONE, .body = computes});
    hold(&(struct party){.way = BY_ALL, .body = computes});
}

/* A worker computes as the stop comes. Later it finds that, and those who wait
 * at its listener or were on their way to it. */
static int is_stopped_while_computing(struct party *p, weft_nursery *n)
{
    weft_fd late[MANY], busy = dial_worker(p, '2');
    say(busy, 'b');
    UNTIL(load(&p->computing) == 1);
    for (int i = 0; i < MANY; i++) {
        late[i] = dial(p);
        say(late[i], '?');
    }
    settle();
    weft_nursery_cancel(n, 0, NULL);
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(20)) {
        settle();
        say_word(&p->go);
        CHECK_EQ(hear(busy), 'b');
        for (int i = 0; i < MANY; i++) {
            char a = hear(late[i]);
            CHECK(a == 'k' || a == 'c');
            CHECK_EQ(weft_close(late[i]), 0);
        }
        CHECK_EQ(weft_close(busy), 0);
    }
    CHECK_EQ(rc, 0);
    return 0;
}

TEST_PLAIN(a_stop_while_a_worker_computes_loses_nobody_at_its_door)
{
    for (enum way way = BY_ONE; way <= BY_UNIX; way++)
        hold(&(struct party){.way = way, .body = is_stopped_while_computing});
}

/* ---- stopping ----------------------------------------------------------- */

struct guest {
    struct party *p;
    unsigned answered;
    bool last;
};

/* Asks on and on, and is answered each time; the last time he is told so. */
static int ask_on(void *arg)
{
    struct guest *g = arg;
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(30)) {
        weft_fd conn = dial(g->p);
        while (!g->last) {
            g->last = ask(conn, '?') == 'c';
            g->answered++;
        }
        hear_the_end(conn);
    }
    return rc;
}

static int is_stopped_under_load(struct party *p, weft_nursery *n)
{
    struct guest guests[MANY];
    int rc;
    WEFT_NURSERY(m, rc) {
        for (int i = 0; i < MANY; i++) {
            guests[i] = (struct guest){.p = p};
            CHECK_EQ(weft_spawn(&m, ask_on, &guests[i]), 0);
        }
        UNTIL(load(&p->here) == MANY);
        weft_nursery_cancel(n, 0, NULL);
    }
    for (int i = 0; i < MANY; i++)
        CHECK(guests[i].last);
    CHECK_EQ(load(&p->drained), MANY);
    return 0;
}

TEST_PLAIN(a_stop_under_load_loses_no_request_on_any_worker)
{
    for (enum way way = BY_ONE; way <= BY_UNIX; way++)
        hold(&(struct party){.way = way, .body = is_stopped_under_load});
}

static int is_idle(struct party *p, weft_nursery *n)
{
    weft_fd conns[MANY];
    dial_all(p, conns, MANY);
    weft_nursery_cancel(n, 0, NULL);
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(20))
        for (int i = 0; i < MANY; i++)
            hear_the_end(conns[i]);
    CHECK_EQ(load(&p->ended), MANY);
    CHECK_EQ(load(&p->drained), MANY);
    return rc;
}

TEST_PLAIN(idle_connections_see_the_end_of_their_input_on_all_workers)
{
    for (enum way way = BY_ONE; way <= BY_UNIX; way++)
        hold(&(struct party){
            .way = way,
            .opts = {.linger = WEFT_MSEC(3), .drain = WEFT_SEC(20)},
            .body = is_idle});
}

static int sleeps_on(struct party *p, weft_nursery *n)
{
    weft_fd conns[MANY];
    dial_all(p, conns, MANY);
    for (int i = 0; i < MANY; i++)
        say(conns[i], 'z');
    settle();
    weft_nursery_cancel(n, 0, NULL);
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(20))
        for (int i = 0; i < MANY; i++)
            hear_the_end(conns[i]);
    CHECK_EQ(load(&p->cancelled), MANY);
    return rc;
}

TEST_PLAIN(what_is_left_after_the_drain_is_cancelled_on_all_workers)
{
    for (enum way way = BY_ONE; way <= BY_UNIX; way++)
        hold(&(struct party){
            .way = way,
            .opts = {.linger = WEFT_MSEC(2), .drain = WEFT_MSEC(20)},
            .body = sleeps_on});
}

static int closes_it(void *arg)
{
    struct party *p = arg;
    int rc;
    listen_in_its_way(p);
    WEFT_NURSERY(n, rc) {
        weft_fd conn;
        CHECK_EQ(weft_spawn(&n, serve, p), 0);
        conn = dial(p);
        CHECK_EQ(ask(conn, '?'), 'k');
        CHECK_EQ(weft_close(conn), 0);
        CHECK_EQ(weft_close(p->listener), 0);
    }
    CHECK_EQ(rc, -EBADF);
    return 0;
}

TEST_PLAIN(a_listener_closed_by_somebody_ends_the_server_on_all_workers)
{
    const weft_run_opts o = {.workers = 3};
    for (enum way way = BY_ONE; way <= BY_UNIX; way++) {
        struct party p = {.way = way};
        CHECK_EQ(weft_run(closes_it, &p, &o), 0);
        CHECK_EQ(p.result, -EBADF);
    }
}

/* ---- stopping while connections are handed over ------------------------- */

/* Is answered, or finds the server gone, and in no case left waiting. */
static int try_it(void *arg)
{
    const struct party *p = arg;
    weft_fd conn;
    char octet = '?';
    if (weft_dial(&conn, p->address) < 0) return 0;
    if (weft_write(conn, &octet, 1) == 1) (void)!weft_read(conn, &octet, 1);
    return weft_close(conn);
}

static int is_stopped_at_once(struct party *p, weft_nursery *n)
{
    int rc;
    WEFT_NURSERY(m, rc) {
        for (int i = 0; i < 12; i++) {
            const weft_spawn_opts o = {.worker = i % 3 + 1};
            CHECK_EQ(weft_spawn_ex(&m, try_it, p, &o), 0);
        }
        weft_time late = (weft_time)(p->opts.max_conns % 50) * WEFT_USEC(20);
        rc = weft_sleep(late);
        weft_nursery_cancel(n, 0, NULL);
    }
    CHECK(rc == 0 || rc == -ECANCELED);
    return 0;
}

static int stop_many_times(void *arg)
{
    unsigned times = test_is_slow() ? 150 : 600;
    (void)arg;
    for (unsigned i = 0; i < times; i++) {
        struct party p = {.way = i % 2 ? BY_ONE : BY_ALL,
                          .opts = {.linger = WEFT_USEC(1 + 97 * (i % 3)),
                                   .max_conns = i % 7 ? 100 + i : 1 + i % 3,
                                   .max_per_peer = i % 4 ? 0 : 5},
                          .body = is_stopped_at_once};
        CHECK_EQ(party(&p), 0);
    }
    return 0;
}

TEST_PLAIN(a_stop_while_connections_are_handed_over_leaves_nothing_behind)
{
    const weft_run_opts o = {.workers = 3};
    CHECK_EQ(weft_run(stop_many_times, NULL, &o), 0);
}

/* ---- failures ----------------------------------------------------------- */

static unsigned failures;

static void note_failure(const weft_error *e)
{
    CHECK_EQ(e->code, -EPROTO);
    CHECK_STR(e->msg, "a bad question");
    add(&failures, 1);
}

static int fails_often(struct party *p, weft_nursery *n)
{
    weft_fd good[4], bad[MANY];
    (void)n;
    dial_all(p, good, 4);
    for (int i = 0; i < MANY; i++)
        bad[i] = dial(p);
    for (int i = 0; i < MANY; i++)
        say(bad[i], i % 2 ? 'f' : 'r');
    for (int i = 0; i < MANY; i++)
        hear_the_end(bad[i]);
    UNTIL(load(&failures) == MANY / 2);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(ask(good[i], '?'), 'k');
    leave_all(p, good, 4);
    return 0;
}

TEST_PLAIN(handlers_that_fail_reach_the_hook_once_from_any_worker)
{
    weft_on_unhandled(note_failure);
    for (enum way way = BY_ONE; way <= BY_UNIX; way++) {
        failures = 0;
        hold(&(struct party){.way = way, .body = fails_often});
        CHECK_EQ(failures, MANY / 2);
    }
    weft_on_unhandled(NULL);
}

/* ---- without descriptors ------------------------------------------------ */

enum { LATE = 6 };

/* Clients of their own, and the last numbers there are. */
struct shortage {
    int raw[LATE], spare[LATE + 1];
};

static void run_short(struct shortage *s, const struct party *p)
{
    struct rlimit limit;
    weft_addr to;
    for (int i = 0; i < LATE; i++)
        s->raw[i] = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < LATE; i++)
        s->spare[i] = dup(0);
    s->spare[LATE] = dup(0); /* the greatest number there is */
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)s->spare[LATE] + 1;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(weft_addr_parse(&to, p->address), 0);
    for (int i = 0; i < LATE; i++)
        CHECK_EQ(connect(s->raw[i], (struct sockaddr *)&to.sa, to.len), 0);
}

static void end_shortage(const struct shortage *s)
{
    CHECK_EQ(close(s->spare[LATE]), 0);
    for (int i = 0; i < LATE; i++)
        CHECK_EQ(close(s->raw[i]), 0);
}

static int runs_out(struct party *p, weft_nursery *n)
{
    struct shortage s;
    weft_fd first = dial(p);
    (void)n;
    CHECK_EQ(ask(first, '?'), 'k');
    run_short(&s, p);
    CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0);
    CHECK_EQ(load(&p->all), 1);
    CHECK_EQ(ask(first, '?'), 'k');
    for (int i = 0; i < LATE; i++) {
        CHECK_EQ(close(s.spare[i]), 0);
        UNTIL(load(&p->all) >= 2 + (unsigned)i);
        CHECK_EQ(load(&p->all), 2 + (unsigned)i);
    }
    weft_serve_stats now;
    weft_serve_stats_read(&p->stats, &now);
    CHECK(now.starved > 0);
    end_shortage(&s);
    return weft_close(first);
}

/* The last descriptors come when nobody accepts any more. */
static int is_stopped_while_short(struct party *p, weft_nursery *n)
{
    struct shortage s;
    weft_fd first = dial(p);
    int rc;
    CHECK_EQ(ask(first, '?'), 'k');
    run_short(&s, p);
    CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0);
    weft_nursery_cancel(n, 0, NULL);
    WEFT_SHIELD(rc, WEFT_SEC(20))
        hear_the_end(first);
    CHECK_EQ(rc, 0);
    for (int i = 0; i < LATE; i++)
        CHECK_EQ(close(s.spare[i]), 0);
    end_shortage(&s);
    return 0;
}

static void run_out(void *arg)
{
    hold(arg);
}

static void run_out_in_each_way(int (*body)(struct party *, weft_nursery *))
{
    if (valgrind_is_watching())
        SKIP("Valgrind makes the call and then closes its descriptor");
    for (unsigned workers = 1; workers <= 2; workers++)
        for (enum way way = BY_ONE; way <= BY_ALL; way++) {
            struct party p = {.way = way,
                              .workers = workers,
                              .body = body,
                              .opts = {.linger = WEFT_MSEC(5)}};
            must_run_in_process(run_out, &p);
        }
}

TEST_PLAIN(without_descriptors_connections_wait_on_all_workers)
{
    run_out_in_each_way(runs_out);
}

TEST_PLAIN(a_server_that_waits_for_a_descriptor_can_be_stopped)
{
    run_out_in_each_way(is_stopped_while_short);
}

/* ---- the listeners of the others ---------------------------------------- */

#if defined(__linux__)
enum { BACKLOG = 7 };

static unsigned count_listeners(void)
{
    unsigned found = 0;
    for (int fd = 0; fd < 256; fd++) {
        struct tcp_info info = {0};
        int listens = 0;
        socklen_t len = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 ||
            !listens)
            continue;
        len = sizeof info;
        CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
        CHECK_EQ(info.tcpi_sacked, BACKLOG);
        found++;
    }
    return found;
}

static int looks_at_listeners(struct party *p, weft_nursery *n)
{
    (void)p, (void)n;
    UNTIL(count_listeners() == weft_workers());
    return 0;
}

static int serve_with_backlog(void *where)
{
    const weft_listen_opts o = {
        .reuse_port = true, .backlog = BACKLOG, .v6_only = where != NULL};
    struct party p = {.body = looks_at_listeners};
    int err = weft_listen(&p.listener, where ? where : "127.0.0.1:0", &o);
    if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT) return 0;
    CHECK_EQ(err, 0);
    return party(&p);
}
#endif

TEST_PLAIN(the_listeners_of_the_other_workers_have_the_backlog_of_the_first)
{
#if defined(__linux__)
    const weft_run_opts o = {.workers = 3};
    if (!backlog_is_told()) SKIP("a listener does not tell its backlog");
    CHECK_EQ(weft_run(serve_with_backlog, NULL, &o), 0);
    CHECK_EQ(weft_run(serve_with_backlog, (char[]){"[::1]:0"}, &o), 0);
#else
    SKIP("there is only one listener");
#endif
}

/* ---- without memory ----------------------------------------------------- */

#ifdef WEFT_HOSTILE

static int lose_memory(void *lost)
{
    bool gone = *(bool *)lost;
    wf_hostile_fail(WF_CALL_ALLOC, 1, gone);
    if (gone) return 0;
    wf_hostile_fail(WF_CALL_ALLOC, LONG_MAX, false);
    return 0;
}

static void set_memory_there(bool lost)
{
    const weft_spawn_opts there = {.worker = 2};
    int rc;
    WEFT_NURSERY(n, rc)
        CHECK_EQ(weft_spawn_ex(&n, lose_memory, &lost, &there), 0);
    CHECK_EQ(rc, 0);
}

/* Each connection is served or closed, and the places come back. */
static int has_no_memory_there(struct party *p, weft_nursery *n)
{
    weft_fd conns[MANY];
    unsigned served = 0;
    (void)n;
    set_memory_there(true);
    for (int i = 0; i < MANY; i++) {
        char octet = '?';
        conns[i] = dial(p);
        if (weft_write(conns[i], &octet, 1) == 1)
            served += weft_read(conns[i], &octet, 1) == 1;
    }
    CHECK(served > 0);
    CHECK(served < MANY);
    leave_all(p, conns, MANY);
    set_memory_there(false);
    dial_all(p, conns, MANY);
    CHECK(load(&p->now[2]) > 0);
    leave_all(p, conns, MANY);
    return 0;
}
#endif

TEST_PLAIN(a_connection_for_a_worker_without_memory_is_closed)
{
#ifdef WEFT_HOSTILE
    hold(&(struct party){.opts = {.max_conns = MANY},
                         .body = has_no_memory_there});
#else
    SKIP("needs BUILD=hostile");
#endif
}
