/* SPDX-License-Identifier: MIT */
/*
 * test_cancel_points.c - what is a cancel point, one by one, and what is none.
 *
 * Each call is made where everything it could want is there, in scopes that
 * are cancelled in several ways, more than once: it has to fail with
 * -ECANCELED each time and to touch nothing. That nothing was touched is seen
 * by making the same call afterwards, where it must succeed.
 */
#include <weft/background.h>
#include <weft/chan.h>
#include <weft/cleanup.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/io.h>
#include <weft/local.h>
#include <weft/mutex.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/serve.h>
#include <weft/socket.h>
#include <weft/stream.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "sockets.h"

enum { BUDGET = 64, TIMES = 20 };

typedef ssize_t (*call_fn)(void *arg);

static void make_it_fail(call_fn call, void *arg)
{
    for (int i = 0; i < TIMES; i++) {
        CHECK_EQ(call(arg), -ECANCELED);
    }
}

static void in_a_cancelled_scope(call_fn call, void *arg)
{
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, -EINTR, NULL);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
}

static void in_an_expired_scope(call_fn call, void *arg)
{
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, -1, WEFT_FAIL), 0);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
}

static void below_a_cancelled_scope(call_fn call, void *arg)
{
    weft_scope outer, inner;
    weft_scope_init(&outer);
    weft_scope_init(&inner);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    CHECK_EQ(weft_scope_begin_after(&inner, WEFT_SEC(1), WEFT_FAIL), 0);
    weft_scope_cancel(&outer, 0, NULL);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

static void in_a_cancelled_nursery(call_fn call, void *arg)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    make_it_fail(call, arg);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* Behind a shield that is taken away again. */
static void in_a_scope_without_its_shield(call_fn call, void *arg)
{
    weft_scope outer, inner;
    weft_scope_init(&outer);
    weft_scope_init(&inner);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    CHECK_EQ(weft_scope_begin(&inner), 0);
    weft_scope_set_shield(&inner, true);
    weft_scope_cancel(&outer, 0, NULL);
    weft_scope_set_shield(&inner, false);
    make_it_fail(call, arg);
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

/* call(arg) is a cancel point, and otherwise returns `want`. */
static void is_a_cancel_point(call_fn call, void *arg, ssize_t want)
{
    in_a_cancelled_scope(call, arg);
    in_an_expired_scope(call, arg);
    below_a_cancelled_scope(call, arg);
    in_a_cancelled_nursery(call, arg);
    in_a_scope_without_its_shield(call, arg);
    CHECK_EQ(call(arg), want);
}

static unsigned ran;

static int counts(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

static void settle_here(void)
{
    CHECK_EQ(weft_sleep(1), 0);
}

/* ---- CP-01: time -------------------------------------------------------- */

static ssize_t checkpoints(void *arg)
{
    (void)arg;
    return weft_checkpoint();
}

static ssize_t yields(void *arg)
{
    (void)arg;
    return weft_yield();
}

static ssize_t sleeps(void *arg)
{
    return weft_sleep(*(weft_time *)arg);
}

static ssize_t sleeps_until(void *arg)
{
    return weft_sleep_until(*(weft_time *)arg);
}

TEST(cp_01_checkpoint)
{
    is_a_cancel_point(checkpoints, NULL, 0);
}

TEST(cp_01_yield)
{
    is_a_cancel_point(yields, NULL, 0);
}

TEST(cp_01_sleep)
{
    weft_time spans[] = {0, -1, INT64_MIN, 1, WEFT_MSEC(5)};
    weft_time start = weft_now();
    for (int i = 0; i < 5; i++) {
        is_a_cancel_point(sleeps, &spans[i], 0);
    }
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5) + 1);
}

TEST(cp_01_sleep_until)
{
    weft_time past = weft_now() - 1, now = weft_now(), soon = now + 5;
    is_a_cancel_point(sleeps_until, &past, 0);
    is_a_cancel_point(sleeps_until, &now, 0);
    is_a_cancel_point(sleeps_until, &soon, 0);
    CHECK_EQ(weft_now(), soon);
}

static ssize_t settles(void *arg)
{
    (void)arg;
    return weft_test_settle();
}

TEST(cp_01_test_settle)
{
    is_a_cancel_point(settles, NULL, 0);
}

static int passes_a_checkpoint(void *arg)
{
    ran++;
    int err = weft_checkpoint();
    return err < 0 ? err : *(int *)arg;
}

static ssize_t has_a_timeout(void *arg)
{
    return weft_with_timeout(WEFT_SEC(1), passes_a_checkpoint, arg);
}

static ssize_t moves_on(void *arg)
{
    bool expired = true;
    int rc =
        weft_move_on_after(WEFT_SEC(1), passes_a_checkpoint, arg, &expired);
    CHECK(!expired);
    return rc;
}

TEST(cp_01_with_timeout_and_move_on_after_through_their_bodies)
{
    int seven = 7;
    is_a_cancel_point(has_a_timeout, &seven, 7);
    is_a_cancel_point(moves_on, &seven, 7);
    CHECK_EQ(ran, 2 * (5 * TIMES + 1));
}

static ssize_t is_shielded(void *arg)
{
    return weft_shielded(WEFT_SEC(1), passes_a_checkpoint, arg);
}

TEST(cp_02_what_is_shielded_is_not_cancelled)
{
    weft_scope s;
    int seven = 7;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(is_shielded(&seven), 7);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

/* ---- CP-01: children ---------------------------------------------------- */

static ssize_t spawns_and_waits(void *arg)
{
    return weft_spawn_wait((weft_nursery *)arg, counts, NULL);
}

static int is_ready(void *arg)
{
    ran++;
    return weft_started(arg);
}

static ssize_t starts(void *arg)
{
    void *value = NULL;
    int rc = weft_start((weft_nursery *)arg, is_ready, arg, &value);
    CHECK_PTR(value, rc == 0 ? arg : NULL);
    return rc;
}

TEST(cp_01_spawn_wait)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    is_a_cancel_point(spawns_and_waits, &n, 0);
    CHECK_EQ(weft_nursery_count(&n), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
    is_a_cancel_point(spawns_and_waits, &n, -ESHUTDOWN);
}

TEST(cp_01_start)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    is_a_cancel_point(starts, &n, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
    is_a_cancel_point(starts, &n, -ESHUTDOWN);
}

static int returns(void *arg)
{
    return *(int *)arg;
}

static ssize_t joins(void *arg)
{
    weft_outcome out = {WEFT_CANCELLED, 99, NULL};
    int rc = weft_join(arg, &out);
    CHECK_EQ(out.rc, rc == 0 ? 5 : 99);
    return rc;
}

static ssize_t waits_for_it(void *arg)
{
    weft_task *const tasks[] = {arg};
    return weft_wait(tasks, 1, WEFT_ALL, 0);
}

static ssize_t waits_for_none(void *arg)
{
    (void)arg;
    return weft_wait(NULL, 0, WEFT_ALL, WEFT_FOREVER);
}

static ssize_t takes_the_next(void *arg)
{
    weft_task *task = NULL;
    int rc = weft_next_done(arg, &task);
    CHECK_EQ(task != NULL, rc == 1);
    return rc;
}

TEST(cp_01_join_wait_and_next_done)
{
    weft_nursery n;
    weft_task task;
    weft_doneq q;
    int five = 5;
    weft_spawn_opts opts = {.task = &task, .doneq = &q};
    weft_doneq_init(&q);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, returns, &five, &opts), 0);
    settle_here();
    is_a_cancel_point(joins, &task, 0);
    is_a_cancel_point(waits_for_it, &task, 1);
    is_a_cancel_point(waits_for_none, &task, 0);
    is_a_cancel_point(takes_the_next, &q, 1);
    is_a_cancel_point(takes_the_next, &q, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    is_a_cancel_point(joins, &task, 0);
}

static ssize_t joins_oneself(void *arg)
{
    return weft_join(arg, NULL);
}

static int joins_itself(void *arg)
{
    is_a_cancel_point(joins_oneself, arg, -EDEADLK);
    return 0;
}

TEST(cp_01_a_cancelled_join_of_oneself_is_cancelled)
{
    weft_nursery n;
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, joins_itself, &task, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static unsigned discarded;

static void discards(void *arg)
{
    (void)arg;
    discarded++;
}

struct jobs {
    weft_job job[3];
    weft_gather_opts opts;
    size_t n;
};

static void check_none_was_started(const struct jobs *j, ssize_t rc)
{
    CHECK_EQ(ran, rc == -ECANCELED ? 0 : j->n);
    for (size_t i = 0; i < j->n; i++) {
        if (rc != -ECANCELED) continue;
        CHECK(!j->job[i].started);
        CHECK_EQ(j->job[i].status, WEFT_CANCELLED);
    }
}

static ssize_t gathers(void *arg)
{
    struct jobs *j = arg;
    int rc = weft_gather(j->job, j->n, &j->opts);
    check_none_was_started(j, rc);
    return rc;
}

static ssize_t races(void *arg)
{
    struct jobs *j = arg;
    int rc = weft_race(j->job, j->n, WEFT_RACE_OK);
    if (rc == -ECANCELED) check_none_was_started(j, rc);
    return rc;
}

static ssize_t batches(void *arg)
{
    struct jobs *j = arg;
    int rc = weft_batch(j->job, j->n);
    check_none_was_started(j, rc);
    return rc;
}

static int counts_one(size_t i, void *context)
{
    (void)i;
    (void)context;
    ran++;
    return 0;
}

static ssize_t maps(void *arg)
{
    struct jobs *j = arg;
    int rcs[3] = {5, 5, 5};
    int rc = weft_map(j->n, counts_one, NULL, rcs, &j->opts);
    for (size_t i = 0; i < j->n; i++) {
        CHECK_EQ(rcs[i], rc);
    }
    CHECK_EQ(ran, rc == 0 ? j->n : 0);
    return rc;
}

static struct jobs some_jobs(size_t n, weft_policy policy)
{
    struct jobs j = {.n = n, .opts = {.policy = policy}};
    for (int i = 0; i < 3; i++) {
        j.job[i] = (weft_job){.fn = counts, .discard = discards};
    }
    ran = 0;
    return j;
}

TEST(cp_01_gather_map_batch_and_race)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT};
    for (size_t n = 0; n <= 3; n += 3) {
        struct jobs j;
        for (int i = 0; i < 2; i++) {
            j = some_jobs(n, policies[i]);
            is_a_cancel_point(gathers, &j, 0);
            j = some_jobs(n, policies[i]);
            is_a_cancel_point(maps, &j, 0);
        }
        j = some_jobs(n, WEFT_FAIL_FAST);
        is_a_cancel_point(batches, &j, 0);
    }
    CHECK_EQ(discarded, 0);
    struct jobs j = some_jobs(1, WEFT_FAIL_FAST);
    is_a_cancel_point(races, &j, 0);
    CHECK_EQ(discarded, 0);
}

static ssize_t shuts_the_background_down(void *arg)
{
    (void)arg;
    int rc = weft_background_shutdown(WEFT_MSEC(5), 0);
    if (rc < 0) CHECK_EQ(weft_background(counts, NULL, NULL), 0);
    return rc;
}

TEST(cp_01_background_shutdown)
{
    is_a_cancel_point(shuts_the_background_down, NULL, 0);
    CHECK_EQ(ran, 5 * TIMES);
    CHECK_EQ(weft_background(counts, NULL, NULL), -ESHUTDOWN);
}

static int hands_out_numbers(weft_gen *g, void *arg)
{
    int number = 0;
    (void)arg;
    for (;;) {
        ran++;
        int err = weft_gen_yield(g, &number);
        if (err < 0) return err;
        number++;
    }
}

static ssize_t asks(void *arg)
{
    void *item = NULL;
    int rc = weft_gen_next(arg, &item);
    CHECK_EQ(item != NULL, rc == 1);
    return rc == 1 ? *(int *)item : rc;
}

TEST(cp_01_gen_next)
{
    weft_gen g;
    CHECK_EQ(weft_gen_open(&g, hands_out_numbers, NULL), 0);
    is_a_cancel_point(asks, &g, 0);
    CHECK_EQ(ran, 1);
    is_a_cancel_point(asks, &g, 1);
    CHECK_EQ(ran, 2);
    CHECK_EQ(weft_gen_close(&g), 0);
}

static weft_gen *the_gen;
static char in_vain[1];

static ssize_t hands_out_in_vain(void *arg)
{
    return weft_gen_yield(the_gen, arg);
}

static int tries_to_hand_out(weft_gen *g, void *arg)
{
    the_gen = g;
    in_a_cancelled_scope(hands_out_in_vain, in_vain);
    in_an_expired_scope(hands_out_in_vain, in_vain);
    below_a_cancelled_scope(hands_out_in_vain, in_vain);
    return weft_gen_yield(g, arg);
}

TEST(cp_01_gen_yield)
{
    weft_gen g;
    int item;
    void *got = NULL;
    CHECK_EQ(weft_gen_open(&g, tries_to_hand_out, &item), 0);
    CHECK_EQ(weft_gen_next(&g, &got), 1);
    CHECK_PTR(got, &item);
    CHECK_EQ(weft_gen_next(&g, &got), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

/* ---- CP-01: between fibers ---------------------------------------------- */

static ssize_t locks(void *m)
{
    return weft_mutex_lock(m);
}

TEST(cp_01_mutex_lock)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    is_a_cancel_point(locks, &m, 0);
    is_a_cancel_point(locks, &m, -EDEADLK);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), -EPERM);
}

static ssize_t waits_for_an_event(void *e)
{
    return weft_event_wait(e);
}

TEST(cp_01_event_wait)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    is_a_cancel_point(waits_for_an_event, &e, 0);
    CHECK(weft_event_is_set(&e));
}

static ssize_t acquires(void *s)
{
    return weft_sem_acquire(s, 2);
}

TEST(cp_01_sem_acquire)
{
    weft_sem s = WEFT_SEM_INIT(2, 2), small = WEFT_SEM_INIT(1, 1);
    is_a_cancel_point(acquires, &s, 0);
    CHECK_EQ(weft_sem_value(&s), 0);
    is_a_cancel_point(acquires, &small, -EINVAL);
}

static int item = 1;

static ssize_t sends(void *c)
{
    return weft_chan_send(c, &item);
}

static ssize_t receives(void *c)
{
    int got = -1;
    int rc = weft_chan_recv(c, &got);
    CHECK_EQ(got, rc == 1 ? item : -1);
    return rc;
}

static ssize_t joins_the_channel(void *c)
{
    return weft_chan_join(c);
}

TEST(cp_01_chan_send_recv_and_join)
{
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL);
    is_a_cancel_point(joins_the_channel, c, 0);
    is_a_cancel_point(sends, c, 0);
    CHECK_EQ(weft_chan_length(c), 1);
    is_a_cancel_point(receives, c, 1);
    CHECK_EQ(weft_chan_length(c), 0);
    CHECK_EQ(weft_chan_item_done(c), 0);
    is_a_cancel_point(joins_the_channel, c, 0);
    weft_chan_close(c);
    is_a_cancel_point(sends, c, -EPIPE);
    is_a_cancel_point(receives, c, 0);
    weft_chan_abort(c);
    is_a_cancel_point(receives, c, -EPIPE);
    is_a_cancel_point(joins_the_channel, c, -EPIPE);
    weft_chan_free(c);
}

static int receives_one(void *c)
{
    int got;
    CHECK_EQ(weft_chan_recv(c, &got), 1);
    CHECK_EQ(got, item);
    return 0;
}

static int sends_one(void *c)
{
    return weft_chan_send(c, &item);
}

TEST(cp_01_a_partner_who_waits_is_left_waiting)
{
    weft_nursery n;
    weft_chan *c = weft_chan_new(sizeof(int), 0, NULL);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, receives_one, c), 0);
    settle_here();
    is_a_cancel_point(sends, c, 0);
    settle_here();
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_spawn(&n, sends_one, c), 0);
    settle_here();
    is_a_cancel_point(receives, c, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_chan_free(c);
}

/* ---- CP-01: descriptors ------------------------------------------------- */

static char room[16];

static ssize_t reads(void *fd)
{
    return weft_read(*(weft_fd *)fd, room, 1);
}

static ssize_t reads_vectors(void *fd)
{
    struct iovec v = {room, 1};
    return weft_readv(*(weft_fd *)fd, &v, 1);
}

static ssize_t reads_exactly(void *fd)
{
    size_t done = 99;
    ssize_t rc = weft_read_exact(*(weft_fd *)fd, room, 2, &done);
    CHECK_EQ(done, rc == 0 ? 2 : 0);
    return rc;
}

static ssize_t receives_a_message(void *fd)
{
    struct iovec v = {room, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    return weft_recvmsg(*(weft_fd *)fd, &m, 0);
}

TEST(cp_01_reading)
{
    weft_fd pair[2];
    open_pair(pair);
    CHECK_EQ(weft_write(pair[0], "abcde", 5), 5);
    is_a_cancel_point(reads, &pair[1], 1);
    CHECK_EQ(room[0], 'a');
    is_a_cancel_point(reads_vectors, &pair[1], 1);
    CHECK_EQ(room[0], 'b');
    is_a_cancel_point(reads_exactly, &pair[1], 0);
    CHECK_EQ(memcmp(room, "cd", 2), 0);
    is_a_cancel_point(receives_a_message, &pair[1], 1);
    CHECK_EQ(room[0], 'e');
    CHECK_EQ(weft_shutdown_write(pair[0]), 0);
    is_a_cancel_point(reads, &pair[1], 0);
    close_pair(pair);
    is_a_cancel_point(reads, &pair[1], -EBADF);
}

static ssize_t writes(void *fd)
{
    return weft_write(*(weft_fd *)fd, "a", 1);
}

static ssize_t writes_vectors(void *fd)
{
    struct iovec v = {"b", 1};
    return weft_writev(*(weft_fd *)fd, &v, 1);
}

static ssize_t writes_all(void *fd)
{
    size_t done = 99;
    ssize_t rc = weft_write_all(*(weft_fd *)fd, "cd", 2, &done);
    CHECK_EQ(done, rc == 0 ? 2 : 0);
    return rc;
}

static ssize_t sends_a_message(void *fd)
{
    struct iovec v = {"e", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    return weft_sendmsg(*(weft_fd *)fd, &m, 0);
}

TEST(cp_01_writing)
{
    weft_fd pair[2];
    open_pair(pair);
    is_a_cancel_point(writes, &pair[0], 1);
    is_a_cancel_point(writes_vectors, &pair[0], 1);
    is_a_cancel_point(writes_all, &pair[0], 0);
    is_a_cancel_point(sends_a_message, &pair[0], 1);
    CHECK_EQ(weft_read(pair[1], room, sizeof room), 5);
    CHECK_EQ(memcmp(room, "abcde", 5), 0);
    CHECK_EQ(weft_try_read(pair[1], room, 1), -EAGAIN);
    close_pair(pair);
}

static ssize_t waits_until_ready(void *fd)
{
    return weft_wait_ready(*(weft_fd *)fd, WEFT_WRITABLE);
}

static ssize_t waits_for_a_foreign_one(void *fd)
{
    return weft_wait_fd(*(int *)fd, WEFT_WRITABLE);
}

TEST(cp_01_waiting_for_a_descriptor)
{
    weft_fd pair[2];
    int fds[2];
    open_pair(pair);
    CHECK_EQ(pipe(fds), 0);
    is_a_cancel_point(waits_until_ready, &pair[0], WEFT_WRITABLE);
    is_a_cancel_point(waits_for_a_foreign_one, &fds[1], WEFT_WRITABLE);
    weft_forget_fd(fds[1]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    close_pair(pair);
}

static weft_fd accepted;

static ssize_t accepts(void *fd)
{
    return weft_accept(*(weft_fd *)fd, &accepted, NULL);
}

static ssize_t accepts_from(void *fd)
{
    return weft_accept_from(*(weft_fd *)fd, &accepted, NULL, NULL);
}

static weft_fd dialled;

static ssize_t dials(void *address)
{
    return weft_dial(&dialled, address);
}

struct target {
    weft_fd fd;
    struct sockaddr_storage sa;
    socklen_t len;
};

static ssize_t connects(void *arg)
{
    struct target *t = arg;
    return weft_connect(t->fd, (struct sockaddr *)&t->sa, t->len);
}

TEST_REAL(cp_01_accepting_and_connecting)
{
    weft_fd l;
    weft_addr addr;
    struct target t = {.len = sizeof t.sa};
    char address[64];
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(l, &addr), 0);
    CHECK_EQ(weft_getsockname(l, (struct sockaddr *)&t.sa, &t.len), 0);
    (void)weft_addr_format(&addr, address, sizeof address);

    is_a_cancel_point(dials, address, 0);
    is_a_cancel_point(accepts, &l, 0);
    CHECK_EQ(weft_try_accept(l, &accepted, NULL), -EAGAIN); /* it was one */
    CHECK_EQ(weft_close(dialled), 0);
    CHECK_EQ(weft_close(accepted), 0);

    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &t.fd), 0);
    is_a_cancel_point(connects, &t, 0);
    is_a_cancel_point(accepts_from, &l, 0);
    CHECK_EQ(weft_close(t.fd), 0);
    CHECK_EQ(weft_close(accepted), 0);
    CHECK_EQ(weft_close(l), 0);
}

static ssize_t peeks(void *s)
{
    const char *data;
    return weft_stream_peek(s, &data);
}

static ssize_t wants_more(void *s)
{
    const char *data;
    return weft_stream_more(s, 2, 100, &data);
}

static ssize_t reads_a_line(void *s)
{
    const char *line;
    return weft_stream_read_until(s, '\n', 100, &line);
}

static ssize_t reads_a_stream(void *s)
{
    return weft_stream_read(s, room, 1);
}

static ssize_t reads_a_stream_exactly(void *s)
{
    return weft_stream_read_exact(s, room, 2);
}

TEST(cp_01_streams_with_everything_in_the_buffer)
{
    weft_fd pair[2];
    weft_stream s;
    open_pair(pair);
    weft_stream_init(&s, pair[1]);
    CHECK_EQ(weft_write(pair[0], "ab\ncdefg", 8), 8);
    is_a_cancel_point(peeks, &s, 8);
    is_a_cancel_point(peeks, &s, 8);
    is_a_cancel_point(reads_a_line, &s, 3);
    is_a_cancel_point(reads_a_stream, &s, 1);
    CHECK_EQ(room[0], 'c');
    is_a_cancel_point(reads_a_stream_exactly, &s, 0);
    CHECK_EQ(memcmp(room, "de", 2), 0);
    CHECK_EQ(weft_write(pair[0], "h", 1), 1);
    is_a_cancel_point(wants_more, &s, 3);
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
}

static ssize_t flushes(void *s)
{
    return weft_stream_flush(s);
}

TEST(cp_01_a_flush_sends_nothing)
{
    weft_fd pair[2];
    weft_stream s;
    open_pair(pair);
    weft_stream_init(&s, pair[0]);
    CHECK_EQ(weft_stream_write(&s, "abc", 3), 0);
    in_a_cancelled_scope(flushes, &s);
    CHECK_EQ(weft_try_read(pair[1], room, 3), -EAGAIN);
    is_a_cancel_point(flushes, &s, 0);
    CHECK_EQ(weft_read(pair[1], room, sizeof room), 3);
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
}

static ssize_t stays_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

TEST(cp_01_a_wait_that_a_cancel_finds_parked_wakes)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = (int)stays_for_ever(NULL);
        make_it_fail(stays_for_ever, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}

/* ---- CP-02: what is none ------------------------------------------------ */

static weft_scope cancelled;

static void open_cancelled(void)
{
    weft_scope_init(&cancelled);
    CHECK_EQ(weft_scope_begin(&cancelled), 0);
    weft_scope_cancel(&cancelled, 0, NULL);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
}

static void close_cancelled(void)
{
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&cancelled, 0), 0);
}

TEST(cp_02_locks_permits_and_flags)
{
    weft_sem sem = WEFT_SEM_INIT(1, 1);
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_event e = WEFT_EVENT_INIT;
    open_cancelled();
    CHECK_EQ(weft_sem_try(&sem, 1), 0);
    CHECK_EQ(weft_sem_try(&sem, 1), -EAGAIN);
    CHECK_EQ(weft_sem_release(&sem, 1), 0);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_lock_nc(&m), 0);
    CHECK_EQ(weft_mutex_lock_nc(&m), -EDEADLK);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    weft_event_set(&e);
    CHECK(weft_event_is_set(&e));
    weft_event_clear(&e);
    CHECK(!weft_event_is_set(&e));
    close_cancelled();
}

static int releases_the_lock(void *m)
{
    CHECK_EQ(weft_mutex_lock_nc(m), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    return weft_mutex_unlock(m);
}

TEST(cp_02_lock_nc_and_nursery_close_wait_although_cancelled)
{
    weft_nursery n, inner;
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, releases_the_lock, &m), 0);
    settle_here();
    open_cancelled();
    CHECK_EQ(weft_mutex_lock_nc(&m), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_nursery_open(&inner, NULL), 0);
    CHECK_EQ(weft_spawn(&inner, counts, NULL), 0);
    CHECK_EQ(weft_nursery_close(&inner, 4), 4);
    CHECK_EQ(ran, 1);
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static unsigned items_dropped;

static void drops(void *arg)
{
    (void)arg;
    items_dropped++;
}

TEST(cp_02_channels)
{
    int one = 1, got = 0;
    weft_chan *c = weft_chan_new(sizeof(int), 2, drops);
    weft_chan *sender = weft_chan_sender(c);
    open_cancelled();
    CHECK_EQ(weft_chan_trysend(c, &one), 0);
    CHECK_EQ(weft_chan_trysend(sender, &one), 0);
    CHECK_EQ(weft_chan_trysend(c, &one), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(c, &got), 1);
    CHECK_EQ(weft_chan_item_done(c), 0);
    weft_chan_sender_done(sender);
    weft_chan_close(c);
    weft_chan_abort(c);
    CHECK_EQ(items_dropped, 1);
    weft_chan_free(c);
    c = weft_chan_new(sizeof(int), 1, NULL);
    CHECK(c != NULL);
    weft_chan_free(c);
    close_cancelled();
}

static int sees_a_cancel(void *arg)
{
    *(int *)arg = weft_checkpoint();
    return 0;
}

TEST(cp_02_children)
{
    weft_nursery n;
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    int seen[3] = {1, 1, 1}, *copy = &seen[2];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled();
    CHECK_EQ(weft_spawn(&n, sees_a_cancel, &seen[0]), 0);
    CHECK_EQ(weft_spawn_ex(&n, sees_a_cancel, &seen[1], &opts), 0);
    CHECK_EQ(weft_spawn_copy(&n, counts, &copy, sizeof copy), 0);
    CHECK_EQ(weft_nursery_count(&n), 3);
    CHECK(!weft_task_done(&task));
    CHECK_EQ(ran, 0); /* nobody runs before a cancel point */
    weft_task_cancel(&task, 0, NULL);
    CHECK_EQ(weft_started(NULL), 0);
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(seen[0], 0); /* the spawner's scope is not theirs */
    CHECK_EQ(seen[1], -ECANCELED);
    CHECK_EQ(ran, 1);
}

TEST(cp_02_scopes_and_nurseries)
{
    weft_nursery n;
    weft_scope s;
    open_cancelled();
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_SEC(1), WEFT_FAIL), 0);
    weft_scope_set_deadline(&s, weft_after(WEFT_SEC(2)));
    weft_scope_set_shield(&s, true);
    CHECK_EQ(weft_checkpoint(), 0);
    weft_scope_cancel(&s, -EINTR, NULL);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 3), 3);
    close_cancelled();
}

static void counts_it(void *arg)
{
    (void)arg;
    ran++;
}

TEST(cp_02_defer_and_own)
{
    weft_nursery n;
    weft_owned owned;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled();
    CHECK_EQ(weft_defer(counts_it, NULL), 0);
    CHECK_EQ(weft_defer(counts_it, &n), 0);
    CHECK_EQ(ran, 0);
    CHECK_EQ(weft_undefer(counts_it, NULL, false), 0);
    CHECK_EQ(weft_undefer(counts_it, &n, true), 0);
    CHECK_EQ(ran, 1);
    CHECK_EQ(weft_own(&n, counts, NULL, &owned), 0);
    CHECK_EQ(weft_disown(owned, false), 0);
    CHECK_EQ(weft_own(&n, counts, NULL, &owned), 0);
    CHECK_EQ(weft_disown(owned, true), 0);
    CHECK_EQ(ran, 2);
    CHECK_EQ(weft_own(&n, counts, NULL, NULL), 0);
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 3);
}

static weft_key key = {.name = "key"};

TEST(cp_02_locals_and_the_background)
{
    int value;
    open_cancelled();
    CHECK_EQ(weft_local_push(&key, &value), 0);
    CHECK_PTR(weft_local_get(&key), &value);
    CHECK_EQ(weft_local_pop(&key), 0);
    CHECK_EQ(weft_background(counts, NULL, NULL), 0);
    CHECK_EQ(weft_background_count(), 1);
    CHECK_EQ(ran, 0);
    close_cancelled();
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(1), 0), 0);
    CHECK_EQ(ran, 1);
}

TEST(cp_02_generators_open_and_close)
{
    weft_gen g;
    void *got;
    open_cancelled();
    CHECK_EQ(weft_gen_open(&g, hands_out_numbers, NULL), 0);
    int rc = weft_gen_close(&g);
    CHECK(rc == 0 || rc == -ECANCELED); /* it may count as stopped */
    close_cancelled();
    CHECK_EQ(ran, 0);

    CHECK_EQ(weft_gen_open(&g, hands_out_numbers, NULL), 0);
    CHECK_EQ(weft_gen_next(&g, &got), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(ran, 1);
}

TEST(cp_02_descriptors)
{
    weft_fd pair[2], l, fd;
    int fds[2];
    open_pair(pair);
    open_cancelled();
    CHECK_EQ(weft_try_write(pair[0], "ab", 2), 2);
    CHECK_EQ(weft_try_read(pair[1], room, 2), 2);
    CHECK_EQ(weft_try_read(pair[1], room, 2), -EAGAIN);
    CHECK_EQ(weft_shutdown_write(pair[0]), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    close_pair(pair);
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_try_accept(l, &fd, NULL), -EAGAIN);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(weft_fd_adopt(fds[0], &fd), 0);
    CHECK_EQ(weft_fd_release(fd), fds[0]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    close_cancelled();
}

TEST(cp_02_a_stream_gathers_and_gives_back)
{
    weft_fd pair[2];
    weft_stream s;
    open_pair(pair);
    weft_stream_init(&s, pair[0]);
    open_cancelled();
    CHECK_EQ(weft_stream_close(&s), 0); /* nothing gathered: no cancel point */
    weft_stream_init(&s, pair[1]);
    weft_stream_fini(&s);
    close_cancelled();
    CHECK_EQ(weft_close(pair[1]), 0);
}

static int is_cancelled_and_reads_its_reason(void *arg)
{
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK(weft_cancelled());
    CHECK(weft_cancel_reason() != NULL);
    CHECK_EQ(weft_deadline(), INT64_MIN);
    CHECK_EQ(weft_shutdown(0), 0);
    (void)arg;
    return rc;
}

static int cancels_a_child(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, is_cancelled_and_reads_its_reason, arg), 0);
        settle_here();
        weft_nursery_cancel(&n, 0, NULL);
    }
    return rc;
}

TEST_PLAIN(cp_02_asking_and_shutting_down)
{
    weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(cancels_a_child, NULL, &o), 0);
}

/* ---- CP-03: the budget -------------------------------------------------- */

static bool other_ran;

static int notes_that_it_ran(void *arg)
{
    (void)arg;
    other_ran = true;
    return 0;
}

/* How often call(arg), which never waits, goes through before another runs. */
static void starves_nobody(call_fn call, void *arg, ssize_t want)
{
    int rc, calls = 0;
    other_ran = false;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
        while (!other_ran) {
            CHECK_EQ(call(arg), want);
            CHECK(++calls <= 2 * BUDGET);
        }
    }
    CHECK_EQ(rc, 0);
}

static ssize_t acquires_and_releases(void *s)
{
    int rc = weft_sem_acquire(s, 1);
    CHECK_EQ(weft_sem_release(s, 1), 0);
    return rc;
}

static ssize_t locks_and_unlocks(void *m)
{
    int rc = weft_mutex_lock(m);
    CHECK_EQ(weft_mutex_unlock(m), 0);
    return rc;
}

static ssize_t sends_and_receives(void *c)
{
    int rc = weft_chan_send(c, &item);
    return rc < 0 ? rc : receives(c);
}

TEST(cp_03_what_is_always_ready_starves_nobody)
{
    weft_sem s = WEFT_SEM_INIT(1, 1);
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_event e = WEFT_EVENT_INIT;
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL);
    weft_fd pair[2];
    open_pair(pair);
    weft_event_set(&e);
    starves_nobody(checkpoints, NULL, 0);
    starves_nobody(acquires_and_releases, &s, 0);
    starves_nobody(locks_and_unlocks, &m, 0);
    starves_nobody(waits_for_an_event, &e, 0);
    starves_nobody(sends_and_receives, c, 1);
    starves_nobody(writes, &pair[0], 1);
    starves_nobody(waits_until_ready, &pair[0], WEFT_WRITABLE);
    weft_chan_free(c);
    close_pair(pair);
}

static ssize_t gathers_none(void *arg)
{
    (void)arg;
    return weft_gather(NULL, 0, NULL);
}

static ssize_t maps_none(void *arg)
{
    (void)arg;
    return weft_map(0, counts_one, NULL, NULL, NULL);
}

static ssize_t batches_none(void *arg)
{
    (void)arg;
    return weft_batch(NULL, 0);
}

static ssize_t shuts_down_nothing(void *arg)
{
    (void)arg;
    return weft_background_shutdown(WEFT_SEC(1), WEFT_SEC(1));
}

static ssize_t asks_a_finished_one(void *g)
{
    void *got;
    return weft_gen_next(g, &got);
}

static int hands_out_nothing(weft_gen *g, void *arg)
{
    (void)g;
    (void)arg;
    return 0;
}

TEST(cp_03_what_has_been_done_long_ago_starves_nobody)
{
    weft_nursery n;
    weft_task task;
    weft_doneq q;
    weft_gen g;
    int five = 5;
    weft_spawn_opts opts = {.task = &task};
    weft_doneq_init(&q);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, returns, &five, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    starves_nobody(joins, &task, 0);
    starves_nobody(waits_for_it, &task, 1);
    starves_nobody(waits_for_none, NULL, 0);
    starves_nobody(takes_the_next, &q, 0);
    starves_nobody(gathers_none, NULL, 0);
    starves_nobody(maps_none, NULL, 0);
    starves_nobody(batches_none, NULL, 0);
    starves_nobody(shuts_down_nothing, NULL, 0);
    starves_nobody(spawns_and_waits, &n, -ESHUTDOWN);
    starves_nobody(starts, &n, -ESHUTDOWN);
    CHECK_EQ(weft_gen_open(&g, hands_out_nothing, NULL), 0);
    starves_nobody(asks_a_finished_one, &g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

static ssize_t starts_another(void *arg)
{
    return weft_start((weft_nursery *)arg, is_ready, arg, NULL);
}

TEST(cp_03_starts_in_a_row_starve_nobody)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    starves_nobody(starts_another, &n, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- CP-05, CP-08 ------------------------------------------------------- */

static int notes_itself(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

TEST(cp_05_a_cancelled_yield_lets_every_other_fiber_run)
{
    bool seen[5] = {false};
    int rc;
    WEFT_NURSERY(n, rc) {
        open_cancelled();
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 5; i++) {
                seen[i] = false;
                CHECK_EQ(weft_spawn(&n, notes_itself, &seen[i]), 0);
            }
            CHECK_EQ(weft_yield(), -ECANCELED);
            for (int i = 0; i < 5; i++) {
                CHECK(seen[i]);
            }
        }
        CHECK_EQ(weft_scope_end(&cancelled, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(cp_08_a_sleep_of_nothing_is_a_yield_and_a_cancel_point)
{
    static const weft_time spans[] = {0, -1, INT64_MIN};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            other_ran = false;
            CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
            CHECK_EQ(weft_sleep(spans[i]), 0);
            CHECK(other_ran);

            other_ran = false;
            CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
            open_cancelled();
            CHECK_EQ(weft_sleep(spans[i]), -ECANCELED);
            CHECK_EQ(weft_scope_end(&cancelled, 0), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now(), start);
}

TEST(one_who_ignores_his_cancellation_at_any_cancel_point_lets_others_run)
{
    weft_nursery n, closed;
    weft_task task;
    int five = 5;
    weft_spawn_opts opts = {.task = &task};
    CHECK_EQ(weft_nursery_open(&closed, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&closed, returns, &five, &opts), 0);
    CHECK_EQ(weft_nursery_close(&closed, 0), 0);
    static const call_fn calls[] = {
        joins,        waits_for_it,   gathers_none,      maps_none,
        batches_none, waits_for_none, shuts_down_nothing};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        int ignored = 0;
        other_ran = false;
        CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
        while (!other_ran) {
            CHECK_EQ(calls[i](&task), -ECANCELED);
            CHECK(++ignored <= 16);
        }
    }
    CHECK_EQ(weft_scope_end(&cancelled, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST_PLAIN(outside_a_fiber_the_new_cancel_points_are_not_permitted)
{
    static weft_nursery n;
    static weft_task task;
    static weft_gen g;
    weft_doneq q;
    weft_task *done, *const tasks[] = {&task};
    weft_job job = {.fn = counts};
    void *got;
    weft_doneq_init(&q);
    CHECK_EQ(weft_start(&n, counts, NULL, NULL), -EPERM);
    CHECK_EQ(weft_join(&task, NULL), -EPERM);
    CHECK_EQ(weft_wait(tasks, 1, WEFT_ALL, 0), -EPERM);
    CHECK_EQ(weft_next_done(&q, &done), -EPERM);
    CHECK_EQ(weft_gather(&job, 1, NULL), -EPERM);
    CHECK_EQ(weft_race(&job, 1, WEFT_RACE_OK), -EPERM);
    CHECK_EQ(weft_batch(&job, 1), -EPERM);
    CHECK_EQ(weft_map(1, counts_one, NULL, NULL, NULL), -EPERM);
    CHECK_EQ(weft_background_shutdown(1, 1), -EPERM);
    CHECK_EQ(weft_gen_open(&g, hands_out_nothing, NULL), -EPERM);
    CHECK_EQ(weft_gen_next(&g, &got), -EPERM);
    CHECK_EQ(weft_gen_yield(&g, &n), -EPERM);
    CHECK_EQ(weft_test_settle(), -EPERM);
    CHECK_EQ(ran, 0);
}
