/* SPDX-License-Identifier: MIT */
/* test_testing.c - settling, and tests that see what is wrong. */
#include <weft/chan.h>
#include <weft/debug.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/socket.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "deadlock.h"
#include "harness.h"
#include "open.h"
#include "process.h"

/* ---- settling ----------------------------------------------------------- */

struct sleeper {
    weft_time ns;
    bool awake;
};

static int sleeps(void *arg)
{
    struct sleeper *s = arg;
    int err = weft_sleep(s->ns);
    s->awake = err == 0;
    return err;
}

TEST(clk_02_settling_ends_before_the_clock_jumps)
{
    struct sleeper s = {WEFT_MSEC(1), false};
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_time start = weft_now();
        CHECK_EQ(weft_spawn(&n, sleeps, &s), 0);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(weft_test_settle(), 0);
            CHECK_EQ(weft_now(), start);
            CHECK(!s.awake);
        }
        CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
        CHECK(s.awake);
    }
    CHECK_EQ(rc, 0);
}

TEST_REAL(settling_does_not_wait_for_the_real_clock_either)
{
    struct sleeper s = {WEFT_SEC(3600), false};
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, sleeps, &s), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK(!s.awake);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST_REAL(timers_that_are_due_come_first)
{
    struct sleeper s = {WEFT_MSEC(1), false};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, sleeps, &s), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(usleep(3000), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK(s.awake);
    }
    CHECK_EQ(rc, 0);
}

static unsigned rounds;

static int yields_often(void *arg)
{
    for (rounds = 0; rounds < *(unsigned *)arg; rounds++) {
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

TEST(settling_waits_while_anybody_is_ready)
{
    unsigned times = 1000;
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, yields_often, &times), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(rounds, times);
    }
    CHECK_EQ(rc, 0);
}

struct link {
    weft_fd from, to;
    bool passed;
};

static int passes_on(void *arg)
{
    struct link *l = arg;
    char c;
    CHECK_EQ(weft_read(l->from, &c, 1), 1);
    CHECK_EQ(weft_write(l->to, &c, 1), 1);
    l->passed = true;
    return 0;
}

TEST(settling_waits_while_a_socket_is_ready)
{
    enum { LINKS = 5 };
    weft_fd p[LINKS + 1][2];
    struct link l[LINKS];
    int rc;
    for (int i = 0; i <= LINKS; i++) {
        CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, p[i]), 0);
    }
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < LINKS; i++) {
            l[i] = (struct link){p[i][1], p[i + 1][0], false};
            CHECK_EQ(weft_spawn(&n, passes_on, &l[i]), 0);
        }
        weft_time start = weft_now();
        CHECK_EQ(weft_test_settle(), 0);
        for (int i = 0; i < LINKS; i++)
            CHECK(!l[i].passed);
        CHECK_EQ(weft_write(p[0][0], "x", 1), 1);
        CHECK_EQ(weft_test_settle(), 0);
        for (int i = 0; i < LINKS; i++)
            CHECK(l[i].passed);
        CHECK_EQ(weft_now(), start);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i <= LINKS; i++) {
        CHECK_EQ(weft_close(p[i][0]), 0);
        CHECK_EQ(weft_close(p[i][1]), 0);
    }
}

static char order[16];

static int settles_and_says(void *arg)
{
    CHECK_EQ(weft_test_settle(), 0);
    strcat(order, arg);
    return 0;
}

TEST_FIFO(several_that_settle_go_on_together_in_line)
{
    struct sleeper s = {WEFT_MSEC(1), false};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, sleeps, &s), 0);
        CHECK_EQ(weft_spawn(&n, settles_and_says, "a"), 0);
        CHECK_EQ(weft_spawn(&n, settles_and_says, "b"), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_STR(order, ""); /* we were the first to settle */
        CHECK_EQ(weft_yield(), 0);
        CHECK_STR(order, "ab");
        CHECK(!s.awake);
    }
    CHECK_EQ(rc, 0);
}

TEST(who_settles_again_settles_after_the_others_that_did)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, settles_and_says, "a"), 0);
        CHECK_EQ(weft_spawn(&n, settles_and_says, "b"), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(strlen(order), 2);
    }
    CHECK_EQ(rc, 0);
}

TEST(alone_one_is_settled)
{
    weft_time start = weft_now();
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_now(), start);
}

TEST_PLAIN(outside_a_fiber_nobody_settles)
{
    CHECK_EQ(weft_test_settle(), -EPERM);
}

TEST(a_cancelled_fiber_does_not_settle)
{
    unsigned times = 5;
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, yields_often, &times), 0);
        open_cancelled_scope(&s);
        CHECK_EQ(weft_test_settle(), -ECANCELED);
        CHECK_EQ(rounds, 0);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

static int cancels(void *arg)
{
    CHECK_EQ(weft_yield(), 0);
    weft_scope_cancel(arg, 0, NULL);
    return weft_yield();
}

TEST(settling_can_be_cancelled)
{
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_scope_init(&s);
        CHECK_EQ(weft_spawn(&n, cancels, &s), 0);
        CHECK_EQ(weft_scope_begin(&s), 0);
        CHECK_EQ(weft_test_settle(), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
        CHECK_EQ(weft_test_settle(), 0);
    }
    CHECK_EQ(rc, 0);
}

static int settles_and_cancels(void *arg)
{
    CHECK_EQ(weft_test_settle(), 0);
    weft_scope_cancel(arg, 0, NULL);
    return 0;
}

TEST_FIFO(who_has_settled_is_not_cancelled_any_more)
{
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        open_scope(&s);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
        weft_scope_init(&s);
        CHECK_EQ(weft_spawn(&n, settles_and_cancels, &s), 0);
        CHECK_EQ(weft_yield(), 0); /* it is before us in line */
        CHECK_EQ(weft_scope_begin(&s), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK(weft_scope_cancel_called(&s));
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

static weft_event never;

static int waits_for_ever(void *arg)
{
    (void)arg;
    return weft_event_wait(&never);
}

static int settles_beside_one_that_waits(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_test_settle(), 0);
        if (arg) weft_event_set(&never);
    }
    weft_event_clear(&never);
    return rc;
}

/* The harness fails a test in which a deadlock was reported. */
TEST(to_settle_is_no_deadlock)
{
    CHECK_EQ(settles_beside_one_that_waits(&never), 0);
}

TEST_PLAIN(a_deadlock_after_settling_is_one)
{
    (void)deadlock_report(settles_beside_one_that_waits);
}

static int dumps(void *arg)
{
    (void)arg;
    weft_dump(2);
    return 0;
}

static int dumps_one_that_settles(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, dumps, NULL), 0);
        CHECK_EQ(weft_test_settle(), 0);
    }
    return rc;
}

static void run_one_that_settles(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_run(dumps_one_that_settles, NULL, NULL), 0);
}

TEST_PLAIN(the_dump_says_who_settles)
{
    static struct ending e;
    run_in_process(run_one_that_settles, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "in settle"));
}

/* ---- on_deadlock -------------------------------------------------------- */

static void deadlocks_and_aborts(void *arg)
{
    weft_run_opts opts = {.on_deadlock = WEFT_DEADLOCK_ABORT};
    (void)arg;
    (void)!weft_run(waits_for_ever, NULL, &opts);
}

TEST_PLAIN(a_deadlock_can_be_asked_to_abort)
{
    static struct ending e;
    run_in_process(deadlocks_and_aborts, NULL, &e);
    CHECK_EQ(e.signal, SIGABRT);
    CHECK(strstr(e.said, "weft: deadlock"));
    CHECK(strstr(e.said, "parked"));
}

static void deadlocks_and_waits(void *arg)
{
    weft_run_opts opts = {.on_deadlock = WEFT_DEADLOCK_WAIT,
                          .virtual_clock = arg != NULL};
    struct itimerval soon = {.it_value = {.tv_usec = 30000}};
    CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
    (void)!weft_run(waits_for_ever, NULL, &opts);
}

TEST_PLAIN(a_deadlock_can_be_waited_in)
{
    static struct ending e;
    run_in_process(deadlocks_and_waits, NULL, &e);
    CHECK_EQ(e.signal, SIGALRM);
    CHECK_STR(e.said, "");
    run_in_process(deadlocks_and_waits, &never, &e);
    CHECK_EQ(e.signal, SIGALRM);
    CHECK_STR(e.said, "");
}

/* ---- tests that pass ---------------------------------------------------- */

static unsigned calls;
static uint64_t seeds[64];

static int notes_its_seed(void *arg)
{
    (void)arg;
    seeds[calls++] = weft_test_seed();
    return 0;
}

TEST_PLAIN(a_test_runs_in_line_and_then_in_nineteen_orders)
{
    CHECK_EQ(weft_test("plain", notes_its_seed, NULL, NULL), 0);
    CHECK_EQ(calls, 20);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(seeds[i], i);
}

TEST_PLAIN(a_test_runs_in_as_many_orders_as_it_is_told)
{
    weft_test_opts opts = {.orders = 3};
    CHECK_EQ(weft_test("plain", notes_its_seed, NULL, &opts), 0);
    CHECK_EQ(calls, 3);
}

TEST_PLAIN(a_test_with_a_seed_runs_once)
{
    weft_test_opts opts = {.seed = 12345, .orders = 3};
    CHECK_EQ(weft_test("plain", notes_its_seed, NULL, &opts), 0);
    CHECK_EQ(calls, 1);
    CHECK_EQ(seeds[0], 12345);
}

static int succeeds_with_a_number(void *arg)
{
    (void)arg;
    return 5;
}

TEST_PLAIN(a_test_that_returns_a_count_has_passed)
{
    CHECK_EQ(weft_test("counts", succeeds_with_a_number, NULL, NULL), 0);
}

static weft_time began;

static int notes_the_clock(void *arg)
{
    began = weft_now();
    return weft_sleep(*(weft_time *)arg);
}

TEST_PLAIN(the_clock_of_a_test_is_virtual_unless_it_is_told_otherwise)
{
    weft_test_opts real = {.orders = 1, .real_clock = true};
    weft_run_opts run = {.virtual_clock = true};
    weft_time hour = WEFT_SEC(3600), little = 1;
    CHECK_EQ(weft_test("an hour", notes_the_clock, &hour, NULL), 0);
    CHECK_EQ(began, WEFT_SEC(1)); /* where the virtual one starts */
    CHECK_EQ(weft_test("real", notes_the_clock, &little, &real), 0);
    CHECK(began != WEFT_SEC(1));
    real.run = &run; /* says nothing here */
    CHECK_EQ(weft_test("real", notes_the_clock, &little, &real), 0);
    CHECK(began != WEFT_SEC(1));
}

static void passes_on_what_is_for_the_run(void *arg)
{
    weft_run_opts run = {.on_deadlock = WEFT_DEADLOCK_ABORT};
    weft_test_opts opts = {.run = &run};
    (void)arg;
    (void)!weft_test("aborts", waits_for_ever, NULL, &opts);
}

TEST_PLAIN(the_other_options_of_a_run_are_passed_on)
{
    static struct ending e;
    run_in_process(passes_on_what_is_for_the_run, NULL, &e);
    CHECK_EQ(e.signal, SIGABRT);
}

/* ---- tests that fail ---------------------------------------------------- */

/* Runs the test in a process and hands back its result and its words. */
struct trial {
    weft_fn fn;
    const weft_test_opts *opts;
};

static weft_chan *forgotten;

static void runs_a_trial(void *arg)
{
    const struct trial *t = arg;
    int rc = weft_test("the trial", t->fn, NULL, t->opts);
    weft_chan_free(forgotten); /* Valgrind would speak up too */
    (void)fprintf(stderr, "calls %u\n", calls);
    (void)fflush(NULL);
    _exit(rc < 0 ? -rc : 0);
}

static struct ending said;

static int result_of(weft_fn fn, const weft_test_opts *o)
{
    struct trial t = {fn, o};
    run_in_process(runs_a_trial, &t, &said);
    CHECK_EQ(said.signal, 0);
    return -said.status;
}

static int expects_too_much(void *arg)
{
    (void)arg;
    calls++;
    WEFT_EXPECT(calls > 0);
    WEFT_EXPECT(1 + 1 == 3);
    return 0;
}

TEST_PLAIN(a_test_that_fails_says_where_and_in_which_order)
{
    CHECK_EQ(result_of(expects_too_much, NULL), -EPROTO);
    CHECK(strstr(said.said, "the trial"));
    CHECK(strstr(said.said, "1 + 1 == 3"));
    CHECK(strstr(said.said, "test_testing.c"));
    CHECK(strstr(said.said, "first come first served"));
    CHECK(strstr(said.said, "orders = 1\n"));
    CHECK(strstr(said.said, "calls 1\n")); /* the first that fails is enough */
}

TEST_PLAIN(a_test_that_fails_with_a_seed_names_that)
{
    weft_test_opts opts = {.seed = UINT64_MAX};
    CHECK_EQ(result_of(expects_too_much, &opts), -EPROTO);
    CHECK(strstr(said.said, "seed 18446744073709551615"));
    CHECK(strstr(said.said, "seed = 18446744073709551615\n"));
}

static int fails_without_a_word(void *arg)
{
    (void)arg;
    return -ENOENT;
}

TEST_PLAIN(a_failure_without_a_record_is_told_by_its_code)
{
    CHECK_EQ(result_of(fails_without_a_word, NULL), -ENOENT);
    CHECK(strstr(said.said, weft_strerror(-ENOENT)));
}

static int leaks_a_descriptor(void *arg)
{
    (void)arg;
    calls++;
    return dup2(2, 77) == 77 ? 0 : -EIO;
}

TEST_PLAIN(a_descriptor_that_stays_open_fails_the_test)
{
    CHECK_EQ(result_of(leaks_a_descriptor, NULL), -ENOTEMPTY);
    CHECK(strstr(said.said, "left behind: descriptor 77\n"));
    CHECK(strstr(said.said, "calls 1\n"));
}

static int leaks_many_descriptors(void *arg)
{
    (void)arg;
    for (int fd = 60; fd < 80; fd++) {
        if (dup2(2, fd) < 0) return -EIO;
    }
    return 0;
}

TEST_PLAIN(of_many_descriptors_the_first_are_named)
{
    CHECK_EQ(result_of(leaks_many_descriptors, NULL), -ENOTEMPTY);
    CHECK(strstr(said.said, "descriptor 60, "));
    CHECK(strstr(said.said, "descriptor 75, 4 more descriptors\n"));
}

static int closes_one_and_opens_one(void *arg)
{
    (void)arg;
    if (close(77) < 0) return -EIO;
    return dup2(2, 77) == 77 ? 0 : -EIO;
}

TEST_PLAIN(a_descriptor_that_was_open_before_may_be_so_after)
{
    CHECK_EQ(dup2(2, 77), 77);
    CHECK_EQ(weft_test("again", closes_one_and_opens_one, NULL, NULL), 0);
    CHECK_EQ(close(77), 0);
}

static int leaks_a_pair(void *arg)
{
    weft_fd p[2];
    (void)arg;
    return weft_socketpair(AF_UNIX, SOCK_STREAM, p);
}

TEST_PLAIN(handles_that_were_not_closed_fail_the_test)
{
    CHECK_EQ(result_of(leaks_a_pair, NULL), -ENOTEMPTY);
    CHECK(strstr(said.said, "descriptor "));
    CHECK(strstr(said.said, "2 handles"));
}

static int leaks_a_channel(void *arg)
{
    (void)arg;
    forgotten = weft_chan_new(sizeof(int), 4, NULL, 0);
    return forgotten ? 0 : -ENOMEM;
}

TEST_PLAIN(memory_of_the_library_that_stays_fails_the_test)
{
    CHECK_EQ(result_of(leaks_a_channel, NULL), -ENOTEMPTY);
    CHECK(strstr(said.said, " octets\n"));
    CHECK(!strstr(said.said, "descriptor"));
}

static int survives_a_deadlock(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_event_wait(&never), -ECANCELED);
    return 0;
}

TEST_PLAIN(a_deadlock_fails_the_test_though_it_was_survived)
{
    CHECK_EQ(result_of(survives_a_deadlock, NULL), -EDEADLK);
    CHECK(strstr(said.said, "there was a deadlock"));
    CHECK_EQ(result_of(waits_for_ever, NULL), -EDEADLK);
    CHECK(strstr(said.said, "there was a deadlock"));
}

static int fails_and_leaks(void *arg)
{
    (void)!leaks_a_descriptor(arg);
    return weft_fail(-EIO, "and so on");
}

TEST_PLAIN(all_that_is_wrong_is_told_and_the_result_is_the_tests)
{
    CHECK_EQ(result_of(fails_and_leaks, NULL), -EIO);
    CHECK(strstr(said.said, "descriptor 77"));
    CHECK(strstr(said.said, "and so on"));
}

static int runs_a_test_inside(void *arg)
{
    (void)arg;
    return weft_test("inside", notes_its_seed, NULL, NULL);
}

TEST_PLAIN(a_test_inside_a_run_is_refused)
{
    weft_test_opts opts = {.orders = 1};
    CHECK_EQ(result_of(runs_a_test_inside, &opts), -EBUSY);
    CHECK(strstr(said.said, "calls 0\n"));
}

/* ---- what only another order shows -------------------------------------- */

static int balance;

static int deposits(void *arg)
{
    balance += *(int *)arg;
    return 0;
}

static int withdraws(void *arg)
{
    if (balance < *(int *)arg) return weft_fail(-EPERM, "an empty account");
    balance -= *(int *)arg;
    return 0;
}

/* Nobody says that the money comes first. */
static int deposits_and_withdraws(void *arg)
{
    static int sum = 10;
    int rc;
    (void)arg;
    calls++;
    balance = 0;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, deposits, &sum);
        if (rc == 0) rc = weft_spawn(&n, withdraws, &sum);
    }
    return rc;
}

TEST_PLAIN(a_program_that_depends_on_the_order_is_found_out)
{
    weft_test_opts in_line = {.orders = 1}, again = {.seed = 0};
    CHECK_EQ(weft_test("account", deposits_and_withdraws, NULL, &in_line), 0);
    CHECK_EQ(result_of(deposits_and_withdraws, NULL), -EPERM);
    CHECK(strstr(said.said, "an empty account"));

    const char *number = strstr(said.said, "seed = ");
    CHECK(number);
    again.seed = strtoull(number + strlen("seed = "), NULL, 10);
    CHECK(again.seed > 0 && again.seed < 20);
    calls = 0;
    CHECK_EQ(result_of(deposits_and_withdraws, &again), -EPERM);
    CHECK(strstr(said.said, "calls 1\n"));
}

static weft_mutex account;

static int takes_the_account_twice(void *arg)
{
    int rc;
    WEFT_LOCKED(&account, rc) {
        rc = weft_test_settle();
        balance++;
    }
    return rc < 0 ? rc : deposits(arg);
}

static int takes_turns_at_the_account(void *arg)
{
    static int sum = 1;
    int rc;
    (void)arg;
    balance = 0;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(weft_spawn(&n, takes_the_account_twice, &sum), 0);
        }
    }
    WEFT_EXPECT(balance == 10);
    return rc;
}

TEST_PLAIN(a_program_that_does_not_is_right_in_all_of_them)
{
    weft_test_opts opts = {.orders = 60};
    CHECK_EQ(weft_test("turns", takes_turns_at_the_account, NULL, &opts), 0);
}
