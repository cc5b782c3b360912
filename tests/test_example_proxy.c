/* SPDX-License-Identifier: MIT */
/*
 * test_example_proxy.c - examples/tcp_proxy between a client and a target, both
 * of which are the test: plain POSIX sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chance.h"
#include "harness.h"
#include "program.h"
#include "system.h"

/* The proxy, the listener behind it, and the two ends of a connection. */
static struct program proxy;
static int target = -1, client = -1, server = -1;

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_port = htons((in_port_t)port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return in;
}

static int patient(int fd)
{
    struct timeval patience = {.tv_sec = test_is_slow() ? 60 : 8};
    CHECK(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static int port_of_listener(int fd)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

static void begin_proxy(int backlog)
{
    struct sockaddr_in at = loopback(0);
    char to[64];
    target = patient(system_socket(AF_INET));
    CHECK_EQ(bind(target, (struct sockaddr *)&at, sizeof at), 0);
    if (backlog > 0) CHECK_EQ(listen(target, backlog), 0);
    (void)snprintf(to, sizeof to, "127.0.0.1:%d", port_of_listener(target));
    char line[256], *arguments[] = {(char[]){"127.0.0.1:0"}, to, NULL};
    start_program(&proxy, "tcp_proxy", arguments);
    (void)read_its_line(&proxy, line, sizeof line);
    CHECK_EQ(sscanf(line, "listening on %127s", proxy.address[0]), 1);
}

static int dial_proxy(void)
{
    struct sockaddr_in to = loopback(atoi(strrchr(proxy.address[0], ':') + 1));
    int fd = patient(system_socket(AF_INET));
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void begin(void)
{
    begin_proxy(8);
    client = dial_proxy();
    server = patient(system_own(accept(target, NULL, NULL)));
}

static void close_if_open(int fd)
{
    if (fd >= 0) CHECK_EQ(close(fd), 0);
}

static void close_all(void)
{
    close_if_open(client);
    close_if_open(server);
    close_if_open(target);
}

static void end(void)
{
    close_all();
    stop_server(&proxy);
}

static void say(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hear(int fd, const char *want)
{
    char text[256] = "";
    CHECK_EQ(recv(fd, text, strlen(want), MSG_WAITALL), strlen(want));
    CHECK_STR(text, want);
}

static void hear_the_end(int fd)
{
    char octet;
    CHECK_EQ(recv(fd, &octet, 1, 0), 0);
}

static void hear_a_reset(int fd)
{
    char octet;
    CHECK_EQ(recv(fd, &octet, 1, 0), -1);
    CHECK_EQ(errno, ECONNRESET);
}

static void reset(int *fd)
{
    const struct linger l = {.l_onoff = 1, .l_linger = 0};
    CHECK_EQ(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
    CHECK_EQ(close(*fd), 0);
    *fd = -1;
}

TEST_PLAIN(tcp_proxy_carries_both_ways)
{
    begin();
    say(client, "a question\n");
    hear(server, "a question\n");
    say(server, "an answer\n");
    hear(client, "an answer\n");
    end();
}

TEST_PLAIN(tcp_proxy_passes_the_end_of_one_direction_on_and_carries_the_other)
{
    begin();
    say(client, "the last words");
    CHECK_EQ(shutdown(client, SHUT_WR), 0);
    hear(server, "the last words");
    hear_the_end(server);
    say(server, "an answer all the same");
    hear(client, "an answer all the same");
    CHECK_EQ(shutdown(server, SHUT_WR), 0);
    hear_the_end(client);
    end();
}

TEST_PLAIN(tcp_proxy_resets_the_target_when_the_client_was_reset)
{
    begin();
    say(client, "half a ques");
    hear(server, "half a ques");
    reset(&client);
    hear_a_reset(server);
    end();
}

TEST_PLAIN(tcp_proxy_resets_the_client_when_the_target_was_reset)
{
    begin();
    say(server, "half an ans");
    hear(client, "half an ans");
    reset(&server);
    hear_a_reset(client);
    end();
}

/* More than all buffers hold, in both directions at once. */
static void exchange(int there, int back, const char *data, char *copy,
                     size_t len)
{
    size_t sent = 0, got = 0;
    while (got < len) {
        struct pollfd p[2] = {
            {.fd = sent < len ? there : -1, .events = POLLOUT},
            {.fd = back, .events = POLLIN}};
        CHECK(poll(p, 2, test_is_slow() ? 60000 : 8000) > 0);
        if (p[0].revents) {
            ssize_t n = send(there, data + sent, len - sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
            CHECK(n > 0 || errno == EAGAIN);
            if (n > 0) sent += (size_t)n;
        }
        if (p[1].revents) {
            ssize_t n = recv(back, copy + got, len - got, MSG_DONTWAIT);
            CHECK(n > 0);
            got += (size_t)n;
        }
    }
}

TEST_PLAIN(tcp_proxy_carries_some_mebibytes_and_changes_none)
{
    enum { MUCH = 4 << 20 };
    static char data[MUCH], copy[MUCH];
    random_begin(test_seed());
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)random_below(256);
    begin();
    exchange(client, server, data, copy, MUCH);
    CHECK_EQ(memcmp(data, copy, MUCH), 0);
    exchange(server, client, data, copy, MUCH);
    CHECK_EQ(memcmp(data, copy, MUCH), 0);
    end();
}

TEST_PLAIN(tcp_proxy_says_which_target_refused_and_ends_the_client)
{
    char line[256];
    begin_proxy(0); /* nobody listens there */
    client = dial_proxy();
    hear_the_end(client);
    (void)read_its_line(&proxy, line, sizeof line);
    CHECK(strstr(line, "dial 127.0.0.1:") && strstr(line, "refused"));
    end();
}

TEST_PLAIN(tcp_proxy_stops_while_connections_are_idle)
{
    char text[256];
    begin();
    CHECK_EQ(kill(proxy.pid, SIGTERM), 0);
    hear_the_end(server);
    CHECK_EQ(shutdown(server, SHUT_WR), 0);
    hear_the_end(client);
    CHECK_EQ(await_program(&proxy, text, sizeof text), 0);
    CHECK_STR(text, "");
    close_all();
}

TEST_PLAIN(tcp_proxy_without_its_addresses_tells_its_usage)
{
    char text[1024], *one[] = {(char[]){"127.0.0.1:0"}, NULL};
    struct program p;
    start_program(&p, "tcp_proxy", one);
    CHECK_EQ(await_program(&p, text, sizeof text), 2);
    CHECK(strncmp(text, "usage: ", 7) == 0);
}
