/* SPDX-License-Identifier: MIT */
/*
 * main.c - each site fails, at each use, with each error, once and lastingly.
 *
 *     torture                 all of it
 *     torture --quick         each site at its first use in each work
 *     torture --self-test     the planted faults have to be found out
 *     torture --list          the sites and the works
 *     torture --only WORK/WORLD/FILE:LINE.USE.ERRNO.once   one fault, seen
 *     torture NAME            the works with that in their names
 *
 * JOBS is how many run at a time.
 *
 * First each work runs as it is, and in some hostile worlds (os_hostile.c), and
 * it is counted how often it comes to each site. Then come the faults, each in
 * a process of its own: all single ones, any two in a work at a time, and, at
 * those sites that were only reached in the handling of another fault, theirs
 * on top of that one.
 */
#include "torture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WF_NO_SITES /* what is called here is not of the library */
#include "runtime/leaks.h"
#include "runtime/os.h"

enum {
    MAX_WORKS = 128,
    MAX_SITES = 1024,
    FDS = 128,
    SIGNALS = 65,
    LIMIT_MS = 10000,
    TOLD = 60, /* failures that are told of in full */
    FULL_USES = 25,
    WORLDS = 4 /* as it is, and three hostile ones */
};

enum { EXIT_FINE, EXIT_LEAK = 91, EXIT_LOST, EXIT_WRONG };

static const char *const verdicts[VERDICTS] = {"fine", "crash", "leak", "hang",
                                               "lost error"};

static const struct work *works[MAX_WORKS];
static size_t work_count;
static const struct wf_site *const *sites;
static size_t site_count;

struct fault {
    uint16_t work, site, use;
    uint16_t error;
    uint8_t world; /* WEFT_HOSTILE */
    bool with;     /* it comes together with another one */
    bool lasting, with_lasting;
    uint16_t with_site, with_use, with_error;
};

/* What all processes of a run know. */
static struct shared {
    long next;     /* atomic: the fault to be taken next */
    long injected; /* atomic */
    long told;     /* atomic */
    long count[VERDICTS][MAX_SITES];
    long heard[VERDICTS][MAX_SITES];
    long ran[MAX_SITES];
    bool reached[MAX_SITES]; /* in whatever run */
    bool struck[MAX_SITES];
    struct fault reached_by[MAX_SITES];
    unsigned uses[WORLDS][MAX_WORKS][MAX_SITES];
} * shared;

/* Of one worker and the process that it runs. */
static long *uses_now, *failed_now;
static int out; /* what the process prints */
static char directory[64];
static int injected[2]; /* into this process */
static bool verbose, quick;
static unsigned limit_ms = LIMIT_MS;

void work_register(const struct work *w)
{
    if (work_count == MAX_WORKS) abort();
    works[work_count++] = w;
}

/* ---- in the process of a work ------------------------------------------- */

_Noreturn void work_is_wrong(const char *file, int line, const char *what)
{
    (void)dprintf(2, "%s:%d: not so: %s\n", file, line, what);
    _exit(EXIT_WRONG);
}

bool work_fault_is(int error)
{
    return injected[0] == error || injected[1] == error;
}

const char *work_directory(void)
{
    return directory;
}

const char *work_path(const char *name)
{
    static char paths[8][128];
    static unsigned next; /* atomic */
    char *p = paths[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 8];
    (void)snprintf(p, sizeof paths[0], "%s/%s", directory, name);
    return p;
}

struct state {
    bool open[FDS];
    struct wf_leaks library;
    long bytes;
    int threads;
    sigset_t mask;
    stack_t stack;
    void *handlers[SIGNALS];
};

static int count_threads(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    if (!d) return 1;
    while ((e = readdir(d)))
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void take_state(struct state *s)
{
    struct pollfd fds[FDS];
    memset(s, 0, sizeof *s);
    for (int i = 0; i < FDS; i++)
        fds[i] = (struct pollfd){.fd = i};
    (void)poll(fds, FDS, 0);
    for (int i = 0; i < FDS; i++)
        s->open[i] = !(fds[i].revents & POLLNVAL);
    wf_leaks_read(&s->library);
    s->bytes = wf_hostile_bytes();
    s->threads = count_threads();
    (void)pthread_sigmask(SIG_BLOCK, NULL, &s->mask);
    (void)sigaltstack(NULL, &s->stack);
    for (int i = 1; i < SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(i, NULL, &now) == 0)
            s->handlers[i] = (void *)(uintptr_t)now.sa_handler;
    }
}

static bool left(bool is, const char *what, long how_many)
{
    if (is) (void)dprintf(2, "left behind: %s: %ld\n", what, how_many);
    return is;
}

/* A thread that was joined is in the list of them for a little longer. */
static void wait_for_threads(int before)
{
    for (int i = 0; i < 150 && count_threads() > before; i++)
        (void)usleep(1000);
}

static bool leaves_something(const struct state *a)
{
    static struct state b;
    bool leaks = false;
    wait_for_threads(a->threads);
    take_state(&b);
    leaks |= left(b.threads != a->threads, "threads", b.threads - a->threads);
    leaks |= left(b.bytes != a->bytes, "octets", b.bytes - a->bytes);
    leaks |= left(b.library.fibers != a->library.fibers, "fibers",
                  (long)(b.library.fibers - a->library.fibers));
    leaks |= left(b.library.descriptors != a->library.descriptors, "handles",
                  (long)(b.library.descriptors - a->library.descriptors));
    leaks |= left(b.library.timers != a->library.timers, "timers",
                  (long)(b.library.timers - a->library.timers));
    for (int i = 0; i < FDS; i++)
        leaks |= left(a->open[i] != b.open[i],
                      b.open[i] ? "open descriptor" : "closed descriptor", i);
    for (int i = 1; i < SIGNALS; i++)
        leaks |=
            left(a->handlers[i] != b.handlers[i], "a handler of signal", i);
    for (int i = 1; i < SIGNALS; i++)
        leaks |= left(sigismember(&a->mask, i) != sigismember(&b.mask, i),
                      "the mask of signal", i);
    leaks |= left(a->stack.ss_sp != b.stack.ss_sp, "an alternate stack", 1);
    pid_t child = waitpid(-1, NULL, WNOHANG);
    leaks |= left(child >= 0, "a child process", child);
    return leaks;
}

static bool may_be(const struct work *w, const struct fault *f, int rc)
{
    bool failed = __atomic_load_n(failed_now, __ATOMIC_RELAXED) > 0;
    unsigned call = sites[f->site]->call;
    /* It has looked that all is there; whether it stays no look can say. */
    if (rc == 0)
        return !failed || (call != WF_SITE_SYNC && call != WF_SITE_CLOSE_FILE);
    if (!failed) return false;
    if (rc == -f->error || (f->with && rc == -f->with_error)) return true;
    for (int i = 0; i < WORK_CONSEQUENCES && w->may[i]; i++)
        if (rc == -w->may[i]) return true;
    return false;
}

static _Noreturn void do_work(const struct work *w, const struct fault *f)
{
    static struct state before;
    take_state(&before);
    injected[0] = f->error;
    injected[1] = f->with_error;
    if (f->world) {
        char seed[8];
        (void)snprintf(seed, sizeof seed, "%d", f->world);
        (void)setenv("WEFT_HOSTILE", seed, 1);
    }
    struct wf_site_plan plan = {.uses = uses_now, .failed = failed_now};
    plan.strike[0] =
        (struct wf_site_strike){f->site, f->use, f->lasting, f->error};
    if (f->with)
        plan.strike[1] = (struct wf_site_strike){
            f->with_site, f->with_use, f->with_lasting, f->with_error};
    wf_site_begin(&plan);
    int rc = w->fn();
    wf_site_begin(&(struct wf_site_plan){.uses = NULL});
    if (!may_be(w, f, rc)) {
        (void)dprintf(2, "it returned %d (%s)\n", rc, strerror(-rc));
        _exit(EXIT_LOST);
    }
    _exit(leaves_something(&before) ? EXIT_LEAK : EXIT_FINE);
}

/* ---- around it ---------------------------------------------------------- */

static volatile sig_atomic_t running, timed_out;

static void on_alarm(int signo)
{
    (void)signo;
    timed_out = 1;
    if (running) (void)kill(-(pid_t)running, SIGKILL);
}

static void set_alarm(unsigned ms)
{
    struct itimerval it = {
        .it_value = {.tv_sec = ms / 1000, .tv_usec = (int)(ms % 1000) * 1000},
        .it_interval = {.tv_sec = 0, .tv_usec = ms ? 100000 : 0}};
    (void)setitimer(ITIMER_REAL, &it, NULL);
}

/* All of it, but not what lies deeper. */
static void empty_directory(void)
{
    DIR *d = opendir(directory);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) < 0)
            (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    if (d) (void)closedir(d);
}

static enum verdict verdict_of(int status)
{
    if (timed_out) return HUNG;
    if (!WIFEXITED(status)) return CRASHED;
    switch (WEXITSTATUS(status)) {
    case EXIT_FINE:
        return FINE;
    case EXIT_LEAK:
        return LEAKED;
    case EXIT_LOST:
    case EXIT_WRONG:
        return LOST;
    default:
        return CRASHED;
    }
}

static enum verdict run_work(const struct work *w, const struct fault *f)
{
    memset(uses_now, 0, site_count * sizeof *uses_now);
    *failed_now = 0;
    (void)lseek(out, 0, SEEK_SET);
    (void)ftruncate(out, 0);
    empty_directory();
    timed_out = 0;
    pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
        (void)setpgid(0, 0);
        running = 0;
        (void)signal(SIGALRM, SIG_DFL);
        if (!verbose) {
            (void)dup2(out, 1);
            (void)dup2(out, 2);
        }
        do_work(w, f);
    }
    (void)setpgid(child, child);
    running = child;
    set_alarm(limit_ms);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    set_alarm(0);
    running = 0;
    (void)kill(-child, SIGKILL);
    return verdict_of(status);
}

static const char *base_name(const char *path)
{
    return path[0] == '.' && path[1] == '/' ? path + 2 : path;
}

static bool is_of_torture(size_t site)
{
    return strncmp(base_name(sites[site]->file), "torture/", 8) == 0;
}

static void name_fault(const struct fault *f, char *text, size_t len)
{
    const struct wf_site *s = sites[f->site];
    int n = snprintf(text, len, "%s/%d/%s:%d.%u.%d.%s", works[f->work]->name,
                     f->world, base_name(s->file), s->line, f->use, f->error,
                     f->lasting ? "lasting" : "once");
    if (!f->with || n < 0 || (size_t)n >= len) return;
    s = sites[f->with_site];
    (void)snprintf(text + n, len - (size_t)n, "+%s:%d.%u.%d.%s",
                   base_name(s->file), s->line, f->with_use, f->with_error,
                   f->with_lasting ? "lasting" : "once");
}

static void tell(const struct fault *f, enum verdict v)
{
    char text[2048], name[400];
    if (shared->heard[v][f->site]++ > 0) return; /* one of a kind */
    if (__atomic_add_fetch(&shared->told, 1, __ATOMIC_RELAXED) > TOLD) return;
    ssize_t n = pread(out, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    name_fault(f, name, sizeof name);
    const struct wf_site *s = sites[f->site];
    (void)dprintf(1, "%s: %s\n    %s in %s: %s\n    %s%s", verdicts[v], name,
                  wf_site_rows[s->call].name, s->function, strerror(f->error),
                  text, n > 0 && text[n - 1] == '\n' ? "" : "\n");
}

static void count_fault(const struct fault *f, enum verdict v)
{
    for (size_t i = 0; i < site_count; i++) {
        if (uses_now[i] == 0 || shared->reached[i]) continue;
        shared->reached_by[i] = *f;
        shared->reached[i] = true;
    }
    if (*failed_now == 0) return; /* it did not come so far this time */
    shared->struck[f->site] = true;
    (void)__atomic_add_fetch(&shared->injected, 1, __ATOMIC_RELAXED);
    (void)__atomic_add_fetch(&shared->ran[f->site], 1, __ATOMIC_RELAXED);
    (void)__atomic_add_fetch(&shared->count[v][f->site], 1, __ATOMIC_RELAXED);
}

/* ---- the faults --------------------------------------------------------- */

static struct fault *faults;
static size_t fault_count, fault_room;

static void add_fault(struct fault f)
{
    if (fault_count == fault_room) {
        fault_room = fault_room ? fault_room * 2 : 4096;
        faults = realloc(faults, fault_room * sizeof *faults);
        if (!faults) abort();
    }
    faults[fault_count++] = f;
}

static uint16_t one_of(const struct wf_site_row *row, unsigned turn)
{
    unsigned n = 0;
    while (n < WF_SITE_ERRORS && row->errors[n])
        n++;
    return (uint16_t)row->errors[turn % n];
}

/* With each error, once and lastingly. What it would wait for then it does not
 * wait for more than once. */
static void add_faults(struct fault f)
{
    const struct wf_site_row *row = &wf_site_rows[sites[f.site]->call];
    for (int i = 0; i < WF_SITE_ERRORS && row->errors[i]; i++) {
        f.error = (uint16_t)row->errors[i];
        f.lasting = false;
        add_fault(f);
        f.lasting = true;
        if (row->lasts == WF_SITE_LASTS ||
            (row->lasts == WF_SITE_WAITS && f.use == 1 && !f.world))
            add_fault(f);
    }
}

static void add_singles(int worlds, unsigned most_uses)
{
    struct fault f = {0};
    for (f.world = 0; f.world < worlds; f.world++)
        for (f.work = 0; f.work < work_count; f.work++)
            for (f.site = 0; f.site < site_count; f.site++)
                for (f.use = 1;
                     f.use <= shared->uses[f.world][f.work][f.site] &&
                     f.use <= most_uses;
                     f.use++)
                    add_faults(f);
}

/* Any two of a work, each at its first use, with one of their errors. */
static void add_pairs(void)
{
    struct fault f = {.use = 1, .with = true, .with_use = 1};
    unsigned turn = 0;
    for (f.work = 0; f.work < work_count; f.work++)
        for (f.site = 0; f.site < site_count; f.site++)
            for (f.with_site = 0; f.with_site < site_count; f.with_site++) {
                const struct wf_site_row *row, *other;
                if (f.site == f.with_site || !shared->uses[0][f.work][f.site] ||
                    !shared->uses[0][f.work][f.with_site])
                    continue;
                row = &wf_site_rows[sites[f.site]->call];
                other = &wf_site_rows[sites[f.with_site]->call];
                f.error = one_of(row, turn);
                f.with_error = one_of(other, turn++);
                add_fault(f);
            }
}

/* Those that were reached and have not failed: on top of what they need. */
static void add_second(void)
{
    for (size_t s = 0; s < site_count; s++) {
        if (!shared->reached[s] || shared->struck[s] || is_of_torture(s))
            continue;
        struct fault by = shared->reached_by[s];
        add_faults((struct fault){.work = by.work,
                                  .site = (uint16_t)s,
                                  .use = 1,
                                  .world = by.world,
                                  .with = true,
                                  .with_site = by.site,
                                  .with_use = by.use,
                                  .with_error = by.error,
                                  .with_lasting = by.lasting});
    }
}

static void begin_worker(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/weft-torture-XXXXXX");
    if (!mkdtemp(directory)) abort();
    out = memfd_create("output", MFD_CLOEXEC);
    uses_now = mmap(NULL, (MAX_SITES + 1) * sizeof(long),
                    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (out < 0 || uses_now == MAP_FAILED) abort();
    failed_now = uses_now + MAX_SITES;
    (void)fcntl(out, F_SETFL, O_APPEND);
    (void)signal(SIGALRM, on_alarm);
}

static void end_worker(void)
{
    empty_directory();
    (void)rmdir(directory);
    (void)munmap(uses_now, (MAX_SITES + 1) * sizeof(long));
    (void)close(out);
}

static void take_faults(void)
{
    for (;;) {
        long i = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
        if (i >= (long)fault_count) return;
        enum verdict v = run_work(works[faults[i].work], &faults[i]);
        count_fault(&faults[i], v);
        if (v != FINE && *failed_now) tell(&faults[i], v);
    }
}

static void run_all_faults(void)
{
    long n = 2 * sysconf(_SC_NPROCESSORS_ONLN); /* some sleep */
    const char *jobs = getenv("JOBS");
    if (jobs && atoi(jobs) > 0) n = atoi(jobs);
    shared->next = 0;
    for (long i = 0; i < n; i++) {
        pid_t p = fork();
        if (p < 0) abort();
        if (p > 0) continue;
        begin_worker();
        take_faults();
        end_worker();
        _exit(0);
    }
    int status;
    while (wait(&status) > 0)
        if (status != 0) shared->count[CRASHED][0]++;
    fault_count = 0;
}

/* A work without faults; false: it does not even work so. */
static bool see(size_t w, int world)
{
    const struct fault none = {.work = (uint16_t)w, .world = (uint8_t)world};
    enum verdict v = run_work(works[w], &none);
    char text[2048];
    for (size_t s = 0; s < site_count; s++) {
        if (uses_now[s]) shared->reached[s] = true;
        shared->uses[world][w][s] = v == FINE ? (unsigned)uses_now[s] : 0;
    }
    if (v == FINE) return true;
    ssize_t n = pread(out, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    (void)printf("%s/%d, without any fault: %s\n    %s\n", works[w]->name,
                 world, verdicts[v], text);
    return false;
}

static bool see_all(int worlds)
{
    bool good = true;
    for (int world = 0; world < worlds; world++)
        for (size_t w = 0; w < work_count; w++)
            good &= see(w, world);
    return good;
}

/* ---- what came of it ---------------------------------------------------- */

struct row {
    long sites, hit, faults, count[VERDICTS];
};

static void add_site(struct row *r, size_t s)
{
    r->sites++;
    r->hit += shared->struck[s];
    r->faults += shared->ran[s];
    for (int v = 0; v < VERDICTS; v++)
        r->count[v] += shared->count[v][s];
}

static void print_row(const char *name, const struct row *r)
{
    (void)printf("%-38s %4ld/%-4ld %7ld %7ld %6ld %6ld %6ld\n", name, r->hit,
                 r->sites, r->faults, r->count[CRASHED], r->count[LEAKED],
                 r->count[HUNG], r->count[LOST]);
}

static bool print_all(void)
{
    struct row total = {0};
    (void)printf("%-38s %9s %7s %7s %6s %6s %6s\n", "call", "sites hit",
                 "faults", "crashes", "leaks", "hangs", "lost");
    for (unsigned call = 0; call < WF_SITE_CALLS; call++) {
        struct row r = {0};
        for (size_t s = 0; s < site_count; s++)
            if (sites[s]->call == call && !is_of_torture(s)) add_site(&r, s);
        if (r.sites) print_row(wf_site_rows[call].name, &r);
    }
    for (size_t s = 0; s < site_count; s++)
        if (!is_of_torture(s)) add_site(&total, s);
    print_row("all", &total);
    for (size_t s = 0; s < site_count; s++)
        if (!shared->struck[s] && !is_of_torture(s))
            (void)printf("not hit: %s:%d: %s in %s%s\n",
                         base_name(sites[s]->file), sites[s]->line,
                         wf_site_rows[sites[s]->call].name, sites[s]->function,
                         shared->reached[s] ? ", though it was reached" : "");
    long failures = total.count[CRASHED] + total.count[LEAKED] +
                    total.count[HUNG] + total.count[LOST];
    (void)printf("sites %ld/%ld, faults %ld, crashes %ld, leaks %ld, hangs "
                 "%ld, lost errors %ld\n",
                 total.hit, total.sites, total.faults, total.count[CRASHED],
                 total.count[LEAKED], total.count[HUNG], total.count[LOST]);
    return failures == 0 && total.hit == total.sites;
}

static void list_all(void)
{
    for (size_t s = 0; s < site_count; s++)
        (void)printf("%s:%d: %s in %s\n", base_name(sites[s]->file),
                     sites[s]->line, wf_site_rows[sites[s]->call].name,
                     sites[s]->function);
    for (size_t w = 0; w < work_count; w++)
        (void)printf("work %s\n", works[w]->name);
}

/* ---- the planted ones --------------------------------------------------- */

static void keep_only(bool planted)
{
    size_t kept = 0;
    for (size_t i = 0; i < work_count; i++)
        if ((works[i]->planted != FINE) == planted) works[kept++] = works[i];
    work_count = kept;
}

/* Each at the sites of its own. */
static bool is_found_out(size_t w)
{
    bool found = false, other = false;
    fault_count = 0;
    for (size_t s = 0; s < site_count; s++)
        if (shared->uses[0][w][s] && is_of_torture(s))
            add_faults((struct fault){
                .work = (uint16_t)w, .site = (uint16_t)s, .use = 1});
    for (size_t i = 0; i < fault_count; i++) {
        enum verdict v = run_work(works[w], &faults[i]);
        found |= v == (enum verdict)works[w]->planted;
        other |= v != FINE && v != (enum verdict)works[w]->planted;
    }
    if (!found || other)
        (void)printf("planted, and not found out: %s\n", works[w]->name);
    return found && !other;
}

static int self_test(void)
{
    size_t found = 0;
    limit_ms = 2000;
    keep_only(true);
    begin_worker();
    bool good = see_all(1);
    for (size_t w = 0; w < work_count; w++)
        found += is_found_out(w);
    end_worker();
    (void)printf("planted faults found out: %zu/%zu\n", found, work_count);
    return !good || work_count == 0 || found != work_count;
}

/* ---- one alone ---------------------------------------------------------- */

static bool read_site(const char *text, uint16_t *ret_site, uint16_t *ret_use,
                      uint16_t *ret_error, bool *ret_lasting)
{
    char file[128], how[16];
    int line;
    unsigned use, error;
    if (sscanf(text, "%127[^:]:%d.%u.%u.%15[a-z]", file, &line, &use, &error,
               how) != 5)
        return false;
    *ret_use = (uint16_t)use;
    *ret_error = (uint16_t)error;
    *ret_lasting = strcmp(how, "lasting") == 0;
    for (size_t s = 0; s < site_count; s++) {
        if (strcmp(base_name(sites[s]->file), file) != 0 ||
            sites[s]->line != line)
            continue;
        *ret_site = (uint16_t)s;
        return true;
    }
    return false;
}

static int run_only(const char *text)
{
    struct fault f = {0};
    char name[64];
    unsigned world = 0;
    int at = 0;
    size_t w = 0;
    bool good = sscanf(text, "%63[a-z_0-9]/%u/%n", name, &world, &at) >= 1;
    const char *site = at ? text + at : "", *plus = strchr(site, '+');
    while (good && w < work_count && strcmp(works[w]->name, name) != 0)
        w++;
    f.world = (uint8_t)world;
    f.with = plus != NULL;
    if (!good || w == work_count ||
        (*site && !read_site(site, &f.site, &f.use, &f.error, &f.lasting)) ||
        (plus && !read_site(plus + 1, &f.with_site, &f.with_use, &f.with_error,
                            &f.with_lasting))) {
        (void)printf("cannot read --only %s\n", text);
        return 2;
    }
    verbose = true;
    begin_worker();
    enum verdict v = run_work(works[w], &f);
    (void)printf("%s, failed %ld times\n", verdicts[v], *failed_now);
    end_worker();
    return v != FINE;
}

/* ---- main --------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int torture(unsigned uses, const char *filter)
{
    double began = seconds();
    keep_only(false);
    for (size_t i = work_count; filter && i-- > 0;)
        if (!strstr(works[i]->name, filter)) works[i] = works[--work_count];
    begin_worker();
    bool good = see_all(quick ? 1 : WORLDS);
    end_worker();
    add_singles(quick ? 1 : WORLDS, uses);
    if (!quick) add_pairs();
    (void)printf("%zu works, %zu faults to come\n", work_count, fault_count);
    run_all_faults();
    add_second();
    run_all_faults();
    good &= print_all();
    (void)printf("took %.1f s\n", seconds() - began);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *filter = NULL;
    unsigned uses = FULL_USES;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    sites = wf_sites(&site_count);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || site_count > MAX_SITES) abort();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            list_all();
            return 0;
        }
        if (strcmp(argv[i], "--self-test") == 0) return self_test();
        if (strcmp(argv[i], "--only") == 0 && argv[i + 1])
            return run_only(argv[i + 1]);
        if (strcmp(argv[i], "--quick") == 0)
            quick = true;
        else if (strcmp(argv[i], "--uses") == 0 && argv[i + 1])
            uses = (unsigned)atoi(argv[++i]);
        else
            filter = argv[i];
    }
    return torture(quick ? 1 : uses, filter);
}
