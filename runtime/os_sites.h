/* SPDX-License-Identifier: MIT */
/*
 * os_sites.h - each place that goes through the door (os.h), by its line.
 *
 * In a hostile build the calls that can fail are macros. Each use of one is a
 * site: it leaves a word in a section of the program, so that all there are can
 * be counted without running them, and asks wf_site first, which has the plan
 * of `make torture`. The rest of what is here is what a hostile world needs to
 * know of descriptors: a transfer that was cut short, or refused with EAGAIN
 * although there was something, is owed an event.
 *
 * os.h, os_file.h, os_names.h, os_tty.h and os_thread.h end with this file, for
 * what they have. Where the calls themselves are, WF_NO_SITES is defined.
 */
#include <stdint.h>

#ifdef WEFT_HOSTILE
#ifndef WF_OS_SITES_H
#define WF_OS_SITES_H

/* What can be refused; those of enum wf_call that are asked without a function
 * of their own, in a poller, come before. */
enum wf_site_call {
    WF_SITE_ALLOC = WF_CALL_COUNT,
    WF_SITE_MAP,
    WF_SITE_MADVISE,
    WF_SITE_MPROTECT,
    WF_SITE_AT_FORK,
    WF_SITE_READ,
    WF_SITE_WRITE,
    WF_SITE_RECV,
    WF_SITE_SEND,
    WF_SITE_SOCKET,
    WF_SITE_SOCKETPAIR,
    WF_SITE_ACCEPT,
    WF_SITE_CONNECT,
    WF_SITE_BIND,
    WF_SITE_LISTEN,
    WF_SITE_SHUTDOWN,
    WF_SITE_SETSOCKOPT,
    WF_SITE_GETSOCKOPT,
    WF_SITE_GETSOCKNAME,
    WF_SITE_GETPEERNAME,
    WF_SITE_GETPEEREID,
    WF_SITE_FCNTL,
    WF_SITE_FSTAT,
    WF_SITE_STAT,
    WF_SITE_PIPE,
    WF_SITE_UNLINK,
    WF_SITE_CHMOD,
    WF_SITE_POLL,
    WF_SITE_SIGACTION,
    WF_SITE_SIGALTSTACK,
    WF_SITE_TIMER,
    WF_SITE_SPAWN,
    WF_SITE_SPAWN_IN,
    WF_SITE_SPAWN_PLAN,
    WF_SITE_PIDFD,
    WF_SITE_OPEN,
    WF_SITE_CLOSE_FILE,
    WF_SITE_PREAD,
    WF_SITE_PWRITE,
    WF_SITE_PREAD_CACHED,
    WF_SITE_SENDFILE,
    WF_SITE_SYNC,
    WF_SITE_TRUNCATE,
    WF_SITE_RENAME,
    WF_SITE_MKDIR,
    WF_SITE_RMDIR,
    WF_SITE_REALPATH,
    WF_SITE_OPENDIR,
    WF_SITE_READDIR,
    WF_SITE_THREAD,
    WF_SITE_SPLICE,
    WF_SITE_REOPEN,
    WF_SITE_TCGETATTR,
    WF_SITE_TCSETATTR,
    WF_SITE_WINSIZE,
    WF_SITE_RANDOM,
    WF_SITE_NAMES,
    WF_SITE_CALLS
};

/* The last three are a poller's bits: WF_IN, WF_OUT, WF_HUP. */
enum {
    WF_SITE_ERRORS = 12,
    WF_SITE_TO_READ = 1,
    WF_SITE_TO_WRITE = 2,
    WF_SITE_HUNG_UP = 4
};

struct wf_site {
    const char *file, *function;
    int line;
    unsigned call; /* of enum wf_site_call, or enum wf_call */
};

/* What a call is named and what it can fail with, up to a 0. */
struct wf_site_row {
    const char *name;
    short errors[WF_SITE_ERRORS];
    enum {
        WF_SITE_LASTS,
        WF_SITE_WAITS, /* what lasts is waited for, until a deadline */
        WF_SITE_ONCE   /* it does not go on like that for ever */
    } lasts;
};
extern const struct wf_site_row wf_site_rows[WF_SITE_CALLS];

/* All sites of the program. */
const struct wf_site *const *wf_sites(size_t *ret_count);

/* From now on, in all threads: how often each was reached is counted in
 * `uses`, and the use-th time (from 1; 0: never) that of the number `site` is,
 * it fails with `error`, once or each time from then on. uses == NULL: enough
 * of it. */
struct wf_site_strike {
    size_t site;
    long use;
    bool lasting;
    int error;
};
struct wf_site_plan {
    long *uses; /* atomic, one for each site */
    struct wf_site_strike strike[2];
    long *failed; /* atomic: how often the first of them did */
};
void wf_site_begin(const struct wf_site_plan *plan);

/* At a site: 0, or a negative error to fail with. */
int wf_site(const struct wf_site *const *at);
/* The same, for a transfer or an accept on a descriptor, which may then find
 * nothing, or less than there is. */
int wf_site_of(const struct wf_site *const *at, int fd, int side);

/* What all threads together have of wf_alloc and wf_map. */
long wf_hostile_bytes(void);
void wf_hostile_count(int64_t bytes);

/* Fewer octets than there are in these, in *ret; or the same. */
const struct iovec *wf_hostile_part(const struct iovec *iov, int *n,
                                    struct iovec ret[1]);

/* How many of a batch to ask for. */
unsigned wf_hostile_some(unsigned count);

/* Starts the thread with a seed drawn from this one's. */
int wf_hostile_thread(pthread_t *ret_thread, size_t stack_bytes,
                      void *(*fn)(void *), void *arg,
                      int (*start)(pthread_t *, size_t, void *(*)(void *),
                                   void *));

#define WF_SITE_HERE(call)                                                     \
    static const struct wf_site site_ = {__FILE__, __func__, __LINE__,         \
                                         (unsigned)(call)};                    \
    static const struct wf_site *const site_at_                                \
        __attribute__((section("wf_sites"))) = &site_

#define WF_SITE(call, fn, ...)                                                 \
    __extension__({                                                            \
        WF_SITE_HERE(call);                                                    \
        int no_ = wf_site(&site_at_);                                          \
        no_ < 0 ? no_ : fn(__VA_ARGS__);                                       \
    })
#define WF_SITE_OR_NULL(call, fn, ...)                                         \
    __extension__({                                                            \
        WF_SITE_HERE(call);                                                    \
        wf_site(&site_at_) < 0 ? NULL : fn(__VA_ARGS__);                       \
    })
#define WF_SITE_OF(call, side, fn, fd, ...)                                    \
    __extension__({                                                            \
        WF_SITE_HERE(call);                                                    \
        int of_ = (fd), no_ = wf_site_of(&site_at_, of_, side);                \
        no_ < 0 ? no_ : fn(of_, __VA_ARGS__);                                  \
    })
#define WF_SITE_IOV(call, side, fn, fd, iov, n)                                \
    __extension__({                                                            \
        WF_SITE_HERE(call);                                                    \
        int of_ = (fd), no_ = wf_site_of(&site_at_, of_, side), n_ = (n);      \
        struct iovec part_[1];                                                 \
        const struct iovec *iov_ = wf_hostile_part((iov), &n_, part_);         \
        no_ < 0 ? no_ : fn(of_, iov_, n_);                                     \
    })
#define WF_SITE_SOME(call, side, fn, fd, v, count, ...)                        \
    __extension__({                                                            \
        WF_SITE_HERE(call);                                                    \
        int of_ = (fd), no_ = wf_site_of(&site_at_, of_, side);                \
        no_ < 0 ? no_ : fn(of_, v, wf_hostile_some(count), __VA_ARGS__);       \
    })
/* The message is a copy, save for what the call says in it. */
#define WF_SITE_MSG(call, side, fn, fd, m, flags)                              \
    __extension__({                                                            \
        WF_SITE_HERE(call);                                                    \
        int of_ = (fd), no_ = wf_site_of(&site_at_, of_, side);                \
        struct iovec part_[1];                                                 \
        struct msghdr msg_ = *(m);                                             \
        int n_ = (int)msg_.msg_iovlen;                                         \
        msg_.msg_iov = (struct iovec *)(uintptr_t)wf_hostile_part(             \
            msg_.msg_iov, &n_, part_);                                         \
        msg_.msg_iovlen = (size_t)n_;                                          \
        no_ < 0 ? no_ : fn(of_, &msg_, flags);                                 \
    })
#endif

#ifndef WF_NO_SITES
#undef wf_hostile
#define wf_hostile(call)                                                       \
    __extension__({                                                            \
        WF_SITE_HERE(call);                                                    \
        int no_ = wf_site(&site_at_);                                          \
        no_ < 0 ? no_ : wf_hostile(call);                                      \
    })

#define wf_alloc(...)  WF_SITE_OR_NULL(WF_SITE_ALLOC, wf_alloc, __VA_ARGS__)
#define wf_zalloc(...) WF_SITE_OR_NULL(WF_SITE_ALLOC, wf_zalloc, __VA_ARGS__)
#define wf_shared_alloc(...)                                                   \
    WF_SITE_OR_NULL(WF_SITE_ALLOC, wf_shared_alloc, __VA_ARGS__)
#define wf_map(...)        WF_SITE_OR_NULL(WF_SITE_MAP, wf_map, __VA_ARGS__)
#define wf_os_madvise(...) WF_SITE(WF_SITE_MADVISE, wf_os_madvise, __VA_ARGS__)
#define wf_os_mprotect(...)                                                    \
    WF_SITE(WF_SITE_MPROTECT, wf_os_mprotect, __VA_ARGS__)
#define wf_os_at_fork(...) WF_SITE(WF_SITE_AT_FORK, wf_os_at_fork, __VA_ARGS__)

#define wf_os_read(...)                                                        \
    WF_SITE_OF(WF_SITE_READ, WF_SITE_TO_READ, wf_os_read, __VA_ARGS__)
#define wf_os_recv(...)                                                        \
    WF_SITE_OF(WF_SITE_RECV, WF_SITE_TO_READ, wf_os_recv, __VA_ARGS__)
#define wf_os_recv_unix(...)                                                   \
    WF_SITE_OF(WF_SITE_RECV, WF_SITE_TO_READ, wf_os_recv_unix, __VA_ARGS__)
#define wf_os_write(...)                                                       \
    WF_SITE_OF(WF_SITE_WRITE, WF_SITE_TO_WRITE, wf_os_write, __VA_ARGS__)
#define wf_os_send(...)                                                        \
    WF_SITE_OF(WF_SITE_SEND, WF_SITE_TO_WRITE, wf_os_send, __VA_ARGS__)
#define wf_os_readv(...)                                                       \
    WF_SITE_IOV(WF_SITE_READ, WF_SITE_TO_READ, wf_os_readv, __VA_ARGS__)
#define wf_os_writev(...)                                                      \
    WF_SITE_IOV(WF_SITE_WRITE, WF_SITE_TO_WRITE, wf_os_writev, __VA_ARGS__)
#define wf_os_recvmsg(...)                                                     \
    WF_SITE_OF(WF_SITE_RECV, WF_SITE_TO_READ, wf_os_recvmsg, __VA_ARGS__)
#define wf_os_sendmsg(...)                                                     \
    WF_SITE_MSG(WF_SITE_SEND, WF_SITE_TO_WRITE, wf_os_sendmsg, __VA_ARGS__)
#define wf_os_recvmmsg(...)                                                    \
    WF_SITE_SOME(WF_SITE_RECV, WF_SITE_TO_READ, wf_os_recvmmsg, __VA_ARGS__)
#define wf_os_sendmmsg(...)                                                    \
    WF_SITE_SOME(WF_SITE_SEND, WF_SITE_TO_WRITE, wf_os_sendmmsg, __VA_ARGS__)
#define wf_os_accept(...)                                                      \
    WF_SITE_OF(WF_SITE_ACCEPT, WF_SITE_TO_READ, wf_os_accept, __VA_ARGS__)

#define wf_os_socket(...) WF_SITE(WF_SITE_SOCKET, wf_os_socket, __VA_ARGS__)
#define wf_os_socketpair(...)                                                  \
    WF_SITE(WF_SITE_SOCKETPAIR, wf_os_socketpair, __VA_ARGS__)
#define wf_os_connect(...) WF_SITE(WF_SITE_CONNECT, wf_os_connect, __VA_ARGS__)
#define wf_os_bind(...)    WF_SITE(WF_SITE_BIND, wf_os_bind, __VA_ARGS__)
#define wf_os_listen(...)  WF_SITE(WF_SITE_LISTEN, wf_os_listen, __VA_ARGS__)
#define wf_os_shutdown(...)                                                    \
    WF_SITE(WF_SITE_SHUTDOWN, wf_os_shutdown, __VA_ARGS__)
#define wf_os_setsockopt(...)                                                  \
    WF_SITE(WF_SITE_SETSOCKOPT, wf_os_setsockopt, __VA_ARGS__)
#define wf_os_getsockopt(...)                                                  \
    WF_SITE(WF_SITE_GETSOCKOPT, wf_os_getsockopt, __VA_ARGS__)
#define wf_os_getsockname(...)                                                 \
    WF_SITE(WF_SITE_GETSOCKNAME, wf_os_getsockname, __VA_ARGS__)
#define wf_os_getpeername(...)                                                 \
    WF_SITE(WF_SITE_GETPEERNAME, wf_os_getpeername, __VA_ARGS__)
#define wf_os_getpeereid(...)                                                  \
    WF_SITE(WF_SITE_GETPEEREID, wf_os_getpeereid, __VA_ARGS__)

#define wf_os_splice_in(...)                                                   \
    WF_SITE_OF(WF_SITE_SPLICE, WF_SITE_TO_READ, wf_os_splice_in, __VA_ARGS__)
#define wf_os_splice_out(...)                                                  \
    WF_SITE_OF(WF_SITE_SPLICE, WF_SITE_TO_WRITE, wf_os_splice_out, __VA_ARGS__)

#define wf_os_fcntl(...)  WF_SITE(WF_SITE_FCNTL, wf_os_fcntl, __VA_ARGS__)
#define wf_os_fstat(...)  WF_SITE(WF_SITE_FSTAT, wf_os_fstat, __VA_ARGS__)
#define wf_os_lstat(...)  WF_SITE(WF_SITE_STAT, wf_os_lstat, __VA_ARGS__)
#define wf_os_pipe(...)   WF_SITE(WF_SITE_PIPE, wf_os_pipe, __VA_ARGS__)
#define wf_os_unlink(...) WF_SITE(WF_SITE_UNLINK, wf_os_unlink, __VA_ARGS__)
#define wf_os_chmod(...)  WF_SITE(WF_SITE_CHMOD, wf_os_chmod, __VA_ARGS__)
#define wf_os_poll(...)   WF_SITE(WF_SITE_POLL, wf_os_poll, __VA_ARGS__)

#define wf_os_sigaction(...)                                                   \
    WF_SITE(WF_SITE_SIGACTION, wf_os_sigaction, __VA_ARGS__)
#define wf_os_sigaltstack(...)                                                 \
    WF_SITE(WF_SITE_SIGALTSTACK, wf_os_sigaltstack, __VA_ARGS__)
#define wf_os_timer_open(...)                                                  \
    WF_SITE(WF_SITE_TIMER, wf_os_timer_open, __VA_ARGS__)
#define wf_os_spawn(...) WF_SITE(WF_SITE_SPAWN, wf_os_spawn, __VA_ARGS__)
#define wf_os_spawn_in(...)                                                    \
    WF_SITE(WF_SITE_SPAWN_IN, wf_os_spawn_in, __VA_ARGS__)
/* Of libc: they return a positive error, and have none but this. */
#define posix_spawn_file_actions_init(...)                                     \
    (-WF_SITE(WF_SITE_SPAWN_PLAN, -posix_spawn_file_actions_init, __VA_ARGS__))
#define posix_spawn_file_actions_addopen(...)                                  \
    (-WF_SITE(WF_SITE_SPAWN_PLAN, -posix_spawn_file_actions_addopen,           \
              __VA_ARGS__))
#define posix_spawn_file_actions_adddup2(...)                                  \
    (-WF_SITE(WF_SITE_SPAWN_PLAN, -posix_spawn_file_actions_adddup2,           \
              __VA_ARGS__))
#define posix_spawnattr_init(...)                                              \
    (-WF_SITE(WF_SITE_SPAWN_PLAN, -posix_spawnattr_init, __VA_ARGS__))
#define wf_os_pidfd(...)  WF_SITE(WF_SITE_PIDFD, wf_os_pidfd, __VA_ARGS__)
#define wf_os_random(...) WF_SITE(WF_SITE_RANDOM, wf_os_random, __VA_ARGS__)

#ifdef WF_SITES_OF_FILES
#define wf_os_open(...) WF_SITE(WF_SITE_OPEN, wf_os_open, __VA_ARGS__)
/* It is closed in any case. */
#define wf_os_close_file(...)                                                  \
    __extension__({                                                            \
        WF_SITE_HERE(WF_SITE_CLOSE_FILE);                                      \
        int no_ = wf_site(&site_at_), closed_ = wf_os_close_file(__VA_ARGS__); \
        no_ < 0 ? no_ : closed_;                                               \
    })
#define wf_os_pread(...) WF_SITE_OF(WF_SITE_PREAD, 0, wf_os_pread, __VA_ARGS__)
#define wf_os_pwrite(...)                                                      \
    WF_SITE_OF(WF_SITE_PWRITE, 0, wf_os_pwrite, __VA_ARGS__)
#define wf_os_pread_cached(...)                                                \
    WF_SITE_OF(WF_SITE_PREAD_CACHED, 0, wf_os_pread_cached, __VA_ARGS__)
#define wf_os_sendfile(...)                                                    \
    WF_SITE_OF(WF_SITE_SENDFILE, WF_SITE_TO_WRITE, wf_os_sendfile, __VA_ARGS__)
#define wf_os_fsync(...)     WF_SITE(WF_SITE_SYNC, wf_os_fsync, __VA_ARGS__)
#define wf_os_fdatasync(...) WF_SITE(WF_SITE_SYNC, wf_os_fdatasync, __VA_ARGS__)
#define wf_os_ftruncate(...)                                                   \
    WF_SITE(WF_SITE_TRUNCATE, wf_os_ftruncate, __VA_ARGS__)
#define wf_os_stat(...)   WF_SITE(WF_SITE_STAT, wf_os_stat, __VA_ARGS__)
#define wf_os_rename(...) WF_SITE(WF_SITE_RENAME, wf_os_rename, __VA_ARGS__)
#define wf_os_mkdir(...)  WF_SITE(WF_SITE_MKDIR, wf_os_mkdir, __VA_ARGS__)
#define wf_os_rmdir(...)  WF_SITE(WF_SITE_RMDIR, wf_os_rmdir, __VA_ARGS__)
#define wf_os_realpath(...)                                                    \
    WF_SITE(WF_SITE_REALPATH, wf_os_realpath, __VA_ARGS__)
#define wf_os_opendir(...) WF_SITE(WF_SITE_OPENDIR, wf_os_opendir, __VA_ARGS__)
#define wf_os_readdir(...) WF_SITE(WF_SITE_READDIR, wf_os_readdir, __VA_ARGS__)
#endif
#ifdef WF_SITES_OF_TTYS
#define wf_os_reopen(...) WF_SITE(WF_SITE_REOPEN, wf_os_reopen, __VA_ARGS__)
#define wf_os_tcgetattr(...)                                                   \
    WF_SITE(WF_SITE_TCGETATTR, wf_os_tcgetattr, __VA_ARGS__)
#define wf_os_tcsetattr(...)                                                   \
    WF_SITE(WF_SITE_TCSETATTR, wf_os_tcsetattr, __VA_ARGS__)
#define wf_os_winsize(...) WF_SITE(WF_SITE_WINSIZE, wf_os_winsize, __VA_ARGS__)
#endif
#ifdef WF_SITES_OF_NAMES
#define wf_os_getaddrinfo(...)                                                 \
    WF_SITE(WF_SITE_NAMES, wf_os_getaddrinfo, __VA_ARGS__)
#endif
#ifdef WF_SITES_OF_THREADS
#define wf_os_thread_start(t, stack, fn, arg)                                  \
    WF_SITE(WF_SITE_THREAD, wf_hostile_thread, t, stack, fn, arg,              \
            wf_os_thread_start)
#endif
#endif
#endif

#ifndef WF_OS_HOSTILE_POLLER
#define WF_OS_HOSTILE_POLLER
struct wf_event;
#ifdef WEFT_HOSTILE
/* For a poller with edges. This descriptor has this key, 0: no more. */
void wf_hostile_watch(int fd, uint64_t key);
/* How many events to ask for, and how long to wait for them. */
int wf_hostile_ask(int max, int64_t *timeout_ns);
/* What is owed to one that is ready by now, and its key; 0: no more. */
unsigned wf_hostile_owed(uint64_t *ret_key);
/* Which of n is to be the last: drawn, or the last one. */
size_t wf_hostile_place(size_t n);
/* Puts among these those that are owed, in no order. Returns how many. */
int wf_hostile_events(struct wf_event *events, int n, int max);
#else
static inline void wf_hostile_watch(int fd, uint64_t key)
{
    (void)fd;
    (void)key;
}
static inline int wf_hostile_ask(int max, int64_t *timeout_ns)
{
    (void)timeout_ns;
    return max;
}
static inline int wf_hostile_events(struct wf_event *events, int n, int max)
{
    (void)events;
    (void)max;
    return n;
}
#endif
#endif
