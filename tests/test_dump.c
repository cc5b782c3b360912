/* SPDX-License-Identifier: MIT */
/* test_dump.c - what weft_dump and weft_stats show. */
#include <weft/debug.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/socket.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dump.h"
#include "fibers.h"
#include "harness.h"
#include "sockets.h"

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

/* The line of the text with `what` in it. */
static const char *line_with(const char *text, const char *what)
{
    static char line[1024];
    const char *at = strstr(text, what);
    CHECK(at != NULL);
    while (at > text && at[-1] != '\n') at--;
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

static int wait_for(void *arg)
{
    return weft_event_wait(arg);
}

static int lock_it(void *arg)
{
    int err = weft_mutex_lock(arg);
    if (err == 0) err = weft_mutex_unlock(arg);
    return err;
}

static int sleep_long(void *unused)
{
    (void)unused;
    return weft_sleep(WEFT_SEC(10));
}

TEST(the_dump_has_a_line_for_each_fiber_with_what_it_waits_for)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_fd pair[2];
    int rc;
    open_pair(pair);
    struct call reader = {.fd = pair[0]};
    CHECK_EQ(weft_mutex_lock(&m), 0);
    WEFT_NURSERY(n, rc) {
        weft_spawn_opts o = {.name = "for event"};
        CHECK_EQ(weft_spawn_ex(&n, wait_for, &e, &o), 0);
        o.name = "for mutex";
        CHECK_EQ(weft_spawn_ex(&n, lock_it, &m, &o), 0);
        o.name = "for octets";
        CHECK_EQ(weft_spawn_ex(&n, read_some, &reader, &o), 0);
        o.name = "for time";
        CHECK_EQ(weft_spawn_ex(&n, sleep_long, NULL, &o), 0);
        settle();
        o.name = "not started";
        CHECK_EQ(weft_spawn_ex(&n, wait_for, &e, &o), 0);

        const char *text = dump();
        CHECK(strstr(text, "6 fibers") != NULL);
        CHECK_EQ(lines(text), 8); /* with one for the nursery */
        CHECK(strstr(line_with(text, "\"main\""), "running"));
        CHECK(strstr(line_with(text, "\"for event\""), "parked"));
        CHECK(strstr(line_with(text, "\"for event\""), "event"));
        CHECK(strstr(line_with(text, "\"for event\""), "test_dump.c:"));
        CHECK(strstr(line_with(text, "\"for mutex\""), "mutex"));
        CHECK(strstr(line_with(text, "\"for octets\""), "read"));
        CHECK(strstr(line_with(text, "\"for time\""), "sleep"));
        CHECK(!strstr(line_with(text, "\"not started\""), "parked"));

        weft_event_set(&e);
        CHECK_EQ(weft_mutex_unlock(&m), 0);
        CHECK_EQ(weft_close(pair[0]), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_close(pair[1]), 0);
}

TEST(the_dump_names_the_descriptor_that_a_fiber_reads)
{
    weft_fd pair[2];
    char want[32];
    int rc;
    open_pair(pair);
    (void)snprintf(want, sizeof want, "read fd %d ", weft_fd_number(pair[0]));
    struct call reader = {.fd = pair[0]};
    WEFT_NURSERY(n, rc) {
        weft_spawn_opts o = {.name = "reader"};
        CHECK_EQ(weft_spawn_ex(&n, read_some, &reader, &o), 0);
        settle();
        const char *line = line_with(dump(), "\"reader\"");
        if (!strstr(line, want)) CHECK_STR(line, want);
        CHECK_EQ(weft_close(pair[1]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_close(pair[0]), 0);
}

TEST(names_of_any_length_can_be_dumped)
{
    static char name[2000];
    weft_event e = WEFT_EVENT_INIT;
    int rc;
    for (size_t len = 0; len < sizeof name; len += 1 + len / 8) {
        memset(name, 'x', len);
        name[len] = '\0';
        WEFT_NURSERY(n, rc) {
            const weft_spawn_opts o = {.name = name};
            CHECK_EQ(weft_spawn_ex(&n, wait_for, &e, &o), 0);
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(lines(dump()), 4);
            weft_nursery_cancel(&n, 0, NULL);
        }
        CHECK_EQ(rc, 0);
    }
}

/* How far a line is indented. */
static int column(const char *text, const char *what)
{
    return (int)strspn(line_with(text, what), " ");
}

static int opens_one_more(void *arg)
{
    int rc;
    WEFT_NURSERY(inner, rc) {
        const weft_spawn_opts o = {.name = "grandchild"};
        rc = weft_spawn_ex(&inner, wait_for, arg, &o);
    }
    return rc;
}

TEST(the_dump_shows_fibers_under_their_nursery_the_oldest_first)
{
    weft_event e = WEFT_EVENT_INIT;
    int rc;
    const weft_nursery_opts pool = {
        .name = "pool", .policy = WEFT_SUPERVISE, .limit = 7};
    WEFT_NURSERY_EX(n, rc, &pool) {
        weft_spawn_opts o = {.name = "elder"};
        CHECK_EQ(weft_spawn_ex(&n, opens_one_more, &e, &o), 0);
        o.name = "younger";
        CHECK_EQ(weft_spawn_ex(&n, wait_for, &e, &o), 0);
        settle();

        const char *text = dump(), *nursery = line_with(text, "\"pool\"");
        CHECK(strstr(nursery, "nursery \"pool\" at tests/test_dump.c:"));
        CHECK(strstr(nursery, ", 2 children, supervise, limit 7"));
        CHECK(!strstr(nursery, "closing") && !strstr(nursery, "cancelled"));
        CHECK(strstr(line_with(text, ", 1 child,"), "closing"));
        CHECK_EQ(lines(text), 7);
        CHECK_EQ(column(text, "\"main\""), 2);
        CHECK_EQ(column(text, "\"pool\""), 4);
        CHECK_EQ(column(text, "\"elder\""), 6);
        CHECK_EQ(column(text, ", 1 child,"), 8);
        CHECK_EQ(column(text, "\"grandchild\""), 10);
        CHECK_EQ(column(text, "\"younger\""), 6);
        CHECK(strstr(text, "\"elder\"") < strstr(text, "\"younger\""));
        CHECK(strstr(text, "\"grandchild\"") < strstr(text, "\"younger\""));
        CHECK(!strstr(text, "circle"));
        weft_event_set(&e);
    }
    CHECK_EQ(rc, 0);
}

TEST(the_dump_says_why_a_nursery_is_cancelled_and_how_long_one_has)
{
    int rc, err;
    WEFT_NURSERY(n, rc) {
        weft_scope_set_deadline(weft_nursery_scope(&n),
                                weft_after(WEFT_SEC(9)));
        WEFT_NURSERY(inner, err) {
            const char *text = dump();
            CHECK(strstr(text, ", 9.000 s left"));
            CHECK(!strstr(text, "cancelled"));
            CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
            CHECK(strstr(dump(), ", 7.000 s left"));
            weft_nursery_cancel(&n, -EPROTO, "enough of it");
            text = dump();
            CHECK(strstr(text, "cancelled 0.000 s ago: it was told to: "
                               "\"enough of it\", code -71, by fiber "));
            CHECK(strstr(text, "cancelled from outside"));
            CHECK(!strstr(text, "left"));
        }
        CHECK_EQ(err, 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(the_dump_shows_scopes_with_a_deadline_a_shield_or_a_reason_only)
{
    int rc, inner;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3)) {
        weft_scope plain, cancelled;
        weft_scope_init(&plain);
        weft_scope_init(&cancelled);
        CHECK_EQ(weft_scope_begin(&plain), 0);
        CHECK_EQ(weft_scope_begin(&cancelled), 0);
        CHECK_EQ(lines(dump()), 3);
        weft_scope_cancel(&cancelled, 0, NULL);
        CHECK_EQ(lines(dump()), 4);
        WEFT_SHIELD(inner, WEFT_SEC(1)) {
            const char *text = dump();
            CHECK_EQ(lines(text), 5);
            CHECK(strstr(line_with(text, "3.000 s left"), "scope at "));
            CHECK(strstr(line_with(text, "ago: it was told to"), "scope at "));
            CHECK(strstr(line_with(text, "shielded, 1.000 s left"), "scope "));
            CHECK_EQ(column(text, "shielded"), 8);
        }
        CHECK_EQ(inner, 0);
        CHECK_EQ(weft_scope_end(&cancelled, 0), 0);
        CHECK_EQ(weft_scope_end(&plain, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

/* So deep that a walk that calls itself would leave the stack. */
TEST(five_thousand_scopes_inside_each_other_can_be_dumped)
{
    enum { DEEP = 5000 };
    static weft_scope scopes[DEEP];
    for (int i = 0; i < DEEP; i++) {
        weft_scope_init(&scopes[i]);
        CHECK_EQ(weft_scope_begin_after(&scopes[i], WEFT_SEC(60), WEFT_FAIL),
                 0);
    }
    const char *text = dump();
    CHECK_EQ(lines(text), 2 + DEEP);
    for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
        CHECK(strcspn(at, "\n") < 160);
    for (int i = DEEP; i-- > 0;)
        CHECK_EQ(weft_scope_end(&scopes[i], 0), 0);
}

static int misuse(void *unused)
{
    (void)unused;
    CHECK_EQ(weft_run(misuse, NULL, NULL), -EBUSY);
    return 0;
}

TEST(names_of_any_length_can_stand_in_the_words_to_one_who_errs)
{
    static char name[2000];
    int rc;
    memset(name, 'x', sizeof name - 1);
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.name = name};
        CHECK_EQ(weft_spawn_ex(&n, misuse, NULL, &o), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST_PLAIN(the_dump_outside_of_a_run_harms_nothing)
{
    CHECK_EQ(lines(dump()), 1);
    weft_stats s;
    memset(&s, 0x5a, sizeof s);
    weft_stats_read(&s);
    CHECK_EQ(s.fibers, 0);
}

TEST(the_counters_count_fibers_spawns_and_switches)
{
    weft_stats before, during, after;
    int rc;
    weft_stats_read(&before);
    CHECK_EQ(before.fibers, 1);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++)
            CHECK_EQ(weft_spawn(&n, does_nothing, NULL), 0);
        weft_stats_read(&during);
    }
    CHECK_EQ(rc, 0);
    weft_stats_read(&after);
    CHECK_EQ(during.fibers, 11);
    CHECK_EQ(during.spawned, before.spawned + 10);
    CHECK_EQ(after.fibers, 1);
    CHECK(after.switches >= before.switches + 11);
    CHECK(after.stacks > 0 && after.stacks_free < after.stacks);
    CHECK_EQ(after.unguarded, 0);
}

TEST_REAL(a_sleeping_run_polls_once_not_over_and_over)
{
    weft_stats before, after;
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_stats_read(&before);
    CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
    weft_stats_read(&after);
    CHECK(after.polls > before.polls);
    CHECK(after.polls - before.polls <= 3);
}

TEST(a_descriptor_is_registered_when_it_first_waits_and_never_again)
{
    weft_fd pair[2];
    weft_stats before, after;
    char c = 'x';
    int rc;
    open_pair(pair);
    weft_stats_read(&before);
    CHECK_EQ(weft_write(pair[0], &c, 1), 1);
    weft_stats_read(&after);
    CHECK_EQ(after.registrations, before.registrations);
    CHECK_EQ(weft_read(pair[1], &c, 1), 1);
    for (int i = 0; i < 5; i++) {
        struct call reader = {.fd = pair[1]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_some, &reader), 0);
            settle();
            CHECK_EQ(weft_write(pair[0], &c, 1), 1);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(reader.result, 1);
    }
    weft_stats_read(&after);
    CHECK_EQ(after.registrations, before.registrations + 1);
    close_pair(pair);
}
