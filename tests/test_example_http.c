/* SPDX-License-Identifier: MIT */
/*
 * test_example_http.c - examples/http_echo, which others judge the HTTP server
 * by: its form, its limits and its end. The client is a plain POSIX socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "program.h"
#include "system.h"

enum { ROOM = 160 << 10 };

static struct program server;
static char replies[ROOM];

static void begin(void)
{
    start_server(&server, "http_echo",
                 (char *[]){(char[]){"127.0.0.1:0"}, NULL});
}

static int dial(void)
{
    struct timeval patience = {.tv_sec = test_is_slow() ? 60 : 8};
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = system_socket(AF_INET);
    CHECK(fd >= 0);
    to.sin_port = htons((in_port_t)atoi(strrchr(server.address[0], ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static void put(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) test_fail(__FILE__, __LINE__, "send: %s", strerror(errno));
        data += n;
        len -= (size_t)n;
    }
}

/* All that is answered to `text`, which is the client's last. */
static const char *ask_octets(const char *text, size_t len)
{
    int fd = dial();
    put(fd, text, len);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    (void)read_all(fd, replies, sizeof replies);
    CHECK_EQ(close(fd), 0);
    return replies;
}

static const char *ask(const char *text)
{
    return ask_octets(text, strlen(text));
}

static int status_of(const char *reply)
{
    CHECK_EQ(strncmp(reply, "HTTP/1.1 ", 9), 0);
    return atoi(reply + 9);
}

/* The body of a reply, whose length has to be the one that was told. */
static const char *body_of(const char *reply)
{
    static const char field[] = "\r\nContent-Length: ";
    const char *end = strstr(reply, "\r\n\r\n");
    const char *length = strstr(reply, field);
    CHECK(end != NULL && length != NULL && length < end);
    CHECK_EQ(strlen(end + 4), strtoul(length + sizeof field - 1, NULL, 10));
    return end + 4;
}

static const char *last_body(const char *text)
{
    const char *reply = ask(text);
    CHECK_EQ(status_of(reply), 200);
    return body_of(reply);
}

/* ---- its form ------------------------------------------------------------ */

TEST_PLAIN(http_echo_says_how_it_has_read_a_request)
{
    begin();
    CHECK_STR(last_body("GET /as/received?x HTTP/1.1\r\nHost: a:80\r\n\r\n"),
              "method=GET\ntarget=/as/received?x\nbody_len=0\n"
              "body_crc32=00000000\nh.host=a:80\n");
    CHECK_STR(last_body("POST / HTTP/1.1\r\nHost: a\r\nX-Upper-CASE:  two  \r\n"
                        "Content-Length: 5\r\nx-empty:\r\n\r\nhello"),
              "method=POST\ntarget=/\nbody_len=5\nbody_crc32=3610a686\n"
              "h.host=a\nh.x-upper-case=two\nh.content-length=5\nh.x-empty=\n");
    CHECK_STR(last_body("GET http://b/%41 HTTP/1.0\r\n\r\n"),
              "method=GET\ntarget=http://b/%41\nbody_len=0\n"
              "body_crc32=00000000\n");
    CHECK_STR(last_body("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
              "method=OPTIONS\ntarget=*\nbody_len=0\nbody_crc32=00000000\n"
              "h.host=a\n");
    stop_server(&server);
}

TEST_PLAIN(http_echo_says_each_field_line_by_itself_in_order)
{
    begin();
    CHECK_STR(last_body("FIND /x HTTP/1.1\r\nB: 1\r\nHost: a\r\nA: \351\t2\r\n"
                        "b: 3\r\n\r\n"),
              "method=FIND\ntarget=/x\nbody_len=0\nbody_crc32=00000000\n"
              "h.b=1\nh.host=a\nh.a=\351\t2\nh.b=3\n");
    stop_server(&server);
}

TEST_PLAIN(http_echo_spells_long_names_in_lower_case)
{
    char text[1024], want[1024], name[200];
    for (size_t len = 60; len <= 130; len += 2) {
        char lower[200];
        memset(name, 'N', len);
        memset(lower, 'n', len);
        name[len] = lower[len] = '\0';
        (void)snprintf(text, sizeof text,
                       "GET / HTTP/1.1\r\nHost: a\r\n%s: v\r\n\r\n", name);
        (void)snprintf(want, sizeof want,
                       "method=GET\ntarget=/\nbody_len=0\nbody_crc32=00000000\n"
                       "h.host=a\nh.%s=v\n",
                       lower);
        if (len == 60) begin();
        CHECK_STR(last_body(text), want);
    }
    stop_server(&server);
}

TEST_PLAIN(http_echo_counts_a_chunked_body_without_its_framing)
{
    begin();
    CHECK_STR(last_body("PUT / HTTP/1.1\r\nHost: a\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n"
                        "2;x=\"y\"\r\nhe\r\n3\r\nllo\r\n0\r\nAfter: wards\r\n"
                        "\r\n"),
              "method=PUT\ntarget=/\nbody_len=5\nbody_crc32=3610a686\n"
              "h.host=a\nh.transfer-encoding=chunked\n");
    stop_server(&server);
}

TEST_PLAIN(http_echo_answers_head_as_get_without_the_body)
{
    begin();
    const char *reply = ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(status_of(reply), 200);
    CHECK(strstr(reply, "\r\nContent-Length: 61\r\n") != NULL);
    CHECK_STR(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
    stop_server(&server);
}

TEST_PLAIN(http_echo_refuses_connect_and_what_comes_behind_it)
{
    begin();
    const char *reply = ask("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"
                            "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(status_of(reply) >= 400);
    CHECK(strstr(reply, "method=") == NULL);
    stop_server(&server);
}

/* ---- its limits ---------------------------------------------------------- */

static char large[ROOM];

/* begin, so many octets of filling, and end. */
static const char *ask_filled(const char *begins, size_t filling,
                              const char *ends)
{
    size_t first = strlen(begins), last = strlen(ends);
    CHECK(first + filling + last <= sizeof large);
    memcpy(large, begins, first);
    memset(large + first, 'x', filling);
    memcpy(large + first + filling, ends, last);
    return ask_octets(large, first + filling + last);
}

TEST_PLAIN(http_echo_takes_a_request_line_of_16_kib_and_no_more)
{
    const char *begins = "GET /", *ends = " HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t filling = (16 << 10) - strlen("GET / HTTP/1.1");
    begin();
    CHECK_EQ(status_of(ask_filled(begins, filling, ends)), 200);
    CHECK_EQ(status_of(ask_filled(begins, filling + 1, ends)), 414);
    stop_server(&server);
}

TEST_PLAIN(http_echo_takes_a_head_of_64_kib_and_no_more)
{
    const char *begins = "GET / HTTP/1.1\r\nHost: a\r\nX: ", *ends = "\r\n\r\n";
    size_t filling = (64 << 10) - strlen(begins) - strlen(ends);
    begin();
    const char *reply = ask_filled(begins, filling, ends);
    CHECK_EQ(status_of(reply), 200);
    CHECK_EQ(strlen(body_of(reply)),
             strlen("method=GET\ntarget=/\nbody_len=0\nbody_crc32=00000000\n"
                    "h.host=a\nh.x=\n") +
                 filling);
    CHECK_EQ(status_of(ask_filled(begins, filling + 1, ends)), 431);
    stop_server(&server);
}

/* Chunks of 1 KiB, so many, and one octet more or none. */
static const char *ask_in_chunks(unsigned kibibytes, bool one_more)
{
    static char chunk[1024 + 8];
    int fd = dial();
    const char *head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n";
    memset(chunk, 'x', sizeof chunk);
    memcpy(chunk, "400\r\n", 5);
    memcpy(chunk + 5 + 1024, "\r\n", 2);
    put(fd, head, strlen(head));
    for (unsigned i = 0; i < kibibytes; i++)
        put(fd, chunk, 5 + 1024 + 2);
    if (one_more) put(fd, "1\r\nx\r\n", 6);
    put(fd, "0\r\n\r\n", 5);
    (void)read_all(fd, replies, sizeof replies);
    CHECK_EQ(close(fd), 0);
    return replies;
}

TEST_PLAIN(http_echo_takes_a_body_of_1_mib_and_no_more)
{
    begin();
    CHECK_EQ(status_of(ask("POST / HTTP/1.1\r\nHost: a\r\n"
                           "Content-Length: 1048577\r\n\r\n")),
             413);
    const char *reply = ask_in_chunks(1024, false);
    CHECK_EQ(status_of(reply), 200);
    CHECK(strstr(reply, "\nbody_len=1048576\n") != NULL);
    CHECK_EQ(status_of(ask_in_chunks(1024, true)), 413);
    stop_server(&server);
}

/* ---- its end ------------------------------------------------------------- */

TEST_PLAIN(http_echo_needs_an_address)
{
    struct program p;
    char text[1024], *none[] = {NULL};
    start_program(&p, "http_echo", none);
    int status = await_program(&p, text, sizeof text);
    CHECK_EQ(strncmp(text, "usage: ", 7), 0);
    CHECK_EQ(status, 2);
}

TEST_PLAIN(http_echo_answers_what_has_begun_and_ends_with_0)
{
    const char *half = "GET / HTTP/1.1\r\n", *rest = "Host: a\r\n\r\n";
    char text[1024];
    begin();
    int fd = dial(), idle = dial();
    put(fd, half, strlen(half));
    put(fd, rest, strlen(rest) - 1);
    CHECK_EQ(kill(server.pid, SIGTERM), 0);
    put(fd, "\n", 1);
    (void)read_all(fd, replies, sizeof replies);
    CHECK_EQ(status_of(replies), 200);
    CHECK_EQ(read(idle, text, 1), 0);
    CHECK_EQ(close(fd) + close(idle), 0);
    CHECK_EQ(await_program(&server, text, sizeof text), 0);
}
