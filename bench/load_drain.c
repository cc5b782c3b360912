/* SPDX-License-Identifier: MIT */
/*
 * load_drain - stops an HTTP server under load and counts what it lost.
 *
 *     http_server 127.0.0.1:8080 &
 *     load_drain 127.0.0.1:8080 $! --conns 64
 *
 * Keeps one request outstanding on each of N keep-alive connections (every
 * other one sends it in two pieces) and sends the server SIGTERM meanwhile. A
 * request is lost when it went out on a connection and no whole answer came
 * back; a connection ends with an answer that says "Connection: close", and
 * the next one must be refused.
 *
 * With --backlog the server is stopped (SIGSTOP) while the connections are
 * made and the requests sent, so that it finds SIGTERM and a full backlog at
 * the same time.
 *
 * With --churn each request has a connection of its own. Some may be lost then:
 * a connection that the kernel completes between the last accept and the close
 * of the listener is reset by the kernel, and no server can help it.
 *
 * Ends with 0 when nothing was lost, 1 when something was, 2 when misused.
 */
#include <weft.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_BYTES = 1024, BODY_BYTES = 4096 };

static struct {
    const char *address;
    pid_t server;
    unsigned conns;
    weft_time after; /* of load, before SIGTERM */
    bool backlog, churn;
} opts = {.conns = 64, .after = WEFT_MSEC(100)};

static struct {
    unsigned long sent, answered, ended, refused, lost;
    int why; /* how the first one was lost */
} tally;

struct client {
    bool in_pieces;
    weft_sem *ready; /* --backlog: the request is out */
};

/* ---- a request and its answer ------------------------------------------- */

static int send_request(weft_stream *s, bool in_pieces)
{
    const char *text = opts.churn ? "GET / HTTP/1.1\r\nHost: localhost\r\n"
                                    "Connection: close\r\n\r\n"
                                  : "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t len = strlen(text), first = in_pieces ? len / 2 : len;
    int err = weft_stream_write(s, text, first);
    if (err == 0) err = weft_stream_flush(s);
    if (err == 0 && in_pieces) {
        err = weft_sleep(WEFT_MSEC(20));
        if (err == 0) err = weft_stream_write(s, text + first, len - first);
        if (err == 0) err = weft_stream_flush(s);
    }
    return err;
}

static bool begins(const char *line, ssize_t len, const char *with)
{
    size_t n = strlen(with);
    return (size_t)len >= n && strncasecmp(line, with, n) == 0;
}

/* A whole answer: 0, or an error; *ret_last when it is the last one. */
static int read_answer(weft_stream *s, bool *ret_last)
{
    static const char length[] = "Content-Length:";
    const char *line;
    char body[BODY_BYTES];
    size_t body_len = sizeof body + 1;
    bool last = false;
    ssize_t n = weft_stream_read_until(s, '\n', LINE_BYTES, &line);
    if (n <= 0) return n < 0 ? (int)n : -EPIPE;
    if (!begins(line, n, "HTTP/1.1 200 ")) return -EPROTO;
    while ((n = weft_stream_read_until(s, '\n', LINE_BYTES, &line)) > 2) {
        if (begins(line, n, "Connection: close")) last = true;
        if (begins(line, n, length))
            body_len = strtoul(line + sizeof length - 1, NULL, 10);
    }
    if (n <= 0) return n < 0 ? (int)n : -EPIPE;
    if (body_len > sizeof body) return -EPROTO;
    int err = weft_stream_read_exact(s, body, body_len);
    if (err == 0) *ret_last = last;
    return err;
}

/* Asks until the server has given its last answer. */
static int ask(weft_stream *s, const struct client *me)
{
    bool last = false;
    while (!last) {
        int err = send_request(s, me->in_pieces);
        tally.sent++;
        if (me->ready) weft_sem_release(me->ready, 1);
        if (err == 0) err = read_answer(s, &last);
        if (err < 0) return err;
        tally.answered++;
    }
    return 0;
}

static int client(void *arg)
{
    const struct client *me = arg;
    for (;;) {
        weft_stream s;
        weft_fd fd;
        int err = weft_dial(&fd, opts.address);
        if (err == -ECONNREFUSED || err == -ECONNRESET) {
            tally.refused++;
            return 0;
        }
        if (err < 0) return err;
        weft_stream_init(&s, fd);
        err = ask(&s, me);
        weft_stream_fini(&s);
        weft_close(fd);
        if (err == 0) {
            tally.ended++;
        } else if (tally.lost++ == 0) {
            tally.why = err;
        }
        if (err == -ECANCELED) return err;
    }
}

/* ---- the whole ---------------------------------------------------------- */

static int load(void)
{
    struct client kinds[2] = {{.in_pieces = false}, {.in_pieces = true}};
    weft_sem ready;
    int rc;
    weft_sem_init(&ready, 0, 0);
    if (opts.backlog) {
        kinds[0].ready = &ready;
        kinds[1] = kinds[0];
        if (kill(opts.server, SIGSTOP) < 0) return -errno;
    }
    WEFT_NURSERY(n, rc) {
        for (unsigned i = 0; i < opts.conns && rc == 0; i++)
            rc = weft_spawn(&n, client, &kinds[i % 2]);
        if (rc == 0) {
            rc = opts.backlog ? weft_sem_acquire(&ready, opts.conns)
                              : weft_sleep(opts.after);
        }
        if (kill(opts.server, SIGTERM) < 0 && rc == 0) rc = -errno;
        if (opts.backlog) (void)kill(opts.server, SIGCONT);
    }
    return rc;
}

static int start(void *unused)
{
    int rc;
    (void)unused;
    WEFT_FAIL_AFTER(rc, opts.after + WEFT_SEC(10)) {
        rc = load();
    }
    return rc;
}

static bool read_args(int argc, char **argv)
{
    if (argc < 3) return false;
    opts.address = argv[1];
    opts.server = (pid_t)strtol(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--backlog") == 0) {
            opts.backlog = true;
        } else if (strcmp(argv[i], "--churn") == 0) {
            opts.churn = true;
        } else if (strcmp(argv[i], "--conns") == 0 && i + 1 < argc) {
            opts.conns = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--after") == 0 && i + 1 < argc) {
            opts.after = WEFT_MSEC(strtol(argv[++i], NULL, 10));
        } else {
            return false;
        }
    }
    return opts.server > 1 && opts.conns > 0;
}

int main(int argc, char **argv)
{
    if (!read_args(argc, argv)) {
        fprintf(stderr, "usage: %s HOST:PORT PID [--conns N] [--after MS] "
                        "[--backlog] [--churn]\n", argv[0]);
        return 2;
    }
    int rc = weft_run(start, NULL, NULL);
    if (rc < 0) weft_error_print(2, rc);
    printf("%lu sent, %lu answered, %lu lost", tally.sent, tally.answered,
           tally.lost);
    if (tally.lost > 0) printf(" (%s)", weft_strerror(tally.why));
    printf("; %lu connections ended in order, %lu refused\n", tally.ended,
           tally.refused);
    return rc < 0 || tally.lost > 0 || tally.answered == 0 ||
           tally.answered != tally.sent;
}
