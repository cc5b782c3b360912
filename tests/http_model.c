/* SPDX-License-Identifier: MIT */
/* http_model.c - requests, one behind the other. */
#include "http_model_parts.h"

/* ---- the request line (RFC 9112, 3) ------------------------------------- */

static bool method(struct model *m)
{
    size_t from = m->at;
    int c;
    while ((c = next_of_head(m)) >= 0 && is_token_octet(c)) {
        if (m->at - from == METHOD_LIMIT) return refuse(m, 501);
        m->at++;
    }
    if (c < 0) return false;
    m->method = since(m, from);
    return m->method.len > 0 ? octet(m, ' ') : refuse(m, 400);
}

static bool escape(struct model *m)
{
    for (int i = 0; i < 2; i++) {
        int c = next_of_head(m);
        if (c < 0) return false;
        if (hex_value(c) < 0) return refuse(m, 400);
        m->at++;
    }
    return true;
}

static bool target_octets(struct model *m)
{
    size_t from = m->at;
    int c;
    while ((c = next_of_head(m)) > ' ' && c < 0x7f && c != '#') {
        m->at++;
        if (c == '%' && !escape(m)) return false;
    }
    if (c < 0) return false;
    m->target = since(m, from);
    return m->target.len > 0 ? octet(m, ' ') : refuse(m, 400);
}

static void path_and_query(struct model *m, struct span s)
{
    const char *mark = memchr(s.at, '?', s.len);
    size_t path = mark ? (size_t)(mark - s.at) : s.len;
    m->path = path ? part(s, 0, path) : (struct span){"/", 1};
    m->query = mark ? part(s, path + 1, s.len) : (struct span){NULL, 0};
}

static bool absolute_form(struct model *m)
{
    struct span t = m->target;
    size_t from = 0, to;
    if (t.len >= 7 && strncasecmp(t.at, "http://", 7) == 0) from = 7;
    if (t.len >= 8 && strncasecmp(t.at, "https://", 8) == 0) from = 8;
    if (from == 0) return false;
    for (to = from; to < t.len && !is_one_of(t.at[to], "/?"); to++)
        ;
    m->authority = part(t, from, to);
    path_and_query(m, part(t, to, t.len));
    return model_is_authority(m->authority, false);
}

static bool target_has_a_form(struct model *m)
{
    if (is_exactly(m->method, "CONNECT")) {
        m->authority = m->target;
        return model_is_authority(m->target, true);
    }
    if (is_exactly(m->target, "*")) return is_exactly(m->method, "OPTIONS");
    if (m->target.at[0] != '/') return absolute_form(m);
    path_and_query(m, m->target);
    return true;
}

static bool request_line(struct model *m)
{
    if (!method(m) || !target_octets(m)) return false;
    if (!target_has_a_form(m)) return refuse(m, 400);
    return version(m) && line_end(m);
}

/* ---- requests ----------------------------------------------------------- */

void model_begin(struct model *m)
{
    struct http_outcome body = m->body;
    outcome_clear(&body);
    *m = (struct model){.octets = m->octets,
                        .len = m->len,
                        .at = m->at,
                        .head = m->at,
                        .line = m->at,
                        .is_response = m->is_response,
                        .in_first_line = true,
                        .body = body};
}

static bool empty_line_in_front(struct model *m)
{
    if (next(m) != '\r') return true;
    if (!line_end(m)) return false;
    m->line = m->at;
    return true;
}

static bool request_makes_sense(struct model *m)
{
    if (m->minor > 0 && !m->has_host) return refuse(m, 400);
    if (m->has_coding && m->minor == 0) return refuse(m, 400);
    if (m->has_coding && m->has_length) return refuse(m, 400);
    if (m->has_coding && !m->has_chunked) return refuse(m, 400);
    if (m->has_other_coding) return refuse(m, 501);
    if (m->minor > 0 && model_members(m, "expect", "100-continue", false) > 0)
        return refuse(m, 417);
    return true;
}

static bool request_head(struct model *m)
{
    if (!empty_line_in_front(m) || !request_line(m)) return false;
    m->in_first_line = false;
    return model_field_section(m, model_line_is_right) &&
           request_makes_sense(m);
}

/* ` name "value"` for each. */
void model_tell_fields(const struct model *m, struct http_outcome *o)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct field *f = &m->fields[i];
        outcome_detail(o, "name", f->name.at, f->name.len);
        outcome_detail(o, "value", f->value.at, f->value.len);
    }
}

void model_tell_body(const struct model *m, struct http_outcome *o,
                     const char *framing)
{
    outcome_printf(o, " %s ", framing);
    outcome_quote(o, m->body.text, m->body.len);
}

static void tell_request(const struct model *m, struct http_outcome *o)
{
    outcome_request(o, m->method.at, m->method.len, m->target.at,
                    m->target.len);
    outcome_detail(o, "path", m->path.at, m->path.len);
    outcome_detail(o, "query", m->query.at, m->query.len);
    outcome_detail(o, "host", m->authority.at, m->authority.len);
    if (m->minor > 0 && model_has(m, "expect", "100-continue"))
        outcome_detail(o, "expects", "", 0);
    if (model_asks_for_another(m)) outcome_detail(o, "upgrades", "", 0);
    model_tell_fields(m, o);
}

static void tell_verdict(const struct model *m, struct http_outcome *o)
{
    if (m->verdict == MORE)
        outcome_more(o);
    else
        outcome_refused(o, m->verdict);
}

static bool body_of_request(struct model *m, struct http_outcome *ret)
{
    bool chunked = m->has_coding;
    if (!chunked && !m->has_length) return true;
    if (!(chunked ? model_chunked_body(m) : model_body_of_length(m, m->length)))
        return false;
    model_tell_body(m, ret, chunked ? "chunked" : "length");
    if (chunked) model_tell_fields(m, ret); /* the trailers */
    return true;
}

/* Returns whether another can follow. */
static bool request(struct model *m, struct http_outcome *ret)
{
    size_t before = ret->len;
    bool keep = false;
    model_begin(m);
    bool whole = request_head(m);
    if (whole) {
        keep = model_keeps(m);
        tell_request(m, ret);
        whole = body_of_request(m, ret);
    }
    if (!whole) {
        ret->len = before;
        tell_verdict(m, ret);
        return false;
    }
    outcome_printf(ret, keep ? " keep\n" : " close\n");
    return keep;
}

void http_model_requests(const char *octets, size_t len,
                         struct http_outcome *ret)
{
    struct model m = {.octets = octets, .len = len};
    while (m.at < len && request(&m, ret))
        ;
    outcome_free(&m.body);
}
