/* SPDX-License-Identifier: MIT */
/*
 * query.c - pairs of names and values.
 */
#include "percent.h"

#include <weft/url.h>

#include <string.h>

/* Takes what is before the first c off *t, and c: or all of it. */
static weft_text take_to(weft_text *t, char c)
{
    const char *end = t->len > 0 ? memchr(t->at, c, t->len) : NULL;
    size_t len = end ? (size_t)(end - t->at) : t->len;
    weft_text taken = {t->at, len};
    *t = end ? (weft_text){end + 1, t->len - len - 1} : (weft_text){NULL, 0};
    return taken;
}

bool weft_query_next(weft_text *query, weft_text *ret_name,
                     weft_text *ret_value)
{
    while (query->len > 0) {
        weft_text value = take_to(query, '&');
        if (value.len == 0) continue;
        *ret_name = take_to(&value, '=');
        *ret_value = value;
        return true;
    }
    return false;
}

/* A name with a bad escape is that of nobody. */
static bool is_once_decoded(weft_text t, const char *name)
{
    for (size_t at = 0; at < t.len; name++) {
        int octet = wf_percent_next(t, &at, true);
        if (octet < 0 || octet != (unsigned char)*name) return false;
    }
    return *name == 0;
}

bool weft_query_find(weft_text query, const char *name, weft_text *ret_value)
{
    weft_text its_name, value;
    while (weft_query_next(&query, &its_name, &value)) {
        if (!is_once_decoded(its_name, name)) continue;
        *ret_value = value;
        return true;
    }
    return false;
}

ssize_t weft_query_get(weft_text query, const char *name, char *buf,
                       size_t size)
{
    weft_text value;
    if (!weft_query_find(query, name, &value)) return -ENOENT;
    return weft_url_decode(value, buf, size, true);
}

int weft_query_add(char *buf, size_t size, size_t *len, weft_text name,
                   weft_text value)
{
    char *out = buf + *len;
    bool more = *len > 0 && out[-1] != '?' && out[-1] != '&';
    size_t first = wf_percent_length(name, true);
    size_t second = value.at ? wf_percent_length(value, true) : 0;
    size_t left = size > *len ? size - *len : 0, marks = more;
    if (value.at) marks++;
    if (first >= left || second >= left - first) return -ENOBUFS;
    if (marks >= left - first - second) return -ENOBUFS;

    if (more) *out++ = '&';
    out = wf_percent_write(out, name, true);
    if (value.at) {
        *out++ = '=';
        out = wf_percent_write(out, value, true);
    }
    *out = 0;
    *len = (size_t)(out - buf);
    return 0;
}
