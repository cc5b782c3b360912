/* SPDX-License-Identifier: MIT */
/* test_http_client_pool.c - whose turn it is, and which connections are
 * kept. */
#include "scripted.h"

static const struct line slow[] = {
    HEARS, PAUSES(100), SAYS(OK_REPLY("2", "ok")),
    HEARS, PAUSES(100), SAYS(OK_REPLY("2", "ok")),
    HEARS, PAUSES(100), SAYS(OK_REPLY("2", "ok")),
    HEARS, PAUSES(100), SAYS(OK_REPLY("2", "ok")),
    OVER};

static const struct line two[] = {HEARS, SAYS(OK_REPLY("5", "hello")), HEARS,
                                  SAYS(OK_REPLY("3", "you")), OVER};

struct asker {
    weft_http *h;
    const char *url;
    const char *out;
    int *turn, my_turn;
    int err;
    weft_scope scope;
};

static int ask(void *arg)
{
    struct asker *a = arg;
    weft_resp r;
    weft_scope_init(&a->scope);
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    a->err = weft_http_get(a->h, a->url, &r);
    if (a->err == 0) {
        weft_text body;
        CHECK_EQ(weft_resp_body(&r, 0, &body), 0);
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    if (a->turn) a->my_turn = ++*a->turn;
    return weft_scope_end(&a->scope, 0);
}

TEST_FIFO(pattern_91_waiters_are_served_in_line_and_never_more_than_the_pool)
{
    struct scripted s = {.talks = {slow}, .opts = {.pool = 2}};
    struct asker askers[6];
    weft_http_client_stats stats;
    int turn = 0, rc, both;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, both) {
            for (int i = 0; i < 6; i++) {
                askers[i] =
                    (struct asker){.h = s.h, .url = "http://h/", .turn = &turn};
                CHECK_EQ(weft_spawn(&n, ask, &askers[i]), 0);
            }
            CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0);
            weft_http_client_stats_read(s.h, &stats);
            CHECK_EQ(stats.lent, 2);
            CHECK_EQ(stats.waiting, 4);
        }
        CHECK_EQ(both, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
    int sum = 0;
    for (int i = 0; i < 6; i++) { /* two by two, in their order */
        CHECK_EQ(askers[i].err, 0);
        CHECK_EQ((askers[i].my_turn - 1) / 2, i / 2);
        sum += askers[i].my_turn;
    }
    CHECK_EQ(sum, 21);
}

TEST(pattern_91_a_wait_that_is_over_says_pool)
{
    struct scripted s = {.talks = {slow},
                         .opts = {.pool = 1, .pool_wait = WEFT_MSEC(50)}};
    struct asker first = {.url = "http://h/"};
    weft_http_client_stats stats;
    weft_resp r;
    int rc, both;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, both) {
            first.h = s.h;
            CHECK_EQ(weft_spawn(&n, ask, &first), 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
            weft_time start = weft_now();
            CHECK_EQ(weft_http_get(s.h, "http://h/", &r), -ETIMEDOUT);
            check_said(-ETIMEDOUT,
                       "pool for http://h/: no connection free within 50 ms");
            CHECK_EQ(weft_now() - start, WEFT_MSEC(50));
            CHECK_EQ(r.status, 0);
        }
        CHECK_EQ(both, 0);
        CHECK_EQ(first.err, 0);
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.timeouts, 1);
        CHECK_EQ(stats.waiting, 0);
    }
    CHECK_EQ(rc, 0);
}

TEST_FIFO(a_host_at_its_limit_does_not_hold_up_the_others)
{
    struct scripted s = {.talks = {slow}, .opts = {.per_host = 1}};
    struct asker a[3] = {
        {.url = "http://a/"}, {.url = "http://a/"}, {.url = "http://b/"}};
    int turn = 0, rc, both;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, both)
            for (int i = 0; i < 3; i++) {
                a[i].h = s.h;
                a[i].turn = &turn;
                CHECK_EQ(weft_spawn(&n, ask, &a[i]), 0);
            }
        CHECK_EQ(both, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
    CHECK_EQ(a[1].my_turn, 3);
}

TEST(the_connection_that_came_back_last_is_used_first)
{
    struct scripted s = {.talks = {slow, slow}};
    struct asker a[2];
    weft_resp r;
    int rc, both;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, both)
            for (int i = 0; i < 2; i++) {
                a[i] = (struct asker){.h = s.h, .url = "http://h/"};
                CHECK_EQ(weft_spawn(&n, ask, &a[i]), 0);
            }
        CHECK_EQ(both, 0);
        for (int i = 0; i < 3; i++) { /* its fifth would not be answered */
            CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
            CHECK(r.reused);
            CHECK_EQ(weft_resp_end(&r), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
}

TEST(an_idle_connection_of_another_host_makes_room)
{
    struct scripted s = {.talks = {two}, .opts = {.pool = 2}};
    weft_http_client_stats stats;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://a/"), "200 hello");
        CHECK_STR(get(s.h, "http://b/"), "200 hello");
        CHECK_STR(get(s.h, "http://c/"), "200 hello"); /* a has to go */
        CHECK_STR(get(s.h, "http://b/"), "200 you");
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.evicted, 1);
        CHECK_EQ(stats.idle, 2);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(s.dialled, "a:80 b:80 c:80 ");
}

TEST(an_idle_connection_is_not_used_after_its_time)
{
    struct scripted s = {.talks = {two}, .opts = {.max_idle = WEFT_SEC(5)}};
    weft_http_client_stats stats;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "200 hello");
        CHECK_EQ(weft_sleep(WEFT_SEC(4)), 0);
        CHECK_STR(get(s.h, "http://h/"), "200 you");
        CHECK_EQ(weft_sleep(WEFT_SEC(5)), 0);
        CHECK_STR(get(s.h, "http://h/"), "200 hello");
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.expired, 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
}

TEST(a_server_that_says_how_long_it_keeps_a_connection_is_believed)
{
    static const struct line talk[] = {
        HEARS,
        SAYS("HTTP/1.1 200 OK\r\nKeep-Alive: max=9, Timeout=2\r\n"
             "Content-Length: 2\r\n\r\nok"),
        OVER};
    struct scripted s = {.talks = {talk, two}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "200 ok");
        CHECK_EQ(weft_sleep(WEFT_MSEC(1600)), 0);
        CHECK_STR(get(s.h, "http://h/"), "200 hello");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
}

TEST(with_a_nursery_idle_connections_are_closed_in_time)
{
    struct scripted s = {.talks = {two}, .no_client = true};
    weft_http_opts o = {
        .connect = dial_scripted, .user = &s, .max_idle = WEFT_SEC(3)};
    int rc, inner;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, inner) {
            o.nursery = &n;
            s.h = weft_http_new(&o);
            CHECK(s.h != NULL);
            CHECK_STR(get(s.h, "http://h/"), "200 hello");
            CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
            CHECK_STR(get(s.h, "http://h/"), "200 you");
            CHECK_EQ(weft_sleep(WEFT_MSEC(2999)), 0);
            CHECK_EQ(s.ended, 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
            CHECK_EQ(s.ended, 1);
        }
        CHECK_EQ(inner, 0); /* the keeper is a daemon */
        CHECK_STR(get(s.h, "http://h/"), "200 hello");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
}

TEST(a_client_that_keeps_nothing_says_so)
{
    struct scripted s = {.talks = {two}, .opts = {.max_idle = -1}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "200 hello");
        CHECK_STR(get(s.h, "http://h/"), "200 hello");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
    CHECK(strstr(s.heard, "Connection: close\r\n") != NULL);
}

TEST(waiters_are_woken_when_a_connection_is_dropped)
{
    static const struct line bad[] = {HEARS, PAUSES(100), SAYS("nonsense\r\n"),
                                      OVER};
    struct scripted s = {.talks = {bad, two}, .opts = {.pool = 1}};
    struct asker a[2];
    int rc, both;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, both)
            for (int i = 0; i < 2; i++) {
                a[i] = (struct asker){.h = s.h, .url = "http://h/"};
                CHECK_EQ(weft_spawn(&n, ask, &a[i]), 0);
            }
        CHECK_EQ(both, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a[0].err + a[1].err, -EBADMSG);
    CHECK_EQ(s.conns, 2);
}

TEST_FIFO(a_cancelled_waiter_leaves_the_line_and_a_cancelled_request_its_place)
{
    struct scripted s = {.talks = {slow, slow}, .opts = {.pool = 1}};
    struct asker a[3];
    weft_http_client_stats stats;
    int rc, both;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, both) {
            for (int i = 0; i < 3; i++) {
                a[i] = (struct asker){.h = s.h, .url = "http://h/"};
                CHECK_EQ(weft_spawn(&n, ask, &a[i]), 0);
            }
            CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
            struct asker *lent = &a[0], *second = &a[1], *third = &a[2];
            weft_scope_cancel(&second->scope, 0, NULL);
            weft_scope_cancel(&lent->scope, 0, NULL);
            CHECK_EQ(weft_sleep(WEFT_MSEC(150)), 0);
            CHECK_EQ(third->err, 0);
        }
        CHECK_EQ(both, 0);
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.waiting, 0);
        CHECK_EQ(stats.lent, 0);
        CHECK_EQ(stats.idle, 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a[0].err, -ECANCELED);
    CHECK_EQ(a[1].err, -ECANCELED);
}

TEST(who_waits_when_the_client_ends_is_told_so)
{
    struct scripted s = {.talks = {slow}, .opts = {.pool = 1}};
    struct asker a[2];
    int rc, both;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_NURSERY(n, both) {
            for (int i = 0; i < 2; i++) {
                a[i] = (struct asker){.h = s.h, .url = "http://h/"};
                CHECK_EQ(weft_spawn(&n, ask, &a[i]), 0);
            }
            CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
            CHECK_EQ(weft_http_free(s.h), -EBUSY);
            check_said(-EBUSY, "2 not ended");
            s.h = NULL;
        }
        CHECK_EQ(both, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(a[0].err + a[1].err, -EBADF + -ESHUTDOWN);
}
