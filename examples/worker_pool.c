/* SPDX-License-Identifier: MIT */
/*
 * worker_pool - three workers, eight jobs, a channel between.
 */
#include <weft.h>

#include <stdio.h>

enum { WORKERS = 3, JOBS = 8, ROOM = 2 };

struct job {
    int number;
    int result;
    const char *worker;
};

/* Squares a number, which takes as many milliseconds; 13 brings bad luck, and
 * what is negative takes for ever. */
static int square(void *arg)
{
    struct job *j = arg;
    int n = j->number;
    int err = weft_sleep(n < 0 ? WEFT_FOREVER : WEFT_MSEC(n));
    if (err < 0) return err;
    if (n == 13) return weft_fail(-EINVAL, "nobody squares %d", n);
    return n * n;
}

/* A failure of a job is a result, and stays with the job. Returned from here it
 * would be the worker's, and end the pool. Should the pool be cancelled, then
 * the next receive says so. */
static int work(void *arg)
{
    weft_chan *jobs = arg;
    struct job *j;
    int err;
    while ((err = weft_chan_recv(jobs, &j)) == 1) {
        j->worker = weft_fiber_name();
        j->result = weft_with_timeout(WEFT_MSEC(50), square, j);
    }
    printf("%s goes home\n", weft_fiber_name());
    return err;
}

static int run_pool(weft_chan *jobs, struct job *all)
{
    static const char *const names[WORKERS] = {"ann", "bob", "cat"};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < WORKERS && rc == 0; i++) {
            const weft_spawn_opts o = {.name = names[i]};
            rc = weft_spawn_ex(&n, work, jobs, &o);
        }
        /* A full channel makes the sender wait: the jobs may come from a
         * source without an end, and there are never more than a few here. */
        for (size_t i = 0; i < JOBS && rc == 0; i++) {
            struct job *j = &all[i];
            rc = weft_chan_send(jobs, &j);
        }
        printf("all jobs are sent, %zu of them not begun\n",
               weft_chan_length(jobs));
        /* What is inside is still received, and then each worker reads the end:
         * there is no last job to be made up, and no workers to be counted. */
        weft_chan_close(jobs);
    }
    puts("the pool is closed");
    return rc;
}

static int start(void *arg)
{
    struct job all[JOBS] = {{.number = 4}, {.number = 9},  {.number = 13},
                            {.number = 2}, {.number = -1}, {.number = 7},
                            {.number = 1}, {.number = 20}};
    (void)arg;
    weft_chan *jobs = weft_chan_new(sizeof(struct job *), ROOM, NULL, 0);
    if (!jobs) return -ENOMEM;
    int rc = run_pool(jobs, all);
    weft_chan_free(jobs);
    for (size_t i = 0; i < JOBS && rc == 0; i++) {
        struct job *j = &all[i];
        printf("%s: %d squared is ", j->worker, j->number);
        if (j->result < 0)
            printf("not known: %s\n", weft_strerror(j->result));
        else
            printf("%d\n", j->result);
    }
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
