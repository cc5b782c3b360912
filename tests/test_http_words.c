/* SPDX-License-Identifier: MIT */
/* test_http_words.c - verbs, reasons, fields, lists and what may be sent. */
#include <weft/http.h>

#include <string.h>

#include "harness.h"
#include "http/scan.h"

TEST_PLAIN(a_verb_is_known_by_its_exact_name)
{
    for (int v = WEFT_HTTP_GET; v <= WEFT_HTTP_PATCH; v++) {
        const char *name = weft_http_verb_name((weft_http_verb)v);
        CHECK_EQ(weft_http_verb_of(weft_text_of(name)), v);
        char other[8];
        CHECK_EQ(weft_text_copy(weft_text_of(name), other, sizeof other), 0);
        for (size_t i = 0; other[i]; i++) {
            other[i] ^= 32;
            CHECK_EQ(weft_http_verb_of(weft_text_of(other)), WEFT_HTTP_OTHER);
            other[i] ^= 32;
        }
    }
    static const char *const others[] = {
        "",     "G",    "GETS",  "PUTT",    "BREW", "UPDATE",
        "LINK", "COPY", "MKCOL", "REPORTS", "FOO",  "OPTIONSX"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK_EQ(weft_http_verb_of(weft_text_of(others[i])), WEFT_HTTP_OTHER);
    CHECK_STR(weft_http_verb_name(WEFT_HTTP_OTHER), "");
    CHECK_STR(weft_http_verb_name((weft_http_verb)99), "");
}

TEST_PLAIN(verbs_are_safe_and_idempotent_as_rfc_9110_says)
{
    static const struct {
        weft_http_verb verb;
        bool safe, idempotent;
    } rows[] = {
        {WEFT_HTTP_OTHER, false, false},   {WEFT_HTTP_GET, true, true},
        {WEFT_HTTP_HEAD, true, true},      {WEFT_HTTP_POST, false, false},
        {WEFT_HTTP_PUT, false, true},      {WEFT_HTTP_DELETE, false, true},
        {WEFT_HTTP_CONNECT, false, false}, {WEFT_HTTP_OPTIONS, true, true},
        {WEFT_HTTP_TRACE, true, true},     {WEFT_HTTP_PATCH, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_EQ(weft_http_verb_is_safe(rows[i].verb), rows[i].safe);
        CHECK_EQ(weft_http_verb_is_idempotent(rows[i].verb),
                 rows[i].idempotent);
    }
}

TEST_PLAIN(a_registered_status_has_its_phrase_and_no_other_has_one)
{
    CHECK_STR(weft_http_reason(100), "Continue");
    CHECK_STR(weft_http_reason(200), "OK");
    CHECK_STR(weft_http_reason(404), "Not Found");
    CHECK_STR(weft_http_reason(431), "Request Header Fields Too Large");
    CHECK_STR(weft_http_reason(511), "Network Authentication Required");
    int known = 0;
    for (int status = -1; status < 1100; status++)
        known += *weft_http_reason(status) != 0;
    CHECK_EQ(known, 61);
}

/* ---- fields ------------------------------------------------------------- */

static const char head[] = "A: 1, x\r\nbb: 2\r\na: \"1,x\", y\r\nc:\r\n";
static weft_http_mark marks[] = {
    {.name = 0, .name_len = 1, .value = 3, .value_len = 4},
    {.name = 9, .name_len = 2, .value = 13, .value_len = 1},
    {.name = 16, .name_len = 1, .value = 19, .value_len = 8},
    {.name = 29, .name_len = 1, .value = 31, .value_len = 0},
};
static const weft_http_fields fields = {
    .base = head, .marks = marks, .count = 4, .room = 4};

TEST_PLAIN(fields_are_found_by_name_and_by_number)
{
    weft_text name, value;
    CHECK(weft_text_is(weft_http_field(&fields, "a"), "1, x"));
    CHECK(weft_text_is(weft_http_field(&fields, "BB"), "2"));
    CHECK(weft_http_field(&fields, "c").at &&
          weft_http_field(&fields, "c").len == 0);
    CHECK(!weft_http_field(&fields, "b").at);
    CHECK(!weft_http_field(&fields, "").at);
    CHECK(weft_http_field_at(&fields, 1, &name, &value));
    CHECK(weft_text_is(name, "bb") && weft_text_is(value, "2"));
    CHECK(weft_http_field_at(&fields, 3, NULL, NULL));
    CHECK(!weft_http_field_at(&fields, 4, &name, &value));
    CHECK(weft_text_is(name, "bb"));
    static const weft_http_fields none;
    CHECK(!weft_http_field(&none, "a").at);
}

TEST_PLAIN(all_lines_of_a_name_come_in_their_order)
{
    weft_text value;
    size_t at = 0;
    CHECK(weft_http_field_next(&fields, "a", &at, &value));
    CHECK(weft_text_is(value, "1, x") && at == 1);
    CHECK(weft_http_field_next(&fields, "A", &at, &value));
    CHECK(weft_text_is(value, "\"1,x\", y") && at == 3);
    CHECK(!weft_http_field_next(&fields, "a", &at, &value));
    CHECK(weft_http_list_has(&fields, "a", "X"));
    CHECK(weft_http_list_has(&fields, "a", "y"));
    CHECK(!weft_http_list_has(&fields, "a", "z"));
    CHECK(!weft_http_list_has(&fields, "bb", "x"));
}

TEST_PLAIN(a_list_gives_its_items_trimmed_and_quoted_strings_whole)
{
    static const struct {
        const char *list, *items;
    } rows[] = {
        {"", ""},
        {" \t", ""},
        {",, ,\t,", ""},
        {"a", "a|"},
        {" a ,b\t", "a|b|"},
        {",a,,b,", "a|b|"},
        {"a;q=\"x,y\",b", "a;q=\"x,y\"|b|"},
        {"\"a\\\",b\",c", "\"a\\\",b\"|c|"},
        {"\"a,b", "\"a,b|"},
        {"\"a\\", "\"a\\|"},
        {"a\\,b", "a\\|b|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char items[64] = "";
        weft_text list = weft_text_of(rows[i].list), item;
        const char *end = list.at + list.len;
        while (weft_http_list_next(&list, &item)) {
            CHECK(item.at + item.len <= end);
            strncat(items, item.at, item.len);
            strcat(items, "|");
        }
        CHECK_STR(items, rows[i].items);
        CHECK_EQ(list.len, 0);
    }
    weft_text none = {NULL, 0}, item;
    CHECK(!weft_http_list_next(&none, &item));
}

/* ---- what may be sent --------------------------------------------------- */

TEST_PLAIN(each_octet_may_be_sent_where_the_grammar_has_it)
{
    for (int c = 0; c < 256; c++) {
        char three[] = {'a', (char)c, 'a'};
        weft_text in = {three, 3}, alone = {three + 1, 1};
        bool visible = c > 0x20 && c < 0x7f;
        bool token = visible && !strchr("\"(),/:;<=>?@[\\]{}", c);
        bool value = visible || c >= 0x80;
        bool target = visible && c != '#' && c != '%';
        CHECK_EQ(weft_http_is_token(in), token);
        CHECK_EQ(weft_http_is_token(alone), token);
        CHECK_EQ(weft_http_is_value(alone), value);
        CHECK_EQ(weft_http_is_value(in), value || c == ' ' || c == '\t');
        CHECK_EQ(weft_http_is_target(in), target);
        CHECK_EQ(weft_http_is_target(alone), target);
    }
    CHECK(!weft_http_is_token(weft_text_of("")));
    CHECK(weft_http_is_value(weft_text_of("")));
    CHECK(!weft_http_is_value(weft_text_of(" a")));
    CHECK(!weft_http_is_value(weft_text_of("a\t")));
    CHECK(!weft_http_is_target(weft_text_of("")));
    CHECK(weft_http_is_target(weft_text_of("/%41%fF")));
    CHECK(!weft_http_is_target(weft_text_of("/%4")));
    CHECK(!weft_http_is_target(weft_text_of("/%")));
    CHECK(!weft_http_is_target(weft_text_of("/%g1")));
    CHECK(!weft_http_is_target(weft_text_of("/%1g")));
}

/* ---- scans -------------------------------------------------------------- */

/* One octet that is `c`, at each place of runs of each length; and what stands
 * before it and behind the end is of the other kind. */
static void check_scan(const char *(*fast)(const char *, const char *),
                       const char *(*words)(const char *, const char *),
                       bool (*stops)(unsigned char), int c)
{
    enum { MOST = 40, BEFORE = 3 };
    char octets[BEFORE + MOST + 1];
    bool is_stop = stops((unsigned char)c);
    for (int len = 0; len <= MOST; len++)
        for (int at = 0; at < len; at++) {
            memset(octets, 'a', sizeof octets);
            memset(octets, 1, BEFORE);
            octets[BEFORE + len] = 1;
            octets[BEFORE + at] = (char)c;
            const char *run = octets + BEFORE;
            const char *stop = run + (is_stop ? at : len);
            CHECK_PTR(fast(run, run + len), stop);
            CHECK_PTR(words(run, run + len), stop);
        }
}

TEST_PLAIN(a_scan_stops_at_the_first_octet_of_another_kind_and_at_no_other)
{
    for (int c = 0; c < 256; c++) {
        check_scan(wf_scan_value, wf_words_value, wf_octet_stops_value, c);
        check_scan(wf_scan_target, wf_words_target, wf_octet_stops_target, c);
        check_scan(wf_scan_name, wf_words_name, wf_octet_stops_name, c);
    }
}

TEST_PLAIN(octets_stop_a_scan_as_their_grammar_says)
{
    for (int c = 0; c < 256; c++) {
        unsigned char octet = (unsigned char)c;
        char text[] = {(char)c};
        weft_text t = {text, 1};
        bool value = weft_http_is_value(t) || c == ' ' || c == '\t';
        CHECK_EQ(wf_octet_stops_value(octet), !value);
        bool target = weft_http_is_target(t) && c != '?';
        CHECK_EQ(wf_octet_stops_target(octet), !target);
        bool name =
            weft_http_is_token(t) && (c == '-' || !strchr("!#$%&'*+.^_`|~", c));
        CHECK_EQ(wf_octet_stops_name(octet), !name);
    }
}
