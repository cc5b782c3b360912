/* SPDX-License-Identifier: MIT */
/* test_url_join.c - the examples of RFC 3986, 5.4, and its algorithm as it is
 * written down there, against the one of the library. */
#include <weft/error.h>
#include <weft/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "texts.h"

struct example {
    const char *reference, *target;
};

static const char *joined(const char *base, const char *reference)
{
    static char buf[600];
    ssize_t len = weft_url_join(weft_text_of(base), weft_text_of(reference),
                                buf, sizeof buf);
    if (len < 0)
        test_fail(__FILE__, __LINE__, "\"%s\" at \"%s\": %zd", reference, base,
                  len);
    CHECK_EQ(strlen(buf), len);
    return buf;
}

static void check_examples(const char *base, const struct example *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_STR(joined(base, e[i].reference), e[i].target);
}

#define CHECK_EXAMPLES(base, list)                                             \
    check_examples(base, list, sizeof(list) / sizeof *(list))

static const struct example normal[] = {
    {"g:h", "g:h"},
    {"g", "http://a/b/c/g"},
    {"./g", "http://a/b/c/g"},
    {"g/", "http://a/b/c/g/"},
    {"/g", "http://a/g"},
    {"//g", "http://g"},
    {"?y", "http://a/b/c/d;p?y"},
    {"g?y", "http://a/b/c/g?y"},
    {"#s", "http://a/b/c/d;p?q#s"},
    {"g#s", "http://a/b/c/g#s"},
    {"g?y#s", "http://a/b/c/g?y#s"},
    {";x", "http://a/b/c/;x"},
    {"g;x", "http://a/b/c/g;x"},
    {"g;x?y#s", "http://a/b/c/g;x?y#s"},
    {"", "http://a/b/c/d;p?q"},
    {".", "http://a/b/c/"},
    {"./", "http://a/b/c/"},
    {"..", "http://a/b/"},
    {"../", "http://a/b/"},
    {"../g", "http://a/b/g"},
    {"../..", "http://a/"},
    {"../../", "http://a/"},
    {"../../g", "http://a/g"},
};

TEST_PLAIN(rfc_3986_5_4_1_normal_examples)
{
    CHECK_EXAMPLES("http://a/b/c/d;p?q", normal);
}

/* The last as the strict do. */
static const struct example abnormal[] = {
    {"../../../g", "http://a/g"},
    {"../../../../g", "http://a/g"},
    {"/./g", "http://a/g"},
    {"/../g", "http://a/g"},
    {"g.", "http://a/b/c/g."},
    {".g", "http://a/b/c/.g"},
    {"g..", "http://a/b/c/g.."},
    {"..g", "http://a/b/c/..g"},
    {"./../g", "http://a/b/g"},
    {"./g/.", "http://a/b/c/g/"},
    {"g/./h", "http://a/b/c/g/h"},
    {"g/../h", "http://a/b/c/h"},
    {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
    {"g;x=1/../y", "http://a/b/c/y"},
    {"g?y/./x", "http://a/b/c/g?y/./x"},
    {"g?y/../x", "http://a/b/c/g?y/../x"},
    {"g#s/./x", "http://a/b/c/g#s/./x"},
    {"g#s/../x", "http://a/b/c/g#s/../x"},
    {"http:g", "http:g"},
};

TEST_PLAIN(rfc_3986_5_4_2_abnormal_examples)
{
    CHECK_EXAMPLES("http://a/b/c/d;p?q", abnormal);
}

TEST_PLAIN(the_fragment_is_that_of_the_reference_alone)
{
    CHECK_STR(joined("http://a/b?q#f", ""), "http://a/b?q");
    CHECK_STR(joined("http://a/b?q#f", "?"), "http://a/b?");
    CHECK_STR(joined("http://a/b?q#f", "#"), "http://a/b?q#");
    CHECK_STR(joined("http://a/b?q#f", "c"), "http://a/c");
}

TEST_PLAIN(an_authority_stays_as_it_was_written)
{
    CHECK_STR(joined("HTTP://U:p@H:080/b", "/c"), "HTTP://U:p@H:080/c");
    CHECK_STR(joined("http://[::1]:8/", "x"), "http://[::1]:8/x");
    CHECK_STR(joined("http://a", "x"), "http://a/x");
    CHECK_STR(joined("http://a?q", "x"), "http://a/x");
    CHECK_STR(joined("http://a?q", ""), "http://a?q");
    CHECK_STR(joined("http://a", "../x"), "http://a/x");
    CHECK_STR(joined("http://a/b/", "//u@c:1"), "http://u@c:1");
    CHECK_STR(joined("http://a/b/", "//c/../d"), "http://c/d");
    CHECK_STR(joined("file:///a/b", "c"), "file:///a/c");
    CHECK_STR(joined("http://a/b", "ftp://c/./d"), "ftp://c/d");
}

/* Of what has no new path nothing is changed. */
TEST_PLAIN(the_path_of_the_base_keeps_its_dots_if_the_reference_has_none)
{
    CHECK_STR(joined("http://a/b/../c", ""), "http://a/b/../c");
    CHECK_STR(joined("http://a/b/../c", "?x"), "http://a/b/../c?x");
    CHECK_STR(joined("http://a/b/../c", "d"), "http://a/d");
    CHECK_STR(joined("http://a/b/./c/d", "../e"), "http://a/b/e");
}

TEST_PLAIN(empty_segments_are_segments)
{
    CHECK_STR(joined("http://a/b//c", "../d"), "http://a/b/d");
    CHECK_STR(joined("http://a/b", "c//../d"), "http://a/c/d");
    CHECK_STR(joined("http://a/b//", "."), "http://a/b//");
    CHECK_STR(joined("http://a/b//", ".."), "http://a/b/");
    CHECK_STR(joined("http://a/b", ".//c"), "http://a//c");
    CHECK_STR(joined("http://a/b", "/c/.././/d"), "http://a//d");
}

TEST_PLAIN(escaped_dots_are_not_dots_here)
{
    CHECK_STR(joined("http://a/b/c", "%2e%2e/d"), "http://a/b/%2e%2e/d");
}

TEST_PLAIN(paths_without_a_root_follow_the_algorithm)
{
    CHECK_STR(joined("mailto:a@b", "c"), "mailto:c");
    CHECK_STR(joined("urn:a:b/c", "d"), "urn:a:b/d");
    CHECK_STR(joined("urn:a", "../d"), "urn:d");
    CHECK_STR(joined("x:/", "y:a/../b"), "y:/b");
    CHECK_STR(joined("x:/", "y:a/.."), "y:/");
    CHECK_STR(joined("x:/", "y:.."), "y:");
    CHECK_STR(joined("x:/", "y:../../a/."), "y:a/");
    CHECK_STR(joined("x:", ""), "x:");
    CHECK_STR(joined("x:?q", "#f"), "x:?q#f");
}

/* "x://c" would have a host; "x:/.//c" means the path. */
TEST_PLAIN(a_path_is_never_read_as_a_host)
{
    CHECK_STR(joined("x:/b", ".//c"), "x:/.//c");
    CHECK_STR(joined("x:/b", "/.//c?y"), "x:/.//c?y");
    CHECK_STR(joined("x:/b/d", "..//c"), "x:/.//c");
    CHECK_STR(joined("x:/", "y:/a/..//b"), "y:/.//b");
    CHECK_STR(joined("x:/", "y:a/..//b"), "y:/.//b");
    CHECK_STR(joined("x:/.//c", ""), "x:/.//c");
    char exact[8];
    CHECK_EQ(
        weft_url_join(weft_text_of("x:/b"), weft_text_of(".//c"), exact, 8), 7);
    CHECK_EQ(
        weft_url_join(weft_text_of("x:/b"), weft_text_of(".//c"), exact, 7),
        -ENOBUFS);
}

TEST_PLAIN(both_have_to_be_urls_and_the_base_absolute)
{
    char buf[64];
    weft_text good = weft_text_of("http://a/b");
    CHECK_EQ(weft_url_join(good, weft_text_of("a b"), buf, 64), -EINVAL);
    CHECK_SAID("octet 0x20 at 1");
    CHECK_EQ(weft_url_join(weft_text_of("http://a/ "), good, buf, 64), -EINVAL);
    CHECK_SAID("octet 0x20 at 9");
    CHECK_EQ(weft_url_join(weft_text_of("/b"), good, buf, 64), -EINVAL);
    CHECK_SAID("no scheme");
    CHECK_EQ(weft_url_join(weft_text_of("//a/b"), good, buf, 64), -EINVAL);
    CHECK_EQ(weft_url_join((weft_text){NULL, 0}, good, buf, 64), -EINVAL);
}

TEST_PLAIN(a_reference_that_takes_the_host_away_is_refused_for_the_web)
{
    char buf[64];
    weft_text none = weft_text_of("///x");
    CHECK_EQ(weft_url_join(weft_text_of("http://a/b"), none, buf, 64), -EINVAL);
    CHECK_SAID("no host");
    CHECK_EQ(weft_url_join(weft_text_of("WSS:/b"), none, buf, 64), -EINVAL);
    CHECK_STR(joined("file://a/b", "///x"), "file:///x");
    CHECK_STR(joined("http:/b", "//c/x"), "http://c/x");
}

static void check_room(const char *base, const char *reference)
{
    const char *whole = joined(base, reference);
    size_t len = strlen(whole);
    for (size_t room = 0; room <= len + 1; room++) {
        char *buf = malloc(room ? room : 1); /* with nothing behind it */
        CHECK(buf);
        ssize_t got = weft_url_join(weft_text_of(base), weft_text_of(reference),
                                    buf, room);
        CHECK_EQ(got, room > len ? (ssize_t)len : -ENOBUFS);
        if (got >= 0) CHECK_STR(buf, whole);
        free(buf);
    }
}

TEST_PLAIN(the_result_and_its_0_are_all_the_room_it_takes)
{
    check_room("http://u@a:1/b/c/d;p?q", "x/y/z/../../../../../g/.?a#b");
    check_room("http://a/b?q", "");
    check_room("http://a/b?q", "ftp://x");
    check_room("x:a/b", "../../.");
    check_room("x:/a", ".//b/../c");
}

/* ---- against the letter of 5.2.4 ---------------------------------------- */

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static void lose_last(char *out)
{
    char *slash = strrchr(out, '/');
    *(slash ? slash : out) = 0;
}

/* Replaces the first n octets by a slash. */
static char *to_slash(char *in, size_t n)
{
    in[n - 1] = '/';
    return in + n - 1;
}

static void remove_dots_by_the_book(char *in, char *out)
{
    *out = 0;
    while (*in) {
        if (begins(in, "../")) {
            in += 3;
        } else if (begins(in, "./")) {
            in += 2;
        } else if (begins(in, "/./")) {
            in += 2;
        } else if (strcmp(in, "/.") == 0) {
            in = to_slash(in, 2);
        } else if (begins(in, "/../")) {
            in += 3;
            lose_last(out);
        } else if (strcmp(in, "/..") == 0) {
            in = to_slash(in, 3);
            lose_last(out);
        } else if (strcmp(in, ".") == 0 || strcmp(in, "..") == 0) {
            *in = 0;
        } else {
            size_t n = 1 + strcspn(in + 1, "/");
            strncat(out, in, n);
            in += n;
        }
    }
}

static unsigned long long state;

static unsigned draw(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static void draw_path(char *out, unsigned most)
{
    static const char *const pieces[] = {"/",  "/", "/",  ".",  "..", ".",
                                         "..", "a", "b.", ".c", "..."};
    *out = 0;
    for (unsigned n = draw(most); n > 0; n--)
        strcat(out, pieces[draw(sizeof pieces / sizeof *pieces)]);
}

static void check_path(const char *base, const char *reference)
{
    char in[200], out[200], from[220], want[220];
    const char *slash = strrchr(base, '/');
    if (!*reference)
        (void)snprintf(out, sizeof out, "%s", base);
    else {
        size_t dir = *reference == '/' ? 0 : (size_t)(slash + 1 - base);
        (void)snprintf(in, sizeof in, "%.*s%s", (int)dir, base, reference);
        remove_dots_by_the_book(in, out);
    }
    (void)snprintf(from, sizeof from, "x://h%s", base);
    (void)snprintf(want, sizeof want, "x://h%s", out);
    CHECK_STR(joined(from, reference), want);
}

TEST_PLAIN(rfc_3986_5_2_4_random_paths_are_as_the_algorithm_has_them)
{
    char base[100] = "/", reference[100];
    state = test_seed();
    for (int i = 0; i < 20000; i++) {
        draw_path(base + 1, 12);
        draw_path(reference, 12);
        if (begins(reference, "//")) continue; /* that is a host */
        check_path(base, reference);
    }
}

TEST_PLAIN(rfc_3986_5_2_4_random_paths_without_a_root_too)
{
    char path[100], in[100], out[100], reference[110], want[110];
    state = test_seed();
    for (int i = 0; i < 20000; i++) {
        draw_path(path, 12);
        if (begins(path, "//")) continue;
        (void)snprintf(reference, sizeof reference, "y:%s", path);
        strcpy(in, path);
        remove_dots_by_the_book(in, out);
        (void)snprintf(want, sizeof want, "y:%s%s",
                       begins(out, "//") ? "/." : "", out);
        CHECK_STR(joined("x:", reference), want);
    }
}

/* What was joined is a URL, and joined again it stays. */
TEST_PLAIN(a_target_is_its_own_target)
{
    char base[100] = "x:/", reference[100], once[200];
    state = test_seed();
    for (int i = 0; i < 5000; i++) {
        draw_path(base + 2, 10);
        draw_path(reference, 10);
        if (begins(reference, "//") || begins(base + 2, "//")) continue;
        strcpy(once, joined(base, reference));
        weft_url u;
        CHECK_EQ(weft_url_parse(&u, weft_text_of(once)), 0);
        CHECK(!u.authority.at);
        if (strstr(once, "/./") || !*reference) continue;
        CHECK_STR(joined("y://z/", once), once);
    }
}
