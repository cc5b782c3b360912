/* SPDX-License-Identifier: MIT */
/*
 * client_talk.c - a request goes out, the head of a reply comes in.
 *
 * While octets are sent what comes is heard too: a final reply ends the
 * sending, whatever it says, for who has answered does not wait for the rest
 * (RFC 9112, 9.5). So does a peer that takes no more; what it has said before
 * is read then.
 */
#include "client.h"

#include <string.h>

#include <weft/fiber.h>

enum { PIECE = 65536 };

/* ---- hearing ------------------------------------------------------------ */

static int bad_reply(struct weft_http_exchange_ *x, const char *wrong)
{
    return weft_fail_at(-EBADMSG, x->file, x->line,
                        "reply of " WF_CLIENT_URL ": %s", WF_CLIENT_URL_ARGS(x),
                        wrong);
}

static void expect_head(struct weft_http_exchange_ *x)
{
    weft_http_response_init(&x->r->head, x->verb, x->marks, x->room,
                            &x->h->opts.limits);
}

/* The octets of the head go where they stay. What was to be sent is not needed
 * any more. */
static int take_head(struct weft_http_exchange_ *x, size_t len)
{
    weft_arena_reset(&x->reply);
    char *copy = weft_arena_alloc(&x->reply, len);
    if (!copy) return -ENOMEM;
    memcpy(copy, wf_client_input(x->conn), len);
    weft_http_response_move(&x->r->head, copy);
    wf_client_consume(x->conn, len);
    x->r->status = x->r->head.status;
    x->answered = true;
    return 1;
}

static int pass_interim(struct weft_http_exchange_ *x, size_t len)
{
    int status = x->r->head.status;
    wf_client_consume(x->conn, len);
    if (!x->r->head.keep_alive) x->dubious = true;
    if (status == 101) return bad_reply(x, "101 without being asked");
    if (++x->interims > WEFT_HTTP_INTERIMS)
        return bad_reply(x, "one 1xx after the other");
    if (status == 100) x->continued = true;
    expect_head(x);
    return 0;
}

int wf_client_hear(struct weft_http_exchange_ *x)
{
    struct wf_client_conn *c = x->conn;
    while (c->in_len > 0) {
        x->heard = true;
        ssize_t n = weft_http_parse_response(&x->r->head, wf_client_input(c),
                                             c->in_len);
        if (n < 0) return bad_reply(x, x->r->head.wrong);
        if (n == 0) return 0;
        if (x->r->head.status >= 200) return take_head(x, (size_t)n);
        int err = pass_interim(x, (size_t)n);
        if (err < 0) return err;
    }
    return 0;
}

static int ended_early(struct weft_http_exchange_ *x)
{
    return weft_fail_at(-EPIPE, x->file, x->line,
                        "reply of " WF_CLIENT_URL ": the connection ended "
                        "%s",
                        WF_CLIENT_URL_ARGS(x),
                        x->heard ? "within its head" : "without one");
}

/* Takes in what is there: 1, the answer is; 0; or an error. */
static int look(struct weft_http_exchange_ *x)
{
    size_t most = x->h->opts.limits.head + WEFT_HTTP_EXTENSIONS;
    ssize_t n = wf_client_try_fill(x->conn, most);
    if (n > 0) return wf_client_hear(x);
    if (n == -EAGAIN) return 0;
    return n == 0 ? ended_early(x) : (int)n;
}

/* Until the reply has come, or with `go_on` at least "100 Continue". */
static int listen_to(struct weft_http_exchange_ *x, struct wf_client_limit *l,
                     bool go_on)
{
    int rc = wf_client_hear(x);
    while (rc == 0 && !(go_on && x->continued)) {
        size_t had = x->conn->in_len;
        unsigned interims = x->interims;
        rc = look(x);
        if (rc != 0) break;
        if (l && (x->conn->in_len != had || x->interims != interims)) {
            l->ns = x->idle; /* it has begun */
            wf_client_moved(x, l);
        } else {
            rc = wf_client_wait(x->conn, WEFT_READABLE);
            if (rc > 0) rc = 0;
        }
    }
    return rc;
}

static int read_head(struct weft_http_exchange_ *x)
{
    struct wf_client_limit limit;
    wf_client_begin(x, &limit, x->first_byte);
    int rc = listen_to(x, &limit, false);
    return wf_client_end(x, &limit, rc,
                         limit.moved ? "idle time of" : "first byte of",
                         limit.moved ? "no octet" : "no answer");
}

/* Who does not answer in time gets the body all the same (RFC 9110, 10.1.1). */
static int await_continue(struct weft_http_exchange_ *x)
{
    weft_scope patience;
    weft_scope_init(&patience);
    int err = weft_scope_begin_after(&patience, WEFT_SEC(1), WEFT_MOVE_ON);
    return err < 0 ? err : weft_scope_end(&patience, listen_to(x, NULL, true));
}

/* ---- sending ------------------------------------------------------------ */

static bool is_peers(int code)
{
    return code == -EPIPE || code == -ECONNRESET || code == -ECONNABORTED;
}

/* Some octets: how many; 0, not now; or an error. */
static ssize_t push_some(struct weft_http_exchange_ *x, const char *data,
                         size_t len)
{
    ssize_t n = wf_client_try_write(x->conn, data, len < PIECE ? len : PIECE);
    if (n == -EAGAIN) {
        int err = wf_client_wait(x->conn, WEFT_READABLE | WEFT_WRITABLE);
        return err < 0 ? err : 0;
    }
    if (n > 0) x->begun = true;
    return n;
}

int wf_client_push(struct weft_http_exchange_ *x, const char *data, size_t len)
{
    struct wf_client_limit limit;
    int rc = 0;
    wf_client_begin(x, &limit, x->idle);
    while (len > 0 && rc == 0) {
        rc = weft_checkpoint();
        if (rc == 0 && x->begun) rc = look(x);
        if (rc != 0) break;
        ssize_t n = push_some(x, data, len);
        if (n < 0) {
            rc = (int)n;
            if (!is_peers(rc)) break;
            x->broken = rc;
            rc = 1;
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
            wf_client_moved(x, &limit);
        }
    }
    return wf_client_end(x, &limit, rc, "idle time of", "no octet was taken");
}

static int send_body(struct weft_http_exchange_ *x)
{
    const weft_http_call *c = x->call;
    if (c->produce) return wf_client_push_produced(x);
    return wf_client_push(x, c->body, c->body_len);
}

/* 0: all; 1: an answer came, or the peer takes no more; or an error. */
static int send_request(struct weft_http_exchange_ *x)
{
    const weft_http_call *c = x->call;
    bool has_body = wf_client_has_body(x);
    bool fits = has_body && !c->produce && !x->expecting &&
                weft_http_write_known(&x->head, c->body, c->body_len) == 0;
    int rc = wf_client_push(x, x->head.at, x->head.len);
    if (rc == 0 && x->expecting) rc = await_continue(x);
    if (rc == 0 && has_body && !fits) rc = send_body(x);
    return rc;
}

int wf_client_talk(struct weft_http_exchange_ *x)
{
    expect_head(x);
    int rc = send_request(x);
    if (rc < 0) return rc;
    x->sent = rc == 0;
    if (x->answered) return 0;
    rc = read_head(x);
    if (rc >= 0) return 0;
    return x->broken && is_peers(rc) ? x->broken : rc;
}
