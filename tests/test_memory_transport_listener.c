/* SPDX-License-Identifier: MIT */
/* test_memory_transport_listener.c - clients and servers that meet in memory. */
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/stream.h>
#include <weft/task.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cancel_points.h"
#include "deadlock.h"
#include "harness.h"
#include "settle.h"

static weft_memory_listener *listener;

struct dialling {
    weft_transport *t;
    int result, *turns, turn;
};

static int dials(void *arg)
{
    struct dialling *d = arg;
    d->result = weft_memory_dial(listener, &d->t);
    if (d->turns) d->turn = ++*d->turns;
    return 0;
}

static int accepts(void *arg)
{
    struct dialling *d = arg;
    d->result = weft_memory_accept(listener, &d->t);
    return 0;
}

static void listen_with(size_t backlog)
{
    listener = weft_memory_listener_new(backlog);
    CHECK(listener != NULL);
}

TEST(a_client_may_write_before_it_is_accepted)
{
    weft_transport *server, *client;
    listen_with(0);
    CHECK_EQ(weft_memory_try_accept(listener, &server), -EAGAIN);
    CHECK_EQ(weft_memory_dial(listener, &client), 0);
    CHECK_EQ(weft_transport_write_all(client, "hello", 5, NULL), 0);
    CHECK_EQ(weft_memory_accept(listener, &server), 0);
    char buf[9];
    CHECK_EQ(weft_transport_read(server, buf, sizeof buf), 5);
    CHECK_EQ(weft_memory_try_accept(listener, &server), -EAGAIN);
    weft_memory_listener_free(listener); /* the connection stays */
    CHECK_EQ(weft_transport_write_all(server, "hi", 2, NULL), 0);
    CHECK_EQ(weft_transport_read(client, buf, sizeof buf), 2);
    weft_transport_close(client);
    weft_transport_close(server);
}

TEST(the_capacity_of_a_listeners_connections_can_be_set)
{
    weft_transport *server, *client;
    listen_with(1);
    weft_memory_listener_set_capacity(listener, 3);
    CHECK_EQ(weft_memory_dial(listener, &client), 0);
    CHECK_EQ(weft_memory_try_accept(listener, &server), 0);
    CHECK_EQ(client->ops->try_write(client, "1234", 4), 3);
    weft_transport_close(client);
    weft_transport_close(server);
    weft_memory_listener_free(listener);
}

TEST(who_dials_waits_while_the_backlog_is_full_and_goes_in_line)
{
    enum { MANY = 5, BACKLOG = 2 };
    struct dialling d[MANY] = {{0}};
    weft_transport *server;
    int rc, turns = 0;
    listen_with(BACKLOG);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < MANY; i++) {
            d[i].turns = &turns;
            CHECK_EQ(weft_spawn(&n, dials, &d[i]), 0);
            settle();
        }
        CHECK_EQ(turns, BACKLOG);
        for (int i = 0; i < MANY; i++) {
            CHECK_EQ(weft_memory_accept(listener, &server), 0);
            settle();
            int want = i + 1 + BACKLOG;
            CHECK_EQ(turns, want < MANY ? want : MANY);
            weft_transport_close(server);
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(d[i].result, 0);
        CHECK_EQ(d[i].turn, i + 1);
        weft_transport_close(d[i].t);
    }
    weft_memory_listener_free(listener);
}

TEST(who_accepts_goes_in_line_and_a_cancelled_one_takes_none)
{
    struct dialling a[3] = {{0}};
    weft_transport *client[2];
    weft_task task;
    int rc;
    listen_with(0);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            const weft_spawn_opts o = {.task = i == 1 ? &task : NULL};
            CHECK_EQ(weft_spawn_ex(&n, accepts, &a[i], &o), 0);
            settle();
        }
        weft_task_cancel(&task, 0, NULL);
        settle();
        CHECK_EQ(a[1].result, -ECANCELED);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(weft_memory_dial(listener, &client[i]), 0);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 2; i++) { /* the first two are each other's */
        char c = 0, mine = (char)('0' + i);
        CHECK_EQ(a[2 * i].result, 0);
        CHECK_EQ(weft_transport_write(client[i], &mine, 1), 1);
        CHECK_EQ(weft_transport_read(a[2 * i].t, &c, 1), 1);
        CHECK_EQ(c, mine);
        weft_transport_close(a[2 * i].t);
        weft_transport_close(client[i]);
    }
    weft_memory_listener_free(listener);
}

TEST(a_cancelled_dial_leaves_nothing_in_the_backlog)
{
    weft_transport *client, *server, *more;
    int rc;
    listen_with(1);
    CHECK_EQ(weft_memory_dial(listener, &client), 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = weft_memory_dial(listener, &more);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_memory_try_accept(listener, &server), 0);
    CHECK_EQ(weft_memory_try_accept(listener, &more), -EAGAIN);
    weft_transport_close(client);
    weft_transport_close(server);
    weft_memory_listener_free(listener);
}

/* Also if it is freed before they run. */
TEST(a_closed_listener_refuses_who_waits_and_who_comes)
{
    char c;
    int rc;
    for (int freed = 0; freed < 2; freed++) {
        struct dialling first = {0}, d = {0}, a = {0};
        listen_with(1);
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_memory_dial(listener, &first.t), 0);
            CHECK_EQ(weft_spawn(&n, dials, &d), 0);
            settle();
            if (freed)
                weft_memory_listener_free(listener);
            else
                weft_memory_listener_close(listener);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(d.result, -ECONNREFUSED);
        CHECK_EQ(weft_transport_read(first.t, &c, 1), -ECONNRESET);
        CHECK_EQ(weft_transport_write(first.t, &c, 1), -EPIPE);
        weft_transport_close(first.t);
        if (freed) listen_with(1);
        WEFT_NURSERY(n, rc) {
            if (freed) CHECK_EQ(weft_spawn(&n, accepts, &a), 0);
            settle();
            weft_memory_listener_close(listener);
            weft_memory_listener_close(listener);
        }
        if (freed) CHECK_EQ(a.result, -EBADF);
        CHECK_EQ(weft_memory_dial(listener, &d.t), -ECONNREFUSED);
        CHECK_EQ(weft_memory_accept(listener, &a.t), -EBADF);
        CHECK_EQ(weft_memory_try_accept(listener, &a.t), -EBADF);
        weft_memory_listener_free(listener);
    }
    weft_memory_listener_free(NULL);
}

/* ---- both together ------------------------------------------------------ */

static int answers_one(void *arg)
{
    weft_stream s;
    const char *line;
    size_t len;
    weft_stream_init_transport(&s, arg);
    while (weft_stream_read_line(&s, 100, &line, &len) == 1)
        CHECK_EQ(weft_stream_printf(&s, "you said %.*s\n", (int)len, line), 0);
    return weft_stream_close(&s);
}

static int serves(void *arg)
{
    weft_transport *t;
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        while (weft_memory_accept(listener, &t) == 0)
            CHECK_EQ(weft_spawn(&n, answers_one, t), 0);
    }
    return rc;
}

static int talks(void *arg)
{
    weft_transport *t;
    weft_stream s;
    const char *line;
    size_t len;
    char want[40];
    CHECK_EQ(weft_memory_dial(listener, &t), 0);
    weft_stream_init_transport(&s, t);
    for (int i = 0; i < 10; i++) {
        int id = (int)(intptr_t)arg * 100 + i;
        CHECK_EQ(weft_stream_printf(&s, "%d\r\n", id), 0);
        CHECK_EQ(weft_stream_read_line(&s, 100, &line, &len), 1);
        CHECK_EQ((int)len, snprintf(want, sizeof want, "you said %d", id));
        CHECK_EQ(memcmp(line, want, len), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    }
    return weft_stream_close(&s);
}

TEST(pattern_121_clients_and_a_server_meet_without_sockets_and_in_no_time)
{
    int rc, served;
    listen_with(2);
    WEFT_NURSERY(server, served) {
        CHECK_EQ(weft_spawn(&server, serves, NULL), 0);
        WEFT_NURSERY(clients, rc) {
            for (intptr_t i = 0; i < 20; i++)
                CHECK_EQ(weft_spawn(&clients, talks, (void *)i), 0);
        }
        CHECK_EQ(rc, 0);
        weft_memory_listener_close(listener);
    }
    CHECK_EQ(served, 0);
    weft_memory_listener_free(listener);
}

static int accepts_in_vain(void *arg)
{
    weft_transport *t;
    (void)arg;
    listen_with(0);
    int rc = weft_memory_accept(listener, &t);
    weft_memory_listener_free(listener);
    return rc;
}

TEST_PLAIN(a_listener_that_nobody_dials_is_a_deadlock)
{
    CHECK(strstr(deadlock_report(accepts_in_vain), "receive") != NULL);
}

/* ---- cancel points ------------------------------------------------------ */

static ssize_t dials_here(void *kept)
{
    weft_transport **at = kept;
    return weft_memory_dial(listener, at);
}

static ssize_t accepts_here(void *kept)
{
    weft_transport **at = kept;
    return weft_memory_accept(listener, at);
}

TEST(cp_01_dialling_and_accepting_in_memory)
{
    weft_transport *client = NULL, *server = NULL, *none = NULL;
    listen_with(1);
    is_a_cancel_point(dials_here, &client, 0);
    is_woken(dials_here, &none); /* it is full */
    is_a_cancel_point(accepts_here, &server, 0);
    is_woken(accepts_here, &none);
    CHECK_PTR(none, NULL);
    weft_transport_close(client);
    weft_transport_close(server);
    weft_memory_listener_free(listener);
}

/* ---- another run -------------------------------------------------------- */

static int makes(void *arg)
{
    (void)arg;
    listen_with(0);
    return 0;
}

static int is_refused(void *arg)
{
    weft_transport *t;
    (void)arg;
    CHECK_EQ(weft_memory_dial(listener, &t), -EPERM);
    CHECK(strstr(weft_last_error()->msg, "another run") != NULL);
    CHECK_EQ(weft_memory_accept(listener, &t), -EPERM);
    CHECK_EQ(weft_memory_try_accept(listener, &t), -EPERM);
    return 0;
}

TEST_PLAIN(a_listener_of_another_run_is_refused_with_a_sentence)
{
    CHECK_EQ(weft_run(makes, NULL, NULL), 0);
    CHECK_EQ(weft_run(is_refused, NULL, NULL), 0);
    weft_memory_listener_free(listener);
}

static int meets(void *arg)
{
    weft_transport *client, *server;
    (void)arg;
    CHECK_EQ(weft_memory_dial(listener, &client), 0);
    CHECK_EQ(weft_memory_accept(listener, &server), 0);
    weft_transport_close(client);
    weft_transport_close(server);
    return 0;
}

TEST_PLAIN(a_listener_made_outside_is_of_the_run_that_first_uses_it)
{
    listen_with(0);
    CHECK_EQ(weft_run(meets, NULL, NULL), 0);
    CHECK_EQ(weft_run(is_refused, NULL, NULL), 0);
    weft_memory_listener_free(listener);
}
