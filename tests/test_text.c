/* SPDX-License-Identifier: MIT */
/* test_text.c - pieces of text: compared, trimmed, copied and read. */
#include <weft/text.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "texts.h"

static const weft_text none = {NULL, 0};

static weft_text text(const char *s)
{
    return weft_text_of(s);
}

TEST_PLAIN(a_text_is_as_long_as_its_string)
{
    CHECK_EQ(text("abc").len, 3);
    CHECK_EQ(text("").len, 0);
    CHECK(text("").at);
    CHECK_EQ(text(NULL).len, 0);
    CHECK(!text(NULL).at);
}

TEST_PLAIN(a_text_can_be_printed_even_if_it_is_not_there)
{
    char buf[16];
    (void)snprintf(buf, sizeof buf, "<%.*s>", WEFT_TEXT_ARGS(none));
    CHECK_STR(buf, "<>");
    weft_text part = {"abcdef", 3};
    (void)snprintf(buf, sizeof buf, "<%.*s>", WEFT_TEXT_ARGS(part));
    CHECK_STR(buf, "<abc>");
}

TEST_PLAIN(texts_are_equal_octet_by_octet)
{
    CHECK(weft_text_is(text("abc"), "abc"));
    CHECK(!weft_text_is(text("abc"), "abd"));
    CHECK(!weft_text_is(text("abc"), "ab"));
    CHECK(!weft_text_is(text("abc"), "abcd"));
    CHECK(!weft_text_is(text("abc"), "Abc"));
    CHECK(weft_text_equal((weft_text){"abx", 2}, (weft_text){"aby", 2}));
    CHECK(weft_text_equal((weft_text){"a\0b", 3}, (weft_text){"a\0b", 3}));
    CHECK(!weft_text_equal((weft_text){"a\0b", 3}, (weft_text){"a\0c", 3}));
    CHECK(!weft_text_is((weft_text){"a\0b", 3}, "a"));
}

TEST_PLAIN(a_text_that_is_not_there_equals_only_what_is_empty)
{
    CHECK(weft_text_is(none, ""));
    CHECK(weft_text_is(none, NULL));
    CHECK(weft_text_is_nocase(none, ""));
    CHECK(weft_text_equal(none, text("")));
    CHECK(weft_text_equal_nocase(text(""), none));
    CHECK(!weft_text_is(none, "a"));
    CHECK(!weft_text_equal_nocase(none, text("a")));
}

/* The neighbours of the letters, and what only differs in that bit. */
TEST_PLAIN(only_ascii_letters_have_a_case)
{
    CHECK(weft_text_is_nocase(text("azAZ09-_"), "AZaz09-_"));
    CHECK(!weft_text_is_nocase(text("@"), "`"));
    CHECK(!weft_text_is_nocase(text("["), "{"));
    CHECK(!weft_text_is_nocase(text("\xc3\x84"), "\xc3\xa4"));
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            char x = (char)a, y = (char)b;
            int low = a >= 'A' && a <= 'Z' ? a + 32 : a;
            bool same = low == (b >= 'A' && b <= 'Z' ? b + 32 : b);
            CHECK_EQ(
                weft_text_equal_nocase((weft_text){&x, 1}, (weft_text){&y, 1}),
                same);
        }
}

TEST_PLAIN(spaces_and_tabs_are_trimmed_and_nothing_else)
{
    CHECK_TEXT(weft_text_trim(text(" \t a b\t ")), "a b");
    CHECK_TEXT(weft_text_trim(text("a")), "a");
    CHECK_TEXT(weft_text_trim(text("\r a \n")), "\r a \n");
    CHECK_TEXT(weft_text_trim(text("\v")), "\v");
    CHECK_EQ(weft_text_trim(text(" \t ")).len, 0);
    CHECK(weft_text_trim(text(" \t ")).at);
    CHECK_TEXT(weft_text_trim(none), "(none)");
}

TEST_PLAIN(a_copy_ends_with_a_0_or_is_not_made)
{
    char buf[4] = "xyz";
    CHECK_EQ(weft_text_copy(text("abcd"), buf, sizeof buf), -ENAMETOOLONG);
    CHECK_EQ(weft_text_copy(text("a"), buf, 0), -ENAMETOOLONG);
    CHECK_EQ(weft_text_copy((weft_text){"a\0b", 3}, buf, 4), -EINVAL);
    CHECK_STR(buf, "xyz");
    CHECK_EQ(weft_text_copy(text("abc"), buf, sizeof buf), 0);
    CHECK_STR(buf, "abc");
    CHECK_EQ(weft_text_copy((weft_text){"ab", 1}, buf, 2), 0);
    CHECK_STR(buf, "a");
    CHECK_EQ(weft_text_copy(none, buf, 1), 0);
    CHECK_STR(buf, "");
}

TEST_PLAIN(a_number_is_digits_alone)
{
    static const char *const bad[] = {"",    "-1", "+1", " 1", "1 ",
                                      "0x1", "1a", ":",  "/",  "1.0"};
    uint64_t n = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(weft_text_number(text(bad[i]), &n), -EINVAL);
    CHECK_EQ(weft_text_number(none, &n), -EINVAL);
    CHECK_EQ(weft_text_number((weft_text){"1\0", 2}, &n), -EINVAL);
    CHECK_EQ(n, 7);
    CHECK_EQ(weft_text_number(text("0"), &n), 0);
    CHECK_EQ(n, 0);
    CHECK_EQ(weft_text_number(text("0009"), &n), 0);
    CHECK_EQ(n, 9);
    CHECK_EQ(weft_text_number((weft_text){"123", 2}, &n), 0);
    CHECK_EQ(n, 12);
}

TEST_PLAIN(a_number_is_of_64_bits_or_erange)
{
    uint64_t n = 7;
    CHECK_EQ(weft_text_number(text("18446744073709551615"), &n), 0);
    CHECK(n == UINT64_MAX);
    CHECK_EQ(weft_text_number(text("18446744073709551616"), &n), -ERANGE);
    CHECK_EQ(weft_text_number(text("18446744073709551620"), &n), -ERANGE);
    CHECK_EQ(weft_text_number(text("99999999999999999999999"), &n), -ERANGE);
    CHECK_EQ(weft_text_number(text("99999999999999999999999x"), &n), -EINVAL);
    CHECK(n == UINT64_MAX);
    CHECK_EQ(weft_text_number(text("00000000000000000000000000001"), &n), 0);
    CHECK_EQ(n, 1);
}
