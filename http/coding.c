/* SPDX-License-Identifier: MIT */
/*
 * coding.c - Transfer-Encoding, by its grammar (RFC 9110, 10.1.4):
 *
 *     list      = coding *( OWS "," OWS coding )      no empty member
 *     coding    = token *( OWS ";" OWS token "=" ( token / quoted-string ) )
 *
 * Another parser might see `chunked` where this one does not, or the other way
 * about, and then read the next request out of a body: so nothing is guessed.
 */
#include "coding.h"

#include "octets.h"

struct reader {
    const char *p, *end;
};

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
        r->p++;
}

static bool take(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c) return false;
    r->p++;
    return true;
}

static weft_text take_token(struct reader *r)
{
    weft_text token = {r->p, 0};
    while (r->p < r->end && wf_octet_is(*r->p, WF_OCTET_TOKEN))
        r->p++;
    token.len = (size_t)(r->p - token.at);
    return token;
}

/* Behind its first quote. That each octet may stand in a value is known. */
static bool skip_quoted(struct reader *r)
{
    while (r->p < r->end) {
        char c = *r->p++;
        if (c == '"') return true;
        if (c == '\\' && r->p++ == r->end) return false;
    }
    return false;
}

static bool skip_parameter(struct reader *r)
{
    skip_space(r);
    if (take_token(r).len == 0 || !take(r, '=')) return false;
    return take(r, '"') ? skip_quoted(r) : take_token(r).len > 0;
}

/* Up to the comma behind it, or the end. */
static enum wf_wrong heed_member(struct weft_http_scan_ *s, struct reader *r)
{
    bool has_parameters = false;
    weft_text name = take_token(r);
    skip_space(r);
    while (take(r, ';')) {
        if (!skip_parameter(r)) return WF_WRONG_CODING;
        has_parameters = true;
        skip_space(r);
    }
    bool is_chunked = weft_text_is_nocase(name, "chunked");
    if (name.len == 0 || (s->seen_ & WF_SEEN_CHUNKED) ||
        (is_chunked && has_parameters))
        return WF_WRONG_CODING;
    s->seen_ |= is_chunked ? WF_SEEN_CHUNKED : WF_SEEN_OTHER_CODING;
    return WF_WRONG_NOTHING;
}

enum wf_wrong wf_http_heed_coding(struct weft_http_scan_ *s, weft_text value)
{
    struct reader r = {value.at, value.at + value.len};
    enum wf_wrong wrong;
    s->seen_ |= WF_SEEN_CODING;
    do {
        skip_space(&r);
        wrong = heed_member(s, &r);
        if (wrong) return wrong;
    } while (take(&r, ','));
    return r.p == r.end ? WF_WRONG_NOTHING : WF_WRONG_CODING;
}
