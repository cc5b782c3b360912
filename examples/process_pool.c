/* SPDX-License-Identifier: MIT */
/*
 * process_pool - three processes as workers, for code that may crash: what it
 * takes down with it is one job, and a new worker takes the next.
 *
 * The workers are this program again, called with the word `worker`. A fiber
 * looks after each of them: it gives it a job, waits for the answer, and puts a
 * new one in its place when there is none.
 */
#include <weft.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a worker: a line in, a line out ------------------------------------ */

static int primes_below(int limit)
{
    int found = 0;
    for (int n = 2; n < limit; n++) {
        int d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        found += d * d > n;
    }
    return found;
}

static int be_a_worker(void)
{
    char line[32];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        int limit = atoi(line);
        if (limit == 13) (void)raise(SIGKILL); /* stands for a crash, */
        while (limit < 0)
            (void)pause(); /* and this for a loop without an end */
        printf("%d\n", primes_below(limit));
    }
    return 0; /* nobody wants anything any more */
}

/* ---- the other end of one ----------------------------------------------- */

enum { WORKERS = 3, ROOM = 2 };

#define PATIENCE WEFT_MSEC(500) /* with one job */

struct worker {
    weft_process process;
    weft_stream answers;
};

static const char *program;
static int hired, sent_home;

/* The next line that it says, which is a number or its first word. */
static int listen_to(struct worker *w, int *ret_number)
{
    const char *line;
    ssize_t n = weft_stream_read_until(&w->answers, '\n', 32, &line);
    if (n < 0) return (int)n;
    if (n == 0 || line[n - 1] != '\n') return -EPIPE; /* it has ended */
    *ret_number = atoi(line);
    return 0;
}

/* Whatever it is at. Returns how it ended. */
static int dismiss(struct worker *w)
{
    weft_stream_fini(&w->answers);
    return weft_process_close(&w->process);
}

/* A job's time does not count before it is ready. On an error too it is to be
 * dismissed. */
static int hire(struct worker *w)
{
    const weft_process_opts o = {
        .argv = WEFT_ARGV(program, "worker"),
        .in = {WEFT_IO_PIPE, 0},
        .out = {WEFT_IO_PIPE, 0},
    };
    int ready, rc = weft_process_start(&w->process, &o);
    if (rc < 0) return rc;
    weft_stream_init(&w->answers, w->process.out);
    rc = listen_to(w, &ready);
    hired += rc == 0;
    return rc;
}

/* It sees the end of its input, and ends. */
static int send_home(struct worker *w)
{
    int rc = weft_close(w->process.in);
    if (rc == 0) rc = weft_process_wait(&w->process);
    sent_home += rc == 0;
    (void)dismiss(w);
    return rc;
}

/* ---- jobs --------------------------------------------------------------- */

struct job {
    int below;
    int primes;
    int error;  /* why it is not known; 0: it is */
    int killer; /* the signal that ended its worker, or 0 */
};

static int ask(struct worker *w, struct job *j)
{
    char line[32];
    int n = snprintf(line, sizeof line, "%d\n", j->below);
    int rc = weft_write_all(w->process.in, line, (size_t)n, NULL);
    return rc < 0 ? rc : listen_to(w, &j->primes);
}

/* A worker that has not answered is of no use for the next job: it is dead, or
 * still at this one. What is returned is not the failure of the job. */
static int do_job(struct worker *w, struct job *j)
{
    WEFT_FAIL_AFTER(j->error, PATIENCE) {
        j->error = ask(w, j);
    }
    if (j->error == 0 || j->error == -ECANCELED) return j->error;
    int ended = dismiss(w);
    if (j->error != -ETIMEDOUT) j->killer = weft_process_signal(ended);
    return hire(w);
}

static int look_after_a_worker(void *arg)
{
    weft_chan *jobs = arg;
    struct job *j;
    struct worker w = {0};
    int rc = hire(&w);
    while (rc == 0 && (rc = weft_chan_recv(jobs, &j)) == 1)
        rc = do_job(&w, j);
    if (rc == 0) return send_home(&w);
    (void)dismiss(&w);
    return rc;
}

static int run_pool(weft_chan *queue, struct job *jobs, size_t count)
{
    int rc = 0;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < WORKERS && rc == 0; i++)
            rc = weft_spawn(&n, look_after_a_worker, queue);
        for (struct job *j = jobs; j < jobs + count && rc == 0; j++)
            rc = weft_chan_send(queue, &j);
        weft_chan_close(queue);
    }
    return rc;
}

static void show(const struct job *j)
{
    if (j->error == 0)
        printf("%d primes below %d\n", j->primes, j->below);
    else
        printf("primes below %d: %s\n", j->below,
               j->killer ? strsignal(j->killer) : weft_strerror(j->error));
}

static int start(void *arg)
{
    struct job jobs[] = {{.below = 10},   {.below = 13},    {.below = 100},
                         {.below = -1},   {.below = 1000},  {.below = 13},
                         {.below = 5000}, {.below = 10000}, {.below = 20000}};
    enum { JOBS = sizeof jobs / sizeof *jobs };
    (void)arg;
    weft_chan *queue = weft_chan_new(sizeof(struct job *), ROOM, NULL, 0);
    if (!queue) return -ENOMEM;
    int rc = run_pool(queue, jobs, JOBS);
    weft_chan_free(queue);
    for (int i = 0; i < JOBS && rc == 0; i++)
        show(&jobs[i]);
    if (rc < 0) weft_error_print(2, rc);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0) return be_a_worker();
    program = argv[0];
    int rc = weft_run(start, NULL, NULL);
    printf("%d workers were hired, %d sent home, %s left behind\n", hired,
           sent_home, waitpid(-1, NULL, WNOHANG) < 0 ? "none" : "some");
    return rc < 0;
}
