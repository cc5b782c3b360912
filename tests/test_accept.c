/* SPDX-License-Identifier: MIT */
/* test_accept.c - accepting: in order, after resets, and without descriptors. */
#include <weft/debug.h>
#include <weft/run.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>

#include "fibers.h"
#include "harness.h"
#include "process.h"
#include "sockets.h"

static weft_fd listener;
static char address[WEFT_ADDR_TEXT];

static void open_listener(const char *at)
{
    weft_addr a;
    CHECK_EQ(weft_listen(&listener, at, NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &a), 0);
    (void)weft_addr_format(&a, address, sizeof address);
}

static weft_fd dial(void)
{
    weft_fd conn;
    CHECK_EQ(weft_dial(&conn, address), 0);
    return conn;
}

TEST_FIFO_REAL(acceptors_are_served_in_the_order_in_which_they_came)
{
    enum { MANY = 10 };
    struct call a[MANY];
    weft_fd conns[MANY];
    int turns = 0, rc;
    open_listener("127.0.0.1:0");
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < MANY; i++) {
            a[i] = (struct call){.fd = listener, .turns = &turns};
            CHECK_EQ(weft_spawn(&n, accept_one, &a[i]), 0);
        }
        settle();
        CHECK_EQ(turns, 0);
        for (int i = 0; i < MANY; i++) {
            conns[i] = dial();
            if (i < 3) settle(); /* some one by one, the others in a bunch */
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(a[i].result, 0);
        CHECK_EQ(a[i].turn, i + 1);
        CHECK_EQ(weft_close(conns[i]), 0);
    }
    CHECK_EQ(weft_close(listener), 0);
}

TEST_REAL(a_try_accept_takes_what_waits_and_says_eagain_else)
{
    weft_fd conn, back;
    weft_addr peer, local;
    open_listener("127.0.0.1:0");
    CHECK_EQ(weft_try_accept(listener, &back, NULL), -EAGAIN);
    conn = dial();
    CHECK_EQ(weft_try_accept(listener, &back, &peer), 0);
    CHECK_EQ(weft_local_addr(conn, &local), 0);
    CHECK_EQ(weft_addr_port(&peer), weft_addr_port(&local));
    CHECK_EQ(weft_try_accept(listener, &back, NULL), -EAGAIN);
    CHECK_EQ(weft_close(back), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_REAL(a_cancelled_acceptor_leaves_the_connection_to_the_next)
{
    int rc;
    open_listener("127.0.0.1:0");
    struct call a = {.fd = listener}, b = {.fd = listener};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, accept_one, &a), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a.result, -ECANCELED);
    weft_fd conn = dial();
    CHECK_EQ(accept_one(&b), 0);
    CHECK_EQ(b.result, 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_REAL(a_shut_down_listener_that_nobody_waits_at_costs_no_polls)
{
    weft_stats before, after;
    int rc;
    open_listener("127.0.0.1:0");
    struct call a = {.fd = listener};
    WEFT_NURSERY(n, rc) { /* so that it is registered */
        CHECK_EQ(weft_spawn(&n, accept_one, &a), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_shutdown_fd(listener, SHUT_RD), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0); /* it is told once */
    weft_stats_read(&before);
    CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    weft_stats_read(&after);
    CHECK(after.polls - before.polls <= 5);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_REAL(a_parked_acceptor_still_accepts_after_a_second_listen)
{
    weft_fd conn;
    int rc;
    open_listener("127.0.0.1:0");
    struct call a = {.fd = listener};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, accept_one, &a), 0);
        settle();
        CHECK_EQ(weft_listen_on(listener, 64), 0);
        conn = dial();
        for (int i = 0; i < 1000 && !a.returned; i++)
            CHECK_EQ(weft_sleep(WEFT_USEC(200)), 0);
        CHECK(a.returned);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_REAL(when_one_acceptor_is_cancelled_the_others_still_accept)
{
    int rc, inner;
    open_listener("127.0.0.1:0");
    struct call a = {.fd = listener}, b = {.fd = listener};
    weft_fd conn = {0, 0};
    WEFT_NURSERY(n, rc) {
        WEFT_NURSERY(m, inner) {
            CHECK_EQ(weft_spawn(&m, accept_one, &a), 0);
            settle();
            CHECK_EQ(weft_spawn(&n, accept_one, &b), 0);
            settle();
            conn = dial(); /* wakes a, perhaps, which is then cancelled */
            weft_nursery_cancel(&m, 0, NULL);
        }
        CHECK_EQ(inner, 0);
        if (a.result == 0) {
            CHECK_EQ(weft_close(conn), 0);
            conn = dial();
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(b.result, 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

/* Linux hands such a connection out all the same; then its first read says
 * ECONNRESET. What must not be is an error of accept, or a hang. */
TEST_REAL(connections_reset_before_the_accept_do_not_disturb_it)
{
    open_listener("127.0.0.1:0");
    for (int i = 0; i < 3; i++) {
        weft_fd gone = dial();
        CHECK_EQ(weft_set_reset_on_close(gone, true), 0);
        CHECK_EQ(weft_close(gone), 0);
    }
    weft_fd last = dial(), conn;
    char c = 0;
    CHECK_EQ(weft_write(last, "!", 1), 1);
    for (;;) {
        CHECK_EQ(weft_accept(listener, &conn, NULL), 0);
        ssize_t n = weft_read(conn, &c, 1);
        CHECK_EQ(weft_close(conn), 0);
        if (n == 1) break;
        CHECK_EQ(n, -ECONNRESET);
    }
    CHECK_EQ(c, '!');
    CHECK_EQ(weft_close(last), 0);
    CHECK_EQ(weft_close(listener), 0);
}

/* ---- without descriptors ------------------------------------------------ */

static void leave_descriptors(int more)
{
    struct rlimit limit;
    int next = dup(0);
    CHECK(next >= 0);
    CHECK_EQ(close(next), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)(next + more);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Dials by a raw descriptor, which was made before they ran out. */
static void connect_raw(int fd)
{
    weft_addr at;
    CHECK_EQ(weft_addr_parse(&at, address), 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&at.sa, at.len), 0);
}

static double cpu_seconds(void)
{
    struct timespec t;
    CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void need_real_limits(void)
{
    if (valgrind_is_watching())
        SKIP("Valgrind makes the call and then closes its descriptor");
}

static int accept_starving(void *unused)
{
    enum { LATE = 3 };
    int raw[LATE], rc;
    weft_fd near_end, far_end;
    weft_stats before, during;
    struct call a[LATE];
    char c;
    (void)unused;
    open_listener("127.0.0.1:0");
    near_end = dial(); /* a connection that is there already */
    CHECK_EQ(weft_accept(listener, &far_end, NULL), 0);
    for (int i = 0; i < LATE; i++) raw[i] = socket(AF_INET, SOCK_STREAM, 0);
    int spare = dup(0);
    weft_fd closable;
    CHECK_EQ(weft_fd_adopt(spare, &closable), 0);
    leave_descriptors(0);

    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < LATE; i++) {
            a[i] = (struct call){.fd = listener};
            CHECK_EQ(weft_spawn(&n, accept_one, &a[i]), 0);
            connect_raw(raw[i]);
        }
        settle();
        weft_stats_read(&before);
        CHECK(before.accept_starved >= 1);
        weft_fd none;
        CHECK_EQ(weft_try_accept(listener, &none, NULL), -EMFILE);
        double cpu = cpu_seconds();
        CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
        weft_stats_read(&during);
        CHECK(during.polls - before.polls <= 20);
        if (!test_is_slow()) CHECK(cpu_seconds() - cpu < 0.010);

        /* The others are unharmed... */
        CHECK_EQ(weft_write(near_end, "x", 1), 1);
        CHECK_EQ(weft_read(far_end, &c, 1), 1);
        for (int i = 0; i < LATE; i++) CHECK(!a[i].returned);

        /* ... and it goes on as soon as there is a descriptor, one for all. */
        weft_time start = weft_now();
        CHECK_EQ(weft_close(closable), 0);
        while (!a[0].returned || !a[1].returned || !a[2].returned) {
            CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
            CHECK(weft_now() - start < WEFT_SEC(test_is_slow() ? 20 : 1));
        }
        CHECK(weft_now() - start < WEFT_MSEC(test_is_slow() ? 1000 : 20));
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < LATE; i++) CHECK_EQ(a[i].result, 0);
    return 0;
}

static void starve(void *arg)
{
    const weft_fn *fn = arg;
    CHECK_EQ(weft_run(*fn, NULL, NULL), 0);
}

TEST_PLAIN(without_descriptors_accept_waits_quietly_and_goes_on_at_once)
{
    need_real_limits();
    weft_fn fn = accept_starving;
    must_run_in_process(starve, &fn);
}

static int accept_starving_and_cancelled(void *unused)
{
    int raw, rc;
    (void)unused;
    open_listener("127.0.0.1:0");
    raw = socket(AF_INET, SOCK_STREAM, 0);
    leave_descriptors(0);
    struct call a = {.fd = listener}, b = {.fd = listener};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, accept_one, &a), 0);
        connect_raw(raw);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a.result, -ECANCELED);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, accept_one, &b), 0);
        settle();
        CHECK_EQ(weft_close(listener), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(b.result, -EBADF);
    return 0;
}

TEST_PLAIN(a_starving_acceptor_can_be_cancelled_and_closed)
{
    need_real_limits();
    weft_fn fn = accept_starving_and_cancelled;
    must_run_in_process(starve, &fn);
}

/* A foreign descriptor is closed behind weft's back: a timer finds out. */
static int accept_starving_behind_our_back(void *unused)
{
    int raw, spare, rc;
    (void)unused;
    open_listener("127.0.0.1:0");
    raw = socket(AF_INET, SOCK_STREAM, 0);
    spare = dup(0);
    leave_descriptors(0);
    struct call a = {.fd = listener};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, accept_one, &a), 0);
        connect_raw(raw);
        settle();
        CHECK(!a.returned);
        CHECK_EQ(close(spare), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a.result, 0);
    return 0;
}

TEST_PLAIN(a_descriptor_freed_behind_weft_s_back_is_found_soon)
{
    need_real_limits();
    weft_fn fn = accept_starving_behind_our_back;
    must_run_in_process(starve, &fn);
}

static int other_calls_starving(void *unused)
{
    weft_fd fd, pair[2];
    (void)unused;
    open_listener("127.0.0.1:0");
    leave_descriptors(0);
    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &fd), -EMFILE);
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), -EMFILE);
    CHECK_EQ(weft_dial(&fd, address), -EMFILE);
    CHECK_EQ(weft_listen(&fd, "127.0.0.1:0", NULL), -EMFILE);
    return 0;
}

TEST_PLAIN(without_descriptors_the_other_calls_say_emfile)
{
    need_real_limits();
    weft_fn fn = other_calls_starving;
    must_run_in_process(starve, &fn);
}

static void run_starving(void *unused)
{
    (void)unused;
    leave_descriptors(0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_run(does_nothing, NULL, NULL), -EMFILE);
}

TEST_PLAIN(without_descriptors_a_run_cannot_begin)
{
    must_run_in_process(run_starving, NULL);
}
