/* SPDX-License-Identifier: MIT */
/* file_reply.h - an open file as a reply. */
#ifndef HTTP_FILE_REPLY_H
#define HTTP_FILE_REPLY_H

#include <weft/file.h>
#include <weft/http_files.h>

/** Replies with a regular file, whose name tells its type. The file stays the
 *  caller's. `o` may be NULL. Parks. Returns as weft_reply_file. */
int wf_reply_open_file(weft_req *r, weft_fd file, const struct stat *st,
                       const char *name, const weft_http_files_opts *o);

#endif
