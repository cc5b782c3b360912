/* SPDX-License-Identifier: MIT */
/*
 * bench_hostile - what a connection of ill will costs an HTTP server.
 *
 *     bench_hostile [--conns 10000] [--server PROGRAM] [--quick] [--json FILE]
 *
 * So many connections come to examples/http_echo and stay in the state that
 * costs it most: without a word, idle after a request, half way through a head,
 * a body or the trailers, or owed replies that nobody reads. What it has more
 * in memory then (VmRSS) is divided by how many it holds. Each state meets a
 * server of its own, which has served one request. What the kernel keeps for a
 * socket is not counted: it has limits of its own.
 *
 * The server's deadlines are the usual ones, so a state is made and measured
 * within ten seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "guest.h"
#include "harness.h"
#include "system.h"

enum {
    KIB = 1024,
    MAX_MESSAGE = 256 * KIB,
    MAX_CONNS = 19000,
    MOST_UNREAD = 2500 /* that get there before the first of them is cut */
};

struct state {
    const char *name;
    double at_most;    /* KiB of the server's for each; 0: nothing said */
    const char *begin; /* what is sent: this, fields of so many octets, */
    size_t fields;     /* and that, */
    const char *end;
    unsigned times; /* so many times */
    bool answered;  /* the reply is read */
    bool unread;    /* it is not, and the way for it is narrow */
};

#define REQUEST(method) method " / HTTP/1.1\r\nHost: here\r\n"

static const struct state states[] = {
    {"mute", 8, "", 0, "", 0, false, false},
    {"idle after a request", 8, REQUEST("GET"), 0, "\r\n", 1, true, false},
    {"one octet of a head", 0, "G", 0, "", 1, false, false},
    {"60 KiB of a head", 100, REQUEST("GET"), (size_t)60 * KIB, "", 1, false,
     false},
    {"half a body", 100, REQUEST("POST") "Content-Length: 131072\r\n\r\n",
     (size_t)64 * KIB, "", 1, false, false},
    {"half the trailers", 100,
     REQUEST("POST") "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
     (size_t)6 * KIB, "", 1, false, false},
    {"replies unread", 100, REQUEST("GET"), (size_t)60 * KIB, "\r\n", 2, false,
     true},
};

static char message[MAX_MESSAGE];
static size_t message_len;

static int conns[MAX_CONNS];
static size_t sent[MAX_CONNS]; /* of the message */
static unsigned count;

/* ---- clients ------------------------------------------------------------- */

static void append(const char *text, size_t len)
{
    memcpy(message + message_len, text, len);
    message_len += len;
}

static void make_message(const struct state *s)
{
    static const char name[] = {'X', ':'}, end[] = {'\r', '\n'};
    char field[KIB];
    memset(field, 'x', sizeof field);
    memcpy(field, name, sizeof name);
    memcpy(field + sizeof field - sizeof end, end, sizeof end);
    message_len = 0;
    for (unsigned i = 0; i < s->times; i++) {
        append(s->begin, strlen(s->begin));
        for (size_t n = 0; n < s->fields; n += sizeof field)
            append(field, sizeof field);
        append(s->end, strlen(s->end));
    }
}

/* Sends what goes of the rest: how much. */
static size_t send_on(unsigned i, int flags)
{
    size_t before = sent[i];
    while (sent[i] < message_len) {
        ssize_t n = send(conns[i], message + sent[i], message_len - sent[i],
                         flags | MSG_NOSIGNAL);
        if (n <= 0) break;
        sent[i] += (size_t)n;
    }
    return sent[i] - before;
}

static bool open_all(const struct state *s, const struct child *server)
{
    char reply[KIB];
    for (unsigned i = 0; i < count; i++) {
        conns[i] = guest_connect(&server->address, s->unread);
        sent[i] = 0;
        if (conns[i] < 0) {
            bench_fail("%s, connection %u: %s", s->name, i,
                       strerror(-conns[i]));
            count = i;
            return false;
        }
        (void)send_on(i, s->unread ? MSG_DONTWAIT : 0);
        if (s->answered && recv(conns[i], reply, sizeof reply, 0) < 12) {
            bench_fail("%s, connection %u: no reply", s->name, i);
            count = i + 1;
            return false;
        }
    }
    return true;
}

/* Until the server takes no more of any, or some seconds are over. */
static void press_on(void)
{
    int64_t until = bench_now() + 3000000000;
    size_t more;
    do {
        more = 0;
        for (unsigned i = 0; i < count; i++)
            more += send_on(i, MSG_DONTWAIT);
        (void)usleep(100000);
    } while (more > 0 && bench_now() < until);
}

static void close_all(void)
{
    for (unsigned i = 0; i < count; i++)
        (void)close(conns[i]);
}

/* ---- the server ---------------------------------------------------------- */

/* The most in a while, once it does not grow any more; and how many descriptors
 * are open then. */
static int64_t settled_memory(pid_t pid, unsigned *ret_open)
{
    int64_t most = 0;
    for (int quiet = 0, i = 0; quiet < 8 && i < 60; i++) {
        int64_t now = bench_status_bytes(pid, "VmRSS");
        quiet = now > most ? 0 : quiet + 1;
        if (now > most) {
            most = now;
            *ret_open = guest_descriptors(pid);
        }
        (void)usleep(50000);
    }
    return most;
}

static bool ask_once(const struct child *server)
{
    static const char text[] = REQUEST("GET") "\r\n";
    char reply[KIB];
    int fd = guest_connect(&server->address, false);
    if (fd < 0) return false;
    bool ok = send(fd, text, sizeof text - 1, MSG_NOSIGNAL) > 0 &&
              recv(fd, reply, sizeof reply, 0) > 12 &&
              memcmp(reply, "HTTP/1.1 200", 12) == 0;
    (void)close(fd);
    return ok;
}

static void measure(const struct state *s, const struct child *server)
{
    char name[96];
    (void)usleep(100000); /* the connection that asked is gone */
    int64_t before = bench_status_bytes(server->pid, "VmRSS");
    unsigned open_before = guest_descriptors(server->pid), open = 0;
    int64_t start = bench_now();
    make_message(s);
    if (open_all(s, server)) {
        if (s->unread) press_on();
        int64_t most = settled_memory(server->pid, &open);
        double took = (double)(bench_now() - start) / 1e9;
        unsigned held = open > open_before ? open - open_before : 1;
        snprintf(name, sizeof name, "%u conns, %s", count, s->name);
        bench_value(&(struct bench_figure){name, "KiB", s->at_most, 0},
                    (double)(most - before) / held / KIB);
        bench_note("  %u of them held, measured for %.1f s", held, took);
    }
    close_all();
}

int main(int argc, char **argv)
{
    char path[4096];
    bench_begin("connections of ill will", argc, argv);
    const char *conns_wanted = bench_option("conns");
    const char *other = bench_option("server");
    child_program(path, sizeof path, "examples/http_echo");
    unsigned wanted = conns_wanted    ? (unsigned)atoi(conns_wanted)
                      : bench_quick() ? 1000
                                      : 10000;
    size_t descriptors = child_allow_descriptors();
    if (wanted == 0 || wanted > MAX_CONNS || wanted + 100 > descriptors) {
        bench_note("skipped: %u connections, %zu descriptors", wanted,
                   descriptors);
        return bench_end();
    }
    if (bench_status_bytes(getpid(), "VmRSS") < 0) {
        bench_note("skipped: no VmRSS here");
        return bench_end();
    }
    const struct program p = {.path = other ? other : path};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct child server;
        count = wanted;
        if (states[i].unread && count > MOST_UNREAD) count = MOST_UNREAD;
        if (!child_start(&server, "the server", &p, bench_core(0), NULL)) break;
        if (ask_once(&server))
            measure(&states[i], &server);
        else
            bench_fail("%s: the server does not answer", states[i].name);
        child_end(&server);
    }
    return bench_end();
}
