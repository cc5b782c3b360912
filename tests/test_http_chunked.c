/* SPDX-License-Identifier: MIT */
/* test_http_chunked.c - chunks, their extensions, and trailers. */
#include <weft/http_parse.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_heads.h"

struct row {
    const char *text, *said;
};

static const char *said_of_text(const char *text)
{
    return said_of_chunks(text, strlen(text));
}

TEST_PLAIN(a_chunked_body_is_put_together)
{
    static const struct row rows[] = {
        {"0\r\n", "[] 3"},
        {"3\r\nabc\r\n0\r\n", "[abc] 11"},
        {"1\r\na\r\n00a\r\n\r\n\r\n345678\r\n0\r\n\r\nx",
         "[a\r\n\r\n345678] 26"},
        {"000000000000000A\r\n0123456789\r\n0000\r\n", "[0123456789] 36"},
        {"3\r\nab", "[ab] more"},
        {"3\r\nabc", "[abc] more"},
        {"3\r\nabc\r\n", "[abc] more"},
        {"", "[] more"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_STR(said_of_text(rows[i].text), rows[i].said);
}

TEST_PLAIN(a_malformed_chunk_is_refused_and_what_was_before_it_is_not)
{
    static const struct row rows[] = {
        {"g", "[] the chunk size is malformed"},
        {" 1", "[] the chunk size is malformed"},
        {"+1", "[] the chunk size is malformed"},
        {"-1", "[] the chunk size is malformed"},
        {"0x1", "[] the chunk size is malformed"},
        {"\r\n", "[] the chunk size is malformed"},
        {";a", "[] the chunk size is malformed"},
        {"1 \r\n", "[] a chunk extension is malformed"},
        {"1\n", "[] the chunk size is malformed"},
        {"1\r\r", "[] a chunk's line does not end in CR LF"},
        {"1\ra", "[] a chunk's line does not end in CR LF"},
        {"00000000000000001", "[] the chunk size is too large"},
        {"8000000000000000", "[] the chunk size is too large"},
        {"1\r\nab", "[a] a chunk does not end in CR LF"},
        {"1\r\na\n", "[a] a chunk does not end in CR LF"},
        {"1\r\na\r\r", "[a] a chunk does not end in CR LF"},
        {"1\r\na\r\n1\r\nb\r\n\r\n", "[ab] the chunk size is malformed"},
        {"1\r\na\r\n1;\r\n", "[a] a chunk extension is malformed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_STR(said_of_text(rows[i].text), rows[i].said);
}

TEST_PLAIN(the_largest_chunk_has_2_to_the_63_octets_less_one)
{
    CHECK_STR(said_of_text("7fffffffffffffff\r\nab"), "[ab] more");
}

TEST_PLAIN(extensions_are_read_by_their_grammar)
{
    static const struct row rows[] = {
        {"0;a\r\n", "[] 5"},
        {"0;a=b\r\n", "[] 7"},
        {"0;a=b;c;d=e\r\n", "[] 13"},
        {"0;a=\"\"\r\n", "[] 8"},
        {"0;a=\"b \t;\\\"\\\\\xff\";c\r\n", "[] 19"},
        {"0;\r\n", "[] a chunk extension is malformed"},
        {"0;;", "[] a chunk extension is malformed"},
        {"0 \t; a\t = \"b\" ;c", "[] more"},
        {"0; \r", "[] a chunk extension is malformed"},
        {"0;a \r", "[] a chunk extension is malformed"},
        {"0;a= \r", "[] a chunk extension is malformed"},
        {"0;a=b \r", "[] a chunk extension is malformed"},
        {"0;a b", "[] a chunk extension is malformed"},
        {"0;a=b c", "[] a chunk extension is malformed"},
        {"0;a=\"b\" c", "[] a chunk extension is malformed"},
        {"0;=b", "[] a chunk extension is malformed"},
        {"0;a=\r\n", "[] a chunk extension is malformed"},
        {"0;a=;", "[] a chunk extension is malformed"},
        {"0;a==", "[] a chunk extension is malformed"},
        {"0;a=b=", "[] a chunk extension is malformed"},
        {"0;a=b\"", "[] a chunk extension is malformed"},
        {"0;a=\"\x7f", "[] a chunk extension is malformed"},
        {"0;a=\"\r\n\"", "[] a chunk extension is malformed"},
        {"0;a=\"\\\r", "[] a chunk extension is malformed"},
        {"0;a=\"b\"c", "[] a chunk extension is malformed"},
        {"0;a\n", "[] a chunk extension is malformed"},
        {"0;\x80", "[] a chunk extension is malformed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_STR(said_of_text(rows[i].text), rows[i].said);
}

/* A size line with an extension of n octets, from its ';' on. */
static ssize_t extended(weft_http_chunked *c, const char *size, size_t n)
{
    char *line = malloc(n + 32);
    weft_text body;
    CHECK(line);
    size_t len = strlen(size);
    memcpy(line, size, len);
    memset(line + len, 'a', n);
    line[len] = ';';
    memcpy(line + len + n, "\r\n", 2);
    ssize_t rc = weft_http_dechunk(c, line, len + n + 2, &body);
    free(line);
    return rc;
}

TEST_PLAIN(extensions_have_16_KiB_and_a_sixteenth_of_the_body)
{
    static char body[48];
    weft_http_chunked c;
    weft_text run;
    weft_http_chunked_init(&c);
    CHECK_EQ(extended(&c, "0", WEFT_HTTP_EXTENSIONS), 16387);
    CHECK(c.trailers);
    weft_http_chunked_init(&c);
    CHECK_EQ(extended(&c, "0", WEFT_HTTP_EXTENSIONS + 1), -EBADMSG);
    CHECK_STR(c.wrong, "too many chunk extensions");
    CHECK_EQ(weft_http_dechunk(&c, "0\r\n", 3, &run), -EBADMSG);

    weft_http_chunked_init(&c);
    CHECK_EQ(extended(&c, "1", WEFT_HTTP_EXTENSIONS), 16387);
    CHECK_EQ(weft_http_dechunk(&c, "a\r\n", 3, &run), 3);
    CHECK_EQ(extended(&c, "0", 1), -EBADMSG);

    weft_http_chunked_init(&c);
    CHECK_EQ(extended(&c, "2f", WEFT_HTTP_EXTENSIONS), 16388);
    memset(body, 'b', sizeof body);
    CHECK_EQ(weft_http_dechunk(&c, body, 47, &run), 47);
    CHECK_EQ(weft_http_dechunk(&c, "\r\n", 2, &run), 2);
    CHECK_EQ(extended(&c, "0", 2), 5);
    CHECK(c.trailers);

    weft_http_chunked_init(&c);
    CHECK_EQ(weft_http_dechunk(&c, "10\r\n0123456789abcdef\r\n", 22, &run), 22);
    CHECK_EQ(extended(&c, "0", WEFT_HTTP_EXTENSIONS + 1), -EBADMSG);
}

TEST_PLAIN(nothing_is_taken_behind_the_last_chunk)
{
    weft_http_chunked c;
    weft_text run;
    weft_http_chunked_init(&c);
    CHECK_EQ(weft_http_dechunk(&c, NULL, 0, &run), 0);
    CHECK_EQ(run.len, 0);
    CHECK_EQ(weft_http_dechunk(&c, "0\r\na: b\r\n", 9, &run), 3);
    CHECK_EQ(weft_http_dechunk(&c, "a: b\r\n", 6, &run), 0);
    CHECK_EQ(run.len, 0);
}

/* ---- trailers ----------------------------------------------------------- */

TEST_PLAIN(trailers_are_field_lines)
{
    static const struct row rows[] = {
        {"\r\n", "ok"},
        {"a: b\r\nETag: c\r\n\r\nx", "ok {a=b} {ETag=c}"},
        {"a: b", "more"},
        {"a\r", "@2 400 a field's name is no token before a colon"},
        {" ", "@1 400 a line begins with a space"},
        {"\n", "@1 400 a field's name is no token before a colon"},
        {"a: b\n", "@5 400 a line does not end in CR LF"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_STR(said_of_trailers(rows[i].text, NULL), rows[i].said);
    static const weft_http_limits ten = {.head = 10, .fields = 1};
    CHECK_STR(said_of_trailers("a: bcd\r\n\r\n", &ten), "ok {a=bcd}");
    CHECK_STR(said_of_trailers("a: bcde\r\n\r\n", &ten),
              "@10 431 the field lines are too long");
    CHECK_STR(said_of_trailers("a:\r\nb", &ten), "@5 431 too many field lines");
}

TEST_PLAIN(what_must_be_known_before_the_body_is_no_trailer)
{
    static const char *const names[] = {
        "Transfer-Encoding",
        "content-LENGTH",
        "Host",
        "Trailer",
        "Authorization",
        "Set-Cookie",
        "Content-Type",
        "If-Match",
        "Connection",
        "TE",
        "Cache-Control",
        "Content-Range",
        "Expect",
        "Proxy-Authenticate",
        "Location",
    };
    char section[64], said[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(section, sizeof section, "%s: x\r\n\r\n", names[i]);
        (void)snprintf(said, sizeof said,
                       "@%zu 400 a field that may not be a trailer",
                       strlen(names[i]) + 5);
        CHECK_STR(said_of_trailers(section, NULL), said);
    }
    CHECK_STR(said_of_trailers("Hosts: x\r\nContent: y\r\n\r\n", NULL),
              "ok {Hosts=x} {Content=y}");
}

TEST_PLAIN(trailers_that_move_take_their_texts_along)
{
    weft_http_mark mark;
    weft_http_trailers t;
    static const char there[] = "a: b\r\n\r\n";
    weft_http_trailers_init(&t, &mark, 1, NULL);
    CHECK_EQ(weft_http_parse_trailers(&t, NULL, 0), 0);
    CHECK_EQ(weft_http_parse_trailers(&t, "a: b\r\n\r\n", 8), 8);
    CHECK_EQ(weft_http_parse_trailers(&t, "a: b\r\n\r", 7), -EINVAL);
    weft_http_trailers_move(&t, there);
    CHECK_PTR(weft_http_field(&t.fields, "A").at, there + 3);
}
