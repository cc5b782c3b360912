/* SPDX-License-Identifier: MIT */
/*
 * udp_echo [HOST:PORT] - sends datagrams back to where they came from, many at
 * a time, until SIGTERM. Without an address it talks to itself: what is lost is
 * sent again, and a port without anybody says so.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

enum { LARGEST = 1500 };

struct server {
    weft_fd socket;
    int lose; /* so many of the next ones get no answer */
    weft_datagram batch[WEFT_UDP_BATCH];
    char rooms[WEFT_UDP_BATCH][LARGEST];
};

static void make_rooms(struct server *s)
{
    memset(s->batch, 0, sizeof s->batch);
    for (int i = 0; i < WEFT_UDP_BATCH; i++) {
        s->batch[i].buf = s->rooms[i];
        s->batch[i].size = LARGEST;
    }
}

/* Those that came whole and are not to be lost, to the front. */
static int choose(struct server *s, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        if (s->batch[i].truncated || (s->lose > 0 && s->lose--)) continue;
        if (kept < i) {
            weft_datagram d = s->batch[i];
            s->batch[i] = s->batch[kept];
            s->batch[kept] = d;
        }
        kept++;
    }
    return kept;
}

/* One that cannot be sent is as good as lost, which can happen to any. */
static int answer(struct server *s, int count)
{
    for (int n, i = 0; i < count; i += n) {
        n = weft_udp_send_many(s->socket, s->batch + i, (size_t)(count - i));
        if (n == -ECANCELED) return n;
        if (n < 0) n = 1;
    }
    return 0;
}

/* Each answer goes to who asked, from the address that was asked: it is in the
 * datagram. */
static int echo(void *arg)
{
    struct server *s = arg;
    int rc = 0;
    make_rooms(s);
    while (rc == 0) {
        int n = weft_udp_recv_many(s->socket, s->batch, WEFT_UDP_BATCH);
        rc = n < 0 ? n : answer(s, choose(s, n));
    }
    return rc;
}

static struct server server;

static int serve(void *arg)
{
    char text[WEFT_ADDR_TEXT];
    weft_addr at;
    int err = weft_udp_bind(&server.socket, arg, NULL);
    if (err < 0) return err;
    err = weft_local_addr(server.socket, &at);
    if (err < 0) return err;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    err = echo(&server);
    weft_close(server.socket);
    return err;
}

/* ---- talking to itself -------------------------------------------------- */

struct question {
    weft_fd socket;
    const char *text;
    weft_datagram answer;
    char room[16];
};

/* An answer may be one to an earlier try, or to an earlier question. */
static int ask_once(void *arg)
{
    struct question *q = arg;
    weft_datagram *d = &q->answer;
    int rc = weft_udp_send_to(q->socket, q->text, strlen(q->text), NULL);
    do {
        if (rc == 0) rc = weft_udp_recv(q->socket, d);
    } while (rc == 0 && (d->len != strlen(q->text) ||
                         memcmp(d->buf, q->text, d->len) != 0));
    return rc;
}

/* Up to three times, for 100 ms, 200 ms and 400 ms. */
static int ask(weft_fd socket, const char *text)
{
    struct question q = {.socket = socket, .text = text};
    weft_time began = weft_now(), patience = WEFT_MSEC(100);
    q.answer.buf = q.room;
    q.answer.size = sizeof q.room;
    for (int tries = 1; tries <= 3; tries++, patience *= 2) {
        bool expired;
        int rc = weft_move_on_after(patience, ask_once, &q, &expired);
        if (rc < 0) return rc;
        if (expired) continue;
        printf("    %.*s: %d %s, after %d ms\n", (int)q.answer.len, q.room,
               tries, tries == 1 ? "try" : "tries",
               (int)((weft_now() - began) / WEFT_MSEC(1)));
        return 0;
    }
    printf("    %s: no answer\n", text);
    return 0;
}

static int ask_all(void *arg)
{
    weft_fd client;
    char text[WEFT_ADDR_TEXT];
    int err =
        weft_udp_dial(&client, weft_addr_format(arg, text, sizeof text), NULL);
    if (err < 0) return err;
    printf("what is sent comes back\n");
    err = ask(client, "one");
    if (err == 0) err = ask(client, "two");
    printf("what is lost is sent again\n");
    server.lose = 2;
    if (err == 0) err = ask(client, "three");
    server.lose = 3;
    if (err == 0) err = ask(client, "four");
    if (err == 0) err = ask(client, "five");
    weft_close(client);
    return err;
}

/* Nobody has the port any more, and the host says so. */
static int ask_nobody(weft_addr *at)
{
    weft_fd client;
    char text[WEFT_ADDR_TEXT];
    int err =
        weft_udp_dial(&client, weft_addr_format(at, text, sizeof text), NULL);
    if (err < 0) return err;
    err = ask(client, "six");
    printf("where nobody is\n    six: %s\n", weft_strerror(err));
    weft_close(client);
    return err == -ECONNREFUSED ? 0 : err;
}

static int talk(void *arg)
{
    weft_addr at;
    int rc = weft_udp_bind(&server.socket, "127.0.0.1:0", NULL);
    (void)arg;
    if (rc < 0) return rc;
    rc = weft_local_addr(server.socket, &at);
    if (rc < 0) return rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, echo, &server);
        if (rc == 0) rc = ask_all(&at);
        weft_nursery_cancel(&n, 0, "all has been asked");
    }
    weft_close(server.socket);
    return rc < 0 ? rc : ask_nobody(&at);
}

int main(int argc, char **argv)
{
    const weft_run_opts serving = {.handle_signals = true};
    const weft_run_opts talking = {.virtual_clock = true};
    if (argc > 2) {
        fprintf(stderr, "usage: %s [HOST:PORT]\n", argv[0]);
        return 2;
    }
    int rc = argc == 2 ? weft_run(serve, argv[1], &serving)
                       : weft_run(talk, NULL, &talking);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
