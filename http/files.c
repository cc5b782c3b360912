/* SPDX-License-Identifier: MIT */
/*
 * files.c - the files of a directory, as a route.
 */
#include <weft/http_files.h>

#include <weft/arena.h>
#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/http_route.h>

#include <string.h>

#include "file_name.h"
#include "file_reply.h"
#include "file_root.h"
#include "route.h"
#include "segment.h"

/* One weft_http_files: all of it is in its arena. */
struct files {
    weft_arena arena;
    struct wf_root root;
    unsigned depth; /* how many segments its prefix has */
    const char *index;
    weft_http_files_opts opts;
};

/* ---- requests ----------------------------------------------------------- */

/* May stand in a path or query (RFC 3986, 3.3 and 3.4). */
static bool is_url_octet(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c && strchr("-._~!$&'()*+,;=:@/?%", c));
}

static char *put_encoded(char *at, weft_text t)
{
    static const char digit[] = "0123456789ABCDEF";
    for (size_t i = 0; t.at && i < t.len; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (is_url_octet(t.at[i])) {
            *at++ = t.at[i];
            continue;
        }
        *at++ = '%';
        *at++ = digit[c >> 4];
        *at++ = digit[c & 15];
    }
    return at;
}

/* To the same path with a slash. It cannot begin with two, which would be a
 * host: no segment of a name is empty. */
static int redirect(weft_req *r)
{
    weft_text path = r->head.path, query = r->head.query;
    char *url = weft_arena_alloc(&r->arena, 3 * (path.len + query.len) + 3);
    if (!url) return -ENOMEM;
    char *at = put_encoded(url, path);
    *at++ = '/';
    if (query.at) *at++ = '?';
    at = put_encoded(at, query);
    *at = 0;
    return weft_reply_redirect(r, 301, url);
}

/* What could not be opened. Whether it is there is nobody's business. */
static int refuse(weft_req *r, int err)
{
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -EACCES:
    case -EPERM:
    case -ELOOP:
    case -ENAMETOOLONG:
    case -EINVAL:
    case -EILSEQ:
    case -ENXIO:
    case -ENODEV:
    case -EOPNOTSUPP:
        return weft_reply_status(r, 404);
    case -EMFILE:
    case -ENFILE:
    case -EAGAIN:
        return weft_reply_status(r, 503);
    default:
        return err;
    }
}

/* Opens `name`, or the index if it is a directory: 0; 1: that needs a slash;
 * or why not. There is room for the index behind the name. */
static int open_file(const struct files *f, char *name, bool slash,
                     weft_fd *ret_fd, struct stat *ret_stat)
{
    int err = wf_root_open(&f->root, *name ? name : "/", ret_fd, ret_stat);
    if (err == 0 && S_ISDIR(ret_stat->st_mode)) {
        (void)weft_close(*ret_fd);
        if (!slash) return 1;
        if (!*f->index) return -ENOENT;
        size_t len = strlen(name);
        name[len] = '/';
        memcpy(name + len + 1, f->index, strlen(f->index) + 1);
        slash = false;
        err = wf_root_open(&f->root, name, ret_fd, ret_stat);
    }
    if (err < 0 || (S_ISREG(ret_stat->st_mode) && !slash)) return err;
    (void)weft_close(*ret_fd);
    return -ENOENT;
}

static int answer(weft_req *r, void *ctx)
{
    const struct files *f = ctx;
    weft_text path = r->head.path, segment;
    struct stat st;
    weft_fd fd;
    bool slash;
    for (unsigned i = 0; i < f->depth; i++)
        (void)wf_segment_next(&path, &segment);
    char *name = weft_arena_alloc(&r->arena, f->root.len + path.len +
                                                 strlen(f->index) + 2);
    if (!name) return -ENOMEM;
    memcpy(name, f->root.path, f->root.len);
    int err = wf_file_name(path, f->opts.hidden, name + f->root.len, &slash);
    if (err >= 0) err = open_file(f, name, slash, &fd, &st);
    if (err > 0) return redirect(r);
    if (err < 0) return refuse(r, err);
    weft_req_set_deadline(r, WEFT_FOREVER); /* a large one takes long */
    err = wf_reply_open_file(r, fd, &st, name, &f->opts);
    (void)weft_close(fd);
    return err;
}

/* ---- setting up --------------------------------------------------------- */

static void files_free(void *ctx)
{
    struct files *f = ctx;
    weft_arena_reset(&f->arena);
    weft_buffer_free(f, sizeof *f);
}

static struct files *files_new(void)
{
    struct files *f = weft_buffer_alloc(sizeof *f);
    if (!f) return NULL;
    memset(f, 0, sizeof *f);
    weft_arena_init(&f->arena, NULL, 0);
    return f;
}

/* *text is the caller's, and becomes a copy; NULL is fine. */
static int copy(struct files *f, const char **text, const char *what)
{
    if (!*text) return 0;
    if (!weft_http_is_value(weft_text_of(*text)))
        return weft_fail(-EINVAL, "files: %.60s cannot be %s", *text, what);
    *text = weft_arena_text(&f->arena, weft_text_of(*text));
    return *text ? 0 : -ENOMEM;
}

static int copy_types(struct files *f)
{
    const weft_http_type *theirs = f->opts.types;
    size_t n = 0;
    if (!theirs) return 0;
    while (theirs[n].extension)
        n++;
    weft_http_type *types = weft_arena_array(&f->arena, n + 1, sizeof *types);
    if (!types) return -ENOMEM;
    memcpy(types, theirs, n * sizeof *types);
    f->opts.types = types;
    for (size_t i = 0; i < n; i++) {
        int err = copy(f, &types[i].extension, "an extension");
        if (err == 0) err = copy(f, &types[i].type, "a Content-Type");
        if (err < 0) return err;
    }
    return 0;
}

static int take_options(struct files *f, const weft_http_files_opts *o)
{
    if (o) f->opts = *o;
    f->index = f->opts.index ? f->opts.index : "index.html";
    if (strchr(f->index, '/') || wf_segment_is_dots(weft_text_of(f->index)))
        return weft_fail(-EINVAL, "files: %.60s cannot be an index", f->index);
    int err = copy(f, &f->index, "an index");
    if (err == 0) err = copy(f, &f->opts.cache_control, "Cache-Control");
    if (err == 0) err = copy(f, &f->opts.default_type, "a Content-Type");
    return err < 0 ? err : copy_types(f);
}

static int take_directory(struct files *f, const char *directory)
{
    f->root.path = weft_arena_alloc(&f->arena, WF_ROOT_BYTES);
    if (!f->root.path) return -ENOMEM;
    int err = wf_root_init(&f->root, directory);
    return err < 0 ? weft_fail(err, "files of %.80s", directory) : 0;
}

/* Of all that is below the prefix, and of the prefix alone, which is
 * redirected; both or none. The latter is dropped with the former. */
static int add_routes(struct files *f, struct wf_routes *t, const char *prefix)
{
    weft_text all = weft_text_of(prefix), left, segment;
    if (all.len == 0 || *prefix != '/')
        return weft_fail(-EINVAL, "files: a prefix begins with /");
    if (prefix[all.len - 1] == '/') all.len--;
    for (left = all; wf_segment_next(&left, &segment);)
        f->depth++;
    const char *alone = weft_arena_text(&f->arena, all);
    const char *below =
        weft_arena_printf(&f->arena, "%.*s/{path*}", WEFT_TEXT_ARGS(all));
    if (!alone || !below) return -ENOMEM;
    if (*alone) {
        int err = wf_routes_add(t, "GET", alone, answer, f, NULL);
        if (err < 0) return err;
    }
    int err = wf_routes_add(t, "GET", below, answer, f, files_free);
    if (err < 0 && *alone) wf_routes_undo(t);
    return err;
}

int weft_http_files(weft_http_server *s, const char *prefix,
                    const char *directory, const weft_http_files_opts *o)
{
    struct wf_routes *t = NULL;
    struct files *f = files_new();
    if (!f) return -ENOMEM;
    int err = take_options(f, o);
    if (err == 0) err = take_directory(f, directory);
    if (err == 0) err = wf_server_routes(s, &t);
    if (err == 0) err = add_routes(f, t, prefix);
    if (err < 0) files_free(f);
    return err;
}
