/* SPDX-License-Identifier: MIT */
/*
 * os_hostile.c - a hostile world, by plan or by seed (BUILD=hostile).
 *
 * The environment says what to do; nothing set, nothing happens:
 *
 *     WEFT_HOSTILE=n          all that a program has to survive, by seed n:
 *                             what the next five do
 *     WEFT_HOSTILE_SHORT=1    transfers move one octet, or a random few, and
 *                             batches of datagrams only some of these
 *     WEFT_HOSTILE_EINTR=1    every call is interrupted first, now and then,
 *                             and a wait for events ends without any
 *     WEFT_HOSTILE_EAGAIN=1   what would not wait says now and then that it
 *                             would have to
 *     WEFT_HOSTILE_EVENTS=1   a poll brings one event, or some, in no order
 *     WEFT_HOSTILE_SEED=n     the seed of all these (default 1)
 *     WEFT_HOSTILE_CALL=k     which call to fail: a number of enum wf_call,
 *     WEFT_HOSTILE_NTH=n      at its n-th use (from 1), once,
 *     WEFT_HOSTILE_AFTER=n    or at its n-th use and all later ones,
 *     WEFT_HOSTILE_ERROR=e    with this errno (default ENOMEM)
 *
 * Counts and draws are of one thread. Where the library starts a thread, its
 * draws come from those of the thread that started it; another one's, from
 * how many such there were. So a seed does the same again.
 *
 * Sites fail by the plan of wf_site_begin, which is that of all threads.
 */
#define WF_NO_SITES /* what is called there is here */
#include "runtime/os.h"

#ifdef WEFT_HOSTILE
#include <stdlib.h>
#include <string.h>

enum { FDS = 4096 };

static __thread struct {
    bool read, cut, interrupt, refuse, few;
    bool cuts_this; /* the transfer at hand */
    int side;       /* ... and what it is owed then, on this: */
    int fd;
    uint64_t random;
    uint64_t seed;   /* given by who started this thread, or 0 */
    uint64_t births; /* of threads, by this one */
    long call, nth, after, error;
    long uses[WF_CALL_COUNT];
} plan;

/* What this thread's poller knows, and what it has yet to say. */
static __thread struct {
    uint64_t key[FDS]; /* 0: none */
    uint8_t owed[FDS];
    int count; /* of those that are owed something */
} fds;

static struct wf_site_plan sites;

/* ---- the plan and the seed ---------------------------------------------- */

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 0) : otherwise;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) | 1;
}

static void read_plan(void)
{
    static uint64_t threads; /* atomic */
    long all = setting("WEFT_HOSTILE", 0);
    plan.read = true;
    plan.cut = setting("WEFT_HOSTILE_SHORT", all) != 0;
    plan.interrupt = setting("WEFT_HOSTILE_EINTR", all) != 0;
    plan.refuse = setting("WEFT_HOSTILE_EAGAIN", all) != 0;
    plan.few = setting("WEFT_HOSTILE_EVENTS", all) != 0;
    uint64_t seed = (uint64_t)setting("WEFT_HOSTILE_SEED", all ? all : 1);
    if (!plan.seed)
        plan.seed = mix(seed * 2 + 1) +
                    2 * __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED);
    plan.random = mix(plan.seed);
    plan.call = setting("WEFT_HOSTILE_CALL", -1);
    plan.nth = setting("WEFT_HOSTILE_NTH", 0);
    plan.after = setting("WEFT_HOSTILE_AFTER", 0);
    plan.error = setting("WEFT_HOSTILE_ERROR", ENOMEM);
}

static uint64_t next_random(void)
{
    plan.random ^= plan.random << 13;
    plan.random ^= plan.random >> 7;
    plan.random ^= plan.random << 17;
    return plan.random;
}

static uint64_t below(uint64_t n)
{
    return (next_random() >> 16) % n;
}

void wf_hostile_fail(enum wf_call call, long use, bool lasting)
{
    if (!plan.read) read_plan();
    plan.call = (long)call;
    plan.nth = lasting ? 0 : use;
    plan.after = lasting ? use : 0;
    plan.error = ENOMEM;
    memset(plan.uses, 0, sizeof plan.uses);
}

long wf_hostile_uses(enum wf_call call)
{
    return plan.uses[call];
}

void wf_hostile_restart(void)
{
    if (!plan.read) read_plan();
    plan.random = mix(plan.seed);
    plan.births = 0;
    memset(&fds, 0, sizeof fds);
}

int wf_hostile(enum wf_call call)
{
    if (!plan.read) read_plan();
    long use = ++plan.uses[call];
    if (call == (enum wf_call)plan.call &&
        (use == plan.nth || (plan.after && use >= plan.after)))
        return (int)-plan.error;
    /* Memory is not a thing that a signal interrupts. */
    if (plan.interrupt && call > WF_CALL_MADVISE && below(4) == 0)
        return -EINTR;
    return 0;
}

/* ---- descriptors -------------------------------------------------------- */

/* The poller says so later. */
static void owe(int fd, int side)
{
    if (fd < 0 || fd >= FDS || !side) return;
    if (!fds.owed[fd]) fds.count++;
    fds.owed[fd] |= (uint8_t)side;
}

/* A datagram is never cut, nor what an eventfd holds. */
static bool is_stream(int fd, const struct stat *st)
{
    int type = 0;
    socklen_t len = sizeof type;
    if (!S_ISSOCK(st->st_mode))
        return S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_STREAM;
}

size_t wf_hostile_cut(enum wf_call call, size_t len)
{
    (void)call;
    if (!plan.cuts_this || len < 2) return len;
    plan.cuts_this = false;
    owe(plan.fd, plan.side);
    return below(2) ? 1 : 1 + below(len);
}

const struct iovec *wf_hostile_part(const struct iovec *iov, int *n,
                                    struct iovec ret[1])
{
    if (!plan.cuts_this || *n < 1 || (*n == 1 && iov->iov_len < 2)) return iov;
    ret[0] = iov[0];
    ret[0].iov_len = wf_hostile_cut(WF_CALL_READ, iov->iov_len);
    *n = 1;
    return ret;
}

unsigned wf_hostile_some(unsigned count)
{
    return plan.cut && count > 1 ? 1 + (unsigned)below(count) : count;
}

int wf_site_of(const struct wf_site *const *at, int fd, int side)
{
    int kept = errno, err = wf_site(at);
    struct stat st;
    if (err < 0) return err;
    if (!plan.read) read_plan();
    plan.cuts_this = false;
    plan.fd = fd;
    plan.side = side;
    if ((!plan.cut && !plan.refuse) || fstat(fd, &st) < 0) {
        errno = kept;
        return 0;
    }
    plan.cuts_this = plan.cut && is_stream(fd, &st);
    if (plan.refuse && side && below(8) == 0 &&
        (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)) &&
        fcntl(fd, F_GETFL) & O_NONBLOCK) {
        owe(fd, side);
        err = -EAGAIN;
    }
    errno = kept;
    return err;
}

void wf_hostile_watch(int fd, uint64_t key)
{
    if (fd < 0 || fd >= FDS) return;
    fds.key[fd] = key;
    if (fds.owed[fd]) fds.count--;
    fds.owed[fd] = 0;
}

int wf_hostile_ask(int max, int64_t *timeout_ns)
{
    if (!plan.read) read_plan();
    if (fds.count > 0) *timeout_ns = 0;
    if (!plan.few || below(4) == 0) return max;
    return below(2) ? 1 : 1 + (int)below((uint64_t)max);
}

/* What there is of it, by the kernel's word. */
static unsigned ready_of(int fd, unsigned owed)
{
    struct pollfd ask = {.fd = fd};
    ask.events = (short)((owed & WF_SITE_TO_READ ? POLLIN | POLLRDHUP : 0) |
                         (owed & WF_SITE_TO_WRITE ? POLLOUT : 0));
    if (poll(&ask, 1, 0) <= 0) return 0;
    bool gone = ask.revents & (POLLHUP | POLLERR);
    return (ask.revents & (POLLIN | POLLRDHUP) || gone ? WF_SITE_TO_READ : 0u) |
           (ask.revents & POLLOUT || gone ? WF_SITE_TO_WRITE : 0u) |
           (ask.revents & POLLRDHUP || gone ? WF_SITE_HUNG_UP : 0u);
}

unsigned wf_hostile_owed(uint64_t *ret_key)
{
    int kept = errno;
    unsigned ready = 0;
    for (int fd = 0; fd < FDS && fds.count > 0 && !ready; fd++) {
        if (!fds.owed[fd]) continue;
        *ret_key = fds.key[fd];
        if (*ret_key) ready = ready_of(fd, fds.owed[fd]);
        fds.owed[fd] = 0;
        fds.count--;
    }
    errno = kept;
    return ready;
}

size_t wf_hostile_place(size_t n)
{
    return plan.few ? (size_t)below(n) : n - 1;
}

/* ---- threads ------------------------------------------------------------ */

struct birth {
    uint64_t seed;
    void *(*fn)(void *);
    void *arg;
};

static void *born(void *arg)
{
    struct birth b = *(struct birth *)arg;
    free(arg);
    plan.seed = b.seed;
    return b.fn(b.arg);
}

int wf_hostile_thread(pthread_t *ret_thread, size_t stack_bytes,
                      void *(*fn)(void *), void *arg,
                      int (*start)(pthread_t *, size_t, void *(*)(void *),
                                   void *))
{
    struct birth *b = malloc(sizeof *b);
    if (!b) return -ENOMEM;
    if (!plan.read) read_plan();
    plan.births += 2;
    *b = (struct birth){mix(plan.seed + plan.births), fn, arg};
    int err = start(ret_thread, stack_bytes, born, b);
    if (err < 0) free(b);
    return err;
}

/* ---- sites -------------------------------------------------------------- */

/* By the linker; weak, as a program may have none. */
extern const struct wf_site *const __start_wf_sites[] __attribute__((weak));
extern const struct wf_site *const __stop_wf_sites[] __attribute__((weak));

const struct wf_site *const *wf_sites(size_t *ret_count)
{
    *ret_count = (size_t)(__stop_wf_sites - __start_wf_sites);
    return __start_wf_sites;
}

void wf_site_begin(const struct wf_site_plan *p)
{
    sites = *p;
}

static bool strikes(const struct wf_site_strike *s, size_t site, long use)
{
    return s->use != 0 && s->site == site &&
           (s->lasting ? use >= s->use : use == s->use);
}

int wf_site(const struct wf_site *const *at)
{
    if (!sites.uses) return 0;
    size_t i = (size_t)(at - __start_wf_sites);
    long use = __atomic_add_fetch(&sites.uses[i], 1, __ATOMIC_RELAXED);
    if (strikes(&sites.strike[0], i, use)) {
        __atomic_add_fetch(sites.failed, 1, __ATOMIC_RELAXED);
        return -sites.strike[0].error;
    }
    return strikes(&sites.strike[1], i, use) ? -sites.strike[1].error : 0;
}

static long all_bytes; /* atomic */

long wf_hostile_bytes(void)
{
    return __atomic_load_n(&all_bytes, __ATOMIC_SEQ_CST);
}

void wf_hostile_count(int64_t bytes)
{
    __atomic_add_fetch(&all_bytes, (long)bytes, __ATOMIC_RELAXED);
}

/* What each call can fail with when all its arguments are as they should be:
 * from its page in sections 2, 3 and 7 of the Linux manual. EINTR and EAGAIN
 * are not here where a seed brings them; they are no failures. */
const struct wf_site_row wf_site_rows[WF_SITE_CALLS] = {
    [WF_CALL_POLL_OPEN] = {"epoll_create1, eventfd",
                           {EMFILE, ENFILE, ENOMEM},
                           0},
    [WF_CALL_POLL_CTL] = {"epoll_ctl", {ENOMEM, ENOSPC}, 0},
    [WF_CALL_POLL_WAIT] = {"epoll_wait", {EINTR}, WF_SITE_ONCE},
    [WF_SITE_ALLOC] = {"malloc", {ENOMEM}, 0},
    [WF_SITE_MAP] = {"mmap", {ENOMEM}, 0},
    [WF_SITE_MADVISE] = {"madvise", {EAGAIN, EINVAL, ENOMEM}, 0},
    [WF_SITE_MPROTECT] = {"mprotect", {EACCES, ENOMEM}, 0},
    [WF_SITE_AT_FORK] = {"pthread_atfork", {ENOMEM}, 0},
    [WF_SITE_READ] = {"read, readv", {EIO, ECONNRESET, EISDIR}, 0},
    [WF_SITE_WRITE] = {"write, writev",
                       {EIO, ENOSPC, EDQUOT, EFBIG, EPERM, EPIPE},
                       0},
    [WF_SITE_RECV] = {"recv, recvmsg, recvmmsg",
                      {ECONNREFUSED, ECONNRESET, ENOMEM, ETIMEDOUT,
                       EHOSTUNREACH, ENETDOWN},
                      0},
    [WF_SITE_SEND] = {"send, sendmsg, sendmmsg",
                      {EACCES, ECONNRESET, ENOBUFS, ENOMEM, EPIPE, ETIMEDOUT,
                       EHOSTUNREACH, ENETDOWN},
                      0},
    [WF_SITE_SOCKET] = {"socket",
                        {EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS,
                         ENOMEM, EPROTONOSUPPORT},
                        0},
    [WF_SITE_SOCKETPAIR] = {"socketpair",
                            {EAFNOSUPPORT, EMFILE, ENFILE, EOPNOTSUPP,
                             EPROTONOSUPPORT},
                            0},
    [WF_SITE_ACCEPT] = {"accept4",
                        {ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM,
                         EPROTO, ENETDOWN, EHOSTUNREACH},
                        WF_SITE_WAITS},
    [WF_SITE_CONNECT] = {"connect",
                         {EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN,
                          ECONNREFUSED, ENETUNREACH, EPERM, EPROTOTYPE,
                          ETIMEDOUT, EHOSTUNREACH, ENOENT},
                         0},
    [WF_SITE_BIND] = {"bind",
                      {EACCES, EADDRINUSE, EADDRNOTAVAIL, ELOOP, ENAMETOOLONG,
                       ENOENT, ENOMEM, ENOTDIR, EROFS},
                      0},
    [WF_SITE_LISTEN] = {"listen", {EADDRINUSE, EOPNOTSUPP}, 0},
    [WF_SITE_SHUTDOWN] = {"shutdown", {ENOTCONN}, 0},
    [WF_SITE_SETSOCKOPT] = {"setsockopt", {EINVAL, ENOMEM, ENOPROTOOPT}, 0},
    [WF_SITE_GETSOCKOPT] = {"getsockopt", {EINVAL, ENOPROTOOPT}, 0},
    [WF_SITE_GETSOCKNAME] = {"getsockname", {ENOBUFS}, 0},
    [WF_SITE_GETPEERNAME] = {"getpeername", {ENOBUFS, ENOTCONN}, 0},
    [WF_SITE_FCNTL] = {"fcntl", {EACCES, EMFILE, EPERM}, 0},
    [WF_SITE_FSTAT] = {"fstat", {ENOMEM, EOVERFLOW}, 0},
    [WF_SITE_STAT] = {"stat, lstat",
                      {EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR,
                       EOVERFLOW},
                      0},
    [WF_SITE_PIPE] = {"pipe2", {EMFILE, ENFILE}, 0},
    [WF_SITE_UNLINK] = {"unlink",
                        {EACCES, EBUSY, EIO, ENOENT, ENOMEM, EPERM, EROFS},
                        0},
    [WF_SITE_CHMOD] = {"chmod", {EACCES, EIO, ENOENT, ENOMEM, EPERM, EROFS}, 0},
    [WF_SITE_POLL] = {"poll", {EINVAL, ENOMEM}, 0},
    [WF_SITE_SIGACTION] = {"sigaction", {EINVAL}, 0},
    [WF_SITE_SIGALTSTACK] = {"sigaltstack", {ENOMEM, EPERM}, 0},
    [WF_SITE_TIMER] = {"timer_create", {EAGAIN, ENOMEM}, 0},
    [WF_SITE_SPAWN] = {"posix_spawn",
                       {E2BIG, EACCES, EAGAIN, EMFILE, ENFILE, ENOENT, ENOEXEC,
                        ENOMEM, ETXTBSY},
                       0},
    [WF_SITE_SPAWN_IN] = {"posix_spawn_file_actions_addchdir_np",
                          {ENOMEM, ENOTSUP},
                          0},
    [WF_SITE_SPAWN_PLAN] = {"posix_spawn_file_actions_*", {ENOMEM}, 0},
    [WF_SITE_PIDFD] = {"pidfd_open",
                       {EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, EPERM},
                       0},
    [WF_SITE_OPEN] = {"open",
                      {EACCES, EDQUOT, EEXIST, EISDIR, ELOOP, EMFILE, ENFILE,
                       ENOENT, ENOMEM, ENOSPC, EROFS},
                      0},
    [WF_SITE_CLOSE_FILE] = {"close", {EDQUOT, EIO, ENOSPC}, 0},
    [WF_SITE_PREAD] = {"pread", {EIO, EISDIR, EOVERFLOW}, 0},
    [WF_SITE_PWRITE] = {"pwrite", {EDQUOT, EFBIG, EIO, ENOSPC, EPERM}, 0},
    [WF_SITE_PREAD_CACHED] = {"preadv2", {EAGAIN, EIO, ENOSYS, EOPNOTSUPP}, 0},
    [WF_SITE_SENDFILE] = {"sendfile",
                          {EINVAL, EIO, ENOMEM, ENOSYS, EOVERFLOW, EPIPE},
                          0},
    [WF_SITE_SYNC] = {"fsync, fdatasync", {EDQUOT, EIO, ENOSPC, EROFS}, 0},
    [WF_SITE_TRUNCATE] = {"ftruncate", {EFBIG, EIO, EPERM}, 0},
    [WF_SITE_RENAME] = {"rename",
                        {EACCES, EBUSY, EDQUOT, ENOENT, ENOMEM, ENOSPC, EROFS,
                         EXDEV},
                        0},
    [WF_SITE_MKDIR] = {"mkdir",
                       {EACCES, EDQUOT, EEXIST, ENOENT, ENOMEM, ENOSPC, EROFS},
                       0},
    [WF_SITE_RMDIR] = {"rmdir",
                       {EACCES, EBUSY, ENOENT, ENOMEM, ENOTEMPTY, EROFS},
                       0},
    [WF_SITE_REALPATH] = {"realpath",
                          {EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM},
                          0},
    [WF_SITE_OPENDIR] = {"opendir",
                         {EACCES, EMFILE, ENFILE, ENOENT, ENOMEM},
                         0},
    [WF_SITE_READDIR] = {"readdir", {EIO, ENOENT}, 0},
    [WF_SITE_THREAD] = {"pthread_create", {EAGAIN, ENOMEM, EPERM}, 0},
    [WF_SITE_GETPEEREID] = {"getpeereid", {ENOBUFS, ENOTCONN}, 0},
    [WF_SITE_SPLICE] = {"splice", {EINVAL, ENOMEM, ENOSYS, EIO}, 0},
    [WF_SITE_REOPEN] = {"open", {EACCES, EMFILE, ENFILE, ENOENT, ENXIO}, 0},
    [WF_SITE_TCGETATTR] = {"tcgetattr", {EIO, ENOTTY}, 0},
    [WF_SITE_TCSETATTR] = {"tcsetattr", {EIO, ENOTTY}, 0},
    [WF_SITE_WINSIZE] = {"ioctl", {EIO, ENOTTY}, 0},
    [WF_SITE_RANDOM] = {"getrandom, getentropy", {ENOSYS, EPERM}, 0},
    [WF_SITE_NAMES] = {"getaddrinfo",
                       {EHOSTUNREACH, EMFILE, ENOENT, ENOMEM},
                       0},
};
#else
typedef int wf_nothing_hostile; /* ISO C wants something in every file */
#endif
