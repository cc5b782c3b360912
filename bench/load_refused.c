/* SPDX-License-Identifier: MIT */
/*
 * load_refused - does a refusal reach a client that is still sending?
 *
 *     load_refused [--server PROGRAM] [--times 500]
 *
 * Starts examples/http_echo and sends requests that it refuses, each with 2 MiB
 * in all, which are sent to their end, with a rest in the middle, before the
 * reply is looked at: so it has to wait at the client's for longer than the
 * server would take to close. A server that closes with octets unread resets
 * the connection, and the reply is lost with it (RFC 9112, 9.6). So many have a
 * Content-Length and as many are chunked; a third is too large (413), a third
 * has too large a head (431), a third is malformed (400).
 *
 * The last line has how many got their refusal, and the end of the connection
 * behind it, and how many did not; the status is 1 if there is one such.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "guest.h"
#include "harness.h"

enum { MUCH = 2 << 20, HALF = MUCH / 2, CHUNK = 65536, AT_A_TIME = 20 };

enum { TOO_LARGE, TOO_LONG, MALFORMED, CAUSES };
static const char *const causes[CAUSES] = {"HTTP/1.1 413 ", "HTTP/1.1 431 ",
                                           "HTTP/1.1 400 "};
enum { LENGTH, CHUNKED, FRAMINGS };
static const char *const framings[FRAMINGS] = {
    "Content-Length: 2097152\r\n", "Transfer-Encoding: chunked\r\n"};

/* One request for each cause and framing, and a little more than MUCH. */
struct text {
    char *octets;
    size_t len;
};
static struct text requests[CAUSES][FRAMINGS];

static struct child server;
static unsigned times = 500, next, refused, lost;

/* ---- requests ------------------------------------------------------------ */

static void append(struct text *t, const char *octets, size_t len)
{
    memcpy(t->octets + t->len, octets, len);
    t->len += len;
}

static void say(struct text *t, const char *text)
{
    append(t, text, strlen(text));
}

static void make_request(struct text *t, int cause, int framing)
{
    static char filling[CHUNK];
    memset(filling, 'x', sizeof filling);
    t->octets = malloc(MUCH + 4 * CHUNK);
    if (!t->octets) abort();
    say(t, "POST / HTTP/1.1\r\nHost: here\r\n");
    say(t, framings[framing]);
    if (cause == MALFORMED) say(t, "Name : value\r\n");
    if (cause == TOO_LONG) {
        say(t, "Long: ");
        append(t, filling, sizeof filling);
        append(t, filling, 1000);
        say(t, "\r\n");
    }
    say(t, "\r\n");
    for (size_t n = 0; n < MUCH; n += CHUNK) {
        if (framing == CHUNKED) say(t, "10000\r\n");
        append(t, filling, CHUNK);
        if (framing == CHUNKED) say(t, "\r\n");
    }
    if (framing == CHUNKED) say(t, "0\r\n\r\n");
}

/* ---- clients ------------------------------------------------------------- */

/* The reply that is due, and then the end and no reset. */
static int read_refusal(weft_fd fd, const char *want)
{
    char reply[4096] = "";
    size_t len = 0;
    for (;;) {
        ssize_t n = weft_read(fd, reply + len, sizeof reply - 1 - len);
        if (n < 0) return (int)n;
        if (n == 0) break;
        len += (size_t)n;
    }
    reply[len] = '\0';
    if (strncmp(reply, want, strlen(want)) == 0) return 0;
    reply[strcspn(reply, "\r\n")] = '\0';
    return weft_fail(-EPROTO, "it says \"%s\"", reply);
}

static int be_refused(const struct text *t, const char *want)
{
    weft_fd fd;
    int number = guest_connect(&server.address, false);
    if (number < 0) return number;
    int err = weft_fd_adopt(number, &fd);
    if (err < 0) return err;
    err = weft_write_all(fd, t->octets, HALF, NULL);
    if (err == 0) err = weft_sleep(WEFT_MSEC(50));
    if (err == 0)
        err = weft_write_all(fd, t->octets + HALF, t->len - HALF, NULL);
    if (err == 0) err = weft_sleep(WEFT_MSEC(50));
    if (err == 0) err = read_refusal(fd, want);
    weft_close(fd);
    return err;
}

static int one_by_one(void *unused)
{
    (void)unused;
    while (next < FRAMINGS * times) {
        unsigned mine = next++;
        unsigned framing = mine % FRAMINGS, cause = mine / FRAMINGS % CAUSES;
        int rc = 0;
        WEFT_FAIL_AFTER(rc, WEFT_SEC(20)) {
            rc = be_refused(&requests[cause][framing], causes[cause]);
        }
        if (rc == -ECANCELED) return rc;
        if (rc == 0) {
            refused++;
        } else if (lost++ < 10) {
            printf("FAIL %s%.*s: ", causes[cause],
                   (int)strcspn(framings[framing], ":"), framings[framing]);
            fflush(stdout);
            weft_error_print(1, rc);
        }
    }
    return 0;
}

static int start(void *unused)
{
    int rc;
    (void)unused;
    WEFT_NURSERY(n, rc) {
        rc = 0;
        for (unsigned i = 0; i < AT_A_TIME && rc == 0; i++)
            rc = weft_spawn(&n, one_by_one, NULL);
    }
    return rc;
}

int main(int argc, char **argv)
{
    char path[4096];
    const char *other = NULL;
    child_program(path, sizeof path, "examples/http_echo");
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--server") == 0) other = argv[i + 1];
        if (strcmp(argv[i], "--times") == 0)
            times = (unsigned)atoi(argv[i + 1]);
    }
    for (int cause = 0; cause < CAUSES; cause++)
        for (int framing = 0; framing < FRAMINGS; framing++)
            make_request(&requests[cause][framing], cause, framing);
    const struct program p = {.path = other ? other : path};
    if (child_start(&server, "the server", &p, -1, NULL)) {
        int rc = weft_run(start, NULL, NULL);
        if (rc < 0) weft_error_print(2, rc);
        child_end(&server);
        if (rc < 0) lost++;
    }
    if (bench_end() != 0) lost++;
    for (int i = 0; i < CAUSES * FRAMINGS; i++)
        free(requests[i / FRAMINGS][i % FRAMINGS].octets);
    printf("%u passed, %u failed, 0 skipped\n", refused, lost);
    return lost > 0;
}
