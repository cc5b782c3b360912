/* SPDX-License-Identifier: MIT */
/*
 * load_slow - clients that take their time, against an HTTP server.
 *
 *     load_slow [--server PROGRAM] [--conns 1000]
 *
 * Starts examples/http_echo and comes with so many clients of each kind at
 * once: one sends its head octet by octet, a second apart, one its body; one
 * never reads its replies; one says nothing. All of them have to be gone 30
 * seconds later, who is slow with a head after 11; the server's descriptors are
 * counted, as a client that does not read does not see everything. Meanwhile
 * others ask as one should, each 20 ms, on a connection that they keep or on
 * one for each request, and are all to be served.
 *
 * Takes some 35 seconds. Each check has a line, "ok" or "FAIL"; the last line
 * has the totals, and the status is 1 if a check failed.
 */
#include <weft.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "guest.h"
#include "harness.h"
#include "histogram.h"

enum { HEAD, BODY, UNREAD, MUTE, KINDS };
enum { MAX_CONNS = 4000, HONEST = 20, TARGET = 8000 };

static const char *const kinds[KINDS] = {"slow heads", "slow bodies",
                                         "replies unread", "mute"};
static const weft_time patience[KINDS] = {WEFT_SEC(11), WEFT_SEC(30),
                                          WEFT_SEC(30), WEFT_SEC(30)};

static const char slow_head[] = "GET / HTTP/1.1\r\nHost: here\r\nSlow: ";
static const char slow_body[] =
    "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n";
static char large_request[TARGET + 64]; /* and as large a reply */

struct guest {
    int kind;
    weft_time held; /* until it has seen the end; 0: it has not */
    bool told;      /* by a reply, before the end */
    int err;        /* could not be a burden at all */
};

static struct child server;
static struct guest guests[KINDS * MAX_CONNS];
static unsigned conns = 1000;

static bool honest_stop;
static unsigned long honest_asked, honest_failed;
static int honest_error; /* the first */
static struct histogram latency;

static unsigned passed, failed;

static void verdict(bool ok, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void verdict(bool ok, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s ", ok ? "ok  " : "FAIL");
    (void)vprintf(format, args);
    printf("\n");
    va_end(args);
    ok ? passed++ : failed++;
}

static int dial(weft_fd *ret_fd, bool narrow)
{
    int fd = guest_connect(&server.address, narrow);
    if (fd < 0) return fd;
    int err = weft_fd_adopt(fd, ret_fd);
    if (err < 0) weft_close_released(fd);
    return err;
}

/* ---- a burden ------------------------------------------------------------ */

/* Whole requests until no more go: then the server waits to send. */
static int ask_without_reading(weft_fd fd)
{
    size_t len = strlen(large_request);
    for (;;) {
        int err = 0;
        size_t done = 0;
        WEFT_MOVE_ON_AFTER(err, WEFT_SEC(1)) {
            err = weft_write_all(fd, large_request, len, &done);
        }
        if (err < 0 || done < len) return err;
    }
}

static int begin(const struct guest *g, weft_fd fd)
{
    switch (g->kind) {
    case HEAD:
        return weft_write_all(fd, slow_head, sizeof slow_head - 1, NULL);
    case BODY:
        return weft_write_all(fd, slow_body, sizeof slow_body - 1, NULL);
    case UNREAD:
        return ask_without_reading(fd);
    default:
        return 0;
    }
}

/* One second of it: 0, or an error; *ret_end when the server has ended it. */
static int go_on(struct guest *g, weft_fd fd, bool *ret_end)
{
    char octets[512];
    int err = 0;
    WEFT_MOVE_ON_AFTER(err, WEFT_SEC(1)) {
        ssize_t n = 0;
        if (g->kind == UNREAD) {
            err = weft_sleep(WEFT_FOREVER);
        } else {
            while ((n = weft_read(fd, octets, sizeof octets)) > 0)
                g->told = true;
            *ret_end = n != -ECANCELED;
            err = n == -ECANCELED ? (int)n : 0;
        }
    }
    if (err < 0 || *ret_end || g->kind == MUTE) return err;
    ssize_t n = weft_try_write(fd, "x", 1);
    *ret_end = n < 0 && n != -EAGAIN;
    return 0;
}

static int be_a_burden(void *arg)
{
    struct guest *g = arg;
    weft_fd fd;
    bool end = false;
    weft_time from = weft_now();
    g->err = dial(&fd, g->kind == UNREAD);
    if (g->err < 0) return 0;
    int err = begin(g, fd);
    while (err == 0 && !end)
        err = go_on(g, fd, &end);
    if (err != -ECANCELED) g->held = weft_now() - from;
    weft_close(fd);
    return 0;
}

/* ---- honest clients ------------------------------------------------------ */

/* The reply has a length; it is read and dropped. */
static int read_reply(weft_stream *s)
{
    static const char field[] = "\r\nContent-Length: ";
    const char *head;
    char text[1024];
    ssize_t n = weft_stream_read_until_text(s, "\r\n\r\n", sizeof text, &head);
    if (n <= 0) return n < 0 ? (int)n : -EPIPE;
    memcpy(text, head, (size_t)n);
    text[n - 1] = '\0';
    const char *length = strstr(text, field);
    if (strncmp(text, "HTTP/1.1 200 ", 13) != 0 || !length) return -EPROTO;
    return weft_stream_skip(s, strtoul(length + sizeof field - 1, NULL, 10),
                            NULL);
}

static int ask(weft_stream *s)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
    int err = weft_stream_write(s, text, sizeof text - 1);
    return err < 0 ? err : read_reply(s);
}

/* One request, on *s if that is connected. */
static int ask_well(weft_stream *s, bool *connected)
{
    weft_fd fd;
    int err = *connected ? 0 : dial(&fd, false);
    if (err < 0) return err;
    if (!*connected) weft_stream_init(s, fd);
    *connected = true;
    return ask(s);
}

static void hang_up(weft_stream *s)
{
    weft_fd fd = weft_stream_fd(s);
    weft_stream_fini(s);
    weft_close(fd);
}

static int be_honest(void *arg)
{
    bool keep = *(const bool *)arg, connected = false;
    weft_stream s = {0};
    int rc = 0;
    while (!honest_stop && rc != -ECANCELED) {
        weft_time from = weft_now();
        rc = 0;
        WEFT_FAIL_AFTER(rc, WEFT_SEC(10))
            rc = ask_well(&s, &connected);
        histogram_add(&latency, weft_now() - from);
        honest_asked++;
        if (rc < 0 && honest_failed++ == 0) honest_error = rc;
        if (connected && (rc < 0 || !keep)) {
            hang_up(&s);
            connected = false;
        }
        if (rc != -ECANCELED) rc = weft_sleep(WEFT_MSEC(20));
    }
    if (connected) hang_up(&s);
    return rc;
}

static int start_honest(weft_nursery *n)
{
    static const bool keep[2] = {true, false};
    int rc = 0;
    for (unsigned i = 0; i < HONEST && rc == 0; i++)
        rc = weft_spawn(n, be_honest, (void *)(uintptr_t)&keep[i % 2]);
    return rc;
}

/* ---- the whole ----------------------------------------------------------- */

static double p99_ms(void)
{
    return histogram_percentile(&latency, 0.99) / 1e6;
}

static int while_all_is_well(double *ret_p99)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = start_honest(&n);
        if (rc == 0) rc = weft_sleep(WEFT_SEC(2));
        honest_stop = true;
    }
    *ret_p99 = p99_ms();
    latency = (struct histogram){0};
    honest_stop = false;
    return rc;
}

static int all_at_once(weft_nursery *burdens, unsigned usual,
                       unsigned *ret_held)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = start_honest(&n);
        for (unsigned i = 0; i < KINDS * conns && rc == 0; i++) {
            guests[i].kind = (int)(i % KINDS);
            rc = weft_spawn(burdens, be_a_burden, &guests[i]);
        }
        if (rc == 0) rc = weft_sleep(WEFT_SEC(5));
        printf("5 s later it holds %u\n",
               guest_descriptors(server.pid) - usual);
        if (rc == 0) rc = weft_sleep(WEFT_SEC(26));
        honest_stop = true;
    }
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(500));
    unsigned now = guest_descriptors(server.pid);
    *ret_held = now > usual ? now - usual : 0;
    weft_nursery_cancel(burdens, 0, "that is enough");
    return rc;
}

static void judge(int kind)
{
    unsigned seen = 0, told = 0;
    weft_time longest = 0;
    for (unsigned i = 0; i < KINDS * conns; i++) {
        const struct guest *g = &guests[i];
        if (g->kind != kind || g->held == 0) continue;
        seen++;
        told += g->told;
        if (g->held > longest) longest = g->held;
    }
    verdict(kind == UNREAD || (seen == conns && longest <= patience[kind]),
            "%u %s: %u have seen the end, %u a reply, the last after %.1f s",
            conns, kinds[kind], seen, told, (double)longest / 1e9);
}

static int start(void *unused)
{
    double idle = 0;
    unsigned usual = guest_descriptors(server.pid), held = 0;
    (void)unused;
    int rc = while_all_is_well(&idle);
    WEFT_NURSERY(burdens, rc) {
        rc = all_at_once(&burdens, usual, &held);
    }
    for (int kind = 0; kind < KINDS; kind++)
        judge(kind);
    verdict(held == 0, "of %u in all the server holds %u after 30 s",
            KINDS * conns, held);
    verdict(honest_asked > 0 && honest_failed == 0,
            "%lu honest requests, %lu failed%s%s; p99 %.2f ms, before %.2f ms",
            honest_asked, honest_failed, honest_failed ? ": " : "",
            honest_failed ? weft_strerror(honest_error) : "", p99_ms(), idle);
    return rc;
}

int main(int argc, char **argv)
{
    static const char begin[] = "GET /",
                      end[] = " HTTP/1.1\r\nHost: here\r\n\r\n";
    char path[4096];
    const char *other = NULL;
    child_program(path, sizeof path, "examples/http_echo");
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--server") == 0) other = argv[i + 1];
        if (strcmp(argv[i], "--conns") == 0)
            conns = (unsigned)atoi(argv[i + 1]);
    }
    memset(large_request, 'x', sizeof large_request);
    memcpy(large_request, begin, sizeof begin - 1);
    memcpy(large_request + TARGET, end, sizeof end);
    if (conns == 0 || conns > MAX_CONNS ||
        KINDS * conns + 100 > child_allow_descriptors()) {
        printf("skip: not enough descriptors for %u connections\n",
               KINDS * conns);
        printf("0 passed, 0 failed, 1 skipped\n");
        return 0;
    }
    const struct program p = {.path = other ? other : path};
    if (child_start(&server, "the server", &p, -1, NULL)) {
        int rc = weft_run(start, NULL, NULL);
        if (rc < 0) weft_error_print(2, rc);
        verdict(rc == 0, "the clients came to their end");
        child_end(&server);
    }
    failed += (unsigned)(bench_end() != 0);
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed > 0;
}
