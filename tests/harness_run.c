/* SPDX-License-Identifier: MIT */
/*
 * harness_run.c - one test in one process.
 *
 * The child says how it went through a page it shares with the parent, which
 * also holds when the child died in the middle: the page starts as "did not
 * finish", and only the last act of a test makes it "passed". A test passes
 * when the page says so and the process then ended with 0, so that a leak
 * checker, which speaks up at exit, has a say as well.
 *
 * What the child prints goes to a file without a name, not to a pipe: nobody
 * has to drain it, and a grandchild that keeps it open delays nothing.
 *
 * Nothing here is allocated: it would be "still reachable" in every child.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/time.h>

#include "runtime/leaks.h"

enum { MAX_FDS = 4096 };

enum state { UNFINISHED, PASSED, FAILED, SKIPPED };

struct report {
    enum state state;
    char text[1024];
};

static struct report *report; /* shared with the process of the test */

static volatile sig_atomic_t running; /* process group of the test, or 0 */
static volatile sig_atomic_t timed_out;

/* --- in the process of the test --- */

static _Noreturn void conclude(enum state state)
{
    report->state = state;
    (void)fflush(NULL);
    _exit(state == FAILED);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    size_t size = sizeof(report->text);
    int used = snprintf(report->text, size, "%s:%d: ", file, line);
    size_t at = used < 0 || (size_t)used >= size ? 0 : (size_t)used;

    va_start(args, format);
    (void)vsnprintf(report->text + at, size - at, format, args);
    va_end(args);
    conclude(FAILED);
}

void test_skip(const char *reason)
{
    (void)snprintf(report->text, sizeof(report->text), "%s", reason);
    conclude(SKIPPED);
}

void test_check_eq(const char *file, int line, const char *what, long long got,
                   long long want)
{
    if (got == want) return;
    test_fail(file, line, "%s is %lld, not %lld", what, got, want);
}

void test_check_str(const char *file, int line, const char *what,
                    const char *got, const char *want)
{
    if (got == want) return;
    if (got && want && strcmp(got, want) == 0) return;
    test_fail(file, line, "%s is \"%s\", not \"%s\"", what,
              got ? got : "(null)", want ? want : "(null)");
}

void test_check_ptr(const char *file, int line, const char *what,
                    const volatile void *got, const volatile void *want)
{
    if (got == want) return;
    test_fail(file, line, "%s is %p, not %p", what, (void *)(uintptr_t)got,
              (void *)(uintptr_t)want);
}

struct open_fds {
    bool known;
    bool open[MAX_FDS];
};

/* Every descriptor above 2 of this process but the one that lists them. */
static void list_open_fds(struct open_fds *ret)
{
    memset(ret, 0, sizeof(*ret));
    DIR *d = opendir("/proc/self/fd");
    if (!d) d = opendir("/dev/fd");
    if (!d) return;

    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        long fd = strtol(e->d_name, NULL, 10);
        if (fd > 2 && fd < MAX_FDS && fd != dirfd(d)) ret->open[fd] = true;
    }
    ret->known = true;
    (void)closedir(d);
}

struct snapshot {
    struct wf_leaks library;
    struct open_fds fds;
};

static void snapshot_take(struct snapshot *ret)
{
    wf_leaks_read(&ret->library);
    list_open_fds(&ret->fds);
}

static void note(char *text, size_t len, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void note(char *text, size_t len, const char *format, ...)
{
    size_t at = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + at, len - at, format, args);
    va_end(args);
}

static void note_count(char *text, size_t len, const char *what,
                       long long before, long long after)
{
    if (after != before) {
        note(text, len, ", %s: %lld", what, after - before);
    }
}

/* What is there now that was not there before, as ", fibers: 1, ...". */
static void note_left_over(const struct snapshot *before,
                           const struct snapshot *after, char *text, size_t len)
{
    const struct wf_leaks *b = &before->library, *a = &after->library;
    note_count(text, len, "fibers", (long)b->fibers, (long)a->fibers);
    note_count(text, len, "handles", (long)b->descriptors,
               (long)a->descriptors);
    note_count(text, len, "timers", (long)b->timers, (long)a->timers);
    note_count(text, len, "bytes", b->bytes, a->bytes);

    if (!before->fds.known || !after->fds.known) return;
    for (int fd = 0; fd < MAX_FDS; fd++) {
        if (after->fds.open[fd] && !before->fds.open[fd]) {
            note(text, len, ", open descriptor %d", fd);
        }
        if (before->fds.open[fd] && !after->fds.open[fd]) {
            note(text, len, ", closed descriptor %d that was not its own", fd);
        }
    }
}

static bool runs_in_a_fiber(const struct test *t)
{
    return t->kind != TEST_NO_RUN && t->kind != TEST_DIES;
}

static int run_body(void *arg)
{
    const struct test *t = arg;
    t->body();
    return 0;
}

static void run_in_fiber(const struct test *t)
{
    struct test copy = *t;
    weft_run_opts opts = {
        .virtual_clock =
            t->kind == TEST_VIRTUAL_CLOCK || t->kind == TEST_VIRTUAL_FIFO,
        .sched_seed = test_takes_an_order(t) ? test_order() : 0,
    };
    int err = weft_run(run_body, &copy, &opts);
    if (err == 0) return;

    (void)snprintf(report->text, sizeof(report->text),
                   "weft_run returned %d (%s)", err, strerror(-err));
    conclude(FAILED);
}

/* exit, not _exit: leak checkers and coverage work there. */
static _Noreturn void test_process(const struct test *t)
{
    static struct snapshot before, after;
    char left[512] = "";

    snapshot_take(&before);
    if (runs_in_a_fiber(t)) {
        run_in_fiber(t);
    } else {
        t->body();
    }
    snapshot_take(&after);

    note_left_over(&before, &after, left, sizeof(left));
    if (waitpid(-1, NULL, WNOHANG) >= 0) {
        note(left, sizeof(left), ", a child process");
    }
    if (left[0]) {
        (void)snprintf(report->text, sizeof(report->text), "left behind: %s",
                       left + strlen(", "));
        conclude(FAILED);
    }
    report->state = PASSED;
    exit(0);
}

/* --- in the parent --- */

bool test_is_slow(void)
{
#if defined(WEFT_VALGRIND) || defined(__SANITIZE_ADDRESS__) ||                 \
    defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
    return true;
#endif
#endif
    const char *slow = getenv("TEST_SLOW"); /* the runner's word */
    return slow && slow[0];
}

/* UBSan takes some of the time, and changes nothing else. */
static bool may_take_long(void)
{
#ifdef WEFT_UBSAN
    return true;
#else
    return test_is_slow();
#endif
}

static unsigned limit_ms(const struct test *t)
{
    const char *limit = getenv("TEST_TIMEOUT");
    if (t->limit_ms) return t->limit_ms;
    if (limit && atoi(limit) > 0) return (unsigned)atoi(limit) * 1000;
    return may_take_long() ? 100000 : 10000;
}

/* SIGKILL: a test that hangs may well have every other signal blocked. */
static void on_alarm(int sig)
{
    (void)sig;
    timed_out = 1;
    if (running) (void)kill(-(pid_t)running, SIGKILL);
}

/* The test is in a process group of its own and does not see a ^C. */
static void on_interrupt(int sig)
{
    if (running) (void)kill(-(pid_t)running, SIGKILL);
    _exit(128 + sig);
}

/*
 * No SA_RESTART, and the alarm repeats: ThreadSanitizer holds a signal back
 * until the call that it interrupts returns.
 */
static void handle(int sig, void (*handler)(int))
{
    struct sigaction act = {.sa_flags = 0};
    act.sa_handler = handler;
    (void)sigaction(sig, &act, NULL);
}

static struct timeval milliseconds(unsigned ms)
{
    return (struct timeval){.tv_sec = ms / 1000,
                            .tv_usec = (int)(ms % 1000 * 1000)};
}

static void set_alarm(unsigned ms)
{
    struct itimerval it = {milliseconds(ms ? 100 : 0), milliseconds(ms)};
    (void)setitimer(ITIMER_REAL, &it, NULL);
}

static int open_nameless_file(void)
{
    const char *dir = getenv("TMPDIR");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/weft-test-XXXXXX",
                   dir && strlen(dir) < 400 ? dir : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0) return -1;
    (void)unlink(path);
    (void)fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

static void become_the_test(int out)
{
    int null = open("/dev/null", O_RDONLY);
    (void)dup2(null, 0);
    (void)dup2(out, 1);
    (void)dup2(out, 2);
    if (null > 2) (void)close(null);
    if (out > 2) (void)close(out);

    (void)setpgid(0, 0);
    handle(SIGALRM, SIG_DFL);
    handle(SIGINT, SIG_DFL);
    handle(SIGTERM, SIG_DFL);
    running = 0;
}

static int wait_for_test(pid_t child, unsigned ms)
{
    int status = 0;
    timed_out = 0;
    running = child;
    set_alarm(ms);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    set_alarm(0);
    running = 0;
    (void)kill(-child, SIGKILL); /* what it may have started */
    return status;
}

/* How a process ended, in words, when that was not as it should. */
static void note_status(int status, char *text, size_t len)
{
    if (timed_out) {
        note(text, len, "timed out");
    } else if (WIFSIGNALED(status)) {
        note(text, len, "killed by a signal: %s", strsignal(WTERMSIG(status)));
    } else {
        note(text, len, "ended with status %d%s", WEXITSTATUS(status),
             report->state == PASSED ? " after it had passed" : "");
    }
}

/* The verdict, and in `text` the reason unless the test passed. */
static enum test_outcome judge(const struct test *t, int status,
                               const char *output, char *text, size_t len)
{
    text[0] = '\0';
    if (report->state == FAILED || report->state == SKIPPED) {
        note(text, len, "%s", report->text);
    }
    if (report->state == SKIPPED) return TEST_SKIPPED;
    if (report->state == FAILED) return TEST_FAILED;

    bool good_end = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (t->kind != TEST_DIES || timed_out) {
        if (report->state == PASSED && good_end) return TEST_PASSED;
        note_status(status, text, len);
        return TEST_FAILED;
    }
    if (good_end) {
        note(text, len, "did not die");
        return TEST_FAILED;
    }
    if (strstr(output, t->sentence)) return TEST_PASSED;
    note_status(status, text, len);
    note(text, len, " without saying \"%s\"", t->sentence);
    return TEST_FAILED;
}

/* The first part of what the test printed; static, as nothing is allocated. */
static const char *read_output(int fd)
{
    static char output[64 * 1024];
    ssize_t n = pread(fd, output, sizeof(output) - 1, 0);
    output[n < 0 ? 0 : n] = '\0';
    for (ssize_t i = 0; i < n; i++) {
        if (output[i] == '\0') output[i] = '?';
    }
    return output;
}

/* Valgrind translates code as it meets it, and a fork has what its parent has:
 * what every test begins and ends with is not to be translated for each. */
#ifdef WEFT_VALGRIND
static int sleeps(void *arg)
{
    (void)arg;
    return weft_sleep(1);
}

static int has_children(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, sleeps, arg);
        if (rc == 0) rc = weft_spawn(&n, sleeps, arg);
    }
    return rc;
}

void test_warm_up(void)
{
    /* Valgrind takes an alternate stack that was given back for one in use. */
    const weft_run_opts o = {.virtual_clock = true, .no_crash_report = true};
    int rc = weft_run(has_children, NULL, &o);
    if (rc < 0) (void)fprintf(stderr, "warm-up: %d\n", rc);
}
#else
void test_warm_up(void)
{
}
#endif

enum test_outcome test_run(const struct test *t, char *text, size_t len)
{
    enum test_outcome outcome = TEST_FAILED;
    text[0] = '\0';

    struct report *outer = report;
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int out = open_nameless_file();
    if (report == MAP_FAILED || out < 0) {
        note(text, len, "the harness cannot work: %s", strerror(errno));
        goto undo;
    }

    handle(SIGALRM, on_alarm);
    handle(SIGINT, on_interrupt);
    handle(SIGTERM, on_interrupt);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        note(text, len, "fork: %s", strerror(errno));
        goto undo;
    }
    if (child == 0) {
        become_the_test(out);
        if (t->kind == TEST_DIES) {
            (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        }
        test_process(t);
    }
    (void)setpgid(child, child);

    int status = wait_for_test(child, limit_ms(t));
    const char *output = read_output(out);
    outcome = judge(t, status, output, text, len);
    if (outcome == TEST_PASSED && runs_in_a_fiber(t) &&
        strstr(output, "weft: deadlock")) {
        /* Its handling cancels main, and can make a missing wake look right. */
        outcome = TEST_FAILED;
        note(text, len, "a deadlock was reported");
    }
    if (output[0]) note(text, len, "\n%s", output);

undo:
    if (out >= 0) (void)close(out);
    if (report != MAP_FAILED) (void)munmap(report, sizeof(*report));
    report = outer;
    return outcome;
}
