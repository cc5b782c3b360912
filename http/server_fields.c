/* SPDX-License-Identifier: MIT */
/* server_fields.c - the head of a reply, put together in the arena. */
#include "server.h"

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/http.h>
#include <weft/time.h>

#include <string.h>

enum {
    MAX_FIELDS = 65536,
    FIRST_FIELDS = 512,
    START_ROOM = 512 /* of all that no handler has said */
};

/* ---- the date ----------------------------------------------------------- */

/* "Date: ...", with its line end. */
static weft_text date_line(void)
{
    enum { LABEL = 6, LENGTH = LABEL + WEFT_HTTP_DATE_BYTES - 1 + 2 };
    static __thread char text[LENGTH + 1];
    static __thread weft_time made;
    weft_time now = weft_now();
    if (text[0] == 0 || now < made || now - made >= WEFT_SEC(1)) {
        weft_time at = weft_calendar();
        memcpy(text, "Date: ", LABEL);
        weft_http_date(text + LABEL, at / WEFT_SEC(1));
        memcpy(text + LENGTH - 2, "\r\n", 2);
        made = now - at % WEFT_SEC(1); /* when that second began */
    }
    return (weft_text){text, LENGTH};
}

/* ---- a head ------------------------------------------------------------- */

void wf_head_start(const weft_http_server *s, int status, weft_http_writer *w)
{
    weft_text date = date_line();
    (void)weft_http_write_status_line(w, status, (weft_text){NULL, 0});
    if (s->opts.server_name)
        (void)weft_http_write_field(w, weft_text_of("Server"),
                                    weft_text_of(s->opts.server_name));
    (void)weft_http_write_known(w, date.at, date.len);
}

static void write_connection(const struct wf_exchange *x, weft_http_writer *w)
{
    if (x->is.has_upgrade)
        (void)(x->is.close
                   ? WEFT_HTTP_WRITE(w, "Connection: close, upgrade\r\n")
                   : WEFT_HTTP_WRITE(w, "Connection: upgrade\r\n"));
    else if (x->is.close)
        (void)WEFT_HTTP_WRITE(w, "Connection: close\r\n");
    else if (x->req.head.minor == 0)
        (void)WEFT_HTTP_WRITE(w, "Connection: keep-alive\r\n");
}

void wf_head_write(const struct wf_exchange *x, const struct wf_reply_head *h,
                   weft_http_writer *w)
{
    wf_head_start(x->link->server, h->status, w);
    if (h->type && !x->is.has_type)
        (void)weft_http_write_field(w, weft_text_of("Content-Type"),
                                    weft_text_of(h->type));
    if (x->is.framing == WF_LENGTH) (void)weft_http_write_length(w, h->length);
    if (x->is.framing == WF_CHUNKED) (void)weft_http_write_chunked(w);
    write_connection(x, w);
    (void)weft_http_write_known(w, x->fields.at, x->fields.len);
    (void)weft_http_write_end(w);
}

int wf_head_compose(struct wf_exchange *x, const struct wf_reply_head *h,
                    weft_text *ret_head)
{
    weft_http_writer w;
    size_t room =
        START_ROOM + x->fields.len + (h->type ? strlen(h->type) : 0);
    char *at = weft_arena_alloc(&x->req.arena, room);
    if (!at) return -ENOMEM;
    weft_http_writer_init(&w, at, room);
    wf_head_write(x, h, &w);
    if (w.error < 0) return w.error;
    *ret_head = (weft_text){at, w.len};
    return 0;
}

/* ---- what the handler adds ---------------------------------------------- */

int wf_lines_add(struct wf_exchange *x, struct wf_lines *to, weft_text name,
                 weft_text value)
{
    weft_http_writer w;
    if (name.len > MAX_FIELDS || value.len > MAX_FIELDS ||
        to->len + name.len + value.len + 4 > MAX_FIELDS)
        return weft_fail_at(-ENOBUFS, NULL, 0,
                            "http reply: over %d octets of fields",
                            (int)MAX_FIELDS);
    size_t need = to->len + name.len + value.len + 4;
    if (need > to->room) {
        size_t room = to->room ? 2 * to->room : FIRST_FIELDS;
        if (room < need) room = need;
        char *at = weft_arena_resize(&x->req.arena, to->at, to->room, room);
        if (!at) return -ENOMEM;
        to->at = at;
        to->room = room;
    }
    weft_http_writer_init(&w, to->at + to->len, to->room - to->len);
    int err = weft_http_write_field(&w, name, value);
    if (err == 0) to->len += w.len;
    return err;
}

static bool is_one_of(weft_text name, const char *const *names)
{
    for (; *names; names++)
        if (weft_text_is_nocase(name, *names)) return true;
    return false;
}

int weft_reply_field_text(weft_req *r, weft_text name, weft_text value)
{
    static const char *const own[] = {"content-length",
                                      "transfer-encoding",
                                      "connection",
                                      "keep-alive",
                                      "date",
                                      "server",
                                      NULL};
    struct wf_exchange *x = wf_exchange_of(r);
    if (r->status != 0)
        return weft_fail_at(-EALREADY, NULL, 0,
                            "http reply: a field, but the reply has begun");
    if (is_one_of(name, own))
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http reply: %.*s is for the server to say",
                            WEFT_TEXT_ARGS(name));
    int err = wf_lines_add(x, &x->fields, name, value);
    if (err < 0) return err;
    if (weft_text_is_nocase(name, "content-type")) x->is.has_type = true;
    if (weft_text_is_nocase(name, "upgrade")) x->is.has_upgrade = true;
    x->is.plain = false;
    return 0;
}

int weft_reply_field(weft_req *r, const char *name, const char *value)
{
    return weft_reply_field_text(r, weft_text_of(name), weft_text_of(value));
}

/* RFC 9110, 6.5.1. */
int weft_reply_trailer(weft_req *r, const char *name, const char *value)
{
    static const char *const never[] = {"content-length",
                                        "transfer-encoding",
                                        "connection",
                                        "keep-alive",
                                        "date",
                                        "server",
                                        "host",
                                        "trailer",
                                        "te",
                                        "upgrade",
                                        "content-encoding",
                                        "content-type",
                                        "content-range",
                                        "authorization",
                                        "proxy-authenticate",
                                        "set-cookie",
                                        "www-authenticate",
                                        "cache-control",
                                        "expires",
                                        "age",
                                        "location",
                                        "retry-after",
                                        "vary",
                                        "warning",
                                        NULL};
    struct wf_exchange *x = wf_exchange_of(r);
    if (r->status == 0 || x->is.ended)
        return weft_fail_at(-EPROTO, NULL, 0, "http reply: a trailer, but %s",
                            x->is.ended ? "the reply has ended"
                                        : "no reply has begun");
    if (is_one_of(weft_text_of(name), never))
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http reply: %s has no place among trailers", name);
    return wf_lines_add(x, &x->trailing, weft_text_of(name),
                        weft_text_of(value));
}
