/* SPDX-License-Identifier: MIT */
/*
 * file_name.c - a path of a request as the name of a file.
 *
 * What is made here is only ever put behind the name of a directory: no segment
 * of it is empty or leads up, and none is two to whoever reads it next.
 */
#include "file_name.h"

#include <errno.h>

#include "segment.h"

/* Octets that no name has. Windows, and who mounts its disks, takes a backslash
 * for a slash. */
static bool is_good(int octet)
{
    return octet >= ' ' && octet != 127 && octet != '/' && octet != '\\';
}

static char *add_segment(char *at, weft_text segment, bool hidden)
{
    char *start = at;
    *at++ = '/';
    while (segment.len > 0) {
        int octet = wf_octet_next(&segment);
        if (!is_good(octet)) return NULL;
        *at++ = (char)octet;
    }
    if (start[1] == '.' && !hidden) return NULL;
    return at;
}

int wf_file_name(weft_text path, bool hidden, char *buf, bool *ret_slash)
{
    weft_text segment;
    char *at = buf;
    *ret_slash = false;
    while (wf_segment_next(&path, &segment)) {
        *ret_slash = segment.len == 0;
        if (*ret_slash && path.len > 0) return -ENOENT;
        if (*ret_slash) break;
        if (wf_segment_is_dots(segment)) return -ENOENT;
        at = add_segment(at, segment, hidden);
        if (!at) return -ENOENT;
    }
    *at = 0;
    return (int)(at - buf);
}
