/* SPDX-License-Identifier: MIT */
/*
 * client_follow.c - from one URL to the next (RFC 9110, 15.4).
 */
#include "client.h"

static bool is_redirect(int status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

/* Is the new place only to be looked at? */
static bool becomes_get(const struct weft_http_exchange_ *x)
{
    if (x->r->status == 303) return x->verb != WEFT_HTTP_HEAD;
    return x->r->status < 303 && x->verb == WEFT_HTTP_POST;
}

static bool is_same_origin(const weft_url *a, const weft_url *b)
{
    return wf_client_is_secure(a) == wf_client_is_secure(b) &&
           weft_text_equal_nocase(a->host, b->host) &&
           weft_url_port(a) == weft_url_port(b);
}

static uint64_t mark_of(const struct weft_http_exchange_ *x)
{
    uint64_t mark = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < x->method.len; i++)
        mark = (mark ^ (unsigned char)x->method.at[i]) * 0x100000001b3u;
    for (size_t i = 0; i < x->url.len; i++)
        mark = (mark ^ (unsigned char)x->url.at[i]) * 0x100000001b3u;
    return mark;
}

/* Of the URL that has sent us away, or to the new one, which x has by now. */
static int bad_place(struct weft_http_exchange_ *x, int code, const char *which,
                     const char *why)
{
    return weft_fail_at(code, x->file, x->line,
                        "redirect %s " WF_CLIENT_URL ": %s", which,
                        WF_CLIENT_URL_ARGS(x), why);
}

static int check_circle(struct weft_http_exchange_ *x)
{
    uint64_t mark = mark_of(x);
    for (unsigned i = 0; i <= x->r->redirects; i++)
        if (x->visited[i] == mark)
            return bad_place(x, -ELOOP, "to", "in a circle");
    x->visited[x->r->redirects + 1] = mark;
    return 0;
}

static int set_place(struct weft_http_exchange_ *x, weft_text place)
{
    weft_url from = x->to;
    int err = wf_client_set_url(x, x->url, place, false);
    if (err == -EINVAL)
        return bad_place(x, -EBADMSG, "of", "the Location is no URL");
    if (err < 0) return err;
    if (wf_client_is_secure(&from) && !wf_client_is_secure(&x->to) &&
        !x->h->opts.downgrade)
        return bad_place(x, -EACCES, "to", "from https, which is refused");
    if (!is_same_origin(&from, &x->to)) x->stranger = true;
    return 0;
}

/* 1: there is another place to ask; 0: this is the reply; or an error. */
static int next_place(struct weft_http_exchange_ *x)
{
    weft_resp *r = x->r;
    size_t at = 0;
    weft_text place, second;
    bool get = becomes_get(x);
    if (!is_redirect(r->status) || x->h->opts.redirects == 0 ||
        x->call->no_redirects)
        return 0;
    if (!weft_http_field_next(&r->head.fields, "Location", &at, &place))
        return 0;
    if (weft_http_field_next(&r->head.fields, "Location", &at, &second))
        return bad_place(x, -EBADMSG, "of", "it has two Locations");
    if (!get && !wf_client_can_replay(x)) return 0;
    if (r->redirects >= x->h->opts.redirects)
        return bad_place(x, -ELOOP, "of", "too many of them");
    int err = set_place(x, place);
    if (err < 0) return err;
    if (get) {
        x->method = weft_text_of("GET");
        x->verb = WEFT_HTTP_GET;
        x->bodiless = true;
    }
    err = check_circle(x);
    return err < 0 ? err : 1;
}

int wf_client_follow(struct weft_http_exchange_ *x)
{
    x->visited[x->r->redirects] = mark_of(x);
    for (;;) {
        int rc = wf_client_once(x);
        if (rc == 0) rc = next_place(x);
        if (rc < 0) wf_client_drop(x);
        if (rc <= 0) return rc;
        wf_client_discard(x, true);
        x->r->redirects++;
        x->h->stats.redirected++;
    }
}
