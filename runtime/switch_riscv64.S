/* SPDX-License-Identifier: MIT */
/*
 * switch_riscv64.S - switching stacks on 64-bit RISC-V, psABI.
 *
 * Saved: s0 to s11, the return address ra, and fs0 to fs11 unless floating
 * point is passed in integer registers (lp64): there a called function need
 * keep none of them. Not saved: fcsr, for the reason given for MXCSR in
 * switch.h; and gp and tp, which are the program's and the thread's.
 *
 * The CPU predicts where a ret goes from a stack that calls fill, and tells
 * both by their register: a jump through ra (x1) or t0 (x5) is a ret to it. So
 * a switch leaves by ret, and a fresh stack is entered through a2, so that the
 * ret of wf_switch_leave answers the call of wf_switch_enter.
 *
 * s0 and ra are lowest, side by side as in a frame record, to which a frame
 * pointer of this ABI points from just above. After sp is loaded, the layout
 * found on the new stack is that just written on the old one. Hence one set of
 * CFI serves on both sides.
 */
#include "runtime/switch.h"

/* There is nothing that a linker could shorten, and not all know how to. */
    .option norelax

#if defined(__riscv_flen) && __riscv_flen == 32
#define STORE_FLOAT fsw
#define LOAD_FLOAT  flw
#else
#define STORE_FLOAT fsd
#define LOAD_FLOAT  fld
#endif

.macro store register, offset
    sd      \register, \offset(sp)
.endm
.macro store_float register, offset
    STORE_FLOAT \register, \offset(sp)
.endm
.macro load register, offset
    ld      \register, \offset(sp)
.endm
.macro load_float register, offset
    LOAD_FLOAT \register, \offset(sp)
.endm
.macro is_saved register, offset
    .cfi_rel_offset \register, \offset
.endm
.macro is_loaded register, offset
    .cfi_same_value \register
.endm

/* each - has `what`, or `float`, done to each register and its offset. */
.macro each what, float
    \what   s0, WF_SAVED_S0
    \what   ra, WF_SAVED_RA
    .set    at_offset, WF_SAVED_S1
    .irp    register, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    \what   \register, at_offset
    .set    at_offset, at_offset + 8
    .endr
#if defined(WF_SAVED_FS0)
    .set    at_offset, WF_SAVED_FS0
    .irp    register, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    \float  fs\register, at_offset
    .set    at_offset, at_offset + 8
    .endr
#endif
.endm

/* save_registers - all of WF_SAVED_BYTES; the return address is in ra. */
.macro save_registers
    addi    sp, sp, -WF_SAVED_BYTES
    .cfi_adjust_cfa_offset WF_SAVED_BYTES
    each    store, store_float
    each    is_saved, is_saved
.endm

/* load_registers - the reverse. Until sp moves, the saved copies are good. */
.macro load_registers
    each    load, load_float
    addi    sp, sp, WF_SAVED_BYTES
    .cfi_def_cfa sp, 0
    each    is_loaded, is_loaded
.endm

/* void wf_switch(void **save: a0, void *to: a1) */
wf_begin WF_SYMBOL(wf_switch)
    save_registers
    sd      sp, (a0)
    mv      sp, a1
    load_registers
    ret                             /* not by another register: see above */
wf_end WF_SYMBOL(wf_switch)

/*
 * void wf_switch_enter(void **save: a0, void *top: a1,
 *                      void (*entry)(void *): a2, void *arg: a3)
 */
wf_begin WF_SYMBOL(wf_switch_enter)
    save_registers
    sd      sp, (a0)
    j       WF_SYMBOL(wf_switch_stub)
wf_end WF_SYMBOL(wf_switch_enter)

/*
 * The outermost frame of every fiber. Its own return address is undefined and
 * s0 is zero, so that walkers by CFI and by frame pointer both end here. The
 * return address it gives to entry is never returned to, but names this frame.
 */
wf_begin WF_SYMBOL(wf_switch_stub)
    .cfi_undefined ra
    mv      sp, a1
    li      s0, 0
    lla     ra, 1f
    mv      a0, a3
    jr      a2                      /* not t0: that would be a ret */
1:  unimp                           /* entry returned */
wf_end WF_SYMBOL(wf_switch_stub)

/* wf_switch_leave of switch.h jumps here, to: a0, sp as it may be */
wf_begin wf_switch_leave_
    .cfi_undefined ra
    mv      sp, a0
    .cfi_def_cfa sp, WF_SAVED_BYTES
    each    is_saved, is_saved
    load_registers
    ret                             /* answers the call of wf_switch_enter */
wf_end wf_switch_leave_

#if defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
