/* SPDX-License-Identifier: MIT */
/*
 * test_http_conditional.c - conditions of requests, and what they compare with.
 */
#include <weft/http_parse.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "http/conditional.h"

#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define THEN    "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER   "Sun, 06 Nov 1994 08:49:38 GMT"
enum { THEN_UNIX = 784111777 };

static const struct wf_validators strong = {"\"x,1\"", THEN_UNIX, true};
static const struct wf_validators weak = {"W/\"x,1\"", THEN_UNIX, false};

/* Calls f with the fields of a head. */
static const weft_http_fields *fields_of(const char *lines)
{
    static char head[1024];
    static weft_http_mark marks[16];
    static weft_http_request r;
    int len = snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n",
                       lines);
    weft_http_request_init(&r, marks, 16, NULL);
    CHECK_EQ(weft_http_parse_request(&r, head, (size_t)len), len);
    return &r.fields;
}

static const struct {
    const char *lines;
    int strong, weak; /* what is answered */
} conditions[] = {
    {"", 0, 0},
    /* If-Match: strong comparison */
    {"If-Match: \"x,1\"\r\n", 0, 412},
    {"If-Match: W/\"x,1\"\r\n", 412, 412},
    {"If-Match: *\r\n", 0, 0},
    {"If-Match: \"y\"\r\n", 412, 412},
    {"If-Match: \"y\", \"x,1\"\r\n", 0, 412},
    {"If-Match: \"y\"\r\nIf-Match: \"x,1\"\r\n", 0, 412},
    {"If-Match: ,, \"y\",,\"x,1\" ,\r\n", 0, 412},
    {"If-Match:\r\n", 412, 412},
    {"If-Match: x,1\r\n", 412, 412},
    {"If-Match: x, \"x,1\"\r\n", 412, 412},
    {"If-Match: \"y\" \"x,1\"\r\n", 412, 412},
    {"If-Match: \"x,1\r\n", 412, 412},
    {"If-Match: w/\"x,1\"\r\n", 412, 412},
    {"If-Match: \"X,1\"\r\n", 412, 412},
    {"If-Match: \"x\"\r\n", 412, 412},
    {"If-Match: \"\\\", \"x,1\"\r\n", 0, 412}, /* a tag has no escapes */
    {"If-Match: \"*\"\r\n", 412, 412},
    /* If-Unmodified-Since */
    {"If-Unmodified-Since: " EARLIER "\r\n", 412, 412},
    {"If-Unmodified-Since: " THEN "\r\n", 0, 0},
    {"If-Unmodified-Since: " LATER "\r\n", 0, 0},
    {"If-Unmodified-Since: Sunday, 06-Nov-94 08:49:36 GMT\r\n", 412, 412},
    {"If-Unmodified-Since: Sun Nov  6 08:49:36 1994\r\n", 412, 412},
    {"If-Unmodified-Since: yesterday\r\n", 0, 0},
    {"If-Unmodified-Since: " EARLIER "\r\nIf-Unmodified-Since: " EARLIER "\r\n",
     0, 0},
    /* which If-Match makes void */
    {"If-Match: \"x,1\"\r\nIf-Unmodified-Since: " EARLIER "\r\n", 0, 412},
    {"If-Match: \"y\"\r\nIf-Unmodified-Since: " LATER "\r\n", 412, 412},
    /* If-None-Match: weak comparison */
    {"If-None-Match: \"x,1\"\r\n", 304, 304},
    {"If-None-Match: W/\"x,1\"\r\n", 304, 304},
    {"If-None-Match: *\r\n", 304, 304},
    {"If-None-Match: \"y\"\r\n", 0, 0},
    {"If-None-Match: \"y\", W/\"z\" , W/\"x,1\"\r\n", 304, 304},
    {"If-None-Match: \"y\"\r\nIf-None-Match: \"x,1\"\r\n", 304, 304},
    {"If-None-Match:\r\n", 0, 0},
    {"If-None-Match: x,1\r\n", 0, 0},
    {"If-None-Match: \"x,1\"y\r\n", 304, 304}, /* it counts up to there */
    /* If-Modified-Since */
    {"If-Modified-Since: " EARLIER "\r\n", 0, 0},
    {"If-Modified-Since: " THEN "\r\n", 304, 304},
    {"If-Modified-Since: " LATER "\r\n", 304, 304},
    {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37\r\n", 0, 0},
    {"If-Modified-Since: " THEN ", " THEN "\r\n", 0, 0},
    {"If-Modified-Since: " THEN "\r\nIf-Modified-Since: " THEN "\r\n", 0, 0},
    /* which If-None-Match makes void */
    {"If-None-Match: \"y\"\r\nIf-Modified-Since: " LATER "\r\n", 0, 0},
    {"If-None-Match: \"x,1\"\r\nIf-Modified-Since: " EARLIER "\r\n", 304, 304},
    {"If-None-Match: junk\r\nIf-Modified-Since: " LATER "\r\n", 0, 0},
    /* 412 comes first */
    {"If-Match: \"y\"\r\nIf-None-Match: \"x,1\"\r\n", 412, 412},
    {"If-Match: \"x,1\"\r\nIf-None-Match: \"x,1\"\r\n", 304, 412},
    {"If-Unmodified-Since: " EARLIER "\r\nIf-None-Match: *\r\n", 412, 412},
    {"If-Unmodified-Since: " THEN "\r\nIf-Modified-Since: " THEN "\r\n", 304,
     304},
};

TEST_PLAIN(conditions_hold_or_not_as_the_table_says)
{
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        printf("%s", conditions[i].lines);
        const weft_http_fields *f = fields_of(conditions[i].lines);
        CHECK_EQ(wf_conditions(f, &strong), conditions[i].strong);
        CHECK_EQ(wf_conditions(f, &weak), conditions[i].weak);
    }
}

static const struct {
    const char *lines;
    bool strong, weak; /* is the range looked at? */
} if_range[] = {
    {"", true, true},
    {"If-Range: \"x,1\"\r\n", true, false},
    {"If-Range: W/\"x,1\"\r\n", false, false},
    {"If-Range: \"y\"\r\n", false, false},
    {"If-Range: \"x,1\", \"x,1\"\r\n", false, false},
    {"If-Range: \"x,1\"\r\nIf-Range: \"x,1\"\r\n", false, false},
    {"If-Range: *\r\n", false, false},
    {"If-Range:\r\n", false, false},
    {"If-Range: " THEN "\r\n", true, false},
    {"If-Range: " LATER "\r\n", false, false}, /* it is no "since" */
    {"If-Range: " EARLIER "\r\n", false, false},
    {"If-Range: yesterday\r\n", false, false},
};

TEST_PLAIN(a_range_is_looked_at_if_its_condition_holds_strongly)
{
    for (size_t i = 0; i < sizeof if_range / sizeof if_range[0]; i++) {
        printf("%s", if_range[i].lines);
        const weft_http_fields *f = fields_of(if_range[i].lines);
        CHECK_EQ(wf_range_holds(f, &strong), if_range[i].strong);
        CHECK_EQ(wf_range_holds(f, &weak), if_range[i].weak);
    }
}

/* ---- tags --------------------------------------------------------------- */

static struct wf_validators of(uint64_t size, int64_t modified, long ns,
                               int64_t changed, int64_t now)
{
    struct wf_validators v;
    wf_validators_of(&v, size, (struct wf_moment){modified, ns},
                     (struct wf_moment){changed, ns}, now);
    return v;
}

TEST_PLAIN(a_tag_is_another_if_anything_about_the_file_is)
{
    const struct wf_validators v = of(10, 1000, 5, 1001, 5000);
    CHECK_STR(v.etag, of(10, 1000, 5, 1001, 6000).etag);
    CHECK(strcmp(v.etag, of(11, 1000, 5, 1001, 5000).etag) != 0);
    CHECK(strcmp(v.etag, of(10, 1001, 5, 1001, 5000).etag) != 0);
    CHECK(strcmp(v.etag, of(10, 1000, 6, 1001, 5000).etag) != 0);
    CHECK(strcmp(v.etag, of(10, 1000, 5, 1002, 5000).etag) != 0);
    CHECK_EQ(v.modified, 1000);
}

TEST_PLAIN(a_tag_is_weak_until_the_last_change_is_over_two_seconds_ago)
{
    CHECK_EQ(of(1, 1000, 0, 1000, 1000).etag[0], 'W');
    CHECK_EQ(of(1, 1000, 0, 1000, 1002).etag[0], 'W');
    CHECK_EQ(of(1, 1000, 0, 1000, 1003).etag[0], '"');
    CHECK_EQ(of(1, 1000, 0, 1001, 1003).etag[0], 'W');
    CHECK_EQ(of(1, 1001, 0, 1000, 1003).etag[0], 'W');
    CHECK(!of(1, 1000, 0, 1000, 1002).exact);
    CHECK(of(1, 1000, 0, 1000, 1003).exact);
    /* the same but for that, so that it still is the same weakly */
    CHECK_STR(of(1, 1000, 0, 1000, 1000).etag + 2,
              of(1, 1000, 0, 1000, 1003).etag);
}

TEST_PLAIN(a_file_of_tomorrow_was_changed_now)
{
    struct wf_validators v = of(1, 9000, 0, 1000, 5000);
    CHECK_EQ(v.modified, 5000);
    CHECK_EQ(v.etag[0], 'W');
    v = of(UINT64_MAX, INT64_MIN, 999999999, INT64_MIN, 0);
    CHECK(strlen(v.etag) < WF_ETAG_BYTES - 1);
    v = of(UINT64_MAX, -1, 999999999, -1, 0); /* 1969, and weak: it is long */
    CHECK(strlen(v.etag) < WF_ETAG_BYTES - 1);
}
