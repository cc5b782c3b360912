/* SPDX-License-Identifier: MIT */
/*
 * date.c - HTTP dates (RFC 9110, 5.6.7), by the Gregorian calendar alone.
 *
 * Days are counted in eras of 400 years, which are all alike, and in years that
 * begin in March, so that the day that some years have more comes last.
 */
#include <weft/http.h>

#include <string.h>

enum { ERA_DAYS = 146097, ERA_YEARS = 400, DAY = 86400 };

/* From 0000-03-01 to 1970-01-01. */
enum { EPOCH_DAYS = 719468 };

static const char days[] = "SunMonTueWedThuFriSat";
static const char *const long_days[] = {"Sunday",    "Monday",   "Tuesday",
                                        "Wednesday", "Thursday", "Friday",
                                        "Saturday"};
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days from March 1st to the first of a month; months from March, 0 to 11. */
static int64_t days_before(int64_t month)
{
    return (153 * month + 2) / 5;
}

/* Days since 1970-01-01; month 1 to 12; no year before 0. */
static int64_t to_days(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2) year--;
    int64_t era = (year >= 0 ? year : year - (ERA_YEARS - 1)) / ERA_YEARS;
    int64_t of_era = year - era * ERA_YEARS;
    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 +
           days_before((month + 9) % 12) + day - 1 - EPOCH_DAYS;
}

/* ---- writing ------------------------------------------------------------ */

static char *put(char *p, int64_t number, int digits)
{
    for (int i = digits; i-- > 0; number /= 10)
        p[i] = (char)('0' + number % 10);
    return p + digits;
}

static char *put_text(char *p, const char *text, size_t len)
{
    memcpy(p, text, len);
    return p + len;
}

static char *put_date(char *p, int64_t since)
{
    int64_t n = since + EPOCH_DAYS;
    int64_t era = (n >= 0 ? n : n - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t of_era = n - era * ERA_DAYS;
    int64_t year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t march = (5 * of_year + 2) / 153;
    int64_t month = march < 10 ? march + 3 : march - 9;
    p = put(p, of_year - days_before(march) + 1, 2);
    *p++ = ' ';
    p = put_text(p, months + 3 * (month - 1), 3);
    *p++ = ' ';
    return put(p, year + era * ERA_YEARS + (month <= 2), 4);
}

void weft_http_date(char buf[WEFT_HTTP_DATE_BYTES], int64_t unix_seconds)
{
    const int64_t first = to_days(0, 1, 1) * DAY,
                  last = to_days(10000, 1, 1) * DAY - 1;
    if (unix_seconds < first) unix_seconds = first;
    if (unix_seconds > last) unix_seconds = last;
    int64_t day = (unix_seconds - first) / DAY + first / DAY;
    int64_t second = unix_seconds - day * DAY;
    int64_t weekday = (day - first / DAY + 6) % 7; /* 0000-01-01: Saturday */

    char *p = put_text(buf, days + 3 * weekday, 3);
    p = put_text(p, ", ", 2);
    p = put_date(p, day);
    *p++ = ' ';
    p = put(p, second / 3600, 2);
    *p++ = ':';
    p = put(p, second / 60 % 60, 2);
    *p++ = ':';
    p = put(p, second % 60, 2);
    (void)put_text(p, " GMT", 5);
}

/* ---- reading ------------------------------------------------------------ */

struct date {
    int64_t year, month, day, hour, minute, second;
};

static bool take(weft_text *t, const char *text)
{
    size_t len = strlen(text);
    if (t->len < len || memcmp(t->at, text, len) != 0) return false;
    t->at += len;
    t->len -= len;
    return true;
}

static bool take_number(weft_text *t, size_t digits, int64_t *ret)
{
    int64_t number = 0;
    if (t->len < digits) return false;
    for (size_t i = 0; i < digits; i++) {
        if (t->at[i] < '0' || t->at[i] > '9') return false;
        number = number * 10 + (t->at[i] - '0');
    }
    t->at += digits;
    t->len -= digits;
    *ret = number;
    return true;
}

/* Which of names of three letters it is, from 0. */
static bool take_name(weft_text *t, const char *names, int64_t *ret)
{
    for (int64_t i = 0; names[3 * i]; i++) {
        if (t->len < 3 || memcmp(t->at, names + 3 * i, 3) != 0) continue;
        t->at += 3;
        t->len -= 3;
        *ret = i;
        return true;
    }
    return false;
}

static bool take_month(weft_text *t, int64_t *ret)
{
    if (!take_name(t, months, ret)) return false;
    ++*ret;
    return true;
}

static bool take_time(weft_text *t, struct date *d)
{
    return take_number(t, 2, &d->hour) && take(t, ":") &&
           take_number(t, 2, &d->minute) && take(t, ":") &&
           take_number(t, 2, &d->second);
}

/* " 06 Nov 1994 08:49:37 GMT" */
static bool take_fixed(weft_text *t, struct date *d)
{
    return take(t, " ") && take_number(t, 2, &d->day) && take(t, " ") &&
           take_month(t, &d->month) && take(t, " ") &&
           take_number(t, 4, &d->year) && take(t, " ") && take_time(t, d) &&
           take(t, " GMT");
}

/* " 06-Nov-94 08:49:37 GMT" */
static bool take_rfc850(weft_text *t, struct date *d)
{
    if (!(take(t, " ") && take_number(t, 2, &d->day) && take(t, "-") &&
          take_month(t, &d->month) && take(t, "-") &&
          take_number(t, 2, &d->year) && take(t, " ") && take_time(t, d) &&
          take(t, " GMT")))
        return false;
    d->year += d->year < 70 ? 2000 : 1900;
    return true;
}

/* " Nov  6 08:49:37 1994" */
static bool take_asctime(weft_text *t, struct date *d)
{
    return take(t, " ") && take_month(t, &d->month) && take(t, " ") &&
           (take(t, " ") ? take_number(t, 1, &d->day)
                         : take_number(t, 2, &d->day)) &&
           take(t, " ") && take_time(t, d) && take(t, " ") &&
           take_number(t, 4, &d->year);
}

/* What follows the day's name tells which form it is. */
static bool take_any(weft_text *t, struct date *d)
{
    int64_t weekday;
    for (size_t i = 0; i < sizeof long_days / sizeof *long_days; i++)
        if (take(t, long_days[i])) return take(t, ",") && take_rfc850(t, d);
    if (!take_name(t, days, &weekday)) return false;
    return take(t, ",") ? take_fixed(t, d) : take_asctime(t, d);
}

static int64_t month_days(int64_t year, int64_t month)
{
    int64_t next = month % 12 + 1;
    return to_days(next == 1 ? year + 1 : year, next, 1) -
           to_days(year, month, 1);
}

static bool is_possible(const struct date *d)
{
    return d->day >= 1 && d->day <= month_days(d->year, d->month) &&
           d->hour < 24 && d->minute < 60 && d->second <= 60;
}

int weft_http_date_parse(weft_text t, int64_t *ret_unix)
{
    struct date d;
    if (!take_any(&t, &d) || t.len > 0 || !is_possible(&d)) return -EINVAL;
    *ret_unix = to_days(d.year, d.month, d.day) * DAY + d.hour * 3600 +
                d.minute * 60 + d.second;
    return 0;
}
