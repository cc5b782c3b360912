/* SPDX-License-Identifier: MIT */
/*
 * multicore - how many ways there are to put n queens on a board of n by n so
 * that none attacks another, found by all cores together.
 */
#include <weft.h>

#include <stdio.h>

enum { MOST = 11, TOGETHER = 3 };

/* A board with a queen in each of its first rows. What they attack in the next
 * row is kept as bits, one for a column. */
struct board {
    unsigned size, rows;
    unsigned column, left, right; /* straight down, and along the diagonals */
    unsigned ways;                /* to fill the rest, once it is known */
};

static unsigned free_squares(const struct board *b)
{
    return ((1u << b->size) - 1) & ~(b->column | b->left | b->right);
}

static struct board with_queen(const struct board *b, unsigned square)
{
    return (struct board){.size = b->size,
                          .rows = b->rows + 1,
                          .column = b->column | square,
                          .left = (b->left | square) << 1,
                          .right = (b->right | square) >> 1};
}

static unsigned count(const struct board *b)
{
    unsigned ways = 0;
    if (b->rows == b->size) return 1;
    for (unsigned free = free_squares(b); free; free &= free - 1) {
        struct board next = with_queen(b, free & -free);
        ways += count(&next);
    }
    return ways;
}

/* In the first rows each square is a fiber of its own, which runs on whichever
 * core has time. A child writes to its own board, and nobody reads that before
 * the nursery is closed: so there is nothing to lock. Below that a board is
 * counted by who has it, since a fiber should be worth its while. */
static int fill(void *arg)
{
    static const weft_spawn_opts anywhere = {.worker = WEFT_ANY_WORKER};
    struct board *b = arg, next[MOST];
    size_t tries = 0;
    int rc;
    if (b->rows == TOGETHER) {
        b->ways = count(b);
        return 0;
    }
    WEFT_NURSERY(n, rc) {
        for (unsigned free = free_squares(b); free && rc == 0;
             free &= free - 1) {
            next[tries] = with_queen(b, free & -free);
            rc = weft_spawn_ex(&n, fill, &next[tries++], &anywhere);
        }
    }
    for (size_t i = 0; i < tries; i++)
        b->ways += next[i].ways;
    return rc;
}

static int start(void *arg)
{
    (void)arg;
    for (unsigned size = 4; size <= MOST; size++) {
        struct board empty = {.size = size};
        int rc = fill(&empty);
        if (rc < 0) return rc;
        printf("%2u queens: %4u ways\n", size, empty.ways);
    }
    return 0;
}

int main(void)
{
    const weft_run_opts opts = {.workers = WEFT_WORKER_PER_CORE};
    int rc = weft_run(start, NULL, &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
