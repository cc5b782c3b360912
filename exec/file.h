/* SPDX-License-Identifier: MIT */
/*
 * file.h - what the files about files share.
 */
#ifndef WF_FILE_H
#define WF_FILE_H

#include <weft/blocking.h>
#include <weft/file.h>

#include "reactor/reactor.h"
#include "runtime/assert.h"
#include "runtime/os_file.h"
#include "runtime/park.h"

/* One call for a thread of the pool; who does not need a member leaves it. */
struct wf_file_op {
    int number;
    int flags;
    mode_t mode;
    const char *path, *other;
    void *buf;
    size_t len;
    int64_t offset; /* below 0: the position */
    struct stat *stat;
    weft_fd fd; /* whose number it is */
};

/* Has fn(op) called on a thread, while op->number, of op->fd, stays open. */
int wf_file_call(weft_fn fn, struct wf_file_op *op);

/* Has fn(op) called on a thread; a failure gets the words "`what` PATH". */
int wf_path_call(weft_fn fn, struct wf_file_op *op, const char *what);

/* A loop of write(2): octets, or an error if there were none. */
ssize_t wf_write_fully(int number, const void *buf, size_t len, int64_t offset);

#endif
