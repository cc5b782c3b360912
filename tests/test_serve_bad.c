/* SPDX-License-Identifier: MIT */
/* test_serve_bad.c - what cannot be served: an error that says which it is. */
#include <weft/error.h>
#include <weft/fiber.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "harness.h"
#include "host.h"
#include "server.h"
#include "system.h"

static int never(weft_conn *c)
{
    (void)c;
    CHECK(false);
    return 0;
}

/* Says so, with such words, and has closed it. */
static void check_refused(weft_fd fd, int code, const char *words)
{
    CHECK_EQ(weft_serve(fd, never, NULL, NULL), code);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, code);
    if (!strstr(e->msg, words)) CHECK_STR(e->msg, words);
    CHECK_EQ(weft_fd_number(fd), -EBADF);
}

TEST(no_descriptor_and_a_closed_one_are_said_to_be_that)
{
    weft_fd l;
    check_refused((weft_fd){0, 0}, -EBADF, "serve: the listener is closed");
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_close(l), 0);
    check_refused(l, -EBADF, "closed");
}

TEST(what_is_no_socket_is_named_by_its_number)
{
    weft_fd ends[2];
    char words[64];
    open_pipe(ends);
    (void)snprintf(words, sizeof words, "descriptor %d is no socket",
                   weft_fd_number(ends[0]));
    check_refused(ends[0], -ENOTSOCK, words);
    CHECK_EQ(weft_close(ends[1]), 0);
}

TEST(a_socket_that_does_not_listen_is_named_by_its_address)
{
    weft_fd pair[2], bound, datagram;
    char text[WEFT_ADDR_TEXT], words[200];
    weft_addr at;
    open_pair(pair);
    check_refused(pair[0], -EINVAL, "does not listen");
    CHECK_EQ(weft_close(pair[1]), 0);

    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &bound), 0);
    CHECK_EQ(weft_addr_parse(&at, "127.0.0.1:0"), 0);
    CHECK_EQ(weft_bind(bound, (struct sockaddr *)&at.sa, at.len), 0);
    CHECK_EQ(weft_local_addr(bound, &at), 0);
    (void)snprintf(words, sizeof words, "(%s) does not listen",
                   weft_addr_format(&at, text, sizeof text));
    check_refused(bound, -EINVAL, words);

    CHECK_EQ(weft_socket(AF_INET, SOCK_DGRAM, 0, &datagram), 0);
    check_refused(datagram, -EINVAL, "does not listen");
}

TEST(without_a_handler_or_with_a_bad_option_nothing_is_served)
{
    const weft_serve_opts bad = {.peer_prefix6 = 129};
    weft_fd l;
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_serve(l, NULL, NULL, NULL), -EINVAL);
    CHECK(strstr(weft_last_error()->msg, "no handler") != NULL);
    CHECK_EQ(weft_fd_number(l), -EBADF);
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_serve(l, never, NULL, &bad), -EINVAL);
    CHECK(strstr(weft_last_error()->msg, "129") != NULL);
    CHECK_EQ(weft_fd_number(l), -EBADF);
}

TEST(a_listener_in_memory_that_is_not_one_is_said_to_be_that)
{
    weft_memory_listener *l = weft_memory_listener_new(0);
    CHECK_EQ(weft_serve_memory(NULL, never, NULL, NULL), -EINVAL);
    CHECK(strstr(weft_last_error()->msg, "no listener") != NULL);
    weft_memory_listener_close(l);
    CHECK_EQ(weft_serve_memory(l, never, NULL, NULL), -EBADF);
    CHECK(strstr(weft_last_error()->msg, "closed") != NULL);
    weft_memory_listener_free(l);
}

TEST_PLAIN(outside_of_a_run_nothing_is_served)
{
    CHECK_EQ(weft_serve((weft_fd){0, 0}, never, NULL, NULL), -EPERM);
    CHECK_EQ(weft_serve_memory(NULL, never, NULL, NULL), -EPERM);
}

TEST_REAL(a_listener_that_somebody_else_closes_ends_the_server_and_is_told_of)
{
    struct server s = {.handler = echo, .opts = {.linger = WEFT_MSEC(2)}};
    weft_fd conn = {0, 0};
    int rc;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        conn = dial(&s);
        check_echo(conn, "x");
        CHECK_EQ(weft_close(s.listener), 0);
    }
    CHECK_EQ(rc, -EBADF);
    CHECK(strstr(weft_last_error()->msg, "somebody else") != NULL);
    CHECK_EQ(s.result, -EBADF);
    CHECK_EQ(s.now, 0); /* it was drained */
    CHECK_EQ(weft_close(conn), 0);
}
