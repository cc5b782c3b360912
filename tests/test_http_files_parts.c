/* SPDX-License-Identifier: MIT */
/*
 * test_http_files_parts.c - ranges of files and conditions on them, and files
 * that change while they are sent.
 */
#include <weft/dial.h>
#include <weft/http_route.h>
#include <weft/net.h>

#include <errno.h>
#include <inttypes.h>

#include "http_dir.h"

/* A site of "0123456789", whose tag is strong and goes to `tag`. */
static void open_ten(struct site *s, char *tag)
{
    make_dir();
    put("www/ten.txt", "0123456789");
    wait_for_files();
    open_files(s, NULL);
    CHECK_STR(get(s, "/f/ten.txt", ""), "200");
    CHECK_EQ(field("ETag")[0], '"');
    (void)snprintf(tag, 128, "%s", field("ETag"));
}

static const char *get_ten(struct site *s, const char *format,
                           const char *value)
{
    char fields[512];
    (void)snprintf(fields, sizeof fields, format, value, value);
    return get(s, "/f/ten.txt", fields);
}

/* ---- ranges ------------------------------------------------------------- */

TEST(a_range_is_206_with_its_place_and_416_if_nothing_is_there)
{
    struct site site = {.stats = {0}};
    char tag[128];
    open_ten(&site, tag);
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "2-4"), "206");
    CHECK_STR(body(), "234");
    CHECK_STR(field("Content-Range"), "bytes 2-4/10");
    CHECK_STR(field("Content-Length"), "3");
    CHECK_STR(field("Content-Type"), "text/plain; charset=utf-8");
    CHECK_STR(field("ETag"), tag);
    CHECK(field("Last-Modified") != NULL);
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "-3"), "206");
    CHECK_STR(body(), "789");
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "0-"), "206");
    CHECK_STR(body(), "0123456789");
    CHECK_STR(field("Content-Range"), "bytes 0-9/10");
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "0-5,4-6"), "206");
    CHECK_STR(field("Content-Range"), "bytes 0-6/10");
    CHECK_STR(body(), "0123456");
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "10-"), "416");
    CHECK_STR(field("Content-Range"), "bytes */10");
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "4-2"), "200");
    CHECK_STR(body(), "0123456789");
    CHECK_PTR(field("Content-Range"), NULL);
    CHECK_STR(get_ten(&site, "Range: lines=%s\r\n", "1-2"), "200");
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\nRange: bytes=%s\r\n", "1-2"),
              "200");
    close_site(&site);
    remove_dir();
}

/* Goes through the parts: each with its type, range and octets. */
static void check_parts(const char *const *ranges, size_t count)
{
    char boundary[80], part[256];
    const char *type = field("Content-Type"), *at = body();
    CHECK_EQ(sscanf(type, "multipart/byteranges; boundary=%70s", boundary), 1);
    CHECK_EQ(strlen(boundary), 32);
    CHECK_EQ(atoi(field("Content-Length")), (int)body_len());
    for (size_t i = 0; i < count; i++) {
        int first, last;
        CHECK_EQ(sscanf(ranges[i], "%d-%d", &first, &last), 2);
        (void)snprintf(part, sizeof part,
                       "%s--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                       "Content-Range: bytes %s/10\r\n\r\n%.*s",
                       i > 0 ? "\r\n" : "", boundary, ranges[i],
                       last - first + 1, &"0123456789"[first]);
        CHECK_EQ(strncmp(at, part, strlen(part)), 0);
        at += strlen(part);
    }
    (void)snprintf(part, sizeof part, "\r\n--%s--\r\n", boundary);
    CHECK_STR(at, part);
}

TEST(several_ranges_are_parts_in_the_order_in_which_they_were_asked_for)
{
    static const char *const two[] = {"0-1", "8-9"}, *const four[] = {
                                                         "9-9", "0-0", "4-6",
                                                         "2-2"};
    struct site site = {.stats = {0}};
    char tag[128], before[80];
    open_ten(&site, tag);
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "0-1,-2"), "206");
    CHECK_PTR(field("Content-Range"), NULL);
    CHECK_STR(field("ETag"), tag);
    check_parts(two, 2);
    (void)snprintf(before, sizeof before, "%s", field("Content-Type"));
    CHECK_STR(get_ten(&site, "Range: bytes=%s\r\n", "9-,0-0,4-5,2-2,5-6,70-"),
              "206");
    check_parts(four, 4);
    CHECK(strcmp(before, field("Content-Type")) != 0); /* another boundary */
    close_site(&site);
    remove_dir();
}

TEST(a_range_beyond_4_gib_is_found)
{
    struct site site = {.stats = {0}};
    const int64_t far = INT64_C(5000000000);
    make_dir();
    put("www/large", "");
    if (truncate(in_dir("www/large"), (off_t)far) < 0) SKIP("too large here");
    FILE *f = fopen(in_dir("www/large"), "a");
    CHECK(f != NULL);
    CHECK_EQ(fwrite("the end", 1, 7, f), 7);
    CHECK_EQ(fclose(f), 0);
    open_files(&site, NULL);
    CHECK_STR(get(&site, "/f/large", "Range: bytes=5000000004-\r\n"), "206");
    CHECK_STR(body(), "end");
    CHECK_STR(field("Content-Range"), "bytes 5000000004-5000000006/5000000007");
    CHECK_STR(get(&site, "/f/large", "Range: bytes=4999999999-5000000002\r\n"),
              "206");
    CHECK_EQ(body_len(), 4);
    CHECK_EQ(memcmp(body(), "\0the", 4), 0);
    close_site(&site);
    remove_dir();
}

/* ---- conditions --------------------------------------------------------- */

TEST(conditions_make_304_and_412_of_it)
{
    struct site site = {.stats = {0}};
    char tag[128], date[64];
    open_ten(&site, tag);
    (void)snprintf(date, sizeof date, "%s", field("Last-Modified"));
    CHECK_STR(get_ten(&site, "If-None-Match: %s\r\n", tag), "304");
    CHECK_STR(body(), "");
    CHECK_STR(field("ETag"), tag);
    CHECK_STR(field("Last-Modified"), date);
    CHECK_PTR(field("Content-Type"), NULL);
    CHECK_STR(get_ten(&site, "If-None-Match: W/%s\r\n", tag), "304");
    CHECK_STR(get_ten(&site, "If-None-Match: \"%s\"\r\n", "x"), "200");
    CHECK_STR(get_ten(&site, "If-Modified-Since: %s\r\n", date), "304");
    CHECK_STR(get_ten(&site, "If-Modified-Since: %s\r\n",
                      "Sun, 06 Nov 1994 08:49:37 GMT"),
              "200");
    CHECK_STR(get_ten(&site, "If-Match: %s\r\n", tag), "200");
    CHECK_STR(get_ten(&site, "If-Match: \"%s\"\r\n", "x"), "412");
    CHECK_STR(get_ten(&site, "If-Match: W/%s\r\n", tag), "412");
    CHECK_STR(get_ten(&site, "If-Unmodified-Since: %s\r\n", date), "200");
    CHECK_STR(get_ten(&site, "If-Unmodified-Since: %s\r\n",
                      "Sun, 06 Nov 1994 08:49:37 GMT"),
              "412");
    /* a condition comes before the range */
    CHECK_STR(get_ten(&site, "If-None-Match: %s\r\nRange: bytes=99-\r\n", tag),
              "304");
    CHECK_STR(get_ten(&site, "If-Match: %s\r\nRange: bytes=0-0\r\n", tag),
              "206");
    CHECK_STR(get_ten(&site, "If-Match: \"x\"\r\nRange: bytes=99-\r\n", tag),
              "412");
    CHECK_EQ(site.stats.failed, 0);
    close_site(&site);
    remove_dir();
}

TEST(a_range_that_has_a_condition_is_of_the_same_file_or_not_looked_at)
{
    struct site site = {.stats = {0}};
    char tag[128], date[64];
    open_ten(&site, tag);
    (void)snprintf(date, sizeof date, "%s", field("Last-Modified"));
    CHECK_STR(get_ten(&site, "If-Range: %s\r\nRange: bytes=0-0\r\n", tag),
              "206");
    CHECK_STR(get_ten(&site, "If-Range: %s\r\nRange: bytes=0-0\r\n", date),
              "206");
    CHECK_STR(get_ten(&site, "If-Range: %s\r\nRange: bytes=99-\r\n", tag),
              "416");
    CHECK_STR(get_ten(&site, "If-Range: W/%s\r\nRange: bytes=0-0\r\n", tag),
              "200");
    CHECK_STR(get_ten(&site, "If-Range: \"%s\"\r\nRange: bytes=99-\r\n", "x"),
              "200");
    CHECK_STR(body(), "0123456789");
    CHECK_STR(get_ten(&site, "If-Range: %s\r\nRange: bytes=0-0\r\n",
                      "Fri, 06 Nov 2099 08:49:37 GMT"),
              "200");
    CHECK_STR(get_ten(&site, "If-Range: %s\r\n", tag), "200");
    close_site(&site);
    remove_dir();
}

TEST(a_file_that_was_just_written_has_a_weak_tag)
{
    struct site site = {.stats = {0}};
    char tag[128], fields[256];
    make_dir();
    put("www/a", "now");
    open_files(&site, NULL); /* in 2001: it is of the future */
    CHECK_STR(get(&site, "/f/a", ""), "200");
    CHECK_EQ(strncmp(field("ETag"), "W/\"", 3), 0);
    CHECK_STR(field("Last-Modified"), field("Date"));
    (void)snprintf(tag, sizeof tag, "%s", field("ETag"));
    (void)snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    CHECK_STR(get(&site, "/f/a", fields), "304");
    /* later the same tag is strong, and what was stored is still good */
    wait_for_files();
    CHECK_STR(get(&site, "/f/a", fields), "304");
    CHECK_STR(field("ETag"), tag + 2);
    close_site(&site);
    remove_dir();
}

TEST(another_content_has_another_tag)
{
    struct site site = {.stats = {0}};
    char tag[128], fields[256];
    open_ten(&site, tag);
    (void)snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    put("www/ten.txt", "9876543210"); /* as long, and in the same second */
    CHECK_STR(get(&site, "/f/ten.txt", fields), "200");
    CHECK_STR(body(), "9876543210");
    CHECK(strcmp(field("ETag"), tag) != 0);
    close_site(&site);
    remove_dir();
}

/* ---- files that change -------------------------------------------------- */

enum { MUCH = 1 << 20 };

static void put_much(const char *name, unsigned first)
{
    static char data[MUCH];
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)(first + i % 251);
    put_octets(name, data, MUCH);
}

/* Begins a long reply, of which the client has read nothing yet. */
static weft_transport *begin_much(struct site *s, const char *rest)
{
    make_dir();
    put_much("www/much", 1);
    s->capacity = 4096;
    open_files(s, NULL);
    weft_transport *t = visit(s);
    say(t, "GET /f/much HTTP/1.1\r\nHost: h\r\n");
    say(t, rest);
    CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    return t;
}

TEST(a_file_may_take_as_long_as_it_goes_on)
{
    struct site site = {.stats = {0}};
    weft_transport *t = begin_much(&site, CLOSE "\r\n");
    weft_time start = weft_now();
    ssize_t n = 1;
    for (heard_len = 0; n > 0; heard_len += (size_t)n) {
        size_t room = sizeof heard - 1 - heard_len;
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        n = weft_transport_read(t, heard + heard_len,
                                room < 4096 ? room : 4096);
        CHECK(n >= 0);
    }
    CHECK_EQ(body_len(), MUCH);
    CHECK(weft_now() - start > WEFT_SEC(120)); /* that is total_timeout twice */
    weft_transport_close(t);
    close_site(&site);
    remove_dir();
}

TEST(a_file_that_becomes_shorter_cuts_the_connection)
{
    struct site site = {.stats = {0}};
    weft_transport *t = begin_much(&site, "\r\n");
    CHECK_EQ(truncate(in_dir("www/much"), MUCH / 2), 0);
    (void)hear_all(t);
    CHECK_STR(field("Content-Length"), "1048576");
    CHECK(body_len() <= MUCH / 2);
    CHECK_EQ(site.stats.cut, 1);
    weft_transport_close(t);
    close_site(&site);
    remove_dir();
}

TEST(a_file_that_is_replaced_or_grows_is_sent_as_it_was_opened)
{
    static char want[MUCH];
    struct site site = {.stats = {0}};
    weft_transport *t = begin_much(&site, CLOSE "\r\n");
    FILE *f = fopen(in_dir("www/much"), "a");
    CHECK(f != NULL);
    CHECK_EQ(fputs("more", f) >= 0, 1);
    CHECK_EQ(fclose(f), 0);
    put_much("www/new", 2);
    CHECK_EQ(rename(in_dir("www/new"), in_dir("www/much")), 0);
    (void)hear_all(t);
    for (size_t i = 0; i < MUCH; i++)
        want[i] = (char)(1 + i % 251);
    CHECK_EQ(body_len(), MUCH);
    CHECK_EQ(memcmp(body(), want, MUCH), 0);
    weft_transport_close(t);
    close_site(&site);
    remove_dir();
}

TEST(a_client_that_goes_in_the_middle_leaves_nothing_open)
{
    struct site site = {.stats = {0}};
    weft_transport *t = begin_much(&site, "\r\n");
    weft_transport_close(t);
    CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    CHECK_STR(get(&site, "/f/much", "Range: bytes=0-0\r\n"), "206");
    close_site(&site);
    remove_dir();
}

/* ---- by sendfile -------------------------------------------------------- */

struct listening {
    weft_http_server *server;
    weft_fd listener;
};

static int serve_listener(void *arg)
{
    struct listening *l = arg;
    return weft_http_serve(l->server, l->listener);
}

static void fetch_all(const char *address, const char *fields)
{
    weft_transport *t;
    weft_fd fd;
    char request[256];
    CHECK_EQ(weft_dial(&fd, address), 0);
    CHECK_EQ(weft_transport_of_fd(fd, &t), 0);
    (void)snprintf(request, sizeof request,
                   "GET /f/much HTTP/1.1\r\nHost: h\r\n" CLOSE "%s\r\n",
                   fields);
    say(t, request);
    (void)hear_all(t);
    weft_transport_close(t);
}

TEST_REAL(down_a_socket_the_same_octets_come)
{
    static char want[MUCH];
    char address[WEFT_ADDR_TEXT];
    weft_addr at;
    weft_nursery n;
    struct listening l = {.server = weft_http_server_new(NULL)};
    make_dir();
    put_much("www/much", 1);
    for (size_t i = 0; i < MUCH; i++)
        want[i] = (char)(1 + i % 251);
    CHECK(l.server != NULL);
    CHECK_EQ(weft_http_files(l.server, "/f", in_dir("www"), NULL), 0);
    CHECK_EQ(weft_listen(&l.listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(l.listener, &at), 0);
    (void)weft_addr_format(&at, address, sizeof address);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, serve_listener, &l), 0);
    fetch_all(address, "");
    CHECK_EQ(body_len(), MUCH);
    CHECK_EQ(memcmp(body(), want, MUCH), 0);
    fetch_all(address, "Range: bytes=1000-900000\r\n");
    CHECK_EQ(body_len(), 899001);
    CHECK_EQ(memcmp(body(), want + 1000, 899001), 0);
    fetch_all(address, "Range: bytes=0-99999, 200000-\r\n");
    CHECK_EQ((int)body_len(), atoi(field("Content-Length")));
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_http_server_free(l.server);
    remove_dir();
}
