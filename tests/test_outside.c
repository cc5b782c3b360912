/* SPDX-License-Identifier: MIT */
/* test_outside.c - every call that parks says -EPERM outside of a fiber. */
#include <weft.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "harness.h"

/* Checks that a call said -EPERM, and a sentence about it. */
static void check_refused(const char *file, int line, const char *call,
                          long long got)
{
    test_check_eq(file, line, call, got, -EPERM);
    const weft_error *e = weft_last_error();
    if (!e || e->code != -EPERM || strlen(e->msg) < 10) {
        test_fail(file, line, "%s left no sentence", call);
    }
    if (e->fiber != 0) test_fail(file, line, "%s: in a fiber?", call);
    (void)weft_fail(-EPROTO, "the next call has to leave its own");
}

#define CHECK_REFUSED(call) check_refused(__FILE__, __LINE__, #call, (call))

static int never(void *unused)
{
    (void)unused;
    test_fail(__FILE__, __LINE__, "it was run");
}

static int never_serve(weft_conn *c)
{
    return never(c);
}

TEST_PLAIN(giving_way_and_sleeping_need_a_fiber)
{
    CHECK_REFUSED(weft_checkpoint());
    CHECK_REFUSED(weft_yield());
    CHECK_REFUSED(weft_sleep(WEFT_MSEC(1)));
    CHECK_REFUSED(weft_sleep(0));
    CHECK_REFUSED(weft_sleep(-1));
    CHECK_REFUSED(weft_sleep_until(0));
    CHECK_REFUSED(weft_sleep_until(WEFT_FOREVER));
}

TEST_PLAIN(scopes_and_nurseries_need_a_fiber)
{
    weft_scope s;
    weft_nursery n;
    int rc = 0;
    bool expired;
    weft_scope_init(&s);
    memset(&n, 0, sizeof n);
    CHECK_REFUSED(weft_scope_begin(&s));
    CHECK_REFUSED(weft_scope_begin_after(&s, WEFT_MSEC(1), WEFT_FAIL));
    CHECK_REFUSED(weft_scope_begin_at(&s, 0, WEFT_MOVE_ON));
    CHECK_REFUSED(weft_with_timeout(WEFT_MSEC(1), never, NULL));
    CHECK_REFUSED(weft_move_on_after(WEFT_MSEC(1), never, NULL, &expired));
    CHECK_REFUSED(weft_shielded(WEFT_MSEC(1), never, NULL));
    CHECK_REFUSED(weft_nursery_open(&n, NULL));
    CHECK_REFUSED(weft_shutdown(-EPROTO));
    WEFT_NURSERY(m, rc) (void)never(NULL);
    CHECK_EQ(rc, -EPERM);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) (void)never(NULL);
    CHECK_EQ(rc, -EPERM);
    CHECK(weft_cancel_reason() == NULL);
}

TEST_PLAIN(waiting_between_fibers_needs_a_fiber)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_sem s = WEFT_SEM_INIT(0, 1);
    char item = 'x';
    CHECK_REFUSED(weft_event_wait(&e));
    CHECK_REFUSED(weft_mutex_lock(&m));
    CHECK_REFUSED(weft_mutex_lock_nc(&m));
    CHECK_REFUSED(weft_sem_acquire(&s, 1));
    weft_chan *c = weft_chan_new(1, 0, NULL, 0);
    CHECK(c != NULL);
    CHECK_REFUSED(weft_chan_send(c, &item));
    CHECK_REFUSED(weft_chan_recv(c, &item));
    CHECK_REFUSED(weft_chan_join(c));
    weft_chan_free(c);
}

TEST_PLAIN(no_descriptor_can_be_had_outside_of_a_run)
{
    weft_fd fd = {77, 78}, pair[2];
    CHECK_EQ(weft_fd_adopt(0, &fd), -EPERM);
    CHECK_EQ(fd.slot, 77);
    CHECK_EQ(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &fd), -EPERM);
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), -EPERM);
    CHECK_EQ(weft_listen(&fd, "127.0.0.1:0", NULL), -EPERM);
    CHECK_REFUSED(weft_dial(&fd, "127.0.0.1:1"));
    CHECK_REFUSED(weft_wait_fd(0, WEFT_READABLE));
    weft_forget_fd(0);
}

/* Without a run no descriptor is good: both codes would be true, and the
 * manual puts the missing fiber first. */
TEST_PLAIN(reading_and_writing_need_a_fiber)
{
    weft_fd fd = {1, 1};
    char buf[4] = "abc";
    struct iovec iov = {buf, sizeof buf};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    CHECK_REFUSED(weft_read(fd, buf, 1));
    CHECK_REFUSED(weft_readv(fd, &iov, 1));
    CHECK_REFUSED(weft_read_exact(fd, buf, 1, NULL));
    CHECK_REFUSED(weft_write(fd, buf, 1));
    CHECK_REFUSED(weft_writev(fd, &iov, 1));
    CHECK_REFUSED(weft_write_all(fd, buf, 1, NULL));
    CHECK_REFUSED(weft_wait_ready(fd, WEFT_READABLE));
    CHECK_REFUSED(weft_recvmsg(fd, &msg, 0));
    CHECK_REFUSED(weft_sendmsg(fd, &msg, 0));
}

TEST_PLAIN(connections_need_a_fiber)
{
    weft_fd fd = {1, 1}, conn;
    struct sockaddr_in at = {.sin_family = AF_INET};
    CHECK_REFUSED(weft_accept(fd, &conn, NULL));
    CHECK_REFUSED(weft_accept_from(fd, &conn, NULL, NULL));
    CHECK_REFUSED(weft_connect(fd, (struct sockaddr *)&at, sizeof at));
    CHECK_REFUSED(weft_serve(fd, never_serve, NULL, NULL));
}

TEST_PLAIN(a_stream_needs_a_fiber_to_wait_for_input)
{
    weft_stream s;
    char buf[4];
    const char *data;
    size_t len;
    weft_stream_init(&s, (weft_fd){1, 1});
    CHECK_REFUSED(weft_stream_peek(&s, &data));
    CHECK_REFUSED(weft_stream_more(&s, 0, 10, &data));
    CHECK_REFUSED(weft_stream_read_until(&s, '\n', 10, &data));
    CHECK_REFUSED(weft_stream_read(&s, buf, sizeof buf));
    CHECK_REFUSED(weft_stream_read_exact(&s, buf, sizeof buf));
    CHECK_REFUSED(weft_stream_read_until_text(&s, "\r\n", 10, &data));
    CHECK_REFUSED(weft_stream_read_line(&s, 10, &data, &len));
    CHECK_REFUSED(weft_stream_skip(&s, 1, NULL));
    CHECK_REFUSED(weft_stream_copy(&s, &s, 1, NULL));
    CHECK_REFUSED(weft_stream_printf(&s, "%d", 1));
    CHECK_REFUSED(weft_stream_shutdown_write(&s));
    weft_stream_fini(&s);
}

TEST_PLAIN(calls_that_never_park_say_ebadf_for_no_descriptor)
{
    weft_fd none = {0, 0};
    char c = 'x';
    weft_addr a;
    CHECK_EQ(weft_close(none), -EBADF);
    CHECK_EQ(weft_fd_number(none), -EBADF);
    CHECK_EQ(weft_fd_release(none), -EBADF);
    CHECK_EQ(weft_try_read(none, &c, 1), -EBADF);
    CHECK_EQ(weft_try_write(none, &c, 1), -EBADF);
    CHECK_EQ(weft_try_accept(none, &none, NULL), -EBADF);
    CHECK_EQ(weft_local_addr(none, &a), -EBADF);
    CHECK_EQ(weft_shutdown_write(none), -EBADF);
}

TEST_PLAIN(there_is_no_scratch_and_no_buffer_outside_of_a_run)
{
    weft_tenant t = {NULL};
    CHECK(weft_scratch_claim(&t) == NULL);
    weft_scratch_leave(&t);
    weft_buffer_put(NULL);
}

/* --- another thread; a debug build ends there, see test_foreign_thread --- */

#ifndef WEFT_DEBUG

static weft_nursery elsewhere;

static void *spawns_without_a_run(void *unused)
{
    weft_spawn_opts opts = {.name = "nobody"};
    char c = 'x';
    CHECK_REFUSED(weft_spawn(&elsewhere, never, NULL));
    CHECK_REFUSED(weft_spawn_ex(&elsewhere, never, NULL, &opts));
    CHECK_REFUSED(weft_spawn_copy(&elsewhere, never, &c, 1));
    CHECK_REFUSED(weft_spawn_copy_ex(&elsewhere, never, &c, 1, &opts));
    CHECK_REFUSED(weft_spawn_wait(&elsewhere, never, NULL));
    CHECK_REFUSED(weft_spawn_wait_ex(&elsewhere, never, NULL, &opts));
    return unused;
}

TEST(a_thread_without_a_run_cannot_spawn_into_a_nursery)
{
    pthread_t t;
    CHECK_EQ(weft_nursery_open(&elsewhere, NULL), 0);
    CHECK_EQ(pthread_create(&t, NULL, spawns_without_a_run, NULL), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    CHECK_EQ(weft_nursery_count(&elsewhere), 0);
    CHECK_EQ(weft_nursery_close(&elsewhere, 0), 0);
}
#endif
