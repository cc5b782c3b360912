/* SPDX-License-Identifier: MIT */
/*
 * helgrind.h - what helgrind is told of atomic operations.
 *
 * It sees them as plain loads and stores: each is a race to it, and orders
 * nothing. So BUILD=valgrind, and no other, has this file in front of every
 * other, and each operation says itself what it is, whoever's it is, a test's
 * too: its word is not looked at from then on, as long as the memory is not
 * allocated anew; and what releases comes before all that acquires the same
 * word later. Who acquired what another had released long before, or just looks
 * once more, is believed to be ordered all the same: helgrind misses a race
 * then, and ThreadSanitizer, which understands the operations, does not.
 *
 * What other orders there are it knows by itself (locks, conditions, the start
 * and end of threads), or hears of where they are.
 */
#ifndef WF_HELGRIND_H
#define WF_HELGRIND_H

#if !defined(__ASSEMBLER__) && defined(__has_include)
#if __has_include(<valgrind/helgrind.h>)
#include <pthread.h>
#include <stddef.h>

#include <valgrind/helgrind.h>

/* Before the operation: who sees its effect must not have missed this. */
static inline void wf_tell_before(const volatile void *word, size_t bytes,
                                  int order)
{
    VALGRIND_HG_DISABLE_CHECKING(word, bytes);
    if (order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL ||
        order == __ATOMIC_SEQ_CST)
        ANNOTATE_HAPPENS_BEFORE(word);
}

static inline void wf_tell_after(const volatile void *word, int order)
{
    if (order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL ||
        order == __ATOMIC_SEQ_CST || order == __ATOMIC_CONSUME)
        ANNOTATE_HAPPENS_AFTER(word);
}

/* A macro is not expanded within itself: there the name is the compiler's. */
#define WF_TELL(order, name, word, ...)                                        \
    __extension__({                                                            \
        __typeof__(word) told_ = (word);                                       \
        wf_tell_before(told_, sizeof *told_, order);                           \
        __typeof__(name(told_, __VA_ARGS__)) result_ =                         \
            name(told_, __VA_ARGS__);                                          \
        wf_tell_after(told_, order);                                           \
        result_;                                                               \
    })

#define __atomic_load_n(word, order)                                           \
    WF_TELL(order, __atomic_load_n, word, order)
#define __atomic_exchange_n(word, value, order)                                \
    WF_TELL(order, __atomic_exchange_n, word, value, order)
#define __atomic_compare_exchange_n(word, had, value, weak, order, failed)     \
    WF_TELL(order, __atomic_compare_exchange_n, word, had, value, weak, order, \
            failed)
#define __atomic_add_fetch(word, by, order)                                    \
    WF_TELL(order, __atomic_add_fetch, word, by, order)
#define __atomic_sub_fetch(word, by, order)                                    \
    WF_TELL(order, __atomic_sub_fetch, word, by, order)
#define __atomic_fetch_add(word, by, order)                                    \
    WF_TELL(order, __atomic_fetch_add, word, by, order)
#define __atomic_store_n(word, value, order)                                   \
    do {                                                                       \
        wf_tell_before(word, sizeof *(word), order);                           \
        __atomic_store_n(word, value, order);                                  \
    } while (0)

/* helgrind's own reads the lock as memory, byte by byte, to see whether it was
 * ever taken, and calls that a race with the last unlock of another thread,
 * whose stores come after what helgrind takes for the release. */
#define pthread_mutex_destroy(lock)                                            \
    __extension__({                                                            \
        pthread_mutex_t *told_ = (lock);                                       \
        VALGRIND_HG_DISABLE_CHECKING(told_, sizeof *told_);                    \
        pthread_mutex_destroy(told_);                                          \
    })

#endif
#endif
#endif
