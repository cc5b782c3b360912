/* SPDX-License-Identifier: MIT */
/*
 * weft/rwlock.h (sync) - many readers, or one writer.
 *
 *     static weft_rwlock lock = WEFT_RWLOCK_INIT;
 *
 *     int err = weft_rwlock_rdlock(&lock);
 *     if (err < 0) return err;
 *     err = look_at(&table);
 *     weft_rwlock_unlock(&lock);
 *
 * There is one queue for both, in the order of arrival: readers behind a
 * waiting writer wait with it, so neither side starves. Neighbouring readers go
 * in together. It does not nest, and a reader does not become a writer: who
 * reads and asks again, behind a writer or to write, waits for itself.
 *
 * It knows its writer. If that ends without unlocking, what it was writing may
 * be half done: waiters and later lockers get -EOWNERDEAD, until one of them
 * repairs it. Readers are only counted, and each unlocks for itself: a fiber,
 * or a job of a work queue, that ends without would keep writers out for ever,
 * and nobody could tell them. The process ends with a sentence that names it.
 *
 * Zeroed is initialised. The caller owns the memory, which must outlast its
 * being held.
 *
 * After: Courtois, Heymans and Parnas, Concurrent Control with "Readers" and
 * "Writers", CACM 14 (10), 1971, save that neither has the preference.
 */
#ifndef WEFT_RWLOCK_H
#define WEFT_RWLOCK_H

#include <weft/base.h>
#include <weft/mutex.h>

WEFT_BEGIN_DECLS

typedef struct weft_rwlock {
    weft_mutex writer_; /* owned by the writer; all wait in its line */
    uint32_t readers_;
} weft_rwlock;

#define WEFT_RWLOCK_INIT {WEFT_MUTEX_INIT, 0}

/**
 * Takes *l for reading, or alone for writing. On an error it is not held.
 *
 * Parks. Returns 0, -ECANCELED, -EDEADLK (the caller writes), -EOWNERDEAD.
 */
WEFT_PARKS int weft_rwlock_rdlock(weft_rwlock *l);
WEFT_PARKS int weft_rwlock_wrlock(weft_rwlock *l);

/** The same without waiting: 0; -EBUSY, also while somebody waits, or if the
 *  caller writes; -EOWNERDEAD; -EPERM outside a fiber. */
WEFT_MUST int weft_rwlock_tryrdlock(weft_rwlock *l);
WEFT_MUST int weft_rwlock_trywrlock(weft_rwlock *l);

/** Gives up either. 0; -EPERM: the caller does not write, and nobody reads, or
 *  the caller reads nothing at all. */
WEFT_API int weft_rwlock_unlock(weft_rwlock *l);

/** From writing to reading, without a gap; admits the readers that are next in
 *  line, up to the first writer. 0, or -EPERM: the caller does not write. */
WEFT_API int weft_rwlock_downgrade(weft_rwlock *l);

/** Takes over a lock whose writer ended: the caller writes now. 0; -EINVAL if
 *  that is not so; -EPERM outside a fiber. */
WEFT_API int weft_rwlock_repair(weft_rwlock *l);

WEFT_END_DECLS

#endif
