/* SPDX-License-Identifier: MIT */
/*
 * test_memory.c - without memory calls fail, and nothing else happens.
 *
 * In a hostile build (BUILD=hostile) every allocation and every mapping of a
 * scenario is made to fail in turn, each once by itself and once with all that
 * follow.
 */
#include <weft/chan.h>
#include <weft/error.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/stream.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "harness.h"
#include "process.h"
#include "sockets.h"

/* ---- RLIMIT_AS ---------------------------------------------------------- */

static int count_up(void *arg)
{
    volatile char frame[1000];
    frame[0] = 1;
    CHECK_EQ(weft_yield(), 0);
    *(int *)arg += frame[0];
    return 0;
}

static int spawn_until_it_fails(void *unused)
{
    const weft_spawn_opts large = {.name = "large", .stack_size = 1 << 20};
    int spawned = 0, ran = 0, err = 0, rc;
    (void)unused;
    WEFT_NURSERY(n, rc) {
        while (err == 0) {
            err = weft_spawn_ex(&n, count_up, &ran, &large);
            if (err == 0) CHECK(++spawned < 100000);
        }
        CHECK_EQ(err, -ENOMEM);
        CHECK(weft_last_error() != NULL);
        CHECK_EQ(weft_last_error()->code, -ENOMEM);
    }
    CHECK_EQ(rc, 0);
    CHECK(spawned > 0);
    CHECK_EQ(ran, spawned);

    WEFT_NURSERY(n, rc) rc = weft_spawn_ex(&n, count_up, &ran, &large);
    CHECK_EQ(rc, 0); /* there are free stacks again */
    CHECK_EQ(ran, spawned + 1);
    return 0;
}

static void run_with_little_address_space(void *unused)
{
    struct rlimit limit = {(rlim_t)512 << 20, (rlim_t)512 << 20};
    (void)unused;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    CHECK_EQ(weft_run(spawn_until_it_fails, NULL, NULL), 0);
}

TEST_PLAIN(a_spawn_without_memory_fails_and_those_before_it_run)
{
    if (a_tool_is_watching()) SKIP("a tool cannot live with RLIMIT_AS");
    must_run_in_process(run_with_little_address_space, NULL);
}

#ifdef WEFT_HOSTILE
#include "runtime/leaks.h"
#include "runtime/os.h"

/* ---- every allocation fails in turn ------------------------------------- */

static weft_chan *results;

static int echo(void *arg)
{
    weft_fd *fd = arg;
    weft_stream s;
    const char *data;
    ssize_t n;
    int err = 0;
    weft_stream_init(&s, *fd);
    while ((n = weft_stream_peek(&s, &data)) > 0 && err == 0) {
        err = weft_stream_write(&s, data, (size_t)n);
        weft_stream_consume(&s, (size_t)n);
    }
    int end = weft_stream_close(&s);
    return n < 0 ? (int)n : err < 0 ? err : end;
}

static int ask(void *arg)
{
    weft_fd *fd = arg;
    weft_stream s;
    int rc = 0;
    weft_stream_init(&s, *fd);
    for (int i = 0; i < 3 && rc == 0; i++) {
        const char *line;
        ssize_t n = 0;
        rc = weft_stream_write(&s, "question\n", 9);
        if (rc == 0) n = weft_stream_read_until(&s, '\n', 100, &line);
        if (rc == 0 && n != 9) rc = n < 0 ? (int)n : -EPIPE;
    }
    int end = weft_stream_close(&s);
    if (rc == 0) rc = end;
    int err = weft_chan_send(results, &rc);
    return rc < 0 ? rc : err;
}

static int work_in_a_nursery(void *unused)
{
    int rc, item;
    (void)unused;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 25 && rc == 0; i++) {
            weft_fd pair[2];
            rc = weft_socketpair(AF_UNIX, SOCK_STREAM, pair);
            if (rc < 0) break;
            rc = weft_spawn_copy(&n, echo, &pair[0], sizeof pair[0]);
            if (rc < 0) {
                CHECK_EQ(weft_close(pair[0]), 0);
                CHECK_EQ(weft_close(pair[1]), 0);
                break;
            }
            rc = weft_spawn_copy(&n, ask, &pair[1], sizeof pair[1]);
            if (rc < 0) CHECK_EQ(weft_close(pair[1]), 0);
        }
        for (int i = 0; i < 25 && rc == 0; i++) {
            rc = weft_chan_recv(results, &item);
            rc = rc == 1 ? item : rc;
        }
    }
    return rc;
}

static int scenario(void *unused)
{
    results = weft_chan_new(sizeof(int), 2, NULL);
    if (!results) return weft_fail(-ENOMEM, "no channel");
    int rc = work_in_a_nursery(unused);
    weft_chan_free(results);
    return rc;
}

struct plan {
    enum wf_call call;
    const char *which; /* WEFT_HOSTILE_NTH or WEFT_HOSTILE_AFTER */
    int number;
};

enum { NO_FAILURE = 3 };

static void run_to_plan(void *arg)
{
    const struct plan *plan = arg;
    char text[16];
    struct wf_leaks before, after;
    (void)snprintf(text, sizeof text, "%d", (int)plan->call);
    CHECK_EQ(setenv("WEFT_HOSTILE_CALL", text, 1), 0);
    (void)snprintf(text, sizeof text, "%d", plan->number);
    CHECK_EQ(setenv(plan->which, text, 1), 0);
    const weft_run_opts o = {.virtual_clock = true};
    wf_leaks_read(&before);
    int rc = weft_run(scenario, NULL, &o);
    wf_leaks_read(&after);
    CHECK_EQ(after.fibers, before.fibers);
    CHECK_EQ(after.descriptors, before.descriptors);
    CHECK_EQ(after.timers, before.timers);
    CHECK_EQ(after.bytes, before.bytes);
    CHECK(rc <= 0);
    if (rc == -EDEADLK) test_fail(__FILE__, __LINE__, "it hangs");
    if (rc == 0) {
        (void)fflush(NULL);
        _exit(NO_FAILURE);
    }
}

/* Fails the first, the second... until nothing fails for a long while. Some
 * failures cost nothing, such as that of an error's record. */
static void sweep(enum wf_call call, const char *which)
{
    static struct ending e;
    int quiet = 0, failed = 0;
    for (int k = 1; quiet < 60 && k < 1000; k++) {
        struct plan plan = {call, which, k};
        run_in_process(run_to_plan, &plan, &e);
        if (e.status == NO_FAILURE) {
            quiet++;
            continue;
        }
        quiet = 0;
        failed++;
        if (e.status != 0) {
            (void)fprintf(stderr, "%s", e.said);
            (void)fprintf(stderr, "%s=%d call %d: status %d, signal %d\n",
                          which, k, (int)call, e.status, e.signal);
            (void)fflush(NULL);
            if (e.status == 1) _exit(1);
            test_fail(__FILE__, __LINE__, "%s=%d call %d: signal %d", which, k,
                      (int)call, e.signal);
        }
    }
    CHECK(failed > 0);
}

TEST_PLAIN(every_allocation_may_fail)
{
    sweep(WF_CALL_ALLOC, "WEFT_HOSTILE_NTH");
}

TEST_PLAIN(every_allocation_may_fail_with_all_that_follow)
{
    sweep(WF_CALL_ALLOC, "WEFT_HOSTILE_AFTER");
}

TEST_PLAIN(every_mapping_may_fail)
{
    sweep(WF_CALL_MMAP, "WEFT_HOSTILE_NTH");
}

TEST_PLAIN(every_mapping_may_fail_with_all_that_follow)
{
    sweep(WF_CALL_MMAP, "WEFT_HOSTILE_AFTER");
}

TEST_PLAIN(every_registration_may_fail)
{
    sweep(WF_CALL_POLL_CTL, "WEFT_HOSTILE_NTH");
}

TEST_PLAIN(every_registration_may_fail_with_all_that_follow)
{
    sweep(WF_CALL_POLL_CTL, "WEFT_HOSTILE_AFTER");
}

TEST_PLAIN(every_socket_may_fail)
{
    sweep(WF_CALL_SOCKET, "WEFT_HOSTILE_NTH");
}

TEST_PLAIN(every_send_and_every_receive_may_fail)
{
    sweep(WF_CALL_SEND, "WEFT_HOSTILE_NTH");
    sweep(WF_CALL_RECV, "WEFT_HOSTILE_NTH");
}
#endif
