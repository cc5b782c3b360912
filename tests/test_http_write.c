/* SPDX-License-Identifier: MIT */
/* test_http_write.c - heads as they go out, and what never gets into one. */
#include <weft/error.h>
#include <weft/http_write.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "texts.h"

static char buf[400];
static weft_http_writer w;

static weft_text text(const char *s)
{
    return weft_text_of(s);
}

static void begin(void)
{
    memset(buf, '#', sizeof buf);
    weft_http_writer_init(&w, buf, sizeof buf);
}

static void check_written(const char *want)
{
    CHECK_EQ(w.error, 0);
    CHECK_TEXT(((weft_text){w.at, w.len}), want);
    CHECK_EQ(buf[w.len], '#');
}

/* ---- what is written ---------------------------------------------------- */

TEST_PLAIN(a_request_is_written_line_by_line)
{
    begin();
    CHECK_EQ(weft_http_write_request_line(&w, text("GET"), text("/a?b=%2F")),
             0);
    CHECK_EQ(weft_http_write_field(&w, text("Host"), text("h:80")), 0);
    CHECK_EQ(weft_http_write_field(&w, text("X"), text("")), 0);
    CHECK_EQ(weft_http_write_length(&w, 0), 0);
    CHECK_EQ(weft_http_write_end(&w), 0);
    check_written("GET /a?b=%2F HTTP/1.1\r\nHost: h:80\r\nX: \r\n"
                  "Content-Length: 0\r\n\r\n");
}

TEST_PLAIN(a_response_is_written_line_by_line)
{
    begin();
    CHECK_EQ(weft_http_write_status_line(&w, 404, text(NULL)), 0);
    CHECK_EQ(weft_http_write_chunked(&w), 0);
    CHECK_EQ(WEFT_HTTP_WRITE(&w, "Server: x\r\n"), 0);
    CHECK_EQ(weft_http_write_end(&w), 0);
    check_written("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n"
                  "Server: x\r\n\r\n");
}

TEST_PLAIN(a_reason_is_the_usual_one_or_the_callers_or_none)
{
    begin();
    CHECK_EQ(weft_http_write_status_line(&w, 200, text(NULL)), 0);
    CHECK_EQ(weft_http_write_status_line(&w, 299, text(NULL)), 0);
    CHECK_EQ(weft_http_write_status_line(&w, 200, text("")), 0);
    CHECK_EQ(weft_http_write_status_line(&w, 999, text("a\tb \xc3\xa9")), 0);
    CHECK_EQ(weft_http_write_status_line(&w, 100, text("Go")), 0);
    check_written("HTTP/1.1 200 OK\r\nHTTP/1.1 299 \r\nHTTP/1.1 200 \r\n"
                  "HTTP/1.1 999 a\tb \xc3\xa9\r\nHTTP/1.1 100 Go\r\n");
}

TEST_PLAIN(texts_are_as_long_as_they_say)
{
    begin();
    CHECK_EQ(weft_http_write_request_line(&w, (weft_text){"PUTX", 3},
                                          (weft_text){"/a b", 2}),
             0);
    CHECK_EQ(
        weft_http_write_field(&w, (weft_text){"A:", 1}, (weft_text){"v\n", 1}),
        0);
    check_written("PUT /a HTTP/1.1\r\nA: v\r\n");
}

TEST_PLAIN(lengths_and_chunk_sizes_have_up_to_64_bits)
{
    begin();
    CHECK_EQ(weft_http_write_length(&w, 1234567890), 0);
    CHECK_EQ(weft_http_write_length(&w, UINT64_MAX), 0);
    CHECK_EQ(weft_http_write_chunk(&w, 1), 0);
    CHECK_EQ(weft_http_write_chunk(&w, 0x1f), 0);
    CHECK_EQ(weft_http_write_chunk(&w, 16384), 0);
    size_t before = w.len;
    CHECK_EQ(weft_http_write_chunk(&w, UINT64_MAX), 0);
    CHECK_EQ(w.len - before, WEFT_HTTP_CHUNK_LINE);
    check_written("Content-Length: 1234567890\r\n"
                  "Content-Length: 18446744073709551615\r\n"
                  "1\r\n1f\r\n4000\r\nffffffffffffffff\r\n");
}

TEST_PLAIN(chunks_end_with_an_empty_one_and_trailers_behind_it)
{
    begin();
    CHECK_EQ(weft_http_write_chunk(&w, 3), 0);
    CHECK_EQ(weft_http_write_known(&w, "abc", 3), 0);
    CHECK_EQ(WEFT_HTTP_WRITE(&w, WEFT_HTTP_CRLF), 0);
    CHECK_EQ(weft_http_write_chunk(&w, 0), 0);
    CHECK_EQ(weft_http_write_field(&w, text("T"), text("v")), 0);
    CHECK_EQ(weft_http_write_end(&w), 0);
    check_written("3\r\nabc\r\n0\r\nT: v\r\n\r\n");
    begin();
    CHECK_EQ(weft_http_write_chunk(&w, 0), 0);
    CHECK_EQ(weft_http_write_end(&w), 0);
    check_written(WEFT_HTTP_LAST_CHUNK);
}

TEST_PLAIN(what_is_known_is_written_as_it_is)
{
    begin();
    CHECK_EQ(weft_http_write_known(&w, "\r\n x", 4), 0);
    CHECK_EQ(weft_http_write_known(&w, NULL, 0), 0);
    check_written("\r\n x");
}

/* ---- what is refused ---------------------------------------------------- */

static void check_refused(int err, const char *why)
{
    CHECK_EQ(err, -EINVAL);
    CHECK_EQ(w.error, -EINVAL);
    CHECK_EQ(w.len, 0);
    CHECK_EQ(buf[0], '#');
    CHECK_SAID(why);
    begin();
}

static bool is_letter_or_digit(int c)
{
    return (c >= '0' && c <= '9') ||
           (c < 128 && (c | 32) >= 'a' && (c | 32) <= 'z');
}

/* RFC 9110, 5.6.2. */
static bool is_tchar(int c)
{
    return is_letter_or_digit(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool takes_in_name(char *octets)
{
    begin();
    return weft_http_write_field(&w, (weft_text){octets, 3}, text("v")) == 0;
}

static bool takes_in_method(char *octets)
{
    begin();
    return weft_http_write_request_line(&w, (weft_text){octets, 3},
                                        text("/")) == 0;
}

static bool takes_in_value(char *octets)
{
    begin();
    return weft_http_write_field(&w, text("N"), (weft_text){octets, 3}) == 0;
}

static bool takes_in_reason(char *octets)
{
    begin();
    return weft_http_write_status_line(&w, 200, (weft_text){octets, 3}) == 0;
}

static bool takes_in_target(char *octets)
{
    begin();
    return weft_http_write_request_line(&w, text("GET"),
                                        (weft_text){octets, 3}) == 0;
}

TEST_PLAIN(each_octet_is_taken_only_where_it_may_stand)
{
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < 3; at++) {
            char octets[3] = {'x', 'x', 'x'};
            octets[at] = (char)c;
            bool plain = c == '\t' || (c >= ' ' && c != 0x7f);
            bool space = c == '\t' || c == ' ';
            CHECK_EQ(takes_in_name(octets), is_tchar(c));
            CHECK_EQ(takes_in_method(octets), is_tchar(c));
            CHECK_EQ(takes_in_value(octets), plain && (!space || at == 1));
            CHECK_EQ(takes_in_reason(octets), plain);
            CHECK_EQ(takes_in_target(octets),
                     c > ' ' && c < 0x7f && c != '#' && c != '%');
        }
}

TEST_PLAIN(what_is_refused_is_said_and_nothing_of_it_is_written)
{
    begin();
    check_refused(weft_http_write_field(&w, text("X-Who"), text("a\r\nB: c")),
                  "value of X-Who: octet 0x0d at 1");
    check_refused(weft_http_write_field(&w, text("X"), text("a\nb ")),
                  "value of X: octet 0x0a at 1");
    check_refused(weft_http_write_field(&w, text("X"), text("ab ")),
                  "value of X: octet 0x20 at 2");
    check_refused(weft_http_write_field(&w, text("X"), text("\tab")),
                  "value of X: octet 0x09 at 0");
    check_refused(weft_http_write_field(&w, text("X"), text(" ")),
                  "value of X: octet 0x20 at 0");
    check_refused(weft_http_write_field(&w, text("X"), (weft_text){"a\0b", 3}),
                  "value of X: octet 0x00 at 1");
    check_refused(weft_http_write_field(&w, text("X Y"), text("a")),
                  "field name: octet 0x20 at 1");
    check_refused(weft_http_write_field(&w, text("X:"), text("a")),
                  "field name: octet 0x3a at 1");
    check_refused(weft_http_write_field(&w, text(""), text("a")),
                  "field name: it is empty");
    check_refused(weft_http_write_field(&w, text(NULL), text("a")),
                  "field name: it is empty");
    check_refused(weft_http_write_request_line(&w, text("GE T"), text("/")),
                  "method: octet 0x20 at 2");
    check_refused(weft_http_write_request_line(&w, text(""), text("/")),
                  "method: it is empty");
    check_refused(weft_http_write_request_line(&w, text("GET"), text("/ x")),
                  "target: octet 0x20 at 1");
    check_refused(weft_http_write_request_line(&w, text("GET"), text("")),
                  "target: it is empty");
    check_refused(weft_http_write_request_line(&w, text("GET"), text("/%41%4")),
                  "target: octet 0x25 at 4");
    check_refused(weft_http_write_request_line(&w, text("GET"), text("/%g1")),
                  "target: octet 0x25 at 1");
    check_refused(weft_http_write_request_line(&w, text("GET"), text("/%1g")),
                  "target: octet 0x25 at 1");
    check_refused(weft_http_write_status_line(&w, 200, text("a\rb")),
                  "reason: octet 0x0d at 1");
    check_refused(weft_http_write_status_line(&w, 99, text(NULL)),
                  "status: 99");
    check_refused(weft_http_write_status_line(&w, 1000, text(NULL)),
                  "status: 1000");
    check_refused(weft_http_write_status_line(&w, -1, text(NULL)),
                  "status: -1");
}

TEST_PLAIN(a_long_name_is_cut_in_what_is_said)
{
    char name[200];
    memset(name, 'n', sizeof name);
    begin();
    check_refused(
        weft_http_write_field(&w, (weft_text){name, sizeof name}, text("a\n")),
        "nnnn: octet 0x0a at 1");
}

TEST_PLAIN(the_first_error_stays_and_ends_all_writing)
{
    begin();
    CHECK_EQ(weft_http_write_status_line(&w, 200, text(NULL)), 0);
    size_t before = w.len;
    CHECK_EQ(weft_http_write_field(&w, text("X"), text("\n")), -EINVAL);
    CHECK_EQ(weft_http_write_status_line(&w, 200, text(NULL)), -EINVAL);
    CHECK_EQ(weft_http_write_request_line(&w, text("GET"), text("/")), -EINVAL);
    CHECK_EQ(weft_http_write_field(&w, text("X"), text("a")), -EINVAL);
    CHECK_EQ(weft_http_write_length(&w, 1), -EINVAL);
    CHECK_EQ(weft_http_write_chunked(&w), -EINVAL);
    CHECK_EQ(weft_http_write_chunk(&w, 1), -EINVAL);
    CHECK_EQ(weft_http_write_known(&w, buf, sizeof buf), -EINVAL);
    CHECK_EQ(weft_http_write_known(&w, "", 0), -EINVAL);
    CHECK_EQ(weft_http_write_end(&w), -EINVAL);
    CHECK_EQ(w.error, -EINVAL);
    CHECK_EQ(w.len, before);
    weft_http_writer_init(&w, buf, 10);
    CHECK_EQ(weft_http_write_status_line(&w, 200, text(NULL)), -ENOBUFS);
    CHECK_EQ(weft_http_write_field(&w, text("X"), text("\n")), -ENOBUFS);
    CHECK_EQ(w.error, -ENOBUFS);
}

/* ---- room --------------------------------------------------------------- */

static int write_all(weft_http_writer *to)
{
    (void)weft_http_write_request_line(to, text("GET"), text("/x"));
    (void)weft_http_write_status_line(to, 200, text(NULL));
    (void)weft_http_write_field(to, text("Name"), text("value"));
    (void)weft_http_write_length(to, 4096);
    (void)weft_http_write_chunked(to);
    (void)weft_http_write_chunk(to, 255);
    (void)weft_http_write_known(to, "abc", 3);
    return weft_http_write_end(to);
}

TEST_PLAIN(of_what_has_no_room_nothing_is_written)
{
    begin();
    CHECK_EQ(write_all(&w), 0);
    size_t whole = w.len;
    for (size_t room = 0; room <= whole; room++) {
        char *exact = malloc(room ? room : 1); /* with nothing behind it */
        CHECK(exact);
        weft_http_writer to;
        weft_http_writer_init(&to, exact, room);
        CHECK_EQ(write_all(&to), room == whole ? 0 : -ENOBUFS);
        CHECK(to.len <= room);
        CHECK(memcmp(exact, buf, to.len) == 0);
        CHECK(to.len == 0 || exact[to.len - 1] == '\n' ||
              exact[to.len - 1] == 'c'); /* whole lines */
        free(exact);
    }
}

TEST_PLAIN(a_length_that_no_memory_has_is_no_room)
{
    volatile size_t most = SIZE_MAX;
    begin();
    CHECK_EQ(weft_http_write_known(&w, buf, most), -ENOBUFS);
    begin();
    CHECK_EQ(weft_http_write_field(&w, text("X"), text("y")), 0);
    CHECK_EQ(weft_http_write_known(&w, buf, most), -ENOBUFS);
    begin();
    weft_http_writer_init(&w, NULL, 0);
    CHECK_EQ(weft_http_write_known(&w, "", 0), 0);
    CHECK_EQ(weft_http_write_end(&w), -ENOBUFS);
}
