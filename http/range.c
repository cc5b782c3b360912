/* SPDX-License-Identifier: MIT */
/* range.c - which octets of something a Range asks for. */
#include "range.h"

#include <errno.h>
#include <string.h>

/* Digits; a number that is too large is the largest, as all that is done with
 * it is to be compared with a size. */
static bool take_number(weft_text *t, uint64_t *ret)
{
    size_t digits = 0;
    while (digits < t->len && t->at[digits] >= '0' && t->at[digits] <= '9')
        digits++;
    int err = weft_text_number((weft_text){t->at, digits}, ret);
    if (err == -ERANGE) *ret = UINT64_MAX;
    *t = (weft_text){t->at + digits, t->len - digits};
    return err != -EINVAL;
}

/* "first-last", "first-" or "-suffix". 1: one with octets in it; 0: with none;
 * -EINVAL: it is none; -ENODATA: all of nothing, which no 206 can say. */
static int parse_one(weft_text t, uint64_t size, struct wf_range *ret)
{
    uint64_t first = 0, last = UINT64_MAX;
    bool from_the_end = t.len > 0 && *t.at == '-';
    if (!from_the_end && !take_number(&t, &first)) return -EINVAL;
    if (t.len == 0 || *t.at != '-') return -EINVAL;
    t = (weft_text){t.at + 1, t.len - 1};
    if (from_the_end || t.len > 0)
        if (!take_number(&t, &last) || t.len > 0) return -EINVAL;
    if (from_the_end) {
        if (last == 0) return 0;
        if (size == 0) return -ENODATA;
        *ret = (struct wf_range){last < size ? size - last : 0, size - 1};
        return 1;
    }
    if (first > last) return -EINVAL;
    if (first >= size) return 0;
    *ret = (struct wf_range){first, last < size ? last : size - 1};
    return 1;
}

static bool overlap(const struct wf_range *a, const struct wf_range *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Adds one; those that it overlaps become one with it in the place of the first
 * of them. As they do not overlap each other, none is touched only by that. */
static int add(struct wf_range *ranges, int count, const struct wf_range *added)
{
    struct wf_range joined = *added;
    int into = -1, kept = 0;
    for (int i = 0; i < count; i++) {
        if (!overlap(&ranges[i], added)) {
            ranges[kept++] = ranges[i];
            continue;
        }
        if (ranges[i].first < joined.first) joined.first = ranges[i].first;
        if (ranges[i].last > joined.last) joined.last = ranges[i].last;
        if (into < 0) into = kept++;
    }
    if (into < 0) into = kept++;
    ranges[into] = joined;
    return kept;
}

/* A member of the list, which is not empty; false: none is left. */
static bool next_member(weft_text *list, weft_text *ret)
{
    while (list->len > 0) {
        const char *comma = memchr(list->at, ',', list->len);
        size_t len = comma ? (size_t)(comma - list->at) : list->len;
        size_t taken = comma ? len + 1 : len;
        *ret = weft_text_trim((weft_text){list->at, len});
        *list = (weft_text){list->at + taken, list->len - taken};
        if (ret->len > 0) return true;
    }
    return false;
}

int wf_ranges_parse(weft_text value, uint64_t size, struct wf_range *ranges)
{
    static const char unit[] = "bytes=";
    const size_t unit_len = sizeof unit - 1;
    if (value.len < unit_len ||
        !weft_text_is_nocase((weft_text){value.at, unit_len}, unit))
        return 0;
    weft_text list = {value.at + unit_len, value.len - unit_len}, member;
    int count = 0, members = 0;
    bool pass_over = false;
    while (next_member(&list, &member)) {
        struct wf_range r;
        int had = parse_one(member, size, &r);
        if (had == -EINVAL || ++members > WEFT_HTTP_RANGES) return 0;
        if (had == -ENODATA) pass_over = true;
        if (had > 0) count = add(ranges, count, &r);
    }
    if (members == 0 || pass_over) return 0;
    return count > 0 ? count : -ERANGE;
}
