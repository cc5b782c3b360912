/* SPDX-License-Identifier: MIT */
/*
 * client_url.c - what a call, or a redirect, asks for.
 *
 * Userinfo is not left in the URL: it is told to the server only, as Basic
 * authorization, and never to a log.
 */
#include "client.h"

#include <string.h>

#include "base64.h"

bool wf_client_is_secure(const weft_url *u)
{
    return weft_text_is_nocase(u->scheme, "https");
}

int wf_client_basic(weft_arena *a, weft_text userinfo, weft_text *ret)
{
    static const char word[] = "Basic ";
    size_t room = userinfo.len + 2;
    char *plain = weft_arena_alloc(a, room);
    char *text = weft_arena_alloc(a, sizeof word + WF_BASE64_TEXT(room));
    if (!plain || !text) return -ENOMEM;
    ssize_t n = weft_url_decode(userinfo, plain, room, false);
    if (n < 0) return (int)n;
    if (!memchr(plain, ':', (size_t)n)) plain[n++] = ':';
    memcpy(text, word, sizeof word - 1);
    size_t len = wf_base64_encode(plain, (size_t)n, text + sizeof word - 1);
    memset(plain, 0, room);
    *ret = (weft_text){text, sizeof word - 1 + len};
    return 0;
}

static int take_userinfo(struct weft_http_exchange_ *x, char *text, size_t *len,
                         bool asked)
{
    weft_text info = x->to.userinfo;
    if (!info.at) return 0;
    if (!asked)
        return weft_fail_at(-EBADMSG, x->file, x->line,
                            "http: a redirect to a URL with userinfo");
    if (!x->h->opts.userinfo)
        return weft_fail_at(-EINVAL, x->file, x->line,
                            "http: a URL with userinfo, which is not allowed");
    int err = wf_client_basic(&x->kept, info, &x->basic);
    if (err < 0) return err;
    size_t from = (size_t)(info.at - text), past = from + info.len + 1;
    memmove(text + from, text + past, *len - past + 1);
    *len -= info.len + 1;
    return weft_url_parse(&x->to, (weft_text){text, *len});
}

static int check_scheme(struct weft_http_exchange_ *x)
{
    weft_text scheme = x->to.scheme;
    if (weft_text_is_nocase(scheme, "http")) return 0;
    if (!weft_text_is_nocase(scheme, "https"))
        return weft_fail_at(-EPROTONOSUPPORT, x->file, x->line,
                            "http: the scheme \"%.*s\" is not http or https",
                            scheme.len > 32 ? 32 : (int)scheme.len, scheme.at);
    if (x->h->opts.secure) return 0;
    return weft_fail_at(-EPROTONOSUPPORT, x->file, x->line,
                        "http: https needs weft_http_opts.secure, a hook for "
                        "TLS");
}

static int join(struct weft_http_exchange_ *x, weft_text base,
                weft_text reference, char **ret_text, size_t *ret_len)
{
    weft_url u;
    int err = weft_url_parse(&u, reference);
    if (err < 0) return err;
    if (!u.scheme.at && base.len == 0)
        return weft_fail_at(-EINVAL, x->file, x->line,
                            "http: \"%.*s\" is relative, and there is no base",
                            reference.len > 40 ? 40 : (int)reference.len,
                            reference.at);
    if (base.len == 0) base = reference;
    size_t room = base.len + reference.len + 16;
    *ret_text = weft_arena_alloc(&x->kept, room);
    if (!*ret_text) return -ENOMEM;
    ssize_t n = weft_url_join(base, reference, *ret_text, room);
    *ret_len = n < 0 ? 0 : (size_t)n;
    return n < 0 ? (int)n : 0;
}

/* "http://h?x" means "http://h/?x" (RFC 9110, 4.2.3); there is room for it. */
static int give_path(struct weft_http_exchange_ *x, char *text, size_t *len)
{
    x->pathless = x->to.path.len == 0 && !x->to.query.at;
    if (x->to.path.len > 0) return 0;
    size_t at = (size_t)(x->to.authority.at - text) + x->to.authority.len;
    memmove(text + at + 1, text + at, *len - at + 1);
    text[at] = '/';
    ++*len;
    return weft_url_parse(&x->to, (weft_text){text, *len});
}

static void cut_fragment(struct weft_http_exchange_ *x, char *text, size_t *len)
{
    if (!x->to.fragment.at) return;
    *len = (size_t)(x->to.fragment.at - text) - 1;
    text[*len] = 0;
    x->to.fragment = (weft_text){NULL, 0};
}

int wf_client_set_url(struct weft_http_exchange_ *x, weft_text base,
                      weft_text reference, bool asked)
{
    char *text = NULL;
    size_t len = 0;
    int err = join(x, base, reference, &text, &len);
    if (err < 0 || !text) return err;
    err = weft_url_parse(&x->to, (weft_text){text, len});
    if (err == 0) err = check_scheme(x);
    if (err == 0 && !x->to.authority.at)
        err = weft_fail_at(-EINVAL, x->file, x->line,
                           "http: \"%.40s\" has no host", text);
    if (err == 0) err = take_userinfo(x, text, &len, asked);
    if (err == 0) err = give_path(x, text, &len);
    if (err < 0) return err;
    cut_fragment(x, text, &len);
    x->url = (weft_text){text, len};
    x->r->url = x->url;
    return 0;
}
