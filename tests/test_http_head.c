/* SPDX-License-Identifier: MIT */
/* test_http_head.c - field lines, codings, hosts and limits. */
#include <weft/http_parse.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_heads.h"

struct row {
    const char *lines, *said;
};

#define LINE "GET / HTTP/1.0\r\n"
#define SAID "GET / 1.0 origin path=/ close"

/* Behind a request line; what is said of that is left out. */
static void check_rows(const struct row *rows, size_t n)
{
    static char head[1024], said[1024];
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(head, sizeof head, LINE "%s", rows[i].lines);
        (void)snprintf(said, sizeof said, "%s%s",
                       *rows[i].said == '@' ? "" : SAID, rows[i].said);
        CHECK_STR(said_of_request(head, NULL), said);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof *rows)

TEST_PLAIN(a_field_is_a_name_and_a_value_without_the_space_around)
{
    static const struct row rows[] = {
        {"a:b\r\n\r\n", " {a=b}"},
        {"a: \t b \tc\t \r\n\r\n", " {a=b \tc}"},
        {"a:\r\n\r\n", " {a=}"},
        {"a: \t\r\n\r\n", " {a=}"},
        {"!#$%&'*+-.^_`|~09azAZ: ::\r\n\r\n", " {!#$%&'*+-.^_`|~09azAZ=::}"},
        {"a-long-name-of-more-than-sixteen-octets_: v\r\n\r\n",
         " {a-long-name-of-more-than-sixteen-octets_=v}"},
        {"a: \x80\xff\r\nA: \"\r\n\r\n", " {a=\x80\xff} {A=\"}"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_malformed_field_is_told_with_its_octet)
{
    static const struct row rows[] = {
        {" a: b\r\n", "@17 400 a line begins with a space"},
        {"\ta", "@17 400 a line begins with a space"},
        {"a: b\r\n c: d\r\n", "@23 400 a line begins with a space"},
        {":b", "@17 400 a field's name is no token before a colon"},
        {"a :", "@18 400 a field's name is no token before a colon"},
        {"a\t:", "@18 400 a field's name is no token before a colon"},
        {"a\r\n", "@18 400 a field's name is no token before a colon"},
        {"a\n", "@18 400 a field's name is no token before a colon"},
        {"\n", "@17 400 a field's name is no token before a colon"},
        {"a(", "@18 400 a field's name is no token before a colon"},
        {"\x80", "@17 400 a field's name is no token before a colon"},
        {"a: b\n", "@21 400 a line does not end in CR LF"},
        {"a:\n", "@19 400 a line does not end in CR LF"},
        {"a: b\rc", "@22 400 a line does not end in CR LF"},
        {"a: b\r\r\n", "@22 400 a line does not end in CR LF"},
        {"a: \x01", "@20 400 an octet that no field value has"},
        {"a: b\x7f", "@21 400 an octet that no field value has"},
        {"a: b\x1f", "@21 400 an octet that no field value has"},
        {"\rb", "@18 400 a line does not end in CR LF"},
        {"\r\r", "@18 400 a line does not end in CR LF"},
    };
    CHECK_ROWS(rows);
}

TEST_PLAIN(a_nul_is_refused_wherever_it_stands)
{
    static const char head[] = LINE "abcd: efgh\r\n\r\n";
    char bad[sizeof head];
    for (size_t i = 0; i < sizeof head - 1; i++) {
        memcpy(bad, head, sizeof head);
        bad[i] = 0;
        const char *said = said_of_request_of(bad, sizeof head - 1, NULL);
        char told[16];
        (void)snprintf(told, sizeof told, "@%zu 400 ", i + 1);
        CHECK(strncmp(said, told, strlen(told)) == 0);
    }
}

TEST_PLAIN(a_name_that_is_nearly_one_that_matters_does_not_matter)
{
    static const char *const names[] = {
        "Hose",
        "Hoss",
        "Expecs",
        "Expert",
        "Upgrads",
        "Conneption",
        "Connectioo",
        "Content-Lengti",
        "Content_Length",
        "Content-Typing",
        "Cransfer-Encode",
        "Transfer_Encoding",
        "Transfer-Encodinh",
        "Transger-Encoding",
        "Transfer-Encoding1",
    };
    char line[64], said[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(line, sizeof line, "%s: [\r\n\r\n", names[i]);
        (void)snprintf(said, sizeof said, " {%s=[}", names[i]);
        const struct row row = {line, said};
        check_rows(&row, 1);
    }
}

/* ---- codings ------------------------------------------------------------ */

TEST_PLAIN(a_coding_is_chunked_once_and_last)
{
    static const char *const codings[][2] = {
        {"chunked", " chunked"},
        {"CHUNKED", " chunked"},
        {" chunked\t", " chunked"},
        {"", "malformed"},
        {",chunked", "malformed"},
        {"chunked,", "malformed"},
        {"chunked ,", "malformed"},
        {"chunked,,", "malformed"},
        {"gzip,,chunked", "malformed"},
        {"chunked, chunked", "malformed"},
        {"chunked, gzip", "malformed"},
        {"chunked;a=b", "malformed"},
        {"chunked;", "malformed"},
        {"chunked a", "malformed"},
        {"(chunked", "malformed"},
        {"\"chunked\"", "malformed"},
        {"x;", "malformed"},
        {"x;a", "malformed"},
        {"x;a=", "malformed"},
        {"x;a =b", "malformed"},
        {"x;a=\"b", "malformed"},
        {"x;a=\"b\\", "malformed"},
        {"x;a=\"b\\\", chunked", "malformed"},
        {"x;a=b\"", "malformed"},
        {"gzip", "does not end"},
        {"identity", "does not end"},
        {"xchunked", "does not end"},
        {"chunked1", "does not end"},
        {"x;a=\", chunked\"", "does not end"},
        {"gzip, chunked", "other than"},
        {"gzip\t,\tchunked", "other than"},
        {"x ; a=b ; c=\"d,\\\"e\" , chunked", "other than"},
    };
    char head[256];
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        (void)snprintf(head, sizeof head,
                       "PUT / HTTP/1.1\r\nHost: a\r\n"
                       "Transfer-Encoding:%s\r\n\r\n",
                       codings[i][0]);
        const char *said = said_of_request(head, NULL);
        if (!strstr(said, codings[i][1])) CHECK_STR(said, codings[i][0]);
        bool is_501 = strcmp(codings[i][1], "other than") == 0;
        CHECK((strstr(said, " 501 ") != NULL) == is_501);
    }
}

TEST_PLAIN(codings_of_several_lines_are_one_list)
{
#define CODED "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
    CHECK_STR(
        said_of_request(CODED "x\r\ntransfer-encoding: chunked\r\n\r\n", NULL),
        "@77 501 a transfer coding other than chunked");
    CHECK_STR(
        said_of_request(CODED "chunked\r\ntransfer-encoding: x\r\n", NULL),
        "@75 400 Transfer-Encoding is malformed");
    CHECK_STR(said_of_request(CODED "chunked\r\ntransfer-encoding: chunked\r\n",
                              NULL),
              "@81 400 Transfer-Encoding is malformed");
}

/* ---- hosts -------------------------------------------------------------- */

TEST_PLAIN(hosts_are_names_or_addresses_with_or_without_a_port)
{
    static const char *const good[] = {
        "a",
        "a.b-c_d~",
        "a:",
        "a:0",
        "a:00080",
        "a:65535",
        "127.0.0.1:80",
        "1.2.3.4.5",
        "!$&'()*+,;=",
        "%41%aF",
        "[::]",
        "[::1]:80",
        "[1:2:3:4:5:6:7:8]",
        "[1::8]",
        "[1:2:3:4:5:6:7::]",
        "[::2:3:4:5:6:7:8]",
        "[1:2::]",
        "[::ffff:1.2.3.4]",
        "[1:2:3:4:5:6:1.2.3.4]",
        "[::255.0.10.249]",
        "[aBcD::EF01]",
        "[v1.a:b]",
        "[Vf.~]",
        "[v1.!]:1",
    };
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "a:65536",
        "a:99999999999999999999",
        "a:b",
        "a:1:2",
        "a:-1",
        "a@b",
        "a/b",
        "a?b",
        "a b",
        "a\tb",
        "a\\b",
        "a\"",
        "<a>",
        "%4",
        "%",
        "%4g",
        "%%41",
        "a%",
        "\xc3\xa4",
        "[",
        "[]",
        "]",
        "[:]",
        "[:::]",
        "[1]",
        "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[1::2::3]",
        "[12345::]",
        "[g::]",
        "[::1",
        "[::1]a",
        "[::1]80",
        "[1:2:3:4:5:6:7:8::]",
        "[::1:2:3:4:5:6:7:8]",
        "[1:2:3:4::5:6:7:8]",
        "[:1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:]",
        "[::1%25eth0]",
        "[::1.2.3]",
        "[::1.2.3.4.5]",
        "[::1.2.3.256]",
        "[::01.2.3.4]",
        "[::1.2.3.4:1]",
        "[::1..3.4]",
        "[::1.2.3.]",
        "[::1.2.3.1234]",
        "[1:2:3:4:5:6:7:1.2.3.4]",
        "[1:2:3:4:5:1.2.3.4]",
        "[1.2.3.4]",
        "[1:2:3:4:5:6::1.2.3.4]",
        "[v.a]",
        "[v1]",
        "[v1.]",
        "[v1a]",
        "[vg.a]",
        "[v1.[]",
        "[v1.a@]",
        "[v",
        "[v]",
        "[::1]:x",
        "[[::1]]",
    };
    char head[256];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        (void)snprintf(head, sizeof head, LINE "Host: %s\r\n\r\n", good[i]);
        if (*said_of_request(head, NULL) == '@') CHECK_STR("refused", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(head, sizeof head, LINE "Host: %s\r\n\r\n", bad[i]);
        if (!strstr(said_of_request(head, NULL), "400 Host is malformed"))
            CHECK_STR("taken", bad[i]);
    }
}

/* ---- limits ------------------------------------------------------------- */

TEST_PLAIN(a_request_line_is_refused_with_the_first_octet_beyond_its_limit)
{
    static const weft_http_limits fifteen = {.line = 15};
#define TOLD "@16 414 the first line is too long"
    CHECK_STR(said_of_request("GET /x HTTP/1.0\r\n\r\n", &fifteen),
              "GET /x 1.0 origin path=/x close");
    CHECK_STR(said_of_request("\r\nGET /x HTTP/1.0\r\n\r\n", &fifteen),
              "GET /x 1.0 origin path=/x close");
    CHECK_STR(said_of_request("GET /xy HTTP/1.0\r\n\r\n", &fifteen), TOLD);
    CHECK_STR(said_of_request("GET /x HTTP/1.0 ", &fifteen), TOLD);
    CHECK_STR(said_of_request("GET /x HTTP/1.0\n", &fifteen), TOLD);
    CHECK_STR(said_of_request("GET /xxxxxxxxxx\x01", &fifteen), TOLD);
    CHECK_STR(said_of_request("GET /xxxxxxxxxx ", &fifteen), TOLD);
    CHECK_STR(said_of_request("GET /xxxxxxxxx%x", &fifteen), TOLD);
    CHECK_STR(said_of_request("ABCDEFGHIJKLMNO(", &fifteen), TOLD);
    CHECK_STR(said_of_request("GET /xxxxxxxxx#", &fifteen),
              "@15 400 an octet that no target has");
}

TEST_PLAIN(a_head_is_refused_with_the_last_octet_of_its_limit)
{
    static const weft_http_limits limits = {.head = 24};
#define LONG "@24 431 the field lines are too long"
    CHECK_STR(said_of_request(LINE "ab: d\r\n\r\n", NULL), SAID " {ab=d}");
    CHECK_STR(said_of_request(LINE "a:bc\r\n\r\n", &limits), SAID " {a=bc}");
    CHECK_STR(said_of_request(LINE "a:bcd\r\n\r\n", &limits), LONG);
    CHECK_STR(said_of_request(LINE "a:bcde\r\n\r\n", &limits), LONG);
    CHECK_STR(said_of_request(LINE "a:bcdef\r\n\r\n", &limits), LONG);
    CHECK_STR(said_of_request(LINE "a:bcdefghi\r\n\r\n", &limits), LONG);
    CHECK_STR(said_of_request(LINE "a:      \r\n\r\n", &limits), LONG);
    CHECK_STR(said_of_request(LINE "abcdefghi:\r\n\r\n", &limits), LONG);
    CHECK_STR(said_of_request(LINE "a:bcdef\n", &limits),
              "@24 400 a line does not end in CR LF");
    CHECK_STR(said_of_request("GET /0123456789012345678", &limits),
              "@24 414 the first line is too long");
    CHECK_STR(said_of_request("GET /012345678 HTTP/1.0\r\n", &limits),
              "@24 414 the first line is too long");
    static const weft_http_limits one = {.head = 1};
    CHECK_STR(said_of_request("\r\n", &one),
              "@1 414 the first line is too long");
}

TEST_PLAIN(as_many_fields_as_the_limit_and_the_marks_allow_are_taken)
{
    static const weft_http_limits two = {.fields = 2};
    CHECK_STR(said_of_request(LINE "a:\r\nb:\r\n\r\n", &two),
              SAID " {a=} {b=}");
    CHECK_STR(said_of_request(LINE "a:\r\nb:\r\n(", &two),
              "@25 431 too many field lines");
    char head[2048] = LINE;
    for (int i = 0; i < 100; i++)
        strcat(head, "a:b\r\n");
    CHECK(strstr(said_of_request(strcat(head, "\r\n"), NULL), SAID));
    head[strlen(head) - 2] = 0;
    CHECK_STR(said_of_request(strcat(head, "a:b\r\n\r\n"), NULL),
              "@517 431 too many field lines");

    weft_http_request r;
    weft_http_mark mark;
    weft_http_request_init(&r, NULL, 0, NULL);
    CHECK_EQ(weft_http_parse_request(&r, LINE "\r\n", 18), 18);
    weft_http_request_init(&r, NULL, 0, NULL);
    CHECK_EQ(weft_http_parse_request(&r, LINE "a", 17), -EBADMSG);
    CHECK_EQ(r.status, 431);
    weft_http_request_init(&r, &mark, 1, NULL);
    CHECK_EQ(weft_http_parse_request(&r, LINE "a:\r\n\r\n", 22), 22);
}

/* Of the usual limits; octets that all are `fill`, before and behind others. */
static ssize_t filled(const char *before, size_t n, const char *behind,
                      const weft_http_limits *limits, int *ret_status)
{
    size_t first = strlen(before), last = strlen(behind);
    char *head = malloc(first + n + last);
    static weft_http_mark marks[HEADS_ROOM];
    weft_http_request r;
    CHECK(head);
    memcpy(head, before, first);
    memset(head + first, 'a', n);
    memcpy(head + first + n, behind, last);
    weft_http_request_init(&r, marks, HEADS_ROOM, limits);
    ssize_t rc = weft_http_parse_request(&r, head, first + n + last);
    *ret_status = r.status;
    free(head);
    return rc;
}

TEST_PLAIN(the_usual_limits_are_16_KiB_for_the_line_and_64_for_the_head)
{
    int status;
    size_t line = 16384 - strlen("GET / HTTP/1.0");
    CHECK_EQ(filled("GET /", line, " HTTP/1.0\r\n\r\n", NULL, &status), 16388);
    CHECK_EQ(filled("GET /", line + 1, " HTTP/1.0\r\n\r\n", NULL, &status),
             -EBADMSG);
    CHECK_EQ(status, 414);
    size_t value = 65536 - strlen(LINE "a:\r\n\r\n");
    CHECK_EQ(filled(LINE "a:", value, "\r\n\r\n", NULL, &status), 65536);
    CHECK_EQ(filled(LINE "a:", value + 1, "\r\n\r\n", NULL, &status), -EBADMSG);
    CHECK_EQ(status, 431);
}

TEST_PLAIN(a_name_of_65535_octets_is_taken_where_the_head_may_be_so_long)
{
    static const weft_http_limits large = {.head = SIZE_MAX, .line = SIZE_MAX};
    int status;
    CHECK_EQ(filled(LINE, 65535, ":b\r\n\r\n", &large, &status), 65557);
    CHECK_EQ(filled(LINE, 65536, ":b\r\n\r\n", &large, &status), -EBADMSG);
    CHECK_EQ(status, 431);
    CHECK_EQ(filled(LINE, 65535, "(", &large, &status), -EBADMSG);
    CHECK_EQ(status, 431);
    CHECK_EQ(filled(LINE, 65534, "(", &large, &status), -EBADMSG);
    CHECK_EQ(status, 400);
    CHECK_EQ(filled(LINE, 65535, "", &large, &status), 0);
}
