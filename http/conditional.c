/* SPDX-License-Identifier: MIT */
/*
 * conditional.c - whether a request wants what there is.
 *
 * A list of tags that is malformed somewhere counts up to that place. A date
 * that is none, or is there twice, is as if it were not there (13.1.3, 13.1.4).
 */
#include "conditional.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* While so many seconds have not passed since a change there may be another of
 * the same time. File systems count by 1 ns to 10 ms; FAT by 2 s. */
enum { TICK = 2 };

void wf_validators_of(struct wf_validators *ret, uint64_t size,
                      struct wf_moment modified, struct wf_moment changed,
                      int64_t now)
{
    int64_t newest =
        modified.seconds > changed.seconds ? modified.seconds : changed.seconds;
    ret->exact = newest < now - TICK;
    ret->modified = modified.seconds < now ? modified.seconds : now;
    (void)snprintf(ret->etag, sizeof ret->etag,
                   "%s\"%" PRIx64 "-%" PRIx64 ".%lx-%" PRIx64 ".%lx\"",
                   ret->exact ? "" : "W/", size, (uint64_t)modified.seconds,
                   (unsigned long)modified.nanoseconds,
                   (uint64_t)changed.seconds,
                   (unsigned long)changed.nanoseconds);
}

/* ---- tags --------------------------------------------------------------- */

struct tag {
    bool weak;
    weft_text opaque; /* with its quotes */
};

/* Takes a tag off the front of *t. */
static bool take_tag(weft_text *t, struct tag *ret)
{
    ret->weak = t->len > 1 && t->at[0] == 'W' && t->at[1] == '/';
    size_t from = ret->weak ? 2 : 0, i = from + 1;
    if (from >= t->len || t->at[from] != '"') return false;
    while (i < t->len && (unsigned char)t->at[i] > ' ' && t->at[i] != '"' &&
           t->at[i] != 127)
        i++;
    if (i == t->len || t->at[i] != '"') return false;
    ret->opaque = (weft_text){t->at + from, i + 1 - from};
    *t = (weft_text){t->at + i + 1, t->len - i - 1};
    return true;
}

static bool same(const struct tag *t, const struct wf_validators *v,
                 bool strong)
{
    struct tag ours;
    weft_text text = weft_text_of(v->etag);
    if (!take_tag(&text, &ours)) return false;
    if (strong && (t->weak || ours.weak)) return false;
    return weft_text_equal(t->opaque, ours.opaque);
}

static void pass_over_commas(weft_text *t)
{
    while (t->len > 0 && (*t->at == ',' || *t->at == ' ' || *t->at == '\t'))
        *t = (weft_text){t->at + 1, t->len - 1};
}

/* Tags may have commas in them, and no escapes, so they are no usual list. */
static bool line_has(weft_text line, const struct wf_validators *v, bool strong)
{
    struct tag t;
    if (weft_text_is(line, "*")) return true;
    for (pass_over_commas(&line); take_tag(&line, &t);) {
        if (same(&t, v, strong)) return true;
        size_t left = line.len;
        line = weft_text_trim(line);
        if (left > 0 && line.len > 0 && *line.at != ',') return false;
        pass_over_commas(&line);
    }
    return false;
}

static bool any_line_has(const weft_http_fields *f, const char *name,
                         const struct wf_validators *v, bool strong)
{
    weft_text line;
    size_t at = 0;
    while (weft_http_field_next(f, name, &at, &line))
        if (line_has(line, v, strong)) return true;
    return false;
}

/* ---- conditions --------------------------------------------------------- */

/* The value of a field that is there once. */
static bool only_value(const weft_http_fields *f, const char *name,
                       weft_text *ret)
{
    weft_text again;
    size_t at = 0;
    return weft_http_field_next(f, name, &at, ret) &&
           !weft_http_field_next(f, name, &at, &again);
}

static bool date_of(const weft_http_fields *f, const char *name, int64_t *ret)
{
    weft_text value;
    return only_value(f, name, &value) && weft_http_date_parse(value, ret) == 0;
}

static bool is_there(const weft_http_fields *f, const char *name)
{
    return weft_http_field(f, name).at != NULL;
}

int wf_conditions(const weft_http_fields *f, const struct wf_validators *v)
{
    int64_t date;
    if (is_there(f, "if-match")) {
        if (!any_line_has(f, "if-match", v, true)) return 412;
    } else if (date_of(f, "if-unmodified-since", &date)) {
        if (v->modified > date) return 412;
    }
    if (is_there(f, "if-none-match"))
        return any_line_has(f, "if-none-match", v, false) ? 304 : 0;
    if (date_of(f, "if-modified-since", &date) && v->modified <= date)
        return 304;
    return 0;
}

bool wf_range_holds(const weft_http_fields *f, const struct wf_validators *v)
{
    weft_text value;
    struct tag t;
    int64_t date;
    if (!is_there(f, "if-range")) return true;
    if (!only_value(f, "if-range", &value)) return false;
    if (weft_http_date_parse(value, &date) == 0)
        return v->exact && date == v->modified;
    return take_tag(&value, &t) && value.len == 0 && same(&t, v, true);
}
