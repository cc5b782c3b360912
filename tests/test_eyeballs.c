/* SPDX-License-Identifier: MIT */
/* test_eyeballs.c - dialling a name: what is tried when, and who wins. */
#include <weft/scope.h>
#include <weft/stats.h>

#include "harness.h"
#include "script.h"

#define SIX       "[2001:db8::1]:80"
#define SIX_TOO   "[2001:db8::2]:80"
#define SIX_THREE "[2001:db8::3]:80"
#define FOUR      "192.0.2.1:80"
#define FOUR_TOO  "192.0.2.2:80"

/* Lookups: 6 and 4 with an address each, after so long. */
#define AAAA(ms)                                                               \
    {                                                                          \
        AF_INET6, (ms), 0,                                                     \
        {                                                                      \
            "[2001:db8::1]:0"                                                  \
        }                                                                      \
    }
#define A(ms)                                                                  \
    {                                                                          \
        AF_INET, (ms), 0,                                                      \
        {                                                                      \
            "192.0.2.1:0"                                                      \
        }                                                                      \
    }
#define NO_AAAA(ms)                                                            \
    {                                                                          \
        AF_INET6, (ms), -ENODATA,                                              \
        {                                                                      \
            NULL                                                               \
        }                                                                      \
    }
#define NO_A(ms)                                                               \
    {                                                                          \
        AF_INET, (ms), -ENODATA,                                               \
        {                                                                      \
            NULL                                                               \
        }                                                                      \
    }

static const struct peer nobody_special[] = {{"", 0, 0}};

/* Dials, has `rc` after so many milliseconds, and has made these attempts. */
static void check_dial(int rc, int ms, const char *log)
{
    CHECK_EQ(dial_script(), rc);
    CHECK_STR(script.log, log);
    CHECK_EQ(ms_now(), ms);
    end_script(rc);
}

/* ---- what is waited for before the first attempt ------------------------ */

TEST(aaaa_records_that_come_first_are_tried_at_once)
{
    static const struct answer answers[] = {AAAA(10), A(NEVER)};
    BEGIN_SCRIPT(answers, nobody_special);
    check_dial(0, 10, "10 " SIX);
    CHECK_EQ(script.lookups, 2);
}

TEST(a_records_wait_for_aaaa_records_within_50_ms)
{
    static const struct answer answers[] = {AAAA(59), A(10)};
    BEGIN_SCRIPT(answers, nobody_special);
    check_dial(0, 59, "59 " SIX);
}

TEST(a_records_wait_no_longer_than_50_ms)
{
    static const struct answer answers[] = {AAAA(61), A(10)};
    BEGIN_SCRIPT(answers, nobody_special);
    check_dial(0, 60, "60 " FOUR);
}

TEST(a_records_wait_no_longer_than_until_there_are_no_aaaa_records)
{
    static const struct answer answers[] = {NO_AAAA(30), A(10)};
    BEGIN_SCRIPT(answers, nobody_special);
    check_dial(0, 30, "30 " FOUR);
}

TEST(without_aaaa_records_a_records_are_tried_as_they_come)
{
    static const struct answer answers[] = {NO_AAAA(10), A(80)};
    BEGIN_SCRIPT(answers, nobody_special);
    check_dial(0, 80, "80 " FOUR);
}

TEST(a_lookup_that_fails_leaves_the_other)
{
    static const struct answer six_fails[] = {
        {AF_INET6, 5, -EHOSTUNREACH, {NULL}}, A(10)};
    static const struct answer four_fails[] = {AAAA(10),
                                               {AF_INET, 5, -EMFILE, {NULL}}};
    BEGIN_SCRIPT(six_fails, nobody_special);
    check_dial(0, 10, "10 " FOUR);
    BEGIN_SCRIPT(four_fails, nobody_special);
    check_dial(0, 10, "10 " SIX);
}

TEST(the_wait_for_the_other_family_is_as_long_as_asked_for)
{
    static const struct answer answers[] = {AAAA(NEVER), A(10)};
    BEGIN_SCRIPT(answers, nobody_special);
    script.opts.resolution_delay = WEFT_MSEC(200);
    check_dial(0, 210, "210 " FOUR);
    BEGIN_SCRIPT(answers, nobody_special);
    script.opts.resolution_delay = -1;
    check_dial(0, 10, "10 " FOUR);
    BEGIN_SCRIPT(answers, nobody_special);
    script.opts.resolution_delay = WEFT_FOREVER;
    int rc = 0;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(100))
        rc = dial_script();
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(script.attempts, 0);
    end_script(rc);
}

TEST(the_preferred_family_is_the_one_that_is_waited_for)
{
    static const struct answer four_late[] = {AAAA(10), A(61)};
    static const struct answer four_in_time[] = {AAAA(10), A(59)};
    BEGIN_SCRIPT(four_late, nobody_special);
    script.opts.prefer = AF_INET;
    check_dial(0, 60, "60 " SIX);
    BEGIN_SCRIPT(four_in_time, nobody_special);
    script.opts.prefer = AF_INET;
    check_dial(0, 59, "59 " FOUR);
}

TEST(one_family_is_asked_for_alone)
{
    static const struct answer answers[] = {AAAA(0), A(10)};
    BEGIN_SCRIPT(answers, nobody_special);
    script.opts.family = AF_INET;
    check_dial(0, 10, "10 " FOUR);
    CHECK_EQ(script.lookups, 1);
    BEGIN_SCRIPT(answers, nobody_special);
    script.opts.local = "0.0.0.0:0";
    check_dial(0, 10, "10 " FOUR);
    CHECK_EQ(script.lookups, 1);
}

/* ---- one attempt after the other ---------------------------------------- */

/* The case that all of this is for. */
TEST(a_dead_ipv6_address_costs_a_quarter_of_a_second)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, NEVER, 0}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 250, "0 " SIX ", 250 " FOUR);
}

TEST(an_attempt_that_fails_is_followed_at_once)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, 5, -ECONNREFUSED}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 5, "0 " SIX ", 5 " FOUR);
}

TEST(an_earlier_attempt_that_fails_hurries_nobody)
{
    static const struct answer answers[] = {
        {AF_INET6, 0, 0, {SIX, SIX_TOO, NULL}}, A(0)};
    static const struct peer peers[] = {{SIX, 300, -ECONNREFUSED},
                                        {FOUR, NEVER, 0}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 500, "0 " SIX ", 250 " FOUR ", 500 " SIX_TOO);
}

TEST(an_attempt_that_fails_late_is_followed_at_once_too)
{
    static const struct answer answers[] = {
        {AF_INET6, 0, 0, {SIX, SIX_TOO, NULL}}, A(0)};
    static const struct peer peers[] = {{SIX, NEVER, 0},
                                        {FOUR, 70, -ECONNREFUSED}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 320, "0 " SIX ", 250 " FOUR ", 320 " SIX_TOO);
}

TEST(an_earlier_attempt_can_win_after_a_later_one_has_begun)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, 400, 0}, {FOUR, NEVER, 0}};
    BEGIN_SCRIPT(answers, peers);
    CHECK_EQ(dial_script(), 0);
    CHECK_EQ(ms_now(), 400);
    CHECK_EQ(script.conns, 1);
    CHECK(is_same_fd(script.conn, script.near[0]));
    end_script(0);
}

TEST(the_delay_between_attempts_is_kept_within_10_ms_and_2_s)
{
    static const struct {
        weft_time delay;
        int ms;
    } cases[] = {{WEFT_MSEC(70), 70}, {WEFT_MSEC(10), 10}, {1, 10},
                 {-WEFT_SEC(1), 10},  {WEFT_SEC(2), 2000}, {WEFT_SEC(3), 2000},
                 {WEFT_FOREVER, 2000}};
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, NEVER, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        BEGIN_SCRIPT(answers, peers);
        script.opts.attempt_delay = cases[i].delay;
        CHECK_EQ(dial_script(), 0);
        CHECK_EQ(ms_now(), cases[i].ms);
        end_script(0);
    }
}

TEST(an_attempt_has_no_more_than_its_own_time)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, NEVER, 0}, {FOUR, NEVER, 0}};
    BEGIN_SCRIPT(answers, peers);
    script.opts.attempt_timeout = WEFT_MSEC(100);
    check_dial(-ETIMEDOUT, 200, "0 " SIX ", 100 " FOUR);
    CHECK_EQ(weft_last_error()->code, -ETIMEDOUT);
    CHECK_STR(weft_last_error()->msg, "dial example.org:80: connect " SIX);
}

/* ---- in which order ----------------------------------------------------- */

#define REFUSES(a)                                                             \
    {                                                                          \
        (a), 0, -ECONNREFUSED                                                  \
    }

TEST(the_families_alternate)
{
    static const struct answer answers[] = {
        {AF_INET6, 0, 0, {SIX, SIX_TOO, SIX_THREE, NULL}},
        {AF_INET, 0, 0, {FOUR, FOUR_TOO, NULL}}};
    static const struct peer peers[] = {REFUSES(SIX), REFUSES(SIX_TOO),
                                        REFUSES(SIX_THREE), REFUSES(FOUR),
                                        REFUSES(FOUR_TOO)};
    BEGIN_SCRIPT(answers, peers);
    check_dial(-ECONNREFUSED, 0,
               "0 " SIX ", 0 " FOUR ", 0 " SIX_TOO ", 0 " FOUR_TOO
               ", 0 " SIX_THREE);
    BEGIN_SCRIPT(answers, peers);
    script.opts.prefer = AF_INET;
    check_dial(-ECONNREFUSED, 0,
               "0 " FOUR ", 0 " SIX ", 0 " FOUR_TOO ", 0 " SIX_TOO
               ", 0 " SIX_THREE);
}

TEST(an_address_without_a_source_comes_last)
{
    static const struct answer answers[] = {
        {AF_INET6, 0, 0, {SIX, SIX_TOO, NULL}}, A(0)};
    static const struct source sources[] = {
        {SIX, NULL}, {SIX_TOO, "[2001:db8:9::9]:0"}, {FOUR, "192.0.2.99:0"}};
    static const struct peer peers[] = {REFUSES(SIX), REFUSES(SIX_TOO),
                                        REFUSES(FOUR)};
    BEGIN_SCRIPT(answers, peers);
    script.sources = sources;
    script.source_count = 3;
    script.opts.source = script_source;
    check_dial(-ECONNREFUSED, 0, "0 " SIX_TOO ", 0 " FOUR ", 0 " SIX);
}

TEST(where_ipv6_has_no_source_ipv4_comes_first)
{
    static const struct answer answers[] = {AAAA(30), A(0)};
    static const struct source sources[] = {{SIX, NULL},
                                            {FOUR, "192.0.2.99:0"}};
    static const struct peer peers[] = {{FOUR, NEVER, 0}};
    BEGIN_SCRIPT(answers, peers);
    script.sources = sources;
    script.source_count = 2;
    script.opts.source = script_source;
    check_dial(0, 280, "30 " FOUR ", 280 " SIX);
}

TEST(an_address_that_is_found_twice_is_tried_once)
{
    static const struct answer answers[] = {
        {AF_INET6, 0, 0, {SIX, SIX, NULL}},
        {AF_INET, 0, 0, {FOUR, FOUR_TOO, FOUR, NULL}}};
    static const struct peer peers[] = {REFUSES(SIX), REFUSES(FOUR),
                                        REFUSES(FOUR_TOO)};
    BEGIN_SCRIPT(answers, peers);
    check_dial(-ECONNREFUSED, 0, "0 " SIX ", 0 " FOUR ", 0 " FOUR_TOO);
}

TEST(no_more_attempts_are_made_than_asked_for)
{
    static const struct answer answers[] = {
        {AF_INET6, 0, 0, {SIX, SIX_TOO, SIX_THREE, NULL}}, A(0)};
    static const struct peer peers[] = {REFUSES(SIX), {FOUR, 30, -ECONNRESET}};
    BEGIN_SCRIPT(answers, peers);
    script.opts.max_addrs = 2;
    check_dial(-ECONNREFUSED, 30, "0 " SIX ", 0 " FOUR);
}

/* Nothing that it could find would be tried. */
TEST(a_lookup_that_goes_on_does_not_hold_up_the_end)
{
    static const struct answer answers[] = {AAAA(0), A(NEVER)};
    static const struct peer peers[] = {{SIX, 30, -ECONNREFUSED}};
    BEGIN_SCRIPT(answers, peers);
    script.opts.max_addrs = 1;
    check_dial(-ECONNREFUSED, 30, "0 " SIX);
}

/* ---- what comes late ---------------------------------------------------- */

TEST(late_addresses_are_merged_into_those_that_wait)
{
    static const struct answer answers[] = {
        AAAA(100), {AF_INET, 0, 0, {FOUR, FOUR_TOO, NULL}}};
    static const struct peer peers[] = {
        {FOUR, NEVER, 0}, {SIX, NEVER, 0}, {FOUR_TOO, 7, 0}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 557, "50 " FOUR ", 300 " SIX ", 550 " FOUR_TOO);
}

TEST(late_addresses_are_tried_at_once_when_nothing_else_goes_on)
{
    static const struct answer answers[] = {AAAA(200), A(0)};
    static const struct peer peers[] = {{FOUR, 5, -ECONNREFUSED}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 200, "50 " FOUR ", 200 " SIX);
}

TEST(late_addresses_wait_for_an_attempt_that_goes_on)
{
    static const struct answer answers[] = {AAAA(0), A(100)};
    static const struct peer peers[] = {{SIX, NEVER, 0}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 250, "0 " SIX ", 250 " FOUR);
}

TEST(what_is_late_and_overdue_begins_as_it_comes)
{
    static const struct answer answers[] = {AAAA(0), A(1000)};
    static const struct peer peers[] = {{SIX, NEVER, 0}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 1000, "0 " SIX ", 1000 " FOUR);
}

TEST(a_connection_ends_the_lookup_that_goes_on)
{
    static const struct answer answers[] = {AAAA(0), A(NEVER)};
    static const struct peer peers[] = {{SIX, 20, 0}};
    BEGIN_SCRIPT(answers, peers);
    check_dial(0, 20, "0 " SIX);
}

/* ---- who wins ----------------------------------------------------------- */

TEST(of_two_that_connect_in_the_same_turn_one_wins_and_one_is_closed)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, 300, 0}, {FOUR, 50, 0}};
    BEGIN_SCRIPT(answers, peers);
    CHECK_EQ(dial_script(), 0);
    CHECK_EQ(ms_now(), 300);
    CHECK(script.conns >= 1);
    end_script(0);
}

static int ignores_cancellation(weft_fd *ret_conn, const weft_addr *to,
                                void *user)
{
    int rc = 0;
    WEFT_SHIELD(rc, WEFT_FOREVER)
        rc = script_connect(ret_conn, to, user);
    return rc;
}

TEST(a_loser_that_connects_all_the_same_is_waited_for_and_closed)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, 400, 0}, {FOUR, 10, 0}};
    BEGIN_SCRIPT(answers, peers);
    script.opts.connect = ignores_cancellation;
    CHECK_EQ(dial_script(), 0);
    CHECK_EQ(ms_now(), 400);
    CHECK_EQ(script.conns, 2);
    CHECK(is_same_fd(script.conn, script.near[0])); /* that of FOUR */
    end_script(0);
}

/* ---- when the caller is cancelled --------------------------------------- */

TEST(a_deadline_ends_lookups)
{
    static const struct answer answers[] = {AAAA(NEVER), A(NEVER)};
    int rc = 0;
    BEGIN_SCRIPT(answers, nobody_special);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(100)) {
        rc = dial_script();
        CHECK_EQ(rc, -ECANCELED);
        CHECK_STR(weft_last_error()->msg, "dial example.org:80: lookup");
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(ms_now(), 100);
    end_script(rc);
}

TEST(a_deadline_ends_attempts)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, NEVER, 0}, {FOUR, NEVER, 0}};
    int rc = 0;
    BEGIN_SCRIPT(answers, peers);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(400)) {
        rc = dial_script();
        CHECK_EQ(rc, -ECANCELED);
        CHECK_STR(weft_last_error()->msg, "dial example.org:80: connect " FOUR);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(ms_now(), 400);
    CHECK_EQ(script.attempts, 2);
    end_script(rc);
}

TEST(a_connection_that_is_there_is_returned_to_a_caller_who_is_cancelled)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    static const struct peer peers[] = {{SIX, 500, 0}, {FOUR, 10, 0}};
    int rc = 0, got = -1;
    BEGIN_SCRIPT(answers, peers);
    script.opts.connect = ignores_cancellation; /* so it has to be waited for */
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(300))
        rc = got = dial_script();
    CHECK_EQ(got, 0);
    CHECK_EQ(rc, 0);
    CHECK_EQ(ms_now(), 500);
    end_script(0);
}

TEST(in_a_cancelled_scope_nothing_is_asked)
{
    static const struct answer answers[] = {AAAA(0), A(0)};
    int rc = 0;
    BEGIN_SCRIPT(answers, nobody_special);
    WEFT_FAIL_AFTER(rc, -1) {
        rc = dial_script();
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(script.lookups, 0);
    end_script(-1);
}
