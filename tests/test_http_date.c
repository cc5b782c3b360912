/* SPDX-License-Identifier: MIT */
/* test_http_date.c - dates of HTTP, written and read (RFC 9110, 5.6.7). */
#include <weft/http.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness.h"

static int64_t read_date(const char *text)
{
    int64_t seconds = -77;
    int rc = weft_http_date_parse(weft_text_of(text), &seconds);
    if (rc < 0) {
        CHECK_EQ(rc, -EINVAL);
        CHECK_EQ(seconds, -77);
        return -EINVAL;
    }
    CHECK_EQ(rc, 0);
    return seconds;
}

TEST_PLAIN(a_date_is_written_in_the_fixed_form)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {INT64_C(2147483648), "Tue, 19 Jan 2038 03:14:08 GMT"},
        {INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_C(253402300800), "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_C(-62167219200), "Sat, 01 Jan 0000 00:00:00 GMT"},
        {INT64_C(-62167219201), "Sat, 01 Jan 0000 00:00:00 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };
    char text[WEFT_HTTP_DATE_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weft_http_date(text, rows[i].seconds);
        CHECK_STR(text, rows[i].text);
    }
}

TEST_PLAIN(dates_are_those_of_the_system_and_are_read_back)
{
    char text[WEFT_HTTP_DATE_BYTES], other[64];
    for (int64_t t = -2000000000; t < 4200000000; t += 86399 * 7 + 13) {
        time_t moment = (time_t)t;
        struct tm tm;
        if (moment != t) continue; /* where a time_t has 32 bits */
        CHECK(gmtime_r(&moment, &tm));
        CHECK(strftime(other, sizeof other, "%a, %d %b %Y %H:%M:%S GMT", &tm));
        weft_http_date(text, t);
        CHECK_STR(text, other);
        CHECK_EQ(read_date(text), t);
        CHECK(strftime(other, sizeof other, "%a %b %e %H:%M:%S %Y", &tm));
        CHECK_EQ(read_date(other), t);
        if (tm.tm_year < 70 || tm.tm_year >= 170) continue;
        CHECK(strftime(other, sizeof other, "%A, %d-%b-%y %H:%M:%S GMT", &tm));
        CHECK_EQ(read_date(other), t);
    }
}

TEST_PLAIN(all_three_forms_are_read)
{
    CHECK_EQ(read_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    CHECK_EQ(read_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    CHECK_EQ(read_date("Sun Nov  6 08:49:37 1994"), 784111777);
    CHECK_EQ(read_date("Sun Nov 16 08:49:37 1994"), 784975777);
    CHECK_EQ(read_date("Monday, 06-Nov-94 08:49:37 GMT"), 784111777);
    CHECK_EQ(read_date("Thursday, 01-Jan-70 00:00:00 GMT"), 0);
    CHECK_EQ(read_date("Monday, 01-Jan-69 00:00:00 GMT"), 3124224000);
    CHECK_EQ(read_date("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800);
    CHECK_EQ(read_date("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400);
    CHECK_EQ(read_date("Sat, 01 Jan 0000 00:00:00 GMT"), INT64_C(-62167219200));
}

TEST_PLAIN(what_is_nearly_a_date_is_refused)
{
    static const char *const texts[] = {
        "",
        "Sun",
        "0",
        "Sun, 06 Nov 1994 08:49:37 GM",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1900 00:00:00 GMT",
        "Tue, 29 Feb 2001 00:00:00 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sunday 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37",
        "Sundays, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  16 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
        "Sun  Nov  6 08:49:37 1994",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (read_date(texts[i]) != -EINVAL) CHECK_STR("read", texts[i]);
    weft_text with_nul = {"Sun Nov  6 08:49:37 1994", 25};
    int64_t seconds;
    CHECK_EQ(weft_http_date_parse(with_nul, &seconds), -EINVAL);
}
