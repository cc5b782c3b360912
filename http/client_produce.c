/* SPDX-License-Identifier: MIT */
/*
 * client_produce.c - a body that the caller makes piece by piece.
 */
#include "client.h"

#include <string.h>

#include <weft/buffer.h>

static ssize_t produce(struct weft_http_exchange_ *x, char *buf, size_t len)
{
    x->produced = true;
    ssize_t n = x->call->produce(buf, len, x->call->user);
    x->unproduced = n < 0;
    if (n <= (ssize_t)len) return n;
    return weft_fail_at(-EINVAL, x->file, x->line,
                        "http: produce says %zd octets of at most %zu", n, len);
}

static int push_length(struct weft_http_exchange_ *x, char *buf)
{
    uint64_t left = x->call->length;
    int rc = 0;
    while (left > 0 && rc == 0) {
        size_t most =
            left < WEFT_BUFFER_BYTES ? (size_t)left : WEFT_BUFFER_BYTES;
        ssize_t n = produce(x, buf, most);
        if (n < 0) return (int)n;
        if (n == 0)
            return weft_fail_at(-ENODATA, x->file, x->line,
                                "http: the body ended %llu octets early",
                                (unsigned long long)left);
        left -= (uint64_t)n;
        rc = wf_client_push(x, buf, (size_t)n);
    }
    return rc;
}

static int push_last_chunk(struct weft_http_exchange_ *x, char *buf)
{
    weft_http_writer w;
    weft_http_writer_init(&w, buf, WEFT_BUFFER_BYTES);
    (void)weft_http_write_chunk(&w, 0);
    for (const weft_http_header *l = x->call->trailers; l && l->name; l++)
        (void)weft_http_write_field(&w, weft_text_of(l->name),
                                    weft_text_of(l->value ? l->value : ""));
    int err = weft_http_write_end(&w);
    if (err < 0) return err == -ENOBUFS ? -EMSGSIZE : err;
    return wf_client_push(x, w.at, w.len);
}

/* The size stands before the octets, once it is known how many there are. */
static int push_chunks(struct weft_http_exchange_ *x, char *buf)
{
    static const char end[] = WEFT_HTTP_CRLF;
    enum { FRONT = WEFT_HTTP_CHUNK_LINE, BACK = sizeof end - 1 };
    char line[FRONT];
    int rc = 0;
    while (rc == 0) {
        ssize_t n = produce(x, buf + FRONT, WEFT_BUFFER_BYTES - FRONT - BACK);
        if (n < 0) return (int)n;
        if (n == 0) return push_last_chunk(x, buf);
        weft_http_writer w;
        weft_http_writer_init(&w, line, sizeof line);
        rc = weft_http_write_chunk(&w, (uint64_t)n);
        if (rc < 0) return rc;
        char *start = buf + FRONT - w.len;
        memcpy(start, line, w.len);
        memcpy(buf + FRONT + n, end, BACK);
        rc = wf_client_push(x, start, w.len + (size_t)n + BACK);
    }
    return rc;
}

int wf_client_push_produced(struct weft_http_exchange_ *x)
{
    char *buf = weft_buffer_get();
    if (!buf) return -ENOMEM;
    int rc = x->call->length > 0 ? push_length(x, buf) : push_chunks(x, buf);
    weft_buffer_put(buf);
    return rc;
}
