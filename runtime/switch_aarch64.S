/* SPDX-License-Identifier: MIT */
/*
 * switch_aarch64.S - switching stacks on 64-bit ARM, AAPCS64.
 *
 * Saved: x19 to x28, the frame pointer x29, the return address x30, and d8 to
 * d15: a called function must keep the low halves of v8 to v15, so the
 * compiler may have live values there. Not saved: FPCR, for the reason given
 * for MXCSR in switch.h; and x18, which is the platform's.
 *
 * As on x86-64, the CPU predicts where a ret goes from a stack that bl fills:
 * a switch leaves by ret, and a fresh stack is entered with neither bl nor
 * ret, so that the ret of wf_switch_leave answers the bl of wf_switch_enter.
 *
 * x29 and x30 are lowest, so a saved pointer is that of a frame record. After
 * sp is loaded, the layout found on the new stack is that just written on the
 * old one. Hence one set of CFI serves on both sides.
 *
 * The note at the end claims BTI, as every function that can be called through
 * a pointer starts with a landing pad. It does not claim PAC: the return
 * address is saved as it comes. Nor GCS, the shadow stack: a ret on another
 * stack is what that forbids.
 */
#include "runtime/switch.h"

/* save_registers - all of WF_SAVED_BYTES; the return address is in x30. */
.macro save_registers
    sub     sp, sp, #WF_SAVED_BYTES
    .cfi_adjust_cfa_offset WF_SAVED_BYTES
    stp     x29, x30, [sp, #WF_SAVED_X29]
    stp     x19, x20, [sp, #WF_SAVED_X19]
    stp     x21, x22, [sp, #WF_SAVED_X21]
    stp     x23, x24, [sp, #WF_SAVED_X23]
    stp     x25, x26, [sp, #WF_SAVED_X25]
    stp     x27, x28, [sp, #WF_SAVED_X27]
    stp     d8, d9, [sp, #WF_SAVED_D8]
    stp     d10, d11, [sp, #WF_SAVED_D10]
    stp     d12, d13, [sp, #WF_SAVED_D12]
    stp     d14, d15, [sp, #WF_SAVED_D14]
    registers_are_saved
.endm

/* pair_is_saved - two registers, the second 8 above the first. */
.macro pair_is_saved first, second, offset
    .cfi_rel_offset \first, \offset
    .cfi_rel_offset \second, \offset + 8
.endm

.macro registers_are_saved
    pair_is_saved x29, x30, WF_SAVED_X29
    pair_is_saved x19, x20, WF_SAVED_X19
    pair_is_saved x21, x22, WF_SAVED_X21
    pair_is_saved x23, x24, WF_SAVED_X23
    pair_is_saved x25, x26, WF_SAVED_X25
    pair_is_saved x27, x28, WF_SAVED_X27
    pair_is_saved d8, d9, WF_SAVED_D8
    pair_is_saved d10, d11, WF_SAVED_D10
    pair_is_saved d12, d13, WF_SAVED_D12
    pair_is_saved d14, d15, WF_SAVED_D14
.endm

/* load_registers - the reverse. Until sp moves, the saved copies are good. */
.macro load_registers
    ldp     x29, x30, [sp, #WF_SAVED_X29]
    ldp     x19, x20, [sp, #WF_SAVED_X19]
    ldp     x21, x22, [sp, #WF_SAVED_X21]
    ldp     x23, x24, [sp, #WF_SAVED_X23]
    ldp     x25, x26, [sp, #WF_SAVED_X25]
    ldp     x27, x28, [sp, #WF_SAVED_X27]
    ldp     d8, d9, [sp, #WF_SAVED_D8]
    ldp     d10, d11, [sp, #WF_SAVED_D10]
    ldp     d12, d13, [sp, #WF_SAVED_D12]
    ldp     d14, d15, [sp, #WF_SAVED_D14]
    add     sp, sp, #WF_SAVED_BYTES
    .cfi_def_cfa sp, 0
    .irp    register, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30
    .cfi_same_value \register
    .endr
    .irp    register, d8, d9, d10, d11, d12, d13, d14, d15
    .cfi_same_value \register
    .endr
.endm

/* void wf_switch(void **save: x0, void *to: x1) */
wf_begin WF_SYMBOL(wf_switch)
    hint    #34                     /* bti c, for assemblers that lack it */
    save_registers
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1
    load_registers
    ret                             /* not br: see above */
wf_end WF_SYMBOL(wf_switch)

/*
 * void wf_switch_enter(void **save: x0, void *top: x1,
 *                      void (*entry)(void *): x2, void *arg: x3)
 */
wf_begin WF_SYMBOL(wf_switch_enter)
    hint    #34                     /* bti c */
    save_registers
    mov     x9, sp
    str     x9, [x0]
    b       WF_SYMBOL(wf_switch_stub)
wf_end WF_SYMBOL(wf_switch_enter)

/*
 * The outermost frame of every fiber. Its own return address is undefined and
 * x29 is zero, so that walkers by CFI and by frame pointer both end here. The
 * return address it gives to entry is never returned to, but names this frame.
 */
wf_begin WF_SYMBOL(wf_switch_stub)
    .cfi_undefined x30
    mov     sp, x1
    mov     x29, #0
    adr     x30, 1f
    mov     x0, x3
    mov     x16, x2                 /* br by x16 may land on a bti c */
    br      x16
1:  brk     #1                      /* entry returned */
wf_end WF_SYMBOL(wf_switch_stub)

/* wf_switch_leave of switch.h jumps here, to: x0, sp as it may be */
wf_begin wf_switch_leave_
    .cfi_undefined x30
    mov     sp, x0
    .cfi_def_cfa sp, WF_SAVED_BYTES
    registers_are_saved
    load_registers
    ret                             /* answers the bl of wf_switch_enter */
wf_end wf_switch_leave_

#if defined(__ELF__)
    .section .note.gnu.property, "a", %note
    .p2align 3
    .long   4, 16, 5                /* name size, body size, property note */
    .asciz  "GNU"
    .long   0xc0000000, 4           /* AArch64 features that all objects have */
    .long   1, 0                    /* BTI, not PAC (2); padding */

    .section .note.GNU-stack, "", %progbits
#endif
