/* SPDX-License-Identifier: MIT */
/*
 * test_seam.c - what differs between systems, and has to look the same: how a
 * descriptor is made and told from others, and pages of any size.
 *
 * This program puts itself before sysconf(3), and has large pages.
 */
#include <weft/error.h>
#include <weft/net.h>
#include <weft/process.h>
#include <weft/run.h>
#include <weft/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/un.h>

#include "harness.h"
#include "process.h"
#include "runtime/os_thread.h"
#include "runtime/stack.h"
#include "shell.h"
#include "sockets.h"
#include "system.h"

/* ---- pages -------------------------------------------------------------- */

enum { LARGE = 65536 }; /* as large as pages are anywhere */

/* Sizes of signal stacks are asked for too, by sanitizers. */
long sysconf(int name)
{
    return name == _SC_NPROCESSORS_ONLN ? 2 : LARGE;
}

TEST_PLAIN(guards_and_stacks_are_whole_pages_however_large)
{
    static const size_t sizes[] = {1, 4096, 16384, LARGE, LARGE + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct wf_stack_pool p;
        wf_stack_pool_init(&p, sizes[i], sizes[i]);
        CHECK_EQ(p.usable % LARGE, 0);
        CHECK_EQ(p.guard % LARGE, 0);
        CHECK_EQ(p.stride / LARGE % 2, 1);
        CHECK_EQ(wf_stack_promise(&p), 0);
        CHECK_EQ(wf_stack_promise(&p), 0);
        struct wf_stack *s = wf_stack_take(&p), *t = wf_stack_take(&p);
        CHECK_EQ((uintptr_t)(t->low - s->low) % LARGE, 0);
        s->low[0] = s->top[-1] = t->low[0] = t->top[-1] = 1;
        CHECK_EQ(p.unguarded, 0);
        wf_stack_release(s);
        wf_stack_release(t);
        wf_stack_pool_fini(&p);
    }
}

/* ---- descriptors -------------------------------------------------------- */

static void check_is_ours(int number)
{
    CHECK(number >= 0);
    CHECK(fcntl(number, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(number, F_GETFL) & O_NONBLOCK);
}

TEST_REAL(what_is_made_is_closed_on_exec_and_does_not_block)
{
    weft_fd one, pair[2], listener, near, far;
    weft_addr at;
    char text[WEFT_ADDR_TEXT];
    int ends[2];
    CHECK_EQ(weft_socket(AF_INET, SOCK_DGRAM, 0, &one), 0);
    check_is_ours(weft_fd_number(one));
    CHECK_EQ(weft_close(one), 0);
    open_pair(pair);
    check_is_ours(weft_fd_number(pair[0]));
    check_is_ours(weft_fd_number(pair[1]));
    close_pair(pair);
    CHECK_EQ(wf_os_pipe(ends), 0);
    check_is_ours(ends[0]);
    check_is_ours(ends[1]);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);

    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    CHECK_EQ(weft_dial(&near, weft_addr_format(&at, text, sizeof text)), 0);
    CHECK_EQ(weft_accept(listener, &far, NULL), 0);
    check_is_ours(weft_fd_number(far));
    CHECK_EQ(weft_close(near), 0);
    CHECK_EQ(weft_close(far), 0);
    CHECK_EQ(weft_close(listener), 0);
}

static int bound_socket(struct sockaddr_in *ret_at, bool listens)
{
    socklen_t len = sizeof *ret_at;
    int fd = system_socket(AF_INET);
    *ret_at = (struct sockaddr_in){.sin_family = AF_INET};
    ret_at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)ret_at, len), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)ret_at, &len), 0);
    if (listens) CHECK_EQ(listen(fd, 8), 0);
    return fd;
}

/* A second reader of a stream is a mistake, and is told so. */
static void check_is_a_stream(weft_fd fd, weft_fd peer)
{
    struct call r = {.fd = fd};
    char c;
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(weft_read(fd, &c, 1), -EBUSY);
        CHECK_EQ(weft_write(peer, "x", 1), 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, 1);
}

TEST_REAL(an_adopted_socket_is_what_it_was)
{
    struct sockaddr_in at, from;
    weft_fd listener, client, conn;
    CHECK_EQ(weft_fd_adopt(bound_socket(&at, true), &listener), 0);
    CHECK_EQ(weft_fd_adopt(bound_socket(&from, false), &client), 0);
    CHECK_EQ(weft_connect(client, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(weft_accept(listener, &conn, NULL), 0);
    check_is_a_stream(client, conn);
    check_is_a_stream(conn, client);

    int number = weft_fd_release(client);
    CHECK(number >= 0);
    CHECK_EQ(weft_fd_adopt(number, &client), 0);
    check_is_a_stream(client, conn);
    CHECK_EQ(weft_close(client), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

/* ---- a socket file ------------------------------------------------------ */

TEST_REAL(a_listener_whose_queue_is_full_is_not_taken_for_a_stale_one)
{
    weft_fd listener, second, waiting[8];
    const weft_listen_opts o = {.backlog = 1};
    char path[64];
    int n = 0;
    (void)snprintf(path, sizeof path, "unix:/tmp/weft-seam-%d", (int)getpid());
    CHECK_EQ(weft_listen(&listener, path, &o), 0);
    while (n < 8 && weft_dial(&waiting[n], path) == 0)
        n++;
    CHECK(n > 0 && n < 8);
    CHECK_EQ(weft_listen(&second, path, NULL), -EADDRINUSE);
    CHECK_EQ(access(path + 5, F_OK), 0);
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_close(waiting[i]), 0);
    weft_fd conn;
    while (n > 0 && weft_accept(listener, &conn, NULL) == 0) {
        CHECK_EQ(weft_close(conn), 0);
        n--; /* those that dialled; nobody else has */
    }
    CHECK_EQ(weft_try_accept(listener, &conn, NULL), -EAGAIN);
    CHECK_EQ(weft_close(listener), 0);
    CHECK_EQ(unlink(path + 5), 0);
}

/* ---- programs, and descriptors that are half made ----------------------- */

static int stop; /* atomic */

static void *make_pipes(void *arg)
{
    int ends[2];
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        CHECK_EQ(wf_os_pipe(ends), 0);
        CHECK_EQ(close(ends[0]), 0);
        CHECK_EQ(close(ends[1]), 0);
    }
    return arg;
}

/* All that are open in it, in one line: 0 1 2, and that of the directory. */
TEST_REAL(a_program_gets_no_descriptor_that_another_thread_is_making)
{
    weft_process_opts o = SHELL("echo /dev/fd/*");
    char text[256];
    pthread_t thread;
    weft_capture out = {.buf = text, .room = sizeof text - 1};
    CHECK_EQ(weft_process_run(&o, NULL, 0, &out, NULL), 0);
    size_t usual = out.len;
    CHECK_EQ(pthread_create(&thread, NULL, make_pipes, NULL), 0);
    for (int i = 0; i < 50; i++) {
        out.len = 0;
        CHECK_EQ(weft_process_run(&o, NULL, 0, &out, NULL), 0);
        text[out.len] = 0;
        if (out.len != usual) test_fail(__FILE__, __LINE__, "open: %s", text);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- a condition, a signal ---------------------------------------------- */

TEST_PLAIN(a_wait_ends_by_the_monotonic_clock_and_not_early)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never;
    wf_os_cond_init(&never);
    int64_t until = wf_os_clock() + 20000000;
    (void)pthread_mutex_lock(&lock);
    while (!wf_os_cond_wait_until(&never, &lock, until))
        continue;
    (void)pthread_mutex_unlock(&lock);
    CHECK(wf_os_clock() >= until);
    CHECK_EQ(pthread_cond_destroy(&never), 0);
}

TEST_PLAIN(a_signal_held_back_is_taken_off_and_none_is_waited_for)
{
    sigset_t before, pending;
    CHECK(!wf_os_sighold(SIGUSR1, &before));
    CHECK_EQ(raise(SIGUSR1), 0);
    wf_os_sigunhold(SIGUSR1, &before, true);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
    CHECK(!wf_os_sighold(SIGUSR1, &before));
    wf_os_sigunhold(SIGUSR1, &before, true); /* there is none */
}
