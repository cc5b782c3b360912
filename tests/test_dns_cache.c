/* SPDX-License-Identifier: MIT */
/*
 * test_dns_cache.c - answers that are kept, and shared.
 */
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include "dns_texts.h"

static const char *const zone[] = {"short.example 10 A 192.0.2.1",
                                   "long.example 999999 A 192.0.2.2",
                                   "zero.example 0 A 192.0.2.3",
                                   "mixed.example 600 CNAME short.example",
                                   "later.example 20 CNAME mixed.example",
                                   "brief.example 5 CNAME short.example",
                                   "mail.example 60 MX 1 short.example",
                                   "large.example 600 A 10.0.0.0*400",
                                   "example 40 SOA 30",
                                   NULL};

#define WITH_SERVER(id, ...)                                                   \
    static void id##_body(struct dns_server *s, weft_resolver *r);             \
    static void id##_with(struct dns_server *s)                                \
    {                                                                          \
        weft_resolver_opts o = {__VA_ARGS__};                                  \
        o.servers = s->address;                                                \
        o.resolv_conf = o.hosts = o.search = "";                               \
        weft_resolver *r = weft_resolver_new(&o);                              \
        id##_body(s, r);                                                       \
        weft_resolver_free(r);                                                 \
    }                                                                          \
    TEST(id)                                                                   \
    {                                                                          \
        struct dns_server s = {.zone = zone};                                  \
        dns_server_with(&s, id##_with);                                        \
    }                                                                          \
    static void id##_body(struct dns_server *s, weft_resolver *r)

/* How many questions a lookup costs. */
static unsigned cost(struct dns_server *s, weft_resolver *r, const char *host)
{
    weft_addr a;
    unsigned before = s->count;
    int n = weft_dns_lookup(r, host, AF_INET, &a, 1);
    CHECK(n == 1 || n == -ENOENT || n == -ENODATA);
    return s->count - before;
}

static void wait_seconds(int seconds)
{
    CHECK_EQ(weft_sleep(WEFT_SEC(seconds)), 0);
}

WITH_SERVER(an_answer_is_kept_for_as_long_as_it_says, .no_edns = false)
{
    CHECK_EQ(cost(s, r, "short.example"), 1);
    wait_seconds(9);
    CHECK_EQ(cost(s, r, "SHORT.example"), 0);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "short.example"), 1);
    CHECK_EQ(cost(s, r, "short.example"), 0);
}

WITH_SERVER(the_shortest_of_a_chain_of_cnames_counts, .no_edns = false)
{
    CHECK_EQ(cost(s, r, "mixed.example"), 1);
    wait_seconds(9);
    CHECK_EQ(cost(s, r, "mixed.example"), 0);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "mixed.example"), 1);
    s->half_chains = true;
    CHECK_EQ(cost(s, r, "later.example"), 3);
    wait_seconds(10);
    CHECK_EQ(cost(s, r, "later.example"), 3);
    CHECK_EQ(cost(s, r, "brief.example"), 2);
    wait_seconds(5);
    CHECK_EQ(cost(s, r, "brief.example"), 2);
}

WITH_SERVER(an_answer_for_no_time_is_not_kept, .no_edns = false)
{
    weft_resolver_stats st;
    CHECK_EQ(cost(s, r, "zero.example"), 1);
    CHECK_EQ(cost(s, r, "zero.example"), 1);
    weft_resolver_stats_read(r, &st);
    CHECK_EQ(st.entries, 0);
}

WITH_SERVER(no_answer_is_kept_for_more_than_the_most, .max_ttl = WEFT_SEC(5))
{
    CHECK_EQ(cost(s, r, "long.example"), 1);
    wait_seconds(4);
    CHECK_EQ(cost(s, r, "long.example"), 0);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "long.example"), 1);
}

WITH_SERVER(a_day_is_the_most_unless_it_is_said, .no_edns = false)
{
    CHECK_EQ(cost(s, r, "long.example"), 1);
    wait_seconds(24 * 3600 - 1);
    CHECK_EQ(cost(s, r, "long.example"), 0);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "long.example"), 1);
}

WITH_SERVER(records_are_kept_for_the_least_at_least, .min_ttl = WEFT_SEC(5))
{
    CHECK_EQ(cost(s, r, "zero.example"), 1);
    wait_seconds(4);
    CHECK_EQ(cost(s, r, "zero.example"), 0);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "zero.example"), 1);
}

WITH_SERVER(that_there_is_nothing_is_kept_by_the_soa, .no_edns = false)
{
    CHECK_EQ(cost(s, r, "nobody.example"), 1);
    CHECK_EQ(cost(s, r, "mail.example"), 1);
    wait_seconds(29); /* its minimum is 30, its own ttl 40 */
    CHECK_EQ(cost(s, r, "nobody.example"), 0);
    CHECK_EQ(cost(s, r, "mail.example"), 0);
    dns_fails(r, "mail.example", -ENODATA, "mail.example", s->address);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "nobody.example"), 1);
    CHECK_EQ(cost(s, r, "mail.example"), 1);
}

WITH_SERVER(without_an_soa_that_there_is_nothing_is_not_kept, .no_edns = false)
{
    CHECK_EQ(cost(s, r, "nobody.elsewhere"), 1);
    CHECK_EQ(cost(s, r, "nobody.elsewhere"), 1);
}

WITH_SERVER(how_long_nothing_is_kept_can_be_bounded,
            .negative_ttl = WEFT_SEC(2))
{
    CHECK_EQ(cost(s, r, "nobody.example"), 1);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "nobody.example"), 0);
    wait_seconds(1);
    CHECK_EQ(cost(s, r, "nobody.example"), 1);
}

WITH_SERVER(that_there_is_nothing_need_not_be_kept, .negative_ttl = -1)
{
    CHECK_EQ(cost(s, r, "nobody.example"), 1);
    CHECK_EQ(cost(s, r, "nobody.example"), 1);
    CHECK_EQ(cost(s, r, "short.example"), 1);
    CHECK_EQ(cost(s, r, "short.example"), 0);
}

WITH_SERVER(no_more_answers_are_kept_than_there_may_be, .cache = 3)
{
    weft_resolver_stats st;
    char name[32];
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof name, "n%d.example", i);
        CHECK_EQ(cost(s, r, name), 1);
    }
    weft_resolver_stats_read(r, &st);
    CHECK_EQ(st.entries, 3);
    CHECK_EQ(cost(s, r, "n9.example"), 0);
    CHECK_EQ(cost(s, r, "n7.example"), 0);
    CHECK_EQ(cost(s, r, "n6.example"), 1);
}

WITH_SERVER(a_very_large_answer_is_not_kept, .no_edns = false)
{
    CHECK(cost(s, r, "large.example") > 0);
    CHECK(cost(s, r, "large.example") > 0);
}

/* ---- many ask at the same time ------------------------------------------- */

enum { MANY = 50 };

static weft_resolver *shared;
static int results[MANY];

static int asks(void *arg)
{
    weft_addr a;
    int *result = arg;
    *result = weft_dns_lookup(shared, "short.example", AF_INET, &a, 1);
    if (*result == 1) CHECK_STR(dns_text_of(&a, 1), "192.0.2.1");
    return 0;
}

static void all_ask(weft_resolver *r)
{
    int rc;
    shared = r;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(weft_spawn(&n, asks, &results[i]), 0);
    }
    CHECK_EQ(rc, 0);
}

WITH_SERVER(many_who_ask_for_a_name_at_the_same_time_cost_one_question,
            .no_edns = false)
{
    s->delay = WEFT_MSEC(100);
    all_ask(r);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(results[i], 1);
    CHECK_EQ(s->count, 1);
}

WITH_SERVER(without_a_cache_those_who_ask_at_the_same_time_still_share,
            .no_cache = true)
{
    s->delay = WEFT_MSEC(100);
    all_ask(r);
    CHECK_EQ(s->count, 1);
    CHECK_EQ(cost(s, r, "short.example"), 1);
}

WITH_SERVER(a_failure_is_shared_with_its_reason, .timeout = WEFT_MSEC(100))
{
    s->rcode = WF_DNS_REFUSED;
    s->delay = WEFT_MSEC(10);
    all_ask(r);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(results[i], -EREMOTEIO);
    CHECK_EQ(s->count, 1);
}

WITH_SERVER(a_resolver_that_is_freed_lets_lookups_come_to_their_end,
            .no_edns = false)
{
    int rc;
    const weft_resolver_opts o = {
        .servers = s->address, .resolv_conf = "", .hosts = "", .search = ""};
    (void)r;
    s->delay = WEFT_MSEC(100);
    shared = weft_resolver_new(&o);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, asks, &results[i]), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
        weft_resolver_free(shared);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(results[i], 1);
}

/* Who asks is cancelled, and the next one asks in its place. */
static int gives_up(void *arg)
{
    int rc;
    weft_addr a;
    (void)arg;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(30)) {
        rc = weft_dns_lookup(shared, "short.example", AF_INET, &a, 1);
        CHECK_EQ(rc, -ECANCELED);
    }
    return rc;
}

WITH_SERVER(when_who_asks_is_cancelled_the_next_one_asks, .no_edns = false)
{
    int rc;
    shared = r;
    s->delay = WEFT_MSEC(50);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, gives_up, NULL), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, asks, &results[i]), 0);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(results[i], 1);
    CHECK_EQ(s->count, 2);
}
