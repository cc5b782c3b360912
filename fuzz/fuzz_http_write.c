/* SPDX-License-Identifier: MIT */
/*
 * fuzz_http_write.c - whatever is given, as many lines come out as calls wrote
 * one, with nothing in them that could be another; in memory of any size. The
 * first octet is that size; texts stand between octets of 0xff.
 */
#include "fuzz.h"

#include <weft/http_write.h>

#include <errno.h>
#include <string.h>

enum { MOST = 512 };

static weft_text next_text(weft_text *t)
{
    const char *end = t->len > 0 ? memchr(t->at, 0xff, t->len) : NULL;
    weft_text taken = {t->at, end ? (size_t)(end - t->at) : t->len};
    size_t gone = taken.len + (end ? 1 : 0);
    if (t->at) *t = (weft_text){t->at + gone, t->len - gone};
    return taken;
}

static int write_one(weft_http_writer *w, unsigned which, weft_text a,
                     weft_text b)
{
    switch (which % 5) {
    case 0:
        return weft_http_write_request_line(w, a, b);
    case 1:
        return weft_http_write_status_line(w, (int)a.len + 98, b);
    case 2:
        return weft_http_write_length(w, (uint64_t)a.len << (b.len % 60));
    case 3:
        return weft_http_write_chunk(w, (uint64_t)a.len << (b.len % 60));
    default:
        return weft_http_write_field(w, a, b);
    }
}

/* One line: no control but HTAB before its CRLF, which is its end. */
static void check_line(const char *at, size_t len, weft_text a, weft_text b)
{
    FUZZ_CHECK(len >= 3 && memcmp(at + len - 2, "\r\n", 2) == 0);
    for (size_t i = 0; i + 2 < len; i++) {
        unsigned char c = (unsigned char)at[i];
        FUZZ_CHECK((c >= ' ' && c != 0x7f) || c == '\t');
    }
    FUZZ_CHECK(at[0] != ' ' && at[0] != '\t');
    FUZZ_CHECK(len <= a.len + b.len + 40);
}

FUZZ_TARGET(http_write)
{
    char buf[MOST];
    weft_http_writer w;
    weft_text t = {(const char *)data, size};
    if (size == 0) return;
    weft_http_writer_init(&w, buf, (size_t)data[0] * 2);
    t = (weft_text){t.at + 1, t.len - 1};
    for (unsigned which = (unsigned)size; t.len > 0; which++) {
        weft_text a = next_text(&t), b = next_text(&t);
        weft_http_writer was = w;
        int err = write_one(&w, which, a, b);
        FUZZ_CHECK(err == w.error && w.len <= w.room && w.at == buf);
        if (was.error < 0 || err < 0)
            FUZZ_CHECK(w.len == was.len && err < 0);
        else
            check_line(buf + was.len, w.len - was.len, a, b);
        FUZZ_CHECK(was.error == 0 || err == was.error);
        FUZZ_CHECK(err == 0 || err == -EINVAL || err == -ENOBUFS);
    }
}
