/* SPDX-License-Identifier: MIT */
/*
 * switch.h - leave one stack and go on with another.
 *
 * This is the whole of what weft needs from a CPU. One file gives the three
 * calls below: switch_x86_64.S, switch_i386.S, switch_aarch64.S,
 * switch_riscv64.S, or switch_ucontext.c, which is slow (a system call a
 * switch) and runs wherever POSIX.1-2001 does.
 *
 *     void *worker, *fiber;
 *
 *     wf_switch_enter(&worker, top, entry, arg);     run it on a fresh stack
 *     wf_switch(&fiber, worker);                     in the fiber: park
 *     wf_switch(&worker, fiber);                     resume it
 *     wf_switch_leave(worker);                       in the fiber: the last act
 *
 * A stack that is not running is one pointer, stored by the call that left it
 * and good for being resumed once. What the calls keep is what the ABI says a
 * function keeps, less the floating-point control word (rounding, exception
 * masks; MXCSR and x87, FPCR or fcsr): a thread has one, fibers of a thread share
 * it, and saving it would more than double the cost of a switch. The signal
 * mask and errno are not kept either. (The ucontext version keeps the mask
 * and the control word because the C library does; do not rely on it.)
 *
 * A suspended stack may be resumed by another thread as far as these calls
 * care; compilers cache the address of thread-locals, so their callers do.
 */
#ifndef WF_SWITCH_H
#define WF_SWITCH_H

/*
 * Where a suspended stack keeps its registers, in bytes from the pointer that
 * `save` received. The assembly takes its offsets from here and a debugger
 * may too. The build defines WF_SWITCH_UCONTEXT when it chose that version:
 * the pointer is then a ucontext_t *, and WF_SAVED_BYTES is not defined.
 */
#if defined(WF_SWITCH_UCONTEXT)
#elif defined(__x86_64__) && defined(__LP64__)
#define WF_SAVED_R15   0
#define WF_SAVED_R14   8
#define WF_SAVED_R13   16
#define WF_SAVED_R12   24
#define WF_SAVED_RBX   32
#define WF_SAVED_RBP   40
#define WF_SAVED_RIP   48 /* the return address: pushed by the caller's call */
#define WF_SAVED_BYTES 56
#elif defined(__aarch64__)
#define WF_SAVED_X29   0 /* x29 and x30 first: a frame record */
#define WF_SAVED_X30   8 /* the return address */
#define WF_SAVED_X19   16
#define WF_SAVED_X21   32
#define WF_SAVED_X23   48
#define WF_SAVED_X25   64
#define WF_SAVED_X27   80 /* x19 to x28 in order */
#define WF_SAVED_D8    96
#define WF_SAVED_D10   112
#define WF_SAVED_D12   128
#define WF_SAVED_D14   144 /* d8 to d15 in order */
#define WF_SAVED_BYTES 160
#elif defined(__i386__)
#define WF_SAVED_EDI   0
#define WF_SAVED_ESI   4
#define WF_SAVED_EBX   8
#define WF_SAVED_EBP   12
#define WF_SAVED_EIP   16 /* the return address: pushed by the caller's call */
#define WF_SAVED_BYTES 20
#elif defined(__riscv) && __riscv_xlen == 64
#define WF_SAVED_S0 0  /* s0 and ra first: a frame record, which s0 is above */
#define WF_SAVED_RA 8  /* the return address */
#define WF_SAVED_S1 16 /* s1 to s11 in order, and room for one more */
#if defined(__riscv_float_abi_soft)
#define WF_SAVED_BYTES 112
#else
#define WF_SAVED_FS0   112 /* fs0 to fs11 in order */
#define WF_SAVED_BYTES 208
#endif
#endif

#ifndef __ASSEMBLER__

/* The same as a type, with the names a debugger knows. */
#if !defined(WF_SAVED_BYTES)
#elif defined(__x86_64__)
#include <stddef.h>
#include <stdint.h>
struct wf_saved {
    uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};
_Static_assert(offsetof(struct wf_saved, r15) == WF_SAVED_R15, "layout");
_Static_assert(offsetof(struct wf_saved, r14) == WF_SAVED_R14, "layout");
_Static_assert(offsetof(struct wf_saved, r13) == WF_SAVED_R13, "layout");
_Static_assert(offsetof(struct wf_saved, r12) == WF_SAVED_R12, "layout");
_Static_assert(offsetof(struct wf_saved, rbx) == WF_SAVED_RBX, "layout");
_Static_assert(offsetof(struct wf_saved, rbp) == WF_SAVED_RBP, "layout");
_Static_assert(offsetof(struct wf_saved, rip) == WF_SAVED_RIP, "layout");
_Static_assert(sizeof(struct wf_saved) == WF_SAVED_BYTES, "layout");
#elif defined(__aarch64__)
#include <stddef.h>
#include <stdint.h>
struct wf_saved {
    uint64_t x29, x30;
    uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
    uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
};
_Static_assert(offsetof(struct wf_saved, x29) == WF_SAVED_X29, "layout");
_Static_assert(offsetof(struct wf_saved, x30) == WF_SAVED_X30, "layout");
_Static_assert(offsetof(struct wf_saved, x19) == WF_SAVED_X19, "layout");
_Static_assert(offsetof(struct wf_saved, x21) == WF_SAVED_X21, "layout");
_Static_assert(offsetof(struct wf_saved, x23) == WF_SAVED_X23, "layout");
_Static_assert(offsetof(struct wf_saved, x25) == WF_SAVED_X25, "layout");
_Static_assert(offsetof(struct wf_saved, x27) == WF_SAVED_X27, "layout");
_Static_assert(offsetof(struct wf_saved, d8) == WF_SAVED_D8, "layout");
_Static_assert(offsetof(struct wf_saved, d10) == WF_SAVED_D10, "layout");
_Static_assert(offsetof(struct wf_saved, d12) == WF_SAVED_D12, "layout");
_Static_assert(offsetof(struct wf_saved, d14) == WF_SAVED_D14, "layout");
_Static_assert(sizeof(struct wf_saved) == WF_SAVED_BYTES, "layout");
#elif defined(__i386__)
#include <stddef.h>
#include <stdint.h>
struct wf_saved {
    uint32_t edi, esi, ebx, ebp, eip;
};
_Static_assert(offsetof(struct wf_saved, edi) == WF_SAVED_EDI, "layout");
_Static_assert(offsetof(struct wf_saved, esi) == WF_SAVED_ESI, "layout");
_Static_assert(offsetof(struct wf_saved, ebx) == WF_SAVED_EBX, "layout");
_Static_assert(offsetof(struct wf_saved, ebp) == WF_SAVED_EBP, "layout");
_Static_assert(offsetof(struct wf_saved, eip) == WF_SAVED_EIP, "layout");
_Static_assert(sizeof(struct wf_saved) == WF_SAVED_BYTES, "layout");
#elif defined(__riscv)
#include <stddef.h>
#include <stdint.h>
struct wf_saved {
    uint64_t s0, ra;
    uint64_t s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, nothing;
#if defined(WF_SAVED_FS0)
    uint64_t fs0, fs1, fs2, fs3, fs4, fs5, fs6, fs7, fs8, fs9, fs10, fs11;
#endif
};
_Static_assert(offsetof(struct wf_saved, s0) == WF_SAVED_S0, "layout");
_Static_assert(offsetof(struct wf_saved, ra) == WF_SAVED_RA, "layout");
_Static_assert(offsetof(struct wf_saved, s1) == WF_SAVED_S1, "layout");
#if defined(WF_SAVED_FS0)
_Static_assert(offsetof(struct wf_saved, fs0) == WF_SAVED_FS0, "layout");
_Static_assert(__riscv_flen <= 64, "a register fits");
#endif
_Static_assert(sizeof(struct wf_saved) == WF_SAVED_BYTES, "layout");
#endif

/**
 * Saves the running stack, stores its pointer in *save, and goes on with the
 * stack `to`. Returns when something switches back to *save, so what the
 * caller knew of the world may have changed.
 */
void wf_switch(void **save, void *to);

/**
 * As wf_switch, but goes on by calling entry(arg) on a fresh stack whose
 * highest address is `top`, a multiple of 16. Entry must not return: it ends
 * in wf_switch_leave. Unwinders see it as the outermost function but one.
 */
void wf_switch_enter(void **save, void *top, void (*entry)(void *), void *arg);

/**
 * Leaves the running stack for good and goes on with the stack `to`. The
 * memory of the stack left may be used again at once. Call it in `entry`
 * itself rather than further down: then, and only then, calls and returns
 * stay paired for the CPU, which makes entering and leaving 3 ns, not 9.
 */
#if defined(WF_SAVED_BYTES)
__attribute__((always_inline)) static inline _Noreturn void
wf_switch_leave(void *to)
{
    /* Compilers do not tail-call what never returns, so the jump is ours. */
#if defined(__x86_64__)
    __asm__ volatile("jmp wf_switch_leave_" : : "D"(to) : "memory");
#elif defined(__aarch64__)
    register void *x0 __asm__("x0") = to;
    __asm__ volatile("b wf_switch_leave_" : : "r"(x0) : "memory");
#elif defined(__i386__)
    __asm__ volatile("jmp wf_switch_leave_" : : "a"(to) : "memory");
#elif defined(__riscv)
    register void *a0 __asm__("a0") = to;
    __asm__ volatile("tail wf_switch_leave_" : : "r"(a0) : "memory");
#endif
    __builtin_unreachable();
}
#else
_Noreturn void wf_switch_leave(void *to);
#endif

#else /* for the assembly, whatever the CPU */
/* clang-format off */

/* C names carry a leading underscore on Mach-O and none on ELF. */
#if defined(__MACH__)
#define WF_SYMBOL(name) _##name
#else
#define WF_SYMBOL(name) name
#endif

.macro wf_begin name
    .text
    .p2align 4
    .globl \name
#if defined(__ELF__)
    .hidden \name
    .type \name, %function
#else
    .private_extern \name
#endif
\name:
    .cfi_startproc
.endm

.macro wf_end name
    .cfi_endproc
#if defined(__ELF__)
    .size \name, . - \name
#endif
.endm
/* clang-format on */

#endif

#endif
