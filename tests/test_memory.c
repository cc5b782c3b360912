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
#include <sys/resource.h>

#include "harness.h"
#include "process.h"
#include "sockets.h"
#include "starve.h"

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
    if (!RLIMIT_AS_HOLDS) SKIP("RLIMIT_AS is only advice here");
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
    ssize_t n = 0;
    int err = 0;
    weft_stream_init(&s, *fd);
    while (err == 0 && (n = weft_stream_peek(&s, &data)) > 0) {
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
    results = weft_chan_new(sizeof(int), 2, NULL, 0);
    if (!results) return weft_fail(-ENOMEM, "no channel");
    int rc = work_in_a_nursery(unused);
    weft_chan_free(results);
    return rc;
}

static void sweep(enum wf_call call, const char *which)
{
    CHECK(refuse_in_turn(scenario, call, which) > 0);
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
