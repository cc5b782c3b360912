/* SPDX-License-Identifier: MIT */
/*
 * text.c - comparing and reading pieces of text.
 */
#include <weft/text.h>

#include <string.h>

weft_text weft_text_of(const char *s)
{
    return (weft_text){s, s ? strlen(s) : 0};
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
}

bool weft_text_equal(weft_text a, weft_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool weft_text_equal_nocase(weft_text a, weft_text b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i])) return false;
    return true;
}

bool weft_text_is(weft_text t, const char *s)
{
    return weft_text_equal(t, weft_text_of(s));
}

bool weft_text_is_nocase(weft_text t, const char *s)
{
    return weft_text_equal_nocase(t, weft_text_of(s));
}

weft_text weft_text_trim(weft_text t)
{
    while (t.len > 0 && (*t.at == ' ' || *t.at == '\t'))
        t.at++, t.len--;
    while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
        t.len--;
    return t;
}

int weft_text_copy(weft_text t, char *buf, size_t size)
{
    if (t.len >= size) return -ENAMETOOLONG;
    if (t.len > 0 && memchr(t.at, 0, t.len)) return -EINVAL;
    if (t.len > 0) memcpy(buf, t.at, t.len);
    buf[t.len] = 0;
    return 0;
}

int weft_text_number(weft_text t, uint64_t *ret_number)
{
    uint64_t n = 0;
    bool over = false;
    if (t.len == 0) return -EINVAL;
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9') return -EINVAL;
        uint64_t digit = (uint64_t)(t.at[i] - '0');
        if (n > (UINT64_MAX - digit) / 10) over = true;
        n = n * 10 + digit; /* of no use once it is over */
    }
    if (over) return -ERANGE;
    *ret_number = n;
    return 0;
}
