/* SPDX-License-Identifier: MIT */
/*
 * test_http_model.c - parser and model on streams that nobody has thought of:
 * the corpus, changed by chance; each octet at each place of a few messages;
 * and hosts. `make fuzz-http` is the long one.
 */
#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "http_drive.h"
#include "http_model.h"
#include "http_mutate.h"
#include "http_root.h"

static uint64_t fewer(uint64_t count)
{
    return test_is_slow() ? count / 20 : count;
}

static void differ(bool response, uint64_t seed, uint64_t count)
{
    struct http_corpus c;
    struct http_tally tally = {0};
    load_corpus(&c, response ? "response" : "request");
    count = fewer(count);
    for (uint64_t i = 0; i < count; i++)
        http_differ(&c, response, seed + i, &tally);
    http_corpus_free(&c);
    CHECK_EQ(tally.disagreements, 0);
    CHECK_EQ(tally.streams, count);
    CHECK(tally.messages > count / 8); /* or all of it would be in vain */
    CHECK(tally.refused > count / 8);
}

TEST_PLAIN(mutated_requests_are_taken_as_the_model_takes_them)
{
    differ(false, test_seed() << 20, 10000);
}

TEST_PLAIN(mutated_responses_are_taken_as_the_model_takes_them)
{
    differ(true, test_seed() << 20, 5000);
}

TEST_PLAIN(those_that_were_drawn_before_are_too)
{
    differ(false, 1, 4000);
    differ(true, 1, 2000);
}

/* ---- each octet at each place ------------------------------------------- */

struct octets {
    char text[512];
    size_t len;
    bool response;
    unsigned wrong, accepted;
};

static void compare(struct octets *o)
{
    struct http_outcome parser = {.detail = true}, model = {.detail = true};
    struct http_pieces whole = {0, 0};
    if (o->response) {
        http_drive_response(o->text, o->len, "GET", whole, &parser);
        http_model_response(o->text, o->len, "GET", &model);
    } else {
        http_drive_requests(o->text, o->len, whole, &parser);
        http_model_requests(o->text, o->len, &model);
    }
    if (strcmp(outcome_text(&parser), outcome_text(&model)) != 0) {
        struct http_outcome quoted = {0};
        outcome_quote(&quoted, o->text, o->len);
        (void)printf("%s\nparser: %smodel:  %s\n", outcome_text(&quoted),
                     outcome_text(&parser), outcome_text(&model));
        outcome_free(&quoted);
        o->wrong++;
    }
    o->accepted += outcome_text(&model)[0] != '!';
    outcome_free(&parser);
    outcome_free(&model);
}

static void replaced(struct octets *o, size_t at)
{
    char kept = o->text[at];
    for (int octet = 0; octet < 256; octet++) {
        o->text[at] = (char)octet;
        compare(o);
    }
    o->text[at] = kept;
}

static void inserted(struct octets *o, size_t at)
{
    memmove(o->text + at + 1, o->text + at, o->len - at);
    o->len++;
    for (int octet = 0; octet < 256; octet++) {
        o->text[at] = (char)octet;
        compare(o);
    }
    o->len--;
    memmove(o->text + at, o->text + at + 1, o->len - at);
}

static void everywhere(const char *text, bool response)
{
    struct octets o = {.len = strlen(text), .response = response};
    CHECK(o.len < sizeof o.text);
    memcpy(o.text, text, o.len);
    size_t step = test_is_slow() ? 7 : 1;
    for (size_t at = 0; at < o.len; at += step)
        replaced(&o, at);
    for (size_t at = 0; at <= o.len; at += step)
        inserted(&o, at);
    CHECK_EQ(o.wrong, 0);
}

TEST_PLAIN(each_octet_at_each_place_of_a_request_with_a_length)
{
    everywhere("POST /a%20b?c HTTP/1.1\r\nHost: h:80\r\nX: y z\r\n"
               "Content-Length: 2\r\nConnection: close\r\n\r\nhi",
               false);
}

TEST_PLAIN(each_octet_at_each_place_of_a_request_with_chunks)
{
    everywhere("PUT / HTTP/1.1\r\nHost: [::1]:8\r\nTransfer-Encoding: chunked"
               "\r\n\r\n1;a=\"\\b c\";d=e\r\nx\r\n0\r\nX-Y: z\r\n\r\n"
               "GET http://h:1/ HTTP/1.0\r\n\r\n",
               false);
}

TEST_PLAIN(each_octet_at_each_place_of_the_other_forms_of_a_target)
{
    everywhere("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
               "CONNECT [::1]:443 HTTP/1.1\r\nHost: a.b\r\n\r\n"
               "GET https://a:1?q HTTP/1.1\r\nHost: %41\r\n\r\n",
               false);
}

TEST_PLAIN(each_octet_at_each_place_of_responses)
{
    everywhere("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
               "Content-Length: 2\r\nConnection: x, keep-alive\r\n\r\nhi",
               true);
    everywhere("HTTP/1.0 404 \r\nX: y\r\n\r\nhello", true);
    everywhere("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "2;a\r\nhi\r\n0\r\nX: y\r\n\r\n",
               true);
}

/* ---- hosts -------------------------------------------------------------- */

static size_t any_host(char *buf, size_t most)
{
    static const char *const parts[] = {
        "[",  "]",   "[::", ":",  "::",  ".",         "1",
        "12", "123", "256", "ff", "fff", "g",         "v",
        "V1", "-",   "%41", "%",  "a",   "127.0.0.1", "0",
        "00", "1:2", "_",   "@",  "/x",  "80",        "1:2:3:4:5:6:7"};
    size_t len = 0;
    for (unsigned n = 1 + random_below(9u); n > 0; n--) {
        const char *s = parts[random_below(sizeof parts / sizeof *parts)];
        if (len + strlen(s) > most) break;
        memcpy(buf + len, s, strlen(s));
        len += strlen(s);
    }
    return len;
}

/* In brackets, with digits and colons alone: or hardly any would be right. */
static size_t any_address(char *buf)
{
    size_t len = 0;
    buf[len++] = '[';
    for (unsigned n = 1 + random_below(9u); n > 0; n--) {
        buf[len++] = "0123456789abcdefABCDEF"[random_below(22)];
        if (random_below(12) == 0) buf[len++] = "g.v0%"[random_below(5)];
        if (n > 1 || random_below(4) == 0) buf[len++] = ':';
        if (random_below(8) == 0) buf[len++] = ':';
    }
    if (random_below(4) == 0) {
        memcpy(buf + len, "1.2.3.4", 7);
        len += 7;
    }
    buf[len++] = ']';
    return len;
}

TEST_PLAIN(hosts_drawn_by_chance_are_taken_as_the_model_takes_them)
{
    static const char *const heads[] = {"GET / HTTP/1.1\r\nHost: ",
                                        "\r\n\r\n",
                                        "GET http://",
                                        "/ HTTP/1.1\r\nHost: a\r\n\r\n",
                                        "CONNECT ",
                                        " HTTP/1.1\r\nHost: a\r\n\r\n"};
    struct octets o = {0};
    random_begin(test_seed());
    for (uint64_t i = 0; i < fewer(40000); i++) {
        const char *const *head = &heads[2 * random_below(3)];
        char *at = stpcpy(o.text, head[0]);
        at += random_below(2) ? any_address(at) : any_host(at, 100);
        if (random_below(2)) at = stpcpy(at, random_below(2) ? ":80" : ":0");
        o.len = (size_t)(stpcpy(at, head[1]) - o.text);
        compare(&o);
    }
    CHECK_EQ(o.wrong, 0);
    CHECK(o.accepted > fewer(40000) / 50); /* or it would be in vain */
}
