/* SPDX-License-Identifier: MIT */
/* test_file.c - files and directories, off the thread. */
#include <weft/blocking.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/file.h>
#include <weft/stats.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/socket.h>
#include <weft/task.h>
#include <weft/testing.h>

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gate.h"
#include "harness.h"
#include "open.h"
#include "sweep.h"

/* ---- a directory for each test ------------------------------------------ */

static char home[512];

static const char *in_dir(const char *name)
{
    static char paths[8][600];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", home, name);
    return path;
}

static void make_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(home, sizeof home, "%s/weft-file-XXXXXX",
                   tmp ? tmp : "/tmp");
    CHECK(mkdtemp(home) != NULL);
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void remove_dir(void)
{
    CHECK_EQ(nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    CHECK(f != NULL);
    CHECK_EQ(fwrite(text, 1, strlen(text), f), strlen(text));
    CHECK_EQ(fclose(f), 0);
}

static void check_holds(const char *name, const char *text)
{
    char got[256];
    FILE *f = fopen(in_dir(name), "r");
    CHECK(f != NULL);
    got[fread(got, 1, sizeof got - 1, f)] = 0;
    CHECK_EQ(fclose(f), 0);
    CHECK_STR(got, text);
}

static weft_fd open_for_reading(const char *name)
{
    weft_fd fd;
    CHECK_EQ(weft_file_open(in_dir(name), O_RDONLY, 0, &fd), 0);
    return fd;
}

static weft_fd open_to_write(const char *name, int flags)
{
    weft_fd fd;
    CHECK_EQ(weft_file_open(in_dir(name), O_RDWR | O_CREAT | flags, 0600, &fd),
             0);
    return fd;
}

static unsigned long long calls(void)
{
    weft_pool_stats s;
    weft_pool_stats_read(WEFT_POOL_BLOCKING, &s);
    return s.calls;
}

/* One thread that is busy until it is told: what comes after it is in line. */
static struct gate gate = GATE;

static int keeps_the_thread(void *arg)
{
    return weft_blocking(stop_at, arg);
}

static void occupy_the_pool(weft_nursery *n)
{
    const weft_pool_opts o = {.threads = 1};
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING, &o), 0);
    CHECK_EQ(weft_spawn(n, keeps_the_thread, &gate), 0);
    CHECK_EQ(weft_yield(), 0);
    await_inside(&gate, 1);
}

/* ---- reading and writing ------------------------------------------------ */

TEST(what_is_written_is_read_at_the_position_and_at_offsets)
{
    char buf[32] = "";
    make_dir();
    weft_fd fd = open_to_write("f", 0);
    CHECK_EQ(weft_file_write(fd, "warp and weft", 13), 13);
    CHECK_EQ(weft_file_pwrite(fd, "WEFT", 4, 9), 4);
    CHECK_EQ(weft_file_pread(fd, buf, sizeof buf, 0), 13);
    CHECK_STR(buf, "warp and WEFT");
    CHECK_EQ(weft_file_pread(fd, buf, 3, 5), 3);
    CHECK_EQ(memcmp(buf, "and", 3), 0);
    CHECK_EQ(weft_file_read(fd, buf, sizeof buf), 0); /* the position moved */
    CHECK_EQ(weft_file_pread(fd, buf, sizeof buf, 100), 0);
    CHECK_EQ(weft_file_sync(fd), 0);
    CHECK_EQ(weft_file_datasync(fd), 0);
    CHECK_EQ(weft_file_close(fd), 0);
    fd = open_for_reading("f");
    CHECK_EQ(weft_file_read(fd, buf, 4), 4);
    CHECK_EQ(weft_file_read(fd, buf, sizeof buf), 9);
    CHECK_EQ(memcmp(buf, " and WEFT", 9), 0);
    CHECK_EQ(weft_file_read(fd, buf, sizeof buf), 0);
    CHECK_EQ(weft_file_read(fd, buf, 0), 0);
    CHECK_EQ(weft_file_close(fd), 0);
    remove_dir();
}

TEST(a_large_file_comes_in_one_read_and_whole)
{
    enum { BYTES = 3 * 1024 * 1024 + 17 };
    char *out = malloc(BYTES), *in = malloc(BYTES + 1);
    make_dir();
    for (int i = 0; i < BYTES; i++)
        out[i] = (char)(i * 7 + i / 4096);
    weft_fd fd = open_to_write("large", 0);
    CHECK_EQ(weft_file_write(fd, out, BYTES), BYTES);
    CHECK_EQ(weft_file_pread(fd, in, BYTES + 1, 0), BYTES);
    CHECK_EQ(memcmp(in, out, BYTES), 0);
    CHECK_EQ(weft_file_close(fd), 0);
    free(in);
    free(out);
    remove_dir();
}

TEST(appending_fibers_do_not_mix_their_lines)
{
    make_dir();
    weft_fd fd = open_to_write("log", O_APPEND);
    CHECK_EQ(weft_file_write(fd, "one\n", 4), 4);
    CHECK_EQ(weft_file_write(fd, "two\n", 4), 4);
    CHECK_EQ(weft_file_close(fd), 0);
    check_holds("log", "one\ntwo\n");
    remove_dir();
}

TEST(bad_offsets_and_closed_handles_are_refused)
{
    char c;
    struct stat st;
    make_dir();
    weft_fd fd = open_to_write("f", 0);
    CHECK_EQ(weft_file_pread(fd, &c, 1, -1), -EINVAL);
    CHECK_EQ(weft_file_pwrite(fd, "x", 1, -1), -EINVAL);
    CHECK_EQ(weft_file_truncate(fd, -1), -EINVAL);
    CHECK_EQ(weft_file_close(fd), 0);
    CHECK_EQ(weft_file_close(fd), -EBADF);
    CHECK_EQ(weft_file_read(fd, &c, 1), -EBADF);
    CHECK_EQ(weft_file_pread(fd, &c, 1, 0), -EBADF);
    CHECK_EQ(weft_file_write(fd, "x", 1), -EBADF);
    CHECK_EQ(weft_file_sync(fd), -EBADF);
    CHECK_EQ(weft_file_fstat(fd, &st), -EBADF);
    fd = open_for_reading("f");
    CHECK_EQ(weft_file_write(fd, "x", 1), -EBADF); /* not for writing */
    CHECK_EQ(weft_file_close(fd), 0);
    CHECK_EQ(weft_file_open(home, O_RDONLY, 0, &fd), 0);
    CHECK_EQ(weft_file_read(fd, &c, 1), -EISDIR);
    CHECK_EQ(weft_file_close(fd), 0);
    remove_dir();
}

TEST(a_failed_open_says_which_file)
{
    weft_fd fd;
    char want[700];
    make_dir();
    CHECK_EQ(weft_file_open(in_dir("none"), O_RDONLY, 0, &fd), -ENOENT);
    (void)snprintf(want, sizeof want, "open %s", in_dir("none"));
    want[sizeof weft_last_error()->msg - 1] = 0;
    CHECK_STR(weft_last_error()->msg, want);
    put("there", "");
    CHECK_EQ(
        weft_file_open(in_dir("there"), O_CREAT | O_EXCL | O_RDWR, 0600, &fd),
        -EEXIST);
    remove_dir();
}

TEST(truncate_and_stat_agree)
{
    struct stat st;
    make_dir();
    weft_fd fd = open_to_write("f", 0);
    CHECK_EQ(weft_file_write(fd, "abcdef", 6), 6);
    CHECK_EQ(weft_file_truncate(fd, 3), 0);
    CHECK_EQ(weft_file_fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 3);
    CHECK_EQ(weft_file_close(fd), 0);
    CHECK_EQ(weft_file_stat(in_dir("f"), &st), 0);
    CHECK_EQ(st.st_size, 3);
    CHECK_EQ(symlink("f", in_dir("link")), 0);
    CHECK_EQ(weft_file_stat(in_dir("link"), &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(weft_file_lstat(in_dir("link"), &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    remove_dir();
}

TEST(of_what_is_not_there_nothing_is_known)
{
    struct stat st;
    errno = 0;
    if (stat("/no/such/file", &st) < 0 && errno == 0)
        SKIP("stat of this C library does not say why it fails");
    make_dir();
    CHECK_EQ(weft_file_stat(in_dir("none"), &st), -ENOENT);
    CHECK_EQ(weft_file_lstat(in_dir("none"), &st), -ENOENT);
    remove_dir();
}

TEST(what_is_behind_4_GiB_is_as_good_as_the_rest)
{
    const int64_t far = ((int64_t)1 << 32) + 5;
    char got[8] = "";
    size_t done = 0;
    struct stat st;
    weft_fd pair[2];
    weft_file_data all;
    make_dir();
    weft_fd fd = open_to_write("f", 0);
    CHECK_EQ(weft_file_pwrite(fd, "far", 3, far), 3);
    CHECK_EQ(weft_file_fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, far + 3);
    CHECK_EQ(weft_file_pread(fd, got, sizeof got, far), 3);
    CHECK_EQ(weft_file_pread(fd, got, 1, 5), 1);
    CHECK_STR(got, "");

    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    CHECK_EQ(weft_file_send(pair[0], fd, far, SIZE_MAX, &done), 0);
    CHECK_EQ(done, 3);
    CHECK_EQ(weft_read_exact(pair[1], got, 3, NULL), 0);
    CHECK_EQ(memcmp(got, "far", 3), 0);

    CHECK_EQ(weft_file_read_all(in_dir("f"), 1000, &all), -EFBIG);
    CHECK_EQ(weft_file_truncate(fd, far + 1), 0);
    CHECK_EQ(weft_file_stat(in_dir("f"), &st), 0);
    CHECK_EQ(st.st_size, far + 1);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    CHECK_EQ(weft_file_close(fd), 0);
    remove_dir();
}

TEST(a_cached_read_needs_no_thread)
{
    char buf[8];
    make_dir();
    put("f", "12345678");
    weft_fd fd = open_for_reading("f");
    CHECK_EQ(weft_file_pread(fd, buf, 8, 0), 8); /* now it is cached */
    unsigned long long before = calls();
    CHECK_EQ(weft_file_pread(fd, buf, 8, 0), 8);
    unsigned long long after = calls();
    CHECK_EQ(weft_file_close(fd), 0);
    remove_dir();
    if (after != before) SKIP("this file system cannot tell what is cached");
}

/* ---- others, meanwhile --------------------------------------------------- */

enum { PIECE = 64 * 1024, PIECES = 64 };

static int writes_zeros(void *name)
{
    static const char zeros[PIECE];
    FILE *f = fopen(in_dir(name), "w");
    CHECK(f != NULL);
    for (int i = 0; i < PIECES; i++)
        CHECK_EQ(fwrite(zeros, 1, PIECE, f), PIECE);
    return fclose(f);
}

static int counts_turns(void *arg)
{
    int err;
    while ((err = weft_yield()) == 0)
        ++*(int *)arg;
    return err;
}

/* Reads all there is, so many octets at a time; others have that many turns. */
static int turns_beside_reading(size_t at_a_time)
{
    const weft_spawn_opts o = {.daemon = true};
    const size_t all = (size_t)PIECE * PIECES;
    char *buf = malloc(at_a_time);
    int rc = 0, turns = 0;
    weft_fd fd = open_for_reading("f");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_ex(&n, counts_turns, &turns, &o), 0);
        CHECK_EQ(weft_yield(), 0);
        turns = 0;
        for (size_t at = 0; at < all; at += at_a_time)
            CHECK_EQ(weft_file_pread(fd, buf, at_a_time, (int64_t)at),
                     at_a_time);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_file_close(fd), 0);
    free(buf);
    return turns;
}

TEST(others_have_turns_by_the_octets_of_what_is_cached)
{
    make_dir();
    CHECK_EQ(writes_zeros((char[]){"f"}), 0);
    CHECK(turns_beside_reading((size_t)PIECE * PIECES) >= PIECES - 1);
    CHECK(turns_beside_reading(4096) >= PIECES - 1);
    remove_dir();
}

/* A read that has to wait for its turn is cancelled meanwhile: it has not read. */
static int reads_until_cancelled(void *arg)
{
    char *buf = malloc(PIECE);
    ssize_t n;
    while ((n = weft_file_pread(*(weft_fd *)arg, buf, PIECE, 0)) == PIECE)
        continue;
    free(buf);
    return (int)n;
}

TEST(who_waits_for_the_next_turn_to_read_can_be_cancelled)
{
    int rc = 0;
    make_dir();
    CHECK_EQ(writes_zeros((char[]){"f"}), 0);
    weft_fd fd = open_for_reading("f");
    for (int i = 0; i < 20; i++) {
        WEFT_NURSERY(n, rc) {
            for (int k = 0; k < 8; k++)
                CHECK_EQ(weft_spawn(&n, reads_until_cancelled, &fd), 0);
            for (int k = 0; k < i; k++)
                CHECK_EQ(weft_yield(), 0);
            weft_nursery_cancel(&n, 0, NULL);
        }
        CHECK_EQ(rc, 0);
    }
    CHECK_EQ(weft_file_close(fd), 0);
    remove_dir();
}

static weft_fd pieces;

static int reads_a_piece(void *arg)
{
    char *buf = malloc(PIECE);
    ssize_t n = weft_file_pread(pieces, buf, PIECE, *(int *)arg * PIECE);
    free(buf);
    return n == PIECE ? 0 : -EIO;
}

TEST(what_many_fibers_have_cached_is_not_all_copied_in_one_turn)
{
    int rc = 0;
    make_dir();
    CHECK_EQ(writes_zeros((char[]){"f"}), 0);
    pieces = open_for_reading("f");
    weft_stats before, after;
    unsigned long long by_threads = calls();
    weft_stats_read(&before);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < PIECES; i++)
            CHECK_EQ(weft_spawn_copy(&n, reads_a_piece, &i, sizeof i), 0);
    }
    weft_stats_read(&after);
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_file_close(pieces), 0);
    remove_dir();
    if (calls() - by_threads >= PIECES) SKIP("nothing is read in place here");
    CHECK(after.turns - before.turns >= PIECES / 4 - 1);
}

TEST(a_fifo_is_for_the_reactor)
{
    char buf[4];
    weft_fd r, w;
    make_dir();
    CHECK_EQ(mkfifo(in_dir("fifo"), 0600), 0);
    CHECK_EQ(weft_file_open(in_dir("fifo"), O_WRONLY, 0, &w), -ENXIO);
    CHECK_EQ(weft_file_open(in_dir("fifo"), O_RDONLY, 0, &r), 0);
    CHECK_EQ(weft_file_open(in_dir("fifo"), O_WRONLY, 0, &w), 0);
    CHECK_EQ(weft_file_pread(r, buf, 1, 0), -ESPIPE);
    CHECK_EQ(weft_file_pwrite(w, "x", 1, 0), -ESPIPE);
    CHECK_EQ(weft_file_write(w, "abc", 3), 3);
    CHECK_EQ(weft_file_read(r, buf, 4), 3);
    CHECK_EQ(weft_file_close(r), 0);
    CHECK_EQ(weft_file_close(w), 0);
    remove_dir();
}

TEST_PLAIN(outside_a_fiber_files_are_refused)
{
    weft_fd fd = {0, 0};
    weft_dir *d;
    weft_file_data all;
    struct stat st;
    char c;
    CHECK_EQ(weft_file_open("/", O_RDONLY, 0, &fd), -EPERM);
    CHECK_EQ(weft_file_close(fd), -EPERM);
    CHECK_EQ(weft_file_read(fd, &c, 1), -EPERM);
    CHECK_EQ(weft_file_pread(fd, &c, 1, 0), -EPERM);
    CHECK_EQ(weft_file_write(fd, &c, 1), -EPERM);
    CHECK_EQ(weft_file_pwrite(fd, &c, 1, 0), -EPERM);
    CHECK_EQ(weft_file_sync(fd), -EPERM);
    CHECK_EQ(weft_file_fstat(fd, &st), -EPERM);
    CHECK_EQ(weft_file_stat("/", &st), -EPERM);
    CHECK_EQ(weft_file_send(fd, fd, 0, 1, NULL), -EPERM);
    CHECK_EQ(weft_dir_open("/", &d), -EPERM);
    CHECK_EQ(weft_file_read_all("/", 1, &all), -EPERM);
    CHECK_EQ(weft_file_write_atomic("/x", "", 0, 0600), -EPERM);
}

/* ---- cancelled, and closed meanwhile ------------------------------------ */

TEST(in_a_cancelled_scope_no_file_is_touched)
{
    weft_scope s;
    weft_fd fd;
    char c;
    struct stat st;
    weft_dir *d;
    weft_file_data all;
    make_dir();
    put("f", "x");
    weft_fd open = open_for_reading("f");
    open_cancelled_scope(&s);
    CHECK_EQ(weft_file_open(in_dir("new"), O_CREAT | O_RDWR, 0600, &fd),
             -ECANCELED);
    CHECK_EQ(weft_file_read(open, &c, 1), -ECANCELED);
    CHECK_EQ(weft_file_read(open, &c, 0), -ECANCELED);
    CHECK_EQ(weft_file_pread(open, &c, 1, 0), -ECANCELED);
    CHECK_EQ(weft_file_write(open, &c, 1), -ECANCELED);
    CHECK_EQ(weft_file_pwrite(open, &c, 1, 0), -ECANCELED);
    CHECK_EQ(weft_file_sync(open), -ECANCELED);
    CHECK_EQ(weft_file_datasync(open), -ECANCELED);
    CHECK_EQ(weft_file_truncate(open, 0), -ECANCELED);
    CHECK_EQ(weft_file_stat(in_dir("f"), &st), -ECANCELED);
    CHECK_EQ(weft_file_fstat(open, &st), -ECANCELED);
    CHECK_EQ(weft_file_rename(in_dir("f"), in_dir("g")), -ECANCELED);
    CHECK_EQ(weft_file_unlink(in_dir("f")), -ECANCELED);
    CHECK_EQ(weft_file_mkdir(in_dir("d"), 0700), -ECANCELED);
    CHECK_EQ(weft_file_rmdir(in_dir("d")), -ECANCELED);
    CHECK_EQ(weft_dir_open(home, &d), -ECANCELED);
    CHECK_EQ(weft_file_read_all(in_dir("f"), 10, &all), -ECANCELED);
    CHECK_EQ(weft_file_write_atomic(in_dir("f"), "y", 1, 0600), -ECANCELED);
    CHECK_EQ(weft_file_send(open, open, 0, 1, NULL), -ECANCELED);
    CHECK_EQ(weft_file_close(open), 0); /* that is clean-up */
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    check_holds("f", "x");
    CHECK_EQ(access(in_dir("new"), F_OK), -1);
    remove_dir();
}

struct writer {
    weft_fd fd;
    ssize_t result;
};

static int writes_abc(void *arg)
{
    struct writer *w = arg;
    w->result = weft_file_write(w->fd, "abc", 3);
    return 0;
}

static void start_writer(weft_nursery *n, weft_task *t, struct writer *w)
{
    const weft_spawn_opts o = {.task = t};
    CHECK_EQ(weft_spawn_ex(n, writes_abc, w, &o), 0);
    CHECK_EQ(weft_yield(), 0);
}

TEST(a_write_cancelled_in_line_has_written_nothing)
{
    int rc = 0;
    weft_task t;
    make_dir();
    struct writer w = {open_to_write("f", 0), 0};
    WEFT_NURSERY(n, rc) {
        occupy_the_pool(&n);
        start_writer(&n, &t, &w);
        weft_task_cancel(&t, 0, NULL);
        CHECK_EQ(weft_join(&t, NULL), 0);
        CHECK_EQ(w.result, -ECANCELED);
        open_gate(&gate);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_file_close(w.fd), 0);
    check_holds("f", "");
    remove_dir();
}

TEST(a_file_closed_while_a_call_is_in_line_stays_open_for_that_call)
{
    int rc = 0;
    weft_task t;
    make_dir();
    struct writer w = {open_to_write("f", 0), 0};
    int number = weft_fd_number(w.fd);
    WEFT_NURSERY(n, rc) {
        occupy_the_pool(&n);
        start_writer(&n, &t, &w);
        CHECK_EQ(weft_fd_release(w.fd), -EBUSY);
        CHECK_EQ(weft_file_close(w.fd), 0);
        CHECK_EQ(weft_fd_number(w.fd), -EBADF);
        /* The number is not given to anybody else. */
        int next = open("/dev/null", O_RDONLY);
        CHECK(next != number);
        CHECK_EQ(close(next), 0);
        open_gate(&gate);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, 3);
    check_holds("f", "abc");
    CHECK_EQ(fcntl(number, F_GETFD), -1); /* and now it is closed */
    remove_dir();
}

/* ---- names and directories ---------------------------------------------- */

TEST(files_and_directories_are_made_renamed_and_removed)
{
    struct stat st;
    char whole[4096], tiny[2];
    make_dir();
    CHECK_EQ(weft_file_mkdir(in_dir("d"), 0700), 0);
    CHECK_EQ(weft_file_mkdir(in_dir("d"), 0700), -EEXIST);
    put("d/a", "1");
    CHECK_EQ(weft_file_rename(in_dir("d/a"), in_dir("d/b")), 0);
    CHECK_EQ(weft_file_rename(in_dir("d/a"), in_dir("d/c")), -ENOENT);
    CHECK(strstr(weft_last_error()->msg, "rename ") != NULL);
    CHECK_EQ(weft_file_stat(in_dir("d/b"), &st), 0);
    CHECK_EQ(weft_file_rmdir(in_dir("d")), -ENOTEMPTY);
    int len = weft_file_realpath(in_dir("d/../d/./b"), whole, sizeof whole);
    CHECK_EQ(len, strlen(whole));
    CHECK_STR(whole + len - 4, "/d/b");
    CHECK_EQ(weft_file_realpath(in_dir("d"), tiny, sizeof tiny), -ENAMETOOLONG);
    CHECK_EQ(weft_file_realpath(in_dir("none"), whole, sizeof whole), -ENOENT);
    CHECK_EQ(weft_file_unlink(in_dir("d/b")), 0);
    CHECK_EQ(weft_file_unlink(in_dir("d/b")), -ENOENT);
    CHECK_EQ(weft_file_rmdir(in_dir("d")), 0);
    remove_dir();
}

TEST(a_directory_gives_each_entry_once_with_its_type)
{
    enum { FILES = 500 };
    static int seen[FILES];
    int others = 0, rc;
    weft_dir *d;
    weft_dirent e;
    make_dir();
    for (int i = 0; i < FILES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "a-file-with-a-long-name-%d", i);
        put(name, "");
    }
    CHECK_EQ(mkdir(in_dir("sub"), 0700), 0);
    CHECK_EQ(symlink("sub", in_dir("link")), 0);
    CHECK_EQ(weft_dir_open(home, &d), 0);
    while ((rc = weft_dir_next(d, &e)) > 0) {
        int i = -1;
        if (sscanf(e.name, "a-file-with-a-long-name-%d", &i) == 1) {
            CHECK(i >= 0 && i < FILES);
            seen[i]++;
            CHECK(e.type == WEFT_FILE_REGULAR || e.type == WEFT_FILE_UNKNOWN);
            continue;
        }
        others++;
        if (strcmp(e.name, "sub") == 0)
            CHECK(e.type == WEFT_FILE_DIRECTORY || e.type == WEFT_FILE_UNKNOWN);
        else
            CHECK_STR(e.name, "link");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_dir_next(d, &e), 0);
    CHECK_EQ(others, 2);
    for (int i = 0; i < FILES; i++)
        CHECK_EQ(seen[i], 1);
    weft_dir_close(d);
    weft_dir_close(NULL);
    CHECK_EQ(weft_dir_open(in_dir("none"), &d), -ENOENT);
    CHECK_EQ(weft_dir_open(in_dir("a-file-with-a-long-name-1"), &d), -ENOTDIR);
    remove_dir();
}

/* ---- whole files -------------------------------------------------------- */

TEST(a_whole_file_is_read_up_to_a_limit)
{
    weft_file_data all;
    make_dir();
    put("f", "twelve bytes");
    CHECK_EQ(weft_file_read_all(in_dir("f"), 1000, &all), 0);
    CHECK_EQ(all.len, 12);
    CHECK_STR(all.data, "twelve bytes");
    weft_file_data_free(&all);
    weft_file_data_free(&all);
    CHECK_EQ(weft_file_read_all(in_dir("f"), 12, &all), 0);
    weft_file_data_free(&all);
    CHECK_EQ(weft_file_read_all(in_dir("f"), 11, &all), -EFBIG);
    CHECK(all.data == NULL);
    CHECK_EQ(weft_file_read_all(in_dir("f"), SIZE_MAX, &all), 0);
    weft_file_data_free(&all);
    put("empty", "");
    CHECK_EQ(weft_file_read_all(in_dir("empty"), 0, &all), 0);
    CHECK_EQ(all.len, 0);
    CHECK_STR(all.data, "");
    weft_file_data_free(&all);
    CHECK_EQ(weft_file_read_all(in_dir("none"), 9, &all), -ENOENT);
    CHECK_EQ(weft_file_read_all(home, 9, &all), -EISDIR);
    remove_dir();
}

TEST(a_file_that_hides_its_size_is_read_to_its_end)
{
    weft_file_data all;
    if (access("/proc/self/maps", R_OK) < 0) SKIP("no /proc here");
    CHECK_EQ(weft_file_read_all("/proc/self/maps", 1 << 24, &all), 0);
    CHECK(all.len > 100);
    CHECK(memchr(all.data, 0, all.len) == NULL);
    weft_file_data_free(&all);
}

TEST(an_atomic_write_replaces_all_or_nothing)
{
    struct stat st;
    make_dir();
    put("f", "old");
    mode_t mask = umask(022);
    CHECK_EQ(weft_file_write_atomic(in_dir("f"), "new text", 8, 0666), 0);
    (void)umask(mask);
    check_holds("f", "new text");
    CHECK_EQ(stat(in_dir("f"), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0644);
    CHECK_EQ(weft_file_write_atomic(in_dir("g"), "", 0, 0600), 0);
    check_holds("g", "");
    CHECK_EQ(weft_file_write_atomic(in_dir("none/f"), "x", 1, 0600), -ENOENT);
    /* Nothing can take the place of a directory; and nothing is left over. */
    CHECK_EQ(mkdir(in_dir("d"), 0700), 0);
    CHECK_EQ(weft_file_write_atomic(in_dir("d"), "x", 1, 0600), -EISDIR);
    weft_dir *d;
    weft_dirent e;
    int count = 0;
    CHECK_EQ(weft_dir_open(home, &d), 0);
    while (weft_dir_next(d, &e) > 0)
        count++;
    weft_dir_close(d);
    CHECK_EQ(count, 3);
    remove_dir();
}

TEST(an_atomic_write_works_on_a_name_without_a_directory)
{
    char before[4096];
    CHECK(getcwd(before, sizeof before) != NULL);
    make_dir();
    CHECK_EQ(chdir(home), 0);
    CHECK_EQ(weft_file_write_atomic("f", "x", 1, 0600), 0);
    CHECK_EQ(chdir(before), 0);
    check_holds("f", "x");
    remove_dir();
}

/* ---- sending ------------------------------------------------------------ */

enum { SENT = 700 * 1024 + 3 };

struct sending {
    weft_fd to, file;
    int result;
    size_t done;
};

static int sends(void *arg)
{
    struct sending *s = arg;
    s->result = weft_file_send(s->to, s->file, 1, SIZE_MAX >> 1, &s->done);
    CHECK_EQ(weft_close(s->to), 0);
    return 0;
}

TEST(a_file_is_sent_down_a_socket_to_its_end)
{
    char *out = malloc(SENT), *in = malloc(SENT + 1);
    size_t got = 0;
    ssize_t n = -1;
    weft_fd pair[2];
    int rc = 0;
    make_dir();
    for (int i = 0; i < SENT; i++)
        out[i] = (char)(i * 13 + i / 1000);
    weft_fd fd = open_to_write("f", 0);
    CHECK_EQ(weft_file_write(fd, out, SENT), SENT);
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    struct sending s = {.to = pair[0], .file = fd, .result = 1};
    WEFT_NURSERY(nursery, rc) {
        CHECK_EQ(weft_spawn(&nursery, sends, &s), 0);
        while ((n = weft_read(pair[1], in + got, SENT + 1 - got)) > 0)
            got += (size_t)n;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(n, 0);
    CHECK_EQ(s.result, 0);
    CHECK_EQ(s.done, SENT - 1);
    CHECK_EQ(got, SENT - 1);
    CHECK_EQ(memcmp(in, out + 1, SENT - 1), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    CHECK_EQ(weft_file_close(fd), 0);
    free(in);
    free(out);
    remove_dir();
}

TEST(nothing_is_sent_from_behind_the_end)
{
    size_t done = 1;
    weft_fd pair[2];
    make_dir();
    put("f", "12345678");
    weft_fd fd = open_for_reading("f");
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    CHECK_EQ(weft_file_send(pair[0], fd, 8, 100, &done), 0);
    CHECK_EQ(done, 0);
    /* 0 or an error, as the system has it, and no offset below 0 on the way */
    CHECK(weft_file_send(pair[0], fd, INT64_MAX - 1, 100, &done) <= 0);
    CHECK(weft_file_send(pair[0], fd, INT64_MAX, SIZE_MAX, &done) <= 0);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    CHECK_EQ(weft_file_close(fd), 0);
    remove_dir();
}

TEST(what_the_system_cannot_send_is_copied)
{
    weft_fd pair[2], file;
    char buf[64];
    size_t done = 0;
    if (access("/proc/self/stat", R_OK) < 0) SKIP("no /proc here");
    CHECK_EQ(weft_file_open("/proc/self/stat", O_RDONLY, 0, &file), 0);
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    CHECK_EQ(weft_file_send(pair[0], file, 0, 20, &done), 0);
    CHECK_EQ(done, 20);
    CHECK_EQ(weft_read(pair[1], buf, sizeof buf), 20);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    CHECK_EQ(weft_file_close(file), 0);
}

TEST(sending_to_a_closed_peer_is_epipe_and_no_signal)
{
    weft_fd pair[2];
    size_t done = 7;
    make_dir();
    put("f", "some octets");
    weft_fd fd = open_for_reading("f");
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    CHECK_EQ(weft_file_send(pair[0], fd, 0, 11, &done), -EPIPE);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_file_send(pair[0], fd, -1, 11, &done), -EINVAL);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_file_send(pair[0], fd, 0, 11, &done), -EBADF);
    CHECK_EQ(weft_file_close(fd), 0);
    remove_dir();
}

/* ---- cancelled at every moment, and without memory ---------------------- */

static int a_life_of_a_file(const char *name)
{
    weft_fd fd;
    weft_file_data all = {NULL, 0, 0};
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", home, name);
    int err = weft_file_open(path, O_RDWR | O_CREAT, 0600, &fd);
    if (err < 0) return err;
    ssize_t n = weft_file_write(fd, "some text", 9);
    char buf[16];
    if (n == 9) n = weft_file_pread(fd, buf, sizeof buf, 0);
    if (n == 9) n = weft_file_sync(fd);
    err = weft_file_close(fd);
    if (n < 0) return (int)n;
    if (err == 0) err = weft_file_read_all(path, 100, &all);
    if (err == 0) err = weft_file_write_atomic(path, all.data, all.len, 0600);
    weft_file_data_free(&all);
    return err < 0 ? err : weft_file_unlink(path);
}

static int lives_as_a_file(void *arg)
{
    return a_life_of_a_file(arg);
}

static int reads_the_directory(void *arg)
{
    weft_dir *d;
    weft_dirent e;
    int rc = weft_dir_open(arg, &d);
    if (rc < 0) return rc;
    do
        rc = weft_dir_next(d, &e);
    while (rc > 0);
    weft_dir_close(d);
    return rc;
}

static void start_files(weft_nursery *n)
{
    static char a[] = "a";
    static char sub[600];
    make_dir();
    (void)snprintf(sub, sizeof sub, "%s", in_dir("sub"));
    CHECK_EQ(mkdir(sub, 0700), 0);
    put("sub/one", "");
    put("sub/two", "");
    sweep_spawn(n, lives_as_a_file, a);
    sweep_spawn(n, reads_the_directory, sub);
}

static void check_no_temporary_left(void)
{
    DIR *d = opendir(home);
    CHECK(d != NULL);
    for (const struct dirent *e; (e = readdir(d));)
        CHECK(strncmp(e->d_name, ".weft-", 6) != 0);
    (void)closedir(d);
    remove_dir();
}

SWEEP(files_are_closed_and_nothing_is_left_over, start_files,
      check_no_temporary_left, 0);

/* ---- a disk that says no ------------------------------------------------ */

#ifdef WEFT_HOSTILE
#include "runtime/os.h"

struct refusal {
    enum wf_call call;
    long use;
};

static int plans_a_refusal(void *arg)
{
    const struct refusal *r = arg;
    wf_hostile_fail(r->call, r->use, false);
    return 0;
}

/* Each call of the replacement fails in its turn: the old is there or the new,
 * and no other file. */
TEST(an_atomic_write_that_fails_anywhere_leaves_the_old_or_the_new)
{
    static const enum wf_call kinds[] = {WF_CALL_FILE, WF_CALL_WRITE};
    const weft_pool_opts one = {.threads = 1};
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING, &one), 0);
    for (int k = 0; k < 2; k++) {
        int err = -1;
        for (long use = 1; err < 0 && use < 20; use++) {
            struct refusal r = {kinds[k], use}, none = {kinds[k], 0};
            make_dir();
            put("f", "old");
            CHECK_EQ(weft_blocking(plans_a_refusal, &r), 0);
            err = weft_file_write_atomic(in_dir("f"), "new", 3, 0600);
            CHECK_EQ(weft_blocking(plans_a_refusal, &none), 0);
            weft_file_data all;
            CHECK_EQ(weft_file_read_all(in_dir("f"), 9, &all), 0);
            CHECK(strcmp(all.data, "new") == 0 ||
                  (err < 0 && strcmp(all.data, "old") == 0));
            weft_file_data_free(&all);
            check_no_temporary_left();
        }
        CHECK_EQ(err, 0);
    }
}
#endif
