/* SPDX-License-Identifier: MIT */
/* work_io.c - descriptors, sockets, servers. */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "torture.h"

/* Nothing here takes so long unless what it needs never comes. */
#define PATIENCE WEFT_SEC(1)

static int patiently(weft_fn fn)
{
    return weft_with_timeout(PATIENCE, fn, NULL);
}

static int patient(void *fn)
{
    return patiently(*(weft_fn *)fn);
}

static int run_patiently(weft_fn fn)
{
    return weft_run(patient, &fn, NULL);
}

static void shut(weft_fd *fd)
{
    if (fd->generation) (void)weft_close(*fd);
    *fd = (weft_fd){0};
}

/* ---- two ends ----------------------------------------------------------- */

enum { LETTERS = 3000 };

static weft_fd ends[2];
static char sent[LETTERS], got[LETTERS];

static int writes_it(void *arg)
{
    (void)arg;
    size_t done;
    int rc = weft_write_all(ends[0], sent, LETTERS, &done);
    if (rc == 0) EXPECT(done == LETTERS);
    shut(&ends[0]);
    return rc;
}

static int reads_it(void *arg)
{
    char more;
    (void)arg;
    memset(got, 0, LETTERS);
    int rc = weft_read_exact(ends[1], got, LETTERS, NULL);
    if (rc == 0) {
        EXPECT(memcmp(got, sent, LETTERS) == 0);
        ssize_t n = weft_read(ends[1], &more, 1);
        EXPECT(n <= 0);
        if (n < 0) rc = (int)n;
    }
    shut(&ends[1]);
    return rc;
}

static int pass_letters(void)
{
    weft_nursery n;
    for (int i = 0; i < LETTERS; i++)
        sent[i] = (char)('a' + i % 26);
    TRY(weft_nursery_open(&n, NULL));
    int rc = weft_spawn(&n, reads_it, NULL);
    if (rc == 0) rc = weft_spawn(&n, writes_it, NULL);
    rc = weft_nursery_close(&n, rc);
    return rc;
}

static int over_sockets(void *arg)
{
    (void)arg;
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, ends));
    int rc = pass_letters();
    shut(&ends[0]);
    shut(&ends[1]);
    return rc;
}

static int a_pair_of_sockets(void)
{
    return run_patiently(over_sockets);
}
WORK(a_pair_of_sockets, MAY(EPIPE));

static int adopt_both(const int fds[2])
{
    int rc = weft_fd_adopt(fds[1], &ends[0]);
    if (rc < 0) (void)close(fds[1]);
    int err = weft_fd_adopt(fds[0], &ends[1]);
    if (err < 0) (void)close(fds[0]);
    return rc < 0 ? rc : err;
}

static int over_a_pipe(void *arg)
{
    int fds[2];
    (void)arg;
    EXPECT(pipe(fds) == 0);
    int rc = adopt_both(fds);
    if (rc == 0) rc = pass_letters();
    shut(&ends[0]);
    shut(&ends[1]);
    return rc;
}

static int a_pipe(void)
{
    return run_patiently(over_a_pipe);
}
WORK(a_pipe, MAY(EPIPE));

static int writes_vectors(weft_fd to)
{
    struct iovec out[2] = {{(void *)(uintptr_t) "one ", 4},
                           {(void *)(uintptr_t) "two", 3}};
    ssize_t n = weft_writev(to, out, 2);
    TRY(n);
    return weft_write_all(to, &"one two"[n], 7 - (size_t)n, NULL);
}

static int reads_vectors(weft_fd from)
{
    char text[7];
    struct iovec in[2] = {{text, 4}, {text + 4, 3}};
    ssize_t n = weft_readv(from, in, 2);
    TRY(n);
    TRY(weft_read_exact(from, text + n, 7 - (size_t)n, NULL));
    EXPECT(memcmp(text, "one two", 7) == 0);
    return 0;
}

static int reads_later(void *arg)
{
    (void)arg;
    return reads_vectors(ends[1]);
}

static int vectors_both_ways(weft_nursery *n)
{
    TRY(weft_spawn(n, reads_later, NULL));
    TRY(weft_yield());
    return writes_vectors(ends[0]);
}

static int pass_vectors(void)
{
    weft_nursery n;
    TRY(weft_nursery_open(&n, NULL));
    return weft_nursery_close(&n, vectors_both_ways(&n));
}

static int vectors_in_a_file(void)
{
    weft_fd file;
    char text[8] = "";
    int fd = open(work_path("file"), O_RDWR | O_CREAT, 0600);
    EXPECT(fd >= 0);
    int rc = weft_fd_adopt(fd, &file);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    rc = writes_vectors(file);
    ssize_t n = rc < 0 ? rc : weft_write(file, "!", 1);
    if (n > 0)
        EXPECT(pread(fd, text, 8, 0) == 8 && !memcmp(text, "one two!", 8));
    (void)weft_close(file);
    return n < 0 ? (int)n : 0;
}

static int has_vectors(void *arg)
{
    int fds[2];
    (void)arg;
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, ends));
    int rc = pass_vectors();
    shut(&ends[0]);
    shut(&ends[1]);
    TRY(rc);
    EXPECT(pipe(fds) == 0);
    rc = adopt_both(fds);
    if (rc == 0) rc = pass_vectors();
    shut(&ends[0]);
    shut(&ends[1]);
    TRY(rc);
    return vectors_in_a_file();
}

static int vectors(void)
{
    return run_patiently(has_vectors);
}
WORK(vectors, MAY(0));

static int receives_a_message(void *arg)
{
    char text[16] = "";
    struct iovec iov = {text, sizeof text};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    (void)arg;
    ssize_t n = weft_recvmsg(ends[1], &msg, 0);
    TRY(n);
    EXPECT(n == 7 && memcmp(text, "message", 7) == 0);
    return 0;
}

static int send_a_message(weft_nursery *n)
{
    struct iovec iov = {(void *)(uintptr_t) "message", 7};
    const struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    TRY(weft_spawn(n, receives_a_message, NULL));
    TRY(weft_yield());
    ssize_t sent_now = weft_sendmsg(ends[0], &msg, 0);
    TRY(sent_now);
    EXPECT(sent_now == 7);
    return 0;
}

static int has_messages(void *arg)
{
    weft_nursery n;
    (void)arg;
    TRY(weft_socketpair(AF_UNIX, SOCK_DGRAM, ends));
    int rc = weft_nursery_open(&n, NULL);
    if (rc == 0) rc = weft_nursery_close(&n, send_a_message(&n));
    shut(&ends[0]);
    shut(&ends[1]);
    return rc;
}

static int messages(void)
{
    return run_patiently(has_messages);
}
WORK(messages, MAY(0));

static int foreign[2];

static int waits_for_foreign(void *arg)
{
    char c;
    (void)arg;
    TRY(weft_wait_fd(foreign[0], WEFT_READABLE));
    EXPECT(read(foreign[0], &c, 1) == 1 && c == 'x');
    return 0;
}

static int wake_foreign(weft_nursery *n)
{
    TRY(weft_spawn(n, waits_for_foreign, NULL));
    TRY(weft_yield());
    EXPECT(write(foreign[1], "x", 1) == 1);
    return 0;
}

static int has_foreign(void *arg)
{
    weft_nursery n;
    (void)arg;
    EXPECT(pipe(foreign) == 0);
    int rc = weft_nursery_open(&n, NULL);
    if (rc == 0) rc = weft_nursery_close(&n, wake_foreign(&n));
    weft_forget_fd(foreign[0]);
    (void)close(foreign[0]);
    (void)close(foreign[1]);
    return rc;
}

static int a_foreign_descriptor(void)
{
    return run_patiently(has_foreign);
}
WORK(a_foreign_descriptor, MAY(0));

/* Its number needs a part of the table that is not there yet. */
static int with_a_high_number(void *arg)
{
    weft_fd high;
    char c;
    (void)arg;
    int fds[2];
    EXPECT(pipe(fds) == 0);
    int up = fcntl(fds[0], F_DUPFD_CLOEXEC, 900);
    (void)close(fds[0]);
    EXPECT(up >= 900);
    int rc = weft_fd_adopt(up, &high);
    if (rc == 0) {
        EXPECT(write(fds[1], "y", 1) == 1);
        ssize_t n = weft_read(high, &c, 1);
        rc = n < 0 ? (int)n : 0;
        if (rc == 0) EXPECT(n == 1 && c == 'y');
        (void)weft_close(high);
    } else {
        (void)close(up);
    }
    (void)close(fds[1]);
    return rc;
}

static int a_high_number(void)
{
    return run_patiently(with_a_high_number);
}
WORK(a_high_number, MAY(0));

/* ---- sockets by hand ---------------------------------------------------- */

static int set_and_ask(weft_fd fd)
{
    struct sockaddr_in at;
    int on = 1, value = 0;
    socklen_t len = sizeof value;
    TRY(weft_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    TRY(weft_getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &len));
    EXPECT(value == 1);
    at = (struct sockaddr_in){.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    TRY(weft_bind(fd, (const struct sockaddr *)&at, sizeof at));
    TRY(weft_listen_on(fd, 4));
    len = sizeof at;
    TRY(weft_getsockname(fd, (struct sockaddr *)&at, &len));
    EXPECT(at.sin_port != 0);
    return 0;
}

static int has_a_socket(void *arg)
{
    weft_fd fd;
    (void)arg;
    TRY(weft_socket(AF_INET, SOCK_STREAM, 0, &fd));
    int rc = set_and_ask(fd);
    (void)weft_close(fd);
    return rc;
}

static int a_socket_by_hand(void)
{
    return run_patiently(has_a_socket);
}
WORK(a_socket_by_hand, MAY(0));

static int adopts_kinds(void *arg)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    (void)arg;
    for (int i = 0; i < 4; i++) {
        weft_fd fd;
        int number = socket(i == 3 ? AF_INET : AF_UNIX, types[i % 3], 0);
        EXPECT(number >= 0);
        int rc = weft_fd_adopt(number, &fd);
        if (rc < 0) {
            (void)close(number);
            return rc;
        }
        (void)weft_close(fd);
    }
    return 0;
}

static int sockets_are_adopted(void)
{
    return run_patiently(adopts_kinds);
}
WORK(sockets_are_adopted, MAY(0));

/* ---- a conversation ----------------------------------------------------- */

static char address[160];
static int served;

static int answers(weft_conn *c)
{
    weft_stream s;
    weft_addr peer;
    weft_stream_init(&s, c->fd);
    int rc = 0;
    for (;;) {
        const char *line;
        ssize_t n = weft_stream_read_until(&s, '\n', 20000, &line);
        if (n <= 0) {
            rc = (int)n;
            break;
        }
        rc = weft_stream_write(&s, line, (size_t)n);
        if (rc == 0) rc = weft_stream_flush(&s);
        if (rc < 0) break;
        served++;
    }
    if (rc == 0) rc = weft_peer_addr(c->fd, &peer);
    int err = weft_stream_close(&s);
    return rc < 0 ? rc : err;
}

static weft_fd listener;

static int serves(void *arg)
{
    (void)arg;
    int rc = weft_serve(listener, answers, NULL, NULL);
    listener = (weft_fd){0};
    return rc;
}

/* The second line is larger than a buffer, so that pieces are joined. */
static int converse(weft_stream *s)
{
    char line[18000];
    static const size_t lengths[2] = {6, sizeof line};
    for (int i = 0; i < 2; i++) {
        const char *back;
        memset(line, 'a' + i, sizeof line);
        line[lengths[i] - 1] = '\n';
        TRY(weft_stream_write(s, line, lengths[i]));
        TRY(weft_stream_flush(s));
        ssize_t n = weft_stream_read_until(s, '\n', sizeof line, &back);
        TRY(n);
        /* The server went in the middle of a line. */
        if (n == 0 || back[n - 1] != '\n') return -EPIPE;
        EXPECT((size_t)n == lengths[i] && memcmp(back, line, (size_t)n) == 0);
        weft_stream_consume(s, 0);
    }
    return 0;
}

static int talk(void)
{
    weft_fd conn;
    weft_stream s;
    TRY(weft_dial(&conn, address));
    weft_stream_init(&s, conn);
    int rc = strncmp(address, "unix:", 5) ? weft_set_nodelay(conn, true) : 0;
    if (rc == 0) rc = converse(&s);
    if (rc == 0) rc = weft_shutdown_write(conn);
    weft_stream_fini(&s);
    (void)weft_close(conn);
    return rc;
}

static int serve_and_talk(const char *where)
{
    weft_nursery n;
    weft_addr at;
    served = 0;
    (void)snprintf(address, sizeof address, "%s", where);
    TRY(weft_listen(&listener, where, NULL));
    int rc = weft_local_addr(listener, &at);
    if (rc == 0) {
        (void)weft_addr_format(&at, address, sizeof address);
        rc = weft_nursery_open(&n, NULL);
    }
    if (rc < 0) {
        (void)weft_close(listener);
        return rc;
    }
    rc = weft_spawn(&n, serves, NULL);
    if (rc < 0) shut(&listener);
    if (rc == 0) rc = talk();
    if (rc == 0) weft_nursery_cancel(&n, 0, "enough");
    int err = weft_nursery_close(&n, rc);
    if (rc < 0 || err != -ECANCELED) return err;
    EXPECT(served == 2);
    return 0;
}

static int by_tcp(void *arg)
{
    (void)arg;
    return serve_and_talk("127.0.0.1:0");
}

static int a_server(void)
{
    return run_patiently(by_tcp);
}
WORK(a_server, MAY(EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN));

/* There is a file of somebody who is gone. */
static int by_unix(void *arg)
{
    char where[140];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)arg;
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", work_path("socket"));
    int gone = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT(gone >= 0 &&
           bind(gone, (const struct sockaddr *)&un, sizeof un) == 0);
    (void)close(gone);
    (void)snprintf(where, sizeof where, "unix:%s", un.sun_path);
    return serve_and_talk(where);
}

static int a_server_by_path(void)
{
    return run_patiently(by_unix);
}
WORK(a_server_by_path, MAY(EPIPE, ECONNRESET, ETIMEDOUT, EADDRINUSE));

static int refused(void *arg)
{
    weft_fd fd;
    (void)arg;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(1)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    TRY(weft_socket(AF_INET, SOCK_STREAM, 0, &fd));
    int rc = weft_connect(fd, (const struct sockaddr *)&at, sizeof at);
    EXPECT(rc < 0);
    (void)weft_close(fd);
    return rc == -ECONNREFUSED ? 0 : rc;
}

static int a_refusal(void)
{
    return run_patiently(refused);
}
WORK(a_refusal, MAY(0));

/* Many come at once, and some of their descriptors are not to be had. */
static int one_of_many(void *arg)
{
    (void)arg;
    return talk();
}

static int come_together(weft_nursery *n)
{
    for (int i = 0; i < 6; i++)
        TRY(weft_spawn(n, one_of_many, NULL));
    return 0;
}

static int under_pressure(void *arg)
{
    weft_nursery server, clients;
    weft_addr at;
    (void)arg;
    served = 0;
    TRY(weft_listen(&listener, "127.0.0.1:0", NULL));
    int rc = weft_local_addr(listener, &at);
    (void)weft_addr_format(&at, address, sizeof address);
    if (rc == 0) rc = weft_nursery_open(&server, NULL);
    if (rc < 0) {
        (void)weft_close(listener);
        return rc;
    }
    rc = weft_spawn(&server, serves, NULL);
    if (rc < 0) shut(&listener);
    int err = rc < 0 ? rc : weft_nursery_open(&clients, NULL);
    if (rc == 0) err = weft_nursery_close(&clients, come_together(&clients));
    if (err == 0) weft_nursery_cancel(&server, 0, "enough");
    rc = weft_nursery_close(&server, err);
    if (err < 0 || rc != -ECANCELED) return rc;
    EXPECT(served == 12);
    return 0;
}

static int accepting_under_pressure(void)
{
    return run_patiently(under_pressure);
}
WORK(accepting_under_pressure, MAY(EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN));
