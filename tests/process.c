/* SPDX-License-Identifier: MIT */
/* process.c - a piece of a test in a process of its own. */
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

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
    if (e.status == 1) { /* a CHECK failed there, and has said why */
        (void)fflush(NULL);
        _exit(1);
    }
    test_fail(__FILE__, __LINE__, "the child ended with %d, signal %d",
              e.status, e.signal);
}

bool a_tool_is_watching(void)
{
    return test_is_slow();
}
