/* SPDX-License-Identifier: MIT */
/* test_http_request.c - requests that are taken, and those that are refused:
 * the request line, and what a whole head comes to. */
#include <weft/http_parse.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "http_heads.h"

struct row {
    const char *head, *said;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_STR(said_of_request(rows[i].head, NULL), rows[i].said);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof *rows)

#define HOST "Host: a\r\n"

TEST_PLAIN(a_request_is_taken_apart)
{
    static const struct row rows[] = {
        {"GET /a/b?c=d&e HTTP/1.1\r\nHost: h:80\r\nAccept: */*\r\n\r\n",
         "GET /a/b?c=d&e 1.1 origin path=/a/b query=c=d&e host=h:80 "
         "{Host=h:80} {Accept=*/*}"},
        {"get / HTTP/1.1\r\n" HOST "\r\n",
         "get / 1.1 origin path=/ host=a {Host=a}"},
        {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
         "GET / 1.1 origin path=/ host=a {Host=a}"},
        {"M-!#$%&'*+.^_`|~9 / HTTP/1.1\r\n" HOST "\r\n",
         "M-!#$%&'*+.^_`|~9 / 1.1 origin path=/ host=a {Host=a}"},
        {"GET / HTTP/1.0\r\n\r\n", "GET / 1.0 origin path=/ close"},
        {"GET / HTTP/1.0\r\n" HOST "\r\n",
         "GET / 1.0 origin path=/ host=a close {Host=a}"},
        {"GET / HTTP/1.9\r\n" HOST "\r\n",
         "GET / 1.1 origin path=/ host=a {Host=a}"},
        {"GET //x?? HTTP/1.0\r\n\r\n",
         "GET //x?? 1.0 origin path=//x query=? close"},
        {"GET /%41%fF? HTTP/1.0\r\n\r\n",
         "GET /%41%fF? 1.0 origin path=/%41%fF query= close"},
        {"GET /\"<>[]\\^`{|} HTTP/1.0\r\n\r\n",
         "GET /\"<>[]\\^`{|} 1.0 origin path=/\"<>[]\\^`{|} close"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(what_follows_the_head_is_not_looked_at)
{
    weft_http_mark marks[4];
    weft_http_request r;
    static const char two[] = "GET / HTTP/1.0\r\n\r\nGET";
    weft_http_request_init(&r, marks, 4, NULL);
    CHECK_EQ(weft_http_parse_request(&r, two, sizeof two - 1), 18);
    CHECK_EQ(weft_http_parse_request(&r, two, sizeof two - 1), 18);
}

TEST_PLAIN(the_four_forms_of_a_target_are_told_apart)
{
    static const struct row rows[] = {
        {"GET http://h/x?y HTTP/1.1\r\n" HOST "\r\n",
         "GET http://h/x?y 1.1 absolute path=/x query=y host=h {Host=a}"},
        {"GET HTTPS://[::1]:8 HTTP/1.1\r\n" HOST "\r\n",
         "GET HTTPS://[::1]:8 1.1 absolute path=/ host=[::1]:8 {Host=a}"},
        {"GET http://h?y HTTP/1.0\r\n\r\n",
         "GET http://h?y 1.0 absolute path=/ query=y host=h close"},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
         "OPTIONS * 1.1 asterisk host=a {Host=a}"},
        {"CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n",
         "CONNECT h:443 1.1 authority host=h:443 {Host=a}"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_target_of_no_form_is_told_with_the_space_behind_it)
{
    static const struct row rows[] = {
        {"GET * HTTP/1.1\r\n", "@6 400 the target * is of OPTIONS only"},
        {"OPTIONS ** HTTP/1.1\r\n", "@11 400 the target has no known form"},
        {"GET x HTTP/1.1\r\n", "@6 400 the target has no known form"},
        {"GET ?x HTTP/1.1\r\n", "@7 400 the target has no known form"},
        {"GET a:80 HTTP/1.1\r\n", "@9 400 the target has no known form"},
        {"GET ftp://a/ HTTP/1.1\r\n", "@13 400 the target has no known form"},
        {"GET http:///x HTTP/1.1\r\n", "@14 400 the target has no known form"},
        {"GET http://u@h/ HTTP/1.1\r\n",
         "@16 400 the target has no known form"},
        {"GET http://h:x/ HTTP/1.1\r\n",
         "@16 400 the target has no known form"},
        {"GET http:/h/ HTTP/1.1\r\n", "@13 400 the target has no known form"},
        {"CONNECT h HTTP/1.1\r\n",
         "@10 400 the target of CONNECT is not host:port"},
        {"CONNECT h: HTTP/1.1\r\n",
         "@11 400 the target of CONNECT is not host:port"},
        {"CONNECT h:0 HTTP/1.1\r\n",
         "@12 400 the target of CONNECT is not host:port"},
        {"CONNECT :80 HTTP/1.1\r\n",
         "@12 400 the target of CONNECT is not host:port"},
        {"CONNECT h:65536 HTTP/1.1\r\n",
         "@16 400 the target of CONNECT is not host:port"},
        {"CONNECT /x HTTP/1.1\r\n",
         "@11 400 the target of CONNECT is not host:port"},
        {"CONNECT h:80?x HTTP/1.1\r\n",
         "@15 400 the target of CONNECT is not host:port"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(an_octet_out_of_place_in_the_request_line_is_told_with_it)
{
    static const struct row rows[] = {
        {"\n", "@1 400 the method is no token"},
        {"\r\r", "@2 400 a line does not end in CR LF"},
        {"\r\n\r", "@3 400 the method is no token"},
        {" GET", "@1 400 the method is no token"},
        {"GET\t/", "@4 400 the method is no token"},
        {"G\x80T", "@2 400 the method is no token"},
        {"GET(", "@4 400 the method is no token"},
        {"GET  /", "@5 400 an octet that no target has"},
        {"GET /\t", "@6 400 an octet that no target has"},
        {"GET /#", "@6 400 an octet that no target has"},
        {"GET /\x7f", "@6 400 an octet that no target has"},
        {"GET /\xc3", "@6 400 an octet that no target has"},
        {"GET /\r\n", "@6 400 an octet that no target has"},
        {"GET /%g", "@7 400 a '%' without two hexadecimal digits"},
        {"GET /%1%", "@8 400 a '%' without two hexadecimal digits"},
        {"GET /%1 ", "@8 400 a '%' without two hexadecimal digits"},
        {"GET /?%zz", "@8 400 a '%' without two hexadecimal digits"},
        {"GET /  H", "@7 400 the version is malformed"},
        {"GET / h", "@7 400 the version is malformed"},
        {"GET / HTTP/11", "@13 400 the version is malformed"},
        {"GET / HTTP/x", "@12 400 the version is malformed"},
        {"GET / HTTP/1.x", "@14 400 the version is malformed"},
        {"GET / HTTP/1.\r", "@14 400 the version is malformed"},
        {"GET / HTTP/1.10", "@15 400 a line does not end in CR LF"},
        {"GET / HTTP/1.1 ", "@15 400 a line does not end in CR LF"},
        {"GET / HTTP/1.1\n", "@15 400 a line does not end in CR LF"},
        {"GET / HTTP/1.1\rH", "@16 400 a line does not end in CR LF"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(another_major_version_is_505_if_it_is_well_formed)
{
    static const struct row rows[] = {
        {"GET / HTTP/2.0\r\n", "@14 505 the version is not HTTP/1.x"},
        {"GET / HTTP/0.9\r\n", "@14 505 the version is not HTTP/1.x"},
        {"GET / HTTP/2\r\n", "@13 400 the version is malformed"},
        {"GET / HTTP/2.x", "@14 400 the version is malformed"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_method_of_32_octets_is_taken_and_the_33rd_refused)
{
    static const struct row rows[] = {
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / HTTP/1.0\r\n\r\n",
         "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / 1.0 origin path=/ close"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", "@33 501 the method is too long"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345(", "@33 400 the method is no token"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(host_must_be_there_once_and_be_one)
{
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "@18 400 no Host"},
        {"GET http://h/ HTTP/1.1\r\n\r\n", "@26 400 no Host"},
        {"GET / HTTP/1.1\r\nHost:\r\n", "@23 400 Host is malformed"},
        {"OPTIONS * HTTP/1.1\r\nHost: \t\r\n", "@29 400 Host is malformed"},
        {"GET / HTTP/1.0\r\nHost: a b\r\n", "@27 400 Host is malformed"},
        {"GET / HTTP/1.1\r\n" HOST "hOST: a\r\n", "@34 400 more than one Host"},
        {"GET / HTTP/1.0\r\n" HOST HOST, "@34 400 more than one Host"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_length_is_digits_and_is_told_once)
{
    static const struct row rows[] = {
        {"PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
         "PUT / 1.0 origin path=/ length=0 close {Content-Length=0}"},
        {"GET / HTTP/1.0\r\ncontent-length:0009223372036854775807 \r\n\r\n",
         "GET / 1.0 origin path=/ length=9223372036854775807 close "
         "{content-length=0009223372036854775807}"},
        {"PUT / HTTP/1.0\r\nContent-Length: 9223372036854775808\r\n",
         "@53 400 Content-Length is no length"},
        {"PUT / HTTP/1.0\r\nContent-Length: 18446744073709551616\r\n",
         "@54 400 Content-Length is no length"},
        {"PUT / HTTP/1.0\r\nContent-Length: +1\r\n",
         "@36 400 Content-Length is no length"},
        {"PUT / HTTP/1.0\r\nContent-Length: 1,1\r\n",
         "@37 400 Content-Length is no length"},
        {"PUT / HTTP/1.0\r\nContent-Length:\r\n",
         "@33 400 Content-Length is no length"},
        {"PUT / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
         "@54 400 more than one Content-Length"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(what_is_wrong_with_a_whole_head_is_told_in_a_fixed_order)
{
#define ALL "Transfer-Encoding: x\r\nContent-Length: 1\r\nExpect: y\r\n\r\n"
    static const struct row rows[] = {
        {"PUT / HTTP/1.1\r\n" ALL, "@70 400 no Host"},
        {"PUT / HTTP/1.0\r\n" ALL, "@70 400 Transfer-Encoding in HTTP/1.0"},
        {"PUT / HTTP/1.1\r\n" HOST ALL,
         "@79 400 Transfer-Encoding and Content-Length"},
        {"PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: x\r\nExpect: y\r\n\r\n",
         "@60 400 Transfer-Encoding does not end in chunked"},
        {"PUT / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: x,chunked\r\nExpect: y\r\n\r\n",
         "@68 501 a transfer coding other than chunked"},
        {"PUT / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\nExpect: y\r\n\r\n",
         "@66 417 an expectation other than 100-continue"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(only_100_continue_can_be_expected_and_only_of_1_1)
{
    static const struct row rows[] = {
        {"PUT / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n",
         "PUT / 1.1 origin path=/ host=a continue {Host=a} "
         "{Expect=100-Continue}"},
        {"PUT / HTTP/1.1\r\n" HOST "Expect:\r\n\r\n",
         "PUT / 1.1 origin path=/ host=a {Host=a} {Expect=}"},
        {"PUT / HTTP/1.1\r\n" HOST "Expect: 100-continue, x\r\n\r\n",
         "@52 417 an expectation other than 100-continue"},
        {"PUT / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
         "PUT / 1.0 origin path=/ close {Expect=100-continue}"},
        {"PUT / HTTP/1.0\r\nExpect: x\r\n\r\n",
         "PUT / 1.0 origin path=/ close {Expect=x}"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_connection_is_kept_as_its_options_and_version_say)
{
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n" HOST "Connection: x, CLOSE\r\n\r\n",
         "GET / 1.1 origin path=/ host=a close {Host=a} "
         "{Connection=x, CLOSE}"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "GET / 1.0 origin path=/ {Connection=keep-alive}"},
        {"GET / HTTP/1.0\r\nConnection: x,Keep-Alive\r\n\r\n",
         "GET / 1.0 origin path=/ {Connection=x,Keep-Alive}"},
        {"GET / HTTP/1.0\r\nConnection: close\r\n"
         "connection: keep-alive\r\n\r\n",
         "GET / 1.0 origin path=/ close {Connection=close} "
         "{connection=keep-alive}"},
        {"GET / HTTP/1.1\r\n" HOST "Connection: \"close\"\r\n\r\n",
         "GET / 1.1 origin path=/ host=a {Host=a} {Connection=\"close\"}"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(an_upgrade_wants_both_fields_and_1_1)
{
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n" HOST
         "Upgrade: x\r\nConnection: a,upGrade\r\n\r\n",
         "GET / 1.1 origin path=/ host=a upgrade {Host=a} {Upgrade=x} "
         "{Connection=a,upGrade}"},
        {"GET / HTTP/1.1\r\n" HOST "Upgrade: x\r\n\r\n",
         "GET / 1.1 origin path=/ host=a {Host=a} {Upgrade=x}"},
        {"GET / HTTP/1.1\r\n" HOST "Upgrade:\r\nConnection: upgrade\r\n\r\n",
         "GET / 1.1 origin path=/ host=a {Host=a} {Upgrade=} "
         "{Connection=upgrade}"},
        {"GET / HTTP/1.0\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         "GET / 1.0 origin path=/ close {Upgrade=x} {Connection=upgrade}"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_refused_request_says_what_was_read)
{
    static const char bad[] = "HEAD /x HTTP/1.0\r\nA: b\r\n \r\n";
    weft_http_mark marks[4];
    weft_http_request r;
    weft_http_request_init(&r, marks, 4, NULL);
    CHECK_EQ(weft_http_parse_request(&r, bad, sizeof bad - 1), -EBADMSG);
    CHECK_EQ(r.status, 400);
    CHECK_EQ(r.verb, WEFT_HTTP_HEAD);
    CHECK_EQ(r.minor, 0);
    CHECK(weft_text_is(r.method, "HEAD") && weft_text_is(r.target, "/x"));
    CHECK(weft_text_is(weft_http_field(&r.fields, "a"), "b"));

    weft_http_request_init(&r, marks, 4, NULL);
    CHECK_EQ(weft_http_parse_request(&r, "GE(", 3), -EBADMSG);
    CHECK_EQ(r.verb, WEFT_HTTP_OTHER);
    CHECK_EQ(r.minor, 1);
    CHECK(!r.method.at && !r.target.at && !r.host.at);
}

TEST_PLAIN(a_head_that_moves_takes_its_texts_along)
{
    static const char head[] =
        "GET http://h?q HTTP/1.1\r\n" HOST "B: c\r\n\r\n";
    weft_http_mark marks[4];
    weft_http_request r;
    char copy[sizeof head];
    weft_http_request_init(&r, marks, 4, NULL);
    CHECK_EQ(weft_http_parse_request(&r, head, sizeof head - 1),
             sizeof head - 1);
    memcpy(copy, head, sizeof head);
    weft_http_request_move(&r, copy);
    CHECK_PTR(r.method.at, copy);
    CHECK_PTR(r.target.at, copy + 4);
    CHECK_PTR(r.host.at, copy + 11);
    CHECK_PTR(r.query.at, copy + 13);
    CHECK(weft_text_is(r.path, "/"));
    CHECK(weft_text_is(weft_http_field(&r.fields, "b"), "c"));
    CHECK_PTR(weft_http_field(&r.fields, "b").at, copy + 37);
}

TEST_PLAIN(fewer_octets_than_before_are_a_misuse)
{
    weft_http_request r;
    weft_http_request_init(&r, NULL, 0, NULL);
    CHECK_EQ(weft_http_parse_request(&r, NULL, 0), 0);
    CHECK_EQ(weft_http_parse_request(&r, "GET", 3), 0);
    CHECK_EQ(weft_http_parse_request(&r, "GE", 2), -EINVAL);
    CHECK_EQ(weft_http_parse_request(&r, "GET ", 4), 0);
}
