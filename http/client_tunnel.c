/* SPDX-License-Identifier: MIT */
/*
 * client_tunnel.c - the way through a proxy to a host that is spoken to in
 * secret (RFC 9110, 9.3.6). It is a part of connecting, and has its time.
 */
#include "client.h"

#include <weft/buffer.h>

enum { ROOM = 2048, MARKS = 64 };

struct ask {
    weft_http_mark marks[MARKS];
    weft_http_response answer;
    char head[ROOM];
};

static int send_all(struct wf_client_conn *c, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = wf_client_try_write(c, data, len);
        if (n == -EAGAIN) {
            int err = wf_client_wait(c, WEFT_WRITABLE);
            if (err < 0) return err;
            continue;
        }
        if (n < 0) return (int)n;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_ask(struct wf_client_conn *c, struct ask *a)
{
    weft_http_writer w;
    weft_text host = weft_text_of(c->host->address);
    weft_text word = c->h->https_proxy.authorization;
    weft_http_writer_init(&w, a->head, sizeof a->head);
    (void)weft_http_write_request_line(&w, weft_text_of("CONNECT"), host);
    (void)weft_http_write_field(&w, weft_text_of("Host"), host);
    if (word.at)
        (void)weft_http_write_field(&w, weft_text_of("Proxy-Authorization"),
                                    word);
    int err = weft_http_write_end(&w);
    return err < 0 ? err : send_all(c, w.at, w.len);
}

static int bad_proxy(const struct wf_client_conn *c, int code, const char *why)
{
    return weft_fail(code, "proxy %.40s to %.40s: %s",
                     c->h->https_proxy.address, c->host->address, why);
}

/* The whole head of an answer that is not 1xx: its length. */
static ssize_t read_answer(struct wf_client_conn *c, struct ask *a)
{
    weft_http_limits limits = {.head = WEFT_BUFFER_BYTES / 2};
    for (unsigned interims = 0;;) {
        ssize_t n = 0;
        weft_http_response_init(&a->answer, WEFT_HTTP_CONNECT, a->marks, MARKS,
                                &limits);
        while (n == 0) {
            if (c->in_len > 0)
                n = weft_http_parse_response(&a->answer, wf_client_input(c),
                                             c->in_len);
            if (n < 0) return bad_proxy(c, -EBADMSG, a->answer.wrong);
            if (n > 0) break;
            ssize_t more = wf_client_try_fill(c, WEFT_BUFFER_BYTES);
            if (more == 0) return bad_proxy(c, -EPIPE, "it has ended");
            if (more == -EAGAIN) more = wf_client_wait(c, WEFT_READABLE);
            if (more < 0) return more;
        }
        wf_client_consume(c, (size_t)n);
        if (a->answer.status >= 200) return n;
        if (a->answer.status == 101 || ++interims > WEFT_HTTP_INTERIMS)
            return bad_proxy(c, -EBADMSG, "1xx that was not asked for");
    }
}

static int refused(const struct wf_client_conn *c, int status)
{
    return weft_fail(wf_client_is_passing(status) ? -ECONNREFUSED : -EACCES,
                     "proxy %.40s to %.40s: %d %s", c->h->https_proxy.address,
                     c->host->address, status, weft_http_reason(status));
}

int wf_client_tunnel(struct wf_client_conn *c)
{
    struct ask *a = weft_buffer_get();
    if (!a) return -ENOMEM;
    int err = write_ask(c, a);
    ssize_t n = err < 0 ? err : read_answer(c, a);
    int status = n > 0 ? a->answer.status : 0;
    weft_buffer_put(a);
    if (n < 0) return (int)n;
    if (status >= 300) return refused(c, status);
    if (c->in_len > 0)
        return bad_proxy(c, -EBADMSG, "the host speaks before it was asked");
    wf_client_release_input(c);
    return 0;
}
