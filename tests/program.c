/* SPDX-License-Identifier: MIT */
/* program.c - an example program, started as a test is and seen from outside. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "system.h"

enum { WORDS = 32 };

static void find_program(const char *name, char *path, size_t size)
{
    const char *dir = getenv("EXAMPLES");
    char self[2048];
    if (!dir) {
        system_program(self, sizeof self);
        for (int up = 0; up < 2; up++) {
            char *slash = strrchr(self, '/');
            if (slash) *slash = 0;
        }
    }
    (void)snprintf(path, size, "%s%s/%s", dir ? dir : self,
                   dir ? "" : "/examples", name);
    if (access(path, X_OK) < 0) SKIP("the examples are not built");
}

void start_program(struct program *p, const char *name, char **arguments)
{
    static char path[4096], runner[4096];
    char *argv[WORDS], *rest = runner;
    int ends[2], n = 0;
    find_program(name, path, sizeof path);
    const char *with = getenv("TEST_RUNNER");
    (void)snprintf(runner, sizeof runner, "%s", with ? with : "");
    for (char *w; n < WORDS / 2 && (w = strsep(&rest, " ")) != NULL;)
        if (*w) argv[n++] = w;
    argv[n++] = path;
    while (n < WORDS - 1 && *arguments)
        argv[n++] = *arguments++;
    argv[n] = NULL;

    *p = (struct program){.pid = -1};
    system_pipe(ends);
    (void)fflush(NULL);
    p->pid = fork();
    CHECK(p->pid >= 0);
    if (p->pid == 0) {
        (void)dup2(ends[1], 1);
        (void)dup2(ends[1], 2);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    (void)close(ends[1]);
    p->out = ends[0];
}

size_t read_line(int fd, char *text, size_t size)
{
    size_t n = 0;
    while (n < size - 1) {
        ssize_t got = read(fd, text + n, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) test_fail(__FILE__, __LINE__, "read: %s", strerror(errno));
        if (got == 0 || text[n++] == '\n') break;
    }
    text[n] = 0;
    return n;
}

size_t read_all(int fd, char *text, size_t size)
{
    size_t n = 0;
    while (n < size - 1) {
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) test_fail(__FILE__, __LINE__, "read: %s", strerror(errno));
        if (got == 0) break;
        n += (size_t)got;
    }
    text[n] = 0;
    return n;
}

/* Valgrind tells of system calls it does not know: "--PID-- WARNING ...". */
static bool is_remark(const char *line)
{
    return strncmp(line, "--", 2) == 0;
}

size_t read_its_line(struct program *p, char *text, size_t size)
{
    size_t n;
    do
        n = read_line(p->out, text, size);
    while (is_remark(text));
    return n;
}

void start_server(struct program *p, const char *name, char **addresses)
{
    static const char says[] = "listening on ";
    char line[256];
    start_program(p, name, addresses);
    for (int i = 0; i < 2 && addresses[i]; i++) {
        size_t n = read_its_line(p, line, sizeof line);
        if (strncmp(line, says, sizeof says - 1) != 0)
            test_fail(__FILE__, __LINE__, "%s says: %s", name, line);
        line[n - 1] = 0;
        (void)snprintf(p->address[i], sizeof p->address[i], "%.120s",
                       line + sizeof says - 1);
    }
}

static void forget_remarks(char *text)
{
    char *to = text, *next;
    for (char *line = text; *line; line = next) {
        next = strchr(line, '\n');
        next = next ? next + 1 : strchr(line, 0);
        if (is_remark(line)) continue;
        memmove(to, line, (size_t)(next - line));
        to += next - line;
    }
    *to = 0;
}

int await_program(struct program *p, char *text, size_t size)
{
    int status = 0;
    (void)read_all(p->out, text, size);
    forget_remarks(text);
    (void)close(p->out);
    CHECK_EQ(waitpid(p->pid, &status, 0), p->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void stop_server(struct program *p)
{
    char text[4096];
    CHECK_EQ(kill(p->pid, SIGTERM), 0);
    int status = await_program(p, text, sizeof text);
    CHECK_STR(text, "");
    CHECK_EQ(status, 0);
}
