/* SPDX-License-Identifier: MIT */
/*
 * file_reply.c - an open file as a reply: whole, some ranges of it, or that the
 * client has it already.
 */
#include "file_reply.h"

#include <weft/error.h>
#include <weft/random.h>
#include <weft/time.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conditional.h"
#include "mime.h"
#include "range.h"
#include "server.h"

/* A file, and what of it is sent. */
struct file {
    weft_fd fd;
    uint64_t size;
    const char *type;
    const char *cache_control; /* or NULL */
    struct wf_validators validators;
};

static bool has_conditions(const weft_req *r)
{
    return r->head.verb == WEFT_HTTP_GET || r->head.verb == WEFT_HTTP_HEAD;
}

/* ---- the fields --------------------------------------------------------- */

/* What a 304 has too. A 412 or 416 has none of them: that somebody's condition
 * does not hold, or his range, is for no cache to keep. */
static int add_validators(weft_req *r, const struct file *f)
{
    char date[WEFT_HTTP_DATE_BYTES];
    weft_http_date(date, f->validators.modified);
    int err = weft_reply_field(r, "ETag", f->validators.etag);
    if (err == 0) err = weft_reply_field(r, "Last-Modified", date);
    if (err == 0 && f->cache_control)
        err = weft_reply_field(r, "Cache-Control", f->cache_control);
    return err;
}

/* nosniff: a browser that guesses another type may run what is no script. */
static int add_usual(weft_req *r, const struct file *f)
{
    int err = add_validators(r, f);
    if (err == 0) err = weft_reply_field(r, "Accept-Ranges", "bytes");
    if (err < 0) return err;
    return weft_reply_field(r, "X-Content-Type-Options", "nosniff");
}

static int reply_unchanged(weft_req *r, const struct file *f)
{
    int err = add_validators(r, f);
    return err < 0 ? err : weft_reply(r, 304, NULL, NULL, 0);
}

static int add_content_range(weft_req *r, const struct file *f,
                             const struct wf_range *range)
{
    char text[80];
    (void)snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                   range->first, range->last, f->size);
    return weft_reply_field(r, "Content-Range", text);
}

/* ---- bodies ------------------------------------------------------------- */

static int send_range(weft_req *r, const struct file *f,
                      const struct wf_range *range)
{
    return weft_reply_send_file(r, f->fd, (int64_t)range->first,
                                range->last - range->first + 1);
}

static int reply_whole(weft_req *r, const struct file *f)
{
    int err = add_usual(r, f);
    if (err == 0) err = weft_reply_begin(r, 200, f->type, f->size);
    if (err < 0 || f->size == 0 || r->head.verb == WEFT_HTTP_HEAD) return err;
    return send_range(r, f, &(struct wf_range){0, f->size - 1});
}

static int reply_one_range(weft_req *r, const struct file *f,
                           const struct wf_range *range)
{
    int err = add_usual(r, f);
    if (err == 0) err = add_content_range(r, f, range);
    if (err == 0)
        err = weft_reply_begin(r, 206, f->type, range->last - range->first + 1);
    return err < 0 ? err : send_range(r, f, range);
}

static int reply_no_range(weft_req *r, const struct file *f)
{
    char text[40];
    (void)snprintf(text, sizeof text, "bytes */%" PRIu64, f->size);
    int err = weft_reply_field(r, "Content-Range", text);
    return err < 0 ? err : weft_reply_status(r, 416);
}

/* ---- several ranges: multipart/byteranges (RFC 9110, 14.6) -------------- */

struct parts {
    const struct wf_range *ranges;
    int count;
    const char *boundary; /* random, so that no file has it in it */
    const char **heads;   /* what stands before each of them */
    const char *end;
};

static const char *boundary_of(weft_arena *arena)
{
    uint64_t n[2];
    if (weft_random_bytes(n, sizeof n) < 0) return NULL;
    return weft_arena_printf(arena, "%016" PRIx64 "%016" PRIx64, n[0], n[1]);
}

static int make_parts(weft_req *r, const struct file *f, struct parts *p)
{
    p->boundary = boundary_of(&r->arena);
    p->heads = weft_arena_array(&r->arena, (size_t)p->count, sizeof *p->heads);
    if (!p->boundary || !p->heads) return -ENOMEM;
    for (int i = 0; i < p->count; i++) {
        const struct wf_range *range = &p->ranges[i];
        p->heads[i] = weft_arena_printf(
            &r->arena,
            "%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64
            "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
            i > 0 ? "\r\n" : "", p->boundary, f->type, range->first,
            range->last, f->size);
        if (!p->heads[i]) return -ENOMEM;
    }
    p->end = weft_arena_printf(&r->arena, "\r\n--%s--\r\n", p->boundary);
    return p->end ? 0 : -ENOMEM;
}

static uint64_t length_of(const struct parts *p)
{
    uint64_t length = strlen(p->end);
    for (int i = 0; i < p->count; i++)
        length +=
            strlen(p->heads[i]) + p->ranges[i].last - p->ranges[i].first + 1;
    return length;
}

static int send_parts(weft_req *r, const struct file *f, const struct parts *p)
{
    for (int i = 0; i < p->count; i++) {
        int err = weft_reply_write(r, p->heads[i], strlen(p->heads[i]));
        if (err == 0) err = send_range(r, f, &p->ranges[i]);
        if (err < 0) return err;
    }
    return weft_reply_write(r, p->end, strlen(p->end));
}

static int reply_parts(weft_req *r, const struct file *f,
                       const struct wf_range *ranges, int count)
{
    struct parts p = {.ranges = ranges, .count = count};
    int err = make_parts(r, f, &p);
    if (err == 0) err = add_usual(r, f);
    if (err < 0) return err;
    const char *type = weft_arena_printf(
        &r->arena, "multipart/byteranges; boundary=%s", p.boundary);
    if (!type) return -ENOMEM;
    err = weft_reply_begin(r, 206, type, length_of(&p));
    return err < 0 ? err : send_parts(r, f, &p);
}

/* ---- the file ----------------------------------------------------------- */

/* The value of Range, if that is to be looked at. */
static weft_text range_of(const weft_req *r, const struct wf_validators *v)
{
    weft_text value = {0}, again;
    size_t at = 0;
    if (r->head.verb != WEFT_HTTP_GET ||
        !weft_http_field_next(&r->head.fields, "range", &at, &value) ||
        weft_http_field_next(&r->head.fields, "range", &at, &again) ||
        !wf_range_holds(&r->head.fields, v))
        return (weft_text){0};
    return value;
}

static int reply_file(weft_req *r, const struct file *f)
{
    weft_text asked = range_of(r, &f->validators);
    if (!asked.at) return reply_whole(r, f);
    bool own_type = wf_exchange_of(r)->is.has_type; /* not of parts */
    struct wf_range *ranges =
        weft_arena_array(&r->arena, WEFT_HTTP_RANGES, sizeof *ranges);
    if (!ranges) return -ENOMEM;
    int count = wf_ranges_parse(asked, f->size, ranges);
    if (count < 0) return reply_no_range(r, f);
    if (count == 0 || (count > 1 && own_type)) return reply_whole(r, f);
    if (count == 1) return reply_one_range(r, f, ranges);
    return reply_parts(r, f, ranges, count);
}

static struct wf_validators validators_of(const struct stat *st)
{
    struct wf_validators v;
#ifdef __APPLE__
    const struct timespec *modified = &st->st_mtimespec;
    const struct timespec *changed = &st->st_ctimespec;
#else
    const struct timespec *modified = &st->st_mtim, *changed = &st->st_ctim;
#endif
    wf_validators_of(&v, (uint64_t)st->st_size,
                     (struct wf_moment){modified->tv_sec, modified->tv_nsec},
                     (struct wf_moment){changed->tv_sec, changed->tv_nsec},
                     weft_calendar() / WEFT_SEC(1));
    return v;
}

int wf_reply_open_file(weft_req *r, weft_fd file, const struct stat *st,
                       const char *name, const weft_http_files_opts *o)
{
    const struct file f = {.fd = file,
                           .size = (uint64_t)st->st_size,
                           .type = wf_type_of(name, o),
                           .cache_control = o ? o->cache_control : NULL,
                           .validators = validators_of(st)};
    int status =
        has_conditions(r) ? wf_conditions(&r->head.fields, &f.validators) : 0;
    if (status == 304) return reply_unchanged(r, &f);
    if (status != 0) return weft_reply_status(r, status);
    return reply_file(r, &f);
}

int weft_reply_file(weft_req *r, const char *path,
                    const weft_http_files_opts *o)
{
    struct stat st;
    weft_fd fd;
    int err = weft_file_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd);
    if (err < 0) return weft_fail(err, "file %.80s", path);
    err = weft_file_fstat(fd, &st);
    if (err == 0 && !S_ISREG(st.st_mode))
        err = weft_fail(-EISDIR, "file %.60s: it is no regular file", path);
    if (err == 0) err = wf_reply_open_file(r, fd, &st, path, o);
    (void)weft_close(fd);
    return err;
}
