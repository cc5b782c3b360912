/* SPDX-License-Identifier: MIT */
/* test_http_client_send.c - what is sent, what is not, and who stops early. */
#include <weft/faulty.h>

#include "scripted.h"

static const struct line ok[] = {HEARS, SAYS(OK_REPLY("2", "ok")), OVER};

static int send_one(struct scripted *s, const weft_http_call *call,
                    weft_resp *r)
{
    return weft_http_send(s->h, call, r);
}

/* What the call comes to with that talk; *s as it is then. */
static const char *sent(struct scripted *s, const weft_http_call *call)
{
    weft_resp r;
    int rc;
    const char *out = NULL;
    WITH_SCRIPTED(*s, rc)
    {
        int err = send_one(s, call, &r);
        out = outcome(err, &r);
    }
    CHECK_EQ(rc, 0);
    return out;
}

/* ---- splitting ---------------------------------------------------------- */

static void check_refused(weft_http *h, const weft_http_call *call)
{
    weft_resp r;
    CHECK_EQ(weft_http_send(h, call, &r), -EINVAL);
    CHECK(weft_last_error() && weft_last_error()->code == -EINVAL);
    CHECK(weft_last_error()->msg[0] != 0);
    CHECK_EQ(r.status, 0);
}

static bool is_token_octet(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || (c > 0 && strchr("!#$%&'*+-.^_`|~", c));
}

TEST(no_octet_can_split_a_name_a_value_a_method_or_a_target)
{
    struct scripted s = {.talks = {ok}};
    int rc;
    WITH_SCRIPTED(s, rc)
    for (int c = 1; c < 256; c++)
        for (int at = 0; at < 3; at++) {
            char name[] = "X-a", value[] = "b c", method[] = "GET",
                 url[] = "http://h/abc";
            weft_http_header headers[] = {{name, value}, {NULL, NULL}};
            weft_http_call call = {
                .method = method, .url = url, .headers = headers};
            name[at] = (char)c;
            if (!is_token_octet(c)) check_refused(s.h, &call);
            memcpy(name, "X-a", 3);
            value[at] = (char)c;
            bool control = (c < 32 && c != 9) || c == 127;
            if (control || (at != 1 && (c == 32 || c == 9)))
                check_refused(s.h, &call);
            memcpy(value, "b c", 3);
            method[at] = (char)c;
            if (!is_token_octet(c)) check_refused(s.h, &call);
            memcpy(method, "GET", 3);
            url[9 + at] = (char)c;
            if (c <= 32 || c >= 127) check_refused(s.h, &call);
        }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 0); /* it cost no connection */
}

TEST(what_is_the_clients_own_is_refused_as_a_header)
{
    static const char *const own[] = {"Host",
                                      "content-length",
                                      "Transfer-Encoding",
                                      "CONNECTION",
                                      "Keep-Alive",
                                      "Proxy-Connection",
                                      "TE",
                                      "Trailer",
                                      "Upgrade",
                                      "Expect",
                                      NULL};
    struct scripted s = {.talks = {ok}};
    int rc;
    WITH_SCRIPTED(s, rc)
    for (int i = 0; own[i]; i++) {
        weft_http_header headers[] = {{own[i], "x"}, {NULL, NULL}};
        weft_http_call call = {.url = "http://h/", .headers = headers};
        weft_http_opts o = {.headers = headers};
        check_refused(s.h, &call);
        CHECK(weft_http_new(&o) == NULL);
        check_said(-EINVAL, "is the client's own");
    }
    CHECK_EQ(rc, 0);
}

TEST(calls_that_contradict_themselves_are_refused)
{
    static const weft_http_header sum[] = {{"X-Sum", "1"}, {NULL, NULL}};
    static const weft_http_call calls[] = {
        {.url = "/relative"},
        {.url = "http://"},
        {.url = "http://h:0/"},
        {.url = "http://h:99999/"},
        {.url = "http://user:word@h/"},
        {.url = "http://h/", .method = "CONNECT"},
        {.url = "http://h/", .method = ""},
        {.url = "http://h/", .method = "TRACE", .body = "x", .body_len = 1},
        {.url = "http://h/", .body_len = 1},
        {.url = "http://h/", .trailers = sum}};
    struct scripted s = {.talks = {ok}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            check_refused(s.h, &calls[i]);
        CHECK_EQ(weft_http_get(s.h, "ftp://h/", &r), -EPROTONOSUPPORT);
        check_said(-EPROTONOSUPPORT, "\"ftp\" is not http or https");
        CHECK_EQ(weft_http_get(s.h, "https://h/", &r), -EPROTONOSUPPORT);
        check_said(-EPROTONOSUPPORT, "https needs weft_http_opts.secure");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 0);
}

TEST(a_head_of_more_than_64_kib_is_refused_and_one_of_60_is_sent)
{
    static char value[70000];
    weft_http_header headers[] = {{"X", value}, {NULL, NULL}};
    weft_http_call call = {.url = "http://h/", .headers = headers};
    struct scripted s = {.talks = {ok}}, t = {.talks = {ok}};
    static const struct line takes[] = {TAKES_N(60000),
                                        SAYS(OK_REPLY("2", "ok")), OVER};
    memset(value, 'v', 60000);
    t.talks[0] = takes;
    CHECK_STR(sent(&t, &call), "200 ok");
    memset(value, 'v', sizeof value - 1);
    CHECK_STR(sent(&s, &call), weft_strerror(-EMSGSIZE));
}

/* ---- userinfo ----------------------------------------------------------- */

TEST(userinfo_makes_basic_authorization_where_that_is_allowed)
{
    struct scripted s = {.talks = {ok}, .opts = {.userinfo = true}};
    weft_http_call call = {.url = "http://Aladdin:open%20sesame@h/x"};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK(strstr(s.heard, "GET /x HTTP/1.1\r\nHost: h\r\n") != NULL);
    CHECK(strstr(s.heard,
                 "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n") !=
          NULL); /* RFC 7617, 2 */
}

/* ---- targets ------------------------------------------------------------ */

TEST(options_of_a_server_asks_for_the_asterisk)
{
    struct scripted s = {.talks = {ok}};
    weft_http_call call = {.method = "OPTIONS", .url = "http://h"};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK(strncmp(s.heard, "OPTIONS * HTTP/1.1\r\nHost: h\r\n", 28) == 0);
}

TEST(the_host_has_brackets_and_a_port_where_there_are_any)
{
    struct scripted s = {.talks = {ok}};
    weft_http_call call = {.url = "http://[::1]:8080"};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK(strstr(s.heard, "Host: [::1]:8080\r\n") != NULL);
    CHECK_STR(s.dialled, "::1:8080 ");
}

/* ---- bodies ------------------------------------------------------------- */

struct source {
    const char *text;
    size_t len, at, step;
    weft_time pause;
    int error; /* at the end */
};

static ssize_t give(void *buf, size_t len, void *user)
{
    struct source *s = user;
    size_t n = s->len - s->at;
    if (s->pause && weft_sleep(s->pause) < 0) return -ECANCELED;
    if (n == 0) return s->error;
    if (n > s->step) n = s->step;
    if (n > len) n = len;
    memcpy(buf, s->text + s->at, n);
    s->at += n;
    return (ssize_t)n;
}

TEST(a_body_of_unknown_length_goes_in_chunks_with_trailers)
{
    static const weft_http_header trailers[] = {{"X-Sum", "7"}, {NULL, NULL}};
    static const struct line talk[] = {
        HEARS, TAKES("3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 7\r\n\r\n"),
        SAYS(OK_REPLY("2", "ok")), OVER};
    struct source from = {.text = "hello", .len = 5, .step = 3};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .produce = give,
                           .user = &from,
                           .trailers = trailers};
    struct scripted s = {.talks = {talk}};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK(strstr(s.heard, "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n") !=
          NULL);
}

TEST(a_name_that_may_not_be_a_trailer_is_refused)
{
    static const weft_http_header trailers[] = {{"Content-Length", "7"},
                                                {NULL, NULL}};
    struct source from = {.text = "hello", .len = 5, .step = 3};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .produce = give,
                           .user = &from,
                           .trailers = trailers};
    struct scripted s = {.talks = {ok}};
    CHECK_STR(sent(&s, &call), "Invalid argument");
    CHECK_EQ(s.conns, 0);
}

TEST(a_producer_that_says_its_length_is_asked_for_no_more)
{
    static const struct line talk[] = {HEARS, TAKES("hel"),
                                       SAYS(OK_REPLY("2", "ok")), OVER};
    struct source from = {.text = "hello", .len = 5, .step = 5};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .length = 3,
                           .produce = give,
                           .user = &from};
    struct scripted s = {.talks = {talk}};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK(strstr(s.heard, "Content-Length: 3\r\n\r\nhel") != NULL);
    CHECK_EQ(from.at, 3);
}

TEST(a_producer_that_fails_or_has_too_little_ends_the_request)
{
    struct scripted s = {.talks = {ok}}, t = {.talks = {ok}};
    struct source from = {.text = "hello", .len = 5, .step = 5, .error = -EIO};
    weft_http_call call = {
        .method = "PUT", .url = "http://h/", .produce = give, .user = &from};
    static const struct line hears[] = {HEARS, TAKES_N(99), OVER};
    s.talks[0] = t.talks[0] = hears;
    CHECK_STR(sent(&s, &call), weft_strerror(-EIO));
    from.at = 0;
    from.error = 0;
    call.length = 6;
    CHECK_STR(sent(&t, &call), "No data available");
}

/* ---- early replies ------------------------------------------------------ */

enum { LARGE = 2 << 20 };

static const struct line too_large[] = {
    HEARS, SAYS("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
    IS_MUTE, OVER};
static const struct line too_large_and_gone[] = {
    HEARS,
    SAYS("HTTP/1.1 413 Too Large\r\nConnection: close\r\n"
         "Content-Length: 2\r\n\r\nno"),
    ENDS, HANGS, OVER};

TEST(a_reply_before_the_body_has_gone_ends_the_sending)
{
    static char body[LARGE];
    const struct line *talks[] = {too_large, too_large_and_gone};
    for (int i = 0; i < 4; i++) {
        struct scripted s = {.talks = {talks[i % 2], ok}};
        struct source from = {.text = body, .len = LARGE, .step = 5000};
        weft_http_call call = {.method = "PUT", .url = "http://h/"};
        weft_resp r;
        int rc;
        if (i < 2) {
            call.body = body;
            call.body_len = LARGE;
        } else {
            call.produce = give;
            call.user = &from;
        }
        WITH_SCRIPTED(s, rc)
        {
            weft_time start = weft_now();
            CHECK_EQ(weft_http_send(s.h, &call, &r), 0);
            CHECK_EQ(weft_now() - start, 0);
            CHECK_STR(outcome(0, &r), "413 no");
            CHECK_STR(get(s.h, "http://h/"), "200 ok");
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 2);
        CHECK(from.at < LARGE);
    }
}

TEST(a_large_body_goes_to_a_slow_reader_whole)
{
    static char body[LARGE];
    static const struct line talk[] = {HEARS,
                                       TAKES_N(LARGE / 2),
                                       PAUSES(100),
                                       TAKES_N(LARGE / 2),
                                       SAYS(OK_REPLY("2", "ok")),
                                       HEARS,
                                       SAYS(OK_REPLY("2", "ok")),
                                       OVER};
    struct scripted s = {.talks = {talk}, .capacity = 1000};
    weft_http_call call = {
        .method = "PUT", .url = "http://h/", .body = body, .body_len = LARGE};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_send(s.h, &call, &r), 0);
        CHECK_STR(outcome(0, &r), "200 ok");
        CHECK_STR(get(s.h, "http://h/"), "200 ok");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 1);
}

/* Its second write finds the way closed, and nothing to be read yet. */
static int dial_breaking(weft_transport **ret, const char *host, int port,
                         void *user)
{
    static const weft_faulty_opts trouble = {
        .write = {.then = WEFT_FAULT_ERROR, .at_call = 2, .error = -EPIPE}};
    weft_transport *below;
    int err = dial_scripted(&below, host, port, user);
    if (err < 0) return err;
    *ret = weft_faulty_new(below, &trouble);
    CHECK(*ret != NULL);
    return 0;
}

TEST(what_was_said_before_the_way_was_closed_is_read)
{
    static char body[LARGE];
    static const struct line talk[] = {
        HEARS, PAUSES(10),
        SAYS("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"), OVER};
    struct scripted s = {.talks = {talk}, .opts = {.connect = dial_breaking}};
    weft_http_call call = {
        .method = "PUT", .url = "http://h/", .body = body, .body_len = LARGE};
    CHECK_STR(sent(&s, &call), "413 no");
}

/* ---- 100-continue ------------------------------------------------------- */

TEST(a_body_that_is_announced_goes_after_the_go_ahead)
{
    static const struct line talk[] = {HEARS,
                                       PAUSES(500),
                                       SAYS("HTTP/1.1 100 Continue\r\n\r\n"),
                                       TAKES("hello"),
                                       SAYS(OK_REPLY("2", "ok")),
                                       OVER};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .body = "hello",
                           .body_len = 5,
                           .expect_continue = true};
    struct scripted s = {.talks = {talk}};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK(strstr(s.heard, "Expect: 100-continue\r\n") != NULL);
}

TEST(who_does_not_say_go_ahead_gets_the_body_after_a_second)
{
    static const struct line talk[] = {HEARS, TAKES("hello"),
                                       SAYS(OK_REPLY("2", "ok")), OVER};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .body = "hello",
                           .body_len = 5,
                           .expect_continue = true};
    struct scripted s = {.talks = {talk}};
    weft_time start = weft_now();
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK_EQ(weft_now() - start, WEFT_SEC(1));
}

TEST(a_refusal_instead_of_the_go_ahead_saves_the_body)
{
    static const struct line talk[] = {
        HEARS, SAYS("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), OVER};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .body = "hello",
                           .body_len = 5,
                           .expect_continue = true};
    struct scripted s = {.talks = {talk}};
    CHECK_STR(sent(&s, &call), "401 ");
    CHECK(strstr(s.heard, "hello") == NULL);
}

TEST(who_cannot_be_expected_of_is_asked_without)
{
    static const struct line refuses[] = {
        HEARS, SAYS("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), OVER};
    static const struct line takes[] = {HEARS, TAKES("hello"),
                                        SAYS(OK_REPLY("2", "ok")), OVER};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .body = "hello",
                           .body_len = 5,
                           .expect_continue = true};
    struct scripted s = {.talks = {refuses, takes}};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK_EQ(s.conns, 2);
}
