/* SPDX-License-Identifier: MIT */
/* work_threads.c - pools, posts, tokens, several workers, a fork. */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

static int in_nursery(int (*fn)(weft_nursery *n))
{
    weft_nursery n;
    TRY(weft_nursery_open(&n, NULL));
    return weft_nursery_close(&n, fn(&n));
}

/* ---- pools -------------------------------------------------------------- */

static int doubles(void *arg)
{
    *(int *)arg *= 2;
    return 0;
}

static void forget(void *arg)
{
    free(arg);
}

static int does_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int calls_pools(void *arg)
{
    int value = 1;
    (void)arg;
    TRY(weft_blocking(doubles, &value));
    TRY(weft_cpu(doubles, &value));
    const weft_bjob job = {
        .fn = does_nothing, .arg = malloc(8), .release = forget};
    TRY(weft_blocking_abandon(&job));
    EXPECT(value == 4);
    return 0;
}

static int pools(void)
{
    return weft_run(calls_pools, NULL, NULL);
}
WORK(pools, MAY(0));

static int values[6];

static int doubles_one(void *arg)
{
    return weft_blocking(doubles, arg);
}

static int double_all(weft_nursery *n)
{
    for (int i = 0; i < 6; i++) {
        values[i] = i + 1;
        TRY(weft_spawn(n, doubles_one, &values[i]));
    }
    return 0;
}

static int doubles_all(void *arg)
{
    (void)arg;
    TRY(in_nursery(double_all));
    for (int i = 0; i < 6; i++)
        EXPECT(values[i] == 2 * (i + 1));
    return 0;
}

static int a_pool_of_several(void)
{
    return weft_run(doubles_all, NULL, NULL);
}
WORK(a_pool_of_several, MAY(0));

/* ---- from another thread ------------------------------------------------ */

static weft_remote *remote;
static weft_token *token;
static int posted, post_error;

static void count_post(void *arg)
{
    (void)arg;
    posted++;
}

/* Posts, and then ends what its run waits in; whatever it cannot do it says
 * through the token, which needs no memory. */
static void *posts(void *arg)
{
    for (int i = 0; i < 5 && post_error == 0; i++)
        post_error = weft_post(remote, count_post, NULL);
    if (arg && post_error == 0) post_error = weft_remote_shutdown(remote, 0);
    if (!arg || post_error < 0) weft_token_cancel(token, 0, "all is said");
    return NULL;
}

static int wait_for_posts(weft_scope *s, bool shutdown)
{
    pthread_t t;
    TRY(weft_scope_link(s, token));
    EXPECT(pthread_create(&t, NULL, posts, shutdown ? &posted : NULL) == 0);
    int rc = weft_sleep(WEFT_FOREVER);
    EXPECT(pthread_join(t, NULL) == 0);
    return rc;
}

static int is_posted_to(void *shutdown)
{
    weft_scope s;
    remote = weft_remote_new();
    token = remote ? weft_token_new(NULL) : NULL;
    posted = post_error = 0;
    int rc = -ENOMEM;
    if (token) {
        weft_scope_init(&s);
        rc = weft_scope_begin(&s);
        if (rc == 0)
            rc = weft_scope_end(&s, wait_for_posts(&s, shutdown != NULL));
    }
    weft_token_unref(token);
    weft_remote_unref(remote);
    if (post_error < 0) return post_error;
    if (rc == 0) EXPECT(posted == 5);
    return rc;
}

static int posts_from_a_thread(void)
{
    return weft_run(is_posted_to, NULL, NULL);
}
WORK(posts_from_a_thread, MAY(0));

/* Main is cancelled, and says so. */
static int a_shutdown_from_a_thread(void)
{
    int rc = weft_run(is_posted_to, &posted, NULL);
    return rc == -ECANCELED ? 0 : rc;
}
WORK(a_shutdown_from_a_thread, MAY(0));

/* ---- several workers ---------------------------------------------------- */

static const weft_run_opts on_three = {.workers = 3};
static int done_anywhere; /* atomic */
static weft_key shared = {.name = "shared", .flags = WEFT_KEY_SHARE_THREADS};

static int does_some(void *arg)
{
    TRY(weft_yield());
    EXPECT(weft_local_get(&shared) == &shared);
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
    return 0;
}

static int spread(weft_nursery *n)
{
    const weft_spawn_opts o = {.worker = WEFT_ANY_WORKER};
    for (int i = 0; i < 12; i++)
        TRY(weft_spawn_ex(n, does_some, &done_anywhere, &o));
    return 0;
}

static int spreads(void *arg)
{
    (void)arg;
    done_anywhere = 0;
    TRY(weft_local_push(&shared, &shared));
    TRY(in_nursery(spread));
    TRY(weft_local_pop(&shared));
    EXPECT(done_anywhere == 12);
    return 0;
}

static int several_workers(void)
{
    return weft_run(spreads, NULL, &on_three);
}
WORK(several_workers, MAY(0));

static int asks_workers(void *arg)
{
    weft_stats all[3];
    (void)arg;
    int n = weft_workers_stats(all, 3);
    TRY(n);
    EXPECT(n == 3);
    int null = open("/dev/null", O_WRONLY);
    weft_dump(null);
    (void)close(null);
    return weft_sleep(WEFT_MSEC(2));
}

static int workers_are_asked(void)
{
    return weft_run(asks_workers, NULL, &on_three);
}
WORK(workers_are_asked, MAY(0));

static weft_chan *crossing;

static int sends_from_afar(void *arg)
{
    int rc = 0;
    for (int i = 1; i <= 20 && rc == 0; i++)
        rc = weft_chan_send(arg, &i);
    weft_chan_sender_done(arg);
    return rc;
}

static int received;

static int receives_all(void)
{
    int item, rc;
    while ((rc = weft_chan_recv(crossing, &item)) > 0)
        received += item;
    return rc;
}

static int send_across(weft_nursery *n)
{
    const weft_spawn_opts away = {.worker = 2};
    weft_chan *sender = weft_chan_sender(crossing);
    if (!sender) return -ENOMEM;
    int err = weft_spawn_ex(n, sends_from_afar, sender, &away);
    if (err < 0) weft_chan_sender_done(sender);
    TRY(err);
    weft_chan_sender_done(crossing);
    return receives_all();
}

static int crosses(void *arg)
{
    (void)arg;
    received = 0;
    crossing = weft_chan_new(sizeof(int), 4, NULL, WEFT_CHAN_MT);
    if (!crossing) return -ENOMEM;
    int rc = in_nursery(send_across);
    weft_chan_free(crossing);
    if (rc == 0) EXPECT(received == 210);
    return rc;
}

static int a_channel_between_workers(void)
{
    return weft_run(crosses, NULL, &on_three);
}
WORK(a_channel_between_workers, MAY(EPIPE));

static int failed_away(void *arg)
{
    (void)arg;
    return weft_fail(-EPROTO, "far away");
}

static int fail_away(weft_nursery *n)
{
    const weft_spawn_opts away = {.worker = 3};
    return weft_spawn_ex(n, failed_away, NULL, &away);
}

static int fails_away(void *arg)
{
    (void)arg;
    int rc = in_nursery(fail_away);
    return rc == -EPROTO ? 0 : rc;
}

static int a_failure_elsewhere(void)
{
    return weft_run(fails_away, NULL, &on_three);
}
WORK(a_failure_elsewhere, MAY(0));

/* ---- a fork ------------------------------------------------------------- */

static int works_a_little(void *arg)
{
    int value = 4;
    (void)arg;
    TRY(weft_blocking(doubles, &value));
    EXPECT(value == 8);
    return 0;
}

/* A run of its own, in the child of a process that has had one. */
static int a_fork_after_a_run(void)
{
    int status = 0;
    TRY(weft_run(works_a_little, NULL, NULL));
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) _exit(-weft_run(works_a_little, NULL, NULL) & 127);
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status));
    return -WEXITSTATUS(status);
}
WORK(a_fork_after_a_run, MAY(0));

/* All that a child of a run can do is to leave. */
static int forks(void *arg)
{
    int status = 0;
    TRY(works_a_little(arg));
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) _exit(3);
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    return 0;
}

static int a_fork_in_a_run(void)
{
    return weft_run(forks, NULL, NULL);
}
WORK(a_fork_in_a_run, MAY(0));
