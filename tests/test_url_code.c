/* SPDX-License-Identifier: MIT */
/* test_url_code.c - percent coding, and queries and forms made of it. */
#include <weft/error.h>
#include <weft/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "texts.h"

static weft_text text(const char *s)
{
    return weft_text_of(s);
}

static const char *decoded(const char *s, bool plus_is_space)
{
    static char buf[300];
    ssize_t len = weft_url_decode(text(s), buf, sizeof buf, plus_is_space);
    CHECK(len >= 0);
    CHECK_EQ(len, strlen(buf));
    return buf;
}

/* ---- percent coding ----------------------------------------------------- */

TEST_PLAIN(escapes_of_either_case_become_octets)
{
    CHECK_STR(decoded("a%20b%2Fc%2fd%7E", false), "a b/c/d~");
    CHECK_STR(decoded("%C3%A9%ff", false), "\xc3\xa9\xff");
    CHECK_STR(decoded("%2541", false), "%41"); /* once, and no more */
    CHECK_STR(decoded("", false), "");
    CHECK_STR(decoded("\xe9 \x01?", false), "\xe9 \x01?");
}

TEST_PLAIN(a_plus_is_a_space_only_where_that_is_asked_for)
{
    CHECK_STR(decoded("a+b%2B", false), "a+b+");
    CHECK_STR(decoded("a+b%2B", true), "a b+");
}

TEST_PLAIN(bad_escapes_and_zeros_are_refused_with_their_place)
{
    char buf[32];
    CHECK_EQ(weft_url_decode(text("ab%"), buf, sizeof buf, true), -EINVAL);
    CHECK_SAID("behind the % at 2");
    CHECK_EQ(weft_url_decode(text("ab%4"), buf, sizeof buf, true), -EINVAL);
    CHECK_EQ(weft_url_decode((weft_text){"%41", 2}, buf, sizeof buf, true),
             -EINVAL);
    CHECK_EQ(weft_url_decode(text("%4g"), buf, sizeof buf, true), -EINVAL);
    CHECK_EQ(weft_url_decode(text("%+1"), buf, sizeof buf, true), -EINVAL);
    CHECK_EQ(weft_url_decode(text("a%00b"), buf, sizeof buf, true), -EINVAL);
    CHECK_SAID("%00 at 1");
    CHECK_EQ(weft_url_decode((weft_text){"a\0b", 3}, buf, sizeof buf, true),
             -EINVAL);
    CHECK_SAID("0x00 at 1");
}

TEST_PLAIN(decoding_takes_room_for_the_result_and_its_0)
{
    char buf[4];
    CHECK_EQ(weft_url_decode(text("%61b%63"), buf, 4, false), 3);
    CHECK_STR(buf, "abc");
    CHECK_EQ(weft_url_decode(text("%61b%63"), buf, 3, false), -ENOBUFS);
    CHECK_EQ(weft_url_decode(text(""), buf, 0, false), -ENOBUFS);
    CHECK_EQ(weft_url_decode((weft_text){NULL, 0}, buf, 1, false), 0);
    CHECK_STR(buf, "");
}

TEST_PLAIN(a_text_can_be_decoded_where_it_stands)
{
    char buf[] = "%61+%62";
    CHECK_EQ(weft_url_decode((weft_text){buf, 7}, buf, sizeof buf, true), 3);
    CHECK_STR(buf, "a b");
}

TEST_PLAIN(all_but_unreserved_octets_are_encoded)
{
    for (int c = 0; c < 256; c++) {
        char octet = (char)c, buf[4], want[4];
        bool plain = c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
                                      "opqrstuvwxyz0123456789-._~",
                                      c);
        (void)snprintf(want, sizeof want, plain ? "%c" : "%%%02X", c);
        CHECK_EQ(weft_url_encode((weft_text){&octet, 1}, buf, 4, false),
                 strlen(want));
        CHECK_STR(buf, want);
        if (c != 0) CHECK_EQ(decoded(buf, true)[0], octet);
    }
}

TEST_PLAIN(a_space_is_a_plus_only_where_that_is_asked_for)
{
    char buf[16];
    CHECK_EQ(weft_url_encode(text("a +"), buf, sizeof buf, false), 7);
    CHECK_STR(buf, "a%20%2B");
    CHECK_EQ(weft_url_encode(text("a +"), buf, sizeof buf, true), 5);
    CHECK_STR(buf, "a+%2B");
    CHECK_EQ(weft_url_encode(text("a +"), buf, 6, true), 5);
    CHECK_EQ(weft_url_encode(text("a +"), buf, 5, true), -ENOBUFS);
    CHECK_EQ(weft_url_encode(text(""), buf, 0, true), -ENOBUFS);
    CHECK_EQ(weft_url_encode((weft_text){NULL, 0}, buf, 1, true), 0);
    CHECK_STR(buf, "");
}

/* ---- queries ------------------------------------------------------------ */

/* "name=value;" for each pair, with - for a value that is not there. */
static const char *pairs(const char *query)
{
    static char line[300];
    weft_text left = text(query), name, value;
    size_t len = 0;
    line[0] = 0;
    while (weft_query_next(&left, &name, &value))
        len += (size_t)snprintf(line + len, sizeof line - len, "%s=%s;",
                                text_shown(name),
                                value.at ? text_shown(value) : "-");
    CHECK_EQ(left.len, 0);
    CHECK(!weft_query_next(&left, &name, &value));
    return line;
}

TEST_PLAIN(pairs_come_in_order_as_they_stand)
{
    CHECK_STR(pairs("a=1&b=2"), "a=1;b=2;");
    CHECK_STR(pairs("a=1"), "a=1;");
    CHECK_STR(pairs("%61=+%20"), "%61=+%20;");
    CHECK_STR(pairs("a=b=c"), "a=b=c;");
    CHECK_STR(pairs("a;b=1"), "a;b=1;"); /* only & parts them */
}

TEST_PLAIN(values_and_names_may_be_empty_and_pairs_are_not)
{
    CHECK_STR(pairs("a"), "a=-;");
    CHECK_STR(pairs("a="), "a=;");
    CHECK_STR(pairs("="), "=;");
    CHECK_STR(pairs("=1"), "=1;");
    CHECK_STR(pairs(""), "");
    CHECK_STR(pairs("&&&"), "");
    CHECK_STR(pairs("&a&&b=&"), "a=-;b=;");
    CHECK_STR(pairs(NULL), "");
}

TEST_PLAIN(a_value_is_found_by_its_decoded_name)
{
    static const char query[] = "x%79=1&a+b=2&a=%zz&a%=3&xy=4&empty=&flag";
    char buf[8] = "?";
    weft_text value;
    CHECK_EQ(weft_query_get(text(query), "xy", buf, sizeof buf), 1);
    CHECK_STR(buf, "1"); /* the first */
    CHECK_EQ(weft_query_get(text(query), "a b", buf, sizeof buf), 1);
    CHECK_STR(buf, "2");
    CHECK_EQ(weft_query_get(text(query), "empty", buf, sizeof buf), 0);
    CHECK_STR(buf, "");
    CHECK_EQ(weft_query_get(text(query), "flag", buf, sizeof buf), 0);
    CHECK_EQ(weft_query_get(text(query), "x", buf, sizeof buf), -ENOENT);
    CHECK_EQ(weft_query_get(text(query), "xyz", buf, sizeof buf), -ENOENT);
    CHECK_EQ(weft_query_get(text(query), "", buf, sizeof buf), -ENOENT);
    CHECK_EQ(weft_query_get(text(query), "a%", buf, sizeof buf), -ENOENT);
    CHECK_EQ(weft_query_get(text(query), "a", buf, sizeof buf), -EINVAL);
    CHECK_EQ(weft_query_get(text(query), "xy", buf, 1), -ENOBUFS);
    CHECK_EQ(weft_query_get(text("=7"), "", buf, sizeof buf), 1);
    CHECK_EQ(weft_query_get(text(NULL), "a", buf, sizeof buf), -ENOENT);

    CHECK(weft_query_find(text(query), "flag", &value));
    CHECK(!value.at);
    CHECK(weft_query_find(text(query), "empty", &value));
    CHECK(value.at && value.len == 0);
    CHECK(weft_query_find(text(query), "a", &value));
    CHECK_TEXT(value, "%zz");
    value = text("as it was");
    CHECK(!weft_query_find(text(query), "b", &value));
    CHECK_TEXT(value, "as it was");
}

TEST_PLAIN(octets_above_127_are_compared_as_octets)
{
    char buf[8];
    CHECK_EQ(weft_query_get(text("%C3%A9=1"), "\xc3\xa9", buf, sizeof buf), 1);
    CHECK_EQ(weft_query_get(text("\xc3\xa9=1"), "\xc3\xa9", buf, sizeof buf),
             1);
}

/* ---- building ----------------------------------------------------------- */

TEST_PLAIN(a_form_is_built_pair_by_pair)
{
    char buf[64];
    size_t len = 0;
    CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text("a b"), text("1&2")),
             0);
    CHECK_STR(buf, "a+b=1%262");
    CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text("c"), text("")), 0);
    CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text("d"), text(NULL)), 0);
    CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text("="), text("+\n")), 0);
    CHECK_STR(buf, "a+b=1%262&c=&d&%3D=%2B%0A");
    CHECK_EQ(len, strlen(buf));
}

TEST_PLAIN(a_pair_follows_a_question_mark_without_an_ampersand)
{
    char buf[64] = "http://h/x?";
    size_t len = strlen(buf);
    CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text("a"), text("1")), 0);
    CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text("b"), text("2")), 0);
    CHECK_STR(buf, "http://h/x?a=1&b=2");
    strcpy(buf, "?a&");
    len = 3;
    CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text("b"), text("2")), 0);
    CHECK_STR(buf, "?a&b=2");
}

TEST_PLAIN(a_pair_without_room_changes_nothing)
{
    for (size_t room = 0; room <= 8; room++) {
        char *buf = malloc(room ? room : 1); /* with nothing behind it */
        CHECK(buf);
        memset(buf, 'x', room ? room : 1);
        size_t len = room < 2 ? room : 2;
        int err = weft_query_add(buf, room, &len, text("a"), text(" /"));
        CHECK_EQ(err, -ENOBUFS); /* xx&a=+%2F and a 0 are 10 octets */
        CHECK_EQ(len, room < 2 ? room : 2);
        for (size_t i = 0; i < room; i++)
            CHECK_EQ(buf[i], 'x');
        free(buf);
    }
    char buf[10] = "xx";
    size_t len = 2;
    CHECK_EQ(weft_query_add(buf, 9, &len, text("a"), text(" /")), -ENOBUFS);
    CHECK_EQ(weft_query_add(buf, 10, &len, text("a"), text(" /")), 0);
    CHECK_STR(buf, "xx&a=+%2F");
}

TEST_PLAIN(what_is_built_is_read_back)
{
    static unsigned long long state;
    state = test_seed();
    for (int i = 0; i < 2000; i++) {
        char name[9], value[9], buf[64], back[9];
        size_t len = 0;
        for (size_t j = 0; j < 8; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            name[j] = (char)(1 + (state >> 33) % 255);
            value[j] = (char)(1 + (state >> 43) % 255);
        }
        name[8] = value[8] = 0;
        CHECK_EQ(weft_query_add(buf, sizeof buf, &len, text(name), text(value)),
                 0);
        CHECK_EQ(weft_query_get(text(buf), name, back, sizeof back), 8);
        CHECK_STR(back, value);
    }
}
