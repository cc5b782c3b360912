/* SPDX-License-Identifier: MIT */
/*
 * activation.c - listeners that somebody else has opened.
 */
#include <weft/activation.h>

#include <weft/error.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/here.h"
#include "runtime/os.h"

/* ---- one descriptor ----------------------------------------------------- */

static int refuse(int err, int fd, const char *what)
{
    return weft_fail_at(err, NULL, 0, "descriptor %d %s", fd, what);
}

static const char *not_a_socket(mode_t mode)
{
    if (S_ISREG(mode)) return "is a file and not a socket";
    if (S_ISDIR(mode)) return "is a directory and not a socket";
    if (S_ISFIFO(mode)) return "is a pipe and not a socket";
    if (S_ISCHR(mode)) return "is a terminal or device and not a socket";
    return "is not a socket";
}

/* 1, 0 or an error. Where the seam can only guess the system may know. */
static int listens(int fd)
{
    int known = 1;
    socklen_t len = sizeof known;
    int guess = wf_os_is_listening(fd);
    if (guess <= 0) return guess;
    return wf_os_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &known, &len) < 0 ||
           known;
}

static bool has_peer(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    return wf_os_getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

static int check_listener(int fd)
{
    struct stat st;
    int type = 0;
    socklen_t len = sizeof type;
    int err = wf_os_fstat(fd, &st);
    if (err == -EBADF) return refuse(err, fd, "is not open");
    if (err < 0) return refuse(err, fd, "cannot be looked at");
    if (!S_ISSOCK(st.st_mode))
        return refuse(-ENOTSOCK, fd, not_a_socket(st.st_mode));

    err = wf_os_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    if (err < 0) return refuse(err, fd, "does not tell its type");
    if (type == SOCK_DGRAM)
        return refuse(-EPROTOTYPE, fd, "is a datagram socket, not of streams");
    if (type != SOCK_STREAM)
        return refuse(-EPROTOTYPE, fd, "is a socket, but not of streams");

    err = listens(fd);
    if (err < 0) return refuse(err, fd, "does not tell whether it listens");
    if (err > 0) return 0;
    return refuse(-EINVAL, fd,
                  has_peer(fd) ? "is a connection and does not listen"
                               : "is a socket that does not listen");
}

static int close_on_exec(int fd)
{
    int flags = wf_os_fcntl(fd, F_GETFD, 0);
    if (flags < 0 || flags & FD_CLOEXEC) return flags < 0 ? flags : 0;
    return wf_os_fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static bool is_ours(int fd)
{
    const struct wf_fd *e = wf_fdtable_at(&wf_reactor->fds, (uint32_t)fd);
    return e && e->kind != WF_FD_NONE;
}

int weft_listener_adopt(int fd, weft_fd *ret_listener)
{
    if (!wf_reactor)
        return wf_misuse(-EPERM, "weft_listener_adopt: no run on this thread");
    int err = check_listener(fd);
    if (err < 0) return err;
    if (is_ours(fd)) return refuse(-EBUSY, fd, "is weft's already");
    err = close_on_exec(fd);
    if (err < 0) return refuse(err, fd, "cannot be closed on exec");
    err = weft_fd_adopt(fd, ret_listener);
    return err < 0 ? refuse(err, fd, "cannot be taken over") : 0;
}

/* ---- the environment ---------------------------------------------------- */

/* A number up to INT_MAX in decimal, and nothing else. */
static bool parse_number(const char *text, int *ret)
{
    long long value = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        value = value * 10 + (*text - '0');
        if (value > INT_MAX) return false;
    }
    *ret = (int)value;
    return true;
}

static int no_number(const char *name, const char *text)
{
    return weft_fail_at(-EINVAL, NULL, 0, "%s=%.40s is no number", name, text);
}

/* To be set by nobody while there are threads (weft/activation.h). */
static const char *environment(const char *name)
{
    return getenv(name); /* NOLINT(concurrency-mt-unsafe) */
}

/* How many there should be. */
static int passed(void)
{
    const char *pid = environment("LISTEN_PID"),
               *fds = environment("LISTEN_FDS");
    int process, count;
    if (!pid || !fds) return 0;
    if (!parse_number(pid, &process)) return no_number("LISTEN_PID", pid);
    if (process != (int)getpid()) return 0;
    if (!parse_number(fds, &count) || count > INT_MAX - WEFT_ACTIVATION_FIRST)
        return no_number("LISTEN_FDS", fds);
    return count;
}

int weft_activation_count(void)
{
    int count = passed();
    for (int i = 0; i < count; i++) {
        int fd = WEFT_ACTIVATION_FIRST + i, err = close_on_exec(fd);
        if (err < 0)
            return weft_fail_at(err, NULL, 0,
                                "LISTEN_FDS=%d: descriptor %d is not there",
                                count, fd);
    }
    return count;
}

/* The index-th of the names between colons, and its length; or NULL. */
static const char *name_at(const char *names, int index, size_t *ret_len)
{
    for (; index > 0; index--) {
        names = strchr(names, ':');
        if (!names) return NULL;
        names++;
    }
    *ret_len = strcspn(names, ":");
    return names;
}

static const char *name_of(int index, size_t *ret_len)
{
    const char *names = environment("LISTEN_FDNAMES");
    if (names) return name_at(names, index, ret_len);
    *ret_len = strlen("unknown");
    return "unknown";
}

static bool is_named(int index, const char *name)
{
    size_t len;
    const char *is = name_of(index, &len);
    return is && strlen(name) == len && memcmp(is, name, len) == 0;
}

static int check_names(int count)
{
    size_t len;
    const char *names = environment("LISTEN_FDNAMES");
    if (!names ||
        (name_at(names, count - 1, &len) && !name_at(names, count, &len)))
        return 0;
    return weft_fail_at(-EINVAL, NULL, 0,
                        "LISTEN_FDNAMES=%.40s are not %d names", names, count);
}

int weft_activation_find(const char *name, unsigned index)
{
    bool any = !name || !*name;
    unsigned found = 0;
    int count = weft_activation_count();
    if (count < 0) return count;
    int err = any || count == 0 ? 0 : check_names(count);
    if (err < 0) return err;
    for (int i = 0; i < count; i++) {
        if (!any && !is_named(i, name)) continue;
        if (found++ == index) return WEFT_ACTIVATION_FIRST + i;
    }
    return weft_fail_at(-ENOENT, NULL, 0,
                        "%u descriptors%s%.32s were passed, so none at %u",
                        found, any ? "" : " named ", any ? "" : name, index);
}

char *weft_activation_name(unsigned index, char *buf, size_t len)
{
    size_t size = 0;
    int count = passed();
    const char *name = count > 0 && index < (unsigned)count
                           ? name_of((int)index, &size)
                           : NULL;
    if (!name) size = 0;
    if (len == 0) return buf;
    if (size > len - 1) size = len - 1;
    if (name && size > 0) memcpy(buf, name, size);
    buf[size] = 0;
    return buf;
}

void weft_activation_forget(void)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS",
                                        "LISTEN_FDNAMES", "LISTEN_PIDFDID"};
    int kept = errno;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unsetenv(names[i]); /* NOLINT(concurrency-mt-unsafe) */
    errno = kept;
}
