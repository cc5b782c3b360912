/* SPDX-License-Identifier: MIT */
/*
 * client_opts.c - the options of a client: looked at, copied, filled in.
 */
#include "client.h"

#include <string.h>

enum {
    LARGEST_HEAD = 1 << 30, /* weft_http_limits */
    SHORTEST_LINE = 4       /* "a:" and its end: there are no more than fit */
};

static const char *const own_fields[] = {
    "Host",       "Content-Length", "Transfer-Encoding",
    "Connection", "Keep-Alive",     "Proxy-Connection",
    "TE",         "Trailer",        "Upgrade",
    "Expect"};

static bool is_own(weft_text name)
{
    for (size_t i = 0; i < sizeof own_fields / sizeof *own_fields; i++)
        if (weft_text_is_nocase(name, own_fields[i])) return true;
    return false;
}

static void set_time(weft_time *t, weft_time usual)
{
    if (*t == 0) *t = usual;
}

static void set_defaults(weft_http_opts *o)
{
    set_time(&o->max_idle, WEFT_SEC(30));
    set_time(&o->pool_wait, WEFT_SEC(30));
    set_time(&o->connect_timeout, WEFT_SEC(10));
    set_time(&o->first_byte_timeout, WEFT_SEC(30));
    set_time(&o->idle_timeout, WEFT_SEC(30));
    set_time(&o->total_timeout, WEFT_SEC(300));
    if (o->pool == 0) o->pool = 100;
    if (o->redirects > WEFT_HTTP_REDIRECTS) o->redirects = WEFT_HTTP_REDIRECTS;
    if (o->limits.line == 0) o->limits.line = 16384;
    if (o->limits.head == 0) o->limits.head = 65536;
    if (o->limits.head > LARGEST_HEAD) o->limits.head = LARGEST_HEAD;
    if (o->limits.fields == 0) o->limits.fields = 100;
    if (o->limits.fields > o->limits.head / SHORTEST_LINE)
        o->limits.fields = (unsigned)(o->limits.head / SHORTEST_LINE);
    if (o->max_body == 0) o->max_body = (size_t)16 << 20;
    if (!o->name) o->name = "http";
}

static int copy(weft_http *h, const char **text)
{
    if (!*text) return 0;
    *text = weft_arena_text(&h->arena, weft_text_of(*text));
    return *text ? 0 : -ENOMEM;
}

/* ---- headers ------------------------------------------------------------ */

int wf_client_check_header(weft_text name, weft_text value)
{
    if (!weft_http_is_token(name))
        return weft_fail(-EINVAL, "http: \"%.40s\" is no name of a field",
                         name.at);
    if (is_own(name))
        return weft_fail(-EINVAL, "http: %.40s is the client's own", name.at);
    if (!value.at)
        return weft_fail(-EINVAL, "http: %.40s has no value", name.at);
    if (!weft_http_is_value(value))
        return weft_fail(-EINVAL, "http: the value of %.40s cannot be sent",
                         name.at);
    return 0;
}

static bool has_user_agent(const weft_http_header *list)
{
    for (; list && list->name; list++)
        if (weft_text_is_nocase(weft_text_of(list->name), "User-Agent"))
            return true;
    return false;
}

static int copy_headers(weft_http *h, const weft_http_header *list)
{
    size_t count = 2; /* User-Agent, and the end */
    for (const weft_http_header *l = list; l && l->name; l++)
        count++;
    weft_http_header *to = weft_arena_array(&h->arena, count, sizeof *to);
    if (!to) return -ENOMEM;
    h->opts.headers = to;
    if (!has_user_agent(list))
        *to++ = (weft_http_header){"User-Agent", "weft/" WEFT_VERSION};
    for (; list && list->name; list++) {
        weft_text name = weft_text_of(list->name);
        int err = wf_client_check_header(name, weft_text_of(list->value));
        if (err < 0) return err;
        if (!*list->value && weft_text_is_nocase(name, "User-Agent")) continue;
        *to = *list;
        err = copy(h, &to->name);
        if (err == 0) err = copy(h, &to->value);
        if (err < 0) return err;
        to++;
    }
    return 0;
}

/* ---- all of it ---------------------------------------------------------- */

static int check_base(weft_http *h)
{
    if (!h->opts.base) return 0;
    int err = weft_url_parse(&h->base, weft_text_of(h->opts.base));
    if (err < 0) return err;
    if (!weft_text_is_nocase(h->base.scheme, "http") &&
        !weft_text_is_nocase(h->base.scheme, "https"))
        return weft_fail(-EINVAL,
                         "http: base \"%.40s\" is not of http or https",
                         h->opts.base);
    return 0;
}

static int copy_dial(weft_http *h)
{
    weft_dial_opts *to;
    if (!h->opts.dial) return 0;
    to = weft_arena_alloc(&h->arena, sizeof *to);
    if (!to) return -ENOMEM;
    *to = *h->opts.dial;
    h->opts.dial = to;
    return copy(h, &to->local);
}

int wf_client_set_options(weft_http *h, const weft_http_opts *o)
{
    h->opts = *o;
    set_defaults(&h->opts);
    int err = copy(h, &h->opts.name);
    if (err == 0) err = copy(h, &h->opts.base);
    if (err == 0) err = copy(h, &h->opts.no_proxy);
    if (err == 0) err = check_base(h);
    if (err == 0) err = copy_dial(h);
    return err < 0 ? err : copy_headers(h, o->headers);
}
