/* SPDX-License-Identifier: MIT */
/*
 * weft/http_files.h (http) - files of a directory as the answer to GET.
 *
 *     err = weft_http_files(s, "/static", "/srv/www", NULL);
 *
 *     static int report(weft_req *r, void *ctx)        or one file
 *     {
 *         return weft_reply_file(r, "/var/lib/app/report.pdf", NULL);
 *     }
 *
 * A request names a file below the directory and nothing else. Each segment of
 * the path is decoded by itself; one that is empty, "." or "..", or holds a
 * slash, a backslash, a 0 or another control octet, is not found, and neither
 * is one that begins with a dot (weft_http_files_opts.hidden). Symbolic links
 * are followed as long as what they lead to is below the directory: the name is
 * resolved, compared, and the file that the resolved name then opened is asked
 * where it is (Linux, /proc), so that a link put there in between leads
 * nowhere. Where a system cannot be asked that, who may write in the directory
 * can win that race. A hard link is a file like others. The directory itself is
 * resolved once, by weft_http_files. Only regular files are sent. What cannot
 * be read, or not be found, is 404 all the same.
 *
 * A directory is answered with its index.html; asked for without a slash at its
 * end with 301 to where it has one (and the same query); without an index with
 * 404: what is in it is not listed. Other methods than GET and HEAD are 405.
 *
 * Each file has an ETag, made of its size and of the times of its last change,
 * of its content (mtime) and of anything about it (ctime), in nanoseconds. It
 * is a strong one, as two contents with one tag would need two changes within
 * one tick of the file system's clock; so that this cannot be, it is weak (W/)
 * while the last change is less than 2 seconds ago. Last-Modified is mtime.
 * Conditions are looked at in the order of RFC 9110, 13.2.2:
 *
 *     If-Match               no strong match: 412
 *     If-Unmodified-Since    without If-Match; changed since: 412
 *     If-None-Match          weak match: 304
 *     If-Modified-Since      without If-None-Match; not changed since: 304
 *     If-Range               does not match (strong), or a date that is not
 *                            exactly Last-Modified: Range is passed over
 *
 * Range (GET only, RFC 9110, 14) is answered with 206, with 416 if no octet of
 * it is there, and as multipart/byteranges if it is several. Ranges that
 * overlap are joined. One that is malformed, of another unit than bytes, or has
 * more than WEFT_HTTP_RANGES members is passed over: the reply is 200 with the
 * whole file.
 *
 * A file goes by sendfile(2) where the connection is a socket. How long that
 * may take is bounded by send_timeout and min_rate of the server alone, and not
 * by total_timeout, as a large one takes long. If it becomes shorter while it
 * is sent, the connection is cut, as the length has been told.
 * Replace a file by a new one (weft_file_write_atomic); do not write to it.
 */
#ifndef WEFT_HTTP_FILES_H
#define WEFT_HTTP_FILES_H

#include <weft/base.h>
#include <weft/http_server.h>
#include <weft/text.h>

WEFT_BEGIN_DECLS

enum { WEFT_HTTP_RANGES = 16 };

/** The Content-Type of names that end in a dot and `extension`, in any case. */
typedef struct weft_http_type {
    const char *extension; /* "wasm"; NULL ends a list */
    const char *type;      /* "application/wasm" */
} weft_http_type;

typedef struct weft_http_files_opts {
    const char *index;         /* NULL: "index.html"; "": none */
    const char *cache_control; /* "public, max-age=3600"; NULL: no such field */
    const weft_http_type *types; /* looked at before the usual ones; or NULL */
    const char *default_type;    /* of names that none fits; NULL:
                                    "application/octet-stream" */
    bool hidden;                 /* also names that begin with a dot */
} weft_http_files_opts;

/**
 * Serves the files below `directory` at the paths below `prefix`: a file a/b at
 * prefix "/static" is /static/a/b, and at "/" it is /a/b. It is a route
 * "prefix/{path*}" (weft/http_route.h) of GET, and one more for the prefix
 * without its slash, so that routes with more words come before it. All is
 * copied. Before the server serves.
 *
 * Parks. Returns 0, or as weft_http_route; -ENOENT, -ENOTDIR, -EACCES: that is
 * no directory to serve; -EINVAL also: an index with a slash, or a type or
 * cache_control that cannot be in a field. -ECANCELED. Then nothing was added.
 */
WEFT_PARKS int weft_http_files(weft_http_server *s, const char *prefix,
                               const char *directory,
                               const weft_http_files_opts *o);

/**
 * Replies with one file, whose name is the program's and is not checked: never
 * make it of what a client has sent. If it may be large, move the deadline away
 * first (weft_req_set_deadline). Conditions and ranges are looked at as above
 * if the method is GET or HEAD. Fields set before (weft_reply_field) go with
 * it; a Content-Type among them takes the place of the file's, and then it is
 * sent whole to who asks for several ranges. Of the options index and hidden
 * mean nothing here; NULL: none.
 *
 * Parks. Returns 0: replied, with 200, 206, 304, 412 or 416. -ENOENT, -EACCES,
 * -EISDIR, -ENOTDIR and others of weft_file_open; -EISDIR also of anything that
 * is no regular file: nothing was sent, and another reply can be. -EIO: the
 * file has become shorter meanwhile; -EPIPE, -ECONNRESET, -ECANCELED, ...: the
 * reply has been cut off, which the handler passes on.
 */
WEFT_PARKS int weft_reply_file(weft_req *r, const char *path,
                               const weft_http_files_opts *o);

/** The usual type of a file name, by its extension; NULL: there is none. */
WEFT_API const char *weft_http_type_of(const char *name);

WEFT_END_DECLS

#endif
