/* SPDX-License-Identifier: MIT */
/*
 * testing - a server, and the test of its time-out: half a minute in no time.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

/* ---- the server: a line each within half a minute, or a goodbye --------- */

static int converse(weft_conn *c)
{
    static const char late[] = "too slow\n";
    char line[64];
    ssize_t n = 0;
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(30)) {
        n = weft_read(c->fd, line, sizeof line);
        rc = n < 0 ? (int)n : 0;
    }
    if (rc == -ETIMEDOUT)
        return weft_write_all(c->fd, late, sizeof late - 1, NULL);
    if (rc < 0) return rc;
    return weft_write_all(c->fd, line, (size_t)n, NULL);
}

/* Ready when it listens, at an address that the kernel chose. */
static int serve(void *arg)
{
    static weft_addr at;
    weft_fd listener;
    (void)arg;
    int err = weft_listen(&listener, "127.0.0.1:0", NULL);
    if (err == 0) err = weft_local_addr(listener, &at);
    if (err == 0) err = weft_started(&at);
    return err < 0 ? err : weft_serve(listener, converse, NULL, NULL);
}

/* ---- the test ----------------------------------------------------------- */

static int ask(const weft_addr *server, const char *line, char *answer,
               size_t size)
{
    weft_fd conn;
    char address[WEFT_ADDR_TEXT];
    (void)weft_addr_format(server, address, sizeof address);
    int err = weft_dial(&conn, address);
    if (err < 0) return err;
    err = weft_write_all(conn, line, strlen(line), NULL);
    ssize_t n = err < 0 ? err : weft_read(conn, answer, size - 1);
    answer[n > 0 ? n : 0] = 0;
    weft_close(conn);
    return n < 0 ? (int)n : 0;
}

static int answers_who_speaks_and_not_who_is_silent(void *arg)
{
    void *server;
    char answer[64];
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_start(&n, serve, NULL, &server);
        if (rc < 0) break;
        rc = ask(server, "hello\n", answer, sizeof answer);
        WEFT_EXPECT(rc == 0 && strcmp(answer, "hello\n") == 0);

        weft_time start = weft_now();
        rc = ask(server, "", answer, sizeof answer);
        WEFT_EXPECT(rc == 0 && strcmp(answer, "too slow\n") == 0);
        WEFT_EXPECT(weft_now() - start == WEFT_SEC(30));
        weft_nursery_cancel(&n, 0, "tested");
    }
    return rc;
}

int main(void)
{
    int err = weft_test("the line server",
                        answers_who_speaks_and_not_who_is_silent, NULL, NULL);
    puts(err < 0 ? "something is wrong" : "tested in twenty orders");
    return err < 0;
}
