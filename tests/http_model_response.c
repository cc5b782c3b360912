/* SPDX-License-Identifier: MIT */
/* http_model_response.c - those before the final one, and that. */
#include "http_model_parts.h"

static bool status_code(struct model *m)
{
    for (int i = 0; i < 3; i++) {
        int digit;
        if (!a_digit(m, &digit)) return false;
        if (i == 0 && digit == 0) return refuse(m, 400);
        m->status = m->status * 10 + digit;
    }
    return octet(m, ' ');
}

static bool reason(struct model *m)
{
    size_t from = m->at;
    int c;
    while ((c = next_of_head(m)) >= 0 && is_value_octet(c))
        m->at++;
    m->reason = since(m, from);
    return c >= 0 && line_end(m);
}

static bool tunnels(const struct model *m, const char *asked)
{
    return m->status / 100 == 2 && strcmp(asked, "CONNECT") == 0;
}

static bool response_makes_sense(struct model *m, const char *asked)
{
    if (tunnels(m, asked) || !m->has_coding) return true;
    if (m->minor == 0 || m->has_length) return refuse(m, 400);
    return m->has_chunked && !m->has_other_coding ? true : refuse(m, 400);
}

static bool response_head(struct model *m, const char *asked)
{
    if (!version(m) || !octet(m, ' ') || !status_code(m) || !reason(m))
        return false;
    m->in_first_line = false;
    return model_field_section(m, model_line_is_right) &&
           response_makes_sense(m, asked);
}

static bool has_no_body(const struct model *m, const char *asked)
{
    return m->status / 100 == 1 || m->status == 204 || m->status == 304 ||
           strcmp(asked, "HEAD") == 0 || tunnels(m, asked);
}

static bool switches(const struct model *m, const char *asked)
{
    return tunnels(m, asked) || (m->status == 101 && model_asks_for_another(m));
}

static bool fail(const struct model *m, struct http_outcome *o)
{
    outcome_printf(o, m->verdict == MORE ? "! cut\n" : "! refused\n");
    return false;
}

static void tell_end(const struct model *m, struct http_outcome *o, bool keep)
{
    outcome_printf(o, !keep            ? " close\n"
                      : m->at < m->len ? " dirty\n"
                                       : " keep\n");
}

/* Not to be kept alive after one that tells of a body it must not have. */
static bool contradicts_itself(const struct model *m)
{
    return m->status == 204 && (m->has_coding || m->length > 0);
}

static bool until_close(struct model *m)
{
    return model_body_of_length(m, m->len - m->at);
}

static bool body_of_response(struct model *m, struct http_outcome *ret,
                             bool *keep)
{
    const char *framing = m->has_coding   ? "chunked"
                          : m->has_length ? "length"
                                          : "until-close";
    bool chunked = m->has_coding;
    if (!m->has_coding && !m->has_length) *keep = false;
    if (!(m->has_coding   ? model_chunked_body(m)
          : m->has_length ? model_body_of_length(m, m->length)
                          : until_close(m)))
        return false;
    model_tell_body(m, ret, framing);
    if (chunked) model_tell_fields(m, ret); /* the trailers */
    return true;
}

static bool final_response(struct model *m, const char *asked,
                           struct http_outcome *ret)
{
    size_t before = ret->len;
    bool keep = model_keeps(m) && !contradicts_itself(m);
    outcome_printf(ret, "%d", m->status);
    outcome_detail(ret, "reason", m->reason.at, m->reason.len);
    model_tell_fields(m, ret);
    if (!has_no_body(m, asked) && !body_of_response(m, ret, &keep)) {
        ret->len = before;
        return false;
    }
    tell_end(m, ret, keep);
    return true;
}

/* Returns whether another follows. */
static bool response(struct model *m, const char *asked,
                     struct http_outcome *ret)
{
    model_begin(m);
    if (!response_head(m, asked)) return fail(m, ret);
    if (switches(m, asked)) {
        outcome_printf(ret, "%d switch\n", m->status);
        return false;
    }
    if (m->status == 101) {
        m->verdict = 400;
        return fail(m, ret);
    }
    if (m->status / 100 == 1) {
        outcome_printf(ret, "%d interim\n", m->status);
        return true;
    }
    if (!final_response(m, asked, ret)) (void)fail(m, ret);
    return false;
}

size_t http_model_response(const char *octets, size_t len, const char *asked,
                           struct http_outcome *ret)
{
    struct model m = {.octets = octets, .len = len, .is_response = true};
    while (response(&m, asked, ret))
        ;
    outcome_free(&m.body);
    return m.at;
}
