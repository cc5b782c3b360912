/* SPDX-License-Identifier: MIT */
/*
 * weft/transaction.h (sync) - all of it or nothing, on a connection of a pool.
 *
 *     static int transfer(void *conn, void *arg)
 *     {
 *         int err = take(conn, arg);
 *         return err < 0 ? err : give(conn, arg);
 *     }
 *
 *     static const weft_transaction sql = {begin, commit, rollback, NULL, 0};
 *
 *     rc = weft_transact(&db, &sql, transfer, &order);
 *
 * What the function returns decides: 0 commits, anything else rolls back. A
 * cancellation comes to it as a failed call, and so is rolled back too. Once the
 * function has returned nothing is cut off in the middle any more: commit and
 * rollback are shielded, for `grace` each.
 */
#ifndef WEFT_TRANSACTION_H
#define WEFT_TRANSACTION_H

#include <weft/base.h>
#include <weft/cpool.h>

WEFT_BEGIN_DECLS

/** How the other side is told. Each returns 0 or a negative code, and may
 *  park. `begin` may be NULL: there is nothing to say. */
typedef struct weft_transaction {
    int (*begin)(void *conn, void *user);
    int (*commit)(void *conn, void *user);
    int (*rollback)(void *conn, void *user);
    void *user;
    weft_time grace; /* for commit, and for rollback; 0: five seconds */
} weft_transaction;

/**
 * Begins, calls fn(conn, arg), and commits if that returns 0, also when the
 * caller has been cancelled by then; else rolls back. After a commit that
 * failed it rolls back too. A connection that could not begin, or be rolled
 * back, is closed; all others go back to the pool.
 *
 * Parks. Returns what fn returned, if it is not 0; else 0: it has been
 * committed; the failure of commit: it has not; -ETIMEDOUT: commit was not
 * answered within the grace, and what came of it is not known. Or the failure
 * of begin, or as weft_cpool_get, and then fn was not called.
 */
#define weft_transact(p, t, fn, arg)                                           \
    weft_transact_((p), (t), (fn), (arg), __FILE__, __LINE__)
WEFT_PARKS int weft_transact_(weft_cpool *p, const weft_transaction *t,
                              int (*fn)(void *conn, void *arg), void *arg,
                              const char *file, int line);

/**
 * The same on a connection of the caller's own. *ret_usable (may be NULL) says
 * whether it is in step with the other side afterwards.
 *
 * Parks. Returns as weft_transact.
 */
WEFT_PARKS int weft_transact_on(void *conn, const weft_transaction *t,
                                int (*fn)(void *conn, void *arg), void *arg,
                                bool *ret_usable);

WEFT_END_DECLS

#endif
