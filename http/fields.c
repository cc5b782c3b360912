/* SPDX-License-Identifier: MIT */
/* fields.c - finding fields, and the items of lists. */
#include <weft/http.h>

static weft_text name_of(const weft_http_fields *f, size_t i)
{
    return (weft_text){f->base + f->marks[i].name, f->marks[i].name_len};
}

static weft_text value_of(const weft_http_fields *f, size_t i)
{
    return (weft_text){f->base + f->marks[i].value, f->marks[i].value_len};
}

static bool find(const weft_http_fields *f, weft_text name, size_t *at)
{
    for (; *at < f->count; ++*at)
        if (f->marks[*at].name_len == name.len &&
            weft_text_equal_nocase(name_of(f, *at), name))
            return true;
    return false;
}

bool weft_http_field_next(const weft_http_fields *f, const char *name,
                          size_t *at, weft_text *ret_value)
{
    if (!find(f, weft_text_of(name), at)) return false;
    *ret_value = value_of(f, (*at)++);
    return true;
}

weft_text weft_http_field(const weft_http_fields *f, const char *name)
{
    weft_text value = {NULL, 0};
    size_t at = 0;
    (void)weft_http_field_next(f, name, &at, &value);
    return value;
}

bool weft_http_field_at(const weft_http_fields *f, size_t i,
                        weft_text *ret_name, weft_text *ret_value)
{
    if (i >= f->count) return false;
    if (ret_name) *ret_name = name_of(f, i);
    if (ret_value) *ret_value = value_of(f, i);
    return true;
}

/* ---- lists -------------------------------------------------------------- */

/* The next comma that is not within quotes, or the end. */
static size_t item_len(weft_text list)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < list.len; i++) {
        char c = list.at[i];
        if (c == ',' && !quoted) break;
        if (c == '"') quoted = !quoted;
        if (c == '\\' && quoted && i + 1 < list.len) i++;
    }
    return i;
}

static void skip(weft_text *list, size_t n)
{
    if (n > list->len) n = list->len;
    if (n > 0) list->at += n;
    list->len -= n;
}

bool weft_http_list_next(weft_text *list, weft_text *ret_item)
{
    while (list->len > 0) {
        size_t len = item_len(*list);
        weft_text item = weft_text_trim((weft_text){list->at, len});
        skip(list, len + 1);
        if (item.len == 0) continue;
        *ret_item = item;
        return true;
    }
    return false;
}

bool weft_http_list_has(const weft_http_fields *f, const char *name,
                        const char *token)
{
    weft_text line, item;
    for (size_t at = 0; weft_http_field_next(f, name, &at, &line);)
        while (weft_http_list_next(&line, &item))
            if (weft_text_is_nocase(item, token)) return true;
    return false;
}
