/* SPDX-License-Identifier: MIT */
/* test_eyeballs_failed.c - what is said when a name could not be dialled, and
 * what is tried when descriptors are short. */
#include <weft/dns.h>
#include <weft/scope.h>

#include "errors.h"
#include "harness.h"
#include "script.h"

#define SIX      "[2001:db8::1]:80"
#define SIX_TOO  "[2001:db8::2]:80"
#define FOUR     "192.0.2.1:80"
#define FOUR_TOO "192.0.2.2:80"

static const struct peer nobody_special[] = {{"", 0, 0}};

static const struct answer one_each[] = {{AF_INET6, 0, 0, {SIX, NULL}},
                                         {AF_INET, 0, 0, {FOUR, NULL}}};
static const struct answer two_each[] = {
    {AF_INET6, 0, 0, {SIX, SIX_TOO, NULL}},
    {AF_INET, 0, 0, {FOUR, FOUR_TOO, NULL}}};

static void check_fails(int code, const char *msg)
{
    CHECK_EQ(dial_script(), code);
    CHECK(weft_last_error() != NULL);
    CHECK_STR(weft_last_error()->msg, msg);
    CHECK_EQ(weft_last_error()->code, code);
    end_script(code);
}

/* ---- attempts ----------------------------------------------------------- */

/* Each pair by both: the one that fails first need not be the one to tell. */
TEST(the_error_is_that_of_the_attempt_that_came_furthest)
{
    static const int by_distance[] = {-ECONNREFUSED, -ETIMEDOUT, -ENETUNREACH,
                                      -EADDRNOTAVAIL};
    for (int far = 0; far < 4; far++)
        for (int near = far + 1; near < 4; near++)
            for (int swap = 0; swap < 2; swap++) {
                const struct peer peers[] = {
                    {swap ? FOUR : SIX, 10, by_distance[far]},
                    {swap ? SIX : FOUR, 10, by_distance[near]}};
                BEGIN_SCRIPT(one_each, peers);
                check_fails(by_distance[far],
                            swap ? "dial example.org:80: connect " FOUR
                                 : "dial example.org:80: connect " SIX);
                BEGIN_SCRIPT(one_each, peers);
                CHECK_EQ(dial_script(), by_distance[far]);
                CHECK_ERRORS(by_distance[far], by_distance[near]);
                end_script(-1);
            }
}

TEST(of_equal_errors_the_first_that_was_tried_is_told)
{
    static const struct peer peers[] = {{SIX, 300, -ECONNREFUSED},
                                        {FOUR, 10, -ECONNRESET}};
    BEGIN_SCRIPT(one_each, peers);
    check_fails(-ECONNREFUSED, "dial example.org:80: connect " SIX);
}

TEST(the_other_failures_hang_off_the_first)
{
    static const struct answer answers[] = {
        {AF_INET6, 0, -EHOSTUNREACH, {NULL}},
        {AF_INET, 0, 0, {FOUR, FOUR_TOO, NULL}}};
    static const struct peer peers[] = {{FOUR, 0, -ENETUNREACH},
                                        {FOUR_TOO, 0, -ECONNREFUSED}};
    bool attempt = false, lookup = false;
    BEGIN_SCRIPT(answers, peers);
    CHECK_EQ(dial_script(), -ECONNREFUSED);
    const weft_error *e = weft_last_error();
    CHECK_STR(e->msg, "dial example.org:80: connect " FOUR_TOO);
    int others = 0;
    for (e = e->next; e; e = e->next, others++) {
        attempt |= e->code == -ENETUNREACH &&
                   !strcmp(e->msg, "dial example.org:80: connect " FOUR);
        lookup |= e->code == -EHOSTUNREACH &&
                  !strcmp(e->msg, "dial example.org:80: lookup: scripted AAAA");
    }
    CHECK_EQ(others, 2);
    CHECK(attempt);
    CHECK(lookup);
    end_script(-1);
}

static int knows_many(const char *host, int family, weft_addr ret[], size_t max,
                      void *user)
{
    (void)host, (void)user;
    for (size_t i = 0; i < max; i++) {
        char text[WEFT_ADDR_TEXT];
        if (family == AF_INET)
            (void)snprintf(text, sizeof text, "192.0.2.%zu:0", i + 1);
        else
            (void)snprintf(text, sizeof text, "[2001:db8::%zx]:0", i + 1);
        CHECK_EQ(weft_addr_parse(&ret[i], text), 0);
    }
    return (int)max;
}

static int refuses(weft_fd *ret_conn, const weft_addr *to, void *user)
{
    (void)ret_conn, (void)to;
    ++*(int *)user;
    return -ECONNREFUSED;
}

TEST(of_very_many_addresses_all_are_tried_and_sixteen_are_told)
{
    int tried = 0, told = 0;
    const weft_dial_opts o = {
        .lookup = knows_many, .connect = refuses, .user = &tried};
    weft_fd conn;
    CHECK_EQ(weft_dial_with(&conn, "example.org:80", &o), -ECONNREFUSED);
    CHECK_EQ(tried, WEFT_DIAL_ADDRS);
    for (const weft_error *e = weft_last_error(); e; e = e->next)
        told++;
    CHECK_EQ(told, 16);
}

TEST(a_long_name_leaves_room_for_the_step_and_the_peer)
{
    static const struct peer peers[] = {
        {"[2001:db8:1111:2222:3333:4444:5555:6666]:65535", 0, -ECONNREFUSED}};
    static const struct answer answers[] = {
        {AF_INET6, 0, 0, {"[2001:db8:1111:2222:3333:4444:5555:6666]:0"}}};
    char address[300];
    weft_fd conn;
    BEGIN_SCRIPT(answers, peers);
    memset(address, 'x', 250);
    memcpy(address + 60, "...", 1);
    memcpy(address + 120, ".", 1);
    memcpy(address + 180, ".", 1);
    memcpy(address + 240, ".", 1);
    (void)snprintf(address + 250, 50, ":65535");
    script.opts.lookup = knows_many;
    script.opts.max_addrs = 1;
    script.opts.connect = refuses;
    int tried = 0;
    script.opts.user = &tried;
    CHECK_EQ(weft_dial_with(&conn, address, &script.opts), -ECONNREFUSED);
    const char *msg = weft_last_error()->msg;
    CHECK(strstr(msg, ": connect [2001:db8::1]:65535") != NULL);
    CHECK(strncmp(msg, "dial xxxxxxxxxxxxxxxx", 21) == 0);
}

/* ---- lookups ------------------------------------------------------------ */

TEST(a_name_that_does_not_exist_is_enoent_and_named)
{
    static const struct answer answers[] = {{AF_INET6, 5, -ENOENT, {NULL}},
                                            {AF_INET, 10, -ENOENT, {NULL}}};
    BEGIN_SCRIPT(answers, nobody_special);
    CHECK_EQ(dial_script(), -ENOENT);
    CHECK_EQ(ms_now(), 10);
    CHECK_ERRORS(-ENOENT, -ENOENT);
    CHECK_STR(weft_last_error()->msg,
              "dial example.org:80: lookup: scripted AAAA");
    end_script(-1);
}

static int says_nothing(const char *host, int family, weft_addr ret[],
                        size_t max, void *user)
{
    (void)host, (void)family, (void)ret, (void)max;
    return *(int *)user;
}

TEST(a_lookup_that_says_nothing_is_explained)
{
    int code = -ENOENT;
    const weft_dial_opts o = {.lookup = says_nothing, .user = &code};
    weft_fd conn;
    CHECK_EQ(weft_dial_with(&conn, "tcp://nope.example:80", &o), -ENOENT);
    CHECK_STR(weft_last_error()->msg,
              "dial tcp://nope.example:80: lookup: no such name");
    code = 0; /* none, which is no way to say it */
    CHECK_EQ(weft_dial_with(&conn, "nope.example:80", &o), -ENODATA);
    CHECK_STR(weft_last_error()->msg,
              "dial nope.example:80: lookup: no address");
    code = -EREMOTEIO;
    CHECK_EQ(weft_dial_with(&conn, "nope.example:80", &o), -EREMOTEIO);
    CHECK_STR(weft_last_error()->msg, "dial nope.example:80: lookup");
}

TEST(of_two_lookups_the_one_that_failed_is_told)
{
    static const int by_weight[] = {-EHOSTUNREACH, -ENODATA, -ENOENT};
    for (int more = 0; more < 3; more++)
        for (int less = more + 1; less < 3; less++)
            for (int swap = 0; swap < 2; swap++) {
                const struct answer answers[] = {
                    {swap ? AF_INET : AF_INET6, 10, by_weight[more], {NULL}},
                    {swap ? AF_INET6 : AF_INET, 10, by_weight[less], {NULL}}};
                BEGIN_SCRIPT(answers, nobody_special);
                check_fails(by_weight[more],
                            swap ? "dial example.org:80: lookup: scripted A"
                                 : "dial example.org:80: lookup: scripted "
                                   "AAAA");
            }
}

TEST(an_address_of_the_wrong_family_is_passed_over)
{
    static const struct answer answers[] = {{AF_INET6, 0, 0, {FOUR, NULL}},
                                            {AF_INET, 0, 0, {SIX, NULL}}};
    BEGIN_SCRIPT(answers, nobody_special);
    CHECK(dial_script() < 0);
    CHECK_EQ(script.attempts, 0);
    end_script(-1);
}

/* ---- when something is short -------------------------------------------- */

TEST(without_a_descriptor_the_first_attempt_is_the_last)
{
    static const int codes[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};
    for (int i = 0; i < 4; i++) {
        const struct peer peers[] = {{SIX, 0, codes[i]}};
        BEGIN_SCRIPT(two_each, peers);
        check_fails(codes[i], "dial example.org:80: connect " SIX);
        CHECK_EQ(script.attempts, 1);
    }
}

/* The second finds nothing left, and the first gives its own back. */
static int only_one_at_a_time(weft_fd *ret_conn, const weft_addr *to,
                              void *user)
{
    struct script *s = user;
    if (s->trying > 0) {
        char text[WEFT_ADDR_TEXT];
        log_attempt(s, weft_addr_format(to, text, sizeof text));
        return -EMFILE;
    }
    return script_connect(ret_conn, to, user);
}

TEST(what_finds_no_descriptor_is_tried_again_when_another_has_ended)
{
    static const struct peer peers[] = {{SIX, 300, -ECONNREFUSED}};
    BEGIN_SCRIPT(one_each, peers);
    script.opts.connect = only_one_at_a_time;
    CHECK_EQ(dial_script(), 0);
    CHECK_STR(script.log, "0 " SIX ", 250 " FOUR ", 300 " FOUR);
    CHECK_EQ(ms_now(), 300);
    end_script(0);
}

TEST(what_finds_no_descriptor_is_tried_again_after_the_delay)
{
    static const struct peer peers[] = {{SIX, 600, 0}};
    BEGIN_SCRIPT(two_each, peers);
    script.opts.connect = only_one_at_a_time;
    CHECK_EQ(dial_script(), 0);
    CHECK_STR(script.log, "0 " SIX ", 250 " FOUR ", 500 " FOUR);
    CHECK_EQ(ms_now(), 600);
    end_script(0);
}

TEST(what_finds_no_descriptor_waits_for_a_lookup_to_give_its_own_back)
{
    static const struct answer answers[] = {{AF_INET6, 0, 0, {SIX, NULL}},
                                            {AF_INET, 40, -ENODATA, {NULL}}};
    static const struct peer peers[] = {{SIX, 0, -EMFILE}};
    BEGIN_SCRIPT(answers, peers);
    check_fails(-EMFILE, "dial example.org:80: connect " SIX);
    CHECK_STR(script.log, "0 " SIX ", 40 " SIX);
    CHECK_EQ(ms_now(), 40);
}
