/* SPDX-License-Identifier: MIT */
/*
 * transaction.c - begin, the user's function, and what it decided.
 */
#include <weft/transaction.h>

#include <weft/error.h>

#include "sync/child.h"

/* Behind a shield, for the grace. What it was cut off by is no cancellation
 * that the caller knows of; and drivers have codes of their own for it. */
static int tell(int (*fn)(void *conn, void *user), void *conn,
                const weft_transaction *t, const char *what)
{
    weft_scope shield;
    wf_cleanup_begin(&shield, t->grace);
    int rc = fn(conn, t->user);
    bool over = rc < 0 && shield.cause_;
    wf_cleanup_end(&shield);
    if (!over) return rc < 0 ? rc : 0;
    return weft_fail_at(-ETIMEDOUT, NULL, 0,
                        "%s was not answered: what came of it is not known",
                        what);
}

/* The first failure is what the caller hears of. True: it was rolled back. */
static bool roll_back(void *conn, const weft_transaction *t)
{
    weft_error *said = wf_error_take(wf_self());
    int rc = tell(t->rollback, conn, t, "rollback");
    wf_error_give(wf_self(), said);
    return rc == 0;
}

static int transact(void *conn, const weft_transaction *t,
                    int (*fn)(void *conn, void *arg), void *arg,
                    bool *ret_usable)
{
    *ret_usable = false;
    int rc = t->begin ? t->begin(conn, t->user) : 0;
    if (rc < 0) return rc;
    rc = fn(conn, arg);
    if (rc != 0) {
        *ret_usable = roll_back(conn, t);
        return rc;
    }
    rc = tell(t->commit, conn, t, "commit");
    if (rc == 0)
        *ret_usable = true;
    else if (rc != -ETIMEDOUT) /* else its answer may still come */
        *ret_usable = roll_back(conn, t);
    return rc;
}

int weft_transact_on(void *conn, const weft_transaction *t,
                     int (*fn)(void *conn, void *arg), void *arg,
                     bool *ret_usable)
{
    bool usable = true;
    int rc = weft_pass_();
    if (rc == 0) rc = transact(conn, t, fn, arg, &usable);
    if (ret_usable) *ret_usable = usable;
    return rc;
}

int weft_transact_(weft_cpool *p, const weft_transaction *t,
                   int (*fn)(void *conn, void *arg), void *arg,
                   const char *file, int line)
{
    void *conn = NULL;
    bool usable;
    int rc = weft_cpool_get_(p, &conn, file, line);
    if (rc < 0) return rc;
    rc = transact(conn, t, fn, arg, &usable);
    (void)weft_cpool_put(p, conn, usable);
    return rc;
}
