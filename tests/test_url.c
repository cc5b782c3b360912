/* SPDX-License-Identifier: MIT */
/* test_url.c - URLs taken apart, and refused, as RFC 3986 has it. */
#include <weft/error.h>
#include <weft/url.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "texts.h"

static weft_url parsed(const char *text)
{
    weft_url u;
    int err = weft_url_parse(&u, weft_text_of(text));
    if (err < 0)
        test_fail(__FILE__, __LINE__, "\"%s\": %s", text,
                  weft_last_error()->msg);
    return u;
}

/* All parts on one line: scheme, authority, path, query, fragment. */
static const char *parts(const char *text)
{
    static char line[600];
    weft_url u = parsed(text);
    (void)snprintf(line, sizeof line, "%s|%s|%s|%s", text_shown(u.scheme),
                   text_shown(u.authority), text_shown(u.path),
                   text_shown(u.query));
    size_t len = strlen(line);
    (void)snprintf(line + len, sizeof line - len, "|%s",
                   text_shown(u.fragment));
    return line;
}

static void check_refused(const char *text, const char *why)
{
    weft_url u = {.port = 77};
    if (weft_url_parse(&u, weft_text_of(text)) != -EINVAL)
        test_fail(__FILE__, __LINE__, "\"%s\" was taken", text);
    CHECK_EQ(u.port, 77);
    CHECK_SAID(why);
}

TEST_PLAIN(rfc_3986_its_examples_are_taken_apart)
{
    CHECK_STR(parts("foo://example.com:8042/over/there?name=ferret#nose"),
              "foo|example.com:8042|/over/there|name=ferret|nose");
    CHECK_STR(parts("urn:example:animal:ferret:nose"),
              "urn|(none)|example:animal:ferret:nose|(none)|(none)");
    CHECK_STR(parts("ftp://ftp.is.co.za/rfc/rfc1808.txt"),
              "ftp|ftp.is.co.za|/rfc/rfc1808.txt|(none)|(none)");
    CHECK_STR(parts("ldap://[2001:db8::7]/c=GB?objectClass?one"),
              "ldap|[2001:db8::7]|/c=GB|objectClass?one|(none)");
    CHECK_STR(parts("mailto:John.Doe@example.com"),
              "mailto|(none)|John.Doe@example.com|(none)|(none)");
    CHECK_STR(parts("tel:+1-816-555-1212"),
              "tel|(none)|+1-816-555-1212|(none)|(none)");
    CHECK_STR(parts("telnet://192.0.2.16:80/"),
              "telnet|192.0.2.16:80|/|(none)|(none)");
    CHECK_STR(
        parts("urn:oasis:names:specification:docbook:dtd:xml:4.1.2"),
        "urn|(none)|oasis:names:specification:docbook:dtd:xml:4.1.2|(none)|"
        "(none)");
    CHECK_STR(parts("http://www.ics.uci.edu/pub/ietf/uri/#Related"),
              "http|www.ics.uci.edu|/pub/ietf/uri/|(none)|Related");
}

TEST_PLAIN(relative_references_have_no_scheme)
{
    CHECK_STR(parts(""), "(none)|(none)||(none)|(none)");
    CHECK_STR(parts("//h/x"), "(none)|h|/x|(none)|(none)");
    CHECK_STR(parts("/x:y"), "(none)|(none)|/x:y|(none)|(none)");
    CHECK_STR(parts("x/y:z"), "(none)|(none)|x/y:z|(none)|(none)");
    CHECK_STR(parts("./x:y"), "(none)|(none)|./x:y|(none)|(none)");
    CHECK_STR(parts("?a:b"), "(none)|(none)||a:b|(none)");
    CHECK_STR(parts("#a:b"), "(none)|(none)||(none)|a:b");
    weft_url u;
    CHECK_EQ(weft_url_parse(&u, (weft_text){NULL, 0}), 0);
    CHECK(u.path.at && u.path.len == 0);
}

TEST_PLAIN(a_part_that_is_empty_is_there_all_the_same)
{
    CHECK_STR(parts("x?#"), "(none)|(none)|x||");
    CHECK_STR(parts("file:///x"), "file||/x|(none)|(none)");
    CHECK_STR(parts("a:?"), "a|(none)|||(none)");
    CHECK_STR(parts("//?#"), "(none)||||");
    weft_url u = parsed("file:///x");
    CHECK(u.host.at && u.host.len == 0);
    CHECK(!u.userinfo.at);
    u = parsed("ftp://@h:/");
    CHECK(u.userinfo.at && u.userinfo.len == 0);
    CHECK_TEXT(u.host, "h");
    CHECK_EQ(u.port, 0);
    CHECK_TEXT(u.authority, "@h:");
    CHECK(!parsed("mailto:x").host.at);
}

TEST_PLAIN(the_first_mark_ends_a_part_and_later_ones_belong_to_the_next)
{
    CHECK_STR(parts("a:b?c?d/e#f?g/h"), "a|(none)|b|c?d/e|f?g/h");
    CHECK_STR(parts("a:b#c?d"), "a|(none)|b|(none)|c?d");
    CHECK_STR(parts("a://h?b@c:d"), "a|h||b@c:d|(none)");
    CHECK_STR(parts("a://h#@x"), "a|h||(none)|@x");
    CHECK_STR(parts("a://h//b"), "a|h|//b|(none)|(none)");
}

TEST_PLAIN(an_authority_has_user_host_and_port)
{
    weft_url u = parsed("http://user:pa%40ss@h.example:8080/x");
    CHECK_TEXT(u.userinfo, "user:pa%40ss");
    CHECK_TEXT(u.host, "h.example");
    CHECK_EQ(u.port, 8080);
    CHECK(!u.host_is_ip6);
    CHECK_TEXT(u.authority, "user:pa%40ss@h.example:8080");

    u = parsed("http://[::ffff:192.0.2.1]:80");
    CHECK_TEXT(u.host, "::ffff:192.0.2.1");
    CHECK(u.host_is_ip6);
    CHECK_EQ(u.port, 80);
    CHECK_TEXT(u.path, "");

    u = parsed("http://u@[::]");
    CHECK_TEXT(u.host, "::");
    CHECK_TEXT(u.userinfo, "u");

    u = parsed("x://a%20b!$&'()*+,;=~._-");
    CHECK_TEXT(u.host, "a%20b!$&'()*+,;=~._-");
}

TEST_PLAIN(an_ip_of_the_future_keeps_its_brackets)
{
    weft_url u = parsed("x://[v1F.a:b~!]:7/");
    CHECK_TEXT(u.host, "[v1F.a:b~!]");
    CHECK(!u.host_is_ip6);
    CHECK_EQ(u.port, 7);
    CHECK_TEXT(parsed("x://[V0.x]").host, "[V0.x]");
    static const char *const bad[] = {"x://[v.x]",    "x://[v1.]",  "x://[v1]",
                                      "x://[vg.x]",   "x://[v1.%]", "x://[v]",
                                      "x://[v1.a%20]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bad[i], "what is in brackets is no address");
    check_refused("x://[v1.a@b]", "URL: ");
}

TEST_PLAIN(what_is_in_brackets_is_an_ipv6_address)
{
    static const char *const bad[] = {
        "x://[]",
        "x://[1.2.3.4]",
        "x://[:]",
        "x://[:::]",
        "x://[1:2:3:4:5:6:7]",
        "x://[1:2:3:4:5:6:7:8:9]",
        "x://[1::2::3]",
        "x://[12345::]",
        "x://[::g]",
        "x://[fe80::1%lo]",
        "x://[fe80::1%25lo]",
        "x://[::1.2.3]",
        "x://[::1.2.3.256]",
        "x://[::1.2.3.04]",
        "x://[ ::1]",
        "x://[0000000000000000000000000000000000000000000000000000000000000::]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bad[i], "no IPv6 address");
    check_refused("x://[::1", "the ] is missing");
    check_refused("x://[::1/x]", "the ] is missing");
    check_refused("x://[::1]80", "behind the ]");
    check_refused("x://[::1]]", "behind the ]");
    check_refused("x://h[::1]", "[ at 5");
    static const char *const good[] = {"x://[::]",
                                       "x://[1:2:3:4:5:6:7:8]",
                                       "x://[1:2:3:4:5:6:7::]",
                                       "x://[::2:3:4:5:6:7:8]",
                                       "x://[1:2:3:4:5:6:1.2.3.4]",
                                       "x://[A::fFfF]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(parsed(good[i]).host_is_ip6);
}

TEST_PLAIN(a_port_is_1_to_65535_or_none)
{
    CHECK_EQ(parsed("x://h:1").port, 1);
    CHECK_EQ(parsed("x://h:65535").port, 65535);
    CHECK_EQ(parsed("x://h:0000000000000080").port, 80);
    CHECK_EQ(parsed("x://h").port, 0);
    CHECK_EQ(parsed("x://h:").port, 0);
    check_refused("x://h:0", "the port is 0");
    check_refused("x://h:000", "the port is 0");
    check_refused("x://h:65536", "over 65535");
    check_refused("x://h:4294967376", "over 65535");
    check_refused("x://h:99999999999999999999", "over 65535");
    check_refused("x://h:80a", "not a number");
    check_refused("x://h:-1", "not a number");
    check_refused("x://h:+1", "not a number");
    check_refused("x://h:1:2", "not a number");
    check_refused("x://[::1]:a", "not a number");
}

TEST_PLAIN(schemes_of_the_web_have_a_usual_port)
{
    static const struct {
        const char *text;
        int port;
    } known[] = {
        {"http://h", 80},         {"HTTPS://h", 443}, {"ws://h", 80},
        {"wSs://h", 443},         {"ftp://h", 0},     {"//h", 0},
        {"https://h:8443", 8443}, {"ftp://h:21", 21}, {"httpx://h", 0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        weft_url u = parsed(known[i].text);
        CHECK_EQ(weft_url_port(&u), known[i].port);
    }
}

TEST_PLAIN(rfc_9110_these_schemes_need_a_host)
{
    check_refused("http://", "there is no host");
    check_refused("http:///x", "there is no host");
    check_refused("https://:443/x", "there is no host");
    check_refused("ws://u@/x", "there is no host");
    check_refused("WSS://?x", "there is no host");
    CHECK_STR(parts("http:x"), "http|(none)|x|(none)|(none)");
    CHECK_STR(parts("file://"), "file|||(none)|(none)");
}

TEST_PLAIN(a_colon_before_the_first_slash_ends_a_scheme)
{
    CHECK_TEXT(parsed("a+b-c.d0:x").scheme, "a+b-c.d0");
    check_refused(":x", "no scheme");
    check_refused("1a:b", "no scheme");
    check_refused("a_b:c", "no scheme");
    check_refused("a%20:c", "no scheme");
    check_refused("+a:c", "no scheme");
    check_refused(" a:c", "no scheme");
    check_refused("127.0.0.1:80", "no scheme");
}

/* Each octet in each part, by the character sets of appendix A. */
TEST_PLAIN(rfc_3986_each_octet_is_where_the_grammar_has_it)
{
    static const struct {
        const char *before, *after, *also;
    } places[] = {{"x://", "@h", ":"},
                  {"x://h", "z", ":@/?#"},
                  {"/p", "z", ":@/?#"},
                  {"?q", "z", ":@/?#"},
                  {"#f", "z", ":@/?"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int c = 0; c < 256; c++) {
            char text[32];
            weft_url u;
            int len = snprintf(text, sizeof text, "%s%c%s", places[i].before, c,
                               places[i].after);
            /* These begin another part, where it is looked at as such. */
            bool good = (c >= '0' && c <= '9') ||
                        ((c | 32) >= 'a' && (c | 32) <= 'z' && c < 128) ||
                        (c != 0 && (strchr("-._~!$&'()*+,;=", c) ||
                                    strchr(places[i].also, c)));
            if (i == 1 && c == ':') good = false; /* a port of letters */
            if (i == 0 && strchr("/?#", c) && c) good = true; /* ends it */
            int err = weft_url_parse(&u, (weft_text){text, (size_t)len});
            if (err != (good ? 0 : -EINVAL))
                test_fail(__FILE__, __LINE__, "0x%02x in place %zu: %d", c, i,
                          err);
        }
}

TEST_PLAIN(an_escape_has_two_hexadecimal_digits_in_every_part)
{
    CHECK_STR(parts("x://%aF/%00?%fF#%7e"), "x|%aF|/%00|%fF|%7e");
    check_refused("/a%", "behind the % at 2");
    check_refused("/a%4", "behind the % at 2");
    check_refused("/a%4g", "behind the % at 2");
    check_refused("/a%g4", "behind the % at 2");
    check_refused("/%%41", "behind the % at 1");
    check_refused("?a%4", "behind the % at 2");
    check_refused("#a%4", "behind the % at 2");
    check_refused("x://h%4/", "behind the % at 5");
    check_refused("x://u%@h/", "behind the % at 5");
}

TEST_PLAIN(what_is_refused_is_said_with_its_place)
{
    check_refused("http://h/a b", "octet 0x20 at 10");
    check_refused("http://h/a\nb", "octet 0x0a at 10");
    check_refused("/\xc3\xa9", "octet 0xc3 at 1");
    check_refused("/a\"b", "\" at 2");
    check_refused("#a#b", "# at 2");
    check_refused("x://a@b@c/", "@ at 7");
    check_refused("/a\\b", "\\ at 2");
    CHECK_EQ(weft_url_parse(&(weft_url){.port = 0}, (weft_text){"/a\0b", 4}),
             -EINVAL);
    CHECK_SAID("octet 0x00 at 2");
}

TEST_PLAIN(no_octet_behind_the_text_is_read)
{
    weft_url u;
    CHECK_EQ(weft_url_parse(&u, (weft_text){"/a%41", 4}), -EINVAL);
    CHECK_EQ(weft_url_parse(&u, (weft_text){"x://h:80", 7}), 0);
    CHECK_EQ(u.port, 8);
    CHECK_EQ(weft_url_parse(&u, (weft_text){"x://[::1]", 8}), -EINVAL);
    CHECK_EQ(weft_url_parse(&u, (weft_text){"//h", 1}), 0);
    CHECK(!u.authority.at);
}
