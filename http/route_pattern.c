/* SPDX-License-Identifier: MIT */
/* route_pattern.c - what a pattern is, and a sentence if it is none. */
#include "route_pattern.h"

#include <weft/error.h>

#include <string.h>

#include "segment.h"

static bool starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(weft_text t)
{
    if (t.len == 0 || !starts_name(*t.at)) return false;
    for (size_t i = 1; i < t.len; i++)
        if (!starts_name(t.at[i]) && !(t.at[i] >= '0' && t.at[i] <= '9'))
            return false;
    return true;
}

weft_text wf_pattern_param(weft_text s, bool *ret_rest)
{
    *ret_rest = false;
    if (s.len < 2 || s.at[0] != '{' || s.at[s.len - 1] != '}')
        return (weft_text){0};
    weft_text name = {s.at + 1, s.len - 2};
    *ret_rest = name.len > 0 && name.at[name.len - 1] == '*';
    if (*ret_rest) name.len--;
    return name;
}

static bool is_used_before(weft_text pattern, weft_text name)
{
    weft_text s;
    bool rest;
    while (wf_segment_next(&pattern, &s) && s.at < name.at - 1)
        if (weft_text_equal(wf_pattern_param(s, &rest), name)) return true;
    return false;
}

static int bad(weft_text pattern, const char *at, const char *why)
{
    return weft_fail(-EINVAL, "route %.40s, octet %zu: %s", pattern.at,
                     (size_t)(at - pattern.at) + 1, why);
}

static int check_param(weft_text pattern, weft_text s, weft_text name)
{
    if (!is_name(name))
        return bad(pattern, s.at,
                   "a parameter is {name} or {name*}, of letters, digits, _");
    if (is_used_before(pattern, name))
        return bad(pattern, s.at, "a parameter of that name is there already");
    return 0;
}

static int check_word(weft_text pattern, weft_text s)
{
    weft_text left = s;
    if (wf_segment_is_dots(s))
        return bad(pattern, s.at, "a segment . or .. is matched by nothing");
    for (const char *at = s.at; left.len > 0; at = left.at) {
        if (*at == '{' || *at == '}')
            return bad(pattern, at, "a parameter is a segment of its own");
        if (*at == '?' || *at == '#')
            return bad(pattern, at, "the path has ended: write %3F or %23");
        if ((unsigned char)*at < ' ' || *at == 127)
            return bad(pattern, at, "a control octet");
        if (wf_octet_next(&left) <= 0)
            return bad(pattern, at, "% and no two hexadecimal digits, or %00");
    }
    return 0;
}

int wf_pattern_check(const char *pattern, unsigned *ret_params)
{
    weft_text all = weft_text_of(pattern), left = all, s;
    unsigned params = 0;
    bool rest = false;
    if (all.len == 0 || *pattern != '/')
        return weft_fail(-EINVAL, "route \"%.40s\": it does not begin with /",
                         pattern ? pattern : "");
    if (all.len >= WEFT_HTTP_ROUTE_BYTES)
        return weft_fail(-EINVAL, "route %.40s...: %zu octets, and %d are most",
                         pattern, all.len, WEFT_HTTP_ROUTE_BYTES - 1);
    while (wf_segment_next(&left, &s)) {
        if (rest) return bad(all, s.at, "{name*} is the last segment");
        if (s.len == 0 && left.len > 0)
            return bad(all, s.at, "an empty segment is only at the end");
        weft_text name = wf_pattern_param(s, &rest);
        int err = name.at ? check_param(all, s, name) : check_word(all, s);
        if (err < 0) return err;
        if (name.at && ++params > WEFT_HTTP_ROUTE_PARAMS)
            return bad(all, s.at, "too many parameters");
    }
    *ret_params = params;
    return 0;
}
