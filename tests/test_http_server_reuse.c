/* SPDX-License-Identifier: MIT */
/*
 * test_http_server_reuse.c - requests of all kinds on one connection, which get
 * what each gets on one of its own, in whatever order and pieces they come.
 */
#include <weft/error.h>
#include <weft/http_route.h>

#include <stdio.h>
#include <stdlib.h>

#include "chance.h"
#include "http_site.h"

/* ---- one handler for all ------------------------------------------------ */

static unsigned dropped;

static void drop(void *arg)
{
    (void)arg;
    dropped++;
}

static int nothing(void *arg)
{
    return arg ? -EINVAL : 0;
}

/* Its texts stay while others use the scratch. */
static int tell_head(weft_req *r)
{
    weft_text value = {NULL, 0};
    if (weft_sleep(WEFT_USEC(1)) < 0) return -ECANCELED;
    int err = weft_req_query(r, "q", &value);
    if (err < 0 && err != -ENOENT) return err;
    return weft_reply_printf(
        r, 200, "text/plain", "%.*s|%.*s|%.*s|%.*s|%.*s|%zu|%d%d%d",
        WEFT_TEXT_ARGS(r->head.method), WEFT_TEXT_ARGS(r->head.path),
        WEFT_TEXT_ARGS(value), WEFT_TEXT_ARGS(r->head.host),
        WEFT_TEXT_ARGS(weft_req_field(r, "x-last")),
        (size_t)weft_req_field(r, "x-long").len, r->head.minor,
        r->head.keep_alive, r->head.expects_continue);
}

static int tell_body(weft_req *r)
{
    weft_text body;
    int err = weft_req_body(r, 0, &body);
    if (err < 0) return err;
    return weft_reply_printf(
        r, 200, "text/plain", "%.*s|%.*s|%d", WEFT_TEXT_ARGS(body),
        WEFT_TEXT_ARGS(weft_req_trailer(r, "x-sum")), (int)r->received);
}

static int show_body(weft_req *r)
{
    const char *data;
    ssize_t n = weft_req_peek(r, &data);
    if (n < 0) return (int)n;
    return weft_reply(r, 200, "text/plain", data, n > 0);
}

static int in_pieces(weft_req *r, uint64_t length)
{
    int err = weft_reply_begin(r, 200, "text/plain", length);
    if (err == 0) err = weft_reply_write(r, "hel", 3);
    if (err == 0 && length == WEFT_HTTP_UNKNOWN)
        err = weft_reply_trailer(r, "X-Trailer", "t");
    if (err == 0) err = weft_reply_write(r, "lo", 2);
    return err == 0 ? weft_reply_end(r) : err;
}

static int answer(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK(!r->user);
    CHECK_EQ(r->status, 0);
    CHECK_EQ(r->received + r->sent, 0);
    CHECK_EQ(weft_arena_used(&r->arena), 0);
    CHECK_EQ(weft_req_trailer(r, "x-sum").len, 0);
    CHECK(!weft_req_pattern(r));
    r->user = r;
    switch (r->head.path.at ? r->head.path.at[1] : '*') {
    case 'a': /* after-work */
        CHECK_EQ(weft_req_after(r, nothing, NULL, NULL), 0);
        CHECK_EQ(weft_req_after(r, nothing, r, drop), 0);
        return weft_reply_text(r, 200, "hello");
    case 'b':
        return tell_body(r);
    case 'c':
        return in_pieces(r, WEFT_HTTP_UNKNOWN);
    case 'd':
        weft_req_set_deadline(r, WEFT_FOREVER);
        weft_req_set_max_body(r, 1);
        return weft_reply_text(r, 200, "hello");
    case 'e': /* fails */
        CHECK_EQ(weft_reply_field(r, "Content-Type", "text/none"), 0);
        return -EIO;
    case 'f':
        CHECK_EQ(weft_reply_field(r, "X-Own", "1"), 0);
        CHECK_EQ(weft_reply_field(r, "Content-Type", "text/own"), 0);
        return weft_reply_text(r, 200, "hello");
    case 'h':
        return tell_head(r);
    case 'i':
        CHECK_EQ(weft_reply_field(r, "Link", "</x>"), 0);
        CHECK_EQ(weft_reply_interim(r, 103), 0);
        return weft_reply_text(r, 200, "hello");
    case 'l':
        return in_pieces(r, 5);
    case 'n':
        return weft_reply(r, 204, NULL, NULL, 0);
    case 's':
        return show_body(r);
    case 't': /* twice */
        CHECK_EQ(weft_reply_text(r, 200, "hello"), 0);
        CHECK_EQ(weft_reply_text(r, 200, "hello"), -EALREADY);
        return 0;
    case 'z':
        weft_reply_close(r);
        break;
    }
    return weft_reply_text(r, 200, "hello");
}

/* ---- requests ----------------------------------------------------------- */

#define LINE(what) what " HTTP/1.1\r\nHost: h\r\n"

static const char *const texts[] = {
    LINE("GET /") "\r\n",
    LINE("GET /") "\r\n",
    LINE("HEAD /") "\r\n",
    LINE("GET /a") "\r\n",
    LINE("POST /b") "Content-Length: 5\r\n\r\nhello",
    LINE("POST /b") "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    LINE("POST /b") "Transfer-Encoding: chunked\r\n\r\n"
                    "3\r\nhel\r\n2;x\r\nlo\r\n0\r\nX-Sum: 9\r\n\r\n",
    LINE("POST /b") "Content-Length: 0\r\n\r\n",
    LINE("POST /") "Content-Length: 5\r\n\r\nhello", /* and nobody reads it */
    LINE("POST /") "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    LINE("POST /d") "Content-Length: 1\r\n\r\nx",
    LINE("POST /s") "Content-Length: 5\r\n\r\nhello",
    LINE("POST /s") "Transfer-Encoding: chunked\r\n\r\n"
                    "5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n",
    LINE("GET /c") "\r\n",
    LINE("HEAD /c") "\r\n",
    LINE("GET /d") "\r\n",
    LINE("GET /e") "\r\n",
    LINE("HEAD /e") "\r\n",
    LINE("GET /f") "\r\n",
    LINE("GET /h") "\r\n",
    LINE("GET /h?q=%41") "X-Last: one\r\n\r\n",
    LINE("GET /h?p&q=a+b") "Connection: Keep-Alive, x\r\nX-Last:two \r\n\r\n",
    LINE("GET http://other/h?q=1") "\r\n",
    "GET /h HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /c HTTP/1.1\r\nhost: h\r\n\r\n",
    "\r\n" LINE("GET /h") "\r\n",
    LINE("GET /i") "\r\n",
    LINE("GET /l") "\r\n",
    LINE("HEAD /l") "\r\n",
    LINE("GET /n") "\r\n",
    LINE("GET /t") "\r\n",
    LINE("OPTIONS *") "\r\n",
};

/* These end the connection. */
static const char *const ends[] = {
    LINE("GET /z") "\r\n",           LINE("GET /h") "Connection: close\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",        LINE("GET /h") "Host: h\r\n\r\n",
    LINE("HEAD /h") "x : y\r\n\r\n", LINE("CONNECT h:1") "\r\n",
    LINE("GET /") "X-Last: cut",     LINE("HEAD /"),
};

enum {
    TEXTS = sizeof texts / sizeof *texts,
    ENDS = sizeof ends / sizeof *ends
};

/* Of texts[i], or of one with a long line, whose block grows, or of ends[]. */
static size_t put_request(char *to, unsigned i)
{
    static const int lengths[] = {1000, 8000, 14000, 20000, 50000};
    if (i < TEXTS) return (size_t)sprintf(to, "%s", texts[i]);
    i -= TEXTS;
    if (i < 5)
        return (size_t)sprintf(to, LINE("GET /h") "X-Long: %0*d\r\n\r\n",
                               lengths[i], 0);
    return (size_t)sprintf(to, "%s", ends[i - 5]);
}

enum { GOOD = TEXTS + 5, ALL = GOOD + ENDS };

/* What may differ: the second, and whether who waits was told to go on. */
static size_t without_chance(char *text)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    for (char *p = text; (p = strstr(p, "\r\nDate: ")); p += 8)
        memset(p + 8, 'D', 29);
    for (char *p = text; (p = strstr(p, go_on));)
        memmove(p, p + sizeof go_on - 1, strlen(p + sizeof go_on - 1) + 1);
    return strlen(text);
}

static char *replies[ALL];

static void note_unhandled(const weft_error *e)
{
    CHECK(e->code == -EIO || e->code == -EINVAL);
}

static void ask_each(struct site *site)
{
    static char text[60000];
    for (unsigned i = 0; i < ALL; i++) {
        (void)put_request(text, i);
        (void)ask(site, text);
        (void)without_chance(heard);
        CHECK(heard_len > 0);
        CHECK((strstr(heard, CLOSE) != NULL) == (i >= GOOD));
        replies[i] = strdup(heard);
        CHECK(replies[i] != NULL);
    }
}

static void give_back_replies(void)
{
    for (unsigned i = 0; i < ALL; i++)
        free(replies[i]);
}

/* ---- in one go, in pieces ----------------------------------------------- */

struct batch {
    char text[700000], want[100000];
    size_t len, want_len;
};

static void add(struct batch *b, unsigned i)
{
    b->len += put_request(b->text + b->len, i);
    b->want_len += (size_t)sprintf(b->want + b->want_len, "%s", replies[i]);
}

static size_t drawn_piece(unsigned way, size_t left)
{
    size_t n = way == 0   ? left
               : way == 1 ? 1 + random_below((size_t)40)
               : way == 2 ? 1 + random_below((size_t)3000)
                          : 1 + random_below(left);
    return n < left ? n : left;
}

struct visitor {
    struct site *site;
    weft_transport *t;
    size_t stop; /* after so many octets, if there are as many */
    struct batch batch;
};

/* A server that stops may have gone before all was said. */
static int say_all(void *arg)
{
    struct visitor *v = arg;
    const struct batch *b = &v->batch;
    unsigned way = random_below(4u);
    int err = 0;
    for (size_t at = 0; err == 0 && at < b->len;) {
        size_t n = drawn_piece(way, b->len - at);
        err = weft_transport_write_all(v->t, b->text + at, n, NULL);
        at += n;
        if (random_below(3) == 0) CHECK_EQ(weft_test_settle(), 0);
        if (at >= v->stop) stop_site(v->site);
    }
    CHECK(err == 0 || v->stop <= b->len);
    (void)!weft_transport_shutdown_write(v->t);
    return 0;
}

/* What there is to say is said, and what comes is heard. */
static void talk(struct visitor *v)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, say_all, v), 0);
        (void)hear_all(v->t);
    }
    CHECK_EQ(rc, 0);
    (void)without_chance(heard);
    weft_transport_close(v->t);
}

static void visit_once(struct visitor *v)
{
    v->t = visit(v->site);
    v->stop = SIZE_MAX;
    v->batch.len = v->batch.want_len = 0;
    for (unsigned n = random_below(12u); n > 0; n--)
        add(&v->batch, random_below((unsigned)GOOD));
    add(&v->batch, GOOD + random_below((unsigned)ENDS));
    talk(v);
    CHECK_STR(heard, v->batch.want);
}

static void visit_often(struct site *site, int times)
{
    static struct visitor v;
    v.site = site;
    random_begin(test_seed());
    weft_on_unhandled(note_unhandled);
    open_site(site);
    ask_each(site);
    while (times-- > 0)
        visit_once(&v);
    CHECK_EQ(dropped, 0);
    give_back_replies();
    close_site(site);
}

TEST(no_request_of_a_connection_changes_the_reply_to_another)
{
    struct site site = {.opts = {.handler = answer, .max_body = 1000}};
    visit_often(&site, 300);
}

TEST(nor_does_one_whose_replies_have_to_wait)
{
    struct site site = {.opts = {.handler = answer}, .capacity = 200};
    visit_often(&site, 50);
}

/* ---- a stop ------------------------------------------------------------- */

/* Takes the first of `words` out, and returns where it was. */
static char *take_out(char *text, const char *words)
{
    char *at = strstr(text, words);
    if (at) memmove(at, at + strlen(words), strlen(at + strlen(words)) + 1);
    return at;
}

/* Or a refusal of a head that did not come whole. */
static void check_whole_replies(const unsigned *asked, unsigned count)
{
    const char *close = take_out(heard, CLOSE), *p = heard;
    for (unsigned i = 0; i < count && *p && !(close && close < p); i++) {
        size_t len = strlen(replies[asked[i]]);
        if (strncmp(p, replies[asked[i]], len) != 0) break;
        p += len;
    }
    if (*p && close && close > p && strncmp(p, "HTTP/1.1 400 ", 13) == 0)
        return;
    CHECK_STR(p, "");
}

static void visit_and_stop(struct visitor *v)
{
    unsigned asked[12], count = random_below(12u);
    v->t = visit(v->site);
    v->batch.len = v->batch.want_len = 0;
    for (unsigned i = 0; i < count; i++) {
        do /* what says that it is kept says so no more */
            asked[i] = random_below((unsigned)TEXTS);
        while (strstr(texts[asked[i]], "HTTP/1.0"));
        add(&v->batch, asked[i]);
    }
    v->stop = random_below(v->batch.len + 1);
    CHECK_EQ(weft_yield(), 0);
    talk(v);
    check_whole_replies(asked, count);
}

TEST(a_stop_leaves_whole_replies_of_which_the_last_says_so)
{
    static struct visitor v;
    random_begin(test_seed());
    weft_on_unhandled(note_unhandled);
    for (int i = 0; i < 60; i++) {
        struct site site = {.opts = {.handler = answer},
                            .capacity = i % 2 ? 300 : 0};
        open_site(&site);
        v.site = &site;
        if (i == 0) ask_each(&site);
        visit_and_stop(&v);
        close_site(&site);
    }
    give_back_replies();
}
