/* SPDX-License-Identifier: MIT */
/* test_url_path.c - no path of a request leads out of its root. */
#include <weft/error.h>
#include <weft/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "texts.h"

static const char *normal(const char *path)
{
    static char buf[300];
    ssize_t len = weft_path_normalize(weft_text_of(path), buf, sizeof buf);
    if (len < 0)
        test_fail(__FILE__, __LINE__, "\"%s\": %s", path,
                  weft_last_error()->msg);
    CHECK_EQ(len, strlen(buf));
    return buf;
}

static void check_refused(const char *path, const char *why)
{
    char buf[300];
    if (weft_path_normalize(weft_text_of(path), buf, sizeof buf) != -EINVAL)
        test_fail(__FILE__, __LINE__, "\"%s\" was taken", path);
    CHECK_SAID(why);
}

TEST_PLAIN(a_path_is_decoded)
{
    CHECK_STR(normal("/a/b"), "/a/b");
    CHECK_STR(normal("/a%20b/%C3%A9"), "/a b/\xc3\xa9");
    CHECK_STR(normal("/a+b"), "/a+b");
    CHECK_STR(normal("/a%252e"), "/a%2e"); /* once, and no more */
    CHECK_STR(normal("/%3F%23;:@&="), "/?#;:@&=");
    CHECK_STR(normal("/..."), "/...");
    CHECK_STR(normal("/.a/..b/c."), "/.a/..b/c.");
}

TEST_PLAIN(dots_are_followed_escaped_or_not)
{
    CHECK_STR(normal("/a/./b"), "/a/b");
    CHECK_STR(normal("/a/../b"), "/b");
    CHECK_STR(normal("/a/b/../../c"), "/c");
    CHECK_STR(normal("/a/%2e%2E/b"), "/b");
    CHECK_STR(normal("/a/.%2e/b"), "/b");
    CHECK_STR(normal("/a/%2e/b"), "/a/b");
    CHECK_STR(normal("a/../b"), "b");
    CHECK_STR(normal("./a"), "a");
}

TEST_PLAIN(a_slash_at_the_end_stays_and_dots_leave_one)
{
    CHECK_STR(normal("/"), "/");
    CHECK_STR(normal("/a/"), "/a/");
    CHECK_STR(normal("/a/."), "/a/");
    CHECK_STR(normal("/a/b/.."), "/a/");
    CHECK_STR(normal("/a/b/../"), "/a/");
    CHECK_STR(normal("/a/.."), "/");
    CHECK_STR(normal("a/.."), "");
    CHECK_STR(normal("a/../"), "");
    CHECK_STR(normal("a/"), "a/");
    CHECK_STR(normal("/."), "/");
    CHECK_STR(normal("."), "");
}

TEST_PLAIN(empty_segments_are_left_out)
{
    CHECK_STR(normal("//"), "/");
    CHECK_STR(normal("//a///b//"), "/a/b/");
    CHECK_STR(normal("/a//../b"), "/b");
    CHECK_STR(normal("/.//a"), "/a");
    CHECK_STR(normal("a//b"), "a/b");
    CHECK_STR(normal("./"
                     "/a"),
              "a"); /* what had no root gets none */
    CHECK_STR(normal(""), "");
    CHECK_STR(normal(NULL), "");
}

TEST_PLAIN(what_leads_above_the_root_is_refused_even_if_it_comes_back)
{
    static const char *const bad[] = {
        "/..",        "/../",       "/../a",     "/a/../..",
        "..",         "../a",       "a/../../a", "/%2e%2e/a",
        "/.%2e",      "/./..",      "//..",      "/a/../../a/b",
        "a/..//../b", "/%2E./etc/", "./..",      "/a/b/../../../a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bad[i], "above the root");
}

TEST_PLAIN(slashes_that_hide_and_zeros_are_refused)
{
    check_refused("/a%2fb", "%2f at 2");
    check_refused("/a%2Fb", "%2F at 2");
    check_refused("/..%2f..%2fetc", "%2f at 3");
    check_refused("/a%5cb", "%5c at 2");
    check_refused("/a%5C..", "%5C at 2");
    check_refused("/a\\b", "\\ at 2");
    check_refused("/a%00b", "%00 at 2");
    check_refused("/a%00", "%00 at 2");
    check_refused("/%zz", "behind the % at 1");
    check_refused("/a%", "behind the % at 2");
    check_refused("/a%2", "behind the % at 2");
    check_refused("/a%/2f", "behind the % at 2");
    char buf[8];
    CHECK_EQ(weft_path_normalize((weft_text){"/a\0b", 4}, buf, sizeof buf),
             -EINVAL);
    CHECK_SAID("0x00 at 2");
    CHECK_EQ(weft_path_normalize((weft_text){"/a%41", 4}, buf, sizeof buf),
             -EINVAL);
}

TEST_PLAIN(room_for_the_path_and_a_0_is_enough)
{
    static const char *const paths[] = {"/",  "/a/b/../c", "a/./b/", "",
                                        "//", "/a%20b",    "/abc"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        size_t len = strlen(paths[i]);
        const char *want = normal(paths[i]);
        for (size_t room = 0; room <= len + 1; room++) {
            char *buf = malloc(room ? room : 1); /* with nothing behind it */
            CHECK(buf);
            ssize_t got =
                weft_path_normalize(weft_text_of(paths[i]), buf, room);
            if (got >= 0)
                CHECK_STR(buf, want);
            else
                CHECK_EQ(got, -ENOBUFS);
            CHECK(got >= 0 || room <= len);
            CHECK(got < 0 || room > strlen(want));
            free(buf);
        }
    }
}

TEST_PLAIN(a_path_can_be_normalized_where_it_stands)
{
    char buf[] = "/a%20b/.//c/../%64/";
    weft_text path = {buf, sizeof buf - 1};
    CHECK_EQ(weft_path_normalize(path, buf, sizeof buf), 7);
    CHECK_STR(buf, "/a b/d/");
}

/* ---- against pieces on a stack ------------------------------------------ */

static unsigned long long state;

static unsigned draw(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static const struct {
    const char *raw, *plain; /* NULL: refused */
} pieces[] = {{"a", "a"},   {"b%62", "bb"}, {".", "."},    {"%2e", "."},
              {"..", ".."}, {".%2E", ".."}, {"", ""},      {"", ""},
              {"c", "c"},   {"...", "..."}, {"%2f", NULL}, {"%4", NULL}};

static void check_random(void)
{
    char raw[200] = "", want[200] = "";
    const char *stack[20];
    size_t depth = 0;
    unsigned n = 1 + draw(8);
    bool refused = false, root = draw(2) == 1, last_is_name = false;
    if (root) strcat(raw, "/");
    for (unsigned i = 0; i < n; i++) {
        unsigned piece = draw(draw(8) ? 10 : 12);
        const char *plain = pieces[piece].plain;
        if (i > 0) strcat(raw, "/");
        strcat(raw, pieces[piece].raw);
        last_is_name = false;
        if (!plain || (strcmp(plain, "..") == 0 && depth == 0))
            refused = true;
        else if (strcmp(plain, "..") == 0)
            depth--;
        else if (*plain && strcmp(plain, ".") != 0) {
            stack[depth++] = plain;
            last_is_name = true;
        }
    }
    if (!root && *raw == '/') root = true; /* its first segment was empty */
    char buf[200];
    ssize_t got = weft_path_normalize(weft_text_of(raw), buf, sizeof buf);
    if (refused) {
        CHECK_EQ(got, -EINVAL);
        return;
    }
    if (root) strcat(want, "/");
    for (size_t i = 0; i < depth; i++) {
        strcat(want, stack[i]);
        if (i + 1 < depth || !last_is_name) strcat(want, "/");
    }
    CHECK(got >= 0);
    CHECK_STR(buf, want);
}

TEST_PLAIN(random_paths_are_what_a_stack_of_segments_says)
{
    state = test_seed();
    for (int i = 0; i < 50000; i++)
        check_random();
}
