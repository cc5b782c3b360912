/* SPDX-License-Identifier: MIT */
/*
 * switch_i386.S - switching stacks on 32-bit x86, System V ABI.
 *
 * Saved: ebx, ebp, esi, edi and the return address, which is what a called
 * function must keep. Not saved: MXCSR and the x87 control word, for the reason
 * given in switch_x86_64.S. Arguments come on the stack, above the return
 * address; the caller takes them off, so a switch leaves them where they are.
 *
 * The rules for the CPU's stack of return addresses are those of x86-64: a
 * switch leaves by ret, and a fresh stack is entered with no call that is left
 * unanswered but that of wf_switch_enter, which wf_switch_leave answers. To
 * learn its own address takes a call here, which is answered at once. (Nothing
 * has to be relocated then, so the code is the same in a shared library.)
 *
 * After esp is loaded, the layout found on the new stack is that just written
 * on the old one. Hence one set of CFI serves on both sides.
 *
 * Built for indirect branch tracking, every function that can be called through
 * a pointer starts with endbr32, which CPUs older than the i686 do not know,
 * and the note at the end claims IBT. It does not claim SHSTK.
 */
#include "runtime/switch.h"

#if defined(__CET__) && (__CET__ & 1)
#define WF_LANDING endbr32
#else
#define WF_LANDING
#endif

/* Where arguments are once the registers are saved. */
#define ARGUMENT(n) (WF_SAVED_BYTES + 4 * (n))

/* save_registers - push everything but the return address, which is there. */
.macro save_registers
    sub     $WF_SAVED_EIP, %esp
    .cfi_adjust_cfa_offset WF_SAVED_EIP
    mov     %ebp, WF_SAVED_EBP(%esp)
    mov     %ebx, WF_SAVED_EBX(%esp)
    mov     %esi, WF_SAVED_ESI(%esp)
    mov     %edi, WF_SAVED_EDI(%esp)
    registers_are_saved
.endm

.macro registers_are_saved
    .cfi_rel_offset ebp, WF_SAVED_EBP
    .cfi_rel_offset ebx, WF_SAVED_EBX
    .cfi_rel_offset esi, WF_SAVED_ESI
    .cfi_rel_offset edi, WF_SAVED_EDI
.endm

/* load_registers - the reverse, leaving esp at the return address. */
.macro load_registers
    mov     WF_SAVED_EDI(%esp), %edi
    mov     WF_SAVED_ESI(%esp), %esi
    mov     WF_SAVED_EBX(%esp), %ebx
    mov     WF_SAVED_EBP(%esp), %ebp
    .cfi_same_value edi
    .cfi_same_value esi
    .cfi_same_value ebx
    .cfi_same_value ebp
    add     $WF_SAVED_EIP, %esp
    .cfi_adjust_cfa_offset -WF_SAVED_EIP
.endm

/* void wf_switch(void **save, void *to) */
wf_begin WF_SYMBOL(wf_switch)
    WF_LANDING
    save_registers
    mov     ARGUMENT(0)(%esp), %eax
    mov     ARGUMENT(1)(%esp), %ecx
    mov     %esp, (%eax)
    mov     %ecx, %esp
    load_registers
    ret                             /* not jmp: see switch_x86_64.S */
wf_end WF_SYMBOL(wf_switch)

/*
 * void wf_switch_enter(void **save, void *top, void (*entry)(void *),
 *                      void *arg)
 */
wf_begin WF_SYMBOL(wf_switch_enter)
    WF_LANDING
    save_registers
    mov     ARGUMENT(0)(%esp), %eax
    mov     ARGUMENT(1)(%esp), %ecx
    mov     ARGUMENT(2)(%esp), %edx
    mov     ARGUMENT(3)(%esp), %ebx
    mov     %esp, (%eax)
    jmp     WF_SYMBOL(wf_switch_stub)
wf_end WF_SYMBOL(wf_switch_enter)

/*
 * The outermost frame of every fiber, top: ecx, entry: edx, arg: ebx. Its own
 * return address is undefined and ebp is zero, so that walkers by CFI and by
 * frame pointer both end here. It pushes a return address and jumps, rather
 * than calls: entry finds its argument at a multiple of 16, as after a call.
 * That address is never returned to, but names this frame.
 */
wf_begin WF_SYMBOL(wf_switch_stub)
    .cfi_undefined eip
    lea     -16(%ecx), %esp
    mov     %ebx, (%esp)
    xor     %ebp, %ebp
    call    2f
0:  add     $1f - 0b, %eax
    push    %eax
    jmp     *%edx
1:  ud2                             /* entry returned */
2:  mov     (%esp), %eax
    ret                             /* answers the call above */
wf_end WF_SYMBOL(wf_switch_stub)

/* wf_switch_leave of switch.h jumps here, to: eax, esp as it may be */
wf_begin wf_switch_leave_
    .cfi_undefined eip
    mov     %eax, %esp
    .cfi_def_cfa esp, WF_SAVED_BYTES
    .cfi_rel_offset eip, WF_SAVED_EIP
    registers_are_saved
    load_registers
    ret                             /* answers the call of wf_switch_enter */
wf_end wf_switch_leave_

#if defined(__ELF__)
#if defined(__CET__) && (__CET__ & 1)
    .section .note.gnu.property, "a", %note
    .p2align 2
    .long   4, 12, 5                /* name size, body size, property note */
    .asciz  "GNU"
    .long   0xc0000002, 4           /* x86 features that all objects have */
    .long   1                       /* IBT, not SHSTK (2) */
#endif

    .section .note.GNU-stack, "", %progbits
#endif
