/* SPDX-License-Identifier: MIT */
/*
 * subprocess - other programs: one that is given input and asked for output,
 * one that is talked to, one that takes too long, and one that does not exist.
 */
#include <weft.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void say_how(const char *what, int ended)
{
    int signo = weft_process_signal(ended);
    if (ended < 0)
        printf("%s: %s\n", what, weft_strerror(ended));
    else if (signo)
        printf("%s: ended by %s\n", what, strsignal(signo));
    else
        printf("%s: exit code %d\n", what, ended);
}

/* The plain case: input in, output out, and how it went. */
static int sort_words(void)
{
    static const char words[] = "warp\nshed\nweft\nwarp\nreed\n";
    const weft_process_opts o = {.argv = WEFT_ARGV("sort", "-u")};
    char text[256];
    weft_capture out = {.buf = text, .room = sizeof text};
    int rc = weft_process_run(&o, words, strlen(words), &out, NULL);
    if (rc == 0) printf("%s", text);
    say_how("sort", rc);
    return rc < 0 ? rc : 0;
}

/* A question at a time. Whatever happens on the way, close ends the program and
 * frees what there is of it. */
static int ask(weft_process *p, const char *question)
{
    weft_stream answers;
    const char *line;
    int err = weft_write_all(p->in, question, strlen(question), NULL);
    if (err < 0) return err;
    weft_stream_init(&answers, p->out);
    ssize_t n = weft_stream_read_until(&answers, '\n', 256, &line);
    if (n > 0) printf("%.*s", (int)n, line);
    weft_stream_fini(&answers);
    return n < 0 ? (int)n : 0;
}

static int talk(void)
{
    const weft_process_opts o = {
        .argv = WEFT_ARGV("sh", "-c",
                          "while read a b; do echo $a and $b are $((a + b)); "
                          "done"),
        .in = {WEFT_IO_PIPE, 0},
        .out = {WEFT_IO_PIPE, 0},
    };
    weft_process p;
    int rc = weft_process_start(&p, &o);
    if (rc < 0) return rc;
    rc = ask(&p, "1 2\n");
    if (rc == 0) rc = ask(&p, "30 40\n");
    if (rc == 0) rc = weft_close(p.in); /* it sees the end of its input */
    if (rc == 0) rc = weft_process_wait(&p);
    say_how("sh", rc);
    (void)weft_process_close(&p);
    return rc < 0 ? rc : 0;
}

/* A deadline ends the program too: with SIGTERM, and had it not listened to
 * that for a second, with SIGKILL. */
static int lose_patience(void)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("sleep", "60"),
                                 .grace = WEFT_SEC(1)};
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(50)) {
        rc = weft_process_run(&o, NULL, 0, NULL, NULL);
    }
    say_how("sleep", rc);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int look_in_vain(void)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("/no/such/program")};
    int rc = weft_process_run(&o, NULL, 0, NULL, NULL);
    if (rc < 0) printf("%s: %s\n", weft_last_error()->msg, weft_strerror(rc));
    return rc == -ENOENT ? 0 : rc;
}

static int start(void *arg)
{
    int (*const steps[])(void) = {sort_words, talk, lose_patience,
                                  look_in_vain};
    (void)arg;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int rc = steps[i]();
        if (rc < 0) return rc;
    }
    return 0;
}

int main(void)
{
    return weft_run(start, NULL, NULL) < 0;
}
