/* SPDX-License-Identifier: MIT */
/* work_files.c - files, directories, child processes, signals. */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/os.h"
#include "torture.h"

static int run_it(weft_fn fn)
{
    return weft_run(fn, NULL, NULL);
}

/* ---- files -------------------------------------------------------------- */

/* What was moved before an error is a success, and the next call has it. */
static int write_all(weft_fd f, const char *text, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = weft_file_write(f, text + done, len - done);
        TRY(n);
        done += (size_t)n;
    }
    return 0;
}

static ssize_t read_all(weft_fd f, char *text, size_t len)
{
    size_t done = 0;
    ssize_t n;
    do {
        n = weft_file_pread(f, text + done, len - done, (int64_t)done);
        if (n > 0) done += (size_t)n;
    } while (n > 0 && done < len);
    return n < 0 ? n : (ssize_t)done;
}

static int use_file(weft_fd f)
{
    char text[32] = "";
    struct stat st;
    TRY(write_all(f, "hello, world", 12));
    ssize_t n = weft_file_pwrite(f, "H", 1, 0);
    TRY(n);
    TRY(weft_file_sync(f));
    TRY(weft_file_datasync(f));
    TRY(weft_file_truncate(f, 5));
    TRY(weft_file_fstat(f, &st));
    EXPECT(st.st_size == 5);
    n = read_all(f, text, sizeof text);
    TRY(n);
    EXPECT(n == 5 && memcmp(text, "Hello", 5) == 0);
    n = weft_file_pread(f, text, sizeof text, 5);
    TRY(n);
    EXPECT(n == 0);
    return 0;
}

static int has_a_file(void *arg)
{
    weft_fd f;
    (void)arg;
    TRY(weft_file_open(work_path("file"), O_RDWR | O_CREAT, 0600, &f));
    int rc = use_file(f);
    int err = weft_file_close(f);
    return rc < 0 ? rc : err;
}

static int a_file(void)
{
    return run_it(has_a_file);
}
WORK(a_file, MAY(0));

static int use_paths(const char *a, const char *b)
{
    char whole[4096];
    struct stat st;
    TRY(weft_file_mkdir(a, 0700));
    TRY(weft_file_stat(a, &st));
    EXPECT(S_ISDIR(st.st_mode));
    TRY(weft_file_lstat(a, &st));
    int n = weft_file_realpath(a, whole, sizeof whole);
    TRY(n);
    EXPECT((size_t)n == strlen(whole));
    TRY(weft_file_rename(a, b));
    EXPECT(access(b, F_OK) == 0 && access(a, F_OK) < 0);
    TRY(weft_file_rmdir(b));
    EXPECT(access(b, F_OK) < 0);
    EXPECT(symlink("nowhere", b) == 0);
    TRY(weft_file_unlink(b));
    EXPECT(unlink(b) < 0);
    return 0;
}

static int has_paths(void *arg)
{
    (void)arg;
    return use_paths(work_path("a"), work_path("b"));
}

static int paths(void)
{
    return run_it(has_paths);
}
WORK(paths, MAY(0));

static int list_directory(weft_dir *d)
{
    weft_dirent e;
    int all = 0;
    for (;;) {
        int rc = weft_dir_next(d, &e);
        TRY(rc);
        if (rc == 0) break;
        all += strncmp(e.name, "entry", 5) == 0;
    }
    EXPECT(all == 30);
    return 0;
}

static int has_a_directory(void *arg)
{
    weft_dir *d;
    (void)arg;
    for (int i = 0; i < 30; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "entry%d", i);
        int fd = open(work_path(name), O_CREAT | O_WRONLY, 0600);
        EXPECT(fd >= 0);
        (void)close(fd);
    }
    TRY(weft_dir_open(work_directory(), &d));
    int rc = list_directory(d);
    weft_dir_close(d);
    return rc;
}

static int a_directory(void)
{
    return run_it(has_a_directory);
}
WORK(a_directory, MAY(0));

/* The old one or the new one, and no other file beside it. */
static int look_at_the_whole(int rc)
{
    char text[8] = "";
    const char *path = work_path("whole");
    int fd = open(path, O_RDONLY);
    EXPECT(fd >= 0);
    ssize_t n = read(fd, text, sizeof text);
    (void)close(fd);
    EXPECT(n == 3);
    EXPECT(memcmp(text, "new", 3) == 0 || (rc < 0 && !memcmp(text, "old", 3)));
    return rc;
}

static int replaces(void *arg)
{
    (void)arg;
    const char *path = work_path("whole");
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    EXPECT(fd >= 0 && write(fd, "old", 3) == 3);
    (void)close(fd);
    int rc = look_at_the_whole(weft_file_write_atomic(path, "new", 3, 0600));
    weft_file_data data;
    if (rc == 0) rc = weft_file_read_all(path, 100, &data);
    if (rc < 0) return rc;
    EXPECT(data.len == 3 && memcmp(data.data, "new", 3) == 0);
    weft_file_data_free(&data);
    return 0;
}

static int a_whole_file(void)
{
    return run_it(replaces);
}
WORK(a_whole_file, MAY(0));

enum { LARGE = 20000 };

static int reads_the_large(weft_fd from)
{
    static char text[LARGE];
    TRY(weft_read_exact(from, text, LARGE, NULL));
    for (int i = 0; i < LARGE; i++)
        EXPECT(text[i] == (char)('a' + i % 26));
    return 0;
}

static weft_fd sent_to[2];

static int receives_the_file(void *arg)
{
    (void)arg;
    return reads_the_large(sent_to[1]);
}

static int send_the_file(weft_nursery *n, weft_fd file)
{
    size_t done = 0;
    TRY(weft_spawn(n, receives_the_file, NULL));
    int rc = weft_file_send(sent_to[0], file, 0, LARGE, &done);
    if (rc == 0) EXPECT(done == LARGE);
    return rc;
}

static int send_and_close(weft_fd file)
{
    weft_nursery n;
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, sent_to));
    int rc = weft_nursery_open(&n, NULL);
    if (rc == 0) rc = weft_nursery_close(&n, send_the_file(&n, file));
    (void)weft_close(sent_to[0]);
    (void)weft_close(sent_to[1]);
    return rc;
}

static int sends_a_file(void *arg)
{
    static char text[LARGE];
    weft_fd file;
    (void)arg;
    for (int i = 0; i < LARGE; i++)
        text[i] = (char)('a' + i % 26);
    int fd = open(work_path("large"), O_CREAT | O_RDWR, 0600);
    EXPECT(fd >= 0 && write(fd, text, LARGE) == LARGE);
    int rc = weft_fd_adopt(fd, &file);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    rc = send_and_close(file);
    (void)weft_close(file);
    return rc;
}

static int a_file_is_sent(void)
{
    return run_it(sends_a_file);
}
WORK(a_file_is_sent, MAY(0));

/* ---- processes ---------------------------------------------------------- */

static int runs_cat(void *arg)
{
    const weft_process_opts o = {
        .argv = WEFT_ARGV("cat"), .err = {WEFT_IO_OUT, 0}, .dir = "/"};
    char text[16];
    weft_capture out = {.buf = text, .room = sizeof text};
    (void)arg;
    int rc = weft_process_run(&o, "words", 5, &out, NULL);
    TRY(rc);
    /* It need not read them: that is what EPIPE says. */
    EXPECT(rc == 0 && (out.len == 5 || work_fault_is(EPIPE)));
    EXPECT(memcmp(text, "words", out.len) == 0);
    return 0;
}

static int a_process_and_its_pipes(void)
{
    return run_it(runs_cat);
}
WORK(a_process_and_its_pipes, MAY(EPIPE));

static int starts_and_waits(void *arg)
{
    const weft_process_opts o = {
        .argv = WEFT_ARGV("/bin/sh", "-c", arg ? arg : "exit 3"),
        .in = {WEFT_IO_NULL, 0},
        .out = {WEFT_IO_NULL, 0},
        .err = {WEFT_IO_NULL, 0}};
    weft_process p;
    TRY(weft_process_start(&p, &o));
    int rc = weft_process_wait(&p);
    int how = weft_process_close(&p);
    TRY(rc);
    EXPECT(rc == 3 && how == 3);
    return 0;
}

static int a_process_with_nothing(void)
{
    return run_it(starts_and_waits);
}
WORK(a_process_with_nothing, MAY(0));

/* Its first descriptors are needed by nobody here. */
static int starts_without_standard(void *arg)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("/bin/true"),
                                 .in = {WEFT_IO_PIPE, 0},
                                 .out = {WEFT_IO_PIPE, 0}};
    weft_process p;
    (void)arg;
    int in = dup(0);
    (void)close(0);
    int rc = weft_process_start(&p, &o);
    if (rc == 0) {
        rc = weft_process_wait(&p);
        (void)weft_close(p.in);
        (void)weft_close(p.out);
        EXPECT(weft_process_close(&p) == 0);
    }
    EXPECT(in < 0 || dup2(in, 0) == 0);
    if (in > 0) (void)close(in);
    return rc;
}

static int a_process_and_low_numbers(void)
{
    int kept = dup(0);
    int rc = run_it(starts_without_standard);
    if (kept >= 0) (void)dup2(kept, 0);
    if (kept >= 0) (void)close(kept);
    return rc;
}
WORK(a_process_and_low_numbers, MAY(0));

/* Where the system cannot tell of its end it is looked at now and then. */
static int looks_at_it(void *arg)
{
    static char later[] = "sleep 0.05; exit 3";
    (void)arg;
    wf_hostile_fail(WF_CALL_PIDFD, 1, true);
    int rc = starts_and_waits(later);
    wf_hostile_fail(WF_CALL_PIDFD, 0, false);
    return rc;
}

static int a_process_is_looked_at(void)
{
    const weft_run_opts o = {.virtual_clock = true};
    return weft_run(looks_at_it, NULL, &o);
}
WORK(a_process_is_looked_at, MAY(0));

/* ---- signals ------------------------------------------------------------ */

static int takes_a_signal(void *arg)
{
    static const int both[] = {SIGUSR1, SIGUSR2};
    weft_signals s;
    (void)arg;
    TRY(weft_signals_open(&s, both, 2));
    EXPECT(raise(SIGUSR2) == 0);
    int rc = weft_signals_wait(&s);
    weft_signals_close(&s);
    TRY(rc);
    EXPECT(rc == SIGUSR2);
    return 0;
}

static int signals(void)
{
    const weft_run_opts o = {.handle_signals = true};
    return weft_run(takes_a_signal, NULL, &o);
}
WORK(signals, MAY(0));
