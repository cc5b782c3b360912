/* SPDX-License-Identifier: MIT */
/* test_splice.c - octets from one descriptor to another, of every kind. */
#include <weft/error.h>
#include <weft/file.h>
#include <weft/pipe.h>
#include <weft/splice.h>
#include <weft/testing.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "system.h"

enum kind { SOCKET, TCP, PIPE, FILE_, SHARED, KINDS };

/* What is copied from or to, and the end at which a test stands; of a file it
 * is the file itself. */
struct side {
    enum kind kind;
    weft_fd fd, test;
};

static void open_tcp(weft_fd pair[2])
{
    weft_fd l;
    weft_addr at;
    char text[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(l, &at), 0);
    CHECK_EQ(weft_dial(&pair[0], weft_addr_format(&at, text, sizeof text)), 0);
    CHECK_EQ(weft_accept(l, &pair[1], NULL), 0);
    CHECK_EQ(weft_close(l), 0);
}

static weft_fd a_file(void)
{
    char path[] = "/tmp/weft-splice-XXXXXX";
    weft_fd fd;
    int number = mkstemp(path);
    CHECK(number >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(weft_fd_adopt(number, &fd), 0);
    return fd;
}

static void open_shared(weft_fd pair[2])
{
    int ends[2];
    system_pipe(ends);
    CHECK_EQ(weft_fd_adopt_shared(ends[0], &pair[0]), 0);
    CHECK_EQ(weft_fd_adopt_shared(ends[1], &pair[1]), 0);
}

static struct side open_side(enum kind kind, bool to_read)
{
    weft_fd ends[2];
    if (kind == FILE_) {
        weft_fd file = a_file();
        return (struct side){kind, file, file};
    }
    if (kind == SOCKET) open_pair(ends);
    if (kind == TCP) open_tcp(ends);
    if (kind == PIPE) CHECK_EQ(weft_pipe(ends), 0);
    if (kind == SHARED) open_shared(ends);
    return (struct side){kind, ends[!to_read], ends[to_read]};
}

static void close_side(struct side *s)
{
    CHECK_EQ(weft_close(s->fd), 0);
    if (s->kind != FILE_) (void)weft_close(s->test);
}

static char letter(size_t i)
{
    return (char)('a' + (i + i / 251) % 26);
}

/* ---- all combinations --------------------------------------------------- */

enum { MANY = 300000 };
static char text[MANY];

static int feeds(void *arg)
{
    struct side *s = arg;
    int err = weft_write_all(s->test, text, MANY, NULL);
    CHECK_EQ(weft_close(s->test), 0);
    return err;
}

static int drains(void *arg)
{
    static char got[MANY + 1];
    struct side *s = arg;
    size_t done;
    int err = weft_read_exact(s->test, got, sizeof got, &done);
    CHECK_EQ(err, -EPIPE);
    CHECK_EQ(done, MANY);
    CHECK_EQ(memcmp(got, text, MANY), 0);
    return 0;
}

static void rewind_file(weft_fd fd)
{
    CHECK_EQ(lseek(weft_fd_number(fd), 0, SEEK_SET), 0);
}

static void copies(enum kind a, enum kind b)
{
    struct side from = open_side(a, true), to = open_side(b, false);
    weft_relay r = {0};
    weft_nursery n;
    uint64_t done = 0;
    for (size_t i = 0; i < MANY; i++)
        text[i] = letter(i);
    open_nursery(&n, WEFT_FAIL_FAST);
    if (a == FILE_) {
        CHECK_EQ(weft_file_write(from.fd, text, MANY), MANY);
        rewind_file(from.fd);
    } else {
        CHECK_EQ(weft_spawn(&n, feeds, &from), 0);
    }
    if (b != FILE_) CHECK_EQ(weft_spawn(&n, drains, &to), 0);
    CHECK_EQ(weft_copy(&r, from.fd, to.fd, WEFT_COPY_ALL, &done), 0);
    CHECK_EQ(done, MANY);
    CHECK_EQ(weft_relay_held(&r), 0);
    if (b == FILE_) {
        rewind_file(to.fd);
        CHECK_EQ(drains(&to), 0);
    }
    CHECK_EQ(weft_close(to.fd), 0); /* who drains reads the end */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_relay_end(&r);
    if (b != FILE_) CHECK_EQ(weft_close(to.test), 0);
    CHECK_EQ(weft_close(from.fd), 0);
}

static void copies_to_all(enum kind from)
{
    for (int to = 0; to < KINDS; to++)
        copies(from, (enum kind)to);
}

TEST(octets_go_from_a_socket_to_everything)
{
    copies_to_all(SOCKET);
}

TEST(octets_go_from_a_connection_to_everything)
{
    copies_to_all(TCP);
}

TEST(octets_go_from_a_pipe_to_everything)
{
    copies_to_all(PIPE);
}

TEST(octets_go_from_a_file_to_everything)
{
    copies_to_all(FILE_);
}

TEST(octets_go_from_a_shared_pipe_to_everything)
{
    copies_to_all(SHARED);
}

/* ---- limits and ends ---------------------------------------------------- */

static void goes_by_limits(enum kind a, enum kind b)
{
    struct side from = open_side(a, true), to = open_side(b, false);
    weft_relay r = {0};
    uint64_t done = 77;
    char got[8];
    CHECK_EQ(weft_write_all(from.test, "abcdef", 6, NULL), 0);
    if (a == FILE_) rewind_file(from.fd);
    CHECK_EQ(weft_copy(&r, from.fd, to.fd, 0, &done), 0);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_copy(&r, from.fd, to.fd, 4, &done), 0);
    CHECK_EQ(done, 4);
    CHECK_EQ(weft_read_exact(from.fd, got, 1, NULL), 0);
    CHECK_EQ(got[0], 'e'); /* nothing was read beyond it */
    if (a != FILE_) CHECK_EQ(weft_close(from.test), 0);
    CHECK_EQ(weft_copy(&r, from.fd, to.fd, 100, &done), 0);
    CHECK_EQ(done, 1); /* fewer: that was the end */
    CHECK_EQ(weft_copy(&r, from.fd, to.fd, 100, &done), 0);
    CHECK_EQ(done, 0);
    if (b == FILE_) rewind_file(to.fd);
    CHECK_EQ(weft_read_exact(to.test, got, 5, NULL), 0);
    CHECK_EQ(memcmp(got, "abcdf", 5), 0);
    weft_relay_end(&r);
    weft_relay_end(&r);
    CHECK_EQ(weft_close(from.fd), 0);
    close_side(&to);
}

TEST(a_limit_is_never_read_beyond_and_the_end_is_told)
{
    for (int a = 0; a < KINDS; a++) {
        for (int b = 0; b < KINDS; b++)
            goes_by_limits((enum kind)a, (enum kind)b);
    }
}

/* ---- wrong ones --------------------------------------------------------- */

static void says(const char *part)
{
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    if (!strstr(e->msg, part))
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e->msg,
                  part);
}

TEST(what_cannot_be_copied_is_named)
{
    weft_fd pair[2], messages[2], l, dir;
    weft_relay r = {0};
    uint64_t done = 77;
    open_pair(pair);
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, messages), 0);
    CHECK_EQ(weft_copy(&r, messages[0], pair[0], 1, &done), -EINVAL);
    says("read: ");
    says("has messages");
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_copy(&r, pair[0], messages[0], 1, &done), -EINVAL);
    says("write: ");
    close_pair(messages);
    CHECK_EQ(weft_copy(&r, messages[0], pair[0], 1, &done), -EBADF);
    says("read");
    CHECK_EQ(weft_copy(&r, pair[0], messages[0], 1, &done), -EBADF);
    says("write");
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_copy(&r, l, pair[0], 1, &done), -EINVAL);
    says("listens");
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_file_open("/", O_RDONLY | O_DIRECTORY, 0, &dir), 0);
    CHECK_EQ(weft_copy(&r, dir, pair[0], 1, &done), -EISDIR);
    CHECK_EQ(weft_close(dir), 0);
    weft_relay_end(&r);
    close_pair(pair);
}

/* ---- cancelled, or failed: what is held is handed over ------------------- */

struct copying {
    weft_relay relay;
    weft_fd from, to;
    uint64_t done;
    int result;
};

static int goes_on(void *arg)
{
    struct copying *c = arg;
    c->result = weft_copy(&c->relay, c->from, c->to, WEFT_COPY_ALL, &c->done);
    return 0;
}

static void copy_until_stuck(struct copying *c)
{
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, goes_on, c), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c->result, -ECANCELED);
}

/* Puts letters into `fd` while there is room, from number *sent on. */
static void put_letters(weft_fd fd, size_t *sent)
{
    char buf[4096];
    for (;;) {
        for (size_t i = 0; i < sizeof buf; i++)
            buf[i] = letter(*sent + i);
        ssize_t n = weft_try_write(fd, buf, sizeof buf);
        if (n == -EAGAIN) return;
        CHECK(n > 0);
        *sent += (size_t)n;
    }
}

static void check_letters(const char *buf, size_t n, size_t *got)
{
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(buf[i], letter(*got + i));
    *got += n;
}

static void get_letters(weft_fd fd, size_t *got, size_t until)
{
    char buf[4096];
    while (*got < until) {
        ssize_t n = weft_read(fd, buf, sizeof buf);
        CHECK(n > 0);
        check_letters(buf, (size_t)n, got);
    }
}

static void keeps_what_it_has(enum kind a, enum kind b)
{
    struct side from = open_side(a, true), to = open_side(b, false);
    struct copying c = {.from = from.fd, .to = to.fd};
    size_t sent = 0, got = 0;
    char buf[100];
    put_letters(from.test, &sent);
    copy_until_stuck(&c);
    put_letters(from.test, &sent);
    size_t held = weft_relay_held(&c.relay), written = (size_t)c.done;
    /* All that went is there, a part of the rest is taken by hand, and the
     * next call goes on behind that. */
    get_letters(to.test, &got, written);
    while (got < written + held / 2) {
        size_t most = written + held / 2 - got;
        size_t n = weft_relay_take(&c.relay, buf,
                                   most < sizeof buf ? most : sizeof buf);
        CHECK(n > 0);
        check_letters(buf, n, &got);
    }
    CHECK_EQ(weft_relay_held(&c.relay), held - held / 2);
    CHECK_EQ(weft_close(from.test), 0);
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, goes_on, &c), 0);
    get_letters(to.test, &got, sent);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, 0);
    CHECK_EQ(written + held / 2 + c.done, sent);
    CHECK_EQ(weft_relay_held(&c.relay), 0);
    CHECK_EQ(weft_relay_take(&c.relay, buf, 1), 0);
    weft_relay_end(&c.relay);
    CHECK_EQ(weft_close(from.fd), 0);
    close_side(&to);
}

TEST(a_cancelled_copy_keeps_what_it_has_read)
{
    static const enum kind kinds[] = {SOCKET, TCP, PIPE, SHARED};
    for (size_t a = 0; a < 4; a++) {
        if (kinds[a] == SHARED) continue; /* its feeder would cut letters */
        for (size_t b = 0; b < 4; b++)
            keeps_what_it_has(kinds[a], kinds[b]);
    }
}

TEST(what_one_peer_did_not_take_goes_to_another)
{
    weft_fd from[2], dead[2], file = a_file();
    weft_relay r = {0};
    uint64_t done = 77;
    char got[8];
    open_pair(from);
    open_pair(dead);
    CHECK_EQ(weft_write_all(from[1], "kept", 4, NULL), 0);
    CHECK_EQ(weft_close(dead[1]), 0);
    CHECK_EQ(weft_copy(&r, from[0], dead[0], WEFT_COPY_ALL, &done), -EPIPE);
    says("write");
    CHECK_EQ(done, 0);
    CHECK(weft_relay_held(&r) > 0);
    CHECK_EQ(weft_close(from[1]), 0);
    CHECK_EQ(weft_copy(&r, from[0], file, WEFT_COPY_ALL, &done), 0);
    CHECK_EQ(done, 4);
    rewind_file(file);
    CHECK_EQ(weft_read_exact(file, got, 4, NULL), 0);
    CHECK_EQ(memcmp(got, "kept", 4), 0);
    weft_relay_end(&r);
    CHECK_EQ(weft_close(from[0]), 0);
    CHECK_EQ(weft_close(dead[0]), 0);
    CHECK_EQ(weft_close(file), 0);
}

TEST(held_octets_are_dropped_with_the_relay)
{
    weft_fd from[2], dead[2];
    weft_relay r = {0};
    open_pair(from);
    CHECK_EQ(weft_pipe(dead), 0);
    CHECK_EQ(weft_close(dead[0]), 0);
    CHECK_EQ(weft_write_all(from[1], "lost", 4, NULL), 0);
    CHECK_EQ(weft_copy(&r, from[0], dead[1], WEFT_COPY_ALL, NULL), -EPIPE);
    CHECK(weft_relay_held(&r) > 0);
    weft_relay_end(&r);
    CHECK_EQ(weft_relay_held(&r), 0);
    CHECK_EQ(weft_close(dead[1]), 0);
    close_pair(from);
}

TEST(a_cancelled_send_of_a_file_moves_its_position_by_what_went)
{
    struct copying c = {.done = 0};
    weft_fd pair[2];
    size_t got = 0;
    open_pair(pair);
    c.from = a_file();
    c.to = pair[0];
    for (size_t i = 0; i < MANY; i++)
        text[i] = letter(i);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_file_pwrite(c.from, text, MANY, (int64_t)i * MANY), MANY);
    copy_until_stuck(&c);
    CHECK(c.done > 0 && c.done < 10 * MANY);
    CHECK_EQ(weft_relay_held(&c.relay), 0);
    CHECK_EQ(lseek(weft_fd_number(c.from), 0, SEEK_CUR), (off_t)c.done);
    get_letters(pair[1], &got, c.done < MANY ? (size_t)c.done : MANY);
    weft_relay_end(&c.relay);
    CHECK_EQ(weft_close(c.from), 0);
    close_pair(pair);
}

TEST(without_free_numbers_octets_are_copied_by_hand)
{
    weft_fd from[2], to[2];
    weft_relay r = {0};
    struct rlimit was, few;
    uint64_t done;
    char got[8];
    open_pair(from);
    open_pair(to);
    CHECK_EQ(weft_write_all(from[1], "text", 4, NULL), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = 3;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_EQ(weft_copy(&r, from[0], to[0], 4, &done), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    CHECK_EQ(done, 4);
    CHECK_EQ(weft_read_exact(to[1], got, 4, NULL), 0);
    weft_relay_end(&r);
    close_pair(from);
    close_pair(to);
}

TEST(a_copy_whose_descriptor_is_closed_meanwhile_says_so)
{
    struct copying c = {.done = 0};
    weft_fd from[2], to[2];
    weft_nursery n;
    open_pair(from);
    open_pair(to);
    c.from = from[0];
    c.to = to[0];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, goes_on, &c), 0);
    settle();
    CHECK_EQ(weft_close(from[0]), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, -EBADF);
    weft_relay_end(&c.relay);
    CHECK_EQ(weft_close(from[1]), 0);
    close_pair(to);
}

TEST(a_busy_copy_lets_others_run)
{
    struct copying c = {.done = 0};
    weft_fd from, to;
    weft_nursery n;
    CHECK_EQ(weft_file_open("/dev/zero", O_RDONLY, 0, &from), 0);
    CHECK_EQ(weft_file_open("/dev/null", O_WRONLY, 0, &to), 0);
    c.from = from;
    c.to = to;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, goes_on, &c), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_yield(), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, -ECANCELED);
    CHECK(c.done > 0);
    weft_relay_end(&c.relay);
    CHECK_EQ(weft_close(from), 0);
    CHECK_EQ(weft_close(to), 0);
}

TEST_PLAIN(outside_a_fiber_nothing_is_copied)
{
    weft_relay r = {0};
    weft_fd none = {0, 0};
    uint64_t done = 77;
    CHECK_EQ(weft_copy(&r, none, none, 1, &done), -EPERM);
    CHECK_EQ(done, 0);
    weft_relay_end(&r);
}
