/* SPDX-License-Identifier: MIT */
/*
 * file_root.h - a directory that nothing leads out of.
 */
#ifndef HTTP_FILE_ROOT_H
#define HTTP_FILE_ROOT_H

#include <weft/file.h>

struct wf_root {
    char
        *path; /* resolved, without a slash at its end: "" is the root of all */
    size_t len;
    bool can_ask; /* the system can say where an open file is */
};

/**
 * Resolves a directory. root->path has room for WF_ROOT_BYTES. Parks.
 *
 * Returns 0; -ENOTDIR, or as weft_file_realpath and weft_file_open.
 */
enum { WF_ROOT_BYTES = 4096 };
int wf_root_init(struct wf_root *root, const char *directory);

/**
 * Opens a name below root->path, which begins with that, to be read. It may be
 * a directory. Parks.
 *
 * Returns 0; -ENOENT: also if it leads out; or as those.
 */
int wf_root_open(const struct wf_root *root, const char *name, weft_fd *ret_fd,
                 struct stat *ret_stat);

#endif
