/* SPDX-License-Identifier: MIT */
/*
 * weft/http_write.h (http) - the heads of HTTP/1.1 messages, written.
 *
 *     char buf[512];
 *     weft_http_writer w;
 *     weft_http_writer_init(&w, buf, sizeof buf);
 *     (void)weft_http_write_status_line(&w, 200, weft_text_of(NULL));
 *     (void)weft_http_write_field(&w, weft_text_of("X-Who"), who);
 *     (void)weft_http_write_length(&w, len);
 *     int err = weft_http_write_end(&w);
 *     if (err == 0) err = weft_stream_write(&s, w.at, w.len);
 *
 * Nothing is sent and nothing allocated: octets go into the caller's memory.
 * None that could end a line early, or be taken for another field, gets there:
 * CR, LF, NUL, any other control, a space in a name or a target. What is
 * refused is told in weft_last_error(), with where it stands.
 *
 * The first error stays: each later call returns it and writes nothing, so that
 * only the last has to be looked at. A call that fails leaves w->len as it was.
 * Calls return 0; -EINVAL, as above; -ENOBUFS, there is no room for all of it.
 *
 * Which fields belong together, and the order of calls, is the caller's: a
 * start line, fields, the end. The end is the last octet: there is no 0 behind.
 */
#ifndef WEFT_HTTP_WRITE_H
#define WEFT_HTTP_WRITE_H

#include <weft/base.h>
#include <weft/text.h>

#include <string.h>

WEFT_BEGIN_DECLS

typedef struct weft_http_writer {
    char *at;         /* the caller's memory */
    size_t room, len; /* of it in all, and written so far: never more */
    int error;        /* the first, or 0 */
} weft_http_writer;

/** Writes from the first octet of `buf`, which stays the caller's. To begin
 *  again, with no error, is to do this again. */
static inline void weft_http_writer_init(weft_http_writer *w, char *buf,
                                         size_t size)
{
    w->at = buf;
    w->room = size;
    w->len = 0;
    w->error = 0;
}

/* Notes -ENOBUFS, if there is no error yet, and returns the error. */
WEFT_API int weft_http_writer_full_(weft_http_writer *w);

/**
 * As they are, whatever they are: for what the program itself says, such as a
 * field line it has made ready, with its CRLF. Never for what a peer sent.
 */
static inline int weft_http_write_known(weft_http_writer *w, const void *octets,
                                        size_t len)
{
    if (__builtin_expect(w->error < 0 || len > w->room - w->len, 0))
        return weft_http_writer_full_(w);
    if (len > 0) memcpy(w->at + w->len, octets, len);
    w->len += len;
    return 0;
}

/** weft_http_write_known of a string literal: its length is a constant. */
#define WEFT_HTTP_WRITE(w, literal)                                            \
    weft_http_write_known((w), "" literal, sizeof(literal) - 1)

/* ---- heads -------------------------------------------------------------- */

/** "GET /x HTTP/1.1". The method is a token; the target is of visible ASCII and
 *  not empty (its form is not looked at). */
WEFT_API int weft_http_write_request_line(weft_http_writer *w, weft_text method,
                                          weft_text target);

/** "HTTP/1.1 200 OK". 100 to 999. A reason that is not there (at NULL) is the
 *  usual one, if there is one; else it has no control but HTAB. */
WEFT_API int weft_http_write_status_line(weft_http_writer *w, int status,
                                         weft_text reason);

/** "Name: value". The name is a token; the value has no control but HTAB, and
 *  no space or HTAB at its ends, where it would not arrive. It may be empty. */
WEFT_API int weft_http_write_field(weft_http_writer *w, weft_text name,
                                   weft_text value);

/** "Content-Length: 17". */
WEFT_API int weft_http_write_length(weft_http_writer *w, uint64_t length);

/** "Transfer-Encoding: chunked". */
static inline int weft_http_write_chunked(weft_http_writer *w)
{
    return WEFT_HTTP_WRITE(w, "Transfer-Encoding: chunked\r\n");
}

/** The empty line behind the last field of a head, or of the trailers. */
static inline int weft_http_write_end(weft_http_writer *w)
{
    return WEFT_HTTP_WRITE(w, "\r\n");
}

/* ---- chunks (RFC 9112, 7.1) --------------------------------------------- */

#define WEFT_HTTP_CRLF       "\r\n"      /* behind the octets of a chunk */
#define WEFT_HTTP_LAST_CHUNK "0\r\n\r\n" /* the end, without trailers */

enum { WEFT_HTTP_CHUNK_LINE = 18 }; /* room for any size line */

/**
 * The line before the `len` octets of a chunk, such as "1f". Of 0 it is the one
 * that ends the chunks: then come trailers, by weft_http_write_field, if there
 * are any, and weft_http_write_end.
 */
WEFT_API int weft_http_write_chunk(weft_http_writer *w, uint64_t len);

WEFT_END_DECLS

#endif
