/* SPDX-License-Identifier: MIT */
/* test_http_response.c - responses that are taken, and those refused. */
#include <weft/http_parse.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "http_heads.h"

struct row {
    weft_http_verb asked;
    const char *head, *said;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_STR(said_of_response(rows[i].asked, rows[i].head, NULL),
                  rows[i].said);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof *rows)

#define GET     WEFT_HTTP_GET
#define HEAD    WEFT_HTTP_HEAD
#define CONNECT WEFT_HTTP_CONNECT

TEST_PLAIN(a_response_is_taken_apart)
{
    static const struct row rows[] = {
        {GET, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA:  b c\t\r\n\r\n",
         "1.1 200 OK length=5 {Content-Length=5} {A=b c}"},
        {GET, "HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n",
         "1.1 999  length=0 {Content-Length=0}"},
        {GET, "HTTP/1.7 200 a\xe9\tb \r\n\r\n",
         "1.1 200 a\xe9\tb  until-close close"},
        {GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
         "1.1 200 OK chunked {Transfer-Encoding=Chunked}"},
        {GET, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
         "1.0 200 OK length=1 close {Content-Length=1}"},
        {GET,
         "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n"
         "Connection: Keep-Alive\r\n\r\n",
         "1.0 200 OK length=1 {Content-Length=1} {Connection=Keep-Alive}"},
        {GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
         "1.0 200 OK until-close close {Connection=keep-alive}"},
        {GET, "HTTP/1.1 200 OK\r\nHost: ???\r\nHost: [\r\n\r\n",
         "1.1 200 OK until-close close {Host=???} {Host=[}"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(some_responses_have_no_body_whatever_they_say)
{
    static const struct row rows[] = {
        {HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
         "1.1 200 OK {Content-Length=5}"},
        {HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         "1.1 200 OK {Transfer-Encoding=chunked}"},
        {HEAD, "HTTP/1.1 200 OK\r\n\r\n", "1.1 200 OK"},
        {GET, "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
         "1.1 304 x {Content-Length=5}"},
        {GET, "HTTP/1.1 204 x\r\n\r\n", "1.1 204 x"},
        {GET, "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
         "1.1 204 x {Content-Length=0}"},
        {GET, "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n",
         "1.1 204 x close {Content-Length=5}"},
        {GET, "HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n",
         "1.1 103 x close {Transfer-Encoding=chunked}"},
        {GET, "HTTP/1.1 100 x\r\n\r\n", "1.1 100 x"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(after_a_switch_or_a_tunnel_the_connection_is_not_http)
{
    static const struct row rows[] = {
        {GET, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n",
         "1.1 101 x upgrade {Connection=Upgrade} {Upgrade=y}"},
        {GET, "HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n", "1.1 101 x {Upgrade=y}"},
        {GET,
         "HTTP/1.1 426 x\r\nConnection: Upgrade\r\nUpgrade: y\r\n"
         "Content-Length: 0\r\n\r\n",
         "1.1 426 x length=0 {Connection=Upgrade} {Upgrade=y} "
         "{Content-Length=0}"},
        {CONNECT,
         "HTTP/1.1 200 x\r\nContent-Length: 5\r\n"
         "Transfer-Encoding: gzip\r\n\r\n",
         "1.1 200 x upgrade {Content-Length=5} {Transfer-Encoding=gzip}"},
        {CONNECT, "HTTP/1.1 407 x\r\nContent-Length: 5\r\n\r\n",
         "1.1 407 x length=5 {Content-Length=5}"},
        {CONNECT, "HTTP/1.1 300 x\r\nContent-Length: 5\r\n\r\n",
         "1.1 300 x length=5 {Content-Length=5}"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_malformed_status_line_is_refused_with_its_octet)
{
    static const struct row rows[] = {
        {GET, "\r\n", "@1 the version is malformed"},
        {GET, "HTTP/2.0", "@8 the version is not HTTP/1.x"},
        {GET, "HTTP/2 ", "@7 the version is malformed"},
        {GET, "ICY 200", "@1 the version is malformed"},
        {GET, "HTTP/1.1\r", "@9 the status is malformed"},
        {GET, "HTTP/1.1  ", "@10 the status is malformed"},
        {GET, "HTTP/1.1 0", "@10 the status is malformed"},
        {GET, "HTTP/1.1 20 ", "@12 the status is malformed"},
        {GET, "HTTP/1.1 2000", "@13 the status is malformed"},
        {GET, "HTTP/1.1 200\r\n", "@13 the status is malformed"},
        {GET, "HTTP/1.1 200\t", "@13 the status is malformed"},
        {GET, "HTTP/1.1 200 a\x01", "@15 an octet that no reason has"},
        {GET, "HTTP/1.1 200 \x7f", "@14 an octet that no reason has"},
        {GET, "HTTP/1.1 200 a\n", "@15 a line does not end in CR LF"},
        {GET, "HTTP/1.1 200 a\rb", "@16 a line does not end in CR LF"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_body_of_no_sure_end_is_refused)
{
    static const struct row rows[] = {
        {GET, "HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n",
         "@46 Transfer-Encoding in HTTP/1.0"},
        {GET,
         "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n"
         "Content-Length: 1\r\n\r\n",
         "@65 Transfer-Encoding and Content-Length"},
        {HEAD,
         "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n"
         "Content-Length: 1\r\n\r\n",
         "@65 Transfer-Encoding and Content-Length"},
        {GET, "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n",
         "@43 Transfer-Encoding does not end in chunked"},
        {GET, "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip,chunked\r\n\r\n",
         "@51 a transfer coding other than chunked"},
        {GET, "HTTP/1.1 200 x\r\nContent-Length: 1, 1\r\n",
         "@38 Content-Length is no length"},
        {GET, "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
         "@54 more than one Content-Length"},
        {CONNECT, "HTTP/1.1 200 x\r\nContent-Length: x\r\n",
         "@35 Content-Length is no length"},
        {GET, "HTTP/1.1 200 x\r\nA: b\r\n c: d\r\n",
         "@23 a line begins with a space"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_response_that_moves_takes_its_texts_along)
{
    static const char head[] = "HTTP/1.1 200 fine\r\nB: c\r\n\r\n";
    weft_http_mark marks[1];
    weft_http_response r;
    char copy[sizeof head];
    weft_http_response_init(&r, WEFT_HTTP_GET, marks, 1, NULL);
    CHECK_EQ(weft_http_parse_response(&r, NULL, 0), 0);
    CHECK_EQ(r.status, 0);
    CHECK_EQ(weft_http_parse_response(&r, head, 13), 0);
    CHECK_EQ(r.status, 200);
    CHECK_EQ(weft_http_parse_response(&r, head, 12), -EINVAL);
    CHECK_EQ(weft_http_parse_response(&r, head, sizeof head - 1),
             sizeof head - 1);
    memcpy(copy, head, sizeof head);
    weft_http_response_move(&r, copy);
    CHECK_PTR(r.reason.at, copy + 13);
    CHECK_PTR(weft_http_field(&r.fields, "b").at, copy + 22);
}

TEST_PLAIN(a_status_line_is_refused_where_its_limit_is_passed)
{
    static const weft_http_limits sixteen = {.line = 16};
    CHECK_STR(
        said_of_response(WEFT_HTTP_HEAD, "HTTP/1.1 200 abc\r\n\r\n", &sixteen),
        "1.1 200 abc");
    CHECK_STR(
        said_of_response(WEFT_HTTP_HEAD, "HTTP/1.1 200 abcd\r\n\r\n", &sixteen),
        "@17 the first line is too long");
    static const weft_http_limits ten = {.line = 10};
    CHECK_STR(said_of_response(WEFT_HTTP_HEAD, "HTTP/1.1 200 a", &ten),
              "@11 the first line is too long");
    static const weft_http_limits seven = {.line = 7};
    CHECK_STR(said_of_response(WEFT_HTTP_HEAD, "HTTP/1.1 200 a", &seven),
              "@8 the first line is too long");
}
