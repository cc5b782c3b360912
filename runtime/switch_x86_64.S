/* SPDX-License-Identifier: MIT */
/*
 * switch_x86_64.S - switching stacks on x86-64, System V ABI.
 *
 * Saved: rbx, rbp, r12 to r15 and the return address, which is what a called
 * function must keep, so the compiler has saved the rest around the call. Not
 * saved: MXCSR and the x87 control word. The ABI calls their control bits
 * callee-saved too, but they change only when a program sets a rounding mode,
 * and writing them back costs more than all else here; see switch.h.
 *
 * The CPU predicts where a ret goes from a stack of its own, filled by calls.
 * So these rules: a switch leaves by ret (by jmp, each frame the resumed fiber
 * later returns through is mispredicted, some 8 ns apiece), and a fresh stack
 * is entered with no call and no ret, whereby the call of wf_switch_enter
 * stays unanswered until the ret of wf_switch_leave answers it.
 *
 * After rsp is loaded, the layout found on the new stack is that just written
 * on the old one. Hence one set of CFI serves on both sides.
 *
 * The note at the end claims IBT, as every function that can be called through
 * a pointer starts with endbr64. It does not claim SHSTK: a ret on another
 * stack is what shadow stacks forbid, and a linker that sees the claim missing
 * turns them off for the program.
 */
#include "runtime/switch.h"

/* save_registers - push everything but the return address, which is there. */
.macro save_registers
    sub     $WF_SAVED_RIP, %rsp
    .cfi_adjust_cfa_offset WF_SAVED_RIP
    mov     %rbp, WF_SAVED_RBP(%rsp)
    mov     %rbx, WF_SAVED_RBX(%rsp)
    mov     %r12, WF_SAVED_R12(%rsp)
    mov     %r13, WF_SAVED_R13(%rsp)
    mov     %r14, WF_SAVED_R14(%rsp)
    mov     %r15, WF_SAVED_R15(%rsp)
    registers_are_saved
.endm

.macro registers_are_saved
    .cfi_rel_offset rbp, WF_SAVED_RBP
    .cfi_rel_offset rbx, WF_SAVED_RBX
    .cfi_rel_offset r12, WF_SAVED_R12
    .cfi_rel_offset r13, WF_SAVED_R13
    .cfi_rel_offset r14, WF_SAVED_R14
    .cfi_rel_offset r15, WF_SAVED_R15
.endm

/* load_registers - the reverse, leaving rsp at the return address. */
.macro load_registers
    mov     WF_SAVED_R15(%rsp), %r15
    mov     WF_SAVED_R14(%rsp), %r14
    mov     WF_SAVED_R13(%rsp), %r13
    mov     WF_SAVED_R12(%rsp), %r12
    mov     WF_SAVED_RBX(%rsp), %rbx
    mov     WF_SAVED_RBP(%rsp), %rbp
    .cfi_same_value r15
    .cfi_same_value r14
    .cfi_same_value r13
    .cfi_same_value r12
    .cfi_same_value rbx
    .cfi_same_value rbp
    add     $WF_SAVED_RIP, %rsp
    .cfi_adjust_cfa_offset -WF_SAVED_RIP
.endm

/* void wf_switch(void **save: rdi, void *to: rsi) */
wf_begin WF_SYMBOL(wf_switch)
    endbr64
    save_registers
    mov     %rsp, (%rdi)
    mov     %rsi, %rsp
    load_registers
    ret                             /* not jmp: see above */
wf_end WF_SYMBOL(wf_switch)

/*
 * void wf_switch_enter(void **save: rdi, void *top: rsi,
 *                      void (*entry)(void *): rdx, void *arg: rcx)
 */
wf_begin WF_SYMBOL(wf_switch_enter)
    endbr64
    save_registers
    mov     %rsp, (%rdi)
    jmp     WF_SYMBOL(wf_switch_stub)
wf_end WF_SYMBOL(wf_switch_enter)

/*
 * The outermost frame of every fiber. Its own return address is undefined and
 * rbp is zero, so that walkers by CFI and by frame pointer both end here. It
 * pushes a return address and jumps, rather than calls: entry finds rsp as
 * after a call, 8 below a multiple of 16, and the predictor's stack is left
 * alone. That address is never returned to, but names this frame.
 */
wf_begin WF_SYMBOL(wf_switch_stub)
    .cfi_undefined rip
    mov     %rsi, %rsp
    lea     1f(%rip), %rax
    push    %rax
    xor     %ebp, %ebp
    mov     %rcx, %rdi
    jmp     *%rdx
1:  ud2                             /* entry returned */
wf_end WF_SYMBOL(wf_switch_stub)

/* wf_switch_leave of switch.h jumps here, to: rdi, rsp as it may be */
wf_begin wf_switch_leave_
    .cfi_undefined rip
    mov     %rdi, %rsp
    .cfi_def_cfa rsp, WF_SAVED_BYTES
    .cfi_rel_offset rip, WF_SAVED_RIP
    registers_are_saved
    load_registers
    ret                             /* answers the call of wf_switch_enter */
wf_end wf_switch_leave_

#if defined(__ELF__)
    .section .note.gnu.property, "a", %note
    .p2align 3
    .long   4, 16, 5                /* name size, body size, property note */
    .asciz  "GNU"
    .long   0xc0000002, 4           /* x86 features that all objects have */
    .long   1, 0                    /* IBT, not SHSTK (2); padding */

    .section .note.GNU-stack, "", %progbits
#endif
