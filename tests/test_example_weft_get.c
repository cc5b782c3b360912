/* SPDX-License-Identifier: MIT */
/*
 * test_example_weft_get.c - examples/weft-get and a server that is the test:
 * plain POSIX sockets.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "program.h"
#include "system.h"

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define SAID  "status=200 len=5 crc=3610a686\n"

enum { URLS = 8 };

static int listener = -1, conn = -1, conns;

static int patient(int fd)
{
    struct timeval patience = {.tv_sec = test_is_slow() ? 60 : 8};
    CHECK(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static int begin_listening(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = patient(system_socket(AF_INET));
    CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(listener, 8), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

static void hang_up(void)
{
    if (conn >= 0) CHECK_EQ(close(conn), 0);
    conn = -1;
}

/* False: the connection has ended. */
static bool hear(void)
{
    char head[1024] = "";
    size_t len = 0;
    while (!strstr(head, "\r\n\r\n")) {
        CHECK(len < sizeof head - 1);
        ssize_t n = recv(conn, head + len, 1, 0);
        if (n <= 0) return false;
        head[++len] = 0;
    }
    return true;
}

/* A request, on the connection there is or on another one; and its reply. */
static void answer(const char *reply)
{
    bool ends = *reply == '!';
    if (conn < 0 || !hear()) {
        hang_up();
        conn = patient(accept(listener, NULL, NULL));
        conns++;
        CHECK(hear());
    }
    CHECK_EQ(send(conn, reply + ends, strlen(reply + ends), 0),
             strlen(reply + ends));
    if (ends) hang_up();
}

/* What it prints of these replies, of which '!' says that the end follows. */
static int fetch(const char *method, const char *const *replies, char *text,
                 size_t size)
{
    struct program p;
    static char urls[URLS][64], word[16];
    char *arguments[URLS + 2] = {word};
    int count = 0, port = begin_listening();
    (void)snprintf(word, sizeof word, "%s", method);
    for (; replies[count]; count++) {
        (void)snprintf(urls[count], sizeof urls[count],
                       "http://127.0.0.1:%d/%d", port, count);
        arguments[count + 1] = urls[count];
    }
    conns = 0;
    start_program(&p, "weft-get", arguments);
    for (int i = 0; i < count; i++)
        answer(replies[i]);
    int status = await_program(&p, text, size);
    hang_up();
    CHECK_EQ(close(listener), 0);
    return status;
}

TEST_PLAIN(weft_get_says_status_length_and_crc_over_one_connection)
{
    static const char *const replies[] = {
        HELLO,
        "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", NULL};
    char text[1024];
    CHECK_EQ(fetch("GET", replies, text, sizeof text), 0);
    CHECK_STR(text, SAID "status=404 len=5 crc=3610a686\n"
                         "status=302 len=0 crc=00000000\n");
    CHECK_EQ(conns, 1);
}

TEST_PLAIN(weft_get_says_error_and_goes_on_with_another_connection)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        HELLO,
        "!HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        HELLO "HTTP/1.1 299 Evil\r\nContent-Length: 0\r\n\r\n",
        HELLO,
        NULL};
    char text[1024];
    CHECK_EQ(fetch("GET", replies, text, sizeof text), 1);
    CHECK(strncmp(text, "error", 5) == 0);
    char *second = strchr(text, '\n') + 1;
    CHECK(strncmp(second, SAID "error", sizeof SAID + 4) == 0);
    CHECK_STR(strstr(second, "\nerror") +
                  strcspn(strstr(second, "\nerror") + 1, "\n") + 2,
              SAID SAID);
    CHECK_EQ(conns, 4);
}

TEST_PLAIN(weft_get_reads_no_body_of_what_has_none)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No\r\n\r\n", NULL};
    char text[1024];
    CHECK_EQ(fetch("HEAD", replies, text, sizeof text), 0);
    CHECK_STR(text, "status=200 len=0 crc=00000000\n"
                    "status=204 len=0 crc=00000000\n");
}

TEST_PLAIN(weft_get_called_wrongly_says_how)
{
    struct program p;
    char text[256], word[] = "GET", *arguments[] = {word, NULL};
    start_program(&p, "weft-get", arguments);
    CHECK_EQ(await_program(&p, text, sizeof text), 2);
    CHECK_STR(text, "usage: weft-get METHOD URL [URL]\n");
}
