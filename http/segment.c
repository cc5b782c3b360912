/* SPDX-License-Identifier: MIT */
/* segment.c - the segments of a path, divided first and decoded then. */
#include "segment.h"

#include <errno.h>
#include <string.h>

bool wf_segment_next(weft_text *path, weft_text *ret_segment)
{
    if (path->len == 0) return false;
    const char *at = path->at + 1;
    size_t left = path->len - 1;
    const char *slash = left > 0 ? memchr(at, '/', left) : NULL;
    size_t len = slash ? (size_t)(slash - at) : left;
    *ret_segment = (weft_text){at, len};
    *path = (weft_text){at + len, left - len};
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int wf_octet_next(weft_text *t)
{
    if (t->len == 0) return -1;
    size_t taken = 1;
    int octet = (unsigned char)*t->at;
    if (octet == '%') {
        int high = t->len > 2 ? hex(t->at[1]) : -1;
        int low = t->len > 2 ? hex(t->at[2]) : -1;
        if (high < 0 || low < 0) return -2;
        octet = high << 4 | low;
        taken = 3;
    }
    *t = (weft_text){t->at + taken, t->len - taken};
    return octet;
}

int wf_segment_compare(weft_text segment, weft_text decoded)
{
    size_t same = 0,
           both = segment.len < decoded.len ? segment.len : decoded.len;
    while (same < both && segment.at[same] == decoded.at[same] &&
           segment.at[same] != '%')
        same++;
    segment = (weft_text){segment.at + same, segment.len - same};
    for (size_t i = same;; i++) {
        int octet = wf_octet_next(&segment);
        if (octet < 0) return i < decoded.len ? -1 : 0;
        if (i == decoded.len) return 1;
        if (octet != (unsigned char)decoded.at[i])
            return octet - (unsigned char)decoded.at[i];
    }
}

bool wf_segment_is_dots(weft_text segment)
{
    if (segment.len == 0 || (*segment.at != '.' && *segment.at != '%'))
        return false;
    return wf_segment_compare(segment, weft_text_of(".")) == 0 ||
           wf_segment_compare(segment, weft_text_of("..")) == 0;
}

/* Who takes a decoded parameter for a path is not led up by a %2F either. */
static int check_decoded(weft_text path)
{
    enum { NO_DOTS = 3 };
    unsigned dots = NO_DOTS; /* a segment so far: so many dots, or something */
    bool leads = false;
    while (path.len > 0) {
        int octet = wf_octet_next(&path);
        if (octet <= 0) return -EINVAL;
        if (octet == '/') {
            leads = leads || dots == 1 || dots == 2;
            dots = 0;
        } else {
            dots = octet == '.' && dots < NO_DOTS ? dots + 1 : NO_DOTS;
        }
    }
    return leads || dots == 1 || dots == 2 ? -ENOENT : 0;
}

int wf_path_check(weft_text path)
{
    weft_text segment;
    if (path.len == 0 || *path.at != '/') return -EINVAL;
    if (memchr(path.at, '%', path.len)) return check_decoded(path);
    if (!memchr(path.at, '.', path.len)) return 0;
    while (wf_segment_next(&path, &segment))
        if (wf_segment_is_dots(segment)) return -ENOENT;
    return 0;
}
