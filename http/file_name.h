/* SPDX-License-Identifier: MIT */
/* file_name.h - a path of a request as the name of a file. */
#ifndef HTTP_FILE_NAME_H
#define HTTP_FILE_NAME_H

#include <weft/text.h>

/**
 * Writes what is left of a path (segment.h) to buf, which has room for path.len
 * + 1 octets: decoded, with a slash before each segment, and a 0; "" of an
 * empty path, and of "/". *ret_slash: it has ended in a slash.
 *
 * Returns the length; -ENOENT: no file may be called so.
 */
int wf_file_name(weft_text path, bool hidden, char *buf, bool *ret_slash);

#endif
