/* SPDX-License-Identifier: MIT */
/*
 * weft/file.h (exec) - regular files and directories.
 *
 *     weft_fd file;
 *     int err = weft_file_open("orders.log", O_WRONLY | O_APPEND, 0, &file);
 *     if (err < 0) return err;
 *     ssize_t n = weft_file_write(file, line, len);
 *     if (n >= 0) err = weft_file_datasync(file);
 *     err = weft_file_close(file);
 *
 * No system can say when a file will be readable; a call on one just takes as
 * long as the disk does, and holds up its thread. So these calls are made on the
 * threads of WEFT_POOL_BLOCKING (weft/blocking.h), while the fiber waits. Where
 * the system can tell (Linux: preadv2 with RWF_NOWAIT) a read of what is in the
 * cache is made in place, which is some twenty times as fast.
 *
 * A file is a weft_fd like others: a copy of a closed one gets -EBADF for ever.
 * weft_read and weft_write take it too, but hold up the thread. A file closed
 * while other fibers read or write it stays open until they have finished.
 *
 * Cancelled, or past the deadline of a scope, a call that is in line for a
 * thread ends with -ECANCELED and has done nothing. One that a thread has begun
 * comes to its end, and that is its result: nothing is done by halves, and the
 * caller's memory is not written to afterwards. A disk that never answers holds
 * up its caller for as long; where that may be, have weft_blocking_abandon work
 * on memory that is its own.
 *
 * Files may be larger than 2 GiB everywhere. Where a long has 32 bits, give the
 * compiler -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64, as weft itself has them and
 * weft.pc tells: struct stat is another one without.
 *
 * All calls of this page that park may also return -EAGAIN or -ENOMEM: there is
 * no thread, and none can be had. For what else a call does not list, see
 * the manual of the system call of that name. For calls that are not here, such
 * as chmod, there is weft_blocking.
 */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <weft/base.h>
#include <weft/io.h>

#include <fcntl.h>
#include <sys/stat.h>

#if !defined(__LP64__)
#ifdef __cplusplus
#define WEFT_SAME_STAT_(same)                                                  \
    static_assert(same, "needs -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64")
#else
#define WEFT_SAME_STAT_(same)                                                  \
    _Static_assert(same, "needs -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64")
#endif
WEFT_SAME_STAT_(sizeof(off_t) == 8);
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 34) /* there was no choice before */
WEFT_SAME_STAT_(sizeof(time_t) == 8);
#endif
#endif
#undef WEFT_SAME_STAT_
#endif

WEFT_BEGIN_DECLS

/* ---- files -------------------------------------------------------------- */

/**
 * Opens a file as open(2); `mode` is for O_CREAT. Close-on-exec. The handle of
 * a FIFO, a terminal or another device is as by weft_fd_adopt, for weft_read;
 * none is waited for: a FIFO to write to that nobody reads is -ENXIO.
 *
 * Parks. Returns 0, -ECANCELED, -ENOENT, -EACCES, -EEXIST, -EISDIR, -EMFILE,
 * -EROFS, ...
 */
WEFT_PARKS int weft_file_open(const char *path, int flags, mode_t mode,
                              weft_fd *ret_fd);

/**
 * Closes, and waits for what the system has to say about that: on some (NFS,
 * quotas) it is only now that a write has failed. weft_close (weft/io.h) does
 * not park and does not tell. For what must be on the disk see weft_file_sync.
 * The handle ends in any case.
 *
 * Parks, but is no cancel point. Returns 0, -EBADF, -EIO, -ENOSPC, -EDQUOT;
 * -EPERM outside a fiber, and it is not closed.
 */
WEFT_PARKS int weft_file_close(weft_fd fd);

/**
 * Reads `len` octets, fewer only at the end of the file: at its position, which
 * moves on, or at `offset`. Fibers that share the position get each octet once,
 * but not in whole pieces; give them offsets. Of what is no file weft_file_read
 * is weft_read.
 *
 * Parks. Returns octets, 0 at the end; when some had been read before an error
 * or a cancellation, so many; -ECANCELED, -EBADF, -EISDIR, -EIO; -EINVAL: an
 * offset below 0; -ESPIPE: an offset, and no file.
 */
WEFT_PARKS ssize_t weft_file_read(weft_fd fd, void *buf, size_t len);
WEFT_PARKS ssize_t weft_file_pread(weft_fd fd, void *buf, size_t len,
                                   int64_t offset);

/**
 * Writes `len` octets: at the position, at the end (O_APPEND), or at `offset`.
 * To what is no file weft_file_write is weft_write.
 *
 * Parks. Returns octets, fewer than `len` only if an error came after so many
 * (it comes again); -ECANCELED, -EBADF, -ENOSPC, -EDQUOT, -EFBIG, -EIO; -EINVAL
 * and -ESPIPE as above.
 */
WEFT_PARKS ssize_t weft_file_write(weft_fd fd, const void *buf, size_t len);
WEFT_PARKS ssize_t weft_file_pwrite(weft_fd fd, const void *buf, size_t len,
                                    int64_t offset);

/**
 * Waits until what was written is on the disk; datasync leaves out what reading
 * it back does not need, such as its times. After -EIO the octets may be lost
 * although a second try says 0. On macOS both also have the disk empty its own
 * cache (F_FULLFSYNC), where the file system can do that.
 *
 * Parks. Returns 0, -ECANCELED, -EBADF, -EIO, -ENOSPC, -EDQUOT, -EINVAL.
 */
WEFT_PARKS int weft_file_sync(weft_fd fd);
WEFT_PARKS int weft_file_datasync(weft_fd fd);

/**
 * Cuts the file off at `size`, or adds zeroes up to it.
 *
 * Parks. Returns 0, -ECANCELED, -EBADF, -EINVAL, -EFBIG, -ENOSPC, -EIO.
 */
WEFT_PARKS int weft_file_truncate(weft_fd fd, int64_t size);

/**
 * What there is to know about a file, as stat(2), fstat and lstat, which does
 * not follow a symbolic link.
 *
 * Parks. Returns 0, -ECANCELED, -ENOENT, -EACCES, -ENOTDIR, -ELOOP; -EBADF.
 */
WEFT_PARKS int weft_file_stat(const char *path, struct stat *ret_stat);
WEFT_PARKS int weft_file_lstat(const char *path, struct stat *ret_stat);
WEFT_PARKS int weft_file_fstat(weft_fd fd, struct stat *ret_stat);

/**
 * Sends octets of a file from `offset` on down a socket or pipe, without copying
 * them where the system can do that: `len` of them, or up to the end of the file.
 * What is cached is sent in place, the rest is fetched on a thread first.
 * *ret_done (may be NULL) says how many went, also after an error. What a
 * weft_stream holds back for the socket has to be flushed before.
 *
 * Parks. Returns 0, -ECANCELED, -EBADF, -EBUSY (another fiber writes to it),
 * -EPIPE, -ECONNRESET, -EIO, -EINVAL (an offset below 0).
 */
WEFT_PARKS int weft_file_send(weft_fd to, weft_fd file, int64_t offset,
                              size_t len, size_t *ret_done);

/* ---- names -------------------------------------------------------------- */

/** Park. Return 0, -ECANCELED, or what rename(2), unlink, mkdir, rmdir say. */
WEFT_PARKS int weft_file_rename(const char *from, const char *to);
WEFT_PARKS int weft_file_unlink(const char *path);
WEFT_PARKS int weft_file_mkdir(const char *path, mode_t mode);
WEFT_PARKS int weft_file_rmdir(const char *path);

/**
 * The name from the root on, without links and dots, into `buf` of `size`.
 *
 * Parks. Returns its length, -ECANCELED, -ENOENT, -EACCES, -ENOTDIR, -ELOOP,
 * -ENAMETOOLONG (also: `buf` is too small).
 */
WEFT_PARKS int weft_file_realpath(const char *path, char *buf, size_t size);

/* ---- directories -------------------------------------------------------- */

typedef enum weft_file_type {
    WEFT_FILE_UNKNOWN, /* the file system does not say: ask weft_file_lstat */
    WEFT_FILE_REGULAR,
    WEFT_FILE_DIRECTORY,
    WEFT_FILE_LINK,
    WEFT_FILE_OTHER
} weft_file_type;

typedef struct weft_dirent {
    const char *name; /* until the next call on the directory */
    uint64_t inode;
    weft_file_type type;
} weft_dirent;

/** A directory being read, by one fiber at a time. */
typedef struct weft_dir weft_dir;

/** Parks. Returns 0, -ECANCELED, -ENOENT, -ENOTDIR, -EACCES, -EMFILE, -ENOMEM. */
WEFT_PARKS int weft_dir_open(const char *path, weft_dir **ret_dir);

/**
 * The next entry, in no order, without "." and "..". Entries come from a thread
 * in batches, so most calls do not wait. What is added or taken away meanwhile
 * is seen or not; the others are seen once.
 *
 * Parks. Returns 1; 0: no more; -ECANCELED; -EIO; -EBUSY: another fiber is at it.
 */
WEFT_PARKS int weft_dir_next(weft_dir *d, weft_dirent *ret_entry);

/** Ends it, NULL is fine; nobody may be in weft_dir_next. */
WEFT_API void weft_dir_close(weft_dir *d);

/* ---- whole files -------------------------------------------------------- */

/** The octets of a file; behind them stands a 0 that does not count. */
typedef struct weft_file_data {
    char *data;
    size_t len;
    size_t room_;
} weft_file_data;

/**
 * Reads all of a file, also of one that does not say how large it is, such as
 * those in /proc. *ret_data is to be freed after a 0, and zeroed after an error.
 *
 * Parks. Returns 0, -ECANCELED, -EFBIG (more than `limit` octets), -ENOMEM, or
 * the errors of weft_file_open and weft_file_read.
 */
WEFT_PARKS int weft_file_read_all(const char *path, size_t limit,
                                  weft_file_data *ret_data);

/** Gives its memory back. What was zeroed is fine. */
WEFT_API void weft_file_data_free(weft_file_data *d);

/**
 * Puts `len` octets in the place of the file `path`, so that whoever opens it,
 * also after a crash, finds all of the old or all of the new: they are written
 * to a file beside it, which is synced and takes its name. `mode` (less the
 * umask) is the new file's; where `path` is a symbolic link it is the link that
 * is replaced. Once begun this cannot be cancelled.
 *
 * Parks. Returns 0 when it is on the disk. -ECANCELED, -EACCES, -ENOENT, -ENOSPC,
 * -EIO, -ENAMETOOLONG and others: the old one is still there; only if it was the
 * directory that could not be synced, at the very end, may it be the new one.
 */
WEFT_PARKS int weft_file_write_atomic(const char *path, const void *data,
                                      size_t len, mode_t mode);

WEFT_END_DECLS

#endif
