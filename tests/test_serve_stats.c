/* SPDX-License-Identifier: MIT */
/* test_serve_stats.c - what a server counts, and what it tells of each end. */
#include <weft/run.h>

#include <pthread.h>

#include "harness.h"
#include "host.h"
#include "system.h"
#include "unhandled.h"

/* Ends as it is told to by one octet. */
static int end_as_told(weft_conn *c)
{
    char how;
    ssize_t n = weft_transport_read(c->transport, &how, 1);
    if (n <= 0) return (int)n;
    switch (how) {
    case '0':
        return 0;
    case '1':
        return 1;
    case 'r':
        return -ECONNRESET;
    case 'p':
        return -EPIPE;
    case 'f':
        return weft_fail(-EPROTO, "told to fail");
    case 'c':
        return -ECANCELED; /* for no reason: that is a failure */
    default:
        return weft_sleep(WEFT_FOREVER);
    }
}

static void send_all(struct host *h, const char *orders)
{
    for (; *orders; orders++) {
        weft_transport *t = visit(h);
        CHECK_EQ(weft_transport_write_all(t, orders, 1, NULL), 0);
        check_end(t);
    }
}

TEST(each_end_is_counted_as_what_it_was)
{
    struct host h = {.handler = end_as_told};
    const weft_serve_stats *s = &h.stats;
    int rc;
    weft_on_unhandled(note_unhandled);
    WITH_HOST(h, rc)
    send_all(&h, "0001rrpfc");
    CHECK_EQ(s->accepted, 9);
    CHECK_EQ(s->done, 4);
    CHECK_EQ(s->lost, 3);
    CHECK_EQ(s->failed, 2);
    CHECK_EQ(s->peak, 1);
    CHECK_EQ(s->refused + s->refused_peer + s->handed_over + s->starved, 0);
    CHECK_EQ(unhandled, 2);
    weft_on_unhandled(NULL);
}

TEST(active_and_peak_are_right_at_each_moment)
{
    enum { MANY = 5 };
    struct host h = {.handler = echo_in_memory};
    weft_transport *t[MANY] = {NULL};
    int rc;
    WITH_HOST(h, rc)
    {
        weft_serve_stats now;
        for (unsigned i = 0; i < MANY; i++) {
            t[i] = visit(&h);
            check_answer(t[i], "x");
            weft_serve_stats_read(&h.stats, &now);
            CHECK_EQ(now.active, i + 1);
            CHECK_EQ(now.peak, i + 1);
        }
        for (unsigned i = MANY; i-- > 0;) {
            weft_transport_close(t[i]);
            CHECK_EQ(weft_sleep(1), 0);
            weft_serve_stats_read(&h.stats, &now);
            CHECK_EQ(now.active, i);
            CHECK_EQ(now.done, MANY - i);
            CHECK_EQ(now.peak, MANY);
        }
    }
}

TEST(a_server_that_serves_again_goes_on_counting)
{
    struct host h = {.handler = end_as_told};
    int rc;
    for (unsigned i = 1; i <= 3; i++) {
        WITH_HOST(h, rc)
        send_all(&h, "00");
        CHECK_EQ(h.stats.done, 2 * i);
        CHECK_EQ(h.stats.peak, 1);
    }
}

/* ---- on_end ------------------------------------------------------------- */

static int ends, end_rc;
static weft_time end_took;

static void note_end(const weft_conn *c, int rc, weft_time took)
{
    struct host *h = c->arg;
    CHECK(c->transport != NULL);
    CHECK_EQ(h->stats.active, 1); /* it is not gone yet */
    ends++;
    end_rc = rc;
    end_took = took;
}

TEST(on_end_is_told_what_came_of_it_and_how_long_it_took)
{
    struct host h = {.handler = end_as_told,
                     .opts = {.on_end = note_end, .deadline = WEFT_SEC(3)}};
    static const struct {
        const char *order;
        int rc;
    } all[] = {{"0", 0},
               {"1", 1},
               {"r", -ECONNRESET},
               {"f", -EPROTO},
               {"z", -ETIMEDOUT}};
    int rc;
    weft_on_unhandled(note_unhandled);
    WITH_HOST(h, rc)
    {
        for (int i = 0; i < 5; i++) {
            weft_transport *t = visit(&h);
            CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
            CHECK_EQ(weft_transport_write_all(t, all[i].order, 1, NULL), 0);
            check_end(t);
            CHECK_EQ(ends, i + 1);
            CHECK_EQ(end_rc, all[i].rc);
            CHECK_EQ(end_took, WEFT_SEC(i < 4 ? 2 : 3));
        }
    }
    weft_on_unhandled(NULL);
}

/* ---- from another thread ------------------------------------------------ */

struct watch {
    const weft_serve_stats *stats;
    int stop; /* atomic */
    bool went_back;
};

static void *watch(void *arg)
{
    struct watch *w = arg;
    weft_serve_stats before = {0}, now;
    while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
        weft_serve_stats_read(w->stats, &now);
        w->went_back |= now.accepted < before.accepted ||
                        now.done < before.done || now.peak < before.peak;
        before = now;
    }
    return NULL;
}

TEST(another_thread_may_read_while_it_serves)
{
    struct host h = {.handler = end_as_told};
    struct watch w = {.stats = &h.stats};
    pthread_t thread;
    int rc;
    CHECK_EQ(pthread_create(&thread, NULL, watch, &w), 0);
    WITH_HOST(h, rc)
    for (int i = 0; i < 200; i++)
        send_all(&h, "01r");
    __atomic_store_n(&w.stop, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(!w.went_back);
    CHECK_EQ(h.stats.accepted, 600);
    CHECK_EQ(h.stats.lost, 200);
}
