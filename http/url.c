/* SPDX-License-Identifier: MIT */
/*
 * url.c - a URL taken apart by the grammar of RFC 3986, appendix A.
 */
#include "url.h"

#include "octets.h"
#include "percent.h"

#include <weft/addr.h>
#include <weft/error.h>
#include <weft/url.h>

#include <string.h>

static int refuse(const char *why)
{
    return weft_fail_at(-EINVAL, NULL, 0, "URL: %s", why);
}

static bool is_digit(char c)
{
    return wf_octet_is(c, WF_OCTET_DIGIT);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(char c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

/* Is it in a part of a URL, which may have those of `set` too? */
static bool is_at_home(char c, const char *set)
{
    return wf_octet_is(c, WF_OCTET_HOST) || is_one_of(c, set);
}

static int check_part(weft_text whole, weft_text part, const char *set)
{
    for (size_t i = 0; i < part.len; i++) {
        if (wf_percent_is_at(part, i))
            i += 2;
        else if (!is_at_home(part.at[i], set))
            return wf_percent_refuse("URL", whole,
                                     (size_t)(part.at - whole.at) + i);
    }
    return 0;
}

/* ---- cutting ------------------------------------------------------------ */

/* The place of the first octet that is in `set`, or the length. */
static size_t find(weft_text t, const char *set)
{
    size_t i = 0;
    while (i < t.len && !is_one_of(t.at[i], set))
        i++;
    return i;
}

static weft_text head(weft_text t, size_t len)
{
    return (weft_text){t.at, len};
}

static weft_text tail(weft_text t, size_t from)
{
    return (weft_text){t.at + from, t.len - from};
}

/* Cuts *t at the first c, if it has one, and returns what was behind it. */
static weft_text cut_behind(weft_text *t, const char *c)
{
    size_t at = find(*t, c);
    if (at == t->len) return (weft_text){NULL, 0};
    weft_text behind = tail(*t, at + 1);
    *t = head(*t, at);
    return behind;
}

/* ---- parts -------------------------------------------------------------- */

static int take_scheme(weft_url *u, weft_text *t)
{
    size_t at = find(*t, ":/");
    if (at == t->len || t->at[at] != ':') return 0;
    bool good = at > 0 && is_letter(*t->at);
    for (size_t i = 1; i < at; i++)
        if (!is_letter(t->at[i]) && !is_digit(t->at[i]) &&
            !is_one_of(t->at[i], "+-."))
            good = false;
    if (!good) return refuse("what is before the first : is no scheme");
    u->scheme = head(*t, at);
    *t = tail(*t, at + 1);
    return 0;
}

static int read_port(weft_url *u, weft_text digits)
{
    int port = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.at[i])) return refuse("the port is not a number");
        port = port * 10 + (digits.at[i] - '0');
        if (port > 65535) return refuse("the port is over 65535");
    }
    if (digits.len > 0 && port == 0) return refuse("the port is 0");
    u->port = port;
    return 0;
}

static int check_ip6(weft_text host)
{
    char text[64];
    weft_addr a;
    size_t strange = 0;
    while (strange < host.len && (wf_octet_is(host.at[strange], WF_OCTET_HEX) ||
                                  is_one_of(host.at[strange], ":.")))
        strange++;
    if (strange < host.len || find(host, ":") == host.len ||
        weft_text_copy(host, text, sizeof text) < 0 ||
        weft_addr_parse_host(&a, text, 0) < 0)
        return refuse("what is in brackets is no IPv6 address");
    return 0;
}

/* "v", a number in hexadecimal, "." and what it likes: RFC 3986, 3.2.2. */
static int check_ip_future(weft_text whole, weft_text inside)
{
    size_t dot = find(inside, ".");
    bool good = dot > 1 && dot + 1 < inside.len;
    for (size_t i = 1; i < dot; i++)
        if (!wf_octet_is(inside.at[i], WF_OCTET_HEX)) good = false;
    if (good && find(inside, "%") == inside.len)
        return check_part(whole, inside, ":");
    return refuse("what is in brackets is no address");
}

static int read_brackets(weft_url *u, weft_text whole, weft_text *t)
{
    size_t end = find(*t, "]");
    if (end == t->len) return refuse("the ] is missing");
    weft_text inside = {t->at + 1, end - 1};
    bool future = inside.len > 0 && (*inside.at | 32) == 'v';
    int err = future ? check_ip_future(whole, inside) : check_ip6(inside);
    if (err < 0) return err;
    u->host = future ? head(*t, end + 1) : inside;
    u->host_is_ip6 = !future;
    *t = tail(*t, end + 1);
    if (t->len > 0 && *t->at != ':')
        return refuse("neither a : nor the end is behind the ]");
    return 0;
}

static int read_authority(weft_url *u, weft_text whole)
{
    weft_text t = u->authority;
    size_t at = find(t, "@");
    int err;
    if (at < t.len) {
        u->userinfo = head(t, at);
        err = check_part(whole, u->userinfo, ":");
        if (err < 0) return err;
        t = tail(t, at + 1);
    }
    if (t.len > 0 && *t.at == '[') {
        err = read_brackets(u, whole, &t);
    } else {
        u->host = head(t, find(t, ":"));
        t = tail(t, u->host.len);
        err = check_part(whole, u->host, "");
    }
    if (err < 0) return err;
    return t.len > 0 ? read_port(u, tail(t, 1)) : 0;
}

static int usual_port(weft_text scheme)
{
    if (weft_text_is_nocase(scheme, "http") ||
        weft_text_is_nocase(scheme, "ws"))
        return 80;
    if (weft_text_is_nocase(scheme, "https") ||
        weft_text_is_nocase(scheme, "wss"))
        return 443;
    return 0;
}

int wf_url_check_host(weft_text scheme, weft_text host)
{
    if (host.len > 0 || usual_port(scheme) == 0) return 0;
    return refuse("there is no host");
}

static int take_authority(weft_url *u, weft_text whole, weft_text *t)
{
    if (t->len < 2 || t->at[0] != '/' || t->at[1] != '/') return 0;
    *t = tail(*t, 2);
    u->authority = head(*t, find(*t, "/"));
    *t = tail(*t, u->authority.len);
    int err = read_authority(u, whole);
    return err < 0 ? err : wf_url_check_host(u->scheme, u->host);
}

int weft_url_parse(weft_url *ret, weft_text t)
{
    weft_url u = {.port = 0};
    weft_text left = t.at ? t : weft_text_of("");
    weft_text whole = left;
    u.fragment = cut_behind(&left, "#");
    u.query = cut_behind(&left, "?");
    int err = take_scheme(&u, &left);
    if (err == 0) err = take_authority(&u, whole, &left);
    u.path = left;
    if (err == 0) err = check_part(whole, u.path, ":@/");
    if (err == 0) err = check_part(whole, u.query, ":@/?");
    if (err == 0) err = check_part(whole, u.fragment, ":@/?");
    if (err < 0) return err;
    *ret = u;
    return 0;
}

int weft_url_port(const weft_url *u)
{
    return u->port != 0 ? u->port : usual_port(u->scheme);
}
