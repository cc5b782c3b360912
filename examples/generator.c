/* SPDX-License-Identifier: MIT */
/*
 * generator - rows of a table that comes in pages, each page fetched when its
 * first row is asked for.
 */
#include <weft.h>

#include <stdio.h>

enum { PAGE = 3 };

struct table {
    const char *name;
    int rows;
};

struct row {
    const char *table;
    int key;
};

/* Stands for a request: the rows after the first `skip`, and how many. */
static int fetch_page(const struct table *t, int skip, struct row *page)
{
    int err = weft_sleep(WEFT_MSEC(100)), n = 0;
    if (err < 0) return err;
    for (; n < PAGE && skip + n < t->rows; n++)
        page[n] = (struct row){t->name, skip + n + 1};
    printf("    [%s: %d fetched]\n", t->name, n);
    return n;
}

/* Two loops and a page on the stack, as one thinks of it. When no more is
 * wanted yield fails, and it leaves as any function does after a failure. */
static int rows(weft_gen *g, void *arg)
{
    const struct table *t = arg;
    struct row page[PAGE];
    int rc = 0, n = PAGE;
    printf("    [%s: opened]\n", t->name);
    for (int skip = 0; n == PAGE && rc == 0; skip += n) {
        rc = n = fetch_page(t, skip, page);
        for (int i = 0; i < n && rc >= 0; i++)
            rc = weft_gen_yield(g, &page[i]);
    }
    printf("    [%s: closed]\n", t->name);
    return rc;
}

static int list(void)
{
    struct table cities = {"city", 4};
    int rc;
    WEFT_FOREACH(const struct row *, row, rc, rows, &cities) {
        printf("%s %d\n", row->table, row->key);
    }
    puts("that was all");
    return rc;
}

/* Of a million rows two pages are fetched. The break closes the table before
 * the loop is left: what comes after it may count on that. */
static int find(int key)
{
    struct table rivers = {"river", 1000000};
    int rc;
    WEFT_FOREACH(const struct row *, row, rc, rows, &rivers) {
        if (row->key != key) continue;
        printf("found %s %d\n", row->table, row->key);
        break;
    }
    puts("the rest is not wanted");
    return rc;
}

/* One generator leads, the other one is asked by hand; the walk ends with the
 * shorter. They nest like brackets: the first to be opened is the last to be
 * closed. */
static int zip(void)
{
    struct table names = {"name", 5}, seats = {"seat", 2};
    weft_gen other;
    void *item;
    int rc = weft_gen_open(&other, rows, &seats);
    if (rc < 0) return rc;
    WEFT_FOREACH(const struct row *, name, rc, rows, &names) {
        rc = weft_gen_next(&other, &item);
        if (rc <= 0) break;
        const struct row *seat = item;
        printf("%s %d has %s %d\n", name->table, name->key, seat->table,
               seat->key);
    }
    int err = weft_gen_close(&other);
    return rc < 0 ? rc : err;
}

static int start(void *arg)
{
    (void)arg;
    int rc = list();
    if (rc == 0) rc = find(5);
    if (rc == 0) rc = zip();
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
