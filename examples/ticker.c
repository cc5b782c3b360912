/* SPDX-License-Identifier: MIT */
/*
 * ticker - follows a log: every second it prints what is new. Reading takes
 * time, once a lot of it, and the seconds stay where they are.
 */
#include <weft.h>

#include <stdio.h>

/* Stands for a file that others write to. */
struct log {
    weft_time began;
    int seen; /* lines that have been read */
};

static const struct {
    int at; /* milliseconds */
    const char *text;
} lines[] = {{400, "up"},       {1900, "first guest"},   {2100, "second guest"},
             {2150, "a crowd"}, {5600, "all have gone"}, {7900, "down"}};

enum { LINES = sizeof lines / sizeof *lines };

static int since(const struct log *l)
{
    return (int)((weft_now() - l->began) / WEFT_MSEC(1));
}

/* A crowd takes long to be written down. */
static int read_new(struct log *l)
{
    int now = since(l), err = weft_sleep(WEFT_MSEC(30));
    while (err == 0 && l->seen < LINES && lines[l->seen].at <= now) {
        int i = l->seen++;
        printf("            %s\n", lines[i].text);
        if (lines[i].at == 2150) err = weft_sleep(WEFT_MSEC(2500));
    }
    return err;
}

/* The second begins when it begins, not when the last reading has ended: thirty
 * milliseconds of work each time would have made up a second after half a
 * minute. */
static int follow(weft_tick_policy policy)
{
    struct log l = {.began = weft_now()};
    weft_ticker t;
    int rc = weft_ticker_init(&t, WEFT_SEC(1), policy);
    while (rc == 0 && l.seen < LINES) {
        rc = weft_ticker_wait(&t);
        if (rc < 0) break;
        printf("    %4d ms%s\n", since(&l), rc > 1 ? ", late" : "");
        if (rc > 1) printf("            (%d readings left out)\n", rc - 1);
        rc = read_new(&l);
    }
    return rc;
}

static int start(void *arg)
{
    (void)arg;
    puts("what was missed is left out");
    int rc = follow(WEFT_TICK_SKIP);
    if (rc < 0) return rc;
    puts("what was missed is made up for");
    rc = follow(WEFT_TICK_BURST);
    if (rc < 0) return rc;
    puts("after a late one there is a whole second");
    return follow(WEFT_TICK_DELAY);
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
