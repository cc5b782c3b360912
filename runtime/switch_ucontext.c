/* SPDX-License-Identifier: MIT */
/*
 * switch_ucontext.c - switching stacks with what POSIX.1-2001 had for it.
 *
 * A suspended stack is a ucontext_t in the frame of the call that left it, so
 * nothing is allocated. Each switch sets the signal mask, a system call, which
 * is why this is the choice only where there is no assembly. It is also the
 * version to run under a shadow stack, which the C library then handles.
 *
 * makecontext passes ints, which need not hold a pointer. The arguments of a
 * fresh stack are handed over in a thread-local instead: the entry stub takes
 * them as its first act, on the same thread.
 */
#if !defined(_XOPEN_SOURCE)
#define _XOPEN_SOURCE 700
#endif

#include "runtime/switch.h"

#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

/*
 * makecontext wants a size, only to find the highest address. The truth is
 * not known here; this is one that all implementations accept.
 */
#define NOMINAL_STACK_BYTES 65536

static _Thread_local struct {
    void (*entry)(void *);
    void *arg;
} handed_over;

static void entry_stub(void)
{
    handed_over.entry(handed_over.arg);
    abort();
}

void wf_switch(void **save, void *to)
{
    ucontext_t here;

    *save = &here;
    if (swapcontext(&here, to) < 0) abort();
}

void wf_switch_enter(void **save, void *top, void (*entry)(void *), void *arg)
{
    ucontext_t here, fresh;

    if (getcontext(&fresh) < 0) abort();
    fresh.uc_stack.ss_sp = (char *)top - NOMINAL_STACK_BYTES;
    fresh.uc_stack.ss_size = NOMINAL_STACK_BYTES;
    fresh.uc_link = NULL;
    makecontext(&fresh, entry_stub, 0);

    handed_over.entry = entry;
    handed_over.arg = arg;
    *save = &here;
    if (swapcontext(&here, &fresh) < 0) abort();
}

_Noreturn void wf_switch_leave(void *to)
{
    (void)setcontext(to);
    abort();
}
