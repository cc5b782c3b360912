/* SPDX-License-Identifier: MIT */
/* test_http_client_retry.c - again, after a while, if that can do no harm. */
#include <weft/gather.h>
#include <weft/retry.h>

#include "scripted.h"

#define BUSY(more) "HTTP/1.1 503 Busy\r\n" more "Content-Length: 4\r\n\r\nbusy"

static const struct line ok[] = {HEARS, SAYS(OK_REPLY("2", "ok")), OVER};
static const struct line busy[] = {HEARS, SAYS(BUSY("")), HEARS,
                                   SAYS(OK_REPLY("2", "ok")), OVER};
static const struct line gone[] = {HEARS, HANGS, OVER};

TEST(pattern_98_what_passes_is_tried_again_and_what_does_not_is_not)
{
    static const struct {
        const char *reply;
        unsigned attempts;
        const char *method;
    } cases[] = {
        {"429 x", 2, "GET"},    {"502 x", 2, "GET"},  {"503 x", 2, "PUT"},
        {"504 x", 2, "DELETE"}, {"503 x", 1, "POST"}, {"503 x", 1, "PATCH"},
        {"500 x", 1, "GET"},    {"404 x", 1, "GET"},  {"501 x", 1, "GET"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[80];
        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
                       cases[i].reply);
        const struct line talk[] = {HEARS, SAYS(text), HEARS,
                                    SAYS(OK_REPLY("2", "ok")), OVER};
        struct scripted s = {.talks = {talk}, .opts = {.retries = 2}};
        weft_http_call call = {.method = cases[i].method, .url = "http://h/"};
        weft_resp r;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_EQ(weft_http_send(s.h, &call, &r), 0);
            CHECK_EQ(r.attempts, cases[i].attempts);
            CHECK_EQ(r.status == 200, cases[i].attempts == 2);
            CHECK_EQ(weft_resp_end(&r), 0);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 1);
    }
}

TEST(pattern_98_a_connection_that_ends_is_tried_again_and_a_bad_reply_is_not)
{
    static const struct line bad[] = {HEARS, SAYS("nonsense\r\n"), OVER};
    struct scripted s = {.talks = {gone, ok}, .opts = {.retries = 2}};
    struct scripted t = {.talks = {bad, ok}, .opts = {.retries = 2}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_post(s.h, "http://h/", NULL, "x", 1, &r), -EPIPE);
        CHECK_STR(get(s.h, "http://h/"), "200 ok");
    }
    CHECK_EQ(rc, 0);
    WITH_SCRIPTED(t, rc)
    CHECK_STR(get(t.h, "http://h/"), "Bad message");
    CHECK_EQ(rc, 0);
    CHECK_EQ(t.conns, 1);
}

TEST(the_last_reply_is_returned_as_it_is)
{
    static const struct line always[] = {
        HEARS, SAYS(BUSY("")), HEARS, SAYS(BUSY("")),
        HEARS, SAYS(BUSY("")), OVER};
    struct scripted s = {.talks = {always}, .opts = {.retries = 2}};
    weft_http_client_stats stats;
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK_EQ(r.attempts, 3);
        CHECK_STR(outcome(0, &r), "503 busy");
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.retried, 2);
        CHECK_EQ(stats.idle, 1);
    }
    CHECK_EQ(rc, 0);
}

TEST(retry_after_is_waited_for_in_seconds_and_until_a_date)
{
    char date[WEFT_HTTP_DATE_BYTES], text[160];
    weft_http_date(date, weft_calendar() / WEFT_SEC(1) + 7);
    (void)snprintf(text, sizeof text, BUSY("Retry-After: %s\r\n"), date);
    static const struct line seconds[] = {
        HEARS, SAYS(BUSY("Retry-After: 7\r\n")), HEARS,
        SAYS(OK_REPLY("2", "ok")), OVER};
    const struct line until[] = {HEARS, SAYS(text), HEARS,
                                 SAYS(OK_REPLY("2", "ok")), OVER};
    const struct line *talks[] = {seconds, until};
    for (int i = 0; i < 2; i++) {
        weft_http_date(date, weft_calendar() / WEFT_SEC(1) + 7);
        (void)snprintf(text, sizeof text, BUSY("Retry-After: %s\r\n"), date);
        struct scripted s = {.talks = {talks[i]},
                             .opts = {.retries = 1, .retry_base = -1}};
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            weft_time start = weft_now();
            CHECK_STR(get(s.h, "http://h/"), "200 ok");
            weft_time took = weft_now() - start;
            CHECK(took >= WEFT_SEC(6) && took <= WEFT_SEC(8));
        }
        CHECK_EQ(rc, 0);
    }
}

TEST(with_no_time_left_for_another_the_reply_is_returned)
{
    static const struct line talk[] = {
        HEARS, SAYS(BUSY("Retry-After: 3600\r\n")), OVER};
    struct scripted s = {.talks = {talk}, .opts = {.retries = 5}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        weft_time start = weft_now();
        CHECK_STR(get(s.h, "http://h/"), "503 busy");
        CHECK_EQ(weft_now() - start, 0);
    }
    CHECK_EQ(rc, 0);
}

/* ---- by the user -------------------------------------------------------- */

struct job {
    weft_http *h;
    weft_resp r;
    const char *out;
    int tries;
};

static int fetch(void *arg)
{
    struct job *j = arg;
    j->tries++;
    int err = weft_http_get(j->h, "http://h/", &j->r);
    if (err == 0) err = weft_http_check(&j->r);
    if (err == 0) {
        j->out = outcome(0, &j->r);
        return 0;
    }
    (void)weft_resp_end(&j->r);
    return err;
}

TEST(pattern_97_weft_retry_around_it_all_honours_retry_after)
{
    static const struct line talk[] = {HEARS, SAYS(BUSY("Retry-After: 5\r\n")),
                                       HEARS, SAYS(OK_REPLY("2", "ok")), OVER};
    struct scripted s = {.talks = {talk}};
    struct job j = {0};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        weft_retry_opts o = {.attempts = 3,
                             .base = WEFT_SEC(1),
                             .cap = WEFT_SEC(10),
                             .when = weft_http_retry_when,
                             .user = &j.r};
        weft_time start = weft_now();
        j.h = s.h;
        CHECK_EQ(weft_retry(fetch, &j, &o), 0);
        CHECK_STR(j.out, "200 ok");
        CHECK(weft_now() - start >= WEFT_SEC(5));
        CHECK_EQ(j.tries, 2);
    }
    CHECK_EQ(rc, 0);
}

TEST(pattern_97_the_last_failure_is_the_real_one)
{
    static const struct line talk[] = {
        HEARS, SAYS("HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"), OVER};
    struct scripted s = {.talks = {talk}};
    struct job j = {0};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        weft_retry_opts o = {.when = weft_http_retry_when, .user = &j.r};
        j.h = s.h;
        CHECK_EQ(weft_retry(fetch, &j, &o), -WEFT_EREMOTEIO);
        check_said(-WEFT_EREMOTEIO, "404");
        CHECK_EQ(j.tries, 1);
    }
    CHECK_EQ(rc, 0);
}

struct many {
    weft_http *h;
    int at, most;
};

static int fetch_one(size_t i, void *context)
{
    struct many *m = context;
    weft_resp r;
    char url[32];
    (void)snprintf(url, sizeof url, "http://h%zu/", i);
    if (++m->at > m->most) m->most = m->at;
    int err = weft_http_get(m->h, url, &r);
    if (err == 0) err = weft_http_check(&r);
    (void)weft_resp_end(&r);
    m->at--;
    return err;
}

TEST(pattern_99_a_bounded_fetch_keeps_the_failures_beside_the_rest)
{
    static const struct line slow[] = {HEARS, PAUSES(10),
                                       SAYS(OK_REPLY("2", "ok")), OVER};
    struct scripted s = {.talks = {slow, busy, slow, gone, slow, slow}};
    struct many m = {0};
    int rcs[6], rc;
    weft_gather_opts o = {.policy = WEFT_COLLECT, .limit = 2};
    WITH_SCRIPTED(s, rc)
    {
        m.h = s.h;
        CHECK_EQ(weft_map(6, fetch_one, &m, rcs, &o), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(m.most, 2);
    int ok_count = 0, refused = 0, broken = 0;
    for (int i = 0; i < 6; i++) {
        ok_count += rcs[i] == 0;
        refused += rcs[i] == -WEFT_EREMOTEIO;
        broken += rcs[i] == -EPIPE;
    }
    CHECK_EQ(ok_count, 4);
    CHECK_EQ(refused, 1);
    CHECK_EQ(broken, 1);
}
