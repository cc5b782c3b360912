/* SPDX-License-Identifier: MIT */
/* process.c - a piece of a test in a process of its own. */
#include "process.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

extern char **environ;

static void become_the_child(int out)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)dup2(out, 1);
    (void)dup2(out, 2);
    if (out > 2) (void)close(out);
}

static void read_all(int fd, char *text, size_t room)
{
    size_t len = 0;
    char rest[512];
    for (;;) {
        bool full = len == room - 1;
        ssize_t n = full ? read(fd, rest, sizeof rest)
                         : read(fd, text + len, room - 1 - len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        if (!full) len += (size_t)n;
    }
    text[len] = '\0';
}

void run_in_process(void (*body)(void *arg), void *arg, struct ending *ret)
{
    int ends[2], status = 0;
    CHECK_EQ(pipe(ends), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        become_the_child(ends[1]);
        body(arg);
        (void)fflush(NULL);
        _exit(0);
    }
    (void)close(ends[1]);
    read_all(ends[0], ret->said, sizeof ret->said);
    (void)close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void must_run_in_process(void (*body)(void *arg), void *arg)
{
    static struct ending e;
    run_in_process(body, arg, &e);
    if (e.status == 0) return;
    (void)fprintf(stderr, "%s", e.said);
    if (e.signal) test_fail(__FILE__, __LINE__, "killed by signal %d", e.signal);
    (void)fprintf(stderr, "the child ended with status %d\n", e.status);
    (void)fflush(NULL);
    _exit(1); /* if a CHECK failed there, it has said why */
}

bool a_tool_is_watching(void)
{
    return test_is_slow();
}

bool valgrind_is_watching(void)
{
#ifdef RUNNING_ON_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    const char *slow = getenv("TEST_SLOW"); /* without the header: it may be */
    return slow && *slow;
#endif
}

bool vfork_is_a_fork(void)
{
    char *argv[] = {(char[]){"none"}, NULL};
    pid_t child;
    if (posix_spawn(&child, "/no/such/program", NULL, NULL, argv, environ) != 0)
        return false;
    CHECK_EQ(waitpid(child, NULL, 0), child);
    return true;
}
