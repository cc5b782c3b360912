/* SPDX-License-Identifier: MIT */
/*
 * test_http_files.c - a directory of files as a part of a server: what is
 * found, and what is not.
 */
#include <weft/http_route.h>

#include <errno.h>
#include <pthread.h>

#include "http_dir.h"

static void check_statuses(struct site *s, const char *const *targets,
                           size_t count, const char *status)
{
    for (size_t i = 0; i < count; i++) {
        printf("%s\n", targets[i]);
        CHECK_STR(get(s, targets[i], ""), status);
    }
}

#define ALL(list) list, sizeof list / sizeof list[0]

/* ---- what is found ------------------------------------------------------ */

TEST(a_file_is_sent_with_its_type_length_and_validators)
{
    struct site site = {.stats = {0}};
    make_dir();
    put("www/a.txt", "hello");
    CHECK_EQ(mkdir(in_dir("www/sub"), 0755), 0);
    put("www/sub/b c.html", "<p>");
    put("www/sub/none", "");
    wait_for_files();
    open_files(&site, NULL);
    CHECK_STR(get(&site, "/f/a.txt", ""), "200");
    CHECK_STR(body(), "hello");
    CHECK_STR(field("Content-Type"), "text/plain; charset=utf-8");
    CHECK_STR(field("Content-Length"), "5");
    CHECK_STR(field("Accept-Ranges"), "bytes");
    CHECK_STR(field("X-Content-Type-Options"), "nosniff");
    CHECK_PTR(field("Cache-Control"), NULL);
    CHECK(field("Last-Modified") != NULL);
    CHECK_EQ(field("ETag")[0], '"');
    CHECK_STR(get(&site, "/f/sub/b%20c.html?x=y", ""), "200");
    CHECK_STR(body(), "<p>");
    CHECK_STR(field("Content-Type"), "text/html; charset=utf-8");
    CHECK_STR(get(&site, "/f/sub/none", ""), "200");
    CHECK_STR(body(), "");
    CHECK_STR(field("Content-Type"), "application/octet-stream");
    CHECK_STR(field("Content-Length"), "0");
    CHECK_STR(get(&site, "http://elsewhere/f/a.txt", ""), "200");
    close_site(&site);
    remove_dir();
}

TEST(options_add_a_field_types_an_index_and_hidden_names)
{
    static char index[] = "start.foo", control[] = "max-age=5";
    static char ext[] = "foo", type[] = "text/x-foo";
    weft_http_type types[] = {{ext, type}, {NULL, NULL}};
    struct site site = {.stats = {0}};
    make_dir();
    put("www/start.foo", "the start");
    put("www/index.html", "not this");
    put("www/.hidden", "seen");
    put("www/x", "?");
    open_files(&site, &(weft_http_files_opts){.index = index,
                                              .cache_control = control,
                                              .types = types,
                                              .default_type = "text/x-what",
                                              .hidden = true});
    index[0] = control[0] = ext[0] = type[0] = '!'; /* all was copied */
    types[0] = (weft_http_type){NULL, NULL};
    CHECK_STR(get(&site, "/f/", ""), "200");
    CHECK_STR(body(), "the start");
    CHECK_STR(field("Content-Type"), "text/x-foo");
    CHECK_STR(field("Cache-Control"), "max-age=5");
    CHECK_STR(get(&site, "/f/.hidden", ""), "200");
    CHECK_STR(body(), "seen");
    CHECK_STR(get(&site, "/f/x", ""), "200");
    CHECK_STR(field("Content-Type"), "text/x-what");
    close_site(&site);
    remove_dir();
}

TEST(a_directory_is_its_index_or_redirected_to_its_slash)
{
    struct site site = {.stats = {0}};
    make_dir();
    put("www/index.html", "top");
    CHECK_EQ(mkdir(in_dir("www/sub"), 0755), 0);
    put("www/sub/index.html", "sub");
    CHECK_EQ(mkdir(in_dir("www/empty"), 0755), 0);
    CHECK_EQ(mkdir(in_dir("www/odd"), 0755), 0);
    CHECK_EQ(mkdir(in_dir("www/odd/index.html"), 0755), 0);
    CHECK_EQ(mkdir(in_dir("www/a b|c"), 0755), 0);
    open_files(&site, NULL);
    CHECK_STR(get(&site, "/f/", ""), "200");
    CHECK_STR(body(), "top");
    CHECK_STR(get(&site, "/f/sub/", ""), "200");
    CHECK_STR(body(), "sub");
    CHECK_STR(get(&site, "/f", ""), "301");
    CHECK_STR(field("Location"), "/f/");
    CHECK_STR(get(&site, "/f/sub", ""), "301");
    CHECK_STR(field("Location"), "/f/sub/");
    CHECK_STR(get(&site, "/f/sub?a=b&c=%20", ""), "301");
    CHECK_STR(field("Location"), "/f/sub/?a=b&c=%20");
    CHECK_STR(get(&site, "/f/sub?a=\"<b>", ""), "301");
    CHECK_STR(field("Location"), "/f/sub/?a=%22%3Cb%3E");
    CHECK_STR(get(&site, "/f/a%20b|c", ""), "301");
    CHECK_STR(field("Location"), "/f/a%20b%7Cc/");
    CHECK_STR(get(&site, "http://evil/f/sub", ""), "301");
    CHECK_STR(field("Location"), "/f/sub/");
    CHECK_STR(get(&site, "/f/empty", ""), "301");
    CHECK_STR(get(&site, "/f/empty/", ""), "404");
    CHECK_STR(get(&site, "/f/odd/", ""), "404");
    CHECK_STR(get(&site, "/f/index.html/", ""), "404");
    CHECK_STR(get(&site, "/f/index.html/x", ""), "404");
    CHECK_STR(get(&site, "/f/sub/index.html", ""), "200");
    close_site(&site);
    remove_dir();
}

TEST(without_an_index_a_directory_is_not_found)
{
    struct site site = {.stats = {0}};
    make_dir();
    put("www/index.html", "top");
    open_files(&site, &(weft_http_files_opts){.index = ""});
    CHECK_STR(get(&site, "/f/", ""), "404");
    CHECK_STR(get(&site, "/f/index.html", ""), "200");
    close_site(&site);
    remove_dir();
}

TEST(files_at_the_root_leave_other_routes_theirs)
{
    struct site site = {.stats = {0}};
    make_dir();
    put("www/index.html", "top");
    put("www/api", "a file");
    CHECK_EQ(mkdir(in_dir("www/dir"), 0755), 0);
    make_server(&site);
    CHECK_EQ(weft_http_files(site.server, "/", in_dir("www"), NULL), 0);
    CHECK_EQ(weft_http_files(site.server, "/other/", in_dir("www"), NULL), 0);
    open_site(&site);
    CHECK_STR(get(&site, "/", ""), "200");
    CHECK_STR(get(&site, "/index.html", ""), "200");
    CHECK_STR(get(&site, "/dir", ""), "301");
    CHECK_STR(field("Location"), "/dir/");
    CHECK_STR(get(&site, "/other/api", ""), "200");
    CHECK_STR(get(&site, "/other", ""), "301");
    /* a path that begins with two slashes would be another host */
    CHECK_STR(get(&site, "//dir", ""), "404");
    CHECK_STR(get(&site, "//evil.example/..", ""), "404");
    CHECK_STR(get(&site, "/%2fdir", ""), "404");
    CHECK_STR(get(&site, "/%5cdir", ""), "404");
    close_site(&site);
    remove_dir();
}

TEST(head_is_as_get_without_the_octets_and_other_methods_are_405)
{
    struct site site = {.stats = {0}};
    make_dir();
    put("www/a.txt", "hello");
    open_files(&site, NULL);
    CHECK_STR(get(&site, "/f/a.txt", ""), "200");
    char tag[128];
    (void)snprintf(tag, sizeof tag, "%s", field("ETag"));
    (void)ask(&site, "HEAD /f/a.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n"
                     "\r\n");
    CHECK_EQ(strncmp(heard, "HTTP/1.1 200", 12), 0);
    CHECK_STR(field("Content-Length"), "5");
    CHECK_STR(field("ETag"), tag);
    CHECK_STR(body(), "");
    (void)ask(&site, "HEAD /f/none HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_EQ(strncmp(heard, "HTTP/1.1 404", 12), 0);
    CHECK_STR(body(), "");
    (void)ask(&site, "PUT /f/a.txt HTTP/1.1\r\nHost: h\r\n"
                     "Content-Length: 1\r\n\r\nx");
    CHECK_EQ(strncmp(heard, "HTTP/1.1 405", 12), 0);
    CHECK_STR(field("Allow"), "GET, HEAD, OPTIONS");
    (void)ask(&site, "OPTIONS /f/a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_EQ(strncmp(heard, "HTTP/1.1 204", 12), 0);
    close_site(&site);
    remove_dir();
}

/* ---- what is not -------------------------------------------------------- */

TEST(no_path_leads_out_of_the_directory)
{
    static const char *const paths[] = {"/f/../secret",
                                        "/f/%2e%2e/secret",
                                        "/f/..%2fsecret",
                                        "/f/%2e%2e%2fsecret",
                                        "/f/sub/../../secret",
                                        "/f/..%5csecret",
                                        "/f/..\\secret",
                                        "/f/sub/..",
                                        "/f/./a.txt",
                                        "/f//a.txt",
                                        "/f/sub//../a.txt",
                                        "/f/sub%2f..%2fa.txt",
                                        "/f/%2fetc%2fpasswd",
                                        "/f//etc/passwd",
                                        "/f/%252e%252e/secret",
                                        "/f/a.txt%0a",
                                        "/f/a.txt%20",
                                        "/f/.",
                                        "/f/..",
                                        "/f/%c0%ae%c0%ae/secret",
                                        "/f/%2e%2e/www/a.txt",
                                        "/f/../www/a.txt",
                                        "/f/../f/a.txt"};
    static const char *const malformed[] = {"/f/a.txt%00", "/f/a.txt%00.html",
                                            "/f/%", "/f/%4", "/f/%zz"};
    struct site site = {.stats = {0}};
    make_dir();
    put("secret", "secret");
    put("www/a.txt", "hello");
    CHECK_EQ(mkdir(in_dir("www/sub"), 0755), 0);
    open_files(&site, NULL);
    check_statuses(&site, ALL(paths), "404");
    check_statuses(&site, ALL(malformed), "400");
    CHECK_STR(get(&site, "/f/a.txt", ""), "200");
    CHECK_EQ(site.stats.failed, 0);
    close_site(&site);
    remove_dir();
}

TEST(a_link_is_followed_only_to_what_is_below_the_directory)
{
    static const char *const in[] = {
        "/f/in",    "/f/in_dir/x", "/f/up/a.txt",
        "/f/twice", "/f/around",   "/f/home/www/in"}; /* out and in again */
    static const char *const out[] = {
        "/f/out",      "/f/out_dir/secret", "/f/absolute", "/f/sibling",
        "/f/home",     "/f/home/secret",    "/f/chain",    "/f/loop",
        "/f/dangling", "/f/sibling_dir/x"};
    struct site site = {.stats = {0}};
    make_dir();
    put("secret", "secret");
    put("www-more", "begins like the directory");
    CHECK_EQ(mkdir(in_dir("wwwx"), 0755), 0);
    put("wwwx/x", "likewise");
    put("www/a.txt", "hello");
    CHECK_EQ(mkdir(in_dir("www/sub"), 0755), 0);
    put("www/sub/x", "hello");
    link_to("a.txt", "www/in");
    link_to("sub", "www/in_dir");
    link_to("..", "www/sub/back");
    link_to("sub/back", "www/up");
    link_to("in", "www/twice");
    link_to("../www/a.txt", "www/around");
    link_to("../secret", "www/out");
    link_to("..", "www/out_dir");
    link_to("/etc/passwd", "www/absolute");
    link_to("../www-more", "www/sibling");
    link_to("../wwwx", "www/sibling_dir");
    link_to("..", "www/home");
    link_to("out", "www/chain");
    link_to("loop", "www/loop");
    link_to("nowhere", "www/dangling");
    open_files(&site, NULL);
    check_statuses(&site, ALL(in), "200");
    check_statuses(&site, ALL(out), "404");
    close_site(&site);
    remove_dir();
}

/* For a time that is another each time. */
static void spin(unsigned *state)
{
    *state = *state * 1103515245 + 12345;
    for (volatile unsigned i = *state >> 16; i > 0; i--)
        ;
}

/* Exchanges a directory and a link out of here, and back. */
static void *exchange(void *stop)
{
    unsigned state = 1;
    char dir[600], out[600], third[600];
    (void)snprintf(dir, sizeof dir, "%s/www/sub", home);
    (void)snprintf(out, sizeof out, "%s/www/link", home);
    (void)snprintf(third, sizeof third, "%s/www/third", home);
    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
        spin(&state);
        CHECK_EQ(rename(dir, third), 0);
        CHECK_EQ(rename(out, dir), 0);
        spin(&state);
        CHECK_EQ(rename(dir, out), 0);
        CHECK_EQ(rename(third, dir), 0);
    }
    return NULL;
}

TEST_REAL(a_link_that_is_put_there_meanwhile_leads_nowhere)
{
    struct site site = {.stats = {0}};
    bool stop = false;
    pthread_t thread;
    int found = 0;
    if (access("/proc/self/fd", X_OK) < 0)
        SKIP("here an open file cannot be asked where it is");
    make_dir();
    CHECK_EQ(mkdir(in_dir("out"), 0755), 0);
    put("out/x", "secret");
    CHECK_EQ(mkdir(in_dir("www/sub"), 0755), 0);
    put("www/sub/x", "public");
    link_to("../out", "www/link");
    open_files(&site, NULL);
    CHECK_EQ(pthread_create(&thread, NULL, exchange, &stop), 0);
    for (int i = test_is_slow() ? 1800 : 0; i < 2000 || (!found && i < 20000);
         i++) {
        if (strcmp(get(&site, "/f/sub/x", ""), "200") != 0) continue;
        CHECK_STR(body(), "public");
        found++;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(found > 0);
    close_site(&site);
    remove_dir();
}

TEST(the_directory_itself_may_be_a_link_which_is_resolved_once)
{
    struct site site = {.stats = {0}};
    make_dir();
    put("www/a.txt", "old");
    CHECK_EQ(mkdir(in_dir("new"), 0755), 0);
    put("new/a.txt", "new");
    link_to("www", "current");
    make_server(&site);
    CHECK_EQ(weft_http_files(site.server, "/", in_dir("current/./"), NULL), 0);
    open_site(&site);
    CHECK_STR(get(&site, "/a.txt", ""), "200");
    CHECK_EQ(unlink(in_dir("current")), 0);
    link_to("new", "current");
    CHECK_STR(get(&site, "/a.txt", ""), "200");
    CHECK_STR(body(), "old");
    close_site(&site);
    remove_dir();
}

TEST(only_regular_files_are_sent_and_hidden_ones_are_not)
{
    static const char *const paths[] = {
        "/f/fifo", "/f/.hidden", "/f/.git/config", "/f/%2ehidden",
        "/f/none", "/f/none/x",  "/f/a.txt/x"};
    struct site site = {.stats = {0}};
    make_dir();
    put("www/a.txt", "hello");
    put("www/.hidden", "x");
    CHECK_EQ(mkdir(in_dir("www/.git"), 0755), 0);
    put("www/.git/config", "x");
    CHECK_EQ(mkfifo(in_dir("www/fifo"), 0644), 0);
    open_files(&site, NULL);
    check_statuses(&site, ALL(paths), "404");
    close_site(&site);
    remove_dir();
}

TEST(a_name_that_is_too_long_is_not_found)
{
    struct site site = {.stats = {0}};
    static char target[4 + 6000], request[8192];
    make_dir();
    open_files(&site, NULL);
    (void)snprintf(target, sizeof target, "/f/%0300d", 0);
    CHECK_STR(get(&site, target, ""), "404");
    (void)snprintf(target, sizeof target, "/f/");
    for (size_t i = 3; i + 2 < sizeof target - 1; i += 2)
        memcpy(target + i, "a/", 2);
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    CHECK_EQ(strncmp(ask(&site, request), "HTTP/1.1 404", 12), 0);
    close_site(&site);
    remove_dir();
}

TEST(what_may_not_be_read_is_not_found)
{
    struct site site = {.stats = {0}};
    if (geteuid() == 0) SKIP("root may read all");
    make_dir();
    put("www/a.txt", "hello");
    CHECK_EQ(chmod(in_dir("www/a.txt"), 0), 0);
    open_files(&site, NULL);
    CHECK_STR(get(&site, "/f/a.txt", ""), "404");
    close_site(&site);
    remove_dir();
}

/* ---- setting up --------------------------------------------------------- */

static int nothing(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply_text(r, 200, "nothing");
}

TEST(what_cannot_be_served_is_told_and_nothing_is_added)
{
    struct site site = {.stats = {0}};
    static const weft_http_type bad_types[] = {{"x", "text/x\r\n"},
                                               {NULL, NULL}};
    make_dir();
    put("www/a.txt", "hello");
    make_server(&site);
    weft_http_server *s = site.server;
    CHECK_EQ(weft_http_files(s, "/f", in_dir("none"), NULL), -ENOENT);
    CHECK_EQ(weft_http_files(s, "/f", in_dir("www/a.txt"), NULL), -ENOTDIR);
    CHECK_EQ(weft_http_files(s, "/f", in_dir("www/a.txt/"), NULL), -ENOTDIR);
    CHECK_EQ(weft_http_files(s, "f", in_dir("www"), NULL), -EINVAL);
    CHECK_EQ(weft_http_files(s, "", in_dir("www"), NULL), -EINVAL);
    CHECK_EQ(weft_http_files(s, NULL, in_dir("www"), NULL), -EINVAL);
    CHECK_EQ(weft_http_files(s, "/{a*}", in_dir("www"), NULL), -EINVAL);
    CHECK_EQ(weft_http_files(s, "/f/..", in_dir("www"), NULL), -EINVAL);
    CHECK_EQ(weft_http_files(s, "/f", in_dir("www"),
                             &(weft_http_files_opts){.index = "a/b"}),
             -EINVAL);
    CHECK_EQ(weft_http_files(s, "/f", in_dir("www"),
                             &(weft_http_files_opts){.index = ".."}),
             -EINVAL);
    CHECK_EQ(weft_http_files(s, "/f", in_dir("www"),
                             &(weft_http_files_opts){.cache_control = "a\nb"}),
             -EINVAL);
    CHECK_EQ(weft_http_files(s, "/f", in_dir("www"),
                             &(weft_http_files_opts){.types = bad_types}),
             -EINVAL);
    /* one of its two routes is there already: it adds neither */
    CHECK_EQ(weft_http_route(s, "GET", "/g/{x*}", nothing, NULL), 0);
    CHECK_EQ(weft_http_files(s, "/g", in_dir("www"), NULL), -EEXIST);
    CHECK_EQ(weft_http_route(s, "GET", "/g", nothing, NULL), 0);
    CHECK_EQ(weft_http_route(s, "GET", "/h", nothing, NULL), 0);
    CHECK_EQ(weft_http_files(s, "/h", in_dir("www"), NULL), -EEXIST);
    CHECK_EQ(weft_http_route(s, "GET", "/h/{x*}", nothing, NULL), 0);
    open_site(&site);
    CHECK_STR(get(&site, "/f/a.txt", ""), "404");
    CHECK_STR(get(&site, "/g/a.txt", ""), "200");
    CHECK_STR(body(), "nothing");
    CHECK_EQ(weft_http_files(s, "/late", in_dir("www"), NULL), -EBUSY);
    close_site(&site);
    remove_dir();
}

TEST_PLAIN(files_are_set_up_in_a_fiber)
{
    weft_http_server *s = weft_http_server_new(NULL);
    CHECK(s != NULL);
    CHECK_EQ(weft_http_files(s, "/f", "/", NULL), -EPERM);
    CHECK_EQ(weft_http_route(s, "GET", "/f", nothing, NULL), 0);
    weft_http_server_free(s);
}

/* ---- one file ----------------------------------------------------------- */

static int wanted;

static int reply_typed(weft_req *r, void *ctx)
{
    static const weft_http_files_opts o = {.cache_control = "max-age=9"};
    CHECK_EQ(weft_reply_field(r, "Content-Type", "text/x-own"), 0);
    CHECK_EQ(weft_reply_field(r, "X-Own", "x"), 0);
    return weft_reply_file(r, ctx, &o);
}

TEST(fields_of_the_handler_go_with_a_file_and_its_type_counts)
{
    struct site site = {.stats = {0}};
    char one[600];
    make_dir();
    put("a.pdf", "%PDF");
    (void)snprintf(one, sizeof one, "%s", in_dir("a.pdf"));
    make_server(&site);
    CHECK_EQ(weft_http_route(site.server, "GET", "/", reply_typed, one), 0);
    open_site(&site);
    CHECK_STR(get(&site, "/", "Range: bytes=1-\r\n"), "206");
    CHECK_STR(field("Content-Type"), "text/x-own");
    CHECK_STR(field("X-Own"), "x");
    CHECK_STR(field("Cache-Control"), "max-age=9");
    /* several parts would each have a type, and all of them another */
    CHECK_STR(get(&site, "/", "Range: bytes=0-0,2-2\r\n"), "200");
    CHECK_STR(field("Content-Type"), "text/x-own");
    CHECK_STR(body(), "%PDF");
    /* what is no file is not kept as one */
    CHECK_STR(get(&site, "/", "If-None-Match: *\r\n"), "304");
    CHECK_STR(field("Cache-Control"), "max-age=9");
    CHECK_STR(get(&site, "/", "Range: bytes=9-\r\n"), "416");
    CHECK_PTR(field("Cache-Control"), NULL);
    CHECK_PTR(field("ETag"), NULL);
    CHECK_STR(get(&site, "/", "If-Match: \"x\"\r\n"), "412");
    CHECK_PTR(field("Cache-Control"), NULL);
    close_site(&site);
    remove_dir();
}

static int reply_one(weft_req *r, void *ctx)
{
    int err = weft_reply_file(r, ctx, NULL);
    CHECK_EQ(err, wanted);
    if (err == 0) return 0;
    return weft_reply_printf(r, 404, "text/plain", "another reply");
}

TEST(a_handler_replies_with_one_file_or_with_something_else)
{
    struct site site = {.stats = {0}};
    make_dir();
    put("a.pdf", "%PDF");
    make_server(&site);
    weft_http_server *s = site.server;
    char one[600], none[600];
    (void)snprintf(one, sizeof one, "%s", in_dir("a.pdf"));
    (void)snprintf(none, sizeof none, "%s", in_dir("none"));
    CHECK_EQ(weft_http_route(s, NULL, "/one", reply_one, one), 0);
    CHECK_EQ(weft_http_route(s, "GET", "/none", reply_one, none), 0);
    CHECK_EQ(weft_http_route(s, "GET", "/dir", reply_one, home), 0);
    open_site(&site);
    wanted = 0;
    CHECK_STR(get(&site, "/one", "Range: bytes=1-\r\n"), "206");
    CHECK_STR(body(), "PDF");
    CHECK_STR(field("Content-Type"), "application/pdf");
    CHECK_STR(get(&site, "/one", "If-None-Match: *\r\n"), "304");
    /* conditions are of GET and HEAD */
    (void)ask(&site, "POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n"
                     "If-None-Match: *\r\nRange: bytes=1-\r\n\r\n");
    CHECK_EQ(strncmp(heard, "HTTP/1.1 200", 12), 0);
    CHECK_STR(body(), "%PDF");
    wanted = -ENOENT;
    CHECK_STR(get(&site, "/none", ""), "404");
    CHECK_STR(body(), "another reply");
    wanted = -EISDIR;
    CHECK_STR(get(&site, "/dir", ""), "404");
    CHECK_STR(body(), "another reply");
    close_site(&site);
    remove_dir();
}
