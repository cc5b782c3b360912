/* SPDX-License-Identifier: MIT */
/*
 * crash.c - a report for the fiber that overflows its stack.
 *
 * A fault whose address lies in the guard of the running fiber's stack is an
 * overflow, whatever the signal's own code says (an mprotected guard gives
 * SEGV_ACCERR, an advised one SEGV_MAPERR). The report is written from an
 * alternate stack, since there is none left. Then, and for every other fault
 * at once, the handler that was there before gets its turn; where there was
 * none the default comes back and the faulting instruction runs again, so the
 * process dies as it would have, core and all.
 */
#include "runtime/crash.h"

#include <pthread.h>
#include <stdio.h>

#if defined(__GLIBC__)
#include <execinfo.h>
#endif

#include "runtime/os.h"
#include "runtime/park.h"
#include "runtime/stack.h"

enum { ALTERNATE = 64 * 1024, FRAMES = 12 };

static pthread_mutex_t handlers_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned handlers_users;
static struct sigaction before_segv, before_bus;

static __thread char *alternate;
static __thread stack_t alternate_before;

static void report(const weft_fiber *f, const char *at)
{
    char text[320];
    int n = snprintf(text, sizeof text,
                     "weft: stack overflow: fiber %llu \"%s\" overflowed its "
                     "%zu KiB stack (fault at %p), spawned at %s:%d; give it "
                     "more with weft_spawn_opts.stack_size\n",
                     (unsigned long long)f->id, f->name ? f->name : "",
                     f->stack->pool->usable / 1024, (const void *)at,
                     f->file ? f->file : "?", f->line);
    wf_os_say(2, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
#if defined(__GLIBC__)
    void *frames[FRAMES];
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), 2);
#endif
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
    const weft_fiber *f = wf_self();
    const char *at = info->si_addr;
    if (f && f->stack) {
        const char *low = f->stack->low;
        if (at < low && at >= low - f->stack->pool->guard) report(f, at);
    }

    struct sigaction *before = signo == SIGSEGV ? &before_segv : &before_bus;
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signo, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signo);
    } else {
        /* It happens again at once, and then the default has it. */
        const struct sigaction plain = {.sa_handler = SIG_DFL};
        wf_os_sigrestore(signo, &plain);
    }
}

static int install(void)
{
    struct sigaction act = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    act.sa_sigaction = on_fault;
    int err = wf_os_sigaction(SIGSEGV, &act, &before_segv);
    if (err < 0) return err;
    err = wf_os_sigaction(SIGBUS, &act, &before_bus);
    if (err < 0) wf_os_sigrestore(SIGSEGV, &before_segv);
    return err;
}

int wf_crash_open(void)
{
    alternate = wf_map(ALTERNATE);
    if (!alternate) return -ENOMEM;
    stack_t now = {.ss_sp = alternate, .ss_size = ALTERNATE};
    int err = wf_os_sigaltstack(&now, &alternate_before);
    if (err < 0) goto unmap;

    (void)pthread_mutex_lock(&handlers_lock);
    if (handlers_users == 0) err = install();
    if (err == 0) handlers_users++;
    (void)pthread_mutex_unlock(&handlers_lock);
    if (err < 0) goto restore;
    return 0;

restore:
    wf_os_stackrestore(&alternate_before);
unmap:
    wf_unmap(alternate, ALTERNATE);
    alternate = NULL;
    return err;
}

void wf_crash_close(void)
{
    if (!alternate) return;
    (void)pthread_mutex_lock(&handlers_lock);
    if (--handlers_users == 0) {
        wf_os_sigrestore(SIGSEGV, &before_segv);
        wf_os_sigrestore(SIGBUS, &before_bus);
    }
    (void)pthread_mutex_unlock(&handlers_lock);
    wf_os_stackrestore(&alternate_before);
    wf_unmap(alternate, ALTERNATE);
    alternate = NULL;
}
