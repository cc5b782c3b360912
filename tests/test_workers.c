/* SPDX-License-Identifier: MIT */
/* test_workers.c - a run on several workers: its numbers and handles, and
 * what its workers may ask of each other. */
#include <weft/error.h>
#include <weft/stats.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/leaks.h"
#include "dump.h"
#include "fibers.h"
#include "workers.h"

/* ---- numbers and handles ------------------------------------------------ */

TEST_PLAIN(outside_of_a_run_there_is_no_worker)
{
    CHECK_EQ(weft_workers(), 0);
    CHECK_EQ(weft_worker(), 0);
    CHECK(weft_worker_remote(1) == NULL);
    CHECK_EQ(weft_workers_stats(NULL, 0), -EPERM);
}

static int is_the_only_worker(void *arg)
{
    weft_stats s[2];
    memset(s, 0xee, sizeof s);
    CHECK_EQ(weft_workers(), 1);
    CHECK_EQ(weft_worker(), 1);
    CHECK(weft_worker_remote(0) == NULL);
    CHECK(weft_worker_remote(2) == NULL);
    weft_remote *r = weft_worker_remote(1);
    CHECK(r != NULL);
    weft_remote_unref(r);
    CHECK_EQ(weft_workers_stats(s, 2), 1);
    CHECK_EQ(s[0].fibers, 1);
    CHECK_EQ(s[1].fibers, 0xeeeeeeeeeeeeeeee);
    CHECK_EQ(call_on(1, adds_one, arg), 0);
    CHECK_EQ(call_on(2, adds_one, arg), -EINVAL);
    return 0;
}

TEST_PLAIN(a_run_of_one_worker_has_one)
{
    int ran = 0;
    CHECK_EQ(run_on(0, is_the_only_worker, &ran), 0);
    CHECK_EQ(run_on(1, is_the_only_worker, &ran), 0);
    CHECK_EQ(ran, 2);
}

static int counts_workers(void *count)
{
    *(unsigned *)count = weft_workers();
    return 0;
}

TEST_PLAIN(a_worker_for_each_core)
{
    unsigned count = 0;
    CHECK_EQ(run_on(WEFT_WORKER_PER_CORE, counts_workers, &count), 0);
    CHECK(count >= 1 && count <= (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
}

TEST_WORKERS(only_workers_that_there_are_have_a_handle)
{
    CHECK_EQ(weft_worker(), 1);
    CHECK(weft_worker_remote(0) == NULL);
    CHECK(weft_worker_remote(weft_workers() + 1) == NULL);
    for (unsigned k = 1; k <= weft_workers(); k++) {
        weft_remote *r = weft_worker_remote(k);
        CHECK(r != NULL);
        weft_remote_unref(r);
    }
}

struct posted {
    struct bell done;
    unsigned worker;
    int next;
};

struct step {
    struct posted *posted;
    int number;
};

static void take_step(void *arg)
{
    const struct step *s = arg;
    CHECK_EQ(s->posted->next, s->number);
    CHECK(weft_self() == NULL);
    s->posted->next++;
    s->posted->worker = weft_worker();
    if (s->number == 99) ring(&s->posted->done);
}

TEST_WORKERS(xth_04_posts_to_a_worker_are_called_there_in_order)
{
    for (unsigned k = 1; k <= weft_workers(); k++) {
        struct posted p = {.done = bell_here()};
        struct step s[100];
        weft_remote *r = weft_worker_remote(k);
        for (int i = 0; i < 100; i++) {
            s[i] = (struct step){&p, i};
            CHECK_EQ(weft_post(r, take_step, &s[i]), 0);
        }
        hear(&p.done);
        weft_remote_unref(r);
        CHECK_EQ(p.next, 100);
        CHECK_EQ(p.worker, k);
    }
}

static weft_remote *kept[9];
static int kept_count, posted_late;

static void is_posted_late(void *arg)
{
    *(int *)arg += 1;
}

static int keeps_handles(void *arg)
{
    kept_count = (int)weft_workers();
    for (unsigned k = 1; k <= weft_workers(); k++)
        kept[k] = weft_worker_remote(k);
    return call_on(2, does_nothing, arg);
}

TEST_PLAIN(handles_of_workers_outlive_the_run)
{
    CHECK_EQ(run_on(3, keeps_handles, NULL), 0);
    for (int k = 1; k <= kept_count; k++) {
        CHECK_EQ(weft_post(kept[k], is_posted_late, &posted_late), -ESHUTDOWN);
        CHECK_EQ(weft_remote_shutdown(kept[k], -EINTR), -ESHUTDOWN);
        weft_remote_unref(kept[k]);
    }
    CHECK_EQ(posted_late, 0);
}

/* What is posted and not called when the run ends is called then. */
static int posts_to_all_and_ends(void *arg)
{
    for (unsigned k = 1; k <= weft_workers(); k++) {
        weft_remote *r = weft_worker_remote(k);
        for (int i = 0; i < 50; i++)
            CHECK_EQ(weft_post(r, is_posted_late, (int *)arg + k), 0);
        weft_remote_unref(r);
    }
    return 0;
}

TEST_PLAIN(what_was_posted_to_any_worker_is_called_at_the_latest_at_the_end)
{
    for (int i = 0; i < 20; i++) {
        int called[9] = {0};
        CHECK_EQ(run_on(8, posts_to_all_and_ends, called), 0);
        for (int k = 1; k <= 8; k++)
            CHECK_EQ(called[k], 50);
    }
}

/* ---- counters ----------------------------------------------------------- */

TEST_WORKERS(stats_of_all_workers_add_up)
{
    enum { CHILDREN = 20 };
    weft_stats before[9], after[9], sum = {0};
    unsigned count = weft_workers();
    int ran = 0, rc;
    CHECK_EQ(weft_workers_stats(before, 9), count);
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= count; k++)
            for (int i = 0; i < CHILDREN; i++)
                spawn_on(k, &n, adds_one, &ran);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_workers_stats(after, 9), count);
    for (unsigned k = 0; k < count; k++) {
        uint64_t spawned = after[k].spawned - before[k].spawned;
        CHECK_EQ(spawned, k == 0 ? CHILDREN * count : CHILDREN);
        CHECK_EQ(after[k].fibers, 1); /* main, and who keeps a worker */
        weft_stats_add(&sum, &after[k]);
    }
    CHECK_EQ(sum.fibers, count);
}

TEST_WORKERS(stats_go_to_as_many_as_there_is_room_for)
{
    weft_stats s[2];
    memset(s, 0xee, sizeof s);
    CHECK_EQ(weft_workers_stats(NULL, 0), weft_workers());
    CHECK_EQ(weft_workers_stats(s, 1), weft_workers());
    CHECK(s[0].fibers == 1 && s[1].fibers == 0xeeeeeeeeeeeeeeee);
}

struct computing {
    int begun, go;
};

static int computes(void *arg)
{
    struct computing *c = arg;
    say_word(&c->begun);
    wait_for_word(&c->go);
    return 0;
}

struct asking {
    weft_stats stats[9];
    int rc;
};

static int asks(void *arg)
{
    struct asking *a = arg;
    return a->rc = weft_workers_stats(a->stats, 9);
}

TEST_WORKERS(stats_wait_for_a_worker_that_computes_and_can_be_cancelled)
{
    struct computing c = {0};
    struct asking patient = {.rc = 0}, not = {.rc = 0};
    weft_task t;
    int rc;
    memset(not .stats, 0xee, sizeof not .stats);
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.task = &t};
        spawn_on(2, &n, computes, &c);
        wait_for_word(&c.begun);
        CHECK_EQ(weft_spawn_ex(&n, asks, &not, &o), 0);
        CHECK_EQ(weft_spawn(&n, asks, &patient), 0);
        for (int i = 0; i < 50; i++)
            CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(patient.rc, 0);
        weft_task_cancel(&t, 0, NULL);
        CHECK_EQ(weft_join(&t, NULL), 0);
        CHECK_EQ(not .rc, -ECANCELED);
        CHECK_EQ(not .stats[0].fibers, 0xeeeeeeeeeeeeeeee);
        say_word(&c.go);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(patient.rc, weft_workers());
}

static int asks_often(void *arg)
{
    weft_stats s[9];
    (void)arg;
    for (int i = 0; i < 200; i++) {
        int rc = weft_workers_stats(s, 9);
        if (rc < 0) return rc;
        CHECK_EQ(rc, weft_workers());
    }
    return 0;
}

TEST_WORKERS(all_may_ask_all_at_the_same_time_and_leave)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, asks_often, NULL);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 50; i++) {
        WEFT_NURSERY(n, rc) {
            for (unsigned k = 1; k <= weft_workers(); k++)
                spawn_on(k, &n, asks_often, NULL);
            CHECK_EQ(weft_yield(), 0);
            weft_nursery_cancel(&n, 0, NULL);
        }
        CHECK_EQ(rc, 0);
    }
}

static int asks_and_is_gone(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 5; i++)
            CHECK_EQ(weft_spawn(&n, asks_often, NULL), 0);
        CHECK_EQ(weft_yield(), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    return rc;
}

TEST_PLAIN(a_run_may_end_with_questions_on_their_way)
{
    for (int i = 0; i < 100; i++)
        CHECK_EQ(run_on(4, asks_and_is_gone, NULL), 0);
}

/* ---- the dump ----------------------------------------------------------- */

static const char *read_whole(FILE *file)
{
    static char text[64 * 1024];
    ssize_t n = pread(fileno(file), text, sizeof text - 1, 0);
    CHECK(n >= 0);
    text[n] = '\0';
    return text;
}

TEST_WORKERS(the_dump_shows_the_fibers_of_every_worker)
{
    char names[9][24];
    unsigned count = weft_workers();
    int rc;
    FILE *file = tmpfile();
    CHECK(file != NULL);
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 2; k <= count; k++) {
            (void)snprintf(names[k], sizeof names[k], "waiter-%u", k);
            const weft_spawn_opts o = {.worker = (int)k, .name = names[k]};
            CHECK_EQ(weft_start_ex(&n, is_ready_and_waits, NULL, NULL, &o), 0);
        }
        weft_dump(fileno(file));
        /* They answer after each other: who is asked once more has. */
        for (unsigned i = 0; i < count; i++)
            CHECK_EQ(weft_workers_stats(NULL, 0), count);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    const char *text = read_whole(file);
    for (unsigned k = 2; k <= count; k++) {
        char here[64], there[64];
        (void)snprintf(here, sizeof here, "run on worker %u", k);
        (void)snprintf(there, sizeof there, "\"waiter-%u\" parked", k);
        CHECK(strstr(text, here) != NULL);
        const char *first = strstr(text, there);
        CHECK(first != NULL);
        CHECK(strstr(first + 1, there) != NULL); /* its two halves */
    }
    CHECK_EQ(fclose(file), 0);
}

static int dumps_and_ends(void *fd)
{
    weft_dump(*(int *)fd);
    weft_dump(*(int *)fd);
    return 0;
}

TEST_PLAIN(a_run_may_end_with_a_dump_on_its_way)
{
    int fd = open("/dev/null", O_WRONLY);
    CHECK(fd >= 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(run_on(3, dumps_and_ends, &fd), 0);
    CHECK_EQ(close(fd), 0);
}

TEST_WORKERS(a_dump_to_a_closed_descriptor_does_no_harm)
{
    weft_dump(-1);
    CHECK_EQ(call_on(2, does_nothing, NULL), 0);
}

/* What the harness counts of this thread it has to count of all. */
static int leaves_seven_octets(void *arg)
{
    wf_leaks_here.bytes += 7;
    wf_leaks_here.timers++;
    (void)arg;
    return 0;
}

static int leaves_something_elsewhere(void *arg)
{
    return call_on(3, leaves_seven_octets, arg);
}

TEST_PLAIN(what_another_worker_leaves_behind_is_counted)
{
    struct wf_leaks before, after;
    wf_leaks_read(&before);
    CHECK_EQ(run_on(4, leaves_something_elsewhere, NULL), 0);
    wf_leaks_read(&after);
    CHECK_EQ(after.bytes - before.bytes, 7);
    CHECK_EQ(after.timers - before.timers, 1);
    wf_leaks_here.bytes -= 7;
    wf_leaks_here.timers--;
}

/* ---- misuse ------------------------------------------------------------- */

TEST_PLAIN(options_that_make_no_sense_are_refused)
{
    const weft_run_opts jumps = {.workers = 2, .virtual_clock = true};
    CHECK_EQ(run_on(1025, does_nothing, NULL), -EINVAL);
    CHECK_EQ(run_on(-2, does_nothing, NULL), -EINVAL);
    CHECK_EQ(weft_run(does_nothing, NULL, &jumps), -EINVAL);
}

TEST_WORKERS(there_is_no_worker_of_another_number)
{
    int rc, ran = 0;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts less = {.worker = -2};
        CHECK_EQ(try_spawn_on(weft_workers() + 1, &n, adds_one, &ran), -EINVAL);
        CHECK_EQ(weft_spawn_ex(&n, adds_one, &ran, &less), -EINVAL);
        CHECK_EQ(weft_nursery_count(&n), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ran, 0);
}
