/* SPDX-License-Identifier: MIT */
/*
 * bench_offload - the way to another thread and back, a read that does not have
 * to take it, and a clock that ticks while many files are read.
 *
 * The round trips are on the real clock, since a good part of one is spent
 * waiting for the other thread to wake up. Beside them stands what two threads
 * need that hand each other a word by pthread conditions.
 */
#include <weft.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

enum { FIBERS = 64, PAGE = 4096, PAGES = 256 };

/* ---- calls -------------------------------------------------------------- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int64_t one_after_the_other(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        int rc = weft_blocking(nothing, NULL);
        if (rc < 0) return rc;
    }
    return bench_now() - start;
}

static int64_t share;

static int calls_its_share(void *arg)
{
    int rc = 0;
    for (int64_t i = 0; i < share && rc >= 0; i++)
        rc = weft_blocking(nothing, arg);
    return rc;
}

static int64_t many_at_once(void *arg, int64_t n)
{
    int rc = 0;
    (void)arg;
    share = n / FIBERS + 1;
    int64_t start = bench_now();
    WEFT_NURSERY(nursery, rc) {
        for (int i = 0; i < FIBERS && rc == 0; i++)
            rc = weft_spawn(&nursery, calls_its_share, NULL);
    }
    if (rc < 0) return rc;
    return (int64_t)((double)(bench_now() - start) * (double)n /
                     (double)(share * FIBERS));
}

/* ---- two threads -------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t asked, answered, last;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .moved = PTHREAD_COND_INITIALIZER};

static void *answers(void *arg)
{
    (void)arg;
    (void)pthread_mutex_lock(&table.lock);
    while (table.answered < table.last) {
        while (table.asked == table.answered)
            (void)pthread_cond_wait(&table.moved, &table.lock);
        table.answered++;
        (void)pthread_cond_signal(&table.moved);
    }
    (void)pthread_mutex_unlock(&table.lock);
    return NULL;
}

static int64_t two_threads(void *arg, int64_t n)
{
    pthread_t t;
    (void)arg;
    table.asked = table.answered = 0;
    table.last = n;
    if (pthread_create(&t, NULL, answers, NULL) != 0) return -EAGAIN;
    int64_t start = bench_now();
    (void)pthread_mutex_lock(&table.lock);
    for (int64_t i = 0; i < n; i++) {
        table.asked++;
        (void)pthread_cond_signal(&table.moved);
        while (table.answered < table.asked)
            (void)pthread_cond_wait(&table.moved, &table.lock);
    }
    (void)pthread_mutex_unlock(&table.lock);
    int64_t took = bench_now() - start;
    (void)pthread_join(t, NULL);
    return took;
}

/* ---- reads -------------------------------------------------------------- */

static weft_fd file;
static char page[PAGE];

static int64_t reads_what_is_cached(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        ssize_t got = weft_file_pread(file, page, PAGE, i * 7 % PAGES * PAGE);
        if (got != PAGE) return got < 0 ? got : -EIO;
    }
    return bench_now() - start;
}

static int64_t reads_by_pread(void *arg, int64_t n)
{
    int number = weft_fd_number(file);
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++)
        if (pread(number, page, PAGE, i * 7 % PAGES * PAGE) != PAGE)
            return -EIO;
    return bench_now() - start;
}

/* Of PAGES pages, without a name; what it cannot have cached is on the disk. */
static int make_file(weft_fd *ret_fd)
{
    char name[] = "/tmp/weft-bench-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) return -errno;
    (void)unlink(name);
    for (int i = 0; i < PAGES; i++)
        if (write(fd, page, PAGE) != PAGE) return -EIO;
    if (fsync(fd) < 0) return -errno;
    return weft_fd_adopt(fd, ret_fd);
}

/* ---- ticks -------------------------------------------------------------- */

enum { CHUNK = 16 * PAGE, MOST_TICKS = 1000, MOST_ROUNDS = 7 };

static uint64_t chunks_read;
static bool drops; /* each file, before it is read again */

static int drop_from_cache(void *arg)
{
#ifdef POSIX_FADV_DONTNEED
    return -posix_fadvise(*(int *)arg, 0, 0, POSIX_FADV_DONTNEED);
#else
    (void)arg; /* it stays in the cache, and the figure is of that */
    return 0;
#endif
}

static int read_whole(weft_fd fd, char *buf)
{
    int number = weft_fd_number(fd);
    int rc = drops ? weft_blocking(drop_from_cache, &number) : 0;
    for (int64_t at = 0; at < (int64_t)PAGES * PAGE && rc >= 0; at += CHUNK) {
        rc = (int)weft_file_pread(fd, buf, CHUNK, at);
        chunks_read++;
    }
    return rc;
}

/* What the disk reads ahead is had in place, and the rest by way of the pool. */
static int reads_over_and_over(void *arg)
{
    char *buf = malloc(CHUNK);
    weft_fd fd;
    (void)arg;
    int rc = buf ? make_file(&fd) : -ENOMEM;
    if (rc == 0) {
        do
            rc = read_whole(fd, buf);
        while (rc >= 0);
        (void)weft_close(fd);
    }
    free(buf);
    return rc;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double spacing[MOST_TICKS];

/* How far apart the ticks are, in ms, sorted. */
static int tick(int ticks)
{
    weft_ticker t;
    int rc = weft_ticker_init(&t, WEFT_MSEC(1), WEFT_TICK_SKIP);
    int64_t before = 0;
    for (int i = -1; i < ticks && rc >= 0; i++) {
        rc = weft_ticker_wait(&t);
        int64_t now = bench_now();
        if (i >= 0) spacing[i] = (double)(now - before) / 1e6;
        before = now;
    }
    qsort(spacing, (size_t)ticks, sizeof *spacing, compare);
    return rc < 0 ? rc : 0;
}

/* The readers are daemons, and end with the block. */
static int tick_beside(int readers, int ticks)
{
    const weft_spawn_opts o = {.daemon = true};
    int rc = 0;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < readers && rc == 0; i++)
            rc = weft_spawn_ex(&n, reads_over_and_over, NULL, &o);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(20)); /* all have begun */
        if (rc == 0) rc = tick(ticks);
    }
    return rc;
}

static int measure_ticks(int readers, double at_most, const char *median,
                         const char *p99)
{
    double medians[MOST_ROUNDS], p99s[MOST_ROUNDS];
    size_t rounds = bench_quick() ? 3 : MOST_ROUNDS;
    int ticks = bench_quick() ? 200 : MOST_TICKS;
    for (size_t i = 0; i < rounds; i++) {
        int rc = tick_beside(readers, ticks);
        if (rc < 0) return rc;
        medians[i] = spacing[ticks / 2];
        p99s[i] = spacing[ticks * 99 / 100];
    }
    bench_figure(&(struct bench_figure){.name = median, .unit = "ms"}, medians,
                 rounds);
    bench_figure(
        &(struct bench_figure){.name = p99, .unit = "ms", .at_most = at_most},
        p99s, rounds);
    return 0;
}

static uint64_t pool_calls(void)
{
    weft_pool_stats s;
    weft_pool_stats_read(WEFT_POOL_BLOCKING, &s);
    return s.calls;
}

static int ticks_beside_readers(void)
{
    int rc =
        measure_ticks(0, 0, "1 ms tick to tick, p50", "1 ms tick to tick, p99");
    if (rc < 0) return rc;
    rc = measure_ticks(FIBERS, 1.2, "while 64 cached files are read, p50",
                       "while 64 cached files are read, p99");
    if (rc < 0) return rc;
    uint64_t before = pool_calls();
    chunks_read = 0;
    drops = true;
    rc = measure_ticks(FIBERS, 0, "dropped from the cache each time, p50",
                       "dropped from the cache each time, p99");
    bench_note("%llu reads of 64 KiB meanwhile, %llu of them by the pool",
               (unsigned long long)chunks_read,
               (unsigned long long)(pool_calls() - before));
    return rc;
}

static int measure(void *arg)
{
    struct bench_case calls[] = {
        {.name = "weft_blocking round trip", .run = one_after_the_other},
        {.name = "the same from 64 fibers", .run = many_at_once},
        {.name = "two threads, by conditions", .run = two_threads},
    };
    struct bench_case reads[] = {
        {.name = "cached 4 KiB weft_file_pread",
         .run = reads_what_is_cached,
         .at_most = 2000},
        {.name = "cached 4 KiB pread(2)", .run = reads_by_pread},
    };
    (void)arg;
    int err = make_file(&file);
    if (err < 0) return err;
    bench_cases(calls, sizeof calls / sizeof *calls);
    bench_cases(reads, sizeof reads / sizeof *reads);
    err = weft_close(file);
    return err < 0 ? err : ticks_beside_readers();
}

int main(int argc, char **argv)
{
    bench_begin("offload", argc, argv);
    int rc = weft_run(measure, NULL, NULL);
    if (rc < 0) bench_fail("weft_run: %s", weft_strerror(rc));
    return bench_end();
}
