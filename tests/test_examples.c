/* SPDX-License-Identifier: MIT */
/*
 * test_examples.c - the example programs, seen from outside. The clients here
 * are plain POSIX sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "harness.h"
#include "program.h"
#include "system.h"

/* ---- clients ------------------------------------------------------------ */

static int dial(const char *address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    bool local = strncmp(address, "unix:", 5) == 0;
    struct timeval patience = {.tv_sec = test_is_slow() ? 60 : 8};
    int fd = system_socket(local ? AF_UNIX : AF_INET);
    CHECK(fd >= 0);
    if (local) {
        (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", address + 5);
        CHECK_EQ(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
    } else {
        const char *colon = strrchr(address, ':');
        CHECK(colon != NULL);
        in.sin_port = htons((in_port_t)atoi(colon + 1));
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK_EQ(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    }
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

static void say(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

static void hear(int fd, const char *want)
{
    char line[2048];
    (void)read_line(fd, line, sizeof line);
    CHECK_STR(line, want);
}

static void hear_the_end(int fd)
{
    char c;
    CHECK_EQ(read(fd, &c, 1), 0);
    CHECK_EQ(close(fd), 0);
}

static void nap(void) /* for the other side to take a piece by itself */
{
    struct timespec t = {.tv_nsec = 500000};
    (void)nanosleep(&t, NULL);
}

/* A server that is being stopped has closed its listener. */
static void wait_until_stopping(const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_port = htons((in_port_t)atoi(strrchr(address, ':') + 1));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 20000; i++) {
        int fd = system_socket(AF_INET);
        CHECK(fd >= 0);
        int rc = connect(fd, (struct sockaddr *)&in, sizeof in);
        CHECK_EQ(close(fd), 0);
        if (rc < 0) return;
        nap();
    }
    bool stopped_listening = false;
    CHECK(stopped_listening);
}

static void start_anywhere(struct program *p, const char *name)
{
    start_server(p, name, (char *[]){(char[]){"127.0.0.1:0"}, NULL});
}

static void start_on_workers(struct program *p, const char *name,
                             const char *workers, char *more)
{
    char line[256], count[8],
        *arguments[] = {(char[]){"127.0.0.1:0"}, count, more, NULL};
    (void)snprintf(count, sizeof count, "%s", workers);
    start_program(p, name, arguments);
    (void)read_its_line(p, line, sizeof line);
    CHECK_EQ(sscanf(line, "listening on %127s", p->address[0]), 1);
}

static void start_on_two_workers(struct program *p, const char *name)
{
    start_on_workers(p, name, "2", NULL);
}

/* ---- hello, and how all of them begin ----------------------------------- */

TEST_PLAIN(hello_greets_in_the_order_of_the_sleeps)
{
    struct program p;
    char text[1024], *none[] = {NULL};
    start_program(&p, "hello", none);
    int status = await_program(&p, text, sizeof text);
    CHECK_STR(text, "hello from weft\n"
                    "hello from shed\n"
                    "hello from warp\n"
                    "all have said it\n");
    CHECK_EQ(status, 0);
}

TEST_PLAIN(a_server_without_an_address_tells_its_usage)
{
    static const char *const servers[] = {"echo_server", "http_server", "chat"};
    for (size_t i = 0; i < 3; i++) {
        struct program p;
        char text[1024], *none[] = {NULL};
        start_program(&p, servers[i], none);
        int status = await_program(&p, text, sizeof text);
        CHECK(strncmp(text, "usage: ", 7) == 0);
        CHECK_EQ(status, 2);
    }
}

TEST_PLAIN(an_address_that_is_taken_is_named)
{
    struct program first, second;
    char text[1024];
    start_anywhere(&first, "echo_server");
    start_program(&second, "echo_server", (char *[]){first.address[0], NULL});
    int status = await_program(&second, text, sizeof text);
    CHECK_EQ(status, 1);
    CHECK(strstr(text, first.address[0]) && strstr(text, "in use"));
    stop_server(&first);
}

/* ---- echo_server -------------------------------------------------------- */

/* Sends and receives at once, as more than all buffers take goes through. */
static void exchange(int fd, const char *data, char *back, size_t len)
{
    size_t sent = 0, got = 0;
    while (got < len) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (sent < len) p.events |= POLLOUT;
        CHECK_EQ(poll(&p, 1, test_is_slow() ? 60000 : 8000), 1);
        if (p.revents & POLLOUT) {
            ssize_t n =
                send(fd, data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            CHECK(n > 0 || errno == EAGAIN);
            if (n > 0) sent += (size_t)n;
        }
        if (p.revents & POLLIN) {
            ssize_t n = recv(fd, back + got, len - got, MSG_DONTWAIT);
            CHECK(n > 0);
            got += (size_t)n;
        }
    }
}

TEST_PLAIN(echo_server_sends_a_mebibyte_back)
{
    enum { MUCH = 1 << 20 };
    static char data[MUCH], back[MUCH];
    struct program p;
    random_begin(test_seed());
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)random_below(256);
    start_anywhere(&p, "echo_server");
    int fd = dial(p.address[0]);
    exchange(fd, data, back, MUCH);
    CHECK_EQ(memcmp(data, back, MUCH), 0);
    CHECK_EQ(close(fd), 0);
    stop_server(&p);
}

TEST_PLAIN(echo_server_answers_who_has_finished_sending)
{
    struct program p;
    start_anywhere(&p, "echo_server");
    int fd = dial(p.address[0]);
    say(fd, "the last words\n");
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    hear(fd, "the last words\n");
    hear_the_end(fd);
    stop_server(&p);
}

TEST_PLAIN(echo_server_stops_while_connections_are_idle)
{
    struct program p;
    start_anywhere(&p, "echo_server");
    int silent = dial(p.address[0]), once = dial(p.address[0]);
    say(once, "once\n");
    hear(once, "once\n");
    CHECK_EQ(kill(p.pid, SIGTERM), 0);
    hear_the_end(silent);
    hear_the_end(once);
    char text[1024];
    CHECK_EQ(await_program(&p, text, sizeof text), 0);
}

TEST_PLAIN(echo_server_serves_on_two_workers)
{
    enum { GUESTS = 8 };
    struct program p;
    int fds[GUESTS];
    start_on_two_workers(&p, "echo_server");
    for (int i = 0; i < GUESTS; i++)
        fds[i] = dial(p.address[0]);
    for (int i = 0; i < GUESTS; i++) {
        say(fds[i], "hello\n");
        hear(fds[i], "hello\n");
        CHECK_EQ(close(fds[i]), 0);
    }
    stop_server(&p);
}

/* ---- udp_echo ----------------------------------------------------------- */

TEST_PLAIN(udp_echo_sends_datagrams_back_until_it_is_stopped)
{
    struct program p;
    struct timeval patience = {.tv_sec = test_is_slow() ? 60 : 8};
    struct sockaddr_in in = {.sin_family = AF_INET};
    char text[32];
    start_anywhere(&p, "udp_echo");
    in.sin_port = htons((in_port_t)atoi(strrchr(p.address[0], ':') + 1));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = system_own(socket(AF_INET, SOCK_DGRAM, 0));
    CHECK_EQ(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (int i = 0; i < 3; i++) {
        say(fd, "hello");
        say(fd, "there");
        CHECK_EQ(recv(fd, text, sizeof text, 0), 5);
        CHECK_EQ(memcmp(text, "hello", 5), 0);
        CHECK_EQ(recv(fd, text, sizeof text, 0), 5);
        CHECK_EQ(memcmp(text, "there", 5), 0);
    }
    CHECK_EQ(close(fd), 0);
    stop_server(&p);
}

/* ---- http_server -------------------------------------------------------- */

#define HOST "Host: here\r\n"

/* What the answers to it say: "200 200", "200h" where no body follows (HEAD);
 * nothing may come after them but the end. */
static const struct {
    const char *request, *want;
} cases[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", "200"},
    {"HEAD / HTTP/1.1\r\n" HOST "\r\n", "200h"},
    {"POST /x?y HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", "200"},
    {"OPTIONS /x HTTP/1.1\r\n" HOST "\r\n", "200"},
    {"GET / HTTP/1.1\r\nhOST:here\r\nX-Empty:\r\n\r\n", "200"},
    /* pipelined, in one segment */
    {"GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST
     "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n",
     "200 200 200"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nGET "
     "HEAD / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
     "200 200h 200"},
    {"GET / HTTP/1.1\r\n" HOST "\r\nnonsense\r\n\r\n", "200 400"},
    /* who keeps the connection, and who does not */
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
     "GET / HTTP/1.1\r\n" HOST "\r\n",
     "200"},
    {"GET / HTTP/1.1\r\n" HOST "Connection: foo , CLOSE\r\n\r\n"
     "GET / HTTP/1.1\r\n" HOST "\r\n",
     "200"},
    {"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", "200"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
     "200 200"},
    /* the host */
    {"GET / HTTP/1.1\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", "400"},
    /* the length */
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n"
     "\r\nab",
     "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n"
     "\r\na",
     "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na", "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na", "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\na", "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\na", "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\na", "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", "413"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n",
     "400"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
     "200 200"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"
     "0\r\n\r\n",
     "501"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
     "Content-Length: 5\r\n\r\n0\r\n\r\n",
     "400"},
    /* octets where they must not be */
    {"GET / HTTP/1.1\n" HOST "\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: here\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" HOST "\n\n", "400"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\001b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\n folded\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n " HOST "\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost : here\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" HOST ": nameless\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", "400"},
    {"G(T / HTTP/1.1\r\n" HOST "\r\n", "400"},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", "400"},
    {"GET /a b HTTP/1.1\r\n" HOST "\r\n", "400"},
    {"GET /\tHTTP/1.1\r\n" HOST "\r\n", "400"},
    {"GET HTTP/1.1\r\n" HOST "\r\n", "400"},
    {"GET /\r\n" HOST "\r\n", "400"},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", "505"},
    {"GET / HTTP/1.10\r\n" HOST "\r\n", "400"},
    {"GET / http/1.1\r\n" HOST "\r\n", "400"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
    {"\026\003\001\002\n", "400"}, /* someone greets in TLS */
    /* what never becomes a request */
    {"", ""},
    {"GET / HTTP/1.1\r\n" HOST, "400"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell", "400"},
};

/* Takes the answer at `text` apart: its length; *ret_status and *ret_body are
 * what it says. Fails the test if it is not whole. */
static size_t answer_length(const char *text, long *ret_status, long *ret_body)
{
    static const char field[] = "\r\nContent-Length: ";
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, field);
    if (strncmp(text, "HTTP/1.1 ", 9) != 0 || !end || !length || length > end)
        test_fail(__FILE__, __LINE__, "no answer: \"%s\"", text);
    *ret_status = strtol(text + 9, NULL, 10);
    *ret_body = strtol(length + sizeof field - 1, NULL, 10);
    return (size_t)(end + 4 - text);
}

/* Checks that `text` is the answers that `want` tells of, and nothing else. */
static void check_answers(const char *text, const char *want)
{
    const char *rest = text;
    while (*want) {
        long status, body;
        char *after;
        long expected = strtol(want, &after, 10);
        rest += answer_length(rest, &status, &body);
        CHECK_EQ(status, expected);
        if (*after == 'h') {
            after++;
        } else {
            CHECK((long)strlen(rest) >= body);
            if (status == 200) CHECK_EQ(strncmp(rest, "Hello, World!", 13), 0);
            rest += body;
        }
        want = after + (*after == ' ');
    }
    CHECK_STR(rest, "");
}

/* Reads what else is answered, and closes. */
static void check_the_rest(int fd, const char *want)
{
    static char answers[4096];
    (void)read_all(fd, answers, sizeof answers);
    check_answers(answers, want);
    CHECK_EQ(close(fd), 0);
}

/* Sends, and reads to the end; with `last` the client sends its end first. */
static const char *ask(const char *address, const char *text, bool last)
{
    static char answers[16384];
    int fd = dial(address);
    say(fd, text);
    if (last) CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    (void)read_all(fd, answers, sizeof answers);
    CHECK_EQ(close(fd), 0);
    return answers;
}

TEST_PLAIN(http_server_answers_or_refuses_as_the_table_says)
{
    struct program p;
    start_anywhere(&p, "http_server");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        printf("case %zu: %.60s\n", i, cases[i].request);
        check_answers(ask(p.address[0], cases[i].request, true), cases[i].want);
    }
    stop_server(&p);
}

TEST_PLAIN(http_server_ends_the_connection_after_a_refusal)
{
    struct program p;
    start_anywhere(&p, "http_server");
    const char *got = ask(p.address[0], "GET / HTTP/1.1\r\n\r\n", false);
    CHECK(strstr(got, "\r\nConnection: close\r\n") != NULL);
    check_answers(got, "400");
    got = ask(p.address[0], "GET / HTTP/1.0\r\n\r\n", false);
    CHECK(strstr(got, "\r\nConnection: close\r\n") != NULL);
    check_answers(got, "200");
    stop_server(&p);
}

TEST_PLAIN(http_server_takes_a_request_in_any_two_pieces)
{
    static const char text[] =
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
        "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    struct program p;
    start_anywhere(&p, "http_server");
    for (size_t at = 1; at < sizeof text - 1; at++) {
        int fd = dial(p.address[0]);
        put(fd, text, at);
        nap();
        put(fd, text + at, sizeof text - 1 - at);
        check_the_rest(fd, "200 200");
    }
    stop_server(&p);
}

TEST_PLAIN(http_server_takes_a_request_octet_by_octet)
{
    static const char text[] =
        "GET /slowly HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    struct program p;
    start_anywhere(&p, "http_server");
    int fd = dial(p.address[0]);
    for (const char *c = text; *c; c++) {
        put(fd, c, 1);
        nap();
    }
    check_the_rest(fd, "200");
    stop_server(&p);
}

TEST_PLAIN(http_server_bounds_the_head)
{
    enum { LINE = 16384, HEAD = 65536 };
    static const char end[] = " HTTP/1.1\r\n" HOST "\r\n";
    static char text[HEAD + 8192];
    struct program p;
    size_t n = 0;
    start_anywhere(&p, "http_server");

    /* 16 KiB of request line are allowed, and the next octet is not. */
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "GET /", 5);
    memcpy(text + LINE - 9, end, sizeof end);
    check_answers(ask(p.address[0], text, true), "200");
    text[LINE - 9] = 'x';
    memcpy(text + LINE - 8, end, sizeof end);
    check_answers(ask(p.address[0], text, true), "414");

    /* So are 64 KiB in all; one without an end is refused as soon as it is
     * too long. */
    n = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "X: ");
    memset(text + n, 'x', HEAD - n - 4);
    memcpy(text + HEAD - 4, "\r\n\r\n", 5);
    check_answers(ask(p.address[0], text, true), "200");
    memcpy(text + HEAD - 4, "x\r\n\r\n", 6);
    check_answers(ask(p.address[0], text, true), "431");
    memset(text + n, 'x', sizeof text - 1 - n);
    check_answers(ask(p.address[0], text, false), "431");
    stop_server(&p);
}

TEST_PLAIN(http_server_lets_who_still_sends_read_the_refusal)
{
    static char body[300000];
    struct program p;
    start_anywhere(&p, "http_server");
    int fd = dial(p.address[0]);
    say(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n");
    for (size_t at = 0; at < sizeof body; at += 50000) {
        put(fd, body + at, 50000);
        nap();
    }
    check_the_rest(fd, "413");
    stop_server(&p);
}

TEST_PLAIN(http_server_asks_for_a_body_that_waits_to_be_asked_for)
{
    struct program p;
    start_anywhere(&p, "http_server");
    int fd = dial(p.address[0]);
    say(fd, "POST / HTTP/1.1\r\n" HOST "Connection: close\r\n"
            "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    hear(fd, "HTTP/1.1 100 Continue\r\n");
    hear(fd, "\r\n");
    say(fd, "hello");
    check_the_rest(fd, "200");
    stop_server(&p);
}

TEST_PLAIN(http_server_answers_on_two_workers)
{
    struct program p;
    int fds[8];
    start_on_two_workers(&p, "http_server");
    for (int i = 0; i < 8; i++) {
        fds[i] = dial(p.address[0]);
        say(fds[i], "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    }
    for (int i = 0; i < 8; i++)
        check_the_rest(fds[i], "200");
    stop_server(&p);
}

TEST_PLAIN(http_server_answers_what_was_sent_before_it_was_stopped)
{
    static char answers[4096];
    struct program p;
    start_anywhere(&p, "http_server");
    int half = dial(p.address[0]), idle = dial(p.address[0]);
    say(half, "GET / HTTP/1.1\r\n");
    nap();
    CHECK_EQ(kill(p.pid, SIGTERM), 0);
    wait_until_stopping(p.address[0]);
    say(half, HOST "\r\n");
    (void)read_all(half, answers, sizeof answers);
    CHECK(strstr(answers, "\r\nConnection: close\r\n") != NULL);
    check_answers(answers, "200");
    CHECK_EQ(close(half), 0);
    hear_the_end(idle);
    CHECK_EQ(await_program(&p, answers, sizeof answers), 0);
}

/* ---- ... its routes ----------------------------------------------------- */

#define JSON(text) "Content-Type: application/json\r\n", text

/* A request of its own connection; what comes is its status and its body. */
static const struct {
    const char *line, *fields, *body, *want;
} routes[] = {
    {"GET /hello/w%C3%A9ft", "", "",
     "200 Hello, w\xc3\xa9"
     "ft!\n"},
    {"GET /wait/5", "", "", "200 after 5 ms\n"},
    {"GET /wait/long", "", "", "404 404 Not Found\n"},
    {"GET /hello", "", "", "200 Hello, World!"},
    {"DELETE /hello/you", "", "", "405 405 Method Not Allowed\n"},
    {"GET /files/a.txt", "", "", "200 a file\n"},
    {"GET /files/a.txt", "Range: bytes=2-5\r\n", "", "206 file"},
    {"GET /files/../a.txt", "", "", "200 Hello, World!"}, /* of no route */
    {"GET /files/%2e%2e%2fa.txt", "", "", "200 Hello, World!"}, /* nor this */
    {"GET /files/b.txt", "", "", "404 404 Not Found\n"},
};

static const struct {
    const char *fields, *body, *want;
} sums[] = {
    {JSON("{\"numbers\": [1, 2.5]}"), "200 {\"count\":2,\"sum\":3.5}"},
    {JSON("{\"numbers\": []}"), "200 {\"count\":0,\"sum\":0.0}"},
    {JSON("{\"numbers\": [1, \"]\"]}"),
     "422 {\"error\":\"\\\"numbers\\\" is no list of numbers\"}"},
    {JSON("[1]"), "422 {\"error\":\"\\\"numbers\\\" is no list of numbers\"}"},
    {JSON("[1"), "400 {\"error\":\"']' expected near end of file\"}"},
    {JSON("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
     "400 {\"error\":\"it is nested too deep\"}"},
    {"Content-Type: text/json\r\n", "{}",
     "415 {\"error\":\"it is no application/json\"}"},
};

static const char *fetch(struct program *p, const char *line,
                         const char *fields, const char *body)
{
    static char request[1024], result[1024];
    (void)snprintf(request, sizeof request,
                   "%s HTTP/1.1\r\n" HOST "Connection: close\r\n%s"
                   "Content-Length: %zu\r\n\r\n%s",
                   line, fields, strlen(body), body);
    const char *answer = ask(p->address[0], request, false);
    const char *end = strstr(answer, "\r\n\r\n");
    CHECK(strncmp(answer, "HTTP/1.1 ", 9) == 0 && end != NULL);
    (void)snprintf(result, sizeof result, "%.3s %s", answer + 9, end + 4);
    return result;
}

/* With one file to serve. */
static void start_with_files(struct program *p, char *dir, size_t size)
{
    char path[256];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, size, "%s/weft-XXXXXX",
                   tmp && strlen(tmp) < 60 ? tmp : "/tmp");
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/a.txt", dir);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs("a file\n", file) >= 0);
    CHECK_EQ(fclose(file), 0);
    start_on_workers(p, "http_server", "1", dir);
}

static void remove_files(const char *dir)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/a.txt", dir);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(dir), 0);
}

TEST_PLAIN(http_server_has_routes_and_files)
{
    struct program p;
    char dir[128];
    start_with_files(&p, dir, sizeof dir);
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        CHECK_STR(fetch(&p, routes[i].line, routes[i].fields, routes[i].body),
                  routes[i].want);
    stop_server(&p);
    remove_files(dir);
}

TEST_PLAIN(http_server_reads_and_writes_json)
{
    struct program p;
    start_anywhere(&p, "http_server");
    if (strncmp(fetch(&p, "POST /api/sum", "", ""), "501", 3) == 0) {
        stop_server(&p);
        SKIP("built without jansson");
    }
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        CHECK_STR(fetch(&p, "POST /api/sum", sums[i].fields, sums[i].body),
                  sums[i].want);
    const char *shown = fetch(&p, "GET /api/show?x", "X-A: b\r\n", "");
    CHECK(strstr(shown, "\"target\":\"/api/show?x\"") != NULL);
    CHECK(strstr(shown, "\"X-A\":\"b\"") != NULL);
    stop_server(&p);
}

/* ---- chat --------------------------------------------------------------- */

/* A room at a TCP and a Unix address; the directory is for stop_chat. */
static void start_chat(struct program *p, char *dir, size_t size)
{
    char path[256];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, size, "%s/weft-XXXXXX",
                   tmp && strlen(tmp) < 60 ? tmp : "/tmp");
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "unix:%s/room", dir);
    start_server(p, "chat", (char *[]){(char[]){"127.0.0.1:0"}, path, NULL});
    /* Two fibers listen, and either may be the first to say so. */
    if (strncmp(p->address[0], "unix:", 5) == 0) {
        char first[128];
        memcpy(first, p->address[0], sizeof first);
        memcpy(p->address[0], p->address[1], sizeof first);
        memcpy(p->address[1], first, sizeof first);
    }
    CHECK_STR(p->address[1], path);
}

static void clean_up(const char *dir)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/room", dir);
    (void)unlink(path);
    CHECK_EQ(rmdir(dir), 0);
}

static int enter(const char *address, const char *name)
{
    int fd = dial(address);
    hear(fd, "* your name?\n");
    say(fd, name);
    say(fd, "\n");
    return fd;
}

TEST_PLAIN(chat_carries_lines_between_tcp_and_unix_members)
{
    struct program p;
    char dir[128];
    start_chat(&p, dir, sizeof dir);
    int ann = enter(p.address[0], "ann");
    int bob = enter(p.address[1], "bob\r");
    hear(ann, "* bob is here\n");
    say(ann, "hello\n");
    hear(bob, "ann: hello\n");
    say(bob, "hi\r\nhow is it?\n");
    hear(ann, "bob: hi\n");
    hear(ann, "bob: how is it?\n");
    say(bob, "\033[2Jboo\n");
    hear(ann, "bob:  [2Jboo\n");
    CHECK_EQ(close(bob), 0);
    hear(ann, "* bob has left\n");
    CHECK_EQ(close(ann), 0);
    stop_server(&p);
    clean_up(dir);
}

TEST_PLAIN(chat_says_goodbye_when_it_is_stopped)
{
    struct program p;
    char dir[128], text[1024];
    start_chat(&p, dir, sizeof dir);
    int ann = enter(p.address[0], "ann");
    int bob = enter(p.address[1], "bob");
    hear(ann, "* bob is here\n");
    int nameless = dial(p.address[0]);
    hear(nameless, "* your name?\n");
    CHECK_EQ(kill(p.pid, SIGTERM), 0);
    int all[] = {ann, bob, nameless};
    for (size_t i = 0; i < 3; i++) {
        hear(all[i], "* goodbye: the room closes\n");
        hear_the_end(all[i]);
    }
    CHECK_EQ(await_program(&p, text, sizeof text), 0);
    CHECK_STR(text, "");
    clean_up(dir);
}

TEST_PLAIN(chat_sends_a_line_that_is_too_long_home)
{
    static char line[5000];
    struct program p;
    char dir[128];
    start_chat(&p, dir, sizeof dir);
    int ann = enter(p.address[0], "ann");
    int bob = enter(p.address[1], "bob");
    hear(ann, "* bob is here\n");
    memset(line, 'x', sizeof line - 1);
    say(bob, line);
    hear(ann, "* bob has left\n");
    (void)read_line(bob, line, sizeof line);
    char want[100];
    (void)snprintf(want, sizeof want, "* goodbye: %s\n", strerror(EMSGSIZE));
    CHECK_STR(line, want);
    CHECK_EQ(close(ann) | close(bob), 0);
    stop_server(&p);
    clean_up(dir);
}

TEST_PLAIN(chat_drops_who_does_not_read_and_nobody_waits_for_it)
{
    static char line[1000], want[1100];
    struct program p;
    char dir[128], got[2048];
    bool dropped = false;
    start_chat(&p, dir, sizeof dir);
    int slow = enter(p.address[1], "slow");
    int ann = enter(p.address[0], "ann");
    hear(slow, "* ann is here\n");
    int bob = enter(p.address[0], "bob");
    hear(ann, "* bob is here\n");
    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    (void)snprintf(want, sizeof want, "ann: %s", line);
    for (int i = 0; i < 5000 && !dropped; i++) {
        say(ann, line);
        (void)read_line(bob, got, sizeof got);
        if (got[0] == '*') {
            CHECK_STR(got, "* slow reads too slowly and had to go\n");
            dropped = true;
            (void)read_line(bob, got, sizeof got);
        }
        CHECK_STR(got, want);
    }
    CHECK(dropped);
    hear(ann, "* slow reads too slowly and had to go\n");
    CHECK_EQ(close(ann) | close(bob) | close(slow), 0);
    stop_server(&p);
    clean_up(dir);
}
