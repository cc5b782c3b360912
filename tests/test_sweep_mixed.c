/* SPDX-License-Identifier: MIT */
/* test_sweep_mixed.c - the sweep over programs in which several things meet. */
#include <weft/chan.h>
#include <weft/cleanup.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/io.h>
#include <weft/local.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/socket.h>
#include <weft/task.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "sweep.h"

/* --- a pipeline of all of it --- */

static weft_chan *jobs, *results;
static weft_sem sem;
static weft_mutex mutex;
static int made, finished, in_hand, inside;

static int makes_jobs(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 8 && rc == 0; i++) {
        rc = weft_chan_send(jobs, &i);
        if (rc == 0) made++;
    }
    weft_chan_close(jobs);
    return rc;
}

static int handle_one(void)
{
    int item, rc = weft_chan_recv(jobs, &item);
    if (rc <= 0) return rc;
    in_hand++;
    int err = weft_sem_acquire(&sem, 1);
    if (err == 0) {
        err = weft_sleep(WEFT_MSEC(1));
        CHECK_EQ(weft_sem_release(&sem, 1), 0);
    }
    WEFT_SHIELD(err, WEFT_SEC(1)) {
        err = weft_mutex_lock(&mutex);
        if (err < 0) break; /* the shield has its end too */
        CHECK_EQ(inside++, 0);
        err = weft_chan_send(results, &item);
        CHECK_EQ(--inside, 0);
        CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    }
    if (err == 0) in_hand--;
    return err == 0 ? 1 : err;
}

static int works(void *arg)
{
    int rc = 1;
    (void)arg;
    while (rc == 1) {
        rc = handle_one();
    }
    return rc == -ETIMEDOUT ? weft_checkpoint() : rc;
}

static int collects(void *arg)
{
    int item, rc = 1;
    (void)arg;
    while (rc == 1) {
        rc = weft_chan_recv(results, &item);
        if (rc == 1) finished++;
    }
    return rc;
}

static void start_pipeline(weft_nursery *n)
{
    made = finished = in_hand = 0;
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    weft_sem_init(&sem, 1, 1);
    results = NULL;
    jobs = weft_chan_new(sizeof(int), 2, NULL, 0);
    if (!sweep_had(jobs != NULL)) return;
    results = weft_chan_new(sizeof(int), 1, NULL, 0);
    if (!sweep_had(results != NULL)) return;
    sweep_spawn(n, makes_jobs, NULL);
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, works, NULL);
    }
    sweep_spawn(n, collects, NULL);
}

static void check_pipeline(void)
{
    if (!results) {
        weft_chan_free(jobs);
        return;
    }
    size_t waiting = weft_chan_length(jobs) + weft_chan_length(results);
    CHECK_EQ(made, (size_t)(finished + in_hand) + waiting);
    CHECK_EQ(weft_sem_value(&sem), 1);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    weft_chan_free(jobs);
    weft_chan_free(results);
}

SWEEP(a_pipeline_can_be_stopped_anywhere, start_pipeline, check_pipeline,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS);

/* --- jobs fetched from generators, a few at a time, under a deadline --- */

static int open_pages, kept;

static int lists_pages(weft_gen *g, void *arg)
{
    static int pages[] = {0, 1, 2, 3, 4};
    int rc = 0;
    (void)arg;
    open_pages++;
    for (int i = 0; i < 5 && rc == 0; i++) {
        rc = weft_sleep(WEFT_MSEC(1));
        if (rc == 0) rc = weft_gen_yield(g, &pages[i]);
    }
    open_pages--;
    return rc;
}

static int naps(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_MSEC(2));
}

static int sleeps_long(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_SEC(9));
}

static int fetches(void *arg)
{
    int page = *(int *)arg;
    int rc = weft_sem_acquire(&sem, 1);
    if (rc < 0) return rc;
    rc = weft_with_timeout(WEFT_MSEC(3), page == 3 ? sleeps_long : naps, NULL);
    CHECK_EQ(weft_sem_release(&sem, 1), 0);
    kept += rc == 0;
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int crawls(void *arg)
{
    static const weft_nursery_opts few = {.limit = 2};
    int rc, listed;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &few) {
        WEFT_FOREACH(int *, page, listed, lists_pages, NULL) {
            listed = weft_spawn_wait(&n, fetches, page);
            if (listed < 0) break;
        }
        CHECK_EQ(open_pages, 0);
        rc = listed == -ESHUTDOWN ? 0 : listed;
    }
    return rc;
}

static void start_crawling(weft_nursery *n)
{
    open_pages = kept = 0;
    weft_sem_init(&sem, 2, 2);
    sweep_spawn(n, crawls, NULL);
}

static void check_crawled(void)
{
    CHECK_EQ(open_pages, 0);
    CHECK(kept <= 4);
    CHECK_EQ(weft_sem_value(&sem), 2);
}

SWEEP(a_crawl_leaves_nothing_open, start_crawling, check_crawled, 0);

/* --- replicas: the fastest answers, over channels, and a lock --- */

static weft_chan *answers;
static int asked, answered;

static int replica(void *arg)
{
    int me = *(int *)arg, rc;
    WEFT_LOCKED(&mutex, rc) {
        CHECK_EQ(inside++, 0);
        rc = weft_sleep(WEFT_MSEC(1));
        inside--;
    }
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(3 - me));
    if (rc == 0) rc = weft_chan_send(answers, &me);
    if (rc == 0) answered++;
    return rc;
}

static int asks_all(void *arg)
{
    static int who[] = {0, 1, 2};
    weft_job all[3] = {{.fn = replica, .arg = &who[0]},
                       {.fn = replica, .arg = &who[1]},
                       {.fn = replica, .arg = &who[2]}};
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(20)) {
        rc = weft_race(all, 3, WEFT_RACE_OK);
        if (rc >= 0) asked++;
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

static void start_replicas(weft_nursery *n)
{
    inside = asked = answered = 0;
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    answers = weft_chan_new(sizeof(int), 6, NULL, 0);
    if (!sweep_had(answers != NULL)) return;
    sweep_spawn(n, asks_all, NULL);
    sweep_spawn(n, asks_all, NULL);
}

static void check_replicas(void)
{
    if (!answers) return;
    CHECK_EQ(inside, 0);
    CHECK_EQ(weft_chan_length(answers), answered);
    CHECK(answered >= asked);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    weft_chan_free(answers);
}

SWEEP(of_the_replicas_one_is_enough, start_replicas, check_replicas,
      SWEEP_SPARE_CHILDREN);

/* --- a service: started, owned, asked over a socket, told to stop --- */

static weft_event ready, stop;
static weft_fd service[2];
static int open_services, replies, reports, users;

static int close_service(void *arg)
{
    CHECK(open_services > 0);
    open_services--;
    CHECK_EQ(weft_close(service[0]), 0);
    CHECK_EQ(weft_close(service[1]), 0);
    service[0] = service[1] = (weft_fd){0};
    (void)arg;
    return 0;
}

static void reports_the_end(void *arg)
{
    (void)arg;
    reports--;
}

static int echoes_octets(void *arg)
{
    char c;
    ssize_t got = 1;
    (void)arg;
    reports++;
    int rc = weft_defer(reports_the_end, NULL);
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    if (rc < 0) return rc;
    CHECK_EQ(weft_started(&service), 0);
    while (got == 1) {
        got = weft_read(service[0], &c, 1);
        if (got == 1) got = weft_write(service[0], &c, 1);
    }
    return got < 0 ? (int)got : 0;
}

static int runs_the_service(void *arg)
{
    static const weft_spawn_opts daemon = {.daemon = true};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_socketpair(AF_UNIX, SOCK_STREAM, service);
        if (rc < 0) break;
        open_services++;
        rc = weft_own(&n, close_service, NULL, NULL);
        if (rc == 0) rc = weft_start_ex(&n, echoes_octets, NULL, NULL, &daemon);
        if (rc == 0) weft_event_set(&ready);
        if (rc == 0) rc = weft_event_wait(&stop);
    }
    weft_event_set(&ready); /* or they would wait for ever */
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int uses_the_service(void *arg)
{
    char c = 'a', back;
    int rc = weft_event_wait(&ready);
    (void)arg;
    for (int i = 0; i < 2 && rc == 0; i++) {
        WEFT_LOCKED(&mutex, rc) {
            rc = (int)weft_write(service[1], &c, 1);
            if (rc == 1) rc = (int)weft_read(service[1], &back, 1);
            if (rc == 1) replies++;
            rc = rc < 0 ? rc : 0;
        }
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    if (--users == 0) weft_event_set(&stop);
    return rc == -EBADF ? 0 : rc;
}

static void start_service(weft_nursery *n)
{
    open_services = replies = reports = users = 0;
    ready = stop = (weft_event)WEFT_EVENT_INIT;
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    memset(service, 0, sizeof service);
    sweep_spawn(n, runs_the_service, NULL);
    for (; users < 3; users++) {
        sweep_spawn(n, uses_the_service, NULL);
    }
}

static void check_service(void)
{
    CHECK_EQ(open_services, 0);
    CHECK_EQ(reports, 0);
    CHECK(replies <= 6);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

SWEEP(a_service_closes_what_it_owns, start_service, check_service,
      SWEEP_PEERS_MAY_WAIT);

/* --- workers with tasks, a queue of the done, requests with locals --- */

static weft_key request = {.name = "request"};
static weft_task tasks[5];
static weft_doneq doneq;
static int numbers[] = {0, 1, 2, 3, 4};
static int alive;

static int handles_request(void *arg)
{
    int me = *(int *)arg;
    CHECK_PTR(weft_local_get(&request), &numbers[me]);
    int rc = weft_sem_acquire(&sem, 1);
    if (rc < 0) return rc;
    alive++;
    rc = weft_sleep(WEFT_MSEC(1 + me % 2));
    alive--;
    CHECK_EQ(weft_sem_release(&sem, 1), 0);
    CHECK_PTR(weft_local_get(&request), &numbers[me]);
    return rc < 0 ? rc : me == 3 ? -EIO : me;
}

static int spawn_requests(weft_nursery *n)
{
    int rc = 0;
    for (int i = 0; i < 5 && rc == 0; i++) {
        weft_spawn_opts o = {.task = &tasks[i], .doneq = &doneq};
        rc = weft_local_push(&request, &numbers[i]);
        if (rc < 0) return rc;
        rc = weft_spawn_ex(n, handles_request, &numbers[i], &o);
        asked += rc == 0;
        CHECK_EQ(weft_local_pop(&request), 0);
    }
    return rc;
}

/* The first failure cancels those that are left, one by one. */
static int collects_requests(void *arg)
{
    static const weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    weft_task *t;
    int rc, got;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &opts) {
        rc = spawn_requests(&n);
        if (rc < 0) break;
        while ((got = weft_next_done(&doneq, &t)) == 1) {
            weft_outcome o;
            got = weft_join(t, &o);
            if (got < 0) break;
            answered++;
            if (o.status != WEFT_FAILED) continue;
            for (int i = 0; i < 5; i++)
                weft_task_cancel(&tasks[i], 0, "one has failed");
        }
        if (got == 0) CHECK_EQ(answered, asked);
        rc = got;
    }
    return rc == -EIO ? 0 : rc;
}

static void start_requests(weft_nursery *n)
{
    alive = asked = answered = 0;
    weft_sem_init(&sem, 2, 2);
    weft_doneq_init(&doneq);
    memset(tasks, 0, sizeof tasks);
    sweep_spawn(n, collects_requests, NULL);
}

static void check_requests(void)
{
    CHECK_EQ(alive, 0);
    CHECK_EQ(weft_sem_value(&sem), 2);
    for (int i = 0; i < asked; i++)
        CHECK(weft_task_done(&tasks[i]));
}

SWEEP(every_request_is_answered_or_stopped, start_requests, check_requests, 0);
