/* SPDX-License-Identifier: MIT */
/* test_select_fd.c - descriptors among the things that a select waits for. */
#include <weft/chan.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/select.h>
#include <weft/stats.h>

#include <errno.h>
#include <fcntl.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"

enum { WAITING = 99 };

#define READ(fd)  WEFT_CASE_FD(fd, WEFT_READABLE)
#define WRITE(fd) WEFT_CASE_FD(fd, WEFT_WRITABLE)

/* A fiber that selects once, in a scope of its own. */
struct chooser {
    weft_case cases[6];
    size_t n;
    int index;
    weft_scope scope;
    weft_fd closes; /* when it has been woken */
};

static int chooses(void *arg)
{
    struct chooser *ch = arg;
    open_scope(&ch->scope);
    ch->index = weft_select(ch->cases, ch->n, 0);
    if (ch->closes.generation && ch->index >= 0)
        CHECK_EQ(weft_close(ch->closes), 0);
    return weft_scope_end(&ch->scope, 0);
}

static void start(weft_nursery *n, struct chooser *ch)
{
    ch->index = WAITING;
    CHECK_EQ(weft_spawn(n, chooses, ch), 0);
    settle();
    CHECK_EQ(ch->index, WAITING);
}

static void put(weft_fd fd)
{
    CHECK_EQ(weft_try_write(fd, "x", 1), 1);
}

static void take(weft_fd fd)
{
    char c;
    CHECK_EQ(weft_try_read(fd, &c, 1), 1);
}

/* Others may wait for it again. */
static void check_free(weft_fd fd, weft_fd peer)
{
    weft_nursery n;
    struct call r = {.fd = fd};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
    settle();
    CHECK(!r.returned);
    put(peer);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(r.result, 1);
}

/* --- ready --- */

TEST(sel_11_a_ready_descriptor_is_left_as_it_was)
{
    weft_fd pair[2];
    char buf[4];
    open_pair(pair);
    put(pair[1]);
    weft_case c[] = {READ(pair[0]), WEFT_CASE_AFTER(WEFT_SEC(1))};
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(weft_select(c, 2, 0), 0);
        CHECK_EQ(c[0].result, WEFT_READABLE);
    }
    CHECK_EQ(weft_read(pair[0], buf, sizeof buf), 1);
    CHECK_EQ(weft_select(c, 2, 0), 1);
    check_free(pair[0], pair[1]);
    close_pair(pair);
}

TEST(sel_11_a_descriptor_that_becomes_ready_wakes_a_select_each_time)
{
    weft_fd pair[2];
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    open_pair(pair);
    for (int i = 0; i < 5; i++) {
        struct chooser ch = {.cases = {WEFT_CASE_EVENT(&e), READ(pair[0])},
                             .n = 2};
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, &ch);
        put(pair[1]);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(ch.index, 1);
        CHECK_EQ(ch.cases[1].result, WEFT_READABLE);
        CHECK_PTR(e.waiters_.head_, NULL);
        take(pair[0]);
    }
    check_free(pair[0], pair[1]);
    close_pair(pair);
}

TEST(a_descriptor_is_selected_for_writing_and_for_either)
{
    weft_fd pair[2];
    weft_nursery n;
    static char much[1 << 16];
    open_pair(pair);
    weft_case c[] = {WRITE(pair[0])};
    CHECK_EQ(weft_select(c, 1, 0), 0);
    CHECK_EQ(c[0].result, WEFT_WRITABLE);
    c[0].events |= WEFT_READABLE;
    CHECK_EQ(weft_select(c, 1, 0), 0);
    CHECK_EQ(c[0].result, WEFT_WRITABLE);

    size_t inside = fill(pair[0]);
    CHECK_EQ(weft_select(c, 1, WEFT_SELECT_NOWAIT), -EAGAIN);
    struct chooser ch = {.cases = {READ(pair[0]), WRITE(pair[0])}, .n = 2};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    put(pair[1]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 0);
    take(pair[0]);

    ch.cases[0].on = WEFT_ON_OFF;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    while (inside > 0) {
        ssize_t got = weft_read(pair[1], much, sizeof much);
        CHECK(got > 0);
        inside -= (size_t)got;
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    CHECK_EQ(ch.cases[1].result, WEFT_WRITABLE);
    close_pair(pair);
}

TEST(the_result_is_that_of_wait_ready)
{
    weft_fd pair[2];
    weft_nursery n;
    for (int parked = 0; parked < 2; parked++) {
        open_pair(pair);
        struct chooser ch = {.cases = {READ(pair[0])}, .n = 1};
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        if (parked) start(&n, &ch);
        CHECK_EQ(weft_close(pair[1]), 0); /* a hang-up */
        if (!parked) CHECK_EQ(weft_spawn(&n, chooses, &ch), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(ch.index, 0);
        int same = weft_wait_ready(pair[0], WEFT_READABLE);
        CHECK(same & WEFT_HANGUP);
        CHECK_EQ(ch.cases[0].result, same);
        CHECK_EQ(weft_close(pair[0]), 0);
    }
}

/* The peer sends no more, but reads. */
TEST(half_a_hangup_is_told_whether_it_had_to_wait_or_not)
{
    weft_fd pair[2];
    weft_nursery n;
    for (int parked = 0; parked < 2; parked++) {
        open_pair(pair);
        struct chooser ch = {.cases = {READ(pair[0])}, .n = 1};
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        if (parked) start(&n, &ch);
        CHECK_EQ(shutdown(weft_fd_number(pair[1]), SHUT_WR), 0);
        if (!parked) CHECK_EQ(weft_spawn(&n, chooses, &ch), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(ch.index, 0);
        CHECK_EQ(ch.cases[0].result, WEFT_READABLE | WEFT_HANGUP);
        CHECK_EQ(weft_select(ch.cases, 1, 0), 0);
        CHECK_EQ(ch.cases[0].result, WEFT_READABLE | WEFT_HANGUP);
        CHECK_EQ(weft_wait_ready(pair[0], WEFT_READABLE),
                 WEFT_READABLE | WEFT_HANGUP);
        (void)fill(pair[0]); /* that alone makes it not writable */
        ch.cases[0].events = WEFT_WRITABLE;
        CHECK_EQ(weft_select(ch.cases, 1, WEFT_SELECT_NOWAIT), -EAGAIN);
        close_pair(pair);
    }
}

TEST(a_foreign_descriptor_tells_no_more_than_it_was_asked)
{
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(weft_wait_fd(fds[0], WEFT_READABLE), WEFT_READABLE | WEFT_HANGUP);
    CHECK_EQ(weft_wait_fd(fds[0], WEFT_WRITABLE), WEFT_WRITABLE | WEFT_HANGUP);
    CHECK_EQ(close(fds[0]), 0);
}

TEST(a_file_is_always_ready)
{
    weft_fd fd;
    int number = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(number >= 0);
    CHECK_EQ(weft_fd_adopt(number, &fd), 0);
    weft_event e = WEFT_EVENT_INIT;
    for (int i = 0; i < 3; i++) {
        weft_case c[] = {WEFT_CASE_EVENT(&e), READ(fd), WRITE(fd)};
        int at = weft_select(c, 3, 0);
        CHECK(at == 1 || at == 2);
        CHECK_EQ(c[at].result, at == 1 ? WEFT_READABLE : WEFT_WRITABLE);
        CHECK_PTR(e.waiters_.head_, NULL);
    }
    CHECK_EQ(weft_close(fd), 0);
}

TEST(without_waiting_the_kernel_is_asked)
{
    weft_fd pair[2];
    open_pair(pair);
    for (int i = 0; i < 3; i++) { /* unknown to the poller, and known */
        weft_case c[] = {READ(pair[0])};
        CHECK_EQ(weft_select(c, 1, WEFT_SELECT_NOWAIT), -EAGAIN);
        put(pair[1]);
        CHECK_EQ(weft_select(c, 1, WEFT_SELECT_NOWAIT), 0);
        CHECK_EQ(c[0].result, WEFT_READABLE);
        take(pair[0]);
        CHECK_EQ(weft_select(c, 1, WEFT_SELECT_NOWAIT), -EAGAIN);
        check_free(pair[0], pair[1]);
    }
    close_pair(pair);
}

TEST(a_descriptor_is_not_starved_by_what_is_always_there)
{
    weft_fd pair[2];
    weft_event always = WEFT_EVENT_INIT;
    weft_event_set(&always);
    for (int known = 0; known < 2; known++) {
        open_pair(pair);
        if (known) check_free(pair[0], pair[1]);
        put(pair[1]);
        weft_case c[] = {WEFT_CASE_EVENT(&always), READ(pair[0])};
        for (int i = 0; weft_select(c, 2, 0) == 0; i++)
            CHECK(i < 200);
        close_pair(pair);
    }
}

TEST(what_is_there_beats_the_moment)
{
    weft_fd pair[2];
    weft_nursery n;
    open_pair(pair);
    struct chooser ch = {.n = 2};
    ch.cases[0] = (weft_case)WEFT_CASE_AFTER(WEFT_MSEC(2)); /* 1: start() */
    ch.cases[1] = (weft_case)READ(pair[0]);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    put(pair[1]);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    close_pair(pair);
}

TEST(what_is_there_beats_the_deadline)
{
    weft_fd pair[2];
    weft_nursery n;
    open_pair(pair);
    struct chooser ch = {.cases = {READ(pair[0])}, .n = 1};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    weft_time deadline = weft_after(WEFT_MSEC(1));
    weft_scope_set_deadline(&ch.scope, deadline);
    CHECK_EQ(weft_sleep_until(deadline - 1), 0);
    put(pair[1]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 0);
    close_pair(pair);
}

/* --- not ready --- */

TEST(a_moment_ends_the_wait_for_a_descriptor)
{
    weft_fd pair[2];
    weft_time before = weft_now();
    open_pair(pair);
    for (int i = 0; i < 3; i++) {
        weft_case c[] = {READ(pair[0]), WEFT_CASE_AFTER(WEFT_SEC(2)),
                         READ(pair[1])};
        CHECK_EQ(weft_select(c, 3, 0), 1);
    }
    CHECK_EQ(weft_now(), before + WEFT_SEC(6));
    check_free(pair[0], pair[1]);
    check_free(pair[1], pair[0]);
    close_pair(pair);
}

TEST(sel_03_a_cancelled_select_leaves_its_descriptors)
{
    weft_fd pair[2];
    weft_nursery n;
    open_pair(pair);
    (void)fill(pair[0]);
    struct chooser ch = {
        .cases = {READ(pair[0]), WRITE(pair[0]), READ(pair[0])}, .n = 3};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    weft_scope_cancel(&ch.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, -ECANCELED);
    check_free(pair[0], pair[1]);
    close_pair(pair);
}

TEST(a_select_that_got_something_else_leaves_its_descriptors)
{
    weft_fd pair[2];
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    open_pair(pair);
    struct chooser ch = {
        .cases = {READ(pair[0]), WEFT_CASE_EVENT(&e), READ(pair[1])}, .n = 3};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    weft_event_set(&e);
    check_free(pair[0], pair[1]);
    check_free(pair[1], pair[0]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 1);
    close_pair(pair);
}

static int waits_in_vain(void *arg)
{
    (void)arg;
    weft_fd pair[2];
    weft_event e = WEFT_EVENT_INIT, never = WEFT_EVENT_INIT;
    weft_nursery n;
    open_pair(pair);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 4; i++) {
        struct chooser ch = {
            .cases = {READ(pair[0]), READ(pair[1]), WEFT_CASE_EVENT(&e),
                      WEFT_CASE_AFTER(WEFT_MSEC(7)), READ(pair[0])},
            .n = 5};
        start(&n, &ch);
        if (i == 0) weft_event_set(&e);
        if (i == 1) put(pair[0]);
        if (i == 2) weft_scope_cancel(&ch.scope, 0, NULL);
        if (i == 3) CHECK_EQ(weft_sleep(WEFT_MSEC(9)), 0);
        settle();
        CHECK_EQ(ch.index, i == 0 ? 2 : i == 1 ? 1 : i == 2 ? -ECANCELED : 3);
        weft_event_clear(&e);
        if (i == 1) take(pair[1]);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    int rc = weft_event_wait(&never);
    close_pair(pair);
    return rc;
}

/* The reactor has counted who waits: else it would wait for descriptors. */
TEST_PLAIN(a_deadlock_after_selects_is_found)
{
    const weft_run_opts virtual = {.virtual_clock = true};
    CHECK_EQ(weft_run(waits_in_vain, NULL, &virtual), -EDEADLK);
}

static int selects_in_vain(void *arg)
{
    (void)arg;
    weft_event never = WEFT_EVENT_INIT;
    weft_case c[] = {WEFT_CASE_EVENT(&never), WEFT_CASE_AT(WEFT_FOREVER)};
    return weft_select(c, 2, 0);
}

TEST_PLAIN(a_select_of_what_never_comes_is_a_deadlock)
{
    const weft_run_opts virtual = {.virtual_clock = true};
    CHECK_EQ(weft_run(selects_in_vain, NULL, &virtual), -EDEADLK);
}

static int writes_one(void *arg)
{
    put(((struct call *)arg)->fd);
    return 0;
}

static int selects_for_an_hour_and_then_in_vain(void *arg)
{
    weft_fd pair[2];
    weft_nursery n;
    (void)arg;
    open_pair(pair);
    struct call w = {.fd = pair[1]};
    weft_case c[] = {READ(pair[0]), WEFT_CASE_AFTER(WEFT_SEC(3600))};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, writes_one, &w), 0);
    CHECK_EQ(weft_select(c, 2, 0), 0); /* main's timer goes on */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    close_pair(pair);
    return selects_in_vain(NULL);
}

/* On the real clock the timer of a moment is left to itself. */
TEST_PLAIN(a_moment_that_was_not_waited_for_hides_no_deadlock)
{
    CHECK_EQ(weft_run(selects_for_an_hour_and_then_in_vain, NULL, NULL),
             -EDEADLK);
}

static int selects_either_way(void *arg)
{
    weft_chan **c = arg;
    char item = 0;
    weft_case cases[] = {WEFT_CASE_RECV(c[0], &item),
                         WEFT_CASE_SEND(c[1], &item)};
    return weft_select(cases, 2, 0);
}

static int all_select_the_same(void *arg)
{
    weft_nursery n;
    weft_chan *c[] = {weft_chan_new(1, 0, NULL, 0),
                      weft_chan_new(1, 0, NULL, 0)};
    (void)arg;
    CHECK(c[0] && c[1]);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_spawn(&n, selects_either_way, c), 0);
    int rc = weft_nursery_close(&n, 0);
    weft_chan_free(c[0]);
    weft_chan_free(c[1]);
    return rc;
}

TEST_PLAIN(selects_that_wait_for_each_other_are_a_deadlock)
{
    const weft_run_opts seeded = {.virtual_clock = true, .sched_seed = 3};
    CHECK_EQ(weft_run(all_select_the_same, NULL, NULL), -EDEADLK);
    CHECK_EQ(weft_run(all_select_the_same, NULL, &seeded), -EDEADLK);
}

/* --- not to be waited for --- */

TEST(a_closed_descriptor_is_an_error_though_something_else_is_there)
{
    weft_fd pair[2];
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    open_pair(pair);
    weft_case c[] = {WEFT_CASE_EVENT(&e), READ(pair[0])};
    CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), 0);
    close_pair(pair);
    CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), -EBADF);
    CHECK_EQ(c[1].result, -EBADF);
    c[1].fd = (weft_fd){0};
    CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), -EBADF);
    c[1].events = 0;
    CHECK_EQ(weft_select(c, 2, WEFT_SELECT_ORDERED), -EINVAL);
}

static void check_closed_while_parked(bool release)
{
    weft_fd pair[2];
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    weft_chan *c = weft_chan_new(1, 0, NULL, 0);
    CHECK(c != NULL);
    open_pair(pair);
    (void)fill(pair[0]);
    struct chooser ch = {.cases = {WEFT_CASE_EVENT(&e), READ(pair[0]),
                                   WEFT_CASE_RECV(c, &(char){0}),
                                   WRITE(pair[0]), READ(pair[0]),
                                   READ(pair[1])},
                         .n = 6};
    ch.cases[5].on = WEFT_ON_OFF;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    if (release) {
        int number = weft_fd_release(pair[0]);
        CHECK_EQ(close(number), 0);
    } else {
        CHECK_EQ(weft_close(pair[0]), 0);
    }
    CHECK_PTR(e.waiters_.head_, NULL);
    CHECK_EQ(weft_chan_trysend(c, "x"), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, -EBADF);
    int told = 0;
    for (int i = 0; i < 6; i++)
        told += ch.cases[i].result == -EBADF;
    CHECK_EQ(told, 1);
    CHECK_EQ(weft_close(pair[1]), 0);
    weft_chan_free(c);
}

TEST(a_descriptor_closed_while_parked_ends_the_select)
{
    check_closed_while_parked(false);
}

TEST(a_descriptor_released_while_parked_ends_the_select)
{
    check_closed_while_parked(true);
}

TEST(a_descriptor_closed_between_the_wake_and_the_run_is_closed)
{
    weft_fd a[2], b[2];
    weft_nursery n;
    open_pair(a);
    open_pair(b);
    struct chooser one = {.cases = {READ(a[0])}, .n = 1, .closes = b[0]};
    struct chooser two = {.cases = {READ(b[0])}, .n = 1, .closes = a[0]};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &one);
    start(&n, &two);
    put(a[1]);
    put(b[1]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(one.index + two.index, -EBADF); /* and 0 of who ran first */
    CHECK_EQ(weft_close(one.index == 0 ? a[0] : b[0]), 0);
    CHECK_EQ(weft_close(a[1]), 0);
    CHECK_EQ(weft_close(b[1]), 0);
}

TEST(a_number_used_again_while_parked_is_another_descriptor)
{
    weft_fd old[2], again[2];
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    open_pair(old);
    int number = weft_fd_number(old[0]);
    struct chooser ch = {.cases = {READ(old[0]), WEFT_CASE_EVENT(&e)}, .n = 2};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    CHECK_EQ(close(number), 0); /* behind our back */
    open_pair(again);
    CHECK_EQ(weft_fd_number(again[0]), number);
    CHECK_PTR(e.waiters_.head_, NULL);
    put(again[1]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, -EBADF);
    CHECK_EQ(ch.cases[0].result, -EBADF);
    CHECK_EQ(weft_close(old[1]), 0);
    take(again[0]);
    check_free(again[0], again[1]);
    close_pair(again);
}

TEST(a_descriptor_closed_behind_our_back_can_be_left)
{
    weft_fd pair[2];
    weft_nursery n;
    for (int i = 0; i < 2; i++) {
        open_pair(pair);
        struct chooser ch = {.cases = {READ(pair[0])}, .n = 1 + (size_t)i};
        ch.cases[1] = (weft_case)WEFT_CASE_AFTER(WEFT_MSEC(5));
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, &ch);
        int number = weft_fd_number(pair[0]);
        CHECK_EQ(close(number), 0);
        if (i == 0) weft_scope_cancel(&ch.scope, 0, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        if (i == 0) CHECK_EQ(ch.index, -ECANCELED);
        CHECK_EQ(weft_fd_release(pair[0]), number);
        CHECK_EQ(weft_close(pair[1]), 0);
    }
}

struct replacer {
    weft_fd ready, closes, pair[2];
    const struct chooser *before; /* whom it is to be told before; or not */
};

static int closes_and_opens_another(void *arg)
{
    struct replacer *r = arg;
    CHECK(weft_wait_ready(r->ready, WEFT_READABLE) > 0);
    if (r->before->index != WAITING) r->before = NULL;
    CHECK_EQ(weft_close(r->closes), 0);
    open_pair(r->pair);
    return 0;
}

TEST_FIFO(ready_and_then_another_of_that_number_is_closed)
{
    weft_fd a[2], b[2];
    weft_nursery n;
    open_pair(a);
    open_pair(b);
    int number = weft_fd_number(b[0]);
    struct chooser ch = {.cases = {READ(b[0])}, .n = 1};
    struct replacer r = {.ready = a[0], .closes = b[0], .before = &ch};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, closes_and_opens_another, &r), 0);
    start(&n, &ch);
    put(a[1]);
    put(b[1]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_fd_number(r.pair[0]), number);
    CHECK_EQ(ch.index, r.before ? -EBADF : 0);
    close_pair(a);
    CHECK_EQ(weft_close(b[1]), 0);
    close_pair(r.pair);
}

TEST(one_reader_of_a_stream_may_be_a_select)
{
    weft_fd pair[2];
    weft_nursery n;
    weft_event e = WEFT_EVENT_INIT;
    open_pair(pair);
    struct call r = {.fd = pair[0]};
    weft_case c[] = {WEFT_CASE_EVENT(&e), READ(pair[0]), WEFT_CASE_EVENT(&e),
                     READ(pair[1])};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
    settle();
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(weft_select(c, 4, 0), -EBUSY);
        CHECK_EQ(c[1].result, -EBUSY);
        CHECK_PTR(e.waiters_.head_, NULL);
        CHECK_EQ(weft_select(c, 4, WEFT_SELECT_NOWAIT), -EAGAIN);
    }
    check_free(pair[1], pair[0]); /* and r has not read it */
    CHECK(!r.returned);
    put(pair[1]);
    CHECK_EQ(weft_select(c, 4, WEFT_SELECT_NOWAIT), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(r.result, 1);

    struct chooser ch = {.cases = {READ(pair[0])}, .n = 1};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    CHECK_EQ(weft_wait_ready(pair[0], WEFT_READABLE), -EBUSY);
    CHECK_EQ(weft_read(pair[0], r.buf, 1), -EBUSY);
    put(pair[1]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 0);
    close_pair(pair);
}

TEST(one_descriptor_in_several_cases_happens_once)
{
    weft_fd pair[2];
    weft_nursery n;
    open_pair(pair);
    (void)fill(pair[0]);
    for (int i = 0; i < 6; i++) {
        struct chooser ch = {.n = 6};
        for (int k = 0; k < 6; k++)
            ch.cases[k] = (weft_case)WEFT_CASE_FD(pair[0], 1 + (i + k) % 3);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, &ch);
        put(pair[1]);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK(ch.index >= 0 && ch.index < 6);
        CHECK(ch.cases[ch.index].events & WEFT_READABLE);
        CHECK_EQ(ch.cases[ch.index].result, WEFT_READABLE);
        take(pair[0]);
    }
    check_free(pair[0], pair[1]);
    close_pair(pair);
}

/* Of a datagram socket many wait, and here two of them in two places. */
TEST(a_datagram_wakes_all_who_select_it)
{
    weft_fd pair[2];
    weft_nursery n;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    for (int i = 0; i < 4; i++) {
        struct chooser a = {.cases = {READ(pair[0]), READ(pair[0])}, .n = 2};
        struct chooser b = a;
        struct call w = {.fd = pair[0]}, x = w;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        if (i & 1) CHECK_EQ(weft_spawn(&n, wait_readable, &w), 0);
        start(&n, &a);
        if (!(i & 1)) CHECK_EQ(weft_spawn(&n, wait_readable, &w), 0);
        start(&n, &b);
        if (i & 2) CHECK_EQ(weft_spawn(&n, wait_readable, &x), 0);
        settle();
        put(pair[1]);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK(a.index >= 0);
        CHECK(b.index >= 0);
        CHECK_EQ(w.result, WEFT_READABLE);
        if (i & 2) CHECK_EQ(x.result, WEFT_READABLE);
        take(pair[0]);
    }
    close_pair(pair);
}

static void dial(weft_fd *conn, weft_fd listener)
{
    weft_addr a;
    char text[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_local_addr(listener, &a), 0);
    (void)weft_addr_format(&a, text, sizeof text);
    CHECK_EQ(weft_dial(conn, text), 0);
}

TEST_REAL(a_listener_is_selected_and_then_accepted_from)
{
    weft_fd listener, conn[2];
    weft_nursery n;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    struct chooser ch = {.cases = {READ(listener)}, .n = 1};
    struct call a = {.fd = listener};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    CHECK_EQ(weft_spawn(&n, accept_one, &a), 0);
    settle();
    dial(&conn[0], listener);
    CHECK_EQ(weft_nursery_close(&n, 0), 0); /* it took nothing from a */
    CHECK_EQ(ch.index, 0);
    CHECK_EQ(a.result, 0);

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &ch);
    dial(&conn[1], listener);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ch.index, 0);
    CHECK_EQ(weft_select(ch.cases, 1, 0), 0);
    CHECK_EQ(accept_one(&a), 0);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(weft_select(ch.cases, 1, WEFT_SELECT_NOWAIT), -EAGAIN);
    close_pair(conn);
    CHECK_EQ(weft_close(listener), 0);
}

/* There is nothing to write to it; but others wait for connections. */
TEST_REAL(a_listener_selected_for_writing_can_be_accepted_from)
{
    weft_fd listener, conn;
    weft_nursery n;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    weft_case c[] = {WRITE(listener), WEFT_CASE_AFTER(WEFT_MSEC(1))};
    CHECK_EQ(weft_select(c, 2, 0), 1);
    struct call a = {.fd = listener};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, accept_one, &a), 0);
    settle();
    dial(&conn, listener);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_REAL(a_listener_that_nobody_selects_any_more_costs_no_polls)
{
    weft_fd listener, conn;
    weft_stats before, after;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    weft_case c[] = {READ(listener), WEFT_CASE_AFTER(WEFT_MSEC(1))};
    CHECK_EQ(weft_select(c, 2, 0), 1);
    dial(&conn, listener);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0); /* it is told once */
    weft_stats_read(&before);
    CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    weft_stats_read(&after);
    CHECK(after.polls - before.polls <= 5);
    CHECK_EQ(weft_select(c, 1, 0), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

/* --- a descriptor, an item, a task, an event and a moment --- */

static int sends_two(void *arg)
{
    weft_chan *c = arg;
    int err = weft_sleep(WEFT_MSEC(3));
    for (char item = 'a'; item < 'c' && err == 0; item++)
        err = weft_chan_send(c, &item);
    return err;
}

static int writes_and_sets(void *arg)
{
    struct chooser *ch = arg; /* its cases: the event and the descriptor */
    int err = weft_sleep(WEFT_MSEC(5));
    if (err < 0) return err;
    put(ch->cases[1].fd);
    err = weft_sleep(WEFT_MSEC(2));
    weft_event_set(ch->cases[0].object);
    return err;
}

TEST(all_kinds_of_things_happen_in_one_loop)
{
    weft_fd pair[2];
    weft_nursery n;
    weft_task t;
    weft_event e = WEFT_EVENT_INIT;
    weft_chan *c = weft_chan_new(1, 0, NULL, 0);
    weft_spawn_opts o = {.task = &t};
    struct chooser other = {.n = 0};
    char item = 0;
    int count[5] = {0};
    CHECK(c != NULL);
    open_pair(pair);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    other.cases[0] = (weft_case)WEFT_CASE_EVENT(&e);
    other.cases[1] = (weft_case)READ(pair[1]);
    CHECK_EQ(weft_spawn_ex(&n, sends_two, c, &o), 0);
    CHECK_EQ(weft_spawn(&n, writes_and_sets, &other), 0);
    weft_time start_at = weft_now();
    weft_case cases[] = {WEFT_CASE_RECV(c, &item), WEFT_CASE_TASK(&t),
                         READ(pair[0]), WEFT_CASE_EVENT(&e),
                         WEFT_CASE_AFTER(WEFT_MSEC(20))};
    for (;;) {
        int at = weft_select(cases, 5, 0);
        if (at == -EINVAL) break;
        CHECK(at >= 0 && at < 5);
        count[at]++;
        if (at == 2) take(pair[0]);
        if (at != 0 && at != 2) cases[at].on = WEFT_ON_OFF;
        if (at == 4) cases[0].on = cases[2].on = WEFT_ON_OFF;
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(count[0], 2);
    for (int i = 1; i < 5; i++)
        CHECK_EQ(count[i], 1);
    CHECK_EQ(weft_now(), start_at + WEFT_MSEC(20));
    weft_chan_free(c);
    close_pair(pair);
}
