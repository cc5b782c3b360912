/* SPDX-License-Identifier: MIT */
/*
 * race - three mirrors are asked for a file, and the first one to have it wins.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>

enum { MIRRORS = 3, FILE_SIZE = 4096 };

struct mirror {
    const char *name;
    weft_time away;
    bool has_it;
    char *file; /* what a download that succeeded has left here */
};

static int buffers; /* allocated now */

static void free_file(char *file)
{
    free(file);
    buffers--;
}

/* Until it has succeeded it owns the buffer, and frees it on its way out. That
 * it has lost the race is one way out of several and needs no code. */
static int download(void *arg)
{
    struct mirror *m = arg;
    char *file = malloc(FILE_SIZE);
    if (!file) return -ENOMEM;
    buffers++;
    int err = weft_sleep(m->away);
    if (err == 0 && !m->has_it) err = weft_fail(-ENOENT, "not at %s", m->name);
    if (err < 0) {
        free_file(file);
        return err;
    }
    m->file = file;
    return 0;
}

/* Two may be done in the same moment. What is done is not undone, so the one
 * that came second has something that nobody will use. */
static void throw_away(void *arg)
{
    struct mirror *m = arg;
    free_file(m->file);
    m->file = NULL;
}

/* That nobody has the file is an answer; only another failure is returned. */
static int fetch(const char *what, struct mirror *mirrors)
{
    weft_job jobs[MIRRORS];
    for (size_t i = 0; i < MIRRORS; i++)
        jobs[i] = (weft_job){
            .fn = download, .arg = &mirrors[i], .discard = throw_away};

    weft_time start = weft_now();
    int winner = weft_race(jobs, MIRRORS, WEFT_RACE_OK);
    if (winner < 0 && winner != -ENOENT) return winner;

    printf("%s: after %d ms, buffers in use: %d\n", what,
           (int)((weft_now() - start) / WEFT_MSEC(1)), buffers);
    for (int i = 0; i < MIRRORS; i++) {
        const char *how = jobs[i].rc < 0 ? weft_strerror(jobs[i].rc)
                                         : "in vain, and thrown away";
        printf("    %s: %s\n", mirrors[i].name, i == winner ? "won" : how);
    }
    if (winner >= 0) free_file(mirrors[winner].file);
    return 0;
}

static int start(void *arg)
{
    struct mirror plain[] = {{.name = "oslo", WEFT_MSEC(300), true},
                             {.name = "bern", WEFT_MSEC(100), true},
                             {.name = "lima", WEFT_MSEC(900), true}};
    struct mirror tied[] = {{.name = "oslo", WEFT_MSEC(100), true},
                            {.name = "bern", WEFT_MSEC(100), true},
                            {.name = "lima", WEFT_MSEC(900), true}};
    struct mirror stale[] = {{.name = "oslo", WEFT_MSEC(300), true},
                             {.name = "bern", WEFT_MSEC(100), false},
                             {.name = "lima", WEFT_MSEC(900), true}};
    struct mirror gone[] = {{.name = "oslo", WEFT_MSEC(300), false},
                            {.name = "bern", WEFT_MSEC(100), false},
                            {.name = "lima", WEFT_MSEC(900), false}};
    (void)arg;
    int rc = fetch("the nearest wins", plain);
    if (rc == 0) rc = fetch("two at the same moment", tied);
    if (rc == 0) rc = fetch("the nearest does not have it", stale);
    if (rc == 0) rc = fetch("none has it", gone);
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
