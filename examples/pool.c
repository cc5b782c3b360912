/* SPDX-License-Identifier: MIT */
/*
 * pool - two connections for five who want one, one that dies while it is idle,
 * transactions that end in every way there is, and a holder that forgets.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>

static weft_time began;

static double seconds(void)
{
    return (double)(weft_now() - began) / 1e9;
}

/* ---- a database that is far away ---------------------------------------- */

struct session {
    int number;
    bool dead;
    int pending, balance; /* not committed yet, and committed */
};

static int log_in(void **ret_conn, void *user)
{
    int *sessions = user;
    int err = weft_sleep(WEFT_MSEC(200));
    if (err < 0) return err;
    struct session *s = calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    s->number = ++*sessions;
    printf("%4.1f s  session %d: logged in\n", seconds(), s->number);
    *ret_conn = s;
    return 0;
}

static void log_out(void *conn, void *user)
{
    struct session *s = conn;
    (void)user;
    printf("%4.1f s  session %d: logged out\n", seconds(), s->number);
    free(s);
}

static int is_alive(void *conn, void *user)
{
    const struct session *s = conn;
    (void)user;
    return s->dead ? -EPIPE : 0;
}

static int begin(void *conn, void *user)
{
    struct session *s = conn;
    (void)user;
    s->pending = 0;
    return 0;
}

static int commit(void *conn, void *user)
{
    struct session *s = conn;
    (void)user;
    int err = weft_sleep(WEFT_MSEC(100));
    if (err < 0) return err;
    s->balance += s->pending;
    printf("%4.1f s  session %d: committed\n", seconds(), s->number);
    return 0;
}

static int roll_back(void *conn, void *user)
{
    struct session *s = conn;
    (void)user;
    int err = weft_sleep(WEFT_MSEC(100));
    if (err < 0) return err;
    s->pending = 0;
    printf("%4.1f s  session %d: rolled back\n", seconds(), s->number);
    return 0;
}

static const weft_transaction sql = {begin, commit, roll_back, NULL, 0};

/* ---- those who use it ---------------------------------------------------- */

struct reader {
    weft_cpool *db;
    char name;
};

static int read_something(void *arg)
{
    const struct reader *r = arg;
    void *conn;
    int err = weft_cpool_get(r->db, &conn);
    if (err < 0) return err;
    const struct session *s = conn;
    printf("%4.1f s  %c has session %d\n", seconds(), r->name, s->number);
    err = weft_sleep(WEFT_SEC(1));
    (void)weft_cpool_put(r->db, conn, err >= 0);
    return err;
}

static int five_read(weft_cpool *db)
{
    struct reader readers[5];
    weft_job jobs[5];
    for (int i = 0; i < 5; i++) {
        readers[i] = (struct reader){db, (char)('a' + i)};
        jobs[i] = (weft_job){.fn = read_something, .arg = &readers[i]};
    }
    return weft_gather(jobs, 5, NULL);
}

/* Whoever looks at it next finds out. */
static int dies(void *conn, void *arg)
{
    (void)arg;
    ((struct session *)conn)->dead = true;
    return 0;
}

struct transfer {
    int amount, rc;
    weft_time takes;
};

static int transfers(void *conn, void *arg)
{
    const struct transfer *t = arg;
    struct session *s = conn;
    int err = weft_sleep(t->takes);
    if (err < 0) return err;
    s->pending += t->amount;
    return t->rc;
}

static int transact(weft_cpool *db, const char *what, struct transfer t)
{
    int rc;
    printf("%s\n", what);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = weft_transact(db, &sql, transfers, &t);
    }
    printf("%4.1f s  %s\n", seconds(), rc == 0 ? "done" : weft_strerror(rc));
    return 0;
}

static int use(weft_cpool *db)
{
    struct reader forgetful = {db, 'f'};
    weft_cpool_stats s;
    void *kept;
    puts("five want one at once");
    int rc = five_read(db);
    if (rc < 0) return rc;
    puts("one dies while it is idle");
    rc = weft_cpool_with(db, dies, NULL);
    if (rc == 0) rc = read_something(&forgetful);
    if (rc < 0) return rc;
    rc = transact(db, "it works", (struct transfer){1, 0, WEFT_MSEC(100)});
    if (rc == 0)
        rc = transact(db, "it does not",
                      (struct transfer){2, -EPERM, WEFT_MSEC(100)});
    if (rc == 0)
        rc = transact(db, "it takes too long",
                      (struct transfer){4, 0, WEFT_SEC(9)});
    if (rc < 0) return rc;
    puts("one is forgotten");
    rc = weft_cpool_get(db, &kept);
    if (rc < 0) return rc;
    weft_cpool_stats_read(db, &s);
    printf("%4.1f s  opened %d, used again %d times\n", seconds(),
           (int)s.opened, (int)s.reused);
    if (weft_cpool_close(db, WEFT_SEC(2)) > 0) {
        const char *holder = weft_last_error()->msg;
        printf("%4.1f s  %s\n", seconds(), holder);
    }
    return weft_cpool_put(db, kept, true);
}

static int start(void *arg)
{
    int sessions = 0, rc;
    weft_cpool db;
    const weft_cpool_opts o = {.name = "bank",
                               .open = log_in,
                               .close = log_out,
                               .ping = is_alive,
                               .user = &sessions,
                               .size = 2,
                               .wait = WEFT_SEC(10)};
    (void)arg;
    began = weft_now();
    WEFT_NURSERY(n, rc) {
        rc = weft_cpool_open(&db, &n, &o);
        if (rc == 0) rc = use(&db);
    }
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
