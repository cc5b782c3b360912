/* SPDX-License-Identifier: MIT */
/* test_fork.c - the child of a fork has none of its parent's runs. */
#include <weft.h>

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fibers.h"
#include "open.h"
#include "threads.h"

enum { WELL = 42 };

/* In the child: which of its checks fails is its status. */
#define CHILD_CHECK(cond)                                                      \
    do {                                                                       \
        if (!(cond)) _exit(__LINE__ % 100 + 100);                              \
    } while (0)

/* By exec, as a child of a fork should go: what it was a copy of, it leaves
 * without a word, also where a checker counts what is lost at an exit. */
_Noreturn static void end_well(void)
{
    char *argv[] = {"sh", "-c", "exit 42", NULL};
    _Static_assert(WELL == 42, "as it says here");
    (void)execv("/bin/sh", argv);
    _exit(97);
}

static void check_child_is_well(pid_t child)
{
    int status = 0;
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), WELL);
}

static void never(void *arg)
{
    (void)arg;
    _exit(99);
}

TEST(in_the_child_of_a_fork_each_call_is_refused)
{
    weft_event event = WEFT_EVENT_INIT;
    weft_mutex mutex = WEFT_MUTEX_INIT;
    weft_sem sem = WEFT_SEM_INIT(1, 1);
    weft_token *token = weft_token_new(NULL);
    weft_remote *run = weft_remote_new();
    weft_scope outer, scope;
    weft_nursery n;
    weft_signals signals = {0};
    weft_process process;
    const weft_process_opts program = {.argv = WEFT_ARGV("true")};
    char c = 'x';
    weft_scope_init(&scope);
    open_scope(&outer);
    CHECK_EQ(weft_scope_link(&outer, token), 0);
    open_nursery(&n, WEFT_FAIL_FAST);

    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(weft_self() == NULL);
        CHILD_CHECK(weft_yield() == -EPERM);
        CHILD_CHECK(strstr(weft_last_error()->msg, "fork"));
        CHILD_CHECK(weft_checkpoint() == -EPERM);
        CHILD_CHECK(weft_sleep(1) == -EPERM);
        CHILD_CHECK(weft_event_wait(&event) == -EPERM);
        CHILD_CHECK(weft_mutex_lock(&mutex) == -EPERM);
        CHILD_CHECK(weft_mutex_trylock(&mutex) == -EPERM);
        CHILD_CHECK(weft_sem_acquire(&sem, 1) == -EPERM);
        CHILD_CHECK(weft_scope_begin(&scope) == -EPERM);
        CHILD_CHECK(weft_scope_end(&outer, 0) == -EPERM);
        CHILD_CHECK(weft_scope_link(&outer, token) == -EPERM);
        CHILD_CHECK(weft_spawn(&n, does_nothing, NULL) == -EPERM);
        CHILD_CHECK(weft_nursery_close(&n, 0) == -EPERM);
        CHILD_CHECK(weft_background(does_nothing, NULL, NULL) == -EPERM);
        CHILD_CHECK(weft_run(does_nothing, NULL, NULL) == -EPERM);
        CHILD_CHECK(weft_shutdown(0) == -EPERM);
        CHILD_CHECK(weft_remote_new() == NULL);
        CHILD_CHECK(weft_post(run, never, NULL) == -EPERM);
        CHILD_CHECK(weft_remote_shutdown(run, 0) == -EPERM);
        CHILD_CHECK(weft_write((weft_fd){1, 1}, &c, 1) == -EPERM);
        CHILD_CHECK(weft_token_new(token) == NULL);
        CHILD_CHECK(weft_signals_open(&signals, &(int){SIGUSR1}, 1) == -EPERM);
        CHILD_CHECK(weft_process_start(&process, &program) == -EPERM);
        weft_token_cancel(token, -EIO, NULL);
        CHILD_CHECK(!weft_token_cancelled(token));
        weft_remote_unref(run);
        weft_token_unref(token);
        end_well();
    }
    check_child_is_well(child);

    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_scope_end(&outer, 0), 0);
    weft_remote_unref(run);
    weft_token_unref(token);
}

static int reads_one(void *arg)
{
    char c;
    return weft_read(*(weft_fd *)arg, &c, 1) == 1 ? 0 : -EPROTO;
}

/* The poller is shared with the child: what that does must not show here. */
TEST_REAL(what_the_child_does_with_a_descriptor_does_not_reach_the_parent)
{
    weft_fd pair[2];
    weft_nursery n;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, reads_one, &pair[0]), 0);
    CHECK_EQ(weft_test_settle(), 0);
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(weft_close(pair[0]) < 0);
        CHILD_CHECK(weft_fd_release(pair[1]) < 0);
        CHILD_CHECK(weft_fd_number(pair[0]) < 0);
        end_well();
    }
    check_child_is_well(child);
    CHECK_EQ(weft_write(pair[1], "x", 1), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
}

TEST(exec_works_in_the_child)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
        _exit(1);
    }
    check_child_is_well(child);
}

static int other_fiber(void *arg)
{
    if (getpid() != *(pid_t *)arg) _exit(98);
    return 0;
}

static int forks(void *arg)
{
    pid_t child = fork();
    if (child == 0) return 0; /* which it must not */
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
    return other_fiber(arg);
}

TEST(a_child_that_returns_from_its_fiber_dies_before_it_runs_another)
{
    pid_t parent = getpid();
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, forks, &parent), 0);
        CHECK_EQ(weft_spawn(&n, other_fiber, &parent), 0);
        CHECK_EQ(weft_spawn(&n, other_fiber, &parent), 0);
    }
    CHECK_EQ(rc, 0);
}

static int keeps_a_handle(void *arg)
{
    *(weft_remote **)arg = weft_remote_new();
    return 0;
}

TEST_PLAIN(a_process_forked_outside_of_a_run_may_run_its_own)
{
    weft_remote *before;
    CHECK_EQ(weft_run(keeps_a_handle, &before, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        weft_remote *mine;
        CHILD_CHECK(weft_run(keeps_a_handle, &mine, NULL) == 0);
        CHILD_CHECK(weft_post(mine, never, NULL) == -ESHUTDOWN);
        CHILD_CHECK(weft_post(before, never, NULL) == -EPERM);
        weft_remote_unref(mine);
        end_well();
    }
    check_child_is_well(child);
    weft_remote_unref(before);
}

/* --- what belongs to no run --- */

struct made_before {
    weft_chan *chan;
    weft_token *token;
};

static int uses_what_the_parent_made(void *arg)
{
    const struct made_before *m = arg;
    weft_scope s;
    int item = 0;
    CHILD_CHECK(weft_chan_send(m->chan, &item) == -EPERM);
    CHILD_CHECK(weft_chan_recv(m->chan, &item) == -EPERM);
    CHILD_CHECK(weft_chan_trysend(m->chan, &item) == -EPERM);
    CHILD_CHECK(weft_chan_tryrecv(m->chan, &item) == -EPERM);
    CHILD_CHECK(weft_chan_join(m->chan) == -EPERM);
    weft_scope_init(&s);
    CHILD_CHECK(weft_scope_begin(&s) == 0);
    CHILD_CHECK(weft_scope_link(&s, m->token) == -EPERM);
    weft_token_cancel(m->token, 0, NULL);
    CHILD_CHECK(weft_scope_end(&s, weft_checkpoint()) == 0);
    return 0;
}

/* Some thread of the parent's may have had their locks. Nothing else has told
 * weft of forks before. */
TEST_PLAIN(a_run_of_the_child_leaves_what_its_parent_made_alone)
{
    struct made_before m = {weft_chan_new(sizeof(int), 1, NULL, WEFT_CHAN_MT),
                            weft_token_new(NULL)};
    CHECK(m.chan && m.token);
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(weft_run(uses_what_the_parent_made, &m, NULL) == 0);
        end_well();
    }
    check_child_is_well(child);
    CHECK_EQ(weft_chan_length(m.chan), 0);
    CHECK(!weft_token_cancelled(m.token));
    weft_chan_free(m.chan);
    weft_token_unref(m.token);
}

/* --- signals --- */

static void previous(int signo)
{
    (void)signo;
}

static bool is_previous(int signo)
{
    struct sigaction now;
    return sigaction(signo, NULL, &now) == 0 && now.sa_handler == previous;
}

/* The handlers are those of a run that it does not have. */
TEST(in_the_child_signals_do_what_they_did_before_they_were_caught)
{
    static const int usr1[] = {SIGUSR1};
    weft_signals s;
    CHECK(signal(SIGUSR1, previous) != SIG_ERR);
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(is_previous(SIGUSR1));
        weft_signals_close(&s);
        CHILD_CHECK(is_previous(SIGUSR1));
        end_well();
    }
    check_child_is_well(child);
    CHECK(!is_previous(SIGUSR1));
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    weft_signals_close(&s);
    CHECK(is_previous(SIGUSR1));
}

static int takes_one(void *arg)
{
    weft_signals s;
    CHECK_EQ(weft_signals_open(&s, arg, 1), 0);
    CHECK_EQ(raise(*(int *)arg), 0);
    int got = weft_signals_wait(&s);
    weft_signals_close(&s);
    return got;
}

struct holder {
    int signo, ready, over;
    weft_signals set;
};

static int holds_it(void *arg)
{
    struct holder *h = arg;
    CHECK_EQ(weft_signals_open(&h->set, &h->signo, 1), 0);
    say_word(&h->ready);
    wait_for_word(&h->over);
    weft_signals_close(&h->set);
    return 0;
}

static void *runs_and_holds_it(void *arg)
{
    CHECK_EQ(weft_run(holds_it, arg, NULL), 0);
    return NULL;
}

TEST_PLAIN(a_run_of_the_child_may_have_the_signals_of_one_of_its_parent)
{
    struct holder h = {.signo = SIGUSR1};
    CHECK(signal(SIGUSR1, previous) != SIG_ERR);
    pthread_t t = start_thread(runs_and_holds_it, &h);
    wait_for_word(&h.ready);
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(is_previous(SIGUSR1));
        CHILD_CHECK(weft_run(takes_one, &h.signo, NULL) == SIGUSR1);
        CHILD_CHECK(is_previous(SIGUSR1));
        end_well();
    }
    check_child_is_well(child);
    say_word(&h.over);
    join_thread(t);
}

/* --- the handle of a run on another thread --- */

struct other_run {
    weft_remote *handle;
    int ready;
};

static void ends_it(void *arg)
{
    weft_event_set(arg);
}

static weft_event over;

static int waits_for_the_end(void *arg)
{
    struct other_run *o = arg;
    o->handle = weft_remote_new();
    say_word(&o->ready);
    return weft_event_wait(&over);
}

static void *runs(void *arg)
{
    CHECK_EQ(weft_run(waits_for_the_end, arg, NULL), 0);
    return NULL;
}

TEST_PLAIN(the_child_cannot_post_to_a_run_of_another_thread_of_its_parent)
{
    struct other_run o = {.ready = 0};
    pthread_t t = start_thread(runs, &o);
    wait_for_word(&o.ready);
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(weft_post(o.handle, never, NULL) == -EPERM);
        weft_remote_unref(o.handle);
        end_well();
    }
    check_child_is_well(child);
    CHECK_EQ(weft_post(o.handle, ends_it, &over), 0);
    join_thread(t);
    weft_remote_unref(o.handle);
}
