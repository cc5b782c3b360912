/* SPDX-License-Identifier: MIT */
/* work_udp.c - datagrams, there and back. */
#include <weft.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "torture.h"

enum { LETTERS = 3, ROOM = 8 };

static weft_fd server, client;

struct post {
    weft_datagram d[LETTERS];
    char text[LETTERS][ROOM];
};

static void make_room(struct post *p)
{
    memset(p, 0, sizeof *p);
    for (int i = 0; i < LETTERS; i++) {
        p->d[i].buf = p->text[i];
        p->d[i].size = ROOM;
    }
}

static int receive_all(weft_fd s, struct post *p)
{
    make_room(p);
    for (int n, had = 0; had < LETTERS; had += n) {
        n = weft_udp_recv_many(s, p->d + had, (size_t)(LETTERS - had));
        TRY(n);
        EXPECT(n > 0);
    }
    return 0;
}

static int send_all(weft_fd s, const struct post *p)
{
    for (int n, sent = 0; sent < LETTERS; sent += n) {
        n = weft_udp_send_many(s, p->d + sent, (size_t)(LETTERS - sent));
        TRY(n);
        EXPECT(n > 0);
    }
    return 0;
}

static int answers(void *arg)
{
    struct post p;
    (void)arg;
    TRY(receive_all(server, &p));
    return send_all(server, &p);
}

static int asks(weft_nursery *n)
{
    struct post p;
    weft_datagram *d = p.d;
    TRY(weft_spawn(n, answers, NULL));
    TRY(weft_yield()); /* it waits already */
    make_room(&p);
    for (int i = 0; i < LETTERS; i++) {
        p.text[i][0] = (char)('a' + i);
        d[i].len = 1;
    }
    TRY(send_all(client, &p));
    TRY(receive_all(client, &p));
    for (int i = 0; i < LETTERS; i++)
        EXPECT(d[i].len == 1 && p.text[i][0] == 'a' + i && !d[i].truncated);
    return 0;
}

static int there_and_back(void)
{
    weft_nursery n;
    TRY(weft_nursery_open(&n, NULL));
    return weft_nursery_close(&n, asks(&n));
}

static int open_both(const char *any, const char *host)
{
    const weft_udp_opts o = {.broadcast = true, .hops = 3, .tell_local = true};
    char text[WEFT_ADDR_TEXT];
    weft_addr at;
    TRY(weft_udp_bind(&server, any, NULL));
    int rc = weft_local_addr(server, &at);
    if (rc == 0) {
        (void)snprintf(text, sizeof text, "%s:%u", host, weft_addr_port(&at));
        rc = weft_udp_dial(&client, text, &o);
    }
    if (rc < 0) (void)weft_close(server);
    return rc;
}

static int has_datagrams(void *where)
{
    const char *const *at = where;
    TRY(open_both(at[0], at[1]));
    int rc = there_and_back();
    (void)weft_close(server);
    (void)weft_close(client);
    return rc;
}

static int in_time(void *where)
{
    return weft_with_timeout(WEFT_SEC(1), has_datagrams, where);
}

/* The queue of errors, which is empty. */
static int looks_at_errors(void *arg)
{
#if defined(MSG_ERRQUEUE)
    weft_mmsg m = {.len = 0};
    weft_fd s;
    (void)arg;
    TRY(weft_udp_bind(&s, "127.0.0.1:0", NULL));
    int rc = weft_try_recvmmsg(s, &m, 1, MSG_ERRQUEUE);
    weft_close(s);
    return rc == -EAGAIN ? 0 : rc;
#else
    (void)arg;
    return 0;
#endif
}

static int errors_of_datagrams(void)
{
    return weft_run(looks_at_errors, NULL, NULL);
}
WORK(errors_of_datagrams, MAY(0));

static int datagrams(void)
{
    const char *at[] = {"0.0.0.0:0", "127.0.0.1"};
    return weft_run(in_time, at, NULL);
}
WORK(datagrams, MAY(0));

static int datagrams_to_both_families(void)
{
    const char *at[] = {"[::]:0", "127.0.0.1"};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0) return 0; /* there is no IPv6 here */
    (void)close(fd);
    return weft_run(in_time, at, NULL);
}
WORK(datagrams_to_both_families, MAY(0));

static int join_and_leave(weft_fd s)
{
    const weft_udp_group g = {.group = "239.77.1.3", .interface = "1"};
    const weft_udp_multicast m = {.hops = 2, .interface = "1"};
    TRY(weft_udp_join(s, &g));
    TRY(weft_udp_leave(s, &g));
    return weft_udp_set_multicast(s, &m);
}

static int has_a_group(void *arg)
{
    weft_fd s;
    (void)arg;
    TRY(weft_udp_bind(&s, ":0", NULL));
    int rc = join_and_leave(s);
    (void)weft_close(s);
    return rc;
}

static int a_group(void)
{
    return weft_run(has_a_group, NULL, NULL);
}
WORK(a_group, MAY(0));
