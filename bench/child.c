/* SPDX-License-Identifier: MIT */
/* child.c - fork, exec, wait for the "listening" line, kill by pid. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#include "harness.h"

enum { MAX_CHILDREN = 8 };

/* Those that are to be killed when this process exits or is interrupted. */
static volatile pid_t running[MAX_CHILDREN];

static void kill_all(void)
{
    for (int i = 0; i < MAX_CHILDREN; i++) {
        if (running[i] > 0) (void)kill(running[i], SIGKILL);
    }
}

static void interrupted(int signo)
{
    kill_all();
    _exit(128 + signo);
}

static void remember(pid_t pid)
{
    static bool hooked;
    if (!hooked) {
        hooked = true;
        atexit(kill_all);
        signal(SIGINT, interrupted);
        signal(SIGTERM, interrupted);
        signal(SIGHUP, interrupted);
    }
    for (int i = 0; i < MAX_CHILDREN; i++) {
        if (running[i] == 0) {
            running[i] = pid;
            return;
        }
    }
}

static void forget(pid_t pid)
{
    for (int i = 0; i < MAX_CHILDREN; i++) {
        if (running[i] == pid) running[i] = 0;
    }
}

void child_program(char *buf, size_t size, const char *name)
{
    char self[4096];
#if defined(__APPLE__)
    uint32_t room = sizeof self;
    if (_NSGetExecutablePath(self, &room) != 0) self[0] = '\0';
#else
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
#endif
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (slash != NULL) *slash = '\0';
    }
    snprintf(buf, size, "%s/%s", self, name);
}

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&t, NULL);
}

size_t child_allow_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return 256;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
    return r.rlim_cur;
}

bool child_can_count(void)
{
    return system("strace -D -f -c -o /dev/null true >/dev/null 2>&1") == 0;
}

/* ---- starting ------------------------------------------------------------ */

_Noreturn static void become(const struct program *p, int core,
                             const char *counts, int log)
{
    const char *at = p->address ? p->address : "127.0.0.1:0";
#if defined(__linux__)
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    child_allow_descriptors();
    if (core >= 0) bench_pin(core);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        (void)dup2(null, 0);
        (void)dup2(null, 1);
    }
    (void)dup2(log, 2);
    if (counts != NULL) {
        /* -D: the tracer is the grandchild, and this pid stays the server's. */
        execlp("strace", "strace", "-D", "-f", "-c", "-o", counts, p->path, at,
               p->mode, (char *)NULL);
    } else {
        execl(p->path, p->path, at, p->mode, (char *)NULL);
    }
    fprintf(stderr, "cannot start %s: %s\n", p->path, strerror(errno));
    _exit(127);
}

/* Looks for the line in what the child wrote so far. */
static bool find_address(FILE *log, struct address *ret)
{
    char line[256];
    static const char says[] = "listening on ";
    rewind(log);
    while (fgets(line, sizeof line, log) != NULL) {
        char *at = strstr(line, says);
        if (at == NULL || strchr(line, '\n') == NULL) continue;
        at += sizeof says - 1;
        if (strncmp(at, "tcp://", 6) == 0) at += 6;
        at[strcspn(at, strncmp(at, "unix:", 5) == 0 ? "\n" : " \r\n/")] = '\0';
        if (address_parse(at, ret) == 0) return true;
    }
    return false;
}

static void show_log(const struct child *c)
{
    char line[256];
    rewind(c->log);
    for (int i = 0; i < 20 && fgets(line, sizeof line, c->log); i++) {
        line[strcspn(line, "\n")] = '\0';
        bench_note("%s: %s", c->name, line);
    }
}

bool child_start(struct child *c, const char *name, const struct program *p,
                 int core, const char *counts)
{
    *c = (struct child){.name = name, .log = tmpfile()};
    if (c->log == NULL) {
        bench_fail("%s: no temporary file", name);
        return false;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        bench_fail("%s: fork: %s", name, strerror(errno));
        fclose(c->log);
        return false;
    }
    if (pid == 0) become(p, core, counts, fileno(c->log));
    c->pid = pid;
    remember(pid);

    for (int i = 0; i < 2000; i++) {
        if (find_address(c->log, &c->address)) return true;
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            forget(pid);
            c->pid = 0;
            break;
        }
        sleep_ms(5);
    }
    bench_fail("%s (%s) did not come up", name, p->path);
    show_log(c);
    child_end(c);
    return false;
}

/* ---- ending -------------------------------------------------------------- */

static bool wait_for_end(pid_t pid, int *ret_status)
{
    for (int i = 0; i < 400; i++) {
        if (waitpid(pid, ret_status, WNOHANG) == pid) return true;
        sleep_ms(5);
    }
    return false;
}

static void judge(const struct child *c, bool early, bool stuck, int status)
{
    if (stuck) {
        bench_fail("%s did not end on SIGTERM and was killed", c->name);
    } else if (WIFSIGNALED(status) && (early || WTERMSIG(status) != SIGTERM)) {
        bench_fail("%s was ended by signal %d", c->name, WTERMSIG(status));
    } else if (early) {
        bench_fail("%s ended of itself with %d", c->name, WEXITSTATUS(status));
    } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0 &&
               WEXITSTATUS(status) != 128 + SIGTERM) {
        bench_fail("%s ended with %d", c->name, WEXITSTATUS(status));
    } else {
        return;
    }
    show_log(c);
}

void child_end(struct child *c)
{
    int status = 0;
    if (c->pid > 0) {
        bool early = waitpid(c->pid, &status, WNOHANG) == c->pid;
        bool stuck = false;
        if (!early) {
            (void)kill(c->pid, SIGTERM);
            stuck = !wait_for_end(c->pid, &status);
        }
        if (stuck) {
            (void)kill(c->pid, SIGKILL);
            (void)waitpid(c->pid, &status, 0);
        }
        forget(c->pid);
        judge(c, early, stuck, status);
    }
    if (c->log != NULL) fclose(c->log);
    *c = (struct child){0};
}

/* ---- counting ------------------------------------------------------------ */

/*
 * A line of the table is "% seconds usecs/call calls [errors] name". The tracer
 * writes it when the server has ended, a little later than this process knows.
 */
int64_t child_count(const char *counts, const char *call)
{
    char line[256], name[64];
    for (int i = 0; i < 200; i++) {
        int64_t found = 0;
        bool complete = false;
        FILE *f = fopen(counts, "r");
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {
            long long calls, errors;
            if (sscanf(line, "%*f %*f %*d %lld %lld %63s", &calls, &errors,
                       name) != 3 &&
                sscanf(line, "%*f %*f %*d %lld %63s", &calls, name) != 2) {
                continue;
            }
            if (strcmp(name, call) == 0) found = calls;
            if (strcmp(name, "total") == 0) complete = true;
        }
        if (f != NULL) fclose(f);
        if (complete) return found;
        sleep_ms(10);
    }
    return -1;
}
