/* SPDX-License-Identifier: MIT */
/*
 * os_file.h - the part of the door (os.h) that files and directories go
 * through. All of it may wait for a disk.
 */
#ifndef WF_OS_FILE_H
#define WF_OS_FILE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/os.h"
#undef wf_hostile /* what is defined here is no site */

static inline int wf_os_open(const char *path, int flags, mode_t mode)
{
    WF_OS_CALL(WF_CALL_FILE, open(path, flags | O_CLOEXEC, mode));
}
/* It is closed whatever this returns; 0, or what became of its last octets. */
static inline int wf_os_close_file(int fd)
{
    int kept = errno;
    int err = close(fd) == 0 || errno == EINTR ? 0 : -errno;
    errno = kept;
    return err;
}

/* An offset below 0 is the file's own position. */
static inline ssize_t wf_os_pread(int fd, void *buf, size_t len, int64_t at)
{
    len = wf_hostile_cut(WF_CALL_READ, len);
    WF_OS_CALL(WF_CALL_READ,
               at < 0 ? read(fd, buf, len) : pread(fd, buf, len, (off_t)at));
}
static inline ssize_t wf_os_pwrite(int fd, const void *buf, size_t len,
                                   int64_t at)
{
    len = wf_hostile_cut(WF_CALL_WRITE, len);
    WF_OS_CALL(WF_CALL_WRITE,
               at < 0 ? write(fd, buf, len) : pwrite(fd, buf, len, (off_t)at));
}
/* What is in the cache, and never waits: -EAGAIN if there is nothing, or some
 * other error where the system cannot say. */
static inline ssize_t wf_os_pread_cached(int fd, void *buf, size_t len,
                                         int64_t at)
{
    len = wf_hostile_cut(WF_CALL_READ, len);
    WF_OS_CALL(WF_CALL_READ, wf_sys_pread_cached(fd, buf, len, at));
}
/* Where the next read or write is; negative if that cannot be said. */
static inline int64_t wf_os_position(int fd)
{
    int kept = errno;
    off_t at = lseek(fd, 0, SEEK_CUR);
    errno = kept;
    return at;
}
/* Of one that has a position: never refused. */
static inline void wf_os_set_position(int fd, int64_t at)
{
    int kept = errno;
    (void)lseek(fd, (off_t)at, SEEK_SET);
    errno = kept;
}
/* To a socket or a pipe, which says EAGAIN when it is full. */
static inline ssize_t wf_os_sendfile(int to, int from, int64_t at, size_t len)
{
    len = wf_hostile_cut(WF_CALL_SEND, len);
    WF_OS_CALL(WF_CALL_SEND, wf_sys_sendfile(to, from, at, len));
}

static inline int wf_os_fsync(int fd)
{
    WF_OS_CALL(WF_CALL_FILE, wf_sys_sync(fd));
}
static inline int wf_os_fdatasync(int fd)
{
    WF_OS_CALL(WF_CALL_FILE, wf_sys_datasync(fd));
}
static inline int wf_os_ftruncate(int fd, int64_t size)
{
    WF_OS_CALL(WF_CALL_FILE, ftruncate(fd, (off_t)size));
}
static inline int wf_os_stat(const char *path, struct stat *st)
{
    WF_OS_CALL(WF_CALL_STAT, stat(path, st));
}
static inline int wf_os_rename(const char *from, const char *to)
{
    WF_OS_CALL(WF_CALL_FILE, rename(from, to));
}
static inline int wf_os_mkdir(const char *path, mode_t mode)
{
    WF_OS_CALL(WF_CALL_FILE, mkdir(path, mode));
}
static inline int wf_os_rmdir(const char *path)
{
    WF_OS_CALL(WF_CALL_FILE, rmdir(path));
}
/* `buf` has room for PATH_MAX. */
static inline int wf_os_realpath(const char *path, char *buf)
{
    WF_OS_CALL(WF_CALL_FILE, realpath(path, buf) ? 0 : -1);
}

/* Directories: libc's own memory. */
static inline int wf_os_opendir(const char *path, DIR **ret_dir)
{
    WF_OS_CALL(WF_CALL_FILE, (*ret_dir = opendir(path)) ? 0 : -1);
}
/* 1: there is one; 0: no more. */
static inline int wf_os_readdir(DIR *dir, struct dirent **ret_entry)
{
    int refused = wf_hostile(WF_CALL_FILE);
    if (refused < 0 && refused != -EINTR) return refused;
    int kept = errno;
    errno = 0;
    /* One at a time reads a stream. */
    *ret_entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe) */
    int why = errno;
    errno = kept;
    return *ret_entry ? 1 : -why;
}
static inline void wf_os_closedir(DIR *dir)
{
    (void)closedir(dir);
}

#define WF_SITES_OF_FILES
#include "runtime/os_sites.h"

#endif
