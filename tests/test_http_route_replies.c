/* SPDX-License-Identifier: MIT */
/*
 * test_http_route_replies.c - a server with routes: parameters, and what is
 * answered where no route does.
 */
#include <weft/http_route.h>

#include <errno.h>
#include <stdio.h>

#include "http_site.h"

#define ASK(method, target)                                                    \
    method " " target " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

/* The pattern, and the parameters that `ctx` names. */
static int tell(weft_req *r, void *ctx)
{
    char text[256];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", weft_req_pattern(r));
    for (const char *name = ctx; name && *name; name++) {
        weft_text value = weft_req_param(r, (char[]){*name, 0});
        len +=
            (size_t)snprintf(text + len, sizeof text - len, " %c=[%.*s]%s",
                             *name, WEFT_TEXT_ARGS(value), value.at ? "" : "!");
    }
    return weft_reply(r, 200, NULL, text, len);
}

static int other(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_PTR(weft_req_pattern(r), NULL);
    CHECK_PTR(weft_req_param(r, "a").at, NULL);
    return weft_reply(r, 200, NULL, "other", 5);
}

static void add(struct site *s, const char *method, const char *pattern,
                const char *params)
{
    CHECK_EQ(weft_http_route(s->server, method, pattern, tell,
                             (void *)(uintptr_t)params),
             0);
}

static void add_some(struct site *s)
{
    add(s, "GET", "/", NULL);
    add(s, "GET", "/users/{a}", "ab");
    add(s, "POST", "/users/{b}", "ab");
    add(s, "DELETE", "/users/{a}/posts/{b}", "ab");
    add(s, "GET", "/files/{a*}", "a");
    add(s, NULL, "/any/{a}", "a");
    add(s, "PURGE", "/cache", NULL);
}

static void open_routes(struct site *s)
{
    make_server(s);
    add_some(s);
    open_site(s);
}

static const char *status_of(struct site *s, const char *request)
{
    static char status[4];
    (void)ask(s, request);
    CHECK(heard_len > 12);
    memcpy(status, heard + 9, 3);
    return status;
}

static const char *body_of(struct site *s, const char *request)
{
    CHECK_STR(status_of(s, request), "200");
    const char *end = strstr(heard, "\r\n\r\n");
    CHECK(end != NULL);
    return end + 4;
}

static const struct {
    const char *request, *want;
} bodies[] = {
    {ASK("GET", "/"), "/"},
    {ASK("GET", "/?x=/users/7"), "/"},
    {ASK("GET", "/users/7"), "/users/{a} a=[7] b=[]!"},
    {ASK("GET", "/users/7?a=8"), "/users/{a} a=[7] b=[]!"},
    {ASK("POST", "/users/7"), "/users/{b} a=[]! b=[7]"},
    {ASK("GET", "/users/a%20b"), "/users/{a} a=[a b] b=[]!"},
    {ASK("GET", "/users/a%2Fb"), "/users/{a} a=[a/b] b=[]!"},
    {ASK("GET", "/users/a+b"), "/users/{a} a=[a+b] b=[]!"},
    {ASK("GET", "/users/%25"), "/users/{a} a=[%] b=[]!"},
    {ASK("GET", "/%75sers/7"), "/users/{a} a=[7] b=[]!"},
    {ASK("GET", "http://other/users/7"), "/users/{a} a=[7] b=[]!"},
    {ASK("GET", "http://other"), "/"},
    {ASK("DELETE", "/users/1/posts/2"), "/users/{a}/posts/{b} a=[1] b=[2]"},
    {ASK("DELETE", "/users/%31/posts/2"), "/users/{a}/posts/{b} a=[1] b=[2]"},
    {ASK("GET", "/files/"), "/files/{a*} a=[]"},
    {ASK("GET", "/files/x"), "/files/{a*} a=[x]"},
    {ASK("GET", "/files/x//y/"), "/files/{a*} a=[x//y/]"},
    {ASK("GET", "/files/x%2Fy/%20"), "/files/{a*} a=[x/y/ ]"},
    {ASK("BREW", "/any/7"), "/any/{a} a=[7]"},
    {ASK("OPTIONS", "/any/7"), "/any/{a} a=[7]"},
};

TEST(pattern_118_a_handler_gets_the_parameters_of_its_route)
{
    struct site site = {.stats = {0}};
    open_routes(&site);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        printf("%s", bodies[i].request);
        CHECK_STR(body_of(&site, bodies[i].request), bodies[i].want);
    }
    close_site(&site);
}

static const struct {
    const char *request, *status, *allow;
} refused[] = {
    {ASK("GET", "/users"), "404", NULL},
    {ASK("GET", "/users/"), "404", NULL},
    {ASK("GET", "/users/../users/7"), "404", NULL},
    {ASK("GET", "/files/%2e%2e/x"), "404", NULL},
    {ASK("OPTIONS", "/users"), "404", NULL},
    {ASK("PUT", "/users/7"), "405", "GET, HEAD, OPTIONS, POST"},
    {ASK("get", "/users/7"), "405", "GET, HEAD, OPTIONS, POST"},
    {ASK("GET", "/users/7/posts/8"), "405", "DELETE, OPTIONS"},
    {ASK("GET", "/cache"), "405", "OPTIONS, PURGE"},
    {ASK("HEAD", "/cache"), "405", "OPTIONS, PURGE"},
    {ASK("OPTIONS", "/users/7"), "204", "GET, HEAD, OPTIONS, POST"},
    {ASK("OPTIONS", "*"), "204", "DELETE, GET, HEAD, OPTIONS, POST, PURGE"},
    {ASK("GET", "/users/%00"), "400", NULL},
    {ASK("GET", "/nothing%00"), "400", NULL},
};

static void check_allow(const char *want)
{
    char line[128];
    (void)snprintf(line, sizeof line, "\r\nAllow: %s\r\n", want ? want : "");
    CHECK_EQ(strstr(heard, "\r\nAllow: ") != NULL, want != NULL);
    if (want && !strstr(heard, line))
        test_fail(__FILE__, __LINE__, "no %s in %s", want, heard);
}

TEST(what_no_route_takes_is_404_405_with_allow_or_204_to_options)
{
    struct site site = {.stats = {0}};
    open_routes(&site);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        printf("%s", refused[i].request);
        CHECK_STR(status_of(&site, refused[i].request), refused[i].status);
        check_allow(refused[i].allow);
    }
    CHECK_EQ(site.stats.failed, 0);
    close_site(&site);
}

TEST(a_204_has_no_body_and_the_connection_goes_on)
{
    struct site site = {.stats = {0}};
    open_routes(&site);
    weft_transport *t = visit(&site);
    say(t, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"
           "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STR(hear(t),
              HEAD_OF("204 No Content") "Allow: DELETE, GET, HEAD, OPTIONS, "
                                        "POST, PURGE\r\n\r\n" HEAD_OF("200 OK")
                                            LENGTH(1) "\r\n/");
    weft_transport_close(t);
    close_site(&site);
}

TEST(the_handler_of_the_server_takes_what_no_route_does)
{
    struct site site = {.opts = {.handler = other}};
    open_routes(&site);
    CHECK_STR(body_of(&site, ASK("GET", "/users")), "other");
    CHECK_STR(body_of(&site, ASK("OPTIONS", "/users")), "other");
    CHECK_STR(body_of(&site, ASK("GET", "/a/../b")), "other");
    CHECK_STR(body_of(&site, ASK("GET", "/")), "/");
    CHECK_STR(status_of(&site, ASK("PUT", "/")), "405");
    close_site(&site);
}

TEST(a_server_without_routes_gives_its_handler_all)
{
    struct site site = {.opts = {.handler = other}};
    open_site(&site);
    CHECK_STR(body_of(&site, ASK("OPTIONS", "*")), "other");
    CHECK_STR(body_of(&site, ASK("PUT", "/")), "other");
    CHECK_STR(body_of(&site, ASK("GET", "/%00")), "other");
    close_site(&site);
}

TEST(head_is_answered_by_the_route_of_get_without_a_body)
{
    struct site site = {.stats = {0}};
    open_routes(&site);
    (void)ask(&site, ASK("HEAD", "/users/7"));
    CHECK_STR(heard, HEAD_OF("200 OK") LENGTH(22) CLOSE "\r\n");
    close_site(&site);
}

TEST(one_connection_goes_from_route_to_route)
{
    struct site site = {.opts = {.handler = other}};
    open_routes(&site);
    weft_transport *t = visit(&site);
    say(t, "GET /users/%31 HTTP/1.1\r\nHost: h\r\n\r\n"
           "GET /none HTTP/1.1\r\nHost: h\r\n\r\n"
           "GET /users/2 HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STR(hear(t),
              HEAD_OF("200 OK")
                  LENGTH(22) "\r\n/users/{a} a=[1] b=[]!" HEAD_OF("200 OK")
                      LENGTH(5) "\r\nother" HEAD_OF("200 OK")
                          LENGTH(22) "\r\n/users/{a} a=[2] b=[]!");
    weft_transport_close(t);
    close_site(&site);
}

TEST(a_server_that_serves_takes_no_more_routes)
{
    struct site site = {.stats = {0}};
    open_routes(&site);
    CHECK_STR(body_of(&site, ASK("GET", "/")), "/");
    CHECK_EQ(weft_http_route(site.server, "GET", "/late", tell, NULL), -EBUSY);
    CHECK_STR(status_of(&site, ASK("GET", "/late")), "404");
    close_site(&site);
}
