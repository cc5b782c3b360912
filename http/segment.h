/* SPDX-License-Identifier: MIT */
/*
 * segment.h - the segments of a path, which is divided first and decoded then.
 *
 * What is left of a path begins with the slash before its next segment, or is
 * empty: "/a//" is "a", "" and "". Nothing here copies or allocates.
 */
#ifndef HTTP_SEGMENT_H
#define HTTP_SEGMENT_H

#include <weft/text.h>

/** Takes the next one off *path, as it stands. false: there is none left. */
bool wf_segment_next(weft_text *path, weft_text *ret_segment);

/** The next octet of *t, decoded; -1: *t is at its end, -2: a bad escape. */
int wf_octet_next(weft_text *t);

/** As memcmp, of a segment as it stands, whose escapes are good, with a decoded
 *  text. What is equal up to its end is the less of the two. */
int wf_segment_compare(weft_text segment, weft_text decoded);

/** Is it "." or "..", in whatever way that is written? */
bool wf_segment_is_dots(weft_text segment);

/** 0: a path that can be matched. -EINVAL: it does not begin with a slash, or
 *  has %00 or a bad escape. -ENOENT: it has a segment of dots, also between
 *  slashes one of which is a %2F. */
int wf_path_check(weft_text path);

#endif
