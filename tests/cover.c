/* SPDX-License-Identifier: MIT */
/*
 * cover.c - has a process that dies early leave its counts (BUILD=cover).
 *
 * gcov writes what a process has counted when it calls exit. Many of a test's
 * processes end otherwise: by _exit in a child, by abort after the last words
 * of an assertion, by another program that takes over, of a signal that it
 * sends itself or whose default has come back. The calls that lead there are
 * caught here, before libc's own, and the counts go out first. They are weak: a
 * test that has its own of one keeps it.
 */
#ifdef WEFT_COVER
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WEAK __attribute__((weak))

/* libc's: a test has its own of this one too. */
#define SYSTEM(...)                                                            \
    (*(long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(__VA_ARGS__)

void __gcov_dump(void);
void __gcov_reset(void);
int __sigaction(int signo, const struct sigaction *act, struct sigaction *old);

/* Again from zero, as the process may live on and be asked once more. */
static void write_counts(void)
{
    __gcov_dump();
    __gcov_reset();
}

WEAK void _exit(int status)
{
    write_counts();
    for (;;)
        (void)SYSTEM(SYS_exit_group, status);
}

static int send_to_self(int signo)
{
    return (int)SYSTEM(SYS_tgkill, getpid(), SYSTEM(SYS_gettid), signo);
}

WEAK int raise(int signo)
{
    struct sigaction now;
    (void)__sigaction(signo, NULL, &now);
    if (now.sa_handler == SIG_DFL) write_counts();
    return send_to_self(signo);
}

WEAK void abort(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t just;
    write_counts();
    (void)sigemptyset(&just);
    (void)sigaddset(&just, SIGABRT);
    (void)sigprocmask(SIG_UNBLOCK, &just, NULL);
    (void)send_to_self(SIGABRT); /* a handler comes first */
    (void)__sigaction(SIGABRT, &plain, NULL);
    for (;;)
        (void)send_to_self(SIGABRT);
}

WEAK int execv(const char *path, char *const argv[])
{
    write_counts();
    return (int)SYSTEM(SYS_execve, path, argv, environ);
}

WEAK int kill(pid_t to, int signo)
{
    if (to == getpid() && signo == SIGKILL) write_counts();
    return (int)SYSTEM(SYS_kill, to, signo);
}

/* The handler of a fault puts the default back and returns to the fault. */
WEAK int sigaction(int signo, const struct sigaction *act,
                   struct sigaction *old)
{
    stack_t stack;
    if (act && act->sa_handler == SIG_DFL && sigaltstack(NULL, &stack) == 0 &&
        (stack.ss_flags & SS_ONSTACK))
        write_counts();
    return __sigaction(signo, act, old);
}
#else
typedef int nothing_to_cover; /* ISO C wants something in every file */
#endif
