/* SPDX-License-Identifier: MIT */
/* http_model_fields.c - field lines, and those that say how long a body is (RFC
 * 9112, 5 and 6). */
#include "http_model_parts.h"

static bool is_length(struct model *m, struct span s)
{
    m->length = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.at[i])) return false;
        uint64_t digit = (uint64_t)(s.at[i] - '0');
        if (m->length > (INT64_MAX - digit) / 10) return false;
        m->length = m->length * 10 + digit;
    }
    return s.len > 0;
}

/* The end of a list's first member: a comma outside of quotes. */
static size_t member(struct span s)
{
    bool quoted = false;
    size_t i;
    for (i = 0; i < s.len && (quoted || s.at[i] != ','); i++) {
        if (quoted && s.at[i] == '\\') i++;
        if (i < s.len && s.at[i] == '"') quoted = !quoted;
    }
    return i < s.len ? i : s.len;
}

/* How many octets of a token, or of a quoted string, are in front. */
static size_t token_in_front(struct span s)
{
    size_t len = 0;
    while (len < s.len && is_token_octet((unsigned char)s.at[len]))
        len++;
    return len;
}

static size_t quoted_in_front(struct span s)
{
    for (size_t i = 1; i < s.len && s.at[0] == '"'; i++) {
        if (s.at[i] == '"') return i + 1;
        if (s.at[i] == '\\') i++;
    }
    return 0;
}

/* *( OWS ";" OWS token "=" ( token / quoted-string ) ), and no space around the
 * equals sign. */
static bool parameters(struct span s)
{
    while (s.len > 0) {
        if (s.at[0] != ';') return false;
        s = trimmed(without(s, 1));
        size_t len = token_in_front(s);
        s = without(s, len);
        if (len == 0 || s.len == 0 || s.at[0] != '=') return false;
        s = without(s, 1);
        len = token_in_front(s) + quoted_in_front(s);
        if (len == 0) return false;
        s = trimmed(without(s, len));
    }
    return true;
}

/* token parameters */
static bool coding(struct model *m, struct span s)
{
    size_t name = token_in_front(s);
    struct span rest = trimmed(without(s, name));
    if (name == 0 || !parameters(rest) || m->has_chunked) return false;
    m->has_chunked = same(part(s, 0, name), "chunked");
    if (m->has_chunked) return rest.len == 0;
    m->has_other_coding = true;
    return true;
}

static bool codings(struct model *m, struct span s)
{
    for (;;) {
        size_t end = member(s);
        if (!coding(m, trimmed(part(s, 0, end)))) return false;
        if (end == s.len) return true;
        s = without(s, end + 1);
    }
}

/* What can be said of a line by itself, or of it and those before it. */
bool model_line_is_right(struct model *m, const struct field *f)
{
    if (same(f->name, "content-length")) {
        bool again = m->has_length;
        m->has_length = true;
        return is_length(m, f->value) && !again;
    }
    if (same(f->name, "transfer-encoding")) {
        m->has_coding = true;
        return codings(m, f->value);
    }
    if (same(f->name, "host") && !m->is_response) {
        bool again = m->has_host;
        m->has_host = true;
        if (!m->authority.at) m->authority = f->value;
        return model_is_authority(f->value, false) && !again;
    }
    return true;
}

static bool field_line(struct model *m, struct field *f)
{
    size_t from = m->at;
    int c;
    while ((c = next_of_head(m)) >= 0 && is_token_octet(c))
        m->at++;
    if (c < 0) return false;
    f->name = since(m, from);
    if (f->name.len == 0 || c != ':') return refuse(m, 400);
    from = ++m->at;
    while ((c = next_of_head(m)) >= 0 && is_value_octet(c))
        m->at++;
    if (c < 0) return false;
    f->value = trimmed(since(m, from));
    return line_end(m);
}

bool model_field_section(struct model *m, model_right *right)
{
    for (m->count = 0;; m->count++) {
        int c = next_of_head(m);
        if (c < 0) return false;
        if (c == '\r') return line_end(m);
        if (m->count == FIELD_LIMIT) return refuse(m, 431);
        struct field *f = &m->fields[m->count];
        if (!field_line(m, f)) return false;
        if (!right(m, f)) return refuse(m, 400);
    }
}

size_t model_members(const struct model *m, const char *name, const char *token,
                     bool wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct span s = m->fields[i].value;
        if (!same(m->fields[i].name, name)) continue;
        while (s.len > 0) {
            size_t end = member(s);
            struct span one = trimmed(part(s, 0, end));
            count += one.len > 0 && same(one, token) == wanted;
            s = without(s, end < s.len ? end + 1 : end);
        }
    }
    return count;
}

bool model_has(const struct model *m, const char *name, const char *token)
{
    return model_members(m, name, token, true) > 0;
}

bool model_keeps(const struct model *m)
{
    if (model_has(m, "connection", "close")) return false;
    return m->minor > 0 || model_has(m, "connection", "keep-alive");
}

bool model_asks_for_another(const struct model *m)
{
    return m->minor > 0 && model_members(m, "upgrade", "", false) > 0 &&
           model_has(m, "connection", "upgrade");
}
