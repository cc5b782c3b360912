/* SPDX-License-Identifier: MIT */
/*
 * annotate.h - telling Valgrind, ASan, TSan and MSan about stacks.
 *
 * All of it is empty in a plain build, save for Valgrind's registration, which
 * is a few instructions whenever a stack is mapped. The sanitizers' calls are
 * declared here, so that no header of theirs is needed.
 */
#ifndef WF_ANNOTATE_H
#define WF_ANNOTATE_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WF_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WF_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WF_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WF_TSAN 1
#endif
#endif

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define WF_MSAN 1
#endif
#endif

#ifdef WF_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom,
                                    size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save,
                                     const void **bottom_old, size_t *size_old);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);
#endif

#ifdef WF_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

#ifdef WF_MSAN
void __msan_poison(const volatile void *p, size_t size);
void __msan_unpoison(const volatile void *p, size_t size);
#endif

/* For functions that look at what no variable of C is, on purpose. */
#ifdef WF_MSAN
#define WF_SCANS __attribute__((no_sanitize("memory")))
#else
#define WF_SCANS __attribute__((no_sanitize("address")))
#endif

/* For functions that switch: TSan would count their entry on one stack and
 * their exit on another. */
#if defined(WF_TSAN) && defined(__clang__)
#define WF_SWITCHES __attribute__((disable_sanitizer_instrumentation))
#elif defined(WF_TSAN)
#define WF_SWITCHES __attribute__((no_sanitize("thread")))
#else
#define WF_SWITCHES
#endif

#if !defined(WEFT_NO_VALGRIND) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define WF_VALGRIND 1
#endif
#endif

/* Valgrind knows fewer system calls than the kernel, and says so each time. */
static inline int wf_under_valgrind(void)
{
#ifdef WF_VALGRIND
    return (int)RUNNING_ON_VALGRIND;
#else
    return 0;
#endif
}

/* Another mapping may have been here, which ASan forgets only partly. (Where
 * Valgrind does not run its requests are nothing, and read no argument.) */
static inline unsigned wf_note_stack_mapped(const void *low, const void *high)
{
    (void)low;
    (void)high;
#ifdef WF_ASAN
    __asan_unpoison_memory_region(low, (size_t)((const char *)high -
                                                (const char *)low + 1));
#endif
#ifdef WF_VALGRIND
    return (unsigned)VALGRIND_STACK_REGISTER(low, high);
#else
    return 0;
#endif
}

static inline void wf_note_stack_unmapped(unsigned id)
{
#ifdef WF_VALGRIND
    VALGRIND_STACK_DEREGISTER(id);
#endif
    (void)id;
}

/* From here to the end this thread is in code of the C library that helgrind
 * mistakes for a fault. Nothing of ours is called in between. */
static inline void wf_note_libc_begin(void)
{
#if defined(WF_VALGRIND) && defined(WEFT_VALGRIND)
    VALGRIND_DISABLE_ERROR_REPORTING;
#endif
}

static inline void wf_note_libc_end(void)
{
#if defined(WF_VALGRIND) && defined(WEFT_VALGRIND)
    VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

/* Octets below the stack pointer are about to be looked at, on purpose. */
static inline void wf_note_stack_scanned(const void *low, size_t bytes)
{
#ifdef WF_VALGRIND
    (void)VALGRIND_MAKE_MEM_DEFINED(low, bytes);
#endif
    (void)low;
    (void)bytes;
}

/* Filled in by the kernel or by assembly, which MSan does not see. */
static inline void wf_note_written(const void *p, size_t bytes)
{
#ifdef WF_MSAN
    __msan_unpoison(p, bytes);
#endif
    (void)p;
    (void)bytes;
}

/* A stack goes to its next fiber: what the last one left there is not data. */
static inline void wf_note_stack_reused(void *low, size_t bytes)
{
#ifdef WF_ASAN
    __asan_unpoison_memory_region(low, bytes);
#endif
#if defined(WF_VALGRIND) && defined(WEFT_VALGRIND)
    (void)VALGRIND_MAKE_MEM_UNDEFINED(low, bytes);
#endif
#ifdef WF_MSAN
    __msan_poison(low, bytes);
#endif
    (void)low;
    (void)bytes;
}

#endif
