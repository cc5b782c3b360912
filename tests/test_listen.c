/* SPDX-License-Identifier: MIT */
/* test_listen.c - both families, modes, options, and errors with their step. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include "harness.h"
#include "listen.h"
#include "process.h"
#include "system.h"

/* ---- families ----------------------------------------------------------- */

TEST_REAL(a_star_listens_at_both_families)
{
    static const char *const texts[] = {"*:0", "tcp://*:0"};
    if (!has_ipv6()) SKIP("this machine has no ::1");
    for (int i = 0; i < 2; i++) {
        weft_fd l;
        weft_addr peer;
        CHECK_EQ(weft_listen(&l, texts[i], NULL), 0);
        CHECK(strncmp(listens_at(l), "[::]:", 5) == 0);
        CHECK(port_of(l) != 0);
        check_takes(l, "::1", &peer);
        CHECK(weft_addr_is_loopback(&peer) && !weft_addr_is_mapped(&peer));
        check_takes(l, "127.0.0.1", &peer);
        CHECK(weft_addr_is_mapped(&peer));
        CHECK(weft_addr_unmap(&peer));
        CHECK(weft_addr_is_loopback(&peer));
        CHECK_EQ(weft_close(l), 0);
    }
}

/* Of IPv4 the port is free, unless some stranger has just that one. */
static bool leaves_ipv4_alone(weft_fd l)
{
    weft_fd four, conn;
    char text[WEFT_ADDR_TEXT];
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", port_of(l));
    int err = weft_dial(&conn, text);
    if (err == 0) CHECK_EQ(weft_close(conn), 0);
    if (err != -ECONNREFUSED || weft_listen(&four, text, NULL) < 0)
        return false;
    CHECK_EQ(weft_close(four), 0);
    return true;
}

TEST_REAL(any_ipv6_takes_ipv4_unless_it_is_not_to)
{
    const weft_listen_opts only = {.v6_only = true};
    weft_fd l;
    bool alone = false;
    if (!has_ipv6()) SKIP("this machine has no ::1");
    CHECK_EQ(weft_listen(&l, "[::]:0", NULL), 0);
    CHECK(!option_is_on(l, IPPROTO_IPV6, IPV6_V6ONLY));
    check_takes(l, "127.0.0.1", NULL);
    CHECK_EQ(weft_close(l), 0);

    for (int i = 0; i < 20 && !alone; i++) {
        CHECK_EQ(weft_listen(&l, "[::]:0", &only), 0);
        CHECK(option_is_on(l, IPPROTO_IPV6, IPV6_V6ONLY));
        check_takes(l, "::1", NULL);
        alone = leaves_ipv4_alone(l);
        CHECK_EQ(weft_close(l), 0);
    }
    CHECK(alone);
}

TEST_REAL(no_host_is_ipv4_alone)
{
    weft_fd l;
    CHECK_EQ(weft_listen(&l, ":0", NULL), 0);
    CHECK(strncmp(listens_at(l), "0.0.0.0:", 8) == 0);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(a_typed_address_is_listened_at)
{
    weft_addr at;
    weft_fd l, second;
    CHECK_EQ(weft_addr_ipv4(&at, INADDR_LOOPBACK, 0), 0);
    CHECK_EQ(weft_listen_addr(&l, &at, NULL), 0);
    CHECK_EQ(weft_local_addr(l, &at), 0);
    check_takes(l, "127.0.0.1", NULL);
    CHECK_EQ(weft_listen_addr(&second, &at, NULL), -EADDRINUSE);
    check_said(-EADDRINUSE, listens_at(l));
    CHECK_EQ(weft_close(l), 0);
    memset(&at, 0, sizeof at);
    CHECK(weft_listen_addr(&l, &at, NULL) < 0);
}

TEST_REAL(what_is_accepted_does_not_delay)
{
    weft_fd l;
    CHECK_EQ(weft_listen(&l, "*:0", NULL), 0);
    CHECK(option_is_on(l, IPPROTO_TCP, TCP_NODELAY));
    CHECK(option_is_on(l, SOL_SOCKET, SO_REUSEADDR));
    CHECK(!option_is_on(l, SOL_SOCKET, SO_REUSEPORT));
    CHECK_EQ(weft_close(l), 0);
}

/* ---- another like it ---------------------------------------------------- */

TEST_REAL(the_options_of_a_listener_make_another_like_it)
{
    const weft_listen_opts o = {
        .backlog = 17, .reuse_port = true, .v6_only = true};
    weft_listen_opts like = {.keep_path = true};
    weft_addr at;
    weft_fd a, b;
    bool six = has_ipv6();
    CHECK_EQ(weft_listen(&a, six ? "[::1]:0" : "127.0.0.1:0", &o), 0);
    CHECK_EQ(weft_listener_opts(a, &like), 0);
    CHECK(like.reuse_port);
    CHECK_EQ(like.v6_only, six);
    CHECK(!like.keep_path);
    CHECK_EQ(like.mode, 0);
    CHECK_EQ(like.backlog, backlog_is_told() ? 17 : 0);
    CHECK_EQ(weft_local_addr(a, &at), 0);
    CHECK_EQ(weft_listen_addr(&b, &at, &like), 0);
    CHECK_EQ(weft_listener_opts(b, &like), 0);
    CHECK(like.reuse_port);
    CHECK_EQ(weft_close(b), 0);
    CHECK_EQ(weft_close(a), 0);
    CHECK_EQ(weft_listener_opts(a, &like), -EBADF);
}

TEST_REAL(only_a_listener_has_the_options_of_one)
{
    weft_listen_opts like = {.backlog = 77};
    weft_fd pair[2], l;
    open_pair(pair);
    CHECK_EQ(weft_listener_opts(pair[0], &like), -EINVAL);
    CHECK_EQ(like.backlog, 77);
    close_pair(pair);
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_listener_opts(l, &like), 0);
    CHECK(!like.reuse_port);
    CHECK_EQ(weft_close(l), 0);
}

/* ---- files -------------------------------------------------------------- */

static char path[64] = "unix:";

static void new_path(void)
{
    (void)snprintf(path, sizeof path, "unix:/tmp/weft-listen-%d",
                   (int)getpid());
    (void)unlink(path + 5);
}

static int mode_of_path(void)
{
    struct stat st;
    if (lstat(path + 5, &st) < 0) return -errno;
    return (int)(st.st_mode & 0777);
}

TEST_REAL(a_socket_file_has_the_mode_that_was_asked_for)
{
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0200};
    mode_t before = umask(0022);
    new_path();
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const weft_listen_opts o = {.mode = modes[i]};
        weft_fd l, conn;
        CHECK_EQ(weft_listen(&l, path, &o), 0);
        CHECK_EQ(mode_of_path(), (int)modes[i]);
        CHECK_EQ(weft_dial(&conn, path), 0);
        CHECK_EQ(weft_close(conn), 0);
        CHECK_EQ(weft_close(l), 0);
        CHECK_EQ(unlink(path + 5), 0);
    }
    weft_fd l;
    (void)umask(0027);
    CHECK_EQ(weft_listen(&l, path, NULL), 0); /* by the umask */
    CHECK_EQ(mode_of_path(), 0750);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(unlink(path + 5), 0);
    (void)umask(before);
}

TEST_REAL(a_bad_mode_leaves_no_file)
{
    const weft_listen_opts setuid = {.mode = 04755}, group = {.mode = 0660},
                           below = {.backlog = -1};
    weft_fd l;
    new_path();
    CHECK_EQ(weft_listen(&l, path, &setuid), -EINVAL);
    check_said(-EINVAL, "0777");
    CHECK_EQ(weft_listen(&l, path, &below), -EINVAL);
    check_said(-EINVAL, "backlog");
    CHECK_EQ(mode_of_path(), -ENOENT);
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", &group), -EINVAL);
    check_said(-EINVAL, "127.0.0.1:0: a mode");
    CHECK_EQ(weft_listen(&l, "*:0", &group), -EINVAL);
#if defined(__linux__)
    CHECK_EQ(weft_listen(&l, "unix:@weft-mode", &group), -EINVAL);
#endif
}

/* ---- errors ------------------------------------------------------------- */

TEST_REAL(a_bad_star_is_refused_with_its_text)
{
    static const char *const bad[][2] = {
        {"*", "no port"},           {"*:", "port is empty"},
        {"*:x", "not a number"},    {"*:65536", "65535"},
        {"*:80 ", "not a number"},  {"[*]:80", "IPv6"},
        {"*.*:80", "four numbers"},
    };
    const weft_listen_opts only = {.v6_only = true};
    weft_fd l;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int err = weft_listen(&l, bad[i][0], NULL);
        if (err != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is %d", bad[i][0], err);
        check_said(-EINVAL, bad[i][0]);
        check_said(-EINVAL, bad[i][1]);
    }
    CHECK_EQ(weft_listen(&l, "*:0", &only), -EINVAL);
    check_said(-EINVAL, "v6_only");
}

TEST_REAL(an_error_names_the_address_and_the_step)
{
    weft_fd l, second;
    char words[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_listen(&second, listens_at(l), NULL), -EADDRINUSE);
    (void)snprintf(words, sizeof words, "listen %.30s: bind", listen_text);
    check_said(-EADDRINUSE, words);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_listen(&l, "unix:/no/such/directory/x", NULL), -ENOENT);
    check_said(-ENOENT, "listen unix:/no/such/directory/x: bind");
    CHECK_EQ(weft_listen(&l, "192.0.2.1:0", NULL), -EADDRNOTAVAIL);
    check_said(-EADDRNOTAVAIL, "listen 192.0.2.1:0: bind");
}

TEST_PLAIN(outside_a_run_there_is_nothing_to_listen_with)
{
    weft_fd l;
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), -EPERM);
    CHECK_EQ(weft_listen(&l, "*:0", NULL), -EPERM);
    CHECK_EQ(weft_listen(&l, "fd:0", NULL), -EPERM);
}
