/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_stream.c - the sweep over streams in memory, a listener there, and
 * a transport that gives trouble.
 */
#include <weft/faulty.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/stream.h>
#include <weft/time.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

static int but_not_gone(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

/* What counts first; what close says of the rest comes after it. */
static int closed(weft_stream *s, int rc)
{
    int err = weft_stream_close(s);
    return but_not_gone(rc < 0 ? rc : err);
}

/* ---- lines, there and back ---------------------------------------------- */

static weft_transport *ends[2];
static int lines_sent, lines_read;

static weft_transport *take_end(int which)
{
    weft_transport *t = ends[which];
    ends[which] = NULL;
    return t;
}

static bool open_ends(size_t capacity)
{
    ends[0] = ends[1] = NULL;
    lines_sent = lines_read = 0;
    return sweep_had(weft_memory_pair(ends, capacity) == 0);
}

/* Who was never started has not closed his. */
static void close_ends(void)
{
    CHECK(lines_read <= lines_sent);
    weft_transport_close(take_end(0));
    weft_transport_close(take_end(1));
}

static int answers(void *arg)
{
    weft_stream s;
    (void)arg;
    weft_stream_init_transport(&s, take_end(0));
    return closed(&s, weft_stream_copy(&s, &s, UINT64_MAX, NULL));
}

static int says_line(weft_stream *s)
{
    char text[40];
    (void)snprintf(text, sizeof text, "line %d\n", lines_sent);
    struct iovec parts[] = {{text, 5}, {text + 5, strlen(text) - 5}};
    int rc = lines_sent % 2 ? weft_stream_printf(s, "line %d\n", lines_sent)
                            : weft_stream_writev(s, parts, 2);
    if (rc == 0) lines_sent++;
    return rc;
}

static int hears_line(weft_stream *s)
{
    char text[40];
    const char *line;
    size_t len;
    (void)snprintf(text, sizeof text, "line %d", lines_read);
    int rc = weft_stream_read_line(s, 60, &line, &len);
    if (rc <= 0) return rc < 0 ? rc : -EPIPE;
    if (len < strlen(text)) return -EPIPE; /* it was cut there */
    CHECK_EQ(len, strlen(text));
    CHECK_EQ(memcmp(line, text, len), 0);
    lines_read++;
    return 0;
}

static int converses(weft_stream *s)
{
    int rc = 0;
    for (int turn = 0; turn < 3 && rc == 0; turn++) {
        rc = says_line(s);
        if (rc == 0) rc = says_line(s);
        if (rc == 0) rc = hears_line(s);
        if (rc == 0) rc = hears_line(s);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    return rc;
}

static int asks(void *arg)
{
    weft_stream s;
    (void)arg;
    weft_stream_init_transport(&s, take_end(1));
    int rc = converses(&s);
    if (rc == 0) return but_not_gone(weft_stream_finish(&s, WEFT_MSEC(5)));
    return closed(&s, rc);
}

static void start_lines(weft_nursery *n)
{
    if (!open_ends(0)) return;
    sweep_spawn(n, answers, NULL);
    sweep_spawn(n, asks, NULL);
}

SWEEP(lines_go_through_memory_whole, start_lines, close_ends, 0);

static void start_narrow_lines(weft_nursery *n)
{
    if (!open_ends(10)) return;
    sweep_spawn(n, answers, NULL);
    sweep_spawn(n, asks, NULL);
}

SWEEP(lines_go_through_little_memory_whole, start_narrow_lines, close_ends, 0);

static void start_trouble(weft_nursery *n)
{
    const weft_faulty_opts o = {
        .read = {.piece = 3, .again = 50, .delay_drawn = WEFT_MSEC(2)},
        .write = {.piece = 2, .again = 50, .delay = WEFT_MSEC(1)}};
    if (!open_ends(0)) return;
    weft_transport *trouble = weft_faulty_new(ends[1], &o);
    if (!sweep_had(trouble != NULL)) return;
    ends[1] = trouble;
    sweep_spawn(n, answers, NULL);
    sweep_spawn(n, asks, NULL);
}

SWEEP(lines_go_through_trouble_whole, start_trouble, close_ends, 0);

/* ---- a proxy ------------------------------------------------------------ */

static weft_stream sides[2]; /* to the client, to the server */
static int ways, open_sides;

static void close_sides(void)
{
    while (open_sides > 0)
        (void)!weft_stream_close(&sides[--open_sides]);
}

/* The last way out closes both. */
static int copies(void *arg)
{
    int way = *(int *)arg;
    int rc = weft_stream_copy(&sides[way], &sides[!way], UINT64_MAX, NULL);
    if (rc == 0) rc = weft_stream_shutdown_write(&sides[!way]);
    if (--ways == 0) close_sides();
    return but_not_gone(rc);
}

static void open_proxy(weft_nursery *n)
{
    static int both[2] = {0, 1};
    ends[0] = ends[1] = NULL;
    lines_sent = lines_read = open_sides = 0;
    ways = 2;
    for (; open_sides < 2; open_sides++) {
        weft_transport *pair[2];
        if (!sweep_had(weft_memory_pair(pair, 10) == 0)) return;
        ends[!open_sides] = pair[0];
        weft_stream_init_transport(&sides[open_sides], pair[1]);
    }
    sweep_spawn(n, copies, &both[0]);
    sweep_spawn(n, copies, &both[1]);
    sweep_spawn(n, answers, NULL);
    sweep_spawn(n, asks, NULL);
}

static void close_proxy(void)
{
    CHECK(open_sides == 0 || sweep_short_of_memory());
    close_sides();
    close_ends();
}

SWEEP(a_proxy_passes_all_on_and_the_ends_too, open_proxy, close_proxy,
      SWEEP_PEERS_MAY_WAIT);

/* ---- a listener --------------------------------------------------------- */

static weft_memory_listener *listener;
static int to_come, open_conns;

static int serves_all(void *arg)
{
    weft_transport *t;
    int rc = 0;
    (void)arg;
    while (to_come > 0 && (rc = weft_memory_accept(listener, &t)) == 0) {
        weft_stream s;
        open_conns++;
        weft_stream_init_transport(&s, t);
        rc = weft_stream_copy(&s, &s, UINT64_MAX, NULL);
        rc = closed(&s, rc);
        open_conns--;
        if (rc < 0) break;
    }
    weft_memory_listener_close(listener);
    return rc == -EBADF ? 0 : rc;
}

static int visits(void *arg)
{
    weft_transport *t;
    (void)arg;
    int rc = weft_memory_dial(listener, &t);
    if (rc == 0) {
        weft_stream s;
        char c;
        weft_stream_init_transport(&s, t);
        rc = weft_stream_write(&s, "x", 1);
        if (rc == 0) rc = weft_stream_read_exact(&s, &c, 1);
        if (rc == 0) CHECK_EQ(c, 'x');
        rc = closed(&s, rc);
    }
    if (--to_come == 0) weft_memory_listener_close(listener);
    return rc == -ECONNREFUSED ? 0 : rc;
}

static void open_listener(weft_nursery *n)
{
    to_come = open_conns = 0;
    listener = weft_memory_listener_new(1);
    if (!sweep_had(listener != NULL)) return;
    weft_memory_listener_set_capacity(listener, 100);
    for (; to_come < 4; to_come++)
        sweep_spawn(n, visits, NULL);
    sweep_spawn(n, serves_all, NULL);
}

static void close_listener(void)
{
    CHECK_EQ(open_conns, 0);
    weft_memory_listener_free(listener);
    listener = NULL;
}

SWEEP(a_listener_in_memory_loses_no_connection, open_listener, close_listener,
      SWEEP_PEERS_MAY_WAIT);
