/* SPDX-License-Identifier: MIT */
/*
 * client_proxy.c - which proxy a host is reached by.
 *
 * What the environment says is read once, when the client is made: later it may
 * be changed by another thread. A program that is run for a request (CGI) finds
 * the headers of whoever asks there, Proxy: as HTTP_PROXY; so that name is not
 * trusted where REQUEST_METHOD says that this is one (httpoxy, CVE-2016-5385).
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <weft/addr.h>

/* ---- setting up --------------------------------------------------------- */

static int bad_proxy(int code, const char *text, const char *why)
{
    const char *word = strrchr(text, '@'); /* what is before it is secret */
    return weft_fail(code, "http: proxy \"%.40s\": %s", word ? word + 1 : text,
                     why);
}

static int set_proxy(weft_http *h, struct wf_client_proxy *p, const char *text)
{
    weft_url u;
    if (!text || !*text) return 0;
    const char *whole = weft_arena_printf(
        &h->arena, strstr(text, "://") ? "%s" : "http://%s", text);
    if (!whole) return -ENOMEM;
    int err = weft_url_parse(&u, weft_text_of(whole));
    if (err < 0) return bad_proxy(err, text, "it is no URL");
    if (!weft_text_is_nocase(u.scheme, "http"))
        return bad_proxy(-EPROTONOSUPPORT, text, "it is not one of http");
    if (u.path.len > 1 || u.query.at || u.fragment.at)
        return bad_proxy(-EINVAL, text, "it has a path");
    p->port = weft_url_port(&u);
    p->host = weft_arena_text(&h->arena, u.host);
    if (!p->host) return -ENOMEM;
    p->address = weft_arena_printf(
        &h->arena, u.host_is_ip6 ? "[%s]:%d" : "%s:%d", p->host, p->port);
    if (!p->address) return -ENOMEM;
    if (!u.userinfo.at) return 0;
    return wf_client_basic(&h->arena, u.userinfo, &p->authorization);
}

static const char *variable(const char *lower, const char *upper)
{
    const char *value = getenv(lower); /* NOLINT(concurrency-mt-unsafe) */
    if (!value && upper)
        value = getenv(upper); /* NOLINT(concurrency-mt-unsafe) */
    return value && *value ? value : NULL;
}

int wf_client_set_proxies(weft_http *h)
{
    weft_http_opts *o = &h->opts;
    const char *http = o->proxy, *https = o->proxy;
    o->proxy = NULL; /* the caller's memory */
    if (!http && o->proxy_from_environment) {
        bool is_cgi =
            getenv("REQUEST_METHOD"); /* NOLINT(concurrency-mt-unsafe) */
        http = variable("http_proxy", is_cgi ? NULL : "HTTP_PROXY");
        https = variable("https_proxy", "HTTPS_PROXY");
    }
    if (!o->no_proxy && o->proxy_from_environment) {
        const char *none = variable("no_proxy", "NO_PROXY");
        if (none) o->no_proxy = weft_arena_text(&h->arena, weft_text_of(none));
        if (none && !o->no_proxy) return -ENOMEM;
    }
    int err = set_proxy(h, &h->http_proxy, http);
    return err < 0 ? err : set_proxy(h, &h->https_proxy, https);
}

/* ---- who is asked directly ---------------------------------------------- */

static bool is_below(weft_text name, weft_text domain)
{
    if (name.len <= domain.len) return false;
    weft_text end = {name.at + name.len - domain.len, domain.len};
    return end.at[-1] == '.' && weft_text_equal_nocase(end, domain);
}

/* Takes ":80" off the end of *item; an address of IPv6 has it behind its ]. */
static bool take_port(weft_text *item, uint64_t *ret_port)
{
    const char *colon = NULL, *bracket = NULL;
    size_t colons = 0;
    for (size_t i = 0; i < item->len; i++) {
        if (item->at[i] == ':') colon = item->at + i, colons++;
        if (item->at[i] == ']') bracket = item->at + i;
    }
    if (!colon || (bracket ? colon < bracket : colons > 1)) return false;
    weft_text digits = {colon + 1, item->len - (size_t)(colon + 1 - item->at)};
    if (weft_text_number(digits, ret_port) < 0) return false;
    item->len = (size_t)(colon - item->at);
    return true;
}

static bool is_within(weft_text item, const char *name)
{
    char text[80];
    weft_addr a;
    weft_addr_prefix p;
    if (item.len > 1 && *item.at == '[' && item.at[item.len - 1] == ']')
        item = (weft_text){item.at + 1, item.len - 2};
    return weft_text_copy(item, text, sizeof text) == 0 &&
           weft_addr_parse_host(&a, name, 0) == 0 &&
           weft_addr_prefix_parse(&p, text) == 0 &&
           weft_addr_prefix_has(&p, &a);
}

static bool is_excepted(weft_text item, const char *name, int port)
{
    weft_text whole = weft_text_of(name);
    uint64_t its;
    if (weft_text_is(item, "*")) return true;
    if (take_port(&item, &its) && its != (uint64_t)port) return false;
    if (item.len == 0) return false;
    if (*item.at == '.')
        return is_below(whole, (weft_text){item.at + 1, item.len - 1});
    return weft_text_equal_nocase(whole, item) || is_below(whole, item) ||
           is_within(item, name);
}

static bool is_direct(const weft_http *h, weft_text host, int port)
{
    char name[WEFT_HOST_TEXT];
    const char *at = h->opts.no_proxy;
    if (!at || weft_text_copy(host, name, sizeof name) < 0) return false;
    while (*at) {
        size_t len = strcspn(at, ", \t");
        if (len > 0 && is_excepted((weft_text){at, len}, name, port))
            return true;
        at += len;
        at += *at != 0;
    }
    return false;
}

const struct wf_client_proxy *
wf_client_proxy_of(const weft_http *h, bool secure, weft_text name, int port)
{
    const struct wf_client_proxy *p = secure ? &h->https_proxy : &h->http_proxy;
    return p->address && !is_direct(h, name, port) ? p : NULL;
}
