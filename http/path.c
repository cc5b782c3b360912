/* SPDX-License-Identifier: MIT */
/*
 * path.c - a path that stays below its root.
 *
 * Segments are looked at decoded, as whoever opens the file will: %2e%2e goes
 * up as .. does. What is written never overtakes what is read, so that it can
 * go where the path stands.
 */
#include "percent.h"

#include <weft/error.h>
#include <weft/url.h>

#include <string.h>

struct way {
    char *buf;
    size_t size, len, root; /* len is root, or there is a / before it */
};

/* Behind what there is, decoded; *at moves to the / behind it, or the end. */
static int append_segment(struct way *w, weft_text path, size_t *at)
{
    while (*at < path.len && path.at[*at] != '/') {
        size_t from = *at;
        int octet = wf_percent_next(path, at, false);
        if (octet < 0 || octet == '/' || octet == '\\')
            return wf_percent_refuse("path", path, from);
        if (w->len >= w->size) return -ENOBUFS;
        w->buf[w->len++] = (char)octet;
    }
    return 0;
}

/* Takes the last segment away, and the / behind it. */
static int go_up(struct way *w)
{
    if (w->len == w->root)
        return weft_fail_at(-EINVAL, NULL, 0, "path: it leads above the root");
    do
        w->len--;
    while (w->len > w->root && w->buf[w->len - 1] != '/');
    return 0;
}

static int add_segment(struct way *w, weft_text path, size_t *at)
{
    size_t start = w->len;
    int err = append_segment(w, path, at);
    if (err < 0) return err;
    weft_text segment = {w->buf + start, w->len - start};
    if (segment.len == 0 || weft_text_is(segment, ".")) {
        w->len = start;
        return 0;
    }
    if (weft_text_is(segment, "..")) {
        w->len = start;
        return go_up(w);
    }
    if (*at == path.len) return 0;
    if (w->len >= w->size) return -ENOBUFS;
    w->buf[w->len++] = '/';
    return 0;
}

ssize_t weft_path_normalize(weft_text path, char *buf, size_t size)
{
    size_t at = 0;
    if (size == 0) return -ENOBUFS;
    struct way w = {.buf = buf, .size = size};
    if (path.len > 0 && *path.at == '/') {
        buf[0] = '/';
        w.len = w.root = at = 1;
    }
    for (; at < path.len; at++) {
        int err = add_segment(&w, path, &at);
        if (err < 0) return err;
    }
    if (w.len >= size) return -ENOBUFS;
    buf[w.len] = 0;
    return (ssize_t)w.len;
}
