/* SPDX-License-Identifier: MIT */
/* test_process.c - child processes: from start to close, and none left over. */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/process.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "shell.h"
#include "starve.h"
#include "system.h"

static const weft_process_io to_pipe = {WEFT_IO_PIPE, 0};
static const weft_process_io to_null = {WEFT_IO_NULL, 0};

static char said[8192];

static weft_capture everything(void)
{
    return (weft_capture){.buf = said, .room = sizeof said};
}

/* What a shell script writes; it has to succeed. */
static const char *output_of(weft_process_opts o)
{
    weft_capture out = everything();
    CHECK_EQ(weft_process_run(&o, NULL, 0, &out, NULL), 0);
    CHECK_EQ(out.dropped, 0);
    return said;
}

/* Starts a script and waits until it has written a line, so that it has come to
 * where it stands. */
static void start_and_hear(weft_process *p, weft_process_opts o)
{
    char line[64];
    o.out = to_pipe;
    CHECK_EQ(weft_process_start(p, &o), 0);
    CHECK(weft_read(p->out, line, sizeof line) > 0);
}

/* ---- its end ------------------------------------------------------------ */

TEST_REAL(an_exit_code_is_what_wait_returns_however_often)
{
    weft_process p;
    weft_process_opts o = SHELL("exit 3");
    CHECK_EQ(weft_process_start(&p, &o), 0);
    CHECK(weft_process_id(&p) > 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_process_wait(&p), 3);
    CHECK_EQ(weft_process_signal(3), 0);
    CHECK_EQ(weft_process_kill(&p, SIGTERM), -ESRCH);
    CHECK_EQ(weft_process_close(&p), 3);
    CHECK_EQ(weft_process_wait(&p), -ECHILD);
    CHECK_EQ(weft_process_kill(&p, SIGTERM), -ECHILD);
    CHECK_EQ(weft_process_terminate(&p, 0), -ECHILD);
    CHECK_EQ(weft_process_id(&p), -ECHILD);
    CHECK_EQ(weft_process_close(&p), 0);
}

TEST_REAL(until_close_its_number_is_nobody_else_s)
{
    weft_process p;
    weft_process_opts o = SHELL("exit 0");
    CHECK_EQ(weft_process_start(&p, &o), 0);
    CHECK_EQ(weft_process_wait(&p), 0);
    pid_t pid = weft_process_id(&p);
    CHECK_EQ(kill(pid, 0), 0);
    CHECK_EQ(weft_process_close(&p), 0);
    CHECK_EQ(kill(pid, 0), -1);
}

TEST_REAL(the_signal_that_ended_it_is_above_every_exit_code)
{
    weft_process p;
    weft_process_opts o = SHELL("kill -USR1 $$");
    CHECK_EQ(weft_process_start(&p, &o), 0);
    int how = weft_process_wait(&p);
    CHECK_EQ(how, WEFT_SIGNALLED(SIGUSR1));
    CHECK_EQ(weft_process_signal(how), SIGUSR1);
    CHECK(how > 255);
    CHECK_EQ(weft_process_close(&p), how);
    o = SHELL("exit 255");
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), 255);
}

/* It is reaped all the same, as the harness sees. */
TEST_REAL(who_does_not_wait_may_close)
{
    weft_process p;
    weft_process_opts o = SHELL("exit 0");
    CHECK_EQ(weft_process_start(&p, &o), 0);
    int how = weft_process_close(&p);
    CHECK(how == 0 || how == WEFT_SIGNALLED(SIGTERM));
    CHECK_PTR(p.child_, NULL);
}

enum { WAITERS = 5 };

static void spawn_waiters(weft_nursery *n, struct waiter *w, weft_process *p)
{
    for (int i = 0; i < WAITERS; i++) {
        w[i] = (struct waiter){p, 1};
        CHECK_EQ(weft_spawn(n, waits, &w[i]), 0);
        CHECK_EQ(weft_test_settle(), 0);
    }
}

TEST_REAL(any_number_of_fibers_may_wait_for_it)
{
    struct waiter w[WAITERS];
    weft_process p;
    weft_process_opts o = SHELL("read line; exit 4");
    o.in = to_pipe;
    int rc;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    WEFT_NURSERY(n, rc) {
        spawn_waiters(&n, w, &p);
        CHECK_EQ(weft_close(p.in), 0);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(w[i].got, 4);
    CHECK_EQ(weft_process_close(&p), 4);
}

/* The first one is the one that watches the process for all. */
TEST_REAL(those_who_wait_get_over_the_cancellation_of_others)
{
    struct waiter w[WAITERS];
    weft_process p;
    weft_process_opts o = SHELL("read line; exit 4");
    o.in = to_pipe;
    int rc, rc2;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    WEFT_NURSERY(n, rc) {
        WEFT_NURSERY(first, rc2) {
            for (int i = 0; i < 2; i++) {
                w[i] = (struct waiter){&p, 1};
                CHECK_EQ(weft_spawn(&first, waits, &w[i]), 0);
                CHECK_EQ(weft_test_settle(), 0);
            }
            for (int i = 2; i < WAITERS; i++) {
                w[i] = (struct waiter){&p, 1};
                CHECK_EQ(weft_spawn(&n, waits, &w[i]), 0);
                CHECK_EQ(weft_test_settle(), 0);
            }
            weft_nursery_cancel(&first, 0, "enough");
        }
        CHECK_EQ(rc2, 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_close(p.in), 0);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(w[i].got, i < 2 ? -ECANCELED : 4);
    CHECK_EQ(weft_process_close(&p), 4);
}

TEST_REAL(those_who_wait_get_their_answer_when_it_is_closed)
{
    struct waiter w[WAITERS];
    weft_process_opts o = SHELL("sleep 30");
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_process p;
        CHECK_EQ(weft_process_start(&p, &o), 0);
        spawn_waiters(&n, w, &p);
        CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGTERM));
        memset(&p, 0xa5, sizeof p); /* they do not look at it any more */
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(w[i].got, WEFT_SIGNALLED(SIGTERM));
}

/* Which nobody else has been told of yet. */
TEST_REAL(an_end_that_close_sees_first_reaches_the_one_who_watches)
{
    weft_process p;
    struct waiter w = {&p, 1};
    siginfo_t info;
    weft_process_opts o = SHELL("sleep 30");
    int rc;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        id_t pid = (id_t)weft_process_id(&p);
        CHECK_EQ(weft_process_kill(&p, SIGKILL), 0);
        CHECK_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
        CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGKILL));
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.got, WEFT_SIGNALLED(SIGKILL));
}

TEST_REAL(the_dump_names_the_process)
{
    struct waiter w;
    weft_process p;
    weft_process_opts o = SHELL("sleep 30");
    int rc;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    struct waiter v = w = (struct waiter){&p, 1};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &v), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK(strstr(dump(), "in process "));
        (void)weft_process_close(&p);
    }
    CHECK_EQ(rc, 0);
}

/* ---- what it is given --------------------------------------------------- */

TEST_REAL(its_arguments_are_those_and_its_name_may_be_another)
{
    weft_process_opts o = {.argv = WEFT_ARGV("another", "-c",
                                             "printf '%s|' $0 \"$@\"", "a name",
                                             "", "x y", "$HOME"),
                           .path = "/bin/sh"};
    CHECK_STR(output_of(o), "a|name||x y|$HOME|");
}

TEST_REAL(its_environment_is_this_one_or_the_given_one)
{
    weft_process_opts o = SHELL("echo $WEFT_A $WEFT_B");
    CHECK_EQ(setenv("WEFT_A", "ours", 1), 0);
    CHECK_STR(output_of(o), "ours\n");
    o.env = WEFT_ARGV("WEFT_B=given");
    CHECK_STR(output_of(o), "given\n");
    CHECK_EQ(unsetenv("WEFT_A"), 0);
}

/* Old C libraries, of which weft says so. */
static bool no_start_in_a_directory(void)
{
    weft_process p;
    weft_process_opts o = SHELL("");
    o.dir = "/";
    int err = weft_process_start(&p, &o);
    (void)weft_process_close(&p);
    return err == -ENOTSUP;
}

TEST_REAL(it_runs_where_it_is_told_to)
{
    if (no_start_in_a_directory()) SKIP("the C library cannot do that");
    weft_process_opts o = SHELL("pwd");
    char here[512], want[520];
    CHECK(getcwd(here, sizeof here));
    (void)snprintf(want, sizeof want, "%s\n", here);
    CHECK_STR(output_of(o), want);
    o.dir = "/";
    CHECK_STR(output_of(o), "/\n");
    CHECK(getcwd(want, sizeof want));
    CHECK_STR(want, here);
}

/* But for two that the C library keeps to itself, and makes so. In an emulator
 * these are the two that follow them: the first are kept by the one below. */
static const unsigned long long its_own = 3ULL << 31;

static unsigned long long signals_of(const char *which)
{
    const char *at = strstr(said, which);
    CHECK(at);
    return strtoull(at + strlen(which), NULL, 16);
}

TEST_REAL(no_signal_is_blocked_or_ignored_in_it)
{
    weft_process_opts o = SHELL("cat /proc/self/status");
    if (access("/proc/self/status", R_OK) < 0) SKIP("no such file in a /proc");
    sigset_t some, before;
    CHECK_EQ(sigemptyset(&some), 0);
    CHECK_EQ(sigaddset(&some, SIGUSR1), 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &some, &before), 0);
    CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    (void)output_of(o);
    CHECK_EQ(signals_of("SigBlk:"), 0);
    unsigned long long ignored = signals_of("SigIgn:") & ~its_own;
    if (ignored == its_own << 2 && vfork_is_a_fork())
        SKIP("the C library's own signals have other numbers in an emulator");
    CHECK_EQ(ignored, 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    CHECK(signal(SIGUSR2, SIG_DFL) == SIG_IGN);
    CHECK(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
}

/* What is passed on unasked was so before: a jobserver's, for example. */
static bool is_passed_on(long fd)
{
    int flags = fcntl((int)fd, F_GETFD);
    return flags >= 0 && !(flags & FD_CLOEXEC);
}

static void check_descriptors_of(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    CHECK(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        long fd = strtol(e->d_name, NULL, 10);
        if (fd > 2 && !is_passed_on(fd))
            test_fail(__FILE__, __LINE__, "descriptor %ld is open in it", fd);
    }
    CHECK_EQ(closedir(d), 0);
}

TEST_REAL(no_descriptor_of_ours_is_open_in_it)
{
    weft_process p[2];
    weft_process_opts o = {.argv = WEFT_ARGV("cat")};
    char octet;
    if (access("/proc/self/fd", R_OK) < 0) SKIP("no such directory in a /proc");
    o.in = o.out = o.err = to_pipe;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_process_start(&p[i], &o), 0);
        CHECK_EQ(weft_write(p[i].in, "x", 1), 1);
        CHECK_EQ(weft_read(p[i].out, &octet, 1), 1);
        check_descriptors_of(weft_process_id(&p[i]));
    }
    for (int i = 0; i < 2; i++) {
        int how = weft_process_close(&p[i]); /* it sees the end of its input */
        CHECK(how == 0 || how == WEFT_SIGNALLED(SIGTERM));
    }
}

/* ---- where its descriptors go ------------------------------------------- */

TEST_REAL(a_pipe_is_talked_through)
{
    weft_process p;
    weft_process_opts o = {.argv = WEFT_ARGV("cat")};
    char buf[16];
    o.in = o.out = to_pipe;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_write_all(p.in, "hello", 5, NULL), 0);
        CHECK_EQ(weft_read_exact(p.out, buf, 5, NULL), 0);
        CHECK(!memcmp(buf, "hello", 5));
    }
    CHECK_EQ(weft_close(p.in), 0);
    CHECK_EQ(weft_read(p.out, buf, sizeof buf), 0);
    CHECK_EQ(weft_process_wait(&p), 0);
    CHECK_EQ(weft_process_close(&p), 0); /* p.in is closed already */
}

TEST_REAL(null_is_empty_and_takes_everything)
{
    weft_process_opts o = SHELL("cat; echo nobody reads that");
    o.in = o.out = o.err = to_null;
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), 0);
}

TEST_REAL(a_descriptor_is_given_and_stays_ours)
{
    weft_process_opts o = SHELL("cat; echo out; echo err >&2");
    int in[2], out[2];
    char text[64];
    CHECK_EQ(pipe(in), 0);
    CHECK_EQ(pipe(out), 0);
    CHECK_EQ(write(in[1], "in\n", 3), 3);
    CHECK_EQ(close(in[1]), 0);
    o.in = (weft_process_io){WEFT_IO_FD, in[0]};
    o.out = (weft_process_io){WEFT_IO_FD, out[1]};
    o.err = (weft_process_io){WEFT_IO_OUT, 0};
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), 0);
    CHECK_EQ(write(out[1], "ours\n", 5), 5);
    CHECK_EQ(close(out[1]), 0);
    CHECK_EQ(read(out[0], text, sizeof text), 16);
    CHECK(!memcmp(text, "in\nout\nerr\nours\n", 16));
    CHECK_EQ(close(out[0]), 0);
    CHECK_EQ(close(in[0]), 0);
    o.in.fd = in[0];
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), -EBADF);
}

static int swaps_out_and_err(void *arg)
{
    weft_process_opts o = SHELL("echo out; echo err >&2");
    int *ends = arg;
    char text[2][8] = {{0}};
    for (int i = 0; i < 2; i++)
        CHECK_EQ(dup2(ends[2 * i + 1], i + 1), i + 1);
    o.out = (weft_process_io){WEFT_IO_FD, 2};
    o.err = (weft_process_io){WEFT_IO_FD, 1};
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK(read(ends[2 * i], text[i], 7) == 4);
    return strcmp(text[0], "err\n") == 0 && strcmp(text[1], "out\n") == 0;
}

static void swaps(void *arg)
{
    int ends[4];
    (void)arg;
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(pipe(ends + 2), 0);
    _exit(weft_run(swaps_out_and_err, ends, NULL) != 1);
}

TEST_PLAIN(output_and_error_may_be_swapped)
{
    must_run_in_process(swaps, NULL);
}

static int talks_with_none_of_the_three(void *arg)
{
    weft_process_opts o = SHELL("cat; echo err >&2");
    weft_capture out = everything();
    char text[16];
    weft_capture err = {.buf = text, .room = sizeof text};
    (void)arg;
    int rc = weft_process_run(&o, "in", 2, &out, &err);
    return rc == 0 && !strcmp(said, "in") && !strcmp(text, "err\n");
}

static void closes_all_three(void *arg)
{
    (void)arg;
    for (int fd = 0; fd < 3; fd++)
        (void)close(fd);
    _exit(weft_run(talks_with_none_of_the_three, NULL, NULL) != 1);
}

/* Then the pipes have the numbers that the child's are to have. */
TEST_PLAIN(a_program_without_the_three_can_start_others)
{
    if (valgrind_is_watching()) SKIP("Valgrind speaks on descriptor 2");
    must_run_in_process(closes_all_three, NULL);
}

/* ---- what cannot be started --------------------------------------------- */

static void fails_to_start(weft_process_opts o, int err, const char *text)
{
    weft_process p;
    o.in = o.out = o.err = to_pipe;
    CHECK_EQ(weft_process_start(&p, &o), err);
    CHECK_EQ(weft_last_error()->code, err);
    CHECK_STR(weft_last_error()->msg, text);
    CHECK_PTR(p.child_, NULL);
    CHECK_EQ(p.in.generation + p.out.generation + p.err.generation, 0);
    CHECK_EQ(weft_process_close(&p), 0);
}

TEST_REAL(a_program_that_cannot_be_executed_is_an_error_of_start_with_its_name)
{
    if (vfork_is_a_fork()) SKIP("posix_spawn does not learn of a failed exec");
    weft_process_opts o = {.argv = WEFT_ARGV("/no/such/program")};
    fails_to_start(o, -ENOENT, "start /no/such/program");
    o.argv = WEFT_ARGV("no-such-program-anywhere");
    fails_to_start(o, -ENOENT, "start no-such-program-anywhere");
    o.argv = WEFT_ARGV("/etc/passwd");
    fails_to_start(o, -EACCES, "start /etc/passwd");
    o.argv = WEFT_ARGV("/bin/sh");
    if (no_start_in_a_directory()) SKIP("the C library cannot do that in one");
    o.dir = "/no/such/directory";
    fails_to_start(o, -ENOENT, "start /bin/sh in /no/such/directory");
}

TEST_REAL(so_is_one_with_arguments_that_are_too_long)
{
    if (vfork_is_a_fork()) SKIP("posix_spawn does not learn of a failed exec");
    static char longest[4 << 20];
    memset(longest, 'x', sizeof longest - 1);
    const weft_process_opts o = {.argv = WEFT_ARGV("/bin/sh", longest)};
    fails_to_start(o, -E2BIG, "start /bin/sh");
}

TEST_REAL(what_makes_no_sense_is_einval)
{
    weft_process p;
    weft_process_opts o = {.argv = NULL};
    CHECK_EQ(weft_process_start(&p, &o), -EINVAL);
    o.argv = (const char *const[]){NULL};
    CHECK_EQ(weft_process_start(&p, &o), -EINVAL);
    o.argv = WEFT_ARGV("true");
    o.out.how = WEFT_IO_OUT;
    CHECK_EQ(weft_process_start(&p, &o), -EINVAL);
    o.out.how = (weft_process_how)77;
    CHECK_EQ(weft_process_start(&p, &o), -EINVAL);
    o.out = to_pipe;
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), -EINVAL);
    weft_capture none = {.buf = said, .room = 0};
    CHECK_EQ(weft_process_run(&o, NULL, 0, &none, NULL), -EINVAL);
    o = SHELL("sleep 30");
    CHECK_EQ(weft_process_start(&p, &o), 0);
    CHECK_EQ(weft_process_kill(&p, 1000), -EINVAL);
    CHECK_EQ(weft_process_kill(&p, SIGUSR1), 0);
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGUSR1));
}

TEST_PLAIN(outside_a_run_it_is_eperm)
{
    weft_process p;
    weft_process_opts o = SHELL("exit 0");
    CHECK_EQ(weft_process_start(&p, &o), -EPERM);
    CHECK_EQ(weft_process_wait(&p), -EPERM);
    CHECK_EQ(weft_process_close(&p), 0);
}

/* ---- ending it ---------------------------------------------------------- */

TEST_REAL(close_ends_it_with_sigterm)
{
    weft_process p;
    start_and_hear(&p, SHELL("echo; sleep 30"));
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGTERM));
}

TEST_REAL(and_lets_it_put_things_in_order_even_if_the_caller_is_cancelled)
{
    weft_process p;
    weft_scope s;
    start_and_hear(&p, SHELL("trap 'sleep 0.05; exit 9' TERM; echo; "
                             "while :; do sleep 0.01; done"));
    open_cancelled_scope(&s);
    CHECK_EQ(weft_process_wait(&p), -ECANCELED);
    CHECK_EQ(weft_process_terminate(&p, WEFT_SEC(5)), -ECANCELED);
    CHECK_EQ(weft_process_close(&p), 9);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
}

static const char stubborn[] =
    "trap '' TERM; echo; while :; do sleep 0.05; done";

TEST_REAL(after_the_grace_it_is_killed)
{
    weft_process p;
    weft_process_opts o = SHELL(stubborn);
    o.grace = WEFT_MSEC(50);
    weft_time before = weft_now();
    start_and_hear(&p, o);
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGKILL));
    CHECK(weft_now() - before >= WEFT_MSEC(50));
    o.grace = -1;
    start_and_hear(&p, o);
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGKILL));
}

TEST_REAL(terminate_does_the_same_and_tells)
{
    weft_process p;
    start_and_hear(&p, SHELL("echo; sleep 30"));
    CHECK_EQ(weft_process_terminate(&p, WEFT_FOREVER), WEFT_SIGNALLED(SIGTERM));
    CHECK_EQ(weft_process_wait(&p), WEFT_SIGNALLED(SIGTERM));
    CHECK_EQ(weft_process_terminate(&p, 0), WEFT_SIGNALLED(SIGTERM));
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGTERM));
    start_and_hear(&p, SHELL(stubborn));
    CHECK_EQ(weft_process_terminate(&p, WEFT_MSEC(50)),
             WEFT_SIGNALLED(SIGKILL));
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGKILL));
}

struct closing {
    weft_process p;
    bool closed;
};

static int closes_when_it_has_a_turn(void *arg)
{
    struct closing *c = arg;
    c->closed = true;
    return weft_process_close(&c->p) >= 0 ? 0 : -ECHILD;
}

/* The cancel point of terminate may be where the turn of the fiber ends. */
TEST_REAL(terminate_finds_it_closed_by_who_had_a_turn_at_its_cancel_point)
{
    for (int points = 0; points < 100; points++) {
        struct closing c = {.closed = false};
        weft_process_opts o = SHELL("exit 0");
        int rc;
        CHECK_EQ(weft_process_start(&c.p, &o), 0);
        CHECK_EQ(weft_process_wait(&c.p), 0);
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, closes_when_it_has_a_turn, &c), 0);
            for (int i = 0; i < points; i++)
                CHECK_EQ(weft_checkpoint(), 0);
            int got = weft_process_terminate(&c.p, 0);
            CHECK_EQ(got, c.closed ? -ECHILD : 0);
        }
        CHECK_EQ(rc, 0);
    }
}

TEST_REAL(one_that_was_stopped_hears_sigterm_too)
{
    weft_process p;
    weft_time before = weft_now();
    start_and_hear(&p, SHELL("echo; kill -STOP $$; sleep 30"));
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGTERM));
    CHECK(weft_now() - before < WEFT_SEC(4));
}

/* Whoever lives of a group has the pipe open. */
static void start_with_lifeline(weft_process *p, weft_process_opts o,
                                int *ret_lifeline)
{
    int ends[2];
    system_pipe(ends);
    o.err = (weft_process_io){WEFT_IO_FD, ends[1]};
    start_and_hear(p, o);
    CHECK_EQ(close(ends[1]), 0);
    *ret_lifeline = ends[0];
}

static void check_all_are_gone(int lifeline)
{
    char octet;
    CHECK_EQ(read(lifeline, &octet, 1), 0);
    CHECK_EQ(close(lifeline), 0);
}

TEST_REAL(the_whole_group_is_ended)
{
    weft_process p;
    int lifeline;
    start_with_lifeline(&p, SHELL("sleep 30 & sleep 30 & echo; wait"),
                        &lifeline);
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGTERM));
    check_all_are_gone(lifeline);
}

TEST_REAL(what_is_left_of_the_group_is_killed_at_close_not_before)
{
    weft_process p;
    int lifeline;
    start_with_lifeline(&p, SHELL("(trap '' TERM; sleep 30) & echo"),
                        &lifeline);
    CHECK_EQ(weft_process_wait(&p), 0);
    CHECK_EQ(poll(&(struct pollfd){.fd = lifeline, .events = POLLIN}, 1, 0), 0);
    CHECK_EQ(weft_process_close(&p), 0);
    check_all_are_gone(lifeline);
}

TEST_REAL(a_signal_goes_to_the_whole_group)
{
    weft_process p;
    int lifeline;
    start_with_lifeline(&p, SHELL("sleep 30 & echo; wait; sleep 30"),
                        &lifeline);
    CHECK_EQ(weft_process_kill(&p, SIGUSR1), 0);
    check_all_are_gone(lifeline);
    CHECK_EQ(weft_process_wait(&p), WEFT_SIGNALLED(SIGUSR1));
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGUSR1));
}

/* As one is that has not made its group yet. */
TEST_REAL(one_that_has_left_its_group_empty_is_ended_all_the_same)
{
    weft_process p;
    weft_process_opts o = {
        .argv = WEFT_ARGV("/usr/bin/perl", "-e",
                          "setpgrp(0, getpgrp(getppid())) or die; "
                          "syswrite(STDOUT, \"\\n\"); sleep 30")};
    if (access(o.argv[0], X_OK) < 0) SKIP("no perl");
    start_and_hear(&p, o);
    CHECK_EQ(weft_process_kill(&p, 1000), -EINVAL);
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGTERM));
}

TEST_REAL(in_the_same_group_only_itself)
{
    weft_process_opts o = SHELL("cut -d' ' -f5 /proc/$$/stat 2>&- || "
                                "ps -o pgid= -p $$ | tr -d ' '");
    char want[32];
    (void)snprintf(want, sizeof want, "%d\n", (int)getpgrp());
    CHECK(strcmp(output_of(o), want) != 0);
    o.same_group = true;
    CHECK_STR(output_of(o), want);
    weft_process p;
    o = SHELL("echo; sleep 30");
    o.same_group = true;
    start_and_hear(&p, o);
    CHECK_EQ(weft_process_kill(&p, SIGUSR1), 0); /* we go on */
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGUSR1));
}

static int closes_it(void *p)
{
    return weft_process_close(p) >= 0 ? 0 : -ECHILD;
}

TEST_REAL(a_nursery_may_own_it)
{
    weft_process p;
    weft_process_opts o = SHELL("sleep 30");
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_process_start(&p, &o), 0);
        CHECK_EQ(weft_own(&n, closes_it, &p, NULL), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_PTR(p.child_, NULL);
}

static int leaves_it_running(void *arg)
{
    weft_process_opts o = SHELL("sleep 30");
    return weft_process_start(arg, &o);
}

TEST_PLAIN(after_its_run_close_kills_it_at_once)
{
    weft_process p;
    CHECK_EQ(weft_run(leaves_it_running, &p, NULL), 0);
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGKILL));
}

/* ---- somebody else reaps ------------------------------------------------ */

TEST_REAL(what_somebody_else_has_reaped_is_echild)
{
    weft_process p;
    int status;
    start_and_hear(&p, SHELL("echo"));
    CHECK_EQ(waitpid(weft_process_id(&p), &status, 0), weft_process_id(&p));
    CHECK_EQ(weft_process_wait(&p), -ECHILD);
    CHECK_EQ(weft_process_kill(&p, SIGTERM), -ESRCH);
    CHECK_EQ(weft_process_close(&p), -ECHILD);
}

TEST_REAL(so_it_is_where_sigchld_is_ignored)
{
    weft_process p;
    weft_process_opts o = SHELL("read line");
    struct waiter w = {&p, 1};
    int rc;
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    o.in = to_pipe;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_close(p.in), 0);
    }
    CHECK_EQ(rc, -ECHILD);
    CHECK_EQ(weft_process_close(&p), -ECHILD);
    CHECK(signal(SIGCHLD, SIG_DFL) == SIG_IGN);
}

/* ---- from start to close ------------------------------------------------ */

TEST_REAL(run_gives_input_and_keeps_output)
{
    weft_process_opts o = SHELL("tr a-z A-Z; echo oops >&2; exit 5");
    weft_capture out = everything();
    char text[64];
    weft_capture err = {.buf = text, .room = sizeof text};
    CHECK_EQ(weft_process_run(&o, "some words", 10, &out, &err), 5);
    CHECK_STR(said, "SOME WORDS");
    CHECK_EQ(out.len, 10);
    CHECK_STR(text, "oops\n");
    CHECK_EQ(weft_process_run(&o, "", 0, &out, &err), 5);
    CHECK_EQ(out.len, 0);
    CHECK_STR(said, "");
}

enum { MUCH = 1 << 20 };

/* More than the pipes hold, both ways at once. */
TEST_REAL(much_goes_through_in_both_directions)
{
    weft_process_opts o = {.argv = WEFT_ARGV("cat")};
    char *in = malloc(MUCH), *back = malloc(MUCH + 1);
    weft_capture out = {.buf = back, .room = MUCH + 1};
    CHECK(in && back);
    for (int i = 0; i < MUCH; i++)
        in[i] = (char)(i % 251);
    CHECK_EQ(weft_process_run(&o, in, MUCH, &out, NULL), 0);
    CHECK_EQ(out.len, MUCH);
    CHECK_EQ(out.dropped, 0);
    CHECK(!memcmp(in, back, MUCH));
    out.room = 1000;
    CHECK_EQ(weft_process_run(&o, in, MUCH, &out, NULL), 0);
    CHECK_EQ(out.len, 999);
    CHECK_EQ(out.dropped, MUCH - 999);
    CHECK(!memcmp(in, back, 999));
    CHECK_EQ(back[999], 0);
    free(back);
    free(in);
}

TEST_REAL(input_that_it_does_not_read_is_no_failure)
{
    weft_process_opts o = SHELL("exec <&-; exit 0");
    char *in = calloc(1, MUCH);
    CHECK(in);
    CHECK_EQ(weft_process_run(&o, in, MUCH, NULL, NULL), 0);
    free(in);
}

TEST_REAL(a_deadline_around_a_run_ends_it_and_keeps_what_came)
{
    weft_process_opts o = SHELL("echo early; sleep 30; echo late");
    weft_capture out = everything();
    weft_time before = weft_now();
    int rc;
    WEFT_FAIL_AFTER(rc, test_is_slow() ? WEFT_SEC(3) : WEFT_MSEC(700)) {
        rc = weft_process_run(&o, NULL, 0, &out, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_STR(said, "early\n");
    CHECK(weft_now() - before < WEFT_SEC(10));
}

TEST_REAL(nobody_waits_for_what_a_run_leaves_behind)
{
    weft_process_opts o = SHELL("sleep 30 & echo done");
    weft_time before = weft_now();
    CHECK_STR(output_of(o), "done\n");
    CHECK(weft_now() - before < WEFT_SEC(20));
}

TEST_REAL(a_cancelled_caller_starts_nothing_with_run)
{
    weft_process_opts o = SHELL("echo > /dev/null");
    weft_scope s;
    open_cancelled_scope(&s);
    CHECK_EQ(weft_process_run(&o, NULL, 0, NULL, NULL), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

static int runs_true(void *arg)
{
    weft_process_opts o = SHELL("read line; exit 1");
    (void)arg;
    int rc = weft_process_run(&o, "x", 1, NULL, NULL);
    return rc == 1 ? 0 : -EIO;
}

TEST_REAL(many_at_once)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 20; i++)
            CHECK_EQ(weft_spawn(&n, runs_true, NULL), 0);
    }
    CHECK_EQ(rc, 0);
}

/* ---- the virtual clock -------------------------------------------------- */

TEST(without_timers_a_process_is_waited_for_on_the_virtual_clock)
{
    weft_process_opts o = SHELL("sleep 0.05; echo there");
    CHECK_STR(output_of(o), "there\n");
}

TEST(with_a_deadline_the_virtual_clock_jumps_to_it)
{
    weft_process_opts o = SHELL("sleep 30");
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600)) {
        rc = weft_process_run(&o, NULL, 0, NULL, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}

/* ---- when the system refuses -------------------------------------------- */

static int talks_to_cat(void *arg)
{
    weft_process_opts o = {.argv = WEFT_ARGV("cat")};
    weft_capture out = everything();
    (void)arg;
    int rc = weft_process_run(&o, "words", 5, &out, NULL);
    if (rc == 0) CHECK_STR(said, "words");
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    return rc;
}

STARVE(a_run_without_memory_leaves_no_process, talks_to_cat)

#ifdef WEFT_HOSTILE
TEST_PLAIN(nor_does_one_that_is_refused_something_else)
{
    fail_each(talks_to_cat, WF_CALL_SPAWN);
    fail_each(talks_to_cat, WF_CALL_SOCKET);
    fail_each(talks_to_cat, WF_CALL_FCNTL);
    fail_each(talks_to_cat, WF_CALL_STAT);
}

TEST_PLAIN(one_without_a_pidfd_is_looked_for)
{
    const weft_run_opts o = {.virtual_clock = true};
    wf_hostile_fail(WF_CALL_PIDFD, 1, true);
    CHECK_EQ(weft_run(talks_to_cat, NULL, &o), 0);
    CHECK(wf_hostile_uses(WF_CALL_PIDFD) > 0);
}

TEST_PLAIN(so_is_one_whose_pidfd_cannot_be_polled)
{
    const weft_run_opts o = {.virtual_clock = true};
    wf_hostile_fail(WF_CALL_POLL_WAIT, 3, false);
    CHECK_EQ(weft_run(talks_to_cat, NULL, &o), 0);
}
#endif
