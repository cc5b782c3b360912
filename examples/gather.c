/* SPDX-License-Identifier: MIT */
/*
 * gather - several fetches at once: the results in order, and what becomes of
 * the others when one fails.
 */
#include <weft.h>

#include <stdio.h>

enum { PAGES = 3 };

/* A page somewhere in the world; no octets: it is not there. */
struct page {
    const char *name;
    weft_time away;
    int octets;
};

/* Stands for connecting, asking and reading: it waits, and so it can be told
 * to stop. Then it leaves as after any failure, with nothing left open. */
static int fetch(void *arg)
{
    const struct page *p = arg;
    int err = weft_sleep(p->away);
    if (err < 0) return err;
    if (p->octets == 0)
        return weft_fail(-ENOENT, "there is no page %s", p->name);
    return p->octets;
}

static void report(const weft_job *j)
{
    const struct page *p = j->arg;
    printf("    %-5s ", p->name);
    if (!j->started)
        puts("was not asked for");
    else if (j->status == WEFT_CANCELLED)
        printf("was stopped after %d ms\n", (int)(j->took / WEFT_MSEC(1)));
    else if (j->status == WEFT_FAILED)
        printf("failed: %s\n", weft_strerror(j->rc));
    else
        printf("has %d octets\n", j->rc);
}

/* Whatever the result, all jobs have ended here: the pages may be locals. */
static int fetch_all(const char *how, struct page *pages,
                     const weft_gather_opts *o)
{
    weft_job jobs[PAGES] = {0};
    weft_time start = weft_now();
    for (size_t i = 0; i < PAGES; i++)
        jobs[i] = (weft_job){.fn = fetch, .arg = &pages[i]};

    int rc = weft_gather(jobs, PAGES, o);
    printf("%s: %s, after %d ms\n", how, rc < 0 ? weft_strerror(rc) : "well",
           (int)((weft_now() - start) / WEFT_MSEC(1)));
    for (size_t i = 0; i < PAGES; i++)
        report(&jobs[i]);
    return rc;
}

static int start(void *arg)
{
    struct page good[PAGES] = {{"index", WEFT_MSEC(300), 5120},
                               {"style", WEFT_MSEC(100), 740},
                               {"logo", WEFT_MSEC(200), 9300}};
    struct page bad[PAGES] = {{"index", WEFT_MSEC(300), 5120},
                              {"stile", WEFT_MSEC(100), 0},
                              {"logo", WEFT_MSEC(200), 9300}};
    const weft_gather_opts in_turn = {.limit = 1};
    const weft_gather_opts collect = {.policy = WEFT_COLLECT};
    (void)arg;

    int rc = fetch_all("at once", good, NULL);
    if (rc < 0) return rc;
    rc = fetch_all("one at a time", good, &in_turn);
    if (rc < 0) return rc;

    /* Who needs all of it has no use for the rest once a part is missing. */
    rc = fetch_all("one is missing", bad, NULL);
    if (rc != -ENOENT) return rc;
    rc = fetch_all("one at a time, one is missing", bad, &in_turn);
    if (rc != -ENOENT) return rc;

    /* Who can do with a part collects: the failure stays in its job. */
    return fetch_all("as much as there is", bad, &collect);
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
