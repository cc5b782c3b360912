/* SPDX-License-Identifier: MIT */
/* work_streams.c - streams over memory, trouble and descriptors; a relay. */
#include <weft.h>

#include <errno.h>
#include <string.h>

#include "torture.h"

static weft_transport *ends[2];

static void shut(int which)
{
    weft_transport_close(ends[which]);
    ends[which] = NULL;
}

static void take_over(weft_stream *s, int which)
{
    weft_stream_init_transport(s, ends[which]);
    ends[which] = NULL;
}

static int echoes(void *arg)
{
    weft_stream s;
    uint64_t done;
    (void)arg;
    take_over(&s, 0);
    int rc = weft_stream_copy(&s, &s, UINT64_MAX, &done);
    int err = weft_stream_close_within(&s, WEFT_MSEC(100));
    return rc < 0 ? rc : err;
}

enum { LARGE = 40000 };

static int says_and_hears(weft_stream *s)
{
    static char large[LARGE], back[LARGE];
    struct iovec parts[] = {{(void *)(uintptr_t) "two ", 4},
                            {(void *)(uintptr_t) "parts\r\n", 7}};
    const char *line;
    size_t len;
    TRY(weft_stream_printf(s, "line %d\n", 1));
    TRY(weft_stream_writev(s, parts, 2));
    int rc = weft_stream_read_line(s, 100, &line, &len);
    TRY(rc);
    if (rc == 0) return -EPIPE;
    EXPECT(len == 6 && memcmp(line, "line 1", 6) == 0);
    ssize_t n = weft_stream_read_until_text(s, "\r\n", 100, &line);
    TRY(n);
    if (n < 11) return -EPIPE;
    EXPECT(n == 11 && memcmp(line, "two parts\r\n", 11) == 0);
    memset(large, 'l', LARGE);
    weft_stream_set_high_water(s, LARGE + 1);
    TRY(weft_stream_write(s, large, LARGE));
    TRY(weft_stream_read_exact(s, back, LARGE - 9));
    TRY(weft_stream_skip(s, 9, NULL));
    EXPECT(memcmp(large, back, LARGE - 9) == 0);
    TRY(weft_stream_write(s, "bye", 3));
    return weft_stream_shutdown_write(s);
}

static int asks(void *arg)
{
    weft_stream s;
    (void)arg;
    take_over(&s, 1);
    int rc = says_and_hears(&s);
    int err =
        rc < 0 ? weft_stream_close(&s) : weft_stream_finish(&s, WEFT_MSEC(100));
    return rc < 0 ? rc : err;
}

static int spawn_both(weft_nursery *n)
{
    TRY(weft_spawn(n, echoes, NULL));
    return weft_spawn(n, asks, NULL);
}

/* At the two ends, which are closed after it. */
static int talk(void)
{
    weft_nursery n;
    int rc = weft_nursery_open(&n, NULL);
    if (rc == 0) rc = weft_nursery_close(&n, spawn_both(&n));
    shut(0);
    shut(1);
    return rc;
}

static int patiently(void *fn)
{
    return weft_with_timeout(WEFT_SEC(1), *(weft_fn *)fn, NULL);
}

static int in_memory(void *arg)
{
    (void)arg;
    TRY(weft_memory_pair(ends, 0));
    return talk();
}

static int streams_in_memory(void)
{
    weft_fn fn = in_memory;
    return weft_run(patiently, &fn, NULL);
}
WORK(streams_in_memory, MAY(EPIPE, ECONNRESET));

static int make_trouble(void)
{
    const weft_faulty_opts o = {.read = {.piece = 999, .again = 10},
                                .write = {.piece = 999, .again = 10}};
    weft_transport *t = weft_faulty_new(ends[1], &o);
    if (!t) return -ENOMEM;
    ends[1] = t;
    return 0;
}

static int over_descriptors(void *arg)
{
    weft_fd fds[2];
    (void)arg;
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, fds));
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        int err = weft_transport_of_fd(fds[i], &ends[i]);
        if (err < 0) (void)weft_close(fds[i]);
        if (err < 0) rc = err;
    }
    if (rc == 0) rc = make_trouble();
    if (rc == 0) return talk();
    shut(0);
    shut(1);
    return rc;
}

static int streams_in_trouble(void)
{
    weft_fn fn = over_descriptors;
    return weft_run(patiently, &fn, NULL);
}
WORK(streams_in_trouble, MAY(EPIPE, ECONNRESET));

static int meet(weft_memory_listener *l)
{
    TRY(weft_memory_dial(l, &ends[1]));
    int rc = weft_memory_accept(l, &ends[0]);
    if (rc == 0) return talk();
    shut(1);
    return rc;
}

static int by_listener(void *arg)
{
    (void)arg;
    weft_memory_listener *l = weft_memory_listener_new(2);
    if (!l) return -ENOMEM;
    int rc = meet(l);
    weft_memory_listener_free(l);
    return rc;
}

static int a_listener_in_memory(void)
{
    weft_fn fn = by_listener;
    return weft_run(patiently, &fn, NULL);
}
WORK(a_listener_in_memory, MAY(EPIPE, ECONNRESET));
