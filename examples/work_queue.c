/* SPDX-License-Identifier: MIT */
/*
 * work_queue - letters that two clerks write. One letter cannot be written,
 * which holds up nobody. In the evening what has been brought is still done; in
 * a fire it is counted.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>

enum { CLERKS = 2 };

static weft_time opened;

static void say(const char *what)
{
    printf("%2d min  %s\n", (int)((weft_now() - opened) / WEFT_SEC(60)), what);
}

/* On the heap, for it outlives who brings it. */
struct letter {
    const char *to;
    int pages;
};

static int write_letter(void *arg)
{
    const struct letter *l = arg;
    int err = weft_sleep(l->pages * WEFT_SEC(60));
    if (err < 0) return err;
    if (l->pages == 0) return weft_fail(-EINVAL, "nothing to say to %s", l->to);
    say(l->to);
    return 0;
}

static void file_complaint(int code, const weft_error *e, void *arg, void *user)
{
    (void)arg;
    (void)user;
    printf("        (%s: %s)\n", e->msg, weft_strerror(code));
}

static int letters; /* that somebody has to free */

static void throw_away(void *arg)
{
    free(arg);
    letters--;
}

/* From here on it is the queue's, which calls throw_away for it once, written
 * or not. If it was not taken it is still ours. */
static int bring(weft_workqueue *office, const char *to, int pages)
{
    struct letter *l = malloc(sizeof *l);
    if (!l) return -ENOMEM;
    *l = (struct letter){to, pages};
    letters++;
    int err = weft_workqueue_add(office, write_letter, l, throw_away);
    if (err < 0) throw_away(l);
    return err;
}

static int bring_all(weft_workqueue *office)
{
    static const struct letter all[] = {{"Ann", 2}, {"Bob", 1}, {"Cid", 0},
                                        {"Dan", 1}, {"Eve", 3}, {"Flo", 1},
                                        {"Gus", 2}};
    int rc = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all && rc == 0; i++)
        rc = bring(office, all[i].to, all[i].pages);
    say("all letters have been brought");
    return rc;
}

static void close_office(weft_workqueue *office, weft_stop_mode mode)
{
    weft_workqueue_stats s;
    int left = weft_workqueue_stop(office, mode);
    say("the office is closed");
    weft_workqueue_stats_read(office, &s);
    printf("        written: %d, impossible: %d, left: %d\n",
           (int)(s.done - s.failed), (int)s.failed, left);
    if (bring(office, "Zoe", 1) == -ESHUTDOWN) say("too late for Zoe");
    printf("        letters lying about: %d\n", letters);
}

/* The queue keeps four letters, so who brings a fifth waits. */
static int day(weft_stop_mode end, bool wait)
{
    const weft_workqueue_opts o = {.name = "clerk",
                                   .workers = CLERKS,
                                   .capacity = 4,
                                   .on_failure = file_complaint};
    weft_workqueue office;
    int rc;
    opened = weft_now();
    WEFT_NURSERY(n, rc) {
        rc = weft_workqueue_open(&office, &n, &o);
        if (rc < 0) break;
        rc = bring_all(&office);
        if (rc == 0 && wait) {
            rc = weft_workqueue_join(&office);
            say("nothing is left to do");
        }
        close_office(&office, end);
    }
    return rc;
}

static int start(void *arg)
{
    (void)arg;
    puts("a day on which one waits for the letters");
    int rc = day(WEFT_DRAIN, true);
    if (rc < 0) return rc;
    puts("a day that ends when the last has been brought");
    rc = day(WEFT_DRAIN, false);
    if (rc < 0) return rc;
    puts("a fire");
    return day(WEFT_DISCARD, false);
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
